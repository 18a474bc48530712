#include "storage/journal_verify.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "storage/journal.h"
#include "storage/limits.h"
#include "tests/storage/scratch.h"

namespace flowstone {
namespace {

using testing::HasSubstr;

constexpr uint32_t block = 4096;

// A ring with the commits 1 to 5, each with one batch of three records, and a checkpoint that needs them all.
class JournalVerifyTest : public ScratchTest {
protected:
    JournalVerifyTest() {
        ring_.bytes[0] = std::byte{7};
        topic_.bytes[5] = std::byte{5};
        auto journal = Journal::create(*disk_, {.directory = root_, .bytes_max = 8u << 20}, ring_);
        EXPECT_TRUE(journal);
        uint64_t prior = 0;
        std::vector<EntryPlace> places;
        for (int64_t i = 0; i < 5; ++i) {
            const MadeSegment made = make_segment(3 * i, {{.records = 3}});
            const auto place = (*journal)->take(made.bytes.size() + 512);
            write_commit(*place, made, places, prior);
            at_.push_back(int64_t{place->block} * block);
            (*journal)->wrote(*place, Bytes(space_->data(), padded_), prior);
        }
        EXPECT_TRUE(disk_->sync_directory(root_));
        write_slot(2);
        write_slot(3);
    }

    // Writes a commit of one entry where `place` says; `prior` is the sum before it, and then its own.
    void write_commit(CommitPlace place, const MadeSegment& made, std::vector<EntryPlace>& places, uint64_t& prior) {
        place.prior_sum = prior;
        std::fill_n(space_->data(), space_->capacity(), std::byte{0});
        CommitWriter writer(MutableBytes(space_->data(), space_->capacity()), place, places);
        const Bytes batches(made.bytes);
        writer.add({.topic_id = topic_,
                    .partition = 3,
                    .base_offset = Offset{made.batches.front().base_offset},
                    .next_offset = Offset{made.next_offset}},
                   {&batches, 1});
        padded_ = writer.finish(block).size();
        places = writer.take_places();
        prior = writer.sum();
        const auto file = open(ring_file(), {.write = true});
        EXPECT_TRUE(write_at(*disk_, *file, BytePos{int64_t{place.block} * block}, Bytes(space_->data(), padded_)));
    }
    void write_slot(uint64_t number, uint64_t first_sequence = 1, bool clean = false) {
        Checkpoint checkpoint;
        checkpoint.number = number;
        checkpoint.clean = clean;
        checkpoint.rings.push_back({.ring = ring_, .first_sequence = first_sequence});
        EXPECT_TRUE(write_checkpoint(*disk_, root_, checkpoint));
    }
    static std::string ring_file() { return "flowstone-journal-0.0000"; }
    std::string ring_path() const { return join_path(root_, ring_file()); }

    // Flips one bit of a file, and back again.
    void flip(const std::string& name, int64_t at, int bit = 0) {
        const auto file = open(name, {.write = true});
        std::byte byte{};
        ASSERT_TRUE(read_at(*disk_, *file, BytePos{at}, {&byte, 1}));
        byte ^= std::byte{1} << bit;
        ASSERT_TRUE(write_at(*disk_, *file, BytePos{at}, {&byte, 1}));
    }
    void wipe(size_t commit) {
        const std::vector<std::byte> zeros(block);
        ASSERT_TRUE(write_at(*disk_, *open(ring_file(), {.write = true}), BytePos{at_[commit]}, zeros));
    }

    std::vector<JournalFault> verify() {
        std::vector<JournalFault> faults;
        const auto survey = survey_journal(*disk_, root_);
        EXPECT_TRUE(survey) << survey.error().message();
        const auto counts = verify_journal(*survey, [&](const JournalFault& fault) { faults.push_back(fault); });
        EXPECT_TRUE(counts);
        counts_ = *counts;
        EXPECT_EQ(counts_.faults + counts_.doubts, faults.size());
        return faults;
    }

