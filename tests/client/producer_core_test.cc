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
    for (const int i : {0, 1, 2, 3, 5, 6, 7, 8}) {
        const ProducerCore::Sent& one = sent[static_cast<size_t>(i)];
        EXPECT_TRUE(one.batch->verdict(one.index)) << i;
    }
    EXPECT_THAT(stored("events"), ElementsAre("0", "1", "2", "3", "5", "6", "7", "8"));
}

// As Java's clients do it. Where each record is its delivery says, whichever piece it went in.
TEST_F(ProducerCoreTest, ABatchThatIsTooLargeForItsTopicGoesInPieces) {
    start_all();
    const ProducerOptions kinds[] = {{}, {.compression = Compression::lz4}, {.idempotent = false}};
    for (size_t kind = 0; kind < std::size(kinds); ++kind) {
        SCOPED_TRACE(kind);
        const std::string topic = "events" + std::to_string(kind);
        make_topic(topic.c_str(), 1, {{"max.message.bytes", "1000"}});
        const auto producer = engine_->add_producer(kinds[kind]);
        ProducerTopicQueue* const queue = open_queue(*producer, topic.c_str());
        SimRandom random(5);
        std::string noise(2'000, ' ');  // that no codec makes smaller
        for (char& one : noise) { one = static_cast<char>(random.next()); }
        Values values;
        std::vector<Result<Position>> told(500, fail(Code::invalid, "nobody told"));
        std::vector<ProducerCore::Sent> sent;
        for (size_t i = 0; i < told.size(); ++i) {
            const bool large = i % 200 == 100;
            values.push_back(number(static_cast<int>(i)) + noise.substr(i, large ? 1'500 : 40));
            DeliveryCallback done = [&told, i](const Result<Position>& at) { told[i] = at; };
            sent.push_back(value_of(producer->send(*queue, {.value = values.back()}, 0, done)));
        }
        EXPECT_EQ(sent.front().batch, sent.back().batch);
        ASSERT_TRUE(flush(*producer));
        const Values there = stored(topic.c_str());
        size_t next = 0;
        for (size_t i = 0; i < told.size(); ++i) {
            const auto at = sent[i].batch->verdict(sent[i].index);
            ASSERT_EQ(at.has_value(), told[i].has_value()) << i;
            if (i % 200 == 100) {
                ASSERT_FALSE(at) << i;
                EXPECT_EQ(at.error().code, Code::too_large);
                EXPECT_EQ(at.error().fate, Fate::not_appended);
                continue;
            }
            ASSERT_TRUE(at) << i << ": " << at.error().message();
            EXPECT_EQ(*at, *told[i]);
            ASSERT_EQ(*at, (Position{0, Offset{static_cast<int64_t>(next)}})) << i;
            ASSERT_EQ(there[next++], values[i]);
        }
        EXPECT_EQ(there.size(), next);
        EXPECT_LE(queue->batch_bytes_max, 1'000u) << "the next ones fit at once";
    }
}

TEST_F(ProducerCoreTest, WhatGoesInPiecesIsNeitherLostNorRepeatedWhenConnectionsBreak) {
    start_all();
    make_topic("events", 1, {{"max.message.bytes", "300"}});
    const auto producer = engine_->add_producer({.linger = std::chrono::milliseconds(0), .batch_bytes_max = 2'000});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    SimRandom random(4);
    int next = 0;
    for (int life = 0; life < 40; ++life) {
        queue->batch_bytes_max = SIZE_MAX;  // forgotten, so that there is something to split
        for (int i = 0; i < 100; ++i) { ASSERT_TRUE(send(*producer, *queue, {.value = number(next++)})); }
        for (uint64_t steps = random.below(12); steps > 0; --steps) { step(); }
        client_network_->break_all();
    }
    ASSERT_TRUE(flush(*producer));
    EXPECT_EQ(stored("events"), numbers(0, next));
}

TEST_F(ProducerCoreTest, ClosingEndsWhatWentInPieces) {
    start_all();
    make_topic("events", 1, {{"max.message.bytes", "300"}});
    for (int steps = 0; steps < 60; ++steps) {
        make_engine();
        const auto producer = engine_->add_producer({.linger = std::chrono::milliseconds(0)});
        ProducerTopicQueue* const queue = open_queue(*producer, "events");
        std::vector<ProducerCore::Sent> sent;
        for (int i = 0; i < 100; ++i) { sent.push_back(value_of(send(*producer, *queue, {.value = number(i)}))); }
        for (int i = 0; i < steps; ++i) { step(); }
        engine_->close();
        for (const ProducerCore::Sent& one : sent) {
            ASSERT_TRUE(one.batch->done()) << steps;
            const auto at = one.batch->verdict(one.index);
            if (!at) { EXPECT_EQ(at.error().code, Code::closed); }
        }
    }
}

TEST_F(ProducerCoreTest, WhatWaitsBehindOthersGrows) {
    constexpr size_t batch_bytes = 1'000;
    start_all();
    make_topic("events");
    const auto producer = engine_->add_producer({.linger = std::chrono::hours(1), .batch_bytes_max = batch_bytes});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    const std::string value(90, 'v');
    std::vector<ProducerCore::Sent> sent;
    std::vector<size_t> sizes;  // of batches, in records
    constexpr size_t count = 3'000;
    for (size_t i = 0; i < count; ++i) {
        sent.push_back(value_of(send(*producer, *queue, {.value = value})));
        if (i == 0 || sent[i].batch != sent[i - 1].batch) { sizes.push_back(0); }
        ++sizes.back();
    }
    EXPECT_LE(sizes.front() * value.size(), batch_bytes);
    size_t before = sizes.front();
    for (const size_t one : std::span(sizes).subspan(1)) {
        EXPECT_LE(one, before);
        before += one;
    }
    const size_t largest = std::ranges::max(sizes);
    EXPECT_GT(largest * value.size(), batch_bytes * 12);
    EXPECT_LE(largest * value.size(), batch_bytes * 16);
    // As soon as it is its turn, and it has what one has that did not wait: all but the last few records, which linger.
    const auto left = [&] {
        return std::ranges::count_if(sent, [](const ProducerCore::Sent& one) { return !one.batch->done(); });
    };
    ASSERT_TRUE(until([&] { return static_cast<size_t>(left()) * value.size() < batch_bytes; }));
    ASSERT_TRUE(flush(*producer));
    EXPECT_EQ(stored("events").size(), count);
    // Nothing waits any more.
    const auto first = value_of(send(*producer, *queue, {.value = value}));
    size_t in_first = 1;
    while (value_of(send(*producer, *queue, {.value = value})).batch == first.batch) { ++in_first; }
    EXPECT_LE(in_first * value.size(), batch_bytes);
}

// A producer whose client's thread does nothing that it is not called for.
class ProducerWakeTest : public ProducerCoreTest {
protected:
    ~ProducerWakeTest() override { engine_->close(); }  // what is under way knows the producer
    void make(const ProducerOptions& options) {
        core_ = std::make_shared<ProducerCore>(
            ProducerCore::World{engine_->requests(), engine_->cluster(), clock_, random_, [this] { ++wakes_; }},
            options);
        queue_ = &core_->queue("events");
        engine_->cluster().want("events");
        ASSERT_TRUE(until([&] {
            core_->turn();
            return queue_->partition_count > 0;
        }));
        wakes_ = seen_ = 0;
    }
    void work() {
        std::vector<NetworkEvent> events;
        ASSERT_TRUE(client_network_->wait(0, events));
        bool called = engine_->requests().turn(events);
        engine_->cluster().turn();
        called |= std::exchange(seen_, wakes_) != wakes_ || core_->next_deadline_ns() <= clock_.monotonic_ns();
        while (called) {
            core_->turn();
            called = engine_->requests().turn({});
        }
        run();
    }

    std::shared_ptr<ProducerCore> core_;
    ProducerTopicQueue* queue_ = nullptr;
    int wakes_ = 0;
    int seen_ = 0;
};

TEST_F(ProducerWakeTest, WhatIsFullIsSentWithoutAnybodyWaitingForIt) {
    start_all();
    make_topic("events");
    make({.linger = std::chrono::hours(1), .batch_bytes_max = 500});
    SimRandom random(6);
    std::vector<ProducerCore::Sent> sent;
    size_t behind = 0;  // records that no others came behind
    for (int i = 0; i < 5'000; ++i) {
        sent.push_back(value_of(send(*core_, *queue_, {.value = std::string(random.below(100), 'v')})));
        for (uint64_t works = random.below(40) == 0 ? random.below(30) : 0; works > 0; --works) { work(); }
    }
    for (behind = 1; sent[sent.size() - behind].batch == sent.back().batch; ++behind) {}
    for (int i = 0; i < 2'000; ++i) { work(); }
    for (size_t i = 0; i + behind < sent.size(); ++i) { ASSERT_TRUE(sent[i].batch->done()) << i; }
}

TEST_F(ProducerWakeTest, NobodyIsWokenForWhatAnAnswerBringsToItsTurn) {
    start_all();
    make_topic("events");
    make({.batch_bytes_max = 500});
    const auto send_batches = [&] {
        for (int i = 0; i < 100; ++i) { ASSERT_TRUE(send(*core_, *queue_, {.value = std::string(100, 'v')})); }
    };
    send_batches();
    EXPECT_EQ(wakes_, 1) << "once is enough";
    for (int i = 0; i < 1'000 && !queue_->partitions[0].window_full; ++i) { work(); }
    ASSERT_TRUE(queue_->partitions[0].window_full);
    const int before = wakes_;
    send_batches();
    EXPECT_EQ(wakes_, before);
}

TEST_F(ProducerCoreTest, TheClientsThreadDoesNotRestBeforeEverythingIsTold) {
    start_all();
    make_topic("events");
    const auto producer = engine_->add_producer({.acks = Acks::none, .idempotent = false, .batch_bytes_max = 200});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    ASSERT_TRUE(send(*producer, *queue, {.value = "there is a connection"}));
    ASSERT_TRUE(flush(*producer));
    const std::string value(150, 'v');
    for (int i = 0; i < 2'000; ++i) { ASSERT_TRUE(send(*producer, *queue, {.value = value})); }
    const uint64_t mark = producer->flush_begin();
    for (int i = 0; i < 1'000 && (i == 0 || engine_->quiet_ns() == 0); ++i) { engine_->turn({}); }
    EXPECT_TRUE(producer->flushed(mark));
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
