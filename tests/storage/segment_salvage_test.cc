#include "storage/segment_salvage.h"

#include <algorithm>

#include "tests/storage/scratch.h"

namespace flowstone {
namespace {

const std::string name_of_log = "00000000000000000000.log";

class SegmentSalvageTest : public ScratchTest {
protected:
    struct Salvaged {
        std::vector<int64_t> at;
        std::vector<DamagedRange> damage;
    };
    Salvaged salvage(Bytes content) {
        write(name_of_log, content);
        const auto file = open(name_of_log);
        SegmentSalvager salvager(*disk_, *file, {.batch_bytes_max = 100'000});
        Salvaged result;
        while (true) {
            const auto scanned = salvager.next();
            EXPECT_TRUE(scanned) << scanned.error().message();
            if (!scanned || !*scanned) { break; }
            result.at.push_back((*scanned)->at.value);
        }
        result.damage = salvager.damage();
        return result;
    }
};

MadeSegment ten_batches() {
    std::vector<BatchShape> shapes;
    for (int i = 0; i < 10; ++i) {
        shapes.push_back({.records = 3, .value_bytes = static_cast<size_t>(30 + i), .epoch = i / 4});
    }
    return make_segment(0, shapes);
}

TEST_F(SegmentSalvageTest, AGoodSegmentComesBackWhole) {
    const MadeSegment segment = ten_batches();
    const Salvaged result = salvage(segment.bytes);
    EXPECT_EQ(result.at.size(), 10u);
    EXPECT_TRUE(result.damage.empty());
}

TEST_F(SegmentSalvageTest, DamageToAnyByteCostsThatBatchAndNoOther) {
    const MadeSegment segment = ten_batches();
    for (size_t hurt = 0; hurt < segment.batches.size(); ++hurt) {
        const MadeBatch& batch = segment.batches[hurt];
        for (int64_t byte = 0; byte < batch.bytes; ++byte) {
            for (const int flip : {0x01, 0x80, 0xff}) {
                std::vector<std::byte> bad = segment.bytes;
                bad[static_cast<size_t>(batch.at + byte)] ^= static_cast<std::byte>(flip);
                const Salvaged result = salvage(bad);
                // The last batch has none behind it that could show an offset or epoch to be wrong, and an epoch may be
                // one that would have been right.
                const bool unprovable = (byte < 8 && hurt + 1 == segment.batches.size()) || (byte >= 12 && byte < 16);
                if (unprovable && result.damage.empty()) { continue; }
                ASSERT_EQ(result.damage.size(), 1u) << hurt << ' ' << byte << ' ' << flip;
                ASSERT_EQ(result.at.size(), segment.batches.size() - 1) << hurt << ' ' << byte << ' ' << flip;
                if (byte >= 12 && byte < 16) { continue; }  // between two that disagree the one may look as good
                ASSERT_EQ(result.damage[0].begin.value, batch.at) << hurt << ' ' << byte << ' ' << flip;
                ASSERT_EQ(result.damage[0].end.value, batch.at + batch.bytes) << hurt << ' ' << byte << ' ' << flip;
                ASSERT_EQ(result.damage[0].offset_begin.value, batch.base_offset);
                const int64_t next = hurt + 1 == segment.batches.size() ? -1 : batch.last_offset + 1;
                ASSERT_EQ(result.damage[0].offset_end.value, next);
            }
        }
    }
}

TEST_F(SegmentSalvageTest, AHoleOfZerosOrNoiseAnywhereCostsOnlyWhatItTouches) {
    const MadeSegment segment = ten_batches();
    const auto size = static_cast<int64_t>(segment.bytes.size());
    for (const std::byte fill : {std::byte{0}, std::byte{0xa7}}) {
        for (int64_t begin = 0; begin < size; begin += 13) {
            const int64_t end = std::min(begin + 200, size);
            std::vector<std::byte> bad = segment.bytes;
            std::fill(bad.begin() + begin, bad.begin() + end, fill);
            const Salvaged result = salvage(bad);
            size_t expected = 0;
            for (const MadeBatch& batch : segment.batches) {
                const Bytes before =
                    Bytes(segment.bytes).subspan(static_cast<size_t>(batch.at), static_cast<size_t>(batch.bytes));
                const Bytes after = Bytes(bad).subspan(static_cast<size_t>(batch.at), static_cast<size_t>(batch.bytes));
                if (std::ranges::equal(before, after)) { ++expected; }
            }
            ASSERT_EQ(result.at.size(), expected) << begin;
            ASSERT_EQ(result.damage.size(), expected == segment.batches.size() ? 0u : 1u) << begin;
        }
    }
}

TEST_F(SegmentSalvageTest, ARaisedOffsetDoesNotCostTheRestEvenWhenTheNextBatchIsBadToo) {
    const MadeSegment segment = ten_batches();
    std::vector<std::byte> bad = segment.bytes;
    bad[static_cast<size_t>(segment.batches[3].at)] ^= std::byte{0x10};       // a far larger offset
    bad[static_cast<size_t>(segment.batches[4].at + 90)] ^= std::byte{0x10};  // its records
    const Salvaged result = salvage(bad);
    EXPECT_EQ(result.at.size(), 8u);
    ASSERT_EQ(result.damage.size(), 1u);
    EXPECT_EQ(result.damage[0].begin.value, segment.batches[3].at);
    EXPECT_EQ(result.damage[0].end.value, segment.batches[5].at);
    EXPECT_EQ(result.damage[0].offset_begin.value, segment.batches[3].base_offset);
    EXPECT_EQ(result.damage[0].offset_end.value, segment.batches[5].base_offset);
}

}  // namespace
}  // namespace flowstone
