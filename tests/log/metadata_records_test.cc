#include "log/metadata_records.h"

#include <random>

#include <gtest/gtest.h>

namespace flowstone {
namespace {

std::vector<std::byte> from_hex(std::string_view hex) {
    std::vector<std::byte> bytes;
    int high = -1;
    for (char c : hex) {
        if (c == ' ' || c == '\n') { continue; }
        const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
        if (high < 0) {
            high = digit;
        } else {
            bytes.push_back(static_cast<std::byte>(high * 16 + digit));
            high = -1;
        }
    }
    return bytes;
}

Uuid uuid(std::string_view hex) {
    const auto bytes = from_hex(hex);
    Uuid id;
    std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
    return id;
}

// Bytes on the left follow from the schemas by hand, and Kafka 4.3.0's MetadataRecordSerde writes the same.
struct Vector {
    const char* hex;
    MetadataRecord record;
};

std::vector<Vector> vectors() {
    const Uuid topic = uuid("00000000 0000 4000 8000 000000000091");
    const Uuid directory = uuid("10000000 0000 4000 8000 000000000001");
    return {
        {"01 0c 00 11 6d657461646174612e76657273696f6e 0014 00", FeatureLevelRecord{"metadata.version", 20}},
        {"01 02 00 04 73617a 00000000000040008000000000000091 00", TopicRecord{"saz", topic}},
        {"01 03 01 00000001 00000000000040008000000000000091 02 00000001 02 00000001 01 01 00000001 00000000 00000000"
         "02 10000000000040008000000000000001 00",
         PartitionRecord{1, topic, {1}, {1}, {}, {}, 1, 0, 0, {directory}}},
        {"01 04 00 02 04 73617a 0d 726574656e74696f6e2e6d73 03 2d31 00", ConfigRecord{2, "saz", "retention.ms", "-1"}},
        {"01 04 00 02 04 73617a 0d 726574656e74696f6e2e6d73 00 00",
         ConfigRecord{2, "saz", "retention.ms", std::nullopt}},
        {"01 04 00 02 04 73617a 0d 726574656e74696f6e2e6d73 01 00", ConfigRecord{2, "saz", "retention.ms", ""}},
        {"01 05 00 00000003 00000000000040008000000000000091 02 00 09 03 00000001 00000002 01 04 ffffffff",
         PartitionChangeRecord{3, topic, std::vector<int32_t>{1, 2}, -1, {}, {}, {}, {}}},
        {"01 05 01 00000003 00000000000040008000000000000091 01 08 11 02 10000000000040008000000000000001",
         PartitionChangeRecord{3, topic, {}, {}, {}, {}, {}, std::vector{directory}}},
        {"01 09 00 00000000000040008000000000000091 00", RemoveTopicRecord{topic}},
        {"01 0f 00 00000001 000000000000000b 00000000000003e8 00", ProducerIdsRecord{1, 11, 1000}},
        {"01 14 00 00", NoOpRecord{}},
        {"01 17 00 00", TransactionRecord{TransactionRecord::Kind::begin}},
        {"01 18 00 00", TransactionRecord{TransactionRecord::Kind::end}},
        {"01 19 00 00", TransactionRecord{TransactionRecord::Kind::abort}},
    };
}

TEST(MetadataRecords, AreWrittenAsTheSchemasSay) {
    for (const Vector& vector : vectors()) { EXPECT_EQ(encode(vector.record), from_hex(vector.hex)) << vector.hex; }
}

TEST(MetadataRecords, AreReadBack) {
    for (const Vector& vector : vectors()) {
        const auto record = decode_metadata_record(from_hex(vector.hex));
        ASSERT_TRUE(record) << vector.hex << ": " << record.error().message();
        EXPECT_EQ(*record, vector.record) << vector.hex;
    }
}

TEST(MetadataRecords, PartitionsOfOlderAndNewerVersionsAreRead) {
    const Uuid topic = uuid("00000000000040008000000000000091");
    // Version 0 has no directories; here with tagged field 0, the recovery state.
    const auto old =
        decode_metadata_record(from_hex("01 03 00 00000001 00000000000040008000000000000091 02 00000001"
                                        "02 00000001 01 01 00000001 00000000 00000000 01 00 01 01"));
    ASSERT_TRUE(old);
    EXPECT_EQ(*old, MetadataRecord(PartitionRecord{1, topic, {1}, {1}, {}, {}, 1, 0, 0, {}}));
    // Version 2 has the eligible leader replicas as tagged fields 1 and 2.
    const auto newer =
        decode_metadata_record(from_hex("01 03 02 00000001 00000000000040008000000000000091 02 00000001"
                                        "02 00000001 01 01 00000001 00000000 00000000"
                                        "02 10000000000040008000000000000001 02 01 05 02 00000002 02 01 01"));
    ASSERT_TRUE(newer);
    EXPECT_EQ(std::get<PartitionRecord>(*newer).directories.size(), 1u);
}

// As Kafka 4.3.0 writes them: a change of everything, eligible leaders and recovery state too; a named transaction.
TEST(MetadataRecords, WhatIsNotKeptOfARecordIsPassedOver) {
    const auto change = decode_metadata_record(from_hex(
        "01 05 02 00000003 00000000000040008000000000000091 07 02 05 02 00000001 03 05 02 00000002 04 05 02 00000003"
        "05 01 01 06 05 02 00000004 07 05 02 00000005 08 11 02 10000000000040008000000000000001"));
    ASSERT_TRUE(change);
    const Uuid directory = uuid("10000000000040008000000000000001");
    EXPECT_EQ(*change, MetadataRecord(PartitionChangeRecord{.partition = 3,
                                                            .topic_id = uuid("00000000000040008000000000000091"),
                                                            .replicas = std::vector<int32_t>{1},
                                                            .removing = std::vector<int32_t>{2},
                                                            .adding = std::vector<int32_t>{3},
                                                            .directories = std::vector{directory}}));
    const auto begin = decode_metadata_record(from_hex("01 17 00 01 00 02 02 78"));
    ASSERT_TRUE(begin);
    EXPECT_EQ(*begin, MetadataRecord(TransactionRecord{TransactionRecord::Kind::begin}));
}

TEST(MetadataRecords, UnknownTaggedFieldsArePassedOver) {
    const auto record =
        decode_metadata_record(from_hex("01 02 00 04 73617a 00000000000040008000000000000091 01 63 02 abcd"));
    ASSERT_TRUE(record);
    EXPECT_EQ(std::get<TopicRecord>(*record).name, "saz");
}

TEST(MetadataRecords, TypesThatAreNotKeptAreNamedByNumber) {
    const auto broker = decode_metadata_record(from_hex("01 00 03 00000001 0102030405"));
    ASSERT_TRUE(broker);
    EXPECT_EQ(*broker, MetadataRecord(OtherRecord{0, 3}));
    const auto later = decode_metadata_record(from_hex("01 ff01 00 00"));
    ASSERT_TRUE(later);
    EXPECT_EQ(*later, MetadataRecord(OtherRecord{255, 0}));
}

Code code_of(std::string_view hex) {
    const auto record = decode_metadata_record(from_hex(hex));
    EXPECT_FALSE(record) << hex;
    return record ? Code::closed : record.error().code;
}

TEST(MetadataRecords, NewerVersionsAreUnsupported) {
    EXPECT_EQ(code_of("02 02 00 04 73617a 00000000000040008000000000000091 00"), Code::unsupported);
    EXPECT_EQ(code_of("00 02 00 04 73617a 00000000000040008000000000000091 00"), Code::unsupported);
    EXPECT_EQ(code_of("01 02 01 04 73617a 00000000000040008000000000000091 00"), Code::unsupported);
    EXPECT_EQ(code_of("01 03 03 00000001"), Code::unsupported);
}

TEST(MetadataRecords, BadFieldsAreCorrupt) {
    EXPECT_EQ(code_of(""), Code::corrupt);
    EXPECT_EQ(code_of("01"), Code::corrupt);
    EXPECT_EQ(code_of("01 02 00 00 00000000000040008000000000000091 00"), Code::corrupt) << "the name is null";
    EXPECT_EQ(code_of("01 02 00 ff 73617a"), Code::corrupt) << "a length that never ends";
    EXPECT_EQ(code_of("01 02 00 04 73617a 00000000000040008000000000000091 00 00"), Code::corrupt) << "bytes left over";
    EXPECT_EQ(code_of("01 14 00 02 01 00 01 00"), Code::corrupt) << "tags must rise";
    EXPECT_EQ(code_of("01 05 00 00000003 00000000000040008000000000000091 01 01 05 ffffffff 00"), Code::corrupt)
        << "a leader of five bytes";
    EXPECT_EQ(code_of("01 ffff03 00 00"), Code::corrupt) << "no record type is above 2^15 - 1";
}

// An array that claims 2^28 replicas is refused before memory is taken for them.
TEST(MetadataRecords, BombsAreRefusedBeforeMemoryIsTaken) {
    EXPECT_EQ(code_of("01 03 00 00000001 00000000000040008000000000000091 ffffffff0f 00000001"), Code::corrupt);
    EXPECT_EQ(code_of("01 02 00 ffffffffffffffffff01"), Code::corrupt);
    EXPECT_EQ(code_of("01 14 00 ffffffffffffffffff01"), Code::corrupt);
}

TEST(MetadataRecords, CutAnywhereTheyAreCorrupt) {
    for (const Vector& vector : vectors()) {
        const auto whole = from_hex(vector.hex);
        for (size_t size = 0; size < whole.size(); ++size) {
            const auto record = decode_metadata_record(Bytes(whole).first(size));
            ASSERT_FALSE(record) << vector.hex << " cut to " << size;
            EXPECT_EQ(record.error().code, Code::corrupt);
        }
    }
}

// What a flipped bit leaves readable is written back as it was read: nothing is made up.
TEST(MetadataRecords, AnyBitFlipIsRefusedOrReadAsWhatItSays) {
    for (const Vector& vector : vectors()) {
        const auto whole = from_hex(vector.hex);
        for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
            auto flipped = whole;
            flipped[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
            const auto record = decode_metadata_record(flipped);
            if (!record || std::holds_alternative<OtherRecord>(*record)) { continue; }
            const auto again = decode_metadata_record(encode(*record));
            ASSERT_TRUE(again);
            EXPECT_EQ(*again, *record);
        }
    }
}

TEST(MetadataRecords, NoiseIsRefusedWithoutHarm) {
    std::mt19937_64 random(7);
    std::vector<std::byte> noise;
    for (int round = 0; round < 20'000; ++round) {
        noise.resize(random() % 80);
        for (std::byte& byte : noise) { byte = static_cast<std::byte>(random()); }
        if (noise.size() > 2) {
            noise[0] = std::byte{1};
            noise[1] = static_cast<std::byte>(random() % 26);
            noise[2] = static_cast<std::byte>(random() % 3);
        }
        (void)decode_metadata_record(noise);
    }
}

}  // namespace
}  // namespace flowstone
