// What an Admin asks of a broker of ours, and what it makes of the answers.
#include <flowstone/admin.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <flowstone/client.h>

#include "client/impl/consumer_protocol.h"
#include "net/kafka/messages/join_group.h"
#include "net/kafka/messages/sync_group.h"
#include "tests/client/client_world.h"
#include "tests/client/engine_door.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class AdminTest : public ClientWorld {
protected:
    Admin start_admin() {
        start_all();
        return Admin(std::make_shared<EngineDoor>(
            clock_, *engine_, [this](const std::function<bool()>& done) { return until(done, 600'000); }));
    }
    void commit(const char* group, std::vector<GroupOffset> offsets) {
        ASSERT_TRUE(admin_.alter_offsets(group, offsets));
    }
    void fill(const char* topic, int32_t partition, int records) {
        const auto producer = engine_->add_producer({.linger = std::chrono::milliseconds(0)});
        ProducerTopicQueue* const queue = open_queue(*producer, topic);
        for (int i = 0; i < records; ++i) {
            ASSERT_TRUE(send(*producer, *queue, {.value = "v", .timestamp_ms = 1'000 + i * 10}, partition));
            ASSERT_TRUE(flush(*producer));
        }
    }
    // A consumer of another make, which has partition 1 of "events"; its member id.
    std::string join(BrokerWorld::Client& member, const std::string& group) {
        kafka::JoinGroupRequest join;
        join.group_id = group;
        join.session_timeout_ms = 30'000;
        join.rebalance_timeout_ms = 30'000;
        join.group_instance_id = "one";
        join.protocol_type = "consumer";
        const auto subscription =
            encode_subscription(Assignor::range, {.member = "", .instance = std::nullopt, .topics = {"events"}});
        join.protocols = {{.name = "range", .metadata = subscription}};
        const auto joined = member.ask<kafka::JoinGroupResponse>(join, 5);
        EXPECT_EQ(joined.error_code, kafka::ErrorCode::none);
        kafka::SyncGroupRequest sync;
        sync.group_id = group;
        sync.generation_id = joined.generation_id;
        sync.member_id = joined.member_id;
        sync.group_instance_id = "one";
        const auto assignment = encode_assignment({{"events", 1}});
        sync.assignments = {{.member_id = joined.member_id, .assignment = assignment}};
        EXPECT_EQ(member.ask<kafka::SyncGroupResponse>(sync, 3).error_code, kafka::ErrorCode::none);
        return joined.member_id;
    }

    Admin admin_ = start_admin();
};

TEST_F(AdminTest, ATopicIsMadeListedDescribedGrownAndDeleted) {
    ASSERT_TRUE(admin_.create_topic("events", {.partitions = 2, .configs = {{"retention.ms", "5000"}}}));
    ASSERT_TRUE(admin_.create_topic("another", {.partitions = -1}));
    const auto topics = value_of(admin_.topics());
    ASSERT_EQ(topics.size(), 2u);
    EXPECT_EQ(topics[0].name, "another");
    EXPECT_EQ(topics[1].partitions.size(), 2u);
    const auto events = value_of(admin_.topic("events"));
    EXPECT_EQ(events.id, value_of(log_->describe("events")).id);
    EXPECT_FALSE(events.internal);
    ASSERT_EQ(events.partitions.size(), 2u);
    const int32_t broker = value_of(admin_.cluster()).controller;
    EXPECT_EQ(events.partitions[1].leader, broker);
    EXPECT_THAT(events.partitions[1].replicas, ElementsAre(broker));
    EXPECT_THAT(events.partitions[1].in_sync, ElementsAre(broker));
    ASSERT_TRUE(admin_.add_partitions("events", 5));
    EXPECT_EQ(value_of(admin_.topic("events")).partitions.size(), 5u);
    ASSERT_TRUE(admin_.delete_topic("events"));
    EXPECT_EQ(admin_.topic("events").error().code, Code::not_found);
    EXPECT_EQ(value_of(admin_.topics()).size(), 1u);
}

TEST_F(AdminTest, WhatABrokerRefusesItsWordsSay) {
    ASSERT_TRUE(admin_.create_topic("events", {.partitions = 3}));
    EXPECT_EQ(admin_.create_topic("events").error().code, Code::exists);
    EXPECT_TRUE(admin_.create_topic("events", {.partitions = 7, .exists_ok = true}));
    EXPECT_EQ(value_of(admin_.topic("events")).partitions.size(), 3u);
    const auto replicas = admin_.create_topic("more", {.replicas = 3});
    EXPECT_EQ(replicas.error().code, Code::invalid);
    EXPECT_THAT(replicas.error().message(), HasSubstr("more: INVALID_REPLICATION_FACTOR: 3 replicas"));
    EXPECT_EQ(advice(replicas.error()), Advice::give_up);
    EXPECT_EQ(admin_.create_topic("no/good").error().code, Code::invalid);
    EXPECT_EQ(admin_.create_topic("odd", {.configs = {{"retention.ms", "soon"}}}).error().code, Code::invalid);
    EXPECT_EQ(admin_.delete_topic("nothing").error().code, Code::not_found);
    EXPECT_EQ(admin_.add_partitions("events", 3).error().code, Code::invalid);
    EXPECT_EQ(admin_.add_partitions("nothing", 3).error().code, Code::not_found);
}

const RemoteConfig& find(const std::vector<RemoteConfig>& configs, const std::string& name) {
    const auto found = std::ranges::find(configs, name, &RemoteConfig::name);
    EXPECT_NE(found, configs.end()) << name;
    return *found;
}

TEST_F(AdminTest, ConfigurationsAreShownWithDefaultSourceAndDocumentationAndAreSetAndUnset) {
    ASSERT_TRUE(admin_.create_topic("events", {.configs = {{"segment.bytes", "1048576"}}}));
    const auto before = value_of(admin_.configs(ConfigOwner::topic("events")));
    EXPECT_EQ(find(before, "segment.bytes").value, "1048576");
    EXPECT_EQ(find(before, "segment.bytes").source, RemoteConfig::Source::topic);
    EXPECT_EQ(find(before, "segment.bytes").default_value, "1073741824");
    EXPECT_EQ(find(before, "retention.ms").source, RemoteConfig::Source::built_in);
    EXPECT_EQ(find(before, "retention.ms").value, find(before, "retention.ms").default_value);
    EXPECT_NE(find(before, "retention.ms").documentation, "");
    ASSERT_TRUE(admin_.alter_configs(ConfigOwner::topic("events"), {{"retention.ms", "60000"}}, {"segment.bytes"}));
    const auto after = value_of(admin_.configs(ConfigOwner::topic("events")));
    EXPECT_EQ(find(after, "retention.ms").value, "60000");
    EXPECT_EQ(find(after, "segment.bytes").source, RemoteConfig::Source::built_in);
    EXPECT_THAT(value_of(log_->describe("events")).configs, ElementsAre(std::pair("retention.ms", "60000")));
    EXPECT_EQ(admin_.alter_configs(ConfigOwner::topic("events"), {{"no.such", "1"}}).error().code, Code::invalid);
    EXPECT_EQ(admin_.alter_configs(ConfigOwner::topic("nothing"), {}, {}).error().code, Code::not_found);
}

TEST_F(AdminTest, ConfigurationsOfTopicsAndBrokersAreAskedForTogether) {
    ASSERT_TRUE(admin_.create_topic("events"));
    const int32_t broker = value_of(admin_.cluster()).controller;
    const auto all = admin_.configs_of({ConfigOwner::broker(broker), ConfigOwner::topic("nothing"),
                                        ConfigOwner::topic("events"), ConfigOwner::broker(broker + 1)});
    ASSERT_EQ(all.size(), 4u);
    EXPECT_TRUE(find(value_of(all[0]), "num.partitions").read_only);
    EXPECT_EQ(all[1].error().code, Code::not_found);
    EXPECT_EQ(find(value_of(all[2]), "cleanup.policy").value, "delete");
    EXPECT_EQ(all[3].error().code, Code::not_found);
    EXPECT_EQ(admin_.alter_configs(ConfigOwner::broker(broker), {{"num.partitions", "3"}}).error().code, Code::invalid);
}

TEST_F(AdminTest, EndsAndOffsetsForTimesAreTheLogs) {
    ASSERT_TRUE(admin_.create_topic("events", {.partitions = 2}));
    fill("events", 1, 5);  // at 1000, 1010, ... ms
    EXPECT_EQ(value_of(admin_.ends({"events", 1})).high_watermark, Offset{5});
    EXPECT_EQ(value_of(admin_.delete_records({"events", 1}, Offset{2})), Offset{2});
    const auto ends = admin_.ends({{"events", 1}, {"events", 7}, {"events", 0}, {"nothing", 0}, {"events", 1}});
    ASSERT_EQ(ends.size(), 5u);
    EXPECT_EQ(value_of(ends[0]).log_start, Offset{2});
    EXPECT_EQ(value_of(ends[0]).high_watermark, Offset{5});
    EXPECT_EQ(ends[1].error().code, Code::not_found);
    EXPECT_EQ(value_of(ends[2]).high_watermark, Offset{0});
    EXPECT_EQ(ends[3].error().code, Code::not_found);
    EXPECT_EQ(ends[4].error().code, Code::invalid);  // named twice

    const std::vector<TopicPartition> places = {{"events", 0}, {"events", 1}};
    const auto at = [&](const From& from, size_t place) { return admin_.offsets_at(places, from)[place]; };
    EXPECT_EQ(value_of(at(From::beginning(), 1)), Offset{2});
    EXPECT_EQ(value_of(at(From::end(), 1)), Offset{5});
    EXPECT_EQ(value_of(at(From::time_ms(1'025), 1)), Offset{3});
    EXPECT_EQ(value_of(at(From::time_ms(-5), 1)), Offset{2});
    EXPECT_EQ(value_of(at(From::time_ms(2'000), 1)), Offset{5});  // nothing so late
    EXPECT_EQ(value_of(at(From::time_ms(1'025), 0)), Offset{0});
    EXPECT_EQ(value_of(at(Offset{5}, 1)), Offset{5});
    EXPECT_EQ(at(Offset{6}, 1).error().code, Code::out_of_range);
    EXPECT_EQ(at(Offset{1}, 1).error().code, Code::out_of_range);
    EXPECT_EQ(admin_.delete_records({"events", 1}, Offset{6}).error().code, Code::out_of_range);
    const Topic topic = value_of(log_->topic("events"));
    EXPECT_EQ(value_of(admin_.bytes({{"events", 1}})[0]), value_of(topic.partition(1)).bytes);
}

TEST_F(AdminTest, OffsetsOfAGroupAreCommittedListedAndForgotten) {
    ASSERT_TRUE(admin_.create_topic("events", {.partitions = 2}));
    ASSERT_TRUE(admin_.create_topic("audit"));
    EXPECT_TRUE(value_of(admin_.offsets("billing")).empty());
    commit("billing", {{"events", 1, Offset{7}, "seven"}, {"audit", 0, Offset{1}}, {"events", 0, Offset{3}}});
    const auto offsets = value_of(admin_.offsets("billing"));
    ASSERT_EQ(offsets.size(), 3u);
    EXPECT_EQ(offsets[0].topic, "audit");
    EXPECT_EQ(offsets[1].partition, 0);
    EXPECT_EQ(offsets[2].offset, Offset{7});
    EXPECT_EQ(offsets[2].metadata, "seven");
    commit("shipping", {{"audit", 0, Offset{1}}});
    const auto both = admin_.offsets_of({"shipping", "nobody", "billing"});
    EXPECT_EQ(value_of(both[0]).size(), 1u);
    EXPECT_EQ(value_of(both[1]).size(), 0u);
    EXPECT_EQ(value_of(both[2]).size(), 3u);
    EXPECT_EQ(admin_.alter_offsets("billing", {{"nothing", 0, Offset{0}}}).error().code, Code::not_found);

    ASSERT_TRUE(admin_.delete_offsets("billing", "events"));
    EXPECT_EQ(value_of(admin_.offsets("billing")).size(), 1u);
    EXPECT_EQ(admin_.delete_offsets("billing", "events").error().code, Code::not_found);
    ASSERT_TRUE(admin_.delete_group("billing"));
    EXPECT_TRUE(value_of(admin_.offsets("billing")).empty());
    EXPECT_EQ(admin_.delete_group("billing").error().code, Code::not_found);
}

TEST_F(AdminTest, AGroupIsShownWithItsMembersAndNothingIsDoneAboveTheirHeads) {
    ASSERT_TRUE(admin_.create_topic("events", {.partitions = 2}));
    commit("shipping", {{"events", 0, Offset{0}}});
    commit("billing", {{"events", 1, Offset{0}}});
    BrokerWorld::Client member(*this, "accounts");
    const std::string id = join(member, "billing");
    const auto groups = value_of(admin_.groups());
    ASSERT_EQ(groups.size(), 2u);
    EXPECT_EQ(groups[0].name, "billing");
    EXPECT_EQ(groups[0].state, "Stable");
    EXPECT_EQ(groups[0].protocol, "consumer");
    EXPECT_EQ(groups[1].state, "Empty");

    const auto all = admin_.describe_groups({"nobody", "billing", "shipping"});
    EXPECT_EQ(all[0].error().code, Code::not_found);
    EXPECT_TRUE(value_of(all[2]).members.empty());
    const RemoteGroupDetail& billing = value_of(all[1]);
    EXPECT_EQ(billing.assignor, "range");
    ASSERT_EQ(billing.members.size(), 1u);
    EXPECT_EQ(billing.members[0].id, id);
    EXPECT_EQ(billing.members[0].instance, "one");
    EXPECT_EQ(billing.members[0].client_id, "accounts");
    EXPECT_THAT(billing.members[0].assigned, ElementsAre(TopicPartition{"events", 1}));

    const auto altered = admin_.alter_offsets("billing", {{"events", 1, Offset{0}}});
    EXPECT_EQ(altered.error().code, Code::busy);
    EXPECT_THAT(altered.error().message(), HasSubstr("it has members"));
    EXPECT_EQ(advice(altered.error()), Advice::retry);
    EXPECT_EQ(admin_.delete_group("billing").error().code, Code::busy);
    EXPECT_EQ(admin_.delete_offsets("billing", "events").error().code, Code::busy);
}

TEST_F(AdminTest, ACallIsOverAtItsDeadlineAndAtTheEndOfTheClient) {
    broker_.reset();  // killed
    const int64_t before = clock_.wall_ms();
    const auto late = admin_.create_topic("events", {}, std::chrono::milliseconds(3'000));
    EXPECT_EQ(late.error().code, Code::timed_out) << late.error().message();
    EXPECT_GE(clock_.wall_ms() - before, 2'900);
    EXPECT_LE(clock_.wall_ms() - before, 3'200);
    EXPECT_EQ(advice(late.error()), Advice::retry);
    engine_->close();
    EXPECT_EQ(admin_.topics().error().code, Code::closed);
}

TEST_F(AdminTest, NothingIsLeftBehind) {
    ASSERT_TRUE(admin_.create_topic("events"));
    ASSERT_TRUE(admin_.ends({"events", 0}));
    EXPECT_EQ(engine_->cluster().topic("events"), nullptr);  // nobody wants to hear of it any more
    fill("events", 0, 1);
    ASSERT_TRUE(admin_.ends({"events", 0}));
    EXPECT_NE(engine_->cluster().topic("events"), nullptr);  // the producer does
}

}  // namespace
}  // namespace flowstone
