// The built program, end to end, each test on a log of its own.

#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/paths.h"
#include "tests/tools/masked.h"
#include "tests/tools/process.h"

namespace flowstone::tool {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

struct Answer {
    int exit = -1;
    std::string out;
    std::string complaint;
};

class Cli : public testing::Test {
protected:
    Cli() {
        std::string name = testing::TempDir() + "flowstone_cli_XXXXXX";
        directory_ = ::mkdtemp(name.data());
        log_ = directory_ / "log";
    }
    ~Cli() override { std::filesystem::remove_all(directory_); }

    std::vector<std::string> words(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {"-L", "dir:" + log_.string()});
        return arguments;
    }
    Answer run(const std::vector<std::string>& arguments, const std::string& input = "") const {
        Process process(tool_path(), words(arguments));
        process.write(input);
        Answer answer{.exit = process.wait(), .out = process.out(), .complaint = process.complaint()};
        if (answer.exit != 0) {
            EXPECT_THAT(answer.complaint, StartsWith("flowstone: "));
            EXPECT_EQ(std::count(answer.complaint.begin(), answer.complaint.end(), '\n'), 1) << answer.complaint;
            EXPECT_EQ(answer.complaint.find('\n'), answer.complaint.size() - 1);
        }
        return answer;
    }
    // What it printed; it must have succeeded.
    std::string out(const std::vector<std::string>& arguments, const std::string& input = "") const {
        const Answer answer = run(arguments, input);
        EXPECT_EQ(answer.exit, 0) << answer.complaint;
        return answer.out;
    }
    void create(const std::string& topic, int partitions = 1) const {
        EXPECT_EQ(out({"topic", "create", topic, "--partitions", std::to_string(partitions)}), "");
    }

    std::filesystem::path directory_;
    std::filesystem::path log_;
};

std::vector<std::string> lines(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> all;
    for (std::string line; std::getline(stream, line);) { all.push_back(line); }
    return all;
}

TEST_F(Cli, WhatIsProducedIsConsumed) {
    create("pay");
    const Answer produced = run({"produce", "pay"}, "a\n\nb c");
    EXPECT_EQ(produced.exit, 0);
    EXPECT_EQ(produced.out, "");
    EXPECT_THAT(produced.complaint, StartsWith("3 records, 4 B in "));
    EXPECT_EQ(out({"produce", "pay", "--quiet"}, "d\n"), "");
    const Answer consumed = run({"consume", "pay"});
    EXPECT_EQ(consumed.out, "a\n\nb c\nd\n");
    EXPECT_EQ(consumed.complaint, "");
}

TEST_F(Cli, RecordsAreShownByAFormat) {
    create("pay");
    out({"produce", "pay", "--key-separator", ":", "--header", "source=test", "--header", "empty="}, "k:v\n");
    EXPECT_EQ(out({"consume", "pay", "--format", "%t/%p/%o %k [%h] %v%%"}), "pay/0/0 k [source=test,empty=] v%\n");
    EXPECT_THAT(out({"consume", "pay", "--format", "%T"}),
                MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z\n"));
}

// Frozen: members may be added at the end, none may change.
TEST_F(Cli, JsonOfRecordsIsAsDocumented) {
    create("pay");
    out({"produce", "pay", "--key-separator", ":", "--header", "h=\"1\""}, "k:\xc3\xa9\n:\xff\n");
    const std::string json = out({"consume", "pay", "--json"});
    const std::string timed = std::regex_replace(json, std::regex("\"timestamp\":\"[^\"]*\""), "\"timestamp\":\"T\"");
    EXPECT_EQ(timed, R"({"topic":"pay","partition":0,"offset":0,"timestamp":"T","key":"k","value":"é",)"
                     R"("headers":[{"name":"h","value":"\"1\""}]})"
                     "\n"
                     R"({"topic":"pay","partition":0,"offset":1,"timestamp":"T","key":"","value":{"base64":"/w=="},)"
                     R"("headers":[{"name":"h","value":"\"1\""}]})"
                     "\n");
}

