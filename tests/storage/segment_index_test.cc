#include "storage/segment_index.h"

#include <functional>

#include "storage/segment_scan.h"
#include "tests/storage/scratch.h"

namespace flowstone {
namespace {

const std::string log_name = "00000000000000000100.log";
const std::string index_name = "00000000000000000100.index";
const std::string time_name = "00000000000000000100.timeindex";

// What Kafka's LogSegment.append writes, by its own counting: bytes since the last entry, not positions.
struct ExpectedFiles {
    std::vector<std::byte> index;
    std::vector<std::byte> times;
};
ExpectedFiles expected_files(const MadeSegment& segment, int64_t base, bool closed) {
    ByteWriter index;
    ByteWriter times;
    int64_t bytes_since = 0;
    int64_t max = -1;
    int64_t max_offset = -1;
    int64_t last_time = -1;
    const auto maybe_append_time = [&] {
        if (max > last_time) {
            times.be(max);
            times.be(static_cast<int32_t>(max_offset - base));
            last_time = max;
        }
    };
    for (const MadeBatch& batch : segment.batches) {
        if (batch.timestamp_ms > max) {
            max = batch.timestamp_ms;
            max_offset = batch.last_offset;
        }
        if (bytes_since > 4096) {
            index.be(static_cast<int32_t>(batch.last_offset - base));
            index.be(static_cast<int32_t>(batch.at));
            maybe_append_time();
            bytes_since = 0;
        }
        bytes_since += batch.bytes;
    }
    if (closed) { maybe_append_time(); }
    return {index.take(), times.take()};
}

// Timestamps that rise, stand still and fall; sizes below and above the interval; gaps.
MadeSegment varied_segment(int batches, int64_t base = 100) {
    std::vector<BatchShape> shapes;
    for (int i = 0; i < batches; ++i) {
        shapes.push_back({.records = 1 + i % 4,
                          .value_bytes = static_cast<size_t>(i % 9 == 5 ? 6000 : 50 + 37 * (i % 20)),
                          .timestamp_ms = 10'000 + (i % 7 < 4 ? i * 10 : i * 3),
                          .gap = i % 11 == 10 ? 5 : 0});
    }
    return make_segment(base, shapes);
}

class SegmentIndexTest : public ScratchTest {
protected:
    SegmentIndex make(const MadeSegment& segment, bool closed = true) {
        write(log_name, segment.bytes);
        SegmentIndex index(root_, Offset{100});
        for (const MadeBatch& batch : segment.batches) {
            index.note(Offset{batch.last_offset}, BytePos{batch.at}, batch.timestamp_ms);
        }
        if (closed) { index.close(); }
        EXPECT_TRUE(index.flush(*disk_));
        return index;
    }
    static SegmentEnd end_of(const MadeSegment& segment) {
        return {Offset{segment.next_offset}, BytePos{static_cast<int64_t>(segment.bytes.size())}};
    }
    // Every offset and time is looked up and the answer compared with a walk over all batches.
    void expect_right(const SegmentIndex& index, const MadeSegment& segment) {
        for (int64_t offset = 95; offset < segment.next_offset + 5; ++offset) {
            const auto at = index.lookup(*disk_, Offset{offset});
            ASSERT_TRUE(at) << at.error().message();
            const MadeBatch* found = batch_at(segment, at->value);
            ASSERT_NE(found, nullptr) << offset;
            EXPECT_TRUE(at->value == 0 || found->last_offset <= offset) << offset;
        }
        for (int64_t time = 9'990; time < 12'000; ++time) {
            const auto hit = index.lookup_time(*disk_, time);
            ASSERT_TRUE(hit) << hit.error().message();
            for (const MadeBatch& batch : segment.batches) {
                if (batch.timestamp_ms >= time) {
                    EXPECT_LE(hit->at.value, batch.at) << time;
                    break;
                }
            }
        }
    }
    static const MadeBatch* batch_at(const MadeSegment& segment, int64_t at) {
        for (const MadeBatch& batch : segment.batches) {
            if (batch.at == at) { return &batch; }
        }
        return nullptr;
    }
    // The checks that the header asks of a caller. True: the answer may be used.
    static bool passes(const MadeSegment& segment, BytePos at, int64_t offset) {
        const MadeBatch* batch = batch_at(segment, at.value);
        return at.value == 0 || (batch != nullptr && batch->last_offset <= offset);
    }
    static bool passes(const MadeSegment& segment, const TimeLookup& hit) {
        if (hit.timestamp_ms == -1) { return true; }
        for (const MadeBatch& batch : segment.batches) {
            if (batch.base_offset <= hit.offset.value && hit.offset.value <= batch.last_offset) {
                return passes(segment, hit.at, hit.offset.value) && batch.timestamp_ms == hit.timestamp_ms;
            }
        }
        return false;
    }
};

TEST_F(SegmentIndexTest, FilesAreWhatKafkaWouldHaveWritten) {
    const MadeSegment segment = varied_segment(200);
    make(segment);
    const ExpectedFiles expected = expected_files(segment, 100, true);
    EXPECT_GT(expected.index.size(), 20u * index_entry_bytes);
    EXPECT_EQ(read(index_name), expected.index);
    EXPECT_EQ(read(time_name), expected.times);
}

TEST_F(SegmentIndexTest, TheFirstEntryComesAfterMoreThanTheInterval) {
    // 4,096 bytes before a batch are not enough, 4,097 are.
    SegmentIndex index(root_, Offset{100});
    index.note(Offset{100}, BytePos{0}, 5);
    index.note(Offset{101}, BytePos{4096}, 5);
    EXPECT_EQ(index.pending_entries(), 0u);
    index.note(Offset{102}, BytePos{4097}, 5);
    EXPECT_EQ(index.pending_entries(), 2u);  // one in each file
}

TEST_F(SegmentIndexTest, EveryOffsetAndTimeIsFoundFromMemoryAndFromFiles) {
    const MadeSegment segment = varied_segment(600);
    write(log_name, segment.bytes);
    SegmentIndex index(root_, Offset{100});
    for (size_t i = 0; i < segment.batches.size(); ++i) {
        if (i == 300) { ASSERT_TRUE(index.flush(*disk_)); }
        const MadeBatch& batch = segment.batches[i];
        index.note(Offset{batch.last_offset}, BytePos{batch.at}, batch.timestamp_ms);
    }
    EXPECT_GT(index.pending_entries(), 0u);
    expect_right(index, segment);
    EXPECT_TRUE(index.lookup_pending(Offset{segment.next_offset}));
    EXPECT_FALSE(index.lookup_pending(Offset{100}));
    index.close();
    ASSERT_TRUE(index.flush(*disk_));
    EXPECT_EQ(index.pending_entries(), 0u);
    expect_right(index, segment);
    expect_right(index.flushed_part(), segment);
}

TEST_F(SegmentIndexTest, GoesOnFromSavedStateAndFromTheFilesAlone) {
    const MadeSegment segment = varied_segment(200);
    const ExpectedFiles expected = expected_files(segment, 100, true);
    for (const bool from_state : {true, false}) {
        SegmentIndex first(root_, Offset{100});
        for (size_t i = 0; i < 120; ++i) {
            const MadeBatch& batch = segment.batches[i];
            first.note(Offset{batch.last_offset}, BytePos{batch.at}, batch.timestamp_ms);
        }
        ASSERT_TRUE(first.flush(*disk_));
        const SegmentEnd end{Offset{segment.batches[120].base_offset}, BytePos{segment.batches[120].at}};
        auto opened = from_state ? Result<SegmentIndex>(SegmentIndex(root_, Offset{100}, first.state()))
                                 : SegmentIndex::open(*disk_, root_, Offset{100}, end);
        ASSERT_TRUE(opened) << opened.error().message();
        // After open() the batches from the last entry on are noted again; after a state that changes nothing.
        for (const MadeBatch& batch : segment.batches) {
            if (batch.at < opened->last_entry_at().value) { continue; }
            opened->note(Offset{batch.last_offset}, BytePos{batch.at}, batch.timestamp_ms);
        }
        opened->close();
        ASSERT_TRUE(opened->flush(*disk_));
        EXPECT_EQ(read(index_name), expected.index);
        EXPECT_EQ(read(time_name), expected.times);
    }
}

TEST_F(SegmentIndexTest, EntriesPastTheEndAreDropped) {
    const MadeSegment segment = varied_segment(200);
    make(segment);
    const MadeBatch& cut = segment.batches[77];
    auto index = SegmentIndex::open(*disk_, root_, Offset{100}, {Offset{cut.base_offset}, BytePos{cut.at}});
    ASSERT_TRUE(index);
    EXPECT_LT(index->last_entry_at(), BytePos{cut.at});
    const auto at = index->lookup(*disk_, Offset{segment.next_offset});
    ASSERT_TRUE(at);
    EXPECT_LT(*at, BytePos{cut.at});
    ASSERT_TRUE(index->flush(*disk_));
    MadeSegment shorter = segment;
    shorter.batches.resize(77);
    EXPECT_EQ(read(index_name), expected_files(shorter, 100, false).index);
}

TEST_F(SegmentIndexTest, ZerosThatKafkaPreallocatedAreDropped) {
    const MadeSegment segment = varied_segment(200);
    make(segment);
    for (const std::string& name : {index_name, time_name}) {
        std::vector<std::byte> content = read(name);
        content.resize(content.size() + 100'000);
        write(name, content);
    }
    auto index = SegmentIndex::open(*disk_, root_, Offset{100}, end_of(segment));
    ASSERT_TRUE(index) << index.error().message();
    expect_right(*index, segment);
    ASSERT_TRUE(index->flush(*disk_));
    EXPECT_EQ(read(index_name), expected_files(segment, 100, true).index);
    EXPECT_EQ(read(time_name), expected_files(segment, 100, true).times);
}

TEST_F(SegmentIndexTest, TruncationAnywhereLeavesWhatAShorterSegmentHas) {
    const MadeSegment segment = varied_segment(120);
    for (size_t keep = 0; keep <= segment.batches.size(); keep += 7) {
        for (const size_t flushed : {size_t{0}, size_t{60}, size_t{120}}) {
            SegmentIndex index(root_, Offset{100});
            for (size_t i = 0; i < segment.batches.size(); ++i) {
                if (i == flushed) { ASSERT_TRUE(index.flush(*disk_)); }
                const MadeBatch& batch = segment.batches[i];
                index.note(Offset{batch.last_offset}, BytePos{batch.at}, batch.timestamp_ms);
            }
            if (flushed == 120) { ASSERT_TRUE(index.flush(*disk_)); }
            MadeSegment shorter = segment;
            shorter.batches.resize(keep);
            shorter.next_offset = keep == 0 ? 100 : shorter.batches.back().last_offset + 1;
            const int64_t at =
                keep == segment.batches.size() ? static_cast<int64_t>(segment.bytes.size()) : segment.batches[keep].at;
            ASSERT_TRUE(index.truncate(*disk_, {Offset{shorter.next_offset}, BytePos{at}}));
            for (const MadeBatch& batch : shorter.batches) {
                if (batch.at < index.last_entry_at().value) { continue; }
                index.note(Offset{batch.last_offset}, BytePos{batch.at}, batch.timestamp_ms);
            }
            // The segment goes on with other batches, none as late as what was cut.
            for (int i = 0; i < 30; ++i) {
                const int64_t before_at = shorter.batches.empty() ? 0 : at + i * 1000;
                shorter.batches.push_back({before_at, 1000, shorter.next_offset, shorter.next_offset, 10'000 + i});
                if (shorter.batches.size() == 1) { shorter.batches[0].bytes = at + 1000; }
                index.note(Offset{shorter.next_offset}, BytePos{before_at}, 10'000 + i);
                ++shorter.next_offset;
            }
            index.close();
            ASSERT_TRUE(index.flush(*disk_));
            const ExpectedFiles expected = expected_files(shorter, 100, true);
            EXPECT_EQ(read(index_name), expected.index) << keep;
            EXPECT_EQ(read(time_name), expected.times) << keep;
        }
    }
}

TEST_F(SegmentIndexTest, MissingFilesAreCorruptAndRebuilt) {
    const MadeSegment segment = varied_segment(100);
    make(segment);
    ASSERT_TRUE(disk_->remove(join_path(root_, time_name)));
    EXPECT_EQ(code_of(SegmentIndex::open(*disk_, root_, Offset{100}, end_of(segment))), Code::corrupt);
    ASSERT_TRUE(disk_->remove(join_path(root_, index_name)));
    auto index = rebuild_index(*disk_, root_, Offset{100}, end_of(segment), batch_bytes_max_default, true);
    ASSERT_TRUE(index) << index.error().message();
    EXPECT_EQ(read(index_name), expected_files(segment, 100, true).index);
    EXPECT_EQ(read(time_name), expected_files(segment, 100, true).times);
}

TEST_F(SegmentIndexTest, ADamagedSegmentIsNotIndexed) {
    MadeSegment segment = varied_segment(30);
    segment.bytes[static_cast<size_t>(segment.batches[10].at) + 70] ^= std::byte{1};
    write(log_name, segment.bytes);
    const auto index = rebuild_index(*disk_, root_, Offset{100}, end_of(segment), batch_bytes_max_default, true);
    ASSERT_FALSE(index);
    EXPECT_EQ(code_of(index), Code::corrupt);
}

// Opens whatever the files now hold and looks up everything. Each answer is an error that says corrupt, an answer that
// the caller's checks refuse, or right.
void expect_harmless(Disk& disk, const std::string& root, const MadeSegment& segment, SegmentEnd end,
                     const std::function<bool(BytePos, int64_t)>& passes_offset,
                     const std::function<bool(const TimeLookup&)>& passes_time) {
    const auto index = SegmentIndex::open(disk, root, Offset{100}, end);
    if (!index) {
        ASSERT_EQ(code_of(index), Code::corrupt);
        return;
    }
    for (size_t i = 0; i < segment.batches.size(); i += 3) {
        const MadeBatch& wanted = segment.batches[i];
        const auto at = index->lookup(disk, Offset{wanted.base_offset});
        if (!at) {
            ASSERT_EQ(code_of(at), Code::corrupt);
        } else if (passes_offset(*at, wanted.base_offset)) {
            ASSERT_LE(at->value, wanted.at);
        }
        const auto hit = index->lookup_time(disk, wanted.timestamp_ms);
        if (!hit) {
            ASSERT_EQ(code_of(hit), Code::corrupt);
        } else if (passes_time(*hit)) {
            for (const MadeBatch& batch : segment.batches) {
                if (batch.timestamp_ms < wanted.timestamp_ms) { continue; }
                ASSERT_LE(hit->at.value, batch.at);
                break;
            }
        }
    }
}

TEST_F(SegmentIndexTest, EveryBitFlipIsNamedRefusedOrHarmless) {
    const MadeSegment segment = varied_segment(60);
    make(segment);
    for (const std::string& name : {index_name, time_name}) {
        const std::vector<std::byte> good = read(name);
        for (size_t bit = 0; bit < good.size() * 8; ++bit) {
            std::vector<std::byte> bad = good;
            bad[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
            write(name, bad);
            expect_harmless(
                *disk_, root_, segment, end_of(segment),
                [&](BytePos at, int64_t offset) { return passes(segment, at, offset); },
                [&](const TimeLookup& hit) { return passes(segment, hit); });
            if (HasFatalFailure()) { FAIL() << name << " bit " << bit; }
        }
        write(name, good);
    }
}

TEST_F(SegmentIndexTest, EveryTruncationLengthIsNamedOrHarmless) {
    const MadeSegment segment = varied_segment(60);
    make(segment);
    for (const std::string& name : {index_name, time_name}) {
        const std::vector<std::byte> good = read(name);
        for (size_t length = 0; length < good.size(); ++length) {
            write(name, Bytes(good).first(length));
            expect_harmless(
                *disk_, root_, segment, end_of(segment),
                [&](BytePos at, int64_t offset) { return passes(segment, at, offset); },
                [&](const TimeLookup& hit) { return passes(segment, hit); });
            if (HasFatalFailure()) { FAIL() << name << " length " << length; }
        }
        write(name, good);
    }
}

TEST_F(SegmentIndexTest, AnEntryThatPointsPastTheEndIsNotBelieved) {
    const MadeSegment segment = varied_segment(100);
    make(segment);
    std::vector<std::byte> bad = read(index_name);
    store_be(bad.data() + bad.size() - 4, static_cast<int32_t>(segment.bytes.size() + 100));
    write(index_name, bad);
    const auto index = SegmentIndex::open(*disk_, root_, Offset{100}, end_of(segment));
    ASSERT_TRUE(index);
    expect_right(*index, segment);
}

TEST_F(SegmentIndexTest, EntriesThatDoNotGrowAreCorruptWithinAPageAndAcrossPages) {
    const MadeSegment segment = varied_segment(8000);
    const SegmentIndex good = make(segment);
    const std::vector<std::byte> content = read(index_name);
    ASSERT_GT(content.size(), 3 * 4096u);
    std::vector<std::byte> bad = content;
    std::swap_ranges(bad.begin(), bad.begin() + index_entry_bytes, bad.begin() + index_entry_bytes);
    write(index_name, bad);
    EXPECT_EQ(code_of(SegmentIndex(root_, Offset{100}, good.state()).lookup(*disk_, Offset{100})), Code::corrupt);
    // Every page grows, but the last one's positions lie below those before it.
    bad = content;
    for (size_t at = 3 * 4096; at < bad.size(); at += index_entry_bytes) {
        store_be(&bad[at + 4], static_cast<int32_t>(1 + at));
    }
    write(index_name, bad);
    EXPECT_EQ(code_of(SegmentIndex(root_, Offset{100}, good.state()).lookup(*disk_, Offset{segment.next_offset})),
              Code::corrupt);
}

TEST_F(SegmentIndexTest, AFileShorterThanTheStateSaysIsCorrupt) {
    const MadeSegment segment = varied_segment(100);
    const SegmentIndex good = make(segment);
    write(index_name, Bytes(read(index_name)).first(3 * index_entry_bytes));
    SegmentIndex index(root_, Offset{100}, good.state());
    EXPECT_EQ(code_of(index.lookup(*disk_, Offset{segment.next_offset})), Code::corrupt);
    index.note(Offset{segment.next_offset}, BytePos{static_cast<int64_t>(segment.bytes.size()) + 5000}, 1);
    EXPECT_EQ(code_of(index.flush(*disk_)), Code::corrupt);
}

}  // namespace
}  // namespace flowstone
