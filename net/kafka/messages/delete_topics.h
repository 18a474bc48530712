// DeleteTopics, key 20: topics to be deleted, by name or id.
//
// Source: Kafka 4.3, DeleteTopicsRequest.json and Response.json, versions 1 to 6.
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

struct DeleteTopicsRequest {
    static constexpr const char* message_name = "DeleteTopicsRequest";
    static constexpr ApiKey api_key = ApiKey::delete_topics;

    struct DeleteTopicState {
        std::optional<std::string> name{};
        Uuid topic_id{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &DeleteTopicState::name, {.versions = since(6), .nullable = since(6)});
            visitor.field("topic_id", &DeleteTopicState::topic_id, {.versions = since(6)});
        }
    };

    std::vector<DeleteTopicState> topics{};
    std::vector<std::string> topic_names{};
    int32_t timeout_ms = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("topics", &DeleteTopicsRequest::topics, {.versions = since(6)});
        visitor.field("topic_names", &DeleteTopicsRequest::topic_names, {.versions = until(5), .ignorable = true});
        visitor.field("timeout_ms", &DeleteTopicsRequest::timeout_ms);
    }
};

struct DeleteTopicsResponse {
    static constexpr const char* message_name = "DeleteTopicsResponse";
    static constexpr ApiKey api_key = ApiKey::delete_topics;

    struct DeletableTopicResult {
        std::optional<std::string> name = "";
        Uuid topic_id{};
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &DeletableTopicResult::name, {.nullable = since(6)});
            visitor.field("topic_id", &DeletableTopicResult::topic_id, {.versions = since(6), .ignorable = true});
            visitor.field("error_code", &DeletableTopicResult::error_code);
            visitor.field("error_message", &DeletableTopicResult::error_message,
                          {.versions = since(5), .nullable = since(5), .ignorable = true});
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<DeletableTopicResult> responses{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DeleteTopicsResponse::throttle_time_ms);
        visitor.field("responses", &DeleteTopicsResponse::responses);
    }
};

extern template const FieldTable& table_of<DeleteTopicsRequest>();
extern template const FieldTable& table_of<DeleteTopicsResponse>();

}  // namespace flowstone::kafka
