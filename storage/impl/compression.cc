// The codecs behind Kafka's batches. Contexts are kept per thread: making one costs more than a small batch does.

#include "storage/compression.h"

#include <algorithm>
#include <climits>
#include <memory>

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY  // for ZSTD_decompressBound, exported since 1.4
#include <zstd.h>
#include <zstd_errors.h>

#include "storage/check.h"
#include "storage/limits.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr const char* decompress_operation = "batch.decompress";

// Room taken before anything is produced, as a multiple of the input.
constexpr size_t ratio_at_first = 4;

std::unexpected<Error> bad(Codec codec) { return fail(Code::corrupt, decompress_operation, name(codec)); }
std::unexpected<Error> too_large(Codec codec) { return fail(Code::too_large, decompress_operation, name(codec)); }

char* chars(std::byte* bytes) { return reinterpret_cast<char*>(bytes); }
const char* chars(const std::byte* bytes) { return reinterpret_cast<const char*>(bytes); }

// A string of bytes that grows with what a decoder produces, doubling, up to a limit.
class Output {
public:
    // What the vector holds already is written over without being made zero again.
    Output(std::vector<std::byte>& out, size_t limit, size_t bytes_at_first) : out_(out), limit_(limit) {
        grow_to(std::max(bytes_at_first, out_.size()));
    }
    size_t left() const { return limit_ - used_; }

    // Where the decoder goes on writing. At the limit there is one byte more, beside: a decoder may need room to find
    // that it has ended, and whoever fills that byte has not.
    MutableBytes room() {
        if (used_ == out_.size()) { grow_to(std::max<size_t>(2 * used_, 256)); }
        return used_ < limit_ ? MutableBytes(out_).subspan(used_) : MutableBytes(&spare_, 1);
    }
    // The same, with at least `bytes` of room or all that is left.
    MutableBytes room(size_t bytes) {
        bytes = std::min(bytes, left());
        if (bytes > out_.size() - used_) { grow_to(used_ + bytes); }
        return room();
    }
    // False when the bytes written were above the limit.
    [[nodiscard]] bool took(size_t bytes) {
        if (bytes > left()) { return false; }
        used_ += bytes;
        return true;
    }
    void finish() { out_.resize(used_); }

private:
    void grow_to(size_t bytes) {
        bytes = std::min(bytes, limit_);
        out_.reserve(bytes);  // exactly: resize() alone would take up to twice as much
        out_.resize(bytes);
    }

    std::vector<std::byte>& out_;
    size_t limit_;
    size_t used_ = 0;
    std::byte spare_{};
};

// gzip

constexpr int gzip_window_bits = 15 + 16;  // zlib's way of saying: 32 KiB window, gzip header and trailer

struct Inflater {
    z_stream stream{};
    Inflater() { CHECK(inflateInit2(&stream, gzip_window_bits) == Z_OK); }
    ~Inflater() { inflateEnd(&stream); }
};

struct Deflater {
    z_stream stream{};
    Deflater() {
        CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window_bits, 8, Z_DEFAULT_STRATEGY) ==
              Z_OK);
    }
    ~Deflater() { deflateEnd(&stream); }
};

// zlib neither writes through next_in nor declares it so.
Bytef* zlib_bytes(const std::byte* bytes) { return reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes)); }

