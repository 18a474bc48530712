#include "storage/segment_verify.h"

#include <algorithm>

#include "storage/meta_files.h"
#include "storage/producer_snapshot.h"
#include "tests/storage/scratch.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

// A partition of three segments as a log leaves it: indexes, seals of the rolled ones, epochs, a snapshot.
class SegmentVerifyTest : public ScratchTest {
protected:
    SegmentVerifyTest() {
        cluster_.bytes[3] = std::byte{3};
        topic_.bytes[4] = std::byte{4};
        EXPECT_TRUE(write_partition_metadata(*disk_, root_, topic_));
        int64_t base = 0;
        Sha256 previous{};
        for (int i = 0; i < 3; ++i) {
            std::vector<BatchShape> shapes;
            for (int n = 0; n < 40; ++n) {
                shapes.push_back({.records = 1 + n % 3,
                                  .value_bytes = static_cast<size_t>(200 + 11 * n),
                                  .timestamp_ms = 5'000 + 100 * i + n,
                                  .epoch = i});
            }
            segments_.push_back(make_segment(base, shapes));
            base_.push_back(base);
            const MadeSegment& segment = segments_.back();
            write(file(i, SegmentFile::log), segment.bytes);
            SegmentIndex index(root_, Offset{base});
            for (const MadeBatch& batch : segment.batches) {
                index.note(Offset{batch.last_offset}, BytePos{batch.at}, batch.timestamp_ms);
            }
            index.close();
            EXPECT_TRUE(index.flush(*disk_));
            if (i < 2) { previous = seal_segment(i, previous); }
            epochs_.push_back({Epoch{i}, Offset{base}});
            base = segment.next_offset;
        }
        EXPECT_TRUE(write_leader_epochs(*disk_, root_, epochs_));
        EXPECT_TRUE(write_producer_snapshot(*disk_, root_, Offset{base_[1]}, {}));
        EXPECT_TRUE(write_producer_snapshot(*disk_, root_, Offset{base}, {}));
    }

    std::string file(int segment, SegmentFile kind) const {
        return segment_file_name(Offset{base_[static_cast<size_t>(segment)]}, kind);
    }
    Sha256 seal_segment(int segment, const Sha256& previous) {
        const MadeSegment& made = segments_[static_cast<size_t>(segment)];
        SealBuilder builder({.cluster = cluster_,
                             .topic = topic_,
                             .partition = 7,
                             .base = Offset{base_[static_cast<size_t>(segment)]}});
        builder.update(made.bytes);
        Seal seal = builder.finish(Offset{made.next_offset}, SealOrigin::append);
        seal.chain = SealChain{.content = sha256(made.bytes), .previous = previous, .replaced = {}};
        EXPECT_TRUE(write_seal(*disk_, root_, seal));
        return seal.head();
    }
    VerifyOptions options() const {
        VerifyOptions options;
        options.seals_expected = true;
        options.cluster = cluster_;
        options.partition = 7;
        return options;
    }
    std::vector<SegmentFault> verify(const VerifyOptions& with) {
        std::vector<SegmentFault> faults;
        const auto counts =
            verify_partition(*disk_, root_, with, [&](const SegmentFault& fault) { faults.push_back(fault); });
        EXPECT_TRUE(counts) << counts.error().message();
        if (counts) {
            counts_ = *counts;
            EXPECT_EQ(counts_.faults, faults.size());
        }
        return faults;
    }
    std::vector<std::string> words() { return words(options()); }
    std::vector<std::string> words(const VerifyOptions& with) {
        std::vector<std::string> out;
        for (const SegmentFault& fault : verify(with)) { out.emplace_back(fault.what); }
        std::ranges::sort(out);
        out.erase(std::unique(out.begin(), out.end()), out.end());
        return out;
    }
    void flip(const std::string& name, size_t at, int mask = 1) {
        auto content = read(name);
        content[at] ^= static_cast<std::byte>(mask);
        write(name, content);
    }
    void remove(const std::string& name) { ASSERT_TRUE(disk_->remove(join_path(root_, name))); }

