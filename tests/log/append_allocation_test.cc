// What an append asks memory for: nothing, but for what a new batch needs. Replaces operator new for the whole program.
#include <stdlib.h>

#include <array>
#include <filesystem>

#include <flowstone/log.h>
#include <gtest/gtest.h>

#include "tests/counted_new.h"

namespace flowstone {
namespace {

class AppendAllocationTest : public testing::TestWithParam<const char*> {
protected:
    AppendAllocationTest() {
        std::string name = testing::TempDir() + "flowstone_append_allocation_XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    ~AppendAllocationTest() override { std::filesystem::remove_all(path_); }
    std::filesystem::path path_;
};
INSTANTIATE_TEST_SUITE_P(Levels, AppendAllocationTest, testing::Values("durable", "written", "memory"),
                         [](const auto& info) { return info.param; });

TEST_P(AppendAllocationTest, AnAppendInTheSteadyStateTakesNone) {
    constexpr int records = 300'000;
    std::array<char, 100> value{};
    auto log = Log::open(path_, {.threads = 0, .reserve_bytes = 0});  // what a commit needs counts, too
    ASSERT_TRUE(log) << log.error().message();
    auto topic = log->create_topic("events", {.configs = {{"flowstone.durability", GetParam()}}});
    ASSERT_TRUE(topic) << topic.error().message();
    const Record record{.key = "key", .value = std::string_view(value.data(), value.size())};
    uint64_t asked = 0;
    for (int i = 0; i < 2 * records; ++i) {
        const uint64_t before = bytes_allocated;
        const auto pending = topic->append_async(record);
        if (!pending) { FAIL() << pending.error().message(); }
        if (i < records) { continue; }  // until pools and queues are as large as they get
        asked += bytes_allocated != before ? 1 : 0;
    }
    ASSERT_TRUE(log->flush());
    auto reader = topic->read({.from = Offset{records}});
    ASSERT_TRUE(reader) << reader.error().message();
    uint64_t batches = 0;
    for (;; ++batches) {
        const auto batch = reader->next();
        ASSERT_TRUE(batch) << batch.error().message();
        if (batch->empty()) { break; }
    }
    ASSERT_LT(batches, records / 100u);
    EXPECT_LE(asked, batches);
    ASSERT_TRUE(log->close());
}

}  // namespace
}  // namespace flowstone
