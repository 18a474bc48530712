#include "log/retention.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "storage/check.h"

namespace flowstone {
namespace {

bool is_expired(const SegmentInfo& segment, const RetentionInput& input, const TopicConfig& config) {
    if (config.retention_ms < 0 || !input.time_believed) { return false; }
    const int64_t last_ms = segment.max_timestamp_ms >= 0 ? segment.max_timestamp_ms : segment.last_modified_ms;
    return last_ms >= 0 && elapsed_ms(last_ms, input.now_ms) > config.retention_ms;
}

// `bytes_left` counts this segment and all after it.
RetentionReason reason_to_go(const SegmentInfo& segment, uint64_t bytes_left, const RetentionInput& input,
                             const TopicConfig& config) {
    if (segment.end <= input.log_start) { return RetentionReason::log_start; }
    if (!config.cleanup_policy.delete_old) { return RetentionReason::none; }
    if (is_expired(segment, input, config)) { return RetentionReason::time; }
    if (config.retention_bytes >= 0 && bytes_left - segment.bytes >= static_cast<uint64_t>(config.retention_bytes)) {
        return RetentionReason::size;
    }
    return RetentionReason::none;
}

bool agree(int64_t a_ms, int64_t b_ms) {
    const int64_t difference = elapsed_ms(a_ms, b_ms);
    return difference >= -ClockGuard::difference_ms_max && difference <= ClockGuard::difference_ms_max;
}

}  // namespace

const char* name(RetentionReason reason) {
    switch (reason) {
        case RetentionReason::none: return "none";
        case RetentionReason::log_start: return "log start";
        case RetentionReason::time: return "time";
        case RetentionReason::size: return "size";
    }
    return "?";
}

RetentionDecision decide_retention(const RetentionInput& input, const TopicConfig& config) {
    RetentionDecision decision{.delete_count = 0, .new_log_start = input.log_start, .reason = RetentionReason::none};
    uint64_t bytes_left = 0;
    for (const SegmentInfo& segment : input.segments) { bytes_left += segment.bytes; }
    for (size_t i = 0; i + 1 < input.segments.size(); ++i) {  // the last is the active one
        const SegmentInfo& segment = input.segments[i];
        if (segment.end > input.delete_end) { break; }
        const RetentionReason reason = reason_to_go(segment, bytes_left, input, config);
        if (reason == RetentionReason::none) { break; }
        bytes_left -= segment.bytes;
        decision.delete_count = i + 1;
        decision.new_log_start = std::max(decision.new_log_start, segment.end);
        decision.reason = reason;
    }
    return decision;
}

ClockGuard::ClockGuard(int64_t wall_ms, int64_t monotonic_ns, int64_t last_recorded_ms)
    : base_wall_ms_(wall_ms), base_monotonic_ns_(monotonic_ns), monotonic_ns_(monotonic_ns) {
    if (last_recorded_ms < 0 || agree(last_recorded_ms, wall_ms)) { return; }
    // A month on the shelf looks like a clock set a month too late, so both wait.
    notice_ = fmt::format("the clock says {} ms, the last time on record is {} ms: deletion by time waits for an hour",
                          wall_ms, last_recorded_ms);
    doubt(wall_ms);
}

ClockGuard::Reading ClockGuard::read(int64_t wall_ms, int64_t monotonic_ns) {
    monotonic_ns_ = std::max(monotonic_ns_, monotonic_ns);
    if (!agree(now_ms(), wall_ms)) {
        notice_ =
            fmt::format("the clock went from {} ms to {} ms: deletion by time waits for an hour", now_ms(), wall_ms);
        doubt(wall_ms);
    } else if (waiting_until_ns_ >= 0 && monotonic_ns_ >= waiting_until_ns_) {
        waiting_until_ns_ = -1;
        notice_ =
            fmt::format("the clock has agreed with itself for an hour: deletion by time goes on at {} ms", now_ms());
    }
    return {.now_ms = now_ms(), .believed = waiting_until_ns_ < 0, .notice = std::exchange(notice_, {})};
}

int64_t ClockGuard::now_ms() const { return base_wall_ms_ + (monotonic_ns_ - base_monotonic_ns_) / 1'000'000; }

void ClockGuard::doubt(int64_t wall_ms) {
    base_wall_ms_ = wall_ms;
    base_monotonic_ns_ = monotonic_ns_;
    waiting_until_ns_ = monotonic_ns_ + wait_ns;
}

}  // namespace flowstone