    using Words = std::vector<std::string>;
    Uuid cluster_;
    Uuid topic_;
    std::vector<MadeSegment> segments_;
    std::vector<int64_t> base_;
    std::vector<EpochStart> epochs_;
    VerifyCounts counts_;
};

TEST_F(SegmentVerifyTest, AGoodPartitionHasNoFault) {
    EXPECT_EQ(words(), Words{});
    EXPECT_EQ(counts_.segments, 3u);
    EXPECT_EQ(counts_.sealed, 2u);
    EXPECT_EQ(counts_.batches, 120u);
    EXPECT_EQ(counts_.records, static_cast<uint64_t>(segments_[2].next_offset));
    EXPECT_EQ(counts_.bytes, segments_[0].bytes.size() + segments_[1].bytes.size() + segments_[2].bytes.size());
}

TEST_F(SegmentVerifyTest, ABadBatchIsNamedWithFileBytesAndOffsetsAndTheRestIsStillChecked) {
    const MadeBatch& first = segments_[2].batches[5];
    const MadeBatch& second = segments_[2].batches[20];
    flip(file(2, SegmentFile::log), static_cast<size_t>(first.at) + 80);
    flip(file(2, SegmentFile::log), static_cast<size_t>(second.at) + 16);
    const auto faults = verify(options());
    ASSERT_EQ(faults.size(), 2u);
    EXPECT_STREQ(faults[0].what, "bad_crc");
    EXPECT_EQ(faults[0].path, join_path(root_, file(2, SegmentFile::log)));
    EXPECT_EQ(faults[0].begin.value, first.at);
    EXPECT_EQ(faults[0].end.value, first.at + first.bytes);
    EXPECT_EQ(faults[0].offset_begin.value, first.base_offset);
    EXPECT_EQ(faults[0].offset_end.value, first.last_offset + 1);
    EXPECT_STREQ(faults[1].what, "bad_magic");
    EXPECT_EQ(faults[1].begin.value, second.at);
}

TEST_F(SegmentVerifyTest, ABadBatchOfARolledSegmentIsAlsoSeenByItsSeal) {
    flip(file(0, SegmentFile::log), 100);
    EXPECT_EQ(words(), (Words{"bad_crc", "seal_content", "seal_piece"}));
}

TEST_F(SegmentVerifyTest, AChangeThatKeepsAllChecksumsIsSeenByTheSeal) {
    // An epoch lies outside the batch's checksum; a whole other batch has its own.
    flip(file(1, SegmentFile::log), 15);
    EXPECT_EQ(words(), (Words{"epoch_mismatch", "seal_content", "seal_piece"}));
}

TEST_F(SegmentVerifyTest, AnEpochThatBecameNegativeIsNamed) {
    flip(file(1, SegmentFile::log), 12, 128);
    EXPECT_EQ(words(), (Words{"epoch_mismatch", "seal_content", "seal_piece"}));
}

TEST_F(SegmentVerifyTest, SegmentsThatOverlapAreNamed) {
    auto content = segments_[1].bytes;
    patch_base_offset(MutableBytes(content).subspan(static_cast<size_t>(segments_[1].batches[39].at)),
                      Offset{segments_[2].batches[0].last_offset});
    write(file(1, SegmentFile::log), content);
    const auto found = words();
    EXPECT_TRUE(std::ranges::find(found, "offset_order") != found.end());
}

