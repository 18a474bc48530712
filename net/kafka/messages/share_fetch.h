// ShareFetch, key 78: records acquired by a share group's member, and what became of earlier ones.
//
// Source: Kafka 4.3, ShareFetchRequest.json and Response.json, versions 1 to 2.
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

struct ShareFetchRequest {
    static constexpr const char* message_name = "ShareFetchRequest";
    static constexpr ApiKey api_key = ApiKey::share_fetch;

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

    struct FetchPartition {
        int32_t partition_index = 0;
        std::vector<AcknowledgementBatch> acknowledgement_batches{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &FetchPartition::partition_index);
            visitor.field("acknowledgement_batches", &FetchPartition::acknowledgement_batches);
        }
    };

    struct FetchTopic {
        Uuid topic_id{};
        std::vector<FetchPartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_id", &FetchTopic::topic_id);
            visitor.field("partitions", &FetchTopic::partitions);
        }
    };

    struct ForgottenTopic {
        Uuid topic_id{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_id", &ForgottenTopic::topic_id);
            visitor.field("partitions", &ForgottenTopic::partitions);
        }
    };

    std::optional<std::string> group_id{};
    std::optional<std::string> member_id = "";
    int32_t share_session_epoch = 0;
    int32_t max_wait_ms = 0;
    int32_t min_bytes = 0;
    int32_t max_bytes = std::numeric_limits<int32_t>::max();
    int32_t max_records = 0;
    int32_t batch_size = 0;
    int8_t share_acquire_mode = 0;
    bool is_renew_ack = false;
    std::vector<FetchTopic> topics{};
    std::vector<ForgottenTopic> forgotten_topics_data{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &ShareFetchRequest::group_id, {.nullable = every_version});
        visitor.field("member_id", &ShareFetchRequest::member_id, {.nullable = every_version});
        visitor.field("share_session_epoch", &ShareFetchRequest::share_session_epoch);
        visitor.field("max_wait_ms", &ShareFetchRequest::max_wait_ms);
        visitor.field("min_bytes", &ShareFetchRequest::min_bytes);
        visitor.field("max_bytes", &ShareFetchRequest::max_bytes);
        visitor.field("max_records", &ShareFetchRequest::max_records);
        visitor.field("batch_size", &ShareFetchRequest::batch_size);
        visitor.field("share_acquire_mode", &ShareFetchRequest::share_acquire_mode,
                      {.versions = since(2), .ignorable = true});
        visitor.field("is_renew_ack", &ShareFetchRequest::is_renew_ack, {.versions = since(2)});
        visitor.field("topics", &ShareFetchRequest::topics);
        visitor.field("forgotten_topics_data", &ShareFetchRequest::forgotten_topics_data);
    }
};

struct ShareFetchResponse {
    static constexpr const char* message_name = "ShareFetchResponse";
    static constexpr ApiKey api_key = ApiKey::share_fetch;

    struct LeaderIdAndEpoch {
        int32_t leader_id = 0;
        int32_t leader_epoch = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("leader_id", &LeaderIdAndEpoch::leader_id);
            visitor.field("leader_epoch", &LeaderIdAndEpoch::leader_epoch);
        }
    };

    struct AcquiredRecords {
        int64_t first_offset = 0;
        int64_t last_offset = 0;
        int16_t delivery_count = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("first_offset", &AcquiredRecords::first_offset);
            visitor.field("last_offset", &AcquiredRecords::last_offset);
            visitor.field("delivery_count", &AcquiredRecords::delivery_count);
        }
    };

    struct PartitionData {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};
        int16_t acknowledge_error_code = 0;
        std::optional<std::string> acknowledge_error_message{};
        LeaderIdAndEpoch current_leader{};
        Records records{};
        std::vector<AcquiredRecords> acquired_records{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &PartitionData::partition_index);
            visitor.field("error_code", &PartitionData::error_code);
            visitor.field("error_message", &PartitionData::error_message, {.nullable = every_version});
            visitor.field("acknowledge_error_code", &PartitionData::acknowledge_error_code);
            visitor.field("acknowledge_error_message", &PartitionData::acknowledge_error_message,
                          {.nullable = every_version});
            visitor.field("current_leader", &PartitionData::current_leader);
            visitor.field("records", &PartitionData::records);
            visitor.field("acquired_records", &PartitionData::acquired_records);
        }
    };

    struct ShareFetchableTopicResponse {
        Uuid topic_id{};
        std::vector<PartitionData> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_id", &ShareFetchableTopicResponse::topic_id);
            visitor.field("partitions", &ShareFetchableTopicResponse::partitions);
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
    std::vector<ShareFetchableTopicResponse> responses{};
    std::vector<NodeEndpoint> node_endpoints{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &ShareFetchResponse::throttle_time_ms);
        visitor.field("error_code", &ShareFetchResponse::error_code);
        visitor.field("error_message", &ShareFetchResponse::error_message, {.nullable = every_version});
        visitor.field("acquisition_lock_timeout_ms", &ShareFetchResponse::acquisition_lock_timeout_ms);
        visitor.field("responses", &ShareFetchResponse::responses);
        visitor.field("node_endpoints", &ShareFetchResponse::node_endpoints);
    }
};

}  // namespace flowstone::kafka
