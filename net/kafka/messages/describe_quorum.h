// DescribeQuorum, key 55: the voters and observers of the metadata log.
//
// Source: Kafka 4.3, DescribeQuorumRequest.json and Response.json, versions 0 to 2.
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

struct DescribeQuorumRequest {
    static constexpr const char* message_name = "DescribeQuorumRequest";
    static constexpr ApiKey api_key = ApiKey::describe_quorum;

    struct PartitionData {
        int32_t partition_index = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &PartitionData::partition_index);
        }
    };

    struct TopicData {
        std::string topic_name{};
        std::vector<PartitionData> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_name", &TopicData::topic_name);
            visitor.field("partitions", &TopicData::partitions);
        }
    };

    std::vector<TopicData> topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("topics", &DescribeQuorumRequest::topics);
    }
};

struct DescribeQuorumResponse {
    static constexpr const char* message_name = "DescribeQuorumResponse";
    static constexpr ApiKey api_key = ApiKey::describe_quorum;

    struct ReplicaState {
        int32_t replica_id = 0;
        Uuid replica_directory_id{};
        int64_t log_end_offset = 0;
        int64_t last_fetch_timestamp = -1;
        int64_t last_caught_up_timestamp = -1;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("replica_id", &ReplicaState::replica_id);
            visitor.field("replica_directory_id", &ReplicaState::replica_directory_id, {.versions = since(2)});
            visitor.field("log_end_offset", &ReplicaState::log_end_offset);
            visitor.field("last_fetch_timestamp", &ReplicaState::last_fetch_timestamp,
                          {.versions = since(1), .ignorable = true});
            visitor.field("last_caught_up_timestamp", &ReplicaState::last_caught_up_timestamp,
                          {.versions = since(1), .ignorable = true});
        }
    };

    struct PartitionData {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";
        int32_t leader_id = 0;
        int32_t leader_epoch = 0;
        int64_t high_watermark = 0;
        std::vector<ReplicaState> current_voters{};
        std::vector<ReplicaState> observers{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &PartitionData::partition_index);
            visitor.field("error_code", &PartitionData::error_code);
            visitor.field("error_message", &PartitionData::error_message,
                          {.versions = since(2), .nullable = since(2), .ignorable = true});
            visitor.field("leader_id", &PartitionData::leader_id);
            visitor.field("leader_epoch", &PartitionData::leader_epoch);
            visitor.field("high_watermark", &PartitionData::high_watermark);
            visitor.field("current_voters", &PartitionData::current_voters);
            visitor.field("observers", &PartitionData::observers);
        }
    };

    struct TopicData {
        std::string topic_name{};
        std::vector<PartitionData> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_name", &TopicData::topic_name);
            visitor.field("partitions", &TopicData::partitions);
        }
    };

    struct Listener {
        std::string name{};
        std::string host{};
        uint16_t port = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &Listener::name, {.versions = since(2)});
            visitor.field("host", &Listener::host, {.versions = since(2)});
            visitor.field("port", &Listener::port, {.versions = since(2)});
        }
    };

    struct Node {
        int32_t node_id = 0;
        std::vector<Listener> listeners{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("node_id", &Node::node_id, {.versions = since(2)});
            visitor.field("listeners", &Node::listeners, {.versions = since(2)});
        }
    };

    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";
    std::vector<TopicData> topics{};
    std::vector<Node> nodes{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("error_code", &DescribeQuorumResponse::error_code);
        visitor.field("error_message", &DescribeQuorumResponse::error_message,
                      {.versions = since(2), .nullable = since(2), .ignorable = true});
        visitor.field("topics", &DescribeQuorumResponse::topics);
        visitor.field("nodes", &DescribeQuorumResponse::nodes, {.versions = since(2)});
    }
};

extern template const FieldTable& table_of<DescribeQuorumRequest>();
extern template const FieldTable& table_of<DescribeQuorumResponse>();

}  // namespace flowstone::kafka
