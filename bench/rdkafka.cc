#include "bench/rdkafka.h"

#include <array>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include "storage/try.h"

namespace flowstone::bench {
namespace {

constexpr int poll_every = 1000;  // records; its tool polls behind every one
constexpr int patience_ms = 60'000;

std::unexpected<Error> failed(const char* operation, std::string_view why) {
    return fail(Code::invalid, operation, why);
}

struct Delete {
    void operator()(rd_kafka_t* kafka) const { rd_kafka_destroy(kafka); }
    void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
};
using Kafka = std::unique_ptr<rd_kafka_t, Delete>;
using KafkaTopic = std::unique_ptr<rd_kafka_topic_t, Delete>;

struct Count {
    uint64_t records = 0;
    uint64_t bytes = 0;
    uint64_t wanted = 0;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
};

Result<Kafka> make(rd_kafka_type_t type, const RdkafkaLoad& load, Count& count,
                   const std::vector<std::pair<const char*, const char*>>& settings) {
    std::array<char, 512> why{};
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    const std::string broker = fmt::format("127.0.0.1:{}", load.port);
    rd_kafka_conf_set(conf, "bootstrap.servers", broker.c_str(), why.data(), why.size());
    for (const auto& [name, value] : settings) {
        if (rd_kafka_conf_set(conf, name, value, why.data(), why.size()) != RD_KAFKA_CONF_OK) {
            return failed("bench.rdkafka", why.data());
        }
    }
    rd_kafka_conf_set_opaque(conf, &count);
    if (type == RD_KAFKA_PRODUCER) {
        rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
            auto& told = *static_cast<Count*>(opaque);
            if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) { told.error = message->err; }
            ++told.records;
            told.bytes += message->len;
        });
    }
    Kafka kafka(rd_kafka_new(type, conf, why.data(), why.size()));
    if (!kafka) { return failed("bench.rdkafka", why.data()); }
    return kafka;
}

Result<void> send(rd_kafka_t* kafka, rd_kafka_topic_t* topic, std::string& value, uint64_t records, Count& count) {
    for (uint64_t sent = 0; sent < records;) {
        if (rd_kafka_produce(topic, 0, 0, value.data(), value.size(), nullptr, 0, nullptr) == 0) {
            if (++sent % poll_every == 0) { rd_kafka_poll(kafka, 0); }
        } else if (rd_kafka_last_error() == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            rd_kafka_poll(kafka, 10);
        } else {
            return failed("bench.rdkafka.produce", rd_kafka_err2str(rd_kafka_last_error()));
        }
    }
    if (rd_kafka_flush(kafka, patience_ms) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return failed("bench.rdkafka.flush", "late");
    }
    if (count.error != RD_KAFKA_RESP_ERR_NO_ERROR) { return failed("bench.rdkafka", rd_kafka_err2str(count.error)); }
    return {};
}

}  // namespace

std::string rdkafka_missing() { return {}; }

Result<Outcome> rdkafka_produce(const RdkafkaLoad& load) {
    Count count;
    // As its tool has them.
    TRY(const Kafka kafka, make(RD_KAFKA_PRODUCER, load, count,
                                {{"queue.buffering.max.messages", "500000"}, {"message.send.max.retries", "3"}}));
    const KafkaTopic topic(rd_kafka_topic_new(kafka.get(), load.topic.c_str(), nullptr));
    std::string value(load.record_bytes, 'v');
    TRY_VOID(send(kafka.get(), topic.get(), value, 1, count));  // connected, and the topic known
    Outcome outcome;
    const Stopwatch watch;
    TRY_VOID(send(kafka.get(), topic.get(), value, load.records, count));
    watch.stop(outcome);
    outcome.records = count.records - 1;
    outcome.bytes = count.bytes - load.record_bytes;
    outcome.hash = count.bytes;
    return outcome;
}

Result<Outcome> rdkafka_consume(const RdkafkaLoad& load) {
    Count count;
    count.wanted = load.records;
    TRY(const Kafka kafka, make(RD_KAFKA_CONSUMER, load, count, {{"queued.min.messages", "1000000"}}));
    const KafkaTopic topic(rd_kafka_topic_new(kafka.get(), load.topic.c_str(), nullptr));
    Outcome outcome;
    const Stopwatch watch;
    if (rd_kafka_consume_start(topic.get(), 0, RD_KAFKA_OFFSET_BEGINNING) != 0) {
        return failed("bench.rdkafka.consume", rd_kafka_err2str(rd_kafka_last_error()));
    }
    const int64_t until = system_clock().monotonic_ns() + int64_t{patience_ms} * 1'000'000;
    while (count.records < load.records && count.error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (system_clock().monotonic_ns() > until) { return fail(Code::timed_out, "bench.rdkafka.consume"); }
        rd_kafka_consume_callback(
            topic.get(), 0, 1000,
            [](rd_kafka_message_t* message, void* opaque) {
                auto& told = *static_cast<Count*>(opaque);
                if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) { return; }
                if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) { told.error = message->err; }
                ++told.records;
                told.bytes += message->len;
            },
            &count);
    }
    watch.stop(outcome);
    rd_kafka_consume_stop(topic.get(), 0);
    if (count.error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return failed("bench.rdkafka.consume", rd_kafka_err2str(count.error));
    }
    outcome.records = count.records;
    outcome.bytes = outcome.hash = count.bytes;
    return outcome;
}

}  // namespace flowstone::bench
