#include "tests/sim/world/world.h"

#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/world/world_verify.h"

namespace flowstone {
namespace {

constexpr char directory[] = "data";
constexpr char group_plain[] = "readers";
constexpr char group_together[] = "movers";
constexpr char once_name[] = "once";

std::string text_of(const Error& error) { return error.message(); }

}  // namespace

// --- names and notes -----------------------------------------------------------------------------------------------------

int64_t World::latest(const std::vector<Promise>& promises, uint64_t operation) {
    int64_t end = 0;
    for (const Promise& promise : promises) {
        if (promise.operation <= operation) { end = std::max(end, promise.end); }
    }
    return end;
}

flowstone::Options World::log_options(uint32_t threads) const {
    flowstone::Options options;
    options.threads = threads;
    options.journal_bytes_max = options_.journal_bytes_max;
    options.dirty_bytes_max = 1u << 20;
    options.tail_bytes_max = 256u << 10;
    options.reserve_bytes = 0;
    return options;
}

std::optional<size_t> World::live(std::string_view name) const {
    for (size_t i = 0; i < state_.topics.size(); ++i) {
        const TopicModel& topic = state_.topics[i];
        if (topic.name == name && topic.create_kept != never && topic.delete_asked == never) { return i; }
    }
    return std::nullopt;
}

bool World::good(const Error& error, const char* what) {
    if (failing_) {
        errors_.push_back(error);
    } else {
        wrong(fmt::format("{} at operation {}: {}", what, now(), text_of(error)));
    }
    return false;
}

std::string_view World::make_value(size_t bytes) {
    std::string text = fmt::format("<{}>", state_.texts->size());
    // Half of it does not compress, so that batches of a compressed topic differ in size.
    while (text.size() < bytes) { text += fmt::format("{:x}........", state_.random.below(UINT64_MAX)); }
    text.resize(std::max<size_t>(bytes, 8), '.');
    return state_.texts->emplace_back(std::move(text));
}

size_t World::add_topic(const std::string& name, int32_t partitions, ConfigMap configs) {
    TopicModel& topic = state_.topics.emplace_back();
    const size_t index = state_.topics.size() - 1;
    topic.name = name;
    topic.create_asked = now();
    topic.parts.resize(static_cast<size_t>(partitions));
    for (const auto& [key, value] : configs) {
        if (key != "flowstone.durability") { continue; }
        topic.level = value == "written" ? Durability::written : Durability::memory;
    }
    auto created = log_->create_topic(name, {.partitions = partitions, .configs = std::move(configs)});
    if (!good(created, "create_topic")) { return index; }
    topic.create_kept = now();
    if (auto info = log_->describe(name); good(info, "describe")) { topic.id = info->id; }
    return index;
}

void World::acknowledged(size_t topic, int32_t partition, int64_t end) {
    Part& part = part_of(topic, partition);
    if (state_.topics[topic].level == Durability::durable) { part.kept.push_back({now(), end}); }
    if (state_.topics[topic].level != Durability::memory) { part.written.push_back({now(), end}); }
}

// Everything appended so far is in the files and synced.
void World::keep_everything() {
    for (TopicModel& topic : state_.topics) {
        if (topic.delete_asked != never) { continue; }
        for (Part& part : topic.parts) { part.kept.push_back({now(), static_cast<int64_t>(part.records.size())}); }
    }
}

// --- the work ----------------------------------------------------------------------------------------------------------------

bool World::open(Disk& disk) {
    auto log = open_log(environment(disk), directory, log_options(0), {.direct_bytes_min = options_.direct_bytes_min});
    if (!good(log, "open")) { return false; }
    log_.emplace(std::move(*log));
    return true;
}

void World::run(Disk& disk, const SimDisk& below, bool failing) {
    below_ = &below;
    failing_ = failing;
    if (!open(disk)) { return; }
    const std::string small = "internal.segment.bytes";
    add_topic("orders", 3, {{small, "40000"}});
    add_topic("packed", 1, {{small, "20000"}, {"compression.type", "lz4"}});
    add_topic("written", 2, {{small, "30000"}, {"flowstone.durability", "written"}});
    add_topic("memory", 2, {{small, "30000"}, {"flowstone.durability", "memory"}});
    add_topic("shifting", 1, {{small, "30000"}, {"flowstone.durability", "written"}});
    add_topic(once_name, 1, {{small, "20000"}});
    add_topic("coming", 2, {{small, "50000"}});
    if (auto id = log_->new_producer_id(); good(id, "new_producer_id")) { state_.producer_id = *id; }
    for (uint32_t i = 0; i < options_.steps && fault_.empty() && log_; ++i) { step(disk); }
    if (log_) {
        if (auto closed = log_->close(); good(closed, "close")) { keep_everything(); }
        log_.reset();
    }
}

void World::step(Disk& disk) {
    clock_.advance_ms(static_cast<int64_t>(state_.random.below(500)));
    const uint64_t dice = state_.random.below(100);
    if (dice < 30) { return append_some(); }
    if (dice < 40) { return options_.bulk ? append_bulk() : append_large(); }
    if (dice < 52) { return append_once(); }
    if (dice < 64) { return append_together(); }
    if (dice < 69) { return commit_offset(); }
    if (dice < 75) { return read_all(); }
    if (dice < 79) { return trim(); }
    if (dice < 83) { return replace_topic(); }
    if (dice < 85) { return alter_level(); }
    if (dice < 90) {
        if (auto done = log_->checkpoint(); good(done, "checkpoint")) { keep_everything(); }
        return;
    }
    if (dice < 93) {
        (void)good(log_->poll(), "poll");
        return;
    }
    if (dice < 96 && options_.kill) { return die(disk); }
    if (dice >= 98) {
        if (auto closed = log_->close(); good(closed, "close")) { keep_everything(); }
        log_.reset();
        (void)open(disk);
    }
}

// Returns the offset that the record has if it is kept.
std::optional<int64_t> World::append(size_t topic, int32_t partition, size_t bytes, bool wait) {
    TopicModel& model = state_.topics[topic];
    auto handle = log_->topic(model.name);
    if (!good(handle, "topic")) { return std::nullopt; }
    const std::string_view value = make_value(bytes);
    const uint64_t asked = now();
    Part& part = part_of(topic, partition);
    auto pending = handle->append_async({.key = "k", .value = value}, {.partition = partition});
    if (!good(pending, "append")) {
        if (pending.error().fate != Fate::not_appended) { wrong("an append that failed does not say its fate"); }
        return std::nullopt;
    }
    if (pending->at.offset.value != static_cast<int64_t>(part.records.size())) {
        wrong(fmt::format("{}-{}: offset {} was given, {} comes next", model.name, partition, pending->at.offset.value,
                          part.records.size()));
        return std::nullopt;
    }
    part.records.push_back({value, asked});
    if (auto info = handle->partition(partition); good(info, "partition")) {
        if (part.epochs.empty() || part.epochs.back().end != info->epoch.value) {
            part.epochs.push_back({asked, info->epoch.value});
        }
    }
    if (wait) {
        if (!good(log_->wait(*pending), "wait")) { return std::nullopt; }
        acknowledged(topic, partition, pending->at.offset.value + 1);
    }
    return pending->at.offset.value;
}

void World::append_some() {
    constexpr const char* names[] = {"orders", "orders", "packed", "written", "memory", "shifting", "coming"};
    const auto topic = live(names[state_.random.below(std::size(names))]);
    if (!topic) { return; }
    const auto partition = static_cast<int32_t>(state_.random.below(state_.topics[*topic].parts.size()));
    const uint64_t count = 1 + state_.random.below(12);
    const bool wait = state_.random.below(4) != 0;
    for (uint64_t i = 0; i < count && fault_.empty(); ++i) {
        (void)append(*topic, partition, 20 + state_.random.below(1500), wait && i + 1 == count);
    }
}

void World::append_large() {
    const auto topic = live("orders");
    if (!topic) { return; }
    const auto partition = static_cast<int32_t>(state_.random.below(3));
    const uint64_t count = 1 + state_.random.below(3);
    for (uint64_t i = 0; i < count && fault_.empty(); ++i) {
        (void)append(*topic, partition, 3000 + state_.random.below(30'000), state_.random.below(2) == 0);
    }
}

// Much for the journal, little to keep: records too small for the direct path, in a topic that is deleted soon.
void World::append_bulk() {
    const auto topic = live("coming");
    if (!topic) { return; }
    for (uint64_t i = 0; i < 60 && fault_.empty(); ++i) {
        (void)append(*topic, static_cast<int32_t>(i & 1), 10'000 + state_.random.below(2'000), i % 5 == 4);
    }
}

// An idempotent producer, which repeats its last batch now and then.
void World::append_once() {
    const auto topic = live(once_name);
    if (!topic || state_.producer_id < 0) { return; }
    auto handle = log_->topic(once_name);
    if (!good(handle, "topic")) { return; }
    Part& part = part_of(*topic, 0);
    const bool again = !state_.sent.empty() && (state_.random.below(3) == 0 || state_.sent.back().kept == never);
    if (!again) {
        const int32_t sequence = state_.sent.empty() ? 0 : state_.sent.back().sequence + state_.sent.back().count;
        const auto count = static_cast<int32_t>(1 + state_.random.below(4));
        state_.sent.push_back({sequence, count, static_cast<int64_t>(part.records.size()), now(), never});
        for (int32_t i = 0; i < count; ++i) {
            part.records.push_back({make_value(30 + state_.random.below(3000)), now()});
        }
    }
    Sent& sent = state_.sent.back();
    std::vector<Record> records;
    for (int64_t i = sent.base; i < sent.base + sent.count; ++i) {
        records.push_back({.key = "k", .value = part.records[static_cast<size_t>(i)].value});
    }
    auto at =
        handle->append(records, {.partition = 0, .producer = ProducerSequence{state_.producer_id, 0, sent.sequence}});
    if (!at) {
        (void)good(at, "idempotent append");
        if (!again && at.error().fate == Fate::not_appended) {
            part.records.resize(static_cast<size_t>(sent.base));
            state_.sent.pop_back();
        }
        return;
    }
    if (at->front().offset.value != sent.base) {
        return wrong(fmt::format("a batch of sequence {} was answered with offset {}, its place is {}", sent.sequence,
                                 at->front().offset.value, sent.base));
    }
    if (sent.kept == never) { sent.kept = now(); }
    acknowledged(*topic, 0, sent.base + sent.count);
}

void World::append_together() {
    const auto orders = live("orders");
    const auto packed = live("packed");
    if (!orders || !packed) { return; }
    auto first = log_->topic("orders");
    auto second = log_->topic("packed");
    if (!good(first, "topic") || !good(second, "topic")) { return; }
    const std::pair<size_t, int32_t> places[] = {{*orders, 0}, {*orders, 1}, {*packed, 0}};
    Group group{{}, now(), state_.offset_next};
    std::vector<std::vector<Record>> records(3);
    for (size_t i = 0; i < 3; ++i) {
        Part& part = part_of(places[i].first, places[i].second);
        const auto base = static_cast<int64_t>(part.records.size());
        const uint64_t count = 1 + state_.random.below(5);
        for (uint64_t j = 0; j < count; ++j) {
            part.records.push_back({make_value(20 + state_.random.below(2000)), now()});
            records[i].push_back({.key = "k", .value = part.records.back().value});
        }
        group.in.push_back({places[i].first, places[i].second, base, base + static_cast<int64_t>(count)});
    }
    const AtomicPart parts[] = {{*first, 0, records[0]}, {*first, 1, records[1]}, {*second, 0, records[2]}};
    const GroupOffset offsets[] = {{"orders", 0, Offset{group.offset}, "together"}};
    auto pending = log_->append_atomic(parts, group_together, offsets);
    if (!good(pending, "append_atomic")) {
        for (const Group::In& in : group.in) {
            part_of(in.topic, in.partition).records.resize(static_cast<size_t>(in.base));
        }
        return;
    }
    state_.offset_next += 1;
    state_.groups.push_back(group);
    if (state_.random.below(4) == 0) { return; }  // nobody waits
    if (!good(log_->wait(*pending), "wait")) { return; }
    for (const Group::In& in : group.in) { acknowledged(in.topic, in.partition, in.end); }
}

void World::commit_offset() {
    const GroupOffset offsets[] = {{"orders", 1, Offset{state_.offset_next}, "plain"}};
    const int64_t value = state_.offset_next++;
    state_.offsets.asked.push_back({now(), value});
    if (auto done = log_->commit_offsets(group_plain, offsets); good(done, "commit_offsets")) {
        state_.offsets.kept.push_back({now(), value});
    }
}

// What a reader was shown is promised to stay, whoever appended it.
void World::read_all() {
    const size_t topic = state_.random.below(state_.topics.size());
    if (state_.topics[topic].delete_asked != never || state_.topics[topic].create_kept == never) { return; }
    const auto partition = static_cast<int32_t>(state_.random.below(state_.topics[topic].parts.size()));
    auto handle = log_->topic(state_.topics[topic].name);
    if (!good(handle, "topic")) { return; }
    auto info = handle->partition(partition);
    if (!good(info, "partition")) { return; }
    const std::string bad = check_records(topic, partition, now(), info->log_start.value, info->high_watermark.value);
    if (!bad.empty()) {
        if (!failing_) { wrong("while running: " + bad); }
        return;
    }
    acknowledged(topic, partition, info->high_watermark.value);
}

void World::trim() {
    const auto topic = live("orders");
    if (!topic) { return; }
    const auto partition = static_cast<int32_t>(state_.random.below(3));
    auto handle = log_->topic("orders");
    if (!good(handle, "topic")) { return; }
    auto info = handle->partition(partition);
    if (!good(info, "partition") || info->high_watermark.value == 0) { return; }
    const auto before =
        static_cast<int64_t>(state_.random.below(static_cast<uint64_t>(info->high_watermark.value) + 1));
    Part& part = part_of(*topic, partition);
    part.trims_asked.push_back({now(), before});
    auto start = handle->delete_records(partition, Offset{before});
    if (!good(start, "delete_records")) { return; }
    if (start->value < before) { wrong("delete_records answered with less than it was asked for"); }
    part.trims_kept.push_back({now(), before});
}

void World::replace_topic() {
    if (const auto topic = live("coming")) {
        state_.topics[*topic].delete_asked = now();
        if (good(log_->delete_topic("coming"), "delete_topic")) { state_.topics[*topic].delete_kept = now(); }
        if (state_.random.below(3) == 0) { return; }
    }
    if (!failing_ || !log_->topic("coming")) {
        const auto topic = add_topic("coming", 2, {{"internal.segment.bytes", "50000"}});
        if (state_.topics[topic].create_kept != never) { (void)append(topic, 0, 300, true); }
    }
}

void World::alter_level() {
    const auto topic = live("shifting");
    if (!topic) { return; }
    TopicModel& model = state_.topics[*topic];
    constexpr Durability levels[] = {Durability::durable, Durability::written, Durability::memory};
    constexpr const char* words[] = {"durable", "written", "memory"};
    const uint64_t next = state_.random.below(3);
    // Until the answer neither the old nor the new level is promised.
    const Durability before = model.level;
    model.level = std::max(before, levels[next]);
    if (!good(log_->alter_topic("shifting", {{"flowstone.durability", words[next]}}), "alter_topic")) { return; }
    model.level = levels[next];
    if (levels[next] < before) { acknowledged(*topic, 0, static_cast<int64_t>(model.parts[0].records.size())); }
}

// The process ends; the page cache lives on.
void World::die(Disk& disk) {
    log_.reset();
    const uint64_t died = now();
    if (!open(disk)) { return; }
    if (failing_) { return; }
    const std::string bad = check_log(died, false);
    if (!bad.empty()) { wrong("after a kill: " + bad); }
}

// --- checking -----------------------------------------------------------------------------------------------------------------

std::string World::check(SimDisk& disk, uint64_t operation, bool again) {
    below_ = &disk;
    failing_ = false;
    auto log = open_log(environment(disk), directory, log_options(options_.threads_after),
                        {.direct_bytes_min = options_.direct_bytes_min});
    if (!log) { return "open: " + text_of(log.error()); }
    log_.emplace(std::move(*log));
    opened_ = now();
    std::string bad = check_log(operation, true);
    if (bad.empty()) { bad = go_on(); }
    if (bad.empty() && !again) {
        const auto closed = log_->close();
        if (!closed) { bad = "close: " + text_of(closed.error()); }
        keep_everything();
    }
    log_.reset();
    if (bad.empty() && !again) { bad = verify_directory(disk, directory); }
    return bad;
}

std::string World::check_log(uint64_t operation, bool power) {
    const uint64_t opened = now();
    std::string bad = power ? check_topics(operation) : "";
    for (size_t i = 0; i < state_.topics.size() && bad.empty(); ++i) {
        const TopicModel& topic = state_.topics[i];
        if (topic.create_kept == never || topic.delete_asked != never) { continue; }
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
    if (!handle) { return place + ": " + text_of(handle.error()); }
    auto info = handle->partition(partition);
    if (!info) { return place + ": " + text_of(info.error()); }
    const int64_t begin = info->log_start.value;
    const int64_t end = info->log_end.value;
    const int64_t kept = std::max(latest(part.kept, operation), power ? 0 : latest(part.written, operation));
    if (end < kept) { return fmt::format("{} ends at {}, {} was acknowledged", place, end, kept); }
    if (info->high_watermark.value != end) { return place + ": not everything is visible after opening"; }
    if (begin < latest(part.trims_kept, operation) || begin > latest(part.trims_asked, operation)) {
        return fmt::format("{} starts at {}, {} was asked for", place, begin, latest(part.trims_kept, operation));
    }
    if (std::string bad = check_records(topic, partition, operation, begin, end); !bad.empty()) { return bad; }
    if (!power) {
        for (auto i = static_cast<size_t>(end); i < part.records.size(); ++i) {
            part.lost.push_back({static_cast<int64_t>(i), part.records[i], now()});
        }
        part.records.resize(static_cast<size_t>(end));
        return "";
    }
    part.records.resize(static_cast<size_t>(end));
    for (Appended& record : part.records) { record.operation = 0; }
    part.lost.clear();
    const bool durable = state_.topics[topic].level == Durability::durable;
    part.kept.assign(1, {0, durable ? end : kept});
    part.written.clear();
    part.trims_asked.assign(1, {0, begin});
    part.trims_kept.assign(1, {0, begin});
    const int64_t epoch = latest(part.epochs, operation);
    part.epochs.assign(1, {0, epoch});
    return "";
}

// Every record of [begin, end) is there, in order, and what was appended there.
std::string World::check_records(size_t topic, int32_t partition, uint64_t operation, int64_t begin, int64_t end) {
    Part& part = part_of(topic, partition);
    const std::string place = fmt::format("{}-{}", state_.topics[topic].name, partition);
    auto handle = log_->topic(state_.topics[topic].name);
    if (!handle) { return place + ": " + text_of(handle.error()); }
    auto reader = handle->read({.partition = partition});
    if (!reader) { return place + ": " + text_of(reader.error()); }
    int64_t next = begin;
    for (;;) {
        auto batch = reader->next();
        if (!batch) { return fmt::format("{} at offset {}: {}", place, next, text_of(batch.error())); }
        if (batch->empty()) { break; }
        for (const RecordView& record : *batch) {
            if (record.offset.value != next) {
                return fmt::format("{}: offset {} follows {}", place, record.offset.value, next - 1);
            }
            const auto index = static_cast<size_t>(next);
            const std::string_view value = record.value.value_or("");
            const Lost* lost = nullptr;
            for (const Lost& one : part.lost) {
                if (one.offset == next && one.until >= operation && one.record.value == value) { lost = &one; }
            }
            const bool expected = index < part.records.size() && part.records[index].operation <= operation &&
                                  part.records[index].value == value;
            if (!expected && lost == nullptr) {
                return fmt::format("{} at offset {}: {:.20} ({} bytes), which nobody appended there", place, next,
                                   value, value.size());
            }
            if (!expected) {
                part.records.resize(std::max(part.records.size(), index + 1));
                part.records[index] = lost->record;
            }
            ++next;
        }
    }
    if (next != end) { return fmt::format("{}: reading ends at {}, the log at {}", place, next, end); }
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
    if (!fetched) { return "fetch_offsets: " + text_of(fetched.error()); }
    const int64_t found = fetched->empty() ? 0 : fetched->front().offset.value;
    if (found != offset) {
        return fmt::format("an atomic append holds offset {} for its group, which has {}", offset, found);
    }
    return "";
}

std::string World::check_offsets(uint64_t operation, bool power) {
    const auto fetched = log_->fetch_offsets(group_plain);
    if (!fetched) { return "fetch_offsets: " + text_of(fetched.error()); }
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
    std::erase_if(state_.sent, [&](const Sent& sent) { return sent.asked > operation; });
    auto handle = log_->topic(once_name);
    if (!handle) { return text_of(handle.error()); }
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
        if (!at) { return fmt::format("retry of sequence {}: {}", sent.sequence, text_of(at.error())); }
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
        if (topic.create_kept == never || topic.delete_asked != never) { continue; }
        for (int32_t p = 0; p < static_cast<int32_t>(topic.parts.size()); ++p) {
            const int64_t before = latest(part_of(i, p).epochs, never);
            if (!append(i, p, 100, true)) { return "after the crash: " + fault_; }
            auto handle = log_->topic(topic.name);
            auto info = handle ? handle->partition(p) : Result<PartitionInfo>(std::unexpected(handle.error()));
            if (!info) { return text_of(info.error()); }
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
