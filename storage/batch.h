// Kafka record batch, version 2 (magic 2): reading, checking and writing. Byte for byte as on Kafka's wire.
//
//   at  size  field                              at  size  field
//    0   8    base offset                        35   8    max timestamp
//    8   4    batch length (bytes after here)    43   8    producer id
//   12   4    partition leader epoch             51   2    producer epoch
//   16   1    magic = 2                          53   4    base sequence
//   17   4    CRC-32C of [21, end)               57   4    record count
//   21   2    attributes                         61   ..   records
//   23   4    last offset delta
//   27   8    base timestamp                     all big endian
//
// Base offset and leader epoch lie outside the checksum, so a leader patches them in place.
// Format page: docs/formats/record-batch.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "storage/bytes.h"
#include "storage/limits.h"
#include <flowstone/ids.h>
#include <flowstone/record.h>
#include <flowstone/result.h>

namespace flowstone {

constexpr size_t batch_header_bytes = 61;
constexpr size_t batch_length_prefix_bytes = 12;  // base offset and length: what must be read to know the size
constexpr size_t batch_crc_begin = 21;            // the checksum covers everything from here on
constexpr size_t record_bytes_min = 7;            // no key, no value, no headers, all varints of one byte

enum class Codec : uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };
enum class TimestampType : uint8_t { create_time = 0, log_append_time = 1 };

const char* name(Codec codec);
Result<Codec> parse_codec(std::string_view text);  // Errors: invalid.

// A batch whose header is plausible: length within the bytes given and at least a header, magic 2. Borrowed bytes.
class BatchView {
public:
    // The batch at the front of `bytes`; what follows it is ignored.
    // Errors: corrupt (length below a header), out_of_range (more bytes are needed), unsupported (magic 0, 1 or above
    // 2).
    static Result<BatchView> parse(Bytes bytes);
    // Total size of the batch whose first batch_length_prefix_bytes are given, unchecked against any limit.
    // Errors: corrupt, when the length field cannot be.
    static Result<uint64_t> measure(Bytes prefix);

    Bytes bytes() const { return bytes_; }
    size_t size() const { return bytes_.size(); }
    Offset base_offset() const { return {load_be<int64_t>(at(0))}; }
    int32_t last_offset_delta() const { return load_be<int32_t>(at(23)); }
    // Past the last offset of all they wrap; check_header() refuses such a batch.
    Offset last_offset() const { return plus(base_offset(), last_offset_delta()); }
    Offset next_offset() const { return plus(last_offset(), 1); }
    Epoch epoch() const { return {load_be<int32_t>(at(12))}; }
    uint32_t crc() const { return load_be<uint32_t>(at(17)); }
    int16_t attributes() const { return load_be<int16_t>(at(21)); }
    uint8_t codec_id() const { return static_cast<uint8_t>(attributes() & 7); }  // 5 to 7 are no codec
    TimestampType timestamp_type() const { return static_cast<TimestampType>((attributes() >> 3) & 1); }
    bool transactional() const { return (attributes() & 0x10) != 0; }
    bool control() const { return (attributes() & 0x20) != 0; }
    bool has_delete_horizon() const { return (attributes() & 0x40) != 0; }
    int64_t base_timestamp_ms() const { return load_be<int64_t>(at(27)); }
    int64_t max_timestamp_ms() const { return load_be<int64_t>(at(35)); }
    int64_t producer_id() const { return load_be<int64_t>(at(43)); }
    int16_t producer_epoch() const { return load_be<int16_t>(at(51)); }
    int32_t base_sequence() const { return load_be<int32_t>(at(53)); }
    int32_t record_count() const { return load_be<int32_t>(at(57)); }
    Bytes encoded_records() const { return bytes_.subspan(batch_header_bytes); }

    // One pass over the bytes from 21 on.
    bool crc_matches() const;
    // Everything the checksum does not say: known codec, no negative offset, count and last offset delta not negative
    // and agreeing (fewer records than offsets is compaction; none at all keeps a producer's sequence), count no more
    // than the records' bytes could hold (or `decompressed_batch_bytes_max` for a compressed batch).
    // Errors: corrupt; unsupported (codec 5 to 7); too_large (above records_per_batch_max). Does not decompress.
    Result<void> check_header() const;

private:
    explicit BatchView(Bytes bytes) : bytes_(bytes) {}
    const std::byte* at(size_t position) const { return bytes_.data() + position; }
    static Offset plus(Offset offset, int64_t delta) {
        return {static_cast<int64_t>(static_cast<uint64_t>(offset.value) + static_cast<uint64_t>(delta))};
    }
    Bytes bytes_;
};

