#include "tests/sim/world/world.h"

#include <algorithm>

#include <fmt/format.h>

#include "log/served_log.h"

namespace flowstone {
namespace {

constexpr char small_segments[] = "internal.segment.bytes";
constexpr uint64_t aged_bytes = 40'000;

// The same bytes for all: nothing compresses them, and making them anew would be most of the work.
const std::string& noise() {
    static const std::string text = [] {
        SimRandom random(7);
        std::string out;
        while (out.size() < (64u << 10)) { out += static_cast<char>('0' + random.below(75)); }
        return out;
    }();
    return text;
}

}  // namespace

// --- names and notes -----------------------------------------------------------------------------------------------------

int64_t World::latest(const std::vector<Promise>& promises, uint64_t operation) {
    int64_t end = 0;
    for (const Promise& promise : promises) {
        if (promise.operation <= operation) { end = std::max(end, promise.end); }
    }
    return end;
}

int64_t World::latest(const std::vector<Promise>& promises, const std::vector<Cut>& cuts, uint64_t operation) {
    int64_t end = 0;
    for (const Promise& promise : promises) {
        if (promise.operation > operation) { continue; }
        int64_t left = promise.end;
        for (const Cut& cut : cuts) {
            if (cut.asked >= promise.operation && cut.asked <= operation) { left = std::min(left, cut.end); }
        }
        end = std::max(end, left);
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
        if (topic.name == name && topic.live()) { return i; }
    }
    return std::nullopt;
}

bool World::good(const Error& error, const char* what) {
    if (failing_) {
        errors_.push_back(error);
    } else {
        wrong(fmt::format("{} at operation {}: {}", what, now(), error.message()));
    }
    return false;
}

std::string World::key_at(int64_t offset) { return fmt::format("k{}", offset % 3); }

// Half of it does not compress, so that batches of a compressed topic differ in size.
std::string_view World::make_value(size_t bytes) {
    std::string text = fmt::format("<{}>", state_.texts->size());
    while (text.size() < bytes) {
        const size_t from = state_.random.below(noise().size() - 256);
        text.append(noise(), from, std::min<size_t>(bytes - text.size(), 256));
        text.append(std::min<size_t>(bytes - text.size(), 256), '.');
    }
    text.resize(std::max<size_t>(bytes, 8), '.');
    return state_.texts->emplace_back(std::move(text));
}

size_t World::add_topic(const std::string& name, int32_t partitions, Durability level, ConfigMap configs) {
    TopicModel& topic = state_.topics.emplace_back();
    const size_t index = state_.topics.size() - 1;
    topic.name = name;
    topic.create_asked = now();
    topic.parts.resize(static_cast<size_t>(partitions));
    topic.level = level;
    if (level == Durability::written) { configs.emplace_back("flowstone.durability", "written"); }
    if (level == Durability::memory) { configs.emplace_back("flowstone.durability", "memory"); }
    for (const auto& [key, value] : configs) {
        if (key == "cleanup.policy") { topic.compacted = true; }
        if (key == "retention.bytes") { topic.retained_bytes = aged_bytes; }
    }
    auto created = log_->create_topic(name, {.partitions = partitions, .configs = std::move(configs)});
    if (!good(created, "create_topic")) { return index; }
    topic.create_kept = now();
    if (auto info = log_->describe(name); good(info, "describe")) { topic.id = info->id; }
    return index;
}

size_t World::add_coming() { return add_topic("coming", 2, options_.level, {{small_segments, "20000"}}); }

void World::add_bulk() { (void)add_topic("bulk", 2, Durability::durable, {{"segment.bytes", "1048576"}}); }

void World::acknowledged(size_t topic, int32_t partition, int64_t end) {
    Part& part = part_of(topic, partition);
    if (state_.topics[topic].level == Durability::durable) { part.kept.push_back({now(), end}); }
    if (state_.topics[topic].level != Durability::memory) { part.written.push_back({now(), end}); }
}

// Somebody was told that the log begins here: it never begins before it again.
void World::begins_at(size_t topic, int32_t partition, int64_t start) {
    part_of(topic, partition).trims_kept.push_back({now(), start});
}

// Everything appended so far is in the files and synced.
void World::keep_everything() {
    for (TopicModel& topic : state_.topics) {
        if (topic.delete_asked != never) { continue; }
        for (Part& part : topic.parts) { part.kept.push_back({now(), static_cast<int64_t>(part.records.size())}); }
    }
}

// --- the work ----------------------------------------------------------------------------------------------------------------

Tuning World::tuning() {
    rings_ = 1 + static_cast<uint32_t>(state_.random.below(options_.rings));
    // Bulk is meant for the journal.
    return {.direct_bytes_min = options_.bulk ? UINT64_MAX : options_.direct_bytes_min, .shards = rings_};
}

bool World::open(Disk& disk) {
    auto log = open_log(environment(disk), directory, log_options(0), tuning());
    if (!good(log, "open")) { return false; }
    log_.emplace(std::move(*log));
    return true;
}

void World::end_log() {
    readers_.clear();
    log_.reset();
}

void World::run(Disk& disk, const SimDisk& below, bool failing) {
    below_ = &below;
    failing_ = failing;
    if (!open(disk)) { return; }
    add_topic("orders", 3, Durability::durable, {{small_segments, "40000"}});
    add_topic("packed", 1, Durability::durable, {{small_segments, "20000"}, {"compression.type", "lz4"}});
    add_topic("written", 2, Durability::written, {{small_segments, "30000"}});
    add_topic("memory", 2, Durability::memory, {{small_segments, "30000"}});
    add_topic("shifting", 1, Durability::written, {{small_segments, "30000"}});
    add_topic(once_name, 1, Durability::durable, {{small_segments, "20000"}});
    add_topic("keyed", 1, options_.level,
              {{small_segments, "8000"}, {"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0.01"}});
    add_topic("aged", 1, options_.level, {{small_segments, "10000"}, {"retention.bytes", std::to_string(aged_bytes)}});
    add_coming();
    if (options_.bulk) { add_bulk(); }
    if (auto id = log_->new_producer_id(); good(id, "new_producer_id")) { state_.producer_id = *id; }
    for (uint32_t i = 0; i < options_.steps && fault_.empty() && log_; ++i) { step(disk); }
    if (log_) {
        if (auto closed = log_->close(); good(closed, "close")) { keep_everything(); }
        end_log();
    }
}

void World::step(Disk& disk) {
    clock_.advance_ms(static_cast<int64_t>(state_.random.below(500)));
    if (options_.bulk && state_.random.below(3) == 0) { return append_bulk(); }
    step_on(disk, state_.random.below(100));
}

void World::step_on(Disk& disk, uint64_t dice) {
    // What is done, and how often of a hundred times.
    const auto is = [&](uint64_t often) {
        const bool now = dice < often;
        dice -= now ? 0 : often;
        return now;
    };
    if (is(18)) { return append_some(); }
    if (is(8)) { return append_large(); }
    if (is(11)) { return append_keyed(); }
    if (is(9)) { return append_once(); }
    if (is(9)) { return append_together(); }
    if (is(4)) { return commit_offset(); }
    if (is(4)) { return read_all(); }
    if (is(6)) { return read_on(); }
    if (is(1)) { return read_beside(disk); }
    if (is(5)) { return trim(); }
    if (is(3)) { return truncate(); }
    if (is(5)) { return maintain(); }
    if (is(4)) { return replace_topic(); }
    if (is(2)) { return alter_level(); }
    if (is(4)) {
        if (auto done = log_->checkpoint(); good(done, "checkpoint")) { keep_everything(); }
        return;
    }
    if (is(2)) {
        (void)good(log_->poll(), "poll");
        return;
    }
    if (is(3)) { return options_.kill ? die(disk) : append_some(); }
    auto closed = log_->close();
    if (good(closed, "close")) { keep_everything(); }
    end_log();
    (void)open(disk);
}

// Returns the offset that the record has if it is kept.
std::optional<int64_t> World::append(size_t topic, int32_t partition, size_t bytes, bool wait) {
    TopicModel& model = state_.topics[topic];
    auto handle = log_->topic(model.name);
    if (!good(handle, "topic")) { return std::nullopt; }
    const std::string_view value = make_value(bytes);
    const uint64_t asked = now();
    Part& part = part_of(topic, partition);
    const std::string key = key_at(static_cast<int64_t>(part_of(topic, partition).records.size()));
    auto pending = handle->append_async({.key = key, .value = value}, {.partition = partition});
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
    constexpr const char* names[] = {"orders", "orders", "packed", "written", "memory", "shifting", "coming", "coming"};
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

// Much for the journal, little to keep: a topic that is deleted soon.
void World::append_bulk() {
    if (state_.random.below(4) == 0) { return replace_bulk(); }
    const auto topic = live("bulk");
    if (!topic) { return; }
    const uint64_t count = 40 + state_.random.below(60);
    for (uint64_t i = 0; i < count && fault_.empty(); ++i) {
        (void)append(*topic, static_cast<int32_t>(i & 1), 10'000 + state_.random.below(2'000), i % 10 == 9);
    }
}

void World::replace_bulk() {
    if (const auto topic = live("bulk")) {
        state_.topics[*topic].delete_asked = now();
        if (good(log_->delete_topic("bulk"), "delete_topic")) { state_.topics[*topic].delete_kept = now(); }
    }
    add_bulk();
}

// Work for compaction and for retention.
void World::append_keyed() {
    const auto topic = live(state_.random.below(2) == 0 ? "keyed" : "aged");
    if (!topic) { return; }
    const uint64_t count = 4 + state_.random.below(8);
    for (uint64_t i = 0; i < count && fault_.empty(); ++i) {
        (void)append(*topic, 0, 800 + state_.random.below(2000), i + 1 == count && state_.random.below(4) != 0);
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
    for (size_t i = 0; i < (rings_ > 1 ? 1 : 3); ++i) {
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
    // On several rings the parts belong apart: then it is one part, without offsets.
    auto pending =
        rings_ > 1 ? log_->append_atomic(std::span(parts, 1)) : log_->append_atomic(parts, group_together, offsets);
    if (!good(pending, "append_atomic")) {
        for (const Group::In& in : group.in) {
            part_of(in.topic, in.partition).records.resize(static_cast<size_t>(in.base));
        }
        return;
    }
    if (rings_ == 1) {
        state_.offset_next += 1;
        state_.groups.push_back(group);
    }
    if (state_.random.below(4) == 0) { return; }  // nobody waits
    if (!good(log_->wait(*pending), "wait")) { return; }
    for (const Group::In& in : group.in) { acknowledged(in.topic, in.partition, in.end); }
}

void World::commit_offset() {
    if (!live("orders")) { return; }
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
    if (!state_.topics[topic].live()) { return; }
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
    begins_at(topic, partition, info->log_start.value);
}

bool World::add_reader(size_t topic, int32_t partition) {
    auto handle = log_->topic(state_.topics[topic].name);
    if (!good(handle, "topic")) { return false; }
    auto reader = handle->read({.partition = partition});
    if (!good(reader, "read")) { return false; }
    readers_.push_back({topic, partition, std::move(*reader)});
    return true;
}

// Readers that stay where they are while the log is trimmed, compacted and deleted under them.
void World::read_on() {
    const size_t topic = state_.random.below(state_.topics.size());
    const bool there = state_.topics[topic].live();
    if (readers_.empty() || (there && readers_.size() < 4)) {
        if (!there || !add_reader(topic, 0)) { return; }
    }
    const size_t index = state_.random.below(readers_.size());
    Open& open = readers_[index];
    for (uint64_t i = state_.random.below(8); i > 0 && fault_.empty(); --i) {
        const bool deleted = state_.topics[open.topic].delete_asked != never;
        auto batch = open.reader.next();
        if (!batch && deleted && batch.error().code == Code::not_found) {
            readers_.erase(readers_.begin() + static_cast<ptrdiff_t>(index));
            return;
        }
        if (batch && std::exchange(open.cut, false)) { return wrong("a reader was not told of a truncation"); }
        if (!batch && batch.error().code == Code::out_of_range) {
            open.cut = false;
            if (!good(open.reader.seek(From::beginning()), "seek")) { return; }
            begins_at(open.topic, open.partition, open.reader.position().value);
            continue;
        }
        if (!good(batch, "next")) { return; }
        if (deleted) { return wrong("a reader was shown a record of a deleted topic"); }
        if (batch->empty()) { return; }
        for (const RecordView& record : *batch) {
            const std::string bad = check_record(open.topic, open.partition, now(), record);
            if (!bad.empty()) { return wrong("a reader: " + bad); }
        }
        acknowledged(open.topic, open.partition, batch->next_offset().value);
    }
}

// Another process: what it is shown is promised as well.
void World::read_beside(Disk& disk) {
    flowstone::Options options;
    options.read_only = true;
    auto beside = open_log(environment(disk), directory, options);
    if (!good(beside, "open beside")) { return; }
    for (const char* name : {"orders", "written", "coming"}) {
        const auto topic = live(name);
        if (!topic) { continue; }
        auto handle = beside->topic(name);
        if (!good(handle, "topic beside")) { return; }
        auto info = handle->partition(0);
        if (!good(info, "partition beside")) { return; }
        auto reader = handle->read();
        if (!good(reader, "read beside")) { return; }
        int64_t end = info->log_start.value;
        for (;;) {
            auto batch = reader->next();
            if (!good(batch, "next beside")) { return; }
            if (batch->empty()) { break; }
            for (const RecordView& record : *batch) {
                const std::string bad = check_record(*topic, 0, now(), record);
                if (!bad.empty()) { return wrong("beside: " + bad); }
            }
            end = batch->next_offset().value;
        }
        acknowledged(*topic, 0, end);
    }
}

void World::trim() {
    constexpr const char* names[] = {"orders", "orders", once_name, "written", "memory", "coming", "aged"};
    const char* const name = names[state_.random.below(std::size(names))];
    const auto topic = live(name);
    if (!topic) { return; }
    const auto partition = static_cast<int32_t>(state_.random.below(state_.topics[*topic].parts.size()));
    auto handle = log_->topic(name);
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
    begins_at(*topic, partition, before);
}

// What is at and above an offset goes for good, acknowledged or not: no crash after it brings it back. Not where an atomic
// append reaches, whose parts are there together.
void World::truncate() {
    constexpr std::pair<const char*, int32_t> places[] = {{"orders", 2},  {"orders", 2}, {once_name, 0},
                                                          {"written", 1}, {"memory", 0}, {"shifting", 0},
                                                          {"coming", 0},  {"coming", 1}};
    const auto [name, partition] = places[state_.random.below(std::size(places))];
    const auto topic = live(name);
    if (!topic) { return; }
    auto handle = log_->topic(name);
    if (!good(handle, "topic")) { return; }
    auto info = handle->partition(partition);
    if (!good(info, "partition")) { return; }
    const int64_t records = info->log_end - info->log_start;
    if (records == 0) { return; }
    // Mostly near the end, now and then everything.
    const int64_t back = state_.random.below(4) == 0 ? records : std::min<int64_t>(records, 12);
    const int64_t to = info->log_end.value - static_cast<int64_t>(state_.random.below(static_cast<uint64_t>(back) + 1));
    const uint64_t asked = now();
    ServedLog served(*log_);
    const auto found = served.topic(name);
    if (!found) { return wrong("a topic is not served"); }
    const auto end = served.truncate(*found, partition, Offset{to});
    if (!end && end.error().code == Code::out_of_range) { return; }  // inside a batch that was trimmed in part
    if (!good(end, "truncate")) { return; }
    if (end->value > to || *end < info->log_start) {
        return wrong(fmt::format("{}-{} was truncated to {}, it ends at {}", name, partition, to, end->value));
    }
    if (end->value < info->log_end.value) { cut(*topic, partition, asked, end->value); }
}

void World::cut(size_t topic, int32_t partition, uint64_t asked, int64_t end) {
    Part& part = part_of(topic, partition);
    for (auto i = static_cast<size_t>(end); i < part.records.size(); ++i) {
        part.lost.push_back({static_cast<int64_t>(i), part.records[i], now() - 1});
    }
    part.records.resize(static_cast<size_t>(end));
    part.cuts.push_back({asked, end});
    part.kept.push_back({now(), end});  // whatever the level
    for (Open& open : readers_) {
        const bool here = open.topic == topic && open.partition == partition;
        open.cut = open.cut || (here && open.reader.position() > Offset{end});
    }
    if (state_.topics[topic].name != once_name) { return; }
    while (!state_.sent.empty() && state_.sent.back().base + state_.sent.back().count > end) {
        state_.unsent.push_back(state_.sent.back());
        state_.unsent.back().until = now() - 1;
        state_.sent.pop_back();
    }
}

// The largest offset from which on a log still has what its retention keeps. A record takes less than 100 bytes of its own.
int64_t World::retained_from(const TopicModel& topic, const Part& part) {
    uint64_t bytes = 0;
    for (size_t i = part.records.size(); i > 0; --i) {
        bytes += part.records[i - 1].value.size() + 100;
        if (bytes >= topic.retained_bytes) { return static_cast<int64_t>(i) - 1; }
    }
    return 0;
}

// Retention and compaction.
void World::maintain() {
    for (TopicModel& topic : state_.topics) {
        if (topic.retained_bytes == 0 || !topic.live()) { continue; }
        for (Part& part : topic.parts) { part.trims_asked.push_back({now(), retained_from(topic, part)}); }
    }
    if (!good(log_->maintain(), "maintain")) { return; }
    for (size_t i = 0; i < state_.topics.size(); ++i) {
        if (state_.topics[i].retained_bytes == 0 || !state_.topics[i].live()) { continue; }
        auto handle = log_->topic(state_.topics[i].name);
        if (!good(handle, "topic")) { return; }
        if (auto info = handle->partition(0); good(info, "partition")) { begins_at(i, 0, info->log_start.value); }
    }
}

void World::replace_topic() {
    if (const auto topic = live("coming")) {
        state_.topics[*topic].delete_asked = now();
        if (good(log_->delete_topic("coming"), "delete_topic")) { state_.topics[*topic].delete_kept = now(); }
        if (state_.random.below(3) == 0) { return; }
    }
    if (!failing_ || !log_->topic("coming")) {
        const auto topic = add_coming();
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
    end_log();
    const uint64_t died = now();
    if (!open(disk)) { return; }
    if (failing_) { return; }
    const std::string bad = check_log(died, false);
    if (!bad.empty()) { wrong("after a kill: " + bad); }
}

}  // namespace flowstone
