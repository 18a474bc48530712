// The client's half of the C header: each call is one of <flowstone/client.h>.
#include <flowstone/admin.h>
#include <flowstone/client.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flowstone/flowstone.h>

#include "client/c/lists.h"
#include "client/c/words.h"
#include "storage/lock.h"
#include "storage/try.h"

using namespace flowstone;
using namespace flowstone::c;

namespace {

using std::chrono::milliseconds;

// The first record that nobody waited for and that failed, of one producer.
class Failure {
public:
    void note(const Error& error) {
        const std::lock_guard guard(lock_);
        if (!first_) { first_ = error; }
    }
    std::optional<Error> take() {
        const std::lock_guard guard(lock_);
        return std::exchange(first_, std::nullopt);
    }

private:
    Lock lock_;
    std::optional<Error> first_;
};

// A client, with what its thread writes to. What belongs to it keeps it, closed or not, until it is freed: handles may so
// be ended in any order.
class OpenClient {
public:
    explicit OpenClient(Client opened) : client(std::move(opened)) {}
    Failure& add_failure() {
        const std::lock_guard guard(lock_);
        return failures_.emplace_back();
    }

private:
    Lock lock_;
    std::deque<Failure> failures_;  // one for each producer there ever was

public:
    Client client;  // last, so that its thread ends first
};

}  // namespace

struct flowstone_client : Handle<0x46'43'4c'49> {
    explicit flowstone_client(Client opened) : open(std::make_shared<OpenClient>(std::move(opened))) {}
    std::shared_ptr<OpenClient> open;  // owners: this handle, and those of what belongs to it
};

struct flowstone_producer : Handle<0x46'50'52'4f> {
    flowstone_producer(std::shared_ptr<OpenClient> its_client, Producer its_producer)
        : open(std::move(its_client)), failure(open->add_failure()), producer(std::move(its_producer)) {}
    std::shared_ptr<OpenClient> open;
    Failure& failure;
    Producer producer;
};

struct flowstone_producer_topic : Handle<0x46'50'54'4f> {
    flowstone_producer_topic(const flowstone_producer& producer, ProducerTopic its_topic)
        : open(producer.open), failure(producer.failure), topic(std::move(its_topic)) {}
    std::shared_ptr<OpenClient> open;
    Failure& failure;
    ProducerTopic topic;
};

struct flowstone_delivery : Handle<0x46'44'45'4c> {
    flowstone_delivery(std::shared_ptr<OpenClient> its_client, Delivery its_delivery)
        : open(std::move(its_client)), delivery(std::move(its_delivery)) {}
    std::shared_ptr<OpenClient> open;
    Delivery delivery;
};

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

// 0 is `otherwise`; -1 is none.
Result<milliseconds> time_of(int64_t option_ms, milliseconds otherwise, const char* operation) {
    if (option_ms < -1) { return fail(Code::invalid, operation, "a time is negative"); }
    if (option_ms == 0) { return otherwise; }
    return option_ms == -1 ? milliseconds(0) : timeout_of(option_ms);
}

Result<Acks> acks_of(int32_t acks, const char* operation) {
    switch (acks) {
        case FLOWSTONE_ACKS_ALL: return Acks::all;
        case FLOWSTONE_ACKS_LEADER: return Acks::leader;
        case FLOWSTONE_ACKS_NONE: return Acks::none;
        default: return fail(Code::invalid, operation, "no such acks: " + std::to_string(acks));
    }
}

Result<Compression> compression_of(int32_t compression, const char* operation) {
    static_assert(FLOWSTONE_COMPRESSION_GZIP == static_cast<int>(Compression::gzip));
    static_assert(FLOWSTONE_COMPRESSION_SNAPPY == static_cast<int>(Compression::snappy));
    static_assert(FLOWSTONE_COMPRESSION_LZ4 == static_cast<int>(Compression::lz4));
    static_assert(FLOWSTONE_COMPRESSION_ZSTD == static_cast<int>(Compression::zstd));
    if (compression >= FLOWSTONE_COMPRESSION_NONE && compression <= FLOWSTONE_COMPRESSION_ZSTD) {
        return static_cast<Compression>(compression);
    }
    return fail(Code::invalid, operation, "no such compression: " + std::to_string(compression));
}

