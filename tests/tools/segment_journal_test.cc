#include <flowstone/log.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "storage/bytes.h"
#include "storage/disk.h"
#include "tests/paths.h"
#include "tests/storage/value_of.h"
#include "tests/tools/masked.h"
#include "tools/flowstone/segment.h"

namespace flowstone::tool {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// The files of a log while it is open, as a kill at this moment would leave them, and the tool run on them.
class SegmentJournalTest : public testing::Test {
protected:
    SegmentJournalTest() {
        char path[] = "/tmp/flowstone_journal_XXXXXX";
        top_ = ::mkdtemp(path);
        auto log = Log::open(live());
        EXPECT_TRUE(log);
        EXPECT_TRUE(log->create_topic("payments", {.partitions = 2}));
        auto topic = log->topic("payments");
        EXPECT_TRUE(topic);
        append(*topic, "Corner Shop 1");
        EXPECT_TRUE(log->checkpoint());
        for (const char* shop : {"Corner Shop 2", "Corner Shop 3", "Corner Shop 4"}) { append(*topic, shop); }
        std::filesystem::copy(live(), crashed(), std::filesystem::copy_options::recursive);
        EXPECT_TRUE(log->close());
    }
    ~SegmentJournalTest() override { std::filesystem::remove_all(top_); }

    static void append(Topic& topic, std::string_view value) {
        EXPECT_TRUE(topic.append({.key = "card", .value = value}, {.partition = 1}));
    }
    std::string live() const { return top_ + "/live"; }
    std::string crashed() const { return top_ + "/crashed"; }
    std::string ring() const { return crashed() + "/flowstone-journal-0.0000"; }

    struct Ran {
        int exit = -1;
        std::string out;
        std::string error;
    };
    Ran run(const std::string& arguments) const {
        const std::string error_path = top_ + "/error";
        const std::string command = tool_path() + " segment " + arguments + " 2>" + error_path;
        Ran ran;
        FILE* pipe = ::popen(command.c_str(), "r");
        char buffer[4096];
        while (const size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) { ran.out.append(buffer, count); }
        const int status = ::pclose(pipe);
        ran.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        std::ifstream error(error_path);
        ran.error.assign(std::istreambuf_iterator<char>(error), {});
        return ran;
    }
    std::string content(const std::string& path) const {
        return std::string(as_text(value_of(read_file(*disk_, path, 64u << 20))));
    }
    void flip(const std::string& path, size_t at) const {
        const auto file = disk_->open(path, {.write = true});
        std::byte byte{};
        ASSERT_TRUE(read_at(*disk_, **file, BytePos{static_cast<int64_t>(at)}, {&byte, 1}));
        byte ^= std::byte{1};
        ASSERT_TRUE(write_at(*disk_, **file, BytePos{static_cast<int64_t>(at)}, {&byte, 1}));
    }
    // Where the commit begins that holds this text: commits begin on blocks of 4096 bytes, with their magic.
    size_t commit_of(std::string_view text) const {
        const std::string bytes = content(ring());
        size_t at = bytes.find(text);
        EXPECT_NE(at, std::string::npos);
        at = at / 4096 * 4096;
        while (at > 0 && bytes.compare(at, 8, "FLOWCMT1") != 0) { at -= 4096; }
        return at;
    }

    std::string top_;
    std::unique_ptr<Disk> disk_ = open_posix_disk();
};

TEST_F(SegmentJournalTest, StatHasALineForEachRingFileAndSlot) {
    const Ran ran = run("stat " + crashed());
    EXPECT_EQ(ran.exit, 0) << ran.error;
    EXPECT_THAT(ran.out, HasSubstr("\nflowstone-journal-0.0000 "));
    EXPECT_THAT(ran.out, HasSubstr("\nflowstone-checkpoint-0 "));
    EXPECT_THAT(ran.out, HasSubstr("\nflowstone-checkpoint-1 "));
    EXPECT_THAT(ran.out, HasSubstr("  newest\n"));
    const Ran one = run("stat --json " + ring());
    EXPECT_EQ(masked(one.out, "commits|first_sequence|last_sequence|generation|needed_bytes|used_bytes"),
              R"({"type":"journal","path":")" + ring() +
                  R"(","shard":0,"commits":N,"first_sequence":N,"last_sequence":N,"generation":N,"needed_bytes":N,)"
                  R"("used_bytes":N,"bytes":16777216,"state":"good"})"
                  "\n");
}

