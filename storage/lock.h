// A small lock, and sleeping on a word until it changes.
#pragma once

#include <atomic>
#include <cstdint>

namespace flowstone {

// Sleeps while `word` holds `expected`, at most `timeout_ns` (negative: for ever). May wake early for no reason.
void sleep_while(const std::atomic<uint32_t>& word, uint32_t expected, int64_t timeout_ns = -1);
void wake_one(const std::atomic<uint32_t>& word);
void wake_all(const std::atomic<uint32_t>& word);

// The same with a word in memory that several processes map, for reading at least.
void wake_all_processes(const std::atomic<uint32_t>& shared);
struct WordToWatch {
    const std::atomic<uint32_t>& word;
    uint32_t expected;
};
// Sleeps while both words hold what is expected. Where the kernel cannot do that (before Linux 5.16), a millisecond at most.
void sleep_while_both(const WordToWatch& own, const WordToWatch& shared, int64_t timeout_ns);

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

// A Lock that costs next to nothing for a thread that is nearly alone with it: after `bias_after` turns of one thread it
// is that thread's, which then takes it by a plain store and a plain load. Two atomic instructions behind the stores of a
// record cost 15 ns, more than its encoding. Another thread takes the bias away first: membarrier(2) makes the owner's
// processor finish its stores, so that either the owner sees that the bias is gone or it is seen to be inside. That costs
// microseconds, hence the long proof of being alone. Only the first thread that had the bias ever gets it again: another
// could be made the owner while the first stands stopped between its two looks at `owner_`, and the first would then take
// back what the other said in `inside_`. Where the kernel refuses membarrier it is an ordinary Lock.
class BiasedLock {
public:
    BiasedLock();
    BiasedLock(const BiasedLock&) = delete;
    BiasedLock& operator=(const BiasedLock&) = delete;

    void lock() {
        if (owner_.load(std::memory_order_relaxed) == self()) {
            inside_.store(1, std::memory_order_relaxed);
            std::atomic_signal_fence(
                std::memory_order_seq_cst);  // the compiler's order; membarrier forces the processor's
            if (owner_.load(std::memory_order_relaxed) == self()) {
                by_bias_ = true;
                return;
            }
            leave();
        }
        lock_plainly();
    }
    void unlock() {
        if (!by_bias_) { return unlock_plainly(); }
        leave();
    }

private:
    static constexpr uint32_t bias_after = 1024;

    // The same for a thread's whole life; used again only after its end.
    static const void* self() { return __builtin_thread_pointer(); }
    void leave() {
        inside_.store(0, std::memory_order_release);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (owner_.load(std::memory_order_relaxed) != self()) { wake_one(inside_); }
    }
    void lock_plainly();
    void unlock_plainly();

    std::atomic<const void*> owner_ = nullptr;  // who need not take lock_; set and cleared by its holder
    std::atomic<uint32_t> inside_ = 0;          // the favourite is, or is about to look whether it may be
    bool by_bias_ = false;                      // how the present holder came in
    Lock lock_;
    const void* favourite_ = nullptr;  // Invariant: only this thread is ever the owner, and writes inside_.
    const void* last_ = nullptr;       // who took lock_ last, and how many times in a row
    uint32_t turns_ = 0;
};

}  // namespace flowstone
