#include "storage/lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace flowstone {
namespace {

long futex(const std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* timeout) {
    return syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, timeout, nullptr, 0);
}

}  // namespace

void sleep_while(const std::atomic<uint32_t>& word, uint32_t expected, int64_t timeout_ns) {
    timespec timeout{};
    if (timeout_ns >= 0) {
        timeout.tv_sec = timeout_ns / 1'000'000'000;
        timeout.tv_nsec = timeout_ns % 1'000'000'000;
    }
    futex(word, FUTEX_WAIT, expected, timeout_ns >= 0 ? &timeout : nullptr);
}

void wake_one(const std::atomic<uint32_t>& word) { futex(word, FUTEX_WAKE, 1, nullptr); }
void wake_all(const std::atomic<uint32_t>& word) { futex(word, FUTEX_WAKE, INT_MAX, nullptr); }

void Lock::lock_slowly() {
    // A short look first: the holders here keep it for the time of a copy. Never for the time of a disk write.
    for (int turn = 0; turn < 64; ++turn) {
        if (try_lock()) { return; }
        __builtin_ia32_pause();
    }
    while (word_.exchange(contended, std::memory_order_acquire) != open) { sleep_while(word_, contended); }
}

}  // namespace flowstone