TEST_F(SegmentVerifyTest, ATornEndIsDamageUnlessTheCheckpointSaysOtherwise) {
    const MadeBatch& last = segments_[2].batches.back();
    auto content = segments_[2].bytes;
    content.resize(content.size() - 3);
    write(file(2, SegmentFile::log), content);
    EXPECT_EQ(words(), Words{"torn_end"});
    VerifyOptions with = options();
    with.synced = SegmentEnd{Offset{last.base_offset}, BytePos{last.at}};
    EXPECT_EQ(words(with), Words{});
    with.synced = SegmentEnd{Offset{last.last_offset + 1}, BytePos{last.at + last.bytes}};
    EXPECT_EQ(words(with), Words{"torn_end"});
    // A rolled segment is never unfinished.
    content = segments_[0].bytes;
    content.resize(content.size() - 3);
    write(file(0, SegmentFile::log), content);
    with.synced = SegmentEnd{Offset{last.base_offset}, BytePos{last.at}};
    EXPECT_EQ(words(with), (Words{"seal_content", "seal_length", "torn_end"}));
}

TEST_F(SegmentVerifyTest, AFileShorterThanTheCheckpointSaysIsCutShort) {
    const MadeBatch& last = segments_[2].batches.back();
    VerifyOptions with = options();
    with.synced = SegmentEnd{Offset{last.base_offset}, BytePos{last.at}};
    with.synced_base = Offset{base_[2]};
    with.synced_bytes = static_cast<uint64_t>(last.at + last.bytes);
    EXPECT_EQ(words(with), Words{});
    auto content = segments_[2].bytes;
    content.resize(static_cast<size_t>(last.at));  // at a batch's end: good, had nobody said how long it was
    write(file(2, SegmentFile::log), content);
    const auto found = words(with);
    EXPECT_TRUE(std::ranges::find(found, "cut_short") != found.end());
    with.closed = true;
    const auto closed = words(with);
    EXPECT_TRUE(std::ranges::find(closed, "cut_short") != closed.end());
}

TEST_F(SegmentVerifyTest, SegmentsBehindTheCheckpointsMayBeUnfinishedButNotThoseOfACleanClose) {
    auto content = segments_[2].bytes;
    content.resize(content.size() - 3);
    write(file(2, SegmentFile::log), content);
    VerifyOptions with = options();
    with.synced = SegmentEnd{Offset{base_[1]}, BytePos{0}};
    with.synced_base = Offset{base_[1]};
    EXPECT_EQ(words(with), Words{});
    with.closed = true;
    EXPECT_EQ(words(with), Words{"torn_end"});
}

TEST_F(SegmentVerifyTest, EpochsOfTheCheckpointCountBeforeThoseOfTheFile) {
    const std::vector<EpochStart> old = {{Epoch{0}, Offset{0}}};
    EXPECT_TRUE(write_leader_epochs(*disk_, root_, old));
    EXPECT_NE(words(), Words{});
    VerifyOptions with = options();
    with.epochs = epochs_;
    EXPECT_EQ(words(with), Words{});
}

TEST_F(SegmentVerifyTest, IndexFaultsAreNamed) {
    const auto index = read(file(0, SegmentFile::index));
    const auto times = read(file(0, SegmentFile::time_index));
    flip(file(0, SegmentFile::index), 7);
    EXPECT_EQ(words(), Words{"index_entry"});
    write(file(0, SegmentFile::index), Bytes(index).first(index.size() - 1));
    EXPECT_EQ(words(), Words{"index_entry"});
    write(file(0, SegmentFile::index), index);
    flip(file(0, SegmentFile::time_index), 7);
    EXPECT_EQ(words(), Words{"time_index_entry"});
    write(file(0, SegmentFile::time_index), times);
    flip(file(0, SegmentFile::time_index), 11, 0x40);
    EXPECT_EQ(words(), Words{"time_index_entry"});
    write(file(0, SegmentFile::time_index), times);
    remove(file(0, SegmentFile::index));
    EXPECT_EQ(words(), Words{"index_missing"});
}

TEST_F(SegmentVerifyTest, AnIndexEntryPastTheEndIsNamed) {
    auto index = read(file(0, SegmentFile::index));
    store_be(index.data() + index.size() - index_entry_bytes, static_cast<int32_t>(segments_[0].next_offset));
    write(file(0, SegmentFile::index), index);
    EXPECT_EQ(words(), Words{"index_entry"});
}

