#include "log/served_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/environment.h"
#include "storage/batch.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

class ServedLogTest : public testing::Test {
protected:
    ServedLogTest() { open(); }

    void open() {
        served_.reset();
        log_.reset();
        log_.emplace(value_of(open_log({&disk_, &clock_, &random_}, "data")));
        served_.emplace(*log_);
    }

    struct Sent {
        int records = 1;
        int64_t timestamp_ms = 0;  // of the first; each next is one later
        int64_t producer_id = -1;
        int32_t sequence = -1;
        size_t value_bytes = 10;
    };
    std::vector<std::byte> batch(const Sent& sent) {
        std::vector<std::byte> space(batch_header_bytes + static_cast<size_t>(sent.records) * (sent.value_bytes + 64));
        BatchBuilder builder(space, {.producer_id = sent.producer_id,
                                     .producer_epoch = static_cast<int16_t>(sent.producer_id < 0 ? -1 : 0),
                                     .base_sequence = sent.sequence});
        const std::string value(sent.value_bytes, 'v');
        for (int i = 0; i < sent.records; ++i) {
            EXPECT_TRUE(builder.append({.key = "k", .value = value}, sent.timestamp_ms + i));
        }
        const Bytes built = builder.close().bytes();
        return {built.begin(), built.end()};
    }
    AppendedBatch append(const ServedTopic& topic, const Sent& sent) {
        return value_of(served_->append(topic, 0, batch(sent)));
    }
    void settle() { ASSERT_TRUE(served_->poll()); }
    std::vector<Offset> bases(const StoredBatches& read) {
        std::vector<Offset> out;
        for (Bytes piece : read.pieces) {
            while (!piece.empty()) {
                const BatchView view = value_of(BatchView::parse(piece));
                EXPECT_TRUE(view.crc_matches());
                out.push_back(view.base_offset());
                piece = piece.subspan(view.size());
            }
        }
        return out;
    }

    SimDisk disk_;
    SimClock clock_;
    SimRandom random_{1};
    std::optional<Log> log_;
    std::optional<ServedLog> served_;
};

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(ServedLogTest, WhatIsAppendedIsVisibleOnceItIsCommitted) {
    const ServedTopic topic = value_of(served_->create("t", 1, {}));
    const AppendedBatch first = append(topic, {.records = 3});
    EXPECT_EQ(first.base_offset, Offset{0});
    EXPECT_EQ(first.next_offset, Offset{3});
    const ServedPartition place = value_of(served_->partition(topic, 0));
    EXPECT_EQ(served_->ends(place).high_watermark, Offset{0});
    EXPECT_EQ(served_->ends(place).log_end, Offset{3});
    settle();
    EXPECT_EQ(served_->ends(place).high_watermark, Offset{3});
}