Result<ProducerOptions> options_of(const flowstone_producer_options* given, const char* operation) {
    TRY(const auto asked, read_options(given, operation));
    ProducerOptions options;
    TRY(options.acks, acks_of(asked.acks, operation));
    TRY(options.compression, compression_of(asked.compression, operation));
    options.idempotent = asked.not_idempotent == 0;
    TRY(options.linger, time_of(asked.linger_ms, options.linger, operation));
    TRY(options.full_wait_max, time_of(asked.full_wait_ms, options.full_wait_max, operation));
    TRY(options.delivery_timeout, time_of(asked.delivery_timeout_ms, options.delivery_timeout, operation));
    if (asked.batch_bytes_max != 0) { options.batch_bytes_max = asked.batch_bytes_max; }
    if (asked.buffer_bytes_max != 0) { options.buffer_bytes_max = asked.buffer_bytes_max; }
    return options;
}

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

// --- client --------------------------------------------------------------------------------------------------------------

int32_t flowstone_client_open(flowstone_bytes endpoint, const flowstone_client_options* options,
                              flowstone_client** client, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "client.open";
        TRY_VOID(check_given(client, operation, "where the client goes"));
        TRY(const auto where, text_of(endpoint, operation, "the endpoint"));
        TRY(const auto given, read_options(options, operation));
        ClientOptions asked;
        TRY(const auto id, text_of(given.client_id, operation, "the client's id"));
        if (given.client_id.data != nullptr) { asked.client_id = id; }
        if (given.request_timeout_ms < 0) { return fail(Code::invalid, operation, "a time is negative"); }
        TRY(asked.request_timeout, time_of(given.request_timeout_ms, asked.request_timeout, operation));
        if (given.log != nullptr) { TRY(asked.log, log_options_of(given.log, operation)); }
        TRY(auto opened, Client::open(where, asked));
        *client = std::make_unique<flowstone_client>(std::move(opened)).release();
        return {};
    });
}

int32_t flowstone_client_close(flowstone_client* client, int64_t timeout_ms, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        TRY_VOID(alive(client, "client.close"));
        const std::unique_ptr<flowstone_client> ended(client);
        return ended->open->client.close(timeout_of(timeout_ms));
    });
}

int32_t flowstone_client_create_topic(flowstone_client* client, flowstone_bytes name,
                                      const flowstone_topic_options* options, int64_t timeout_ms,
                                      flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "client.create_topic";
        TRY_VOID(alive(client, operation));
        TRY(const auto called, text_of(name, operation, "the topic's name"));
        TRY(const auto asked, topic_options_of(options, operation));
        return client->open->client.admin().create_topic(
            called, {.partitions = asked.partitions, .configs = asked.configs, .exists_ok = asked.exists_ok},
            timeout_of(timeout_ms));
    });
}

int32_t flowstone_client_delete_topic(flowstone_client* client, flowstone_bytes name, int64_t timeout_ms,
                                      flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "client.delete_topic";
        TRY_VOID(alive(client, operation));
        TRY(const auto called, text_of(name, operation, "the topic's name"));
        return client->open->client.admin().delete_topic(called, timeout_of(timeout_ms));
    });
}

int32_t flowstone_client_topics(flowstone_client* client, int64_t timeout_ms, flowstone_topic_list** list,
                                flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "client.topics";
        TRY_VOID(alive(client, operation));
        TRY_VOID(check_given(list, operation, "where the list goes"));
        TRY(auto topics, client->open->client.admin().topics(timeout_of(timeout_ms)));
        auto filled = std::make_unique<flowstone_topic_list>();
        for (RemoteTopic& topic : topics) {
            filled->topics.push_back({.info = {.name = std::move(topic.name),
                                               .id = topic.id,
                                               .partitions = static_cast<int32_t>(topic.partitions.size()),
                                               .durability = {},
                                               .configs = {},
                                               .internal = topic.internal},
                                      .durability = -1});
        }
        *list = filled.release();
        return {};
    });
}

