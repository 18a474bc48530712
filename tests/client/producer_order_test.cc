// Answers of every kind while several batches of a partition are under way: what is acknowledged is in the log once, in
// the order of its sending.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/impl/client_engine.h"
#include "tests/client/model_broker.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;

class ProducerOrderTest : public testing::Test {
protected:
    // Sends numbers, a batch each unless they wait, to a broker that fails them as `fate` says; returns which were acknowledged.
    std::vector<std::string> send(int count, uint64_t seed, const std::function<ModelBroker::Fate(BatchView)>& fate) {
        SimClock clock;
        SimRandom random(seed);
        SimNetwork network(clock, {.seed = seed});
        ModelBroker broker(network, clock, fate);
        SimClientNetwork client_network(network, seed);
        ClientEngine engine({client_network, clock, random}, {broker.address}, {});
        const auto producer = engine.add_producer({.linger = std::chrono::milliseconds(0), .batch_bytes_max = 128});
        ProducerTopicQueue& queue = producer->queue("events");
        engine.cluster().want("events");
        const auto step = [&] {
            std::vector<NetworkEvent> events;
            ASSERT_TRUE(client_network.wait(0, events));
            engine.turn(events);
            broker.run();
        };
        while (queue.partition_count == 0) { step(); }
        std::vector<ProducerCore::Sent> sent;
        for (int i = 0; i < count; ++i) {
            DeliveryCallback none;
            const std::string value = std::to_string(i) + std::string(60, '.');
            auto one = producer->send(queue, {.value = value}, 0, none);
            EXPECT_TRUE(one) << one.error().message();
            if (!one) { return {}; }
            sent.push_back(std::move(*one));
            if (random.below(3) == 0) { step(); }
        }
        const uint64_t mark = producer->flush_begin();
        for (int i = 0; i < 500'000 && !producer->flushed(mark); ++i) { step(); }
        EXPECT_TRUE(producer->flushed(mark));
        std::vector<std::string> acknowledged;
        for (size_t i = 0; i < sent.size(); ++i) {
            const auto at = sent[i].batch->verdict(sent[i].index);
            if (!at) { continue; }
            const std::string value = std::to_string(i) + std::string(60, '.');
            EXPECT_EQ(broker.values.at(static_cast<size_t>(at->offset.value)), value);
            acknowledged.push_back(value);
        }
        log_ = broker.values;
        return acknowledged;
    }
    std::vector<std::string> log_;
};

TEST_F(ProducerOrderTest, FailuresThatPassLoseNothingRepeatNothingAndKeepTheOrder) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        SimRandom random(seed);
        const auto acknowledged = send(200, seed, [&](BatchView) -> ModelBroker::Fate {
            switch (random.below(6)) {
                case 0: return {.taken = false, .told = ErrorCode::not_leader_or_follower};
                case 1: return {.taken = true, .told = ErrorCode::request_timed_out};
                default: return {};
            }
        });
        EXPECT_EQ(acknowledged.size(), 200u) << "seed " << seed;
        EXPECT_EQ(log_, acknowledged) << "seed " << seed;
    }
}

TEST_F(ProducerOrderTest, WhatIsGivenUpLeavesAGapAndNothingBehindItIsLostOrThereTwice) {
    size_t refused_in_all = 0;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        SimRandom random(seed);
        size_t refused = 0;
        const auto acknowledged = send(200, seed, [&](BatchView batch) -> ModelBroker::Fate {
            switch (random.below(12)) {
                case 0:
                    refused += static_cast<size_t>(batch.record_count());
                    return {.taken = false, .told = ErrorCode::invalid_record};
                case 1: return {.taken = false, .told = ErrorCode::not_leader_or_follower};
                default: return {};
            }
        });
        EXPECT_EQ(acknowledged.size() + refused, 200u) << "seed " << seed;
        EXPECT_EQ(log_, acknowledged) << "seed " << seed;
        refused_in_all += refused;
    }
    EXPECT_GT(refused_in_all, 0u);
}

TEST_F(ProducerOrderTest, WhatIsTooLargeGoesInPiecesThatAreThereOnceAndInOrder) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        SimRandom random(seed);
        size_t too_large = 0;
        const auto acknowledged = send(400, seed, [&](BatchView batch) -> ModelBroker::Fate {
            switch (random.below(8)) {
                case 0: return {.taken = false, .told = ErrorCode::not_leader_or_follower};
                case 1: return {.taken = true, .told = ErrorCode::request_timed_out};
                case 2:
                case 3:
                case 4: break;
                default: return {};
            }
            if (batch.record_count() == 1) { return {}; }
            ++too_large;
            return {.taken = false, .told = ErrorCode::message_too_large};
        });
        EXPECT_GT(too_large, 0u);
        EXPECT_EQ(acknowledged.size(), 400u) << "seed " << seed;
        EXPECT_EQ(log_, acknowledged) << "seed " << seed;
    }
}

}  // namespace
}  // namespace flowstone
