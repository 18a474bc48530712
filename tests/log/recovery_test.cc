// What an opening makes of what a crash left, case by case. Each was found by tests/sim/crash_test.cc.
#include "tests/log/log_world.h"
#include "tests/sim/world/world_verify.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

class RecoveryTest : public LogWorld {
protected:
    static constexpr char small_segments[] = "internal.segment.bytes";
    // Something that maintenance makes checkpoints for: a topic with a rolled segment, and retention.
    static Topic make_aged(Log& log) {
        Topic aged = make(log, "aged", {{small_segments, "4000"}, {"retention.bytes", "1000000"}});
        fill(aged, 0, 6);
        return aged;
    }
};

TEST_F(RecoveryTest, ATrimBehindACheckpointTakesNothingElse) {
    std::vector<std::pair<int64_t, std::string>> expected;
    {
        Log log = open();
        Topic topic = make(log, "events");
        fill(topic, 0, 3);
        ASSERT_TRUE(log.checkpoint());  // the whole file, up to its last byte
        make_aged(log);
        maintain(log);  // a checkpoint that knows where the file ends, but no longer at which offset
        ASSERT_TRUE(topic.delete_records(0, Offset{1}));
        expected = read(topic);
        ASSERT_EQ(expected.size(), 2u);
    }
    const auto disk = disk_.crash({.keep = Crash::Keep::nothing});
    Log log = open_on(*disk);
    Topic topic = value_of(log.topic("events"));
    EXPECT_EQ(read(topic), expected);
    EXPECT_EQ(value_of(topic.append(record("next"))).offset, Offset{3});
}

TEST_F(RecoveryTest, WhatWasQueuedWhenAFragmentWasCarriedIsReplayed) {
    std::vector<std::pair<int64_t, std::string>> expected;
    {
        Log log = open();
        Topic topic = make(log, "events");
        fill(topic, 0, 2);
        make_aged(log);
        const Record more[] = {record("a"), record("b")};
        const AtomicPart parts[] = {{topic, 0, more}};
        const auto pending = log.append_atomic(parts);  // closed and queued; nobody waits yet
        ASSERT_TRUE(pending);
        maintain(log);
        ASSERT_TRUE(log.wait(*pending));
        expected = read(topic);
        ASSERT_EQ(expected.size(), 4u);
    }
    const auto disk = disk_.crash({.keep = Crash::Keep::nothing});
    Log log = open_on(*disk);
    Topic topic = value_of(log.topic("events"));
    EXPECT_EQ(read(topic), expected);
}

// Whatever the checkpoint had done: a segment that has its seal does not grow any more.
TEST_F(RecoveryTest, ASealedSegmentOfAMemoryTopicIsNotContinued) {
    SimDisk recorded({.record = true});
    uint64_t first = 0;
    {
        Log log = open_on(recorded);
        Topic topic =
            make(log, "passing",
                 {{small_segments, "4000"}, {"flowstone.durability", "memory"}, {"retention.bytes", "1000000"}});
        fill(topic, 0, 10);
        first = recorded.operations();
        maintain(log);
    }
    for (uint64_t operation = first; operation <= recorded.operations(); ++operation) {
        const auto disk = recorded.crash_state({.operation = operation, .crash = {.keep = Crash::Keep::everything}});
        Log log = open_on(*disk);
        Topic topic = value_of(log.topic("passing"));
        ASSERT_TRUE(topic.append(record("next")));
        close(log);
        ASSERT_EQ(verify_directory(*disk, "data"), "") << "after operation " << operation;
    }
}

}  // namespace
}  // namespace flowstone
