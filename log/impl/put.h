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

// Into the open batch, or a fresh one. Returns the record's offset. Call with the lock held.
Offset put_record(Store& store, Partition& partition, const Record& record, size_t bytes, int64_t now_ms);

// Into batches of their own, closed; with `group` not 0 they commit together with others of that group.
// Returns the first offset. Call with the lock held and no batch open.
Offset put_records(Store& store, Partition& partition, std::span<const Record> records,
                   const BatchBuilder::Options& producer, uint32_t group, int64_t now_ms);

}  // namespace flowstone
