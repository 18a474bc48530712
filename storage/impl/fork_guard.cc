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

std::atomic<uint32_t>& the_page() {
    static std::atomic<uint32_t>* const page = make_page();
    return *page;
}

}  // namespace

const std::atomic<uint32_t>* process_page() { return &the_page(); }

uint32_t take_process_token() {
    static std::atomic<uint32_t> last{0};  // an ordinary variable: a child goes on from its parent's value
    uint32_t expected = 0;
    const uint32_t token = last.fetch_add(1) + 1;
    return the_page().compare_exchange_strong(expected, token) ? token : expected;
}

}  // namespace flowstone
