// A broker that a test makes up: it keeps batches of one topic as an idempotent broker does, and fails as it is told.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/kafka/frame.h"
#include "net/kafka/messages/api_versions.h"
#include "net/kafka/messages/init_producer_id.h"
#include "net/kafka/messages/metadata.h"
#include "net/kafka/messages/produce.h"
#include "net/transport/server.h"
#include "storage/batch.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_network.h"
#include "tests/storage/value_of.h"

namespace flowstone {

class ModelBroker final : public FrameHandler {
public:
    // What becomes of a batch: taken or not, and the code that is told.
    struct Fate {
        bool taken = true;
        kafka::ErrorCode told = kafka::ErrorCode::none;
    };
    ModelBroker(SimNetwork& network, SimClock& clock, std::function<Fate(BatchView)> fate)
        : network_(network), server_(network, clock, *this), fate_(std::move(fate)) {
        address = value_of(server_.listen({"127.0.0.1", 9092})).address;
    }

    void run() {
        std::vector<NetworkEvent> events;
        ASSERT_TRUE(network_.wait(1'000'000, events));
        server_.turn(events);
        server_.flush();
    }

    HostPort address;
    std::vector<std::string> values;  // of partition 0 of "events", in the order of the log

    void on_open(const Peer& /*peer*/) override {}
    void on_close(ConnectionId /*connection*/) override {}
    void on_frame(const Peer& /*peer*/, AnswerSlot slot, FramePtr frame) override {
        const auto request = value_of(kafka::parse_request(frame->bytes()));
        const int16_t version = request.header.api_version;
        const auto answer = [&](const auto& response) {
            Answer out;
            kafka::frame_response(request.header.correlation_id, response, version, out.frame);
            server_.answer(slot, std::move(out));
        };
        switch (request.header.api_key) {
            case kafka::ApiKey::api_versions: return answer(versions());
            case kafka::ApiKey::metadata: return answer(metadata());
            case kafka::ApiKey::init_producer_id: {
                kafka::InitProducerIdResponse response;
                response.producer_id = ++producer_ids_;
                return answer(response);
            }
            case kafka::ApiKey::produce:
                return answer(produce(value_of(kafka::decode<kafka::ProduceRequest>(request.body, version))));
            default: FAIL() << "asked for " << kafka::name(request.header.api_key);
        }
    }

private:
    static kafka::ApiVersionsResponse versions() {
        kafka::ApiVersionsResponse response;
        response.api_keys = {{.api_key = 0, .min_version = 3, .max_version = 9},
                             {.api_key = 3, .min_version = 0, .max_version = 9},
                             {.api_key = 18, .min_version = 0, .max_version = 3},
                             {.api_key = 22, .min_version = 0, .max_version = 4}};
        return response;
    }
    kafka::MetadataResponse metadata() const {
        kafka::MetadataResponse response;
        response.brokers.push_back({.node_id = 1, .host = address.host, .port = address.port});
        auto& topic = response.topics.emplace_back();
        topic.name = "events";
        topic.partitions.push_back({.partition_index = 0, .leader_id = 1, .leader_epoch = 0});
        return response;
    }
    // One batch a request, as ours sends them.
    kafka::ProduceResponse produce(const kafka::ProduceRequest& request) {
        kafka::ProduceResponse response;
        auto& topic = response.responses.emplace_back();
        topic.name = "events";
        auto& verdict = topic.partition_responses.emplace_back();
        const BatchView batch = value_of(BatchView::parse(*request.topic_data.at(0).partition_data.at(0).records));
        Producer& producer = producers_[batch.producer_id()];
        if (const auto known = producer.offsets.find(batch.base_sequence()); known != producer.offsets.end()) {
            verdict.base_offset = known->second;
            return response;
        }
        if (batch.base_sequence() != producer.next_sequence) {
            verdict.error_code = kafka::ErrorCode::out_of_order_sequence_number;
            return response;
        }
        const Fate fate = fate_(batch);
        verdict.error_code = fate.told;
        verdict.base_offset = static_cast<int64_t>(values.size());
        if (!fate.taken) { return response; }
        producer.offsets[batch.base_sequence()] = verdict.base_offset;
        producer.next_sequence += batch.record_count();
        std::vector<std::byte> scratch;
        auto records = value_of(RecordCursor::open(batch, scratch));
        for (auto record = records.next(); record && *record; record = records.next()) {
            values.emplace_back((*record)->value.value_or(""));
        }
        return response;
    }

    struct Producer {
        int32_t next_sequence = 0;
        std::map<int32_t, int64_t> offsets;  // of its batches, by their sequence
    };
    SimNetwork& network_;
    Server server_;
    std::function<Fate(BatchView)> fate_;
    std::map<int64_t, Producer> producers_;
    int64_t producer_ids_ = 0;
};

}  // namespace flowstone
