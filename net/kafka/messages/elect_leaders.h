// ElectLeaders, key 43: partitions are to elect leaders, the preferred or any.
//
// Source: Kafka 4.3, ElectLeadersRequest.json and Response.json, versions 0 to 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct ElectLeadersRequest {
    static constexpr const char* message_name = "ElectLeadersRequest";
    static constexpr ApiKey api_key = ApiKey::elect_leaders;

    struct TopicPartitions {
        std::string topic{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic", &TopicPartitions::topic);
            visitor.field("partitions", &TopicPartitions::partitions);
        }
    };

    int8_t election_type = 0;
    std::optional<std::vector<TopicPartitions>> topic_partitions{std::in_place};
    int32_t timeout_ms = 60000;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("election_type", &ElectLeadersRequest::election_type, {.versions = since(1)});
        visitor.field("topic_partitions", &ElectLeadersRequest::topic_partitions, {.nullable = every_version});
        visitor.field("timeout_ms", &ElectLeadersRequest::timeout_ms);
    }
};

struct ElectLeadersResponse {
    static constexpr const char* message_name = "ElectLeadersResponse";
    static constexpr ApiKey api_key = ApiKey::elect_leaders;

    struct PartitionResult {
        int32_t partition_id = 0;
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_id", &PartitionResult::partition_id);
            visitor.field("error_code", &PartitionResult::error_code);
            visitor.field("error_message", &PartitionResult::error_message, {.nullable = every_version});
        }
    };

    struct ReplicaElectionResult {
        std::string topic{};
        std::vector<PartitionResult> partition_result{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic", &ReplicaElectionResult::topic);
            visitor.field("partition_result", &ReplicaElectionResult::partition_result);
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::vector<ReplicaElectionResult> replica_election_results{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &ElectLeadersResponse::throttle_time_ms);
        visitor.field("error_code", &ElectLeadersResponse::error_code, {.versions = since(1)});
        visitor.field("replica_election_results", &ElectLeadersResponse::replica_election_results);
    }
};

extern template const FieldTable& table_of<ElectLeadersRequest>();
extern template const FieldTable& table_of<ElectLeadersResponse>();

}  // namespace flowstone::kafka
