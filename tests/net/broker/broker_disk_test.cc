// What clients see when the disk under the broker is full, or fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/net/broker/broker_world.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using testing::AnyOf;
using testing::SizeIs;

class BrokerDiskTest : public BrokerWorld {
protected:
    static constexpr uint64_t mib = 1u << 20;
    BrokerDiskTest() : BrokerWorld({.bytes_max = 256 * mib}) {}
    static constexpr int16_t version = 12;  // of Produce and Fetch: the last that name topics

    void begin() {
        start({}, {.threads = 0, .journal_bytes_max = 16 * mib, .dirty_bytes_max = 4 * mib, .reserve_bytes = 16 * mib});
        Client client(*this);
        kafka::CreateTopicsRequest request;
        auto& one = request.topics.emplace_back();
        one.name = "t";
        one.num_partitions = 1;
        one.replication_factor = -1;
        ASSERT_EQ(client.ask<kafka::CreateTopicsResponse>(request, 7).topics.at(0).error_code, ErrorCode::none);
        kafka::FindCoordinatorRequest find;
        find.coordinator_keys = {"g"};
        ASSERT_EQ(client.ask<kafka::FindCoordinatorResponse>(find, 6).coordinators.at(0).error_code, ErrorCode::none);
        ASSERT_EQ(commit(client, 1), ErrorCode::none);
    }
    // Something else on the disk, until it is removed.
    void occupy(uint64_t leave) {
        const uint64_t free = value_of(disk_.free_bytes("data"));
        const auto file = value_of(disk_.open("ballast", {.write = true, .create = true}));
        ASSERT_TRUE(disk_.allocate(*file, BytePos{0}, BytePos{static_cast<int64_t>(free - leave)}, false));
    }
    static kafka::ProduceRequest produce(Bytes records) {
        kafka::ProduceRequest request;
        request.acks = -1;
        request.timeout_ms = 1'000;
        auto& data = request.topic_data.emplace_back();
        data.name = "t";
        data.partition_data.push_back({0, records});
        return request;
    }
    static ErrorCode error_of(const kafka::ProduceResponse& response) {
        return response.responses.at(0).partition_responses.at(0).error_code;
    }
    ErrorCode put(Client& client, size_t value_bytes) {
        const auto records = batch({.value_bytes = value_bytes});
        return error_of(client.ask<kafka::ProduceResponse>(produce(records), version));
    }
    static kafka::FetchRequest fetch(int64_t offset, int32_t max_wait_ms = 0) {
        kafka::FetchRequest request;
        request.max_wait_ms = max_wait_ms;
        request.min_bytes = 1;
        request.topics.emplace_back().topic = "t";
        request.topics[0].partitions.push_back(
            {.partition = 0, .fetch_offset = offset, .partition_max_bytes = 1 << 20});
        return request;
    }
    kafka::FetchResponse::PartitionData get(Client& client, int64_t offset) {
        return client.ask<kafka::FetchResponse>(fetch(offset), version).responses.at(0).partitions.at(0);
    }
    ErrorCode commit(Client& client, int64_t offset) {
        kafka::OffsetCommitRequest request;
        request.group_id = "g";
        request.topics.push_back({"t", {}, {{.partition_index = 0, .committed_offset = offset}}});
        return client.ask<kafka::OffsetCommitResponse>(request, 8).topics.at(0).partitions.at(0).error_code;
    }
    int64_t committed(Client& client) {
        kafka::OffsetFetchRequest request;
        request.groups.push_back({.group_id = "g"});
        request.groups[0].topics->push_back({"t", {}, {0}});
        const auto group = client.ask<kafka::OffsetFetchResponse>(request, 8).groups.at(0);
        EXPECT_EQ(group.error_code, ErrorCode::none);
        return group.topics.at(0).partitions.at(0).committed_offset;
    }
};

class BrokerFullDiskTest : public BrokerDiskTest, public testing::WithParamInterface<size_t> {};

