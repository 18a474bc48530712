// OffsetDelete, key 47: a group's offsets for some partitions are to go.
//
// Source: Kafka 4.3, OffsetDeleteRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct OffsetDeleteRequest {
    static constexpr const char* message_name = "OffsetDeleteRequest";
    static constexpr ApiKey api_key = ApiKey::offset_delete;

    struct OffsetDeleteRequestPartition {
        int32_t partition_index = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &OffsetDeleteRequestPartition::partition_index);
        }
    };

    struct OffsetDeleteRequestTopic {
        std::string name{};
        std::vector<OffsetDeleteRequestPartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &OffsetDeleteRequestTopic::name);
            visitor.field("partitions", &OffsetDeleteRequestTopic::partitions);
        }
    };

    std::string group_id{};
    std::vector<OffsetDeleteRequestTopic> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &OffsetDeleteRequest::group_id);
        visitor.field("topics", &OffsetDeleteRequest::topics);
    }
};

struct OffsetDeleteResponse {
    static constexpr const char* message_name = "OffsetDeleteResponse";
    static constexpr ApiKey api_key = ApiKey::offset_delete;

    struct OffsetDeleteResponsePartition {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &OffsetDeleteResponsePartition::partition_index);
            visitor.field("error_code", &OffsetDeleteResponsePartition::error_code);
        }
    };

    struct OffsetDeleteResponseTopic {
        std::string name{};
        std::vector<OffsetDeleteResponsePartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &OffsetDeleteResponseTopic::name);
            visitor.field("partitions", &OffsetDeleteResponseTopic::partitions);
        }
    };

    ErrorCode error_code = ErrorCode::none;
    int32_t throttle_time_ms = 0;
    std::vector<OffsetDeleteResponseTopic> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("error_code", &OffsetDeleteResponse::error_code);
        visitor.field("throttle_time_ms", &OffsetDeleteResponse::throttle_time_ms);
        visitor.field("topics", &OffsetDeleteResponse::topics);
    }
};

extern template const FieldTable& table_of<OffsetDeleteRequest>();
extern template const FieldTable& table_of<OffsetDeleteResponse>();

}  // namespace flowstone::kafka
