// A broker at its front door: versions, frames, pages, its end. Tests of a rule of SERVE.md, section 2, name its number.
#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/kafka/messages/api_versions.h"
#include "tests/net/broker/broker_door.h"
#include "tests/net/kafka/hex.h"
#include "tests/paths.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using testing::IsEmpty;
using testing::SizeIs;

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

TEST_F(BrokerTest, Rule14UnknownTaggedFieldsAreSkippedAndNullIsNotEmpty) {
    start();
    Client client(*this);
    make(client, "t");
    // Metadata version 9: tags of the header, of a topic, of the body; none of them is Kafka's.
    const auto topics_of = [&](std::string_view topics) {
        const auto body = from_hex(topics);
        const auto head = from_hex("0003 0009 00000002 ffff 01 05 02 'xy'");
        const auto tail = from_hex("00 00 00 01 09 03 'xyz'");
        std::vector<std::byte> frame(4);
        for (const auto* part : {&head, &body, &tail}) { frame.insert(frame.end(), part->begin(), part->end()); }
        store_be<int32_t>(frame.data(), static_cast<int32_t>(frame.size() - 4));
        Client fresh(*this);
        fresh.send_bytes(frame);
        const auto answer = fresh.receive();
        EXPECT_TRUE(answer);
        const auto parsed = value_of(kafka::parse_response(*answer, kafka::ApiKey::metadata, 9));
        return value_of(kafka::decode<kafka::MetadataResponse>(parsed.body, 9)).topics.size();
    };
    EXPECT_EQ(topics_of("02 02 't' 01 07 01 '!'"), 1u);
    EXPECT_EQ(topics_of("00"), 1u) << "null: all";
    EXPECT_EQ(topics_of("01"), 0u) << "empty: none";
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

TEST_F(BrokerTest, Rule42NobodyIsThrottled) {
    start();
    Client client(*this);
    make(client, "t");
    const auto records = batch({});
    EXPECT_EQ(client.ask<kafka::ProduceResponse>(produce("t", records), produce_version).throttle_time_ms, 0);
    EXPECT_EQ(client.ask<kafka::FetchResponse>(fetch("t", 0), fetch_version).throttle_time_ms, 0);
    EXPECT_EQ(client.ask<kafka::MetadataResponse>(all_topics(), 12).throttle_time_ms, 0);
    EXPECT_EQ(client.ask<kafka::ApiVersionsResponse>(kafka::ApiVersionsRequest{}, 2).throttle_time_ms, 0);
}

// --- from outside ------------------------------------------------------------------------------------------------------

TEST_F(BrokerTest, PagesTellWhatWasProducedHowFarGroupsAreAndWhetherTheBrokerIsReady) {
    BrokerConfig config;
    config.request_memory_bytes_max = 2'000'000;
    start(config, {.dirty_bytes_max = 1u << 20});
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
    const std::string metrics = get_page(pages, "/metrics");
    EXPECT_THAT(metrics,
                testing::HasSubstr("flowstone_partition_high_watermark_offset{partition=\"0\",topic=\"t\"} 5"));
    EXPECT_THAT(metrics, testing::HasSubstr("flowstone_group_lag_records{group=\"g\",partition=\"0\",topic=\"t\"} 3"));
    const auto value = [](const std::string& page, const std::string& series) {
        const auto at = page.find("\n" + series + " ");
        EXPECT_NE(at, std::string::npos) << series;
        return at == std::string::npos ? -1.0 : std::stod(page.substr(at + 1 + series.size()));
    };
    EXPECT_EQ(value(metrics, "flowstone_partition_log_end_offset{partition=\"0\",topic=\"t\"}"), 5);
    EXPECT_GT(value(metrics, "flowstone_partition_size_bytes{partition=\"0\",topic=\"t\"}"), 0);
    EXPECT_EQ(value(metrics, "flowstone_request_seconds_count{api=\"Produce\"}"), 1);
    const double commits = value(metrics, "flowstone_journal_commit_seconds_count");
    EXPECT_GE(commits, 3) << "a topic, records, a group's offset";
    EXPECT_EQ(value(metrics, "flowstone_journal_commit_bytes_count"), commits);
    EXPECT_GE(value(metrics, "flowstone_journal_commit_bytes_sum"), 4096 * commits) << "whole blocks";
    EXPECT_GT(value(metrics, "flowstone_log_unwritten_bytes"), 0);
    EXPECT_GT(value(metrics, "flowstone_log_memory_bytes"), 0);
    EXPECT_EQ(value(metrics, "flowstone_log_unwritten_limit_bytes"), 1e6 + 48'576);
    EXPECT_EQ(value(metrics, "flowstone_journal_queued_bytes"), 0) << "all of it is durable";
    EXPECT_EQ(value(metrics, "flowstone_request_memory_limit_bytes"), 2e6);
    EXPECT_EQ(value(metrics, "flowstone_requests_waiting{for=\"files\"}"), 0);
    pass(5'000);
    const std::string lag = "flowstone_group_lag_seconds{group=\"g\",partition=\"0\",topic=\"t\"}";
    EXPECT_GE(value(get_page(pages, "/metrics"), lag), 5);
    commit.topics[0].partitions[0].committed_offset = 5;
    client.ask<kafka::OffsetCommitResponse>(commit, 8);
    EXPECT_EQ(value(get_page(pages, "/metrics"), lag), 0);
    EXPECT_THAT(get_page(pages, "/readyz"), testing::StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(get_page(pages, "/nowhere"), testing::StartsWith("HTTP/1.1 404"));
}

TEST_F(BrokerTest, PagesTellOfTenThousandPartitionsAndOfEverythingElse) {
    constexpr auto partitions = static_cast<int32_t>(metric_partitions_max);
    start();
    const HostPort pages = value_of(broker_->listen_http({"127.0.0.1", 9644}));
    Client client(*this);
    make(client, "many", partitions);
    kafka::FindCoordinatorRequest find;
    find.key = "g";
    client.ask<kafka::FindCoordinatorResponse>(find, 3);  // makes __consumer_offsets, whose 50 stand before them
    kafka::OffsetCommitRequest commit;
    commit.group_id = "g";
    commit.topics.push_back({"many", {}, {{.partition_index = partitions - 1, .committed_offset = 0}}});
    client.ask<kafka::OffsetCommitResponse>(commit, 8);
    const std::string page = get_page(pages, "/metrics");
    const auto count = [&](std::string_view start) {
        size_t found = 0;
        for (size_t at = page.find(start); at != std::string::npos; at = page.find(start, at + 1)) { ++found; }
        return found;
    };
    for (const std::string_view name :
         {"flowstone_partition_log_start_offset", "flowstone_partition_high_watermark_offset",
          "flowstone_partition_log_end_offset", "flowstone_partition_size_bytes"}) {
        EXPECT_EQ(count(fmt::format("\n{}{{", name)), metric_partitions_max) << name;
    }
    for (const std::string_view series :
         {"flowstone_log_unwritten_bytes ", "flowstone_journal_queued_bytes ", "flowstone_log_memory_bytes ",
          "flowstone_requests_waiting{for=\"records\"} 0", "flowstone_groups 1",
          "flowstone_request_seconds_count{api=\"CreateTopics\"} 1", "flowstone_metrics_series_dropped 200\n"}) {
        EXPECT_EQ(count(fmt::format("\n{}", series)), 1u) << series;
    }
    EXPECT_EQ(count(fmt::format("\nflowstone_group_lag_records{{group=\"g\",partition=\"{}\"", partitions - 1)), 1u);
}

TEST_F(BrokerTest, EveryMetricIsInTheDocumentation) {
    start();
    const HostPort pages = value_of(broker_->listen_http({"127.0.0.1", 9644}));
    Client client(*this);
    client.ask<kafka::ApiVersionsResponse>(kafka::ApiVersionsRequest{}, 2);  // so that an api's latency is there
    const auto names = [](std::istream& in, const std::string& before, char after) {
        std::set<std::string> out;
        for (std::string line; std::getline(in, line);) {
            if (!line.starts_with(before)) { continue; }
            out.insert(line.substr(before.size(), line.find(after, before.size()) - before.size()));
        }
        return out;
    };
    std::istringstream page(get_page(pages, "/metrics"));
    std::ifstream documented(source_path("docs/METRICS.md"));
    EXPECT_EQ(names(page, "# HELP ", ' '), names(documented, "| `", '`'));
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

TEST_F(BrokerTest, StoppingKeepsNobodyWaitingForRecords) {
    start();
    Client client(*this);
    make(client, "t");
    client.send(fetch("t", 0, 30'000), fetch_version);
    settle();
    const int64_t began = clock_.wall_ms();
    broker_->stop(20'000);
    EXPECT_LT(clock_.wall_ms() - began, 1'000);
    const auto answer = client.answer<kafka::FetchResponse>(fetch_version);
    EXPECT_EQ(answer.responses.at(0).partitions.at(0).error_code, ErrorCode::none);
}

}  // namespace
}  // namespace flowstone
