// A log whose journal is damaged, and the built program that says so and goes on when it is told to.

#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include <flowstone/log.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/bytes.h"
#include "storage/disk.h"
#include "tests/paths.h"
#include "tests/storage/value_of.h"
#include "tests/tools/process.h"

namespace flowstone::tool {
namespace {

using testing::HasSubstr;

// Four records of payments-1, one commit each, as a kill leaves them. The third commit is damaged.
class RepairTest : public testing::Test {
protected:
    RepairTest() {
        std::string name = testing::TempDir() + "flowstone_repair_XXXXXX";
        top_ = ::mkdtemp(name.data());
        auto log = Log::open(top_ / "live");
        EXPECT_TRUE(log);
        auto topic = log->create_topic("payments", {.partitions = 2});
        EXPECT_TRUE(topic);
        for (const char* value : {"0", "1", "2", "3"}) {
            EXPECT_TRUE(topic->append({.value = value}, {.partition = 1}));
        }
        std::filesystem::copy(top_ / "live", top_ / "log", std::filesystem::copy_options::recursive);
        EXPECT_TRUE(log->close());
    }
    ~RepairTest() override { std::filesystem::remove_all(top_); }

    void damage() const {
        auto disk = open_posix_disk();
        auto file = value_of(disk->open((top_ / "log" / "flowstone-journal-0.0000").string(), {.write = true}));
        const auto size = static_cast<int64_t>(value_of(disk->size(*file)));
        std::map<uint64_t, int64_t> commits;  // where each begins, by sequence
        std::vector<std::byte> head(48);
        for (int64_t at = 4096; at + 48 <= size; at += 4096) {
            ASSERT_TRUE(read_at(*disk, *file, BytePos{at}, head));
            if (std::memcmp(head.data(), "FLOWCMT1", 8) == 0) { commits[load_le<uint64_t>(head.data() + 32)] = at; }
        }
        ASSERT_GE(commits.size(), 4u);
        const int64_t at = std::next(commits.rbegin())->second + 200;
        std::byte byte{};
        ASSERT_TRUE(read_at(*disk, *file, BytePos{at}, {&byte, 1}));
        byte ^= std::byte{16};
        ASSERT_TRUE(write_at(*disk, *file, BytePos{at}, {&byte, 1}));
    }
    struct Ran {
        int exit = -1;
        std::string out;
        std::string complaint;
    };
    Ran run(std::vector<std::string> words, const std::string& input = "") const {
        words.insert(words.begin(), {"-L", "dir:" + (top_ / "log").string()});
        Process process(tool_path(), words);
        process.write(input);
        Ran ran;
        ran.exit = process.wait();
        ran.out = process.out();
        ran.complaint = process.complaint();
        return ran;
    }

    std::filesystem::path top_;
};

TEST_F(RepairTest, NothingIsLostOfAKilledLogThatIsWhole) {
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"repair"}, std::vector<std::string>{"repair", "--accept-loss"}}) {
        const Ran ran = run(words);
        EXPECT_EQ(ran.exit, 0) << ran.complaint;
        EXPECT_EQ(ran.out, "nothing is lost\n");
    }
    EXPECT_EQ(run({"consume", "payments"}).out, "0\n1\n2\n3\n");
}

TEST_F(RepairTest, LookingNamesWhatIsLostAndChangesNothing) {
    damage();
    for (int time = 0; time < 2; ++time) {
        const Ran ran = run({"repair"});
        EXPECT_EQ(ran.exit, 1);
        EXPECT_EQ(ran.out, "payments-1: offsets [2, 3) are lost\n");
        EXPECT_THAT(ran.complaint, HasSubstr("repair --accept-loss"));
    }
    const Ran refused = run({"produce", "payments", "--partition", "1"}, "4\n");
    EXPECT_EQ(refused.exit, 3);
    EXPECT_THAT(refused.complaint, HasSubstr("`flowstone repair`"));
    EXPECT_EQ(run({"repair", "--json"}).out,
              R"({"topic":"payments","partition":1,"begin_offset":2,"end_offset":3,"accepted":false})"
              "\n");
}

TEST_F(RepairTest, AcceptingGoesOnBehindIt) {
    damage();
    const Ran ran = run({"repair", "--accept-loss"});
    EXPECT_EQ(ran.exit, 0) << ran.complaint;
    EXPECT_EQ(ran.out, "payments-1: offsets [2, 3) are lost, which is accepted\n");
    EXPECT_EQ(run({"repair"}).out, "nothing is lost\n");
    EXPECT_EQ(run({"produce", "payments", "--partition", "1", "--quiet"}, "4\n").exit, 0);
    EXPECT_EQ(run({"consume", "payments", "--format", "%o %v"}).out, "0 0\n1 1\n3 3\n4 4\n");
}

}  // namespace
}  // namespace flowstone::tool
