// How often a test kills its process: FLOWSTONE_KILL_CYCLES, or 50.
#pragma once

#include <algorithm>

#include "tests/number_from.h"

namespace flowstone {

inline int kill_cycles() { return std::max(1, static_cast<int>(number_from("FLOWSTONE_KILL_CYCLES", 50))); }

}  // namespace flowstone
