// Groups at the front door; the coordinator itself has scripts (groups/).
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/net/broker/broker_door.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using testing::SizeIs;

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

// From version 10 on topics have ids and no names.
TEST_F(BrokerTest, Rule20OffsetsAreCommittedAndFetchedByTheIdOfTheirTopic) {
    start();
    Client client(*this);
    make(client, "t");
    const auto id_of = [&](const std::string& topic) {
        kafka::MetadataRequest request;
        request.topics->push_back({{}, topic});
        return client.ask<kafka::MetadataResponse>(request, 12).topics.at(0).topic_id;
    };
    const Uuid first = id_of("t");
    const Uuid nobodys = random_.uuid();
    kafka::FindCoordinatorRequest find;
    find.key = "g";
    client.ask<kafka::FindCoordinatorResponse>(find, 3);
    settle();
    kafka::OffsetCommitRequest commit;
    commit.group_id = "g";
    commit.topics.push_back({"", first, {{.partition_index = 0, .committed_offset = 42}}});
    commit.topics.push_back({"", nobodys, {{.partition_index = 0, .committed_offset = 1}}});
    const auto committed = client.ask<kafka::OffsetCommitResponse>(commit, 10);
    ASSERT_THAT(committed.topics, SizeIs(2));
    EXPECT_EQ(committed.topics[0].topic_id, first);
    EXPECT_EQ(committed.topics[0].partitions.at(0).error_code, ErrorCode::none);
    EXPECT_EQ(committed.topics[1].topic_id, nobodys);
    EXPECT_EQ(committed.topics[1].partitions.at(0).error_code, ErrorCode::unknown_topic_id);
    kafka::OffsetFetchRequest fetching;
    fetching.groups.push_back({.group_id = "g"});
    fetching.groups[0].topics->push_back({"", nobodys, {0}});
    fetching.groups[0].topics->push_back({"", first, {0}});
    const auto fetched = client.ask<kafka::OffsetFetchResponse>(fetching, 10).groups.at(0);
    ASSERT_THAT(fetched.topics, SizeIs(2));
    for (const auto& topic : fetched.topics) {
        const bool known = topic.topic_id == first;
        EXPECT_EQ(topic.partitions.at(0).error_code, known ? ErrorCode::none : ErrorCode::unknown_topic_id);
        EXPECT_EQ(topic.partitions.at(0).committed_offset, known ? 42 : -1);
    }
    fetching.groups[0].topics = std::nullopt;
    const auto all = client.ask<kafka::OffsetFetchResponse>(fetching, 10).groups.at(0);
    ASSERT_THAT(all.topics, SizeIs(1));
    EXPECT_EQ(all.topics[0].topic_id, first);
    // Another topic of that name is another topic: what was committed for the first is not told of it.
    kafka::DeleteTopicsRequest remove;
    remove.topics.push_back({std::nullopt, first});
    client.ask<kafka::DeleteTopicsResponse>(remove, 6);
    settle();
    make(client, "t");
    const Uuid second = id_of("t");
    fetching.groups[0].topics.emplace().push_back({"", first, {0}});
    fetching.groups[0].topics->push_back({"", second, {0}});
    for (const auto& topic : client.ask<kafka::OffsetFetchResponse>(fetching, 10).groups.at(0).topics) {
        EXPECT_EQ(topic.partitions.at(0).error_code,
                  topic.topic_id == second ? ErrorCode::none : ErrorCode::unknown_topic_id);
        EXPECT_EQ(topic.partitions.at(0).committed_offset, -1);
    }
    EXPECT_EQ(client.ask<kafka::OffsetCommitResponse>(commit, 10).topics.at(0).partitions.at(0).error_code,
              ErrorCode::unknown_topic_id);
}

// A program that holds the log and the broker on it commits with what it appends, past the broker.
TEST_F(BrokerTest, OffsetsThatTheLogCommitsAreServedAndThoseOfBothAreInTheirOrder) {
    start();
    Client client(*this);
    make(client, "t", 2);
    kafka::FindCoordinatorRequest find;
    find.coordinator_keys = {"g"};
    ASSERT_EQ(client.ask<kafka::FindCoordinatorResponse>(find, 6).coordinators.at(0).error_code, ErrorCode::none);
    settle();
    const auto fetch = [&](int32_t partition) {
        kafka::OffsetFetchRequest fetching;
        fetching.groups.push_back({.group_id = "g"});
        fetching.groups[0].topics->push_back({"t", {}, {partition}});
        const auto fetched = client.ask<kafka::OffsetFetchResponse>(fetching, 8).groups.at(0);
        EXPECT_EQ(fetched.error_code, ErrorCode::none);
        const auto& of = fetched.topics.at(0).partitions.at(0);
        return std::pair(of.committed_offset, of.metadata.value_or(""));
    };
    const auto move = [&](std::optional<Offset> from, Offset to, std::string note) {
        const OffsetMove one{"t", 0, from, to, std::move(note)};
        return log_->append_step("g", {&one, 1});
    };
    const auto commit = [&](int32_t partition, int64_t offset) {
        kafka::OffsetCommitRequest request;
        request.group_id = "g";
        request.topics.push_back({"t", {}, {{.partition_index = partition, .committed_offset = offset}}});
        return client.ask<kafka::OffsetCommitResponse>(request, 8).topics.at(0).partitions.at(0).error_code;
    };
    EXPECT_EQ(fetch(0).first, -1);
    ASSERT_TRUE(log_->wait(value_of(move(std::nullopt, Offset{5}, "by the log"))));
    EXPECT_EQ(fetch(0), std::pair(int64_t{5}, std::string("by the log")));
    EXPECT_EQ(commit(0, 9), ErrorCode::none);
    EXPECT_EQ(fetch(0).first, 9);
    EXPECT_EQ(move(Offset{5}, Offset{6}, "").error().code, Code::stale_epoch);
    // Not acknowledged when the broker commits behind it.
    ASSERT_TRUE(move(Offset{9}, Offset{12}, "again"));
    EXPECT_EQ(commit(1, 3), ErrorCode::none);
    EXPECT_EQ(fetch(0), std::pair(int64_t{12}, std::string("again")));
    EXPECT_EQ(fetch(1).first, 3);
    kafka::ListGroupsRequest list;
    EXPECT_THAT(client.ask<kafka::ListGroupsResponse>(list, 4).groups, SizeIs(1));
    ASSERT_TRUE(log_->delete_offsets("g"));
    EXPECT_EQ(fetch(0).first, -1);
    EXPECT_THAT(client.ask<kafka::ListGroupsResponse>(list, 4).groups, testing::IsEmpty());
    EXPECT_EQ(commit(0, 1), ErrorCode::none);
    EXPECT_TRUE(move(Offset{1}, Offset{2}, ""));
}

