// StreamsGroupHeartbeat, key 88: a member of a Streams group joins, stays, leaves, and learns its tasks (KIP-1071).
//
// Source: Kafka 4.3, StreamsGroupHeartbeatRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct StreamsGroupHeartbeatRequest {
    static constexpr const char* message_name = "StreamsGroupHeartbeatRequest";
    static constexpr ApiKey api_key = ApiKey::streams_group_heartbeat;

    struct KeyValue {
        std::string key{};
        std::string value{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("key", &KeyValue::key);
            visitor.field("value", &KeyValue::value);
        }
    };

    struct TopicInfo {
        std::string name{};
        int32_t partitions = 0;
        int16_t replication_factor = 0;
        std::vector<KeyValue> topic_configs{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &TopicInfo::name);
            visitor.field("partitions", &TopicInfo::partitions);
            visitor.field("replication_factor", &TopicInfo::replication_factor);
            visitor.field("topic_configs", &TopicInfo::topic_configs);
        }
    };

    struct CopartitionGroup {
        std::vector<int16_t> source_topics{};
        std::vector<int16_t> source_topic_regex{};
        std::vector<int16_t> repartition_source_topics{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("source_topics", &CopartitionGroup::source_topics);
            visitor.field("source_topic_regex", &CopartitionGroup::source_topic_regex);
            visitor.field("repartition_source_topics", &CopartitionGroup::repartition_source_topics);
        }
    };

    struct Subtopology {
        std::string subtopology_id{};
        std::vector<std::string> source_topics{};
        std::vector<std::string> source_topic_regex{};
        std::vector<TopicInfo> state_changelog_topics{};
        std::vector<std::string> repartition_sink_topics{};
        std::vector<TopicInfo> repartition_source_topics{};
        std::vector<CopartitionGroup> copartition_groups{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("subtopology_id", &Subtopology::subtopology_id);
            visitor.field("source_topics", &Subtopology::source_topics);
            visitor.field("source_topic_regex", &Subtopology::source_topic_regex);
            visitor.field("state_changelog_topics", &Subtopology::state_changelog_topics);
            visitor.field("repartition_sink_topics", &Subtopology::repartition_sink_topics);
            visitor.field("repartition_source_topics", &Subtopology::repartition_source_topics);
            visitor.field("copartition_groups", &Subtopology::copartition_groups);
        }
    };

    struct Topology {
        int32_t epoch = 0;
        std::vector<Subtopology> subtopologies{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("epoch", &Topology::epoch);
            visitor.field("subtopologies", &Topology::subtopologies);
        }
    };

    struct TaskIds {
        std::string subtopology_id{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("subtopology_id", &TaskIds::subtopology_id);
            visitor.field("partitions", &TaskIds::partitions);
        }
    };

    struct Endpoint {
        std::string host{};
        uint16_t port = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("host", &Endpoint::host);
            visitor.field("port", &Endpoint::port);
        }
    };

    struct TaskOffset {
        std::string subtopology_id{};
        int32_t partition = 0;
        int64_t offset = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("subtopology_id", &TaskOffset::subtopology_id);
            visitor.field("partition", &TaskOffset::partition);
            visitor.field("offset", &TaskOffset::offset);
        }
    };

    std::string group_id{};
    std::string member_id{};
    int32_t member_epoch = 0;
    int32_t endpoint_information_epoch = 0;
    std::optional<std::string> instance_id{};
    std::optional<std::string> rack_id{};
    int32_t rebalance_timeout_ms = -1;
    std::optional<Topology> topology{};
    std::optional<std::vector<TaskIds>> active_tasks{};
    std::optional<std::vector<TaskIds>> standby_tasks{};
    std::optional<std::vector<TaskIds>> warmup_tasks{};
    std::optional<std::string> process_id{};
    std::optional<Endpoint> user_endpoint{};
    std::optional<std::vector<KeyValue>> client_tags{};
    std::optional<std::vector<TaskOffset>> task_offsets{};
    std::optional<std::vector<TaskOffset>> task_end_offsets{};
    bool shutdown_application = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &StreamsGroupHeartbeatRequest::group_id);
        visitor.field("member_id", &StreamsGroupHeartbeatRequest::member_id);
        visitor.field("member_epoch", &StreamsGroupHeartbeatRequest::member_epoch);
        visitor.field("endpoint_information_epoch", &StreamsGroupHeartbeatRequest::endpoint_information_epoch);
        visitor.field("instance_id", &StreamsGroupHeartbeatRequest::instance_id, {.nullable = every_version});
        visitor.field("rack_id", &StreamsGroupHeartbeatRequest::rack_id, {.nullable = every_version});
        visitor.field("rebalance_timeout_ms", &StreamsGroupHeartbeatRequest::rebalance_timeout_ms);
        visitor.field("topology", &StreamsGroupHeartbeatRequest::topology, {.nullable = every_version});
        visitor.field("active_tasks", &StreamsGroupHeartbeatRequest::active_tasks, {.nullable = every_version});
        visitor.field("standby_tasks", &StreamsGroupHeartbeatRequest::standby_tasks, {.nullable = every_version});
        visitor.field("warmup_tasks", &StreamsGroupHeartbeatRequest::warmup_tasks, {.nullable = every_version});
        visitor.field("process_id", &StreamsGroupHeartbeatRequest::process_id, {.nullable = every_version});
        visitor.field("user_endpoint", &StreamsGroupHeartbeatRequest::user_endpoint, {.nullable = every_version});
        visitor.field("client_tags", &StreamsGroupHeartbeatRequest::client_tags, {.nullable = every_version});
        visitor.field("task_offsets", &StreamsGroupHeartbeatRequest::task_offsets, {.nullable = every_version});
        visitor.field("task_end_offsets", &StreamsGroupHeartbeatRequest::task_end_offsets, {.nullable = every_version});
        visitor.field("shutdown_application", &StreamsGroupHeartbeatRequest::shutdown_application);
    }
};