TEST_F(Cli, ConsumeBeginsAndEndsWhereItIsTold) {
    create("pay");
    out({"produce", "pay"}, "0\n1\n2\n3\n4\n");
    EXPECT_EQ(out({"consume", "pay", "--from", "3"}), "3\n4\n");
    EXPECT_EQ(out({"consume", "pay", "--from", "5"}), "");
    EXPECT_EQ(out({"consume", "pay", "--from", "beginning", "--max", "2"}), "0\n1\n");
    EXPECT_EQ(out({"consume", "pay", "--from", "1", "--max", "2"}), "1\n2\n");
    EXPECT_EQ(out({"consume", "pay", "--max", "0"}), "");
    EXPECT_EQ(out({"consume", "pay", "--from", "end"}), "");
    EXPECT_EQ(out({"consume", "pay", "--from", "2000-01-01T00:00:00Z", "--max", "1"}), "0\n");
    EXPECT_EQ(out({"consume", "pay", "--from", "9999-01-01T00:00:00Z"}), "");
}

TEST_F(Cli, KeysGoWhereKafkasJavaClientPutsThem) {
    create("pay", 8);
    // murmur2 from Kafka's own UtilsTest: "abc" 479470107, "21" -973932308; sign bit cleared, modulo 8.
    out({"produce", "pay", "--key-separator", ":"}, "abc:x\n21:y\n");
    EXPECT_EQ(out({"consume", "pay", "--format", "%p %k", "--partition", "3"}), "3 abc\n");
    EXPECT_EQ(out({"consume", "pay", "--format", "%p %k"}), "3 abc\n4 21\n");
    out({"produce", "pay", "--partition", "7"}, "z\n");
    EXPECT_EQ(out({"consume", "pay", "--partition", "7"}), "z\n");
}

TEST_F(Cli, RowsOfACsvBecomeJson) {
    create("pay", 4);
    out({"produce", "pay", "--csv", "--key-field", "/card", "--csv-row-number", "row"},
        "card,amount,merchant\r\n0042,-594.00,\"a \"\"b\"\", c\"\r\n0042,1e5,\r\n");
    EXPECT_EQ(out({"consume", "pay", "--format", "%k %v"}),
              R"(0042 {"card":"0042","amount":"-594.00","merchant":"a \"b\", c","row":1})"
              "\n"
              R"(0042 {"card":"0042","amount":"1e5","merchant":"","row":2})"
              "\n");
}

TEST_F(Cli, CompressedBatchesReadAsTheyWereWritten) {
    for (const char* codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
        create(codec, 2);
        std::string input;
        for (int i = 0; i < 300; ++i) { input += "key" + std::to_string(i % 7) + ":value " + std::to_string(i) + '\n'; }
        out({"produce", codec, "--key-separator", ":", "--compression", codec}, input);
        std::map<std::string, std::string> by_key;
        for (const std::string& line : lines(out({"consume", codec, "--format", "%k:%v"}))) {
            by_key[line.substr(0, 4)] += line + '\n';
        }
        std::map<std::string, std::string> expected;
        for (const std::string& line : lines(input)) { expected[line.substr(0, 4)] += line + '\n'; }
        EXPECT_EQ(by_key, expected) << codec;
    }
}

