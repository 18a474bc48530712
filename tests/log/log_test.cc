#include <flowstone/log.h>

#include <atomic>
#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/consumer_offsets.h"
#include "log/environment.h"
#include "storage/batch.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

// A log in a world of its own.
class LogTest : public testing::Test {
protected:
    Log open(Options options = {}) {
        auto log = open_log({&disk_, &clock_, &random_}, "data", std::move(options));
        EXPECT_TRUE(log) << log.error().message();
        return std::move(*log);
    }
    static std::vector<std::string> values(Topic& topic, int32_t partition = 0, From from = {}) {
        std::vector<std::string> out;
        auto reader = topic.read({.partition = partition, .from = from});
        EXPECT_TRUE(reader) << reader.error().message();
        for (;;) {
            auto batch = reader->next();
            EXPECT_TRUE(batch) << batch.error().message();
            if (!batch || batch->empty()) { return out; }
            for (const auto& record : *batch) { out.emplace_back(record.value.value_or("(none)")); }
        }
    }
    static Record record(std::string_view value) { return {.key = std::nullopt, .value = value}; }

    SimDisk disk_;
    SimClock clock_;
    SimRandom random_{1};
};

TEST_F(LogTest, AppendedRecordsAreReadInOrder) {
    Log log = open();
    auto topic = log.create_topic("events");
    ASSERT_TRUE(topic) << topic.error().message();
    for (int i = 0; i < 3; ++i) {
        auto at = topic->append({.key = "k", .value = std::to_string(i)});
        ASSERT_TRUE(at) << at.error().message();
        EXPECT_EQ(*at, (Position{0, Offset{i}}));
    }
    EXPECT_THAT(values(*topic), testing::ElementsAre("0", "1", "2"));
    EXPECT_THAT(values(*topic, 0, Offset{1}), testing::ElementsAre("1", "2"));
}

TEST_F(LogTest, RecordsAreThereAfterACleanClose) {
    {
        Log log = open();
        auto topic = log.create_topic("events", {.partitions = 3});
        ASSERT_TRUE(topic);
        for (int i = 0; i < 100; ++i) { ASSERT_TRUE(topic->append(record(std::to_string(i)), {.partition = i % 3})); }
        auto closed = log.close();
        ASSERT_TRUE(closed) << closed.error().message();
    }
    Log log = open();
    auto topic = log.topic("events");
    ASSERT_TRUE(topic) << topic.error().message();
    EXPECT_EQ(values(*topic, 0).size(), 34u);
    EXPECT_EQ(values(*topic, 1).size(), 33u);
    ASSERT_TRUE(topic->append(record("after"), {.partition = 0}));
    EXPECT_EQ(values(*topic, 0).back(), "after");
}

TEST_F(LogTest, AcknowledgedRecordsAreThereWithoutAClose) {
    {
        Log log = open();
        auto topic = log.create_topic("events", {.partitions = 2});
        ASSERT_TRUE(topic);
        for (int i = 0; i < 100; ++i) { ASSERT_TRUE(topic->append(record(std::to_string(i)), {.partition = i % 2})); }
    }
    Log log = open();
    auto topic = log.topic("events");
    ASSERT_TRUE(topic) << topic.error().message();
    EXPECT_EQ(values(*topic, 0).size(), 50u);
    EXPECT_EQ(values(*topic, 1).size(), 50u);
    ASSERT_TRUE(topic->append(record("after"), {.partition = 1}));
    EXPECT_EQ(values(*topic, 1).back(), "after");
}

// After a clean close the last block is proven to the byte; a session that ends without one adds to that block.
TEST_F(LogTest, SessionsWithAndWithoutACloseFollowOneAnother) {
    constexpr int sessions = 12;
    for (int session = 0; session < sessions; ++session) {
        SCOPED_TRACE(session);
        Log log = open();
        auto topic = log.create_topic("events", {.exists_ok = true});
        ASSERT_TRUE(topic) << topic.error().message();
        ASSERT_TRUE(log.create_topic("of session " + std::to_string(session)).error().code == Code::invalid);
        ASSERT_TRUE(log.create_topic("session-" + std::to_string(session)));
        ASSERT_TRUE(topic->append(record(std::to_string(session))));
        EXPECT_EQ(values(*topic).size(), static_cast<size_t>(session) + 1);
        if (session % 3 == 0) { ASSERT_TRUE(log.close()); }
    }
    EXPECT_EQ(open().topics().size(), static_cast<size_t>(sessions) + 1);
}

