// OffsetForLeaderEpoch, key 23: where a leader epoch ended (KIP-101, KIP-320).
//
// Source: Kafka 4.3, OffsetForLeaderEpochRequest.json and Response.json, versions 2 to 4.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct OffsetForLeaderEpochRequest {
    static constexpr const char* message_name = "OffsetForLeaderEpochRequest";
    static constexpr ApiKey api_key = ApiKey::offset_for_leader_epoch;

    struct OffsetForLeaderPartition {
        int32_t partition = 0;
        int32_t current_leader_epoch = -1;
        int32_t leader_epoch = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition", &OffsetForLeaderPartition::partition);
            visitor.field("current_leader_epoch", &OffsetForLeaderPartition::current_leader_epoch);
            visitor.field("leader_epoch", &OffsetForLeaderPartition::leader_epoch);
        }
    };

    struct OffsetForLeaderTopic {
        std::string topic{};
        std::vector<OffsetForLeaderPartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic", &OffsetForLeaderTopic::topic);
            visitor.field("partitions", &OffsetForLeaderTopic::partitions);
        }
    };

    int32_t replica_id = -2;
    std::vector<OffsetForLeaderTopic> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("replica_id", &OffsetForLeaderEpochRequest::replica_id,
                      {.versions = since(3), .ignorable = true});
        visitor.field("topics", &OffsetForLeaderEpochRequest::topics);
    }
};

struct OffsetForLeaderEpochResponse {
    static constexpr const char* message_name = "OffsetForLeaderEpochResponse";
    static constexpr ApiKey api_key = ApiKey::offset_for_leader_epoch;

    struct EpochEndOffset {
        ErrorCode error_code = ErrorCode::none;
        int32_t partition = 0;
        int32_t leader_epoch = -1;
        int64_t end_offset = -1;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &EpochEndOffset::error_code);
            visitor.field("partition", &EpochEndOffset::partition);
            visitor.field("leader_epoch", &EpochEndOffset::leader_epoch);
            visitor.field("end_offset", &EpochEndOffset::end_offset);
        }
    };

    struct OffsetForLeaderTopicResult {
        std::string topic{};
        std::vector<EpochEndOffset> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic", &OffsetForLeaderTopicResult::topic);
            visitor.field("partitions", &OffsetForLeaderTopicResult::partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<OffsetForLeaderTopicResult> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &OffsetForLeaderEpochResponse::throttle_time_ms);
        visitor.field("topics", &OffsetForLeaderEpochResponse::topics);
    }
};

extern template const FieldTable& table_of<OffsetForLeaderEpochRequest>();
extern template const FieldTable& table_of<OffsetForLeaderEpochResponse>();

}  // namespace flowstone::kafka
