// Whom an Admin asks, how often, and when it stops: brokers that say no, are the wrong ones, or go away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <flowstone/client.h>

#include "net/kafka/messages/create_topics.h"
#include "net/kafka/messages/delete_groups.h"
#include "net/kafka/messages/list_groups.h"
#include "net/kafka/messages/list_offsets.h"
#include "net/kafka/messages/offset_commit.h"
#include "net/kafka/messages/offset_fetch.h"
#include "tests/client/engine_door.h"
#include "tests/client/scripted_brokers.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

class BrokerCallTest : public testing::Test {
protected:
    BrokerCallTest() {
        brokers_.on<kafka::MetadataRequest, kafka::MetadataResponse>([this](int32_t, const auto& asked) {
            auto answer = cluster_;
            if (!asked.topics) { return std::optional(answer); }
            for (const auto& topic : *asked.topics) {
                auto& out = answer.topics.emplace_back();
                out.name = topic.name;
                if (!leaders_.contains(*topic.name)) {
                    out.error_code = ErrorCode::unknown_topic_or_partition;
                    continue;
                }
                const auto& leaders = leaders_[*topic.name];
                for (size_t i = 0; i < leaders.size(); ++i) {
                    out.partitions.push_back({.partition_index = static_cast<int32_t>(i), .leader_id = leaders[i]});
                }
            }
            return std::optional(answer);
        });
        for (int32_t id = 1; id <= 3; ++id) {
            const HostPort& address = brokers_.addresses[static_cast<size_t>(id - 1)];
            cluster_.brokers.push_back({.node_id = id, .host = address.host, .port = address.port});
        }
        cluster_.controller_id = 2;
        brokers_.on<kafka::FindCoordinatorRequest, kafka::FindCoordinatorResponse>(
            [this](int32_t, const auto& asked) { return std::optional(coordinators_of(asked)); });
    }
    kafka::FindCoordinatorResponse coordinators_of(const kafka::FindCoordinatorRequest& asked) {
        kafka::FindCoordinatorResponse answer;
        for (const std::string& group : asked.coordinator_keys) {
            const HostPort& address = brokers_.addresses[static_cast<size_t>(coordinator_ - 1)];
            answer.coordinators.push_back(
                {.key = group, .node_id = coordinator_, .host = address.host, .port = address.port});
        }
        return answer;
    }
    bool until(const std::function<bool()>& done) {
        for (int i = 0; i < 500'000 && !done(); ++i) {
            std::vector<NetworkEvent> events;
            EXPECT_TRUE(client_network_.wait(0, events));
            engine_.turn(events);
            brokers_.run();
        }
        return done();
    }
    // Answers to CreateTopics, one asking after the other; the last for all further ones.
    void script_create(std::vector<std::optional<ErrorCode>> codes) {
        brokers_.on<kafka::CreateTopicsRequest, kafka::CreateTopicsResponse>(
            [codes, at = size_t{0}](int32_t, const auto& asked) mutable -> std::optional<kafka::CreateTopicsResponse> {
                const auto code = codes[std::min(at++, codes.size() - 1)];
                if (!code) { return {}; }
                kafka::CreateTopicsResponse answer;
                answer.topics.push_back({.name = asked.topics.at(0).name, .error_code = *code});
                return answer;
            });
    }
    int64_t count(const std::string& what) const { return std::ranges::count(brokers_.asked, what); }

    SimClock clock_;
    SimRandom random_{1};
    SimNetwork network_{clock_, {.buffer_bytes = 4u << 20}};
    ScriptedBrokers brokers_{network_, clock_, 3};
    SimClientNetwork client_network_{network_};
    ClientEngine engine_{{client_network_, clock_, random_}, {brokers_.addresses[0]}, {}};
    Admin admin_{std::make_shared<EngineDoor>(clock_, engine_,
                                              [this](const std::function<bool()>& done) { return until(done); })};
    kafka::MetadataResponse cluster_;
    std::map<std::string, std::vector<int32_t>> leaders_;
    int32_t coordinator_ = 3;
};

