// What an opening makes of what a crash left, case by case. Each was found by tests/sim/crash_test.cc.
#include <cerrno>

#include "tests/log/log_world.h"
#include "tests/sim/world/faulty_disk.h"
#include "tests/sim/world/world_verify.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::Contains;
using testing::Not;
using testing::StartsWith;

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

TEST_F(RecoveryTest, ACleanCloseRemembersTheEndOfAPartitionThatOnlyCompactionLookedAt) {
    {
        Log log = open();
        Topic topic = make(log, "keyed",
                           {{small_segments, "4000"},
                            {"flowstone.durability", "written"},
                            {"cleanup.policy", "compact"},
                            {"min.cleanable.dirty.ratio", "0.01"}});
        fill(topic, 0, 6);
    }
    {
        Log log = open();  // its batches are found in the files, and none is kept in memory
        Topic aged = make_aged(log);
        for (int i = 1; i < 5; ++i) {
            maintain(log);  // checkpoints that are not exact: the first speaks of it, the later ones need not
            fill(aged, 6 * i, 6 * (i + 1));
        }
        close(log);
    }
    Log log = open();
    Topic topic = value_of(log.topic("keyed"));
    EXPECT_EQ(read(topic).size(), 6u);
    EXPECT_EQ(value_of(topic.append({.key = "k", .value = "next"})).offset, Offset{6});
}

// Each write of such a topic may tear the whole page, again after a checkpoint too: the journal keeps its proven bytes.
TEST_F(RecoveryTest, ProvenBytesSurviveWhateverIsAppendedToTheirBlockLater) {
    for (const char* level : {"written", "memory"}) {
        SimDisk disk;
        {
            Log log = open_on(disk);
            Topic topic = make(log, "events", {{"flowstone.durability", level}});
            fill(topic, 0, 2);
            ASSERT_TRUE(log.checkpoint());
            ASSERT_TRUE(topic.append(record("a")));
            make_aged(log);
            ASSERT_TRUE(log.flush());
            for (int i = 0; i < 3; ++i) { maintain(log); }
            Topic aged = value_of(log.topic("aged"));
            fill(aged, 6, 12);
            maintain(log);
            ASSERT_TRUE(topic.append(record("b")));
            ASSERT_TRUE(log.flush());
            fill(aged, 12, 18);
            maintain(log);
            ASSERT_TRUE(topic.append(record("c")));
        }
        for (uint64_t seed = 0; seed < 16; ++seed) {
            const auto after = disk.crash({.seed = seed});
            Log log = open_on(*after);
            Topic topic = value_of(log.topic("events"));
            const auto found = read(topic);
            ASSERT_GE(found.size(), 2u) << level << " seed " << seed;
            EXPECT_EQ(found[1].second, numbered(1));
        }
    }
}

// What a rolled segment held before the crash is hashed from its file. That may fail, and is begun anew.
TEST_F(RecoveryTest, ASealIsOfTheWholeSegmentThoughReadingItFailedOnce) {
    {
        Log log = open();
        Topic topic = make(log, "events", {{small_segments, "4000"}});
        fill(topic, 0, 3);
        ASSERT_TRUE(log.checkpoint());
        fill(topic, 3, 6);
    }
    FaultyDisk disk(disk_);
    Log log = open_on(disk);
    disk.only_paths_with("events-0/00000000000000000000.log");
    disk.fail_at(FaultyDisk::Call::read, disk.calls(FaultyDisk::Call::read), EIO);
    EXPECT_FALSE(log.checkpoint());
    ASSERT_TRUE(disk.failed());
    disk.heal();
    ASSERT_TRUE(log.checkpoint());
    close(log);
    EXPECT_EQ(verify_directory(disk_, "data"), "");
}

