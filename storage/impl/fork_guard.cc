#include "storage/fork_guard.h"

#include <sys/mman.h>

#include <atomic>

#include "storage/check.h"

namespace flowstone {
namespace {

std::atomic<uint32_t>* make_page() {
    constexpr size_t page_bytes = 4096;
    void* page = mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    // Without it (a kernel before 4.14) a child is not told apart; nothing else depends on the page.
    madvise(page, page_bytes, MADV_WIPEONFORK);
    return new (page) std::atomic<uint32_t>(0);
}

// The page is empty: in the first process, or in a child that asks for the first time.
uint32_t take_token(std::atomic<uint32_t>& page) {
    static std::atomic<uint32_t> last{0};  // an ordinary variable: a child goes on from its parent's value
    uint32_t expected = 0;
    const uint32_t token = last.fetch_add(1) + 1;
    return page.compare_exchange_strong(expected, token) ? token : expected;
}

}  // namespace

uint32_t process_token() {
    static std::atomic<uint32_t>* const page = make_page();
    const uint32_t token = page->load(std::memory_order_relaxed);
    return token != 0 ? token : take_token(*page);
}

}  // namespace flowstone