// Frozen: members may be added at the end, none may change.
TEST_F(SegmentJournalTest, DumpAsJsonIsFrozen) {
    const std::string names =
        "sequence|generation|bytes|sum|topic_id|epoch|number|proven_bytes|boundary|boundary_offset";
    const std::string commits = masked(run("dump --json " + ring()).out, names);
    EXPECT_THAT(commits,
                HasSubstr(R"({"type":"commit","path":")" + ring() + R"(","sequence":N,"generation":N,"position":)" +
                          std::to_string(commit_of("Corner Shop 3")) +
                          R"(,"bytes":N,"sum":"S","entries":[{"kind":"batches","topic":"payments",)"
                          R"("topic_id":"S","partition":1,"base_offset":2,"end_offset":3,)"
                          R"("segment_base_offset":0,"position":)"));
    EXPECT_THAT(commits, HasSubstr(R"(,"bytes":N,"epoch":N}]})"
                                   "\n"));
    std::string slots;
    for (const char* slot : {"/flowstone-checkpoint-0", "/flowstone-checkpoint-1"}) {
        slots += masked(run("dump --json " + crashed() + slot).out, names + "|time|cluster_id|epochs|sealed_pieces");
    }
    EXPECT_THAT(slots, HasSubstr(R"(","bytes":N,"state":"newest","number":N,"clean":false,"generation":N,"time":"S",)"
                                 R"("cluster_id":"S","partitions":)"));
    EXPECT_THAT(slots, testing::ContainsRegex(
                           R"re("partitions":[0-9]+,"rings":\[\{"shard":0,"first_sequence":[0-9]+\}\]\})re"));
    EXPECT_THAT(slots, HasSubstr(R"({"type":"checkpoint_partition","number":N,"topic":"payments","topic_id":"S",)"
                                 R"("partition":1,"log_start_offset":0,"segment_base_offset":0,"proven_bytes":N,)"
                                 R"("boundary":N,"boundary_offset":N,"epochs":N,"sealed_pieces":N})"
                                 "\n"));
}

TEST_F(SegmentJournalTest, DumpShowsCommitsWithTheirEntriesAndRecords) {
    const size_t at = commit_of("Corner Shop 3");
    const Ran text = run("dump --records " + crashed());
    EXPECT_EQ(text.exit, 0) << text.error;
    EXPECT_THAT(text.out, HasSubstr(" at " + std::to_string(at) + " of flowstone-journal-0.0000, "));
    EXPECT_THAT(text.out, HasSubstr("\n  batches payments-1 offsets [2, 3) at "));
    EXPECT_THAT(text.out, HasSubstr("\tcard\tCorner Shop 3\t\n"));
    EXPECT_THAT(text.out, HasSubstr("  payments-1: log start 0, segment 0 proven to byte "));
    const Ran json = run("dump --json " + ring());
    EXPECT_THAT(json.out, HasSubstr("\"position\":" + std::to_string(at) + ','));
    EXPECT_THAT(json.out, HasSubstr("{\"kind\":\"batches\",\"topic\":\"payments\",\"topic_id\":\""));
    EXPECT_THAT(json.out, HasSubstr("\"partition\":1,\"base_offset\":2,\"end_offset\":3,\"segment_base_offset\":0,"));
    const Ran slot = run("dump --json " + crashed() + "/flowstone-checkpoint-0");
    EXPECT_THAT(slot.out, StartsWith("{\"type\":\"checkpoint\",\"path\":\""));
    EXPECT_THAT(slot.out, Not(HasSubstr("\"type\":\"commit\"")));
}

TEST_F(SegmentJournalTest, VerifyOfAKilledAndOfAClosedLogFindsNothing) {
    for (const std::string& path : {crashed(), live()}) {
        const Ran ran = run("verify " + path);
        EXPECT_EQ(ran.exit, 0) << ran.out << ran.error;
        EXPECT_THAT(ran.out, HasSubstr(" in 1 journal file, 2 checkpoints: no fault\n"));
    }
    EXPECT_THAT(run("verify " + live()).out, HasSubstr("0 needed commits"));
    EXPECT_EQ(masked(run("verify --json " + crashed()).out,
                     "segments|sealed|batches|records|bytes|journal_commits|journal_bytes"),
              R"({"segments":N,"sealed":N,"batches":N,"records":N,"bytes":N,"faults":0,"checkpoints":2,)"
              R"("journal_files":1,"journal_commits":N,"journal_bytes":N,"doubts":0})"
              "\n");
}

