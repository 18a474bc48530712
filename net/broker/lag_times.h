// How long records have been waiting for a group: since when the end of a partition was seen to be where it is.
//
// Times are those at which somebody looked (a scrape of /metrics), so what is told is at most one interval between two
// looks too short, and after a start counts from the first look. Costs nothing between looks. A pure machine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include <flowstone/ids.h>

namespace flowstone {

class LagTimes {
public:
    static constexpr size_t samples_max = 64;  // of a partition; beyond it every other one is forgotten

    void saw(const TopicPartition& at, Offset end, int64_t now_ms) {
        auto& samples = seen_[at];
        samples.looked_ms = now_ms;
        auto& ends = samples.ends;
        if (!ends.empty() && end < ends.back().end) { ends.clear(); }  // the topic was made again
        if (!ends.empty() && end == ends.back().end) { return; }
        ends.push_back({end, now_ms});
        if (ends.size() <= samples_max) { return; }
        size_t kept = 0;
        for (size_t i = 1; i < ends.size(); i += 2) { ends[kept++] = ends[i]; }
        if (ends.size() % 2 == 1) { ends[kept++] = ends.back(); }
        ends.resize(kept);
    }
    // 0: nothing waits.
    int64_t waiting_ms(const TopicPartition& at, Offset committed, int64_t now_ms) const {
        const auto found = seen_.find(at);
        if (found == seen_.end()) { return 0; }
        const auto& ends = found->second.ends;
        const auto first = std::ranges::upper_bound(ends, committed, {}, &Sample::end);
        return first == ends.end() ? 0 : now_ms - first->at_ms;
    }
    // Partitions that nobody has a position in any more.
    void forget_older(int64_t looked_ms) {
        std::erase_if(seen_, [&](const auto& one) { return one.second.looked_ms < looked_ms; });
    }
    size_t size() const { return seen_.size(); }

private:
    struct Sample {
        Offset end;
        int64_t at_ms;
    };
    struct Samples {
        std::vector<Sample> ends;  // by both, growing
        int64_t looked_ms = 0;
    };
    std::map<TopicPartition, Samples> seen_;
};

}  // namespace flowstone
