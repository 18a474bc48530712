#include "storage/checkpoint.h"

#include <functional>

#include <gtest/gtest.h>

#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

Checkpoint two_partitions() {
    Checkpoint checkpoint;
    checkpoint.number = 7;
    checkpoint.generation = 3;
    for (int32_t i = 0; i < 2; ++i) {
        PartitionCheckpoint& partition = checkpoint.partitions.emplace_back();
        partition.topic_id.bytes[0] = std::byte{9};
        partition.partition = i;
        partition.synced_bytes = 8192;
        partition.boundary = 4100;
        partition.boundary_offset = Offset{12};
    }
    return checkpoint;
}

TEST(Checkpoint, WithoutLossesTheBodyEndsWithThePartitions) {
    const Checkpoint before = two_partitions();
    Checkpoint with = before;
    with.partitions[0].lost = LostRange{.begin = Offset{3}, .end = Offset{5}};
    // Topic id, partition, two offsets, commit, shard, segment, position, flag; and their count.
    EXPECT_EQ(encode_checkpoint(with).size(), encode_checkpoint(before).size() + 4 + 16 + 4 + 16 + 8 + 4 + 16 + 4);
    const Checkpoint after = value_of(decode_checkpoint(encode_checkpoint(before)));
    EXPECT_FALSE(after.partitions[0].lost);
    EXPECT_FALSE(after.partitions[1].lost);
}

TEST(Checkpoint, KeepsWhatIsLostOfEachPartition) {
    Checkpoint before = two_partitions();
    before.partitions[1].lost = LostRange{.begin = Offset{3},
                                          .end = Offset{5},
                                          .commit = 77,
                                          .shard = 2,
                                          .segment_base = Offset{1},
                                          .position = BytePos{900},
                                          .inside = true};
    const Checkpoint after = value_of(decode_checkpoint(encode_checkpoint(before)));
    EXPECT_FALSE(after.partitions[0].lost);
    EXPECT_EQ(after.partitions[1].lost, before.partitions[1].lost);
}

TEST(Checkpoint, RefusesALossThatEndsBeforeItBegins) {
    Checkpoint before = two_partitions();
    before.partitions[1].lost = LostRange{.begin = Offset{5}, .end = Offset{3}};
    const auto after = decode_checkpoint(encode_checkpoint(before));
    ASSERT_FALSE(after);
    EXPECT_EQ(after.error().code, Code::corrupt);
}

// Its sum is right; nothing that is reckoned with later may be out of its range.
TEST(Checkpoint, RefusesOffsetsAndSizesThatNoLogHas) {
    const std::vector<std::function<void(PartitionCheckpoint&)>> wrongs = {
        [](auto& one) { one.partition = -1; },
        [](auto& one) { one.segment_base = Offset{-1}; },
        [](auto& one) { one.segment_base = Offset{13}; },  // past the batch it begins with
        [](auto& one) { one.boundary_offset = Offset{-1}; },
        [](auto& one) { one.log_start = Offset{-1}; },
        [](auto& one) { one.producers_end = Offset{-1}; },
        [](auto& one) { one.compacted_end = Offset{-1}; },
        [](auto& one) { one.boundary = 8193; },
        [](auto& one) { one.synced_bytes = uint64_t{1} << 31; },
        [](auto& one) { one.epochs.push_back({Epoch{3}, Offset{-1}}); },
        [](auto& one) { one.lost = LostRange{.end = Offset{1}, .segment_base = Offset{-1}}; },
        [](auto& one) { one.lost = LostRange{.end = Offset{1}, .position = BytePos{-1}}; },
    };
    for (size_t i = 0; i < wrongs.size(); ++i) {
        Checkpoint checkpoint = two_partitions();
        wrongs[i](checkpoint.partitions[1]);
        const auto after = decode_checkpoint(encode_checkpoint(checkpoint));
        ASSERT_FALSE(after) << i;
        EXPECT_EQ(after.error().code, Code::corrupt) << i;
    }
}

}  // namespace
}  // namespace flowstone