Result<void> gunzip(Bytes in, Output& output) {
    thread_local Inflater inflater;
    z_stream& stream = inflater.stream;
    CHECK(inflateReset(&stream) == Z_OK);
    stream.next_in = zlib_bytes(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    while (true) {
        const MutableBytes room = output.room();
        const auto room_bytes = static_cast<uInt>(std::min<size_t>(room.size(), UINT_MAX));
        stream.next_out = zlib_bytes(room.data());
        stream.avail_out = room_bytes;
        const int code = inflate(&stream, Z_NO_FLUSH);
        if (!output.took(room_bytes - stream.avail_out)) { return too_large(Codec::gzip); }
        if (code == Z_STREAM_END) {
            if (stream.avail_in == 0) { return {}; }
            CHECK(inflateReset(&stream) == Z_OK);  // the next member
            continue;
        }
        if (code != Z_OK && code != Z_BUF_ERROR) { return bad(Codec::gzip); }
        if (stream.avail_in == 0 && stream.avail_out != 0) { return bad(Codec::gzip); }  // cut short
    }
}

void gzip(Bytes in, std::vector<std::byte>& out) {
    thread_local Deflater deflater;
    z_stream& stream = deflater.stream;
    CHECK(deflateReset(&stream) == Z_OK);
    const size_t begin = out.size();
    out.resize(begin + deflateBound(&stream, in.size()));
    stream.next_in = zlib_bytes(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = zlib_bytes(out.data() + begin);
    stream.avail_out = static_cast<uInt>(out.size() - begin);
    CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(out.size() - stream.avail_out);
}

// snappy: one raw block, or blocks in the framing of the xerial library that the Java client uses:
//   82 'S' 'N' 'A' 'P' 'P' 'Y' 00, version: u32, oldest compatible version: u32, then for each block size: u32, block
// all big endian; the header may come again (streams put together).

constexpr std::string_view xerial_magic("\x82SNAPPY\0", 8);
constexpr size_t xerial_header_bytes = 16;
constexpr uint32_t xerial_version = 1;
constexpr size_t xerial_block_bytes = 32 * 1024;

// Three bytes of a snappy block, a copy, make at most 64. What declares more than that lies.
constexpr size_t snappy_ratio_max = 22;

Result<void> unsnappy_block(Bytes in, Output& output) {
    size_t declared = 0;
    if (!snappy::GetUncompressedLength(chars(in.data()), in.size(), &declared)) { return bad(Codec::snappy); }
    if (declared > in.size() * snappy_ratio_max) { return bad(Codec::snappy); }
    if (declared > output.left()) { return too_large(Codec::snappy); }
    std::byte* to = output.room(declared).data();
    if (!snappy::RawUncompress(chars(in.data()), in.size(), chars(to))) { return bad(Codec::snappy); }
    CHECK(output.took(declared));
    return {};
}

Result<void> unsnappy(Bytes in, Output& output) {
    if (!as_text(in).starts_with(xerial_magic)) { return unsnappy_block(in, output); }
    while (!in.empty()) {
        if (as_text(in).starts_with(xerial_magic)) {
            if (in.size() < xerial_header_bytes) { return bad(Codec::snappy); }
            in = in.subspan(xerial_header_bytes);
            continue;
        }
        ByteReader reader(in);
        const Bytes block = reader.bytes(reader.be<uint32_t>());
        if (reader.failed()) { return bad(Codec::snappy); }
        TRY_VOID(unsnappy_block(block, output));
        in = in.subspan(in.size() - reader.remaining());
    }
    return {};
}

void snappy_xerial(Bytes in, std::vector<std::byte>& out) {
    const size_t blocks = (in.size() + xerial_block_bytes - 1) / xerial_block_bytes;
    size_t at = out.size();
    out.resize(at + xerial_header_bytes +
               blocks * (sizeof(uint32_t) + snappy::MaxCompressedLength(xerial_block_bytes)));
    std::memcpy(&out[at], xerial_magic.data(), xerial_magic.size());
    store_be<uint32_t>(&out[at + 8], xerial_version);
    store_be<uint32_t>(&out[at + 12], xerial_version);
    at += xerial_header_bytes;
    for (; !in.empty(); in = in.subspan(std::min(in.size(), xerial_block_bytes))) {
        size_t size = 0;
        std::byte* to = out.data() + at;
        snappy::RawCompress(chars(in.data()), std::min(in.size(), xerial_block_bytes), chars(to + sizeof(uint32_t)),
                            &size);
        store_be<uint32_t>(to, static_cast<uint32_t>(size));
        at += sizeof(uint32_t) + size;
    }
    out.resize(at);
}

// lz4: one frame. The library's own buffers follow the block size that the frame header names, 4 MiB at most.

struct Lz4Free {
    void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};

Result<void> unlz4_frame(Bytes in, LZ4F_dctx* context, Output& output) {
    while (true) {
        const MutableBytes room = output.room();
        size_t produced = room.size();
        size_t consumed = in.size();
        const size_t wanted = LZ4F_decompress(context, room.data(), &produced, in.data(), &consumed, nullptr);
        if (LZ4F_isError(wanted) != 0) { return bad(Codec::lz4); }
        if (!output.took(produced)) { return too_large(Codec::lz4); }
        in = in.subspan(consumed);
        if (wanted == 0) { return in.empty() ? Result<void>{} : bad(Codec::lz4); }
        if (produced == 0 && consumed == 0) { return bad(Codec::lz4); }  // cut short
    }
}

Result<void> unlz4(Bytes in, Output& output) {
    thread_local std::unique_ptr<LZ4F_dctx, Lz4Free> context;
    if (context == nullptr) {
        LZ4F_dctx* made = nullptr;
        CHECK(LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)) == 0);
        context.reset(made);
    }
    auto done = unlz4_frame(in, context.get(), output);
    // LZ4F_resetDecompressionContext of 1.9.4 forgets to reset the content size of a frame that did not end.
    if (!done) { context.reset(); }
    return done;
}

// Kafka's Java client reads independent blocks only and writes this very header.
LZ4F_preferences_t lz4_preferences() {
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    return preferences;
}

void lz4(Bytes in, std::vector<std::byte>& out) {
    const LZ4F_preferences_t preferences = lz4_preferences();
    const size_t begin = out.size();
    out.resize(begin + LZ4F_compressFrameBound(in.size(), &preferences));
    const size_t size = LZ4F_compressFrame(out.data() + begin, out.size() - begin, in.data(), in.size(), &preferences);
    CHECK(LZ4F_isError(size) == 0);
    out.resize(begin + size);
}

