// What an Admin promises, the same for every kind of endpoint.
#include <algorithm>
#include <utility>

#include <gmock/gmock.h>

#include "tests/client/contract.h"

namespace flowstone {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class AdminContract : public Contract {
protected:
    Admin admin() { return client_->admin(); }
    // Each a batch of its own, at 1'700'000'000'000 ms and ten more each time.
    void fill_over_time(const TopicPartition& place, int records) {
        auto producer = value_of(client_->producer());
        auto to = value_of(producer.topic(place.topic));
        for (int i = 0; i < records; ++i) {
            ASSERT_TRUE(value_of(to.send({.value = "v", .timestamp_ms = began_ms + i * 10}, place.partition)).wait());
        }
    }
    static const RemoteConfig& find(const std::vector<RemoteConfig>& configs, const std::string& name) {
        const auto found = std::ranges::find(configs, name, &RemoteConfig::name);
        EXPECT_NE(found, configs.end()) << name;
        return *found;
    }
    RemoteConfig config(const ConfigOwner& owner, const std::string& name) {
        return find(value_of(admin().configs(owner)), name);
    }
    std::string new_group() { return "group-" + system_random().uuid().to_string(); }
    // A member of the group that has all partitions of the topic.
    Consumer join(const std::string& group, const std::string& topic) {
        auto member = value_of(client_->consumer({.group = group, .instance = "one"}));
        EXPECT_TRUE(member.subscribe({topic}));
        fill(topic, 0, 1);
        EXPECT_EQ(take(member, 1), numbers(0, 1));
        return member;
    }

