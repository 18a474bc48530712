#include "tools/flowstone/command_line.h"

#include <algorithm>
#include <iterator>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flowstone::tool {
namespace {

using testing::HasSubstr;

// Words apart by blanks.
CommandLine parse(const std::string& line) {
    std::istringstream words(line);
    return parse_command_line({std::istream_iterator<std::string>(words), {}});
}

TEST(CommandLine, VersionAndHelpAreAnswersNotComplaints) {
    EXPECT_EQ(parse_command_line({"--version"}).text, "flowstone 0.1.0\n");
    EXPECT_EQ(parse_command_line({"--version"}).exit, Exit::done);
    const CommandLine help = parse_command_line({"completion", "bash", "--help"});
    EXPECT_EQ(help.exit, Exit::done);
    EXPECT_FALSE(help.run);
    EXPECT_EQ(help.text,
              "For bash: put it in ~/.bashrc, or source it\n"
              "Usage: flowstone completion bash [OPTIONS]\n"
              "\n"
              "Options:\n"
              "  -h,--help                   Print this help message and exit\n"
              "\n"
              "Examples:\n"
              "  source <(flowstone completion bash)\n");
}

TEST(CommandLine, WrongUsageIsOneLineThatNamesTheHelp) {
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {}, {"fly"}, {"--fly"}, {"completion"}, {"completion", "csh"}, {"completion", "bash", "extra"}, {"-L"}}) {
        const CommandLine wrong = parse_command_line(arguments);
        EXPECT_EQ(wrong.exit, Exit::usage);
        EXPECT_FALSE(wrong.run);
        EXPECT_EQ(wrong.text.find('\n'), std::string::npos) << wrong.text;
        EXPECT_THAT(wrong.text, HasSubstr("--help"));
    }
    EXPECT_EQ(parse_command_line({"fly"}).text, "there is no command 'fly'; see flowstone --help");
    EXPECT_EQ(parse_command_line({"completion", "csh"}).text,
              "there is no command 'csh'; see flowstone completion --help");
}

TEST(CommandLine, TheLogMayBeNamedBeforeOrBehindTheCommand) {
    EXPECT_TRUE(parse_command_line({"-L", "dir:a", "completion", "bash"}).run);
    EXPECT_TRUE(parse_command_line({"completion", "bash", "-L", "dir:a"}).run);
}

// Expected text written by hand: what people and scripts read changes only on purpose.
TEST(CommandLine, HelpSaysWhatACommandTakesAndShowsExamples) {
    EXPECT_EQ(parse_command_line({"group", "reset", "--help"}).text,
              "Commit another place, from which the group goes on\n"
              "Usage: flowstone group reset [OPTIONS] GROUP\n"
              "\n"
              "Positionals:\n"
              "  GROUP TEXT REQUIRED         \n"
              "\n"
              "Options:\n"
              "  -h,--help                   Print this help message and exit\n"
              "  --json                      One JSON object a line\n"
              "  --topic TEXT REQUIRED       Of which topic\n"
              "  --to beginning|end|OFFSET|TIME REQUIRED\n"
              "                              Where it goes on: beginning, end, an offset, or a time (RFC 3339)\n"
              "  --partition P               All partitions unless given\n"
              "\n"
              "Examples:\n"
              "  flowstone group reset billing --topic payments --to beginning\n"
              "  flowstone group reset billing --topic payments --to 2014-04-01T00:00:00Z --partition 3\n");
}

TEST(CommandLine, EveryCommandHasHelpWithExamples) {
    for (const char* line :
         {"",        "topic",        "topic create", "topic list",    "topic describe", "topic alter", "topic delete",
          "produce", "consume",      "group",        "group list",    "group describe", "group reset", "group delete",
          "repair",  "adopt",        "perf",         "perf append",   "perf read",      "completion",  "manual",
          "copy",    "perf produce", "perf consume", "perf roundtrip"}) {
        const CommandLine help = parse(std::string(line) + " --help");
        EXPECT_EQ(help.exit, Exit::done) << line;
        EXPECT_FALSE(help.run) << line;
        EXPECT_THAT(help.text, HasSubstr("Usage: flowstone")) << line;
        EXPECT_THAT(help.text, HasSubstr("Examples:\n  ")) << line;
    }
}

TEST(CommandLine, TakesWhatTheHelpShows) {
    for (const char* line :
         {"topic create payments --partitions 8",
          "topic create clicks --partitions 1 --durability written --config retention.ms=1 --config a=b --exists-ok",
          "topic create payments --partitions 8 --replicas 3",
          "topic create topic --partitions 1",  // names of commands are names like others
          "topic create create --partitions 1",
          "produce produce",
          "produce group",
          "consume list --partition 0",
          "topic list --json --internal",
          "topic describe",
          "topic describe payments --json",
          "topic alter payments --set a=b --set c= --unset d --partitions 9",
          "topic delete payments",
          "produce payments --key-field /data/accountId --header a=b --header c=d --compression zstd --quiet",
          "produce payments --key-separator : --partition 3 -q",
          "produce payments --csv --key-field /card --csv-row-number row --resume --progress-file /tmp/x",
          "consume payments --from 17 --max 0 --format %v",
          "consume payments --follow --group g --json",
          "copy broker:9092 payments -L dir:./here",
          "copy dir:./here payments -L a:1,b:2 --from 2014-04-01T00:00:00Z --to 17 --partition 3 --json -q",
          "group list",
          "group describe g --json",
          "group describe g --state",
          "group describe g --members --json",
          "group reset g --topic t --to end --partition 0",
          "group delete g",
          "repair",
          "adopt",
          "repair --accept-loss --json",
          "perf append --records 10 --size 0 --batch 5 --partitions 3 --threads 2 --durability memory --rate 7 --json",
          "perf read --topic payments --records 10 --threads 2 -q",
          "perf produce --records 10 --size 5 --batch-bytes 1000 --linger 0 --compression zstd --acks 1 --json",
          "perf produce --rate 7",
          "perf produce --no-idempotence --partitions 3 --threads 2 --durability memory",
          "perf consume --topic payments --records 10 --threads 2 -q",
          "perf roundtrip --records 10 --size 5 --rate 7 --acks 0 --compression none",
          "-L a:1 -X linger.ms=0 -X acks=1 produce payments",
          "-L a:1 consume payments -X isolation.level=read_committed",
          "-L dir:x -v topic list"}) {
        const CommandLine right = parse(line);
        EXPECT_TRUE(right.run) << line << ": " << right.text;
    }
}

