// Waiting for what was appended for a bounded time, and appending without waiting, while the disk stands still.
#include <flowstone/log.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>

#include "log/environment.h"
#include "storage/lock.h"
#include "storage/random.h"
#include "tests/sim/world/faulty_disk.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;

class TopicWaitTest : public testing::Test {
protected:
    Log open(uint32_t threads) {
        return value_of(open_log({&faulty_, &system_clock(), &system_random()}, "data",
                                 {.threads = threads, .dirty_bytes_max = 1u << 20}));
    }
    // The next durable write, and whatever its thread does then, waits for go_on().
    void stop_disk() {
        faulty_.interrupt(FaultyDisk::Call::write_durable, [this] {
            while (stopped_ == 1) { sleep_while(stopped_, 1); }
        });
    }
    void go_on() {
        stopped_ = 0;
        wake_all(stopped_);
    }
    static Code code_of(const Result<void>& result) { return result ? Code{} : result.error().code; }

    SimDisk disk_;
    FaultyDisk faulty_{disk_};
    std::atomic<uint32_t> stopped_ = 1;
};

TEST_F(TopicWaitTest, EndsInTimeWhileTheDiskStandsStill) {
    Log log = open(1);
    Topic events = value_of(log.create_topic("events"));
    stop_disk();
    const Pending pending = value_of(events.append_async({.value = "v"}));
    EXPECT_EQ(code_of(events.wait(0, pending.at.offset + 1, 0ms)), Code::timed_out);
    EXPECT_EQ(code_of(events.wait(0, pending.at.offset + 1, 20ms)), Code::timed_out);
    EXPECT_EQ(code_of(events.wait(0, pending.at.offset + 2, 0ms)), Code::invalid);  // nobody appended that
    EXPECT_EQ(code_of(events.wait(1, Offset{1}, 0ms)), Code::invalid);
    EXPECT_EQ(code_of(events.wait(-1, Offset{1}, 0ms)), Code::invalid);
    go_on();
    EXPECT_TRUE(events.wait(0, pending.at.offset + 1, std::chrono::hours(24)));
    EXPECT_TRUE(events.wait(0, pending.at.offset + 1, std::chrono::milliseconds::max()));
    EXPECT_TRUE(events.wait(0, pending.at.offset + 1, -1ms));
    ASSERT_TRUE(log.close());
    EXPECT_TRUE(events.wait(0, pending.at.offset + 1, 0ms));
}

TEST_F(TopicWaitTest, DoesTheWorkWhereThereAreNoThreads) {
    Log log = open(0);
    Topic events = value_of(log.create_topic("events"));
    const Pending pending = value_of(events.append_async({.value = "v"}));
    EXPECT_TRUE(events.wait(0, pending.at.offset + 1, 0ms));
    EXPECT_EQ(value_of(events.partition(0)).high_watermark, Offset{1});
}

TEST_F(TopicWaitTest, WhoMayNotWaitForRoomIsToldThatThereIsNone) {
    Log log = open(1);
    Topic events = value_of(log.create_topic("events"));
    stop_disk();
    const std::string value(10'000, 'v');
    int64_t taken = 0;
    auto last = events.append_async({.value = value}, {.may_wait = false});
    for (; last && taken < 1'000; ++taken) { last = events.append_async({.value = value}, {.may_wait = false}); }
    ASSERT_FALSE(last);
    EXPECT_EQ(last.error().code, Code::busy);
    EXPECT_EQ(last.error().fate, Fate::not_appended);
    EXPECT_EQ(value_of(events.partition(0)).log_end, Offset{taken});
    go_on();
    EXPECT_EQ(value_of(events.append({.value = value})).offset, Offset{taken});  // who may wait gets it
    ASSERT_TRUE(log.close());
}

}  // namespace
}  // namespace flowstone
