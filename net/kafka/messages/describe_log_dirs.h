// DescribeLogDirs, key 35: a broker's directories and what is in them.
//
// Source: Kafka 4.3, DescribeLogDirsRequest.json and Response.json, versions 1 to 5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DescribeLogDirsRequest {
    static constexpr const char* message_name = "DescribeLogDirsRequest";
    static constexpr ApiKey api_key = ApiKey::describe_log_dirs;

    struct DescribableLogDirTopic {
        std::string topic{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic", &DescribableLogDirTopic::topic);
            visitor.field("partitions", &DescribableLogDirTopic::partitions);
        }
    };

    std::optional<std::vector<DescribableLogDirTopic>> topics{std::in_place};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("topics", &DescribeLogDirsRequest::topics, {.nullable = every_version});
    }
};

struct DescribeLogDirsResponse {
    static constexpr const char* message_name = "DescribeLogDirsResponse";
    static constexpr ApiKey api_key = ApiKey::describe_log_dirs;

    struct DescribeLogDirsPartition {
        int32_t partition_index = 0;
        int64_t partition_size = 0;
        int64_t offset_lag = 0;
        bool is_future_key = false;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &DescribeLogDirsPartition::partition_index);
            visitor.field("partition_size", &DescribeLogDirsPartition::partition_size);
            visitor.field("offset_lag", &DescribeLogDirsPartition::offset_lag);
            visitor.field("is_future_key", &DescribeLogDirsPartition::is_future_key);
        }
    };

    struct DescribeLogDirsTopic {
        std::string name{};
        std::vector<DescribeLogDirsPartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &DescribeLogDirsTopic::name);
            visitor.field("partitions", &DescribeLogDirsTopic::partitions);
        }
    };

    struct DescribeLogDirsResult {
        ErrorCode error_code = ErrorCode::none;
        std::string log_dir{};
        std::vector<DescribeLogDirsTopic> topics{};
        int64_t total_bytes = -1;
        int64_t usable_bytes = -1;
        bool is_cordoned = false;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &DescribeLogDirsResult::error_code);
            visitor.field("log_dir", &DescribeLogDirsResult::log_dir);
            visitor.field("topics", &DescribeLogDirsResult::topics);
            visitor.field("total_bytes", &DescribeLogDirsResult::total_bytes,
                          {.versions = since(4), .ignorable = true});
            visitor.field("usable_bytes", &DescribeLogDirsResult::usable_bytes,
                          {.versions = since(4), .ignorable = true});
            visitor.field("is_cordoned", &DescribeLogDirsResult::is_cordoned,
                          {.versions = since(5), .ignorable = true});
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::vector<DescribeLogDirsResult> results{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DescribeLogDirsResponse::throttle_time_ms);
        visitor.field("error_code", &DescribeLogDirsResponse::error_code, {.versions = since(3), .ignorable = true});
        visitor.field("results", &DescribeLogDirsResponse::results);
    }
};

extern template const FieldTable& table_of<DescribeLogDirsRequest>();
extern template const FieldTable& table_of<DescribeLogDirsResponse>();

}  // namespace flowstone::kafka
