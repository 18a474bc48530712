// Appending records to a partition: the steps that every way in shares.
#pragma once

#include <span>

#include <flowstone/log.h>

#include "log/impl/partition.h"
#include "log/impl/store.h"

namespace flowstone {

// What every append needs: a partition that is loaded, of a topic that is not deleted, in a log that is open for it.
Result<Partition*> ready_partition(Store& store, TopicTable& table, int32_t number);

// Errors: too_large, invalid. Nothing has happened then. Call with the lock held.
Result<void> check_record(const Partition& partition, const Record& record, size_t bytes, int64_t now_ms);
// Whether a producer may say so. Errors: invalid.
Result<void> check_timestamp(const Partition& partition, int64_t timestamp_ms, int64_t now_ms);
// The records of a producer are one batch, which is recognised when it comes again. Errors: too_large.
Result<void> check_producer_batch(const Partition& partition, std::span<const Record> records);
// A ready-made batch as it is to be stored: in the topic's codec, with the log's time where the topic wants that, with
// the largest of its records' times as its own. In `space` when it is not stored as it came.
// Errors: corrupt, invalid, unsupported, too_large.
Result<BatchView> check_batch(const Partition& partition, Bytes bytes, int64_t now_ms, std::vector<std::byte>& space);

// Into the open batch, or a fresh one. Returns the record's offset. Call with the lock held.
Offset put_record(Store& store, Partition& partition, const Record& record, size_t bytes, int64_t now_ms);

// Into batches of their own, closed; with `group` not 0 they commit together with others of that group.
// Returns the first offset. Call with the lock held and no batch open.
Offset put_records(Store& store, Partition& partition, std::span<const Record> records,
                   const BatchBuilder::Options& producer, uint32_t group, int64_t now_ms);

}  // namespace flowstone
