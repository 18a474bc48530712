#include "storage/segment_scan.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "storage/check.h"
#include "storage/impl/aligned_memory.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr uint64_t magic_at = 16;
// Room above any base offset for a batch's last offset delta, so that arithmetic on foreign offsets cannot overflow.
constexpr int64_t base_offset_max = std::numeric_limits<int64_t>::max() - std::numeric_limits<uint32_t>::max();

bool all_zero(Bytes bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

uint64_t at_byte(BytePos position) { return static_cast<uint64_t>(position.value); }

}  // namespace

const char* name(ScanFault fault) {
    switch (fault) {
        case ScanFault::none: return "none";
        case ScanFault::torn_end: return "torn_end";
        case ScanFault::zeros: return "zeros";
        case ScanFault::bad_length: return "bad_length";
        case ScanFault::bad_magic: return "bad_magic";
        case ScanFault::bad_header: return "bad_header";
        case ScanFault::bad_crc: return "bad_crc";
        case ScanFault::offset_order: return "offset_order";
        case ScanFault::epoch_order: return "epoch_order";
    }
    return "unknown";
}

SegmentScanner::SegmentScanner(Disk& disk, File& file, const Options& options)
    : disk_(disk),
      file_(file),
      options_(options),
      position_(options.begin),
      next_offset_(options.offset),
      epoch_(options.epoch) {
    CHECK(options.begin.value >= 0);
    CHECK(options.offset.value >= 0);
    CHECK(options.batch_bytes_max <= scan_batch_bytes_limit);
}

Result<std::optional<ScannedBatch>> SegmentScanner::next() {
    if (!opened_) { TRY_VOID(find_end()); }
    if (fault_ != ScanFault::none || position_ >= end_) { return std::nullopt; }
    TRY(const Examined examined, examine(position_, options_.crc));
    if (examined.fault != ScanFault::none) {
        fault_ = examined.fault;
        fault_size_ = examined.size;
        return std::nullopt;
    }
    TRY(const Bytes bytes, load(position_, examined.size));
    TRY(const BatchView batch, BatchView::parse(bytes));
    const BytePos at = position_;
    position_ = position_ + examined.size;
    next_offset_ = batch.next_offset();
    epoch_ = std::max(epoch_, batch.epoch());
    ++batches_;
    return ScannedBatch{batch, at};
}

Result<void> SegmentScanner::find_end() {
    TRY(const uint64_t size, disk_.size(file_));
    end_ = std::min(options_.end, BytePos{static_cast<int64_t>(size)});
    if (file_.direct()) {
        TRY(const uint32_t block, disk_.block_bytes(parent_path(file_.path())));
        align_ = std::max<uint64_t>(align_, block);
    }
    opened_ = true;
    return {};
}

// The bytes [at, at + bytes), fewer where the file ends. Keeps what the buffer already has of them and reads on from
// there, in whole blocks.
Result<Bytes> SegmentScanner::load(BytePos at, uint64_t bytes) {
    const uint64_t begin = at_byte(at);
    uint64_t have_end = buffer_at_ + buffer_bytes_;
    if (begin < buffer_at_ || begin + bytes > have_end) {
        const uint64_t start = align_down(begin, align_);
        const uint64_t need = std::max(align_up(begin + bytes - start, align_), align_up(scan_read_bytes, align_));
        const bool overlaps = start >= buffer_at_ && start < have_end && have_end % align_ == 0;
        const uint64_t kept = overlaps ? have_end - start : 0;
        if (need > capacity_) {
            AlignedMemory larger = allocate_aligned(need, align_);
            if (kept > 0) { std::memcpy(larger.get(), buffer_.get() + (start - buffer_at_), kept); }
            buffer_.reset(larger.release());
            capacity_ = need;
        } else if (kept > 0) {
            std::memmove(buffer_.get(), buffer_.get() + (start - buffer_at_), kept);
        }
        buffer_at_ = start;
        buffer_bytes_ = kept;
        const MutableBytes into(buffer_.get() + kept, need - kept);
        TRY(const uint64_t done, read_at(disk_, file_, BytePos{static_cast<int64_t>(start + kept)}, into));
        buffer_bytes_ += done;
        have_end = buffer_at_ + buffer_bytes_;
    }
    const uint64_t until = std::min({begin + bytes, have_end, at_byte(end_)});
    if (until <= begin) { return Bytes{}; }
    return Bytes(buffer_.get() + (begin - buffer_at_), until - begin);
}

