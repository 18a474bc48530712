// How often a test kills its process: FLOWSTONE_KILL_CYCLES, or 50.
#pragma once

#include <algorithm>
#include <cstdlib>

namespace flowstone {

inline int kill_cycles() {
    const char* told = std::getenv("FLOWSTONE_KILL_CYCLES");
    return told != nullptr ? std::max(1, static_cast<int>(std::strtol(told, nullptr, 10))) : 50;
}

}  // namespace flowstone
