// Topics and their configs. Tests of a rule of SERVE.md, section 2, name its number.
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

TEST_F(BrokerTest, Rule38RecordsOfATopicThatIsOnlyCompactedAreNotDeleted) {
    start();
    Client client(*this);
    make(client, "compacted", 1, {{"cleanup.policy", "compact"}});
    make(client, "both", 1, {{"cleanup.policy", "compact,delete"}});
    const auto remove = [&](const std::string& topic) {
        put(client, topic, {});
        kafka::DeleteRecordsRequest request;
        request.topics.push_back({topic, {{0, 1}}});
        return client.ask<kafka::DeleteRecordsResponse>(request, 2).topics.at(0).partitions.at(0);
    };
    EXPECT_EQ(remove("compacted").error_code, ErrorCode::policy_violation);
    EXPECT_EQ(remove("compacted").low_watermark, -1);
    EXPECT_EQ(get(client, fetch("compacted", 0)).log_start_offset, 0);
    EXPECT_EQ(remove("both").error_code, ErrorCode::none);
    EXPECT_EQ(get(client, fetch("both", 1)).log_start_offset, 1);
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

TEST_F(BrokerTest, Rule45SynonymsSayWhereAValueComesFromAndABrokersOwnAreReadOnly) {
    BrokerConfigInput input;
    input.flags = {{"log.retention.hours", "2"}};
    const BrokerConfig config = value_of(parse_broker_config(input));
    start(config);
    Client client(*this);
    make(client, "t", 1, {{"retention.ms", "1000"}});
    const auto describe = [&](int8_t type, const std::string& resource, const std::string& name, bool synonyms) {
        kafka::DescribeConfigsRequest request;
        request.resources.push_back({type, resource, std::vector<std::string>{name}});
        request.include_synonyms = synonyms;
        return client.ask<kafka::DescribeConfigsResponse>(request, 4).results.at(0);
    };
    const auto synonyms = [&](const std::string& name) {
        std::vector<std::string> out;
        for (const auto& one : describe(2, "t", name, true).configs.at(0).synonyms) {
            out.push_back(fmt::format("{}={} {}", one.name, one.value.value_or("(null)"), one.source));
        }
        return out;
    };
    EXPECT_THAT(synonyms("retention.ms"),
                ElementsAre("retention.ms=1000 1", "log.retention.ms=7200000 4", "log.retention.ms=604800000 5"));
    EXPECT_THAT(describe(2, "t", "retention.ms", false).configs.at(0).synonyms, IsEmpty()) << "when asked for";
    EXPECT_FALSE(describe(2, "t", "retention.ms", true).configs.at(0).read_only);
    const auto partitions = describe(4, std::to_string(config.node_id), "num.partitions", true).configs.at(0);
    EXPECT_EQ(partitions.value, "1");
    EXPECT_TRUE(partitions.read_only);
    EXPECT_EQ(partitions.config_source, 5);
    EXPECT_FALSE(partitions.synonyms.empty());
    EXPECT_EQ(describe(4, "77", "num.partitions", true).error_code, ErrorCode::invalid_request) << "another broker";
    EXPECT_EQ(describe(2, "nowhere", "retention.ms", true).error_code, ErrorCode::unknown_topic_or_partition);
    kafka::IncrementalAlterConfigsRequest alter;
    alter.resources.push_back({4, std::to_string(config.node_id), {{"num.partitions", 0, "2"}}});
    EXPECT_EQ(client.ask<kafka::IncrementalAlterConfigsResponse>(alter, 1).responses.at(0).error_code,
              ErrorCode::invalid_request);
}

TEST_F(BrokerTest, Rule45AConfigThatIsNamedTwiceIsRefusedAndNothingIsChanged) {
    start();
    Client client(*this);
    make(client, "t", 1, {{"retention.ms", "1000"}});
    make(client, "u");
    kafka::IncrementalAlterConfigsRequest alter;
    alter.resources.push_back({2, "t", {{"retention.ms", 0, "5"}, {"segment.ms", 0, "6"}, {"retention.ms", 0, "7"}}});
    alter.resources.push_back({2, "u", {{"retention.ms", 0, "5"}}});
    const auto altered = client.ask<kafka::IncrementalAlterConfigsResponse>(alter, 1).responses;
    EXPECT_EQ(altered.at(0).error_code, ErrorCode::invalid_request);
    EXPECT_EQ(altered.at(1).error_code, ErrorCode::none) << "each resource by itself";
    kafka::AlterConfigsRequest replace;
    replace.resources.push_back({2, "t", {{"retention.ms", "5"}, {"retention.ms", "5"}}});
    EXPECT_EQ(client.ask<kafka::AlterConfigsResponse>(replace, 2).responses.at(0).error_code,
              ErrorCode::invalid_request);
    kafka::DescribeConfigsRequest describe;
    describe.resources.push_back({2, "t", std::vector<std::string>{"retention.ms", "segment.ms"}});
    const auto configs = client.ask<kafka::DescribeConfigsResponse>(describe, 4).results.at(0).configs;
    ASSERT_THAT(configs, SizeIs(2));
    for (const auto& one : configs) {
        EXPECT_EQ(one.value, one.name == "retention.ms" ? "1000" : "604800000") << one.name;
    }
}

}  // namespace
}  // namespace flowstone