TEST_F(BrokerTest, Rule35EveryKeyHasThisBrokerAsItsCoordinator) {
    start();
    Client client(*this);
    kafka::FindCoordinatorRequest find;
    find.coordinator_keys = {"g", "h", "another"};
    const auto before = client.ask<kafka::FindCoordinatorResponse>(find, 6);
    ASSERT_THAT(before.coordinators, SizeIs(3));
    settle();
    const auto after = client.ask<kafka::FindCoordinatorResponse>(find, 6);
    ASSERT_THAT(after.coordinators, SizeIs(3));
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(after.coordinators[i].key, find.coordinator_keys[i]);
        EXPECT_EQ(after.coordinators[i].error_code, ErrorCode::none);
        EXPECT_EQ(after.coordinators[i].node_id, BrokerConfig{}.node_id);
        EXPECT_EQ(after.coordinators[i].port, address_.port);
    }
}

// The answers themselves are in groups/rule_35_finding.txt: it is the same code.
TEST_F(BrokerTest, Rule35WhoHasNoCoordinatorIsToldWhyWithoutAnOffsetsTopic) {
    start();
    Client client(*this);
    kafka::FindCoordinatorRequest find;
    for (const int8_t type : {int8_t{1}, int8_t{2}, int8_t{9}}) {
        const auto error = type == 1 ? ErrorCode::transactional_id_authorization_failed : ErrorCode::invalid_request;
        find.key_type = type;
        find.key = "x";
        const auto one = client.ask<kafka::FindCoordinatorResponse>(find, 3);
        EXPECT_EQ(one.error_code, error);
        EXPECT_EQ(one.node_id, -1);
        EXPECT_EQ(one.port, -1);
        EXPECT_FALSE(one.error_message.value_or("").empty());
        find.coordinator_keys = {"x", "y"};
        const auto both = client.ask<kafka::FindCoordinatorResponse>(find, 6).coordinators;
        ASSERT_THAT(both, SizeIs(2));
        EXPECT_EQ(both[1].key, "y");
        EXPECT_EQ(both[1].error_code, error);
        EXPECT_EQ(both[1].node_id, -1);
    }
    EXPECT_THAT(client.ask<kafka::MetadataResponse>(all_topics(), 12).topics, testing::IsEmpty());
}

// Whoever sets the clock forward by mistake has an hour to notice: no group loses its place by it.
TEST_F(BrokerTest, Rule33OffsetsDoNotExpireByAJumpOfTheClock) {
    constexpr int64_t hour_ms = 3'600'000;
    std::vector<std::string> log_lines;
    start({}, {.on_log = [&](std::string_view line) { log_lines.emplace_back(line); }});
    Client client(*this);  // idle for too long later on
    make(client, "t");
    kafka::FindCoordinatorRequest find;
    find.key = "g";
    client.ask<kafka::FindCoordinatorResponse>(find, 3);
    kafka::OffsetCommitRequest commit;
    commit.group_id = "g";
    commit.topics.push_back({"t", {}, {{.partition_index = 0, .committed_offset = 42}}});
    client.ask<kafka::OffsetCommitResponse>(commit, 8);
    const auto committed = [&] {
        Client asks(*this);
        kafka::OffsetFetchRequest fetching;
        fetching.groups.push_back({.group_id = "g"});
        fetching.groups[0].topics->push_back({"t", {}, {0}});
        return asks.ask<kafka::OffsetFetchResponse>(fetching, 8)
            .groups.at(0)
            .topics.at(0)
            .partitions.at(0)
            .committed_offset;
    };
    clock_.jump_wall_ms(30 * 24 * hour_ms);
    pass(hour_ms / 2);
    EXPECT_EQ(committed(), 42);
    EXPECT_THAT(log_lines, testing::Contains(testing::HasSubstr("waits for an hour")));
    pass(hour_ms);
    EXPECT_EQ(committed(), -1) << "nobody set it back";
    kill();  // before the lines go
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

}  // namespace
}  // namespace flowstone
