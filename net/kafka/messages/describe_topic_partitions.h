// DescribeTopicPartitions, key 75: topics with their partitions, page by page (KIP-966).
//
// Source: Kafka 4.3, DescribeTopicPartitionsRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <flowstone/ids.h>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DescribeTopicPartitionsRequest {
    static constexpr const char* message_name = "DescribeTopicPartitionsRequest";
    static constexpr ApiKey api_key = ApiKey::describe_topic_partitions;

    struct TopicRequest {
        std::string name{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &TopicRequest::name);
        }
    };

    struct Cursor {
        std::string topic_name{};
        int32_t partition_index = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_name", &Cursor::topic_name);
            visitor.field("partition_index", &Cursor::partition_index);
        }
    };

    std::vector<TopicRequest> topics{};
    int32_t response_partition_limit = 2000;
    std::optional<Cursor> cursor{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("topics", &DescribeTopicPartitionsRequest::topics);
        visitor.field("response_partition_limit", &DescribeTopicPartitionsRequest::response_partition_limit);
        visitor.field("cursor", &DescribeTopicPartitionsRequest::cursor, {.nullable = every_version});
    }
};

struct DescribeTopicPartitionsResponse {
    static constexpr const char* message_name = "DescribeTopicPartitionsResponse";
    static constexpr ApiKey api_key = ApiKey::describe_topic_partitions;

    struct DescribeTopicPartitionsResponsePartition {
        ErrorCode error_code = ErrorCode::none;
        int32_t partition_index = 0;
        int32_t leader_id = 0;
        int32_t leader_epoch = -1;
        std::vector<int32_t> replica_nodes{};
        std::vector<int32_t> isr_nodes{};
        std::optional<std::vector<int32_t>> eligible_leader_replicas{};
        std::optional<std::vector<int32_t>> last_known_elr{};
        std::vector<int32_t> offline_replicas{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &DescribeTopicPartitionsResponsePartition::error_code);
            visitor.field("partition_index", &DescribeTopicPartitionsResponsePartition::partition_index);
            visitor.field("leader_id", &DescribeTopicPartitionsResponsePartition::leader_id);
            visitor.field("leader_epoch", &DescribeTopicPartitionsResponsePartition::leader_epoch);
            visitor.field("replica_nodes", &DescribeTopicPartitionsResponsePartition::replica_nodes);
            visitor.field("isr_nodes", &DescribeTopicPartitionsResponsePartition::isr_nodes);
            visitor.field("eligible_leader_replicas",
                          &DescribeTopicPartitionsResponsePartition::eligible_leader_replicas,
                          {.nullable = every_version});
            visitor.field("last_known_elr", &DescribeTopicPartitionsResponsePartition::last_known_elr,
                          {.nullable = every_version});
            visitor.field("offline_replicas", &DescribeTopicPartitionsResponsePartition::offline_replicas);
        }
    };

    struct DescribeTopicPartitionsResponseTopic {
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> name = "";
        Uuid topic_id{};
        bool is_internal = false;
        std::vector<DescribeTopicPartitionsResponsePartition> partitions{};
        int32_t topic_authorized_operations = std::numeric_limits<int32_t>::min();

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &DescribeTopicPartitionsResponseTopic::error_code);
            visitor.field("name", &DescribeTopicPartitionsResponseTopic::name, {.nullable = every_version});
            visitor.field("topic_id", &DescribeTopicPartitionsResponseTopic::topic_id);
            visitor.field("is_internal", &DescribeTopicPartitionsResponseTopic::is_internal);
            visitor.field("partitions", &DescribeTopicPartitionsResponseTopic::partitions);
            visitor.field("topic_authorized_operations",
                          &DescribeTopicPartitionsResponseTopic::topic_authorized_operations);
        }
    };

    struct Cursor {
        std::string topic_name{};
        int32_t partition_index = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_name", &Cursor::topic_name);
            visitor.field("partition_index", &Cursor::partition_index);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<DescribeTopicPartitionsResponseTopic> topics{};
    std::optional<Cursor> next_cursor{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DescribeTopicPartitionsResponse::throttle_time_ms);
        visitor.field("topics", &DescribeTopicPartitionsResponse::topics);
        visitor.field("next_cursor", &DescribeTopicPartitionsResponse::next_cursor, {.nullable = every_version});
    }
};

extern template const FieldTable& table_of<DescribeTopicPartitionsRequest>();
extern template const FieldTable& table_of<DescribeTopicPartitionsResponse>();

}  // namespace flowstone::kafka
