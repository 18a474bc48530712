// What operators' tools ask: each answer is what one node without transactions and security truthfully says.
#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/net/broker/broker_door.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// Bits of Kafka's AclOperation.
constexpr int32_t read_bit = 1 << 3;
constexpr int32_t write_bit = 1 << 4;
constexpr int32_t create_bit = 1 << 5;
constexpr int32_t delete_bit = 1 << 6;
constexpr int32_t alter_bit = 1 << 7;
constexpr int32_t describe_bit = 1 << 8;
constexpr int32_t cluster_action_bit = 1 << 9;
constexpr int32_t configs_bits = 1 << 10 | 1 << 11;
constexpr int32_t idempotent_write_bit = 1 << 12;
constexpr int32_t not_asked_for = INT32_MIN;

class BrokerAdminTest : public BrokerTest {
protected:
    void commit(Client& client, const std::string& group, const std::string& topic, int32_t partition) {
        kafka::FindCoordinatorRequest find;
        find.key = group;
        client.ask<kafka::FindCoordinatorResponse>(find, 3);
        settle();
        kafka::OffsetCommitRequest request;
        request.group_id = group;
        request.topics.push_back({topic, {}, {{.partition_index = partition, .committed_offset = 5}}});
        const auto answer = client.ask<kafka::OffsetCommitResponse>(request, 8);
        ASSERT_EQ(answer.topics.at(0).partitions.at(0).error_code, ErrorCode::none);
    }
    int64_t committed(Client& client, const std::string& group, const std::string& topic, int32_t partition) {
        kafka::OffsetFetchRequest request;
        request.groups.push_back({.group_id = group});
        request.groups[0].topics->push_back({topic, {}, {partition}});
        const auto answer = client.ask<kafka::OffsetFetchResponse>(request, 8);
        return answer.groups.at(0).topics.at(0).partitions.at(0).committed_offset;
    }
    // A member of the group, which reads `topic`. Returns its id.
    std::string join(Client& client, const std::string& group, const std::string& topic) {
        ByteWriter says;  // ConsumerProtocolSubscription version 0
        says.be<int16_t>(0);
        says.be<int32_t>(1);
        says.be(static_cast<int16_t>(topic.size()));
        says.text(topic);
        says.be<int32_t>(-1);
        const auto metadata = says.take();
        kafka::JoinGroupRequest request;
        request.group_id = group;
        request.session_timeout_ms = 10'000;
        request.rebalance_timeout_ms = 10'000;
        request.protocol_type = "consumer";
        request.protocols.push_back({"range", Bytes(metadata)});
        const auto joined = client.ask<kafka::JoinGroupResponse>(request, 3);
        EXPECT_EQ(joined.error_code, ErrorCode::none);
        kafka::SyncGroupRequest sync;
        sync.group_id = group;
        sync.generation_id = joined.generation_id;
        sync.member_id = joined.member_id;
        EXPECT_EQ(client.ask<kafka::SyncGroupResponse>(sync, 3).error_code, ErrorCode::none);
        return joined.member_id;
    }
    static BrokerConfig at_once() {
        BrokerConfig config;
        config.groups.initial_rebalance_delay_ms = 0;
        return config;
    }
};

// --- security, quotas, transactions: there are none -------------------------------------------------------------------

TEST_F(BrokerAdminTest, AccessControlIsDisabled) {
    start();
    Client client(*this);
    const auto described = client.ask<kafka::DescribeAclsResponse>(kafka::DescribeAclsRequest{}, 3);
    EXPECT_EQ(described.error_code, ErrorCode::security_disabled);
    EXPECT_FALSE(described.error_message.value_or("").empty());
    EXPECT_THAT(described.resources, IsEmpty());
    kafka::CreateAclsRequest create;
    create.creations.resize(2);
    const auto created = client.ask<kafka::CreateAclsResponse>(create, 3);
    ASSERT_THAT(created.results, SizeIs(2)) << "one for each";
    for (const auto& result : created.results) { EXPECT_EQ(result.error_code, ErrorCode::security_disabled); }
    kafka::DeleteAclsRequest remove;
    remove.filters.resize(3);
    const auto removed = client.ask<kafka::DeleteAclsResponse>(remove, 3);
    ASSERT_THAT(removed.filter_results, SizeIs(3)) << "one for each";
    for (const auto& result : removed.filter_results) {
        EXPECT_EQ(result.error_code, ErrorCode::security_disabled);
        EXPECT_THAT(result.matching_acls, IsEmpty());
    }
}

