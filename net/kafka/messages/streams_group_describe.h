// StreamsGroupDescribe, key 89: Streams groups with their members.
//
// Source: Kafka 4.3, StreamsGroupDescribeRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct StreamsGroupDescribeRequest {
    static constexpr const char* message_name = "StreamsGroupDescribeRequest";
    static constexpr ApiKey api_key = ApiKey::streams_group_describe;

    std::vector<std::string> group_ids{};
    bool include_authorized_operations = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_ids", &StreamsGroupDescribeRequest::group_ids);
        visitor.field("include_authorized_operations", &StreamsGroupDescribeRequest::include_authorized_operations);
    }
};

struct StreamsGroupDescribeResponse {
    static constexpr const char* message_name = "StreamsGroupDescribeResponse";
    static constexpr ApiKey api_key = ApiKey::streams_group_describe;

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

    struct Subtopology {
        std::string subtopology_id{};
        std::vector<std::string> source_topics{};
        std::vector<std::string> repartition_sink_topics{};
        std::vector<TopicInfo> state_changelog_topics{};
        std::vector<TopicInfo> repartition_source_topics{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("subtopology_id", &Subtopology::subtopology_id);
            visitor.field("source_topics", &Subtopology::source_topics);
            visitor.field("repartition_sink_topics", &Subtopology::repartition_sink_topics);
            visitor.field("state_changelog_topics", &Subtopology::state_changelog_topics);
            visitor.field("repartition_source_topics", &Subtopology::repartition_source_topics);
        }
    };

    struct Topology {
        int32_t epoch = 0;
        std::optional<std::vector<Subtopology>> subtopologies{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("epoch", &Topology::epoch);
            visitor.field("subtopologies", &Topology::subtopologies, {.nullable = every_version});
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

    struct TaskIds {
        std::string subtopology_id{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("subtopology_id", &TaskIds::subtopology_id);
            visitor.field("partitions", &TaskIds::partitions);
        }
    };

    struct Assignment {
        std::vector<TaskIds> active_tasks{};
        std::vector<TaskIds> standby_tasks{};
        std::vector<TaskIds> warmup_tasks{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("active_tasks", &Assignment::active_tasks);
            visitor.field("standby_tasks", &Assignment::standby_tasks);
            visitor.field("warmup_tasks", &Assignment::warmup_tasks);
        }
    };

    struct Member {
        std::string member_id{};
        int32_t member_epoch = 0;
        std::optional<std::string> instance_id{};
        std::optional<std::string> rack_id{};
        std::string client_id{};
        std::string client_host{};
        int32_t topology_epoch = 0;
        std::string process_id{};
        std::optional<Endpoint> user_endpoint{};
        std::vector<KeyValue> client_tags{};
        std::vector<TaskOffset> task_offsets{};
        std::vector<TaskOffset> task_end_offsets{};
        Assignment assignment{};
        Assignment target_assignment{};
        bool is_classic = false;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("member_id", &Member::member_id);
            visitor.field("member_epoch", &Member::member_epoch);
            visitor.field("instance_id", &Member::instance_id, {.nullable = every_version});
            visitor.field("rack_id", &Member::rack_id, {.nullable = every_version});
            visitor.field("client_id", &Member::client_id);
            visitor.field("client_host", &Member::client_host);
            visitor.field("topology_epoch", &Member::topology_epoch);
            visitor.field("process_id", &Member::process_id);
            visitor.field("user_endpoint", &Member::user_endpoint, {.nullable = every_version});
            visitor.field("client_tags", &Member::client_tags);
            visitor.field("task_offsets", &Member::task_offsets);
            visitor.field("task_end_offsets", &Member::task_end_offsets);
            visitor.field("assignment", &Member::assignment);
            visitor.field("target_assignment", &Member::target_assignment);
            visitor.field("is_classic", &Member::is_classic);
        }
    };

    struct DescribedGroup {
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};
        std::string group_id{};
        std::string group_state{};
        int32_t group_epoch = 0;
        int32_t assignment_epoch = 0;
        std::optional<Topology> topology{};
        std::vector<Member> members{};
        int32_t authorized_operations = std::numeric_limits<int32_t>::min();

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &DescribedGroup::error_code);
            visitor.field("error_message", &DescribedGroup::error_message, {.nullable = every_version});
            visitor.field("group_id", &DescribedGroup::group_id);
            visitor.field("group_state", &DescribedGroup::group_state);
            visitor.field("group_epoch", &DescribedGroup::group_epoch);
            visitor.field("assignment_epoch", &DescribedGroup::assignment_epoch);
            visitor.field("topology", &DescribedGroup::topology, {.nullable = every_version});
            visitor.field("members", &DescribedGroup::members);
            visitor.field("authorized_operations", &DescribedGroup::authorized_operations);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<DescribedGroup> groups{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &StreamsGroupDescribeResponse::throttle_time_ms);
        visitor.field("groups", &StreamsGroupDescribeResponse::groups);
    }
};

}  // namespace flowstone::kafka