TEST_F(ServedLogTest, AReaderGoesOnWhereItWasThoughTheSegmentWasClosedMeanwhile) {
    const ServedTopic topic = value_of(served_->create("t", 1, {{"segment.bytes", "1048576"}}));
    const ServedPartition place = value_of(served_->partition(topic, 0));
    StoredBatches begun;
    for (int i = 0; i < 160; ++i) {  // some fifty to a segment, and through memory
        append(topic, {.value_bytes = 20'000});
        settle();
        if (i == 2) { begun = value_of(served_->read(place, Offset{0}, {.bytes_max = 45'000, .memory_only = true})); }
    }
    ASSERT_EQ(begun.next_offset, Offset{2});
    ASSERT_TRUE(log_->checkpoint());
    const StoredBatches next = value_of(served_->read(place, begun.next_offset, {.bytes_max = 45'000}));
    EXPECT_THAT(bases(next), ElementsAre(Offset{2}, Offset{3}));
}

TEST_F(ServedLogTest, AWatchedPartitionIsAmongTheMovedOnceForEachWatch) {
    const ServedTopic topic = value_of(served_->create("t", 1, {}));
    const ServedPartition place = value_of(served_->partition(topic, 0));
    int notices = 0;
    served_->set_notice([&] { ++notices; });
    append(topic, {});
    settle();
    EXPECT_EQ(notices, 0);
    EXPECT_THAT(served_->moved(), IsEmpty());

    served_->watch(place);
    append(topic, {});
    EXPECT_EQ(notices, 0) << "appended is not yet visible";
    settle();
    append(topic, {});
    settle();
    EXPECT_EQ(notices, 1);
    EXPECT_THAT(served_->moved(), ElementsAre(place));
    EXPECT_THAT(served_->moved(), IsEmpty());
}

TEST_F(ServedLogTest, DeletionIsAMoveToo) {
    const ServedTopic topic = value_of(served_->create("t", 1, {}));
    const ServedPartition place = value_of(served_->partition(topic, 0));
    served_->watch(place);
    ASSERT_TRUE(log_->delete_topic("t"));
    EXPECT_THAT(served_->moved(), ElementsAre(place));
    EXPECT_TRUE(served_->ends(place).deleted);
    EXPECT_FALSE(served_->topic("t"));
    EXPECT_FALSE(served_->topic(topic.id()));
}

TEST_F(ServedLogTest, ADuplicateSaysWhereTheOriginalIsAndWhenThatIsAcknowledged) {
    const ServedTopic topic = value_of(served_->create("t", 1, {}));
    append(topic, {.records = 2, .producer_id = 7, .sequence = 0});
    append(topic, {.records = 3, .producer_id = 7, .sequence = 2});
    const AppendedBatch again = append(topic, {.records = 2, .producer_id = 7, .sequence = 0});
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.base_offset, Offset{0});
    EXPECT_EQ(again.next_offset, Offset{2});
}

TEST_F(ServedLogTest, ReadingBeginsWithTheBatchThatHoldsTheOffset) {
    const ServedTopic topic = value_of(served_->create("t", 1, {}));
    for (int i = 0; i < 4; ++i) { append(topic, {.records = 5}); }
    settle();
    const ServedPartition place = value_of(served_->partition(topic, 0));
    const StoredBatches read = value_of(served_->read(place, Offset{7}, {.memory_only = true}));
    EXPECT_THAT(bases(read), ElementsAre(Offset{5}, Offset{10}, Offset{15}));
    EXPECT_EQ(read.next_offset, Offset{20});
    EXPECT_FALSE(read.on_disk);
    EXPECT_THAT(value_of(served_->read(place, Offset{20}, {})).pieces, IsEmpty());
    EXPECT_EQ(served_->read(place, Offset{21}, {}).error().code, Code::out_of_range);
}

TEST_F(ServedLogTest, WhatIsNotVisibleIsNotRead) {
    const ServedTopic topic = value_of(served_->create("t", 1, {}));
    append(topic, {.records = 5});
    const ServedPartition place = value_of(served_->partition(topic, 0));
    EXPECT_THAT(value_of(served_->read(place, Offset{0}, {})).pieces, IsEmpty());
    settle();
    append(topic, {.records = 5});
    EXPECT_THAT(bases(value_of(served_->read(place, Offset{0}, {}))), ElementsAre(Offset{0}));
}

TEST_F(ServedLogTest, AReadStopsAtItsLimitButForAFirstBatchThatIsWanted) {
    const ServedTopic topic = value_of(served_->create("t", 1, {}));
    for (int i = 0; i < 3; ++i) { append(topic, {.value_bytes = 1000}); }
    settle();
    const ServedPartition place = value_of(served_->partition(topic, 0));
    const size_t one = batch({.value_bytes = 1000}).size();
    EXPECT_THAT(bases(value_of(served_->read(place, Offset{0}, {.bytes_max = 2 * one}))),
                ElementsAre(Offset{0}, Offset{1}));
    EXPECT_THAT(bases(value_of(served_->read(place, Offset{0}, {.bytes_max = 2 * one - 1}))), ElementsAre(Offset{0}));
    EXPECT_THAT(bases(value_of(served_->read(place, Offset{0}, {.bytes_max = 1}))), ElementsAre(Offset{0}));
    EXPECT_THAT(bases(value_of(served_->read(place, Offset{0}, {.bytes_max = 1, .at_least_one = false}))), IsEmpty());
}

TEST_F(ServedLogTest, FilesGiveTheSameBatchesAsMemory) {
    ServedTopic topic = value_of(served_->create("t", 1, {{"segment.bytes", "1048576"}}));
    for (int i = 0; i < 40; ++i) { append(topic, {.records = 1 + i % 4, .value_bytes = 50'000}); }
    settle();
    ServedPartition place = value_of(served_->partition(topic, 0));
    const auto all = [&] {
        std::vector<Offset> out;
        for (Offset from{0}; from < served_->ends(place).high_watermark;) {
            const StoredBatches read = value_of(served_->read(place, from, {.bytes_max = 300'000}));
            for (const Offset base : bases(read)) { out.push_back(base); }
            EXPECT_GT(read.next_offset, from);
            if (read.next_offset <= from) { break; }
            from = read.next_offset;
        }
        return out;
    };
    const std::vector<Offset> warm = all();
    EXPECT_EQ(warm.size(), 40u);
    ASSERT_TRUE(log_->close());
    open();
    topic = *served_->topic("t");
    place = value_of(served_->partition(topic, 0));
    EXPECT_TRUE(value_of(served_->read(place, Offset{0}, {.memory_only = true})).on_disk);
    EXPECT_EQ(all(), warm);
}

TEST_F(ServedLogTest, ThePlaceOfATimeComesWithTheTimeThatIsThere) {
    const ServedTopic topic = value_of(served_->create("t", 1, {}));
    append(topic, {.records = 3, .timestamp_ms = 100});
    append(topic, {.records = 3, .timestamp_ms = 500});
    append(topic, {.records = 3, .timestamp_ms = 300});
    settle();
    const ServedPartition place = value_of(served_->partition(topic, 0));
    const FoundOffset found = value_of(served_->find_time(place, 103));
    EXPECT_EQ(found.offset, Offset{3});
    EXPECT_EQ(found.timestamp_ms, 500);
    EXPECT_EQ(value_of(served_->find_time(place, 503)).offset, Offset{-1});
    const FoundOffset last = value_of(served_->find_largest_time(place));
    EXPECT_EQ(last.offset, Offset{5});
    EXPECT_EQ(last.timestamp_ms, 502);
}

TEST_F(ServedLogTest, TheLeaderEpochIsTheSameBeforeAndAfterTheFirstAppendAndGrowsWithEachOpening) {
    ServedTopic topic = value_of(served_->create("t", 2, {}));
    const Epoch before = served_->leader_epoch(topic, 0);
    append(topic, {});
    settle();
    EXPECT_EQ(served_->leader_epoch(topic, 0), before);
    const ServedPartition place = value_of(served_->partition(topic, 0));
    EXPECT_THAT(served_->epochs(place), ElementsAre(EpochStart{before, Offset{0}}));
    ASSERT_TRUE(log_->close());
    open();
    topic = *served_->topic("t");
    EXPECT_GT(served_->leader_epoch(topic, 0), before);
}

TEST_F(ServedLogTest, ATopicMadeHereHasTheDefaultRetention) {
    const ServedTopic topic = value_of(served_->create("t", 1, {}));
    EXPECT_EQ(served_->config(topic)->retention_ms, -1) << "nobody said yet what it is";
    ASSERT_TRUE(served_->set_topic_defaults({}));
    EXPECT_EQ(served_->config(topic)->retention_ms, 604'800'000);
    ASSERT_TRUE(served_->set_topic_defaults({{"retention.ms", "5"}}));
    EXPECT_EQ(served_->config(topic)->retention_ms, 5);
    EXPECT_TRUE(served_->config(topic)->set.empty());
    EXPECT_EQ(served_->create("t", 1, {}).error().code, Code::exists);
    EXPECT_EQ(served_->check_create("t", 1, {}).error().code, Code::exists);
    EXPECT_EQ(served_->check_create("a b", 1, {}).error().code, Code::invalid);
    EXPECT_EQ(served_->create("__consumer_offsets", 1, {}).error().code, Code::invalid);
    EXPECT_TRUE(served_->check_create("u", 1, {}));
    EXPECT_FALSE(served_->topic("u"));
    EXPECT_TRUE(value_of(served_->create("__consumer_offsets", 50, {}, true)).internal());
    EXPECT_FALSE(served_->topic("__cluster_metadata"));
}

// The broker was told to keep everything; whoever opens its directory next was told nothing.
TEST_F(ServedLogTest, WhoDoesNotServeTheTopicDeletesNothingOfIt) {
    ASSERT_TRUE(served_->set_topic_defaults({{"retention.ms", "-1"}}));
    append(value_of(served_->create("t", 1, {})), {});
    settle();
    ASSERT_TRUE(log_->close());
    open();
    ASSERT_TRUE(log_->maintain());
    for (int i = 0; i < 3; ++i) {  // the second hour without a jump of the clock is believed
        clock_.advance_ms(30ll * 24 * 3'600'000);
        ASSERT_TRUE(log_->maintain());
    }
    Topic topic = value_of(log_->topic("t"));
    EXPECT_EQ(value_of(topic.partition(0)).log_start, Offset{0});
    EXPECT_GT(value_of(topic.partition(0)).log_end, Offset{0});
}

TEST_F(ServedLogTest, ATimestampThatTheTopicDoesNotTakeIsOutOfRange) {
    const ServedTopic topic = value_of(served_->create("t", 1, {{"message.timestamp.after.max.ms", "1000"}}));
    const auto refused = served_->append(topic, 0, batch({.timestamp_ms = clock_.wall_ms() + 1001}));
    EXPECT_EQ(refused.error().code, Code::out_of_range);
    EXPECT_EQ(refused.error().fate, Fate::not_appended);
}

}  // namespace
}  // namespace flowstone
