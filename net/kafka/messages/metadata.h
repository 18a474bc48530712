// Metadata, key 3: brokers, topics, and who leads which partition.
//
// Source: Kafka 4.3, MetadataRequest.json and Response.json, versions 0 to 13.
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

struct MetadataRequest {
    static constexpr const char* message_name = "MetadataRequest";
    static constexpr ApiKey api_key = ApiKey::metadata;

    struct MetadataRequestTopic {
        Uuid topic_id{};
        std::optional<std::string> name = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_id", &MetadataRequestTopic::topic_id, {.versions = since(10), .ignorable = true});
            visitor.field("name", &MetadataRequestTopic::name, {.nullable = since(10)});
        }
    };

    std::optional<std::vector<MetadataRequestTopic>> topics{std::in_place};
    bool allow_auto_topic_creation = true;
    bool include_cluster_authorized_operations = false;
    bool include_topic_authorized_operations = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("topics", &MetadataRequest::topics, {.nullable = since(1)});
        visitor.field("allow_auto_topic_creation", &MetadataRequest::allow_auto_topic_creation, {.versions = since(4)});
        visitor.field("include_cluster_authorized_operations", &MetadataRequest::include_cluster_authorized_operations,
                      {.versions = between(8, 10)});
        visitor.field("include_topic_authorized_operations", &MetadataRequest::include_topic_authorized_operations,
                      {.versions = since(8)});
    }
};

struct MetadataResponse {
    static constexpr const char* message_name = "MetadataResponse";
    static constexpr ApiKey api_key = ApiKey::metadata;

    struct MetadataResponseBroker {
        int32_t node_id = 0;
        std::string host{};
        int32_t port = 0;
        std::optional<std::string> rack{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("node_id", &MetadataResponseBroker::node_id);
            visitor.field("host", &MetadataResponseBroker::host);
            visitor.field("port", &MetadataResponseBroker::port);
            visitor.field("rack", &MetadataResponseBroker::rack,
                          {.versions = since(1), .nullable = since(1), .ignorable = true});
        }
    };

    struct MetadataResponsePartition {
        ErrorCode error_code = ErrorCode::none;
        int32_t partition_index = 0;
        int32_t leader_id = 0;
        int32_t leader_epoch = -1;
        std::vector<int32_t> replica_nodes{};
        std::vector<int32_t> isr_nodes{};
        std::vector<int32_t> offline_replicas{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &MetadataResponsePartition::error_code);
            visitor.field("partition_index", &MetadataResponsePartition::partition_index);
            visitor.field("leader_id", &MetadataResponsePartition::leader_id);
            visitor.field("leader_epoch", &MetadataResponsePartition::leader_epoch,
                          {.versions = since(7), .ignorable = true});
            visitor.field("replica_nodes", &MetadataResponsePartition::replica_nodes);
            visitor.field("isr_nodes", &MetadataResponsePartition::isr_nodes);
            visitor.field("offline_replicas", &MetadataResponsePartition::offline_replicas,
                          {.versions = since(5), .ignorable = true});
        }
    };

    struct MetadataResponseTopic {
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> name = "";
        Uuid topic_id{};
        bool is_internal = false;
        std::vector<MetadataResponsePartition> partitions{};
        int32_t topic_authorized_operations = std::numeric_limits<int32_t>::min();

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &MetadataResponseTopic::error_code);
            visitor.field("name", &MetadataResponseTopic::name, {.nullable = since(12)});
            visitor.field("topic_id", &MetadataResponseTopic::topic_id, {.versions = since(10), .ignorable = true});
            visitor.field("is_internal", &MetadataResponseTopic::is_internal,
                          {.versions = since(1), .ignorable = true});
            visitor.field("partitions", &MetadataResponseTopic::partitions);
            visitor.field("topic_authorized_operations", &MetadataResponseTopic::topic_authorized_operations,
                          {.versions = since(8)});
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<MetadataResponseBroker> brokers{};
    std::optional<std::string> cluster_id{};
    int32_t controller_id = -1;
    std::vector<MetadataResponseTopic> topics{};
    int32_t cluster_authorized_operations = std::numeric_limits<int32_t>::min();
    ErrorCode error_code = ErrorCode::none;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &MetadataResponse::throttle_time_ms,
                      {.versions = since(3), .ignorable = true});
        visitor.field("brokers", &MetadataResponse::brokers);
        visitor.field("cluster_id", &MetadataResponse::cluster_id,
                      {.versions = since(2), .nullable = since(2), .ignorable = true});
        visitor.field("controller_id", &MetadataResponse::controller_id, {.versions = since(1), .ignorable = true});
        visitor.field("topics", &MetadataResponse::topics);
        visitor.field("cluster_authorized_operations", &MetadataResponse::cluster_authorized_operations,
                      {.versions = between(8, 10)});
        visitor.field("error_code", &MetadataResponse::error_code, {.versions = since(13), .ignorable = true});
    }
};

extern template const FieldTable& table_of<MetadataRequest>();
extern template const FieldTable& table_of<MetadataResponse>();

}  // namespace flowstone::kafka