TEST_F(BrokerAdminTest, ThereAreNoQuotasAndNoTransactions) {
    start();
    Client client(*this);
    const auto quotas = client.ask<kafka::DescribeClientQuotasResponse>(kafka::DescribeClientQuotasRequest{}, 1);
    EXPECT_EQ(quotas.error_code, ErrorCode::none);
    ASSERT_TRUE(quotas.entries) << "none, not unknown";
    EXPECT_THAT(*quotas.entries, IsEmpty());
    kafka::ListTransactionsRequest list;
    list.state_filters = {"Ongoing", "Asleep", "PrepareCommit"};
    const auto transactions = client.ask<kafka::ListTransactionsResponse>(list, 1);
    EXPECT_EQ(transactions.error_code, ErrorCode::none);
    EXPECT_THAT(transactions.transaction_states, IsEmpty());
    EXPECT_THAT(transactions.unknown_state_filters, ElementsAre("Asleep"));
}

// --- the node ---------------------------------------------------------------------------------------------------------

TEST_F(BrokerAdminTest, TheQuorumIsOneVoter) {
    BrokerConfig config;
    config.node_id = 7;
    start(config);
    Client client(*this);
    make(client, "t");
    kafka::DescribeQuorumRequest request;
    request.topics.push_back({"__cluster_metadata", {{0}, {1}}});
    request.topics.push_back({"t", {{0}}});
    const auto answer = client.ask<kafka::DescribeQuorumResponse>(request, 2);
    EXPECT_EQ(answer.error_code, ErrorCode::none);
    const auto& metadata = answer.topics.at(0).partitions.at(0);
    EXPECT_EQ(metadata.error_code, ErrorCode::none);
    EXPECT_EQ(metadata.leader_id, 7);
    EXPECT_GT(metadata.high_watermark, 0) << "a topic was made";
    ASSERT_THAT(metadata.current_voters, SizeIs(1));
    EXPECT_EQ(metadata.current_voters[0].replica_id, 7);
    EXPECT_EQ(metadata.current_voters[0].log_end_offset, metadata.high_watermark);
    EXPECT_THAT(metadata.observers, IsEmpty());
    EXPECT_EQ(answer.topics.at(0).partitions.at(1).error_code, ErrorCode::unknown_topic_or_partition);
    EXPECT_EQ(answer.topics.at(1).partitions.at(0).error_code, ErrorCode::unknown_topic_or_partition);
    ASSERT_THAT(answer.nodes, SizeIs(1));
    EXPECT_EQ(answer.nodes[0].node_id, 7);
    EXPECT_EQ(answer.nodes[0].listeners.at(0).port, address_.port);
}

TEST_F(BrokerAdminTest, EveryPartitionIsLedByWhoIsPreferredAndNoneMoves) {
    start();
    Client client(*this);
    make(client, "t", 2);
    kafka::ElectLeadersRequest elect;
    elect.topic_partitions.emplace().push_back({"t", {0, 1, 2, -1}});
    elect.topic_partitions->push_back({"nowhere", {0}});
    const auto elected = client.ask<kafka::ElectLeadersResponse>(elect, 2);
    EXPECT_EQ(elected.error_code, ErrorCode::none);
    std::vector<ErrorCode> errors;
    for (const auto& topic : elected.replica_election_results) {
        for (const auto& partition : topic.partition_result) { errors.push_back(partition.error_code); }
    }
    EXPECT_THAT(errors, ElementsAre(ErrorCode::election_not_needed, ErrorCode::election_not_needed,
                                    ErrorCode::unknown_topic_or_partition, ErrorCode::unknown_topic_or_partition,
                                    ErrorCode::unknown_topic_or_partition));
    elect.topic_partitions = std::nullopt;  // all that need one
    EXPECT_THAT(client.ask<kafka::ElectLeadersResponse>(elect, 2).replica_election_results, IsEmpty());
    kafka::ListPartitionReassignmentsRequest list;
    list.topics.emplace().push_back({"t", {0}});
    const auto moving = client.ask<kafka::ListPartitionReassignmentsResponse>(list, 0);
    EXPECT_EQ(moving.error_code, ErrorCode::none);
    EXPECT_THAT(moving.topics, IsEmpty());
}