// Bytes that only the journal brought back are not in the file yet when the memory that holds them is full.
TEST_F(RecoveryTest, WhatTheJournalBroughtBackOfAWrittenTopicIsReadFromThereUntilItIsFilled) {
    const std::string first(5'000, '.');
    for (const bool idle : {false, true}) {
        SimDisk disk;
        {
            Log log = open_on(disk);
            Topic topic = make(log, "events", {{"flowstone.durability", "written"}});
            ASSERT_TRUE(topic.append(record(first)));
            close(log);
        }
        {
            Log log = open_on(disk);
            Topic topic = value_of(log.topic("events"));
            ASSERT_TRUE(topic.append(record("torn")));
        }
        // The power is lost while the block is being written: it holds noise.
        const auto after = disk.crash({.keep = Crash::Keep::nothing});
        auto file = value_of(after->open("data/events-0/00000000000000000000.log", {.write = true}));
        ASSERT_TRUE(write_at(*after, *file, BytePos{4096}, as_bytes(std::string(900, '?'))));
        file.reset();
        Log log = open_on(*after);
        Topic topic = value_of(log.topic("events"));
        ASSERT_EQ(read(topic).size(), 1u);
        for (int i = 0; idle && i < 2; ++i) { ASSERT_TRUE(log.checkpoint()); }
        const std::string large(idle ? 3'000 : 20'000, 'x');  // more than there is room for beside what is there
        ASSERT_TRUE(topic.append(record(large)));
        EXPECT_THAT(read(topic), testing::ElementsAre(testing::Pair(0, first), testing::Pair(1, large)));
        close(log);
        EXPECT_EQ(verify_directory(*after, "data"), "");
    }
}

// The seal's name survived, that of the segment did not: we sync the one before we make the other, others may not have.
TEST_F(RecoveryTest, ASealOfBytesThatAreGoneIsNoSealOfWhatIsAppendedNow) {
    SimDisk recorded({.record = true});
    {
        Log log = open_on(recorded);
        Topic topic = make(log, "passing", {{small_segments, "4000"}, {"flowstone.durability", "written"}});
        fill(topic, 0, 10);
        close(log);
    }
    uint64_t sealed = 0;
    const std::string first = "passing-0/00000000000000000000.seal";
    for (uint64_t i = 0; i < recorded.operations(); ++i) {
        if (recorded.describe(i).ends_with(".seal.tmp to data/" + first)) { sealed = i + 1; }
    }
    ASSERT_GT(sealed, 0u);
    int found = 0;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        const auto disk = recorded.crash_state({.operation = sealed, .crash = {.seed = seed}});
        if (!disk->info("data/" + first)) { continue; }
        ++found;
        ASSERT_TRUE(disk->remove("data/passing-0/00000000000000000000.log")) << "seed " << seed;
        Log log = open_on(*disk);
        Topic topic = value_of(log.topic("passing"));
        ASSERT_TRUE(topic.append(record("next")));
        close(log);
        ASSERT_EQ(verify_directory(*disk, "data"), "") << "seed " << seed;
    }
    EXPECT_GT(found, 0);
}

// Names survive in any subset: the new file's may, and the removal of the old one's index not.
TEST_F(RecoveryTest, ACompactedSegmentNeverHasTheIndexOfTheOneItReplaced) {
    SimDisk recorded({.record = true});
    uint64_t first = 0;
    {
        Log log = open_on(recorded);
        Topic topic =
            make(log, "keyed",
                 {{small_segments, "9000"}, {"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0.01"}});
        for (int i = 0; i < 5; ++i) { fill(topic, 0, 6); }
        first = recorded.operations();
        maintain(log);
    }
    int renamed = 0;
    for (uint64_t operation = first; operation < recorded.operations(); ++operation) {
        const std::string text = recorded.describe(operation);
        if (!text.starts_with("rename") || text.find(".cleaned to") == std::string::npos) { continue; }
        ++renamed;
        for (uint64_t seed = 0; seed < 60; ++seed) {
            const auto disk = recorded.crash_state({.operation = operation, .during = true, .crash = {.seed = seed}});
            Log log = open_on(*disk);
            close(log);
            ASSERT_EQ(verify_directory(*disk, "data"), "") << "operation " << operation << " seed " << seed;
        }
    }
    EXPECT_GT(renamed, 0);
}