TEST(CommandLine, RefusesWhatCanNeverBeRight) {
    for (const char* line : {"topic create",
                             "topic create payments",
                             "topic create --partitions 8",
                             "topic create payments --partitions 0",
                             "topic create payments --partitions -1",
                             "topic create payments --partitions x",
                             "topic create payments --partitions 100001",
                             "topic create payments --partitions 1 --replicas 0",
                             "topic create payments --partitions 1 --replicas 32768",
                             "topic create payments --partitions 1 --replicas -1",
                             "topic create payments --partitions 1 --durability eternal",
                             "topic create payments extra --partitions 1",
                             "topic delete",
                             "topic alter",
                             "produce",
                             "produce payments --compression rar",
                             "produce payments --partition -1",
                             "consume",
                             "consume payments --max -1",
                             "consume payments --partition x",
                             "consume payments --json --format %v",
                             "consume payments --from",
                             "consume payments --group=",
                             "group describe",
                             "group describe g --state --members",
                             "group reset g --topic t",
                             "group reset g --to end",
                             "perf append --threads 0",
                             "perf append --batch 0",
                             "perf append --size -1",
                             "perf append --records -1",
                             "perf append --rate -5",
                             "perf read --records 1.5",
                             "consume payments --max 9223372036854775808",
                             "consume payments --partition 2147483648",
                             "perf read --rate 1",
                             "perf produce --acks 2",
                             "perf produce --compression rar",
                             "perf produce --batch-bytes 1",
                             "perf consume --rate 1",
                             "perf roundtrip --threads 2",
                             "-X linger.ms=soon topic list",
                             "-X no.such.thing=1 topic list",
                             "topic list -X linger.ms",
                             "perf"}) {
        const CommandLine wrong = parse(line);
        EXPECT_EQ(wrong.exit, Exit::usage) << line;
        EXPECT_FALSE(wrong.run) << line;
    }
}

TEST(CommandLine, WhatIsFoundWrongWhenItRunsIsWrongUsageToo) {
    for (const char* line :
         {"-L nowhere topic list", "-L dir: topic list", "consume payments --from yesterday",
          "consume payments --from -1", "consume payments --format %z", "produce payments --key-field card",
          "produce payments --key-field /a --key-separator :", "produce payments --csv --key-separator :",
          "produce payments --csv-row-number row", "produce payments --header novalue", "produce payments --resume",
          "produce payments --csv --csv-row-number row --resume"}) {
        const CommandLine command = parse(line);
        ASSERT_TRUE(command.run) << line;
        testing::internal::CaptureStderr();
        EXPECT_EQ(command.run(), Exit::usage) << line;
        const std::string complaint = testing::internal::GetCapturedStderr();
        EXPECT_THAT(complaint, testing::StartsWith("flowstone: ")) << line;
        EXPECT_EQ(std::count(complaint.begin(), complaint.end(), '\n'), 1) << complaint;
    }
}

TEST(CommandLine, ASettingThatNoClientHasIsRefusedWithTheNearest) {
    EXPECT_EQ(parse("-X liger.ms=0 topic list").text,
              "-X: clients have no setting 'liger.ms'; is it linger.ms?; see flowstone topic list --help");
}

TEST(CommandLine, WhatWorksOnADirectoryAloneSaysSoOfOtherEndpoints) {
    for (const auto& [line, told] :
         {std::pair("-L shm:/data repair", "works on a directory itself; use dir:PATH"),
          std::pair("-L localhost:9092 adopt", "works on a directory itself; use dir:PATH"),
          std::pair("-L localhost:9092 perf append", "this is of a directory; of brokers: perf produce"),
          std::pair("-L shm:/data perf read", "this is of a directory; of brokers: perf consume")}) {
        testing::internal::CaptureStderr();
        EXPECT_EQ(parse(line).run(), Exit::failed) << line;
        EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr(told)) << line;
    }
}

TEST(CommandLine, CompletionAndManualNameEveryCommand) {
    for (const char* line : {"completion bash", "manual"}) {
        testing::internal::CaptureStdout();
        EXPECT_EQ(parse(line).run(), Exit::done);
        const std::string text = testing::internal::GetCapturedStdout();
        for (const char* words : {"flowstone topic create", "flowstone group reset", "flowstone repair",
                                  "flowstone adopt", "flowstone perf append"}) {
            EXPECT_THAT(text, HasSubstr(words)) << line;
        }
    }
}

}  // namespace
}  // namespace flowstone::tool
