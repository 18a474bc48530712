#include "storage/segment_salvage.h"

#include <utility>

#include "storage/check.h"
#include "storage/try.h"

namespace flowstone {
namespace {

bool is_order(ScanFault fault) { return fault == ScanFault::offset_order || fault == ScanFault::epoch_order; }

}  // namespace

SegmentSalvager::SegmentSalvager(Disk& disk, File& file, const SegmentScanner::Options& options)
    : disk_(disk),
      file_(file),
      options_(options),
      scanner_(std::make_unique<SegmentScanner>(disk, file, options)),
      state_{options.offset, options.epoch} {}

Result<std::optional<ScannedBatch>> SegmentSalvager::next() {
    while (!done_) {
        TRY(const auto scanned, scanner_->next());
        if (scanned) {
            const bool had_one = held_.at.value >= 0;
            if (had_one) { std::swap(held_, released_); }
            if (had_one) { state_ = behind(released_); }
            hold(*scanned);
            if (had_one) { return view(released_); }
        } else if (scanner_->fault() == ScanFault::none) {
            done_ = true;
        } else {
            TRY_VOID(pass_damage());
        }
    }
    if (held_.at.value < 0) { return std::nullopt; }
    std::swap(held_, released_);
    held_.at = BytePos{-1};
    state_ = behind(released_);
    return view(released_);
}

// The scanner stands at a fault: goes on behind it, giving up the held batch if that is the one to blame.
Result<void> SegmentSalvager::pass_damage() {
    if (damage_.size() >= damaged_ranges_max) {
        return fail(Code::too_large, "segment.salvage", "too many damaged ranges");
    }
    const ScanFault fault = scanner_->fault();
    const BytePos begin = scanner_->position();
    const Offset offset_begin = scanner_->next_offset();
    if (is_order(fault)) {
        TRY(const bool blamed, blame_held(fault, begin));
        if (blamed) { return {}; }
    }
    bool found = false;
    if (fault != ScanFault::zeros) { TRY(found, scanner_->resync()); }
    if (!found && !is_order(fault) && fault != ScanFault::zeros) {
        TRY(const bool blamed, blame_held(ScanFault::offset_order, begin));
        if (blamed) { return {}; }
    }
    add_damage(fault, begin, found ? scanner_->position() : scanner_->end(), offset_begin);
    done_ = !found;
    return {};
}

// Whether what follows makes sense only without the held batch. Then that batch is damage and the scan goes on at
// `at` as if it had not been.
Result<bool> SegmentSalvager::blame_held(ScanFault fault, BytePos at) {
    if (held_.at.value < 0) { return false; }
    // A batch that continues exactly what came before it is not to blame.
    const BatchView held = view(held_).batch;
    const bool fits =
        fault == ScanFault::epoch_order ? held.epoch() == state_.epoch : held.base_offset() == state_.next_offset;
    if (fits) { return false; }
    SegmentScanner::Options options = options_;
    options.begin = at;
    options.offset = state_.next_offset;
    options.epoch = state_.epoch;
    auto scanner = std::make_unique<SegmentScanner>(disk_, file_, options);
    TRY(const auto first, scanner->next());
    if (!first) {
        if (scanner->fault() == ScanFault::none || is_order(scanner->fault())) { return false; }
        TRY(const bool found, scanner->resync());
        if (!found) { return false; }
    }
    add_damage(fault, held_.at, at, state_.next_offset);
    held_.at = BytePos{-1};
    options.begin = at;
    scanner_ = std::make_unique<SegmentScanner>(disk_, file_, options);  // again from `at`, to report what lies there
    return true;
}

void SegmentSalvager::add_damage(ScanFault fault, BytePos begin, BytePos end, Offset offset_begin) {
    if (!damage_.empty() && damage_.back().end == begin) {
        damage_.back().end = end;
        damage_.back().offset_end = Offset{};
        return;
    }
    damage_.push_back({fault, begin, end, offset_begin, Offset{}});
}

void SegmentSalvager::hold(const ScannedBatch& scanned) {
    const Bytes bytes = scanned.batch.bytes();
    held_.bytes.assign(bytes.begin(), bytes.end());
    held_.at = scanned.at;
    if (!damage_.empty() && damage_.back().end == scanned.at) {
        damage_.back().offset_end = scanned.batch.base_offset();
    }
}

ScannedBatch SegmentSalvager::view(const Copy& copy) {
    const auto batch = BatchView::parse(copy.bytes);
    CHECK(batch.has_value());  // parsed once already
    return {*batch, copy.at};
}

SegmentSalvager::State SegmentSalvager::behind(const Copy& copy) const {
    const BatchView batch = view(copy).batch;
    return {batch.next_offset(), std::max(state_.epoch, batch.epoch())};
}

}  // namespace flowstone
