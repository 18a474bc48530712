// OffsetCommit, key 8: a group's offsets, to be kept.
//
// Source: Kafka 4.3, OffsetCommitRequest.json and Response.json, versions 2 to 10.
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

struct OffsetCommitRequest {
    static constexpr const char* message_name = "OffsetCommitRequest";
    static constexpr ApiKey api_key = ApiKey::offset_commit;

    struct OffsetCommitRequestPartition {
        int32_t partition_index = 0;
        int64_t committed_offset = 0;
        int32_t committed_leader_epoch = -1;
        std::optional<std::string> committed_metadata = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &OffsetCommitRequestPartition::partition_index);
            visitor.field("committed_offset", &OffsetCommitRequestPartition::committed_offset);
            visitor.field("committed_leader_epoch", &OffsetCommitRequestPartition::committed_leader_epoch,
                          {.versions = since(6), .ignorable = true});
            visitor.field("committed_metadata", &OffsetCommitRequestPartition::committed_metadata,
                          {.nullable = every_version});
        }
    };

    struct OffsetCommitRequestTopic {
        std::string name{};
        Uuid topic_id{};
        std::vector<OffsetCommitRequestPartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &OffsetCommitRequestTopic::name, {.versions = until(9), .ignorable = true});
            visitor.field("topic_id", &OffsetCommitRequestTopic::topic_id, {.versions = since(10), .ignorable = true});
            visitor.field("partitions", &OffsetCommitRequestTopic::partitions);
        }
    };

    std::string group_id{};
    int32_t generation_id_or_member_epoch = -1;
    std::string member_id{};
    std::optional<std::string> group_instance_id{};
    int64_t retention_time_ms = -1;
    std::vector<OffsetCommitRequestTopic> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &OffsetCommitRequest::group_id);
        visitor.field("generation_id_or_member_epoch", &OffsetCommitRequest::generation_id_or_member_epoch);
        visitor.field("member_id", &OffsetCommitRequest::member_id);
        visitor.field("group_instance_id", &OffsetCommitRequest::group_instance_id,
                      {.versions = since(7), .nullable = since(7)});
        visitor.field("retention_time_ms", &OffsetCommitRequest::retention_time_ms,
                      {.versions = until(4), .ignorable = true});
        visitor.field("topics", &OffsetCommitRequest::topics);
    }
};

struct OffsetCommitResponse {
    static constexpr const char* message_name = "OffsetCommitResponse";
    static constexpr ApiKey api_key = ApiKey::offset_commit;

    struct OffsetCommitResponsePartition {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &OffsetCommitResponsePartition::partition_index);
            visitor.field("error_code", &OffsetCommitResponsePartition::error_code);
        }
    };

    struct OffsetCommitResponseTopic {
        std::string name{};
        Uuid topic_id{};
        std::vector<OffsetCommitResponsePartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &OffsetCommitResponseTopic::name, {.versions = until(9), .ignorable = true});
            visitor.field("topic_id", &OffsetCommitResponseTopic::topic_id, {.versions = since(10), .ignorable = true});
            visitor.field("partitions", &OffsetCommitResponseTopic::partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<OffsetCommitResponseTopic> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &OffsetCommitResponse::throttle_time_ms,
                      {.versions = since(3), .ignorable = true});
        visitor.field("topics", &OffsetCommitResponse::topics);
    }
};

extern template const FieldTable& table_of<OffsetCommitRequest>();
extern template const FieldTable& table_of<OffsetCommitResponse>();

}  // namespace flowstone::kafka
