// Groups over the network with real processes: the tool, the library, and librdkafka by kcat.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <flowstone/admin.h>
#include <flowstone/client.h>

#include "tests/paths.h"
#include "tests/storage/value_of.h"
#include "tests/tools/process.h"

namespace flowstone::tool {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class RemoteGroupTest : public testing::Test {
protected:
    RemoteGroupTest() {
        std::string name = std::filesystem::temp_directory_path() / "flowstone-group-XXXXXX";
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path_ = name;
        broker_ = std::make_unique<Process>(
            flowstoned_path(), std::vector<std::string>{"--data", path_ + "/log", "--listen", "127.0.0.1:0", "-X",
                                                        "http=off", "-X", "journal_bytes_max=16777216", "-X",
                                                        "reserve_bytes=0", "-X", "group.initial.rebalance.delay.ms=0"});
        broker_->read_line();
        const std::string line = broker_->read_line();  // "try: kcat -b 127.0.0.1:PORT -L"
        const size_t at = line.find("127.0.0.1:");
        EXPECT_NE(at, std::string::npos) << line;
        endpoint_ = line.substr(at, line.find(' ', at) - at);
        client_.emplace(value_of(Client::open(endpoint_)));
        producer_.emplace(value_of(client_->producer({.linger = 0ms})));
    }
    ~RemoteGroupTest() override {
        client_.reset();
        broker_.reset();
        std::filesystem::remove_all(path_);
    }

    void produce(int begin, int end) {
        auto topic = value_of(producer_->topic("payments"));
        for (int i = begin; i < end; ++i) {
            const std::string value = std::to_string(i);
            ASSERT_TRUE(topic.send({.value = value}, i % topic.partitions()));
        }
        ASSERT_TRUE(producer_->flush());
    }
    std::vector<std::string> words(std::vector<std::string> more) const {
        std::vector<std::string> out{"-L", endpoint_, "consume", "payments", "--quiet"};
        out.insert(out.end(), more.begin(), more.end());
        return out;
    }
    std::vector<std::string> lines(std::vector<std::string> more) const {
        Process process(tool_path(), words(std::move(more)));
        EXPECT_EQ(process.wait(), 0) << process.complaint();
        std::vector<std::string> out;
        std::string text = process.out();
        for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
            out.push_back(text.substr(0, end));
            text.erase(0, end + 1);
        }
        return out;
    }
    // Polls once, and counts what came.
    void poll(Consumer& consumer, std::map<int, int>& times) {
        const auto batch = consumer.poll(50ms);
        ASSERT_TRUE(batch) << batch.error().message();
        if (batch->empty()) { return; }
        for (const RecordView& record : *batch) { ++times[std::stoi(std::string(*record.value))]; }
    }
    [[nodiscard]] bool until(Consumer& consumer, std::map<int, int>& times, const std::function<bool()>& done) {
        for (int i = 0; i < 1'200 && !testing::Test::HasFatalFailure(); ++i) {
            if (done()) { return true; }
            poll(consumer, times);
        }
        return false;
    }

    std::string path_;
    std::string endpoint_;
    std::unique_ptr<Process> broker_;
    std::optional<Client> client_;
    std::optional<Producer> producer_;
};

TEST_F(RemoteGroupTest, TheToolGoesOnWhereItsGroupHasCommitted) {
    ASSERT_TRUE(client_->admin().create_topic("payments", {.partitions = 2}));
    produce(0, 100);
    std::vector<std::string> all = lines({"--group", "billing", "--max", "30"});
    EXPECT_THAT(all, SizeIs(30));
    const auto rest = lines({"--group", "billing"});
    EXPECT_THAT(rest, SizeIs(70));
    all.insert(all.end(), rest.begin(), rest.end());
    EXPECT_THAT(std::set<std::string>(all.begin(), all.end()), SizeIs(100));
    EXPECT_THAT(lines({"--group", "billing"}), IsEmpty());
    EXPECT_THAT(lines({"--group", "late", "--from", "45"}), SizeIs(10)) << "where nothing is committed";
    Process refused(tool_path(), words({"--group", "billing", "--partition", "0"}));
    EXPECT_NE(refused.wait(), 0);
    EXPECT_THAT(refused.complaint(), HasSubstr("--partition"));
}

