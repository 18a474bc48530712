// A small lock, and sleeping on a word until it changes.
#pragma once

#include <atomic>
#include <cstdint>

namespace flowstone {

// Sleeps while `word` holds `expected`, at most `timeout_ns` (negative: for ever). May wake early for no reason.
void sleep_while(const std::atomic<uint32_t>& word, uint32_t expected, int64_t timeout_ns = -1);
void wake_one(const std::atomic<uint32_t>& word);
void wake_all(const std::atomic<uint32_t>& word);

// Mutual exclusion in one word: an uncontended lock and unlock cost two atomic instructions (std::mutex: two calls into
// libc besides). Threads that must wait sleep. Works with std::unique_lock.
class Lock {
public:
    Lock() = default;
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

    void lock() {
        uint32_t expected = open;
        if (!word_.compare_exchange_strong(expected, held, std::memory_order_acquire)) { lock_slowly(); }
    }
    bool try_lock() {
        uint32_t expected = open;
        return word_.compare_exchange_strong(expected, held, std::memory_order_acquire);
    }
    void unlock() {
        if (word_.exchange(open, std::memory_order_release) == contended) { wake_one(word_); }
    }

private:
    static constexpr uint32_t open = 0;
    static constexpr uint32_t held = 1;
    static constexpr uint32_t contended = 2;  // held, and somebody may be asleep
    void lock_slowly();
    std::atomic<uint32_t> word_ = open;
};

}  // namespace flowstone
