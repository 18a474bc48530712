#include "storage/batch.h"

#include <algorithm>
#include <climits>

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/checksum.h"
#include "storage/compression.h"
#include "storage/mutants.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr size_t at_length = 8;
constexpr size_t at_epoch = 12;
constexpr size_t at_magic = 16;
constexpr size_t at_crc = 17;
constexpr size_t at_attributes = 21;
constexpr size_t at_last_offset_delta = 23;
constexpr size_t at_base_timestamp = 27;
constexpr size_t at_max_timestamp = 35;
constexpr size_t at_producer_id = 43;
constexpr size_t at_producer_epoch = 51;
constexpr size_t at_base_sequence = 53;
constexpr size_t at_count = 57;
static_assert(at_count + sizeof(int32_t) == batch_header_bytes);

constexpr uint16_t codec_mask = 0x07;
constexpr uint16_t log_append_time_bit = 0x08;
constexpr uint16_t transactional_bit = 0x10;
constexpr uint16_t control_bit = 0x20;
constexpr uint16_t delete_horizon_bit = 0x40;

constexpr std::byte batch_magic{2};

void write_checksum(MutableBytes batch) { store_be<uint32_t>(&batch[at_crc], crc32c(batch.subspan(batch_crc_begin))); }

std::unexpected<Error> bad_batch(Code code, const BatchView& batch, std::string_view what) {
    return fail(code, "batch.check", fmt::format("batch at offset {}: {}", batch.base_offset().value, what));
}

}  // namespace

const char* name(Codec codec) {
    switch (codec) {
        case Codec::none: return "none";
        case Codec::gzip: return "gzip";
        case Codec::snappy: return "snappy";
        case Codec::lz4: return "lz4";
        case Codec::zstd: return "zstd";
    }
    return "unknown";
}

Result<Codec> parse_codec(std::string_view text) {
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        if (text == name(codec)) { return codec; }
    }
    return fail(Code::invalid, "codec.parse", text);
}

// BatchView

Result<uint64_t> BatchView::measure(Bytes prefix) {
    CHECK(prefix.size() >= batch_length_prefix_bytes);
    const auto length = load_be<int32_t>(&prefix[at_length]);
    if (length < static_cast<int32_t>(batch_header_bytes - batch_length_prefix_bytes)) {
        return fail(Code::corrupt, "batch.parse", fmt::format("a batch length of {}", length));
    }
    return static_cast<uint64_t>(length) + batch_length_prefix_bytes;
}

Result<BatchView> BatchView::parse(Bytes bytes) {
    if (bytes.size() < batch_length_prefix_bytes) {
        return fail(Code::out_of_range, "batch.parse", fmt::format("{} bytes are no batch yet", bytes.size()));
    }
    // Older formats keep their magic at the same place but may be shorter than our header: look at it first.
    if (bytes.size() > at_magic && bytes[at_magic] != batch_magic) {
        return fail(
            Code::unsupported, "batch.parse",
            fmt::format("magic {}: only record batches of magic 2 are read", static_cast<int8_t>(bytes[at_magic])));
    }
    TRY(const uint64_t size, measure(bytes));
    if (size > bytes.size()) {
        return fail(Code::out_of_range, "batch.parse", fmt::format("{} bytes of a batch of {}", bytes.size(), size));
    }
    return BatchView(bytes.first(size));
}

bool BatchView::crc_matches() const {
    return crc32c(bytes_.subspan(batch_crc_begin)) == crc() || mutated(Mutant::batch_crc);
}

Result<void> BatchView::check_header() const {
    if (codec_id() > static_cast<uint8_t>(Codec::zstd)) {
        return bad_batch(Code::unsupported, *this, fmt::format("codec {}", codec_id()));
    }
    const int64_t count = record_count();
    const int64_t delta = last_offset_delta();
    if (count < 0) { return bad_batch(Code::corrupt, *this, fmt::format("a count of {} records", count)); }
    if (delta < 0 || base_offset().value < 0 || base_offset().value > INT64_MAX - 1 - delta) {
        return bad_batch(Code::corrupt, *this, fmt::format("a last offset delta of {}", delta));
    }
    if (count > delta + 1) {
        return bad_batch(Code::corrupt, *this, fmt::format("{} records for {} offsets", count, delta + 1));
    }
    uint64_t room = encoded_records().size();
    if (codec_id() != 0) { room = std::min(room * decompression_ratio_max, decompressed_batch_bytes_max); }
    if (static_cast<uint64_t>(count) > room / record_bytes_min) {
        return bad_batch(Code::corrupt, *this,
                         fmt::format("{} records claimed in {} bytes", count, encoded_records().size()));
    }
    if (count > records_per_batch_max) { return bad_batch(Code::too_large, *this, fmt::format("{} records", count)); }
    return {};
}

