// Every whole batch of a file that may be damaged, and the ranges that are lost.
//
// A checksum does not cover a batch's base offset and epoch. When one of these was raised, the batch itself looks good
// and all those behind it look out of order; so each batch is held back until the one behind it has been seen, and the
// one that does not fit to both sides is given up, not the rest of the file.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/segment_scan.h"

namespace flowstone {

constexpr size_t damaged_ranges_max = 10'000;

struct DamagedRange {
    ScanFault fault = ScanFault::none;  // the first in it
    BytePos begin;
    BytePos end;
    Offset offset_begin;  // no record before it is lost here
    Offset offset_end;    // nor at or behind it; -1 when nothing follows
    friend bool operator==(const DamagedRange&, const DamagedRange&) = default;
};

// Borrows disk and file. Not safe from several threads. Holds one batch besides what a scan holds.
class SegmentSalvager {
public:
    SegmentSalvager(Disk& disk, File& file, const SegmentScanner::Options& options);

    // The next good batch, valid until the next call; empty at the end. Errors: io; too_large, past damaged_ranges_max.
    Result<std::optional<ScannedBatch>> next();

    // What lies between and behind the batches returned; complete once next() has returned empty.
    const std::vector<DamagedRange>& damage() const { return damage_; }
    Offset next_offset() const { return state_.next_offset; }  // behind the last batch returned
    BytePos end() const { return scanner_->end(); }

private:
    // What is known in front of a batch.
    struct State {
        Offset next_offset;
        Epoch epoch;
    };
    struct Copy {
        std::vector<std::byte> bytes;
        BytePos at{-1};  // -1: none
    };
    Result<void> pass_damage();
    Result<bool> blame_held(ScanFault fault, BytePos at);
    void add_damage(ScanFault fault, BytePos begin, BytePos end, Offset offset_begin);
    void hold(const ScannedBatch& scanned);
    static ScannedBatch view(const Copy& copy);
    State behind(const Copy& copy) const;

    Disk& disk_;
    File& file_;
    SegmentScanner::Options options_;
    std::unique_ptr<SegmentScanner> scanner_;
    Copy held_;      // good as far as is known
    Copy released_;  // what next() returned last
    State state_;    // behind the last batch released
    bool done_ = false;
    std::vector<DamagedRange> damage_;
};

}  // namespace flowstone
