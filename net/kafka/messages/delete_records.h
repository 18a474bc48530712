// DeleteRecords, key 21: records below an offset are to go.
//
// Source: Kafka 4.3, DeleteRecordsRequest.json and Response.json, versions 0 to 2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DeleteRecordsRequest {
    static constexpr const char* message_name = "DeleteRecordsRequest";
    static constexpr ApiKey api_key = ApiKey::delete_records;

    struct DeleteRecordsPartition {
        int32_t partition_index = 0;
        int64_t offset = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &DeleteRecordsPartition::partition_index);
            visitor.field("offset", &DeleteRecordsPartition::offset);
        }
    };

    struct DeleteRecordsTopic {
        std::string name{};
        std::vector<DeleteRecordsPartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &DeleteRecordsTopic::name);
            visitor.field("partitions", &DeleteRecordsTopic::partitions);
        }
    };

    std::vector<DeleteRecordsTopic> topics{};
    int32_t timeout_ms = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("topics", &DeleteRecordsRequest::topics);
        visitor.field("timeout_ms", &DeleteRecordsRequest::timeout_ms);
    }
};

struct DeleteRecordsResponse {
    static constexpr const char* message_name = "DeleteRecordsResponse";
    static constexpr ApiKey api_key = ApiKey::delete_records;

    struct DeleteRecordsPartitionResult {
        int32_t partition_index = 0;
        int64_t low_watermark = 0;
        ErrorCode error_code = ErrorCode::none;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &DeleteRecordsPartitionResult::partition_index);
            visitor.field("low_watermark", &DeleteRecordsPartitionResult::low_watermark);
            visitor.field("error_code", &DeleteRecordsPartitionResult::error_code);
        }
    };

    struct DeleteRecordsTopicResult {
        std::string name{};
        std::vector<DeleteRecordsPartitionResult> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &DeleteRecordsTopicResult::name);
            visitor.field("partitions", &DeleteRecordsTopicResult::partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<DeleteRecordsTopicResult> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DeleteRecordsResponse::throttle_time_ms);
        visitor.field("topics", &DeleteRecordsResponse::topics);
    }
};

extern template const FieldTable& table_of<DeleteRecordsRequest>();
extern template const FieldTable& table_of<DeleteRecordsResponse>();

}  // namespace flowstone::kafka
