// `flowstone copy` between a broker of ours and a directory, as processes, over TCP on loopback.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <flowstone/client.h>
#include <flowstone/log.h>

#include "storage/batch.h"
#include "tests/log/foreign_log.h"
#include "tests/paths.h"
#include "tests/storage/value_of.h"
#include "tests/tools/process.h"

namespace flowstone::tool {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class CopyTest : public testing::Test {
protected:
    CopyTest() {
        std::string name = std::filesystem::temp_directory_path() / "flowstone-copy-XXXXXX";
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    ~CopyTest() override {
        broker_.reset();
        std::filesystem::remove_all(path_);
    }
    void start() {
        broker_ = std::make_unique<Process>(
            flowstoned_path(), std::vector<std::string>{"--data", path_ + "/there", "--listen", "127.0.0.1:0", "-X",
                                                        "http=off", "-X", "journal_bytes_max=16777216", "-X",
                                                        "reserve_bytes=0", "-X", "group.initial.rebalance.delay.ms=0"});
        broker_->read_line();
        const std::string line = broker_->read_line();  // "try: kcat -b 127.0.0.1:PORT -L"
        const size_t at = line.find("127.0.0.1:");
        ASSERT_NE(at, std::string::npos) << line;
        endpoint_ = line.substr(at, line.find(' ', at) - at);
    }
    void stop() {
        broker_->signal(SIGTERM);
        EXPECT_EQ(broker_->wait(), 0);
        broker_.reset();
    }
    std::string here() const { return path_ + "/here"; }
    std::string there() const { return path_ + "/there"; }

    struct Answer {
        int exit = -1;
        std::string out;
        std::string complaint;
    };
    static Answer run(const std::vector<std::string>& words) {
        Process process(tool_path(), words);
        Answer answer{.exit = process.wait(), .out = process.out(), .complaint = process.complaint()};
        return answer;
    }
    std::vector<std::string> home(std::vector<std::string> more = {}) const {
        std::vector<std::string> words{"copy", endpoint_, "events", "-L", "dir:" + here()};
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
    std::string copy(std::vector<std::string> more = {}) const {
        const Answer answer = run(home(std::move(more)));
        EXPECT_EQ(answer.exit, 0) << answer.complaint;
        return answer.out;
    }

    // A topic that has all codecs, headers, null keys and values, gaps and transactions, in the broker's directory
    // before it starts.
    void make_foreign(int32_t partitions, size_t batches) {
        auto log = value_of(Log::open(there()));
        auto topic = value_of(log.create_topic(
            "events", {.partitions = partitions, .configs = {{"segment.bytes", "1048576"}, {"retention.ms", "-1"}}}));
        for (int32_t p = 0; p < partitions; ++p) {
            ForeignLog from(static_cast<uint64_t>(p) + 1, Offset{p * 1'000'000});
            from.grow(batches);
            for (const ForeignBatch& batch : from.batches()) { ASSERT_TRUE(topic.append_as_is(p, batch)); }
        }
        ASSERT_TRUE(log.close());
    }

    static std::vector<std::string> lines_of(const std::string& directory, int32_t partitions) {
        auto log = value_of(Log::open(directory, {.read_only = true}));
        auto topic = value_of(log.topic("events"));
        std::vector<std::string> lines;
        for (int32_t p = 0; p < partitions; ++p) {
            auto reader = value_of(topic.read({.partition = p}));
            for (;;) {
                const auto batch = value_of(reader.next());
                if (batch.empty()) { break; }
                for (const auto& record : batch) { lines.push_back(line_of(p, record)); }
            }
        }
        return lines;
    }
    static std::string line_of(int32_t partition, const RecordView& record, bool with_offset = true) {
        std::string line = std::to_string(partition) + ' ' + (with_offset ? std::to_string(record.offset.value) : "") +
                           ' ' + std::to_string(record.timestamp_ms) + ' ' +
                           std::string(record.key.value_or("(none)")) + ' ' +
                           std::string(record.value.value_or("(none)"));
        std::vector<Header> headers(record.header_count());
        record.headers(headers);
        for (const Header& header : headers) {
            line += ' ' + std::string(header.name) + '=' + std::string(header.value.value_or("(none)"));
        }
        return line;
    }
    // The bytes of a partition's segments, one behind the other.
    static std::string bytes_of(const std::string& directory, int32_t partition) {
        std::vector<std::filesystem::path> files;
        for (const auto& entry :
             std::filesystem::directory_iterator(directory + "/events-" + std::to_string(partition))) {
            if (entry.path().extension() == ".log") { files.push_back(entry.path()); }
        }
        std::ranges::sort(files);
        std::string bytes;
        for (const auto& file : files) {
            std::ifstream in(file, std::ios::binary);
            bytes.append(std::istreambuf_iterator<char>(in), {});
        }
        return bytes;
    }

    std::string path_;
    std::string endpoint_;
    std::unique_ptr<Process> broker_;
};

TEST_F(CopyTest, ATopicTakenHomeIsTheSameByteForByte) {
    make_foreign(3, 400);
    start();
    const std::string said = copy();
    EXPECT_THAT(said, HasSubstr("events-2: "));
    EXPECT_THAT(said, HasSubstr(" copied\n"));
    EXPECT_THAT(copy(), HasSubstr("events-0: nothing new\n"));
    stop();
    EXPECT_EQ(lines_of(here(), 3), lines_of(there(), 3));
    for (int32_t p = 0; p < 3; ++p) { EXPECT_EQ(bytes_of(here(), p), bytes_of(there(), p)) << p; }
    auto log = value_of(Log::open(here(), {.read_only = true}));
    const TopicInfo info = value_of(log.describe("events"));
    EXPECT_EQ(info.partitions, 3);
    EXPECT_THAT(info.configs, testing::Contains(std::pair<std::string, std::string>("segment.bytes", "1048576")));
    EXPECT_EQ(info.durability, Durability::durable);
    EXPECT_EQ(run({"segment", "verify", here()}).exit, 0);
}

TEST_F(CopyTest, WhatWasKilledGoesOnWithoutALossOrADuplicateKill) {
    make_foreign(2, 6'000);
    start();
    int killed = 0;
    for (int attempt = 0; attempt < 40; ++attempt) {
        Process process(tool_path(), home({"--quiet"}));
        const auto bytes = [&] {
            std::error_code ignored;
            uintmax_t sum = 0;
            for (const auto& entry : std::filesystem::recursive_directory_iterator(here(), ignored)) {
                if (entry.path().extension() == ".log") { sum += entry.file_size(ignored); }
            }
            return sum;
        };
        // Dead as soon as it has written something more, or when it has ended.
        const uintmax_t before = bytes();
        int status = 0;
        pid_t ended = 0;
        while (bytes() <= before && (ended = ::waitpid(process.pid(), &status, WNOHANG | WNOWAIT)) == 0) {}
        process.signal(SIGKILL);
        const int exit = process.wait();
        if (exit == 0) { break; }
        ++killed;
    }
    EXPECT_GT(killed, 0);
    copy();
    stop();
    EXPECT_EQ(lines_of(here(), 2), lines_of(there(), 2));
    for (int32_t p = 0; p < 2; ++p) { EXPECT_EQ(bytes_of(here(), p), bytes_of(there(), p)) << p; }
}

TEST_F(CopyTest, PartsAreCopiedFromAndToOffsets) {
    make_foreign(2, 200);
    start();
    copy({"--partition", "1", "--from", "1000100", "--to", "1000200"});
    {
        auto log = value_of(Log::open(here(), {.read_only = true}));
        auto topic = value_of(log.topic("events"));
        const PartitionInfo info = value_of(topic.partition(1));
        EXPECT_GT(info.log_start, Offset{1'000'050});
        EXPECT_GE(info.log_end, Offset{1'000'150});
        EXPECT_LT(info.log_end, Offset{1'000'250});
        EXPECT_EQ(value_of(topic.partition(0)).log_end, Offset{0});
    }
    copy();  // the rest
    stop();
    EXPECT_EQ(lines_of(here(), 1), lines_of(there(), 1));
}

TEST_F(CopyTest, WhatIsNotACopyIsRefused) {
    make_foreign(1, 50);
    start();
    {
        auto log = value_of(Log::open(here()));
        ASSERT_TRUE(log.create_topic("events"));
        ASSERT_TRUE(log.close());
    }
    const Answer own = run(home());
    EXPECT_EQ(own.exit, 3);
    EXPECT_THAT(own.complaint, HasSubstr("not a copy"));
    std::filesystem::remove_all(here());
    copy();
    {  // somebody adds to the copy, the source goes on
        auto log = value_of(Log::open(here()));
        auto topic = value_of(log.topic("events"));
        for (int i = 0; i < 2; ++i) { ASSERT_TRUE(topic.append({.value = "ours"})); }
        ASSERT_TRUE(log.close());
        auto client = value_of(Client::open(endpoint_));
        auto producer = value_of(client.producer());
        auto there = value_of(producer.topic("events"));
        for (int i = 0; i < 5; ++i) { ASSERT_TRUE(value_of(there.send({.value = "theirs"})).wait()); }
    }
    const Answer mixed = run(home());
    EXPECT_EQ(mixed.exit, 3) << mixed.complaint;
    EXPECT_THAT(mixed.complaint, HasSubstr("not a copy"));
    EXPECT_EQ(run({"copy", endpoint_, "nothing", "-L", "dir:" + here()}).exit, 3);
    EXPECT_EQ(run({"copy", endpoint_, "events", "-L", endpoint_}).exit, 2);
    EXPECT_EQ(run(home({"--from", "yesterday"})).exit, 2);
    // Settings of the client are used: these cannot be.
    const Answer instance = run(home({"-X", "group.instance.id=one"}));
    EXPECT_EQ(instance.exit, 2);
    EXPECT_THAT(instance.complaint, HasSubstr("an instance needs a group"));
    const Answer batch = run({"copy", "dir:" + here(), "events", "-L", endpoint_, "-X", "batch.size=1"});
    EXPECT_EQ(batch.exit, 2);
    EXPECT_THAT(batch.complaint, HasSubstr("batch_bytes_max"));
}

TEST_F(CopyTest, ATopicOfADirectoryGoesToABrokerAndOnlyOnce) {
    {
        auto log = value_of(Log::open(here()));
        auto topic = value_of(log.create_topic("events", {.partitions = 2}));
        for (int i = 0; i < 3'000; ++i) {
            const std::string value = std::to_string(i);
            const Header headers[] = {{"n", value}, {"none", std::nullopt}};
            Record record{.value = value, .headers = headers, .timestamp_ms = 1'398'000'000'000 + i};
            if (i % 3 != 0) { record.key = "k"; }
            if (i % 7 == 0) { record.value = std::nullopt; }
            ASSERT_TRUE(topic.append_async(record, {.partition = i % 2}));
        }
        ASSERT_TRUE(log.close());
    }
    start();
    const std::vector<std::string> part{"copy", "dir:" + here(), "events", "-L", endpoint_, "--to", "700"};
    const Answer half = run(part);
    EXPECT_EQ(half.exit, 0) << half.complaint;
    std::vector<std::string> all(part.begin(), part.end() - 2);
    for (const char* said : {"events-1: 800 records", "events-1: nothing new"}) {
        const Answer answer = run(all);
        EXPECT_EQ(answer.exit, 0) << answer.complaint;
        EXPECT_THAT(answer.out, HasSubstr(said));
    }
    stop();
    EXPECT_EQ(lines_of(there(), 2), lines_of(here(), 2));  // the offsets, too: both have no gaps
}

TEST_F(CopyTest, WhoReadsWhatIsCommittedGetsThatAndEnds) {
    {
        auto log = value_of(Log::open(there()));
        auto topic = value_of(log.create_topic("events"));
        ForeignLog from(1);
        from.plain(2, 20);            // offsets 0 and 1
        from.transactional(4000, 3);  // 2 to 4
        from.marker(4000, false);
        from.transactional(4001, 2);  // 6 and 7
        from.marker(4001, true);
        from.transactional(4002, 2);  // 9 and 10, never ended: here they are as if aborted
        for (const ForeignBatch& batch : from.batches()) { ASSERT_TRUE(topic.append_as_is(0, batch)); }
        ASSERT_TRUE(log.close());
    }
    start();
    const auto consume = [&](std::vector<std::string> more) {
        std::vector<std::string> words{"-L", endpoint_, "consume", "events", "--format", "%o"};
        words.insert(words.end(), more.begin(), more.end());
        const Answer answer = run(words);
        EXPECT_EQ(answer.exit, 0) << answer.complaint;
        return answer.out;
    };
    EXPECT_EQ(consume({}), "0\n1\n2\n3\n4\n6\n7\n9\n10\n");
    EXPECT_EQ(consume({"-X", "isolation.level=read_committed"}), "0\n1\n6\n7\n");
    EXPECT_EQ(consume({"-X", "isolation.level=read_committed", "--group", "billing"}), "0\n1\n6\n7\n");
    const Answer measured = run({"-L", endpoint_, "perf", "consume", "--topic", "events", "--json", "-q", "-X",
                                 "isolation.level=read_committed"});
    EXPECT_THAT(measured.out, HasSubstr(R"("isolation":"read_committed","records":4,)"));
}

TEST_F(CopyTest, AbortedRecordsDoNotGoToABrokerAndAStrangersTopicIsRefused) {
    {
        auto log = value_of(Log::open(here()));
        auto topic = value_of(log.create_topic("events"));
        ForeignLog from(1);
        from.plain(2, 20);
        from.transactional(4000, 3);
        from.marker(4000, false);
        from.transactional(4001, 2);
        from.marker(4001, true);
        for (const ForeignBatch& batch : from.batches()) { ASSERT_TRUE(topic.append_as_is(0, batch)); }
        ASSERT_TRUE(log.close());
    }
    start();
    const std::vector<std::string> words{"copy", "dir:" + here(), "events", "-L", endpoint_, "--json"};
    const Answer answer = run(words);
    EXPECT_EQ(answer.exit, 0) << answer.complaint;
    EXPECT_THAT(answer.out,
                HasSubstr(R"({"topic":"events","partition":0,"begin_offset":0,"next_offset":9,"records":4,)"));
    {
        auto client = value_of(Client::open(endpoint_));
        auto producer = value_of(client.producer());
        auto topic = value_of(producer.topic("events"));
        ASSERT_TRUE(value_of(topic.send({.value = "a stranger's"})).wait());
    }
    const Answer strange = run(words);
    EXPECT_EQ(strange.exit, 3);
    EXPECT_THAT(strange.complaint, HasSubstr("not a copy"));
}

}  // namespace
}  // namespace flowstone::tool
