// What each topic config does to what is appended. What it does to what is old: maintenance_test.cc, compactor_test.cc.
#include <algorithm>

#include "storage/batch.h"
#include "storage/seal.h"
#include "tests/log/log_world.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::Each;
using testing::ElementsAre;

class ConfigEffectsTest : public LogWorld {
protected:
    struct Stored {
        std::vector<std::byte> bytes;
        std::vector<std::pair<std::string, int64_t>> records;  // value and time
        BatchView view() const { return value_of(BatchView::parse(bytes)); }
    };
    static std::vector<Stored> stored(Topic& topic, From from = {}) {
        std::vector<Stored> out;
        auto reader = topic.read({.from = from});
        EXPECT_TRUE(reader) << reader.error().message();
        while (reader) {
            auto batch = reader->next();
            EXPECT_TRUE(batch) << batch.error().message();
            if (!batch || batch->empty()) { break; }
            Stored& one = out.emplace_back();
            one.bytes.assign(batch->bytes().begin(), batch->bytes().end());
            for (const auto& found : *batch) { one.records.emplace_back(found.value.value_or(""), found.timestamp_ms); }
        }
        return out;
    }
    static Record timed(std::string_view value, int64_t timestamp_ms) {
        return {.key = "k", .value = value, .timestamp_ms = timestamp_ms};
    }
    // A batch as a producer sends it.
    static std::vector<std::byte> ready_batch(std::span<const Record> records, Codec codec = Codec::none,
                                              const BatchBuilder::Options& options = {}) {
        std::vector<std::byte> space(1 << 20);
        BatchBuilder builder(space, options);
        for (const Record& record : records) { EXPECT_TRUE(builder.append(record, *record.timestamp_ms)); }
        const BatchView plain = builder.close();
        std::vector<std::byte> out;
        const BatchView packed = value_of(recompress(plain, codec, out));
        return {packed.bytes().begin(), packed.bytes().end()};
    }
    static Code refusal(const auto& result) {
        EXPECT_FALSE(result);
        EXPECT_EQ(result.error().fate, Fate::not_appended) << result.error().message();
        return result.error().code;
    }
};

// --- message.timestamp.type ------------------------------------------------------------------------------------------