TEST_F(RemoteGroupTest, AProgramSharesATopicWithTheToolUntilThatLeaves) {
    ASSERT_TRUE(client_->admin().create_topic("payments", {.partitions = 4}));
    auto consumer = value_of(client_->consumer({.group = "billing", .auto_commit = 100ms}));
    ASSERT_TRUE(consumer.subscribe({"payments"}));
    std::map<int, int> times;
    ASSERT_TRUE(until(consumer, times, [&] { return consumer.assignment().size() == 4; }));
    produce(0, 40);
    ASSERT_TRUE(until(consumer, times, [&] { return times.size() == 40; }));
    Process tool(tool_path(), words({"--group", "billing", "--follow", "-X", "client.id=till"}));
    ASSERT_TRUE(until(consumer, times, [&] { return consumer.assignment().size() == 2; }));
    const auto group = value_of(client_->admin().group("billing"));
    EXPECT_EQ(std::ranges::count(group.members, "till", &RemoteMember::client_id), 1);
    ASSERT_TRUE(until(consumer, times, [&] {
        return std::ranges::all_of(consumer.assignment(),
                                   [&](const auto& place) { return consumer.position(place).has_value(); });
    }));
    produce(40, 80);
    ASSERT_TRUE(until(consumer, times, [&] { return times.size() == 60; }));
    std::map<int, int> of_tool;
    for (int i = 0; i < 20; ++i) { ++of_tool[std::stoi(tool.read_line())]; }
    tool.signal(SIGINT);
    EXPECT_EQ(tool.wait(), 0) << tool.complaint();
    ASSERT_TRUE(until(consumer, times, [&] { return consumer.assignment().size() == 4; })) << "it has left";
    produce(80, 120);
    ASSERT_TRUE(until(consumer, times, [&] { return times.size() == 100; }));
    times.merge(of_tool);
    EXPECT_THAT(times, SizeIs(120));
    EXPECT_THAT(of_tool, IsEmpty()) << "read by both";
    EXPECT_TRUE(std::ranges::all_of(times, [](const auto& one) { return one.second == 1; }));
    EXPECT_TRUE(consumer.close());
    EXPECT_EQ(consumer.poll(0ms).error().code, Code::closed);
    auto after = value_of(client_->consumer({.group = "billing"}));
    for (const auto& one : value_of(after.committed({{"payments", 0}, {"payments", 3}}))) {
        ASSERT_TRUE(one);
        EXPECT_EQ(one->offset, Offset{30});
    }
    const auto offsets = value_of(after.offsets_for_times({{{"payments", 0}, 0}, {{"payments", 0}, INT64_MAX / 2}}));
    EXPECT_EQ(offsets.at(0), Offset{0});
    EXPECT_FALSE(offsets.at(1));
    EXPECT_EQ(after.offsets_for_times({{{"payments", 4}, 0}}).error().code, Code::not_found);
}

TEST_F(RemoteGroupTest, TheToolTellsHowAGroupIsAndWhoIsInIt) {
    ASSERT_TRUE(client_->admin().create_topic("payments", {.partitions = 2}));
    auto consumer = value_of(client_->consumer({.group = "billing", .instance = "one"}));
    ASSERT_TRUE(consumer.subscribe({"payments"}));
    std::map<int, int> times;
    ASSERT_TRUE(until(consumer, times, [&] { return consumer.assignment().size() == 2; }));
    const auto told = [&](std::vector<std::string> more) {
        std::vector<std::string> words{"-L", endpoint_, "group"};
        words.insert(words.end(), more.begin(), more.end());
        Process process(tool_path(), words);
        EXPECT_EQ(process.wait(), 0) << process.complaint();
        return process.out();
    };
    const RemoteMember member = value_of(client_->admin().group("billing")).members.at(0);
    EXPECT_EQ(told({"list"}), "group    state   partitions\nbilling  Stable           0\n");
    EXPECT_EQ(told({"list", "--json"}), "{\"group\":\"billing\",\"state\":\"Stable\",\"partition_count\":0}\n");
    EXPECT_EQ(told({"describe", "billing", "--state"}),
              "group    state   protocol  assignor  members\n"
              "billing  Stable  consumer  range           1\n");
    EXPECT_EQ(told({"describe", "billing", "--state", "--json"}),
              R"({"group":"billing","state":"Stable","protocol":"consumer","assignor":"range","member_count":1})"
              "\n");
    EXPECT_THAT(told({"describe", "billing", "--members"}),
                testing::AllOf(testing::StartsWith("member "), HasSubstr("\n" + member.id + "  one  "),
                               testing::EndsWith("payments-0 payments-1\n")));
    EXPECT_EQ(told({"describe", "billing", "--members", "--json"}),
              R"({"group":"billing","member":")" + member.id +
                  R"(","instance":"one","client_id":"flowstone","host":")" + member.host +
                  R"(","assigned":[{"topic":"payments","partition":0},{"topic":"payments","partition":1}]})" + "\n");
    EXPECT_THAT(member.host, HasSubstr("127.0.0.1"));
    Process unknown(tool_path(), {"-L", endpoint_, "group", "describe", "nobody", "--members"});
    EXPECT_EQ(unknown.wait(), 3);
    EXPECT_THAT(unknown.complaint(), HasSubstr("nobody"));
}