TEST_F(Cli, ALoadThatWasCutOffResumesWithoutGapOrDuplicate) {
    create("pay", 3);
    std::vector<std::string> rows;
    for (int i = 1; i <= 60; ++i) {
        rows.push_back("card" + std::to_string(i * i % 11) + "," + std::to_string(i) + ".00\n");
    }
    const auto csv = [&](size_t count) {
        std::string text = "card,amount\n";
        for (size_t i = 0; i < count; ++i) { text += rows[i]; }
        return text;
    };
    const std::string progress = (directory_ / "progress").string();
    const std::vector<std::string> produce = {"produce",          "pay", "--csv",    "--key-field",     "/card",
                                              "--csv-row-number", "row", "--resume", "--progress-file", progress};
    EXPECT_THAT(run(produce, csv(25)).complaint, StartsWith("25 records"));
    EXPECT_THAT(run(produce, csv(60)).complaint, AllOf(StartsWith("35 records"), HasSubstr("; 25 were there already")));
    EXPECT_THAT(run(produce, csv(60)).complaint, AllOf(StartsWith("0 records"), HasSubstr("; 60 were there already")));
    std::multiset<std::string> amounts;
    for (const std::string& line : lines(out({"consume", "pay"}))) { amounts.insert(line.substr(line.find("amount"))); }
    std::multiset<std::string> expected;
    for (int i = 1; i <= 60; ++i) {
        expected.insert("amount\":\"" + std::to_string(i) + ".00\",\"row\":" + std::to_string(i) + "}");
    }
    EXPECT_EQ(amounts, expected);
    std::ifstream file(progress);
    std::string last;
    for (std::string line; std::getline(file, line);) { last = line; }
    EXPECT_EQ(last, "60");
}

TEST_F(Cli, ABadLineStopsTheLoadAndIsNamed) {
    create("pay");
    const Answer answer = run({"produce", "pay", "--key-field", "/id"}, "{\"id\":1}\n{\"id\":2}\n{}\n{\"id\":4}\n");
    EXPECT_EQ(answer.exit, 3);
    EXPECT_THAT(answer.complaint, HasSubstr("line 3: /id"));
    // What came before it is neither lost nor in doubt.
    const size_t count = lines(out({"consume", "pay"})).size();
    EXPECT_THAT(answer.complaint, HasSubstr(" " + std::to_string(count) + " records were appended"));
    EXPECT_EQ(count, 2u);
}

TEST_F(Cli, ALogInADirectoryHasOneCopy) {
    out({"topic", "create", "pay", "--partitions", "1", "--replicas", "1"});
    const Answer refused = run({"topic", "create", "more", "--partitions", "1", "--replicas", "2"});
    EXPECT_EQ(refused.exit, 2);
    EXPECT_THAT(refused.complaint, HasSubstr("one copy"));
    EXPECT_THAT(out({"topic", "list"}), testing::Not(HasSubstr("more")));
}

TEST_F(Cli, AGroupGoesOnWhereItCommitted) {
    create("pay");
    out({"produce", "pay"}, "0\n1\n2\n3\n4\n");
    EXPECT_EQ(out({"consume", "pay", "--group", "billing", "--max", "2"}), "0\n1\n");
    EXPECT_EQ(out({"consume", "pay", "--group", "billing", "--max", "2"}), "2\n3\n");
    EXPECT_EQ(out({"group", "list"}), "group    state  partitions\nbilling  Empty           1\n");
    EXPECT_EQ(out({"group", "list", "--json"}), "{\"group\":\"billing\",\"state\":\"Empty\",\"partition_count\":1}\n");
    EXPECT_EQ(out({"group", "describe", "billing"}),
              "topic  partition  committed  high watermark  lag\n"
              "pay            0          4               5    1\n");
    EXPECT_EQ(out({"group", "describe", "billing", "--json"}),
              R"({"group":"billing","topic":"pay","partition":0,"committed_offset":4,"high_watermark":5,"lag":1,)"
              R"("metadata":""})"
              "\n");
    EXPECT_EQ(out({"group", "describe", "billing", "--state"}),
              "group    state  protocol  assignor  members\nbilling  Empty  -         -               0\n");
    EXPECT_EQ(out({"group", "describe", "billing", "--state", "--json"}),
              R"({"group":"billing","state":"Empty","protocol":null,"assignor":null,"member_count":0})"
              "\n");
    EXPECT_EQ(out({"group", "describe", "billing", "--members", "--json"}), "") << "nobody serves it";
    EXPECT_EQ(run({"group", "describe", "nobody", "--state"}).exit, 3);
    EXPECT_EQ(out({"consume", "pay", "--group", "billing"}), "4\n");
    EXPECT_EQ(out({"consume", "pay", "--group", "billing"}), "");

    EXPECT_EQ(out({"group", "reset", "billing", "--topic", "pay", "--to", "3", "--json"}),
              R"({"group":"billing","topic":"pay","partition":0,"committed_offset":3,"high_watermark":5,"lag":2,)"
              R"("metadata":""})"
              "\n");
    EXPECT_EQ(out({"consume", "pay", "--group", "billing"}), "3\n4\n");
    out({"group", "reset", "billing", "--topic", "pay", "--to", "beginning", "--partition", "0"});
    EXPECT_EQ(out({"consume", "pay", "--group", "billing", "--max", "1"}), "0\n");
    EXPECT_EQ(run({"group", "reset", "billing", "--topic", "pay", "--to", "6"}).exit, 3);
    EXPECT_EQ(run({"group", "reset", "billing", "--topic", "pay", "--to", "0", "--partition", "1"}).exit, 3);
    EXPECT_EQ(out({"consume", "pay", "--group", "other", "--from", "end"}), "");

    EXPECT_EQ(out({"group", "delete", "billing"}), "");
    EXPECT_EQ(run({"group", "describe", "billing"}).exit, 3);
    EXPECT_EQ(run({"group", "delete", "billing"}).exit, 3);
}

