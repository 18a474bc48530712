#include "storage/impl/index_check.h"

#include <algorithm>

namespace flowstone {
namespace {

bool all_zero(Bytes bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

BytePos entry_at(size_t entry, uint32_t entry_bytes) { return {static_cast<int64_t>(entry * entry_bytes)}; }

}  // namespace

void OffsetIndexCheck::batch(const BatchView& batch, BytePos at_batch, const FaultSink& sink) {
    for (; next_ < entries() && at(next_) <= at_batch; ++next_) {
        if (zeros_from(next_)) { return; }
        if (at(next_) < at_batch) {
            fault(next_, "no batch begins at its position", sink);
        } else if (offset(next_) < batch.last_offset()) {
            fault(next_, "the batch at its position ends past its offset", sink);
        } else if (offset(next_) <= last_offset_) {
            fault(next_, "its offset does not grow", sink);
        }
        last_offset_ = offset(next_);
    }
    end_ = at_batch + batch.size();
    end_offset_ = batch.next_offset();
}

void OffsetIndexCheck::damage(const DamageAround& range) {
    while (next_ < entries() && at(next_) >= range.begin && at(next_) < range.end) { ++next_; }
    damaged_ = true;
}

void OffsetIndexCheck::finish(bool active, const FaultSink& sink) {
    if (!damaged_ && last_offset_ >= end_offset_) { fault(next_ - 1, "its offset is past the end", sink); }
    for (; next_ < entries() && !zeros_from(next_); ++next_) {
        if (active && at(next_) >= end_) { continue; }
        fault(next_, "no batch begins at its position", sink);
    }
    if (!active && content_.size() % index_entry_bytes != 0) { fault(entries(), "half an entry", sink); }
}

void OffsetIndexCheck::fault(size_t entry, const char* why, const FaultSink& sink) const {
    const bool whole = entry < entries();
    sink({.path = path_,
          .what = "index_entry",
          .begin = entry_at(entry, index_entry_bytes),
          .end = entry_at(entry + 1, index_entry_bytes),
          .offset_begin = whole ? offset(entry) : Offset{},
          .offset_end = Offset{},
          .detail = why});
}

bool OffsetIndexCheck::zeros_from(size_t entry) const {
    return at(entry) == BytePos{0} && all_zero(Bytes(content_).subspan(entry * index_entry_bytes));
}

void TimeIndexCheck::batch(const BatchView& batch, const FaultSink& sink) {
    for (; next_ < entries() && offset(next_) <= batch.last_offset(); ++next_) {
        if (next_ > 0 && zeros_from(next_)) { return; }
        if (offset(next_) < batch.base_offset()) {
            fault(next_, "no batch holds its offset", sink);
        } else if (timestamp_ms(next_) != batch.max_timestamp_ms()) {
            fault(next_, "its batch has another timestamp", sink);
        } else if (timestamp_ms(next_) <= largest_ms_) {
            fault(next_, "a batch before has a timestamp as large", sink);
        }
    }
    largest_ms_ = std::max(largest_ms_, batch.max_timestamp_ms());
    seen_end_ = batch.next_offset();
}

void TimeIndexCheck::damage(const DamageAround& range) {
    const auto lost = [&](Offset offset) {
        return offset >= range.offset_begin && (range.offset_end.value < 0 || offset < range.offset_end);
    };
    while (next_ < entries() && lost(offset(next_))) {
        largest_ms_ = std::max(largest_ms_, timestamp_ms(next_));
        ++next_;
    }
}

void TimeIndexCheck::finish(bool active, const FaultSink& sink) {
    for (; next_ < entries() && !zeros_from(next_); ++next_) {
        if (active && offset(next_) >= seen_end_) { continue; }
        fault(next_, "no batch holds its offset", sink);
    }
    if (!active && content_.size() % time_index_entry_bytes != 0) { fault(entries(), "half an entry", sink); }
}

void TimeIndexCheck::fault(size_t entry, const char* why, const FaultSink& sink) const {
    const bool whole = entry < entries();
    sink({.path = path_,
          .what = "time_index_entry",
          .begin = entry_at(entry, time_index_entry_bytes),
          .end = entry_at(entry + 1, time_index_entry_bytes),
          .offset_begin = whole ? offset(entry) : Offset{},
          .offset_end = Offset{},
          .detail = why});
}

bool TimeIndexCheck::zeros_from(size_t entry) const {
    return timestamp_ms(entry) == 0 && all_zero(Bytes(content_).subspan(entry * time_index_entry_bytes));
}

}  // namespace flowstone