TEST_F(LogTest, LargeBatchesGoStraightToTheSegment) {
    const std::string large(400'000, 'x');
    {
        Log log = open();
        auto topic = log.create_topic("events");
        for (int i = 0; i < 20; ++i) {
            auto at = topic->append(record(i % 3 == 0 ? "small" : large));
            ASSERT_TRUE(at) << at.error().message();
        }
        EXPECT_EQ(values(*topic).size(), 20u);
    }
    Log log = open();
    auto topic = log.topic("events");
    const auto all = values(*topic);
    ASSERT_EQ(all.size(), 20u);
    for (int i = 0; i < 20; ++i) { EXPECT_EQ(all[static_cast<size_t>(i)], i % 3 == 0 ? "small" : large); }
}

TEST_F(LogTest, TheRingIsReusedManyTimes) {
    const std::string value(3000, 'v');
    {
        Log log = open({.journal_bytes_max = 16u << 20});
        auto topic = log.create_topic("events", {.partitions = 4});
        for (int i = 0; i < 20'000; ++i) {
            auto at = topic->append(record(value + std::to_string(i)), {.partition = i % 4});
            ASSERT_TRUE(at) << i << " " << at.error().message();
        }
    }
    Log log = open();
    auto topic = log.topic("events");
    for (int p = 0; p < 4; ++p) {
        const auto all = values(*topic, p);
        ASSERT_EQ(all.size(), 5'000u);
        for (size_t i = 0; i < all.size(); ++i) {
            ASSERT_EQ(all[i], value + std::to_string(i * 4 + static_cast<size_t>(p)));
        }
    }
}

TEST_F(LogTest, SegmentsRollAndAreRead) {
    const std::string value(1000, 'v');
    for (const char* level : {"durable", "written", "memory"}) {
        SCOPED_TRACE(level);
        {
            Log log = open();
            auto topic =
                log.create_topic(level, {.configs = {{"segment.bytes", "1048576"}, {"flowstone.durability", level}}});
            ASSERT_TRUE(topic) << topic.error().message();
            for (int i = 0; i < 5'000; ++i) {
                auto at = topic->append_async(record(value + std::to_string(i)));
                ASSERT_TRUE(at) << at.error().message();
            }
            ASSERT_TRUE(log.flush());
            auto info = topic->partition(0);
            ASSERT_TRUE(info);
            EXPECT_GE(info->segments, 5u);
            EXPECT_EQ(values(*topic).size(), 5'000u);
            auto closed = log.close();
            ASSERT_TRUE(closed) << closed.error().message();
        }
        Log log = open();
        auto topic = log.topic(level);
        ASSERT_TRUE(topic);
        const auto all = values(*topic);
        ASSERT_EQ(all.size(), 5'000u);
        for (size_t i = 0; i < all.size(); ++i) { ASSERT_EQ(all[i], value + std::to_string(i)); }
    }
}

// Small budgets: chunks are given back while older ones still wait, partitions take turns, segments roll in between.
TEST_F(LogTest, WrittenRecordsBehindASegmentThatTheCheckpointEndsWithSurviveTheProcess) {
    const std::string large(1000, 'x');
    {
        Log log = open();
        auto topic = log.create_topic(
            "events", {.configs = {{"internal.segment.bytes", "1000"}, {"flowstone.durability", "written"}}});
        ASSERT_TRUE(topic);
        ASSERT_TRUE(topic->append(record(large)));
        ASSERT_TRUE(log.checkpoint());
        ASSERT_TRUE(topic->append(record(large)));  // rolls, which the journal does not tell
        ASSERT_EQ(value_of(topic->partition(0)).segments, 2u);
    }  // without a close: what was acknowledged is in the page cache
    Log log = open();
    auto topic = log.topic("events");
    ASSERT_TRUE(topic) << topic.error().message();
    EXPECT_EQ(values(*topic).size(), 2u);
}

TEST_F(LogTest, EitherSlotAloneIsEnoughAfterACleanCloseAndMoreRecords) {
    for (const char* value : {"before", "after"}) {
        Log log = open();
        auto topic = log.create_topic("events", {.exists_ok = true});
        ASSERT_TRUE(topic);
        ASSERT_TRUE(topic->append(record(value)));
        if (value == std::string_view("before")) { ASSERT_TRUE(log.close()); }
    }
    for (const char* slot : {"data/flowstone-checkpoint-0", "data/flowstone-checkpoint-1"}) {
        SCOPED_TRACE(slot);
        const auto disk = disk_.crash({.keep = Crash::Keep::everything});
        const auto file = disk->open(slot, {.write = true});
        ASSERT_TRUE(file);
        ASSERT_TRUE(write_at(*disk, **file, BytePos{40}, std::vector<std::byte>(8, std::byte{0xaa})));
        auto log = open_log({disk.get(), &clock_, &random_}, "data");
        ASSERT_TRUE(log) << log.error().message();
        auto topic = log->topic("events");
        ASSERT_TRUE(topic) << topic.error().message();
        EXPECT_THAT(values(*topic), testing::ElementsAre("before", "after"));
    }
}

TEST_F(LogTest, AMemoryTopicIsTrimmedUpToItsHighWatermark) {
    Log log = open();
    auto topic = log.create_topic("events", {.configs = {{"flowstone.durability", "memory"}}});
    ASSERT_TRUE(topic);
    ASSERT_TRUE(topic->append(record("a")));
    ASSERT_TRUE(topic->append(record("b")));
    const auto start = topic->delete_records(0, value_of(topic->partition(0)).high_watermark);
    ASSERT_TRUE(start) << start.error().message();
    EXPECT_EQ(*start, Offset{2});
}

TEST_F(LogTest, OldRecordsDoNotRollASegmentEach) {
    Log log = open();
    auto topic = log.create_topic("events", {.configs = {{"segment.ms", "1000"}}});
    ASSERT_TRUE(topic);
    const auto append_at = [&](int64_t time_ms) {
        ASSERT_TRUE(topic->append({.key = std::nullopt, .value = "x", .timestamp_ms = time_ms}));
    };
    for (int i = 0; i < 5; ++i) { append_at(1'000'000 + i * 200); }  // long before the clock, within a second
    EXPECT_EQ(value_of(topic->partition(0)).segments, 1u);
    append_at(1'001'001);  // more than a second after the segment's first record
    EXPECT_EQ(value_of(topic->partition(0)).segments, 2u);
}

// Nobody else waits for these records: the reader itself must come and commit them.
TEST_F(LogTest, ASleepingReaderIsWokenByAnAppendThatNobodyWaitsFor) {
    Log log = open();
    for (const char* level : {"durable", "written", "memory"}) {
        auto topic = log.create_topic(level, {.configs = {{"flowstone.durability", level}}});
        ASSERT_TRUE(topic);
        constexpr uint32_t rounds = 50;
        std::atomic<uint32_t> read{0};
        std::jthread reader([&] {
            auto in = topic->read();
            ASSERT_TRUE(in);
            for (uint32_t i = 0; i < rounds; ++i) {
                auto batch = in->next(std::chrono::seconds(5));
                ASSERT_TRUE(batch) << batch.error().message();
                EXPECT_FALSE(batch->empty()) << level << ", record " << i;
                ++read;
                read.notify_one();
            }
        });
        for (uint32_t i = 0; i < rounds; ++i) {
            ASSERT_TRUE(topic->append_async(record("x")));
            for (uint32_t seen = read; seen <= i; seen = read) { read.wait(seen); }
        }
    }
}

TEST_F(LogTest, ManyRecordsTellWhereEachWent) {
    Log log = open({.dirty_bytes_max = 1u << 20});
    for (const char* level : {"durable", "written", "memory"}) {
        auto topic = log.create_topic(level, {.partitions = 3, .configs = {{"flowstone.durability", level}}});
        ASSERT_TRUE(topic);
        // More than the dirty budget at once, to partitions by key in stretches of every length.
        const std::string filler(500, 'x');
        std::vector<std::string> keys;
        std::vector<std::string> contents;
        for (int i = 0; i < 6000; ++i) {
            keys.push_back(std::to_string(i % 7 < 3 ? 1 : i));
            contents.push_back(std::to_string(i) + filler);
        }
        std::vector<Record> records;
        for (size_t i = 0; i < keys.size(); ++i) { records.push_back({.key = keys[i], .value = contents[i]}); }
        auto at = topic->append(records);
        ASSERT_TRUE(at) << at.error().message();
        ASSERT_EQ(at->size(), records.size());
        std::vector<std::vector<std::string>> found;
        for (int32_t partition = 0; partition < 3; ++partition) { found.push_back(values(*topic, partition)); }
        EXPECT_EQ(found[0].size() + found[1].size() + found[2].size(), records.size());
        for (size_t i = 0; i < records.size(); ++i) {
            const Position& place = (*at)[i];
            ASSERT_EQ(place.partition, partition_for_key(std::as_bytes(std::span(keys[i])), 3));
            const auto& there = found[static_cast<size_t>(place.partition)];
            ASSERT_EQ(there.at(static_cast<size_t>(place.offset.value)), contents[i]);
        }
    }
}

TEST_F(LogTest, OfManyRecordsForOnePartitionNoneIsTakenWhenOneIsRefused) {
    Log log = open();
    auto topic = log.create_topic("events", {.configs = {{"max.message.bytes", "1000"}}});
    ASSERT_TRUE(topic);
    const std::string large(2000, 'x');
    const std::vector<Record> records{record("a"), record("b"), record(large)};
    auto at = topic->append(records, {.partition = 0});
    ASSERT_FALSE(at);
    EXPECT_EQ(at.error().code, Code::too_large);
    EXPECT_EQ(at.error().fate, Fate::not_appended);
    EXPECT_EQ(value_of(topic->partition(0)).log_end, Offset{0});
}

// With many partitions chunks are small, and a large write has more pieces than one request may.
TEST_F(LogTest, ALargeWriteMayLieInMoreChunksThanARequestHasPieces) {
    Log log = open({.dirty_bytes_max = 4u << 20});
    auto topic = log.create_topic("events", {.partitions = 150});
    ASSERT_TRUE(topic);
    for (int32_t i = 0; i < 150; ++i) { ASSERT_TRUE(topic->append_async(record("x"), {.partition = i})); }
    ASSERT_TRUE(log.flush());
    const std::string large(5000, 'y');
    for (int i = 0; i < 400; ++i) {
        auto appended = topic->append_async(record(large), {.partition = 0});
        ASSERT_TRUE(appended) << appended.error().message();
    }
    auto flushed = log.flush();
    ASSERT_TRUE(flushed) << flushed.error().message();
    EXPECT_EQ(values(*topic, 0).size(), 401u);
    EXPECT_EQ(values(*topic, 0).back(), large);
}

TEST_F(LogTest, LittleMemoryIsEnough) {
    const std::string value(700, 'v');
    for (const char* level : {"durable", "written", "memory"}) {
        SCOPED_TRACE(level);
        Log log = open({.dirty_bytes_max = 2u << 20, .tail_bytes_max = 256u << 10});
        auto topic = log.create_topic(
            level, {.partitions = 3, .configs = {{"segment.bytes", "3145728"}, {"flowstone.durability", level}}});
        ASSERT_TRUE(topic) << topic.error().message();
        constexpr int count = 30'000;
        for (int i = 0; i < count; ++i) {
            // One partition is idle for long, one is fed in bursts that go straight to the segment.
            const int32_t partition = i % 1000 == 0 ? 2 : (i / 4000) % 2;
            auto at = topic->append_async(record(value + std::to_string(i)), {.partition = partition});
            ASSERT_TRUE(at) << at.error().message();
            if (i % 777 == 0) { ASSERT_TRUE(log.flush()); }
        }
        ASSERT_TRUE(log.flush());
        size_t total = 0;
        for (int32_t partition = 0; partition < 3; ++partition) {
            int before = -1;
            for (const std::string& one : values(*topic, partition)) {
                const int number = std::stoi(one.substr(value.size()));
                ASSERT_GT(number, before);
                before = number;
                ++total;
            }
        }
        EXPECT_EQ(total, static_cast<size_t>(count));
        ASSERT_TRUE(log.close());
    }
}

TEST_F(LogTest, OffsetsOfAGroupAreKept) {
    {
        Log log = open();
        ASSERT_TRUE(log.create_topic("events", {.partitions = 2}));
        const GroupOffset offsets[] = {{"events", 0, Offset{5}, "note"}, {"events", 1, Offset{7}}};
        auto done = log.commit_offsets("g", offsets);
        ASSERT_TRUE(done) << done.error().message();
    }
    Log log = open();
    auto fetched = log.fetch_offsets("g");
    ASSERT_TRUE(fetched) << fetched.error().message();
    ASSERT_EQ(fetched->size(), 2u);
    EXPECT_EQ((*fetched)[0].offset, Offset{5});
    EXPECT_EQ((*fetched)[0].metadata, "note");
    EXPECT_EQ((*fetched)[1].offset, Offset{7});
    EXPECT_THAT(log.groups(), testing::ElementsAre("g"));
    ASSERT_TRUE(log.delete_offsets("g"));
    EXPECT_THAT(value_of(log.fetch_offsets("g")), testing::IsEmpty());
    EXPECT_THAT(log.groups(), testing::IsEmpty());
    EXPECT_EQ(log.delete_offsets("g").error().code, Code::not_found);
}

// As a broker leaves it: the group has a state of its own beside its offsets.
TEST_F(LogTest, AGroupsStateGoesWithItsOffsets) {
    Log log = open();
    ASSERT_TRUE(log.create_topic("events"));
    const GroupOffset offset{"events", 0, Offset{5}};
    ASSERT_TRUE(log.commit_offsets("g", {&offset, 1}));
    const auto key = encode(GroupMetadataKey{"g"});
    const auto state = encode(GroupMetadata{.protocol_type = "consumer", .generation = 3});
    auto topic = log.topic(consumer_offsets_topic);
    ASSERT_TRUE(topic);
    ASSERT_TRUE(
        topic->append({.key = as_text(*key), .value = as_text(*state)}, {.partition = partition_for_group("g")}));
    EXPECT_EQ(value_of(log.fetch_offsets("g")).size(), 1u);

    ASSERT_TRUE(log.delete_offsets("g"));
    EXPECT_THAT(log.groups(), testing::IsEmpty());
    EXPECT_THAT(value_of(log.fetch_offsets("g")), testing::IsEmpty());
}

TEST_F(LogTest, OffsetMetadataIsCountedInCharactersAsKafkaCounts) {
    Log log = open();
    ASSERT_TRUE(log.create_topic("events"));
    std::string euros;
    for (size_t i = 0; i < 4096; ++i) { euros += "\xe2\x82\xac"; }
    const GroupOffset most{"events", 0, Offset{5}, euros};
    EXPECT_TRUE(log.commit_offsets("g", {&most, 1}));
    const GroupOffset too_much{"events", 0, Offset{6}, euros + "."};
    EXPECT_EQ(log.commit_offsets("g", {&too_much, 1}).error().code, Code::too_large);
    EXPECT_EQ(value_of(log.fetch_offsets("g"))[0].offset, Offset{5});
}

TEST_F(LogTest, ADuplicateAnswersWithItsFirstOffset) {
    int64_t id = -1;
    {
        Log log = open();
        auto topic = log.create_topic("events");
        id = value_of(log.new_producer_id());
        for (int i = 0; i < 7; ++i) {
            auto at =
                topic->append(record(std::to_string(i)), {.partition = 0, .producer = ProducerSequence{id, 0, i}});
            ASSERT_TRUE(at) << at.error().message();
            EXPECT_EQ(at->offset, Offset{i});
        }
        auto again = topic->append(record("4"), {.partition = 0, .producer = ProducerSequence{id, 0, 4}});
        ASSERT_TRUE(again);
        EXPECT_EQ(again->offset, Offset{4});
    }
    Log log = open();
    auto topic = log.topic("events");
    auto again = topic->append(record("5"), {.partition = 0, .producer = ProducerSequence{id, 0, 5}});
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(again->offset, Offset{5});
    auto gap = topic->append(record("9"), {.partition = 0, .producer = ProducerSequence{id, 0, 9}});
    ASSERT_FALSE(gap);
    EXPECT_EQ(gap.error().code, Code::out_of_order);
    EXPECT_EQ(gap.error().fate, Fate::not_appended);
    EXPECT_GT(value_of(log.new_producer_id()), id);
}

}  // namespace
}  // namespace flowstone
