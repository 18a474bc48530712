// Opening again where segments rolled since the last checkpoint, with direct writes on both sides of the roll.
#include "storage/segment_files.h"
#include "storage/segment_verify.h"
#include "tests/log/log_world.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

class RollReplayTest : public LogWorld {
protected:
    // 100,000 bytes go to the segment directly; what is past the last whole block is in the journal alone.
    static std::vector<std::pair<int64_t, std::string>> append(Topic& topic, int count) {
        std::vector<std::pair<int64_t, std::string>> expected;
        for (int i = 0; i < count; ++i) {
            const std::string value(400'000, static_cast<char>('a' + i % 26));
            const auto at = topic.append(record(value));
            EXPECT_TRUE(at) << at.error().message();
            expected.emplace_back(i, value);
        }
        return expected;
    }
};

TEST_F(RollReplayTest, TheEndOfARolledSegmentIsTakenFromTheJournalThoughTheNextOneWasWrittenDirectly) {
    std::vector<std::pair<int64_t, std::string>> expected;
    {
        Log log = open();
        Topic topic = make(log, "events", {{"segment.bytes", "4194304"}});
        expected = append(topic, 35);
        // Replayed into memory, beside the writer.
        Log beside = open({.read_only = true});
        Topic seen = value_of(beside.topic("events"));
        EXPECT_EQ(read(seen), expected);
    }
    // Not closed: what was acknowledged is in the journal and in whole blocks of the segments.
    for (int opening = 0; opening < 2; ++opening) {
        Log log = open();
        Topic topic = value_of(log.topic("events"));
        EXPECT_EQ(read(topic), expected);
        EXPECT_EQ(value_of(topic.append(record("after"))).offset, Offset{static_cast<int64_t>(expected.size())});
        expected.emplace_back(expected.size(), "after");
        if (opening == 1) { close(log); }
    }
    Log log = open();
    Topic topic = value_of(log.topic("events"));
    EXPECT_EQ(read(topic), expected);
    close(log);
    // The rolled ends are in their files now, and sealed.
    VerifyOptions options;
    options.seals_expected = true;
    const auto counts = verify_partition(disk_, "data/events-0", options, [](const SegmentFault& fault) {
        ADD_FAILURE() << fault.path << ": " << fault.what << " " << fault.detail;
    });
    ASSERT_TRUE(counts);
    EXPECT_GE(counts->sealed, 2u);
}

// It was made for a direct write that never came, nor did the commit that speaks of the roll.
TEST_F(RollReplayTest, ASegmentThatACrashLeftEmptyIsGoneOnIn) {
    {
        Log log = open();
        Topic topic = make(log, "events");
        fill(topic, 0, 3);
        ASSERT_TRUE(log.checkpoint());
        const std::string next = "data/events-0/" + segment_file_name(Offset{3}, SegmentFile::log);
        ASSERT_TRUE(disk_.open(next, {.write = true, .create = true, .exclusive = true}));
        ASSERT_TRUE(disk_.sync_directory("data/events-0"));
    }
    auto disk = disk_.crash({.keep = Crash::Keep::nothing});
    for (int opening = 3; opening < 6; ++opening) {
        {
            Log log = open_on(*disk);
            Topic topic = value_of(log.topic("events"));
            EXPECT_EQ(read(topic).size(), static_cast<size_t>(opening));
            fill(topic, opening, opening + 1);
        }
        disk = disk->crash({.keep = Crash::Keep::nothing});
    }
}

// A direct write is durable by itself. What was filled before it is not, and the journal's copy gives way to the file.
TEST_F(RollReplayTest, WhatWasFilledInFrontOfADirectWriteSurvivesPowerLoss) {
    std::vector<std::pair<int64_t, std::string>> expected;
    {
        Log log = open({.dirty_bytes_max = 64u << 10});
        Topic topic = make(log, "events");
        fill(topic, 0, 50);  // half of the budget is filled, and not synced
        expected = read(topic);
        const std::string large(400'000, 'x');
        ASSERT_TRUE(topic.append(record(large)));
        expected.emplace_back(50, large);
    }
    for (const auto keep : {Crash::Keep::nothing, Crash::Keep::everything}) {
        const auto disk = disk_.crash({.keep = keep});
        Log log = open_on(*disk);
        Topic topic = value_of(log.topic("events"));
        EXPECT_EQ(read(topic), expected);
    }
}

}  // namespace
}  // namespace flowstone
