// What a partition costs while nobody uses it.
#include <malloc.h>

#include <gtest/gtest.h>

#include "log/served_log.h"
#include "tests/log/log_world.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

class IdleMemoryTest : public LogWorld {
protected:
    static constexpr int32_t partitions = 200;
    static constexpr uint64_t bytes_each_max = 8u << 10;

    void append_to_all(Topic& topic, std::string_view value) {
        for (int32_t i = 0; i < partitions; ++i) { ASSERT_TRUE(topic.append(record(value), {.partition = i})); }
    }
};

TEST_F(IdleMemoryTest, APartitionThatHoldsARecordCostsEightKibibytes) {
    const uint64_t before = ::mallinfo2().uordblks;
    if (before == 0) { GTEST_SKIP() << "this allocator does not tell"; }
    Log log = open();
    ServedLog served(log);
    Topic topic = make(log, "events", {}, partitions);
    const uint64_t tail_before = served.memory().tail_bytes;
    const uint64_t without = ::mallinfo2().uordblks;
    append_to_all(topic, "v");
    // What the simulated disk keeps is counted as well: a commit's block twice, and nothing of files.
    const uint64_t disk = partitions * 2 * 4096;
    const uint64_t heap = ::mallinfo2().uordblks - without;
    const uint64_t tail = served.memory().tail_bytes - tail_before;
    EXPECT_LE(tail, partitions * 4096u);
    EXPECT_LE(heap + tail, partitions * bytes_each_max + disk);
}

// What goes straight to the files leaves the end of each finished segment behind.
TEST_F(IdleMemoryTest, RecentBytesStayWithinTheirBudgetWhereverSegmentsEnd) {
    constexpr uint64_t tail_bytes_max = 2u << 20;
    Log log = open({.threads = 0, .tail_bytes_max = tail_bytes_max});
    ServedLog served(log);
    Topic topic = make(log, "events", {{"internal.segment.bytes", "3000000"}});
    const std::string large(400'000, 'v');
    uint64_t most = 0;
    for (int i = 0; i < 200; ++i) {
        // Each tenth through the journal, the end of a segment, too.
        ASSERT_TRUE(topic.append(record(std::string_view(large).substr(0, i % 10 == 9 ? 20'000 : large.size()))));
        most = std::max(most, served.memory().tail_bytes);
    }
    EXPECT_LE(most, tail_bytes_max + (2u << 20)) << "and two chunks that are being written";
    EXPECT_EQ(read(topic).size(), 200u);
}

// The committing thread is at the partition's file all the time, so that the end of a finished segment waits for its turn.
TEST_F(IdleMemoryTest, RecentBytesStayWithinTheirBudgetWhileAThreadCommitsWithoutAPause) {
    constexpr uint64_t tail_bytes_max = 2u << 20;
    constexpr uint64_t dirty_bytes_max = 32u << 20;  // more chunks than are looked at when one is to go
    Log log = open({.threads = 1, .dirty_bytes_max = dirty_bytes_max, .tail_bytes_max = tail_bytes_max});
    ServedLog served(log);
    Topic topic = make(log, "events", {{"internal.segment.bytes", "3000000"}});
    const std::string large(400'000, 'v');
    uint64_t most = 0;
    for (int i = 0; i < 800; ++i) {
        ASSERT_TRUE(topic.append_async(record(large)));
        most = std::max(most, served.memory().tail_bytes);
    }
    EXPECT_LE(most, 2 * (tail_bytes_max + dirty_bytes_max)) << "of 320 MB";
    close(log);
}

// Batches that only the direct path can take do not wait for their turn, and do not keep others from theirs.
TEST_F(IdleMemoryTest, RecentBytesStayWithinTheirBudgetWithBatchesThatNoJournalHolds) {
    constexpr uint64_t tail_bytes_max = 2u << 20;
    constexpr uint64_t dirty_bytes_max = 16u << 20;
    for (const uint32_t threads : {0u, 1u}) {
        SCOPED_TRACE(threads);
        Log log = open({.threads = threads, .dirty_bytes_max = dirty_bytes_max, .tail_bytes_max = tail_bytes_max});
        ServedLog served(log);
        const std::string name = "events-" + std::to_string(threads);
        Topic topic = make(log, name, {{"internal.segment.bytes", "3000000"}, {"max.message.bytes", "4000000"}});
        const std::string large(1'300'000, 'v');
        uint64_t most = 0;
        for (int i = 0; i < 100; ++i) {
            ASSERT_TRUE(topic.append_async(record(large)));
            if (threads == 0) { ASSERT_TRUE(log.flush()); }
            most = std::max(most, served.memory().tail_bytes);
        }
        EXPECT_LE(most, 2 * (tail_bytes_max + dirty_bytes_max)) << "of 130 MB";
        ASSERT_TRUE(log.flush());
        EXPECT_EQ(read(topic).size(), 100u);
        close(log);
    }
}

// A checkpoint that the ring asks for writes whole blocks: the last record is partly in the file and partly in memory.
TEST_F(IdleMemoryTest, ABurstLeavesNothingBehindOnceACheckpointSawNoMore) {
    Log log = open({.journal_bytes_max = 16u << 20, .tail_bytes_max = 0});
    const ServedLog served(log);
    Topic topic = make(log, "events", {}, partitions);
    Topic busy = make(log, "busy");
    const std::string burst(30'000, 'b');
    append_to_all(topic, burst);
    ASSERT_GT(served.memory().tail_bytes, partitions * 16'384u);
    for (int i = 0; i < 1'000; ++i) { ASSERT_TRUE(busy.append(record(burst))); }
    EXPECT_LE(served.memory().tail_bytes, partitions * 4096u + (2u << 20)) << "the busy one's is less than 2 MiB";
    for (int round = 0; round < 2; ++round) {
        for (int32_t i = 0; i < partitions; ++i) {
            const auto found = read(topic, {}, i);
            ASSERT_EQ(found.size(), round + 1u);
            EXPECT_EQ(found.front().second, burst);
        }
        append_to_all(topic, "more");
    }
    close(log);
    Log again = open();
    Topic found = value_of(again.topic("events"));
    for (int32_t i = 0; i < partitions; ++i) { EXPECT_EQ(read(found, {}, i).size(), 3u); }
}

}  // namespace
}  // namespace flowstone