// zstd: frames. Not the streaming interface: that takes memory for the window a frame claims, and Java's client claims
// 2 MiB for the smallest batch, 128 MiB at level 22. Decoding whole into `out` needs no window; when the room was too
// small it begins again with twice as much, so memory still follows what was produced.

constexpr int zstd_level = 3;                     // Kafka's default
constexpr size_t zstd_frame_ratio_at_first = 16;  // beginning again costs more than room that stays empty

struct ZstdFree {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

bool is_zstd_frame(Bytes in) {
    if (in.size() < 4) { return false; }
    const auto magic = load_le<uint32_t>(in.data());
    return magic == ZSTD_MAGICNUMBER || (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

Result<void> unzstd_frame(Bytes frame, ZSTD_DCtx* context, Output& output) {
    // From the number of blocks, or what the frame claims: never believed, but more is never needed.
    const unsigned long long bound = ZSTD_decompressBound(frame.data(), frame.size());
    if (bound == ZSTD_CONTENTSIZE_ERROR) { return bad(Codec::zstd); }
    size_t wanted = std::min<unsigned long long>(bound, frame.size() * zstd_frame_ratio_at_first);
    while (true) {
        const MutableBytes room = output.room(wanted);
        const size_t produced = ZSTD_decompressDCtx(context, room.data(), room.size(), frame.data(), frame.size());
        if (ZSTD_isError(produced) == 0) { return output.took(produced) ? Result<void>{} : too_large(Codec::zstd); }
        if (ZSTD_getErrorCode(produced) != ZSTD_error_dstSize_tooSmall) { return bad(Codec::zstd); }
        if (room.size() >= bound) { return bad(Codec::zstd); }
        if (room.size() >= output.left()) { return too_large(Codec::zstd); }
        wanted = 2 * room.size();
    }
}

Result<void> unzstd(Bytes in, Output& output) {
    thread_local std::unique_ptr<ZSTD_DCtx, ZstdFree> context(ZSTD_createDCtx());
    CHECK(context != nullptr);
    do {
        if (!is_zstd_frame(in)) { return bad(Codec::zstd); }  // nor the formats before 1.0, which Kafka never wrote
        const size_t size = ZSTD_findFrameCompressedSize(in.data(), in.size());
        if (ZSTD_isError(size) != 0) { return bad(Codec::zstd); }
        TRY_VOID(unzstd_frame(in.first(size), context.get(), output));
        in = in.subspan(size);
    } while (!in.empty());
    return {};
}

void zstd(Bytes in, std::vector<std::byte>& out) {
    thread_local std::unique_ptr<ZSTD_CCtx, ZstdFree> context(ZSTD_createCCtx());
    CHECK(context != nullptr);
    const size_t begin = out.size();
    out.resize(begin + ZSTD_compressBound(in.size()));
    const size_t size =
        ZSTD_compressCCtx(context.get(), out.data() + begin, out.size() - begin, in.data(), in.size(), zstd_level);
    CHECK(ZSTD_isError(size) == 0);
    out.resize(begin + size);
}

}  // namespace

Result<void> decompress(Codec codec, Bytes in, size_t bytes_max, std::vector<std::byte>& out) {
    if (in.size() > INT32_MAX) { return too_large(codec); }
    if (codec == Codec::none) {
        if (in.size() > bytes_max) { return too_large(codec); }
        out.assign(in.begin(), in.end());
        return {};
    }
    const size_t limit = std::min<size_t>(bytes_max, in.size() * decompression_ratio_max);
    Output output(out, limit, in.size() * ratio_at_first);
    auto done = [&]() -> Result<void> {
        switch (codec) {
            case Codec::none: return {};
            case Codec::gzip: return gunzip(in, output);
            case Codec::snappy: return unsnappy(in, output);
            case Codec::lz4: return unlz4(in, output);
            case Codec::zstd: return unzstd(in, output);
        }
        return fail(Code::unsupported, decompress_operation);
    }();
    if (!done) {
        out.clear();
        return done;
    }
    output.finish();
    return {};
}

Result<void> compress(Codec codec, Bytes in, std::vector<std::byte>& out) {
    if (in.size() > INT32_MAX) { return fail(Code::too_large, "batch.compress", name(codec)); }
    switch (codec) {
        case Codec::none: out.insert(out.end(), in.begin(), in.end()); return {};
        case Codec::gzip: gzip(in, out); return {};
        case Codec::snappy: snappy_xerial(in, out); return {};
        case Codec::lz4: lz4(in, out); return {};
        case Codec::zstd: zstd(in, out); return {};
    }
    return fail(Code::unsupported, "batch.compress");
}

}  // namespace flowstone
