// What the tests of a broker at its front door share: topics made, records put and got.
#pragma once

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "net/kafka/messages/create_topics.h"
#include "net/kafka/messages/fetch.h"
#include "net/kafka/messages/metadata.h"
#include "net/kafka/messages/produce.h"
#include "tests/net/broker/broker_world.h"

namespace flowstone {

class BrokerTest : public BrokerWorld {
protected:
    static constexpr int16_t produce_version = 12;  // the last that names topics
    static constexpr int16_t fetch_version = 12;

    void make(Client& client, const std::string& topic, int32_t partitions = 1, ConfigMap configs = {}) {
        kafka::CreateTopicsRequest request;
        auto& one = request.topics.emplace_back();
        one.name = topic;
        one.num_partitions = partitions;
        one.replication_factor = -1;
        for (auto& [name, value] : configs) { one.configs.push_back({name, value}); }
        const auto made = client.ask<kafka::CreateTopicsResponse>(request, 7);
        ASSERT_THAT(made.topics, testing::SizeIs(1));
        ASSERT_EQ(made.topics[0].error_code, kafka::ErrorCode::none) << made.topics[0].error_message.value_or("");
    }
    static kafka::MetadataRequest all_topics() {
        kafka::MetadataRequest request;
        request.topics = std::nullopt;
        return request;
    }
    static kafka::ProduceRequest produce(const std::string& topic, Bytes records, int16_t acks = -1,
                                         int32_t partition = 0) {
        kafka::ProduceRequest request;
        request.acks = acks;
        request.timeout_ms = 1'000;
        auto& data = request.topic_data.emplace_back();
        data.name = topic;
        data.partition_data.push_back({partition, records});
        return request;
    }
    using Produced = kafka::ProduceResponse::PartitionProduceResponse;
    Produced put(Client& client, const std::string& topic, const Sent& sent, int16_t version = produce_version) {
        const auto bytes = batch(sent);
        const auto answer = client.ask<kafka::ProduceResponse>(produce(topic, bytes), version);
        EXPECT_THAT(answer.responses, testing::SizeIs(1));
        return answer.responses.at(0).partition_responses.at(0);
    }
    static kafka::FetchRequest fetch(const std::string& topic, int64_t offset, int32_t max_wait_ms = 0,
                                     int32_t partition = 0) {
        kafka::FetchRequest request;
        request.max_wait_ms = max_wait_ms;
        request.min_bytes = 1;
        auto& one = request.topics.emplace_back();
        one.topic = topic;
        one.partitions.push_back({.partition = partition, .fetch_offset = offset, .partition_max_bytes = 1 << 20});
        return request;
    }
    using Fetched = kafka::FetchResponse::PartitionData;
    Fetched get(Client& client, const kafka::FetchRequest& request, int16_t version = fetch_version) {
        const auto answer = client.ask<kafka::FetchResponse>(request, version);
        EXPECT_EQ(answer.error_code, kafka::ErrorCode::none);
        EXPECT_THAT(answer.responses, testing::SizeIs(1));
        return answer.responses.at(0).partitions.at(0);
    }
    std::string get_page(const HostPort& pages, const std::string& path) {
        const auto socket = value_of(network_.dial(pages));
        const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        network_.send(socket, as_bytes(request));
        std::string out;
        for (int i = 0; i < 10'000 && !network_.closed_by_server(socket); ++i) {
            run();
            out += as_text(network_.receive(socket));
        }
        return out;
    }
    static std::vector<int64_t> bases(const Fetched& fetched) {
        std::vector<int64_t> out;
        for (Bytes piece : fetched.records.pieces) {
            while (!piece.empty()) {
                const BatchView view = value_of(BatchView::parse(piece));
                EXPECT_TRUE(view.crc_matches());
                out.push_back(view.base_offset().value);
                piece = piece.subspan(view.size());
            }
        }
        return out;
    }
};

}  // namespace flowstone
