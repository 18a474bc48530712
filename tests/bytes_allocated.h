// What counted_new.h counts.
#pragma once

#include <cstdint>

namespace flowstone {

// Bytes asked for since the thread began; what was freed is not taken off.
inline thread_local uint64_t bytes_allocated = 0;

}  // namespace flowstone
