// A broker at its front door. Tests of a rule of SERVE.md, section 2, name its number.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/kafka/messages/api_versions.h"
#include "storage/lock.h"
#include "tests/net/broker/broker_world.h"
#include "tests/sim/world/faulty_disk.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class BrokerTest : public BrokerWorld {
protected:
    static constexpr int16_t produce_version = 12;  // the last that names topics
    static constexpr int16_t fetch_version = 12;

    void make(Client& client, const std::string& topic, int32_t partitions = 1, ConfigMap configs = {}) {
        kafka::CreateTopicsRequest request;
        auto& one = request.topics.emplace_back();
        one.name = topic;
        one.num_partitions = partitions;
        one.replication_factor = -1;
        for (auto& [name, value] : configs) { one.configs.push_back({name, value}); }
        const auto made = client.ask<kafka::CreateTopicsResponse>(request, 7);
        ASSERT_THAT(made.topics, SizeIs(1));
        ASSERT_EQ(made.topics[0].error_code, ErrorCode::none) << made.topics[0].error_message.value_or("");
    }
    static kafka::MetadataRequest all_topics() {
        kafka::MetadataRequest request;
        request.topics = std::nullopt;
        return request;
    }
    static kafka::ProduceRequest produce(const std::string& topic, Bytes records, int16_t acks = -1,
                                         int32_t partition = 0) {
        kafka::ProduceRequest request;
        request.acks = acks;
        request.timeout_ms = 1'000;
        auto& data = request.topic_data.emplace_back();
        data.name = topic;
        data.partition_data.push_back({partition, records});
        return request;
    }
    using Produced = kafka::ProduceResponse::PartitionProduceResponse;
    Produced put(Client& client, const std::string& topic, const Sent& sent, int16_t version = produce_version) {
        const auto bytes = batch(sent);
        const auto answer = client.ask<kafka::ProduceResponse>(produce(topic, bytes), version);
        EXPECT_THAT(answer.responses, SizeIs(1));
        return answer.responses.at(0).partition_responses.at(0);
    }
    static kafka::FetchRequest fetch(const std::string& topic, int64_t offset, int32_t max_wait_ms = 0,
                                     int32_t partition = 0) {
        kafka::FetchRequest request;
        request.max_wait_ms = max_wait_ms;
        request.min_bytes = 1;
        auto& one = request.topics.emplace_back();
        one.topic = topic;
        one.partitions.push_back({.partition = partition, .fetch_offset = offset, .partition_max_bytes = 1 << 20});
        return request;
    }
    using Fetched = kafka::FetchResponse::PartitionData;
    Fetched get(Client& client, const kafka::FetchRequest& request, int16_t version = fetch_version) {
        const auto answer = client.ask<kafka::FetchResponse>(request, version);
        EXPECT_EQ(answer.error_code, ErrorCode::none);
        EXPECT_THAT(answer.responses, SizeIs(1));
        return answer.responses.at(0).partitions.at(0);
    }
    static std::vector<int64_t> bases(const Fetched& fetched) {
        std::vector<int64_t> out;
        for (Bytes piece : fetched.records.pieces) {
            while (!piece.empty()) {
                const BatchView view = value_of(BatchView::parse(piece));
                EXPECT_TRUE(view.crc_matches());
                out.push_back(view.base_offset().value);
                piece = piece.subspan(view.size());
            }
        }
        return out;
    }
};

// --- versions and frames -----------------------------------------------------------------------------------------------

TEST_F(BrokerTest, Rule11ApiVersionsOfAnUnknownVersionIsAnsweredInVersion0) {
    start();
    Client client(*this);
    kafka::Gather frame;
    // Header of version 2, as every ApiVersions since version 3; the body is of a version that nobody knows.
    frame.be<int32_t>(4 + 4 + 2 + 4 + 1 + 3);
    frame.be<int16_t>(18);
    frame.be<int16_t>(99);
    frame.be<int32_t>(1);
    frame.be<int16_t>(4);
    frame.bytes(as_bytes(std::string_view("test")));
    frame.be<int8_t>(0);
    frame.be<int8_t>(1);
    frame.be<int8_t>(1);
    const auto flat = frame.flat();
    std::vector<std::byte> bytes(flat.begin(), flat.end());
    store_be<int32_t>(bytes.data(), static_cast<int32_t>(bytes.size() - 4));
    client.send_bytes(bytes);
    const auto answer = client.answer<kafka::ApiVersionsResponse>(0);
    EXPECT_EQ(answer.error_code, ErrorCode::unsupported_version);
    ASSERT_THAT(answer.api_keys, SizeIs(1));
    EXPECT_EQ(answer.api_keys[0].api_key, 18);
    EXPECT_EQ(answer.api_keys[0].max_version, 4);
}

