// What producers are told. Tests of a rule of SERVE.md, section 2, name its number.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/net/broker/broker_door.h"
#include "tests/sim/world/faulty_disk.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using testing::ElementsAre;
using testing::SizeIs;

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

// What was told is on the disk before it is told: at no moment may the power fail and an id come back.
TEST_F(BrokerTest, ProducerIdsAreNeverGivenTwiceNotEvenAfterAPowerLoss) {
    SimDisk first({.record = true});
    std::vector<std::pair<uint64_t, int64_t>> told;  // operations of the disk that were done by then, the id
    const auto ask = [&] {
        Client client(*this);
        const auto id = client.ask<kafka::InitProducerIdResponse>(
            kafka::InitProducerIdRequest{.transactional_id = std::nullopt}, 5);
        EXPECT_EQ(id.error_code, ErrorCode::none);
        return id.producer_id;
    };
    start_on(first, {}, {});
    for (int i = 0; i < 3; ++i) {
        const int64_t id = ask();
        told.emplace_back(first.operations(), id);
    }
    kill();
    size_t looked = 0;
    for (const CrashPoint& point : first.sample_crashes(200, /*seed=*/7)) {
        if (point.operation < told.front().first) { continue; }
        SCOPED_TRACE(point.to_string());
        const auto disk = first.crash_state(point);
        start_on(*disk, {}, {});
        const int64_t fresh = ask();
        for (const auto& [operations, id] : told) {
            if (point.operation >= operations) { EXPECT_NE(fresh, id); }
        }
        ++looked;
        kill();
    }
    EXPECT_GT(looked, 0u);
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

// Others of the batch are good: clients say of these that they were in bad company.
TEST_F(BrokerTest, Rule43EachRecordForWhichABatchIsRefusedIsTold) {
    start();
    Client client(*this);
    make(client, "t", 1, {{"cleanup.policy", "compact"}});
    const auto put_records = [&](std::span<const Record> records, Codec codec, int16_t version) {
        size_t bytes = batch_header_bytes;
        for (const Record& record : records) { bytes += BatchBuilder::record_bytes_max(record); }
        std::vector<std::byte> space(bytes);
        BatchBuilder builder(space, {});
        for (const Record& record : records) { EXPECT_TRUE(builder.append(record, *record.timestamp_ms)); }
        std::vector<std::byte> packed;
        const Bytes sent = value_of(recompress(builder.close(), codec, packed)).bytes();
        return client.ask<kafka::ProduceResponse>(produce("t", sent), version)
            .responses.at(0)
            .partition_responses.at(0);
    };
    const auto indexes = [](const Produced& produced) {
        std::vector<int32_t> out;
        for (const auto& error : produced.record_errors) {
            EXPECT_FALSE(error.batch_index_error_message.value_or("").empty());
            out.push_back(error.batch_index);
        }
        return out;
    };
    const int64_t now = clock_.wall_ms();
    const Record good{.key = "k", .value = "v", .timestamp_ms = now};
    const Record without_key{.key = std::nullopt, .value = "v", .timestamp_ms = now};
    const Record of_tomorrow{.key = "k", .value = "v", .timestamp_ms = now + 86'400'000};
    for (const Codec codec : {Codec::none, Codec::lz4}) {
        const auto keyless = put_records(std::vector{good, without_key, good, without_key}, codec, 8);
        EXPECT_EQ(keyless.error_code, ErrorCode::invalid_record);
        EXPECT_THAT(indexes(keyless), ElementsAre(1, 3));
        const auto both = put_records(std::vector{without_key, good, of_tomorrow}, codec, produce_version);
        EXPECT_EQ(both.error_code, ErrorCode::invalid_timestamp);
        EXPECT_THAT(indexes(both), ElementsAre(0, 2));
    }
    EXPECT_THAT(put_records(std::vector{without_key}, Codec::none, 7).record_errors, testing::IsEmpty());
    EXPECT_THAT(put_records(std::vector{good}, Codec::none, 8).record_errors, testing::IsEmpty());
    const auto many = put_records(std::vector(refused_records_told_max + 10, without_key), Codec::none, 8);
    EXPECT_EQ(many.record_errors.size(), refused_records_told_max);
    // What is more than a little when unpacked is looked at elsewhere.
    const std::string value(600, 'x');
    std::vector large(2'000, Record{.key = "k", .value = value, .timestamp_ms = now});
    large[1'999].key = std::nullopt;
    const auto elsewhere = put_records(large, Codec::lz4, 8);
    EXPECT_EQ(elsewhere.error_code, ErrorCode::invalid_record);
    EXPECT_THAT(indexes(elsewhere), ElementsAre(1'999));
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

}  // namespace
}  // namespace flowstone
