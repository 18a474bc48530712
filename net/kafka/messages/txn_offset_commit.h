// TxnOffsetCommit, key 28: a group's offsets, kept when their transaction commits.
//
// Source: Kafka 4.3, TxnOffsetCommitRequest.json and Response.json, versions 0 to 5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct TxnOffsetCommitRequest {
    static constexpr const char* message_name = "TxnOffsetCommitRequest";
    static constexpr ApiKey api_key = ApiKey::txn_offset_commit;

    struct TxnOffsetCommitRequestPartition {
        int32_t partition_index = 0;
        int64_t committed_offset = 0;
        int32_t committed_leader_epoch = -1;
        std::optional<std::string> committed_metadata = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &TxnOffsetCommitRequestPartition::partition_index);
            visitor.field("committed_offset", &TxnOffsetCommitRequestPartition::committed_offset);
            visitor.field("committed_leader_epoch", &TxnOffsetCommitRequestPartition::committed_leader_epoch,
                          {.versions = since(2), .ignorable = true});
            visitor.field("committed_metadata", &TxnOffsetCommitRequestPartition::committed_metadata,
                          {.nullable = every_version});
        }
    };

    struct TxnOffsetCommitRequestTopic {
        std::string name{};
        std::vector<TxnOffsetCommitRequestPartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &TxnOffsetCommitRequestTopic::name);
            visitor.field("partitions", &TxnOffsetCommitRequestTopic::partitions);
        }
    };

    std::string transactional_id{};
    std::string group_id{};
    int64_t producer_id = 0;
    int16_t producer_epoch = 0;
    int32_t generation_id = -1;
    std::string member_id{};
    std::optional<std::string> group_instance_id{};
    std::vector<TxnOffsetCommitRequestTopic> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("transactional_id", &TxnOffsetCommitRequest::transactional_id);
        visitor.field("group_id", &TxnOffsetCommitRequest::group_id);
        visitor.field("producer_id", &TxnOffsetCommitRequest::producer_id);
        visitor.field("producer_epoch", &TxnOffsetCommitRequest::producer_epoch);
        visitor.field("generation_id", &TxnOffsetCommitRequest::generation_id, {.versions = since(3)});
        visitor.field("member_id", &TxnOffsetCommitRequest::member_id, {.versions = since(3)});
        visitor.field("group_instance_id", &TxnOffsetCommitRequest::group_instance_id,
                      {.versions = since(3), .nullable = since(3)});
        visitor.field("topics", &TxnOffsetCommitRequest::topics);
    }
};

struct TxnOffsetCommitResponse {
    static constexpr const char* message_name = "TxnOffsetCommitResponse";
    static constexpr ApiKey api_key = ApiKey::txn_offset_commit;

    struct TxnOffsetCommitResponsePartition {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &TxnOffsetCommitResponsePartition::partition_index);
            visitor.field("error_code", &TxnOffsetCommitResponsePartition::error_code);
        }
    };

    struct TxnOffsetCommitResponseTopic {
        std::string name{};
        std::vector<TxnOffsetCommitResponsePartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &TxnOffsetCommitResponseTopic::name);
            visitor.field("partitions", &TxnOffsetCommitResponseTopic::partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<TxnOffsetCommitResponseTopic> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &TxnOffsetCommitResponse::throttle_time_ms);
        visitor.field("topics", &TxnOffsetCommitResponse::topics);
    }
};

}  // namespace flowstone::kafka
