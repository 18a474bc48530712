// Consumer offsets of one directory: written as records of __consumer_offsets, answered from a table that reads them.
#pragma once

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

    Result<void> commit(std::string_view group, std::span<const GroupOffset> offsets);
    Result<std::vector<GroupOffset>> fetch(std::string_view group);
    std::vector<std::string> groups();
    Result<void> remove(std::string_view group);

private:
    struct Part {
        std::optional<Cursor> cursor;
        OffsetTable table;
    };
    Result<void> append(std::string_view group, const std::vector<GroupRecord>& records);
    Result<Part*> caught_up(int32_t number);  // null when there is no such topic yet

    Store& store_;
    std::mutex lock_;
    std::map<int32_t, Part> parts_;
};

}  // namespace flowstone
