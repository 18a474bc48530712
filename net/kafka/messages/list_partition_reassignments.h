// ListPartitionReassignments, key 46: partitions that are moving.
//
// Source: Kafka 4.3, ListPartitionReassignmentsRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct ListPartitionReassignmentsRequest {
    static constexpr const char* message_name = "ListPartitionReassignmentsRequest";
    static constexpr ApiKey api_key = ApiKey::list_partition_reassignments;

    struct ListPartitionReassignmentsTopics {
        std::string name{};
        std::vector<int32_t> partition_indexes{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &ListPartitionReassignmentsTopics::name);
            visitor.field("partition_indexes", &ListPartitionReassignmentsTopics::partition_indexes);
        }
    };

    int32_t timeout_ms = 60000;
    std::optional<std::vector<ListPartitionReassignmentsTopics>> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("timeout_ms", &ListPartitionReassignmentsRequest::timeout_ms);
        visitor.field("topics", &ListPartitionReassignmentsRequest::topics, {.nullable = every_version});
    }
};

struct ListPartitionReassignmentsResponse {
    static constexpr const char* message_name = "ListPartitionReassignmentsResponse";
    static constexpr ApiKey api_key = ApiKey::list_partition_reassignments;

    struct OngoingPartitionReassignment {
        int32_t partition_index = 0;
        std::vector<int32_t> replicas{};
        std::vector<int32_t> adding_replicas{};
        std::vector<int32_t> removing_replicas{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &OngoingPartitionReassignment::partition_index);
            visitor.field("replicas", &OngoingPartitionReassignment::replicas);
            visitor.field("adding_replicas", &OngoingPartitionReassignment::adding_replicas);
            visitor.field("removing_replicas", &OngoingPartitionReassignment::removing_replicas);
        }
    };

    struct OngoingTopicReassignment {
        std::string name{};
        std::vector<OngoingPartitionReassignment> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &OngoingTopicReassignment::name);
            visitor.field("partitions", &OngoingTopicReassignment::partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";
    std::vector<OngoingTopicReassignment> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &ListPartitionReassignmentsResponse::throttle_time_ms);
        visitor.field("error_code", &ListPartitionReassignmentsResponse::error_code);
        visitor.field("error_message", &ListPartitionReassignmentsResponse::error_message, {.nullable = every_version});
        visitor.field("topics", &ListPartitionReassignmentsResponse::topics);
    }
};

extern template const FieldTable& table_of<ListPartitionReassignmentsRequest>();
extern template const FieldTable& table_of<ListPartitionReassignmentsResponse>();

}  // namespace flowstone::kafka