void patch_base_offset(MutableBytes batch, Offset base_offset) {
    CHECK(batch.size() >= batch_header_bytes);
    store_be<int64_t>(batch.data(), base_offset.value);
}

void patch_epoch(MutableBytes batch, Epoch epoch) {
    CHECK(batch.size() >= batch_header_bytes);
    store_be<int32_t>(&batch[at_epoch], static_cast<int32_t>(epoch.value));
}

void patch_log_append_time(MutableBytes batch, int64_t timestamp_ms) {
    CHECK(batch.size() >= batch_header_bytes);
    const auto attributes = load_be<uint16_t>(&batch[at_attributes]);
    store_be<uint16_t>(&batch[at_attributes], static_cast<uint16_t>(attributes | log_append_time_bit));
    patch_max_timestamp(batch, timestamp_ms);
}

void patch_max_timestamp(MutableBytes batch, int64_t timestamp_ms) {
    CHECK(batch.size() >= batch_header_bytes);
    store_be<int64_t>(&batch[at_max_timestamp], timestamp_ms);
    write_checksum(batch);
}

void patch_producer(MutableBytes batch, int64_t producer_id, int16_t producer_epoch, int32_t base_sequence) {
    CHECK(batch.size() >= batch_header_bytes);
    store_be<int64_t>(&batch[at_producer_id], producer_id);
    store_be<int16_t>(&batch[at_producer_epoch], producer_epoch);
    store_be<int32_t>(&batch[at_base_sequence], base_sequence);
    write_checksum(batch);
}

// BatchBuilder

BatchBuilder::BatchBuilder(MutableBytes space, const Options& options)
    : space_(space.data()),
      capacity_(std::min<size_t>(space.size(), INT32_MAX)),  // the length field is a signed 32-bit number
      used_(batch_header_bytes),
      options_(options) {
    CHECK(space.size() >= batch_header_bytes);
}

namespace {

uint64_t length_code(const std::optional<std::string_view>& text) {
    return text ? zigzag(static_cast<int64_t>(text->size())) : zigzag(-1);
}

size_t encoded_bytes(const std::optional<std::string_view>& text) {
    return unsigned_varint_bytes(length_code(text)) + (text ? text->size() : 0);
}

std::byte* put_text(std::byte* to, const std::optional<std::string_view>& text) {
    to = put_unsigned_varint(to, length_code(text));
    if (!text || text->empty()) { return to; }
    std::memcpy(to, text->data(), text->size());
    return to + text->size();
}

size_t headers_bytes(std::span<const Header> headers, Bytes encoded) {
    if (!encoded.empty()) { return encoded.size(); }
    size_t bytes = varint_bytes(static_cast<int64_t>(headers.size()));
    for (const Header& header : headers) { bytes += encoded_bytes(header.name) + encoded_bytes(header.value); }
    return bytes;
}

std::byte* put_headers(std::byte* to, std::span<const Header> headers, Bytes encoded) {
    if (!encoded.empty()) {
        std::memcpy(to, encoded.data(), encoded.size());
        return to + encoded.size();
    }
    to = put_varint(to, static_cast<int64_t>(headers.size()));
    for (const Header& header : headers) {
        to = put_text(to, header.name);
        to = put_text(to, header.value);
    }
    return to;
}

}  // namespace

bool BatchBuilder::append_slow(int64_t offset_delta, int64_t timestamp_ms, const std::optional<std::string_view>& key,
                               const std::optional<std::string_view>& value, std::span<const Header> headers,
                               Bytes encoded_headers) {
    CHECK(space_ != nullptr);
    CHECK(offset_delta >= next_delta_);
    if (count_ == records_per_batch_max || offset_delta > INT32_MAX) { return false; }
    if (count_ == 0) { base_timestamp_ms_ = options_.delete_horizon_ms.value_or(timestamp_ms); }
    const int64_t time_delta = timestamp_delta(timestamp_ms);
    const size_t body_bytes = 1 + varint_bytes(time_delta) + varint_bytes(offset_delta) + encoded_bytes(key) +
                              encoded_bytes(value) + headers_bytes(headers, encoded_headers);
    if (body_bytes > capacity_) { return false; }
    if (varint_bytes(static_cast<int64_t>(body_bytes)) + body_bytes > capacity_ - used_) { return false; }

    std::byte* to = put_varint(space_ + used_, static_cast<int64_t>(body_bytes));
    *to++ = std::byte{0};
    to = put_varint(to, time_delta);
    to = put_varint(to, offset_delta);
    to = put_text(to, key);
    to = put_text(to, value);
    to = put_headers(to, headers, encoded_headers);

    used_ = static_cast<size_t>(to - space_);
    max_timestamp_ms_ = count_ == 0 ? timestamp_ms : std::max(max_timestamp_ms_, timestamp_ms);
    next_delta_ = offset_delta + 1;
    ++count_;
    return true;
}

