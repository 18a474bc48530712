#include "log/impl/put.h"

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/limits.h"
#include "storage/try.h"

namespace flowstone {

Result<Partition*> ready_partition(Store& store, TopicTable& table, int32_t number) {
    TRY_VOID(store.usable("topic.append"));
    if (store.read_only()) { return fail(Code::read_only, "topic.append", store.path()); }
    if (table.deleted) {
        return fail(Code::not_found, "topic.append", fmt::format("topic {} was deleted", table.name));
    }
    Partition* partition = table.find(number);
    if (partition == nullptr) { TRY(partition, store.partition(table, number)); }
    if (!partition->hooks.loaded || partition->hooks.needs_epoch) { TRY_VOID(store.load(*partition)); }
    return partition;
}

Result<void> check_record(const Partition& partition, const Record& record, size_t bytes, int64_t now_ms) {
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
    if (record.timestamp_ms) {
        const int64_t time = *record.timestamp_ms;
        if (time < -1 || time - now_ms > config.timestamp_after_max_ms ||
            (time >= 0 && now_ms - time > config.timestamp_before_max_ms)) {
            return fail(Code::invalid, "topic.append",
                        fmt::format("timestamp {} of a record is outside what topic {} allows", time, topic));
        }
    }
    return {};
}

Offset put_record(Store& store, Partition& partition, const Record& record, size_t bytes, int64_t now_ms) {
    const int64_t timestamp = record.timestamp_ms.value_or(now_ms);
    if (BatchBuilder* builder = partition.builder()) {
        if (builder->append(record, timestamp)) { return Offset{builder->next_offset().value - 1}; }
        partition.close_batch(store.engine().pool);
    }
    BatchBuilder& fresh = partition.open_batch(bytes, timestamp, store.engine().pool);
    const bool fits = fresh.append(record, timestamp);
    CHECK(fits);
    return Offset{fresh.next_offset().value - 1};
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
        const int64_t timestamp = record.timestamp_ms.value_or(now_ms);
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
