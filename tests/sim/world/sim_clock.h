// A clock that moves only when the test says so.
#pragma once

#include <atomic>

#include "storage/clock.h"

namespace flowstone {

class SimClock final : public Clock {
public:
    explicit SimClock(int64_t wall_ms = 1'400'000'000'000) : wall_ms_(wall_ms) {}
    int64_t wall_ms() override { return wall_ms_; }
    int64_t monotonic_ns() override { return monotonic_ns_; }
    void advance_ms(int64_t ms) {
        wall_ms_ += ms;
        monotonic_ns_ += ms * 1'000'000;
    }
    void jump_wall_ms(int64_t ms) { wall_ms_ += ms; }

private:
    std::atomic<int64_t> wall_ms_;
    std::atomic<int64_t> monotonic_ns_ = 0;
};

}  // namespace flowstone
