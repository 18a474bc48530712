// Every interleaving of a few threads that take turns. A scheduler runs one thread at a time and decides at each point
// where another could get in: before the lock is taken, between giving it up and falling asleep, during the work, and
// which of several sleepers is woken. It goes through all decisions in turn, or a bounded number of them.
#include "log/impl/turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

namespace flowstone {
namespace {

struct Aborted {};

class Scheduler {
public:
    struct Word {
        uint32_t value = 0;
    };
    struct Fiber {
        enum class State : uint8_t { ready, wants_lock, asleep, done } state = State::ready;
        const Word* word = nullptr;
        std::binary_semaphore go{0};
        std::jthread thread;
    };

    // Runs the bodies once, by the decisions so far and then the first of each. False: somebody slept for ever.
    bool run(const std::vector<std::function<void()>>& bodies) {
        next_ = 0;
        locked_ = false;
        aborting_ = false;
        fibers_.clear();
        for (const auto& body : bodies) {
            Fiber& fiber = *fibers_.emplace_back(std::make_unique<Fiber>());
            fiber.thread = std::jthread([this, &fiber, body] {
                fiber.go.acquire();
                current_ = &fiber;
                try {
                    if (!aborting_) { body(); }
                } catch (const Aborted&) {}
                fiber.state = Fiber::State::done;
                back_.release();
            });
        }
        for (;;) {
            std::vector<Fiber*> able;
            bool all_done = true;
            for (auto& fiber : fibers_) {
                all_done = all_done && fiber->state == Fiber::State::done;
                if (fiber->state == Fiber::State::ready || (fiber->state == Fiber::State::wants_lock && !locked_)) {
                    able.push_back(fiber.get());
                }
            }
            if (all_done) { return true; }
            if (able.empty()) { break; }
            resume(*able[decide(able.size())]);
        }
        aborting_ = true;
        for (auto& fiber : fibers_) {
            while (fiber->state != Fiber::State::done) { resume(*fiber); }
        }
        return false;
    }

    // Moves on to the next sequence of decisions. False when there is none.
    bool advance() {
        decisions_.resize(next_);
        while (!decisions_.empty() && decisions_.back().taken + 1 == decisions_.back().of) { decisions_.pop_back(); }
        if (decisions_.empty()) { return false; }
        ++decisions_.back().taken;
        return true;
    }

    void lock() {
        pause(Fiber::State::wants_lock);
        locked_ = true;
    }
    void unlock() { locked_ = false; }
    void others() { pause(Fiber::State::ready); }
    void sleep_while(const Word& word, uint32_t seen) {
        others();
        if (word.value != seen) { return; }
        current_->word = &word;
        pause(Fiber::State::asleep);
    }
    void wake(const Word& word, bool all) {
        for (;;) {
            std::vector<Fiber*> asleep;
            for (auto& fiber : fibers_) {
                if (fiber->state == Fiber::State::asleep && fiber->word == &word) { asleep.push_back(fiber.get()); }
            }
            if (asleep.empty()) { return; }
            asleep[decide(all ? 1 : asleep.size())]->state = Fiber::State::ready;
            if (!all) { return; }
        }
    }

    static Scheduler* now;

private:
    struct Decision {
        size_t taken;
        size_t of;
    };
    size_t decide(size_t of) {
        if (of <= 1) { return 0; }
        if (next_ == decisions_.size()) { decisions_.push_back({0, of}); }
        EXPECT_EQ(decisions_[next_].of, of) << "a run does not repeat";
        return decisions_[next_++].taken;
    }
    void resume(Fiber& fiber) {
        fiber.state = Fiber::State::ready;
        fiber.go.release();
        back_.acquire();
    }
    void pause(Fiber::State state) {
        Fiber* const self = current_;
        self->state = state;
        back_.release();
        self->go.acquire();
        if (aborting_) { throw Aborted(); }
    }

    std::vector<Decision> decisions_;
    size_t next_ = 0;
    bool locked_ = false;
    bool aborting_ = false;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::binary_semaphore back_{0};
    static thread_local Fiber* current_;
};
Scheduler* Scheduler::now = nullptr;
thread_local Scheduler::Fiber* Scheduler::current_ = nullptr;

struct ScheduledWorld {
    struct Guard {
        void lock() { Scheduler::now->lock(); }
        void unlock() { Scheduler::now->unlock(); }
    };
    using Word = Scheduler::Word;
    static void change(Word& word) { ++word.value; }
    static void wake_one(Word& word) { Scheduler::now->wake(word, false); }
    static void wake_all(Word& word) { Scheduler::now->wake(word, true); }
    static void sleep(Guard& guard, Word& word, int64_t) {
        const uint32_t seen = word.value;
        guard.unlock();
        Scheduler::now->sleep_while(word, seen);
        guard.lock();
    }
};

// What a shard is to those who wait: numbers are appended, a turn makes the next few visible.
struct Queue {
    Turns<ScheduledWorld> turns;
    int appended = 0;
    int visible = 0;
    int committing_to = 0;
    int a_turn_carries = 100;
    int at_work = 0;
    bool fail_first = false;

