// What a checkpoint does beside the commits, and what it does not do again.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/log/log_world.h"
#include "tests/sim/world/faulty_disk.h"
#include "tests/sim/world/world_verify.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using CheckpointTest = LogWorld;

// With a ring that waited for the checkpoint to end this would never end.
TEST_F(CheckpointTest, TheRingGrowsBesideIt) {
    FaultyDisk disk(disk_);
    Log log = open_on(disk, {.journal_bytes_max = 128u << 20});
    Topic topic = make(log, "events");
    fill(topic, 0, 1);
    const std::string large(40'000, 'v');
    constexpr int count = 1'000;  // more than the ring begins with
    int appended = 0;
    disk.only_paths_with(".log");
    disk.interrupt(FaultyDisk::Call::sync, [&] {
        for (; appended < count; ++appended) { ASSERT_TRUE(topic.append(record(large))); }
    });
    ASSERT_TRUE(log.checkpoint());
    ASSERT_EQ(appended, count);
    close(log);
    Log again = open();
    Topic found = value_of(again.topic("events"));
    EXPECT_EQ(info(found).log_end, Offset{1 + count});
}

// Else a log of large records would come to none for thousands of times its ring: its finished segments without seals and
// their indexes in memory, and all of it to be walked through after a crash.
TEST_F(CheckpointTest, WhatGoesPastTheRingAsksForOneAsWell) {
    for (const uint32_t threads : {0u, 1u}) {
        SimDisk disk;
        Log log = open_on(disk, {.threads = threads, .journal_bytes_max = 16u << 20});
        Topic topic = make(log, "events", {{"internal.segment.bytes", "3000000"}});
        const std::string large(400'000, 'v');
        for (int i = 0; i < 400; ++i) { ASSERT_TRUE(topic.append(record(large))); }
        ASSERT_TRUE(topic.append(record("the last")));
        size_t sealed = 0;
        for (const std::string& name : files_on(disk, "data/events-0")) { sealed += name.ends_with(".seal") ? 1 : 0; }
        EXPECT_GE(sealed, 20u) << "of 57 finished segments, with threads " << threads;
        close(log);
    }
}

// With `threads = 0` it is taken in pieces by those that commit: none of them pays for all partitions.
TEST_F(CheckpointTest, WhoCommitsTakesNoMoreOfItThanAFewFiles) {
    FaultyDisk disk(disk_);
    Log log = open_on(disk, {.threads = 0, .journal_bytes_max = 48u << 20});
    constexpr int32_t partitions = 200;
    Topic many = make(log, "many", {}, partitions);
    Topic busy = make(log, "busy");
    Topic others = make(log, "others", {}, 20);
    const std::string large(40'000, 'v');
    uint64_t most = 0;
    uint64_t syncs = 0;
    const auto append = [&](Topic& topic, std::string_view value, int32_t partition) {
        const uint64_t before = disk.calls(FaultyDisk::Call::sync);
        ASSERT_TRUE(topic.append(record(value), {.partition = partition}));
        const uint64_t own = disk.calls(FaultyDisk::Call::sync) - before;
        most = std::max(most, own);
        syncs += own;
    };
    for (int i = 0; i < 2'000; ++i) {
        // What somebody else appended meanwhile is committed by whoever waits, too.
        for (int32_t k = 0; i % 25 == 10 && k < 20; ++k) {
            ASSERT_TRUE(others.append_async(record(large), {.partition = k}));
        }
        append(many, std::string_view(large).substr(0, 5'000),
               i % partitions);  // more than a block, which is carried instead
        append(busy, large, 0);
    }
    EXPECT_GT(syncs, 2u * partitions) << "the ring came round several times";
    EXPECT_LE(most, 16u * 3) << "log and both indexes of sixteen partitions";
    close(log);
    Log again = open();
    busy = value_of(again.topic("busy"));
    many = value_of(again.topic("many"));
    EXPECT_EQ(info(busy).log_end, Offset{2'000});
    for (int32_t i = 0; i < partitions; ++i) { EXPECT_EQ(info(many, i).log_end, Offset{10}); }
}

// The end of the first record is in the block that the second is filled with: the file holds it, but only the first commit
// holds it durably, whatever is repeated of the block behind it.
TEST_F(CheckpointTest, WhatWasFilledSinceItsFileWasSyncedIsStillNeeded) {
    FaultyDisk disk(disk_);
    Log log = open_on(disk, {.threads = 0, .journal_bytes_max = 16u << 20, .dirty_bytes_max = 256u << 10});
    Topic topic = make(log, "events");
    Topic others = make(log, "others", {}, 20);  // more than are synced together
    const std::string a_block_and_more(5'000, 'e');
    const std::string large(40'000, 'v');
    ASSERT_TRUE(topic.append(record(a_block_and_more)));
    for (int32_t i = 0; i < 20; ++i) { ASSERT_TRUE(others.append(record(large), {.partition = i})); }
    disk.only_paths_with("others-19/0000");
    disk.interrupt(FaultyDisk::Call::sync, [&] {
        ASSERT_TRUE(topic.append(record(a_block_and_more)));
        for (int32_t i = 0; i < 40; ++i) { ASSERT_TRUE(others.append(record(large), {.partition = i % 20})); }
        disk.only_paths_with("flowstone-checkpoint");
    });
    const auto slots = [&] { return disk.calls(FaultyDisk::Call::sync) + disk.calls(FaultyDisk::Call::write_durable); };
    const auto before = slots();
    for (int i = 0; i < 1'000 && slots() == before; ++i) {
        ASSERT_TRUE(others.append(record(large), {.partition = 0}));
    }
    ASSERT_GT(slots(), before) << "the ring asked for a checkpoint";
    ASSERT_EQ(info(topic).log_end, Offset{2}) << "it came meanwhile";
    const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
    Log again = open_on(*crashed);
    Topic found = value_of(again.topic("events"));
    EXPECT_EQ(read(found).size(), 2u);
}

TEST_F(CheckpointTest, AnIndexIsSyncedOnceForWhatWasWrittenToIt) {
    FaultyDisk disk(disk_);
    Log log = open_on(disk);
    Topic topic = make(log, "events");
    disk.only_paths_with("events-0/0000");
    const auto syncs = [&](int from, int to) {
        fill(topic, from, to);
        const uint64_t before = disk.calls(FaultyDisk::Call::sync);
        EXPECT_TRUE(log.checkpoint());
        return disk.calls(FaultyDisk::Call::sync) - before;
    };
    EXPECT_EQ(syncs(0, 10), 3u) << "records, index of offsets, index of times";
    EXPECT_EQ(syncs(10, 11), 1u) << "within the same 4 KiB nothing is noted";
    EXPECT_EQ(syncs(11, 20), 3u);
    close(log);
    // The page cache is gone; the checkpoint speaks of entries that must be there.
    const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
    Log again = open_on(*crashed);
    Topic found = value_of(again.topic("events"));
    EXPECT_EQ(read(found, From(Offset{15})).size(), 5u);
}

TEST_F(CheckpointTest, AnIndexHasAFileOnceThereIsAnEntry) {
    const std::string directory = "data/events-0";
    const std::string index = "00000000000000000000.index";
    const std::string times = "00000000000000000000.timeindex";
    Log log = open();
    Topic topic = make(log, "events");
    fill(topic, 0, 1);
    ASSERT_TRUE(log.checkpoint());
    EXPECT_THAT(files(directory), testing::ElementsAre("00000000000000000000.log", "partition.metadata"));
    {
        const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
        Log again = open_on(*crashed);
        topic = value_of(again.topic("events"));
        EXPECT_EQ(read(topic).size(), 1u);
        ASSERT_TRUE(topic.append(record("more")));
        close(again);
        EXPECT_THAT(files_on(*crashed, directory), testing::IsSupersetOf({index, times})) << "Kafka looks for them";
    }
    topic = value_of(log.topic("events"));
    fill(topic, 1, 10);
    ASSERT_TRUE(log.checkpoint());
    const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
    EXPECT_THAT(files_on(*crashed, directory), testing::IsSupersetOf({index, times})) << "made behind the first sync";
    EXPECT_EQ(verify_directory(*crashed, "data"), "");
    close(log);
    EXPECT_THAT(files(directory), testing::IsSupersetOf({index, times}));
}

TEST_F(CheckpointTest, AFileIsSyncedOnceForWhatWasWrittenToIt) {
    FaultyDisk disk(disk_);
    Log log = open_on(disk);
    Topic topic = make(log, "events");
    Topic other = make(log, "other");
    fill(topic, 0, 10);
    ASSERT_TRUE(log.checkpoint());
    disk.only_paths_with("events-0/0000");
    const uint64_t before = disk.calls();
    fill(other, 0, 10);
    ASSERT_TRUE(log.checkpoint());
    EXPECT_EQ(disk.calls(), before) << "it is not even opened";
    fill(topic, 10, 20);
    ASSERT_TRUE(log.checkpoint());
    EXPECT_GT(disk.calls(FaultyDisk::Call::sync), 0u);
    const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
    Log again = open_on(*crashed);
    topic = value_of(again.topic("events"));
    EXPECT_EQ(read(topic).size(), 20u);
}

TEST_F(CheckpointTest, WhatACheckpointThatFailedDidNotSyncTheNextOneDoes) {
    FaultyDisk disk(disk_);
    Log log = open_on(disk);
    Topic trimmed = make(log, "trimmed", {{"internal.segment.bytes", "9000"}});
    fill(trimmed, 0, 30);
    ASSERT_TRUE(log.checkpoint());
    Topic topic = make(log, "events");
    fill(topic, 0, 20);
    ASSERT_TRUE(trimmed.delete_records(0, Offset{20}));
    // Maintenance removes segments, which asks for a checkpoint; an explicit one would write the last block again.
    disk.only_paths_with("events-0/00000000000000000000.index");
    disk.fail_at(FaultyDisk::Call::write, disk.calls(FaultyDisk::Call::write), ENOSPC);
    (void)log.maintain();
    ASSERT_TRUE(disk.failed());
    disk.heal();
    maintain(log);
    const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
    Log again = open_on(*crashed);
    topic = value_of(again.topic("events"));
    EXPECT_EQ(read(topic).size(), 20u);
}

// What is to be repeated at the ring's head finds no room there, because others committed meanwhile.
TEST_F(CheckpointTest, FragmentsThatDoNotFitIntoTheRingGoToTheirFiles) {
    constexpr int32_t partitions = 300;
    FaultyDisk disk(disk_);
    Log log = open_on(disk, {.threads = 0, .journal_bytes_max = 16u << 20});
    Topic trimmed = make(log, "trimmed", {{"internal.segment.bytes", "9000"}});
    fill(trimmed, 0, 30);
    ASSERT_TRUE(log.checkpoint());
    ASSERT_TRUE(trimmed.delete_records(0, Offset{20}));
    Topic many = make(log, "many", {}, partitions);
    const std::string fragment(3'000, 'f');
    const std::string large(40'000, 'v');
    for (int32_t i = 0; i < partitions; ++i) { ASSERT_TRUE(many.append(record(fragment), {.partition = i})); }
    disk.only_paths_with(".log");
    bool meanwhile = false;
    disk.interrupt(FaultyDisk::Call::sync, [&] {
        meanwhile = true;
        Topic others = make(log, "others", {}, 360);
        // 40 KiB each, which leaves less of the ring than the fragments need.
        for (int32_t i = 0; i < 360; ++i) { ASSERT_TRUE(others.append(record(large), {.partition = i})); }
    });
    maintain(log);  // removes segments, which asks for a checkpoint
    ASSERT_TRUE(meanwhile);
    const auto ends = [&](int64_t end) {
        const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
        Log again = open_on(*crashed);
        Topic found = value_of(again.topic("many"));
        for (int32_t i = 0; i < partitions; ++i) { EXPECT_EQ(info(found, i).log_end, Offset{end}); }
    };
    ends(1);
    // The ring comes round: what it holds of them is let go of. Then they go on within the same block.
    Topic others = value_of(log.topic("others"));
    for (int32_t i = 0; i < 720; ++i) { ASSERT_TRUE(others.append(record(large), {.partition = i % 360})); }
    for (int32_t i = 0; i < partitions; ++i) { ASSERT_TRUE(many.append(record("v"), {.partition = i})); }
    ends(2);
}

}  // namespace
}  // namespace flowstone
