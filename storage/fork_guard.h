// Tells a forked child from the process that opened the log, without a system call each time.
#pragma once

#include <cstdint>

namespace flowstone {

// True in the process that first called it, and false for ever in children that fork from it after: the kernel wipes
// the page this reads (MADV_WIPEONFORK). Call once before threads fork.
bool in_first_process();

// The process that calls. A system call each time: for opening and closing, not for the append path.
int64_t process_id();

}  // namespace flowstone