int32_t flowstone_client_ends(flowstone_client* client, flowstone_topic_partition partition, int64_t timeout_ms,
                              int64_t* log_start, int64_t* high_watermark, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "client.ends";
        TRY_VOID(alive(client, operation));
        TRY(const auto place, partition_of(partition, operation));
        TRY(const auto ends, client->open->client.admin().ends(place, timeout_of(timeout_ms)));
        if (log_start != nullptr) { *log_start = ends.log_start.value; }
        if (high_watermark != nullptr) { *high_watermark = ends.high_watermark.value; }
        return {};
    });
}

// --- producer ------------------------------------------------------------------------------------------------------------

int32_t flowstone_client_producer(flowstone_client* client, const flowstone_producer_options* options,
                                  flowstone_producer** producer, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "client.producer";
        TRY_VOID(alive(client, operation));
        TRY_VOID(check_given(producer, operation, "where the producer goes"));
        TRY(const auto asked, options_of(options, operation));
        TRY(auto made, client->open->client.producer(asked));
        *producer = std::make_unique<flowstone_producer>(client->open, std::move(made)).release();
        return {};
    });
}

void flowstone_producer_free(flowstone_producer* producer) noexcept {
    if (alive(producer, "producer.free")) { delete producer; }
}

int32_t flowstone_producer_open_topic(flowstone_producer* producer, flowstone_bytes name, int64_t timeout_ms,
                                      flowstone_producer_topic** topic, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "producer.topic";
        TRY_VOID(alive(producer, operation));
        TRY_VOID(check_given(topic, operation, "where the topic goes"));
        TRY(const auto called, text_of(name, operation, "the topic's name"));
        TRY(auto found, producer->producer.topic(called, timeout_of(timeout_ms)));
        *topic = std::make_unique<flowstone_producer_topic>(*producer, std::move(found)).release();
        return {};
    });
}

void flowstone_producer_topic_free(flowstone_producer_topic* topic) noexcept {
    if (alive(topic, "producer.topic_free")) { delete topic; }
}

int32_t flowstone_producer_topic_partitions(const flowstone_producer_topic* topic) noexcept {
    return alive(topic, "producer.topic_partitions") ? topic->topic.partitions() : 0;
}

int32_t flowstone_producer_topic_send(flowstone_producer_topic* topic, const flowstone_record* record,
                                      int32_t partition, flowstone_delivery** delivery,
                                      flowstone_error* error) noexcept {
    return answer_append(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "producer.send";
        TRY_VOID(alive(topic, operation));
        GivenRecords given;
        TRY_VOID(given.add(record, operation));
        if (delivery == nullptr) {
            Failure* const failure = &topic->failure;  // lives until the client's thread has ended
            const auto note = [failure](const Result<Position>& at) {
                if (!at) { failure->note(at.error()); }
            };
            return topic->topic.send(given.one(), note, choice_of(partition));
        }
        TRY(auto sent, topic->topic.send(given.one(), choice_of(partition)));
        *delivery = std::make_unique<flowstone_delivery>(topic->open, std::move(sent)).release();
        return {};
    });
}

int32_t flowstone_producer_flush(flowstone_producer* producer, int64_t timeout_ms, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        TRY_VOID(alive(producer, "producer.flush"));
        TRY_VOID(producer->producer.flush(timeout_of(timeout_ms)));
        if (const auto failed = producer->failure.take()) { return std::unexpected(*failed); }
        return {};
    });
}

int32_t flowstone_delivery_wait(flowstone_delivery* delivery, int64_t timeout_ms, flowstone_position* at,
                                flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        TRY_VOID(alive(delivery, "delivery.wait"));
        TRY(const Position position, delivery->delivery.wait(timeout_of(timeout_ms)));
        if (at != nullptr) { *at = position_of(position); }
        return {};
    });
}

uint32_t flowstone_delivery_done(const flowstone_delivery* delivery) noexcept {
    return alive(delivery, "delivery.done") && delivery->delivery.done() ? 1 : 0;
}

void flowstone_delivery_free(flowstone_delivery* delivery) noexcept {
    if (alive(delivery, "delivery.free")) { delete delivery; }
}

// --- consumer ------------------------------------------------------------------------------------------------------------

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