TEST_F(BrokerAdminTest, ProducersAreDescribed) {
    start();
    Client client(*this);
    make(client, "t");
    put(client, "t", {.records = 3, .producer_id = 21, .epoch = 2, .sequence = 0, .timestamp_ms = 1'400'000'000'123});
    put(client, "t", {.producer_id = 9, .epoch = 0, .sequence = 0});
    put(client, "t", {});
    kafka::DescribeProducersRequest request;
    request.topics.push_back({"t", {0, 1}});
    request.topics.push_back({"nowhere", {0}});
    const auto answer = client.ask<kafka::DescribeProducersResponse>(request, 0);
    const auto& there = answer.topics.at(0).partitions.at(0);
    EXPECT_EQ(there.error_code, ErrorCode::none);
    ASSERT_THAT(there.active_producers, SizeIs(2)) << "one had no id";
    const auto found =
        std::ranges::find(there.active_producers, 21, &kafka::DescribeProducersResponse::ProducerState::producer_id);
    ASSERT_NE(found, there.active_producers.end());
    EXPECT_EQ(found->producer_epoch, 2);
    EXPECT_EQ(found->last_sequence, 2);
    EXPECT_EQ(found->last_timestamp, 1'400'000'000'123);
    EXPECT_EQ(found->current_txn_start_offset, -1);
    EXPECT_EQ(answer.topics.at(0).partitions.at(1).error_code, ErrorCode::unknown_topic_or_partition);
    EXPECT_EQ(answer.topics.at(1).partitions.at(0).error_code, ErrorCode::unknown_topic_or_partition);
}

