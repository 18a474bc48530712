// Tells a forked child from the process that opened the log, without a system call each time.
#pragma once

namespace flowstone {

// True in the process that first called it, and false for ever in children that fork from it after: the kernel wipes
// the page this reads (MADV_WIPEONFORK). Call once before threads fork.
bool in_first_process();

}  // namespace flowstone
