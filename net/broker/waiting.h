// Requests that wait: for partitions to move, or for their time to pass. Ids are their handler's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "log/served_log.h"

namespace flowstone {

using WaitId = uint64_t;

// Who waits for which partition.
class PartitionWaiters {
public:
    void add(ServedPartition partition, WaitId id) { waiting_[partition.token()].push_back(id); }
    void remove(ServedPartition partition, WaitId id) {
        const auto found = waiting_.find(partition.token());
        if (found == waiting_.end()) { return; }
        std::erase(found->second, id);
        if (found->second.empty()) { waiting_.erase(found); }
    }
    // In the order in which they came.
    std::vector<WaitId> of(ServedPartition partition) const {
        const auto found = waiting_.find(partition.token());
        return found == waiting_.end() ? std::vector<WaitId>{} : found->second;
    }
    bool any(ServedPartition partition) const { return waiting_.contains(partition.token()); }

private:
    std::unordered_map<const void*, std::vector<WaitId>> waiting_;  // never walked
};

// Whose time passes next.
class Deadlines {
public:
    void add(int64_t at_ms, WaitId id) { times_.emplace(at_ms, id); }
    void remove(int64_t at_ms, WaitId id) { times_.erase({at_ms, id}); }
    int64_t next_ms() const { return times_.empty() ? std::numeric_limits<int64_t>::max() : times_.begin()->first; }
    // Takes away and returns those whose time has passed, earliest first.
    std::vector<WaitId> passed(int64_t now_ms) {
        std::vector<WaitId> out;
        while (!times_.empty() && times_.begin()->first <= now_ms) {
            out.push_back(times_.begin()->second);
            times_.erase(times_.begin());
        }
        return out;
    }

private:
    std::set<std::pair<int64_t, WaitId>> times_;
};

}  // namespace flowstone
