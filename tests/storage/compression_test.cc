#include "storage/compression.h"

#include <atomic>
#include <bit>
#include <new>
#include <random>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "storage/limits.h"
#include "tests/storage/reference.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using reference::Wire;

constexpr Codec real_codecs[] = {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

std::vector<std::byte> bytes_of(std::string_view text) {
    const Bytes view = as_bytes(text);
    return {view.begin(), view.end()};
}

std::vector<std::byte> compressed(Codec codec, Bytes in) {
    std::vector<std::byte> out;
    EXPECT_TRUE(compress(codec, in, out));
    return out;
}

std::string json_events(size_t bytes) {
    std::mt19937_64 random(11);
    std::string text;
    while (text.size() < bytes) {
        text += R"({"account":")" + std::to_string(random() % 5000) + R"(","amount":")" +
                std::to_string(random() % 100000) + R"(","merchant":"shop )" + std::to_string(random() % 300) +
                R"(","currency":"EUR"})";
    }
    text.resize(bytes);
    return text;
}

std::string noise(size_t bytes) {
    std::mt19937_64 random(5);
    std::string text(bytes, '\0');
    for (char& letter : text) { letter = static_cast<char>(random()); }
    return text;
}

TEST(Compression, EveryCodecGivesBackWhatItWasGiven) {
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        std::vector<std::byte> out;  // reused, as a cursor's scratch is
        for (const size_t size : {0, 1, 100, 4096, 32 * 1024, 32 * 1024 + 1, 65'536, 200'000, 3'000'000}) {
            for (const std::string& text : {json_events(size), noise(size)}) {
                const auto packed = compressed(codec, as_bytes(text));
                auto done = decompress(codec, packed, decompressed_batch_bytes_max, out);
                ASSERT_TRUE(done) << name(codec) << ' ' << size << ": " << done.error().message();
                ASSERT_TRUE(as_text(out) == text) << name(codec) << ' ' << size;
            }
        }
    }
}

TEST(Compression, AppendsBehindWhatIsThere) {
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        std::vector<std::byte> out = bytes_of("header");
        ASSERT_TRUE(compress(codec, as_bytes("content"), out));
        EXPECT_EQ(as_text(out).substr(0, 6), "header");
        EXPECT_EQ(std::vector(out.begin() + 6, out.end()), compressed(codec, as_bytes("content")));
    }
}

// Streams from the specifications, made by no compressor

// "stored" blocks of deflate in a gzip member (RFC 1951 3.2.4, RFC 1952 2.3); CRC-32 of "123456789" is cbf43926.
Wire gzip_member() {
    return Wire()
        .text("\x1f\x8b\x08")
        .raw(0)
        .big(0, 4)
        .raw(0)
        .raw(255)
        .raw(1)
        .raw(9)
        .raw(0)
        .raw(~9)
        .raw(0xff)
        .text("123456789")
        .raw(0x26)
        .raw(0x39)
        .raw(0xf4)
        .raw(0xcb)
        .raw(9)
        .raw(0)
        .raw(0)
        .raw(0);
}

// A snappy block: length as a varint, then a literal of `text` (tag: (size - 1) << 2).
Wire snappy_block(std::string_view text) {
    return Wire().raw(static_cast<int>(text.size())).raw(static_cast<int>((text.size() - 1) << 2)).text(text);
}

Wire xerial_header() { return Wire().raw(0x82).text("SNAPPY").raw(0).big(1, 4).big(1, 4); }

// XXH32 with seed 0 of fewer than 16 bytes (its specification, steps 1 and 4 to 7).
uint32_t short_xxh32(Bytes bytes) {
    uint32_t hash = 374761393u + static_cast<uint32_t>(bytes.size());
    for (; bytes.size() >= 4; bytes = bytes.subspan(4)) {
        hash = std::rotl(hash + load_le<uint32_t>(bytes.data()) * 3266489917u, 17) * 668265263u;
    }
    for (const std::byte byte : bytes) {
        hash = std::rotl(hash + static_cast<uint32_t>(byte) * 374761393u, 11) * 2654435761u;
    }
    hash = (hash ^ (hash >> 15)) * 2246822519u;
    hash = (hash ^ (hash >> 13)) * 3266489917u;
    return hash ^ (hash >> 16);
}

