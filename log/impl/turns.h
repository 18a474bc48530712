// Taking turns: of many threads that wait for the same work, one at a time does it, for itself and for others.
//
// Whoever finds the turn free takes it, works with the lock released and leaves. Those whom the turn in flight serves
// sleep on one word, those who need the one after it on the other; the words change places with every turn. Leaving
// wakes all who were served, and one of the others, who takes the next turn.
//
// Whoever was woken to take the next turn and does not, because it was told an error meanwhile, wakes another: else
// those who still wait would sleep although the turn is free.
//
// World says what a lock, a word and sleeping are, so that a test can run every interleaving (tests/log/turns_test.cc).
// Every function is called with the lock held.
#pragma once

#include <cstdint>
#include <utility>

#include <flowstone/result.h>

#include "storage/check.h"

namespace flowstone {

template <class World>
class Turns {
public:
    using Guard = typename World::Guard;

    bool taken() const { return taken_; }
    uint64_t count() const { return count_; }

    void take() {
        CHECK(!taken_);
        taken_ = true;
    }
    // `more`: somebody waits for work that this turn did not do.
    void leave(bool more) {
        CHECK(taken_);
        taken_ = false;
        World::change(here());
        World::wake_all(here());
        ++count_;
        if (more) { pass_on(); }
    }

    // Until the turn in flight ends, or if none is, the next one. May return early. False after `timeout_ns`.
    void wait_for_this(Guard& guard, int64_t timeout_ns = -1) { World::sleep(guard, here(), timeout_ns); }

    // Returns when done() says so, or with its error or that of work(). done() is asked first and after each sleep.
    // carried(): the turn in flight does what is waited for. work(): does a turn, from take() to leave().
    template <class Done, class Carried, class Work>
    Result<void> until(Guard& guard, Done done, Carried carried, Work work) {
        bool called =
            false;  // the last sleep was for the turn after the one in flight: we may be the one who was woken
        for (;;) {
            const Result<bool> now = done();
            if (!now || *now) {
                if (called && !taken_) { pass_on(); }
                if (!now) { return std::unexpected(now.error()); }
                return {};
            }
            if (taken_) {
                called = !carried();
                World::sleep(guard, called ? next() : here(), -1);
                continue;
            }
            called = false;
            if (const Result<void> worked = work(); !worked) { return worked; }
        }
    }

    // Everybody looks again: what they wait for may never come.
    void wake_everybody() {
        for (auto& word : words_) {
            World::change(word);
            World::wake_all(word);
        }
    }

private:
    using Word = typename World::Word;
    Word& here() { return words_[count_ & 1]; }
    Word& next() { return words_[(count_ + 1) & 1]; }
    // The turn is free: one of those who wait for it is woken. Between turns they sleep on here().
    void pass_on() {
        World::change(here());
        World::wake_one(here());
    }

    bool taken_ = false;
    uint64_t count_ = 0;
    Word words_[2] = {};
};

}  // namespace flowstone
