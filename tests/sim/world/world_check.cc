// What a World finds after a crash, compared with what it promised.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "tests/sim/world/world.h"
#include "tests/sim/world/world_verify.h"

namespace flowstone {
namespace {

std::string message_of(const Error& error) { return error.message(); }

}  // namespace

// --- checking -----------------------------------------------------------------------------------------------------------------

std::string World::check(SimDisk& disk, uint64_t operation, bool again) {
    below_ = &disk;
    failing_ = false;
    auto log = open_log(environment(disk), directory, log_options(options_.threads_after), tuning());
    if (!log) { return "open: " + message_of(log.error()); }
    log_.emplace(std::move(*log));
    opened_ = now();
    std::string bad = check_log(operation, true);
    if (bad.empty()) { bad = go_on(); }
    for (int i = 0; i < 8 && again && bad.empty() && log_; ++i) {
        step(disk);
        if (!fault_.empty()) { bad = "going on: " + fault_; }
    }
    if (bad.empty() && !again) {
        const auto closed = log_->close();
        if (!closed) { bad = "close: " + message_of(closed.error()); }
        keep_everything();
    }
    end_log();
    if (bad.empty() && !again) { bad = verify_directory(disk, directory); }
    return bad;
}

std::string World::check_log(uint64_t operation, bool power) {
    const uint64_t opened = now();
    std::string bad = power ? check_topics(operation) : "";
    for (size_t i = 0; i < state_.topics.size() && bad.empty(); ++i) {
        const TopicModel& topic = state_.topics[i];
        if (!topic.live()) { continue; }
        for (int32_t p = 0; p < static_cast<int32_t>(topic.parts.size()) && bad.empty(); ++p) {
            bad = check_part(i, p, power ? operation : opened, power);
        }
    }
    if (bad.empty()) { bad = check_groups(power ? operation : opened, power); }
    if (bad.empty()) { bad = check_offsets(power ? operation : opened, power); }
    if (bad.empty() && power) { bad = check_producer(operation); }
    return bad;
}

// Which topics there are; those that are not there any more, or not yet, leave the model.
std::string World::check_topics(uint64_t operation) {
    const auto found = log_->topics();
    for (TopicModel& topic : state_.topics) {
        const bool there = std::ranges::any_of(
            found, [&](const TopicInfo& info) { return info.name == topic.name && info.id == topic.id; });
        const bool must = topic.create_kept <= operation && topic.delete_asked > operation;
        const bool may = topic.create_asked <= operation && topic.delete_kept > operation;
        if (must && !there) { return fmt::format("topic {} is gone", topic.name); }
        if (there && !may) { return fmt::format("topic {} is there, created later or deleted before", topic.name); }
        topic.create_asked = there ? 0 : never;
        topic.create_kept = there ? 0 : never;
        topic.delete_asked = there ? never : 0;
        topic.delete_kept = there ? never : 0;
    }
    for (const TopicInfo& info : found) {
        if (!info.internal && !live(info.name)) { return fmt::format("nobody made topic {}", info.name); }
        if (auto topic = live(info.name)) { state_.topics[*topic].level = info.durability; }
    }
    return "";
}

std::string World::check_part(size_t topic, int32_t partition, uint64_t operation, bool power) {
    Part& part = part_of(topic, partition);
    const std::string place = fmt::format("{}-{}", state_.topics[topic].name, partition);
    auto handle = log_->topic(state_.topics[topic].name);
    if (!handle) { return place + ": " + message_of(handle.error()); }
    auto info = handle->partition(partition);
    if (!info) { return place + ": " + message_of(info.error()); }
    const int64_t begin = info->log_start.value;
    const int64_t end = info->log_end.value;
    const int64_t kept =
        std::max(latest(part.kept, part.cuts, operation), power ? 0 : latest(part.written, part.cuts, operation));
    if (end < kept) { return fmt::format("{} ends at {}, {} was acknowledged", place, end, kept); }
    if (info->high_watermark.value != end) { return place + ": not everything is visible after opening"; }
    if (std::string bad = check_start(part, operation, begin, end); !bad.empty()) { return place + bad; }
    if (std::string bad = check_records(topic, partition, operation, begin, end); !bad.empty()) { return bad; }
    if (!power) {
        for (auto i = static_cast<size_t>(end); i < part.records.size(); ++i) {
            part.lost.push_back({static_cast<int64_t>(i), part.records[i], now()});
        }
        part.records.resize(static_cast<size_t>(end));
        if (end < latest(part.trims_kept, operation)) { part.trims_lost.push_back({now(), begin}); }
        return "";
    }
    part.records.resize(static_cast<size_t>(end));
    for (Appended& record : part.records) { record.operation = 0; }
    part.lost.clear();
    part.cuts.clear();
    const bool durable = state_.topics[topic].level == Durability::durable;
    part.kept.assign(1, {0, durable ? end : kept});
    part.written.clear();
    part.trims_asked.assign(1, {0, begin});
    part.trims_kept.assign(1, {0, begin});
    part.trims_lost.clear();
    const int64_t epoch = latest(part.epochs, operation);
    part.epochs.assign(1, {0, epoch});
    return "";
}

// What was trimmed stays away, and nothing else is gone. A log that lost more than that begins where it ends.
std::string World::check_start(const Part& part, uint64_t operation, int64_t begin, int64_t end) {
    Promise lost{0, 0};
    for (const Promise& one : part.trims_lost) {
        if (one.operation <= operation) { lost = one; }
    }
    const auto since = [&](const std::vector<Promise>& promises) {
        int64_t offset = lost.end;
        for (const Promise& promise : promises) {
            const bool counts = promise.operation >= lost.operation && promise.operation <= operation;
            if (counts) { offset = std::max(offset, promise.end); }
        }
        return offset;
    };
    const int64_t kept = std::min(since(part.trims_kept), end);
    const int64_t asked = since(part.trims_asked);
    if (begin >= kept && begin <= asked) { return ""; }
    return fmt::format(" starts at {} and ends at {}; {} was kept and {} asked for", begin, end, kept, asked);
}

std::string World::check_record(size_t topic, int32_t partition, uint64_t operation, const RecordView& record) {
    Part& part = part_of(topic, partition);
    const int64_t offset = record.offset.value;
    const auto index = static_cast<size_t>(offset);
    const std::string_view value = record.value.value_or("");
    const Lost* lost = nullptr;
    for (const Lost& one : part.lost) {
        if (one.offset == offset && one.until >= operation && one.record.value == value) { lost = &one; }
    }
    const bool expected =
        index < part.records.size() && part.records[index].operation <= operation && part.records[index].value == value;
    if (!expected && lost == nullptr) {
        return fmt::format("{}-{} at offset {}: {:.20} ({} bytes), which nobody appended there",
                           state_.topics[topic].name, partition, offset, value, value.size());
    }
    if (!expected) {
        part.records.resize(std::max(part.records.size(), index + 1));
        part.records[index] = lost->record;
    }
    return "";
}

// Every record of [begin, end) is there, in order, and what was appended there.
std::string World::check_records(size_t topic, int32_t partition, uint64_t operation, int64_t begin, int64_t end) {
    const TopicModel& model = state_.topics[topic];
    const std::string place = fmt::format("{}-{}", model.name, partition);
    auto handle = log_->topic(model.name);
    if (!handle) { return place + ": " + message_of(handle.error()); }
    auto reader = handle->read({.partition = partition});
    if (!reader) { return place + ": " + message_of(reader.error()); }
    int64_t next = begin;
    std::vector<int64_t> offsets;
    for (;;) {
        auto batch = reader->next();
        if (!batch) { return fmt::format("{} at offset {}: {}", place, next, message_of(batch.error())); }
        if (batch->empty()) { break; }
        for (const RecordView& record : *batch) {
            const int64_t offset = record.offset.value;
            if (model.compacted ? offset < next : offset != next) {
                return fmt::format("{}: offset {} follows {}", place, offset, next - 1);
            }
            if (std::string bad = check_record(topic, partition, operation, record); !bad.empty()) { return bad; }
            if (model.compacted) { offsets.push_back(offset); }
            next = offset + 1;
        }
    }
    if (model.compacted) {
        const std::string bad = check_compacted(offsets, begin, end);
        return bad.empty() ? bad : place + bad;
    }
    if (next != end) { return fmt::format("{}: reading ends at {}, the log at {}", place, next, end); }
    return "";
}

// Of what is gone something newer of the same key is there.
std::string World::check_compacted(const std::vector<int64_t>& offsets, int64_t begin, int64_t end) {
    std::map<std::string, int64_t> newest;
    for (const int64_t offset : offsets) { newest[key_at(offset)] = offset; }
    for (int64_t i = begin; i < end; ++i) {
        if (std::ranges::binary_search(offsets, i)) { continue; }
        const auto found = newest.find(key_at(i));
        if (found == newest.end() || found->second < i) {
            return fmt::format(": offset {} is gone, and nothing newer of its key is there", i);
        }
    }
    return "";
}

std::string World::check_groups(uint64_t operation, bool power) {
    int64_t offset = 0;
    std::erase_if(state_.groups, [&](const Group& group) { return group.asked > operation; });
    for (const Group& group : state_.groups) {
        size_t there = 0;
        for (const Group::In& in : group.in) {
            const auto end = static_cast<int64_t>(part_of(in.topic, in.partition).records.size());
            if (end > in.base && end < in.end) { return "half a part of an atomic append"; }
            there += end >= in.end ? 1 : 0;
        }
        if (there != 0 && there != group.in.size()) {
            return fmt::format("{} of {} parts of an atomic append", there, group.in.size());
        }
        if (there != 0) { offset = group.offset; }
    }
    std::erase_if(state_.groups, [&](const Group& group) { return group.offset > offset; });
    if (power) {
        for (Group& group : state_.groups) { group.asked = 0; }
    }
    const auto fetched = log_->fetch_offsets(group_together);
    if (!fetched) { return "fetch_offsets: " + message_of(fetched.error()); }
    const int64_t found = fetched->empty() ? 0 : fetched->front().offset.value;
    if (found != offset) {
        return fmt::format("an atomic append holds offset {} for its group, which has {}", offset, found);
    }
    return "";
}

std::string World::check_offsets(uint64_t operation, bool power) {
    const auto fetched = log_->fetch_offsets(group_plain);
    if (!fetched) { return "fetch_offsets: " + message_of(fetched.error()); }
    const int64_t found = fetched->empty() ? 0 : fetched->front().offset.value;
    if (found < latest(state_.offsets.kept, operation) || found > latest(state_.offsets.asked, operation)) {
        return fmt::format("group offset {}, {} was committed", found, latest(state_.offsets.kept, operation));
    }
    if (power) {
        state_.offsets.asked.assign(1, {0, found});
        state_.offsets.kept.assign(1, {0, found});
    }
    return "";
}

// The last batch that was answered is answered alike, and the one after it is there once.
std::string World::check_producer(uint64_t operation) {
    const auto topic = live(once_name);
    if (!topic) { return ""; }
    // What was truncated later is there still.
    std::ranges::copy(state_.unsent, std::back_inserter(state_.sent));
    state_.unsent.clear();
    std::erase_if(state_.sent, [&](const Sent& sent) { return sent.asked > operation || sent.until < operation; });
    std::ranges::sort(state_.sent, {}, &Sent::sequence);
    auto handle = log_->topic(once_name);
    if (!handle) { return message_of(handle.error()); }
    Part& part = part_of(*topic, 0);
    for (size_t i = 0; i < state_.sent.size(); ++i) {
        Sent& sent = state_.sent[i];
        const bool there = static_cast<int64_t>(part.records.size()) >= sent.base + sent.count;
        if (there && i + 5 < state_.sent.size()) { continue; }  // the window of a producer is five batches
        std::vector<Record> records;
        std::vector<std::string_view> values;
        for (int32_t j = 0; j < sent.count; ++j) {
            const auto at = static_cast<size_t>(sent.base + j);
            values.push_back(at < part.records.size() ? part.records[at].value : make_value(40));
            records.push_back({.key = "k", .value = values.back()});
        }
        const int64_t base = there ? sent.base : static_cast<int64_t>(part.records.size());
        const uint64_t asked = now();
        auto at = handle->append(records,
                                 {.partition = 0, .producer = ProducerSequence{state_.producer_id, 0, sent.sequence}});
        if (!at) { return fmt::format("retry of sequence {}: {}", sent.sequence, message_of(at.error())); }
        if (at->front().offset.value != base) {
            return fmt::format("sequence {} is at offset {}; its retry was answered with {}", sent.sequence, base,
                               at->front().offset.value);
        }
        for (int32_t j = 0; !there && j < sent.count; ++j) {
            part.records.push_back({values[static_cast<size_t>(j)], asked});
        }
        sent = {sent.sequence, sent.count, base, 0, 0};
        acknowledged(*topic, 0, base + sent.count);
    }
    return "";
}

// Appending works in every partition, with a higher epoch than before, and all can be read together with the old.
std::string World::go_on() {
    for (size_t i = 0; i < state_.topics.size(); ++i) {
        const TopicModel& topic = state_.topics[i];
        if (!topic.live()) { continue; }
        for (int32_t p = 0; p < static_cast<int32_t>(topic.parts.size()); ++p) {
            const int64_t before = latest(part_of(i, p).epochs, never);
            if (!append(i, p, 100, true)) { return "after the crash: " + fault_; }
            auto handle = log_->topic(topic.name);
            auto info = handle ? handle->partition(p) : Result<PartitionInfo>(std::unexpected(handle.error()));
            if (!info) { return message_of(info.error()); }
            if (info->epoch.value <= before) {
                return fmt::format("{}-{} goes on with epoch {}, it had {}", topic.name, p, info->epoch.value, before);
            }
            const std::string bad =
                check_records(i, p, never, info->log_start.value, static_cast<int64_t>(part_of(i, p).records.size()));
            if (!bad.empty()) { return "after appending: " + bad; }
        }
    }
    return fault_;
}

}  // namespace flowstone
