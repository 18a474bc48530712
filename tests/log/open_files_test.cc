// How many files a log keeps open, on a real disk: a process may open 1,024 where nobody asked for more.
#include <stdlib.h>
#include <sys/resource.h>

#include <filesystem>

#include <flowstone/log.h>
#include <gtest/gtest.h>

namespace flowstone {
namespace {

// Fewer descriptors than partitions while this lives, with some for what the process has open besides.
class FewDescriptors {
public:
    explicit FewDescriptors(rlim_t count) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit few{.rlim_cur = count, .rlim_max = before_.rlim_max};
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    }
    ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    FewDescriptors(const FewDescriptors&) = delete;
    FewDescriptors& operator=(const FewDescriptors&) = delete;

private:
    rlimit before_{};
};

class OpenFilesTest : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Levels, OpenFilesTest, testing::Values("durable", "written", "memory"),
                         [](const auto& info) { return info.param; });

TEST_P(OpenFilesTest, MorePartitionsAreWrittenToThanFilesMayBeOpen) {
    constexpr int32_t partitions = 300;
    std::string name = testing::TempDir() + "flowstone_open_files_XXXXXX";
    const std::filesystem::path path = ::mkdtemp(name.data());
    const FewDescriptors few(160);
    const Options options{.dirty_bytes_max = 1u << 20, .open_files_max = 64};
    const std::string value(9'000, 'v');
    {
        auto log = Log::open(path, options);
        ASSERT_TRUE(log) << log.error().message();
        auto topic =
            log->create_topic("events", {.partitions = partitions, .configs = {{"flowstone.durability", GetParam()}}});
        ASSERT_TRUE(topic) << topic.error().message();
        for (int32_t round = 0; round < 3; ++round) {
            for (int32_t i = 0; i < partitions; ++i) {
                const auto pending = topic->append_async({.value = value}, {.partition = i});
                ASSERT_TRUE(pending) << pending.error().message();
            }
            const auto flushed = log->flush();
            ASSERT_TRUE(flushed) << flushed.error().message();
        }
        const auto closed = log->close();
        ASSERT_TRUE(closed) << closed.error().message();
    }
    auto log = Log::open(path, options);
    ASSERT_TRUE(log) << log.error().message();
    auto topic = log->topic("events");
    ASSERT_TRUE(topic);
    for (int32_t i = 0; i < partitions; ++i) {
        const auto info = topic->partition(i);
        ASSERT_TRUE(info) << info.error().message();
        EXPECT_EQ(info->log_end, Offset{3});
        const auto file = path / ("events-" + std::to_string(i)) / "00000000000000000000.log";
        EXPECT_EQ(std::filesystem::file_size(file), static_cast<uint64_t>(info->bytes)) << "cut to its last batch";
    }
    ASSERT_TRUE(log->close());
    std::filesystem::remove_all(path);
}

size_t descriptors_below(const std::filesystem::path& path) {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code ignored;
        count += std::filesystem::read_symlink(entry.path(), ignored).string().starts_with(path.string()) ? 1 : 0;
    }
    return count;
}

// Those of the directory itself: its lock, the journal, the topics' metadata.
TEST_P(OpenFilesTest, AnIdlePartitionTakesNoDescriptor) {
    constexpr int32_t partitions = 40;
    std::string name = testing::TempDir() + "flowstone_open_files_XXXXXX";
    const std::filesystem::path path = ::mkdtemp(name.data());
    {
        auto log = Log::open(path);
        ASSERT_TRUE(log) << log.error().message();
        auto topic =
            log->create_topic("events", {.partitions = partitions, .configs = {{"flowstone.durability", GetParam()}}});
        ASSERT_TRUE(topic) << topic.error().message();
        const size_t without = descriptors_below(path);
        for (int32_t i = 0; i < partitions; ++i) { ASSERT_TRUE(topic->append({.value = "v"}, {.partition = i})); }
        ASSERT_TRUE(log->checkpoint());
        EXPECT_EQ(descriptors_below(path), without) << "idle since the checkpoint";
        ASSERT_TRUE(log->close());
    }
    auto log = Log::open(path);
    ASSERT_TRUE(log) << log.error().message();
    const size_t without = descriptors_below(path);
    auto topic = log->topic("events");
    ASSERT_TRUE(topic);
    for (int32_t i = 0; i < partitions; ++i) {
        ASSERT_TRUE(topic->partition(i));
        auto reader = topic->read({.partition = i});
        ASSERT_TRUE(reader);
        const auto batch = reader->next();
        ASSERT_TRUE(batch);
        ASSERT_FALSE(batch->empty());
    }
    EXPECT_EQ(descriptors_below(path), without) << "looked at and read since the opening";
    ASSERT_TRUE(log->close());
    std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace flowstone
