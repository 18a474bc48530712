// Reading records: RecordCursor and RecordView.

#include <climits>

#include <fmt/format.h>

#include "storage/batch.h"
#include "storage/compression.h"
#include "storage/try.h"

namespace flowstone {
namespace {

// Front to back over foreign bytes; each call says whether the bytes were there and in range. Stricter than Kafka's
// reader only where that would silently drop bits: a number too large for its field.
class Fields {
public:
    explicit Fields(Bytes bytes) : Fields(bytes.data(), bytes.data() + bytes.size()) {}
    Fields(const std::byte* begin, const std::byte* end) : at_(begin), end_(end) {}

    const std::byte* position() const { return at_; }
    size_t remaining() const { return static_cast<size_t>(end_ - at_); }

    bool skip(size_t size) {
        if (size > remaining()) { return false; }
        at_ += size;
        return true;
    }
    bool varint(int64_t& value) {
        uint64_t code = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (at_ == end_) { return false; }
            const auto byte = static_cast<uint64_t>(*at_++);
            if (shift == 63 && byte > 1) { return false; }
            code |= (byte & 0x7f) << shift;
            if (byte < 0x80) {
                value = unzigzag(code);
                return true;
            }
        }
        return false;
    }
    bool varint(int32_t& value) {
        uint32_t code = 0;
        for (int shift = 0; shift < 32; shift += 7) {
            if (at_ == end_) { return false; }
            const auto byte = static_cast<uint32_t>(*at_++);
            if (shift == 28 && byte > 0x0f) { return false; }
            code |= (byte & 0x7f) << shift;
            if (byte < 0x80) {
                value = static_cast<int32_t>(unzigzag(code));
                return true;
            }
        }
        return false;
    }
    bool text(std::string_view& text) {
        int32_t size = 0;
        if (!varint(size) || size < 0 || static_cast<size_t>(size) > remaining()) { return false; }
        text = as_text({at_, static_cast<size_t>(size)});
        at_ += size;
        return true;
    }
    // A length of -1 is null; what is below that is nothing.
    bool nullable_text(std::optional<std::string_view>& text) {
        int32_t size = 0;
        if (!varint(size) || size < -1 || size > static_cast<int64_t>(remaining())) { return false; }
        if (size < 0) {
            text.reset();
            return true;
        }
        text = as_text({at_, static_cast<size_t>(size)});
        at_ += size;
        return true;
    }
    bool header(Header& header) { return text(header.name) && nullable_text(header.value); }

private:
    const std::byte* at_;
    const std::byte* end_;
};

// The headers at the end of a record: exactly as many as they say, and nothing after them.
bool headers_are_whole(Fields fields) {
    int32_t count = 0;
    if (!fields.varint(count) || count < 0) { return false; }
    Header header;
    for (int32_t i = 0; i < count; ++i) {  // each takes two bytes or more, so a false count ends soon
        if (!fields.header(header)) { return false; }
    }
    return fields.remaining() == 0;
}

}  // namespace

Result<RecordCursor> RecordCursor::open(BatchView batch, std::vector<std::byte>& scratch) {
    TRY_VOID(batch.check_header());
    Bytes records = batch.encoded_records();
    if (batch.codec_id() != 0) {
        TRY_VOID(decompress(static_cast<Codec>(batch.codec_id()), records, decompressed_batch_bytes_max, scratch));
        records = scratch;
    }
    RecordCursor cursor;
    cursor.at_ = records.data();
    cursor.end_ = records.data() + records.size();
    cursor.base_offset_ = batch.base_offset();
    cursor.base_timestamp_ms_ = batch.base_timestamp_ms();
    if (batch.timestamp_type() == TimestampType::log_append_time) {
        cursor.log_append_time_ms_ = batch.max_timestamp_ms();
    }
    cursor.count_ = batch.record_count();
    cursor.last_offset_delta_ = batch.last_offset_delta();
    return cursor;
}

Result<std::optional<RecordView>> RecordCursor::corrupt(const char* what) {
    fault_ = what;
    return fail(Code::corrupt, "batch.record",
                fmt::format("batch at offset {}, record {} of {}: {}", base_offset_.value, index_, count_, what));
}

Result<std::optional<RecordView>> RecordCursor::next() {
    if (fault_ != nullptr) [[unlikely]] { return corrupt(fault_); }
    if (index_ == count_) {
        if (at_ != end_) { return corrupt("bytes left over after the last record"); }
        return std::nullopt;
    }
    Fields batch(at_, end_);
    int32_t size = 0;
    if (!batch.varint(size) || size < 0 || static_cast<size_t>(size) > batch.remaining()) {
        return corrupt("record length");
    }
    Fields record(batch.position(), batch.position() + size);
    int64_t time_delta = 0;
    int32_t offset_delta = 0;
    RecordView view;
    if (!record.skip(1)) { return corrupt("attributes"); }  // unused, and Kafka ignores what is there
    if (!record.varint(time_delta)) { return corrupt("timestamp"); }
    if (!record.varint(offset_delta) || offset_delta <= last_delta_ || offset_delta > last_offset_delta_) {
        return corrupt("offset");
    }
    if (!record.nullable_text(view.key)) { return corrupt("key"); }
    if (!record.nullable_text(view.value)) { return corrupt("value"); }
    view.encoded_headers = {record.position(), record.remaining()};
    const bool no_headers = record.remaining() == 1 && *record.position() == std::byte{0};
    if (!no_headers && !headers_are_whole(record)) { return corrupt("headers"); }

    // Wraps where the writer's subtraction did.
    const uint64_t time_ms = static_cast<uint64_t>(base_timestamp_ms_) + static_cast<uint64_t>(time_delta);
    view.timestamp_ms = log_append_time_ms_.value_or(static_cast<int64_t>(time_ms));
    view.offset = base_offset_ + offset_delta;
    at_ = batch.position() + size;
    last_delta_ = offset_delta;
    ++index_;
    return view;
}

size_t RecordView::header_count() const noexcept {
    int32_t count = 0;
    return Fields(encoded_headers).varint(count) && count > 0 ? static_cast<size_t>(count) : 0;
}

size_t RecordView::headers(std::span<Header> into) const noexcept {
    Fields fields(encoded_headers);
    int32_t count = 0;
    if (!fields.varint(count) || count < 0) { return 0; }
    for (size_t i = 0; i < into.size() && i < static_cast<size_t>(count); ++i) {
        if (!fields.header(into[i])) { return i; }
    }
    return static_cast<size_t>(count);
}

std::optional<Header> RecordView::header(std::string_view name) const noexcept {
    Fields fields(encoded_headers);
    int32_t count = 0;
    if (!fields.varint(count)) { return std::nullopt; }
    Header header;
    for (int32_t i = 0; i < count && fields.header(header); ++i) {
        if (header.name == name) { return header; }
    }
    return std::nullopt;
}

}  // namespace flowstone
