// <offset>.snapshot: the state of idempotent producers just before that offset, in Kafka's format, version 1.
//
// Kafka keeps only the last batch of each producer in it, so after a restart a retry of an older one is answered as
// out of order. Format page: docs/formats/producer-snapshot.md.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/disk.h"

namespace flowstone {

constexpr uint32_t producer_snapshot_entries_max = 1'000'000;
constexpr uint64_t producer_snapshot_bytes_max = 64ull << 20;

struct ProducerSnapshotEntry {
    int64_t producer_id = -1;
    int16_t producer_epoch = -1;
    int32_t last_sequence = -1;       // of the last record of the last batch; -1: only a marker was seen
    Offset last_offset;               // of that record; -1 likewise
    int32_t offset_delta = 0;         // records in that batch, less one
    int64_t timestamp_ms = -1;        // of that batch: when the id may expire
    int32_t coordinator_epoch = -1;   // of the last transaction marker; -1 without one
    Offset transaction_first_offset;  // of the open transaction; -1 without one
    friend bool operator==(const ProducerSnapshotEntry&, const ProducerSnapshotEntry&) = default;
};

std::vector<std::byte> encode_producer_snapshot(std::span<const ProducerSnapshotEntry> entries);
// Errors: corrupt; unsupported (another version); too_large.
Result<std::vector<ProducerSnapshotEntry>> decode_producer_snapshot(Bytes bytes);

// Errors: those of Disk (not_found), and of decode with the path as detail.
Result<std::vector<ProducerSnapshotEntry>> read_producer_snapshot(Disk& disk, const std::string& directory,
                                                                  Offset offset);
// Durable when it returns.
Result<void> write_producer_snapshot(Disk& disk, const std::string& directory, Offset offset,
                                     std::span<const ProducerSnapshotEntry> entries);

}  // namespace flowstone
