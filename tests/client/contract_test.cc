// What the client promises of producing and consuming, the same for every kind of endpoint.
#include "tests/client/contract.h"

#include <algorithm>
#include <map>

#include "storage/thread.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;

INSTANTIATE_TEST_SUITE_P(Every, Contract, every_way(), name_of_way);

// --- producing ---------------------------------------------------------------------------------------------------------

TEST_P(Contract, ARecordComesBackAsItWasSent) {
    const std::string topic = make_topic();
    auto producer = value_of(client_->producer());
    auto to = value_of(producer.topic(topic));
    const std::vector<Header> headers{{"trace", "a1"}, {"empty", ""}, {"none", std::nullopt}};
    const auto first =
        value_of(to.send({.key = "card", .value = "12.50 EUR", .headers = headers, .timestamp_ms = 1'700'000'000'123}));
    const auto second = value_of(to.send({.key = std::nullopt, .value = std::nullopt}));
    EXPECT_EQ(value_of(first.wait()), (Position{0, Offset{0}}));
    EXPECT_EQ(value_of(second.wait()), (Position{0, Offset{1}}));
    EXPECT_TRUE(first.done());

    auto consumer = value_of(client_->consumer());
    ASSERT_TRUE(consumer.assign({{topic, 0}}));
    size_t seen = 0;
    while (seen < 2) {
        const auto batch = value_of(consumer.poll(20s));
        ASSERT_FALSE(batch.empty());
        EXPECT_EQ(batch.topic(), topic);
        EXPECT_EQ(batch.partition(), 0);
        for (const RecordView& record : batch) {
            EXPECT_EQ(record.offset, Offset{static_cast<int64_t>(seen)});
            if (seen++ == 0) {
                EXPECT_EQ(record.key, "card");
                EXPECT_EQ(record.value, "12.50 EUR");
                EXPECT_EQ(record.timestamp_ms, 1'700'000'000'123);
                EXPECT_EQ(record.header_count(), 3u);
                EXPECT_EQ(record.header("trace")->value, "a1");
                EXPECT_EQ(record.header("empty")->value, "");
                EXPECT_EQ(record.header("none")->value, std::nullopt);
            } else {
                EXPECT_FALSE(record.key);
                EXPECT_FALSE(record.value);
            }
        }
    }
}

TEST_P(Contract, EveryCodecGoesThereAndBack) {
    for (const auto codec :
         {Compression::none, Compression::gzip, Compression::snappy, Compression::lz4, Compression::zstd}) {
        const std::string topic = make_topic();
        auto producer = value_of(client_->producer({.compression = codec}));
        auto to = value_of(producer.topic(topic));
        for (int i = 0; i < 3'000; ++i) {
            const std::string value = std::to_string(i);
            ASSERT_TRUE(to.send({.key = "the same for all", .value = value}));
        }
        ASSERT_TRUE(producer.flush());
        auto consumer = value_of(client_->consumer());
        ASSERT_TRUE(consumer.assign({{topic, 0}}));
        EXPECT_EQ(take(consumer, 3'000), numbers(0, 3'000));
    }
}

// As Java's clients do it: their murmur2 of the key, without its sign, modulo seven.
TEST_P(Contract, AKeyHasItsPartition) {
    auto producer = value_of(client_->producer());
    auto to = value_of(producer.topic(make_topic(7)));
    EXPECT_EQ(to.partitions(), 7);
    const std::vector<std::pair<std::string, int32_t>> places{
        {"21", 3}, {"foobar", 0}, {"a-little-bit-long-string", 1}, {"a-little-bit-longer-string", 0}, {"abc", 4}};
    for (const auto& [key, partition] : places) {
        const auto sent = value_of(to.send({.key = key, .value = "v"}));
        EXPECT_EQ(value_of(sent.wait()).partition, partition) << key;
    }
    const auto chosen = value_of(to.send({.key = "abc", .value = "v"}, 6));
    EXPECT_EQ(value_of(chosen.wait()), (Position{6, Offset{0}}));
    EXPECT_EQ(to.send({.value = "v"}, 7).error().code, Code::out_of_range);
    EXPECT_EQ(to.send({.value = "v"}, -1).error().code, Code::out_of_range);
}