TEST_F(Cli, TopicsAreDescribedAltered) {
    create("pay", 2);
    out({"topic", "create", "tmp", "--partitions", "1", "--durability", "written", "--config", "retention.ms=1000"});
    out({"produce", "pay", "--partition", "1"}, "a\nb\n");
    const std::string id = "[A-Za-z0-9_-]{22}";
    const std::vector<std::string> listed = lines(out({"topic", "list", "--json"}));
    ASSERT_EQ(listed.size(), 2u);
    EXPECT_TRUE(std::regex_match(listed[0], std::regex(R"(\{"topic":"pay","topic_id":")" + id +
                                                       R"(","partition_count":2,"durability":"durable",)"
                                                       R"("internal":false,"configs":\{.*\}\})")))
        << listed[0];
    EXPECT_THAT(listed[1], AllOf(HasSubstr(R"("durability":"written")"), HasSubstr(R"("retention.ms":"1000")")));
    const std::string described = out({"topic", "describe", "pay", "--json"});
    EXPECT_TRUE(std::regex_match(
        described,
        std::regex(R"re(\{"topic":"pay",.*,"partitions":\[\{"partition":0,"log_start_offset":0,)re"
                   R"re("high_watermark":0,"log_end_offset":0,"leader_epoch":[0-9]+,"bytes":0,)re"
                   R"re("segment_count":[0-9]+\},\{"partition":1,"log_start_offset":0,"high_watermark":2,)re"
                   R"re("log_end_offset":2,"leader_epoch":[0-9]+,"bytes":[0-9]+,"segment_count":[0-9]+\}\]\}\n)re")))
        << described;
    EXPECT_THAT(out({"topic", "describe"}), AllOf(HasSubstr("topic       pay\n"), HasSubstr("topic       tmp\n")));

    out({"topic", "alter", "tmp", "--set", "retention.bytes=5", "--unset", "retention.ms", "--partitions", "3"});
    EXPECT_THAT(out({"topic", "list"}), HasSubstr("retention.bytes=5"));
    EXPECT_THAT(out({"topic", "list"}), testing::Not(HasSubstr("retention.ms=1000")));
    EXPECT_THAT(out({"topic", "describe", "tmp"}), HasSubstr("partitions  3\n"));
    out({"topic", "delete", "tmp"});
    EXPECT_EQ(lines(out({"topic", "list", "--json"})).size(), 1u);
}

