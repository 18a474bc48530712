// Whether a partition directory is what it should be: every batch and record, indexes, seals and their chain, epochs,
// snapshots. Reads only; used offline by `flowstone segment verify` and by tests after every crash.
//
// What is found is named, with file, bytes and offset, and the search goes on behind it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/disk.h"
#include "storage/meta_files.h"
#include "storage/seal.h"
#include "storage/segment_index.h"

namespace flowstone {

constexpr uint64_t verify_batch_bytes_max = 128ull << 20;  // a batch above it is bad_length

struct SegmentFault {
    std::string path;
    // Frozen words: those of ScanFault; cut_short, bad_records, epoch_mismatch; index_missing, index_entry, time_index_entry,
    // transaction_index_entry; seal_missing, seal_corrupt, seal_place, seal_end, seal_piece, seal_length, seal_content;
    // chain_broken, chain_head_missing; snapshot_corrupt, epochs_corrupt, metadata_corrupt.
    const char* what = "";
    BytePos begin;  // -1: of the whole file
    BytePos end;
    Offset offset_begin;  // -1: of no offset
    Offset offset_end;    // -1: up to where is not known
    std::string detail;   // a phrase for people; may be empty
};
using FaultSink = std::function<void(const SegmentFault&)>;

struct VerifyOptions {
    bool records = true;                            // decompress and walk them, too
    std::optional<Offset> only;                     // one segment, by its base
    bool seals_expected = false;                    // a rolled segment without one is a fault
    std::optional<Uuid> cluster;                    // what seals must say
    std::optional<int32_t> partition;               // likewise; the topic's id comes from partition.metadata
    std::optional<SegmentEnd> synced;               // by the checkpoint: past it the last segment may be unfinished
    std::optional<Offset> synced_base;              // of the segment `synced` lies in; those behind it are not proven
    uint64_t synced_bytes = 0;                      // that segment has at least so many
    std::optional<std::vector<EpochStart>> epochs;  // by the checkpoint, where the file beside the log is older
    bool closed = false;                            // the checkpoint is of a clean close: nothing is unfinished
    std::optional<Sha256> chain_head;               // kept elsewhere: must be the head of one of the seals
    std::function<void(uint64_t bytes)> progress;   // called now and then with the bytes read since
};

struct VerifyCounts {
    uint64_t segments = 0;
    uint64_t sealed = 0;
    uint64_t batches = 0;
    uint64_t records = 0;
    uint64_t bytes = 0;
    uint64_t faults = 0;
    VerifyCounts& operator+=(const VerifyCounts& other);
};

// Errors: those of Disk for the directory itself; not_found, when `only` is not there. What cannot be read is a fault
// ("io") and the search goes on.
Result<VerifyCounts> verify_partition(Disk& disk, const std::string& directory, const VerifyOptions& options,
                                      const FaultSink& sink);
// A .log file alone, under any name, whose offsets may begin anywhere. Errors: those of Disk.
Result<VerifyCounts> verify_log_file(Disk& disk, const std::string& path, const VerifyOptions& options,
                                     const FaultSink& sink);

// What is in a segment, by its batch headers; compressed batches are decompressed for their size.
struct SegmentSummary {
    Offset base;
    Offset end;  // behind the last good batch
    uint64_t batches = 0;
    uint64_t records = 0;
    uint64_t bytes = 0;               // of the file
    uint64_t uncompressed_bytes = 0;  // of the batches, had they not been compressed
    int64_t first_timestamp_ms = -1;  // of the first record
    int64_t max_timestamp_ms = -1;
    bool damaged = false;  // stopped short of the file's end
};
// Errors: those of Disk. Damage is no error: `damaged` tells.
Result<SegmentSummary> summarize_log(Disk& disk, const std::string& path, Offset base);

}  // namespace flowstone