struct StreamsGroupHeartbeatResponse {
    static constexpr const char* message_name = "StreamsGroupHeartbeatResponse";
    static constexpr ApiKey api_key = ApiKey::streams_group_heartbeat;

    struct Status {
        int8_t status_code = 0;
        std::string status_detail{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("status_code", &Status::status_code);
            visitor.field("status_detail", &Status::status_detail);
        }
    };

    struct TaskIds {
        std::string subtopology_id{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("subtopology_id", &TaskIds::subtopology_id);
            visitor.field("partitions", &TaskIds::partitions);
        }
    };

    struct Endpoint {
        std::string host{};
        uint16_t port = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("host", &Endpoint::host);
            visitor.field("port", &Endpoint::port);
        }
    };

    struct TopicPartition {
        std::string topic{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic", &TopicPartition::topic);
            visitor.field("partitions", &TopicPartition::partitions);
        }
    };

    struct EndpointToPartitions {
        Endpoint user_endpoint{};
        std::vector<TopicPartition> active_partitions{};
        std::vector<TopicPartition> standby_partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("user_endpoint", &EndpointToPartitions::user_endpoint);
            visitor.field("active_partitions", &EndpointToPartitions::active_partitions);
            visitor.field("standby_partitions", &EndpointToPartitions::standby_partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};
    std::string member_id{};
    int32_t member_epoch = 0;
    int32_t heartbeat_interval_ms = 0;
    int32_t acceptable_recovery_lag = 0;
    int32_t task_offset_interval_ms = 0;
    std::optional<std::vector<Status>> status{std::in_place};
    std::optional<std::vector<TaskIds>> active_tasks{};
    std::optional<std::vector<TaskIds>> standby_tasks{};
    std::optional<std::vector<TaskIds>> warmup_tasks{};
    int32_t endpoint_information_epoch = 0;
    std::optional<std::vector<EndpointToPartitions>> partitions_by_user_endpoint{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &StreamsGroupHeartbeatResponse::throttle_time_ms);
        visitor.field("error_code", &StreamsGroupHeartbeatResponse::error_code);
        visitor.field("error_message", &StreamsGroupHeartbeatResponse::error_message, {.nullable = every_version});
        visitor.field("member_id", &StreamsGroupHeartbeatResponse::member_id);
        visitor.field("member_epoch", &StreamsGroupHeartbeatResponse::member_epoch);
        visitor.field("heartbeat_interval_ms", &StreamsGroupHeartbeatResponse::heartbeat_interval_ms);
        visitor.field("acceptable_recovery_lag", &StreamsGroupHeartbeatResponse::acceptable_recovery_lag);
        visitor.field("task_offset_interval_ms", &StreamsGroupHeartbeatResponse::task_offset_interval_ms);
        visitor.field("status", &StreamsGroupHeartbeatResponse::status, {.nullable = every_version});
        visitor.field("active_tasks", &StreamsGroupHeartbeatResponse::active_tasks, {.nullable = every_version});
        visitor.field("standby_tasks", &StreamsGroupHeartbeatResponse::standby_tasks, {.nullable = every_version});
        visitor.field("warmup_tasks", &StreamsGroupHeartbeatResponse::warmup_tasks, {.nullable = every_version});
        visitor.field("endpoint_information_epoch", &StreamsGroupHeartbeatResponse::endpoint_information_epoch);
        visitor.field("partitions_by_user_endpoint", &StreamsGroupHeartbeatResponse::partitions_by_user_endpoint,
                      {.nullable = every_version});
    }
};

}  // namespace flowstone::kafka