// Write into the header of a whole batch. Offset and epoch leave the checksum right.
void patch_base_offset(MutableBytes batch, Offset base_offset);
void patch_epoch(MutableBytes batch, Epoch epoch);
// These make the checksum again. Log append time is every record's time from then on (SERVE.md rule 1).
void patch_log_append_time(MutableBytes batch, int64_t timestamp_ms);
void patch_max_timestamp(MutableBytes batch, int64_t timestamp_ms);
void patch_producer(MutableBytes batch, int64_t producer_id, int16_t producer_epoch, int32_t base_sequence);

// Walks the records of one batch, decompressing at most once. Forward only. Any bytes are safe to walk, and the
// checksum is not looked at: see crc_matches().
// Views point into the batch or, when that is compressed, into `scratch`, which may be reused for the next batch.
class RecordCursor {
public:
    // Errors: corrupt, unsupported (codec), too_large (above decompressed_batch_bytes_max or decompression_ratio_max,
    // found before the memory is taken).
    static Result<RecordCursor> open(BatchView batch, std::vector<std::byte>& scratch);

    // The next record; empty at the end. Errors: corrupt, when lengths do not add up or records are missing or left
    // over; from then on every call says so again.
    Result<std::optional<RecordView>> next();

private:
    RecordCursor() = default;
    Result<std::optional<RecordView>> corrupt(const char* what);

    const std::byte* at_ = nullptr;
    const std::byte* end_ = nullptr;
    const char* fault_ = nullptr;  // not null once a record was found corrupt: which part
    Offset base_offset_;
    int64_t base_timestamp_ms_ = 0;
    std::optional<int64_t> log_append_time_ms_;  // every record's timestamp when the broker set it
    int32_t count_ = 0;
    int32_t index_ = 0;
    int32_t last_delta_ = -1;
    int32_t last_offset_delta_ = 0;
};

// Encodes records into memory of the caller's, header first. No allocation: the append path.
class BatchBuilder {
public:
    struct Options {
        Offset base_offset{0};
        Epoch epoch{0};
        TimestampType timestamp_type = TimestampType::create_time;
        bool transactional = false;
        bool control = false;
        int64_t producer_id = -1;
        int16_t producer_epoch = -1;
        int32_t base_sequence = -1;
        // Compaction only: when the batch's tombstones may go. Takes the place of the base timestamp (KIP-534).
        std::optional<int64_t> delete_horizon_ms{};
    };
    BatchBuilder() = default;
    // `space` must outlive the builder and hold at least a header. Of more than 2 GiB the first 2 GiB are used.
    BatchBuilder(MutableBytes space, const Options& options);

    // Adds one record; false when it does not fit into the space or the batch has records_per_batch_max, and then
    // nothing changed. The timestamp is the argument, whatever the record's own says: the caller has decided.
    bool append(const Record& record, int64_t timestamp_ms);
    // Adds one with an explicit offset delta, which must be above the last (compaction leaves gaps). Keeps the
    // record's timestamp.
    bool append_at(int32_t offset_delta, const RecordView& record);

    // Whose batch it is, where that is known only once it is full.
    void set_producer(int64_t producer_id, int16_t producer_epoch, int32_t base_sequence) {
        options_.producer_id = producer_id;
        options_.producer_epoch = producer_epoch;
        options_.base_sequence = base_sequence;
    }

    uint32_t count() const { return count_; }
    size_t size() const { return used_; }  // bytes so far, header included
    Offset next_offset() const { return options_.base_offset + next_delta_; }
    int64_t max_timestamp_ms() const { return max_timestamp_ms_; }

    // Writes the header and checksum; the builder is then spent. At least one record.
    BatchView close();
    // The same for a batch whose last records are gone: it ends at `last_offset_delta`, at or above the last one's.
    // A batch without records is allowed (compaction keeps a producer's last sequence); it takes `max_timestamp_ms`.
    BatchView close_at(int32_t last_offset_delta);
    BatchView close_empty(int32_t last_offset_delta, int64_t max_timestamp_ms);

    // No record needs more bytes than this in any batch.
    static size_t record_bytes_max(const Record& record) {
        size_t bytes = record_overhead_bytes_max + (record.key ? record.key->size() : 0) +
                       (record.value ? record.value->size() : 0);
        for (const Header& header : record.headers) {  // two lengths of five bytes each
            bytes += 10 + header.name.size() + (header.value ? header.value->size() : 0);
        }
        return bytes;
    }

private:
    // Lengths of a record up to five varint bytes, key and value lengths likewise, ten for the time, five each for
    // offset and header count, one for the attributes.
    static constexpr size_t record_overhead_bytes_max = 5 + 1 + 10 + 5 + 5 + 5 + 5;

