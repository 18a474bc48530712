// What happens to old data: retention by time, size and log start, and the files of what is gone.
//
// The order that makes it safe: the new log start is durable in the journal before any file is touched; and no file is
// touched that either checkpoint slot still calls unfinished, because replay over that slot would read it.
//
// One at a time (Store::maintain_lock_). Holds no shard's lock while it touches a file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "log/impl/store.h"

namespace flowstone {

// A larger file is shrunk step by step before it is removed: the unlink of 1 GiB stalls every commit for 60 to 95 ms
// (JOURNAL 2.4).
constexpr uint64_t unlink_bytes_max = 8u << 20;
constexpr uint64_t shrink_step_bytes = 1u << 20;
constexpr int64_t shrink_pause_ns = 2'000'000;
constexpr int64_t maintain_every_ns = 60'000'000'000;

constexpr char reserve_file_name[] = "flowstone-reserve";

// A removed file waits under this name, where nobody takes it for a segment; Kafka's name for the same.
constexpr char deleted_file_suffix[] = ".deleted";

class Maintenance {
public:
    explicit Maintenance(Store& store) : store_(store) {}

    // One round over all partitions. Requires Store::maintain_lock_.
    Result<void> run();
    // At opening: directories of deleted topics that a crash left behind. Nobody else knows the store yet.
    Result<void> remove_leftovers();

private:
    struct Target {
        Partition* partition;
        std::shared_ptr<const TopicConfig> config;
        std::vector<ClosedSegment> gone{};  // by retention's decision
    };

    std::vector<Target> targets();
    bool concerns(const TopicTable& table, const TopicConfig& config, const PartitionCheckpoint* said) const;
    Result<bool> roll_idle(Target& target);
    Result<int64_t> begun_at(Partition& partition);
    Result<void> decide(Target& target);
    Result<void> look_up_times(Target& target);
    Result<void> retain(std::vector<Target>& targets);
    Result<void> settle(const std::vector<Target>& targets);
    Result<void> remove_segments(Target& target);
    Result<void> remove_remains(Partition& partition);
    bool stopping() const { return store_.stopping_; }

    Store& store_;
    int64_t now_ms_ = 0;
    bool time_believed_ = false;
};

}  // namespace flowstone
