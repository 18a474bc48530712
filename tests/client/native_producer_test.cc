// What a producer of a log in this process does in ways of its own. What it shares with the others: contract_test.cc.
#include <atomic>
#include <chrono>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include <flowstone/admin.h>
#include <flowstone/client.h>

#include "storage/lock.h"
#include "tests/client/served_log.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;

class NativeProducerTest : public testing::Test {
protected:
    NativeProducerTest() : client_(value_of(Client::open("dir:" + directory_.log(), small_log()))) {}
    ProducerTopic open(const char* name, const ProducerOptions& options = {}) {
        EXPECT_TRUE(client_.admin().create_topic(name, {.partitions = 2, .exists_ok = true}));
        producer_ = value_of(client_.producer(options));
        return value_of(producer_->topic(name));
    }
    PartitionInfo info(const char* name, int32_t partition = 0) {
        return value_of(value_of(client_.log()->topic(name)).partition(partition));
    }

    TestDirectory directory_;
    Client client_;
    std::optional<Producer> producer_;
};

TEST_F(NativeProducerTest, ARecordIsInTheLogWhenSendReturns) {
    auto to = open("events", {.linger = 60s});
    const auto sent = value_of(to.send({.value = "v"}, 0));
    EXPECT_EQ(info("events").log_end, Offset{1});  // nothing lingers
    EXPECT_EQ(value_of(sent.wait()), (Position{0, Offset{0}}));
    EXPECT_EQ(info("events").high_watermark, Offset{1});
}

TEST_F(NativeProducerTest, ACodecOfTheProducerGoesByTheBroker) {
    auto to = open("events", {.compression = Compression::zstd, .linger = 60s});
    const auto sent = value_of(to.send({.value = std::string(1'000, 'v')}, 0));
    EXPECT_FALSE(sent.done());  // in a batch that lingers
    EXPECT_EQ(info("events").log_end, Offset{0});
    ASSERT_TRUE(producer_->flush());
    EXPECT_EQ(value_of(sent.wait(0ms)), (Position{0, Offset{0}}));
    const auto topic = value_of(client_.log()->topic("events"));
    auto reader = value_of(topic.read());
    const auto batch = value_of(reader.next());
    EXPECT_LT(batch.bytes().size(), 500u);
}

TEST_F(NativeProducerTest, AcksOfNoneTellNoOffset) {
    auto to = open("events", {.acks = Acks::none, .idempotent = false});
    EXPECT_EQ(value_of(value_of(to.send({.value = "v"}, 1)).wait()), (Position{1, Offset{-1}}));
}

TEST_F(NativeProducerTest, FlushWaitsForEveryPartition) {
    auto to = open("events");
    for (int round = 1; round <= 3; ++round) {
        for (int i = 0; i < 200; ++i) { ASSERT_TRUE(to.send({.value = "v"}, i % 2)); }
        ASSERT_TRUE(producer_->flush());
        EXPECT_EQ(info("events", 0).high_watermark, Offset{100 * round});
        EXPECT_EQ(info("events", 1).high_watermark, Offset{100 * round});
    }
}

TEST_F(NativeProducerTest, FlushWaitsForWhoIsCalledBack) {
    auto to = open("events");
    std::atomic<int> called = 0;
    for (int i = 0; i < 200; ++i) {
        const auto count = [&](const Result<Position>& at) {
            EXPECT_TRUE(at);
            ++called;
        };
        ASSERT_TRUE(to.send({.value = "v"}, count, i % 2));
    }
    ASSERT_TRUE(producer_->flush());
    EXPECT_EQ(called, 200);
}

TEST_F(NativeProducerTest, FlushEndsInTimeWhileACallbackDoesNot) {
    auto to = open("events");
    std::atomic<uint32_t> held = 1;
    ASSERT_TRUE(to.send({.value = "v"}, [&](const auto&) {
        while (held == 1) { sleep_while(held, 1); }
    }));
    EXPECT_EQ(producer_->flush(20ms).error().code, Code::timed_out);
    held = 0;
    wake_all(held);
    EXPECT_TRUE(producer_->flush());
}

TEST_F(NativeProducerTest, ATopicThatIsDeletedTakesNothingMore) {
    auto to = open("events");
    ASSERT_TRUE(value_of(to.send({.value = "v"}, 0)).wait());
    ASSERT_TRUE(client_.admin().delete_topic("events"));
    const auto refused = to.send({.value = "v"}, 0);
    EXPECT_EQ(refused.error().code, Code::not_found);
    EXPECT_EQ(refused.error().fate, Fate::not_appended);
    ASSERT_TRUE(client_.admin().create_topic("events"));
    auto another = value_of(producer_->topic("events"));
    EXPECT_EQ(value_of(value_of(another.send({.value = "v"}, 0)).wait()), (Position{0, Offset{0}}));
}

TEST_F(NativeProducerTest, WhoReadsThroughAnotherProcessIsWoken) {
    auto to = open("events");
    auto other = value_of(Client::open("shm:" + directory_.log()));
    auto consumer = value_of(other.consumer({.fetch_wait = 30s}));
    ASSERT_TRUE(consumer.assign({{"events", 0}}));
    EXPECT_TRUE(value_of(consumer.poll(50ms)).empty());  // its fetch waits at the broker, or soon will
    ASSERT_TRUE(to.send({.value = "v"}, 0));
    EXPECT_FALSE(value_of(consumer.poll(20s)).empty());
}

}  // namespace
}  // namespace flowstone
