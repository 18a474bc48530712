// Produce, key 0: record batches to be appended, and where they went.
//
// Source: Kafka 4.3, ProduceRequest.json and Response.json, versions 3 to 13.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <flowstone/ids.h>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct ProduceRequest {
    static constexpr const char* message_name = "ProduceRequest";
    static constexpr ApiKey api_key = ApiKey::produce;

    struct PartitionProduceData {
        int32_t index = 0;
        std::optional<Bytes> records{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("index", &PartitionProduceData::index);
            visitor.field("records", &PartitionProduceData::records, {.nullable = every_version, .spliced = true});
        }
    };

    struct TopicProduceData {
        std::string name{};
        Uuid topic_id{};
        std::vector<PartitionProduceData> partition_data{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &TopicProduceData::name, {.versions = until(12), .ignorable = true});
            visitor.field("topic_id", &TopicProduceData::topic_id, {.versions = since(13), .ignorable = true});
            visitor.field("partition_data", &TopicProduceData::partition_data);
        }
    };

    std::optional<std::string> transactional_id{};
    int16_t acks = 0;
    int32_t timeout_ms = 0;
    std::vector<TopicProduceData> topic_data{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("transactional_id", &ProduceRequest::transactional_id, {.nullable = every_version});
        visitor.field("acks", &ProduceRequest::acks);
        visitor.field("timeout_ms", &ProduceRequest::timeout_ms);
        visitor.field("topic_data", &ProduceRequest::topic_data);
    }
};

struct ProduceResponse {
    static constexpr const char* message_name = "ProduceResponse";
    static constexpr ApiKey api_key = ApiKey::produce;

    struct BatchIndexAndErrorMessage {
        int32_t batch_index = 0;
        std::optional<std::string> batch_index_error_message{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("batch_index", &BatchIndexAndErrorMessage::batch_index, {.versions = since(8)});
            visitor.field("batch_index_error_message", &BatchIndexAndErrorMessage::batch_index_error_message,
                          {.versions = since(8), .nullable = since(8)});
        }
    };

    struct LeaderIdAndEpoch {
        int32_t leader_id = -1;
        int32_t leader_epoch = -1;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("leader_id", &LeaderIdAndEpoch::leader_id, {.versions = since(10)});
            visitor.field("leader_epoch", &LeaderIdAndEpoch::leader_epoch, {.versions = since(10)});
        }
    };

    struct PartitionProduceResponse {
        int32_t index = 0;
        ErrorCode error_code = ErrorCode::none;
        int64_t base_offset = 0;
        int64_t log_append_time_ms = -1;
        int64_t log_start_offset = -1;
        std::vector<BatchIndexAndErrorMessage> record_errors{};
        std::optional<std::string> error_message{};
        LeaderIdAndEpoch current_leader{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("index", &PartitionProduceResponse::index);
            visitor.field("error_code", &PartitionProduceResponse::error_code);
            visitor.field("base_offset", &PartitionProduceResponse::base_offset);
            visitor.field("log_append_time_ms", &PartitionProduceResponse::log_append_time_ms);
            visitor.field("log_start_offset", &PartitionProduceResponse::log_start_offset,
                          {.versions = since(5), .ignorable = true});
            visitor.field("record_errors", &PartitionProduceResponse::record_errors,
                          {.versions = since(8), .ignorable = true});
            visitor.field("error_message", &PartitionProduceResponse::error_message,
                          {.versions = since(8), .nullable = since(8), .ignorable = true});
            visitor.field("current_leader", &PartitionProduceResponse::current_leader,
                          {.versions = since(10), .tag = 0});
        }
    };

    struct TopicProduceResponse {
        std::string name{};
        Uuid topic_id{};
        std::vector<PartitionProduceResponse> partition_responses{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &TopicProduceResponse::name, {.versions = until(12), .ignorable = true});
            visitor.field("topic_id", &TopicProduceResponse::topic_id, {.versions = since(13), .ignorable = true});
            visitor.field("partition_responses", &TopicProduceResponse::partition_responses);
        }
    };

    struct NodeEndpoint {
        int32_t node_id = 0;
        std::string host{};
        int32_t port = 0;
        std::optional<std::string> rack{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("node_id", &NodeEndpoint::node_id, {.versions = since(10)});
            visitor.field("host", &NodeEndpoint::host, {.versions = since(10)});
            visitor.field("port", &NodeEndpoint::port, {.versions = since(10)});
            visitor.field("rack", &NodeEndpoint::rack, {.versions = since(10), .nullable = since(10)});
        }
    };

    std::vector<TopicProduceResponse> responses{};
    int32_t throttle_time_ms = 0;
    std::vector<NodeEndpoint> node_endpoints{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("responses", &ProduceResponse::responses);
        visitor.field("throttle_time_ms", &ProduceResponse::throttle_time_ms);
        visitor.field("node_endpoints", &ProduceResponse::node_endpoints, {.versions = since(10), .tag = 0});
    }
};

extern template const FieldTable& table_of<ProduceRequest>();
extern template const FieldTable& table_of<ProduceResponse>();

}  // namespace flowstone::kafka
