#include "client/impl/consumer_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/client_world.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ConsumerCoreTest : public ClientWorld {
protected:
    void fill(const char* topic, int begin, int end, int32_t partition = 0, std::optional<int64_t> timestamp_ms = {}) {
        auto opened = log_->topic(topic);
        ASSERT_TRUE(opened);
        for (int i = begin; i < end; ++i) {
            const std::string value = std::to_string(i);
            ASSERT_TRUE(opened->append({.value = value, .timestamp_ms = timestamp_ms}, {.partition = partition}));
        }
    }
    Values numbers(int begin, int end) {
        Values out;
        for (int i = begin; i < end; ++i) { out.push_back(std::to_string(i)); }
        return out;
    }
};

TEST_F(ConsumerCoreTest, ReadsFromTheBeginningAndGoesOnWithWhatComes) {
    start_all();
    make_topic("events");
    fill("events", 0, 100);
    const auto consumer = engine_->add_consumer({});
    consumer->assign({{"events", 0}}, From::beginning());
    EXPECT_EQ(drain(*consumer), numbers(0, 100));
    EXPECT_EQ(consumer->position({"events", 0}), Offset{100});
    EXPECT_EQ(consumer->lag({"events", 0}), 0);
    fill("events", 100, 150);
    EXPECT_EQ(drain(*consumer), numbers(100, 150));
}

