#include "tests/sim/world/scenario.h"

#include <algorithm>

#include <fmt/format.h>

#include "log/served_log.h"
#include "tests/sim/world/world_verify.h"

namespace flowstone {
namespace {

constexpr char group_alone[] = "readers";
constexpr char group_together[] = "movers";
constexpr char small_segments[] = "internal.segment.bytes";
constexpr uint64_t aged_bytes = 40'000;

// The key of the record at an offset: few keys, so that compaction has work.
std::string key_at(int64_t offset) { return fmt::format("k{}", offset % 3); }

}  // namespace

// --- names and notes -------------------------------------------------------------------------------------------------

std::optional<size_t> Scenario::live(std::string_view name) const {
    for (size_t i = 0; i < state_.topics.size(); ++i) {
        const TopicModel& topic = state_.topics[i];
        if (topic.name == name && topic.live()) { return i; }
    }
    return std::nullopt;
}

std::string Scenario::make_value(size_t bytes) {
    std::string text = fmt::format("<{}>", state_.texts++);
    text.resize(std::max<size_t>(bytes, text.size()), '.');
    return text;
}

// What a failing call may be told as: its own code, and what follows from it. Anything else is a lie about the disk.
bool Scenario::good(const Error& error, const char* what, bool append) {
    troubles_.push_back({error, what, begun_});
    state_.lossy = state_.lossy || loses_writes(error) || error.code == Code::offline;
    const std::string text = fmt::format("{}: {}", what, error.message());
    if (error.code != Code::io && error.code != Code::no_space && error.code != Code::offline) {
        wrong("an error that no failing call explains: " + text);
    }
    const std::string_view detail(error.detail);
    if (detail.find(options_.directory) == std::string_view::npos && detail != parent_path(options_.directory)) {
        wrong("an error that names no path: " + text);
    }
    if (append && error.fate == Fate::none) { wrong("an append that failed does not say its fate: " + text); }
    return false;
}

void Scenario::acknowledged(size_t topic, int32_t partition, int64_t end) {
    lives_.back().acknowledged = begun_;
    shown(topic, partition, end);
}

// Visible is durable: what somebody read has the same promise as what somebody was told.
void Scenario::shown(size_t topic, int32_t partition, int64_t end) {
    const Durability level = state_.topics[topic].level;
    Part& part = state_.topics[topic].part(partition);
    part.here = std::max(part.here, end);
    if (level == Durability::durable) { part.kept = std::max(part.kept, end); }
    if (level != Durability::memory) { part.written = std::max(part.written, end); }
}

// Everything appended so far is in the files and synced.
void Scenario::keep_everything() {
    for (TopicModel& topic : state_.topics) {
        for (Part& part : topic.parts) {
            part.kept = part.written = part.here = static_cast<int64_t>(part.values.size());
        }
    }
}

// --- the work --------------------------------------------------------------------------------------------------------

bool Scenario::open(Disk& disk, Since since) {
    flowstone::Options options;
    options.threads = options_.threads;
    options.journal_bytes_max = 8u << 20;
    options.dirty_bytes_max = 1u << 20;
    options.tail_bytes_max = 64u << 10;  // so that the files are read, too
    options.reserve_bytes = 1u << 20;
    constexpr int attempts = 2;  // one failing call does not keep a log from opening the next time
    for (int attempt = 0; attempt < attempts; ++attempt) {
        step();
        auto log = open_log({&disk, &clock_, &state_.random}, options_.directory, options, {.direct_bytes_min = 16384});
        if (!good(log, "open")) { continue; }
        log_.emplace(std::move(*log));
        lives_.push_back({.opened = options_.calls()});
        closed_ = false;
        if (look(since)) { return true; }
        end();
        return false;
    }
    return false;
}

void Scenario::end() {
    log_.reset();
    lives_.back().ended = options_.calls();
}

void Scenario::run(Disk& disk) {
    if (!open(disk, Since::close)) { return; }
    first_life();
    end();  // nobody said close
    if (!open(disk, Since::kill)) { return; }
    second_life();
    read_all();
    close();
    if (!open(disk, closed_ ? Since::close : Since::kill)) { return; }
    append_everywhere();
    read_all();
    close();
}

void Scenario::first_life() {
    make("orders", 2, {{small_segments, "30000"}});
    make("packed", 1, {{small_segments, "30000"}, {"compression.type", "lz4"}});
    make("written", 1, {{small_segments, "30000"}, {"flowstone.durability", "written"}});
    make("memory", 1, {{small_segments, "30000"}, {"flowstone.durability", "memory"}});
    make("shifting", 1, {{"flowstone.durability", "written"}});
    make("aged", 1, {{small_segments, "20000"}, {"retention.bytes", std::to_string(aged_bytes)}});
    make("keyed", 1, {{small_segments, "8000"}, {"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0.01"}});
    make("coming", 2, {});
    for (const char* name : {"orders", "packed", "written", "memory", "shifting", "keyed"}) { append(name, 0, 300, 3); }
    append("coming", 0, 300, 2);
    append("coming", 1, 20'000, 1);
    make("cut", 1, {{small_segments, "12000"}});
    append("cut", 0, 4'000, 9);
    append("orders", 1, 20'000, 2);  // straight to the segment
    append("orders", 0, 4'000, 12);  // rolls
    append("written", 0, 4'000, 12);
    append("memory", 0, 4'000, 12);
    append("aged", 0, 5'000, 16);
    trim();
    append_together();
    commit_offset();
    read_all();
    checkpoint();
    for (const char* name : {"orders", "packed", "written", "memory", "shifting"}) { append(name, 0, 500, 2); }
    append_together();
    append("orders", 1, 20'000, 1);
    append("orders", 1, 700, 2, false);  // nobody waits
}

void Scenario::second_life() {
    append_once();
    append("written", 0, 4'000, 4);
    append("keyed", 0, 1'500, 12);
    commit_offset();
    checkpoint();
    append("keyed", 0, 1'500, 8);
    maintain();  // retention
    maintain();  // compaction, which needs checkpoints behind the segments' closing
    truncate();
    append("cut", 0, 400, 2);
    append("cut", 0, 20'000, 1);
    remove("coming");
    make("coming", 2, {});
    append("coming", 0, 400, 2);
    shift();
    append("shifting", 0, 400, 2);
    append("orders", 0, 9'000, 3);
    append_together();
    append_once();
}

void Scenario::make(const std::string& name, int32_t partitions, ConfigMap configs) {
    step();
    if (log_->topic(name)) { return; }  // after a deletion that failed
    TopicModel& topic = state_.topics.emplace_back();
    topic.name = name;
    topic.created = Done::maybe;
    topic.parts.resize(static_cast<size_t>(partitions));
    for (const auto& [key, value] : configs) {
        if (key == "flowstone.durability") {
            topic.level = value == "written" ? Durability::written : Durability::memory;
        }
        if (key == "cleanup.policy") { topic.compacted = true; }
        if (key == "retention.bytes") { topic.retained_bytes = aged_bytes; }
    }
    auto created = log_->create_topic(name, {.partitions = partitions, .configs = std::move(configs)});
    if (!good(created, "create_topic")) { return; }
    topic.created = Done::yes;
    if (auto info = log_->describe(name); good(info, "describe")) { topic.id = info->id; }
}

void Scenario::append(std::string_view name, int32_t partition, size_t bytes, int count, bool wait) {
    const auto topic = live(name);
    if (!topic) { return; }
    auto handle = log_->topic(name);
    if (!good(handle, "topic")) { return; }
    Part& part = state_.topics[*topic].part(partition);
    for (int i = 0; i < count && !part.uncertain; ++i) {
        step();
        const auto offset = static_cast<int64_t>(part.values.size());
        const std::string value = make_value(bytes);
        const std::string key = key_at(offset);
        auto pending = handle->append_async({.key = key, .value = value}, {.partition = partition});
        if (!good(pending, "append", true)) {
            if (pending.error().fate != Fate::not_appended) { wrong("an append failed without an offset to look at"); }
            continue;
        }
        if (pending->at.offset.value != offset) {
            return wrong(fmt::format("{}-{}: offset {} was given, {} comes next", name, partition,
                                     pending->at.offset.value, offset));
        }
        part.values.push_back(value);
        if (wait && good(log_->wait(*pending), "wait", true)) { acknowledged(*topic, partition, offset + 1); }
    }
}

// An idempotent producer, which asks twice.
void Scenario::append_once() {
    step();
    const auto topic = live("orders");
    if (!topic) { return; }
    auto handle = log_->topic("orders");
    if (!good(handle, "topic")) { return; }
    if (state_.producer_id < 0) {
        auto id = log_->new_producer_id();
        if (!good(id, "new_producer_id")) { return; }
        state_.producer_id = *id;
        state_.sequence = 0;
    }
    Part& part = state_.topics[*topic].parts[1];
    const auto base = static_cast<int64_t>(part.values.size());
    const std::string values[] = {make_value(200), make_value(300)};
    const std::string keys[] = {key_at(base), key_at(base + 1)};
    const Record records[] = {{.key = keys[0], .value = values[0]}, {.key = keys[1], .value = values[1]}};
    bool appended = false;
    for (int again = 0; again < 2; ++again) {
        auto at = handle->append(
            records, {.partition = 1, .producer = ProducerSequence{state_.producer_id, 0, state_.sequence}});
        const bool there = at || at.error().fate != Fate::not_appended;
        if (there && !appended) { part.values.insert(part.values.end(), std::begin(values), std::end(values)); }
        appended = appended || there;
        if (!good(at, "idempotent append", true)) { continue; }
        if (at->front().offset.value != base) {
            return wrong(fmt::format("a batch of sequence {} was answered with offset {}, its place is {}",
                                     state_.sequence, at->front().offset.value, base));
        }
        acknowledged(*topic, 1, base + 2);
    }
    if (appended) { state_.sequence += 2; }
}

void Scenario::append_together() {
    step();
    const auto orders = live("orders");
    const auto packed = live("packed");
    if (!orders || !packed) { return; }
    auto first = log_->topic("orders");
    auto second = log_->topic("packed");
    if (!good(first, "topic") || !good(second, "topic")) { return; }
    const std::pair<size_t, int32_t> places[] = {{*orders, 0}, {*orders, 1}, {*packed, 0}};
    std::vector<std::string> values;
    std::vector<std::string> keys;
    Together together{{}, state_.offset_next};
    for (const auto& [topic, partition] : places) {
        const auto base = static_cast<int64_t>(state_.topics[topic].part(partition).values.size());
        values.push_back(make_value(900));
        keys.push_back(key_at(base));
        together.in.push_back({topic, partition, base + 1});
    }
    const Record records[] = {{.key = keys[0], .value = values[0]},
                              {.key = keys[1], .value = values[1]},
                              {.key = keys[2], .value = values[2]}};
    const AtomicPart parts[] = {{*first, 0, std::span(&records[0], 1)},
                                {*first, 1, std::span(&records[1], 1)},
                                {*second, 0, std::span(&records[2], 1)}};
    const GroupOffset offsets[] = {{"orders", 0, Offset{together.offset}, ""}};
    // With several shards the parts may belong apart.
    auto pending = options_.threads > 1 ? log_->append_atomic(std::span(parts, 1))
                                        : log_->append_atomic(parts, group_together, offsets);
    if (!good(pending, "append_atomic", true)) {
        if (pending.error().fate != Fate::not_appended) { wrong("an atomic append failed without an offset"); }
        return;
    }
    if (options_.threads > 1) {
        together.in.resize(1);
    } else {
        state_.together.push_back(together);
        ++state_.offset_next;
    }
    for (size_t i = 0; i < together.in.size(); ++i) {
        state_.topics[places[i].first].part(places[i].second).values.push_back(values[i]);
    }
    if (!good(log_->wait(*pending), "wait", true)) { return; }
    for (const Together::In& in : together.in) { acknowledged(in.topic, in.partition, in.end); }
}

void Scenario::commit_offset() {
    step();
    if (!live("orders")) { return; }
    const int64_t value = ++state_.offset_asked;
    const GroupOffset offsets[] = {{"orders", 1, Offset{value}, ""}};
    if (good(log_->commit_offsets(group_alone, offsets), "commit_offsets")) { state_.offset_kept = value; }
}

void Scenario::trim() {
    step();
    const auto topic = live("orders");
    if (!topic) { return; }
    auto handle = log_->topic("orders");
    if (!good(handle, "topic")) { return; }
    Part& part = state_.topics[*topic].parts[0];
    part.trim_asked = part.here / 2;
    if (good(handle->delete_records(0, Offset{part.trim_asked}), "delete_records")) { part.trimmed = part.trim_asked; }
}

// Until the answer nothing is promised of what goes, nor that it is gone.
void Scenario::truncate() {
    const auto topic = live("cut");
    if (!topic) { return; }
    Part& part = state_.topics[*topic].parts[0];
    if (part.uncertain) { return; }
    step();
    ServedLog served(*log_);
    const auto found = served.topic("cut");
    if (!found) { return wrong("a topic is not served"); }
    const auto end = static_cast<int64_t>(part.values.size()) / 3;
    for (int64_t* promised : {&part.kept, &part.written, &part.here}) { *promised = std::min(*promised, end); }
    part.uncertain = true;
    const auto done = served.truncate(*found, 0, Offset{end});
    if (!good(done, "truncate")) { return; }
    if (*done != Offset{end}) { return wrong(fmt::format("truncated to {}, {} was asked for", done->value, end)); }
    part.uncertain = false;
    part.values.resize(static_cast<size_t>(end));
    part.kept = part.written = part.here = end;
}

void Scenario::remove(std::string_view name) {
    step();
    const auto topic = live(name);
    if (!topic) { return; }
    state_.topics[*topic].deleted = Done::maybe;
    if (good(log_->delete_topic(name), "delete_topic")) { state_.topics[*topic].deleted = Done::yes; }
}

// Until the answer only the lower level is promised.
void Scenario::shift() {
    step();
    const auto topic = live("shifting");
    if (!topic) { return; }
    if (!good(log_->alter_topic("shifting", {{"flowstone.durability", "durable"}}), "alter_topic")) { return; }
    TopicModel& model = state_.topics[*topic];
    model.level = Durability::durable;
    acknowledged(*topic, 0, static_cast<int64_t>(model.parts[0].values.size()));
}

void Scenario::checkpoint() {
    step();
    if (good(log_->checkpoint(), "checkpoint")) { keep_everything(); }
}

void Scenario::maintain() {
    step();
    (void)good(log_->maintain(), "maintain");
}

void Scenario::append_everywhere() {
    const std::vector<TopicModel> topics = state_.topics;
    for (const TopicModel& topic : topics) {
        if (!topic.live()) { continue; }
        for (int32_t p = 0; p < topic.partitions(); ++p) { append(topic.name, p, 200, 1); }
    }
}

void Scenario::close() {
    step();
    closed_ = good(log_->close(), "close");
    if (closed_) { keep_everything(); }
    end();
}

// --- looking ---------------------------------------------------------------------------------------------------------

Result<Scenario::Found> Scenario::read(const std::string& name, int32_t partition) {
    auto handle = log_->topic(name);
    if (!handle) { return std::unexpected(handle.error()); }
    auto info = handle->partition(partition);
    if (!info) { return std::unexpected(info.error()); }
    Found found{info->log_start.value, info->high_watermark.value, info->log_end.value, {}};
    auto reader = handle->read({.partition = partition});
    if (!reader) { return std::unexpected(reader.error()); }
    // Retention in a thread of its own moved the log start since it was asked for. It only grows.
    if (reader->position() > info->log_start) { return read(name, partition); }
    for (;;) {
        auto batch = reader->next();
        if (!batch && batch.error().code == Code::out_of_range) { return read(name, partition); }
        if (!batch) { return std::unexpected(batch.error()); }
        if (batch->empty()) { return found; }
        for (const RecordView& record : *batch) {
            found.records.emplace_back(record.offset.value, std::string(record.key.value_or("")),
                                       std::string(record.value.value_or("")));
        }
    }
}

// One failing call keeps nobody from reading what is there.
std::optional<Scenario::Found> Scenario::read_twice(const std::string& name, int32_t partition) {
    step();
    for (const char* what : {"read", "read again"}) {
        auto found = read(name, partition);
        if (good(found, what)) { return std::move(*found); }
    }
    return std::nullopt;
}

std::string Scenario::compare(const TopicModel& topic, int32_t partition, const Found& found, int64_t must) const {
    const Part& part = topic.part(partition);
    const std::string place = fmt::format("{}-{}", topic.name, partition);
    if (found.end < must) { return fmt::format("{} ends at {}, {} was acknowledged", place, found.end, must); }
    if (found.end > static_cast<int64_t>(part.values.size())) {
        return fmt::format("{} ends at {}, {} were appended", place, found.end, part.values.size());
    }
    uint64_t bytes = 0;
    for (int64_t i = found.start; i < found.end; ++i) { bytes += part.values[static_cast<size_t>(i)].size(); }
    const bool start_good = topic.retained_bytes == 0 ? found.start <= part.trim_asked
                                                      : found.start == 0 || bytes + bytes / 8 >= topic.retained_bytes;
    if (found.start < part.trimmed || !start_good) {
        return fmt::format("{} starts at {}, {} was asked for", place, found.start, part.trim_asked);
    }
    int64_t next = found.start;
    for (const auto& [offset, key, value] : found.records) {
        const bool follows = topic.compacted ? offset >= next : offset == next;
        if (!follows) { return fmt::format("{}: offset {} follows {}", place, offset, next - 1); }
        if (offset >= found.end) { return fmt::format("{}: offset {} is past the end {}", place, offset, found.end); }
        if (value != part.values[static_cast<size_t>(offset)] || key != key_at(offset)) {
            return fmt::format("{} at offset {}: {:.20} ({} bytes), which nobody appended there", place, offset, value,
                               value.size());
        }
        next = offset + 1;
    }
    if (!topic.compacted) {
        return next == found.end ? "" : fmt::format("{}: reading ends at {}, the log at {}", place, next, found.end);
    }
    for (int64_t i = found.start; i < found.end; ++i) {
        const bool there = std::ranges::any_of(
            found.records, [&](const auto& record) { return record.offset >= i && record.key == key_at(i); });
        if (!there) { return fmt::format("{}: offset {} is gone, and nothing newer of its key is there", place, i); }
    }
    return "";
}

// While the log is open: all that was acknowledged can be read, also after errors, and what is shown stays.
void Scenario::read_all() {
    bool all = true;
    for (size_t i = 0; i < state_.topics.size(); ++i) {
        TopicModel& topic = state_.topics[i];
        if (!topic.live()) { continue; }
        for (int32_t p = 0; p < topic.partitions(); ++p) {
            const auto found = read_twice(topic.name, p);
            all = all && found;
            if (!found) { continue; }
            Part& part = topic.part(p);
            if (const std::string bad = compare(topic, p, *found, part.here); !bad.empty()) { wrong("reading " + bad); }
            shown(i, p, found->end);
            if (topic.level == Durability::durable) { part.trimmed = std::max(part.trimmed, found->start); }
            part.end = found->end;
        }
    }
    if (!all) { return; }
    if (std::string bad = check_together(); !bad.empty()) { wrong("reading: " + bad); }
    check_offsets();
}

// After opening: what is there becomes what is known. False when calls fail so often that nobody can tell.
bool Scenario::look(Since since) {
    if (std::string bad = check_topics(); !bad.empty()) { wrong(std::move(bad)); }
    state_.producer_id = since == Since::close ? state_.producer_id : -1;
    for (TopicModel& topic : state_.topics) {
        if (!topic.live()) { continue; }
        for (int32_t p = 0; p < topic.partitions(); ++p) {
            const auto found = read_twice(topic.name, p);
            if (!found) { return false; }
            Part& part = topic.part(p);
            const bool without_cache = since == Since::power_loss || state_.lossy;
            const int64_t must = without_cache ? part.kept : std::max(part.kept, part.written);
            std::string bad = compare(topic, p, *found, must);
            if (bad.empty() && found->end != found->log_end) {
                bad = fmt::format("{}-{}: not everything is visible after opening", topic.name, p);
            }
            if (!bad.empty()) {
                wrong("opened: " + bad);
                return false;
            }
            part.values.resize(static_cast<size_t>(found->end));
            part.here = part.end = found->end;
            part.uncertain = false;
            part.kept = topic.level == Durability::durable ? found->end : std::min(part.kept, found->end);
            part.written = found->end;
            if (topic.level == Durability::memory) { part.written = part.kept; }
            part.trimmed = found->start;
            part.trim_asked = found->start;
        }
    }
    if (std::string bad = check_together(); !bad.empty()) { wrong("opened: " + bad); }
    std::erase_if(state_.together, [&](const Together& together) {
        const Together::In& in = together.in.front();
        return state_.topics[in.topic].part(in.partition).end < in.end;
    });
    check_offsets();
    state_.lossy = false;
    return true;
}

// Which topics there are. What may have been made or deleted now has been, or has not.
std::string Scenario::check_topics() {
    const auto found = log_->topics();
    for (TopicModel& topic : state_.topics) {
        if (topic.created == Done::no || topic.deleted == Done::yes) { continue; }
        const auto others = [&](const TopicInfo& info) {
            return std::ranges::any_of(state_.topics, [&](const TopicModel& other) { return other.id == info.id; });
        };
        const auto there = std::ranges::find_if(found, [&](const TopicInfo& info) {
            return info.name == topic.name && (topic.id ? *topic.id == info.id : !others(info));
        });
        const bool must = topic.created == Done::yes && topic.deleted == Done::no;
        if (must && there == found.end()) { return fmt::format("topic {} is gone", topic.name); }
        topic.created = there == found.end() ? Done::no : Done::yes;
        topic.deleted = there == found.end() ? Done::yes : Done::no;
        if (there != found.end()) {
            topic.id = there->id;
            topic.level = there->durability;
        }
    }
    for (const TopicInfo& info : found) {
        const auto known = live(info.name);
        if (!info.internal && (!known || state_.topics[*known].id != info.id)) {
            return fmt::format("nobody made topic {}, or it was deleted", info.name);
        }
    }
    return "";
}

std::string Scenario::check_together() const {
    for (const Together& together : state_.together) {
        size_t there = 0;
        for (const Together::In& in : together.in) {
            there += state_.topics[in.topic].part(in.partition).end >= in.end ? 1 : 0;
        }
        if (there != 0 && there != together.in.size()) {
            return fmt::format("{} of {} parts of an atomic append", there, together.in.size());
        }
    }
    return "";
}

void Scenario::check_offsets() {
    step();
    auto alone = log_->fetch_offsets(group_alone);
    if (good(alone, "fetch_offsets")) {
        const int64_t found = alone->empty() ? 0 : alone->front().offset.value;
        if (found < state_.offset_kept || found > state_.offset_asked) {
            wrong(fmt::format("group offset {}, {} was committed", found, state_.offset_kept));
        }
        state_.offset_kept = found;
    }
    auto together = log_->fetch_offsets(group_together);
    if (good(together, "fetch_offsets")) {
        int64_t offset = 0;
        for (const Together& one : state_.together) {
            const Together::In& in = one.in.front();
            const Part& part = state_.topics[in.topic].part(in.partition);
            if (part.end >= in.end) { offset = one.offset; }
        }
        const int64_t found = together->empty() ? 0 : together->front().offset.value;
        if (found != offset) {
            wrong(fmt::format("an atomic append holds offset {} for its group, which has {}", offset, found));
        }
    }
}

std::string Scenario::check(Disk& disk, Since since) {
    log_.reset();
    troubles_.clear();
    fault_.clear();
    if (open(disk, since)) {
        append_everywhere();
        read_all();
        close();
    }
    if (!fault_.empty()) { return fault_; }
    if (!troubles_.empty()) { return fmt::format("{}: {}", troubles_[0].what, troubles_[0].error.message()); }
    return verify_directory(disk, options_.directory);
}

}  // namespace flowstone
