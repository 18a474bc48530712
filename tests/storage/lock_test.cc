// One holder at a time, whoever has the bias and however often it changes hands.
#include "storage/lock.h"

#include <gtest/gtest.h>

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <csignal>
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

// A signal stops its thread anywhere, also where it has seen that the bias is its own and has not said yet that it is
// inside. The other thread meanwhile takes turns enough to have the bias itself, and is at it still when the first goes on.
std::atomic<uint64_t> turns_wanted{0};
std::atomic<uint64_t> turns_of_other{0};
std::atomic<int> signals_seen{0};

void let_the_other_on(int) {
    const uint64_t begin = turns_of_other;
    turns_wanted = begin + 50'000;
    // Bounded, because this thread may have been stopped while it held the lock.
    for (int look = 0; look < 200 && turns_of_other < begin + 3000; ++look) { sched_yield(); }
    ++signals_seen;
}

TEST(BiasedLock, AThreadThatWasStoppedOnItsWayInLetsNobodyIn) {
    struct sigaction action{};
    action.sa_handler = let_the_other_on;
    action.sa_flags = SA_RESTART;
    struct sigaction before{};
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);

    Guarded guarded;
    std::atomic<bool> done{false};
    std::atomic<uint64_t> turns_of_stopped{0};
    std::thread stopped([&] {
        while (!done) {
            guarded.turn();
            turns_of_stopped.fetch_add(1, std::memory_order_relaxed);
        }
    });
    std::thread other([&] {
        while (!done) {
            if (turns_of_other == turns_wanted) {
                sched_yield();
                continue;
            }
            guarded.turn();
            ++turns_of_other;
        }
    });
    for (int signal = 0; signal < 300; ++signal) {
        // Alone for long enough to have the bias again.
        const uint64_t alone = turns_of_stopped + 3000;
        while (turns_of_stopped < alone || turns_of_other < turns_wanted) { sched_yield(); }
        pthread_kill(stopped.native_handle(), SIGUSR1);
        while (signals_seen <= signal) { sched_yield(); }
    }
    done = true;
    stopped.join();
    other.join();
    sigaction(SIGUSR1, &before, nullptr);
    EXPECT_EQ(guarded.first, turns_of_stopped + turns_of_other);
    EXPECT_EQ(guarded.torn, 0u);
}

}  // namespace
}  // namespace flowstone