    static constexpr int64_t began_ms = 1'700'000'000'000;
};
INSTANTIATE_TEST_SUITE_P(Every, AdminContract, every_way(), name_of_way);

// --- topics ------------------------------------------------------------------------------------------------------------

TEST_P(AdminContract, TopicsAreMadeListedAndDeleted) {
    const std::string topic = make_topic(4);
    const auto partitions = [&]() -> std::optional<size_t> {
        const auto topics = value_of(admin().topics());
        const auto found = std::ranges::find(topics, topic, &RemoteTopic::name);
        return found == topics.end() ? std::nullopt : std::optional(found->partitions.size());
    };
    EXPECT_TRUE(becomes([&] { return partitions() == 4u; }));
    EXPECT_EQ(admin().create_topic(topic).error().code, Code::exists);
    EXPECT_TRUE(admin().create_topic(topic, {.partitions = 7, .exists_ok = true}));
    EXPECT_EQ(partitions(), 4u);
    fill(topic, 0, 7, 2);
    const auto ends = value_of(admin().ends({topic, 2}));
    EXPECT_EQ(ends.log_start, Offset{0});
    EXPECT_EQ(ends.high_watermark, Offset{7});
    ASSERT_TRUE(admin().delete_topic(topic));
    EXPECT_TRUE(becomes([&] { return partitions() == std::nullopt; }));
    EXPECT_EQ(admin().topic(topic).error().code, Code::not_found);
    EXPECT_EQ(admin().delete_topic(topic).error().code, Code::not_found);
}

TEST_P(AdminContract, ATopicIsDescribedAndGrown) {
    const std::string name = make_topic(2);
    const auto has = [&](size_t partitions) {
        const auto topic = admin().topic(name);
        return topic && topic->partitions.size() == partitions && topic->partitions.back().leader >= 0;
    };
    ASSERT_TRUE(becomes([&] { return has(2); }));
    const auto topic = value_of(admin().topic(name));
    EXPECT_EQ(topic.name, name);
    EXPECT_FALSE(topic.internal);
    EXPECT_NE(topic.id, Uuid{});
    const auto topics = value_of(admin().topics());
    EXPECT_EQ(std::ranges::find(topics, name, &RemoteTopic::name)->id, topic.id);
    const int32_t broker = value_of(admin().cluster()).brokers.at(0).id;
    for (const RemotePartition& partition : topic.partitions) {
        EXPECT_EQ(partition.leader, broker);
        EXPECT_GE(partition.epoch, Epoch{0});
        EXPECT_THAT(partition.replicas, ElementsAre(broker));
        EXPECT_THAT(partition.in_sync, ElementsAre(broker));
    }
    ASSERT_TRUE(admin().add_partitions(name, 5));
    EXPECT_TRUE(becomes([&] { return has(5); }));
    EXPECT_EQ(value_of(admin().topic(name)).id, topic.id);
    fill(name, 0, 3, 4);
    EXPECT_EQ(value_of(admin().ends({name, 4})).high_watermark, Offset{3});
}

TEST_P(AdminContract, WhatABrokerRefusesItsWordsSay) {
    const std::string topic = make_topic(3);
    const std::string other = topic + "-other";
    const auto replicas = admin().create_topic(other, {.replicas = 3});
    EXPECT_EQ(replicas.error().code, Code::invalid);
    EXPECT_THAT(replicas.error().message(), HasSubstr(other + ": INVALID_REPLICATION"));
    EXPECT_EQ(advice(replicas.error()), Advice::give_up);
    EXPECT_EQ(admin().create_topic("no/good").error().code, Code::invalid);
    EXPECT_EQ(admin().create_topic(other, {.partitions = 0}).error().code, Code::invalid);
    const auto config = admin().create_topic(other, {.configs = {{"retention.ms", "soon"}}});
    EXPECT_EQ(config.error().code, Code::invalid);
    EXPECT_THAT(config.error().message(), AllOf(HasSubstr("retention.ms"), HasSubstr("soon")));
    EXPECT_EQ(admin().topic(other).error().code, Code::not_found);  // none of these made it
    EXPECT_EQ(admin().delete_topic(other).error().code, Code::not_found);
    EXPECT_EQ(admin().add_partitions(topic, 3).error().code, Code::invalid);
    EXPECT_EQ(admin().add_partitions(topic, 2).error().code, Code::invalid);
    EXPECT_EQ(admin().add_partitions(other, 3).error().code, Code::not_found);
}

// --- configurations ----------------------------------------------------------------------------------------------------

TEST_P(AdminContract, ConfigurationsAreShownWithDefaultSourceAndDocumentationAndAreSetAndUnset) {
    const std::string name = make_topic(1, {{"segment.bytes", "1048576"}});
    const ConfigOwner topic = ConfigOwner::topic(name);
    ASSERT_TRUE(becomes([&] { return admin().configs(topic).has_value(); }));
    const auto before = value_of(admin().configs(topic));
    EXPECT_EQ(find(before, "segment.bytes").value, "1048576");
    EXPECT_EQ(find(before, "segment.bytes").source, RemoteConfig::Source::topic);
    EXPECT_EQ(find(before, "segment.bytes").default_value, "1073741824");
    EXPECT_EQ(find(before, "retention.ms").source, RemoteConfig::Source::built_in);
    EXPECT_EQ(find(before, "retention.ms").value, "604800000");
    EXPECT_EQ(find(before, "retention.ms").default_value, "604800000");
    EXPECT_NE(find(before, "retention.ms").documentation, "");
    EXPECT_FALSE(find(before, "retention.ms").read_only);
    ASSERT_TRUE(admin().alter_configs(topic, {{"retention.ms", "60000"}}, {"segment.bytes"}));
    EXPECT_TRUE(becomes([&] { return config(topic, "retention.ms").value == "60000"; }));
    EXPECT_EQ(config(topic, "retention.ms").source, RemoteConfig::Source::topic);
    EXPECT_EQ(config(topic, "segment.bytes").source, RemoteConfig::Source::built_in);
    EXPECT_EQ(admin().alter_configs(topic, {{"no.such", "1"}}).error().code, Code::invalid);
    EXPECT_EQ(admin().alter_configs(topic, {{"retention.ms", "soon"}}).error().code, Code::invalid);
    EXPECT_EQ(admin().alter_configs(ConfigOwner::topic("nothing"), {{"retention.ms", "1"}}).error().code,
              Code::not_found);
    EXPECT_EQ(config(topic, "retention.ms").value, "60000");
}

TEST_P(AdminContract, ConfigurationsOfTopicsAndBrokersAreAskedForTogether) {
    const std::string topic = make_topic();
    ASSERT_TRUE(becomes([&] { return admin().topic(topic).has_value(); }));
    const int32_t broker = value_of(admin().cluster()).brokers.at(0).id;
    const auto all = admin().configs_of({ConfigOwner::broker(broker), ConfigOwner::topic("nothing"),
                                         ConfigOwner::topic(topic), ConfigOwner::broker(broker + 1)});
    ASSERT_EQ(all.size(), 4u);
    EXPECT_TRUE(find(value_of(all[0]), "num.partitions").read_only);
    EXPECT_EQ(all[1].error().code, Code::not_found);
    EXPECT_EQ(find(value_of(all[2]), "cleanup.policy").value, "delete");
    EXPECT_EQ(all[3].error().code, Code::not_found);
    EXPECT_EQ(admin().alter_configs(ConfigOwner::broker(broker), {{"num.partitions", "3"}}).error().code,
              Code::invalid);
}

// --- partitions --------------------------------------------------------------------------------------------------------

TEST_P(AdminContract, EndsAndOffsetsForTimesAreTheLogs) {
    const std::string topic = make_topic(2, {{"retention.ms", "-1"}});
    fill_over_time({topic, 1}, 5);
    EXPECT_EQ(value_of(admin().delete_records({topic, 1}, Offset{2})), Offset{2});
    const auto ends = admin().ends({{topic, 1}, {topic, 7}, {topic, 0}, {"nothing", 0}, {topic, 1}});
    ASSERT_EQ(ends.size(), 5u);
    EXPECT_EQ(value_of(ends[0]).log_start, Offset{2});
    EXPECT_EQ(value_of(ends[0]).high_watermark, Offset{5});
    EXPECT_EQ(ends[1].error().code, Code::not_found);
    EXPECT_EQ(value_of(ends[2]).high_watermark, Offset{0});
    EXPECT_EQ(ends[3].error().code, Code::not_found);
    EXPECT_EQ(ends[4].error().code, Code::invalid);  // named twice

    const std::vector<TopicPartition> places = {{topic, 0}, {topic, 1}};
    const auto at = [&](const From& from, size_t place) { return admin().offsets_at(places, from)[place]; };
    EXPECT_EQ(value_of(at(From::beginning(), 1)), Offset{2});
    EXPECT_EQ(value_of(at(From::end(), 1)), Offset{5});
    EXPECT_EQ(value_of(at(From::time_ms(began_ms + 25), 1)), Offset{3});
    EXPECT_EQ(value_of(at(From::time_ms(began_ms + 30), 1)), Offset{3});
    EXPECT_EQ(value_of(at(From::time_ms(began_ms), 1)), Offset{2});
    EXPECT_EQ(value_of(at(From::time_ms(-5), 1)), Offset{2});
    EXPECT_EQ(value_of(at(From::time_ms(began_ms + 41), 1)), Offset{5});  // nothing so late
    EXPECT_EQ(value_of(at(From::time_ms(began_ms), 0)), Offset{0});
    EXPECT_EQ(value_of(at(Offset{5}, 1)), Offset{5});
    EXPECT_EQ(at(Offset{6}, 1).error().code, Code::out_of_range);
    EXPECT_EQ(at(Offset{1}, 1).error().code, Code::out_of_range);
}

TEST_P(AdminContract, RecordsAreDeletedUpToAnOffset) {
    const std::string topic = make_topic();
    fill(topic, 0, 10);
    const TopicPartition place{topic, 0};
    EXPECT_EQ(value_of(admin().delete_records(place, Offset{4})), Offset{4});
    EXPECT_EQ(value_of(admin().delete_records(place, Offset{3})), Offset{4});  // gone already
    EXPECT_EQ(admin().delete_records(place, Offset{11}).error().code, Code::out_of_range);
    EXPECT_EQ(admin().delete_records({topic, 1}, Offset{0}).error().code, Code::not_found);
    EXPECT_EQ(admin().delete_records({"nothing", 0}, Offset{0}).error().code, Code::not_found);
    auto consumer = value_of(client_->consumer());
    ASSERT_TRUE(consumer.assign({place}));
    EXPECT_EQ(take(consumer, 6), numbers(4, 10));
    EXPECT_EQ(value_of(admin().delete_records(place, Offset{10})), Offset{10});
    EXPECT_EQ(value_of(admin().ends(place)).log_start, Offset{10});
    fill(topic, 10, 12);
    ASSERT_TRUE(consumer.seek(place, From::beginning()));
    EXPECT_EQ(take(consumer, 2), numbers(10, 12));
}

TEST_P(AdminContract, BytesAreThoseOfTheBatches) {
    const std::string topic = make_topic(2, {{"retention.ms", "-1"}});
    fill_over_time({topic, 1}, 1);
    const auto bytes = [&](int32_t partition) { return value_of(admin().bytes({{topic, partition}}).at(0)).value(); };
    const uint64_t one = bytes(1);
    EXPECT_GT(one, 61u);  // the header of a batch
    fill_over_time({topic, 1}, 2);
    EXPECT_EQ(bytes(1), 3 * one);
    EXPECT_EQ(bytes(0), 0u);
    const auto errors = admin().bytes({{topic, 2}, {"nothing", 0}});
    EXPECT_EQ(errors[0].error().code, Code::not_found);
    EXPECT_EQ(errors[1].error().code, Code::not_found);
}

// --- groups ------------------------------------------------------------------------------------------------------------

TEST_P(AdminContract, OffsetsOfAGroupAreCommittedListedAndForgotten) {
    const std::string events = make_topic(2);
    const std::string audit = make_topic();
    const std::string billing = new_group();
    const std::string shipping = new_group();
    ASSERT_TRUE(becomes([&] { return admin().topic(events) && admin().topic(audit); }));
    EXPECT_TRUE(value_of(admin().offsets(billing)).empty());
    ASSERT_TRUE(admin().alter_offsets(
        billing, {{events, 1, Offset{7}, "seven"}, {audit, 0, Offset{1}}, {events, 0, Offset{3}}}));
    std::vector<GroupOffset> offsets = value_of(admin().offsets(billing));
    ASSERT_EQ(offsets.size(), 3u);
    EXPECT_TRUE(std::ranges::is_sorted(offsets, {},
                                       [](const GroupOffset& one) { return std::pair(one.topic, one.partition); }));
    const auto seven = std::ranges::find(offsets, Offset{7}, &GroupOffset::offset);
    ASSERT_NE(seven, offsets.end());
    EXPECT_EQ(seven->topic, events);
    EXPECT_EQ(seven->partition, 1);
    EXPECT_EQ(seven->metadata, "seven");
    ASSERT_TRUE(admin().alter_offsets(shipping, {{audit, 0, Offset{1}}}));
    const auto both = admin().offsets_of({shipping, new_group(), billing});
    EXPECT_EQ(value_of(both[0]).size(), 1u);
    EXPECT_EQ(value_of(both[1]).size(), 0u);
    EXPECT_EQ(value_of(both[2]).size(), 3u);
    EXPECT_EQ(admin().alter_offsets(billing, {{"nothing", 0, Offset{0}}}).error().code, Code::not_found);

    ASSERT_TRUE(admin().delete_offsets(billing, events));
    offsets = value_of(admin().offsets(billing));
    ASSERT_EQ(offsets.size(), 1u);
    EXPECT_EQ(offsets[0].topic, audit);
    EXPECT_EQ(admin().delete_offsets(billing, events).error().code, Code::not_found);
    ASSERT_TRUE(admin().delete_group(billing));
    EXPECT_TRUE(value_of(admin().offsets(billing)).empty());
    EXPECT_EQ(admin().delete_group(billing).error().code, Code::not_found);
    EXPECT_EQ(admin().delete_offsets(billing, audit).error().code, Code::not_found);
}

TEST_P(AdminContract, AGroupIsShownWithItsMembersAndNothingIsDoneAboveTheirHeads) {
    const std::string topic = make_topic(2);
    const std::string billing = new_group();
    const std::string shipping = new_group();
    ASSERT_TRUE(becomes([&] { return admin().topic(topic).has_value(); }));
    ASSERT_TRUE(admin().alter_offsets(shipping, {{topic, 0, Offset{0}}}));
    auto member = join(billing, topic);
    ASSERT_TRUE(member.commit());
    const auto groups = value_of(admin().groups());
    EXPECT_TRUE(std::ranges::is_sorted(groups, {}, &RemoteGroup::name));
    const auto listed = [&](const std::string& name) { return *std::ranges::find(groups, name, &RemoteGroup::name); };
    EXPECT_EQ(listed(billing).state, "Stable");
    EXPECT_EQ(listed(billing).protocol, "consumer");
    EXPECT_EQ(listed(shipping).state, "Empty");

    const auto all = admin().describe_groups({new_group(), billing, shipping});
    EXPECT_EQ(all[0].error().code, Code::not_found);
    EXPECT_EQ(value_of(all[2]).state, "Empty");
    EXPECT_TRUE(value_of(all[2]).members.empty());
    const RemoteGroupDetail& detail = value_of(all[1]);
    EXPECT_EQ(detail.name, billing);
    EXPECT_EQ(detail.state, "Stable");
    EXPECT_EQ(detail.protocol, "consumer");
    EXPECT_EQ(detail.assignor, "range");
    ASSERT_EQ(detail.members.size(), 1u);
    EXPECT_EQ(detail.members[0].instance, "one");
    EXPECT_EQ(detail.members[0].client_id, "flowstone");
    EXPECT_THAT(detail.members[0].assigned, ElementsAre(TopicPartition{topic, 0}, TopicPartition{topic, 1}));

    const auto altered = admin().alter_offsets(billing, {{topic, 1, Offset{0}}});
    EXPECT_EQ(altered.error().code, Code::busy);
    EXPECT_THAT(altered.error().message(), HasSubstr("it has members"));
    EXPECT_EQ(advice(altered.error()), Advice::retry);
    EXPECT_EQ(admin().delete_group(billing).error().code, Code::busy);
    EXPECT_EQ(admin().delete_offsets(billing, topic).error().code, Code::busy);
    EXPECT_EQ(value_of(admin().offsets(billing)).at(0).offset, Offset{1});
    ASSERT_TRUE(member.close());
}

// --- cluster -----------------------------------------------------------------------------------------------------------

TEST_P(AdminContract, TheClusterIsShown) {
    const auto cluster = value_of(admin().cluster());
    EXPECT_NE(cluster.id, "");
    EXPECT_EQ(value_of(admin().cluster()).id, cluster.id);
    ASSERT_EQ(cluster.brokers.size(), 1u);
    EXPECT_EQ(cluster.controller, cluster.brokers[0].id);
    EXPECT_NE(cluster.brokers[0].host, "");
    EXPECT_EQ(cluster.brokers[0].rack, std::nullopt);
}

}  // namespace
}  // namespace flowstone
