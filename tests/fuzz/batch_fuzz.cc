// Any bytes as a record batch: walked to the end, and what was read, written again, reads the same.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/batch.h"
#include "storage/check.h"

namespace flowstone {
namespace {

bool same(const RecordView& a, const RecordView& b) {
    return a.offset == b.offset && a.timestamp_ms == b.timestamp_ms && a.key == b.key && a.value == b.value &&
           as_text(a.encoded_headers) == as_text(b.encoded_headers);
}

void use_headers(const RecordView& record) {
    Header some[4];
    const size_t count = record.headers(some);
    CHECK(count == record.header_count());
    CHECK(count == 0 || record.header(some[0].name).has_value());
}

// Empty when the batch is refused.
std::vector<RecordView> read(BatchView batch, std::vector<std::byte>& scratch) {
    std::vector<RecordView> records;
    auto cursor = RecordCursor::open(batch, scratch);
    if (!cursor) { return {}; }
    while (true) {
        auto record = cursor->next();
        if (!record) {
            CHECK(!cursor->next());
            return {};
        }
        if (!*record) { break; }
        CHECK((*record)->offset <= batch.last_offset());
        use_headers(**record);
        records.push_back(**record);
    }
    CHECK(records.size() == static_cast<size_t>(batch.record_count()));
    return records;
}

void check_written_again(BatchView batch, const std::vector<RecordView>& records, size_t records_bytes) {
    // A varint may be written longer than it needs to be, never shorter, so what is written again fits. Ten bytes more
    // a record because log append time replaces the timestamps.
    std::vector<std::byte> space(batch_header_bytes + records_bytes + 10 * records.size());
    BatchBuilder builder(space, {.base_offset = batch.base_offset()});
    for (const RecordView& record : records) {
        CHECK(builder.append_at(static_cast<int32_t>(record.offset - batch.base_offset()), record));
    }
    const BatchView again = builder.close_at(batch.last_offset_delta());
    CHECK(again.crc_matches());
    std::vector<std::byte> scratch;
    const auto copies = read(again, scratch);
    CHECK(copies.size() == records.size());
    for (size_t i = 0; i < copies.size(); ++i) { CHECK(same(copies[i], records[i])); }
}

void try_batch(Bytes bytes) {
    auto batch = BatchView::parse(bytes);
    if (!batch) { return; }
    (void)batch->crc_matches();
    (void)batch->check_header();
    std::vector<std::byte> scratch, out;
    const auto records = read(*batch, scratch);
    if (records.empty()) { return; }
    check_written_again(*batch, records, batch->codec_id() == 0 ? batch->encoded_records().size() : scratch.size());
    auto packed = recompress(*batch, Codec::lz4, out);
    CHECK(packed.has_value());
    CHECK(packed->crc_matches());
    std::vector<std::byte> other;
    const auto unpacked = read(*packed, other);
    CHECK(unpacked.size() == records.size());
    for (size_t i = 0; i < unpacked.size(); ++i) { CHECK(same(unpacked[i], records[i])); }
}

}  // namespace
}  // namespace flowstone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    flowstone::try_batch({reinterpret_cast<const std::byte*>(data), size});
    return 0;
}