    Result<void> work(ScheduledWorld::Guard& guard) {
        turns.take();
        committing_to = std::min(appended, visible + a_turn_carries);
        EXPECT_EQ(++at_work, 1) << "two at work at a time";
        guard.unlock();
        Scheduler::now->others();
        guard.lock();
        --at_work;
        const bool failed = std::exchange(fail_first, false);
        if (!failed) { visible = committing_to; }
        committing_to = 0;
        turns.leave(visible < appended);
        return failed ? Result<void>(fail(Code::no_space, "test")) : Result<void>();
    }
    // Appends one and waits until it is visible. `told`: an error that may come while it waits.
    Result<void> append_and_wait(const bool* told = nullptr) {
        ScheduledWorld::Guard guard;
        guard.lock();
        const int mine = ++appended;
        auto result = turns.until(
            guard,
            [&]() -> Result<bool> {
                if (visible >= mine) { return true; }
                if (told != nullptr && *told) { return fail(Code::not_found, "test"); }
                return false;
            },
            [&] { return committing_to >= mine; }, [&] { return work(guard); });
        if (result) { EXPECT_GE(visible, mine); }
        guard.unlock();
        return result;
    }
    void flush() {
        ScheduledWorld::Guard guard;
        guard.lock();
        const int target = appended;
        while (visible < target) {
            if (turns.taken()) {
                turns.wait_for_this(guard);
            } else {
                (void)work(guard);
            }
        }
        guard.unlock();
    }
};

// Runs `make` in every interleaving, `runs_max` at most. Returns how many there were.
size_t in_every_order(size_t runs_max, const std::function<std::vector<std::function<void()>>(Queue&)>& make) {
    Scheduler scheduler;
    Scheduler::now = &scheduler;
    size_t runs = 0;
    do {
        Queue queue;
        const auto bodies = make(queue);
        EXPECT_TRUE(scheduler.run(bodies)) << "in run " << runs << " somebody sleeps for ever";
        if (testing::Test::HasFailure()) { break; }
        ++runs;
    } while (runs < runs_max && scheduler.advance());
    return runs;
}

constexpr size_t runs_max = 2'000;

TEST(Turns, TwoAreServedInEveryOrder) {
    const size_t runs = in_every_order(runs_max, [](Queue& queue) {
        const auto waiter = [&queue] { EXPECT_TRUE(queue.append_and_wait()); };
        return std::vector<std::function<void()>>{waiter, waiter};
    });
    EXPECT_GT(runs, 10u);
    EXPECT_LT(runs, runs_max) << "not every order was tried";
}

TEST(Turns, TwoAreServedTwiceWhenATurnCarriesOne) {
    in_every_order(runs_max, [](Queue& queue) {
        queue.a_turn_carries = 1;
        const auto waiter = [&queue] {
            EXPECT_TRUE(queue.append_and_wait());
            EXPECT_TRUE(queue.append_and_wait());
        };
        return std::vector<std::function<void()>>{waiter, waiter};
    });
}

TEST(Turns, ThreeAreServed) {
    for (const int a_turn_carries : {1, 100}) {
        in_every_order(runs_max, [&](Queue& queue) {
            queue.a_turn_carries = a_turn_carries;
            const auto waiter = [&queue] { EXPECT_TRUE(queue.append_and_wait()); };
            return std::vector<std::function<void()>>{waiter, waiter, waiter};
        });
    }
}

TEST(Turns, WhoFlushesAndWhoWaitsDoNotHinderOneAnother) {
    in_every_order(runs_max, [](Queue& queue) {
        queue.a_turn_carries = 1;
        const auto waiter = [&queue] { EXPECT_TRUE(queue.append_and_wait()); };
        return std::vector<std::function<void()>>{waiter, waiter, [&queue] { queue.flush(); }};
    });
}

// The one who is woken for the next turn is told an error instead; the others must not sleep on.
TEST(Turns, WhoIsCalledAndLeavesCallsAnother) {
    in_every_order(2 * runs_max, [](Queue& queue) {
        queue.a_turn_carries = 1;
        auto told = std::make_shared<bool>(false);
        const auto waiter = [&queue] { EXPECT_TRUE(queue.append_and_wait()); };
        return std::vector<std::function<void()>>{[&queue, told] {
                                                      EXPECT_TRUE(queue.append_and_wait());
                                                      *told = true;  // nobody is woken for it
                                                  },
                                                  [&queue, told] { (void)queue.append_and_wait(told.get()); }, waiter};
    });
}

TEST(Turns, AFailedTurnIsHandedOn) {
    in_every_order(runs_max, [](Queue& queue) {
        queue.fail_first = true;
        const auto waiter = [&queue] { (void)queue.append_and_wait(); };
        return std::vector<std::function<void()>>{waiter, waiter, waiter};
    });
}

}  // namespace
}  // namespace flowstone
