// One holder at a time, whoever has the bias and however often it changes hands.
#include "storage/lock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace flowstone {
namespace {

// Two plain numbers that only holders of the lock may see apart.
struct Guarded {
    BiasedLock lock;
    uint64_t first = 0;
    uint64_t second = 0;
    uint64_t torn = 0;

    void turn() {
        const std::lock_guard guard(lock);
        if (first != second) { ++torn; }
        ++first;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        ++second;
    }
};

TEST(BiasedLock, ATurnOfAnotherThreadTakesTheBiasAway) {
    Guarded guarded;
    constexpr uint64_t turns = 5000;  // enough for the bias, several times
    for (int round = 0; round < 8; ++round) {
        for (uint64_t i = 0; i < turns; ++i) { guarded.turn(); }
        std::thread other([&] { guarded.turn(); });
        other.join();
    }
    EXPECT_EQ(guarded.first, 8 * (turns + 1));
    EXPECT_EQ(guarded.torn, 0u);
}

TEST(BiasedLock, OneHolderAtATimeWhileTheBiasIsTakenAgainAndAgain) {
    Guarded guarded;
    constexpr uint64_t turns = 400'000;
    std::atomic<bool> done{false};
    std::thread owner([&] {
        for (uint64_t i = 0; i < turns; ++i) { guarded.turn(); }
        done = true;
    });
    std::vector<std::thread> threads;
    std::atomic<uint64_t> taken{0};
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            do {
                guarded.turn();
                taken.fetch_add(1);
                std::this_thread::yield();
            } while (!done);
        });
    }
    owner.join();
    for (std::thread& thread : threads) { thread.join(); }
    EXPECT_EQ(guarded.first, turns + taken);
    EXPECT_EQ(guarded.torn, 0u);
}

TEST(BiasedLock, OwnersThatEndLeaveItToTheNext) {
    Guarded guarded;
    for (int i = 0; i < 50; ++i) {
        std::thread owner([&] {
            for (int turn = 0; turn < 1500; ++turn) { guarded.turn(); }
        });
        owner.join();
    }
    EXPECT_EQ(guarded.first, 50u * 1500u);
    EXPECT_EQ(guarded.torn, 0u);
}

}  // namespace
}  // namespace flowstone
