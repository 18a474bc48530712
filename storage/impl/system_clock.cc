#include <ctime>

#include "storage/clock.h"

namespace flowstone {
namespace {

int64_t nanoseconds(clockid_t id) {
    timespec time{};
    clock_gettime(id, &time);
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

class SystemClock final : public Clock {
public:
    int64_t wall_ms() override { return nanoseconds(CLOCK_REALTIME_COARSE) / 1'000'000; }  // 6 ns against 30
    int64_t monotonic_ns() override { return nanoseconds(CLOCK_MONOTONIC); }
};

}  // namespace

Clock& system_clock() {
    static SystemClock clock;
    return clock;
}

}  // namespace flowstone
