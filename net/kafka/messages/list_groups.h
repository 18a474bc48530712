// ListGroups, key 16: the groups a broker coordinates.
//
// Source: Kafka 4.3, ListGroupsRequest.json and Response.json, versions 0 to 5.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct ListGroupsRequest {
    static constexpr const char* message_name = "ListGroupsRequest";
    static constexpr ApiKey api_key = ApiKey::list_groups;

    std::vector<std::string> states_filter{};
    std::vector<std::string> types_filter{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("states_filter", &ListGroupsRequest::states_filter, {.versions = since(4)});
        visitor.field("types_filter", &ListGroupsRequest::types_filter, {.versions = since(5)});
    }
};

struct ListGroupsResponse {
    static constexpr const char* message_name = "ListGroupsResponse";
    static constexpr ApiKey api_key = ApiKey::list_groups;

    struct ListedGroup {
        std::string group_id{};
        std::string protocol_type{};
        std::string group_state{};
        std::string group_type{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("group_id", &ListedGroup::group_id);
            visitor.field("protocol_type", &ListedGroup::protocol_type);
            visitor.field("group_state", &ListedGroup::group_state, {.versions = since(4), .ignorable = true});
            visitor.field("group_type", &ListedGroup::group_type, {.versions = since(5), .ignorable = true});
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::vector<ListedGroup> groups{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &ListGroupsResponse::throttle_time_ms,
                      {.versions = since(1), .ignorable = true});
        visitor.field("error_code", &ListGroupsResponse::error_code);
        visitor.field("groups", &ListGroupsResponse::groups);
    }
};

extern template const FieldTable& table_of<ListGroupsRequest>();
extern template const FieldTable& table_of<ListGroupsResponse>();

}  // namespace flowstone::kafka
