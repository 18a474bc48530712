// DescribeCluster, key 60: the cluster's id and brokers.
//
// Source: Kafka 4.3, DescribeClusterRequest.json and Response.json, versions 0 to 2.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DescribeClusterRequest {
    static constexpr const char* message_name = "DescribeClusterRequest";
    static constexpr ApiKey api_key = ApiKey::describe_cluster;

    bool include_cluster_authorized_operations = false;
    int8_t endpoint_type = 1;
    bool include_fenced_brokers = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("include_cluster_authorized_operations",
                      &DescribeClusterRequest::include_cluster_authorized_operations);
        visitor.field("endpoint_type", &DescribeClusterRequest::endpoint_type, {.versions = since(1)});
        visitor.field("include_fenced_brokers", &DescribeClusterRequest::include_fenced_brokers,
                      {.versions = since(2)});
    }
};

struct DescribeClusterResponse {
    static constexpr const char* message_name = "DescribeClusterResponse";
    static constexpr ApiKey api_key = ApiKey::describe_cluster;

    struct DescribeClusterBroker {
        int32_t broker_id = 0;
        std::string host{};
        int32_t port = 0;
        std::optional<std::string> rack{};
        bool is_fenced = false;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("broker_id", &DescribeClusterBroker::broker_id);
            visitor.field("host", &DescribeClusterBroker::host);
            visitor.field("port", &DescribeClusterBroker::port);
            visitor.field("rack", &DescribeClusterBroker::rack, {.nullable = every_version});
            visitor.field("is_fenced", &DescribeClusterBroker::is_fenced, {.versions = since(2)});
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};
    int8_t endpoint_type = 1;
    std::string cluster_id{};
    int32_t controller_id = -1;
    std::vector<DescribeClusterBroker> brokers{};
    int32_t cluster_authorized_operations = std::numeric_limits<int32_t>::min();

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DescribeClusterResponse::throttle_time_ms);
        visitor.field("error_code", &DescribeClusterResponse::error_code);
        visitor.field("error_message", &DescribeClusterResponse::error_message, {.nullable = every_version});
        visitor.field("endpoint_type", &DescribeClusterResponse::endpoint_type, {.versions = since(1)});
        visitor.field("cluster_id", &DescribeClusterResponse::cluster_id);
        visitor.field("controller_id", &DescribeClusterResponse::controller_id);
        visitor.field("brokers", &DescribeClusterResponse::brokers);
        visitor.field("cluster_authorized_operations", &DescribeClusterResponse::cluster_authorized_operations);
    }
};

extern template const FieldTable& table_of<DescribeClusterRequest>();
extern template const FieldTable& table_of<DescribeClusterResponse>();

}  // namespace flowstone::kafka