TEST_F(RemoteGroupTest, AListenerIsToldMayCommitAndMayNotPoll) {
    ASSERT_TRUE(client_->admin().create_topic("payments", {.partitions = 2}));
    produce(0, 20);
    auto consumer = value_of(client_->consumer({.group = "billing"}));
    std::vector<std::string> said;
    const auto note = [&said](const char* what) {
        return [&said, what](Consumer& self, const std::vector<TopicPartition>& places) {
            said.push_back(what + std::to_string(places.size()));
            EXPECT_EQ(self.poll(0ms).error().code, Code::invalid);
            EXPECT_EQ(self.unsubscribe().error().code, Code::invalid);
            EXPECT_EQ(self.close().error().code, Code::invalid);
            EXPECT_TRUE(self.commit());
        };
    };
    ASSERT_TRUE(consumer.subscribe_matching(
        "pay.*", {.assigned = note("assigned "), .revoked = note("revoked "), .lost = note("lost ")}));
    std::map<int, int> times;
    ASSERT_TRUE(until(consumer, times, [&] { return times.size() == 20; }));
    bool called = false;
    consumer.commit_async({{"payments", 0, Offset{3}, "here"}}, [&](const Result<void>& result) {
        called = true;
        EXPECT_TRUE(result);
        EXPECT_EQ(consumer.poll(0ms).error().code, Code::invalid);
    });
    ASSERT_TRUE(until(consumer, times, [&] { return called; }));
    const auto here = value_of(consumer.committed({{"payments", 0}})).at(0);
    ASSERT_TRUE(here);
    EXPECT_EQ(here->offset, Offset{3});
    EXPECT_EQ(here->metadata, "here");
    ASSERT_TRUE(consumer.unsubscribe());
    EXPECT_THAT(said, ElementsAre("assigned 2", "revoked 2"));
    EXPECT_THAT(consumer.assignment(), IsEmpty());
    EXPECT_EQ(value_of(consumer.committed({{"payments", 0}})).at(0)->offset, Offset{10}) << "as it was let go";
    ASSERT_TRUE(consumer.subscribe({"payments"})) << "it may come back";
    ASSERT_TRUE(until(consumer, times, [&] { return consumer.assignment().size() == 2; }));
    EXPECT_TRUE(client_->close());
    EXPECT_EQ(consumer.commit({{"payments", 0, Offset{3}}}).error().code, Code::closed);
    EXPECT_EQ(consumer.poll(0ms).error().code, Code::closed);
}

