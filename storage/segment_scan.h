// Walks the batches of a .log file front to back, checking each, in bounded memory.
//
// Reads 256 KiB aligned pieces into one aligned buffer, so that it works on files opened with O_DIRECT. The buffer
// grows only for a larger batch, and never past batch_bytes_max: a length field alone takes no memory beyond that.
#pragma once

#include <cstdlib>
#include <memory>
#include <optional>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/batch.h"
#include "storage/disk.h"
#include "storage/limits.h"

namespace flowstone {

constexpr uint64_t scan_read_bytes = 256 * 1024;         // JOURNAL 8: cold reads go in pieces of this size
constexpr uint64_t scan_batch_bytes_limit = 1ull << 30;  // no batch_bytes_max may ask for more

// Why a scan stopped where it did.
enum class ScanFault : uint8_t {
    none,        // everything up to the end is good
    torn_end,    // the last batch's bytes, or its length field, go past the end
    zeros,       // nothing but zeros from here to the end: space that was reserved and never filled
    bad_length,  // a length no batch can have, or above batch_bytes_max
    bad_magic,   // not version 2
    bad_header,  // counts or codec that contradict each other
    bad_crc,
    offset_order,  // base offset below the end of the batch before it or the segment's base, or offsets past offset_end
    epoch_order,   // leader epoch below that of the batch before it
};
const char* name(ScanFault fault);  // "torn_end" and so on

struct ScannedBatch {
    BatchView batch;  // valid until the next call
    BytePos at;
};

// Borrows disk and file. Not safe from several threads.
class SegmentScanner {
public:
    struct Options {
        BytePos begin{0};              // a batch boundary
        BytePos end{INT64_MAX};        // the end of the file if that comes first
        Offset offset{0};              // no batch may begin below: the segment's base, or what is known at `begin`
        Offset offset_end{INT64_MAX};  // nor end above: the next segment's base
        Epoch epoch{-1};               // nor have a lower epoch
        bool crc = true;               // compare checksums
        bool epoch_order = true;       // false: whoever asks knows the epochs better
        uint64_t batch_bytes_max = batch_bytes_max_default;  // larger ones are bad_length
    };
    SegmentScanner(Disk& disk, File& file, const Options& options);

    // The next good batch; empty at the end and at a fault, and then fault() tells which. Errors: io.
    Result<std::optional<ScannedBatch>> next();

    // Meaningful once next() returned empty.
    ScanFault fault() const { return fault_; }
    // Where the next batch begins, or the fault is: everything from the begin to here was good.
    BytePos position() const { return position_; }
    Offset next_offset() const { return next_offset_; }
    Epoch epoch() const { return epoch_; }
    uint64_t batches() const { return batches_; }
    BytePos end() const { return end_; }  // of what there is to scan; known after the first next()

    // After a fault: moves on to the next whole batch, so that next() returns it. The place the damaged batch's own
    // length names is tried first, so that a batch inside a record is not taken for one of ours; then every byte.
    // False when there is none. Time is bounded by the bytes left times the plausible headers among them.
    // Errors: io.
    Result<bool> resync();

private:
    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    struct Examined {
        ScanFault fault = ScanFault::none;
        uint64_t size = 0;  // of the batch, when its length field can be believed
    };
    Result<void> find_end();
    Result<Bytes> load(BytePos at, uint64_t bytes);
    Result<Examined> examine(BytePos at, bool crc);
    Result<bool> zeros_to_end(BytePos at);
    Result<bool> move_to(BytePos at);

    Disk& disk_;
    File& file_;
    Options options_;
    uint64_t align_ = disk_block_bytes_min;
    std::unique_ptr<std::byte[], Free> buffer_;
    uint64_t capacity_ = 0;
    uint64_t buffer_at_ = 0;  // position of the buffer's first byte; a multiple of align_
    uint64_t buffer_bytes_ = 0;
    bool opened_ = false;
    BytePos end_{0};
    BytePos position_{0};
    Offset next_offset_;
    Epoch epoch_;
    uint64_t batches_ = 0;
    ScanFault fault_ = ScanFault::none;
    uint64_t fault_size_ = 0;  // what the damaged batch says of its own size; 0: cannot be
};

}  // namespace flowstone
