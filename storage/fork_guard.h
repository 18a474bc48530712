// Tells a forked child from the process that opened the log, without a system call each time.
#pragma once

#include <atomic>
#include <cstdint>

namespace flowstone {

// The page that the kernel wipes in a forked child (MADV_WIPEONFORK). Never null.
const std::atomic<uint32_t>* process_page();
// This process's number when the page holds none yet: of the first call in a process, or in a child.
uint32_t take_process_token();

// A number that no ancestor of this process has. Never 0. Costs two loads.
inline uint32_t process_token() {
    static const std::atomic<uint32_t>* const page = process_page();
    const uint32_t token = page->load(std::memory_order_relaxed);
    return token != 0 ? token : take_process_token();
}

}  // namespace flowstone