bool BatchBuilder::append_at(int32_t offset_delta, const RecordView& record) {
    return append_slow(offset_delta, record.timestamp_ms, record.key, record.value, {}, record.encoded_headers);
}

BatchView BatchBuilder::close() {
    CHECK(count_ > 0);
    return close_at(static_cast<int32_t>(next_delta_ - 1));
}

BatchView BatchBuilder::close_empty(int32_t last_offset_delta, int64_t max_timestamp_ms) {
    CHECK(count_ == 0);
    base_timestamp_ms_ = options_.delete_horizon_ms.value_or(-1);
    max_timestamp_ms_ = max_timestamp_ms;
    return close_at(last_offset_delta);
}

BatchView BatchBuilder::close_at(int32_t last_offset_delta) {
    CHECK(space_ != nullptr);
    CHECK(last_offset_delta >= 0);
    CHECK(last_offset_delta >= next_delta_ - 1);
    uint16_t attributes = 0;
    if (options_.timestamp_type == TimestampType::log_append_time) { attributes |= log_append_time_bit; }
    if (options_.transactional) { attributes |= transactional_bit; }
    if (options_.control) { attributes |= control_bit; }
    if (options_.delete_horizon_ms) { attributes |= delete_horizon_bit; }

    std::byte* to = space_;
    store_be<int64_t>(to, options_.base_offset.value);
    store_be<int32_t>(to + at_length, static_cast<int32_t>(used_ - batch_length_prefix_bytes));
    store_be<int32_t>(to + at_epoch, static_cast<int32_t>(options_.epoch.value));
    to[at_magic] = batch_magic;
    store_be<uint16_t>(to + at_attributes, attributes);
    store_be<int32_t>(to + at_last_offset_delta, last_offset_delta);
    store_be<int64_t>(to + at_base_timestamp, base_timestamp_ms_);
    store_be<int64_t>(to + at_max_timestamp, max_timestamp_ms_);
    store_be<int64_t>(to + at_producer_id, options_.producer_id);
    store_be<int16_t>(to + at_producer_epoch, options_.producer_epoch);
    store_be<int32_t>(to + at_base_sequence, options_.base_sequence);
    store_be<int32_t>(to + at_count, static_cast<int32_t>(count_));
    write_checksum({to, used_});

    space_ = nullptr;
    auto batch = BatchView::parse({to, used_});
    CHECK(batch.has_value());
    return *batch;
}

Result<BatchView> unpack(BatchView batch, size_t bytes_max, std::vector<std::byte>& out) {
    if (batch.codec_id() == 0) { return batch; }
    std::vector<std::byte> plain;
    TRY_VOID(decompress(static_cast<Codec>(batch.codec_id()), batch.encoded_records(), bytes_max, plain));
    const auto header = batch.bytes().first(batch_header_bytes);
    out.reserve(header.size() + plain.size());
    out.assign(header.begin(), header.end());
    out.insert(out.end(), plain.begin(), plain.end());
    store_be<uint16_t>(&out[at_attributes], static_cast<uint16_t>(batch.attributes() & ~codec_mask));
    store_be<int32_t>(&out[at_length], static_cast<int32_t>(out.size() - batch_length_prefix_bytes));
    return BatchView::parse(out);
}

Result<BatchView> recompress(BatchView batch, Codec codec, std::vector<std::byte>& out) {
    TRY_VOID(batch.check_header());
    std::vector<std::byte> plain;
    Bytes records = batch.encoded_records();
    if (batch.codec_id() != 0) {
        TRY_VOID(decompress(static_cast<Codec>(batch.codec_id()), records, decompressed_batch_bytes_max, plain));
        records = plain;
    }
    if (records.size() > decompressed_batch_bytes_max) { codec = Codec::none; }
    const auto header = batch.bytes().first(batch_header_bytes);
    out.assign(header.begin(), header.end());
    TRY_VOID(compress(codec, records, out));
    if (records.size() / decompression_ratio_max >= out.size() - batch_header_bytes) {
        codec = Codec::none;
        out.resize(batch_header_bytes);
        TRY_VOID(compress(codec, records, out));
    }
    if (out.size() > INT32_MAX) { return bad_batch(Code::too_large, batch, "above 2 GiB when recompressed"); }

    const auto attributes = static_cast<uint16_t>((batch.attributes() & ~codec_mask) | static_cast<uint16_t>(codec));
    store_be<uint16_t>(&out[at_attributes], attributes);
    store_be<int32_t>(&out[at_length], static_cast<int32_t>(out.size() - batch_length_prefix_bytes));
    write_checksum(out);
    return BatchView::parse(out);
}

}  // namespace flowstone
