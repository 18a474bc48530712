// The broker as a process, with its log in two directories.
#include <unistd.h>

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <flowstone/log.h>

#include "tests/paths.h"
#include "tests/tools/process.h"

namespace flowstone::tool {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(DirectoriesOnTheCommandLine, AreServedTogetherAndEachClosesAsALogOfItsOwn) {
    std::string top = std::filesystem::temp_directory_path() / "flowstone-directories-XXXXXX";
    ASSERT_NE(mkdtemp(top.data()), nullptr);
    const std::string first = top + "/first";
    const std::string second = top + "/second";
    const auto words = [](const std::string& one, const std::string& other) {
        return std::vector<std::string>{"--data",   one,
                                        "--data",   other,
                                        "--listen", "127.0.0.1:0",
                                        "-X",       "http=off",
                                        "-X",       "journal_bytes_max=16777216",
                                        "-X",       "reserve_bytes=0"};
    };
    for (int start = 0; start < 2; ++start) {
        Process broker(flowstoned_path(), words(first, second));
        EXPECT_EQ(broker.read_line(), "the log is in " + first + ", " + second);
        EXPECT_THAT(broker.read_line(), StartsWith("try:"));
        broker.signal(SIGTERM);
        EXPECT_EQ(broker.wait(), 0) << broker.complaint();
    }
    Process refused(flowstoned_path(), words(second, first));
    EXPECT_EQ(refused.wait(), 3);
    EXPECT_THAT(refused.complaint(), HasSubstr("second was one of several directories"));
    for (const std::string& path : {first, second}) { EXPECT_TRUE(Log::open(path, {.read_only = true})) << path; }
    std::filesystem::remove_all(top);
}

}  // namespace
}  // namespace flowstone::tool
