#include "storage/checksum.h"

#include <algorithm>
#include <numeric>
#include <string>

#include <gtest/gtest.h>

#include "storage/impl/xxh3.h"
#include "tests/storage/reference.h"

namespace flowstone {
namespace {

std::vector<std::byte> noise(size_t size) {
    std::vector<std::byte> bytes(size);
    uint64_t state = 1;
    for (std::byte& byte : bytes) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        byte = static_cast<std::byte>(state >> 56);
    }
    return bytes;
}

TEST(Crc32c, AgreesWithTheVectorsOfRfc3720) {
    std::vector<std::byte> bytes(32, std::byte{0});
    EXPECT_EQ(crc32c(bytes), 0x8a9136aau);
    std::ranges::fill(bytes, std::byte{0xff});
    EXPECT_EQ(crc32c(bytes), 0x62a8ab43u);
    for (size_t i = 0; i < bytes.size(); ++i) { bytes[i] = static_cast<std::byte>(i); }
    EXPECT_EQ(crc32c(bytes), 0x46dd794eu);
    std::ranges::reverse(bytes);
    EXPECT_EQ(crc32c(bytes), 0x113fdb5cu);
    EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
    EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, AgreesWithOneBitAtATimeOnBothSidesOfTheSwitchToWideFolding) {
    const auto bytes = noise(5000);
    for (const size_t size : {0, 1, 7, 8, 9, 63, 255, 504, 511, 512, 513, 520, 1023, 1024, 2047, 4096, 4999}) {
        for (const size_t begin : {0, 1}) {  // aligned and not
            const Bytes piece(bytes.data() + begin, size);
            EXPECT_EQ(crc32c(piece), reference::crc32c(piece)) << size << " bytes from " << begin;
        }
    }
}

TEST(Crc32c, GoesOnFromASeedAtAnyCut) {
    const auto bytes = noise(1600);
    const uint32_t whole = reference::crc32c(bytes);
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
        const uint32_t front = crc32c(Bytes(bytes).first(cut));
        ASSERT_EQ(crc32c(Bytes(bytes).subspan(cut), front), whole) << "cut at " << cut;
    }
}

TEST(Crc64, IsTheVariantCalledWeInTheCatalogue) {
    EXPECT_EQ(crc64(as_bytes("123456789"), 0), 0x62ec59e3f1a4f00aull);
    EXPECT_EQ(crc64({}, 0), 0u);
}

TEST(Crc64, AgreesWithOneBitAtATimeAndGoesOnFromASeed) {
    const auto bytes = noise(1500);
    for (size_t size = 0; size <= bytes.size(); size += 37) {
        EXPECT_EQ(crc64(Bytes(bytes).first(size), 0), reference::crc64(Bytes(bytes).first(size))) << size;
    }
    const uint64_t whole = reference::crc64(bytes);
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
        ASSERT_EQ(crc64(Bytes(bytes).subspan(cut), crc64(Bytes(bytes).first(cut), 0)), whole) << "cut at " << cut;
    }
}

// The bytes and values of xxHash's own self-test (XSUM_fillTestBuffer, XSUM_XXH3_testdata, XSUM_XXH128_testdata).
constexpr uint64_t prime32 = 2654435761u;
constexpr uint64_t prime64 = 11400714785074694797u;

std::vector<std::byte> xxhash_test_bytes(size_t size) {
    std::vector<std::byte> bytes(size);
    uint64_t state = prime32;
    for (std::byte& byte : bytes) {
        byte = static_cast<std::byte>(state >> 56);
        state *= prime64;
    }
    return bytes;
}

std::string hex(const Hash128& hash) {
    std::string text;
    for (const std::byte byte : hash.bytes) {
        constexpr char digits[] = "0123456789abcdef";
        text += digits[static_cast<int>(byte) >> 4];
        text += digits[static_cast<int>(byte) & 15];
    }
    return text;
}

