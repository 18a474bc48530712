// Which segments go, and when time may be believed. Pure: a list of segments in, a decision out.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <flowstone/ids.h>

#include "log/topic_config.h"

namespace flowstone {

// Milliseconds from one time to another. Timestamps are whatever producers wrote, and clocks can be set to before 1970,
// so the difference saturates. Ages are compared by it: `elapsed_ms(then, now) > retention_ms` holds for every value.
inline int64_t elapsed_ms(int64_t from_ms, int64_t to_ms) {
    int64_t difference = 0;
    if (!__builtin_sub_overflow(to_ms, from_ms, &difference)) [[likely]] { return difference; }
    return from_ms < 0 ? INT64_MAX : INT64_MIN;
}

// One segment as retention sees it.
struct SegmentInfo {
    Offset base;
    Offset end;  // exclusive; the base of the next segment
    uint64_t bytes = 0;
    int64_t max_timestamp_ms = -1;  // the largest of its records; -1: none has one
    int64_t last_modified_ms = -1;  // of the file: counts where there is no timestamp, as in Kafka
};

enum class RetentionReason : uint8_t { none, log_start, time, size };
const char* name(RetentionReason reason);

struct RetentionDecision {
    size_t delete_count = 0;                         // leading segments that go
    Offset new_log_start;                            // the log start afterwards: never lower than before
    RetentionReason reason = RetentionReason::none;  // of the last one that goes
};

// `segments` in order, the active one last: that one never goes, whatever it holds. A segment goes while every one
// before it goes and one of these holds:
//   log start  its end is at or below `log_start` (whatever the policy: those records were deleted by request)
//   time       policy delete, retention.ms >= 0, time may be believed, and its largest timestamp (else the file's last
//              modification; else never) is more than retention.ms before `now_ms`
//   size       policy delete, retention.bytes >= 0, and what remains without it is still at least retention.bytes
// Nothing above `delete_end` (watermark and checkpoint, whichever is lower) goes.
struct RetentionInput {
    std::span<const SegmentInfo> segments;
    Offset log_start;
    Offset delete_end;
    int64_t now_ms = 0;
    bool time_believed = true;  // ClockGuard::believes()
};
RetentionDecision decide_retention(const RetentionInput& input, const TopicConfig& config);

// Keeps deletion by time from trusting a clock that jumped (DESIGN section 5). Time here is the wall time at open
// advanced by the monotonic clock. When that and the wall clock, or the last time on record, differ by more than an
// hour, time goes on from the wall clock, but deletion by time waits for one hour of monotonic time and says so: an
// operator has that long to notice. Another jump meanwhile begins the hour again. A machine that slept for more than an
// hour waits too: its monotonic clock stood still, and nothing here tells sleep from a wrong clock.
class ClockGuard {
public:
    static constexpr int64_t difference_ms_max = 3'600'000;
    static constexpr int64_t wait_ns = 3'600'000'000'000;

    // `last_recorded_ms`: the latest wall time that the directory knows of (checkpoint); -1: none.
    ClockGuard(int64_t wall_ms, int64_t monotonic_ns, int64_t last_recorded_ms);

    struct Reading {
        int64_t now_ms = 0;    // for retention and compaction
        bool believed = true;  // deletion by time may go on: segments, and tombstones
        std::string notice;    // one line when belief was lost or came back; else empty
    };
    // Monotonic readings never go back; a smaller one counts as the last.
    Reading read(int64_t wall_ms, int64_t monotonic_ns);

private:
    int64_t now_ms() const;
    void doubt(int64_t wall_ms);
    int64_t base_wall_ms_;
    int64_t base_monotonic_ns_;
    int64_t monotonic_ns_;           // the last reading
    int64_t waiting_until_ns_ = -1;  // -1: not waiting
    std::string notice_;             // to be given with the next reading
};

}  // namespace flowstone
