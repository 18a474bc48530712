// Fetch, key 1: record batches from offsets on; a long poll, and a session of partitions (KIP-227).
//
// Source: Kafka 4.3, FetchRequest.json and Response.json, versions 4 to 18.
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

struct FetchRequest {
    static constexpr const char* message_name = "FetchRequest";
    static constexpr ApiKey api_key = ApiKey::fetch;

    struct ReplicaState {
        int32_t replica_id = -1;
        int64_t replica_epoch = -1;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("replica_id", &ReplicaState::replica_id, {.versions = since(15)});
            visitor.field("replica_epoch", &ReplicaState::replica_epoch, {.versions = since(15)});
        }
    };

    struct FetchPartition {
        int32_t partition = 0;
        int32_t current_leader_epoch = -1;
        int64_t fetch_offset = 0;
        int32_t last_fetched_epoch = -1;
        int64_t log_start_offset = -1;
        int32_t partition_max_bytes = 0;
        Uuid replica_directory_id{};
        int64_t high_watermark = std::numeric_limits<int64_t>::max();

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition", &FetchPartition::partition);
            visitor.field("current_leader_epoch", &FetchPartition::current_leader_epoch,
                          {.versions = since(9), .ignorable = true});
            visitor.field("fetch_offset", &FetchPartition::fetch_offset);
            visitor.field("last_fetched_epoch", &FetchPartition::last_fetched_epoch, {.versions = since(12)});
            visitor.field("log_start_offset", &FetchPartition::log_start_offset,
                          {.versions = since(5), .ignorable = true});
            visitor.field("partition_max_bytes", &FetchPartition::partition_max_bytes);
            visitor.field("replica_directory_id", &FetchPartition::replica_directory_id,
                          {.versions = since(17), .tag = 0, .ignorable = true});
            visitor.field("high_watermark", &FetchPartition::high_watermark,
                          {.versions = since(18), .tag = 1, .ignorable = true});
        }
    };

    struct FetchTopic {
        std::string topic{};
        Uuid topic_id{};
        std::vector<FetchPartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic", &FetchTopic::topic, {.versions = until(12), .ignorable = true});
            visitor.field("topic_id", &FetchTopic::topic_id, {.versions = since(13), .ignorable = true});
            visitor.field("partitions", &FetchTopic::partitions);
        }
    };

    struct ForgottenTopic {
        std::string topic{};
        Uuid topic_id{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic", &ForgottenTopic::topic, {.versions = between(7, 12), .ignorable = true});
            visitor.field("topic_id", &ForgottenTopic::topic_id, {.versions = since(13), .ignorable = true});
            visitor.field("partitions", &ForgottenTopic::partitions, {.versions = since(7)});
        }
    };

    std::optional<std::string> cluster_id{};
    int32_t replica_id = -1;
    ReplicaState replica_state{};
    int32_t max_wait_ms = 0;
    int32_t min_bytes = 0;
    int32_t max_bytes = std::numeric_limits<int32_t>::max();
    int8_t isolation_level = 0;
    int32_t session_id = 0;
    int32_t session_epoch = -1;
    std::vector<FetchTopic> topics{};
    std::vector<ForgottenTopic> forgotten_topics_data{};
    std::string rack_id{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("cluster_id", &FetchRequest::cluster_id,
                      {.versions = since(12), .nullable = since(12), .tag = 0, .ignorable = true});
        visitor.field("replica_id", &FetchRequest::replica_id, {.versions = until(14)});
        visitor.field("replica_state", &FetchRequest::replica_state, {.versions = since(15), .tag = 1});
        visitor.field("max_wait_ms", &FetchRequest::max_wait_ms);
        visitor.field("min_bytes", &FetchRequest::min_bytes);
        visitor.field("max_bytes", &FetchRequest::max_bytes);
        visitor.field("isolation_level", &FetchRequest::isolation_level);
        visitor.field("session_id", &FetchRequest::session_id, {.versions = since(7), .ignorable = true});
        visitor.field("session_epoch", &FetchRequest::session_epoch, {.versions = since(7), .ignorable = true});
        visitor.field("topics", &FetchRequest::topics);
        visitor.field("forgotten_topics_data", &FetchRequest::forgotten_topics_data, {.versions = since(7)});
        visitor.field("rack_id", &FetchRequest::rack_id, {.versions = since(11), .ignorable = true});
    }
};