TEST_F(RecoveryTest, ARingThatACrashLeftHalfMadeKeepsNobodyFromLookingIn) {
    Log log = open();
    Topic topic = make(log, "events");
    fill(topic, 0, 2);
    auto half = disk_.open("data/flowstone-journal-1.0000", {.write = true, .create = true});
    ASSERT_TRUE(half);
    const std::vector<std::byte> zeros(1u << 20);
    ASSERT_TRUE(write_at(disk_, **half, BytePos{0}, zeros));
    Log beside = open({.read_only = true});
    Topic seen = value_of(beside.topic("events"));
    EXPECT_EQ(read(seen), read(topic));
}

TEST_F(RecoveryTest, RingsOfShardsThatAreNoMoreAreGoneForGood) {
    const auto open_with = [&](Disk& disk, uint32_t shards) {
        auto log = open_log({&disk, &clock_, &random_}, "data", {}, {.shards = shards});
        EXPECT_TRUE(log) << log.error().message();
        return std::move(*log);
    };
    const auto second_ring = Contains(StartsWith("flowstone-journal-1"));
    {
        Log log = open_with(disk_, 2);
        Topic topic = make(log, "events", {}, 4);
        for (int32_t partition = 0; partition < 4; ++partition) {
            ASSERT_TRUE(topic.append(record("a"), {.partition = partition}));
        }
        ASSERT_THAT(files("data"), second_ring);
    }
    // One that a crash had kept from being removed, too.
    {
        FaultyDisk disk(disk_);
        disk.fail_at(FaultyDisk::Call::remove, disk.calls(FaultyDisk::Call::remove), EIO, true);
        EXPECT_FALSE(open_log({&disk, &clock_, &random_}, "data"));
        ASSERT_THAT(files("data"), second_ring);
    }
    {
        Log log = open();
        EXPECT_THAT(files("data"), Not(second_ring));
    }
    const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
    EXPECT_THAT(files_on(*crashed, "data"), Not(second_ring));
    Log log = open_on(*crashed);
    Topic topic = value_of(log.topic("events"));
    for (int32_t partition = 0; partition < 4; ++partition) { EXPECT_EQ(read(topic, {}, partition).size(), 1u); }
}

TEST_F(RecoveryTest, ASegmentThatDoesNotContinueTheLogIsGoneForGood) {
    constexpr char stray[] = "data/events-0/00000000000000000100.log";
    {
        Log log = open();
        Topic topic = make(log, "events");
        fill(topic, 0, 3);
        ASSERT_TRUE(log.checkpoint());
        fill(topic, 3, 4);
        auto file = disk_.open(stray, {.write = true, .create = true});
        ASSERT_TRUE(file);
        ASSERT_TRUE(write_at(disk_, **file, BytePos{0}, std::vector<std::byte>(4096)));
        ASSERT_TRUE(sync(disk_, **file));
        ASSERT_TRUE(disk_.sync_directory("data/events-0"));
    }
    { Log log = open(); }
    const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
    EXPECT_THAT(files_on(*crashed, "data/events-0"), Not(Contains(StartsWith("00000000000000000100"))));
    Log log = open_on(*crashed);
    Topic topic = value_of(log.topic("events"));
    EXPECT_EQ(read(topic).size(), 4u);
}

