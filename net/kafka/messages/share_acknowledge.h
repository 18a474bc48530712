// ShareAcknowledge, key 79: what became of records that a share group's member acquired.
//
// Source: Kafka 4.3, ShareAcknowledgeRequest.json and Response.json, versions 1 to 2.
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

struct ShareAcknowledgeRequest {
    static constexpr const char* message_name = "ShareAcknowledgeRequest";
    static constexpr ApiKey api_key = ApiKey::share_acknowledge;

    struct AcknowledgementBatch {
        int64_t first_offset = 0;
        int64_t last_offset = 0;
        std::vector<int8_t> acknowledge_types{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("first_offset", &AcknowledgementBatch::first_offset);
            visitor.field("last_offset", &AcknowledgementBatch::last_offset);
            visitor.field("acknowledge_types", &AcknowledgementBatch::acknowledge_types);
        }
    };

    struct AcknowledgePartition {
        int32_t partition_index = 0;
        std::vector<AcknowledgementBatch> acknowledgement_batches{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &AcknowledgePartition::partition_index);
            visitor.field("acknowledgement_batches", &AcknowledgePartition::acknowledgement_batches);
        }
    };

    struct AcknowledgeTopic {
        Uuid topic_id{};
        std::vector<AcknowledgePartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_id", &AcknowledgeTopic::topic_id);
            visitor.field("partitions", &AcknowledgeTopic::partitions);
        }
    };

    std::optional<std::string> group_id{};
    std::optional<std::string> member_id = "";
    int32_t share_session_epoch = 0;
    bool is_renew_ack = false;
    std::vector<AcknowledgeTopic> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &ShareAcknowledgeRequest::group_id, {.nullable = every_version});
        visitor.field("member_id", &ShareAcknowledgeRequest::member_id, {.nullable = every_version});
        visitor.field("share_session_epoch", &ShareAcknowledgeRequest::share_session_epoch);
        visitor.field("is_renew_ack", &ShareAcknowledgeRequest::is_renew_ack, {.versions = since(2)});
        visitor.field("topics", &ShareAcknowledgeRequest::topics);
    }
};

struct ShareAcknowledgeResponse {
    static constexpr const char* message_name = "ShareAcknowledgeResponse";
    static constexpr ApiKey api_key = ApiKey::share_acknowledge;

    struct LeaderIdAndEpoch {
        int32_t leader_id = 0;
        int32_t leader_epoch = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("leader_id", &LeaderIdAndEpoch::leader_id);
            visitor.field("leader_epoch", &LeaderIdAndEpoch::leader_epoch);
        }
    };

    struct PartitionData {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};
        LeaderIdAndEpoch current_leader{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &PartitionData::partition_index);
            visitor.field("error_code", &PartitionData::error_code);
            visitor.field("error_message", &PartitionData::error_message, {.nullable = every_version});
            visitor.field("current_leader", &PartitionData::current_leader);
        }
    };

    struct ShareAcknowledgeTopicResponse {
        Uuid topic_id{};
        std::vector<PartitionData> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_id", &ShareAcknowledgeTopicResponse::topic_id);
            visitor.field("partitions", &ShareAcknowledgeTopicResponse::partitions);
        }
    };

    struct NodeEndpoint {
        int32_t node_id = 0;
        std::string host{};
        int32_t port = 0;
        std::optional<std::string> rack{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("node_id", &NodeEndpoint::node_id);
            visitor.field("host", &NodeEndpoint::host);
            visitor.field("port", &NodeEndpoint::port);
            visitor.field("rack", &NodeEndpoint::rack, {.nullable = every_version});
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};
    int32_t acquisition_lock_timeout_ms = 0;
    std::vector<ShareAcknowledgeTopicResponse> responses{};
    std::vector<NodeEndpoint> node_endpoints{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &ShareAcknowledgeResponse::throttle_time_ms);
        visitor.field("error_code", &ShareAcknowledgeResponse::error_code);
        visitor.field("error_message", &ShareAcknowledgeResponse::error_message, {.nullable = every_version});
        visitor.field("acquisition_lock_timeout_ms", &ShareAcknowledgeResponse::acquisition_lock_timeout_ms,
                      {.versions = since(2), .ignorable = true});
        visitor.field("responses", &ShareAcknowledgeResponse::responses);
        visitor.field("node_endpoints", &ShareAcknowledgeResponse::node_endpoints);
    }
};

}  // namespace flowstone::kafka