struct FetchResponse {
    static constexpr const char* message_name = "FetchResponse";
    static constexpr ApiKey api_key = ApiKey::fetch;

    struct EpochEndOffset {
        int32_t epoch = -1;
        int64_t end_offset = -1;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("epoch", &EpochEndOffset::epoch, {.versions = since(12)});
            visitor.field("end_offset", &EpochEndOffset::end_offset, {.versions = since(12)});
        }
    };

    struct LeaderIdAndEpoch {
        int32_t leader_id = -1;
        int32_t leader_epoch = -1;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("leader_id", &LeaderIdAndEpoch::leader_id, {.versions = since(12)});
            visitor.field("leader_epoch", &LeaderIdAndEpoch::leader_epoch, {.versions = since(12)});
        }
    };

    struct SnapshotId {
        int64_t end_offset = -1;
        int32_t epoch = -1;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("end_offset", &SnapshotId::end_offset);
            visitor.field("epoch", &SnapshotId::epoch);
        }
    };

    struct AbortedTransaction {
        int64_t producer_id = 0;
        int64_t first_offset = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("producer_id", &AbortedTransaction::producer_id);
            visitor.field("first_offset", &AbortedTransaction::first_offset);
        }
    };

    struct PartitionData {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;
        int64_t high_watermark = 0;
        int64_t last_stable_offset = -1;
        int64_t log_start_offset = -1;
        EpochEndOffset diverging_epoch{};
        LeaderIdAndEpoch current_leader{};
        SnapshotId snapshot_id{};
        std::optional<std::vector<AbortedTransaction>> aborted_transactions{std::in_place};
        int32_t preferred_read_replica = -1;
        Records records{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &PartitionData::partition_index);
            visitor.field("error_code", &PartitionData::error_code);
            visitor.field("high_watermark", &PartitionData::high_watermark);
            visitor.field("last_stable_offset", &PartitionData::last_stable_offset);
            visitor.field("log_start_offset", &PartitionData::log_start_offset,
                          {.versions = since(5), .ignorable = true});
            visitor.field("diverging_epoch", &PartitionData::diverging_epoch, {.versions = since(12), .tag = 0});
            visitor.field("current_leader", &PartitionData::current_leader, {.versions = since(12), .tag = 1});
            visitor.field("snapshot_id", &PartitionData::snapshot_id, {.versions = since(12), .tag = 2});
            visitor.field("aborted_transactions", &PartitionData::aborted_transactions, {.nullable = every_version});
            visitor.field("preferred_read_replica", &PartitionData::preferred_read_replica, {.versions = since(11)});
            visitor.field("records", &PartitionData::records, {.nullable = every_version});
        }
    };

    struct FetchableTopicResponse {
        std::string topic{};
        Uuid topic_id{};
        std::vector<PartitionData> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic", &FetchableTopicResponse::topic, {.versions = until(12), .ignorable = true});
            visitor.field("topic_id", &FetchableTopicResponse::topic_id, {.versions = since(13), .ignorable = true});
            visitor.field("partitions", &FetchableTopicResponse::partitions);
        }
    };

    struct NodeEndpoint {
        int32_t node_id = 0;
        std::string host{};
        int32_t port = 0;
        std::optional<std::string> rack{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("node_id", &NodeEndpoint::node_id, {.versions = since(16)});
            visitor.field("host", &NodeEndpoint::host, {.versions = since(16)});
            visitor.field("port", &NodeEndpoint::port, {.versions = since(16)});
            visitor.field("rack", &NodeEndpoint::rack, {.versions = since(16), .nullable = since(16)});
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    int32_t session_id = 0;
    std::vector<FetchableTopicResponse> responses{};
    std::vector<NodeEndpoint> node_endpoints{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &FetchResponse::throttle_time_ms);
        visitor.field("error_code", &FetchResponse::error_code, {.versions = since(7), .ignorable = true});
        visitor.field("session_id", &FetchResponse::session_id, {.versions = since(7)});
        visitor.field("responses", &FetchResponse::responses);
        visitor.field("node_endpoints", &FetchResponse::node_endpoints, {.versions = since(16), .tag = 0});
    }
};

extern template const FieldTable& table_of<FetchRequest>();
extern template const FieldTable& table_of<FetchResponse>();

}  // namespace flowstone::kafka
