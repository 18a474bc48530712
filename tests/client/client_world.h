// A client of ours and a broker of ours in one simulated world: one thread, a clock of its own, a network that cuts bytes
// where it likes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/impl/client_engine.h"
#include "tests/net/broker/broker_world.h"

namespace flowstone {

class ClientWorld : public BrokerWorld {
protected:
    void start_all(BrokerConfig config = {}) {
        start(std::move(config));
        make_engine();
    }
    void make_engine(const ClientOptions& options = {}) {
        engine_.reset();
        client_network_ = std::make_unique<SimClientNetwork>(network_, 7);
        engine_ = std::make_unique<ClientEngine>(ClientEngine::World{*client_network_, clock_, random_},
                                                 std::vector<HostPort>{address_}, options);
    }
    void make_topic(const char* name, int32_t partitions = 1, ConfigMap configs = {}) {
        ASSERT_TRUE(log_->create_topic(name, {.partitions = partitions, .configs = std::move(configs)}));
    }

    // One turn of everybody.
    void step() {
        std::vector<NetworkEvent> events;
        ASSERT_TRUE(client_network_->wait(0, events));
        engine_->turn(events);
        if (broker_ != nullptr) {
            run();
        } else {
            clock_.advance_ms(10);
        }
    }
    // Until `done`, at most a simulated time.
    [[nodiscard]] bool until(const std::function<bool()>& done, int64_t ms = 60'000) {
        const int64_t end = clock_.wall_ms() + ms;
        while (!done()) {
            if (clock_.wall_ms() > end || testing::Test::HasFatalFailure()) { return false; }
            step();
        }
        return true;
    }

    // --- producing ---
    ProducerTopicQueue* open_queue(ProducerCore& producer, const char* topic) {
        ProducerTopicQueue& queue = producer.queue(topic);
        engine_->cluster().want(topic);
        EXPECT_TRUE(until([&] { return queue.partition_count > 0; })) << topic;
        return &queue;
    }
    static Result<ProducerCore::Sent> send(ProducerCore& producer, ProducerTopicQueue& queue, const Record& record,
                                           std::optional<int32_t> partition = {}) {
        DeliveryCallback none;
        return producer.send(queue, record, partition, none);
    }
    bool flush(ProducerCore& producer, int64_t ms = 60'000) {
        const uint64_t mark = producer.flush_begin();
        return until([&] { return producer.flushed(mark); }, ms);
    }

    // --- consuming ---
    using Values = std::vector<std::string>;
    // Whatever comes until nothing has for a while; stops at an error.
    Values drain(ConsumerCore& consumer, std::optional<Error>* error = nullptr, int64_t quiet_ms = 2'000) {
        Values values;
        int64_t quiet_since = clock_.wall_ms();
        while (clock_.wall_ms() - quiet_since < quiet_ms && !HasFatalFailure()) {
            auto taken = consumer.take(batch_);
            if (!taken) {
                if (error != nullptr) { *error = taken.error(); }
                return values;
            }
            if (*taken == nullptr) {
                step();
                continue;
            }
            quiet_since = clock_.wall_ms();
            for (;;) {
                const auto record = batch_.cursor->next();
                EXPECT_TRUE(record);
                if (!record || !*record) { break; }
                if ((*record)->offset >= batch_.from) { values.emplace_back((*record)->value.value_or("(none)")); }
            }
        }
        return values;
    }

    // What the log holds of a partition, by the log's own reader.
    Values stored(const char* topic, int32_t partition = 0) {
        Values values;
        auto opened = log_->topic(topic);
        EXPECT_TRUE(opened);
        auto reader = opened->read({.partition = partition});
        EXPECT_TRUE(reader);
        while (true) {
            auto batch = reader->next();
            EXPECT_TRUE(batch);
            if (!batch || batch->empty()) { return values; }
            for (const auto& record : *batch) { values.emplace_back(record.value.value_or("(none)")); }
        }
    }

    std::unique_ptr<SimClientNetwork> client_network_;
    std::unique_ptr<ClientEngine> engine_;
    FetchedBatch batch_;
};

}  // namespace flowstone