// One uncompressed block (top bit of its size), the end mark; the header ends with the second byte of a hash over it.
Wire lz4_frame(std::string_view text, const Wire& descriptor = Wire().raw(0x60).raw(0x40)) {
    Wire frame = Wire().raw(0x04).raw(0x22).raw(0x4d).raw(0x18).append(descriptor);
    frame.raw(static_cast<int>(short_xxh32(descriptor.bytes()) >> 8));
    return frame.raw(static_cast<int>(text.size())).raw(0).raw(0).raw(0x80).text(text).big(0, 4);
}

// One raw block: 28 b5 2f fd, single segment with one byte of content size, block header last | raw | size << 3.
Wire zstd_frame(std::string_view text) {
    const auto size = static_cast<int>(text.size());
    return Wire()
        .raw(0x28)
        .raw(0xb5)
        .raw(0x2f)
        .raw(0xfd)
        .raw(0x20)
        .raw(size)
        .raw(1 | (size << 3))
        .raw(size >> 5)
        .raw(0)
        .text(text);
}

std::optional<std::string> plain(Codec codec, const Wire& in, size_t bytes_max = 1000) {
    std::vector<std::byte> out;
    if (!decompress(codec, in.bytes(), bytes_max, out)) { return std::nullopt; }
    return std::string(as_text(out));
}

TEST(Compression, ReadsStreamsPutTogetherFromTheSpecifications) {
    EXPECT_EQ(plain(Codec::gzip, gzip_member()), "123456789");
    EXPECT_EQ(plain(Codec::gzip, gzip_member().append(gzip_member())), "123456789123456789");
    EXPECT_EQ(plain(Codec::snappy, snappy_block("abc")), "abc");
    EXPECT_EQ(plain(Codec::snappy,
                    xerial_header().big(5, 4).append(snappy_block("abc")).big(4, 4).append(snappy_block("de"))),
              "abcde");
    EXPECT_EQ(plain(Codec::snappy, xerial_header()), "");
    EXPECT_EQ(plain(Codec::snappy, xerial_header().big(5, 4).append(snappy_block("abc")).append(xerial_header())),
              "abc");
    EXPECT_EQ(plain(Codec::lz4, lz4_frame("abc")), "abc");
    EXPECT_EQ(plain(Codec::zstd, zstd_frame("abc")), "abc");
    EXPECT_EQ(plain(Codec::zstd, zstd_frame("abc").append(zstd_frame("de"))), "abcde");
}

