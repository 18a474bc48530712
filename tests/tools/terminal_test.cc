// What long jobs say while they work: on a terminal how far they are, in a pipe nothing.

#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/paths.h"
#include "tests/tools/process.h"

namespace flowstone::tool {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class TerminalTest : public testing::Test {
protected:
    TerminalTest() {
        std::string name = testing::TempDir() + "flowstone_terminal_XXXXXX";
        directory_ = ::mkdtemp(name.data());
        run({"-L", "dir:" + log(), "topic", "create", "payments", "--partitions", "2"});
        for (const char* partition : {"0", "1"}) {
            run({"-L", "dir:" + log(), "produce", "payments", "--partition", partition, "-q"}, "Corner Shop\n");
        }
    }
    ~TerminalTest() override { std::filesystem::remove_all(directory_); }

    std::string log() const { return directory_ + "/log"; }
    // What it said on standard error.
    std::string run(const std::vector<std::string>& words, const std::string& input = "",
                    Process::Complaints to = Process::Complaints::pipe) {
        Process process(tool_path(), words, to);
        process.write(input);
        EXPECT_EQ(process.wait(), 0) << process.complaint();
        out_ = process.out();
        return process.complaint();
    }

    // What only we write goes; what is left is what Kafka leaves.
    void forget_ours() const {
        for (const auto& entry : std::filesystem::directory_iterator(log())) {
            const std::string file = entry.path().filename();
            if (file.starts_with("flowstone-")) { std::filesystem::remove(entry.path()); }
        }
    }

    std::string directory_;
    std::string out_;  // of the last run
};

TEST_F(TerminalTest, WhatReadsSegmentsShowsHowFarItIs) {
    if (!Process::has_terminals()) { GTEST_SKIP() << "there are no pseudo-terminals (devpts is not mounted)"; }
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"segment", "stat", log()},
          {"segment", "dump", log()},
          {"segment", "verify", log()},
          {"segment", "grep", "Corner", log()},
          {"segment", "reseal", log() + "/payments-0"},
          {"segment", "salvage", log() + "/payments-0", log() + "/payments-1", directory_ + "/saved"}}) {
        const std::string shown = run(words, "", Process::Complaints::terminal);
        // The line is painted, and taken away again.
        EXPECT_THAT(shown, AllOf(StartsWith("\r"), HasSubstr("% "), HasSubstr("/s"), EndsWith("\r\x1b[K"))) << words[1];
        const std::string on_terminal = out_;
        EXPECT_THAT(on_terminal, Not(HasSubstr("\x1b"))) << words[1];
        std::filesystem::remove_all(directory_ + "/saved");
        EXPECT_EQ(run(words), "") << words[1];
        EXPECT_EQ(out_, on_terminal) << words[1];
        std::filesystem::remove_all(directory_ + "/saved");
    }
}

TEST_F(TerminalTest, OpeningsThatMayReadMuchShowHowFarTheyAre) {
    if (!Process::has_terminals()) { GTEST_SKIP() << "there are no pseudo-terminals (devpts is not mounted)"; }
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"repair"}, {"repair", "--accept-loss"}, {"adopt"}}) {
        const std::vector<std::string> all{"-L", "dir:" + log()};
        auto command = words;
        command.insert(command.begin(), all.begin(), all.end());
        if (words[0] == "adopt") { forget_ours(); }
        const std::string shown = run(command, "", Process::Complaints::terminal);
        EXPECT_THAT(shown, AllOf(StartsWith("\r"), HasSubstr("/s"), EndsWith("\r\x1b[K"))) << words.back();
        const std::string on_terminal = out_;
        EXPECT_THAT(on_terminal, Not(HasSubstr("\x1b"))) << words.back();
        if (words[0] == "adopt") {
            EXPECT_THAT(shown, HasSubstr("% "));
            forget_ours();
        }
        EXPECT_EQ(run(command), "") << words.back();
        EXPECT_EQ(out_, on_terminal) << words.back();
    }
}

}  // namespace
}  // namespace flowstone::tool
