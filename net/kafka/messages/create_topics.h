// CreateTopics, key 19: topics to be made.
//
// Source: Kafka 4.3, CreateTopicsRequest.json and Response.json, versions 2 to 7.
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

struct CreateTopicsRequest {
    static constexpr const char* message_name = "CreateTopicsRequest";
    static constexpr ApiKey api_key = ApiKey::create_topics;

    struct CreatableReplicaAssignment {
        int32_t partition_index = 0;
        std::vector<int32_t> broker_ids{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &CreatableReplicaAssignment::partition_index);
            visitor.field("broker_ids", &CreatableReplicaAssignment::broker_ids);
        }
    };

    struct CreatableTopicConfig {
        std::string name{};
        std::optional<std::string> value = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &CreatableTopicConfig::name);
            visitor.field("value", &CreatableTopicConfig::value, {.nullable = every_version});
        }
    };

    struct CreatableTopic {
        std::string name{};
        int32_t num_partitions = 0;
        int16_t replication_factor = 0;
        std::vector<CreatableReplicaAssignment> assignments{};
        std::vector<CreatableTopicConfig> configs{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &CreatableTopic::name);
            visitor.field("num_partitions", &CreatableTopic::num_partitions);
            visitor.field("replication_factor", &CreatableTopic::replication_factor);
            visitor.field("assignments", &CreatableTopic::assignments);
            visitor.field("configs", &CreatableTopic::configs);
        }
    };

    std::vector<CreatableTopic> topics{};
    int32_t timeout_ms = 60000;
    bool validate_only = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("topics", &CreateTopicsRequest::topics);
        visitor.field("timeout_ms", &CreateTopicsRequest::timeout_ms);
        visitor.field("validate_only", &CreateTopicsRequest::validate_only);
    }
};

struct CreateTopicsResponse {
    static constexpr const char* message_name = "CreateTopicsResponse";
    static constexpr ApiKey api_key = ApiKey::create_topics;

    struct CreatableTopicConfigs {
        std::string name{};
        std::optional<std::string> value = "";
        bool read_only = false;
        int8_t config_source = -1;
        bool is_sensitive = false;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &CreatableTopicConfigs::name, {.versions = since(5)});
            visitor.field("value", &CreatableTopicConfigs::value, {.versions = since(5), .nullable = since(5)});
            visitor.field("read_only", &CreatableTopicConfigs::read_only, {.versions = since(5)});
            visitor.field("config_source", &CreatableTopicConfigs::config_source,
                          {.versions = since(5), .ignorable = true});
            visitor.field("is_sensitive", &CreatableTopicConfigs::is_sensitive, {.versions = since(5)});
        }
    };

    struct CreatableTopicResult {
        std::string name{};
        Uuid topic_id{};
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";
        int16_t topic_config_error_code = 0;
        int32_t num_partitions = -1;
        int16_t replication_factor = -1;
        std::optional<std::vector<CreatableTopicConfigs>> configs{std::in_place};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &CreatableTopicResult::name);
            visitor.field("topic_id", &CreatableTopicResult::topic_id, {.versions = since(7), .ignorable = true});
            visitor.field("error_code", &CreatableTopicResult::error_code);
            visitor.field("error_message", &CreatableTopicResult::error_message, {.nullable = every_version});
            visitor.field("topic_config_error_code", &CreatableTopicResult::topic_config_error_code,
                          {.versions = since(5), .tag = 0, .ignorable = true});
            visitor.field("num_partitions", &CreatableTopicResult::num_partitions,
                          {.versions = since(5), .ignorable = true});
            visitor.field("replication_factor", &CreatableTopicResult::replication_factor,
                          {.versions = since(5), .ignorable = true});
            visitor.field("configs", &CreatableTopicResult::configs,
                          {.versions = since(5), .nullable = since(5), .ignorable = true});
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<CreatableTopicResult> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &CreateTopicsResponse::throttle_time_ms);
        visitor.field("topics", &CreateTopicsResponse::topics);
    }
};

extern template const FieldTable& table_of<CreateTopicsRequest>();
extern template const FieldTable& table_of<CreateTopicsResponse>();

}  // namespace flowstone::kafka