// Whatever the checkpoint had done: a segment that has its seal does not grow any more.
// Ten thousand partitions with a record each would be ten thousand directories, files and syncs before the first answer.
TEST_F(RecoveryTest, OpeningBringsNothingToFilesThatTheJournalHolds) {
    constexpr int partitions = 20;
    {
        Log log = open();
        Topic topic = make(log, "events", {}, partitions);
        for (int i = 0; i < partitions; ++i) { ASSERT_TRUE(topic.append(record(numbered(i)), {.partition = i})); }
    }
    const auto killed = disk_.crash({.keep = Crash::Keep::nothing});
    FaultyDisk counted(*killed);
    counted.only_paths_with("events-");
    {
        Log log = open_on(counted);
        for (const auto call :
             {FaultyDisk::Call::make_directory, FaultyDisk::Call::write, FaultyDisk::Call::write_durable,
              FaultyDisk::Call::sync, FaultyDisk::Call::sync_directory}) {
            EXPECT_EQ(counted.calls(call), 0u) << FaultyDisk::name(call);
        }
        Topic topic = value_of(log.topic("events"));
        ASSERT_TRUE(topic.append(record("next"), {.partition = 7}));
    }
    // What was left to the journal is still there after the next crash, and after a clean close.
    const auto again = killed->crash({.keep = Crash::Keep::nothing});
    for (int i = 0; i < 2; ++i) {
        Log log = open_on(*again);
        Topic topic = value_of(log.topic("events"));
        for (int partition = 0; partition < partitions; ++partition) {
            const auto found = read(topic, {}, partition);
            ASSERT_EQ(found.size(), partition == 7 ? 2u : 1u) << partition;
            EXPECT_EQ(found[0].second, numbered(partition));
        }
        close(log);
    }
}

TEST_F(RecoveryTest, ATrimThatOnlyTheJournalHoldsOutlivesOpeningsThatBringNothingToFiles) {
    {
        Log log = open();
        Topic topic = make(log, "events");
        fill(topic, 0, 3);
        ASSERT_TRUE(log.checkpoint());  // every byte of it is in its file
        ASSERT_TRUE(topic.delete_records(0, Offset{2}));
    }
    auto disk = disk_.crash({.keep = Crash::Keep::nothing});
    for (int i = 0; i < 3; ++i) {
        Log log = open_on(*disk);
        Topic topic = value_of(log.topic("events"));
        EXPECT_EQ(info(topic).log_start, Offset{2}) << i;
        disk = disk->crash({.keep = Crash::Keep::nothing});
    }
}

// A crash in the middle of such a write would tear what the checkpoint proved, and nothing else holds it.
TEST_F(RecoveryTest, AProvenBlockIsNotWrittenAgainBeforeTheJournalHoldsIt) {
    FaultyDisk disk(disk_);
    Log log = open_on(disk);
    Topic busy = make(log, "busy");
    Topic topic = make(log, "events");
    fill(busy, 0, 1);
    fill(topic, 0, 1);
    ASSERT_TRUE(log.checkpoint());
    fill(busy, 1, 2);
    disk.only_paths_with(".log");
    const uint64_t writes = disk.calls(FaultyDisk::Call::write);
    const std::string large(20'000, '.');  // in memory of its own, which begins with a copy of the block
    const Record more[] = {record(large)};
    const AtomicPart parts[] = {{topic, 0, more}};
    std::optional<Pending> pending;
    disk.interrupt(FaultyDisk::Call::write, [&] { pending = value_of(log.append_atomic(parts)); });
    ASSERT_TRUE(log.checkpoint());
    ASSERT_TRUE(pending);
    EXPECT_EQ(disk.calls(FaultyDisk::Call::write), writes + 1) << "more than that of the other topic";
    ASSERT_TRUE(log.wait(*pending));
    EXPECT_EQ(read(topic).size(), 2u);
}

TEST_F(RecoveryTest, ATrimOfWhatACrashTookIsNotRepeatedOnWhatCameInItsPlace) {
    {
        Log log = open();
        Topic durable = make(log, "durable");
        Topic memory = make(log, "memory", {{"flowstone.durability", "memory"}});
        fill(durable, 0, 1);
        fill(memory, 0, 3);
        ASSERT_TRUE(memory.delete_records(0, Offset{3}));
    }
    const auto first = disk_.crash({.keep = Crash::Keep::nothing});
    {
        Log log = open_on(*first);
        Topic memory = value_of(log.topic("memory"));
        ASSERT_EQ(info(memory).log_end, Offset{0});
        fill(memory, 10, 11);
        ASSERT_TRUE(log.checkpoint());
    }
    const auto second = first->crash({.keep = Crash::Keep::nothing});
    Log log = open_on(*second);
    Topic memory = value_of(log.topic("memory"));
    EXPECT_EQ(read(memory).size(), 1u);
}

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
