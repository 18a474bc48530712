// A directory that Kafka wrote, and the built programs: they refuse to write to it until they are told to take it over.
#include <stdlib.h>

#include <csignal>
#include <filesystem>

#include <flowstone/log.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/paths.h"
#include "tests/tools/process.h"

namespace flowstone::tool {
namespace {

using testing::HasSubstr;

// A log of ours that has lost what is only ours is what Kafka leaves.
class AdoptCommandTest : public testing::Test {
protected:
    AdoptCommandTest() {
        std::string name = testing::TempDir() + "flowstone_adopt_XXXXXX";
        top_ = ::mkdtemp(name.data());
        auto log = Log::open(path());
        EXPECT_TRUE(log);
        auto topic = log->create_topic("payments", {.partitions = 2});
        EXPECT_TRUE(topic);
        EXPECT_TRUE(topic->append({.value = "0"}, {.partition = 1}));
        EXPECT_TRUE(log->close());
        for (const auto& entry : std::filesystem::directory_iterator(path())) {
            const std::string file = entry.path().filename();
            if (file.starts_with("flowstone-")) { std::filesystem::remove(entry.path()); }
        }
    }
    ~AdoptCommandTest() override { std::filesystem::remove_all(top_); }

    std::string path() const { return top_ / "log"; }
    int run(std::vector<std::string> words, const std::string& input = "") {
        words.insert(words.begin(), {"-L", "dir:" + path()});
        Process process(tool_path(), words);
        process.write(input);
        const int exit = process.wait();
        out_ = process.out();
        complaint_ = process.complaint();
        return exit;
    }

    std::filesystem::path top_;
    std::string out_;
    std::string complaint_;
};

TEST_F(AdoptCommandTest, TheToolReadsAndRefusesToWriteUntilItIsToldTo) {
    EXPECT_EQ(run({"consume", "payments"}), 0);
    EXPECT_EQ(out_, "0\n");
    EXPECT_EQ(run({"produce", "payments", "--partition", "1", "--quiet"}, "1\n"), 3);
    EXPECT_THAT(complaint_, HasSubstr("flowstone adopt"));

    EXPECT_EQ(run({"adopt"}), 0) << complaint_;
    EXPECT_EQ(out_, path() + " is ours: 1 topics, 2 partitions\n");
    EXPECT_EQ(run({"produce", "payments", "--partition", "1", "--quiet"}, "1\n"), 0) << complaint_;
    EXPECT_EQ(run({"consume", "payments"}), 0);
    EXPECT_EQ(out_, "0\n1\n");
}

TEST_F(AdoptCommandTest, TheBrokerServesItOnlyWhenItIsToldTo) {
    std::vector<std::string> words{"--data", path(), "--listen", "127.0.0.1:0", "-X", "http=off"};
    Process refused(flowstoned_path(), words);
    EXPECT_EQ(refused.wait(), 3);
    EXPECT_THAT(refused.complaint(), HasSubstr("flowstoned --adopt"));

    words.emplace_back("--adopt");
    Process broker(flowstoned_path(), words);
    std::string line;
    do { line = broker.read_line(); } while (!line.empty() && line.find("the log is in") == std::string::npos);
    EXPECT_EQ(line, "the log is in " + path());
    broker.signal(SIGTERM);
    EXPECT_EQ(broker.wait(), 0) << broker.complaint();
    EXPECT_EQ(run({"consume", "payments"}), 0);
    EXPECT_EQ(out_, "0\n");
}

}  // namespace
}  // namespace flowstone::tool