TEST_F(BrokerAdminTest, DirectoriesTellTheSizesOfWhatIsInThem) {
    start();
    Client client(*this);
    make(client, "t", 2);
    make(client, "u");
    put(client, "t", {.value_bytes = 10'000});
    kafka::DescribeLogDirsRequest request;
    request.topics = std::nullopt;
    const auto all = client.ask<kafka::DescribeLogDirsResponse>(request, 4);
    ASSERT_THAT(all.results, SizeIs(1));
    EXPECT_EQ(all.results[0].error_code, ErrorCode::none);
    ASSERT_THAT(all.results[0].topics, SizeIs(2));
    ASSERT_THAT(all.results[0].topics[0].partitions, SizeIs(2));
    EXPECT_GE(all.results[0].topics[0].partitions[0].partition_size, 10'000);
    EXPECT_EQ(all.results[0].topics[0].partitions[1].partition_size, 0);
    request.topics.emplace().push_back({"u", {0, 5}});
    request.topics->push_back({"nowhere", {0}});
    const auto some = client.ask<kafka::DescribeLogDirsResponse>(request, 4);
    ASSERT_THAT(some.results.at(0).topics, SizeIs(1));
    EXPECT_EQ(some.results[0].topics[0].name, "u");
    EXPECT_THAT(some.results[0].topics[0].partitions, SizeIs(1));
}

// --- topics -----------------------------------------------------------------------------------------------------------

TEST_F(BrokerAdminTest, PartitionsOfTopicsAreDescribedPageByPage) {
    start();
    Client client(*this);
    make(client, "a", 3);
    make(client, "b", 2);
    kafka::DescribeTopicPartitionsRequest request;
    request.topics = {{"b"}, {"a"}, {"missing"}};
    request.response_partition_limit = 2;
    std::vector<std::string> seen;
    std::vector<std::string> missing;
    for (int pages = 0; pages < 10; ++pages) {
        const auto page = client.ask<kafka::DescribeTopicPartitionsResponse>(request, 0);
        size_t partitions = 0;
        for (const auto& topic : page.topics) {
            if (topic.error_code == ErrorCode::unknown_topic_or_partition) { missing.push_back(*topic.name); }
            for (const auto& partition : topic.partitions) {
                seen.push_back(fmt::format("{}-{}", *topic.name, partition.partition_index));
                EXPECT_EQ(partition.leader_id, BrokerConfig{}.node_id);
                EXPECT_THAT(partition.isr_nodes, ElementsAre(BrokerConfig{}.node_id));
                ++partitions;
            }
            if (topic.error_code == ErrorCode::none) {
                EXPECT_FALSE(topic.topic_id.is_zero());
                EXPECT_NE(topic.topic_authorized_operations, not_asked_for) << "here they are always told";
            }
        }
        EXPECT_LE(partitions, 2u);
        if (!page.next_cursor) { break; }
        request.cursor = {page.next_cursor->topic_name, page.next_cursor->partition_index};
    }
    EXPECT_THAT(seen, ElementsAre("a-0", "a-1", "a-2", "b-0", "b-1"));
    EXPECT_THAT(missing, ElementsAre("missing"));
}

TEST_F(BrokerAdminTest, ResourcesWithConfigsAreListed) {
    start();
    Client client(*this);
    make(client, "a");
    make(client, "b");
    const std::string node = std::to_string(BrokerConfig{}.node_id);
    const auto list = [&](std::vector<int8_t> types, int16_t version = 1) {
        kafka::ListConfigResourcesRequest request;
        request.resource_types = std::move(types);
        const auto answer = client.ask<kafka::ListConfigResourcesResponse>(request, version);
        std::vector<std::string> out;
        for (const auto& one : answer.config_resources) {
            out.push_back(fmt::format("{} {}", one.resource_type, one.resource_name));
        }
        if (answer.error_code != ErrorCode::none) { out.emplace_back(name(answer.error_code)); }
        return out;
    };
    EXPECT_THAT(list({2}), ElementsAre("2 a", "2 b"));
    EXPECT_THAT(list({}), UnorderedElementsAre("2 a", "2 b", "4 " + node, "8 " + node));
    EXPECT_THAT(list({16, 32}), IsEmpty()) << "metrics of clients, groups";
    EXPECT_THAT(list({2, 99}), ElementsAre("UNSUPPORTED_VERSION"));
    EXPECT_THAT(list({}, 0), IsEmpty()) << "of metrics alone";
}

TEST_F(BrokerAdminTest, OperationsThatAreAllowedAreAllAndToldWhenAskedFor) {
    start(at_once());
    Client client(*this);
    make(client, "t");
    const int32_t of_topic = read_bit | write_bit | create_bit | delete_bit | alter_bit | describe_bit | configs_bits;
    const int32_t of_cluster =
        create_bit | alter_bit | describe_bit | cluster_action_bit | configs_bits | idempotent_write_bit;
    kafka::MetadataRequest metadata = all_topics();
    const auto silent = client.ask<kafka::MetadataResponse>(metadata, 10);
    EXPECT_EQ(silent.topics.at(0).topic_authorized_operations, not_asked_for);
    EXPECT_EQ(silent.cluster_authorized_operations, not_asked_for);
    metadata.include_topic_authorized_operations = true;
    metadata.include_cluster_authorized_operations = true;
    const auto told = client.ask<kafka::MetadataResponse>(metadata, 10);
    EXPECT_EQ(told.topics.at(0).topic_authorized_operations, of_topic);
    EXPECT_EQ(told.cluster_authorized_operations, of_cluster);
    kafka::DescribeClusterRequest cluster;
    EXPECT_EQ(client.ask<kafka::DescribeClusterResponse>(cluster, 1).cluster_authorized_operations, not_asked_for);
    cluster.include_cluster_authorized_operations = true;
    const auto described = client.ask<kafka::DescribeClusterResponse>(cluster, 1);
    EXPECT_EQ(described.cluster_authorized_operations, of_cluster);
    EXPECT_EQ(described.controller_id, BrokerConfig{}.node_id);
    EXPECT_FALSE(described.cluster_id.empty());
    commit(client, "g", "t", 0);
    join(client, "g", "t");
    kafka::DescribeGroupsRequest groups{{"g"}, false};
    const auto quiet = client.ask<kafka::DescribeGroupsResponse>(groups, 6).groups.at(0);
    EXPECT_EQ(quiet.group_state, "Stable");
    EXPECT_EQ(quiet.authorized_operations, not_asked_for);
    groups.include_authorized_operations = true;
    EXPECT_EQ(client.ask<kafka::DescribeGroupsResponse>(groups, 6).groups.at(0).authorized_operations,
              read_bit | delete_bit | describe_bit | configs_bits);
}

// --- groups -----------------------------------------------------------------------------------------------------------

TEST_F(BrokerAdminTest, OffsetsOfWhatNoMemberReadsAreDeleted) {
    start(at_once());
    Client client(*this);
    make(client, "read", 1);
    make(client, "left", 2);
    commit(client, "g", "read", 0);
    commit(client, "g", "left", 0);
    commit(client, "g", "left", 1);
    join(client, "g", "read");
    kafka::OffsetDeleteRequest request;
    request.group_id = "g";
    request.topics.push_back({"read", {{0}}});
    request.topics.push_back({"left", {{0}, {7}}});
    request.topics.push_back({"nowhere", {{0}}});
    const auto answer = client.ask<kafka::OffsetDeleteResponse>(request, 0);
    ASSERT_EQ(answer.error_code, ErrorCode::none);
    EXPECT_EQ(answer.topics.at(0).partitions.at(0).error_code, ErrorCode::group_subscribed_to_topic);
    EXPECT_EQ(answer.topics.at(1).partitions.at(0).error_code, ErrorCode::none);
    EXPECT_EQ(answer.topics.at(1).partitions.at(1).error_code, ErrorCode::unknown_topic_or_partition);
    EXPECT_EQ(answer.topics.at(2).partitions.at(0).error_code, ErrorCode::unknown_topic_or_partition);
    EXPECT_EQ(committed(client, "g", "read", 0), 5);
    EXPECT_EQ(committed(client, "g", "left", 0), -1);
    EXPECT_EQ(committed(client, "g", "left", 1), 5);
    request.group_id = "nobody";
    const auto unknown = client.ask<kafka::OffsetDeleteResponse>(request, 0);
    EXPECT_EQ(unknown.error_code, ErrorCode::group_id_not_found);
    EXPECT_THAT(unknown.topics, IsEmpty());
}

TEST_F(BrokerAdminTest, GroupsWithoutMembersAreDeleted) {
    start(at_once());
    Client client(*this);
    make(client, "t");
    commit(client, "alone", "t", 0);
    commit(client, "busy", "t", 0);
    join(client, "busy", "t");
    kafka::DeleteGroupsRequest request;
    request.groups_names = {"alone", "busy", "nobody"};
    const auto answer = client.ask<kafka::DeleteGroupsResponse>(request, 2);
    ASSERT_THAT(answer.results, SizeIs(3));
    EXPECT_EQ(answer.results[0].group_id, "alone");
    EXPECT_EQ(answer.results[0].error_code, ErrorCode::none);
    EXPECT_EQ(answer.results[1].error_code, ErrorCode::non_empty_group);
    EXPECT_EQ(answer.results[2].error_code, ErrorCode::group_id_not_found);
    EXPECT_EQ(committed(client, "alone", "t", 0), -1);
    EXPECT_EQ(committed(client, "busy", "t", 0), 5);
    kill();
    start(at_once());
    Client again(*this);
    settle();
    EXPECT_EQ(committed(again, "alone", "t", 0), -1) << "for good";
    EXPECT_EQ(committed(again, "busy", "t", 0), 5);
}

}  // namespace
}  // namespace flowstone
