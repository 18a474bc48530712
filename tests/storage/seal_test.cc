#include "storage/seal.h"

#include "storage/random.h"
#include "tests/storage/scratch.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

constexpr uint64_t mib = 1u << 20;

SealPlace place_of(int64_t base) {
    SealPlace place{.cluster = {}, .topic = {}, .partition = 3, .base = Offset{base}};
    place.cluster.bytes[0] = std::byte{1};
    place.topic.bytes[15] = std::byte{2};
    return place;
}

std::vector<std::byte> noise(uint64_t bytes, uint64_t seed) {
    std::vector<std::byte> out(bytes);
    uint64_t state = seed;
    for (std::byte& byte : out) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        byte = static_cast<std::byte>(state >> 56);
    }
    return out;
}

Seal sealed(Bytes content, int64_t base = 100) {
    SealBuilder builder(place_of(base));
    builder.update(content);
    return builder.finish(Offset{base + 10}, SealOrigin::append);
}

Seal chained() {
    Seal seal = sealed(noise(mib + 5, 1));
    seal.chain = SealChain{.content = sha256(as_bytes("content")),
                           .previous = sha256(as_bytes("previous")),
                           .replaced = {sha256(as_bytes("one")), sha256(as_bytes("two"))}};
    return seal;
}

TEST(Seal, OneHashPerMebibyteHoweverTheBytesCome) {
    for (const uint64_t size : {uint64_t{0}, uint64_t{1}, mib - 1, mib, mib + 1, 3 * mib, 3 * mib + 77}) {
        const auto content = noise(size, 7);
        const Seal whole = sealed(content);
        ASSERT_EQ(whole.pieces.size(), (size + mib - 1) / mib);
        EXPECT_EQ(whole.bytes, size);
        for (uint64_t i = 0; i < whole.pieces.size(); ++i) {
            const Bytes piece = Bytes(content).subspan(i * mib, std::min(mib, size - i * mib));
            EXPECT_EQ(whole.pieces[i], seal_piece_hash(place_of(100), piece));
        }
        SealBuilder builder(place_of(100));
        uint64_t step = 1;
        for (uint64_t at = 0; at < size; at += step) {
            step = std::min<uint64_t>(size - at, step * 3 % 700'001 + 1);
            builder.update(Bytes(content).subspan(at, step));
        }
        EXPECT_EQ(builder.finish(Offset{110}, SealOrigin::append), whole);
    }
}

TEST(Seal, TheSameBytesInAnotherPlaceHaveOtherHashes) {
    const auto content = noise(1000, 3);
    const Hash128 here = seal_piece_hash(place_of(100), content);
    SealPlace other = place_of(100);
    other.partition = 4;
    EXPECT_NE(seal_piece_hash(other, content), here);
    other = place_of(101);
    EXPECT_NE(seal_piece_hash(other, content), here);
    other = place_of(100);
    other.topic.bytes[0] = std::byte{9};
    EXPECT_NE(seal_piece_hash(other, content), here);
    other = place_of(100);
    other.cluster.bytes[7] = std::byte{9};
    EXPECT_NE(seal_piece_hash(other, content), here);
}

TEST(Seal, ARestartedBuilderNeedsOnlyTheFinishedHashesAndTheUnfinishedMebibyte) {
    const auto content = noise(2 * mib + 500'000, 11);
    SealBuilder before(place_of(100));
    before.update(Bytes(content).first(2 * mib + 1000));
    SealBuilder after(place_of(100), before.pieces());
    ASSERT_EQ(after.bytes(), 2 * mib);
    after.update(Bytes(content).subspan(after.bytes()));
    EXPECT_EQ(after.finish(Offset{110}, SealOrigin::append), sealed(content));
}

TEST(Seal, EncodesAndDecodes) {
    for (const Seal& seal : {sealed({}), sealed(noise(3 * mib + 1, 5)), chained()}) {
        const auto decoded = decode_seal(encode_seal(seal));
        ASSERT_TRUE(decoded) << decoded.error().message();
        EXPECT_EQ(*decoded, seal);
    }
}

TEST(Seal, TheLayoutIsTheDocumentedOne) {
    const Seal seal = chained();
    const auto bytes = encode_seal(seal);
    ASSERT_EQ(bytes.size(), 80u + 2 * 16 + 32 + 32 + 4 + 2 * 32 + 8);
    EXPECT_EQ(as_text(Bytes(bytes).first(8)), "FLOWSEAL");
    EXPECT_EQ(load_le<uint16_t>(&bytes[8]), 1);
    EXPECT_EQ(bytes[11], std::byte{1});
    EXPECT_EQ(load_le<int32_t>(&bytes[12]), 3);
    EXPECT_EQ(load_le<int64_t>(&bytes[48]), 100);
    EXPECT_EQ(load_le<int64_t>(&bytes[56]), 110);
    EXPECT_EQ(load_le<uint64_t>(&bytes[64]), mib + 5);
    EXPECT_EQ(load_le<uint32_t>(&bytes[72]), mib);
    EXPECT_EQ(load_le<uint32_t>(&bytes[76]), 2u);
    EXPECT_TRUE(std::ranges::equal(Bytes(bytes).subspan(80, 16), seal.pieces[0].bytes));
    EXPECT_TRUE(std::ranges::equal(Bytes(bytes).subspan(112, 32), seal.chain->content));
    EXPECT_EQ(seal.head(), sha256(Bytes(bytes).first(bytes.size() - 8)));
}

TEST(Seal, TheHeadCoversWhatItSaysAndWhatCameBefore) {
    const Seal seal = chained();
    Seal other = seal;
    other.chain->previous[0] ^= std::byte{1};
    EXPECT_NE(other.head(), seal.head());
    other = seal;
    other.chain->content[31] ^= std::byte{1};
    EXPECT_NE(other.head(), seal.head());
    other = seal;
    other.end = Offset{111};
    EXPECT_NE(other.head(), seal.head());
    other = seal;
    other.chain->replaced.pop_back();
    EXPECT_NE(other.head(), seal.head());
}

TEST(Seal, EveryBitFlipIsCorrupt) {
    const auto good = encode_seal(chained());
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        auto bad = good;
        bad[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
        const auto decoded = decode_seal(bad);
        ASSERT_FALSE(decoded) << bit;
        ASSERT_EQ(code_of(decoded), Code::corrupt) << bit;
    }
}

TEST(Seal, EveryTruncationAndAnyExtraByteIsCorrupt) {
    auto bytes = encode_seal(chained());
    for (size_t length = 0; length < bytes.size(); ++length) {
        ASSERT_EQ(code_of(decode_seal(Bytes(bytes).first(length))), Code::corrupt) << length;
    }
    bytes.push_back(std::byte{0});
    EXPECT_EQ(code_of(decode_seal(bytes)), Code::corrupt);
}

// A seal with one field changed and its checksum made again.
std::optional<Code> decode_with(size_t at, const std::vector<int>& values, const Seal& seal = chained()) {
    auto bytes = encode_seal(seal);
    for (size_t i = 0; i < values.size(); ++i) { bytes[at + i] = static_cast<std::byte>(values[i]); }
    store_le(bytes.data() + bytes.size() - 8, xxh3_64(Bytes(bytes).first(bytes.size() - 8)));
    return code_of(decode_seal(bytes));
}

TEST(Seal, NumbersThatContradictEachOtherAreRefusedWhateverTheChecksumSays) {
    EXPECT_EQ(decode_with(8, {2, 0}), Code::unsupported);
    EXPECT_EQ(decode_with(10, {3}), Code::corrupt);                             // origin
    EXPECT_EQ(decode_with(11, {3}), Code::corrupt);                             // flags
    EXPECT_EQ(decode_with(11, {0}), Code::corrupt);                             // a chain that is not announced
    EXPECT_EQ(decode_with(12, {0, 0, 0, 0x80}), Code::corrupt);                 // partition
    EXPECT_EQ(decode_with(56, {1, 0, 0, 0, 0, 0, 0, 0}), Code::corrupt);        // end below base
    EXPECT_EQ(decode_with(64, {1, 0, 0x20, 0}), Code::corrupt);                 // 2 MiB and 1 byte: three hashes
    EXPECT_EQ(decode_with(72, {0, 0, 0, 1}), Code::corrupt);                    // piece size
    EXPECT_EQ(decode_with(76, {0xff, 0xff, 0xff, 0xff}), Code::corrupt);        // count
    EXPECT_EQ(decode_with(112 + 64, {0xff, 0xff, 0xff, 0x7f}), Code::corrupt);  // replaced count
}

class SealFileTest : public ScratchTest {
protected:
    const std::string log_name_ = "00000000000000000100.log";
};

TEST_F(SealFileTest, AGoodSegmentVerifiesAndADamagedOneNamesTheMebibyte) {
    auto content = noise(3 * mib + 1000, 13);
    Seal seal = sealed(content);
    seal.chain = SealChain{.content = sha256(content), .previous = {}, .replaced = {}};
    write(log_name_, content);
    for (const bool direct : {false, true}) {
        const auto file = open(log_name_, {.direct = direct});
        const auto verdict = verify_seal(*disk_, *file, seal);
        ASSERT_TRUE(verdict) << verdict.error().message();
        EXPECT_TRUE(verdict->good());
        EXPECT_EQ(value_of(sha256_of_file(*disk_, *file, content.size())), sha256(content));
    }
    content[2 * mib + 5] ^= std::byte{4};
    write(log_name_, content);
    const auto verdict = verify_seal(*disk_, *open(log_name_), seal);
    ASSERT_TRUE(verdict);
    ASSERT_EQ(verdict->faults.size(), 1u);
    EXPECT_EQ(verdict->faults[0].kind, SealFault::Kind::piece);
    EXPECT_EQ(verdict->faults[0].begin.value, static_cast<int64_t>(2 * mib));
    EXPECT_EQ(verdict->faults[0].end.value, static_cast<int64_t>(3 * mib));
    EXPECT_FALSE(verdict->content_matches);
}

TEST_F(SealFileTest, MissingAndSurplusBytesAreNamed) {
    auto content = noise(2 * mib + 1000, 17);
    const Seal seal = sealed(content);
    write(log_name_, Bytes(content).first(mib + 10));
    auto verdict = verify_seal(*disk_, *open(log_name_), seal);
    ASSERT_TRUE(verdict);
    ASSERT_EQ(verdict->faults.size(), 1u);
    EXPECT_EQ(verdict->faults[0].kind, SealFault::Kind::length);
    EXPECT_EQ(verdict->faults[0].begin.value, static_cast<int64_t>(mib + 10));
    EXPECT_EQ(verdict->faults[0].end.value, static_cast<int64_t>(content.size()));
    const auto size = static_cast<int64_t>(content.size());
    content.resize(content.size() + 3);
    write(log_name_, content);
    verdict = verify_seal(*disk_, *open(log_name_), seal);
    ASSERT_TRUE(verdict);
    ASSERT_EQ(verdict->faults.size(), 1u);
    EXPECT_EQ(verdict->faults[0].begin.value, size);
    EXPECT_EQ(verdict->faults[0].end.value, size + 3);
}

TEST_F(SealFileTest, AFileInTheWrongPlaceIsFoundOut) {
    const auto content = noise(2 * mib, 19);
    write(log_name_, content);
    Seal seal = sealed(content);
    seal.place.partition = 4;
    const auto verdict = verify_seal(*disk_, *open(log_name_), seal);
    ASSERT_TRUE(verdict);
    ASSERT_EQ(verdict->faults.size(), 1u);  // adjacent pieces are joined
    EXPECT_EQ(verdict->faults[0].end.value, static_cast<int64_t>(2 * mib));
}

TEST_F(SealFileTest, WrittenAndReadAgainAndNeverTakenForAnothers) {
    const auto content = noise(mib / 2, 23);
    write(log_name_, content);
    const auto made = seal_of_file(*disk_, *open(log_name_), place_of(100), Offset{110}, SealOrigin::reseal);
    ASSERT_TRUE(made);
    ASSERT_TRUE(write_seal(*disk_, root_, *made));
    const auto found = read_seal(*disk_, root_, Offset{100});
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(*found, *made);
    EXPECT_EQ(found->origin, SealOrigin::reseal);
    EXPECT_EQ(code_of(read_seal(*disk_, root_, Offset{200})), Code::not_found);
    write("00000000000000000200.seal", encode_seal(*made));
    EXPECT_EQ(code_of(read_seal(*disk_, root_, Offset{200})), Code::corrupt);
}

}  // namespace
}  // namespace flowstone