TEST(Compression, WritesTheFramingsTheJavaClientReads) {
    const std::string text = json_events(40'000);
    const auto snappy = compressed(Codec::snappy, as_bytes(text));
    const auto header = xerial_header();
    ASSERT_TRUE(std::equal(header.bytes().begin(), header.bytes().end(), snappy.begin()));
    const auto first_block = load_be<uint32_t>(&snappy[16]);
    // The length in front of a raw block: 32,768 is 80 80 02 as a varint.
    EXPECT_EQ(snappy[20], std::byte{0x80});
    EXPECT_EQ(snappy[21], std::byte{0x80});
    EXPECT_EQ(snappy[22], std::byte{0x02});
    const auto second_block = load_be<uint32_t>(&snappy[20 + first_block]);
    EXPECT_EQ(snappy.size(), 16 + 4 + first_block + 4 + second_block);

    // Independent blocks, no checksums, no content size, blocks of 64 KiB.
    const auto lz4 = compressed(Codec::lz4, as_bytes(text));
    EXPECT_EQ(load_le<uint32_t>(lz4.data()), 0x184d2204u);
    EXPECT_EQ(lz4[4], std::byte{0x60});
    EXPECT_EQ(lz4[5], std::byte{0x40});
}

TEST(Compression, RefusesWhatIsCutShortOrLeftOver) {
    const std::string text = json_events(5000);
    for (const Codec codec : real_codecs) {
        const auto good = compressed(codec, as_bytes(text));
        std::vector<std::byte> out;
        for (size_t cut = 0; cut < good.size(); ++cut) {
            // After the framing's header alone, a xerial stream is empty and whole.
            if (codec == Codec::snappy && cut == 16) { continue; }
            auto done = decompress(codec, Bytes(good).first(cut), 1 << 20, out);
            ASSERT_FALSE(done) << name(codec) << " cut at " << cut;
            EXPECT_TRUE(out.empty());
            // A limit that follows the input may be hit first where the input is tiny.
            ASSERT_TRUE(done.error().code == Code::corrupt || done.error().code == Code::too_large);
        }
        auto longer = good;
        longer.push_back(std::byte{0});
        auto done = decompress(codec, longer, 1 << 20, out);
        ASSERT_FALSE(done) << name(codec);
        EXPECT_EQ(done.error().code, Code::corrupt) << name(codec);
    }
}

TEST(Compression, NoFlippedBitCrashesOrGrowsPastTheLimit) {
    const std::string text = json_events(700);
    for (const Codec codec : real_codecs) {
        const auto good = compressed(codec, as_bytes(text));
        std::vector<std::byte> out;
        for (size_t bit = 0; bit < good.size() * 8; ++bit) {
            auto bytes = good;
            bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
            (void)decompress(codec, bytes, 10'000, out);  // what is wrong is found by the batch's checksum
            ASSERT_LE(out.capacity(), 20'000u);
        }
    }
}

TEST(Compression, ABadStreamLeavesNothingBehindForTheNext) {
    // The lz4 library (1.9.4) keeps the content size of a frame that did not end and holds the next frame to it.
    const Wire sized = lz4_frame("abc", Wire().raw(0x68).raw(0x40).raw(4).big(0, 7));
    EXPECT_EQ(plain(Codec::lz4, sized), std::nullopt);
    EXPECT_EQ(plain(Codec::lz4, lz4_frame("abc")), "abc");
    for (const Codec codec : real_codecs) {
        const std::string text = json_events(3000);
        const auto good = compressed(codec, as_bytes(text));
        std::vector<std::byte> out;
        for (size_t cut = 0; cut < good.size(); cut += 7) {
            (void)decompress(codec, Bytes(good).first(cut), text.size(), out);
            (void)decompress(codec, good, cut, out);
            ASSERT_TRUE(decompress(codec, good, text.size(), out)) << name(codec) << " after a cut at " << cut;
            ASSERT_TRUE(as_text(out) == text);
        }
    }
}

TEST(Compression, RefusesOtherCodecsStreams) {
    for (const Codec codec : real_codecs) {
        for (const Codec other : real_codecs) {
            if (codec == other) { continue; }
            std::vector<std::byte> out;
            const auto bytes = compressed(other, as_bytes(json_events(1000)));
            EXPECT_FALSE(decompress(codec, bytes, 1 << 20, out)) << name(codec) << " reads " << name(other);
        }
    }
    EXPECT_FALSE(plain(Codec::zstd, Wire().raw(0x27).raw(0xb5).raw(0x2f).raw(0xfd).big(0, 8)));  // zstd 0.7
}

// Limits

// What is asked of malloc in this thread while it lives, in all. Sanitizers have a malloc of their own: there it stays 0.
thread_local size_t* counted_bytes = nullptr;

struct AllocationCount {
    size_t bytes = 0;
    AllocationCount() { counted_bytes = &bytes; }
    ~AllocationCount() { counted_bytes = nullptr; }
    AllocationCount(const AllocationCount&) = delete;
};

}  // namespace
}  // namespace flowstone

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__has_feature)
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define FLOWSTONE_COUNTS_ALLOCATIONS
// malloc itself, so that the codecs' own C code is counted too; glibc's is reachable under its other name.
extern "C" void* __libc_malloc(size_t);
extern "C" FLOWSTONE_EXPORT void* malloc(size_t size) {
    if (flowstone::counted_bytes != nullptr) { *flowstone::counted_bytes += size; }
    return __libc_malloc(size);
}
#endif
#endif