TEST_F(ConfigEffectsTest, UnderLogAppendTimeEveryRecordCarriesTheTimeOfItsAppend) {
    const int64_t producers_ms = clock_.wall_ms() + 30 * day_ms;  // whatever it says
    for (const char* codec : {"producer", "zstd"}) {
        SCOPED_TRACE(codec);
        SimDisk disk;
        std::vector<int64_t> appended_ms;
        const auto tick = [&] {
            clock_.advance_ms(1'000);
            appended_ms.push_back(clock_.wall_ms());
        };
        const auto expect_stored = [&](Topic& topic) {
            const auto all = stored(topic);
            ASSERT_EQ(all.size(), appended_ms.size());
            for (size_t i = 0; i < all.size(); ++i) {
                SCOPED_TRACE(i);
                EXPECT_EQ(all[i].view().timestamp_type(), TimestampType::log_append_time);
                EXPECT_EQ(all[i].view().max_timestamp_ms(), appended_ms[i]);
                EXPECT_TRUE(all[i].view().crc_matches());
                for (const auto& [value, time_ms] : all[i].records) { EXPECT_EQ(time_ms, appended_ms[i]) << value; }
                EXPECT_EQ(value_of(topic.offset_for_time(0, appended_ms[i])), all[i].view().base_offset());
            }
        };
        {
            Log log = open_on(disk);
            Topic topic =
                make(log, "events", {{"message.timestamp.type", "LogAppendTime"}, {"compression.type", codec}});
            const std::vector<Record> two{timed("a", producers_ms), timed("b", 5)};
            tick();
            ASSERT_TRUE(topic.append(two[0]));
            tick();
            ASSERT_TRUE(topic.append(two));
            tick();
            ASSERT_TRUE(
                topic.append(two, {.partition = 0, .producer = {{.producer_id = 7, .epoch = 0, .sequence = 0}}}));
            for (const Codec packed : {Codec::none, Codec::gzip}) {
                tick();
                const auto pending = topic.append_batch(0, ready_batch(two, packed));
                ASSERT_TRUE(pending) << pending.error().message();
                ASSERT_TRUE(log.wait(*pending));
            }
            tick();
            const auto pending =
                log.append_atomic(std::vector<AtomicPart>{{.topic = topic, .partition = 0, .records = two}});
            ASSERT_TRUE(pending) << pending.error().message();
            ASSERT_TRUE(log.wait(*pending));
            expect_stored(topic);
        }
        Log log = open_on(disk);
        Topic topic = value_of(log.topic("events"));
        expect_stored(topic);
    }
}

TEST_F(ConfigEffectsTest, ARetryUnderLogAppendTimeIsStillADuplicate) {
    Log log = open();
    Topic topic = make(log, "events", {{"message.timestamp.type", "LogAppendTime"}});
    const std::vector<Record> one{timed("a", 5)};
    const auto batch = ready_batch(one, Codec::none, {.producer_id = 7, .producer_epoch = 0, .base_sequence = 0});
    const auto first = topic.append_batch(0, batch);
    ASSERT_TRUE(first) << first.error().message();
    clock_.advance_ms(1'000);
    EXPECT_EQ(value_of(topic.append_batch(0, batch)).at, first->at);
    ASSERT_TRUE(log.flush());
    EXPECT_EQ(stored(topic).size(), 1u);
}

TEST_F(ConfigEffectsTest, TheTimestampTypeMayChangeBetweenAppends) {
    Log log = open();
    Topic topic = make(log, "events");
    ASSERT_TRUE(topic.append(timed("a", 5)));
    ASSERT_TRUE(log.alter_topic("events", {{"message.timestamp.type", "LogAppendTime"}}));
    ASSERT_TRUE(topic.append(timed("b", 5)));
    ASSERT_TRUE(log.alter_topic("events", {{"message.timestamp.type", "CreateTime"}}));
    ASSERT_TRUE(topic.append(timed("c", 6)));
    std::vector<std::pair<std::string, int64_t>> all;
    for (const Stored& batch : stored(topic)) { all.insert(all.end(), batch.records.begin(), batch.records.end()); }
    EXPECT_THAT(all, ElementsAre(std::pair("a", 5), std::pair("b", clock_.wall_ms()), std::pair("c", 6)));
}

// --- message.timestamp.before.max.ms, message.timestamp.after.max.ms -------------------------------------------------

TEST_F(ConfigEffectsTest, TimestampsAreHeldToTheirBoundsOnEveryWayIn) {
    Log log = open();
    const int64_t now_ms = clock_.wall_ms();
    const auto ways = [&](Topic& topic, int64_t time_ms) {
        const std::vector<Record> records{timed("good", now_ms), timed("bad", time_ms)};
        std::vector<std::optional<Code>> codes;
        const auto note = [&](const auto& result) {
            if (!result) { EXPECT_EQ(result.error().fate, Fate::not_appended); }
            codes.push_back(result ? std::nullopt : std::optional(result.error().code));
        };
        note(topic.append(records[1]));
        note(topic.append(records));
        note(topic.append(records,
                          {.partition = 0,
                           .producer = {{.producer_id = value_of(log.new_producer_id()), .epoch = 0, .sequence = 0}}}));
        note(topic.append_batch(0, ready_batch(records)));
        note(log.append_atomic(std::vector<AtomicPart>{{.topic = topic, .partition = 0, .records = records}}));
        return codes;
    };
    Topic by_default = make(log, "default");
    EXPECT_THAT(ways(by_default, now_ms + hour_ms), Each(std::nullopt));
    EXPECT_THAT(ways(by_default, now_ms + hour_ms + 1), Each(Code::out_of_range)) << "an hour ahead, unless told";
    EXPECT_THAT(ways(by_default, 0), Each(std::nullopt)) << "any time ago, unless told";
    EXPECT_THAT(ways(by_default, -1), Each(std::nullopt)) << "no time";
    Topic bounded =
        make(log, "bounded", {{"message.timestamp.before.max.ms", "1000"}, {"message.timestamp.after.max.ms", "10"}});
    EXPECT_THAT(ways(bounded, now_ms - 1000), Each(std::nullopt));
    EXPECT_THAT(ways(bounded, now_ms - 1001), Each(Code::out_of_range));
    EXPECT_THAT(ways(bounded, now_ms + 10), Each(std::nullopt));
    EXPECT_THAT(ways(bounded, now_ms + 11), Each(Code::out_of_range));
    ASSERT_TRUE(log.flush());
    for (const Stored& batch : stored(bounded)) {
        for (const auto& [value, time_ms] : batch.records) { EXPECT_LE(std::abs(time_ms - now_ms), 1000); }
    }
}

TEST_F(ConfigEffectsTest, ATimestampAtTheEndOfTimeIsAheadOfAnyClock) {
    clock_.jump_wall_ms(-clock_.wall_ms() - 5);  // before 1970
    Log log = open();
    Topic topic = make(log, "events");
    EXPECT_EQ(refusal(topic.append(timed("late", INT64_MAX))), Code::out_of_range);
    Topic unbounded = make(log, "unbounded", {{"message.timestamp.after.max.ms", "9223372036854775807"}});
    EXPECT_TRUE(unbounded.append(timed("late", INT64_MAX)));
}

// --- max.message.bytes -----------------------------------------------------------------------------------------------

TEST_F(ConfigEffectsTest, NoBatchIsLargerThanMaxMessageBytes) {
    Log log = open();
    Topic topic = make(log, "events", {{"max.message.bytes", "1000"}});
    const std::string value(300, 'x');
    const std::vector<Record> many(20, timed(value, 5));
    ASSERT_TRUE(topic.append(many));
    for (const Record& record : many) { ASSERT_TRUE(topic.append_async(record)); }
    ASSERT_TRUE(log.flush());
    size_t records = 0;
    for (const Stored& batch : stored(topic)) {
        EXPECT_LE(batch.bytes.size(), 1000u);
        records += batch.records.size();
    }
    EXPECT_EQ(records, 40u);

    const std::vector<Record> four(4, timed(value, 5));
    EXPECT_EQ(
        refusal(topic.append(four, {.partition = 0, .producer = {{.producer_id = 1, .epoch = 0, .sequence = 0}}})),
        Code::too_large);
    EXPECT_EQ(refusal(topic.append_batch(0, ready_batch(four))), Code::too_large);
    EXPECT_EQ(refusal(log.append_atomic(
                  std::vector<AtomicPart>{{.topic = topic,
                                           .partition = 0,
                                           .records = four,
                                           .producer = {{.producer_id = 1, .epoch = 0, .sequence = 0}}}})),
              Code::too_large)
        << "a producer's batch is never two";
    EXPECT_EQ(refusal(topic.append(record(std::string(1000, 'x')))), Code::too_large);
    const auto packed = topic.append_batch(0, ready_batch(four, Codec::zstd));
    EXPECT_TRUE(packed) << "it counts as compressed: " << packed.error().message();
}

// --- compression.type ------------------------------------------------------------------------------------------------

TEST_F(ConfigEffectsTest, BatchesAreStoredInTheTopicsCodec) {
    Log log = open();
    const std::vector<Record> records(50, timed("the same again and again", 5));
    for (const auto& [config, codec] : std::vector<std::pair<std::string, Codec>>{{"uncompressed", Codec::none},
                                                                                  {"gzip", Codec::gzip},
                                                                                  {"snappy", Codec::snappy},
                                                                                  {"lz4", Codec::lz4},
                                                                                  {"zstd", Codec::zstd}}) {
        SCOPED_TRACE(config);
        Topic topic = make(log, "events-" + config, {{"compression.type", config}});
        ASSERT_TRUE(topic.append(records));
        ASSERT_TRUE(topic.append_batch(0, ready_batch(records)));
        ASSERT_TRUE(topic.append_batch(0, ready_batch(records, Codec::zstd)));
        ASSERT_TRUE(log.flush());
        const auto all = stored(topic);
        ASSERT_EQ(all.size(), 3u);
        for (const Stored& batch : all) {
            EXPECT_EQ(batch.view().codec_id(), static_cast<uint8_t>(codec));
            EXPECT_TRUE(batch.view().crc_matches());
            EXPECT_EQ(batch.records.size(), 50u);
            EXPECT_THAT(batch.records, Each(std::pair<std::string, int64_t>("the same again and again", 5)));
        }
    }
    Topic as_it_came = make(log, "events");
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        const auto batch = ready_batch(records, codec);
        ASSERT_TRUE(as_it_came.append_batch(0, batch));
        ASSERT_TRUE(log.flush());
        const auto back = stored(as_it_came).back();
        EXPECT_TRUE(std::ranges::equal(std::span(back.bytes).subspan(21), std::span(batch).subspan(21)))
            << "all but offset and epoch, byte for byte";
    }
}

// --- what a ready-made batch may not say ------------------------------------------------------------------------------

TEST_F(ConfigEffectsTest, AReadyBatchThatLiesIsRefused) {
    Log log = open();
    Topic topic = make(log, "events");
    const std::vector<Record> two{timed("a", 5), timed("b", 9)};
    const auto good = ready_batch(two);

    auto damaged = good;
    damaged.back() ^= std::byte{1};
    EXPECT_EQ(refusal(topic.append_batch(0, damaged)), Code::corrupt);
    auto longer = good;
    longer.push_back(std::byte{0});
    EXPECT_EQ(refusal(topic.append_batch(0, longer)), Code::corrupt);
    EXPECT_EQ(refusal(topic.append_batch(0, std::span(good).first(good.size() - 1))), Code::corrupt);
    EXPECT_EQ(refusal(topic.append_batch(0, ready_batch(two, Codec::none, {.transactional = true}))),
              Code::unsupported);
    EXPECT_EQ(refusal(topic.append_batch(0, ready_batch(two, Codec::none, {.control = true}))), Code::unsupported);
    EXPECT_EQ(refusal(topic.append_batch(0, ready_batch(two, Codec::none, {.delete_horizon_ms = 5}))), Code::invalid);
    EXPECT_EQ(refusal(topic.append_batch(
                  0, ready_batch(two, Codec::none, {.timestamp_type = TimestampType::log_append_time}))),
              Code::invalid);
    std::vector<std::byte> space(1000);
    BatchBuilder gap(space, {});
    ASSERT_TRUE(gap.append(two[0], 5));
    EXPECT_EQ(refusal(topic.append_batch(0, gap.close_at(1).bytes())), Code::invalid) << "an offset without a record";
    BatchBuilder empty(space, {});
    EXPECT_EQ(refusal(topic.append_batch(0, empty.close_empty(0, 5).bytes())), Code::invalid);
    EXPECT_EQ(info(topic).log_end, Offset{0});
}

TEST_F(ConfigEffectsTest, TheLargestTimestampOfAReadyBatchIsMadeRight) {
    Log log = open();
    Topic topic = make(log, "events");
    auto batch = ready_batch(std::vector<Record>{timed("a", 9), timed("b", 5)});
    patch_max_timestamp(batch, INT64_MAX);
    ASSERT_TRUE(topic.append_batch(0, batch));
    ASSERT_TRUE(log.flush());
    const auto all = stored(topic);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].view().max_timestamp_ms(), 9);
    EXPECT_TRUE(all[0].view().crc_matches());
    EXPECT_THAT(all[0].records, ElementsAre(std::pair("a", 9), std::pair("b", 5)));
}

// --- segment.ms, flowstone.seal --------------------------------------------------------------------------------------

TEST_F(ConfigEffectsTest, RecordsThatAreLaterBySegmentMsBeginASegment) {
    Log log = open();
    Topic topic = make(log, "events", {{"segment.ms", "1000"}});
    const int64_t now_ms = clock_.wall_ms();
    for (const int64_t later_ms : {0, 1000, 1001, 1500, 2001}) {
        ASSERT_TRUE(topic.append(timed("a", now_ms + later_ms)));
    }
    EXPECT_EQ(info(topic).segments, 2u);
    Topic compacted = make(log, "compacted", {{"cleanup.policy", "compact"}, {"max.compaction.lag.ms", "1000"}});
    for (const int64_t later_ms : {0, 1000, 1001}) { ASSERT_TRUE(compacted.append(timed("a", now_ms + later_ms))); }
    EXPECT_EQ(info(compacted).segments, 2u) << "compaction must reach a record in time";
}

}  // namespace
}  // namespace flowstone
