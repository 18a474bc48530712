// A data directory for fuzzers to damage: all kinds of entries in its journal, two openings, left by power loss.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "log/environment.h"
#include "storage/check.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {

class LogDirectory {
public:
    LogDirectory();

    // The files as the power loss left them.
    std::unique_ptr<SimDisk> copy() const { return disk_->crash({.keep = Crash::Keep::everything}); }

    // Opens it, reads all, appends everywhere, closes, and once more. Each may be refused. What is shown lies at
    // ascending offsets; with `proven` it is what was appended there, and a refusal names what does not hold.
    void use(SimDisk& disk, bool proven);

private:
    using Part = std::pair<std::string, int32_t>;

    Result<Log> open(Disk& disk);
    void first_life();
    void second_life();
    void append(Log& log, const char* name, int32_t partition, size_t bytes, int count);
    void read(Log& log, const Part& part, bool proven) const;
    static void refused(const Error& error, bool proven) {
        if (proven) { CHECK(std::string_view(error.detail).find("data") != std::string_view::npos); }
    }

    std::unique_ptr<SimDisk> disk_ = std::make_unique<SimDisk>();
    SimClock clock_;
    SimRandom random_{1};
    std::map<Part, std::vector<std::string>> ledger_;  // by offset
    int texts_ = 0;
};

inline LogDirectory::LogDirectory() {
    first_life();
    second_life();
    disk_ = disk_->crash({.keep = Crash::Keep::nothing});
}

inline Result<Log> LogDirectory::open(Disk& disk) {
    Options options;
    options.journal_bytes_max = 8u << 20;
    options.reserve_bytes = 0;
    return open_log({&disk, &clock_, &random_}, "data", options, {.direct_bytes_min = 16u << 10});
}

inline void LogDirectory::append(Log& log, const char* name, int32_t partition, size_t bytes, int count) {
    auto topic = log.topic(name);
    CHECK(topic.has_value());
    for (int i = 0; i < count; ++i) {
        std::string value = "<" + std::to_string(texts_++) + ">";
        value.resize(bytes, static_cast<char>('a' + texts_ % 26));
        CHECK(topic->append({.key = "k", .value = value}, {.partition = partition}).has_value());
        ledger_[{name, partition}].push_back(value);
    }
}

inline void LogDirectory::first_life() {
    auto log = open(*disk_);
    CHECK(log.has_value());
    CHECK(log->create_topic("events", {.partitions = 2, .configs = {{"internal.segment.bytes", "6000"}}}).has_value());
    CHECK(log->create_topic("large").has_value());
    append(*log, "events", 0, 900, 9);  // rolls
    append(*log, "large", 0, 300, 2);
    CHECK(log->checkpoint().has_value());
    append(*log, "large", 0, 100, 1);  // with a carry of what the checkpoint proved
    append(*log, "events", 1, 200, 2);
}

inline void LogDirectory::second_life() {
    auto log = open(*disk_);
    CHECK(log.has_value());
    append(*log, "large", 0, 20'000, 1);  // written in place
    append(*log, "events", 0, 900, 7);
    auto topic = log->topic("events");
    CHECK(topic.has_value());
    CHECK(topic->delete_records(0, Offset{3}).has_value());
    const GroupOffset offsets[] = {{"events", 0, Offset{1}, ""}};
    CHECK(log->commit_offsets("readers", offsets).has_value());
    append(*log, "events", 1, 200, 1);
}

inline void LogDirectory::use(SimDisk& disk, bool proven) {
    const auto ledger = ledger_;
    for (int opening = 0; opening < 2; ++opening) {
        auto log = open(disk);
        if (!log) {
            refused(log.error(), proven);
            break;
        }
        for (const auto& [part, values] : ledger) { read(*log, part, proven); }
        (void)log->fetch_offsets("readers");
        for (const auto& [part, values] : ledger) {
            auto topic = log->topic(part.first);
            if (!topic) { continue; }
            const auto at = topic->append({.key = "k", .value = "next"}, {.partition = part.second});
            if (!at) { refused(at.error(), proven); }
        }
        (void)log->close();
    }
}

inline void LogDirectory::read(Log& log, const Part& part, bool proven) const {
    auto topic = log.topic(part.first);
    if (!topic) { return; }
    auto reader = topic->read({.partition = part.second});
    if (!reader) { return refused(reader.error(), proven); }
    const auto& values = ledger_.at(part);
    int64_t last = -1;
    while (true) {
        const auto batch = reader->next();
        if (!batch) { return refused(batch.error(), proven); }
        if (batch->empty()) { return; }
        for (const RecordView& record : *batch) {
            CHECK(record.offset.value > last);
            last = record.offset.value;
            if (!proven || record.value == "next") { continue; }
            CHECK(static_cast<size_t>(last) < values.size());
            CHECK(record.value == values[static_cast<size_t>(last)]);
        }
    }
}

}  // namespace flowstone
