// What a stage needs of the world: a group's member, a way to write, a clock. Calls wait until they are answered.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <flowstone/client.h>

namespace flowstone {

// What the group gives and takes, told within poll(), commit() and close().
class StageShare {
public:
    virtual void assigned(const std::vector<TopicPartition>& places) = 0;
    virtual void revoked(const std::vector<TopicPartition>& places) = 0;  // they may still be committed
    virtual void lost(const std::vector<TopicPartition>& places) = 0;

protected:
    ~StageShare() = default;
};

// An output: what was read from a partition goes to the partition of that number.
struct StageWrite {
    TopicPartition place;
    Record record;
};

class StagePort {
public:
    virtual ~StagePort() = default;

    // --- reading ---
    virtual Result<int32_t> partitions(const std::string& topic) = 0;
    virtual Result<void> join(const std::vector<std::string>& topics, StageShare& share) = 0;
    virtual void leave() = 0;
    // Records of one partition that is assigned and was sought; views until the next call. Empty: none in time.
    struct Polled {
        TopicPartition place;
        std::vector<RecordView> records{};
        Offset next_offset{-1};  // the next record of the place is there or behind it
    };
    virtual Result<Polled> poll(int64_t timeout_ms) = 0;
    virtual Result<void> seek(const TopicPartition& place, From from) = 0;
    virtual std::optional<int64_t> lag(const TopicPartition& place) = 0;
    virtual Result<std::optional<GroupOffset>> committed(const TopicPartition& place) = 0;
    struct Ends {
        Offset log_start;
        Offset end;
    };
    virtual Result<Ends> ends(const TopicPartition& place) = 0;
    // What is in [begin, end) of a partition that need not be assigned, in its order.
    virtual Result<void> read_back(const TopicPartition& place, Offset begin, Offset end,
                                   const std::function<Result<void>(const RecordView&)>& visit) = 0;

    // --- writing ---
    // Whether write_step() is there; else send() and commit().
    virtual bool atomic() const = 0;
    virtual size_t step_bytes_max() const = 0;  // of all writes of one
    // All of it and the moves, or nothing. Errors: stale_epoch: an offset is elsewhere.
    virtual Result<void> write_step(std::span<const StageWrite> writes, std::span<const OffsetMove> moves) = 0;
    // In their order in each partition: when one is not there, none behind it is. All are acknowledged when it returns.
    virtual Result<void> send(std::span<const StageWrite> writes) = 0;
    // Refused with stale_epoch unless they are still this member's.
    virtual Result<void> commit(std::span<const OffsetMove> moves) = 0;

    // --- time ---
    virtual int64_t wall_ms() = 0;
    virtual int64_t monotonic_ns() = 0;
    virtual uint64_t random() = 0;
    virtual void sleep(int64_t ms) = 0;
};

}  // namespace flowstone