TEST(Xxh3, AgreesWithTheVectorsOfItsAuthor) {
    struct Vector {
        size_t size;
        uint64_t seed;
        uint64_t hash;
    };
    constexpr Vector vectors[] = {
        {0, 0, 0x2d06800538d394c2},          {0, prime64, 0xa8a6b918b2f0364a},    {1, 0, 0xc44bdff4074eecdb},
        {1, prime64, 0x032be332dd766ef8},    {6, 0, 0x27b56a84cd2d7325},          {12, 0, 0xa713daf0dfbb77e7},
        {24, 0, 0xa3fe70bf9d3510eb},         {48, 0, 0x397da259ecba1f11},         {80, 0, 0xbcdefbbb2c47c90a},
        {195, 0, 0xcd94217ee362ec3a},        {403, 0, 0xcdeb804d65c6dea4},        {512, 0, 0x617e49599013cb6b},
        {2048, 0, 0xdd59e2c3a5f038e0},       {2240, 0, 0x6e73a90539cf2948},       {2367, 0, 0xcb37aeb9e5d361ed},
        {2048, prime64, 0x66f81670669ababc}, {2367, prime64, 0xd2db3415b942b42a},
    };
    const auto bytes = xxhash_test_bytes(2367);
    for (const Vector& vector : vectors) {
        EXPECT_EQ(xxh3_64(Bytes(bytes).first(vector.size), vector.seed), vector.hash) << vector.size << " bytes";
    }
    EXPECT_EQ(hex(xxh3_128({}, 0)), "99aa06d3014798d86001c324468d497f");
    EXPECT_EQ(hex(xxh3_128(Bytes(bytes).first(1), 0)), "a6cd5e9392000f6ac44bdff4074eecdb");
    EXPECT_EQ(hex(xxh3_128(Bytes(bytes).first(512), 0)), "18d2d110dcc9bca1617e49599013cb6b");
    EXPECT_EQ(hex(xxh3_128(bytes, 0)), "e89c0f6ff369b427cb37aeb9e5d361ed");
}

TEST(Xxh3, EveryInstructionSetOfThisMachineGivesTheSame) {
    std::vector<const Xxh3Kernel*> kernels = {&xxh3_sse2};
    if (__builtin_cpu_supports("avx2")) { kernels.push_back(&xxh3_avx2); }
    if (__builtin_cpu_supports("avx512f")) { kernels.push_back(&xxh3_avx512); }
    const auto bytes = noise(9000);
    for (size_t size = 0; size < bytes.size(); size += size < 600 ? 1 : 457) {
        const Hash128 expected = xxh3_128(Bytes(bytes).first(size), size);
        for (const Xxh3Kernel* kernel : kernels) {
            Hash128 hash;
            kernel->hash128(bytes.data(), size, size, hash.bytes.data());
            ASSERT_EQ(hash, expected) << size << " bytes";
            ASSERT_EQ(kernel->hash64(bytes.data(), size, 7), xxh3_64(Bytes(bytes).first(size), 7));
            alignas(xxh3_state_align) std::byte state[xxh3_state_bytes];
            kernel->reset(state, size);
            kernel->update(state, bytes.data(), size / 3);
            kernel->update(state, bytes.data() + size / 3, size - size / 3);
            kernel->digest128(state, hash.bytes.data());
            ASSERT_EQ(hash, expected) << size << " bytes in two pieces";
        }
    }
}

TEST(Xxh3, AStreamEqualsTheWholeAndMayBeAskedOnTheWay) {
    const auto bytes = noise(10'000);
    Xxh3Stream stream(42);
    size_t at = 0;
    for (size_t step = 0; at < bytes.size(); step = (step * 7 + 13) % 700) {
        const size_t size = std::min(step, bytes.size() - at);
        stream.update(Bytes(bytes).subspan(at, size));
        at += size;
        ASSERT_EQ(stream.digest(), xxh3_128(Bytes(bytes).first(at), 42)) << "after " << at << " bytes";
    }
}

}  // namespace
}  // namespace flowstone
