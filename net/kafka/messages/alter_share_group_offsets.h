// AlterShareGroupOffsets, key 91: where share groups are to go on.
//
// Source: Kafka 4.3, AlterShareGroupOffsetsRequest.json and Response.json, version 0.
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

struct AlterShareGroupOffsetsRequest {
    static constexpr const char* message_name = "AlterShareGroupOffsetsRequest";
    static constexpr ApiKey api_key = ApiKey::alter_share_group_offsets;

    struct AlterShareGroupOffsetsRequestPartition {
        int32_t partition_index = 0;
        int64_t start_offset = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &AlterShareGroupOffsetsRequestPartition::partition_index);
            visitor.field("start_offset", &AlterShareGroupOffsetsRequestPartition::start_offset);
        }
    };

    struct AlterShareGroupOffsetsRequestTopic {
        std::string topic_name{};
        std::vector<AlterShareGroupOffsetsRequestPartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_name", &AlterShareGroupOffsetsRequestTopic::topic_name);
            visitor.field("partitions", &AlterShareGroupOffsetsRequestTopic::partitions);
        }
    };

    std::string group_id{};
    std::vector<AlterShareGroupOffsetsRequestTopic> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &AlterShareGroupOffsetsRequest::group_id);
        visitor.field("topics", &AlterShareGroupOffsetsRequest::topics);
    }
};

struct AlterShareGroupOffsetsResponse {
    static constexpr const char* message_name = "AlterShareGroupOffsetsResponse";
    static constexpr ApiKey api_key = ApiKey::alter_share_group_offsets;

    struct AlterShareGroupOffsetsResponsePartition {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &AlterShareGroupOffsetsResponsePartition::partition_index);
            visitor.field("error_code", &AlterShareGroupOffsetsResponsePartition::error_code);
            visitor.field("error_message", &AlterShareGroupOffsetsResponsePartition::error_message,
                          {.nullable = every_version});
        }
    };

    struct AlterShareGroupOffsetsResponseTopic {
        std::string topic_name{};
        Uuid topic_id{};
        std::vector<AlterShareGroupOffsetsResponsePartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_name", &AlterShareGroupOffsetsResponseTopic::topic_name);
            visitor.field("topic_id", &AlterShareGroupOffsetsResponseTopic::topic_id);
            visitor.field("partitions", &AlterShareGroupOffsetsResponseTopic::partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};
    std::vector<AlterShareGroupOffsetsResponseTopic> responses{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &AlterShareGroupOffsetsResponse::throttle_time_ms);
        visitor.field("error_code", &AlterShareGroupOffsetsResponse::error_code);
        visitor.field("error_message", &AlterShareGroupOffsetsResponse::error_message, {.nullable = every_version});
        visitor.field("responses", &AlterShareGroupOffsetsResponse::responses);
    }
};

}  // namespace flowstone::kafka