TEST_F(Cli, RefusalsNameTheReasonAndEndWithTheRightCode) {
    EXPECT_EQ(run({"topic", "list"}).exit, 3);  // no log there, and none is made
    EXPECT_FALSE(std::filesystem::exists(log_));
    create("pay", 2);
    out({"produce", "pay", "--partition", "0"}, "a\n");
    struct Case {
        std::vector<std::string> arguments;
        int exit;
        std::string reason;
    };
    for (const Case& one : std::vector<Case>{
             {{"produce", "nope"}, 3, "nope"},
             {{"consume", "nope"}, 3, "nope"},
             {{"topic", "describe", "nope"}, 3, "nope"},
             {{"topic", "delete", "nope"}, 3, "nope"},
             {{"topic", "alter", "nope", "--set", "retention.ms=1"}, 3, "nope"},
             {{"topic", "create", "pay", "--partitions", "1"}, 3, "pay"},
             {{"topic", "create", "a/b", "--partitions", "1"}, 2, "make a name"},
             {{"topic", "create", "..", "--partitions", "1"}, 2, ".."},
             {{"topic", "create", std::string(250, 'x'), "--partitions", "1"}, 2, "xxx"},
             {{"topic", "create", "x", "--partitions", "1", "--config", "retention.ms=soon"}, 2, "retention.ms"},
             {{"topic", "create", "x", "--partitions", "1", "--config", "no.such.thing=1"}, 2, "no.such.thing"},
             {{"topic", "alter", "pay", "--partitions", "1"}, 2, "pay"},
             {{"produce", "pay", "--partition", "2"}, 3, "2 of pay"},
             {{"consume", "pay", "--partition", "2"}, 3, "2 of pay"},
             {{"consume", "pay", "--partition", "0", "--from", "2"}, 3, "offset 2 of pay-0: there are 0 to 1"},
             {{"group", "describe", "nope"}, 3, "nope"},
             {{"group", "reset", "g", "--topic", "nope", "--to", "end"}, 3, "nope"},
         }) {
        const Answer answer = run(one.arguments);
        EXPECT_EQ(answer.exit, one.exit) << answer.complaint;
        EXPECT_THAT(answer.complaint, HasSubstr(one.reason));
        EXPECT_EQ(answer.out, "");
    }
    EXPECT_EQ(out({"topic", "create", "pay", "--partitions", "1", "--exists-ok"}), "");
}

TEST_F(Cli, ADirectoryOfSomethingElseIsLeftAlone) {
    std::filesystem::create_directory(log_);
    std::ofstream(log_ / "letter.txt") << "dear";
    EXPECT_EQ(run({"topic", "create", "pay", "--partitions", "1"}).exit, 3);
    EXPECT_EQ(run({"topic", "list"}).exit, 3);
    EXPECT_EQ(std::filesystem::file_size(log_ / "letter.txt"), 4u);
    EXPECT_FALSE(std::filesystem::exists(log_ / "meta.properties"));
}

// A pipe as progress file: reading its first line waits exactly until the first record is acknowledged.
class AcknowledgedPipe {
public:
    explicit AcknowledgedPipe(const std::filesystem::path& path) : path_(path.string()) {
        EXPECT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    }
    const std::string& path() const { return path_; }
    std::string first_line() {
        stream_.open(path_);
        std::string line;
        std::getline(stream_, line);
        return line;
    }

private:
    std::string path_;
    std::ifstream stream_;
};

TEST_F(Cli, ASecondWriterIsToldWhoTheFirstIs) {
    create("pay");
    AcknowledgedPipe acknowledged(directory_ / "pipe");
    Process writer(tool_path(), words({"produce", "pay", "--progress-file", acknowledged.path()}));
    writer.write("a\n");
    // It came alone and more may come: what is there is made durable before the tool waits.
    EXPECT_EQ(acknowledged.first_line(), "1");
    const Answer second = run({"produce", "pay"}, "b\n");
    EXPECT_EQ(second.exit, 3);
    EXPECT_THAT(second.complaint, AllOf(HasSubstr("process " + std::to_string(writer.pid())),
                                        HasSubstr("it serves nobody: end it"), Not(HasSubstr("shm:"))));
    EXPECT_EQ(out({"consume", "pay"}), "a\n");  // reading beside it is fine
    EXPECT_EQ(writer.wait(), 0);
    EXPECT_EQ(out({"produce", "pay"}, "b\n"), "");
}

