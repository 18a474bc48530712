#include "storage/checkpoint.h"

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

}  // namespace
}  // namespace flowstone