INSTANTIATE_TEST_SUITE_P(ThroughTheJournalAndPastIt, BrokerFullDiskTest, testing::Values(500, 200'000));

TEST_P(BrokerFullDiskTest, ProducersAreToldToTryAgainTheOthersGoOnAndSpaceHealsIt) {
    const size_t value_bytes = GetParam();
    ASSERT_NO_FATAL_FAILURE(begin());
    Client client(*this);
    ASSERT_EQ(put(client, value_bytes), ErrorCode::none);
    occupy(8 * mib);
    int64_t acknowledged = 1;
    ErrorCode error = ErrorCode::none;
    for (int i = 0; i < 100'000 && error == ErrorCode::none; ++i) {
        error = put(client, value_bytes);
        acknowledged += error == ErrorCode::none ? 1 : 0;
    }
    // What was taken before its commit failed may still come: its producer learns that its time has passed.
    EXPECT_THAT(error, AnyOf(ErrorCode::kafka_storage_error, ErrorCode::request_timed_out));
    for (int i = 0; i < 3; ++i) {
        EXPECT_THAT(put(client, value_bytes), AnyOf(ErrorCode::kafka_storage_error, ErrorCode::request_timed_out));
    }
    EXPECT_FALSE(broker_->failure()) << "it serves what it can";
    const auto first = get(client, 0);
    EXPECT_EQ(first.error_code, ErrorCode::none);
    EXPECT_GT(first.records.pieces.size(), 0u);
    EXPECT_EQ(first.high_watermark, acknowledged);
    EXPECT_EQ(commit(client, 7), ErrorCode::none);
    EXPECT_EQ(committed(client), 7);
    ASSERT_TRUE(disk_.remove("ballast"));
    EXPECT_EQ(put(client, value_bytes), ErrorCode::none) << "without a restart";
    EXPECT_GT(get(client, 0).high_watermark, acknowledged);
    kill();
    start();
    Client again(*this);
    settle();
    EXPECT_GT(get(again, 0).high_watermark, acknowledged);
    EXPECT_EQ(committed(again), 7);
}

TEST_F(BrokerDiskTest, OnceTheDiskHasFailedEverythingThatWaitsAndComesIsToldSoAndTheProcessStays) {
    ASSERT_NO_FATAL_FAILURE(begin());
    Client producer(*this);
    Client other(*this);
    Client consumer(*this);
    ASSERT_EQ(put(producer, 100), ErrorCode::none);
    EXPECT_FALSE(broker_->failure());
    consumer.send(fetch(1, 30'000), version);
    settle();
    faulty_.fail_at(FaultyDisk::Call::write_durable, faulty_.calls(FaultyDisk::Call::write_durable), EIO, true);
    const auto records = batch({});
    producer.send(produce(records), version);
    other.send(produce(records), version);
    EXPECT_EQ(error_of(producer.answer<kafka::ProduceResponse>(version)), ErrorCode::kafka_storage_error);
    EXPECT_EQ(error_of(other.answer<kafka::ProduceResponse>(version)), ErrorCode::kafka_storage_error);
    // What it asked for never comes; its time passes as always.
    EXPECT_EQ(consumer.answer<kafka::FetchResponse>(version).responses.at(0).partitions.at(0).high_watermark, 1);
    for (int i = 0; i < 3; ++i) { EXPECT_EQ(put(producer, 100), ErrorCode::kafka_storage_error); }
    EXPECT_NE(commit(producer, 9), ErrorCode::none);
    ASSERT_TRUE(broker_->failure());
    EXPECT_EQ(broker_->failure()->code, Code::offline);
    faulty_.heal();
    EXPECT_EQ(put(producer, 100), ErrorCode::kafka_storage_error) << "a failed disk is not believed again";
    EXPECT_TRUE(broker_->failure());
    EXPECT_EQ(get(producer, 0).high_watermark, 1) << "what is known to be there is read";
    kill();
    start();
    Client again(*this);
    settle();
    EXPECT_FALSE(broker_->failure());
    EXPECT_GE(get(again, 0).high_watermark, 1);
    EXPECT_EQ(put(again, 100), ErrorCode::none);
}

}  // namespace
}  // namespace flowstone
