// AlterReplicaLogDirs, key 34: replicas to be moved to other directories of their broker.
//
// Source: Kafka 4.3, AlterReplicaLogDirsRequest.json and Response.json, versions 1 to 2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct AlterReplicaLogDirsRequest {
    static constexpr const char* message_name = "AlterReplicaLogDirsRequest";
    static constexpr ApiKey api_key = ApiKey::alter_replica_log_dirs;

    struct AlterReplicaLogDirTopic {
        std::string name{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &AlterReplicaLogDirTopic::name);
            visitor.field("partitions", &AlterReplicaLogDirTopic::partitions);
        }
    };

    struct AlterReplicaLogDir {
        std::string path{};
        std::vector<AlterReplicaLogDirTopic> topics{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("path", &AlterReplicaLogDir::path);
            visitor.field("topics", &AlterReplicaLogDir::topics);
        }
    };

    std::vector<AlterReplicaLogDir> dirs{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("dirs", &AlterReplicaLogDirsRequest::dirs);
    }
};

struct AlterReplicaLogDirsResponse {
    static constexpr const char* message_name = "AlterReplicaLogDirsResponse";
    static constexpr ApiKey api_key = ApiKey::alter_replica_log_dirs;

    struct AlterReplicaLogDirPartitionResult {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &AlterReplicaLogDirPartitionResult::partition_index);
            visitor.field("error_code", &AlterReplicaLogDirPartitionResult::error_code);
        }
    };

    struct AlterReplicaLogDirTopicResult {
        std::string topic_name{};
        std::vector<AlterReplicaLogDirPartitionResult> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_name", &AlterReplicaLogDirTopicResult::topic_name);
            visitor.field("partitions", &AlterReplicaLogDirTopicResult::partitions);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<AlterReplicaLogDirTopicResult> results{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &AlterReplicaLogDirsResponse::throttle_time_ms);
        visitor.field("results", &AlterReplicaLogDirsResponse::results);
    }
};

}  // namespace flowstone::kafka