TEST_P(Contract, RecordsWithoutAKeyReachEveryPartition) {
    const std::string topic = make_topic(3);
    auto producer = value_of(client_->producer());
    auto to = value_of(producer.topic(topic));
    for (int i = 0; i < 3'000; ++i) {
        ASSERT_TRUE(to.send({.value = "v"}));
        if (i % 100 == 99) { ASSERT_TRUE(producer.flush()); }  // another batch, another partition
    }
    int64_t sum = 0;
    for (int32_t partition = 0; partition < 3; ++partition) {
        const auto ends = value_of(client_->admin().ends({topic, partition}));
        EXPECT_GT(ends.high_watermark, Offset{0}) << partition;
        sum += ends.high_watermark.value;
    }
    EXPECT_EQ(sum, 3'000);
}

TEST_P(Contract, ThreadsShareAProducerAndEachKeepsItsOrder) {
    const std::string topic = make_topic(3);
    auto producer = value_of(client_->producer());
    auto to = value_of(producer.topic(topic));
    std::vector<Thread> threads;
    for (int32_t partition = 0; partition < 3; ++partition) {
        threads.emplace_back("sender", [&, partition] {
            for (int i = 0; i < 2'000; ++i) {
                const std::string value = std::to_string(i);
                ASSERT_TRUE(to.send({.value = value}, partition));
            }
        });
    }
    threads.clear();
    ASSERT_TRUE(producer.flush());
    auto consumer = value_of(client_->consumer());
    ASSERT_TRUE(consumer.assign({{topic, 0}, {topic, 1}, {topic, 2}}));
    std::map<int32_t, Values> found;
    for (size_t seen = 0; seen < 6'000;) {
        const auto batch = value_of(consumer.poll(20s));
        ASSERT_FALSE(batch.empty());
        for (const RecordView& record : batch) {
            found[batch.partition()].emplace_back(*record.value);
            ++seen;
        }
    }
    for (int32_t partition = 0; partition < 3; ++partition) { EXPECT_EQ(found[partition], numbers(0, 2'000)); }
}

TEST_P(Contract, EachRecordIsCalledBackForOnceAndInOrder) {
    auto producer = value_of(client_->producer());
    auto to = value_of(producer.topic(make_topic()));
    std::vector<int64_t> offsets;  // the client's thread adds to it; read after the flush
    for (int i = 0; i < 1'000; ++i) {
        ASSERT_TRUE(to.send({.value = "v"}, [&](const Result<Position>& at) { offsets.push_back(at->offset.value); }));
    }
    ASSERT_TRUE(producer.flush());
    ASSERT_TRUE(client_->close());
    ASSERT_EQ(offsets.size(), 1'000u);
    for (int64_t i = 0; i < 1'000; ++i) { ASSERT_EQ(offsets[static_cast<size_t>(i)], i); }
}

TEST_P(Contract, WhatATopicRefusesItsSenderIsTold) {
    auto producer = value_of(client_->producer());
    auto to = value_of(producer.topic(make_topic(1, {{"max.message.bytes", "2000"}})));
    const std::string large(5'000, 'x');
    const auto sent = to.send({.value = large});
    const auto verdict = sent ? sent->wait() : Result<Position>(std::unexpected(sent.error()));
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Code::too_large);
    EXPECT_EQ(verdict.error().fate, Fate::not_appended);
    EXPECT_EQ(value_of(value_of(to.send({.value = "small"})).wait()), (Position{0, Offset{0}}));
}

TEST_P(Contract, AfterCloseNothingIsTaken) {
    const std::string topic = make_topic();
    auto producer = value_of(client_->producer());
    auto to = value_of(producer.topic(topic));
    auto consumer = value_of(client_->consumer());
    ASSERT_TRUE(consumer.assign({{topic, 0}}));
    const auto last = value_of(to.send({.value = "last"}));
    ASSERT_TRUE(client_->close());
    EXPECT_EQ(value_of(last.wait(0ms)), (Position{0, Offset{0}}));  // closing sent it
    EXPECT_EQ(to.send({.value = "late"}).error().code, Code::closed);
    EXPECT_EQ(consumer.poll(0ms).error().code, Code::closed);
    EXPECT_EQ(client_->producer().error().code, Code::closed);
    EXPECT_EQ(client_->consumer().error().code, Code::closed);
    EXPECT_EQ(client_->admin().topics().error().code, Code::closed);
    EXPECT_TRUE(client_->close());
}

// --- consuming ---------------------------------------------------------------------------------------------------------

TEST_P(Contract, AConsumerGoesWhereItIsSent) {
    const std::string topic = make_topic();
    auto producer = value_of(client_->producer());
    auto to = value_of(producer.topic(topic));
    for (int i = 0; i < 100; ++i) {
        const std::string value = std::to_string(i);
        ASSERT_TRUE(value_of(to.send({.value = value, .timestamp_ms = 1'700'000'000'000 + i * 1'000})).wait());
        if (i % 10 == 9) { ASSERT_TRUE(producer.flush()); }
    }
    const TopicPartition place{topic, 0};
    auto consumer = value_of(client_->consumer());
    ASSERT_TRUE(consumer.assign({place}, Offset{97}));
    EXPECT_EQ(take(consumer, 3), numbers(97, 100));
    EXPECT_EQ(consumer.position(place), Offset{100});
    EXPECT_EQ(consumer.lag(place), 0);
    ASSERT_TRUE(consumer.seek(place, From::beginning()));
    EXPECT_EQ(take(consumer, 100), numbers(0, 100));
    ASSERT_TRUE(consumer.seek(place, From::time_ms(1'700'000'041'500)));
    EXPECT_EQ(take(consumer, 58), numbers(42, 100));
    ASSERT_TRUE(consumer.seek(place, From::end()));
    while (!consumer.position(place)) { ASSERT_TRUE(value_of(consumer.poll(10ms)).empty()); }
    EXPECT_EQ(consumer.position(place), Offset{100});
    fill(topic, 100, 101);
    EXPECT_EQ(take(consumer, 1), numbers(100, 101));
    EXPECT_EQ(consumer.seek({topic, 1}, Offset{0}).error().code, Code::invalid);
}

TEST_P(Contract, AnOffsetThatIsNotThereIsAnError) {
    const std::string topic = make_topic();
    fill(topic, 0, 5);
    const TopicPartition place{topic, 0};
    auto consumer = value_of(client_->consumer());
    ASSERT_TRUE(consumer.assign({place}, Offset{6}));
    EXPECT_EQ(consumer.poll(20s).error().code, Code::out_of_range);
    ASSERT_TRUE(consumer.seek(place, Offset{4}));
    EXPECT_EQ(take(consumer, 1), numbers(4, 5));
    ASSERT_TRUE(consumer.assign({{topic, 7}}));
    EXPECT_EQ(consumer.poll(20s).error().code, Code::not_found);
}

TEST_P(Contract, APausedPartitionGivesNothingUntilItIsResumed) {
    const std::string topic = make_topic(2);
    fill(topic, 0, 10, 0);
    fill(topic, 10, 20, 1);
    auto consumer = value_of(client_->consumer());
    ASSERT_TRUE(consumer.assign({{topic, 0}, {topic, 1}}));
    consumer.pause({topic, 0});
    EXPECT_EQ(take(consumer, 10), numbers(10, 20));
    EXPECT_TRUE(value_of(consumer.poll(300ms)).empty());
    consumer.resume({topic, 0});
    EXPECT_EQ(take(consumer, 10), numbers(0, 10));
}

TEST_P(Contract, WhoeverWaitsGetsWhatIsSentMeanwhile) {
    const std::string topic = make_topic();
    auto consumer = value_of(client_->consumer());
    ASSERT_TRUE(consumer.assign({{topic, 0}}));
    EXPECT_TRUE(value_of(consumer.poll(0ms)).empty());
    const Thread sender("sender", [&] { fill(topic, 0, 500); });
    EXPECT_EQ(take(consumer, 500), numbers(0, 500));
}

TEST_P(Contract, ManyRecordsOfManyBatchesComeWholeAndInOrder) {
    const std::string topic = make_topic();
    fill(topic, 0, 60'000);
    auto consumer = value_of(client_->consumer({.fetch_bytes_max = 64u << 10, .partition_bytes_max = 32u << 10}));
    ASSERT_TRUE(consumer.assign({{topic, 0}}));
    EXPECT_EQ(take(consumer, 60'000), numbers(0, 60'000));
}

TEST_P(Contract, AGroupGoesOnBehindWhatItCommitted) {
    const std::string topic = make_topic(2);
    fill(topic, 0, 10, 0);
    fill(topic, 10, 20, 1);
    const ConsumerOptions options{.group = topic};
    {
        auto member = value_of(client_->consumer(options));
        ASSERT_TRUE(member.subscribe({topic}));
        Values values = take(member, 20);
        std::ranges::sort(values, {}, [](const std::string& text) { return std::stoi(text); });
        EXPECT_EQ(values, numbers(0, 20));
        ASSERT_TRUE(member.commit());
        ASSERT_TRUE(member.close());
    }
    fill(topic, 20, 25, 1);
    auto member = value_of(client_->consumer(options));
    EXPECT_EQ(value_of(member.committed({{topic, 1}})).at(0)->offset, Offset{10});
    ASSERT_TRUE(member.subscribe({topic}));
    EXPECT_EQ(take(member, 5), numbers(20, 25));
    ASSERT_TRUE(member.close());
}

}  // namespace
}  // namespace flowstone
