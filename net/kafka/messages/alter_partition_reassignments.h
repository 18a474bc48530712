// AlterPartitionReassignments, key 45: partitions are to move to other brokers.
//
// Source: Kafka 4.3, AlterPartitionReassignmentsRequest.json and Response.json, versions 0 to 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct AlterPartitionReassignmentsRequest {
    static constexpr const char* message_name = "AlterPartitionReassignmentsRequest";
    static constexpr ApiKey api_key = ApiKey::alter_partition_reassignments;

    struct ReassignablePartition {
        int32_t partition_index = 0;
        std::optional<std::vector<int32_t>> replicas{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &ReassignablePartition::partition_index);
            visitor.field("replicas", &ReassignablePartition::replicas, {.nullable = every_version});
        }
    };

    struct ReassignableTopic {
        std::string name{};
        std::vector<ReassignablePartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &ReassignableTopic::name);
            visitor.field("partitions", &ReassignableTopic::partitions);
        }
    };

    int32_t timeout_ms = 60000;
    bool allow_replication_factor_change = true;
    std::vector<ReassignableTopic> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("timeout_ms", &AlterPartitionReassignmentsRequest::timeout_ms);
        visitor.field("allow_replication_factor_change",
                      &AlterPartitionReassignmentsRequest::allow_replication_factor_change, {.versions = since(1)});
        visitor.field("topics", &AlterPartitionReassignmentsRequest::topics);
    }
};

struct AlterPartitionReassignmentsResponse {
    static constexpr const char* message_name = "AlterPartitionReassignmentsResponse";
    static constexpr ApiKey api_key = ApiKey::alter_partition_reassignments;

    struct ReassignablePartitionResponse {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &ReassignablePartitionResponse::partition_index);
            visitor.field("error_code", &ReassignablePartitionResponse::error_code);
            visitor.field("error_message", &ReassignablePartitionResponse::error_message, {.nullable = every_version});
        }
    };

    struct ReassignableTopicResponse {
        std::string name{};
        std::vector<ReassignablePartitionResponse> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &ReassignableTopicResponse::name);
            visitor.field("partitions", &ReassignableTopicResponse::partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    bool allow_replication_factor_change = true;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";
    std::vector<ReassignableTopicResponse> responses{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &AlterPartitionReassignmentsResponse::throttle_time_ms);
        visitor.field("allow_replication_factor_change",
                      &AlterPartitionReassignmentsResponse::allow_replication_factor_change,
                      {.versions = since(1), .ignorable = true});
        visitor.field("error_code", &AlterPartitionReassignmentsResponse::error_code);
        visitor.field("error_message", &AlterPartitionReassignmentsResponse::error_message,
                      {.nullable = every_version});
        visitor.field("responses", &AlterPartitionReassignmentsResponse::responses);
    }
};

}  // namespace flowstone::kafka
