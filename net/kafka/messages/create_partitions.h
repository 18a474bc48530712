// CreatePartitions, key 37: topics get more partitions.
//
// Source: Kafka 4.3, CreatePartitionsRequest.json and Response.json, versions 0 to 3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct CreatePartitionsRequest {
    static constexpr const char* message_name = "CreatePartitionsRequest";
    static constexpr ApiKey api_key = ApiKey::create_partitions;

    struct CreatePartitionsAssignment {
        std::vector<int32_t> broker_ids{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("broker_ids", &CreatePartitionsAssignment::broker_ids);
        }
    };

    struct CreatePartitionsTopic {
        std::string name{};
        int32_t count = 0;
        std::optional<std::vector<CreatePartitionsAssignment>> assignments{std::in_place};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &CreatePartitionsTopic::name);
            visitor.field("count", &CreatePartitionsTopic::count);
            visitor.field("assignments", &CreatePartitionsTopic::assignments, {.nullable = every_version});
        }
    };

    std::vector<CreatePartitionsTopic> topics{};
    int32_t timeout_ms = 0;
    bool validate_only = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("topics", &CreatePartitionsRequest::topics);
        visitor.field("timeout_ms", &CreatePartitionsRequest::timeout_ms);
        visitor.field("validate_only", &CreatePartitionsRequest::validate_only);
    }
};

struct CreatePartitionsResponse {
    static constexpr const char* message_name = "CreatePartitionsResponse";
    static constexpr ApiKey api_key = ApiKey::create_partitions;

    struct CreatePartitionsTopicResult {
        std::string name{};
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &CreatePartitionsTopicResult::name);
            visitor.field("error_code", &CreatePartitionsTopicResult::error_code);
            visitor.field("error_message", &CreatePartitionsTopicResult::error_message, {.nullable = every_version});
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<CreatePartitionsTopicResult> results{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &CreatePartitionsResponse::throttle_time_ms);
        visitor.field("results", &CreatePartitionsResponse::results);
    }
};

extern template const FieldTable& table_of<CreatePartitionsRequest>();
extern template const FieldTable& table_of<CreatePartitionsResponse>();

}  // namespace flowstone::kafka
