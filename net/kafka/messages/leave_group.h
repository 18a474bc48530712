// LeaveGroup, key 13: members go.
//
// Source: Kafka 4.3, LeaveGroupRequest.json and Response.json, versions 0 to 5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct LeaveGroupRequest {
    static constexpr const char* message_name = "LeaveGroupRequest";
    static constexpr ApiKey api_key = ApiKey::leave_group;

    struct MemberIdentity {
        std::string member_id{};
        std::optional<std::string> group_instance_id{};
        std::optional<std::string> reason{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("member_id", &MemberIdentity::member_id, {.versions = since(3)});
            visitor.field("group_instance_id", &MemberIdentity::group_instance_id,
                          {.versions = since(3), .nullable = since(3)});
            visitor.field("reason", &MemberIdentity::reason,
                          {.versions = since(5), .nullable = since(5), .ignorable = true});
        }
    };

    std::string group_id{};
    std::string member_id{};
    std::vector<MemberIdentity> members{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &LeaveGroupRequest::group_id);
        visitor.field("member_id", &LeaveGroupRequest::member_id, {.versions = until(2)});
        visitor.field("members", &LeaveGroupRequest::members, {.versions = since(3)});
    }
};

struct LeaveGroupResponse {
    static constexpr const char* message_name = "LeaveGroupResponse";
    static constexpr ApiKey api_key = ApiKey::leave_group;

    struct MemberResponse {
        std::string member_id{};
        std::optional<std::string> group_instance_id = "";
        ErrorCode error_code = ErrorCode::none;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("member_id", &MemberResponse::member_id, {.versions = since(3)});
            visitor.field("group_instance_id", &MemberResponse::group_instance_id,
                          {.versions = since(3), .nullable = since(3)});
            visitor.field("error_code", &MemberResponse::error_code, {.versions = since(3)});
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::vector<MemberResponse> members{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &LeaveGroupResponse::throttle_time_ms,
                      {.versions = since(1), .ignorable = true});
        visitor.field("error_code", &LeaveGroupResponse::error_code);
        visitor.field("members", &LeaveGroupResponse::members, {.versions = since(3)});
    }
};

extern template const FieldTable& table_of<LeaveGroupRequest>();
extern template const FieldTable& table_of<LeaveGroupResponse>();

}  // namespace flowstone::kafka
