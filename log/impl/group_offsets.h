// Consumer offsets of one directory: written as records of __consumer_offsets, answered from a table that reads them.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <flowstone/log.h>

#include "log/consumer_offsets.h"
#include "log/impl/cursor.h"
#include "log/impl/store.h"

namespace flowstone {

// Safe from any thread.
class GroupOffsets {
public:
    explicit GroupOffsets(Store& store) : store_(store) {}

    // Where a group's records go: made on first use. Errors: invalid (no group name), and those of the append.
    Result<Partition*> partition_for(std::string_view group);
    Result<std::vector<GroupRecord>> encode_commit(std::string_view group, std::span<const GroupOffset> offsets);

    // What the group has committed at each of the places, of all that is below `end` in its partition.
    struct Known {
        Offset end;
        std::vector<std::optional<Offset>> offsets{};
    };
    Result<Known> known(std::string_view group, std::span<const OffsetMove> moves);
    // Whether the offsets are where the moves begin, of all that is below `end`, where the partition of __consumer_offsets
    // ends now. False: others appended to it since `known`, which is to be looked up again. Errors: stale_epoch.
    // Call with the lock of the partition's shard held, and moved() under the same hold.
    Result<bool> compare(const Partition& partition, std::string_view group, std::span<const OffsetMove> moves,
                         const Known& known, Offset end);
    void moved(const Partition& partition, std::string_view group, std::span<const OffsetMove> moves,
               const Known& known, Offset base, Offset end);

    Result<void> commit(std::string_view group, std::span<const GroupOffset> offsets);
    Result<std::vector<GroupOffset>> fetch(std::string_view group);
    std::vector<std::string> groups();
    Result<void> remove(std::string_view group);

private:
    struct Part {
        std::optional<Cursor> cursor;
        OffsetTable table;
    };
    // An append that moved offsets, and that known() may not have read yet.
    struct Moved {
        Offset base;
        Offset end;
        std::string group;
        std::vector<OffsetMove> moves;
    };
    Result<void> append(std::string_view group, const std::vector<GroupRecord>& records);
    Result<Part*> caught_up(int32_t number);  // null when there is no such topic yet

    Store& store_;
    std::mutex lock_;
    std::map<int32_t, Part> parts_;
    std::mutex moved_lock_;  // guards the next; the last to be taken
    std::map<const Partition*, std::deque<Moved>> moved_;
};

}  // namespace flowstone
