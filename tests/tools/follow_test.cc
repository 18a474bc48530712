// Two real processes on one directory: this one writes, the tool follows.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <flowstone/log.h>

#include "tests/paths.h"

namespace flowstone {
namespace {

class FollowTest : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "flowstone-follow-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        root_ = name;
    }
    void TearDown() override {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }
    std::filesystem::path root_;
};

TEST_F(FollowTest, TheToolSeesInOrderWhatThisProcessGoesOnAppending) {
    constexpr int before = 300;
    constexpr int total = 1500;
    const std::string data = (root_ / "data").string();
    auto log = Log::open(data, {.journal_bytes_max = 16u << 20});
    ASSERT_TRUE(log) << log.error().message();
    auto topic = log->create_topic("events", {.configs = {{"segment.bytes", "1048576"}}});
    ASSERT_TRUE(topic) << topic.error().message();
    const std::string rest(2000, 'x');
    const auto append = [&](int i) {
        const std::string value = std::to_string(i) + " " + rest;
        const auto at = topic->append({.key = std::nullopt, .value = value}, {.partition = 0});
        ASSERT_TRUE(at) << at.error().message();
    };
    for (int i = 0; i < before; ++i) { append(i); }
    // Ends by itself when it has them all; a reader that misses one is ended by the time-out.
    const std::string command = "timeout 60 " + tool_path() + " -L '" + data + "' consume events --follow --max " +
                                std::to_string(total) + " --format '%v' 2>&1";
    FILE* tool = popen(command.c_str(), "r");
    ASSERT_NE(tool, nullptr);
    for (int i = before; i < total; ++i) {
        append(i);
        if (i % 400 == 0) { ASSERT_TRUE(log->checkpoint()); }
    }
    int next = 0;
    char line[4096];
    while (std::fgets(line, sizeof line, tool) != nullptr) {
        ASSERT_EQ(std::string(line), std::to_string(next) + " " + rest + "\n") << "line " << next;
        ++next;
    }
    EXPECT_EQ(pclose(tool), 0);
    EXPECT_EQ(next, total);
    EXPECT_TRUE(log->close());
}

}  // namespace
}  // namespace flowstone
