// OffsetFetch, key 9: a group's offsets, as kept.
//
// Source: Kafka 4.3, OffsetFetchRequest.json and Response.json, versions 1 to 10.
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

struct OffsetFetchRequest {
    static constexpr const char* message_name = "OffsetFetchRequest";
    static constexpr ApiKey api_key = ApiKey::offset_fetch;

    struct OffsetFetchRequestTopic {
        std::string name{};
        std::vector<int32_t> partition_indexes{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &OffsetFetchRequestTopic::name, {.versions = until(7)});
            visitor.field("partition_indexes", &OffsetFetchRequestTopic::partition_indexes, {.versions = until(7)});
        }
    };

    struct OffsetFetchRequestTopics {
        std::string name{};
        Uuid topic_id{};
        std::vector<int32_t> partition_indexes{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &OffsetFetchRequestTopics::name, {.versions = between(8, 9), .ignorable = true});
            visitor.field("topic_id", &OffsetFetchRequestTopics::topic_id, {.versions = since(10), .ignorable = true});
            visitor.field("partition_indexes", &OffsetFetchRequestTopics::partition_indexes, {.versions = since(8)});
        }
    };

    struct OffsetFetchRequestGroup {
        std::string group_id{};
        std::optional<std::string> member_id{};
        int32_t member_epoch = -1;
        std::optional<std::vector<OffsetFetchRequestTopics>> topics{std::in_place};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("group_id", &OffsetFetchRequestGroup::group_id, {.versions = since(8)});
            visitor.field("member_id", &OffsetFetchRequestGroup::member_id,
                          {.versions = since(9), .nullable = since(9), .ignorable = true});
            visitor.field("member_epoch", &OffsetFetchRequestGroup::member_epoch,
                          {.versions = since(9), .ignorable = true});
            visitor.field("topics", &OffsetFetchRequestGroup::topics, {.versions = since(8), .nullable = since(8)});
        }
    };

    std::string group_id{};
    std::optional<std::vector<OffsetFetchRequestTopic>> topics{std::in_place};
    std::vector<OffsetFetchRequestGroup> groups{};
    bool require_stable = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &OffsetFetchRequest::group_id, {.versions = until(7)});
        visitor.field("topics", &OffsetFetchRequest::topics, {.versions = until(7), .nullable = between(2, 7)});
        visitor.field("groups", &OffsetFetchRequest::groups, {.versions = since(8)});
        visitor.field("require_stable", &OffsetFetchRequest::require_stable, {.versions = since(7)});
    }
};

struct OffsetFetchResponse {
    static constexpr const char* message_name = "OffsetFetchResponse";
    static constexpr ApiKey api_key = ApiKey::offset_fetch;

    struct OffsetFetchResponsePartition {
        int32_t partition_index = 0;
        int64_t committed_offset = 0;
        int32_t committed_leader_epoch = -1;
        std::optional<std::string> metadata = "";
        ErrorCode error_code = ErrorCode::none;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &OffsetFetchResponsePartition::partition_index, {.versions = until(7)});
            visitor.field("committed_offset", &OffsetFetchResponsePartition::committed_offset, {.versions = until(7)});
            visitor.field("committed_leader_epoch", &OffsetFetchResponsePartition::committed_leader_epoch,
                          {.versions = between(5, 7), .ignorable = true});
            visitor.field("metadata", &OffsetFetchResponsePartition::metadata,
                          {.versions = until(7), .nullable = until(7)});
            visitor.field("error_code", &OffsetFetchResponsePartition::error_code, {.versions = until(7)});
        }
    };

    struct OffsetFetchResponseTopic {
        std::string name{};
        std::vector<OffsetFetchResponsePartition> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &OffsetFetchResponseTopic::name, {.versions = until(7)});
            visitor.field("partitions", &OffsetFetchResponseTopic::partitions, {.versions = until(7)});
        }
    };

    struct OffsetFetchResponsePartitions {
        int32_t partition_index = 0;
        int64_t committed_offset = 0;
        int32_t committed_leader_epoch = -1;
        std::optional<std::string> metadata = "";
        ErrorCode error_code = ErrorCode::none;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &OffsetFetchResponsePartitions::partition_index, {.versions = since(8)});
            visitor.field("committed_offset", &OffsetFetchResponsePartitions::committed_offset, {.versions = since(8)});
            visitor.field("committed_leader_epoch", &OffsetFetchResponsePartitions::committed_leader_epoch,
                          {.versions = since(8), .ignorable = true});
            visitor.field("metadata", &OffsetFetchResponsePartitions::metadata,
                          {.versions = since(8), .nullable = since(8)});
            visitor.field("error_code", &OffsetFetchResponsePartitions::error_code, {.versions = since(8)});
        }
    };

    struct OffsetFetchResponseTopics {
        std::string name{};
        Uuid topic_id{};
        std::vector<OffsetFetchResponsePartitions> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &OffsetFetchResponseTopics::name, {.versions = between(8, 9), .ignorable = true});
            visitor.field("topic_id", &OffsetFetchResponseTopics::topic_id, {.versions = since(10), .ignorable = true});
            visitor.field("partitions", &OffsetFetchResponseTopics::partitions, {.versions = since(8)});
        }
    };

    struct OffsetFetchResponseGroup {
        std::string group_id{};
        std::vector<OffsetFetchResponseTopics> topics{};
        ErrorCode error_code = ErrorCode::none;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("group_id", &OffsetFetchResponseGroup::group_id, {.versions = since(8)});
            visitor.field("topics", &OffsetFetchResponseGroup::topics, {.versions = since(8)});
            visitor.field("error_code", &OffsetFetchResponseGroup::error_code, {.versions = since(8)});
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<OffsetFetchResponseTopic> topics{};
    ErrorCode error_code = ErrorCode::none;
    std::vector<OffsetFetchResponseGroup> groups{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &OffsetFetchResponse::throttle_time_ms,
                      {.versions = since(3), .ignorable = true});
        visitor.field("topics", &OffsetFetchResponse::topics, {.versions = until(7)});
        visitor.field("error_code", &OffsetFetchResponse::error_code, {.versions = between(2, 7), .ignorable = true});
        visitor.field("groups", &OffsetFetchResponse::groups, {.versions = since(8)});
    }
};

extern template const FieldTable& table_of<OffsetFetchRequest>();
extern template const FieldTable& table_of<OffsetFetchResponse>();

}  // namespace flowstone::kafka