TEST_F(ConsumerCoreTest, ReadsFromAnOffsetTheEndAndATime) {
    start_all();
    make_topic("events");
    const int64_t now = clock_.wall_ms();
    fill("events", 0, 10, 0, now - 10'000);
    fill("events", 10, 20, 0, now);
    const TopicPartition place{"events", 0};
    const auto consumer = engine_->add_consumer({});
    consumer->assign({place}, Offset{15});
    EXPECT_EQ(drain(*consumer), numbers(15, 20));
    ASSERT_TRUE(consumer->seek(place, From::time_ms(now - 5'000)));
    EXPECT_EQ(drain(*consumer), numbers(10, 20));
    ASSERT_TRUE(consumer->seek(place, From::time_ms(now + 5'000)));
    EXPECT_THAT(drain(*consumer), IsEmpty());
    fill("events", 20, 21);
    EXPECT_THAT(drain(*consumer), ElementsAre("20"));
    ASSERT_TRUE(consumer->seek(place, From::end()));
    EXPECT_THAT(drain(*consumer), IsEmpty());
    fill("events", 21, 22);
    EXPECT_THAT(drain(*consumer), ElementsAre("21"));
    ASSERT_TRUE(consumer->seek(place, From::beginning()));
    EXPECT_EQ(drain(*consumer), numbers(0, 22));
}

// A batch of many records: only those from the offset on.
TEST_F(ConsumerCoreTest, BeginsInTheMiddleOfABatch) {
    start_all();
    make_topic("events");
    auto topic = log_->topic("events");
    ASSERT_TRUE(topic);
    const Record records[] = {{.value = "0"}, {.value = "1"}, {.value = "2"}, {.value = "3"}};
    ASSERT_TRUE(topic->append(records));
    const auto consumer = engine_->add_consumer({});
    consumer->assign({{"events", 0}}, Offset{2});
    EXPECT_THAT(drain(*consumer), ElementsAre("2", "3"));
}

TEST_F(ConsumerCoreTest, AnOffsetThatIsNotThereIsAnErrorAndSeekGoesOn) {
    start_all();
    make_topic("events");
    fill("events", 0, 10);
    const TopicPartition place{"events", 0};
    const auto consumer = engine_->add_consumer({});
    consumer->assign({place}, Offset{11});
    std::optional<Error> error;
    EXPECT_THAT(drain(*consumer, &error), IsEmpty());
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Code::out_of_range);
    EXPECT_THAT(error->message(), testing::HasSubstr("events-0"));
    ASSERT_TRUE(consumer->seek(place, Offset{8}));
    EXPECT_THAT(drain(*consumer), ElementsAre("8", "9"));
}

TEST_F(ConsumerCoreTest, ATopicOrPartitionThatIsNotThereIsAnError) {
    start_all();
    make_topic("events");
    const auto consumer = engine_->add_consumer({});
    for (const TopicPartition& place : {TopicPartition{"nothing", 0}, TopicPartition{"events", 1}}) {
        consumer->assign({place}, From::beginning());
        std::optional<Error> error;
        EXPECT_THAT(drain(*consumer, &error), IsEmpty());
        ASSERT_TRUE(error) << place.topic;
        EXPECT_EQ(error->code, Code::not_found);
    }
    EXPECT_EQ(consumer->seek({"other", 0}, From::end()).error().code, Code::invalid);
}

// An answer that was asked for before the seek is not what the reader wants any more.
TEST_F(ConsumerCoreTest, SeekWhileAFetchIsUnderWayReadsFromThereAndNothingElse) {
    start_all();
    make_topic("events");
    fill("events", 0, 100);
    const TopicPartition place{"events", 0};
    const auto consumer = engine_->add_consumer({});
    consumer->assign({place}, Offset{50});
    EXPECT_EQ(drain(*consumer), numbers(50, 100));
    for (int steps = 0; steps < 8; ++steps) {  // the fetch for more is at every stage of its way
        ASSERT_TRUE(consumer->seek(place, Offset{60}));
        for (int i = 0; i < steps; ++i) { step(); }
        ASSERT_TRUE(consumer->seek(place, Offset{10}));
        EXPECT_EQ(drain(*consumer), numbers(10, 100)) << steps;
    }
}

// Where memory is watched over, in the sanitizer presets, this would end the test.
TEST_F(ConsumerCoreTest, AConsumerThatGoesWhileItFetchesIsNotMissed) {
    start_all();
    make_topic("events");
    fill("events", 0, 10);
    for (int steps = 0; steps < 40; ++steps) {
        make_engine();
        auto consumer = engine_->add_consumer({});
        consumer->assign({{"events", 0}}, From::beginning());
        for (int i = 0; i < steps; ++i) { step(); }
        engine_->remove(*consumer);
        consumer.reset();
        for (int i = 0; i < 20; ++i) { step(); }
        const auto next = engine_->add_consumer({});
        next->assign({{"events", 0}}, From::beginning());
        EXPECT_EQ(drain(*next), numbers(0, 10));
    }
}

// A broker answers what came over a connection in turn.
TEST_F(ConsumerCoreTest, NothingElseWaitsBehindAFetchThatIsHeldBack) {
    start_all();
    make_topic("events");
    make_topic("others");
    const auto consumer = engine_->add_consumer({.fetch_wait = std::chrono::seconds(20)});
    consumer->assign({{"events", 0}}, From::beginning());
    EXPECT_THAT(drain(*consumer), IsEmpty());
    const auto producer = engine_->add_producer({.linger = std::chrono::milliseconds(0)});
    ProducerTopicQueue* const queue = open_queue(*producer, "others");
    ASSERT_TRUE(send(*producer, *queue, {.value = "1"}));
    EXPECT_TRUE(flush(*producer, 5'000)) << "of simulated time";
    fill("events", 0, 1);
    EXPECT_EQ(drain(*consumer), numbers(0, 1)) << "and it is told of at once";
}

TEST_F(ConsumerCoreTest, NoConsumerWaitsBehindAnothersFetchThatIsHeldBack) {
    start_all();
    make_topic("idle");
    make_topic("events");
    fill("events", 0, 1);
    const ConsumerOptions patient{.fetch_wait = std::chrono::seconds(20)};
    const auto idle = engine_->add_consumer(patient);
    idle->assign({{"idle", 0}}, From::beginning());
    EXPECT_THAT(drain(*idle), IsEmpty());
    const auto reads = [&](ConsumerCore& consumer) {
        consumer.assign({{"events", 0}}, From::beginning());
        return until([&] { return value_of(consumer.take(batch_)) != nullptr; }, 5'000);
    };
    EXPECT_TRUE(reads(*engine_->add_consumer(patient)));
    engine_->remove(*idle);
    EXPECT_TRUE(reads(*engine_->add_consumer(patient)));  // in the place of the one that is gone
}

// What Kafka wrote in transactions, adopted: 0 and 1 aborted, 4 committed, markers at 2 and 5.
TEST_F(ConsumerCoreTest, MarkersAreReadPastAndAbortedRecordsLeftOutWhereThatIsAskedFor) {
    start();
    stop();
    for (const auto& entry : value_of(disk_.list("data"))) {
        if (entry.name.starts_with("flowstone-")) { ASSERT_TRUE(disk_.remove("data/" + entry.name)); }
    }
    std::vector<std::byte> segment;
    const auto add = [&](int64_t offset, int64_t producer, bool control, std::string_view key, std::string_view value) {
        std::vector<std::byte> space(500);
        BatchBuilder builder(space, {.base_offset = Offset{offset},
                                     .transactional = producer >= 0,
                                     .control = control,
                                     .producer_id = producer,
                                     .producer_epoch = static_cast<int16_t>(producer < 0 ? -1 : 0)});
        EXPECT_TRUE(builder.append({.key = key, .value = value}, 1));
        const Bytes bytes = builder.close().bytes();
        segment.insert(segment.end(), bytes.begin(), bytes.end());
    };
    const std::string abort{'\0', '\0', '\0', '\0'};
    const std::string commit{'\0', '\0', '\0', '\1'};
    const std::string marker{'\0', '\0', '\0', '\0', '\0', '\5'};
    add(0, 7, false, "k", "0");
    add(1, 7, false, "k", "1");
    add(2, 7, true, abort, marker);
    add(3, -1, false, "k", "3");
    add(4, 8, false, "k", "4");
    add(5, 8, true, commit, marker);
    ASSERT_TRUE(disk_.make_directory("data/t-0"));
    auto file = value_of(disk_.open("data/t-0/00000000000000000000.log", {.write = true, .create = true}));
    ASSERT_TRUE(write_at(disk_, *file, BytePos{0}, segment));
    ASSERT_TRUE(sync(disk_, *file));
    ASSERT_TRUE(disk_.sync_directory("data/t-0"));
    ASSERT_TRUE(disk_.sync_directory("data"));
    start({}, {.adopt = true});
    make_engine();

    for (const bool committed : {false, true}) {
        const auto consumer = engine_->add_consumer({.read_committed = committed});
        consumer->assign({{"t", 0}}, From::beginning());
        EXPECT_EQ(drain(*consumer), committed ? Values({"3", "4"}) : Values({"0", "1", "3", "4"}));
        EXPECT_EQ(consumer->position({"t", 0}), Offset{6}) << "who reads to the end comes to it";
        EXPECT_EQ(consumer->lag({"t", 0}), 0);
    }
}

TEST_F(ConsumerCoreTest, APausedPartitionWaitsAndLosesNothing) {
    start_all();
    make_topic("events", 2);
    fill("events", 0, 50, 0);
    fill("events", 100, 150, 1);
    const auto consumer = engine_->add_consumer({});
    consumer->assign({{"events", 0}, {"events", 1}}, From::beginning());
    consumer->pause({"events", 0}, true);
    EXPECT_EQ(drain(*consumer), numbers(100, 150));
    consumer->pause({"events", 0}, false);
    EXPECT_EQ(drain(*consumer), numbers(0, 50));
}

TEST_F(ConsumerCoreTest, ReadsMoreThanFitsIntoAnAnswerAndHoldsNoMoreThanItMay) {
    start_all();
    make_topic("events");
    auto topic = log_->topic("events");
    ASSERT_TRUE(topic);
    for (int i = 0; i < 400; ++i) {
        std::string value = std::to_string(i);
        value.resize(1'000, '.');
        ASSERT_TRUE(topic->append({.value = value}));
    }
    const auto consumer = engine_->add_consumer({.fetch_bytes_max = 20'000, .partition_bytes_max = 10'000});
    consumer->assign({{"events", 0}}, From::beginning());
    for (int i = 0; i < 200; ++i) { step(); }  // nobody takes anything
    const Values all = drain(*consumer);
    ASSERT_EQ(all.size(), 400u);
    for (size_t i = 0; i < all.size(); ++i) { EXPECT_EQ(all[i].substr(0, all[i].find('.')), std::to_string(i)); }
}

TEST_F(ConsumerCoreTest, ConnectionsThatBreakLoseNothingAndRepeatNothing) {
    start_all();
    make_topic("events", 3);
    for (int32_t partition = 0; partition < 3; ++partition) { fill("events", 0, 300, partition); }
    const auto consumer = engine_->add_consumer({.fetch_bytes_max = 3'000, .partition_bytes_max = 1'000});
    consumer->assign({{"events", 0}, {"events", 1}, {"events", 2}}, From::beginning());
    std::map<int32_t, Values> seen;
    SimRandom random(5);
    ASSERT_TRUE(until([&] {
        for (;;) {
            auto taken = consumer->take(batch_);
            EXPECT_TRUE(taken);
            if (!taken || *taken == nullptr) { break; }
            for (;;) {
                const auto record = batch_.cursor->next();
                EXPECT_TRUE(record);
                if (!record || !*record) { break; }
                if ((*record)->offset >= batch_.from) { seen[batch_.place.partition].emplace_back(*(*record)->value); }
            }
        }
        if (random.below(30) == 0) { client_network_->break_all(); }
        return seen[0].size() + seen[1].size() + seen[2].size() >= 900;
    }));
    for (int32_t partition = 0; partition < 3; ++partition) { EXPECT_EQ(seen[partition], numbers(0, 300)); }
}

}  // namespace
}  // namespace flowstone
