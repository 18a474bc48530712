// DescribeGroups, key 15: groups with their members.
//
// Source: Kafka 4.3, DescribeGroupsRequest.json and Response.json, versions 0 to 6.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"
#include "storage/bytes.h"

namespace flowstone::kafka {

struct DescribeGroupsRequest {
    static constexpr const char* message_name = "DescribeGroupsRequest";
    static constexpr ApiKey api_key = ApiKey::describe_groups;

    std::vector<std::string> groups{};
    bool include_authorized_operations = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("groups", &DescribeGroupsRequest::groups);
        visitor.field("include_authorized_operations", &DescribeGroupsRequest::include_authorized_operations,
                      {.versions = since(3)});
    }
};

struct DescribeGroupsResponse {
    static constexpr const char* message_name = "DescribeGroupsResponse";
    static constexpr ApiKey api_key = ApiKey::describe_groups;

    struct DescribedGroupMember {
        std::string member_id{};
        std::optional<std::string> group_instance_id{};
        std::string client_id{};
        std::string client_host{};
        Bytes member_metadata{};
        Bytes member_assignment{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("member_id", &DescribedGroupMember::member_id);
            visitor.field("group_instance_id", &DescribedGroupMember::group_instance_id,
                          {.versions = since(4), .nullable = since(4), .ignorable = true});
            visitor.field("client_id", &DescribedGroupMember::client_id);
            visitor.field("client_host", &DescribedGroupMember::client_host);
            visitor.field("member_metadata", &DescribedGroupMember::member_metadata);
            visitor.field("member_assignment", &DescribedGroupMember::member_assignment);
        }
    };

    struct DescribedGroup {
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message{};
        std::string group_id{};
        std::string group_state{};
        std::string protocol_type{};
        std::string protocol_data{};
        std::vector<DescribedGroupMember> members{};
        int32_t authorized_operations = std::numeric_limits<int32_t>::min();

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &DescribedGroup::error_code);
            visitor.field("error_message", &DescribedGroup::error_message,
                          {.versions = since(6), .nullable = since(6)});
            visitor.field("group_id", &DescribedGroup::group_id);
            visitor.field("group_state", &DescribedGroup::group_state);
            visitor.field("protocol_type", &DescribedGroup::protocol_type);
            visitor.field("protocol_data", &DescribedGroup::protocol_data);
            visitor.field("members", &DescribedGroup::members);
            visitor.field("authorized_operations", &DescribedGroup::authorized_operations, {.versions = since(3)});
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<DescribedGroup> groups{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DescribeGroupsResponse::throttle_time_ms,
                      {.versions = since(1), .ignorable = true});
        visitor.field("groups", &DescribeGroupsResponse::groups);
    }
};

extern template const FieldTable& table_of<DescribeGroupsRequest>();
extern template const FieldTable& table_of<DescribeGroupsResponse>();

}  // namespace flowstone::kafka
