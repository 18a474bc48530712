// Closing within a time: what is durable and not yet in files is for the next opening, and nothing is lost.
#include <atomic>
#include <chrono>

#include <gtest/gtest.h>

#include "log/log_directories.h"
#include "log/served_log.h"
#include "storage/batch.h"
#include "tests/log/log_world.h"
#include "tests/sim/world/faulty_disk.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;

constexpr int32_t partitions = 200;

class CloseTest : public LogWorld {
protected:
    // Each sync takes a millisecond, until `slow` is false.
    void syncs_take_time(FaultyDisk& disk, const std::atomic<bool>& slow) {
        disk.interrupt(FaultyDisk::Call::sync, [&] {
            if (!slow) { return; }
            clock_.advance_ms(1);
            syncs_take_time(disk, slow);
        });
    }
    static void append(Topic& topic, std::string_view value, int32_t count = partitions) {
        for (int32_t i = 0; i < count; ++i) { ASSERT_TRUE(topic.append(record(value), {.partition = i})); }
    }
    static void expect_whole(Log& log, std::string_view name, int64_t records, int32_t count = partitions) {
        Topic topic = value_of(log.topic(name));
        for (int32_t i = 0; i < count; ++i) {
            const auto found = read(topic, {}, i);
            ASSERT_EQ(found.size(), static_cast<size_t>(records)) << name << "-" << i;
            EXPECT_EQ(found.back().second, "two");
        }
    }
    Options with(uint32_t threads) {
        return {.threads = threads, .on_log = [this](std::string_view line) { lines_.emplace_back(line); }};
    }

    FaultyDisk slow_{disk_};
    std::vector<std::string> lines_;
};

TEST_F(CloseTest, WhatIsNotInFilesInTimeIsLeftToTheJournal) {
    constexpr auto timeout = 100ms;
    constexpr int32_t few = 20;  // of levels that no journal holds: they come first
    for (const uint32_t threads : {0u, 1u}) {
        SCOPED_TRACE(threads);
        const std::string suffix = std::to_string(threads);
        {
            Log log = open_on(slow_, with(threads));
            for (const std::string level : {"durable", "written", "memory"}) {
                const int32_t count = level == "durable" ? partitions : few;
                Topic topic = make(log, level + suffix, {{"flowstone.durability", level}}, count);
                append(topic, "one", count);
                append(topic, "two", count);
            }
            lines_.clear();
            std::atomic<bool> slow = true;
            syncs_take_time(slow_, slow);
            const int64_t before = clock_.wall_ms();
            const auto closed = log.close(timeout);
            slow = false;
            EXPECT_TRUE(closed) << closed.error().message();
            EXPECT_GE(clock_.wall_ms() - before, timeout.count()) << "there was more to do";
            EXPECT_LE(clock_.wall_ms() - before, timeout.count() + 100) << "one step of a checkpoint";
            EXPECT_THAT(lines_, testing::Contains(testing::HasSubstr("the next opening")));
        }
        const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
        Log after_power_loss = open_on(*crashed);
        expect_whole(after_power_loss, "durable" + suffix, 2);
        close(after_power_loss);
        Log again = open_on(slow_, with(threads));
        expect_whole(again, "durable" + suffix, 2);
        expect_whole(again, "written" + suffix, 2, few);
        expect_whole(again, "memory" + suffix, 2, few);
        lines_.clear();
        close(again);
        EXPECT_THAT(lines_, testing::IsEmpty()) << "there was time enough";
    }
}

// Whatever of it was done: the next opening goes on from there.
TEST_F(CloseTest, AtEveryTimeTheNextOpeningFindsAll) {
    for (int64_t ms = 1; ms < 2'000; ms = ms * 3 / 2 + 1) {
        SCOPED_TRACE(ms);
        SimDisk disk;
        FaultyDisk faulty(disk);
        {
            Log log = open_on(faulty, {.threads = 0});
            Topic topic = make(log, "events", {}, partitions);
            append(topic, "one");
            ASSERT_TRUE(log.checkpoint());
            append(topic, "two");
            std::atomic<bool> slow = true;
            syncs_take_time(faulty, slow);
            const auto closed = log.close(std::chrono::milliseconds(ms));
            EXPECT_TRUE(closed) << closed.error().message();
            slow = false;
        }
        Log again = open_on(disk);
        expect_whole(again, "events", 2);
        close(again);
    }
}

TEST_F(CloseTest, SeveralDirectoriesShareOneTime) {
    constexpr auto timeout = 200ms;
    const std::vector<std::string> paths{"first", "second", "third"};
    const auto open_all = [&] {
        return value_of(LogDirectories::open({&slow_, &clock_, &random_, {}}, paths, with(0)));
    };
    {
        LogDirectories directories = open_all();
        ServedLog served(directories);
        const ServedTopic topic = value_of(served.create("events", 3 * partitions, {}));
        for (int32_t i = 0; i < 3 * partitions; ++i) {
            std::vector<std::byte> space(1'000);
            BatchBuilder builder(space, {});
            ASSERT_TRUE(builder.append({.key = "k", .value = "v"}, clock_.wall_ms()));
            ASSERT_TRUE(served.append(topic, i, builder.close().bytes()));
        }
        ASSERT_TRUE(served.poll());
        std::atomic<bool> slow = true;
        syncs_take_time(slow_, slow);
        const int64_t before = clock_.wall_ms();
        const auto closed = directories.close(timeout);
        slow = false;
        EXPECT_TRUE(closed) << closed.error().message();
        EXPECT_LE(clock_.wall_ms() - before, timeout.count() + 3 * 100);
    }
    LogDirectories again = open_all();
    ServedLog served(again);
    const ServedTopic topic = *served.topic("events");
    for (int32_t i = 0; i < 3 * partitions; ++i) {
        EXPECT_EQ(served.ends(value_of(served.partition(topic, i))).high_watermark, Offset{1}) << i;
    }
}

}  // namespace
}  // namespace flowstone