TEST_F(RemoteGroupTest, WhatCannotBeIsRefused) {
    ASSERT_TRUE(client_->admin().create_topic("payments"));
    EXPECT_EQ(client_->consumer({.instance = "a"}).error().code, Code::invalid);
    EXPECT_EQ(client_->consumer({.group = "g", .assignors = {}}).error().code, Code::invalid);
    EXPECT_EQ(client_->consumer({.group = "g", .heartbeat_interval = 20s}).error().code, Code::invalid);
    EXPECT_EQ(client_->consumer({.group = "g", .max_poll_interval = 0ms}).error().code, Code::invalid);
    EXPECT_EQ(client_->consumer({.group = "g", .auto_commit = -1ms}).error().code, Code::invalid);
    EXPECT_EQ(client_->consumer({.group = std::string(40'000, 'g')}).error().code, Code::invalid);
    auto alone = value_of(client_->consumer());
    EXPECT_EQ(alone.subscribe({"payments"}).error().code, Code::invalid);
    EXPECT_EQ(alone.commit().error().code, Code::invalid);
    EXPECT_EQ(alone.committed({{"payments", 0}}).error().code, Code::invalid);
    auto member = value_of(client_->consumer({.group = "g"}));
    EXPECT_EQ(member.subscribe({}).error().code, Code::invalid);
    EXPECT_EQ(member.subscribe({""}).error().code, Code::invalid);
    EXPECT_EQ(member.subscribe_matching("(").error().code, Code::invalid);
    ASSERT_TRUE(member.assign({{"payments", 0}}));
    EXPECT_EQ(member.subscribe({"payments"}).error().code, Code::invalid);
    ASSERT_TRUE(member.assign({}));
    ASSERT_TRUE(member.subscribe({"payments"}));
    EXPECT_EQ(member.assign({{"payments", 0}}).error().code, Code::invalid);
    EXPECT_EQ(member.commit({{"payments", 7, Offset{0}}}).error().code, Code::stale_epoch);
    EXPECT_TRUE(member.close());
    EXPECT_TRUE(member.close());
    EXPECT_EQ(member.subscribe({"payments"}).error().code, Code::closed);
}

// Another client's program that prints the values it reads as a member of a group, from the end where nothing is committed.
using Command = std::function<std::vector<std::string>(const std::string& group, const std::string& assignor)>;

class MixedGroupTest : public RemoteGroupTest {
protected:
    // Ours has all partitions, the other comes and has half of them, and leaves by SIGINT. Once it reads, each record has one
    // reader.
    void share(const std::string& program, const Command& command, Assignor assignor, const std::string& name,
               int first) {
        const std::string group = "of-" + name;
        auto consumer = value_of(
            client_->consumer({.group = group, .assignors = {assignor}, .start = Start::end, .auto_commit = 100ms}));
        ASSERT_TRUE(consumer.subscribe({"payments"}));
        std::map<int, int> times;
        ASSERT_TRUE(until(consumer, times, [&] { return consumer.assignment().size() == 4; }));
        Process other(program, command(group, name));
        ASSERT_TRUE(until(consumer, times, [&] { return consumer.assignment().size() == 2; }));
        for (const TopicPartition& place : consumer.assignment()) {
            ASSERT_TRUE(until(consumer, times, [&] { return consumer.position(place).has_value(); }));
        }
        // Of each of its two partitions the first record that it prints says that it has begun there.
        std::map<int, int> of_other;
        std::set<int> begun;
        int next = first;
        while (begun.size() < 2) {
            ASSERT_LT(next, first + 800);
            produce(next, next + 4);
            next += 4;
            for (int i = 0; i < 10; ++i) { poll(consumer, times); }
            if (begun.empty() && next < first + 80) { continue; }
            const int value = std::stoi(other.read_line());
            ++of_other[value];
            begun.insert(value % 4);
        }
        produce(next, next + 80);
        const auto from = [&](std::map<int, int>& counts) {
            return std::ranges::count_if(counts, [&](const auto& one) { return one.first >= next; });
        };
        ASSERT_TRUE(until(consumer, times, [&] { return from(times) == 40; }));
        while (from(of_other) < 40) { ++of_other[std::stoi(other.read_line())]; }
        other.signal(SIGINT);
        other.wait();
        ASSERT_TRUE(until(consumer, times, [&] { return consumer.assignment().size() == 4; }));
        produce(next + 80, next + 120);
        ASSERT_TRUE(until(consumer, times, [&] { return times.contains(next + 119); }));
        for (int i = 0; i < 20; ++i) { poll(consumer, times); }
        for (const auto& [value, count] : of_other) { times[value] += count; }
        for (int value = next; value < next + 120; ++value) { EXPECT_EQ(times[value], 1) << value; }
        EXPECT_TRUE(consumer.close());
    }
};

TEST_F(MixedGroupTest, AProgramSharesATopicWithLibrdkafka) {
    const std::string kcat = "/usr/bin/kcat";
    if (!std::filesystem::exists(kcat)) { GTEST_SKIP() << "there is no kcat"; }
    ASSERT_TRUE(client_->admin().create_topic("payments", {.partitions = 4}));
    const Command command = [&](const std::string& group, const std::string& assignor) {
        return std::vector<std::string>{"-b",      endpoint_,
                                        "-G",      group,
                                        "-q",      "-u",
                                        "-f",      "%s\n",
                                        "-X",      "auto.offset.reset=latest",
                                        "-X",      "partition.assignment.strategy=" + assignor,
                                        "payments"};
    };
    share(kcat, command, Assignor::range, "range", 0);
    share(kcat, command, Assignor::cooperative_sticky, "cooperative-sticky", 10'000);
}

TEST_F(MixedGroupTest, AProgramSharesATopicWithJava) {
    const std::string java = "/usr/bin/java";
    const std::string jars = source_path("build/interop/lib");
    if (!std::filesystem::exists(java)) { GTEST_SKIP() << "there is no Java"; }
    if (!std::filesystem::exists(jars)) { GTEST_SKIP() << "there is no " << jars << ": see tests/interop/run"; }
    ASSERT_TRUE(client_->admin().create_topic("payments", {.partitions = 4}));
    const Command command = [&](const std::string& group, const std::string& assignor) {
        const bool cooperative = assignor == "cooperative-sticky";
        const std::string kind = cooperative ? "CooperativeStickyAssignor" : "RangeAssignor";
        return std::vector<std::string>{"-Xmx200m",
                                        "-XX:TieredStopAtLevel=1",
                                        "-Dlog4j2.level=ERROR",
                                        "-cp",
                                        jars + "/*",
                                        "org.apache.kafka.tools.consumer.ConsoleConsumer",
                                        "--bootstrap-server",
                                        endpoint_,
                                        "--topic",
                                        "payments",
                                        "--group",
                                        group,
                                        "--command-property",
                                        "partition.assignment.strategy=org.apache.kafka.clients.consumer." + kind};
    };
    share(java, command, Assignor::range, "range", 0);
    share(java, command, Assignor::cooperative_sticky, "cooperative-sticky", 10'000);
}

}  // namespace
}  // namespace flowstone::tool
