// DescribeProducers, key 61: producers that wrote to partitions lately.
//
// Source: Kafka 4.3, DescribeProducersRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DescribeProducersRequest {
    static constexpr const char* message_name = "DescribeProducersRequest";
    static constexpr ApiKey api_key = ApiKey::describe_producers;

    struct TopicRequest {
        std::string name{};
        std::vector<int32_t> partition_indexes{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &TopicRequest::name);
            visitor.field("partition_indexes", &TopicRequest::partition_indexes);
        }
    };

    std::vector<TopicRequest> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("topics", &DescribeProducersRequest::topics);
    }
};

struct DescribeProducersResponse {
    static constexpr const char* message_name = "DescribeProducersResponse";
    static constexpr ApiKey api_key = ApiKey::describe_producers;

    struct ProducerState {
        int64_t producer_id = 0;
        int32_t producer_epoch = 0;
        int32_t last_sequence = -1;
        int64_t last_timestamp = -1;
        int32_t coordinator_epoch = 0;
        int64_t current_txn_start_offset = -1;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("producer_id", &ProducerState::producer_id);
            visitor.field("producer_epoch", &ProducerState::producer_epoch);
            visitor.field("last_sequence", &ProducerState::last_sequence);
            visitor.field("last_timestamp", &ProducerState::last_timestamp);
            visitor.field("coordinator_epoch", &ProducerState::coordinator_epoch);
            visitor.field("current_txn_start_offset", &ProducerState::current_txn_start_offset);
        }
    };

    struct PartitionResponse {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};
        std::vector<ProducerState> active_producers{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &PartitionResponse::partition_index);
            visitor.field("error_code", &PartitionResponse::error_code);
            visitor.field("error_message", &PartitionResponse::error_message, {.nullable = every_version});
            visitor.field("active_producers", &PartitionResponse::active_producers);
        }
    };

    struct TopicResponse {
        std::string name{};
        std::vector<PartitionResponse> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &TopicResponse::name);
            visitor.field("partitions", &TopicResponse::partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<TopicResponse> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DescribeProducersResponse::throttle_time_ms);
        visitor.field("topics", &DescribeProducersResponse::topics);
    }
};

extern template const FieldTable& table_of<DescribeProducersRequest>();
extern template const FieldTable& table_of<DescribeProducersResponse>();

}  // namespace flowstone::kafka
