// Batches of another log, appended at exactly their offsets.
#include <span>

#include "log/served_log.h"
#include "tests/log/foreign_log.h"
#include "tests/log/log_world.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::ElementsAre;

class AsIsTest : public LogWorld {
protected:
    static ForeignBatch together(const ForeignLog& from, size_t begin, size_t end) {
        ForeignBatch out;
        for (size_t i = begin; i < end; ++i) {
            out.insert(out.end(), from.batches()[i].begin(), from.batches()[i].end());
        }
        return out;
    }
    static void append(Topic& topic, const ForeignLog& from, size_t begin, size_t end) {
        const auto taken = topic.append_as_is(0, together(from, begin, end));
        ASSERT_TRUE(taken) << taken.error().message();
        EXPECT_EQ(taken->at.offset, from.view(end - 1).last_offset());
    }
    static Code refusal(Topic& topic, const ForeignBatch& bytes) {
        const auto taken = topic.append_as_is(0, bytes);
        EXPECT_FALSE(taken);
        if (taken) { return Code::exists; }
        EXPECT_EQ(taken.error().fate, Fate::not_appended) << taken.error().message();
        return taken.error().code;
    }
    // Every batch from the log's start on, as stored.
    static std::vector<ForeignBatch> stored(Log& log, const std::string& name = "copied") {
        const ServedLog served(log);
        const auto place = value_of(served.partition(*served.topic(name), 0));
        std::vector<ForeignBatch> out;
        const PartitionEnds ends = served.ends(place);
        for (Offset at = ends.log_start; at < ends.high_watermark;) {
            const auto found = served.read(place, at, {.bytes_max = 50'000});
            EXPECT_TRUE(found) << found.error().message();
            if (!found || found->bytes == 0) { break; }
            for (Bytes piece : found->pieces) {
                while (const auto batch = BatchView::parse(piece)) {
                    out.emplace_back(batch->bytes().begin(), batch->bytes().end());
                    piece = piece.subspan(batch->size());
                }
            }
            at = found->next_offset;
        }
        return out;
    }
    static std::vector<AbortedTransaction> aborted(Log& log) {
        const ServedLog served(log);
        const auto place = value_of(served.partition(*served.topic("copied"), 0));
        EXPECT_TRUE(served.learn_aborted(place));
        return served.aborted(place, Offset{0}, Offset{INT64_MAX}).value();
    }
    void lose_power() { disk_of_crash_ = disk_.crash({.keep = Crash::Keep::nothing}); }

    std::unique_ptr<SimDisk> disk_of_crash_;
};

TEST_F(AsIsTest, OffsetsEpochsAndBytesStayAsTheyAre) {
    ForeignLog from(1);
    from.grow(120);
    Log log = open();
    Topic topic = make(log, "copied", {{"internal.segment.bytes", "60000"}});
    append(topic, from, 0, 1);
    append(topic, from, 1, 60);
    for (size_t i = 60; i < 120; ++i) { append(topic, from, i, i + 1); }
    ASSERT_TRUE(log.flush());
    EXPECT_EQ(stored(log), from.batches());
    EXPECT_EQ(info(topic).log_start, from.view(0).base_offset());
    EXPECT_EQ(info(topic).log_end, from.next());
    EXPECT_EQ(info(topic).epoch, from.view(119).epoch());
    EXPECT_GT(info(topic).segments, 2u);
    close(log);
    Log again = open();
    EXPECT_EQ(stored(again), from.batches());
    Topic there = value_of(again.topic("copied"));
    EXPECT_EQ(info(there).log_end, from.next());
}

TEST_F(AsIsTest, AFirstBatchThatDoesNotBeginAtZeroIsWhereTheLogStarts) {
    ForeignLog from(1, Offset{5'000'000'000});
    from.plain(3, 100);
    Log log = open();
    Topic topic = make(log, "copied");
    append(topic, from, 0, 1);
    ASSERT_TRUE(log.flush());
    EXPECT_EQ(info(topic).log_start, Offset{5'000'000'000});
    EXPECT_EQ(info(topic).log_end, Offset{5'000'000'003});
    EXPECT_EQ(read(topic).front().first, 5'000'000'000);
    EXPECT_EQ(topic.read({.from = Offset{0}}).error().code, Code::out_of_range);
    ASSERT_TRUE(log.checkpoint());
    EXPECT_THAT(files("data/copied-0"), testing::Contains("00000000005000000000.log"));
    EXPECT_THAT(files("data/copied-0"), testing::Not(testing::Contains("00000000000000000000.log")));
}

TEST_F(AsIsTest, WhatWasAcknowledgedSurvivesPowerLossWithItsGaps) {
    ForeignLog from(3, Offset{900});
    from.gap(77);
    from.plain(2, 100);
    from.gap(10'000);
    from.plain(2, 100);
    from.gap(5);
    from.plain(1, 40'000);
    {
        Log log = open();
        Topic topic = make(log, "copied");
        append(topic, from, 0, 3);
        ASSERT_TRUE(log.flush());
        lose_power();
    }
    Log log = open_on(*disk_of_crash_);
    Topic topic = value_of(log.topic("copied"));
    EXPECT_EQ(stored(log), from.batches());
    EXPECT_EQ(info(topic).log_start, Offset{977});
    from.gap(3);
    from.plain(1, 100);
    append(topic, from, 3, 4);
    ASSERT_TRUE(log.flush());
    EXPECT_EQ(stored(log), from.batches());
}

TEST_F(AsIsTest, AGapOfMoreOffsetsThanASegmentCanHoldBeginsAnotherOne) {
    ForeignLog from(4);
    from.plain(2, 100);
    from.gap(int64_t{3} << 31);
    from.plain(2, 100);
    {
        Log log = open();
        Topic topic = make(log, "copied");
        append(topic, from, 0, 2);
        ASSERT_TRUE(log.flush());
        EXPECT_EQ(stored(log), from.batches());
        EXPECT_EQ(info(topic).segments, 2u);
        lose_power();
    }
    Log log = open_on(*disk_of_crash_);
    EXPECT_EQ(stored(log), from.batches());
}

TEST_F(AsIsTest, AbortedTransactionsAreKnownAlsoAfterPowerLoss) {
    ForeignLog from(5);
    from.transactional(4000, 3);
    from.transactional(4001, 2);
    from.marker(4000, false);
    from.transactional(4000, 2);
    from.marker(4000, true);
    from.marker(4001, false);
    std::vector<AbortedTransaction> expected = from.aborted(6);
    ASSERT_EQ(expected.size(), 2u);
    {
        Log log = open();
        Topic topic = make(log, "copied");
        append(topic, from, 0, 2);
        append(topic, from, 2, 6);
        ASSERT_TRUE(log.flush());
        EXPECT_EQ(aborted(log), expected);
        lose_power();
    }
    Log log = open_on(*disk_of_crash_);
    EXPECT_EQ(aborted(log), expected);
    Topic topic = value_of(log.topic("copied"));
    from.transactional(4002, 1);
    append(topic, from, 6, 7);
    ASSERT_TRUE(log.flush());
    EXPECT_EQ(aborted(log).back().first, from.view(6).base_offset()) << "nobody has ended it";
    from.marker(4002, true);
    append(topic, from, 7, 8);
    ASSERT_TRUE(log.flush());
    EXPECT_EQ(aborted(log), expected) << "what was known before is not kept";
}

TEST_F(AsIsTest, ATransactionWhoseMarkerIsTruncatedAwayIsOpenAgain) {
    ForeignLog from(5);
    from.transactional(4000, 3);
    from.transactional(4001, 2);
    from.marker(4000, false);
    from.marker(4001, false);
    const std::vector<AbortedTransaction> both = from.aborted(4);
    ASSERT_EQ(both.size(), 2u);
    Log log = open();
    Topic topic = make(log, "copied");
    append(topic, from, 0, 4);
    ASSERT_TRUE(log.flush());
    EXPECT_EQ(aborted(log), both);
    ServedLog served(log);
    const Offset end = from.view(3).base_offset();
    ASSERT_EQ(value_of(served.truncate(*served.topic("copied"), 0, end)), from.view(2).next_offset());
    const auto open_again = aborted(log);
    ASSERT_EQ(open_again.size(), 2u);
    EXPECT_THAT(open_again, testing::Contains(both[0]));
    EXPECT_THAT(open_again,
                testing::Contains(testing::AllOf(testing::Field(&AbortedTransaction::first, from.view(1).base_offset()),
                                                 testing::Field(&AbortedTransaction::last_stable_end, Offset{-1}))));
    append(topic, from, 3, 4);
    ASSERT_TRUE(log.flush());
    EXPECT_EQ(aborted(log), both);
}

TEST_F(AsIsTest, AMarkerIsListedWithTheSegmentThatHoldsIt) {
    ForeignLog from(6);
    from.transactional(4000, 3);
    for (int i = 0; i < 12; ++i) { from.plain(1, 1'000); }
    from.marker(4000, false);
    Log log = open();
    Topic topic = make(log, "copied", {{"internal.segment.bytes", "4000"}});
    append(topic, from, 0, from.batches().size());
    ASSERT_TRUE(log.checkpoint());
    EXPECT_EQ(aborted(log), from.aborted(from.batches().size()));
    std::vector<std::string> names = files("data/copied-0");
    std::vector<std::string> logs;
    std::vector<std::string> indexes;
    for (const std::string& name : names) {
        if (name.ends_with(".log")) { logs.push_back(name.substr(0, 20)); }
        if (name.ends_with(".txnindex")) { indexes.push_back(name.substr(0, 20)); }
    }
    std::ranges::sort(logs);
    EXPECT_GT(logs.size(), 2u);
    EXPECT_THAT(indexes, ElementsAre(logs.back()));
}

TEST_F(AsIsTest, WhatDoesNotContinueTheLogIsRefused) {
    ForeignLog from(7, Offset{10});
    from.plain(3, 100);
    from.plain(2, 100);
    from.start_epoch();
    from.plain(1, 100);
    Log log = open();
    Topic topic = make(log, "copied");
    EXPECT_EQ(refusal(topic, {}), Code::invalid);
    EXPECT_EQ(refusal(topic, ForeignBatch(from.batches()[0].begin(), from.batches()[0].end() - 1)), Code::corrupt);
    ForeignBatch flipped = from.batches()[0];
    flipped.back() ^= std::byte{4};
    EXPECT_EQ(refusal(topic, flipped), Code::corrupt);
    ForeignBatch back = from.batches()[1];
    back.insert(back.end(), from.batches()[0].begin(), from.batches()[0].end());
    EXPECT_EQ(refusal(topic, back), Code::invalid);
    ForeignBatch no_epoch = from.batches()[0];
    patch_epoch(no_epoch, Epoch{-1});
    EXPECT_EQ(refusal(topic, no_epoch), Code::invalid);
    ForeignBatch older = from.batches()[2];
    ForeignBatch later = from.batches()[0];
    patch_base_offset(later, Offset{100});
    older.insert(older.end(), later.begin(), later.end());
    EXPECT_EQ(refusal(topic, older), Code::invalid) << "an epoch that goes back";
    EXPECT_EQ(info(topic).log_end, Offset{0});

    append(topic, from, 0, 3);
    EXPECT_EQ(refusal(topic, from.batches()[2]), Code::out_of_range);
    EXPECT_EQ(refusal(topic, later), Code::stale_epoch);
    Topic quick = make(log, "quick", {{"flowstone.durability", "written"}});
    EXPECT_EQ(refusal(quick, from.batches()[0]), Code::unsupported);
    ASSERT_TRUE(log.flush());
    EXPECT_EQ(stored(log), from.batches());
}

TEST_F(AsIsTest, OwnRecordsBeginAnEpochBehindThoseOfTheOther) {
    ForeignLog from(8);
    from.plain(3, 100);
    from.plain(3, 100);
    Log log = open();
    Topic topic = make(log, "copied");
    append(topic, from, 0, 1);
    ASSERT_TRUE(topic.append(record("ours")));
    EXPECT_GT(info(topic).epoch, from.view(0).epoch());
    EXPECT_EQ(refusal(topic, from.batches()[1]), Code::out_of_range);
    from.gap(1);
    from.plain(1, 100);
    EXPECT_EQ(refusal(topic, from.batches()[2]), Code::stale_epoch) << "what is ours must not be taken for theirs";
}

}  // namespace
}  // namespace flowstone
