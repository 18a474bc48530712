// ShareGroupHeartbeat, key 76: a share group's member joins, stays, leaves (KIP-932).
//
// Source: Kafka 4.3, ShareGroupHeartbeatRequest.json and Response.json, version 1.
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

struct ShareGroupHeartbeatRequest {
    static constexpr const char* message_name = "ShareGroupHeartbeatRequest";
    static constexpr ApiKey api_key = ApiKey::share_group_heartbeat;

    std::string group_id{};
    std::string member_id{};
    int32_t member_epoch = 0;
    std::optional<std::string> rack_id{};
    std::optional<std::vector<std::string>> subscribed_topic_names{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &ShareGroupHeartbeatRequest::group_id);
        visitor.field("member_id", &ShareGroupHeartbeatRequest::member_id);
        visitor.field("member_epoch", &ShareGroupHeartbeatRequest::member_epoch);
        visitor.field("rack_id", &ShareGroupHeartbeatRequest::rack_id, {.nullable = every_version});
        visitor.field("subscribed_topic_names", &ShareGroupHeartbeatRequest::subscribed_topic_names,
                      {.nullable = every_version});
    }
};

struct ShareGroupHeartbeatResponse {
    static constexpr const char* message_name = "ShareGroupHeartbeatResponse";
    static constexpr ApiKey api_key = ApiKey::share_group_heartbeat;

    struct TopicPartitions {
        Uuid topic_id{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_id", &TopicPartitions::topic_id);
            visitor.field("partitions", &TopicPartitions::partitions);
        }
    };

    struct Assignment {
        std::vector<TopicPartitions> topic_partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_partitions", &Assignment::topic_partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};
    std::optional<std::string> member_id{};
    int32_t member_epoch = 0;
    int32_t heartbeat_interval_ms = 0;
    std::optional<Assignment> assignment{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &ShareGroupHeartbeatResponse::throttle_time_ms);
        visitor.field("error_code", &ShareGroupHeartbeatResponse::error_code);
        visitor.field("error_message", &ShareGroupHeartbeatResponse::error_message, {.nullable = every_version});
        visitor.field("member_id", &ShareGroupHeartbeatResponse::member_id, {.nullable = every_version});
        visitor.field("member_epoch", &ShareGroupHeartbeatResponse::member_epoch);
        visitor.field("heartbeat_interval_ms", &ShareGroupHeartbeatResponse::heartbeat_interval_ms);
        visitor.field("assignment", &ShareGroupHeartbeatResponse::assignment, {.nullable = every_version});
    }
};

}  // namespace flowstone::kafka
