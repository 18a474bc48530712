// ShareGroupDescribe, key 77: share groups with their members.
//
// Source: Kafka 4.3, ShareGroupDescribeRequest.json and Response.json, version 1.
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

struct ShareGroupDescribeRequest {
    static constexpr const char* message_name = "ShareGroupDescribeRequest";
    static constexpr ApiKey api_key = ApiKey::share_group_describe;

    std::vector<std::string> group_ids{};
    bool include_authorized_operations = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_ids", &ShareGroupDescribeRequest::group_ids);
        visitor.field("include_authorized_operations", &ShareGroupDescribeRequest::include_authorized_operations);
    }
};

struct ShareGroupDescribeResponse {
    static constexpr const char* message_name = "ShareGroupDescribeResponse";
    static constexpr ApiKey api_key = ApiKey::share_group_describe;

    struct TopicPartitions {
        Uuid topic_id{};
        std::string topic_name{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_id", &TopicPartitions::topic_id);
            visitor.field("topic_name", &TopicPartitions::topic_name);
            visitor.field("partitions", &TopicPartitions::partitions);
        }
    };

    struct Assignment {
        std::vector<TopicPartitions> topic_partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic_partitions", &Assignment::topic_partitions);
        }
    };

    struct Member {
        std::string member_id{};
        std::optional<std::string> rack_id{};
        int32_t member_epoch = 0;
        std::string client_id{};
        std::string client_host{};
        std::vector<std::string> subscribed_topic_names{};
        Assignment assignment{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("member_id", &Member::member_id);
            visitor.field("rack_id", &Member::rack_id, {.nullable = every_version});
            visitor.field("member_epoch", &Member::member_epoch);
            visitor.field("client_id", &Member::client_id);
            visitor.field("client_host", &Member::client_host);
            visitor.field("subscribed_topic_names", &Member::subscribed_topic_names);
            visitor.field("assignment", &Member::assignment);
        }
    };

    struct DescribedGroup {
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};
        std::string group_id{};
        std::string group_state{};
        int32_t group_epoch = 0;
        int32_t assignment_epoch = 0;
        std::string assignor_name{};
        std::vector<Member> members{};
        int32_t authorized_operations = std::numeric_limits<int32_t>::min();

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &DescribedGroup::error_code);
            visitor.field("error_message", &DescribedGroup::error_message, {.nullable = every_version});
            visitor.field("group_id", &DescribedGroup::group_id);
            visitor.field("group_state", &DescribedGroup::group_state);
            visitor.field("group_epoch", &DescribedGroup::group_epoch);
            visitor.field("assignment_epoch", &DescribedGroup::assignment_epoch);
            visitor.field("assignor_name", &DescribedGroup::assignor_name);
            visitor.field("members", &DescribedGroup::members);
            visitor.field("authorized_operations", &DescribedGroup::authorized_operations);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<DescribedGroup> groups{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &ShareGroupDescribeResponse::throttle_time_ms);
        visitor.field("groups", &ShareGroupDescribeResponse::groups);
    }
};

}  // namespace flowstone::kafka
