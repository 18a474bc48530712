#include "client/impl/producer_core.h"

#include <algorithm>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/client_world.h"

namespace flowstone {
namespace {

using testing::ElementsAre;

class ProducerCoreTest : public ClientWorld {
protected:
    static std::string number(int i) { return std::to_string(i); }
    Values numbers(int begin, int end) {
        Values out;
        for (int i = begin; i < end; ++i) { out.push_back(number(i)); }
        return out;
    }
};

TEST_F(ProducerCoreTest, RecordsArriveInTheOrderOfTheirSendingAndDeliveriesSayWhere) {
    start_all();
    make_topic("events");
    const auto producer = engine_->add_producer({});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    std::vector<ProducerCore::Sent> sent;
    for (int i = 0; i < 1'000; ++i) {
        auto one = send(*producer, *queue, {.key = "k", .value = number(i)});
        ASSERT_TRUE(one) << one.error().message();
        sent.push_back(std::move(*one));
        if (i % 100 == 0) { step(); }
    }
    ASSERT_TRUE(flush(*producer));
    EXPECT_EQ(stored("events"), numbers(0, 1'000));
    for (int i = 0; i < 1'000; ++i) {
        const ProducerCore::Sent& one = sent[static_cast<size_t>(i)];
        ASSERT_TRUE(one.batch->done());
        const auto at = one.batch->verdict(one.index);
        ASSERT_TRUE(at) << at.error().message();
        EXPECT_EQ(*at, (Position{0, Offset{i}}));
    }
}

TEST_F(ProducerCoreTest, KeysGoWhereJavasClientsPutThem) {
    start_all();
    make_topic("events", 7);
    const auto producer = engine_->add_producer({});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    for (int i = 0; i < 50; ++i) { ASSERT_TRUE(send(*producer, *queue, {.key = number(i), .value = number(i)})); }
    ASSERT_TRUE(flush(*producer));
    std::map<int32_t, Values> expected;
    for (int i = 0; i < 50; ++i) {
        const std::string key = number(i);
        expected[partition_for_key(as_bytes(key), 7)].push_back(key);
    }
    for (int32_t partition = 0; partition < 7; ++partition) {
        EXPECT_EQ(stored("events", partition), expected[partition]);
    }
}

TEST_F(ProducerCoreTest, WithoutAKeyOnePartitionHasABatchThenAnother) {
    start_all();
    make_topic("events", 3);
    const auto producer = engine_->add_producer({.batch_bytes_max = 1'000});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    const std::string value(100, 'v');
    constexpr size_t count = 60;
    for (size_t i = 0; i < count; ++i) {
        ASSERT_TRUE(send(*producer, *queue, {.value = value}));
        ASSERT_TRUE(flush(*producer));
    }
    size_t sum = 0;
    for (int32_t partition = 0; partition < 3; ++partition) {
        const size_t here = stored("events", partition).size();
        EXPECT_GT(here, 0u) << partition;
        sum += here;
    }
    EXPECT_EQ(sum, count);
}

TEST_F(ProducerCoreTest, ATopicThatIsKnownAlreadyIsLearntAtOnce) {
    start_all();
    make_topic("events");
    open_queue(*engine_->add_producer({}), "events");
    const auto second = engine_->add_producer({});
    step();  // before it asks for anything
    const ProducerTopicQueue& queue = second->queue("events");
    step();
    EXPECT_EQ(queue.partition_count, 1);
}

TEST_F(ProducerCoreTest, ABatchWaitsForMoreAsLongAsItMayAndNoLonger) {
    start_all();
    make_topic("events");
    const auto producer = engine_->add_producer({.linger = std::chrono::milliseconds(500)});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    const int64_t began = clock_.wall_ms();
    auto first = send(*producer, *queue, {.value = "first"});
    ASSERT_TRUE(first);
    ASSERT_TRUE(until([&] { return clock_.wall_ms() >= began + 400; }));
    EXPECT_FALSE(first->batch->done());
    auto second = send(*producer, *queue, {.value = "second"});
    ASSERT_TRUE(second);
    EXPECT_EQ(second->batch, first->batch);
    ASSERT_TRUE(until([&] { return first->batch->done(); }));
    EXPECT_GE(clock_.wall_ms(), began + 500);
    EXPECT_LT(clock_.wall_ms(), began + 1'000);
    EXPECT_THAT(stored("events"), ElementsAre("first", "second"));
}

TEST_F(ProducerCoreTest, ConnectionsThatBreakLoseNothingAndRepeatNothing) {
    start_all();
    make_topic("events", 2);
    const auto producer = engine_->add_producer({.linger = std::chrono::milliseconds(0), .batch_bytes_max = 200});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    SimRandom random(3);
    int next[2] = {0, 0};
    for (int i = 0; i < 2'000; ++i) {
        const auto partition = static_cast<int32_t>(random.below(2));
        auto sent = send(*producer, *queue, {.value = number(next[partition]++)}, partition);
        ASSERT_TRUE(sent) << sent.error().message();
        if (random.below(3) == 0) { step(); }
        if (random.below(40) == 0) { client_network_->break_all(); }
    }
    ASSERT_TRUE(flush(*producer));
    for (int32_t partition = 0; partition < 2; ++partition) {
        EXPECT_EQ(stored("events", partition), numbers(0, next[partition]));
    }
}

TEST_F(ProducerCoreTest, ABrokerThatIsKilledAndComesBackLosesNothingAndRepeatsNothing) {
    start_all();
    make_topic("events");
    const auto producer = engine_->add_producer({.linger = std::chrono::milliseconds(0), .batch_bytes_max = 200});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    int next = 0;
    for (int life = 0; life < 4; ++life) {
        for (int i = 0; i < 200; ++i) {
            ASSERT_TRUE(send(*producer, *queue, {.value = number(next++)}));
            if (i % 7 == 0) { step(); }
        }
        network_.lose_server();
        kill();
        for (int i = 0; i < 30; ++i) { step(); }  // nobody is there
        start();
    }
    ASSERT_TRUE(flush(*producer));
    EXPECT_EQ(stored("events"), numbers(0, next));
}

TEST_F(ProducerCoreTest, WhatIsRefusedForGoodIsToldAndTheNextOnesGoOn) {
    start_all();
    make_topic("events", 1, {{"max.message.bytes", "1000"}});
    const auto producer = engine_->add_producer({.linger = std::chrono::milliseconds(0)});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    std::vector<ProducerCore::Sent> sent;
    const std::string large(2'000, 'x');
    for (int i = 0; i < 9; ++i) {
        auto one = send(*producer, *queue, {.value = i == 4 ? large : number(i)});
        ASSERT_TRUE(one);
        sent.push_back(std::move(*one));
        if (i >= 3) { step(); }
        if (i == 3) { ASSERT_TRUE(flush(*producer)); }
        if (i == 4) { producer->flush_begin(); }
    }
    ASSERT_TRUE(flush(*producer));
    const auto refused = sent[4].batch->verdict(sent[4].index);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::too_large);
    EXPECT_EQ(refused.error().fate, Fate::not_appended);
    EXPECT_EQ(advice(refused.error()), Advice::give_up);
    for (const int i : {0, 1, 2, 3, 8}) {
        const ProducerCore::Sent& one = sent[static_cast<size_t>(i)];
        EXPECT_TRUE(one.batch->verdict(one.index)) << i;
    }
    EXPECT_THAT(stored("events").back(), "8");
}

TEST_F(ProducerCoreTest, WithoutABrokerDeliveriesEndInTimeAndSayWhetherItIsCertain) {
    start_all();
    make_topic("events");
    const auto producer = engine_->add_producer({.delivery_timeout = std::chrono::milliseconds(3'000)});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    ASSERT_TRUE(send(*producer, *queue, {.value = "before"}));
    ASSERT_TRUE(flush(*producer));
    network_.lose_server();
    kill();
    const int64_t began = clock_.wall_ms();
    auto sent = send(*producer, *queue, {.value = "lost"});
    ASSERT_TRUE(sent);
    ASSERT_TRUE(until([&] { return sent->batch->done(); }));
    EXPECT_LT(clock_.wall_ms(), began + 5'000);
    const auto verdict = sent->batch->verdict(sent->index);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Code::timed_out);
    EXPECT_EQ(verdict.error().fate, Fate::not_appended) << "it never left";
    EXPECT_EQ(advice(verdict.error()), Advice::retry);
}

TEST_F(ProducerCoreTest, ClosingEndsEveryDeliveryAtWhateverStageItIs) {
    start_all();
    make_topic("events");
    for (int steps = 0; steps < 60; ++steps) {
        make_engine();
        const auto producer = engine_->add_producer({.linger = std::chrono::milliseconds(0), .batch_bytes_max = 200});
        ProducerTopicQueue* const queue = open_queue(*producer, "events");
        std::vector<ProducerCore::Sent> sent;
        for (int i = 0; i < 20; ++i) { sent.push_back(value_of(send(*producer, *queue, {.value = number(i)}))); }
        for (int i = 0; i < steps; ++i) { step(); }
        engine_->close();
        for (const ProducerCore::Sent& one : sent) {
            ASSERT_TRUE(one.batch->done()) << steps;
            const auto at = one.batch->verdict(one.index);
            if (!at) { EXPECT_EQ(at.error().code, Code::closed); }
        }
    }
}

TEST_F(ProducerCoreTest, WhatIsUnderWayIsBounded) {
    start_all();
    make_topic("events");
    const auto producer = engine_->add_producer({.batch_bytes_max = 16u << 10, .buffer_bytes_max = 64u << 10});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    const std::string value(1'000, 'v');
    int taken = 0;
    std::optional<Error> refused;
    while (!refused && taken < 1'000) {
        auto sent = send(*producer, *queue, {.value = value});
        if (sent) {
            ++taken;
        } else {
            refused = sent.error();
        }
    }
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->code, Code::busy);
    EXPECT_LE(taken, 64);
    EXPECT_GE(taken, 48);
    ASSERT_TRUE(flush(*producer));
    EXPECT_EQ(stored("events").size(), static_cast<size_t>(taken));
    EXPECT_TRUE(send(*producer, *queue, {.value = value}));
}

TEST_F(ProducerCoreTest, BadInputIsRefusedAndSendsNothing) {
    start_all();
    make_topic("events", 2);
    const auto producer = engine_->add_producer({.batch_bytes_max = 1'000, .buffer_bytes_max = 4'000});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    EXPECT_EQ(send(*producer, *queue, {.value = "v"}, 2).error().code, Code::out_of_range);
    EXPECT_EQ(send(*producer, *queue, {.value = "v"}, -1).error().code, Code::out_of_range);
    const std::string large(3'000, 'x');
    EXPECT_EQ(send(*producer, *queue, {.value = large}, 0).error().code, Code::too_large);
    EXPECT_TRUE(producer->flushed(UINT64_MAX));
}

TEST_F(ProducerCoreTest, EveryCodecArrives) {
    start_all();
    for (const Compression codec :
         {Compression::none, Compression::gzip, Compression::snappy, Compression::lz4, Compression::zstd}) {
        const std::string topic = "events" + number(static_cast<int>(codec));
        make_topic(topic.c_str());
        const auto producer = engine_->add_producer({.compression = codec});
        ProducerTopicQueue* const queue = open_queue(*producer, topic.c_str());
        Values expected;
        for (int i = 0; i < 200; ++i) {
            expected.push_back(std::string(100, 'a') + number(i));
            ASSERT_TRUE(send(*producer, *queue, {.value = expected.back()}));
        }
        ASSERT_TRUE(flush(*producer));
        EXPECT_EQ(stored(topic.c_str()), expected);
    }
}

TEST_F(ProducerCoreTest, AcksOfNoneAndOfTheLeader) {
    start_all();
    for (const Acks acks : {Acks::none, Acks::leader}) {
        const std::string topic = acks == Acks::none ? "none" : "leader";
        make_topic(topic.c_str());
        const auto producer = engine_->add_producer({.acks = acks, .idempotent = false, .batch_bytes_max = 200});
        ProducerTopicQueue* const queue = open_queue(*producer, topic.c_str());
        std::optional<ProducerCore::Sent> last;
        for (int i = 0; i < 100; ++i) {
            auto sent = send(*producer, *queue, {.value = number(i)});
            ASSERT_TRUE(sent);
            last = std::move(*sent);
        }
        ASSERT_TRUE(flush(*producer));
        ASSERT_TRUE(until([&] { return stored(topic.c_str()).size() == 100; }));
        EXPECT_EQ(stored(topic.c_str()), numbers(0, 100));
        const auto at = last->batch->verdict(last->index);
        ASSERT_TRUE(at);
        EXPECT_EQ(at->offset, Offset{acks == Acks::none ? -1 : 99});
    }
}

}  // namespace
}  // namespace flowstone