TEST_F(BrokerCallTest, TheControllerIsAskedAndLookedForAnewWhenItIsAnotherOne) {
    brokers_.on<kafka::CreateTopicsRequest, kafka::CreateTopicsResponse>([this](int32_t broker, const auto& asked) {
        kafka::CreateTopicsResponse answer;
        answer.topics.push_back(
            {.name = asked.topics.at(0).name, .error_code = broker == 3 ? ErrorCode::none : ErrorCode::not_controller});
        cluster_.controller_id = 3;
        return std::optional(answer);
    });
    EXPECT_TRUE(admin_.create_topic("events"));
    EXPECT_EQ(count("2 CreateTopics"), 1);
    EXPECT_EQ(count("3 CreateTopics"), 1);
}

TEST_F(BrokerCallTest, WhatMayHaveBeenDoneIsNotAskedAgain) {
    script_create({std::nullopt});
    const auto created = admin_.create_topic("events");
    EXPECT_EQ(created.error().code, Code::io);
    EXPECT_THAT(created.error().message(), HasSubstr("it may have been done all the same"));
    EXPECT_EQ(created.error().fate, Fate::none);
    EXPECT_EQ(count("2 CreateTopics"), 1);
    script_create({ErrorCode::request_timed_out, ErrorCode::none});
    EXPECT_EQ(admin_.create_topic("events").error().code, Code::timed_out);
    EXPECT_EQ(count("2 CreateTopics"), 2);
}

TEST_F(BrokerCallTest, WhatCertainlyWasNotDoneIsAskedAgain) {
    script_create({ErrorCode::throttling_quota_exceeded, ErrorCode::not_controller, ErrorCode::none});
    EXPECT_TRUE(admin_.create_topic("events"));
    EXPECT_EQ(count("2 CreateTopics"), 3);
}

