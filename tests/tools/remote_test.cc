// The tool and the client library against a broker of ours, as processes, over TCP on loopback.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <flowstone/admin.h>
#include <flowstone/client.h>

#include "net/kafka/messages/join_group.h"
#include "storage/thread.h"
#include "tests/net/blocking_client.h"
#include "tests/paths.h"
#include "tests/storage/value_of.h"
#include "tests/tools/masked.h"
#include "tests/tools/process.h"

namespace flowstone::tool {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class RemoteTest : public testing::Test {
protected:
    RemoteTest() {
        std::string name = std::filesystem::temp_directory_path() / "flowstone-remote-XXXXXX";
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path_ = name;
        start();
    }
    ~RemoteTest() override {
        broker_.reset();
        std::filesystem::remove_all(path_);
    }
    void start(const std::string& port = "0") {
        broker_ = std::make_unique<Process>(
            flowstoned_path(),
            std::vector<std::string>{"--data", path_ + "/log", "--listen", "127.0.0.1:" + port, "-X", "http=off", "-X",
                                     "journal_bytes_max=16777216", "-X", "reserve_bytes=0"});
        broker_->read_line();
        const std::string line = broker_->read_line();  // "try: kcat -b 127.0.0.1:PORT -L"
        const size_t at = line.find("127.0.0.1:");
        ASSERT_NE(at, std::string::npos) << line;
        endpoint_ = line.substr(at, line.find(' ', at) - at);
    }
    struct Answer {
        int exit = -1;
        std::string out;
        std::string complaint;
    };
    Answer run(std::vector<std::string> words, const std::string& input = "") const {
        words.insert(words.begin(), {"-L", endpoint_});
        Process process(tool_path(), words);
        process.write(input);
        Answer answer{.exit = process.wait(), .out = process.out(), .complaint = process.complaint()};
        return answer;
    }
    // The same of the broker's directory.
    std::string local(std::vector<std::string> words) const {
        words.insert(words.begin(), {"-L", "dir:" + path_ + "/log"});
        Process process(tool_path(), words);
        EXPECT_EQ(process.wait(), 0) << process.complaint();
        return process.out();
    }
    std::string out(const std::vector<std::string>& words, const std::string& input = "") const {
        const Answer answer = run(words, input);
        EXPECT_EQ(answer.exit, 0) << answer.complaint;
        return answer.out;
    }

