// How often a test kills its process: FLOWSTONE_KILL_CYCLES, or what it does by itself; and which moments it chooses:
// FLOWSTONE_KILL_SEED, or others each time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "tests/number_from.h"

namespace flowstone {

inline int kill_cycles(int unless_told = 50) {
    return std::max(1, static_cast<int>(number_from("FLOWSTONE_KILL_CYCLES", unless_told)));
}

inline uint32_t kill_seed() {
    return static_cast<uint32_t>(number_from("FLOWSTONE_KILL_SEED", std::random_device()()));
}

}  // namespace flowstone
