// ConsumerGroupHeartbeat, key 68: a member of a KIP-848 group joins, stays, leaves, and learns its assignment.
//
// Source: Kafka 4.3, ConsumerGroupHeartbeatRequest.json and Response.json, versions 0 to 1.
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

struct ConsumerGroupHeartbeatRequest {
    static constexpr const char* message_name = "ConsumerGroupHeartbeatRequest";
    static constexpr ApiKey api_key = ApiKey::consumer_group_heartbeat;

    struct TopicPartitions {
        Uuid topic_id{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_id", &TopicPartitions::topic_id);
            visitor.field("partitions", &TopicPartitions::partitions);
        }
    };

    std::string group_id{};
    std::string member_id{};
    int32_t member_epoch = 0;
    std::optional<std::string> instance_id{};
    std::optional<std::string> rack_id{};
    int32_t rebalance_timeout_ms = -1;
    std::optional<std::vector<std::string>> subscribed_topic_names{};
    std::optional<std::string> subscribed_topic_regex{};
    std::optional<std::string> server_assignor{};
    std::optional<std::vector<TopicPartitions>> topic_partitions{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &ConsumerGroupHeartbeatRequest::group_id);
        visitor.field("member_id", &ConsumerGroupHeartbeatRequest::member_id);
        visitor.field("member_epoch", &ConsumerGroupHeartbeatRequest::member_epoch);
        visitor.field("instance_id", &ConsumerGroupHeartbeatRequest::instance_id, {.nullable = every_version});
        visitor.field("rack_id", &ConsumerGroupHeartbeatRequest::rack_id, {.nullable = every_version});
        visitor.field("rebalance_timeout_ms", &ConsumerGroupHeartbeatRequest::rebalance_timeout_ms);
        visitor.field("subscribed_topic_names", &ConsumerGroupHeartbeatRequest::subscribed_topic_names,
                      {.nullable = every_version});
        visitor.field("subscribed_topic_regex", &ConsumerGroupHeartbeatRequest::subscribed_topic_regex,
                      {.versions = since(1), .nullable = since(1)});
        visitor.field("server_assignor", &ConsumerGroupHeartbeatRequest::server_assignor, {.nullable = every_version});
        visitor.field("topic_partitions", &ConsumerGroupHeartbeatRequest::topic_partitions,
                      {.nullable = every_version});
    }
};

struct ConsumerGroupHeartbeatResponse {
    static constexpr const char* message_name = "ConsumerGroupHeartbeatResponse";
    static constexpr ApiKey api_key = ApiKey::consumer_group_heartbeat;

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
        visitor.field("throttle_time_ms", &ConsumerGroupHeartbeatResponse::throttle_time_ms);
        visitor.field("error_code", &ConsumerGroupHeartbeatResponse::error_code);
        visitor.field("error_message", &ConsumerGroupHeartbeatResponse::error_message, {.nullable = every_version});
        visitor.field("member_id", &ConsumerGroupHeartbeatResponse::member_id, {.nullable = every_version});
        visitor.field("member_epoch", &ConsumerGroupHeartbeatResponse::member_epoch);
        visitor.field("heartbeat_interval_ms", &ConsumerGroupHeartbeatResponse::heartbeat_interval_ms);
        visitor.field("assignment", &ConsumerGroupHeartbeatResponse::assignment, {.nullable = every_version});
    }
};

}  // namespace flowstone::kafka