// What is wrong with the batch at `at`, if anything. Reads the whole batch only once its length can be believed.
Result<SegmentScanner::Examined> SegmentScanner::examine(BytePos at, bool crc) {
    const uint64_t remaining = at_byte(end_) - at_byte(at);
    TRY(const Bytes header, load(at, std::min<uint64_t>(remaining, batch_header_bytes)));
    if (all_zero(header)) {
        TRY(const bool zeros, zeros_to_end(at));
        return Examined{zeros ? ScanFault::zeros : ScanFault::bad_length};
    }
    if (header.size() < batch_length_prefix_bytes) { return Examined{ScanFault::torn_end}; }
    if (header.size() > magic_at && header[magic_at] != std::byte{2}) { return Examined{ScanFault::bad_magic}; }
    const auto size = BatchView::measure(header.first(batch_length_prefix_bytes));
    if (!size || *size > options_.batch_bytes_max) { return Examined{ScanFault::bad_length}; }
    if (*size > remaining) { return Examined{ScanFault::torn_end}; }

    TRY(const Bytes bytes, load(at, *size));
    if (bytes.size() < *size) { return Examined{ScanFault::torn_end}; }  // the file became shorter meanwhile
    const auto batch = BatchView::parse(bytes);
    if (!batch) { return Examined{ScanFault::bad_header, *size}; }
    if (crc && !batch->crc_matches()) { return Examined{ScanFault::bad_crc, *size}; }
    const Offset base = batch->base_offset();
    if (base < next_offset_ || base.value > base_offset_max) { return Examined{ScanFault::offset_order, *size}; }
    if (!batch->check_header()) { return Examined{ScanFault::bad_header, *size}; }
    if (batch->next_offset() > options_.offset_end) { return Examined{ScanFault::offset_order, *size}; }
    const bool back = batch->epoch().value >= 0 && batch->epoch() < epoch_;
    if (options_.epoch_order && back) { return Examined{ScanFault::epoch_order, *size}; }
    return Examined{ScanFault::none, *size};
}

Result<bool> SegmentScanner::zeros_to_end(BytePos at) {
    while (at < end_) {
        TRY(const Bytes bytes, load(at, std::min(at_byte(end_) - at_byte(at), scan_read_bytes / 2)));
        if (bytes.empty()) { break; }  // the file became shorter meanwhile
        if (!all_zero(bytes)) { return false; }
        at = at + bytes.size();
    }
    return true;
}

Result<bool> SegmentScanner::resync() {
    CHECK(fault_ != ScanFault::none);
    if (fault_size_ > 0) {
        const BytePos claimed = position_ + fault_size_;
        if (claimed == end_) { return false; }  // the damaged batch was the last one
        TRY(const bool moved, move_to(claimed));
        if (moved) { return true; }
    }
    for (BytePos at = position_ + 1; at + batch_header_bytes <= end_;) {
        TRY(const Bytes window, load(at, std::min(at_byte(end_) - at_byte(at), scan_read_bytes / 2)));
        if (window.size() < batch_header_bytes) { break; }
        uint64_t skip = 0;
        while (skip + batch_header_bytes <= window.size() && window[skip + magic_at] != std::byte{2}) { ++skip; }
        at = at + skip;
        if (skip + batch_header_bytes > window.size()) { continue; }
        TRY(const bool moved, move_to(at));
        if (moved) { return true; }
        at = at + 1;
    }
    return false;
}

// Goes on at `at` if a good batch begins there.
Result<bool> SegmentScanner::move_to(BytePos at) {
    if (at + batch_header_bytes > end_) { return false; }
    TRY(const Examined examined, examine(at, /*crc=*/true));
    if (examined.fault != ScanFault::none) { return false; }
    position_ = at;
    fault_ = ScanFault::none;
    fault_size_ = 0;
    return true;
}

}  // namespace flowstone
