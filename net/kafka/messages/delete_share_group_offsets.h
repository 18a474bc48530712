// DeleteShareGroupOffsets, key 92: a share group's offsets for some topics are to go.
//
// Source: Kafka 4.3, DeleteShareGroupOffsetsRequest.json and Response.json, version 0.
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

struct DeleteShareGroupOffsetsRequest {
    static constexpr const char* message_name = "DeleteShareGroupOffsetsRequest";
    static constexpr ApiKey api_key = ApiKey::delete_share_group_offsets;

    struct DeleteShareGroupOffsetsRequestTopic {
        std::string topic_name{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_name", &DeleteShareGroupOffsetsRequestTopic::topic_name);
        }
    };

    std::string group_id{};
    std::vector<DeleteShareGroupOffsetsRequestTopic> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &DeleteShareGroupOffsetsRequest::group_id);
        visitor.field("topics", &DeleteShareGroupOffsetsRequest::topics);
    }
};

struct DeleteShareGroupOffsetsResponse {
    static constexpr const char* message_name = "DeleteShareGroupOffsetsResponse";
    static constexpr ApiKey api_key = ApiKey::delete_share_group_offsets;

    struct DeleteShareGroupOffsetsResponseTopic {
        std::string topic_name{};
        Uuid topic_id{};
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_name", &DeleteShareGroupOffsetsResponseTopic::topic_name);
            visitor.field("topic_id", &DeleteShareGroupOffsetsResponseTopic::topic_id);
            visitor.field("error_code", &DeleteShareGroupOffsetsResponseTopic::error_code);
            visitor.field("error_message", &DeleteShareGroupOffsetsResponseTopic::error_message,
                          {.nullable = every_version});
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};
    std::vector<DeleteShareGroupOffsetsResponseTopic> responses{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DeleteShareGroupOffsetsResponse::throttle_time_ms);
        visitor.field("error_code", &DeleteShareGroupOffsetsResponse::error_code);
        visitor.field("error_message", &DeleteShareGroupOffsetsResponse::error_message, {.nullable = every_version});
        visitor.field("responses", &DeleteShareGroupOffsetsResponse::responses);
    }
};

}  // namespace flowstone::kafka
