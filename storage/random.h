// The door to randomness.
#pragma once

#include "storage/bytes.h"
#include <flowstone/ids.h>

namespace flowstone {

// Implementations are safe from any thread.
class Random {
public:
    virtual ~Random() = default;
    virtual void fill(MutableBytes out) = 0;

    Uuid uuid();  // version 4, and never one of Kafka's reserved ids (0 and 1)
    uint64_t next();
};

// The kernel's random source. Lives for ever.
Random& system_random();

}  // namespace flowstone
