// Appending records to a partition: the steps that every way in shares.
#pragma once

#include <span>

#include <flowstone/log.h>

#include "log/impl/partition.h"
#include "log/impl/store.h"
#include "log/retention.h"
#include "log/served_log.h"

namespace flowstone {

// What every append needs: a partition that is loaded, of a topic that is not deleted, in a log that is open for it.
// `starts_epoch`: what is appended is of this log's own leader epoch.
Result<Partition*> make_ready(Store& store, TopicTable& table, int32_t number, bool starts_epoch = true);
inline Result<Partition*> ready_partition(Store& store, TopicTable& table, int32_t number) {
    Partition* partition = table.find(number);
    if (partition != nullptr && partition->hooks.loaded && !partition->hooks.needs_epoch && !table.deleted &&
        store.appendable()) [[likely]] {
        return partition;
    }
    return make_ready(store, table, number);
}

// Errors: too_large, invalid, out_of_range (its timestamp). Nothing has happened then. Call with the lock held.
Result<void> check_record_fully(const Partition& partition, const Record& record, size_t bytes, int64_t now_ms);
inline Result<void> check_record(const Partition& partition, const Record& record, size_t bytes, int64_t now_ms) {
    const TopicConfig& config = partition.config();
    const bool in_size = batch_header_bytes + bytes <= static_cast<size_t>(config.max_message_bytes);
    const bool in_time =
        !record.timestamp_ms ||
        (*record.timestamp_ms >= -1 && elapsed_ms(now_ms, *record.timestamp_ms) <= config.timestamp_after_max_ms &&
         elapsed_ms(*record.timestamp_ms, now_ms) <= config.timestamp_before_max_ms);
    if (in_size && in_time && record.headers.empty() && !config.cleanup_policy.compact) [[likely]] { return {}; }
    return check_record_fully(partition, record, bytes, now_ms);
}
// Whether a producer may say so. Errors: out_of_range.
Result<void> check_timestamp(const Partition& partition, int64_t timestamp_ms, int64_t now_ms);
// The records of a producer are one batch, which is recognised when it comes again. Errors: too_large.
Result<void> check_producer_batch(const Partition& partition, std::span<const Record> records);
// A ready-made batch as it is to be stored: in the topic's codec, with the log's time where the topic wants that, with
// the largest of its records' times as its own. In `space` when it is not stored as it came. If records are the reason why
// it is not taken, each is added to `refused`, and the error is that of the first, or of the first with a bad timestamp.
// Errors: corrupt, invalid, out_of_range (a timestamp), unsupported, too_large (also above `unpacked_bytes_max`).
Result<BatchView> check_batch(const Partition& partition, Bytes bytes, int64_t now_ms, size_t unpacked_bytes_max,
                              std::vector<std::byte>& space, std::vector<RefusedRecord>* refused = nullptr);
// What the record will say: its producer's time, or that of this append.
inline int64_t time_of(const Partition& partition, const Record& record, int64_t now_ms) {
    const bool ours = partition.config().timestamp_type == TimestampType::log_append_time;
    return ours ? now_ms : record.timestamp_ms.value_or(now_ms);
}

// A ready-made batch, checked and copied in as the next one, or found to be there already.
struct PutBatch {
    Partition* partition = nullptr;
    Offset base_offset;
    Offset next_offset;               // acknowledged once visible up to here
    int64_t log_append_time_ms = -1;  // -1: its records keep their own
    Offset log_start;
    bool duplicate = false;
};
// Unpacked within a millisecond or two; what producers send unless told otherwise is less.
constexpr size_t unpacked_bytes_little = 1u << 20;

// Errors: those of Topic::append_batch, all of them "not appended"; busy, only when it may not wait: there is no room just
// now, but others make some; too_large, also when it unpacks to more than a little and may not.
Result<PutBatch> append_ready_batch(Store& store, TopicTable& table, int32_t number, Bytes bytes,
                                    const AppendEffort& effort = {});

// Ready-made batches, back to back, as they are: docs of Topic::append_as_is. Errors: as its.
Result<Pending> append_as_is(Store& store, TopicTable& table, int32_t number, Bytes batches);

// Into a fresh batch. Returns the record's offset. Call with the lock held.
Offset put_in_fresh_batch(Store& store, Partition& partition, const Record& record, int64_t now_ms);
// Into the open batch, or a fresh one. Returns the record's offset. Call with the lock held.
[[gnu::always_inline]] inline Offset put_record(Store& store, Partition& partition, const Record& record,
                                                int64_t now_ms) {
    BatchBuilder* builder = partition.builder();
    if (builder != nullptr && builder->append(record, time_of(partition, record, now_ms))) [[likely]] {
        return Offset{builder->next_offset().value - 1};
    }
    return put_in_fresh_batch(store, partition, record, now_ms);
}
// As many as the open batch takes; 0 when there is none. Call with the lock held.
size_t fill_batch(Partition& partition, std::span<const Record> records, int64_t now_ms);

// Into batches of their own, closed; with `group` not 0 they commit together with others of that group.
// Returns the first offset. Call with the lock held and no batch open.
Offset put_records(Store& store, Partition& partition, std::span<const Record> records,
                   const BatchBuilder::Options& producer, uint32_t group, int64_t now_ms);

}  // namespace flowstone
