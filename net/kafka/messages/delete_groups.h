// DeleteGroups, key 42: empty groups are to go, offsets and all.
//
// Source: Kafka 4.3, DeleteGroupsRequest.json and Response.json, versions 0 to 2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DeleteGroupsRequest {
    static constexpr const char* message_name = "DeleteGroupsRequest";
    static constexpr ApiKey api_key = ApiKey::delete_groups;

    std::vector<std::string> groups_names{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("groups_names", &DeleteGroupsRequest::groups_names);
    }
};

struct DeleteGroupsResponse {
    static constexpr const char* message_name = "DeleteGroupsResponse";
    static constexpr ApiKey api_key = ApiKey::delete_groups;

    struct DeletableGroupResult {
        std::string group_id{};
        ErrorCode error_code = ErrorCode::none;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("group_id", &DeletableGroupResult::group_id);
            visitor.field("error_code", &DeletableGroupResult::error_code);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<DeletableGroupResult> results{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DeleteGroupsResponse::throttle_time_ms);
        visitor.field("results", &DeleteGroupsResponse::results);
    }
};

extern template const FieldTable& table_of<DeleteGroupsRequest>();
extern template const FieldTable& table_of<DeleteGroupsResponse>();

}  // namespace flowstone::kafka
