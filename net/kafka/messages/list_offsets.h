// ListOffsets, key 2: the offset of a time, or of a special position, in each partition.
//
// Source: Kafka 4.3, ListOffsetsRequest.json and Response.json, versions 1 to 11.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct ListOffsetsRequest {
    static constexpr const char* message_name = "ListOffsetsRequest";
    static constexpr ApiKey api_key = ApiKey::list_offsets;

    struct ListOffsetsPartition {
        int32_t partition_index = 0;
        int32_t current_leader_epoch = -1;
        int64_t timestamp = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &ListOffsetsPartition::partition_index);
            visitor.field("current_leader_epoch", &ListOffsetsPartition::current_leader_epoch,
                          {.versions = since(4), .ignorable = true});
            visitor.field("timestamp", &ListOffsetsPartition::timestamp);
        }
    };

    struct ListOffsetsTopic {
        std::string name{};
        std::vector<ListOffsetsPartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &ListOffsetsTopic::name);
            visitor.field("partitions", &ListOffsetsTopic::partitions);
        }
    };

    int32_t replica_id = 0;
    int8_t isolation_level = 0;
    std::vector<ListOffsetsTopic> topics{};
    int32_t timeout_ms = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("replica_id", &ListOffsetsRequest::replica_id);
        visitor.field("isolation_level", &ListOffsetsRequest::isolation_level, {.versions = since(2)});
        visitor.field("topics", &ListOffsetsRequest::topics);
        visitor.field("timeout_ms", &ListOffsetsRequest::timeout_ms, {.versions = since(10), .ignorable = true});
    }
};

struct ListOffsetsResponse {
    static constexpr const char* message_name = "ListOffsetsResponse";
    static constexpr ApiKey api_key = ApiKey::list_offsets;

    struct ListOffsetsPartitionResponse {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;
        int64_t timestamp = -1;
        int64_t offset = -1;
        int32_t leader_epoch = -1;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &ListOffsetsPartitionResponse::partition_index);
            visitor.field("error_code", &ListOffsetsPartitionResponse::error_code);
            visitor.field("timestamp", &ListOffsetsPartitionResponse::timestamp);
            visitor.field("offset", &ListOffsetsPartitionResponse::offset);
            visitor.field("leader_epoch", &ListOffsetsPartitionResponse::leader_epoch, {.versions = since(4)});
        }
    };

    struct ListOffsetsTopicResponse {
        std::string name{};
        std::vector<ListOffsetsPartitionResponse> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &ListOffsetsTopicResponse::name);
            visitor.field("partitions", &ListOffsetsTopicResponse::partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<ListOffsetsTopicResponse> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &ListOffsetsResponse::throttle_time_ms,
                      {.versions = since(2), .ignorable = true});
        visitor.field("topics", &ListOffsetsResponse::topics);
    }
};

extern template const FieldTable& table_of<ListOffsetsRequest>();
extern template const FieldTable& table_of<ListOffsetsResponse>();

}  // namespace flowstone::kafka
