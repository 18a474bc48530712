// A broker whose log is in several directories.
#include <map>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/log_directories.h"
#include "net/kafka/messages/incremental_alter_configs.h"
#include "storage/meta_files.h"
#include "tests/net/broker/broker_door.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;
using testing::StartsWith;

using Paths = std::vector<std::string>;

class BrokerDirectoriesTest : public BrokerTest {
protected:
    static Options small() { return {.journal_bytes_max = 16u << 20, .reserve_bytes = 0}; }
    Result<LogDirectories> open(const Paths& paths, uint32_t threads = 0) {
        Options options = small();
        options.threads = threads;
        options.on_log = [this](std::string_view line) { lines_.emplace_back(line); };
        return LogDirectories::open({&faulty_, &clock_, &random_}, paths, options);
    }
    void start_in(const Paths& paths, uint32_t threads = 0) {
        auto opened = open(paths, threads);
        ASSERT_TRUE(opened) << opened.error().message();
        directories_.emplace(std::move(*opened));
        broker_ = std::make_unique<Broker>(*directories_, network_, clock_, random_, BrokerConfig{}, threads > 0,
                                           [this](std::string_view line) { lines_.emplace_back(line); });
        time_passes_ = threads == 0;
        address_ = value_of(broker_->listen({"127.0.0.1", 9092}));
        pages_ = value_of(broker_->listen_http({"127.0.0.1", 9644}));
    }
    std::string refusal(const Paths& paths) {
        const auto opened = open(paths);
        return opened ? "it was opened" : opened.error().message();
    }
    void stop_all() {
        broker_->stop(1'000);
        broker_.reset();
        const auto closed = directories_->close();
        EXPECT_TRUE(closed) << closed.error().message();
        directories_.reset();
    }
    void kill_all() {
        broker_.reset();
        directories_.reset();
    }
    Log open_alone(const std::string& path, std::optional<Uuid> cluster = {}) {
        return value_of(open_log({&disk_, &clock_, &random_, cluster}, path, small()));
    }

    ErrorCode put_to(Client& client, int32_t partition, const std::string& topic = "t", int records = 1) {
        const auto bytes = batch({.records = records});
        const auto answer = client.ask<kafka::ProduceResponse>(produce(topic, bytes, -1, partition), produce_version);
        return answer.responses.at(0).partition_responses.at(0).error_code;
    }
    Fetched get_from(Client& client, int32_t partition, const std::string& topic = "t") {
        return get(client, fetch(topic, 0, 0, partition));
    }
    kafka::DescribeLogDirsResponse log_dirs(Client& client) {
        kafka::DescribeLogDirsRequest request;
        request.topics = std::nullopt;
        return client.ask<kafka::DescribeLogDirsResponse>(request, 4);
    }
    // The directory of each partition of the topic.
    std::map<int32_t, std::string> places(Client& client, const std::string& topic = "t") {
        std::map<int32_t, std::string> out;
        for (const auto& directory : log_dirs(client).results) {
            for (const auto& one : directory.topics) {
                for (const auto& partition : one.partitions) {
                    if (one.name != topic) { continue; }
                    EXPECT_TRUE(out.emplace(partition.partition_index, directory.log_dir).second);
                }
            }
        }
        return out;
    }
    std::map<int32_t, ErrorCode> leaders_missing(Client& client, const std::string& topic = "t") {
        kafka::MetadataRequest request;
        request.topics->push_back({{}, topic});
        std::map<int32_t, ErrorCode> out;
        for (const auto& partition : client.ask<kafka::MetadataResponse>(request, 12).topics.at(0).partitions) {
            if (partition.leader_id < 0) { out.emplace(partition.partition_index, partition.error_code); }
        }
        return out;
    }
    void remove_topic(Client& client, const std::string& topic) {
        kafka::DeleteTopicsRequest request;
        request.topic_names = {topic};
        ASSERT_EQ(client.ask<kafka::DeleteTopicsResponse>(request, 5).responses.at(0).error_code, ErrorCode::none);
    }
    ErrorCode create(Client& client, const std::string& topic, int32_t partitions) {
        kafka::CreateTopicsRequest request;
        auto& one = request.topics.emplace_back();
        one.name = topic;
        one.num_partitions = partitions;
        one.replication_factor = -1;
        return client.ask<kafka::CreateTopicsResponse>(request, 7).topics.at(0).error_code;
    }
    ErrorCode commit(Client& client, int64_t offset) {
        kafka::OffsetCommitRequest request;
        request.group_id = "g";
        request.topics.push_back({"t", {}, {{.partition_index = 0, .committed_offset = offset}}});
        return client.ask<kafka::OffsetCommitResponse>(request, 8).topics.at(0).partitions.at(0).error_code;
    }
    ErrorCode find_coordinator(Client& client) {
        kafka::FindCoordinatorRequest request;
        request.coordinator_keys = {"g"};
        return client.ask<kafka::FindCoordinatorResponse>(request, 6).coordinators.at(0).error_code;
    }
    void fail_disk_of(const std::string& path) {
        faulty_.only_paths_with(path + "/");
        faulty_.fail_at(FaultyDisk::Call::write_durable, faulty_.calls(FaultyDisk::Call::write_durable), EIO, true);
    }
    std::vector<std::string> names_in(const std::string& path) {
        std::vector<std::string> names;
        for (const auto& entry : value_of(disk_.list(path))) { names.push_back(entry.name); }
        return names;
    }
    void copy_directory(const std::string& from, const std::string& to) {
        ASSERT_TRUE(disk_.make_directory(to));
        for (const auto& entry : value_of(disk_.list(from))) {
            const std::string path = from + "/" + entry.name;
            if (value_of(disk_.info(path)).directory) {
                copy_directory(path, to + "/" + entry.name);
            } else {
                const auto bytes = value_of(read_file(disk_, path, 1u << 30));
                ASSERT_TRUE(replace_file(disk_, to + "/" + entry.name, bytes));
            }
        }
    }

    std::optional<LogDirectories> directories_;
    HostPort pages_;
};

TEST_F(BrokerDirectoriesTest, ATopicIsSpreadOverAllOfThemAndThereAfterEveryKindOfStart) {
    start_in({"first", "second", "third"});
    std::map<int32_t, std::string> before;
    {
        Client client(*this);
        make(client, "t", 8);
        for (int32_t i = 0; i < 8; ++i) { ASSERT_EQ(put_to(client, i, "t", i + 1), ErrorCode::none); }
        before = places(client);
    }
    std::map<std::string, int> in_each;
    for (const auto& [partition, path] : before) { ++in_each[path]; }
    EXPECT_THAT(in_each, ElementsAre(Pair("first", 3), Pair("second", 3), Pair("third", 2)));
    const auto expect_all = [&] {
        Client client(*this);
        EXPECT_EQ(places(client), before);
        for (int32_t i = 0; i < 8; ++i) {
            const Fetched fetched = get_from(client, i);
            EXPECT_EQ(fetched.error_code, ErrorCode::none);
            EXPECT_EQ(fetched.high_watermark, i + 1);
            EXPECT_THAT(bases(fetched), ElementsAre(0));
        }
    };
    expect_all();
    kill_all();
    start_in({"first", "third", "second"});
    expect_all();
    stop_all();
    start_in({"first", "second", "third"});
    expect_all();
    // Each has its own partitions in it, and no others.
    stop_all();
    EXPECT_THAT(names_in("second"), AllOf(Contains("t-1"), Not(Contains("t-0")), Not(Contains("t-2"))));
    EXPECT_THAT(names_in("first"), AllOf(Contains("t-0"), Not(Contains("t-1")), Not(Contains("t-2"))));
}

TEST_F(BrokerDirectoriesTest, OneThatIsAddedGetsNewPartitionsOnly) {
    start_in({"first"});
    {
        Client client(*this);
        make(client, "t", 3);
        ASSERT_EQ(put_to(client, 0), ErrorCode::none);
    }
    stop_all();
    start_in({"first", "second"});
    Client client(*this);
    EXPECT_EQ(put_to(client, 2), ErrorCode::none) << "nothing was ever put there";
    make(client, "new", 2);
    kafka::CreatePartitionsRequest more;
    more.topics.push_back({.name = "t", .count = 4, .assignments = std::nullopt});
    ASSERT_EQ(client.ask<kafka::CreatePartitionsResponse>(more, 3).results.at(0).error_code, ErrorCode::none);
    EXPECT_EQ(put_to(client, 3), ErrorCode::none);
    EXPECT_THAT(places(client), ElementsAre(Pair(0, "first"), Pair(1, "first"), Pair(2, "first"), Pair(3, "second")));
    EXPECT_THAT(places(client, "new"), ElementsAre(Pair(0, "second"), Pair(1, "second")));
    EXPECT_EQ(get_from(client, 0).high_watermark, 1);
}

TEST_F(BrokerDirectoriesTest, OfATopicThatWasDeletedAndMadeAgainNothingIsLeftInAny) {
    start_in({"first", "second"});
    {
        Client client(*this);
        make(client, "t", 4);
        for (int32_t i = 0; i < 4; ++i) { ASSERT_EQ(put_to(client, i), ErrorCode::none); }
        remove_topic(client, "t");
        EXPECT_EQ(put_to(client, 1), ErrorCode::unknown_topic_or_partition);
        make(client, "t", 4);
        for (int32_t i = 0; i < 4; ++i) { EXPECT_EQ(get_from(client, i).high_watermark, 0); }
        make(client, "u", 2);
        for (int32_t i = 0; i < 2; ++i) { ASSERT_EQ(put_to(client, i, "u"), ErrorCode::none); }
        remove_topic(client, "u");
    }
    stop_all();
    for (const std::string path : {"first", "second"}) {
        Log alone = open_alone(path);
        EXPECT_EQ(alone.topic("u").error().code, Code::not_found) << path;
        ASSERT_TRUE(alone.close());
    }
    for (const std::string path : {"first", "second"}) {
        EXPECT_THAT(names_in(path), Each(Not(StartsWith("t-")))) << path;
    }
    start_in({"first", "second"});
    Client client(*this);
    for (int32_t i = 0; i < 4; ++i) {
        EXPECT_EQ(get_from(client, i).high_watermark, 0);
        EXPECT_EQ(put_to(client, i), ErrorCode::none);
    }
}

TEST_F(BrokerDirectoriesTest, ChangesThatReachedOnlyTheFirstAreMadeInTheOthersAtTheNextStart) {
    start_in({"first", "second"});
    {
        Client client(*this);
        make(client, "gone", 2);
        make(client, "kept", 2, {{"retention.bytes", "5000000"}});
        for (const char* topic : {"gone", "kept"}) { ASSERT_EQ(put_to(client, 1, topic), ErrorCode::none); }
    }
    stop_all();
    {
        // As a broker that died in between.
        Log first = open_alone("first");
        ASSERT_TRUE(first.delete_topic("gone"));
        const std::vector<std::string> unset{"retention.bytes"};
        ASSERT_TRUE(first.alter_topic("kept", {{"retention.ms", "123456"}}, unset));
        ASSERT_TRUE(first.add_partitions("kept", 5));
        ASSERT_TRUE(first.close());
    }
    lines_.clear();
    start_in({"first", "second"});
    EXPECT_THAT(lines_, Contains(AllOf(HasSubstr("gone"), HasSubstr("second"))));
    {
        Client client(*this);
        EXPECT_EQ(get_from(client, 1, "kept").high_watermark, 1);
        make(client, "gone", 2);
        EXPECT_EQ(get_from(client, 1, "gone").high_watermark, 0);
    }
    stop_all();
    Log second = open_alone("second");
    const TopicInfo kept = value_of(second.describe("kept"));
    EXPECT_EQ(kept.partitions, 5);
    EXPECT_THAT(kept.configs, ElementsAre(Pair("retention.ms", "123456")));
}

TEST_F(BrokerDirectoriesTest, AChangeOfConfigsIsMadeInAllOfThem) {
    start_in({"first", "second"});
    {
        Client client(*this);
        make(client, "t", 2, {{"max.message.bytes", "1000"}});
        const auto bytes = batch({.value_bytes = 5'000});
        const auto put_large = [&](int32_t partition) {
            const auto answer = client.ask<kafka::ProduceResponse>(produce("t", bytes, -1, partition), produce_version);
            return answer.responses.at(0).partition_responses.at(0).error_code;
        };
        for (int32_t i = 0; i < 2; ++i) { EXPECT_EQ(put_large(i), ErrorCode::message_too_large); }
        kafka::IncrementalAlterConfigsRequest request;
        auto& resource = request.resources.emplace_back();
        resource.resource_type = 2;
        resource.resource_name = "t";
        resource.configs.push_back({"max.message.bytes", 0, "100000"});
        ASSERT_EQ(client.ask<kafka::IncrementalAlterConfigsResponse>(request, 1).responses.at(0).error_code,
                  ErrorCode::none);
        for (int32_t i = 0; i < 2; ++i) { EXPECT_EQ(put_large(i), ErrorCode::none); }
    }
}

TEST_F(BrokerDirectoriesTest, OneFailsAloneAndIsNamed) {
    start_in({"first", "second"});
    {
        Client client(*this);
        Client consumer(*this);
        make(client, "t", 4);
        ASSERT_EQ(find_coordinator(client), ErrorCode::none);
        for (int32_t i = 0; i < 4; ++i) { ASSERT_EQ(put_to(client, i), ErrorCode::none); }
        EXPECT_THAT(get_page(pages_, "/readyz"), HasSubstr("200"));
        fail_disk_of("second");
        for (int32_t i = 0; i < 4; ++i) {
            EXPECT_EQ(put_to(client, i), i % 2 == 0 ? ErrorCode::none : ErrorCode::kafka_storage_error) << i;
            EXPECT_EQ(get_from(client, i).high_watermark, i % 2 == 0 ? 2 : 1) << "what is known to be there is read";
        }
        EXPECT_EQ(put_to(client, 1), ErrorCode::kafka_storage_error);
        EXPECT_FALSE(broker_->failure());
        const std::string ready = get_page(pages_, "/readyz");
        EXPECT_THAT(ready, AllOf(HasSubstr("200"), HasSubstr("second is offline"), Not(HasSubstr("first"))));
        const std::string metrics = get_page(pages_, "/metrics");
        EXPECT_THAT(metrics, AllOf(HasSubstr("flowstone_log_failed{directory=\"first\"} 0"),
                                   HasSubstr("flowstone_log_failed{directory=\"second\"} 1")));
        const auto described = log_dirs(client);
        ASSERT_THAT(described.results, SizeIs(2));
        EXPECT_EQ(described.results[0].log_dir, "first");
        EXPECT_EQ(described.results[0].error_code, ErrorCode::none);
        EXPECT_EQ(described.results[1].log_dir, "second");
        EXPECT_EQ(described.results[1].error_code, ErrorCode::kafka_storage_error);
        EXPECT_THAT(places(client),
                    ElementsAre(Pair(0, "first"), Pair(1, "second"), Pair(2, "first"), Pair(3, "second")));
        // Whoever makes something has it where it can be had.
        make(client, "new", 3);
        for (int32_t i = 0; i < 3; ++i) { EXPECT_EQ(put_to(client, i, "new"), ErrorCode::none); }
        EXPECT_EQ(commit(client, 1), ErrorCode::none);
        remove_topic(client, "t");
    }
    faulty_.heal();
    kill_all();
    start_in({"first", "second"});
    Client client(*this);
    settle();
    EXPECT_THAT(get_page(pages_, "/readyz"), Not(HasSubstr("offline")));
    EXPECT_THAT(places(client, "new"), ElementsAre(Pair(0, "first"), Pair(1, "first"), Pair(2, "first")));
    EXPECT_THAT(names_in("second"), Each(Not(StartsWith("t-"))));
    make(client, "t", 4);
    for (int32_t i = 0; i < 4; ++i) { EXPECT_EQ(put_to(client, i), ErrorCode::none); }
}

TEST_F(BrokerDirectoriesTest, WhatWaitsForOneThatFailsIsToldSo) {
    start_in({"first", "second"});
    Client client(*this);
    Client other(*this);
    make(client, "t", 2);
    ASSERT_EQ(put_to(client, 1), ErrorCode::none);
    fail_disk_of("second");
    const auto bytes = batch({});
    other.send(produce("t", bytes, -1, 1), produce_version);
    const auto answer = other.answer<kafka::ProduceResponse>(produce_version, 900);
    ASSERT_THAT(answer.responses, SizeIs(1));
    EXPECT_EQ(answer.responses[0].partition_responses.at(0).error_code, ErrorCode::kafka_storage_error);
    EXPECT_EQ(broker_->waiting(), 0u);
}

TEST_F(BrokerDirectoriesTest, WithoutTheFirstNothingIsMadeAndNoGroupGoesOnButTheOthersServe) {
    start_in({"first", "second"});
    Client client(*this);
    make(client, "t", 4);
    ASSERT_EQ(find_coordinator(client), ErrorCode::none);
    ASSERT_EQ(commit(client, 1), ErrorCode::none);
    fail_disk_of("first");
    for (int32_t i = 0; i < 4; ++i) {
        EXPECT_EQ(put_to(client, i), i % 2 == 0 ? ErrorCode::kafka_storage_error : ErrorCode::none) << i;
    }
    EXPECT_EQ(get_from(client, 1).high_watermark, 1);
    EXPECT_EQ(create(client, "new", 2), ErrorCode::kafka_storage_error);
    EXPECT_NE(commit(client, 2), ErrorCode::none);
    EXPECT_TRUE(broker_->failure());
    EXPECT_THAT(get_page(pages_, "/readyz"), AllOf(HasSubstr("503"), HasSubstr("first is offline")));
}

TEST_F(BrokerDirectoriesTest, ATopicWhoseDirectoryFailedWhileItWasMadeIsWholeAfterTheNextStart) {
    start_in({"first", "second"});
    {
        Client client(*this);
        fail_disk_of("second");
        ASSERT_EQ(create(client, "t", 2), ErrorCode::none);
        EXPECT_EQ(put_to(client, 0), ErrorCode::none);
        EXPECT_EQ(put_to(client, 1), ErrorCode::kafka_storage_error);
    }
    faulty_.heal();
    kill_all();
    start_in({"first", "second"});
    Client client(*this);
    EXPECT_EQ(put_to(client, 1), ErrorCode::none);
    EXPECT_THAT(places(client), ElementsAre(Pair(0, "first"), Pair(1, "second")));
}

TEST_F(BrokerDirectoriesTest, OneThatCannotBeOpenedTakesItsPartitionsWithItAndBringsThemBack) {
    start_in({"first", "second"});
    {
        Client client(*this);
        make(client, "t", 4);
        ASSERT_EQ(put_to(client, 1), ErrorCode::none);
    }
    stop_all();
    faulty_.only_paths_with("second");
    faulty_.fail_at(0, EIO, true);
    start_in({"first", "second"});
    EXPECT_THAT(lines_, Contains(HasSubstr("second is gone without")));
    {
        Client client(*this);
        EXPECT_EQ(put_to(client, 0), ErrorCode::none);
        EXPECT_EQ(put_to(client, 1), ErrorCode::kafka_storage_error);
        EXPECT_EQ(put_to(client, 3), ErrorCode::kafka_storage_error) << "made nowhere else, though it has no records";
        EXPECT_EQ(get_from(client, 1).error_code, ErrorCode::kafka_storage_error);
        EXPECT_THAT(leaders_missing(client),
                    ElementsAre(Pair(1, ErrorCode::leader_not_available), Pair(3, ErrorCode::leader_not_available)));
        EXPECT_THAT(get_page(pages_, "/readyz"), AllOf(HasSubstr("200"), HasSubstr("second is offline")));
        EXPECT_THAT(get_page(pages_, "/metrics"), HasSubstr("flowstone_log_failed{directory=\"second\"} 1"));
        const auto described = log_dirs(client);
        ASSERT_THAT(described.results, SizeIs(2));
        EXPECT_EQ(described.results[1].error_code, ErrorCode::kafka_storage_error);
        EXPECT_THAT(described.results[1].topics, IsEmpty());
        make(client, "new", 2);
        EXPECT_THAT(places(client, "new"), ElementsAre(Pair(0, "first"), Pair(1, "first")));
    }
    stop_all();
    EXPECT_THAT(refusal({"second", "first"}), HasSubstr("second")) << "the first must be there";
    faulty_.heal();
    start_in({"first", "second"});
    Client client(*this);
    EXPECT_EQ(get_from(client, 1).high_watermark, 1);
    EXPECT_EQ(put_to(client, 3), ErrorCode::none);
    EXPECT_THAT(leaders_missing(client), IsEmpty());
}

TEST_F(BrokerDirectoriesTest, OneThatIsNotNamedAnyMoreLeavesItsPartitionsToNobody) {
    start_in({"first", "second"});
    {
        Client client(*this);
        make(client, "t", 2);
        ASSERT_EQ(put_to(client, 1), ErrorCode::none);
    }
    stop_all();
    for (const Paths& paths : {Paths{"first"}, Paths{"first", "empty"}}) {
        start_in(paths);
        Client client(*this);
        EXPECT_EQ(put_to(client, 0), ErrorCode::none);
        EXPECT_EQ(put_to(client, 1), ErrorCode::kafka_storage_error);
        stop_all();
    }
    // Nor to whoever opens the first as a library.
    {
        Log first = open_alone("first");
        Topic topic = value_of(first.topic("t"));
        EXPECT_TRUE(topic.append({.key = "k", .value = "v"}, {.partition = 0}));
        EXPECT_EQ(topic.append({.key = "k", .value = "v"}, {.partition = 1}).error().code, Code::offline);
        ASSERT_TRUE(first.close());
    }
    start_in({"first", "second"});
    Client client(*this);
    EXPECT_EQ(get_from(client, 0).high_watermark, 3);
    EXPECT_EQ(get_from(client, 1).high_watermark, 1);
}

TEST_F(BrokerDirectoriesTest, RecordsAreServedWhereTheyAreWhateverIsOnRecord) {
    start_in({"first", "second"});
    {
        Client client(*this);
        make(client, "t", 4);
        ASSERT_EQ(put_to(client, 1), ErrorCode::none);
    }
    stop_all();
    MetaProperties properties = value_of(read_meta_properties(disk_, "second"));
    properties.directory_id = random_.uuid();
    ASSERT_TRUE(write_meta_properties(disk_, "second", properties));
    start_in({"first", "second"});
    Client client(*this);
    EXPECT_EQ(put_to(client, 1), ErrorCode::none);
    EXPECT_EQ(get_from(client, 1).high_watermark, 2);
    EXPECT_EQ(put_to(client, 3), ErrorCode::kafka_storage_error) << "nothing says that it is here";
}

TEST_F(BrokerDirectoriesTest, WhoeverIsFirstStaysFirst) {
    start_in({"first", "second"});
    stop_all();
    EXPECT_THAT(refusal({"second", "first"}), AllOf(HasSubstr("second"), HasSubstr("not the first")));
    EXPECT_THAT(refusal({"second"}), AllOf(HasSubstr("second"), HasSubstr("not the first")));
    EXPECT_THAT(refusal({"fresh", "first"}), HasSubstr("first belongs to cluster"));
    start_in({"first", "second"});
}

TEST_F(BrokerDirectoriesTest, AForeignOneIsRefusedAndLeftAsItIs) {
    {
        Log other = open_alone("other");
        ASSERT_TRUE(other.create_topic("theirs"));
        ASSERT_TRUE(other.close());
    }
    EXPECT_THAT(refusal({"first", "other"}), HasSubstr("other belongs to cluster"));
    Log other = open_alone("other");
    EXPECT_TRUE(other.topic("theirs"));
}

TEST_F(BrokerDirectoriesTest, TopicsThatTheFirstNeverHadAreNotDeletedButRefused) {
    start_in({"first"});
    const Uuid cluster = ServedLog(*directories_).cluster_id();
    stop_all();
    {
        Log second = open_alone("second", cluster);
        ASSERT_TRUE(second.create_topic("theirs"));
        ASSERT_TRUE(second.close());
    }
    EXPECT_THAT(refusal({"first", "second"}), AllOf(HasSubstr("second holds topic theirs"), HasSubstr("first")));
    Log second = open_alone("second");
    EXPECT_TRUE(second.topic("theirs"));
}

TEST_F(BrokerDirectoriesTest, RecordsOfOnePartitionInTwoAreRefused) {
    start_in({"first", "second"});
    {
        Client client(*this);
        make(client, "t", 2);
        ASSERT_EQ(put_to(client, 1), ErrorCode::none);
    }
    stop_all();
    copy_directory("second", "copy");
    EXPECT_THAT(refusal({"first", "second", "copy"}), HasSubstr("copy is a copy"));
    MetaProperties properties = value_of(read_meta_properties(disk_, "copy"));
    properties.directory_id = random_.uuid();
    ASSERT_TRUE(write_meta_properties(disk_, "copy", properties));
    EXPECT_THAT(refusal({"first", "second", "copy"}), HasSubstr("t-1 has records in second and in copy"));
    start_in({"first", "second"});
    Client client(*this);
    EXPECT_EQ(get_from(client, 1).high_watermark, 1);
}

TEST_F(BrokerDirectoriesTest, ThreadsOfEachTellTheOneLoop) {
    start_in({"first", "second"}, 2);
    {
        Client producer(*this);
        Client consumer(*this);
        make(producer, "t", 8);
        for (int round = 0; round < 5; ++round) {
            for (int32_t i = 0; i < 8; ++i) {
                consumer.send(fetch("t", round, 30'000, i), fetch_version);
                ASSERT_EQ(put_to(producer, i), ErrorCode::none);
                const auto fetched = consumer.answer<kafka::FetchResponse>(fetch_version);
                EXPECT_EQ(fetched.responses.at(0).partitions.at(0).high_watermark, round + 1);
            }
        }
        EXPECT_THAT(get_page(pages_, "/metrics"), HasSubstr("flowstone_journal_commit_bytes_count"));
    }
    stop_all();
    start_in({"first", "second"});
    Client client(*this);
    for (int32_t i = 0; i < 8; ++i) { EXPECT_EQ(get_from(client, i).high_watermark, 5); }
}

TEST_F(BrokerDirectoriesTest, RecordsAreDeletedWhereTheyAre) {
    start_in({"first", "second"});
    Client client(*this);
    make(client, "t", 2);
    for (int32_t i = 0; i < 2; ++i) {
        ASSERT_EQ(put_to(client, i, "t", 3), ErrorCode::none);
        kafka::DeleteRecordsRequest request;
        request.timeout_ms = 1'000;
        request.topics.push_back({"t", {{i, 2}}});
        const auto answer = client.ask<kafka::DeleteRecordsResponse>(request, 2);
        EXPECT_EQ(answer.topics.at(0).partitions.at(0).low_watermark, 2);
    }
}

}  // namespace
}  // namespace flowstone