    Uuid ring_;
    Uuid topic_;
    std::vector<int64_t> at_;  // of each commit, in the ring file
    BufferPool pool_;
    BufferRef space_ = pool_.take(16384);
    size_t padded_ = 0;
    JournalCounts counts_;
};

TEST_F(JournalVerifyTest, AGoodJournalHasNoFault) {
    EXPECT_TRUE(verify().empty());
    EXPECT_EQ(counts_.slots, 2u);
    EXPECT_EQ(counts_.files, 1u);
    EXPECT_EQ(counts_.commits, 5u);
    EXPECT_EQ(counts_.bytes, 8u << 20);
}

TEST_F(JournalVerifyTest, AFlippedBitInAnyByteOfACommitIsNamed) {
    // Header, one place, one entry head, one batch.
    const auto batch_bytes = static_cast<int64_t>(make_segment(6, {{.records = 3}}).bytes.size());
    const int64_t bytes = 96 + 40 + 64 + batch_bytes;
    for (int64_t i = 0; i < bytes; i += i < 96 ? 1 : 7) {
        flip(ring_file(), at_[2] + i, static_cast<int>(i % 8));
        const auto faults = verify();
        ASSERT_EQ(faults.size(), 1u) << "byte " << i;
        EXPECT_STREQ(faults[0].what, "commit_damaged") << "byte " << i;
        EXPECT_FALSE(faults[0].doubtful);
        EXPECT_EQ(faults[0].path, ring_path());
        EXPECT_EQ(faults[0].begin, BytePos{at_[2]});
        EXPECT_EQ(faults[0].sequence_begin, 3u) << "byte " << i;
        EXPECT_EQ(faults[0].sequence_end, 4u);
        flip(ring_file(), at_[2] + i, static_cast<int>(i % 8));
    }
    EXPECT_TRUE(verify().empty());
}

TEST_F(JournalVerifyTest, WhatADamagedCommitHeldIsToldByTheOneBehindIt) {
    flip(ring_file(), at_[2] + 96 + 40 + 64 + 100);
    const auto faults = verify();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_THAT(faults[0].detail, HasSubstr("the batch at offset 6 does not match its checksum"));
    ASSERT_EQ(faults[0].held.size(), 1u);
    EXPECT_EQ(faults[0].held[0].topic_id, topic_);
    EXPECT_EQ(faults[0].held[0].partition, 3);
    EXPECT_EQ(faults[0].held[0].base_offset, Offset{6});
    EXPECT_EQ(faults[0].held[0].next_offset, Offset{9});
}

TEST_F(JournalVerifyTest, ABrokenLastCommitMayBeACrashTail) {
    for (const int64_t byte : {0, 9, 33, 60, 75, 120, 300}) {
        flip(ring_file(), at_[4] + byte);
        const auto faults = verify();
        ASSERT_EQ(faults.size(), 1u) << byte;
        EXPECT_TRUE(faults[0].doubtful);
        EXPECT_EQ(faults[0].begin, BytePos{at_[4]});
        EXPECT_EQ(faults[0].sequence_begin, 5u);
        EXPECT_THAT(faults[0].detail, HasSubstr("may be a crash tail"));
        EXPECT_EQ(counts_.faults, 0u);
        flip(ring_file(), at_[4] + byte);
    }
}

TEST_F(JournalVerifyTest, ACommitThatIsGoneIsMissedByItsSequence) {
    wipe(1);
    wipe(2);
    auto faults = verify();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_STREQ(faults[0].what, "commit_missing");
    EXPECT_EQ(faults[0].begin, BytePos{at_[1]});
    EXPECT_EQ(faults[0].end, BytePos{at_[3]});
    EXPECT_EQ(faults[0].sequence_begin, 2u);
    EXPECT_EQ(faults[0].sequence_end, 4u);
    ASSERT_EQ(faults[0].held.size(), 1u);
    EXPECT_EQ(faults[0].held[0].base_offset, Offset{6});
    wipe(0);
    faults = verify();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_EQ(faults[0].sequence_begin, 1u);
    EXPECT_EQ(faults[0].begin.value, -1);  // nothing tells where it was
}

TEST_F(JournalVerifyTest, ACommitThatDoesNotContinueTheOneBeforeIsNamed) {
    std::vector<EntryPlace> places;
    uint64_t other_prior = 12345;
    const CommitPlace place{
        .ring = ring_, .generation = 1, .file = 0, .block = static_cast<uint32_t>(at_[4] / block), .sequence = 5};
    write_commit(place, make_segment(12, {{.records = 3}}), places, other_prior);
    const auto faults = verify();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_STREQ(faults[0].what, "commit_order");
    EXPECT_EQ(faults[0].begin, BytePos{at_[4]});
    EXPECT_EQ(faults[0].sequence_begin, 5u);
}

TEST_F(JournalVerifyTest, OnlyWhatTheNewestCheckpointNeedsCanBeMissed) {
    wipe(1);
    EXPECT_EQ(verify().size(), 1u);
    write_slot(4, 3);
    EXPECT_TRUE(verify().empty());
    EXPECT_EQ(counts_.commits, 3u);
    write_slot(5, 6, /*clean=*/true);
    wipe(3);
    EXPECT_TRUE(verify().empty());
    EXPECT_EQ(counts_.commits, 0u);
}

TEST_F(JournalVerifyTest, ATornCommitThatWasWrittenAgainAfterTheCrashIsNoFault) {
    flip(ring_file(), at_[4] + 90);
    uint64_t prior = 0;
    std::vector<EntryPlace> places;
    {
        const auto survey = survey_journal(*disk_, root_);
        prior = survey->rings[0]->chain(4)[0].sum;
    }
    // The next opening goes on in a fresh extent.
    const CommitPlace place{.ring = ring_, .generation = 2, .file = 0, .block = 1024, .sequence = 5};
    write_commit(place, make_segment(12, {{.records = 1}}), places, prior);
    CommitPlace next = place;
    next.sequence = 6;
    next.block += 1;
    write_commit(next, make_segment(13, {{.records = 1}}), places, prior);
    EXPECT_TRUE(verify().empty());
    EXPECT_EQ(counts_.commits, 6u);
    flip(ring_file(), at_[4] + 90);  // it was whole after all: the later opening's counts
    EXPECT_TRUE(verify().empty());
}

TEST_F(JournalVerifyTest, AFlippedBitInASlotIsNamed) {
    const auto bytes = static_cast<int64_t>(read("flowstone-checkpoint-1").size());
    for (int64_t i = 0; i < bytes; ++i) {
        flip("flowstone-checkpoint-1", i, static_cast<int>(i % 8));
        const auto faults = verify();
        ASSERT_EQ(faults.size(), 1u) << "byte " << i;
        EXPECT_STREQ(faults[0].what, "slot_damaged");
        EXPECT_EQ(faults[0].path, join_path(root_, "flowstone-checkpoint-1"));
        EXPECT_TRUE(faults[0].doubtful);  // the other one holds
        flip("flowstone-checkpoint-1", i, static_cast<int>(i % 8));
    }
    flip("flowstone-checkpoint-0", 40);
    flip("flowstone-checkpoint-1", 40);
    EXPECT_EQ(verify().size(), 2u);
    EXPECT_EQ(counts_.faults, 2u);
    EXPECT_EQ(counts_.commits, 5u);  // without a checkpoint all are looked at
}

TEST_F(JournalVerifyTest, ASlotInTheOthersPlaceIsNamed) {
    write("flowstone-checkpoint-0", read("flowstone-checkpoint-1"));
    const auto faults = verify();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_THAT(faults[0].detail, HasSubstr("number 3 belongs to the other slot"));
}

TEST_F(JournalVerifyTest, ARingFileWithoutItsHeaderOrGoneIsNamed) {
    flip(ring_file(), 14);
    auto faults = verify();
    EXPECT_TRUE(std::ranges::any_of(faults, [&](const JournalFault& fault) {
        return fault.what == std::string("ring_file") && fault.path == ring_path() && !fault.doubtful;
    }));
    flip(ring_file(), 14);
    ASSERT_TRUE(disk_->remove(ring_path()));
    faults = verify();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_STREQ(faults[0].what, "ring_missing");
    EXPECT_FALSE(faults[0].doubtful);
}

TEST_F(JournalVerifyTest, AFileThatWasCutIsNamedAndAnUnfinishedOneDoubted) {
    write("flowstone-journal-0.0001", std::vector<std::byte>(block));
    auto faults = verify();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_STREQ(faults[0].what, "ring_file");
    EXPECT_TRUE(faults[0].doubtful);
    ASSERT_TRUE(disk_->remove(join_path(root_, "flowstone-journal-0.0001")));
    ASSERT_TRUE(disk_->truncate(*open(ring_file(), {.write = true}), 5u << 20));
    faults = verify();
    ASSERT_FALSE(faults.empty());
    EXPECT_THAT(faults[0].detail, HasSubstr("5242880 bytes instead of 8388608"));
}

}  // namespace
}  // namespace flowstone