TEST_F(BrokerTest, Rule12ProduceIsAdvertisedFromVersion0AndRefusedBelow3) {
    start();
    Client client(*this);
    const auto versions = client.ask<kafka::ApiVersionsResponse>(
        kafka::ApiVersionsRequest{.client_software_name = "t", .client_software_version = "1"}, 4);
    const auto found =
        std::ranges::find(versions.api_keys, int16_t{0}, &kafka::ApiVersionsResponse::ApiVersion::api_key);
    ASSERT_NE(found, versions.api_keys.end());
    EXPECT_EQ(found->min_version, 0);
    EXPECT_EQ(found->max_version, 13);
    std::vector<std::byte> old(4 + 2 + 2 + 4 + 2);
    store_be<int32_t>(old.data(), static_cast<int32_t>(old.size() - 4));
    store_be<int16_t>(old.data() + 6, 2);
    client.send_bytes(old);
    EXPECT_FALSE(client.receive());
    EXPECT_TRUE(client.closed());
}

TEST_F(BrokerTest, Rule13ASoftwareNameThatIsNoneIsAnInvalidRequestAndNoFeatureIsClaimed) {
    start();
    Client client(*this);
    const auto bad = client.ask<kafka::ApiVersionsResponse>(
        kafka::ApiVersionsRequest{.client_software_name = "-bad-", .client_software_version = "1"}, 3);
    EXPECT_EQ(bad.error_code, ErrorCode::invalid_request);
    const auto good = client.ask<kafka::ApiVersionsResponse>(
        kafka::ApiVersionsRequest{.client_software_name = "a.b-c", .client_software_version = "1"}, 4);
    EXPECT_EQ(good.error_code, ErrorCode::none);
    EXPECT_THAT(good.supported_features, IsEmpty());
    EXPECT_THAT(good.finalized_features, IsEmpty());
}

TEST_F(BrokerTest, Rule15AKeyThatIsNotServedClosesTheConnection) {
    start();
    Client client(*this);
    std::vector<std::byte> frame(4 + 2 + 2 + 4 + 2 + 1);  // no client id, no tagged fields
    store_be<int32_t>(frame.data(), static_cast<int32_t>(frame.size() - 4));
    store_be<int16_t>(frame.data() + 4, 77);
    client.send_bytes(frame);
    EXPECT_FALSE(client.receive());
    EXPECT_TRUE(client.closed());
    EXPECT_EQ(broker_->server().counts().closed[static_cast<size_t>(CloseReason::unsupported)], 1u);
}

TEST_F(BrokerTest, LengthsThatNoFrameHasCloseTheConnection) {
    start();
    for (const int32_t length : {0, -1, INT32_MIN, (100 << 20) + 1, INT32_MAX}) {
        SCOPED_TRACE(length);
        Client client(*this);
        std::vector<std::byte> bytes(4);
        store_be<int32_t>(bytes.data(), length);
        client.send_bytes(bytes);
        EXPECT_FALSE(client.receive());
        EXPECT_TRUE(client.closed());
    }
    EXPECT_EQ(broker_->server().counts().closed[static_cast<size_t>(CloseReason::frame_length)], 5u);
    EXPECT_EQ(broker_->server().frames_bytes(), 0u);
}