TEST_F(BrokerCallTest, WhatLastsHasTheErrorItMetLast) {
    script_create({ErrorCode::not_controller});
    const int64_t began = clock_.wall_ms();
    const auto created = admin_.create_topic("events", {}, 2s);
    EXPECT_EQ(created.error().code, Code::busy);
    EXPECT_THAT(created.error().message(), HasSubstr("NOT_CONTROLLER"));
    EXPECT_GE(clock_.wall_ms() - began, 1'990);
    EXPECT_LE(count("2 CreateTopics"), 12);  // it waits longer each time
    EXPECT_GE(count("2 CreateTopics"), 3);
}

TEST_F(BrokerCallTest, WhatAnAnswerLeavesOutIsAnError) {
    brokers_.on<kafka::CreateTopicsRequest, kafka::CreateTopicsResponse>(
        [](int32_t, const auto&) { return std::optional(kafka::CreateTopicsResponse()); });
    EXPECT_EQ(admin_.create_topic("events").error().code, Code::corrupt);
    EXPECT_EQ(admin_.delete_topic("events").error().code, Code::unsupported);  // no such request there
}

TEST_F(BrokerCallTest, EndsOfManyPartitionsAreFewRequests) {
    leaders_["events"] = std::vector<int32_t>(10'000, 1);
    for (size_t i = 0; i < 10'000; i += 2) { leaders_["events"][i] = 2; }
    brokers_.on<kafka::ListOffsetsRequest, kafka::ListOffsetsResponse>([](int32_t broker, const auto& asked) {
        kafka::ListOffsetsResponse answer;
        for (const auto& topic : asked.topics) {
            auto& out = answer.topics.emplace_back();
            out.name = topic.name;
            for (const auto& one : topic.partitions) {
                const int64_t offset = one.timestamp == -2 ? one.partition_index : 100'000 * broker;
                out.partitions.push_back({.partition_index = one.partition_index, .offset = offset});
            }
        }
        return std::optional(answer);
    });
    std::vector<TopicPartition> places;
    for (int32_t i = 9'999; i >= 0; --i) { places.push_back({"events", i}); }
    const auto ends = admin_.ends(places);
    ASSERT_EQ(ends.size(), 10'000u);
    for (size_t i = 0; i < ends.size(); ++i) {
        ASSERT_TRUE(ends[i]) << ends[i].error().message();
        ASSERT_EQ(ends[i]->log_start, Offset{places[i].partition});
        ASSERT_EQ(ends[i]->high_watermark, Offset{places[i].partition % 2 == 0 ? 200'000 : 100'000});
    }
    EXPECT_EQ(count("1 ListOffsets"), 2);
    EXPECT_EQ(count("2 ListOffsets"), 2);
}

TEST_F(BrokerCallTest, OnePartitionThatFailsDoesNotFailTheOthersAndOneThatMovedIsFollowed) {
    leaders_["events"] = {1, 1, 1, -1};
    brokers_.on<kafka::ListOffsetsRequest, kafka::ListOffsetsResponse>([this](int32_t broker, const auto& asked) {
        kafka::ListOffsetsResponse answer;
        auto& out = answer.topics.emplace_back();
        out.name = "events";
        for (const auto& one : asked.topics.at(0).partitions) {
            auto& told = out.partitions.emplace_back();
            told.partition_index = one.partition_index;
            told.offset = 5;
            if (one.partition_index == 1 && broker == 1) { told.error_code = ErrorCode::not_leader_or_follower; }
            if (one.partition_index == 2) { told.error_code = ErrorCode::topic_authorization_failed; }
        }
        leaders_["events"][1] = 3;
        return std::optional(answer);
    });
    const auto ends =
        admin_.offsets_at({{"events", 0}, {"events", 1}, {"events", 2}, {"events", 3}, {"no", 0}}, From::end(), 2s);
    EXPECT_EQ(value_of(ends[0]), Offset{5});
    EXPECT_EQ(value_of(ends[1]), Offset{5});
    EXPECT_EQ(ends[2].error().code, Code::invalid);
    EXPECT_EQ(ends[3].error().code, Code::busy);
    EXPECT_THAT(ends[3].error().message(), HasSubstr("events-3 has no leader"));
    EXPECT_EQ(ends[4].error().code, Code::not_found);
    EXPECT_EQ(count("1 ListOffsets"), 1);
    EXPECT_EQ(count("3 ListOffsets"), 1);
}

TEST_F(BrokerCallTest, AReadIsRepeatedWhenItsConnectionIsLost) {
    leaders_["events"] = {1};
    brokers_.on<kafka::ListOffsetsRequest, kafka::ListOffsetsResponse>(
        [lost = false](int32_t, const auto&) mutable -> std::optional<kafka::ListOffsetsResponse> {
            if (!std::exchange(lost, true)) { return {}; }
            kafka::ListOffsetsResponse answer;
            answer.topics.push_back({"events", {{.partition_index = 0, .offset = 9}}});
            return answer;
        });
    EXPECT_EQ(value_of(admin_.ends({"events", 0})).high_watermark, Offset{9});
    EXPECT_EQ(count("1 ListOffsets"), 3);
}

TEST_F(BrokerCallTest, TheCoordinatorIsAskedAndLookedForAnewWhenItIsAnotherOne) {
    brokers_.on<kafka::DeleteGroupsRequest, kafka::DeleteGroupsResponse>([this](int32_t broker, const auto& asked) {
        kafka::DeleteGroupsResponse answer;
        const auto code = broker == 1 ? ErrorCode::none : ErrorCode::not_coordinator;
        answer.results.push_back({asked.groups_names.at(0), code});
        coordinator_ = 1;
        return std::optional(answer);
    });
    EXPECT_TRUE(admin_.delete_group("billing"));
    EXPECT_EQ(count("3 DeleteGroups"), 1);
    EXPECT_EQ(count("1 DeleteGroups"), 1);
}

TEST_F(BrokerCallTest, ACoordinatorThatIsNotThereYetIsWaitedFor) {
    brokers_.on<kafka::FindCoordinatorRequest, kafka::FindCoordinatorResponse>(
        [this, first = true](int32_t, const auto& asked) mutable {
            auto answer = coordinators_of(asked);
            if (std::exchange(first, false)) {
                answer.coordinators[0].error_code = ErrorCode::coordinator_not_available;
            }
            return std::optional(answer);
        });
    brokers_.on<kafka::DeleteGroupsRequest, kafka::DeleteGroupsResponse>([](int32_t, const auto& asked) {
        kafka::DeleteGroupsResponse answer;
        answer.results.push_back({asked.groups_names.at(0), ErrorCode::none});
        return std::optional(answer);
    });
    EXPECT_TRUE(admin_.delete_group("billing"));
    EXPECT_EQ(count("3 DeleteGroups"), 1);
}

TEST_F(BrokerCallTest, GroupsAreThoseOfAllBrokers) {
    brokers_.on<kafka::ListGroupsRequest, kafka::ListGroupsResponse>([](int32_t broker, const auto&) {
        kafka::ListGroupsResponse answer;
        answer.groups.push_back({.group_id = fmt::format("of {}", broker)});
        return std::optional(answer);
    });
    std::vector<std::string> names;
    for (const auto& group : value_of(admin_.groups())) { names.push_back(group.name); }
    EXPECT_THAT(names, ElementsAre("of 1", "of 2", "of 3"));
}

// As brokers before Kafka 3.0: one group a request, and one key.
TEST_F(BrokerCallTest, OlderBrokersAreAskedForOneGroupAfterTheOther) {
    brokers_.on<kafka::FindCoordinatorRequest, kafka::FindCoordinatorResponse>(
        [this](int32_t, const auto&) {
            kafka::FindCoordinatorResponse answer;
            answer.node_id = 3;
            answer.host = brokers_.addresses[2].host;
            answer.port = brokers_.addresses[2].port;
            return std::optional(answer);
        },
        3);
    brokers_.on<kafka::OffsetFetchRequest, kafka::OffsetFetchResponse>(
        [](int32_t, const auto& asked) {
            kafka::OffsetFetchResponse answer;
            answer.topics.push_back({"of " + asked.group_id, {{.partition_index = 0, .committed_offset = 4}}});
            return std::optional(answer);
        },
        7);
    const auto all = admin_.offsets_of({"one", "two", "three"});
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(value_of(all[0]).at(0).topic, "of one");
    EXPECT_EQ(value_of(all[1]).at(0).topic, "of two");
    EXPECT_EQ(value_of(all[2]).at(0).topic, "of three");
}

TEST_F(BrokerCallTest, OnePartitionThatIsNotCommittedIsNamed) {
    brokers_.on<kafka::OffsetCommitRequest, kafka::OffsetCommitResponse>([](int32_t, const auto& asked) {
        kafka::OffsetCommitResponse answer;
        auto& topic = answer.topics.emplace_back();
        topic.name = asked.topics.at(0).name;
        topic.partitions = {{.partition_index = 0},
                            {.partition_index = 1, .error_code = ErrorCode::offset_metadata_too_large}};
        return std::optional(answer);
    });
    const auto altered = admin_.alter_offsets("billing", {{"events", 0, Offset{1}}, {"events", 1, Offset{1}}});
    ASSERT_FALSE(altered);
    EXPECT_THAT(altered.error().message(), HasSubstr("events-1"));
    EXPECT_THAT(brokers_.asked, Contains("3 OffsetCommit"));
    EXPECT_THAT(brokers_.asked, Not(Contains("1 OffsetCommit")));
}

}  // namespace
}  // namespace flowstone
