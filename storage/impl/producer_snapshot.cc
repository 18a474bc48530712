#include "storage/producer_snapshot.h"

#include "storage/check.h"
#include "storage/checksum.h"
#include "storage/mutants.h"
#include "storage/segment_files.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int16_t snapshot_version = 1;
constexpr size_t sum_at = 2;  // CRC-32C of everything behind it
constexpr size_t summed_at = 6;
constexpr size_t entry_bytes = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;
static_assert(summed_at + 4 + entry_bytes * producer_snapshot_entries_max <= producer_snapshot_bytes_max);

std::unexpected<Error> bad(std::string_view why) { return fail(Code::corrupt, "producer_snapshot.decode", why); }

std::string path_of(const std::string& directory, Offset offset) {
    return join_path(directory, segment_file_name(offset, SegmentFile::snapshot));
}

}  // namespace

std::vector<std::byte> encode_producer_snapshot(std::span<const ProducerSnapshotEntry> entries) {
    CHECK(entries.size() <= producer_snapshot_entries_max);
    ByteWriter out;
    out.be(snapshot_version);
    out.be(uint32_t{0});
    out.be(static_cast<int32_t>(entries.size()));
    for (const ProducerSnapshotEntry& entry : entries) {
        out.be(entry.producer_id);
        out.be(entry.producer_epoch);
        out.be(entry.last_sequence);
        out.be(entry.last_offset.value);
        out.be(entry.offset_delta);
        out.be(entry.timestamp_ms);
        out.be(entry.coordinator_epoch);
        out.be(entry.transaction_first_offset.value);
    }
    store_be(out.data() + sum_at, crc32c(out.view().subspan(summed_at)));
    return out.take();
}

Result<std::vector<ProducerSnapshotEntry>> decode_producer_snapshot(Bytes bytes) {
    if (bytes.size() > producer_snapshot_bytes_max) { return fail(Code::too_large, "producer_snapshot.decode"); }
    ByteReader reader(bytes);
    const auto version = reader.be<int16_t>();
    const auto sum = reader.be<uint32_t>();
    const auto count = reader.be<int32_t>();
    if (reader.failed()) { return bad("shorter than a snapshot"); }
    if (version != snapshot_version) {
        return fail(Code::unsupported, "producer_snapshot.decode", "version " + std::to_string(version));
    }
    if (crc32c(bytes.subspan(summed_at)) != sum && !mutated(Mutant::snapshot_sum)) { return bad("checksum"); }
    if (count < 0 || static_cast<uint64_t>(count) * entry_bytes != reader.remaining()) { return bad("count"); }
    std::vector<ProducerSnapshotEntry> entries(static_cast<size_t>(count));
    for (ProducerSnapshotEntry& entry : entries) {
        entry.producer_id = reader.be<int64_t>();
        entry.producer_epoch = reader.be<int16_t>();
        entry.last_sequence = reader.be<int32_t>();
        entry.last_offset = Offset{reader.be<int64_t>()};
        entry.offset_delta = reader.be<int32_t>();
        entry.timestamp_ms = reader.be<int64_t>();
        entry.coordinator_epoch = reader.be<int32_t>();
        entry.transaction_first_offset = Offset{reader.be<int64_t>()};
        // A batch of delta + 1 records ends at last_offset; the rest of the code counts on that.
        if (entry.producer_id < 0 || entry.offset_delta < 0 ||
            (entry.last_offset.value >= 0 && entry.last_offset.value < entry.offset_delta)) {
            return bad("an entry contradicts itself");
        }
    }
    return entries;
}

Result<std::vector<ProducerSnapshotEntry>> read_producer_snapshot(Disk& disk, const std::string& directory,
                                                                  Offset offset) {
    const std::string path = path_of(directory, offset);
    TRY(const auto bytes, read_file(disk, path, producer_snapshot_bytes_max));
    auto entries = decode_producer_snapshot(bytes);
    if (!entries) { return std::unexpected(entries.error().with_detail(path + ": " + entries.error().detail)); }
    return entries;
}

Result<void> write_producer_snapshot(Disk& disk, const std::string& directory, Offset offset,
                                     std::span<const ProducerSnapshotEntry> entries) {
    return replace_file(disk, path_of(directory, offset), encode_producer_snapshot(entries));
}

}  // namespace flowstone
