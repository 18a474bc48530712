// An index file held against the batches it speaks of, which come in order.
#pragma once

#include <string>
#include <vector>

#include "storage/batch.h"
#include "storage/segment_verify.h"

namespace flowstone {

// Ranges of a segment that are damaged are no index's fault.
struct DamageAround {
    BytePos begin;
    BytePos end;
    Offset offset_begin;
    Offset offset_end;
};

// <base>.index. An entry is right when a batch begins at its position and ends at or below its offset: then every
// lookup through it is right. Kafka's followers and cleaner name the last offset of several batches.
class OffsetIndexCheck {
public:
    OffsetIndexCheck(std::string path, Offset base, std::vector<std::byte> content)
        : path_(std::move(path)), base_(base), content_(std::move(content)) {}
    void batch(const BatchView& batch, BytePos at, const FaultSink& sink);
    void damage(const DamageAround& range);
    // `active`: entries past the end may be left over from before a crash; the next flush cuts them.
    void finish(bool active, const FaultSink& sink);

private:
    size_t entries() const { return content_.size() / index_entry_bytes; }
    Offset offset(size_t entry) const { return base_ + load_be<int32_t>(&content_[entry * index_entry_bytes]); }
    BytePos at(size_t entry) const { return {load_be<int32_t>(&content_[entry * index_entry_bytes + 4])}; }
    void fault(size_t entry, const char* why, const FaultSink& sink) const;
    bool zeros_from(size_t entry) const;

    std::string path_;
    Offset base_;
    std::vector<std::byte> content_;
    size_t next_ = 0;
    Offset last_offset_;  // of the entry before
    BytePos end_{0};      // of the batches seen
    Offset end_offset_{0};
    bool damaged_ = false;
};

// <base>.timeindex. An entry is right when the batch that holds its offset has its timestamp as max timestamp and no
// batch before has one as large.
class TimeIndexCheck {
public:
    TimeIndexCheck(std::string path, Offset base, std::vector<std::byte> content)
        : path_(std::move(path)), base_(base), content_(std::move(content)) {}
    void batch(const BatchView& batch, const FaultSink& sink);
    void damage(const DamageAround& range);
    void finish(bool active, const FaultSink& sink);

private:
    size_t entries() const { return content_.size() / time_index_entry_bytes; }
    int64_t timestamp_ms(size_t entry) const { return load_be<int64_t>(&content_[entry * time_index_entry_bytes]); }
    Offset offset(size_t entry) const {
        return base_ + load_be<int32_t>(&content_[entry * time_index_entry_bytes + 8]);
    }
    void fault(size_t entry, const char* why, const FaultSink& sink) const;
    bool zeros_from(size_t entry) const;

    std::string path_;
    Offset base_;
    std::vector<std::byte> content_;
    size_t next_ = 0;
    Offset seen_end_;          // offsets below have been seen
    int64_t largest_ms_ = -1;  // of the batches seen
};

}  // namespace flowstone
