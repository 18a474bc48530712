// What consumers are given. Tests of a rule of SERVE.md, section 2, name its number.
#include <algorithm>
#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/thread.h"
#include "tests/net/broker/broker_door.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

int64_t end_of(Bytes batches) {
    int64_t end = -1;
    while (!batches.empty()) {
        const BatchView batch = value_of(BatchView::parse(batches));
        end = batch.next_offset().value;
        batches = batches.subspan(batch.size());
    }
    return end;
}

TEST_F(BrokerTest, Rule3AFetchReturnsWholeBatchesFromTheOneThatHoldsTheOffset) {
    start();
    Client client(*this);
    make(client, "t");
    for (int i = 0; i < 3; ++i) { put(client, "t", {.records = 4}); }
    EXPECT_THAT(bases(get(client, fetch("t", 6))), ElementsAre(4, 8));
}

TEST_F(BrokerTest, Rule4TheFirstPartitionWithRecordsReturnsOneBatchWhateverTheLimits) {
    start();
    Client client(*this);
    make(client, "t", 2);
    const auto bytes = batch({.value_bytes = 5'000});
    for (const int32_t partition : {0, 1}) {
        client.ask<kafka::ProduceResponse>(produce("t", bytes, -1, partition), produce_version);
        client.ask<kafka::ProduceResponse>(produce("t", bytes, -1, partition), produce_version);
    }
    auto request = fetch("t", 0);
    request.max_bytes = 10;
    request.topics[0].partitions[0].partition_max_bytes = 10;
    request.topics[0].partitions.push_back({.partition = 1, .fetch_offset = 0, .partition_max_bytes = 1 << 20});
    const auto answer = client.ask<kafka::FetchResponse>(request, fetch_version);
    EXPECT_THAT(bases(answer.responses.at(0).partitions.at(0)), ElementsAre(0));
    EXPECT_THAT(bases(answer.responses.at(0).partitions.at(1)), IsEmpty());
}

TEST_F(BrokerTest, Rule5ALongPollIsAnsweredByNewRecordsByTimeOrByAnError) {
    start();
    Client consumer(*this);
    Client producer(*this);
    make(consumer, "t");
    // Records.
    const int64_t began = clock_.wall_ms();
    consumer.send(fetch("t", 0, 30'000), fetch_version);
    settle();
    EXPECT_EQ(put(producer, "t", {}).error_code, ErrorCode::none);
    EXPECT_THAT(bases(consumer.answer<kafka::FetchResponse>(fetch_version).responses.at(0).partitions.at(0)),
                ElementsAre(0));
    EXPECT_LT(clock_.wall_ms() - began, 1'000);
    // Time.
    const int64_t waiting = clock_.wall_ms();
    consumer.send(fetch("t", 1, 30'000), fetch_version);
    const auto empty = consumer.answer<kafka::FetchResponse>(fetch_version);
    EXPECT_THAT(bases(empty.responses.at(0).partitions.at(0)), IsEmpty());
    EXPECT_GE(clock_.wall_ms() - waiting, 30'000);
    EXPECT_LT(clock_.wall_ms() - waiting, 32'000);
    // An error in one of its partitions.
    auto request = fetch("t", 1, 30'000);
    request.topics[0].partitions.push_back({.partition = 7, .partition_max_bytes = 100});
    const int64_t asked = clock_.wall_ms();
    const auto failed = consumer.ask<kafka::FetchResponse>(request, fetch_version);
    EXPECT_EQ(failed.responses.at(0).partitions.at(1).error_code, ErrorCode::unknown_topic_or_partition);
    EXPECT_LT(clock_.wall_ms() - asked, 1'000);
}

TEST_F(BrokerTest, Rule5AWaitingFetchKeepsNobodyElseWaiting) {
    start();
    Client waiting(*this);
    Client other(*this);
    make(other, "t");
    waiting.send(fetch("t", 0, 30'000), fetch_version);
    settle();
    const int64_t before = clock_.wall_ms();
    EXPECT_THAT(other.ask<kafka::MetadataResponse>(all_topics(), 12).topics, SizeIs(1));
    EXPECT_LT(clock_.wall_ms() - before, 1'000);
}

TEST_F(BrokerTest, Rule5MinBytesAreWaitedFor) {
    start();
    Client consumer(*this);
    Client producer(*this);
    make(consumer, "t");
    auto request = fetch("t", 0, 30'000);
    const auto one = static_cast<int32_t>(batch({}).size());
    request.min_bytes = 2 * one;
    consumer.send(request, fetch_version);
    put(producer, "t", {});
    settle();
    EXPECT_FALSE(consumer.receive(100));
    put(producer, "t", {});
    EXPECT_THAT(bases(consumer.answer<kafka::FetchResponse>(fetch_version, 1'000).responses.at(0).partitions.at(0)),
                ElementsAre(0, 1));
}

TEST_F(BrokerTest, Rule6TheEndIsAnEmptySuccessAndBeyondItIsOutOfRange) {
    start();
    Client client(*this);
    make(client, "t");
    put(client, "t", {.records = 2});
    const auto end = get(client, fetch("t", 2));
    EXPECT_EQ(end.error_code, ErrorCode::none);
    EXPECT_THAT(bases(end), IsEmpty());
    EXPECT_EQ(end.high_watermark, 2);
    EXPECT_EQ(end.last_stable_offset, 2);
    EXPECT_EQ(get(client, fetch("t", 3)).error_code, ErrorCode::offset_out_of_range);
    EXPECT_EQ(get(client, fetch("t", -1)).error_code, ErrorCode::offset_out_of_range);
}

TEST_F(BrokerTest, Rule7AnIncrementalFetchLeavesOutWhatDidNotChange) {
    start();
    Client client(*this);
    make(client, "t", 2);
    auto open = fetch("t", 0);
    open.session_id = 0;
    open.session_epoch = 0;
    open.topics[0].partitions.push_back({.partition = 1, .fetch_offset = 0, .partition_max_bytes = 1 << 20});
    const auto full = client.ask<kafka::FetchResponse>(open, fetch_version);
    ASSERT_NE(full.session_id, 0);
    EXPECT_THAT(full.responses.at(0).partitions, SizeIs(2));
    put(client, "t", {});
    kafka::FetchRequest next;
    next.session_id = full.session_id;
    next.session_epoch = 1;
    next.min_bytes = 1;
    const auto changed = client.ask<kafka::FetchResponse>(next, fetch_version);
    ASSERT_THAT(changed.responses, SizeIs(1));
    ASSERT_THAT(changed.responses[0].partitions, SizeIs(1));
    EXPECT_EQ(changed.responses[0].partitions[0].partition_index, 0);
    EXPECT_THAT(bases(changed.responses[0].partitions[0]), ElementsAre(0));
    next.session_epoch = 7;
    EXPECT_EQ(client.ask<kafka::FetchResponse>(next, fetch_version).error_code, ErrorCode::invalid_fetch_session_epoch);
    next.session_id = 12345;
    EXPECT_EQ(client.ask<kafka::FetchResponse>(next, fetch_version).error_code, ErrorCode::fetch_session_id_not_found);
}

TEST_F(BrokerTest, Rule10EpochsOfTheLeaderFenceAndTellWhereOlderOnesEnd) {
    start();
    std::optional<Client> client(std::in_place, *this);
    make(*client, "t");
    put(*client, "t", {.records = 3});
    const auto epoch_of = [&] {
        return client->ask<kafka::MetadataResponse>(all_topics(), 12).topics.at(0).partitions.at(0).leader_epoch;
    };
    const int32_t first = epoch_of();
    kill();
    start();
    client.emplace(*this);
    const int32_t second = epoch_of();
    EXPECT_GT(second, first);
    // A client may take the epoch that Metadata names for that of the last record it read: nothing diverges.
    auto at_end = fetch("t", 3);
    at_end.topics[0].partitions[0].last_fetched_epoch = second;
    EXPECT_EQ(get(*client, at_end).diverging_epoch.epoch, -1);
    at_end.topics[0].partitions[0].last_fetched_epoch = second + 1;
    EXPECT_EQ(get(*client, at_end).error_code, ErrorCode::offset_out_of_range);
    put(*client, "t", {.records = 2});
    EXPECT_EQ(epoch_of(), second) << "the same before and after the first append";
    auto request = fetch("t", 0);
    request.topics[0].partitions[0].current_leader_epoch = first;
    EXPECT_EQ(get(*client, request).error_code, ErrorCode::fenced_leader_epoch);
    request.topics[0].partitions[0].current_leader_epoch = second + 1;
    EXPECT_EQ(get(*client, request).error_code, ErrorCode::unknown_leader_epoch);
    request.topics[0].partitions[0].current_leader_epoch = second;
    EXPECT_EQ(get(*client, request).error_code, ErrorCode::none);
    kafka::OffsetForLeaderEpochRequest ask;
    ask.topics.push_back({"t", {{.partition = 0, .leader_epoch = first}, {.partition = 0, .leader_epoch = second}}});
    const auto ends = client->ask<kafka::OffsetForLeaderEpochResponse>(ask, 4).topics.at(0).partitions;
    EXPECT_EQ(ends.at(0).leader_epoch, first);
    EXPECT_EQ(ends.at(0).end_offset, 3);
    EXPECT_EQ(ends.at(1).leader_epoch, second);
    EXPECT_EQ(ends.at(1).end_offset, 5);
}

TEST_F(BrokerTest, Rule9SpecialTimestampsHaveTheirMeaning) {
    start();
    Client client(*this);
    make(client, "t");
    const int64_t now = clock_.wall_ms();
    put(client, "t", {.timestamp_ms = now - 300});
    put(client, "t", {.timestamp_ms = now - 100});
    put(client, "t", {.timestamp_ms = now - 200});
    const auto at = [&](int64_t timestamp) {
        kafka::ListOffsetsRequest request;
        request.topics.push_back({"t", {{.partition_index = 0, .timestamp = timestamp}}});
        return client.ask<kafka::ListOffsetsResponse>(request, 11).topics.at(0).partitions.at(0);
    };
    EXPECT_EQ(at(-1).offset, 3);
    EXPECT_EQ(at(-2).offset, 0);
    EXPECT_EQ(at(-3).offset, 1);
    EXPECT_EQ(at(-3).timestamp, now - 100);
    EXPECT_EQ(at(-4).offset, 0);
    EXPECT_EQ(at(-5).offset, -1);
    EXPECT_EQ(at(-6).offset, -1);
    EXPECT_EQ(at(now - 250).offset, 1);
    EXPECT_EQ(at(now).offset, -1);
}

// The ends are looked at before the records are read, and what another thread appends meanwhile is among these: at this
// level at nearly every look, for the lock's bias must be taken from that thread each time.
TEST_F(BrokerTest, NoAnswerCarriesRecordsAboveItsWatermarkWhateverIsAppendedMeanwhile) {
    constexpr int answers_with_records = 400;
    constexpr int64_t lead_max = 1'000;  // of the appender: what is not fetched takes memory
    start();
    Client consumer(*this);
    make(consumer, "t", 1, {{"flowstone.durability", "memory"}});
    std::atomic<bool> stop = false;
    std::atomic<int64_t> next = 0;
    Thread appender("appender", [&] {
        auto topic = value_of(log_->topic("t"));
        for (int64_t appended = 0; !stop;) {
            if (appended - next >= lead_max) { continue; }
            EXPECT_TRUE(topic.append({.value = "v"}));
            ++appended;
        }
    });
    int64_t above = 0;
    for (int answers = 0; answers < answers_with_records;) {
        const auto fetched = get(consumer, fetch("t", next));
        if (bases(fetched).empty()) { continue; }
        ++answers;
        next = end_of(fetched.records.pieces.back());
        above += next > fetched.high_watermark ? 1 : 0;
    }
    stop = true;
    EXPECT_EQ(above, 0) << "of " << answers_with_records << " answers";
}

// By what the topic says: what a producer packed on its own reaches old consumers, who then know no better than Kafka's.
TEST_F(BrokerTest, Rule40ZstdNeedsVersion10OfFetch) {
    start();
    Client client(*this);
    make(client, "theirs", 1, {{"compression.type", "zstd"}});
    make(client, "ours");
    put(client, "theirs", {.records = 50, .value_bytes = 100});
    put(client, "ours", {.records = 50, .codec = Codec::zstd, .value_bytes = 100});
    const auto refused = get(client, fetch("theirs", 0, 60'000), 9);
    EXPECT_EQ(refused.error_code, ErrorCode::unsupported_compression_type);
    EXPECT_EQ(refused.high_watermark, -1);
    EXPECT_THAT(bases(refused), IsEmpty());
    EXPECT_THAT(bases(get(client, fetch("theirs", 0), 10)), ElementsAre(0));
    EXPECT_THAT(bases(get(client, fetch("ours", 0), 9)), ElementsAre(0));
}

// Nothing moves meanwhile, and the client does not ask anew for what it has not got yet.
TEST_F(BrokerTest, WhatDidNotFitIntoAnAnswerOfASessionComesInTheNext) {
    constexpr int32_t partitions = 4;
    start();
    Client client(*this);
    make(client, "t", partitions);
    for (int32_t i = 0; i < partitions; ++i) {
        const auto bytes = batch({.value_bytes = 1'000});
        client.ask<kafka::ProduceResponse>(produce("t", bytes, -1, i), produce_version);
    }
    for (const int32_t min_bytes : {1, 100'000}) {  // answered at once, or only when its time is up
        kafka::FetchRequest request = fetch("t", 0, /*max_wait_ms=*/100);
        request.session_epoch = 0;
        request.min_bytes = min_bytes;
        request.max_bytes = 1;  // the first batch comes whole all the same
        for (int32_t i = 1; i < partitions; ++i) {
            request.topics[0].partitions.push_back({.partition = i, .fetch_offset = 0, .partition_max_bytes = 1 << 20});
        }
        std::vector<int32_t> got;
        for (int32_t epoch = 0; epoch < partitions; ++epoch) {
            const auto answer = client.ask<kafka::FetchResponse>(request, fetch_version);
            ASSERT_NE(answer.session_id, 0);
            request.session_id = answer.session_id;
            request.session_epoch = epoch + 1;
            request.topics[0].partitions.clear();
            ASSERT_THAT(answer.responses, SizeIs(1));
            for (const auto& one : answer.responses[0].partitions) {
                if (one.records.pieces.empty()) { continue; }
                got.push_back(one.partition_index);
                request.topics[0].partitions.push_back(
                    {.partition = one.partition_index, .fetch_offset = 1, .partition_max_bytes = 1 << 20});
            }
        }
        EXPECT_THAT(got, ElementsAre(0, 1, 2, 3));
        EXPECT_THAT(client.ask<kafka::FetchResponse>(request, fetch_version).responses, IsEmpty());
    }
}

TEST_F(BrokerTest, AFetchOfASessionLooksAtWhatMovedHoweverManyPartitionsAreIdle) {
    constexpr int32_t partitions = 10'000;
    start();
    const HostPort pages = value_of(broker_->listen_http({"127.0.0.1", 9644}));
    const auto looked = [&] {
        const std::string page = get_page(pages, "/metrics");
        const std::string name = "\nflowstone_fetch_partitions_looked_total ";
        const size_t at = page.find(name);
        EXPECT_NE(at, std::string::npos);
        return at == std::string::npos ? 0.0 : std::stod(page.substr(at + name.size()));
    };
    Client producer(*this);
    Client consumer(*this);
    make(producer, "t", partitions);
    kafka::FetchRequest request;
    request.min_bytes = 1;
    request.session_epoch = 0;
    auto& topic = request.topics.emplace_back();
    topic.topic = "t";
    for (int32_t i = 0; i < partitions; ++i) {
        topic.partitions.push_back({.partition = i, .fetch_offset = 0, .partition_max_bytes = 1 << 20});
    }
    const auto full = consumer.ask<kafka::FetchResponse>(request, fetch_version);
    ASSERT_NE(full.session_id, 0);
    kafka::FetchRequest next;
    next.min_bytes = 1;
    next.session_id = full.session_id;
    const auto put_one = [&](int32_t partition) {
        const auto bytes = batch({});
        producer.ask<kafka::ProduceResponse>(produce("t", bytes, -1, partition), produce_version);
    };
    const auto expect_only = [&](const kafka::FetchResponse& answer, int32_t partition, int64_t base) {
        ASSERT_THAT(answer.responses, SizeIs(1));
        ASSERT_THAT(answer.responses[0].partitions, SizeIs(1));
        EXPECT_EQ(answer.responses[0].partitions[0].partition_index, partition);
        EXPECT_THAT(bases(answer.responses[0].partitions[0]), ElementsAre(base));
    };
    const double before = looked();
    EXPECT_GE(before, partitions);
    EXPECT_LE(before, 2 * partitions);
    // Nothing moved.
    next.session_epoch = 1;
    EXPECT_THAT(consumer.ask<kafka::FetchResponse>(next, fetch_version).responses, IsEmpty());
    EXPECT_EQ(looked() - before, 0);
    // One moved between two fetches.
    put_one(7'000);
    next.session_epoch = 2;
    expect_only(consumer.ask<kafka::FetchResponse>(next, fetch_version), 7'000, 0);
    EXPECT_LE(looked() - before, 2);
    // One moves while a fetch waits. The other is where the client was told it is, and is asked for from there.
    next.session_epoch = 3;
    next.max_wait_ms = 60'000;
    auto& moved_on = next.topics.emplace_back();
    moved_on.topic = "t";
    moved_on.partitions.push_back({.partition = 7'000, .fetch_offset = 1, .partition_max_bytes = 1 << 20});
    consumer.send(next, fetch_version);
    settle();
    put_one(3);
    expect_only(consumer.answer<kafka::FetchResponse>(fetch_version), 3, 0);
    EXPECT_LE(looked() - before, 8);
    // What is deleted is told, too.
    kafka::DeleteTopicsRequest remove;
    remove.topics.push_back({"t", {}});
    next.session_epoch = 4;
    next.topics[0].partitions[0] = {.partition = 3, .fetch_offset = 1, .partition_max_bytes = 1 << 20};
    consumer.send(next, fetch_version);
    settle();
    producer.ask<kafka::DeleteTopicsResponse>(remove, 6);
    const auto gone = consumer.answer<kafka::FetchResponse>(fetch_version);
    ASSERT_FALSE(gone.responses.empty());
    EXPECT_EQ(gone.responses[0].partitions.at(0).error_code, ErrorCode::unknown_topic_or_partition);
}

}  // namespace
}  // namespace flowstone
