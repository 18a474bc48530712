// Consumers by the C header: each call is one of <flowstone/client.h>.
#include <flowstone/client.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flowstone/flowstone.h>

#include "client/c/open_client.h"
#include "client/c/words.h"
#include "storage/try.h"

using namespace flowstone;
using namespace flowstone::c;

using std::chrono::milliseconds;

struct flowstone_consumer : Handle<0x46'43'4f'4e> {
    flowstone_consumer(std::shared_ptr<OpenClient> its_client, Consumer its_consumer)
        : open(std::move(its_client)), consumer(std::move(its_consumer)) {}
    std::shared_ptr<OpenClient> open;
    Consumer consumer;
    std::optional<ConsumedBatch> batch;             // that polling is in, or was last
    std::optional<ConsumedBatch::Iterator> left{};  // of it

    bool is_in(const TopicPartition& place) const {
        return left && batch->partition() == place.partition && batch->topic() == place.topic;
    }
};

namespace {

Result<ConsumerOptions> options_of(const flowstone_consumer_options* given, const char* operation) {
    TRY(const auto asked, read_options(given, operation));
    ConsumerOptions options;
    options.read_committed = asked.read_committed != 0;
    options.check_crcs = asked.unchecked_crcs == 0;
    TRY(options.fetch_wait, time_of(asked.fetch_wait_ms, options.fetch_wait, operation));
    options.fetch_wait = std::min(options.fetch_wait, milliseconds(INT32_MAX));
    if (asked.fetch_bytes_max != 0) { options.fetch_bytes_max = asked.fetch_bytes_max; }
    if (asked.partition_bytes_max != 0) { options.partition_bytes_max = asked.partition_bytes_max; }
    return options;
}

Error unknown_place(const TopicPartition& place, const char* operation) {
    return fail(Code::not_found, operation, place.topic + "-" + std::to_string(place.partition) + " is not known yet")
        .error();
}

}  // namespace

int32_t flowstone_client_consumer(flowstone_client* client, const flowstone_consumer_options* options,
                                  flowstone_consumer** consumer, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "client.consumer";
        TRY_VOID(alive(client, operation));
        TRY_VOID(check_given(consumer, operation, "where the consumer goes"));
        TRY(const auto asked, options_of(options, operation));
        TRY(auto made, client->open->client.consumer(asked));
        *consumer = std::make_unique<flowstone_consumer>(client->open, std::move(made)).release();
        return {};
    });
}

void flowstone_consumer_free(flowstone_consumer* consumer) noexcept {
    if (alive(consumer, "consumer.free")) { delete consumer; }
}

int32_t flowstone_consumer_assign(flowstone_consumer* consumer, const flowstone_topic_partition* partitions,
                                  size_t count, flowstone_from from, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.assign";
        TRY_VOID(alive(consumer, operation));
        if (count != 0) { TRY_VOID(check_given(partitions, operation, "the array of partitions")); }
        if (count > array_length_max) { return fail(Code::too_large, operation, "too many partitions"); }
        TRY(const From begin, from_of(from, operation));
        std::vector<TopicPartition> places;
        for (const flowstone_topic_partition& one : std::span(partitions, count)) {
            TRY(places.emplace_back(), partition_of(one, operation));
        }
        TRY_VOID(consumer->consumer.assign(places, begin));
        const auto is_in = [&](const TopicPartition& place) { return consumer->is_in(place); };
        if (std::ranges::none_of(places, is_in)) { consumer->left.reset(); }
        return {};
    });
}

int32_t flowstone_consumer_seek(flowstone_consumer* consumer, flowstone_topic_partition partition, flowstone_from from,
                                flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.seek";
        TRY_VOID(alive(consumer, operation));
        TRY(const auto place, partition_of(partition, operation));
        TRY(const From begin, from_of(from, operation));
        TRY_VOID(consumer->consumer.seek(place, begin));
        if (consumer->is_in(place)) { consumer->left.reset(); }
        return {};
    });
}

int32_t flowstone_consumer_pause(flowstone_consumer* consumer, flowstone_topic_partition partition,
                                 flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.pause";
        TRY_VOID(alive(consumer, operation));
        TRY(const auto place, partition_of(partition, operation));
        consumer->consumer.pause(place);
        return {};
    });
}

int32_t flowstone_consumer_resume(flowstone_consumer* consumer, flowstone_topic_partition partition,
                                  flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.resume";
        TRY_VOID(alive(consumer, operation));
        TRY(const auto place, partition_of(partition, operation));
        consumer->consumer.resume(place);
        return {};
    });
}

int32_t flowstone_consumer_poll(flowstone_consumer* consumer, flowstone_view* into, size_t capacity, int64_t timeout_ms,
                                flowstone_topic_partition* source, size_t* count, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.poll";
        TRY_VOID(alive(consumer, operation));
        TRY_VOID(check_given(into, operation, "where the records go"));
        TRY_VOID(check_given(count, operation, "where their count goes"));
        if (capacity == 0) { return fail(Code::invalid, operation, "there is no room for a record"); }
        const Deadline deadline(timeout_ms);
        size_t given = 0;
        while (given == 0) {
            if (!consumer->left) {
                TRY(const ConsumedBatch batch, consumer->consumer.poll(deadline.left()));
                if (batch.empty()) { break; }
                consumer->batch = batch;
                consumer->left = batch.begin();
            }
            given = give_records(consumer->left, std::span(into, capacity));
        }
        if (given != 0 && source != nullptr) {
            *source = {bytes_of(consumer->batch->topic()), consumer->batch->partition(), 0};
        }
        *count = given;
        return {};
    });
}

int32_t flowstone_consumer_position(const flowstone_consumer* consumer, flowstone_topic_partition partition,
                                    int64_t* offset, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.position";
        TRY_VOID(alive(consumer, operation));
        TRY_VOID(check_given(offset, operation, "where the offset goes"));
        TRY(const auto place, partition_of(partition, operation));
        const auto position = consumer->consumer.position(place);
        if (!position) { return std::unexpected(unknown_place(place, operation)); }
        *offset = (consumer->is_in(place) ? (**consumer->left).offset : *position).value;
        return {};
    });
}

int32_t flowstone_consumer_lag(const flowstone_consumer* consumer, flowstone_topic_partition partition,
                               int64_t* records, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.lag";
        TRY_VOID(alive(consumer, operation));
        TRY_VOID(check_given(records, operation, "where the number goes"));
        TRY(const auto place, partition_of(partition, operation));
        const auto position = consumer->consumer.position(place);
        const auto lag = consumer->consumer.lag(place);
        if (!position || !lag) { return std::unexpected(unknown_place(place, operation)); }
        *records = *lag + (consumer->is_in(place) ? *position - (**consumer->left).offset : 0);
        return {};
    });
}