TEST_F(BrokerTest, Rule16AnswersLeaveInTheOrderOfTheirRequests) {
    start();
    Client client(*this);
    make(client, "t");
    client.send(fetch("t", 0, 5'000), fetch_version);  // waits
    client.send(all_topics(), 12);
    EXPECT_THAT(bases(client.answer<kafka::FetchResponse>(fetch_version).responses.at(0).partitions.at(0)), IsEmpty());
    EXPECT_THAT(client.answer<kafka::MetadataResponse>(12).topics, SizeIs(1));
}

// --- produce -----------------------------------------------------------------------------------------------------------

TEST_F(BrokerTest, Rule1WhatIsFetchedIsWhatWasProducedButForOffsetAndEpoch) {
    start();
    Client client(*this);
    make(client, "t");
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        const auto sent = batch({.records = 3, .codec = codec});
        const auto answer = client.ask<kafka::ProduceResponse>(produce("t", sent), produce_version);
        const auto& produced = answer.responses.at(0).partition_responses.at(0);
        ASSERT_EQ(produced.error_code, ErrorCode::none) << produced.error_message.value_or("");
        const auto fetched = get(client, fetch("t", produced.base_offset));
        ASSERT_THAT(fetched.records.pieces, SizeIs(1));
        const Bytes got = fetched.records.pieces[0];
        ASSERT_EQ(got.size(), sent.size());
        EXPECT_EQ(load_be<int64_t>(got.data()), produced.base_offset);
        EXPECT_TRUE(std::ranges::equal(got.subspan(16), Bytes(sent).subspan(16)));
    }
}

TEST_F(BrokerTest, Rule2APartitionTakesExactlyOneBatchOfMagic2) {
    start();
    Client client(*this);
    make(client, "t");
    const auto one = batch({});
    std::vector<std::byte> two = one;
    two.insert(two.end(), one.begin(), one.end());
    std::vector<std::byte> old = one;
    old[16] = std::byte{1};
    const auto error = [&](std::optional<Bytes> records) {
        auto request = produce("t", {});
        request.topic_data[0].partition_data[0].records = records;
        return client.ask<kafka::ProduceResponse>(request, produce_version)
            .responses.at(0)
            .partition_responses.at(0)
            .error_code;
    };
    EXPECT_EQ(error(Bytes(two)), ErrorCode::invalid_record);
    EXPECT_EQ(error(Bytes(old)), ErrorCode::invalid_record);
    EXPECT_EQ(error(Bytes()), ErrorCode::invalid_record);
    EXPECT_EQ(error(std::nullopt), ErrorCode::invalid_record);
    EXPECT_EQ(error(Bytes(one).first(one.size() - 1)), ErrorCode::corrupt_message);
    EXPECT_EQ(error(Bytes(one)), ErrorCode::none);
}

TEST_F(BrokerTest, Rule17AcksZeroHasNoAnswerAndAFailureClosesTheConnection) {
    start();
    Client client(*this);
    make(client, "t");
    const auto good = batch({});
    client.send(produce("t", good, 0), produce_version);
    client.skip_answer();
    // The next answer is the next request's.
    EXPECT_THAT(client.ask<kafka::MetadataResponse>(all_topics(), 12).topics, SizeIs(1));
    EXPECT_THAT(bases(get(client, fetch("t", 0))), ElementsAre(0));
    client.send(produce("nowhere", good, 0), produce_version);
    EXPECT_FALSE(client.receive());
    EXPECT_TRUE(client.closed());
}

TEST_F(BrokerTest, Rule18AnAnswerComesOnceTheRecordsAreVisibleAndOddAcksAreRefused) {
    start();
    Client client(*this);
    make(client, "t");
    for (const int16_t acks : {int16_t{1}, int16_t{-1}}) {
        const auto bytes = batch({});
        const auto answer = client.ask<kafka::ProduceResponse>(produce("t", bytes, acks), produce_version);
        const auto& produced = answer.responses.at(0).partition_responses.at(0);
        EXPECT_EQ(produced.error_code, ErrorCode::none);
        EXPECT_EQ(get(client, fetch("t", produced.base_offset)).high_watermark, produced.base_offset + 1);
    }
    const auto bytes = batch({});
    const auto odd = client.ask<kafka::ProduceResponse>(produce("t", bytes, 2), produce_version);
    EXPECT_EQ(odd.responses.at(0).partition_responses.at(0).error_code, ErrorCode::invalid_required_acks);
}

TEST_F(BrokerTest, Rule18TooFewReplicasInSyncRefuseAcksAllAndNoOther) {
    start();
    Client client(*this);
    make(client, "t", 1, {{"min.insync.replicas", "2"}});
    const auto bytes = batch({});
    const auto error = [&](int16_t acks) {
        const auto answer = client.ask<kafka::ProduceResponse>(produce("t", bytes, acks), produce_version);
        return answer.responses.at(0).partition_responses.at(0).error_code;
    };
    EXPECT_EQ(error(-1), ErrorCode::not_enough_replicas);
    EXPECT_EQ(error(1), ErrorCode::none);
    EXPECT_EQ(get(client, fetch("t", 0)).high_watermark, 1) << "what was refused is not there";
}

TEST_F(BrokerTest, Rules21And22ARetryIsAnsweredWithItsFirstOffsetAndAGapIsRefused) {
    start();
    Client client(*this);
    make(client, "t");
    const auto id = client.ask<kafka::InitProducerIdResponse>(
        kafka::InitProducerIdRequest{.transactional_id = std::nullopt, .transaction_timeout_ms = 1}, 4);
    ASSERT_EQ(id.error_code, ErrorCode::none);
    const auto send = [&](int32_t sequence) {
        return put(client, "t",
                   {.records = 2, .producer_id = id.producer_id, .epoch = id.producer_epoch, .sequence = sequence});
    };
    for (int32_t i = 0; i < 6; ++i) { EXPECT_EQ(send(2 * i).base_offset, 2 * i); }
    const auto again = send(4);
    EXPECT_EQ(again.error_code, ErrorCode::none);
    EXPECT_EQ(again.base_offset, 4);
    EXPECT_EQ(send(0).error_code, ErrorCode::out_of_order_sequence_number) << "older than the last five";
    EXPECT_EQ(send(14).error_code, ErrorCode::out_of_order_sequence_number);
    EXPECT_EQ(get(client, fetch("t", 0)).high_watermark, 12);
}

TEST_F(BrokerTest, Rule21TheStateOfProducersSurvivesTheirBroker) {
    start();
    std::optional<Client> client(std::in_place, *this);
    make(*client, "t");
    EXPECT_EQ(put(*client, "t", {.producer_id = 5, .epoch = 0, .sequence = 0}).base_offset, 0);
    EXPECT_EQ(put(*client, "t", {.producer_id = 5, .epoch = 0, .sequence = 1}).base_offset, 1);
    kill();
    start();
    client.emplace(*this);
    EXPECT_EQ(put(*client, "t", {.producer_id = 5, .epoch = 0, .sequence = 1}).base_offset, 1);
    EXPECT_EQ(put(*client, "t", {.producer_id = 5, .epoch = 0, .sequence = 2}).base_offset, 2);
}

TEST_F(BrokerTest, Rule23ALowerEpochIsRefusedAndAnUnknownProducerMayBeginAnywhere) {
    start();
    Client client(*this);
    make(client, "t");
    EXPECT_EQ(put(client, "t", {.producer_id = 9, .epoch = 3, .sequence = 77}).error_code, ErrorCode::none);
    EXPECT_EQ(put(client, "t", {.producer_id = 9, .epoch = 2, .sequence = 78}).error_code,
              ErrorCode::invalid_producer_epoch);
    EXPECT_EQ(put(client, "t", {.producer_id = 9, .epoch = 4, .sequence = 78}).error_code,
              ErrorCode::out_of_order_sequence_number)
        << "a raised epoch begins at 0";
    EXPECT_EQ(put(client, "t", {.producer_id = 9, .epoch = 4, .sequence = 0}).error_code, ErrorCode::none);
}

TEST_F(BrokerTest, WhatTransactionsWouldNeedFailsAtOnceAndFinally) {
    start();
    Client client(*this);
    make(client, "t");
    EXPECT_EQ(put(client, "t", {.producer_id = 1, .epoch = 0, .sequence = 0, .transactional = true}).error_code,
              ErrorCode::invalid_txn_state);
    EXPECT_EQ(put(client, "t", {.control = true}).error_code, ErrorCode::invalid_record);
    EXPECT_EQ(
        client.ask<kafka::InitProducerIdResponse>(kafka::InitProducerIdRequest{.transactional_id = "x"}, 5).error_code,
        ErrorCode::transactional_id_authorization_failed);
    kafka::FindCoordinatorRequest find;
    find.key_type = 1;
    find.coordinator_keys = {"x"};
    EXPECT_EQ(client.ask<kafka::FindCoordinatorResponse>(find, 4).coordinators.at(0).error_code,
              ErrorCode::transactional_id_authorization_failed);
    find.key_type = 2;
    EXPECT_EQ(client.ask<kafka::FindCoordinatorResponse>(find, 6).coordinators.at(0).error_code,
              ErrorCode::invalid_request);
}

TEST_F(BrokerTest, ProducerIdsAreNeverGivenTwiceNotEvenAfterAKill) {
    start();
    std::set<int64_t> ids;
    for (int i = 0; i < 5; ++i) {
        Client client(*this);
        const auto id = client.ask<kafka::InitProducerIdResponse>(
            kafka::InitProducerIdRequest{.transactional_id = std::nullopt}, 5);
        EXPECT_TRUE(ids.insert(id.producer_id).second);
        kill();
        start();
    }
}

TEST_F(BrokerTest, Rule40ZstdNeedsVersion7OfProduce) {
    start();
    Client client(*this);
    make(client, "t");
    EXPECT_EQ(put(client, "t", {.codec = Codec::zstd}, 6).error_code, ErrorCode::unsupported_compression_type);
    EXPECT_EQ(put(client, "t", {.codec = Codec::zstd}, 7).error_code, ErrorCode::none);
}

TEST_F(BrokerTest, Rule41ABatchAboveMaxMessageBytesIsTooLarge) {
    start();
    Client client(*this);
    make(client, "t", 1, {{"max.message.bytes", "1000"}});
    EXPECT_EQ(put(client, "t", {.value_bytes = 2'000}).error_code, ErrorCode::message_too_large);
    EXPECT_EQ(put(client, "t", {.codec = Codec::zstd, .value_bytes = 2'000}).error_code, ErrorCode::none)
        << "its compressed size counts";
}

TEST_F(BrokerTest, Rule43TimestampsOutOfBoundsAreInvalidAndLogAppendTimeIsTold) {
    start();
    Client client(*this);
    make(client, "t");
    make(client, "ours", 1, {{"message.timestamp.type", "LogAppendTime"}});
    EXPECT_EQ(put(client, "t", {.timestamp_ms = clock_.wall_ms() + 7'200'000}).error_code,
              ErrorCode::invalid_timestamp);
    EXPECT_EQ(put(client, "t", {}).log_append_time_ms, -1);
    const auto before = clock_.wall_ms();
    EXPECT_GE(put(client, "ours", {.timestamp_ms = 1}).log_append_time_ms, before);
}

TEST_F(BrokerTest, Rule37ARecordWithoutAKeyIsRefusedByACompactedTopic) {
    start();
    Client client(*this);
    make(client, "t", 1, {{"cleanup.policy", "compact"}});
    EXPECT_EQ(put(client, "t", {.with_key = false}).error_code, ErrorCode::invalid_record);
    EXPECT_EQ(put(client, "t", {}).error_code, ErrorCode::none);
}

TEST_F(BrokerTest, AProduceThatFindsNoRoomWaitsAndEverybodyElseIsServed) {
    FaultyDisk disk(disk_);
    start_on(disk, {}, {.threads = 1, .dirty_bytes_max = 1u << 20});
    time_passes_ = false;
    Client producer(*this);
    Client other(*this);
    make(producer, "t");
    EXPECT_EQ(put(producer, "t", {}).error_code, ErrorCode::none);
    // The next commit does not end before it is told to.
    std::atomic<uint32_t> held = 1;
    disk.interrupt(FaultyDisk::Call::write_durable, [&] {
        while (held == 1) { sleep_while(held, 1); }
    });
    const auto bytes = batch({.records = 4, .value_bytes = 100'000});
    constexpr int requests = 5;
    for (int i = 0; i < requests; ++i) { producer.send(produce("t", bytes), produce_version); }
    settle();
    EXPECT_LT(broker_->server().counts().frames, 2u + 2u + requests) << "no more is read from who waits for room";
    EXPECT_THAT(other.ask<kafka::MetadataResponse>(all_topics(), 12).topics, SizeIs(1));
    held = 0;
    wake_all(held);
    for (int i = 0; i < requests; ++i) {
        const auto answer = producer.answer<kafka::ProduceResponse>(produce_version);
        const auto& produced = answer.responses.at(0).partition_responses.at(0);
        EXPECT_EQ(produced.error_code, ErrorCode::none) << produced.error_message.value_or("");
        EXPECT_EQ(produced.base_offset, 1 + 4 * i);
    }
    stop();
}

// --- fetch -------------------------------------------------------------------------------------------------------------

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

// --- topics ------------------------------------------------------------------------------------------------------------

TEST_F(BrokerTest, Rule19MetadataOfAllOfNoneAndOfWhatIsNotThere) {
    start();
    Client client(*this);
    make(client, "a");
    make(client, "b");
    EXPECT_THAT(client.ask<kafka::MetadataResponse>(all_topics(), 12).topics, SizeIs(2));
    kafka::MetadataRequest none;
    EXPECT_THAT(client.ask<kafka::MetadataResponse>(none, 12).topics, IsEmpty());
    EXPECT_THAT(client.ask<kafka::MetadataResponse>(none, 0).topics, SizeIs(2)) << "empty means all in version 0";
    kafka::MetadataRequest some;
    some.topics->push_back({{}, "missing"});
    some.topics->push_back({{}, "bad name"});
    some.allow_auto_topic_creation = false;
    const auto answer = client.ask<kafka::MetadataResponse>(some, 12);
    EXPECT_EQ(answer.topics.at(0).error_code, ErrorCode::unknown_topic_or_partition);
    EXPECT_EQ(answer.topics.at(1).error_code, ErrorCode::invalid_topic_exception);
    some.topics->clear();
    some.topics->push_back({{}, "made"});
    some.allow_auto_topic_creation = true;
    EXPECT_EQ(client.ask<kafka::MetadataResponse>(some, 12).topics.at(0).error_code, ErrorCode::none);
    ASSERT_THAT(answer.brokers, SizeIs(1));
    EXPECT_EQ(answer.brokers[0].host, "127.0.0.1");
    EXPECT_EQ(answer.brokers[0].port, 9092);
}

TEST_F(BrokerTest, TheRackOfTheConfigurationIsTold) {
    BrokerConfig config;
    config.rack = "cellar";
    start(config);
    Client client(*this);
    EXPECT_EQ(client.ask<kafka::MetadataResponse>(all_topics(), 12).brokers.at(0).rack, "cellar");
    EXPECT_EQ(client.ask<kafka::DescribeClusterResponse>(kafka::DescribeClusterRequest{}, 1).brokers.at(0).rack,
              "cellar");
}

TEST_F(BrokerTest, Rule20TopicIdsNameTopicsAndChangeWhenATopicIsMadeAgain) {
    start();
    Client client(*this);
    make(client, "t");
    const auto id_of = [&] {
        kafka::MetadataRequest request;
        request.topics->push_back({{}, "t"});
        return client.ask<kafka::MetadataResponse>(request, 12).topics.at(0).topic_id;
    };
    const Uuid first = id_of();
    const auto bytes = batch({});
    auto request = produce("", bytes);
    request.topic_data[0].topic_id = first;
    EXPECT_EQ(client.ask<kafka::ProduceResponse>(request, 13).responses.at(0).partition_responses.at(0).error_code,
              ErrorCode::none);
    auto fetching = fetch("", 0);
    fetching.topics[0].topic_id = first;
    EXPECT_THAT(bases(get(client, fetching, 18)), ElementsAre(0));
    kafka::DeleteTopicsRequest remove;
    remove.topics.push_back({std::nullopt, first});
    EXPECT_EQ(client.ask<kafka::DeleteTopicsResponse>(remove, 6).responses.at(0).error_code, ErrorCode::none);
    make(client, "t");
    EXPECT_NE(id_of(), first);
    EXPECT_EQ(client.ask<kafka::ProduceResponse>(request, 13).responses.at(0).partition_responses.at(0).error_code,
              ErrorCode::unknown_topic_id);
    EXPECT_EQ(get(client, fetching, 18).error_code, ErrorCode::unknown_topic_id);
}

TEST_F(BrokerTest, Rule44CreatingTopicsSaysOfEachWhatIsWrong) {
    start();
    Client client(*this);
    make(client, "a.b");
    struct Case {
        std::string name;
        int32_t partitions;
        int16_t factor;
        ErrorCode error;
    };
    kafka::CreateTopicsRequest request;
    const std::vector<Case> cases = {
        {"a.b", 1, 1, ErrorCode::topic_already_exists},         {"a_b", 1, 1, ErrorCode::invalid_topic_exception},
        {"bad name", 1, 1, ErrorCode::invalid_topic_exception}, {"zero", 0, 1, ErrorCode::invalid_partitions},
        {"many", 1, 3, ErrorCode::invalid_replication_factor},  {"good", -1, -1, ErrorCode::none}};
    for (const Case& one : cases) {
        auto& topic = request.topics.emplace_back();
        topic.name = one.name;
        topic.num_partitions = one.partitions;
        topic.replication_factor = one.factor;
    }
    auto& odd = request.topics.emplace_back();
    odd.name = "odd";
    odd.num_partitions = 1;
    odd.replication_factor = 1;
    odd.configs.push_back({"no.such.config", "1"});
    request.validate_only = true;
    for (const bool validate : {true, false}) {
        request.validate_only = validate;
        const auto answer = client.ask<kafka::CreateTopicsResponse>(request, 7);
        for (size_t i = 0; i < cases.size(); ++i) {
            EXPECT_EQ(answer.topics.at(i).error_code, cases[i].error) << cases[i].name;
        }
        EXPECT_EQ(answer.topics.back().error_code, ErrorCode::invalid_config);
        EXPECT_THAT(client.ask<kafka::MetadataResponse>(all_topics(), 12).topics, SizeIs(validate ? 1 : 2));
    }
}

TEST_F(BrokerTest, Rule38DeletingRecordsMovesTheLogStart) {
    start();
    Client client(*this);
    make(client, "t");
    for (int i = 0; i < 4; ++i) { put(client, "t", {}); }
    const auto remove = [&](int64_t offset) {
        kafka::DeleteRecordsRequest request;
        request.topics.push_back({"t", {{0, offset}}});
        return client.ask<kafka::DeleteRecordsResponse>(request, 2).topics.at(0).partitions.at(0);
    };
    EXPECT_EQ(remove(2).low_watermark, 2);
    EXPECT_EQ(get(client, fetch("t", 1)).error_code, ErrorCode::offset_out_of_range);
    EXPECT_EQ(remove(9).error_code, ErrorCode::offset_out_of_range);
    EXPECT_EQ(remove(-1).low_watermark, 4) << "-1 is the high watermark";
}

TEST_F(BrokerTest, Rule45ConfigsAreDescribedChangedAndReset) {
    start();
    Client client(*this);
    make(client, "t", 1, {{"retention.ms", "1000"}});
    const auto value_of_config = [&](const std::string& name) {
        kafka::DescribeConfigsRequest request;
        request.resources.push_back({2, "t", std::vector<std::string>{name}});
        const auto answer = client.ask<kafka::DescribeConfigsResponse>(request, 4);
        const auto& config = answer.results.at(0).configs.at(0);
        return std::pair(config.value.value_or("(null)"), int{config.config_source});
    };
    EXPECT_EQ(value_of_config("retention.ms"), std::pair(std::string("1000"), 1));
    EXPECT_EQ(value_of_config("segment.bytes").second, 5);
    const auto alter = [&](const std::string& name, int8_t operation, std::optional<std::string> value) {
        kafka::IncrementalAlterConfigsRequest request;
        request.resources.push_back({2, "t", {{name, operation, std::move(value)}}});
        return client.ask<kafka::IncrementalAlterConfigsResponse>(request, 1).responses.at(0).error_code;
    };
    EXPECT_EQ(alter("retention.ms", 1, std::nullopt), ErrorCode::none);
    EXPECT_EQ(value_of_config("retention.ms"), std::pair(std::string("604800000"), 5));
    EXPECT_EQ(alter("cleanup.policy", 2, "compact"), ErrorCode::none);
    EXPECT_EQ(value_of_config("cleanup.policy").first, "delete,compact");
    EXPECT_EQ(alter("cleanup.policy", 3, "delete"), ErrorCode::none);
    EXPECT_EQ(value_of_config("cleanup.policy").first, "compact");
    EXPECT_EQ(alter("retention.ms", 2, "5"), ErrorCode::invalid_config) << "not a list";
    EXPECT_EQ(alter("no.such.config", 0, "5"), ErrorCode::invalid_config);
    kafka::AlterConfigsRequest replace;
    replace.resources.push_back({2, "t", {{"segment.ms", "5000"}}});
    EXPECT_EQ(client.ask<kafka::AlterConfigsResponse>(replace, 2).responses.at(0).error_code, ErrorCode::none);
    EXPECT_EQ(value_of_config("cleanup.policy"), std::pair(std::string("delete"), 5)) << "all keys are replaced";
    EXPECT_EQ(value_of_config("segment.ms"), std::pair(std::string("5000"), 1));
}

// --- groups ------------------------------------------------------------------------------------------------------------

TEST_F(BrokerTest, Rule34OffsetsAreCommittedFetchedAndThereAfterAKill) {
    start();
    std::optional<Client> client(std::in_place, *this);
    make(*client, "t", 2);
    kafka::FindCoordinatorRequest find;
    find.coordinator_keys = {"g"};
    ASSERT_EQ(client->ask<kafka::FindCoordinatorResponse>(find, 6).coordinators.at(0).error_code, ErrorCode::none);
    kafka::OffsetCommitRequest commit;
    commit.group_id = "g";
    commit.topics.push_back({"t",
                             {},
                             {{.partition_index = 0, .committed_offset = 42, .committed_metadata = "note"},
                              {.partition_index = 9, .committed_offset = 1}}});
    const auto committed = client->ask<kafka::OffsetCommitResponse>(commit, 8).topics.at(0).partitions;
    EXPECT_EQ(committed.at(0).error_code, ErrorCode::none);
    EXPECT_EQ(committed.at(1).error_code, ErrorCode::unknown_topic_or_partition);
    kill();
    start();
    client.emplace(*this);
    settle();  // until the groups are read back their answers say to ask again
    kafka::OffsetFetchRequest fetching;
    fetching.groups.push_back({.group_id = "g"});
    fetching.groups[0].topics->push_back({"t", {}, {0, 1}});
    const auto fetched = client->ask<kafka::OffsetFetchResponse>(fetching, 8).groups.at(0);
    ASSERT_EQ(fetched.error_code, ErrorCode::none);
    EXPECT_EQ(fetched.topics.at(0).partitions.at(0).committed_offset, 42);
    EXPECT_EQ(fetched.topics.at(0).partitions.at(0).metadata, "note");
    EXPECT_EQ(fetched.topics.at(0).partitions.at(1).committed_offset, -1);
    EXPECT_EQ(fetched.topics.at(0).partitions.at(1).error_code, ErrorCode::none) << "no commit is no error";
    fetching.groups[0].topics = std::nullopt;
    EXPECT_THAT(client->ask<kafka::OffsetFetchResponse>(fetching, 8).groups.at(0).topics, SizeIs(1)) << "null is all";
}

TEST_F(BrokerTest, Rule28And30MembersJoinSyncAndGetWhatTheirLeaderSays) {
    BrokerConfig config;
    config.groups.initial_rebalance_delay_ms = 0;
    start(config);
    Client client(*this);
    kafka::FindCoordinatorRequest find;
    find.coordinator_keys = {"g"};
    client.ask<kafka::FindCoordinatorResponse>(find, 6);
    kafka::JoinGroupRequest join;
    join.group_id = "g";
    join.session_timeout_ms = 10'000;
    join.rebalance_timeout_ms = 10'000;
    join.protocol_type = "consumer";
    const std::string metadata = "what it says";
    join.protocols.push_back({"range", as_bytes(metadata)});
    const auto told = client.ask<kafka::JoinGroupResponse>(join, 9);
    EXPECT_EQ(told.error_code, ErrorCode::member_id_required);
    ASSERT_FALSE(told.member_id.empty());
    join.member_id = told.member_id;
    const auto joined = client.ask<kafka::JoinGroupResponse>(join, 9);
    ASSERT_EQ(joined.error_code, ErrorCode::none);
    EXPECT_EQ(joined.leader, joined.member_id);
    ASSERT_THAT(joined.members, SizeIs(1));
    EXPECT_EQ(as_text(joined.members[0].metadata), metadata);
    kafka::SyncGroupRequest sync;
    sync.group_id = "g";
    sync.generation_id = joined.generation_id;
    sync.member_id = joined.member_id;
    sync.protocol_type = "consumer";
    sync.protocol_name = "range";
    const std::string assignment = "all of it";
    sync.assignments.push_back({joined.member_id, as_bytes(assignment)});
    const auto synced = client.ask<kafka::SyncGroupResponse>(sync, 5);
    ASSERT_EQ(synced.error_code, ErrorCode::none);
    EXPECT_EQ(as_text(synced.assignment), assignment);
    kafka::HeartbeatRequest beat{"g", joined.generation_id, joined.member_id, std::nullopt};
    EXPECT_EQ(client.ask<kafka::HeartbeatResponse>(beat, 4).error_code, ErrorCode::none);
    kafka::DescribeGroupsRequest describe{{"g"}, true};
    const auto described = client.ask<kafka::DescribeGroupsResponse>(describe, 6).groups.at(0);
    EXPECT_EQ(described.group_state, "Stable");
    EXPECT_EQ(described.members.at(0).client_host, "/127.0.0.1");
    kafka::LeaveGroupRequest leave;
    leave.group_id = "g";
    leave.members.push_back({joined.member_id});
    EXPECT_EQ(client.ask<kafka::LeaveGroupResponse>(leave, 5).members.at(0).error_code, ErrorCode::none);
    EXPECT_EQ(client.ask<kafka::HeartbeatResponse>(beat, 4).error_code, ErrorCode::unknown_member_id);
}

// --- from outside ------------------------------------------------------------------------------------------------------

TEST_F(BrokerTest, PagesTellWhatWasProducedHowFarGroupsAreAndWhetherTheBrokerIsReady) {
    start();
    const HostPort pages = value_of(broker_->listen_http({"127.0.0.1", 9644}));
    Client client(*this);
    make(client, "t");
    put(client, "t", {.records = 5});
    kafka::FindCoordinatorRequest find;
    find.coordinator_keys = {"g"};
    client.ask<kafka::FindCoordinatorResponse>(find, 6);
    kafka::OffsetCommitRequest commit;
    commit.group_id = "g";
    commit.topics.push_back({"t", {}, {{.partition_index = 0, .committed_offset = 2}}});
    client.ask<kafka::OffsetCommitResponse>(commit, 8);
    const auto get_page = [&](const std::string& path) {
        const auto socket = value_of(network_.connect(pages));
        const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        network_.send(socket, as_bytes(request));
        std::string out;
        for (int i = 0; i < 10'000 && !network_.closed_by_server(socket); ++i) {
            run();
            out += as_text(network_.receive(socket));
        }
        return out;
    };
    const std::string metrics = get_page("/metrics");
    EXPECT_THAT(metrics,
                testing::HasSubstr("flowstone_partition_high_watermark_offset{partition=\"0\",topic=\"t\"} 5"));
    EXPECT_THAT(metrics, testing::HasSubstr("flowstone_group_lag_records{group=\"g\",partition=\"0\",topic=\"t\"} 3"));
    EXPECT_THAT(get_page("/readyz"), testing::StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(get_page("/nowhere"), testing::StartsWith("HTTP/1.1 404"));
}

// --- the end -----------------------------------------------------------------------------------------------------------

TEST_F(BrokerTest, StoppingAnswersWhatWasAskedAndKeepsWhatWasAcknowledged) {
    start();
    std::optional<Client> client(std::in_place, *this);
    make(*client, "t");
    const auto bytes = batch({.records = 7});
    client->send(produce("t", bytes), produce_version);
    settle();
    stop();
    EXPECT_EQ(
        client->answer<kafka::ProduceResponse>(produce_version).responses.at(0).partition_responses.at(0).error_code,
        ErrorCode::none);
    start();
    client.emplace(*this);
    EXPECT_EQ(get(*client, fetch("t", 0)).high_watermark, 7);
}

}  // namespace
}  // namespace flowstone