namespace flowstone {
namespace {

#ifdef FLOWSTONE_COUNTS_ALLOCATIONS
TEST(AllocationCount, CountsWhatIsTakenWithNewAndNothingElse) {
    AllocationCount count;
    void* volatile taken = ::operator new(12'345);  // volatile, or the compiler may leave it all out
    ::operator delete(taken);
    EXPECT_EQ(count.bytes, 12'345u);
}
#endif

TEST(Compression, StopsExactlyAtTheCallersLimit) {
    const std::string text = json_events(50'000);
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        const auto packed = compressed(codec, as_bytes(text));
        std::vector<std::byte> out;
        EXPECT_TRUE(decompress(codec, packed, text.size(), out)) << name(codec);
        EXPECT_TRUE(as_text(out) == text);
        std::vector<std::byte> fresh;
        auto done = decompress(codec, packed, text.size() - 1, fresh);
        ASSERT_FALSE(done) << name(codec);
        EXPECT_EQ(done.error().code, Code::too_large) << name(codec);
        EXPECT_LE(fresh.capacity(), text.size() - 1) << name(codec);
    }
}

TEST(Compression, ABombIsRefusedWithLittleMemoryTaken) {
    const std::vector<std::byte> zeros(20 << 20);
    for (const Codec codec : {Codec::gzip, Codec::zstd}) {  // the others cannot reach a ratio of 1,000
        const auto bomb = compressed(codec, zeros);
        ASSERT_LT(bomb.size() * decompression_ratio_max, zeros.size());
        std::vector<std::byte> out;
        (void)decompress(codec, bomb, 1000, out);  // makes this thread's decoder
        out = {};
        AllocationCount count;
        auto done = decompress(codec, bomb, decompressed_batch_bytes_max, out);
        ASSERT_FALSE(done) << name(codec);
        EXPECT_EQ(done.error().code, Code::too_large) << name(codec);
        // The limit, and before it a piece that may have been just below it, and half of that, and so on.
        EXPECT_LE(count.bytes, 3 * bomb.size() * decompression_ratio_max + 200'000) << name(codec);
    }
}

TEST(Compression, WhatAHeaderClaimsTakesNoMemory) {
    // Snappy blocks of 4 GiB less one and of 2 GiB less one; a zstd frame of 4 EiB content; an lz4 frame of as much. Each
    // followed by next to nothing.
    const std::pair<Codec, Wire> liars[] = {
        {Codec::snappy, Wire().raw(0xff).raw(0xff).raw(0xff).raw(0xff).raw(0x0f).text("abc")},
        {Codec::snappy, xerial_header().big(INT32_MAX, 4).text("abc")},
        {Codec::snappy, xerial_header().big(8, 4).raw(0xff).raw(0xff).raw(0xff).raw(0xff).raw(0x0f).text("abc")},
        {Codec::zstd,
         Wire().raw(0x28).raw(0xb5).raw(0x2f).raw(0xfd).raw(0xe0).big(0x40, 8).raw(0x19).big(0, 2).text("abc")},
        {Codec::lz4, lz4_frame("abc", Wire().raw(0x68).raw(0x40).big(0x40, 8))},
    };
    std::vector<std::byte> out;
    for (const auto& [codec, bytes] : liars) {
        (void)decompress(codec, bytes.bytes(), 1000, out);
        out = {};
        AllocationCount count;
        EXPECT_FALSE(decompress(codec, bytes.bytes(), decompressed_batch_bytes_max, out)) << name(codec);
        EXPECT_LE(count.bytes, 200'000u) << name(codec);
    }
}

TEST(Compression, AZstdWindowOf128MiBAsJavaClaimsAtLevel22TakesNoMemory) {
    const Wire frame =
        Wire().raw(0x28).raw(0xb5).raw(0x2f).raw(0xfd).raw(0x00).raw(0x88).raw(0x19).big(0, 2).text("abc");
    std::vector<std::byte> out;
    (void)decompress(Codec::zstd, frame.bytes(), 1000, out);
    out = {};
    AllocationCount count;
    ASSERT_TRUE(decompress(Codec::zstd, frame.bytes(), decompressed_batch_bytes_max, out));
    EXPECT_EQ(as_text(out), "abc");
    EXPECT_LE(count.bytes, 2000u);
}

TEST(Compression, ThreadsDoNotShareTheirDecoders) {
    const std::string text = json_events(20'000);
    std::atomic<int> wrong{0};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 20; ++round) {
                for (const Codec codec : real_codecs) {
                    std::vector<std::byte> packed, out;
                    const bool done = compress(codec, as_bytes(text), packed).has_value() &&
                                      decompress(codec, packed, text.size(), out).has_value();
                    wrong += !done || as_text(out) != text;
                }
            }
        });
    }
    threads.clear();
    EXPECT_EQ(wrong, 0);
}

// Batches

std::vector<std::byte> events_batch() {
    std::vector<std::byte> space(100'000);
    BatchBuilder builder(space, {.base_offset = Offset{1000}, .epoch = Epoch{3}, .producer_id = 5, .base_sequence = 8});
    const std::string text = json_events(90'000);
    for (size_t at = 0; at + 200 <= text.size(); at += 200) {
        EXPECT_TRUE(builder.append({.key = "key", .value = std::string_view(text).substr(at, 200)}, 1'700'000'000'000));
    }
    const Bytes bytes = builder.close().bytes();
    return {bytes.begin(), bytes.end()};
}

TEST(Recompress, KeepsEverythingButTheCodec) {
    const auto original = events_batch();
    const BatchView plain_batch = value_of(BatchView::parse(original));
    for (const Codec codec : real_codecs) {
        std::vector<std::byte> packed_bytes, back_bytes, other_bytes, scratch;
        auto packed = recompress(plain_batch, codec, packed_bytes);
        ASSERT_TRUE(packed);
        EXPECT_EQ(packed->codec_id(), static_cast<int>(codec));
        EXPECT_LT(packed->size(), plain_batch.size());
        EXPECT_TRUE(packed->crc_matches());
        EXPECT_TRUE(packed->check_header());
        auto cursor = RecordCursor::open(*packed, scratch);
        ASSERT_TRUE(cursor) << name(codec) << ": " << cursor.error().message();
        int32_t count = 0;
        for (auto record = cursor->next();; record = cursor->next()) {
            ASSERT_TRUE(record);
            if (!*record) { break; }
            EXPECT_EQ((*record)->offset, Offset{1000 + count});
            EXPECT_EQ((*record)->value->size(), 200u);
            ++count;
        }
        EXPECT_EQ(count, plain_batch.record_count());
        auto back = recompress(*packed, Codec::none, back_bytes);
        ASSERT_TRUE(back);
        EXPECT_EQ(back_bytes, original);
        auto other = recompress(*packed, Codec::zstd, other_bytes);
        ASSERT_TRUE(other);
        EXPECT_TRUE(other->crc_matches());
    }
}

TEST(Recompress, LeavesPlainWhatWeWouldRefuseToRead) {
    const std::string value(900'000, 'x');
    std::vector<std::byte> space(1 << 20), out, scratch;
    BatchBuilder builder(space, {});
    ASSERT_TRUE(builder.append({.value = value}, 1));
    const BatchView batch = builder.close();
    auto packed = recompress(batch, Codec::zstd, out);
    ASSERT_TRUE(packed);
    EXPECT_EQ(packed->codec_id(), 0);
    auto cursor = RecordCursor::open(*packed, scratch);
    ASSERT_TRUE(cursor);
    EXPECT_EQ((*value_of(cursor->next())).value, value);
}

TEST(RecordCursor, RefusesCompressedRubbishAndBombs) {
    std::vector<std::byte> scratch;
    for (const Codec codec : real_codecs) {
        const auto rubbish = reference::batch({.attributes = static_cast<int>(codec),
                                               .records = Wire().text("this was made by no compressor of any kind")});
        auto cursor = RecordCursor::open(value_of(BatchView::parse(rubbish)), scratch);
        ASSERT_FALSE(cursor);
        EXPECT_EQ(cursor.error().code, Code::corrupt) << name(codec);
    }
    const auto packed = compressed(Codec::zstd, std::vector<std::byte>(5'000'000));
    Wire bomb;
    for (const std::byte byte : packed) { bomb.raw(static_cast<int>(byte)); }
    const auto batch = reference::batch({.attributes = 4, .records = bomb});
    auto cursor = RecordCursor::open(value_of(BatchView::parse(batch)), scratch);
    ASSERT_FALSE(cursor);
    EXPECT_EQ(cursor.error().code, Code::too_large);
}

}  // namespace
}  // namespace flowstone
