// Whether batches read from a file have the leader epoch that is on record for their offsets: their checksum does not cover
// it. Two comparisons a batch; the partition is asked, under its shard's lock, where another epoch begins and where the log
// ended the last time. One thread at a time.
#pragma once

#include <optional>

#include <flowstone/ids.h>

#include "log/impl/partition.h"
#include "log/impl/shard.h"
#include "storage/batch.h"

namespace flowstone {

class EpochCheck {
public:
    explicit EpochCheck(const Partition& partition) : partition_(partition) {}

    // The epoch on record, if the batch has another one. Nothing is said where none is on record.
    std::optional<Epoch> other_than(BatchView batch) {
        const Offset base = batch.base_offset();
        if (base < span_.begin || base >= span_.end) {
            const Guard guard(partition_.shard().lock());
            span_ = partition_.epoch_at(base);
        }
        return span_.epoch && *span_.epoch != batch.epoch() ? span_.epoch : std::nullopt;
    }

    void forget() { span_ = {}; }  // what was on record may be so no more

private:
    const Partition& partition_;
    Partition::EpochSpan span_;
};

}  // namespace flowstone