    // With the overhead still below 2^13, so that its length and those in it take two bytes at most.
    static constexpr size_t short_record_bytes_max = 8000;
    static_assert(2 * (short_record_bytes_max + record_overhead_bytes_max) < 1 << 14);

    // One or two bytes; always writes both.
    static std::byte* put_short_varint(std::byte* to, uint32_t code) {
        const uint32_t two = code >= 0x80;
        store_le(to, static_cast<uint16_t>((code & 0x7f) | two << 7 | code >> 7 << 8));
        return to + 1 + two;
    }
    // Wraps for timestamps at opposite ends of time, and so does the reader's addition.
    int64_t timestamp_delta(int64_t timestamp_ms) const {
        return static_cast<int64_t>(static_cast<uint64_t>(timestamp_ms) - static_cast<uint64_t>(base_timestamp_ms_));
    }
    bool append_slow(int64_t offset_delta, int64_t timestamp_ms, const std::optional<std::string_view>& key,
                     const std::optional<std::string_view>& value, std::span<const Header> headers,
                     Bytes encoded_headers);

    std::byte* space_ = nullptr;
    size_t capacity_ = 0;
    size_t used_ = 0;
    int64_t base_timestamp_ms_ = -1;
    int64_t max_timestamp_ms_ = -1;
    int64_t next_delta_ = 0;
    uint32_t count_ = 0;
    Options options_;
};

// The hot path is here to be inlined: a record without headers that certainly fits, and whose lengths take two bytes at
// most. Those are written without a branch, since real sizes lie on both sides of 64 in no order; time and offset grow
// steadily and are left to the branch predictor. The first record of a batch, which sets the base timestamp, takes the
// slow path: subtracting 1 from its count of 0 makes it large.
[[gnu::always_inline]] inline bool BatchBuilder::append(const Record& record, int64_t timestamp_ms) {
    const size_t key_bytes = record.key ? record.key->size() : 0;
    const size_t value_bytes = record.value ? record.value->size() : 0;
    if (!record.headers.empty() || count_ - 1 >= records_per_batch_max - 1 || next_delta_ > INT32_MAX ||
        key_bytes > short_record_bytes_max || value_bytes > short_record_bytes_max - key_bytes ||
        key_bytes + value_bytes + record_overhead_bytes_max > capacity_ - used_) [[unlikely]] {
        return append_slow(next_delta_, timestamp_ms, record.key, record.value, record.headers, {});
    }
    const uint64_t time_code = zigzag(timestamp_delta(timestamp_ms));
    const auto offset_code = static_cast<uint64_t>(next_delta_) << 1;
    const uint32_t key_code = record.key ? static_cast<uint32_t>(key_bytes << 1) : 1;  // 1 is -1, null
    const uint32_t value_code = record.value ? static_cast<uint32_t>(value_bytes << 1) : 1;
    const size_t body_bytes = 4 + (time_code < 0x80 ? 1 : unsigned_varint_bytes(time_code)) +
                              (offset_code < 0x80 ? 1 : unsigned_varint_bytes(offset_code)) + (key_code >= 0x80) +
                              (value_code >= 0x80) + key_bytes + value_bytes;

    std::byte* to = put_short_varint(space_ + used_, static_cast<uint32_t>(body_bytes << 1));
    *to++ = std::byte{0};  // attributes: none are defined
    to = put_unsigned_varint(to, time_code);
    to = put_unsigned_varint(to, offset_code);
    to = put_short_varint(to, key_code);
    if (key_bytes != 0) { std::memcpy(to, record.key->data(), key_bytes); }
    to = put_short_varint(to + key_bytes, value_code);
    if (value_bytes != 0) { std::memcpy(to, record.value->data(), value_bytes); }
    to += value_bytes;
    *to++ = std::byte{0};  // no headers

    used_ = static_cast<size_t>(to - space_);
    max_timestamp_ms_ = std::max(max_timestamp_ms_, timestamp_ms);
    ++next_delta_;
    ++count_;
    return true;
}

// The same records under another codec, written to `out` (replaced): same offsets, timestamps, producer fields. The
// records' bytes are not looked into. `batch` must not lie in `out`. What would compress beyond the limits that
// RecordCursor::open holds it to is left uncompressed: we must be able to read what we wrote.
// Errors: as RecordCursor::open.
Result<BatchView> recompress(BatchView batch, Codec codec, std::vector<std::byte>& out);

// Which partition Kafka's Java producer picks for a key: murmur2, sign bit cleared, modulo.
uint32_t murmur2(Bytes key);
int32_t partition_for_key(Bytes key, int32_t partition_count);

}  // namespace flowstone