TEST_F(SegmentVerifyTest, ATimeEntryBehindALargerTimestampIsNamed) {
    // Followed, it would skip the first batch for any time up to 9,000.
    const MadeSegment segment =
        make_segment(base_[2], {{.timestamp_ms = 9'000, .epoch = 2}, {.timestamp_ms = 6'000, .epoch = 2}});
    write(file(2, SegmentFile::log), segment.bytes);
    write(file(2, SegmentFile::index), {});
    ByteWriter times;
    times.be(int64_t{6'000});
    times.be(int32_t{1});
    write(file(2, SegmentFile::time_index), times.view());
    EXPECT_EQ(words(), Words{"time_index_entry"});
}

TEST_F(SegmentVerifyTest, EveryBitFlipOfAnIndexIsNamedOrLeavesEveryLookupRight) {
    for (const SegmentFile kind : {SegmentFile::index, SegmentFile::time_index}) {
        const std::string name = file(0, kind);
        const auto good = read(name);
        for (size_t bit = 0; bit < good.size() * 8; ++bit) {
            auto bad = good;
            bad[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
            write(name, bad);
            VerifyOptions with = options();
            with.records = false;
            with.only = Offset{0};
            if (!verify(with).empty()) { continue; }
            // Not named: an offset above its batch's own, or within the right batch. Lookups are at most a little early.
            auto opened = SegmentIndex::open(
                *disk_, root_, Offset{0},
                {Offset{segments_[0].next_offset}, BytePos{static_cast<int64_t>(segments_[0].bytes.size())}});
            ASSERT_TRUE(opened);
            for (const MadeBatch& batch : segments_[0].batches) {
                const auto at = opened->lookup(*disk_, Offset{batch.base_offset});
                ASSERT_TRUE(at) << bit;
                ASSERT_LE(at->value, batch.at) << bit;
                const auto hit =
                    opened->lookup_time(*disk_, batch.timestamp_ms);  // each batch's is larger than those before
                ASSERT_TRUE(hit) << bit;
                ASSERT_LE(hit->at.value, batch.at) << bit;
            }
        }
        write(name, good);
    }
}

TEST_F(SegmentVerifyTest, StaleIndexEntriesOfTheLastSegmentAreNoFault) {
    auto content = segments_[2].bytes;
    content.resize(static_cast<size_t>(segments_[2].batches[15].at));
    write(file(2, SegmentFile::log), content);
    EXPECT_EQ(words(), Words{});
}

TEST_F(SegmentVerifyTest, EpochsThatDisagreeAreNamed) {
    epochs_[1].epoch = Epoch{5};
    epochs_[2].epoch = Epoch{6};
    ASSERT_TRUE(write_leader_epochs(*disk_, root_, epochs_));
    const auto faults = verify(options());
    ASSERT_EQ(faults.size(), 2u);  // a run of batches is one fault
    EXPECT_STREQ(faults[0].what, "epoch_mismatch");
    EXPECT_EQ(faults[0].offset_begin.value, base_[1]);
    EXPECT_EQ(faults[0].offset_end.value, base_[2]);
    EXPECT_EQ(faults[1].end.value, static_cast<int64_t>(segments_[2].bytes.size()));
    write("leader-epoch-checkpoint", as_bytes("0\n1\n"));
    EXPECT_EQ(words(), Words{"epochs_corrupt"});
}

TEST_F(SegmentVerifyTest, SealFaultsAreNamed) {
    const auto good = read(file(1, SegmentFile::seal));
    flip(file(1, SegmentFile::seal), 30);
    EXPECT_EQ(words(), (Words{"chain_broken", "seal_corrupt"}));
    remove(file(1, SegmentFile::seal));
    EXPECT_EQ(words(), (Words{"chain_broken", "seal_missing"}));
    write(file(1, SegmentFile::seal), good);
    VerifyOptions with = options();
    with.partition = 8;
    EXPECT_EQ(words(with), Words{"seal_place"});
    with = options();
    with.cluster = Uuid{};
    EXPECT_EQ(words(with), Words{"seal_place"});
    Uuid other = topic_;
    other.bytes[0] = std::byte{9};
    ASSERT_TRUE(write_partition_metadata(*disk_, root_, other));
    EXPECT_EQ(words(), Words{"seal_place"});
    ASSERT_TRUE(write_partition_metadata(*disk_, root_, topic_));
    // The first seal loses its chain: the second one still names its head.
    const auto first = read(file(0, SegmentFile::seal));
    Seal plain = value_of(read_seal(*disk_, root_, Offset{0}));
    plain.chain.reset();
    ASSERT_TRUE(write_seal(*disk_, root_, plain));
    EXPECT_EQ(words(), Words{"chain_broken"});
    write(file(0, SegmentFile::seal), first);
    // A segment that lost its last batch, all else being right.
    auto content = segments_[1].bytes;
    content.resize(static_cast<size_t>(segments_[1].batches.back().at));
    write(file(1, SegmentFile::log), content);
    const auto found = words();
    EXPECT_TRUE(std::ranges::find(found, "seal_end") != found.end());
    EXPECT_TRUE(std::ranges::find(found, "seal_length") != found.end());
}

TEST_F(SegmentVerifyTest, HistoryThatWasRewrittenBreaksTheChainOrMissesTheHeadKeptElsewhere) {
    const Sha256 kept = value_of(read_seal(*disk_, root_, Offset{base_[1]})).head();
    VerifyOptions with = options();
    with.chain_head = kept;
    EXPECT_EQ(words(with), Words{});
    // Segment 0 rewritten with right checksums and a right new seal: the next seal still names the old head.
    segments_[0].bytes[static_cast<size_t>(segments_[0].batches[0].at) + 90] ^= std::byte{1};
    patch_log_append_time(MutableBytes(segments_[0].bytes).first(static_cast<size_t>(segments_[0].batches[0].bytes)),
                          5'000);
    write(file(0, SegmentFile::log), segments_[0].bytes);
    const Sha256 head = seal_segment(0, Sha256{});
    EXPECT_EQ(words(with), Words{"chain_broken"});
    // All seals made again: the chain holds in itself, but its head is another one.
    seal_segment(1, head);
    EXPECT_EQ(words(), Words{});
    EXPECT_EQ(words(with), Words{"chain_head_missing"});
}

TEST_F(SegmentVerifyTest, TheFirstSegmentsMayHaveBeenTrimmed) {
    for (const SegmentFile kind : {SegmentFile::log, SegmentFile::index, SegmentFile::time_index, SegmentFile::seal}) {
        remove(file(0, kind));
    }
    EXPECT_EQ(words(), Words{});
}

TEST_F(SegmentVerifyTest, SmallFilesThatAreDamagedAreNamed) {
    flip(segment_file_name(Offset{base_[1]}, SegmentFile::snapshot), 4);
    EXPECT_EQ(words(), Words{"snapshot_corrupt"});
    flip(segment_file_name(Offset{base_[1]}, SegmentFile::snapshot), 4);
    flip(segment_file_name(Offset{segments_[2].next_offset}, SegmentFile::snapshot), 4);  // it has no .log
    EXPECT_EQ(words(), Words{"snapshot_corrupt"});
    flip(segment_file_name(Offset{segments_[2].next_offset}, SegmentFile::snapshot), 4);
    write("partition.metadata", as_bytes("version: 0\n"));
    EXPECT_EQ(words(), Words{"metadata_corrupt"});
}

TEST_F(SegmentVerifyTest, TransactionIndexesAreChecked) {
    ByteWriter out;
    for (const int64_t first : {0, 10}) {
        out.be(int16_t{0});
        for (const int64_t value : {int64_t{77}, first, first + 5, first + 6}) { out.be(value); }
    }
    write(file(1, SegmentFile::transaction_index), out.view());
    EXPECT_EQ(words(), Words{});
    write(file(1, SegmentFile::transaction_index), out.view().first(50));
    EXPECT_EQ(words(), Words{"transaction_index_entry"});
    write(file(1, SegmentFile::transaction_index), out.view());
    flip(file(1, SegmentFile::transaction_index), 35);  // the second one's version
    EXPECT_EQ(words(), Words{"transaction_index_entry"});
    write(file(1, SegmentFile::transaction_index), out.view());
    flip(file(1, SegmentFile::transaction_index), 34 + 17, 0x20);  // begins at 42, ends at 15
    EXPECT_EQ(words(), Words{"transaction_index_entry"});
}

TEST_F(SegmentVerifyTest, RecordsThatCannotBeReadAreNamedThoughTheChecksumIsRight) {
    MadeSegment one = make_segment(0, {{.records = 2}});
    one.bytes[batch_header_bytes] ^= std::byte{2};  // the first record's length
    patch_log_append_time(one.bytes, 1);            // makes the checksum right
    write("alone", one.bytes);
    std::vector<std::string> found;
    const auto counts = verify_log_file(*disk_, join_path(root_, "alone"), {},
                                        [&](const SegmentFault& fault) { found.emplace_back(fault.what); });
    ASSERT_TRUE(counts);
    EXPECT_EQ(found, Words{"bad_records"});
}

TEST_F(SegmentVerifyTest, ASegmentOrDirectoryThatIsNotThereIsAnError) {
    VerifyOptions with = options();
    with.only = Offset{12345};
    EXPECT_EQ(code_of(verify_partition(*disk_, root_, with, [](const SegmentFault&) {})), Code::not_found);
    EXPECT_EQ(code_of(verify_partition(*disk_, "nowhere", options(), [](const SegmentFault&) {})), Code::not_found);
    EXPECT_EQ(code_of(verify_log_file(*disk_, "nowhere", {}, [](const SegmentFault&) {})), Code::not_found);
}

TEST_F(SegmentVerifyTest, ASummaryCountsWhatIsThere) {
    const auto summary = summarize_log(*disk_, join_path(root_, file(1, SegmentFile::log)), Offset{base_[1]});
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->base.value, base_[1]);
    EXPECT_EQ(summary->end.value, segments_[1].next_offset);
    EXPECT_EQ(summary->batches, 40u);
    EXPECT_EQ(summary->records, static_cast<uint64_t>(segments_[1].next_offset - base_[1]));
    EXPECT_EQ(summary->bytes, segments_[1].bytes.size());
    EXPECT_EQ(summary->uncompressed_bytes, segments_[1].bytes.size());
    EXPECT_EQ(summary->first_timestamp_ms, 5'100);
    EXPECT_EQ(summary->max_timestamp_ms, 5'139);
    EXPECT_FALSE(summary->damaged);
}

TEST_F(SegmentVerifyTest, ASummaryOfCompressedBatchesKnowsTheirSizeBefore) {
    const MadeSegment plain = make_segment(0, {{.records = 50, .value_bytes = 400}, {.records = 3}});
    std::vector<std::byte> compressed;
    for (const MadeBatch& batch : plain.batches) {
        std::vector<std::byte> out;
        const auto view = BatchView::parse(Bytes(plain.bytes).subspan(static_cast<size_t>(batch.at)));
        const auto smaller = recompress(*view, Codec::zstd, out);
        ASSERT_TRUE(smaller);
        compressed.insert(compressed.end(), smaller->bytes().begin(), smaller->bytes().end());
    }
    write("alone", compressed);
    const auto summary = summarize_log(*disk_, join_path(root_, "alone"), Offset{0});
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->bytes, compressed.size());
    EXPECT_LT(summary->bytes, plain.bytes.size() / 10);
    EXPECT_EQ(summary->uncompressed_bytes, plain.bytes.size());
}

}  // namespace
}  // namespace flowstone
