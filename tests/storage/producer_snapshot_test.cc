#include "storage/producer_snapshot.h"

#include "storage/checksum.h"
#include "tests/storage/reference.h"
#include "tests/storage/scratch.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

std::vector<ProducerSnapshotEntry> two_entries() {
    return {{.producer_id = 4000,
             .producer_epoch = 2,
             .last_sequence = 99,
             .last_offset = Offset{1234},
             .offset_delta = 9,
             .timestamp_ms = 1'700'000'000'000,
             .coordinator_epoch = -1,
             .transaction_first_offset = Offset{-1}},
            {.producer_id = 5,
             .producer_epoch = 0,
             .last_sequence = -1,
             .last_offset = Offset{-1},
             .offset_delta = 0,
             .timestamp_ms = 17,
             .coordinator_epoch = 3,
             .transaction_first_offset = Offset{77}}};
}

// By hand from Kafka's ProducerSnapshot.json, version 1: big endian, arrays counted by an int32.
std::vector<std::byte> two_entries_by_hand() {
    reference::Wire body;
    body.big(2, 4);
    body.big(4000, 8).big(2, 2).big(99, 4).big(1234, 8).big(9, 4).big(1'700'000'000'000, 8).big(-1, 4).big(-1, 8);
    body.big(5, 8).big(0, 2).big(-1, 4).big(-1, 8).big(0, 4).big(17, 8).big(3, 4).big(77, 8);
    reference::Wire file;
    file.big(1, 2).big(reference::crc32c(body.bytes()), 4).append(body);
    const Bytes bytes = file.bytes();
    return {bytes.begin(), bytes.end()};
}

TEST(ProducerSnapshot, IsKafkasFormatByteForByte) {
    EXPECT_EQ(encode_producer_snapshot(two_entries()), two_entries_by_hand());
    const auto decoded = decode_producer_snapshot(two_entries_by_hand());
    ASSERT_TRUE(decoded) << decoded.error().message();
    EXPECT_EQ(*decoded, two_entries());
    EXPECT_TRUE(value_of(decode_producer_snapshot(encode_producer_snapshot({}))).empty());
}

TEST(ProducerSnapshot, EveryBitFlipIsNamed) {
    const auto good = encode_producer_snapshot(two_entries());
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        auto bad = good;
        bad[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
        const auto decoded = decode_producer_snapshot(bad);
        ASSERT_FALSE(decoded) << bit;
        ASSERT_EQ(code_of(decoded), bit < 16 ? Code::unsupported : Code::corrupt) << bit;
    }
}

TEST(ProducerSnapshot, EveryTruncationAndAnyExtraByteIsCorrupt) {
    auto bytes = encode_producer_snapshot(two_entries());
    for (size_t length = 0; length < bytes.size(); ++length) {
        ASSERT_EQ(code_of(decode_producer_snapshot(Bytes(bytes).first(length))), Code::corrupt) << length;
    }
    bytes.push_back(std::byte{0});
    EXPECT_EQ(code_of(decode_producer_snapshot(bytes)), Code::corrupt);
}

TEST(ProducerSnapshot, NumbersThatContradictEachOtherAreRefusedWhateverTheChecksumSays) {
    const auto code_with = [](size_t at, std::vector<int> values) {
        auto bytes = encode_producer_snapshot(two_entries());
        for (size_t i = 0; i < values.size(); ++i) { bytes[at + i] = static_cast<std::byte>(values[i]); }
        store_be(bytes.data() + 2, crc32c(Bytes(bytes).subspan(6)));
        return code_of(decode_producer_snapshot(bytes));
    };
    EXPECT_EQ(code_with(6, {0x7f, 0xff, 0xff, 0xff}), Code::corrupt);  // 2^31 - 1 entries take no memory
    EXPECT_EQ(code_with(6, {0xff, 0xff, 0xff, 0xff}), Code::corrupt);
    EXPECT_EQ(code_with(6, {0, 0, 0, 1}), Code::corrupt);
    EXPECT_EQ(code_with(10, {0xff}), Code::corrupt);       // producer id
    EXPECT_EQ(code_with(10 + 22, {0xff}), Code::corrupt);  // offset delta below 0
    EXPECT_EQ(code_with(10 + 22, {0x7f}), Code::corrupt);  // more records than offsets
}

using ProducerSnapshotFileTest = ScratchTest;

TEST_F(ProducerSnapshotFileTest, IsWrittenUnderItsOffsetAndReadAgain) {
    ASSERT_TRUE(write_producer_snapshot(*disk_, root_, Offset{1300}, two_entries()));
    EXPECT_EQ(read("00000000000000001300.snapshot"), two_entries_by_hand());
    EXPECT_EQ(value_of(read_producer_snapshot(*disk_, root_, Offset{1300})), two_entries());
    EXPECT_EQ(code_of(read_producer_snapshot(*disk_, root_, Offset{1301})), Code::not_found);
    write("00000000000000001300.snapshot", as_bytes("\1\2"));
    const auto bad = read_producer_snapshot(*disk_, root_, Offset{1300});
    ASSERT_FALSE(bad);
    EXPECT_NE(bad.error().message().find("00000000000000001300.snapshot"), std::string::npos);
}

}  // namespace
}  // namespace flowstone
