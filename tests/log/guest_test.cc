// A guest in somebody's process: what closing, moving and forking leave behind.
#include <flowstone/log.h>

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "storage/disk.h"

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

// As containers do it; for this process, and for good.
bool forbid_io_uring() {
    sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{.len = std::size(steps), .filter = steps};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// How a process of its own ended: 0 when `done` answered true.
int in_a_child(const std::function<bool()>& done) {
    const pid_t child = ::fork();
    if (child == 0) { ::_exit(done() ? 0 : 1); }
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
}

// Nothing is thrown: whoever has no memory left, or a callback that throws, ends in std::terminate. Arguments are made by the
// caller.
[[maybe_unused]] void no_exception_leaves_a_call(Log& log, Topic& topic, Reader& reader, const Error& error,
                                                 const Record& record, std::span<const Record> records,
                                                 const ConfigMap& configs, From from, std::chrono::milliseconds timeout,
                                                 const ReadOptions& options) {
    static_assert(
        noexcept(log.topic({})) && noexcept(log.create_topic({})) && noexcept(log.delete_topic({})) &&
        noexcept(log.add_partitions({}, 1)) && noexcept(log.alter_topic({}, configs)) && noexcept(log.topics()) &&
        noexcept(log.describe({})) && noexcept(log.losses()) && noexcept(log.append_atomic({})) &&
        noexcept(log.append_step({}, {})) && noexcept(log.wait({})) && noexcept(log.flush()) && noexcept(log.poll()) &&
        noexcept(log.commit_offsets({}, {})) && noexcept(log.fetch_offsets({})) && noexcept(log.groups()) &&
        noexcept(log.delete_offsets({})) && noexcept(log.new_producer_id()) && noexcept(log.checkpoint()) &&
        noexcept(log.maintain()) && noexcept(log.close(timeout)) && noexcept(log.path()) && noexcept(log.read_only()) &&
        noexcept(log.shards()) && noexcept(topic.append(record)) && noexcept(topic.append(records)) &&
        noexcept(topic.append_async(record)) && noexcept(topic.append_batch(0, {})) &&
        noexcept(topic.append_as_is(0, {})) && noexcept(topic.wait(0, {}, {})) && noexcept(topic.read(options)) &&
        noexcept(topic.partition(0)) && noexcept(topic.offset_for_time(0, 0)) &&
        noexcept(topic.delete_records(0, {})) && noexcept(topic.name()) && noexcept(topic.partitions()) &&
        noexcept(reader.next()) && noexcept(reader.position()) && noexcept(reader.seek(from)) &&
        noexcept(error.message()) && noexcept(error.with_detail({})));
}

TEST_P(GuestTest, AnExceptionOfACallbackEndsTheProcessInsteadOfLeavingACall) {
    const int status = in_a_child([this] {
        if (!forbid_io_uring()) { return false; }  // so that a line is said
        std::set_terminate([] { ::_exit(42); });
        try {
            const auto log = Log::open(path_, {.threads = GetParam(), .on_log = [](std::string_view) { throw 1; }});
        } catch (...) { ::_exit(43); }
        return false;
    });
    if (WEXITSTATUS(status) == 1) { GTEST_SKIP() << "seccomp cannot be used here"; }
    EXPECT_EQ(WEXITSTATUS(status), 42);
}

TEST_P(GuestTest, WhereIoUringIsForbiddenALineSaysSoAndEverythingWorks) {
    const auto lines_of_an_opening = [this] {
        std::vector<std::string> lines;
        auto log = Log::open(path_, {.threads = GetParam(),
                                     .journal_bytes_max = 16u << 20,
                                     .on_log = [&](std::string_view line) { lines.emplace_back(line); }});
        auto topic = log ? log->create_topic("events", {.exists_ok = true}) : std::unexpected(log.error());
        if (!topic || !topic->append({.value = "v"}) || !log->close()) { lines.emplace_back("does not work"); }
        return lines;
    };
    if (in_a_child([] { return forbid_io_uring(); }) != 0) { GTEST_SKIP() << "seccomp cannot be used here"; }
    EXPECT_EQ(in_a_child([&] {
                  const std::vector<std::string> expected = {
                      path_ + ": io_uring cannot be used here; POSIX calls read and write instead"};
                  return forbid_io_uring() && lines_of_an_opening() == expected;
              }),
              0);
    if (open_uring_disk() != nullptr) { EXPECT_EQ(lines_of_an_opening(), std::vector<std::string>{}); }
}

}  // namespace
}  // namespace flowstone
