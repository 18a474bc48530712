// DescribeShareGroupOffsets, key 90: where share groups have got to.
//
// Source: Kafka 4.3, DescribeShareGroupOffsetsRequest.json and Response.json, versions 0 to 1.
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

struct DescribeShareGroupOffsetsRequest {
    static constexpr const char* message_name = "DescribeShareGroupOffsetsRequest";
    static constexpr ApiKey api_key = ApiKey::describe_share_group_offsets;

    struct DescribeShareGroupOffsetsRequestTopic {
        std::string topic_name{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_name", &DescribeShareGroupOffsetsRequestTopic::topic_name);
            visitor.field("partitions", &DescribeShareGroupOffsetsRequestTopic::partitions);
        }
    };

    struct DescribeShareGroupOffsetsRequestGroup {
        std::string group_id{};
        std::optional<std::vector<DescribeShareGroupOffsetsRequestTopic>> topics{std::in_place};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("group_id", &DescribeShareGroupOffsetsRequestGroup::group_id);
            visitor.field("topics", &DescribeShareGroupOffsetsRequestGroup::topics, {.nullable = every_version});
        }
    };

    std::vector<DescribeShareGroupOffsetsRequestGroup> groups{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("groups", &DescribeShareGroupOffsetsRequest::groups);
    }
};

struct DescribeShareGroupOffsetsResponse {
    static constexpr const char* message_name = "DescribeShareGroupOffsetsResponse";
    static constexpr ApiKey api_key = ApiKey::describe_share_group_offsets;

    struct DescribeShareGroupOffsetsResponsePartition {
        int32_t partition_index = 0;
        int64_t start_offset = 0;
        int32_t leader_epoch = 0;
        int64_t lag = -1;
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &DescribeShareGroupOffsetsResponsePartition::partition_index);
            visitor.field("start_offset", &DescribeShareGroupOffsetsResponsePartition::start_offset);
            visitor.field("leader_epoch", &DescribeShareGroupOffsetsResponsePartition::leader_epoch);
            visitor.field("lag", &DescribeShareGroupOffsetsResponsePartition::lag,
                          {.versions = since(1), .ignorable = true});
            visitor.field("error_code", &DescribeShareGroupOffsetsResponsePartition::error_code);
            visitor.field("error_message", &DescribeShareGroupOffsetsResponsePartition::error_message,
                          {.nullable = every_version});
        }
    };

    struct DescribeShareGroupOffsetsResponseTopic {
        std::string topic_name{};
        Uuid topic_id{};
        std::vector<DescribeShareGroupOffsetsResponsePartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_name", &DescribeShareGroupOffsetsResponseTopic::topic_name);
            visitor.field("topic_id", &DescribeShareGroupOffsetsResponseTopic::topic_id);
            visitor.field("partitions", &DescribeShareGroupOffsetsResponseTopic::partitions);
        }
    };

    struct DescribeShareGroupOffsetsResponseGroup {
        std::string group_id{};
        std::vector<DescribeShareGroupOffsetsResponseTopic> topics{};
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("group_id", &DescribeShareGroupOffsetsResponseGroup::group_id);
            visitor.field("topics", &DescribeShareGroupOffsetsResponseGroup::topics);
            visitor.field("error_code", &DescribeShareGroupOffsetsResponseGroup::error_code);
            visitor.field("error_message", &DescribeShareGroupOffsetsResponseGroup::error_message,
                          {.nullable = every_version});
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<DescribeShareGroupOffsetsResponseGroup> groups{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DescribeShareGroupOffsetsResponse::throttle_time_ms);
        visitor.field("groups", &DescribeShareGroupOffsetsResponse::groups);
    }
};

}  // namespace flowstone::kafka
