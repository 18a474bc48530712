// SIGTERM before the broker serves anything.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "tests/paths.h"
#include "tests/tools/process.h"

namespace flowstone::tool {
namespace {

TEST(Stopping, BeforeItServesIsDoneAtOnceAndIsNoFailure) {
    std::string top = std::filesystem::temp_directory_path() / "flowstone-stop-XXXXXX";
    ASSERT_NE(mkdtemp(top.data()), nullptr);
    const std::string settings = top + "/settings.toml";
    ASSERT_EQ(::mkfifo(settings.c_str(), 0600), 0);
    Process broker(flowstoned_path(), {"--config", settings, "--data", top + "/data"});
    // Returns when the broker has opened the other end, and then waits for text that does not come.
    const int writer = ::open(settings.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(writer, 0);
    broker.signal(SIGTERM);
    EXPECT_EQ(broker.wait(), 0) << broker.complaint();
    ::close(writer);
    std::filesystem::remove_all(top);
}

}  // namespace
}  // namespace flowstone::tool