    std::string path_;
    std::string endpoint_;
    std::unique_ptr<Process> broker_;
};

TEST_F(RemoteTest, TheToolMakesATopicFillsItAndShowsIt) {
    out({"topic", "create", "payments", "--partitions", "2"});
    EXPECT_THAT(out({"topic", "list"}), HasSubstr("payments"));
    out({"produce", "payments", "--key-separator", ":"}, "a:1\nb:2\na:3\n");
    std::string lines = out({"consume", "payments", "--format", "%k=%v"});
    std::vector<std::string> found;
    while (!lines.empty()) {
        const size_t end = lines.find('\n');
        found.push_back(lines.substr(0, end));
        lines.erase(0, end + 1);
    }
    std::ranges::sort(found);
    EXPECT_THAT(found, ElementsAre("a=1", "a=3", "b=2"));
    EXPECT_EQ(out({"consume", "payments", "--max", "1", "--format", "%t"}), "payments\n");
    out({"topic", "delete", "payments"});
    const Answer gone = run({"consume", "payments"});
    EXPECT_EQ(gone.exit, 3);
    EXPECT_THAT(gone.complaint, HasSubstr("payments"));
}

TEST_F(RemoteTest, AsManyReplicasAsAreAskedForOrWhyNot) {
    out({"topic", "create", "payments", "--partitions", "1", "--replicas", "1"});
    const Answer refused = run({"topic", "create", "more", "--partitions", "1", "--replicas", "3"});
    EXPECT_EQ(refused.exit, 2);
    EXPECT_THAT(refused.complaint, HasSubstr("3 replicas are asked for, there is 1 broker"));
    EXPECT_THAT(out({"topic", "list"}), testing::Not(HasSubstr("more")));
}

TEST_F(RemoteTest, TheToolGoesThroughWhoHoldsTheLog) {
    endpoint_ = "dir:" + path_ + "/log";
    const Answer locked = run({"produce", "payments"}, "1\n");
    EXPECT_EQ(locked.exit, 3);
    EXPECT_THAT(locked.complaint, HasSubstr("process " + std::to_string(broker_->pid())));
    EXPECT_THAT(locked.complaint, HasSubstr("shm:" + path_ + "/log"));
    endpoint_ = "shm:" + path_ + "/log";
    out({"topic", "create", "payments", "--partitions", "1"});
    EXPECT_THAT(out({"topic", "list"}), HasSubstr("payments"));
    out({"produce", "payments"}, "1\n2\n");
    EXPECT_EQ(out({"consume", "payments", "--format", "%v"}), "1\n2\n");
    endpoint_ = "dir:" + path_ + "/log";
    EXPECT_EQ(out({"consume", "payments", "--format", "%v"}), "1\n2\n");  // reading beside it goes natively
    broker_.reset();
    endpoint_ = "shm:" + path_ + "/log";
    const Answer nobody = run({"topic", "list"});
    EXPECT_EQ(nobody.exit, 3);
    EXPECT_THAT(nobody.complaint, HasSubstr("nobody serves the log"));
}

TEST_F(RemoteTest, APathGoesThroughWhoServesItAndElseToTheDirectory) {
    endpoint_ = path_ + "/log";
    out({"topic", "create", "payments", "--partitions", "1"});
    out({"produce", "payments"}, "1\n");
    EXPECT_EQ(out({"consume", "payments", "--group", "billing"}), "1\n");
    EXPECT_THAT(out({"topic", "describe", "payments", "--json"}),
                HasSubstr(R"("log_end_offset":null)"));  // a broker told
    broker_->signal(SIGKILL);                            // its socket stays
    broker_.reset();
    ASSERT_TRUE(std::filesystem::exists(path_ + "/log/flowstone.sock"));
    out({"produce", "payments"}, "2\n");
    EXPECT_EQ(out({"consume", "payments"}), "1\n2\n");
    EXPECT_THAT(out({"topic", "describe", "payments", "--json"}), HasSubstr(R"("log_end_offset":2)"));
}

TEST_F(RemoteTest, SettingsOfTheClientAreUnderKafkasNames) {
    const std::string value(1000, 'a');  // worth compressing
    out({"topic", "create", "payments", "--partitions", "1"});
    out({"produce", "payments", "-X", "compression.type=gzip", "--compression", "zstd"}, value + '\n');
    EXPECT_EQ(out({"consume", "payments", "-X", "isolation.level=read_committed"}), value + '\n');
    EXPECT_THAT(out({"perf", "produce", "--records", "10", "--json", "-X", "linger.ms=7", "-X", "acks=1", "-X",
                     "batch.size=500", "-X", "compression.type=lz4", "--quiet"}),
                AllOf(HasSubstr(R"("acks":"1")"),
                      HasSubstr(R"("batch_bytes":500,"linger_ms":7,"compression":"lz4","idempotent":false)")));
    EXPECT_THAT(out({"perf", "consume", "--json", "--quiet", "-X", "isolation.level=read_committed"}),
                AllOf(HasSubstr(R"("isolation":"read_committed")"), HasSubstr(R"("records":10)")));
    const Answer alone = run({"consume", "payments", "-X", "group.instance.id=one"});
    EXPECT_EQ(alone.exit, 2);
    EXPECT_THAT(alone.complaint, HasSubstr("an instance needs a group"));
    const Answer contradiction = run({"produce", "payments", "-X", "acks=0", "-X", "enable.idempotence=true"}, "c\n");
    EXPECT_EQ(contradiction.exit, 2);
    EXPECT_THAT(contradiction.complaint, HasSubstr("idempotent needs acks of all"));
    broker_->signal(SIGTERM);
    EXPECT_EQ(broker_->wait(), 0);
    EXPECT_THAT(local({"segment", "dump", "--json", path_ + "/log/payments-0"}), HasSubstr(R"("codec":"gzip")"));
}

TEST_F(RemoteTest, WhatNeedsTheDirectoryItselfIsNotSentThroughItsHolder) {
    for (const std::string scheme : {"", "dir:"}) {
        endpoint_ = scheme + path_ + "/log";
        for (const std::vector<std::string>& words :
             {std::vector<std::string>{"repair", "--accept-loss"}, {"perf", "append", "--quiet"}}) {
            const Answer locked = run(words);
            EXPECT_EQ(locked.exit, 3);
            EXPECT_THAT(locked.complaint, AllOf(HasSubstr("process " + std::to_string(broker_->pid())),
                                                HasSubstr("end that process first"), Not(HasSubstr("shm:"))));
        }
    }
    EXPECT_EQ(run({"repair"}).exit, 0);  // only looks
}

// Without what only one of the two tells.
std::string common_part(std::string json) {
    json = std::regex_replace(json, std::regex("\"(log_end_offset|segment_count)\":([0-9]+|null)"), "\"$1\":null");
    return std::regex_replace(json, std::regex(R"(,"leader":1,"replicas":\[1\],"in_sync_replicas":\[1\])"), "");
}

TEST_F(RemoteTest, TopicsLookTheSameFromBrokersAsFromTheirDirectory) {
    out({"topic", "create", "payments", "--partitions", "3", "--durability", "written", "--config", "retention.ms=-1"});
    out({"topic", "create", "clicks", "--partitions", "1", "--exists-ok"});
    out({"topic", "create", "clicks", "--partitions", "9", "--exists-ok"});
    out({"topic", "alter", "payments", "--set", "segment.ms=1000000", "--set", "max.message.bytes=2000000", "--unset",
         "retention.ms", "--partitions", "4"});
    // A partition that nothing was written to has its first epoch from a broker, and none in its directory.
    for (const char* partition : {"0", "1", "2", "3"}) {
        out({"produce", "payments", "--partition", partition}, "a\nb\nc\n");
    }
    out({"produce", "clicks"}, "d\n");
    EXPECT_EQ(out({"topic", "list", "--json"}), local({"topic", "list", "--json"}));
    EXPECT_EQ(out({"topic", "list"}), local({"topic", "list"}));
    EXPECT_THAT(out({"topic", "list"}), HasSubstr("max.message.bytes=2000000 segment.ms=1000000"));
    const std::string described = out({"topic", "describe", "--json"});
    EXPECT_EQ(common_part(described), common_part(local({"topic", "describe", "--json"})));
    EXPECT_THAT(described, HasSubstr(R"("partition":1,"log_start_offset":0,"high_watermark":3,"log_end_offset":null)"));
    EXPECT_THAT(described, HasSubstr(R"("leader":1,"replicas":[1],"in_sync_replicas":[1])"));
    EXPECT_THAT(out({"topic", "describe", "payments"}), HasSubstr("in sync"));
    const Answer missing = run({"topic", "describe", "nothing"});
    EXPECT_EQ(missing.exit, 3);
    EXPECT_THAT(missing.complaint, HasSubstr("nothing"));
    EXPECT_EQ(run({"topic", "alter", "payments", "--partitions", "2"}).exit, 2);
}

TEST_F(RemoteTest, GroupsLookTheSameFromBrokersAsFromTheirDirectory) {
    out({"topic", "create", "payments", "--partitions", "2"});
    out({"produce", "payments", "--partition", "1"}, "a\nb\nc\n");
    const auto reset = out({"group", "reset", "billing", "--topic", "payments", "--to", "end", "--json"});
    out({"group", "reset", "shipping", "--topic", "payments", "--to", "1", "--partition", "1"});
    EXPECT_EQ(out({"group", "list", "--json"}), local({"group", "list", "--json"}));
    EXPECT_EQ(out({"group", "list"}), local({"group", "list"}));
    const std::string described = out({"group", "describe", "billing", "--json"});
    EXPECT_EQ(described, reset);
    EXPECT_EQ(described, local({"group", "describe", "billing", "--json"}));
    EXPECT_THAT(described, HasSubstr(R"("partition":1,"committed_offset":3,"high_watermark":3,"lag":0)"));
    EXPECT_EQ(out({"group", "describe", "shipping"}), local({"group", "describe", "shipping"}));
    EXPECT_EQ(run({"group", "reset", "shipping", "--topic", "payments", "--to", "4"}).exit, 3);
    out({"group", "delete", "shipping"});
    EXPECT_EQ(run({"group", "describe", "shipping"}).exit, 3);
    EXPECT_EQ(run({"group", "delete", "shipping"}).exit, 3);
    out({"topic", "delete", "payments"});
    EXPECT_EQ(out({"group", "list", "--json"}), local({"group", "list", "--json"}));
}

TEST_F(RemoteTest, AGroupWithMembersIsNotResetNorDeleted) {
    out({"topic", "create", "payments", "--partitions", "2"});
    BlockingClient member(static_cast<uint16_t>(std::stoi(endpoint_.substr(endpoint_.find(':') + 1))));
    kafka::JoinGroupRequest join;
    join.group_id = "billing";
    join.session_timeout_ms = 30'000;
    join.rebalance_timeout_ms = 30'000;
    join.group_instance_id = "one";
    join.protocol_type = "consumer";
    join.protocols = {{.name = "range", .metadata = {}}};
    const auto joined = member.ask<kafka::JoinGroupResponse>(join, 5);
    ASSERT_TRUE(joined);
    ASSERT_EQ(joined->error_code, kafka::ErrorCode::none);
    const Answer reset = run({"group", "reset", "billing", "--topic", "payments", "--to", "beginning"});
    EXPECT_EQ(reset.exit, 3);
    EXPECT_THAT(reset.complaint, HasSubstr("it has members, which commit themselves; end them first"));
    EXPECT_EQ(run({"group", "delete", "billing"}).exit, 3);
    EXPECT_THAT(out({"group", "list"}), HasSubstr("billing"));
}

TEST_F(RemoteTest, PerfMeasuresBrokers) {
    const std::string produced =
        out({"perf", "produce", "--records", "5000", "--size", "50", "--partitions", "2", "--threads", "2",
             "--batch-bytes", "1000", "--compression", "lz4", "--durability", "memory", "--json", "-q"});
    EXPECT_EQ(perf_tail_masked(produced),
              std::string(R"({"workload":"produce","topic":"flowstone.perf","acks":"all","records":5000,)"
                          R"("bytes":250000,"record_bytes":50,"batch_bytes":1000,"linger_ms":5,"compression":"lz4",)"
                          R"("idempotent":true,"intended_records_per_s":0,"partition_count":2,"thread_count":2,)") +
                  perf_tail);
    EXPECT_EQ(perf_tail_masked(out({"perf", "consume", "--threads", "3", "--json", "-q"})),
              std::string(R"({"workload":"consume","topic":"flowstone.perf","isolation":"read_uncommitted",)"
                          R"("records":5000,"bytes":250000,"partition_count":2,"thread_count":3,)") +
                  perf_tail);
    EXPECT_THAT(out({"topic", "describe", "flowstone.perf"}), HasSubstr("durability  memory"));
    out({"perf", "produce", "--records", "10", "--partitions", "2", "--acks", "0", "-q"});
    const std::string there =
        out({"perf", "roundtrip", "--records", "200", "--rate", "5000", "--partitions", "2", "-q"});
    EXPECT_THAT(there, HasSubstr("200 records (19.5 KiB, all)"));
    EXPECT_EQ(run({"perf", "produce", "--records", "1", "-q"}).exit, 3);  // another topic than the one there
}

TEST_F(RemoteTest, WithoutABrokerTheToolSaysSo) {
    broker_.reset();
    const Answer answer = run({"topic", "list"});
    EXPECT_EQ(answer.exit, 3);
    EXPECT_THAT(answer.complaint, HasSubstr("onnection refused"));
}

TEST_F(RemoteTest, AClientProducesFromSeveralThreadsAndConsumesWhatItSent) {
    auto client = value_of(Client::open(endpoint_));
    ASSERT_TRUE(client.admin().create_topic("events", {.partitions = 3}));
    auto producer = value_of(client.producer());
    auto topic = value_of(producer.topic("events"));
    EXPECT_EQ(topic.partitions(), 3);
    std::vector<Thread> threads;
    for (int32_t partition = 0; partition < 3; ++partition) {
        threads.emplace_back("sender", [&, partition] {
            for (int i = 0; i < 5'000; ++i) {
                const std::string value = std::to_string(i);
                ASSERT_TRUE(topic.send({.key = "k", .value = value}, partition));
            }
        });
    }
    threads.clear();
    ASSERT_TRUE(producer.flush());
    const auto last = value_of(topic.send({.value = "5000"}, 2));
    EXPECT_EQ(value_of(last.wait()), (Position{2, Offset{5'000}}));

    auto consumer = value_of(client.consumer());
    ASSERT_TRUE(consumer.assign({{"events", 0}, {"events", 1}, {"events", 2}}));
    std::vector<int> next(3, 0);
    while (next[0] + next[1] + next[2] < 15'001) {
        const auto batch = consumer.poll(20s);
        ASSERT_TRUE(batch) << batch.error().message();
        ASSERT_FALSE(batch->empty()) << next[0] << ' ' << next[1] << ' ' << next[2];
        int& expected = next[static_cast<size_t>(batch->partition())];
        for (const RecordView& record : *batch) { ASSERT_EQ(record.value, std::to_string(expected++)); }
    }
    const auto ends = value_of(client.admin().ends({"events", 2}));
    EXPECT_EQ(ends.log_start, Offset{0});
    EXPECT_EQ(ends.high_watermark, Offset{5'001});
    EXPECT_TRUE(client.close());
}

TEST_F(RemoteTest, CloseEndsInTimeWithoutABroker) {
    auto client = value_of(Client::open(endpoint_));
    ASSERT_TRUE(client.admin().create_topic("events"));
    auto producer = value_of(client.producer());
    auto topic = value_of(producer.topic("events"));
    ASSERT_TRUE(value_of(topic.send({.value = "before"})).wait());
    broker_.reset();  // killed
    const auto lost = value_of(topic.send({.value = "after"}));
    const auto closed = client.close(200ms);
    ASSERT_FALSE(closed);
    EXPECT_EQ(closed.error().code, Code::timed_out);
    const auto verdict = lost.wait(0ms);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Code::closed);
    EXPECT_EQ(topic.send({.value = "later"}).error().code, Code::closed);
    EXPECT_EQ(client.producer().error().code, Code::closed);
}

TEST_F(RemoteTest, WhatCannotBeIsRefused) {
    EXPECT_EQ(Client::open("").error().code, Code::invalid);
    EXPECT_EQ(Client::open("nowhere").error().code, Code::invalid);
    auto client = value_of(Client::open(endpoint_));
    EXPECT_EQ(client.admin().create_topic("no/good").error().code, Code::invalid);
    ASSERT_TRUE(client.admin().create_topic("events"));
    EXPECT_EQ(client.admin().create_topic("events").error().code, Code::exists);
    EXPECT_TRUE(client.admin().create_topic("events", {.exists_ok = true}));
    EXPECT_EQ(client.admin().delete_topic("nothing").error().code, Code::not_found);
    EXPECT_EQ(client.producer({.acks = Acks::leader}).error().code, Code::invalid);
}

}  // namespace
}  // namespace flowstone::tool
