#include "storage/lock.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <ctime>

#include "storage/check.h"

namespace flowstone {
namespace {

constexpr int64_t second_ns = 1'000'000'000;

long futex(const std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* timeout) {
    return syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, timeout, nullptr, 0);
}

// ThreadSanitizer cannot see what membarrier orders.
#if defined(__SANITIZE_THREAD__)
constexpr bool bias_visible = false;
#elif defined(__has_feature)
constexpr bool bias_visible = !__has_feature(thread_sanitizer);
#else
constexpr bool bias_visible = true;
#endif

// Asked for once in a process: later, with many threads, the kernel takes milliseconds for it.
bool bias_possible() {
    static const bool possible =
        bias_visible && syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    return possible;
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

void wake_all_processes(const std::atomic<uint32_t>& shared) {
    syscall(SYS_futex, &shared, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void sleep_while_both(const WordToWatch& own, const WordToWatch& shared, int64_t timeout_ns) {
    const auto entry = [](const WordToWatch& one, uint32_t flags) {
        return futex_waitv{.val = one.expected,
                           .uaddr = reinterpret_cast<uintptr_t>(&one.word),
                           .flags = FUTEX_32 | flags,
                           .__reserved = 0};
    };
    std::array both = {entry(own, FUTEX_PRIVATE_FLAG), entry(shared, 0)};
    timespec until{};
    clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t ns = std::max<int64_t>(timeout_ns, 0) % second_ns + until.tv_nsec;
    until.tv_sec += timeout_ns / second_ns + ns / second_ns;
    until.tv_nsec = ns % second_ns;
    const long woken =
        syscall(SYS_futex_waitv, both.data(), both.size(), 0, timeout_ns >= 0 ? &until : nullptr, CLOCK_MONOTONIC);
    if (woken < 0 && errno == ENOSYS) {
        constexpr int64_t moment_ns = 1'000'000;
        sleep_while(own.word, own.expected, timeout_ns >= 0 ? std::min(timeout_ns, moment_ns) : moment_ns);
    }
}

void Lock::lock_slowly() {
    // A short look first: the holders here keep it for the time of a copy. Never for the time of a disk write.
    for (int turn = 0; turn < 64; ++turn) {
        if (try_lock()) { return; }
        __builtin_ia32_pause();
    }
    while (word_.exchange(contended, std::memory_order_acquire) != open) { sleep_while(word_, contended); }
}

BiasedLock::BiasedLock() { (void)bias_possible(); }

void BiasedLock::lock_plainly() {
    lock_.lock();
    if (owner_.load(std::memory_order_relaxed) != nullptr) {
        owner_.store(nullptr, std::memory_order_relaxed);
        CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
        while (inside_.load(std::memory_order_acquire) != 0) { sleep_while(inside_, 1); }
    }
    by_bias_ = false;
    turns_ = last_ == self() ? turns_ + 1 : 0;
    last_ = self();
}

void BiasedLock::unlock_plainly() {
    if (turns_ >= bias_after && (favourite_ == nullptr || favourite_ == self()) && bias_possible()) {
        turns_ = 0;
        favourite_ = self();
        owner_.store(self(), std::memory_order_relaxed);
    }
    lock_.unlock();
}

}  // namespace flowstone
