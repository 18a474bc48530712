// Tells a forked child from the process that opened the log, without a system call each time.
#pragma once

#include <cstdint>

namespace flowstone {

// A number that no ancestor of this process has: the kernel wipes the page this reads in a forked child
// (MADV_WIPEONFORK), and the child takes the next. Never 0. Costs one load.
uint32_t process_token();

}  // namespace flowstone
