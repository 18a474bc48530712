// Ours: what a program that embeds the log would write, by its public header alone. The log is opened through the door
// of the disk so that the bytes of the journal can be counted: a row says which lap of the ring it ended on.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <flowstone/log.h>

#include "bench/source.h"
#include "bench/workload.h"
#include "storage/disk.h"
#include "storage/passing_disk.h"

namespace flowstone::bench {

// The machine's disk, which counts what goes into the journal. With `drop_data` writes to segment files are not made: what
// is left is the processor's part.
class CountingDisk final : public PassingDisk {
public:
    explicit CountingDisk(bool drop_data = false) : CountingDisk(open_best_disk(), drop_data) {}
    uint64_t journal_bytes() const { return journal_bytes_; }

    void run(std::span<Io> requests) override;

private:
    CountingDisk(std::unique_ptr<Disk> disk, bool drop_data)
        : PassingDisk(*disk), disk_(std::move(disk)), drop_data_(drop_data) {}

    std::unique_ptr<Disk> disk_;
    bool drop_data_;
    std::atomic<uint64_t> journal_bytes_{0};
};

struct LogSetting {
    Durability level = Durability::durable;
    int32_t partitions = 1;
    bool direct_path = true;  // large writes go to the segment once
    Options options{};
    bool drop_data = false;
    ConfigMap configs{};
};

// An open log with one topic.
class OurLog {
public:
    static Result<std::unique_ptr<OurLog>> open(const std::string& directory, const LogSetting& wanted);
    Log& log() { return *log_; }
    Topic& topic() { return *topic_; }
    // Flushes and checkpoints, and notes what the ring saw.
    Result<void> close(Outcome& outcome);

private:
    explicit OurLog(bool drop_data) : disk_(drop_data) {}
    CountingDisk disk_;
    uint64_t ring_bytes_ = 0;
    bool durable_ = true;
    std::optional<Log> log_;
    std::optional<Topic> topic_;
};

// Appends without waiting, flushes and closes; all of it counts.
// `at_once` records a call: 1 by append_async, more by append.
Result<Outcome> our_append(const std::string& directory, const LogSetting& wanted, uint64_t records,
                           uint32_t record_bytes, uint32_t at_once = 1);

// Appends what is due, waits for it, then the next. Latency from the intended start of each record.
Result<void> append_paced(Log& log, Topic& topic, const Pace& pace, uint64_t records, const Source& source, bool wait,
                          Histogram& latency_ns);
Result<Outcome> our_paced(const std::string& directory, const LogSetting& wanted, uint64_t per_second, double seconds,
                          uint32_t record_bytes);

// Threads that each append and wait, again and again.
Result<Outcome> our_waiters(const std::string& directory, const LogSetting& wanted, uint32_t threads,
                            uint32_t records_each, uint64_t appends, uint32_t record_bytes);

// A hash of what the last batches of partition 0 hold, read back.
Result<uint64_t> hash_of_end(Topic& topic);

std::vector<std::string> segment_paths(const std::string& directory);

}  // namespace flowstone::bench
