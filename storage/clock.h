// The door to time.
#pragma once

#include <cstdint>

namespace flowstone {

// Implementations are safe from any thread.
class Clock {
public:
    virtual ~Clock() = default;
    // Milliseconds since 1970, UTC; may jump. A few milliseconds coarse.
    virtual int64_t wall_ms() = 0;
    // Nanoseconds since some fixed point; never goes back. Stops while the machine sleeps.
    virtual int64_t monotonic_ns() = 0;
};

// The machine's clock. Lives for ever.
Clock& system_clock();

}  // namespace flowstone