TEST_F(SegmentJournalTest, VerifyNamesADamagedCommitAndWhatItHeld) {
    const size_t at = commit_of("Corner Shop 3");
    flip(ring(), content(ring()).find("Corner Shop 3"));
    const Ran ran = run("verify " + crashed());
    EXPECT_EQ(ran.exit, 1);
    EXPECT_THAT(ran.out, HasSubstr(ring() + ": commit_damaged at bytes [" + std::to_string(at) + ", "));
    EXPECT_THAT(ran.out, HasSubstr("entry 0: the batch at offset 2 does not match its checksum\n"));
    EXPECT_THAT(ran.out, HasSubstr("\n  it held payments-1 offsets [2, 3)\n"));
    EXPECT_THAT(ran.out, HasSubstr(": 1 fault\n"));
    EXPECT_THAT(run("verify --json " + crashed()).out,
                StartsWith("{\"fault\":\"commit_damaged\",\"path\":\"" + ring() + "\",\"begin_byte\":"));
}

TEST_F(SegmentJournalTest, VerifyCallsABrokenLastCommitACrashTail) {
    flip(ring(), commit_of("Corner Shop 4") + 40);
    const Ran ran = run("verify " + crashed());
    EXPECT_EQ(ran.exit, 0);
    EXPECT_THAT(ran.out, HasSubstr("as the last one it may be a crash tail\n"));
    EXPECT_THAT(ran.out, HasSubstr(": no fault, 1 oddity that a crash may have left\n"));
    EXPECT_THAT(run("verify --json " + crashed()).out, StartsWith("{\"doubt\":\"commit_damaged\","));
}

TEST_F(SegmentJournalTest, VerifyNamesADamagedSlot) {
    const std::string slot = crashed() + "/flowstone-checkpoint-1";
    flip(slot, 50);
    EXPECT_THAT(run("verify " + crashed()).out, HasSubstr(slot + ": slot_damaged: "));
    flip(crashed() + "/flowstone-checkpoint-0", 50);
    EXPECT_EQ(run("verify " + crashed()).exit, 1);
}

TEST_F(SegmentJournalTest, AnUnfinishedEndPastTheCheckpointIsNoDamageAndBelowItIs) {
    const std::string log = crashed() + "/payments-1/00000000000000000000.log";
    const std::string whole = content(log);
    const auto write = [&](const std::string& bytes) {
        std::ofstream(log, std::ios::binary | std::ios::trunc) << bytes;
    };
    // A batch's beginning, as a killed write leaves it.
    write(whole + whole.substr(0, 40));
    EXPECT_EQ(run("verify " + crashed()).exit, 0) << run("verify " + crashed()).out;
    EXPECT_EQ(run("verify " + live()).exit, 0);
    write(whole.substr(0, whole.size() - 5));
    const Ran ran = run("verify " + crashed());
    EXPECT_EQ(ran.exit, 1);
    EXPECT_THAT(ran.out, HasSubstr(log + ": "));
    // Cut at a batch's end it looks whole.
    write("");
    EXPECT_THAT(run("verify " + crashed()).out, HasSubstr(log + ": cut_short at bytes [0, "));
}

TEST_F(SegmentJournalTest, GrepFindsWhatNoSegmentHasYet) {
    const Ran ran = run("grep 'Corner Shop' " + crashed());
    EXPECT_EQ(ran.exit, 0) << ran.error;
    EXPECT_EQ(std::ranges::count(ran.out, '\n'), 4) << ran.out;  // each once
    EXPECT_THAT(ran.out, HasSubstr("payments-1 3\t"));
    EXPECT_THAT(ran.error, HasSubstr("3 of these are in the journal and not yet in a segment"));
    const Ran closed = run("grep 'Corner Shop' " + live());
    EXPECT_EQ(std::ranges::count(closed.out, '\n'), 4);
    EXPECT_EQ(closed.error, "");
    EXPECT_EQ(run("grep --count --json 'Shop 4' " + crashed()).out, "{\"records\":1}\n");
    EXPECT_THAT(run("grep 'Shop 3' " + ring()).out, HasSubstr("payments-1 2\t"));
}

TEST_F(SegmentJournalTest, TheJournalIsNeitherSalvagedNorResealed) {
    const Ran salvage = run("salvage " + ring() + ' ' + top_ + "/out");
    EXPECT_EQ(salvage.exit, 2);
    EXPECT_THAT(salvage.error, HasSubstr("salvage works on segments"));
    const Ran all = run("salvage " + crashed() + ' ' + top_ + "/all");
    EXPECT_EQ(all.exit, 0) << all.error;
    EXPECT_THAT(all.error, HasSubstr(crashed() + ": the journal stays"));
    EXPECT_TRUE(std::filesystem::exists(top_ + "/all/payments-1/00000000000000000000.log"));
    const Ran reseal = run("reseal " + ring());
    EXPECT_EQ(reseal.exit, 2);
    EXPECT_THAT(reseal.error, HasSubstr("the journal, which has no seals"));
    EXPECT_EQ(run("reseal " + live()).exit, 0);
}

}  // namespace
}  // namespace flowstone::tool
