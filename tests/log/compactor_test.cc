// Compaction on a whole log: which records survive is decided, and tested, in compaction_test.cc.
#include "log/impl/compactor.h"

#include "storage/seal.h"
#include "storage/segment_files.h"
#include "storage/segment_verify.h"
#include "storage/transaction_index.h"
#include "tests/log/log_world.h"
#include "tests/sim/world/faulty_disk.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class CompactorTest : public LogWorld {
protected:
    static constexpr int keys = 50;
    static ConfigMap configs() {
        return {{"cleanup.policy", "compact"}, {"segment.bytes", "1048576"}, {"min.cleanable.dirty.ratio", "0.01"}};
    }
    // Record i has key i % keys; 1,000 bytes each.
    static void load(Topic& topic, int from, int to) {
        for (int i = from; i < to; ++i) {
            const std::string key = "k" + std::to_string(i % keys);
            auto at = topic.append({.key = key, .value = numbered(i)});
            ASSERT_TRUE(at) << at.error().message();
            ASSERT_EQ(at->offset, Offset{i});
        }
    }
    // Every record from `from` on whose key does not come again later must be there, and each at its own offset.
    static void expect_complete(Topic& topic, int count, int from = 0) {
        const auto all = read(topic, Offset{from});
        std::vector<bool> seen(static_cast<size_t>(count));
        int64_t last = -1;
        for (const auto& [offset, value] : all) {
            EXPECT_GT(offset, last);
            last = offset;
            ASSERT_LT(offset, count);
            EXPECT_EQ(value, numbered(static_cast<int>(offset)));
            seen[static_cast<size_t>(offset)] = true;
        }
        for (int i = std::max(from, count - keys); i < count; ++i) { EXPECT_TRUE(seen[static_cast<size_t>(i)]) << i; }
    }
    static void load_other(Topic& topic, int count) {
        for (int i = 0; i < count; ++i) { ASSERT_TRUE(topic.append({.key = "other", .value = numbered(i)})); }
    }
    static void expect_verified(Disk& disk) {
        VerifyOptions options;
        options.seals_expected = true;
        const auto counts = verify_partition(disk, "data/state-0", options, [](const SegmentFault& f) {
            ADD_FAILURE() << f.path << ": " << f.what << " at " << f.begin.value << " " << f.detail;
        });
        ASSERT_TRUE(counts) << counts.error().message();
        EXPECT_GT(counts->batches, 0u);
    }
    std::vector<std::string> logs() {
        std::vector<std::string> out;
        for (const std::string& name : files("data/state-0")) {
            if (name.ends_with(".log")) { out.push_back(name); }
        }
        return out;
    }
};

