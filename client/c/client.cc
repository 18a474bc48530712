// The client's half of the C header, but for consumers: each call is one of <flowstone/client.h>.
#include <flowstone/admin.h>
#include <flowstone/client.h>

#include <memory>
#include <string>
#include <utility>

#include <flowstone/flowstone.h>

#include "client/c/lists.h"
#include "client/c/open_client.h"
#include "client/c/words.h"
#include "storage/try.h"

using namespace flowstone;
using namespace flowstone::c;

using std::chrono::milliseconds;

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

namespace {

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
