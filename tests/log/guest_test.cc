// A guest in somebody's process: what closing, moving and forking leave behind.
#include <flowstone/log.h>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace flowstone {
namespace {

class GuestTest : public testing::TestWithParam<uint32_t> {
protected:
    GuestTest() {
        std::string name = std::filesystem::temp_directory_path() / "flowstone-guest-XXXXXX";
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    ~GuestTest() override { std::filesystem::remove_all(path_); }
    Result<Log> open() { return Log::open(path_, {.threads = GetParam(), .journal_bytes_max = 16u << 20}); }
    std::string path_;
};
INSTANTIATE_TEST_SUITE_P(Threads, GuestTest, testing::Values(0u, 1u),
                         [](const auto& info) { return "With" + std::to_string(info.param); });

TEST_P(GuestTest, AfterClosingEveryCallAnswersClosed) {
    auto log = open();
    ASSERT_TRUE(log) << log.error().message();
    auto topic = log->create_topic("events");
    ASSERT_TRUE(topic);
    auto pending = topic->append_async({.key = "k", .value = "v"});
    auto reader = topic->read();
    ASSERT_TRUE(pending && reader);
    ASSERT_TRUE(log->close());
    EXPECT_TRUE(log->wait(*pending)) << "it was flushed";
    auto refused = topic->append({.key = "k", .value = "v"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::closed);
    EXPECT_EQ(refused.error().fate, Fate::not_appended);
    auto batch = reader->next();
    ASSERT_FALSE(batch);
    EXPECT_EQ(batch.error().code, Code::closed);
    EXPECT_EQ(log->flush().error().code, Code::closed);
    EXPECT_EQ(log->create_topic("other").error().code, Code::closed);
    EXPECT_EQ(log->checkpoint().error().code, Code::closed);
    { const Reader ended = std::move(*reader); }  // which must not outlive its log
    Log moved = std::move(*log);
    EXPECT_EQ(log->flush().error().code, Code::closed);
}

TEST_P(GuestTest, AnAppendOfAnotherLogIsNotWaitedFor) {
    auto log = open();
    ASSERT_TRUE(log);
    EXPECT_EQ(log->wait({}).error().code, Code::invalid);
    auto topic = log->create_topic("events");
    auto pending = topic->append_async({.key = "k", .value = "v"});
    ASSERT_TRUE(pending);
    pending->at.offset = pending->at.offset + 5;
    EXPECT_EQ(log->wait(*pending).error().code, Code::invalid);
}

TEST_P(GuestTest, AForkedChildTouchesNothing) {
    auto log = open();
    ASSERT_TRUE(log);
    auto topic = log->create_topic("events");
    ASSERT_TRUE(topic->append({.key = "k", .value = "before"}));
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        auto refused = topic->append({.key = "k", .value = "child"});
        if (refused || refused.error().code != Code::closed) { _exit(1); }
        if (log->close() || log->flush()) { _exit(2); }
        { const Log gone = std::move(*log); }
        auto other = open();
        if (other || other.error().code != Code::locked) { _exit(3); }
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << WEXITSTATUS(status);
    ASSERT_TRUE(topic->append({.key = "k", .value = "after"}));
    ASSERT_TRUE(log->close());
}

TEST_P(GuestTest, AForkedChildThatLivesOnDoesNotKeepTheDirectory) {
    auto log = open();
    ASSERT_TRUE(log);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        char byte = 0;
        ::close(ends[1]);
        _exit(static_cast<int>(::read(ends[0], &byte, 1)));  // until the parent has looked
    }
    EXPECT_TRUE(log->close());
    auto again = open();
    EXPECT_TRUE(again) << again.error().message();
    ::close(ends[0]);
    ::close(ends[1]);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace flowstone