TEST_F(CompactorTest, TheLastRecordOfEachKeyStaysAndSegmentsAreMerged) {
    Log log = open();
    Topic topic = make(log, "state", configs());
    load(topic, 0, 5'000);
    const size_t before = read(topic).size();
    ASSERT_EQ(before, 5'000u);
    maintain(log);
    maintain(log);
    const auto after = read(topic);
    EXPECT_LT(after.size(), 1'500u) << "the closed segments hold at most one record of a key, the active one all";
    expect_complete(topic, 5'000);
    EXPECT_LE(logs().size(), 2u);
    EXPECT_THAT(files("data/state-0"), Not(Contains(HasSubstr("cleaned"))));
    for (int offset : {0, 1, 977, 2'000, 4'000, 4'999}) { expect_complete(topic, 5'000, offset); }
    load(topic, 5'000, 5'100);
    expect_complete(topic, 5'100);
}

TEST_F(CompactorTest, WhatWasCompactedIsThereAfterReopening) {
    for (const bool clean : {false, true}) {
        SCOPED_TRACE(clean);
        SimDisk disk;
        {
            Log log = open_on(disk);
            Topic topic = make(log, "state", configs());
            load(topic, 0, 5'000);
            maintain(log);
            if (clean) { close(log); }
        }
        Log log = open_on(disk);
        Topic topic = value_of(log.topic("state"));
        expect_complete(topic, 5'000);
        load(topic, 5'000, 8'000);
        maintain(log);
        expect_complete(topic, 8'000);
        EXPECT_LT(read(topic).size(), 1'500u);
        close(log);
    }
}

// As Kafka's data has them: aborted records are kept, so what tells them apart must be.
TEST_F(CompactorTest, TheAbortedTransactionsOfAllThatIsMergedStayKnown) {
    Log log = open();
    Topic topic = make(log, "state", configs());
    load(topic, 0, 5'000);
    std::vector<AbortedTransaction> written;
    for (const std::string& name : logs()) {
        const Offset base = parse_segment_file_name(name)->base;
        written.push_back({7, base, base + 1, base});
        ASSERT_TRUE(write_transaction_index(disk_, "data/state-0", base, {&written.back(), 1}));
    }
    ASSERT_GT(written.size(), 3u);
    maintain(log);
    maintain(log);
    ASSERT_LE(logs().size(), 2u);
    std::vector<AbortedTransaction> kept;
    for (const std::string& name : logs()) {
        const auto some = read_transaction_index(disk_, "data/state-0", parse_segment_file_name(name)->base);
        if (some) { kept = merged(std::move(kept), *some); }
    }
    EXPECT_EQ(kept, written);
}

TEST_F(CompactorTest, SealsAndIndexesOfTheNewSegmentHold) {
    Log log = open();
    Topic topic = make(log, "state", configs());
    load(topic, 0, 5'000);
    maintain(log);
    close(log);
    expect_verified(disk_);
    const auto seal = read_seal(disk_, "data/state-0", Offset{0});
    ASSERT_TRUE(seal) << seal.error().message();
    EXPECT_EQ(seal->origin, SealOrigin::rewrite);
}

TEST_F(CompactorTest, AReaderInAReplacedFileGoesOnByOffset) {
    Log log = open();
    Topic topic = make(log, "state", configs());
    load(topic, 0, 5'000);
    for (const int stand : {0, 500, 1'500, 3'900}) {
        SCOPED_TRACE(stand);
        auto reader = topic.read({.from = Offset{stand}});
        auto first = reader->next();
        ASSERT_TRUE(first);
        int64_t last = first->next_offset().value - 1;
        if (stand == 500) { maintain(log); }
        for (;;) {
            auto batch = reader->next();
            ASSERT_TRUE(batch) << batch.error().message();
            if (batch->empty()) { break; }
            for (const auto& found : *batch) {
                EXPECT_GT(found.offset.value, last);
                last = found.offset.value;
                EXPECT_EQ(found.value, numbered(static_cast<int>(last)));
            }
        }
        EXPECT_EQ(last, 4'999);
    }
}

TEST_F(CompactorTest, ATombstoneGoesAfterItsHorizonAndItsKeyWithIt) {
    Log log = open();
    ConfigMap with_retention = configs();
    with_retention.emplace_back("delete.retention.ms", std::to_string(hour_ms));
    Topic topic = make(log, "state", with_retention);
    load(topic, 0, 1);
    ASSERT_TRUE(topic.append({.key = "k0", .value = std::nullopt}));
    load_other(topic, 2'500);
    maintain(log);
    auto all = read(topic);
    EXPECT_EQ(all.front(), std::pair(int64_t{1}, std::string("(none)"))) << "the tombstone itself stays a while";
    clock_.advance_ms(hour_ms + 1);
    maintain(log);
    EXPECT_GT(read(topic).front().first, 1);
}

TEST_F(CompactorTest, PowerLossAtAnyPointLosesNoLastRecordAndBringsNoFileBack) {
    SimDisk disk({.record = true});
    uint64_t begun = 0;
    {
        Log log = open_on(disk);
        Topic topic = make(
            log, "state",
            {{"cleanup.policy", "compact"}, {"internal.segment.bytes", "9000"}, {"min.cleanable.dirty.ratio", "0.01"}});
        for (int i = 0; i < 5; ++i) { fill(topic, 0, 6); }
        begun = disk.operations();
        maintain(log);
    }
    EXPECT_EQ(files_on(*disk.crash({.keep = Crash::Keep::nothing}), "data/state-0"), files_on(disk, "data/state-0"));
    for (const CrashPoint& point : disk.sample_crashes(100, 1, begun)) {
        const auto after = disk.crash_state(point);
        Log log = open_on(*after);
        EXPECT_EQ(files_on(*after->crash({.keep = Crash::Keep::nothing}), "data/state-0"),
                  files_on(*after, "data/state-0"))
            << point.to_string();
        Topic topic = value_of(log.topic("state"));
        const auto all = read(topic);
        ASSERT_GE(all.size(), 6u) << point.to_string();
        for (int i = 0; i < 6; ++i) {
            EXPECT_EQ(all[all.size() - 6 + static_cast<size_t>(i)], std::pair(int64_t{24} + i, numbered(i)))
                << point.to_string();
        }
        close(log);
        expect_verified(*after);
    }
}

TEST_F(CompactorTest, ACrashBetweenTheJournalAndTheFilesIsFinishedAtOpening) {
    // Every call of the disk after the swap is on record fails, one opening for each.
    for (uint64_t n = 0; n < 12; ++n) {
        SCOPED_TRACE(n);
        SimDisk fresh;
        FaultyDisk disk(fresh);
        {
            Log log = open_on(disk);
            Topic topic = make(log, "state", configs());
            load(topic, 0, 3'500);
            ASSERT_TRUE(log.checkpoint());
            disk.only_paths_with("cleaned");
            disk.fail_at(disk.calls() + n, EIO, true);
            (void)log.maintain();
        }
        auto crashed = fresh.crash({.keep = n % 2 == 0 ? Crash::Keep::nothing : Crash::Keep::everything});
        Log log = open_on(*crashed);
        Topic topic = value_of(log.topic("state"));
        expect_complete(topic, 3'500);
        maintain(log);
        expect_complete(topic, 3'500);
        EXPECT_LT(read(topic).size(), 1'200u);
        close(log);
        expect_verified(*crashed);
    }
}

TEST(SegmentSwap, TextThatIsNoSwapIsRefused) {
    const SegmentSwap swap{"0123456789abcdef", {Offset{0}, Offset{4096}}};
    const auto again = SegmentSwap::parse(swap.to_text());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->token, swap.token);
    EXPECT_EQ(again->bases, swap.bases);
    for (const char* bad : {"", "1", "1 ", "1 0123456789abcdef", "1 0123456789abcde/ 5", "1 0123456789abcdef 5 5",
                            "1 0123456789abcdef 5 4", "1 0123456789abcdef -5", "1 0123456789abcdef 5x",
                            "1 0123456789abcdef 99999999999999999999", "2 0123456789abcdef 5"}) {
        EXPECT_FALSE(SegmentSwap::parse(bad)) << bad;
    }
}

}  // namespace
}  // namespace flowstone
