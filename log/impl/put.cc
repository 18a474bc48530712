#include "log/impl/put.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/compression.h"
#include "storage/limits.h"
#include "storage/try.h"

namespace flowstone {

Result<Partition*> make_ready(Store& store, TopicTable& table, int32_t number, bool starts_epoch) {
    TRY_VOID(store.usable("topic.append"));
    if (store.read_only()) { return fail(Code::read_only, "topic.append", store.path()); }
    if (table.deleted) {
        return fail(Code::not_found, "topic.append", fmt::format("topic {} was deleted", table.name));
    }
    Partition* partition = table.find(number);
    if (partition == nullptr) { TRY(partition, store.partition(table, number)); }
    if (partition->lost) {
        return std::unexpected(partition->lost_error("topic.append").with_fate(Fate::not_appended));
    }
    if (partition->hooks.needs_epoch && store.keeps_nothing_of(*partition)) {
        return fail(Code::offline, "topic.append",
                    fmt::format("{}-{} is in another directory than {}", table.name, number, store.path()));
    }
    if (!partition->hooks.loaded || partition->hooks.needs_epoch) { TRY_VOID(store.load(*partition, starts_epoch)); }
    return partition;
}

// Every check, with words for the one that fails.
Result<void> check_record_fully(const Partition& partition, const Record& record, size_t bytes, int64_t now_ms) {
    const TopicConfig& config = partition.config();
    const std::string& topic = partition.identity().topic;
    if (batch_header_bytes + bytes > static_cast<size_t>(config.max_message_bytes)) {
        return fail(Code::too_large, "topic.append",
                    fmt::format("a record of {} bytes for topic {}, whose max.message.bytes is {}", bytes, topic,
                                config.max_message_bytes));
    }
    if (config.cleanup_policy.compact && !record.key) {
        return fail(Code::invalid, "topic.append",
                    fmt::format("a record without a key for the compacted topic {}", topic));
    }
    if (record.headers.size() > headers_per_record_max) {
        return fail(Code::too_large, "topic.append",
                    fmt::format("{} headers for topic {}, {} are allowed", record.headers.size(), topic,
                                headers_per_record_max));
    }
    if (record.timestamp_ms) { return check_timestamp(partition, *record.timestamp_ms, now_ms); }
    return {};
}

Result<void> check_timestamp(const Partition& partition, int64_t timestamp_ms, int64_t now_ms) {
    const TopicConfig& config = partition.config();
    if (config.timestamp_type == TimestampType::log_append_time) { return {}; }  // it is not kept
    if (timestamp_ms < -1 || elapsed_ms(now_ms, timestamp_ms) > config.timestamp_after_max_ms ||
        (timestamp_ms >= 0 && elapsed_ms(timestamp_ms, now_ms) > config.timestamp_before_max_ms)) {
        return fail(Code::out_of_range, "topic.append",
                    fmt::format("timestamp {} of a record is outside what topic {} allows", timestamp_ms,
                                partition.identity().topic));
    }
    return {};
}

Result<void> check_producer_batch(const Partition& partition, std::span<const Record> records) {
    size_t bytes = batch_header_bytes;
    for (const Record& record : records) { bytes += BatchBuilder::record_bytes_max(record); }
    const auto bytes_max = static_cast<size_t>(partition.config().max_message_bytes);
    if (bytes > bytes_max || records.size() > records_per_batch_max) {
        return fail(Code::too_large, "topic.append",
                    fmt::format("{} records of one producer in {} bytes for topic {}, whose max.message.bytes is {}",
                                records.size(), bytes, partition.identity().topic, bytes_max));
    }
    return {};
}

namespace {

Result<void> check_batch_size(const Partition& partition, BatchView batch) {
    const auto bytes_max = static_cast<size_t>(partition.config().max_message_bytes);
    if (batch.size() <= bytes_max) { return {}; }
    return fail(Code::too_large, "topic.append_batch",
                fmt::format("a batch of {} bytes for topic {}, whose max.message.bytes is {}", batch.size(),
                            partition.identity().topic, bytes_max));
}

// What a producer may not say, and what only its readers would find.
Result<void> check_batch_header(BatchView batch) {
    TRY_VOID(batch.check_header());
    if (!batch.crc_matches()) {
        return fail(Code::corrupt, "topic.append_batch", "the batch does not match its checksum");
    }
    if (batch.control() || batch.transactional()) {
        return fail(Code::unsupported, "topic.append_batch", "transactions");
    }
    if (batch.record_count() == 0) { return fail(Code::invalid, "topic.append_batch", "a batch without records"); }
    if (batch.record_count() != batch.last_offset_delta() + 1) {
        return fail(Code::invalid, "topic.append_batch",
                    fmt::format("{} records for {} offsets", batch.record_count(), batch.last_offset_delta() + 1));
    }
    if (batch.timestamp_type() == TimestampType::log_append_time || batch.has_delete_horizon()) {
        return fail(Code::invalid, "topic.append_batch", "only the log sets an append time or a delete horizon");
    }
    return {};
}

Result<void> check_record_of_batch(const Partition& partition, const RecordView& record, int64_t now_ms) {
    if (partition.config().cleanup_policy.compact && !record.key) {
        return fail(Code::invalid, "topic.append_batch",
                    fmt::format("a record without a key for the compacted topic {}", partition.identity().topic));
    }
    return check_timestamp(partition, record.timestamp_ms, now_ms);
}

// Walks every record once: a batch that lies about them would only be found by its readers. Their largest timestamp.
Result<int64_t> check_batch_records(const Partition& partition, BatchView unpacked, int64_t now_ms,
                                    std::vector<RefusedRecord>* refused) {
    int64_t largest_ms = -1;
    std::optional<Error> worst;
    std::vector<std::byte> scratch;
    TRY(auto records, RecordCursor::open(unpacked, scratch));
    for (int32_t index = 0;; ++index) {
        TRY(const auto record, records.next());
        if (!record) { break; }
        largest_ms = std::max(largest_ms, record->timestamp_ms);
        const auto good = check_record_of_batch(partition, *record, now_ms);
        if (good) { continue; }
        const bool worse = !worst || (worst->code == Code::invalid && good.error().code == Code::out_of_range);
        if (worse) { worst = good.error(); }
        if (refused == nullptr) { break; }
        if (refused->size() < refused_records_told_max) { refused->push_back({index, good.error()}); }
    }
    if (worst) { return std::unexpected(*worst); }
    return largest_ms;
}

}  // namespace

Result<BatchView> check_batch(const Partition& partition, Bytes bytes, int64_t now_ms, size_t unpacked_bytes_max,
                              std::vector<std::byte>& space, std::vector<RefusedRecord>* refused) {
    auto parsed = BatchView::parse(bytes);
    if (!parsed && parsed.error().code == Code::out_of_range) {  // nothing follows that could complete it
        return fail(Code::corrupt, "topic.append_batch", parsed.error().detail);
    }
    TRY(BatchView batch, std::move(parsed));
    if (batch.size() != bytes.size()) { return fail(Code::corrupt, "topic.append_batch", "bytes behind the batch"); }
    TRY_VOID(check_batch_size(partition, batch));
    TRY_VOID(check_batch_header(batch));
    std::vector<std::byte> unpacked_space;
    TRY(const BatchView unpacked, unpack(batch, unpacked_bytes_max, unpacked_space));
    TRY(const int64_t largest_ms, check_batch_records(partition, unpacked, now_ms, refused));

    const TopicConfig& config = partition.config();
    if (config.compression && static_cast<uint8_t>(*config.compression) != batch.codec_id()) {
        TRY(batch, recompress(unpacked, *config.compression, space));
        TRY_VOID(check_batch_size(partition, batch));
    }
    const bool ours = config.timestamp_type == TimestampType::log_append_time;
    if (!ours && batch.max_timestamp_ms() == largest_ms) { return batch; }
    if (space.empty()) { space.assign(bytes.begin(), bytes.end()); }
    if (ours) {
        patch_log_append_time(space, now_ms);
    } else {
        patch_max_timestamp(space, largest_ms);
    }
    return BatchView::parse(space);
}

Result<PutBatch> append_ready_batch(Store& store, TopicTable& table, int32_t number, Bytes bytes,
                                    const AppendEffort& effort) {
    const auto refuse = [](const Error& error) { return std::unexpected(error.with_fate(Fate::not_appended)); };
    auto ready = ready_partition(store, table, number);
    if (!ready) { return refuse(ready.error()); }
    Partition& partition = **ready;
    Shard& shard = partition.shard();
    if (!effort.may_wait) {
        Guard guard(shard.lock());
        if (shard.would_wait(partition)) {
            shard.hurry();
            return refuse(fail(Code::busy, "topic.append_batch", "dirty_bytes_max is reached").error());
        }
    }
    const int64_t now = store.now_ms();
    std::vector<std::byte> space;
    const size_t unpacked_bytes_max = effort.may_unpack_much ? decompressed_batch_bytes_max : unpacked_bytes_little;
    auto batch = check_batch(partition, bytes, now, unpacked_bytes_max, space, effort.refused);
    if (!batch) { return refuse(batch.error()); }
    const bool ours = batch->timestamp_type() == TimestampType::log_append_time;
    Guard guard(shard.lock());
    TRY_VOID(shard.admit(guard, &partition));
    partition.close_batch(store.engine().pool);
    PutBatch put{&partition, {}, {}, ours ? now : -1, partition.log_start(), false};
    if (batch->producer_id() >= 0) {
        auto known = partition.producers().check(
            {batch->producer_id(), batch->producer_epoch(), batch->base_sequence(), batch->record_count()});
        if (!known) { return refuse(known.error()); }
        if (*known) {
            put.base_offset = (*known)->base_offset;
            put.next_offset = (*known)->last_offset + 1;
            put.log_append_time_ms = ours ? (*known)->timestamp_ms : -1;
            put.duplicate = true;
            return put;
        }
    }
    put.base_offset = partition.put_batch(*batch, store.engine().pool);
    put.next_offset = partition.next_offset();
    shard.appended(guard, partition);
    return put;
}

Offset put_in_fresh_batch(Store& store, Partition& partition, const Record& record, int64_t now_ms) {
    const int64_t timestamp = time_of(partition, record, now_ms);
    partition.close_batch(store.engine().pool);
    BatchBuilder& fresh = partition.open_batch(BatchBuilder::record_bytes_max(record), timestamp, store.engine().pool);
    const bool fits = fresh.append(record, timestamp);
    CHECK(fits);
    return Offset{fresh.next_offset().value - 1};
}

size_t fill_batch(Partition& partition, std::span<const Record> records, int64_t now_ms) {
    BatchBuilder* open = partition.builder();
    if (open == nullptr) { return 0; }
    // In a variable of its own, which the compiler keeps in registers: half the time of appending through the pointer.
    BatchBuilder builder = *open;
    size_t count = 0;
    while (count < records.size() && builder.append(records[count], time_of(partition, records[count], now_ms))) {
        ++count;
    }
    *open = builder;
    return count;
}

Offset put_records(Store& store, Partition& partition, std::span<const Record> records,
                   const BatchBuilder::Options& producer, uint32_t group, int64_t now_ms) {
    CHECK(partition.builder() == nullptr);
    const Offset first = partition.next_offset();
    size_t bytes = 0;
    for (const Record& record : records) { bytes += BatchBuilder::record_bytes_max(record); }
    partition.group = group;
    BatchBuilder* builder = nullptr;
    for (const Record& record : records) {
        const int64_t timestamp = time_of(partition, record, now_ms);
        if (builder != nullptr && builder->append(record, timestamp)) { continue; }
        partition.close_batch(store.engine().pool);
        // A producer's batch is one, however large; others are cut where a batch is full.
        const size_t needed = producer.producer_id >= 0 ? bytes : BatchBuilder::record_bytes_max(record);
        builder = &partition.open_batch(needed, timestamp, store.engine().pool, producer);
        const bool fits = builder->append(record, timestamp);
        CHECK(fits);
    }
    partition.close_batch(store.engine().pool);
    partition.group = 0;
    return first;
}

}  // namespace flowstone
