#include "storage/fork_guard.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

#include "storage/check.h"

namespace flowstone {
namespace {

std::atomic<int>* make_page() {
    constexpr size_t page_bytes = 4096;
    void* page = mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    auto* flag = new (page) std::atomic<int>(1);
    // Without it (a kernel before 4.14) a child is not told apart; nothing else depends on the page.
    madvise(page, page_bytes, MADV_WIPEONFORK);
    return flag;
}

}  // namespace

bool in_first_process() {
    static std::atomic<int>* const flag = make_page();
    return flag->load(std::memory_order_relaxed) != 0;
}

int64_t process_id() { return getpid(); }

}  // namespace flowstone