TEST_F(Cli, FollowSeesWhatAnotherProcessAppendsAndEndsOnCtrlC) {
    create("pay", 2);
    out({"produce", "pay", "--partition", "0"}, "before\n");
    Process follower(tool_path(), words({"consume", "pay", "--follow"}));
    EXPECT_EQ(follower.read_line(), "before");
    out({"produce", "pay", "--partition", "1"}, "after\n");
    EXPECT_EQ(follower.read_line(), "after");
    follower.signal(SIGINT);
    EXPECT_EQ(follower.wait(), 0);
    EXPECT_EQ(follower.complaint(), "");
}

TEST_F(Cli, CtrlCCommitsWhatWasPrinted) {
    create("pay");
    out({"produce", "pay"}, "0\n1\n");
    Process follower(tool_path(), words({"consume", "pay", "--follow", "--group", "g"}));
    EXPECT_EQ(follower.read_line(), "0");
    EXPECT_EQ(follower.read_line(), "1");
    follower.signal(SIGINT);
    EXPECT_EQ(follower.wait(), 0);
    EXPECT_THAT(out({"group", "describe", "g", "--json"}), HasSubstr("\"committed_offset\":2"));
}

TEST_F(Cli, AReaderThatGoesAwayIsNoError) {
    create("pay");
    out({"produce", "pay"}, "a\n");
    for (int i = 0; i < 12; ++i) {  // more than a pipe holds
        out({"produce", "pay", "--quiet"}, std::string(30'000, 'x') + '\n');
    }
    Process consumer(tool_path(), words({"consume", "pay"}));
    EXPECT_EQ(consumer.read_line(), "a");
    consumer.close_output();
    EXPECT_EQ(consumer.wait(), 0);
    EXPECT_EQ(consumer.complaint(), "");
}

TEST_F(Cli, PerfMeasuresAppendsAndReads) {
    const std::string appended = out({"perf", "append", "--records", "500", "--size", "50", "--batch", "7",
                                      "--partitions", "3", "--threads", "2", "--json", "--quiet"});
    EXPECT_EQ(perf_tail_masked(appended), R"({"workload":"append","topic":"flowstone.perf","durability":"durable",)"
                                          R"("records":500,"bytes":25000,"record_bytes":50,"batch_records":7,)"
                                          R"("intended_records_per_s":0,"partition_count":3,"thread_count":2,)" +
                                              perf_tail);
    EXPECT_EQ(perf_tail_masked(out({"perf", "read", "--json", "--quiet"})),
              R"({"workload":"read","topic":"flowstone.perf","durability":"durable","records":500,"bytes":25000,)"
              R"("partition_count":3,"thread_count":1,)" +
                  perf_tail);
    EXPECT_THAT(out({"perf", "append", "--records", "20", "--partitions", "3", "--rate", "100000", "--quiet"}),
                AllOf(StartsWith("20 records (2.0 KiB"), HasSubstr("p99.9")));
    EXPECT_EQ(run({"perf", "append", "--partitions", "2", "--quiet"}).exit, 3);  // another topic than the one there
}

TEST_F(Cli, AFullDiskBehindStandardOutputIsAnError) {
    if (!std::filesystem::exists("/dev/full")) { GTEST_SKIP() << "no /dev/full"; }
    create("pay");
    out({"produce", "pay"}, "a\n");
    Process shell("/bin/sh", {"-c", tool_path() + " -L dir:" + log_.string() + " consume pay > /dev/full"});
    EXPECT_EQ(shell.wait(), 3);
    EXPECT_THAT(shell.complaint(), AllOf(StartsWith("flowstone: "), HasSubstr("No space left on device")));
}

}  // namespace
}  // namespace flowstone::tool
