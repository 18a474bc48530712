// JoinGroup, key 11: a member enters a group, and learns its generation.
//
// Source: Kafka 4.3, JoinGroupRequest.json and Response.json, versions 0 to 9.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"
#include "storage/bytes.h"

namespace flowstone::kafka {

struct JoinGroupRequest {
    static constexpr const char* message_name = "JoinGroupRequest";
    static constexpr ApiKey api_key = ApiKey::join_group;

    struct JoinGroupRequestProtocol {
        std::string name{};
        Bytes metadata{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &JoinGroupRequestProtocol::name);
            visitor.field("metadata", &JoinGroupRequestProtocol::metadata);
        }
    };

    std::string group_id{};
    int32_t session_timeout_ms = 0;
    int32_t rebalance_timeout_ms = -1;
    std::string member_id{};
    std::optional<std::string> group_instance_id{};
    std::string protocol_type{};
    std::vector<JoinGroupRequestProtocol> protocols{};
    std::optional<std::string> reason{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &JoinGroupRequest::group_id);
        visitor.field("session_timeout_ms", &JoinGroupRequest::session_timeout_ms);
        visitor.field("rebalance_timeout_ms", &JoinGroupRequest::rebalance_timeout_ms,
                      {.versions = since(1), .ignorable = true});
        visitor.field("member_id", &JoinGroupRequest::member_id);
        visitor.field("group_instance_id", &JoinGroupRequest::group_instance_id,
                      {.versions = since(5), .nullable = since(5)});
        visitor.field("protocol_type", &JoinGroupRequest::protocol_type);
        visitor.field("protocols", &JoinGroupRequest::protocols);
        visitor.field("reason", &JoinGroupRequest::reason,
                      {.versions = since(8), .nullable = since(8), .ignorable = true});
    }
};

struct JoinGroupResponse {
    static constexpr const char* message_name = "JoinGroupResponse";
    static constexpr ApiKey api_key = ApiKey::join_group;

    struct JoinGroupResponseMember {
        std::string member_id{};
        std::optional<std::string> group_instance_id{};
        Bytes metadata{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("member_id", &JoinGroupResponseMember::member_id);
            visitor.field("group_instance_id", &JoinGroupResponseMember::group_instance_id,
                          {.versions = since(5), .nullable = since(5), .ignorable = true});
            visitor.field("metadata", &JoinGroupResponseMember::metadata);
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    int32_t generation_id = -1;
    std::optional<std::string> protocol_type{};
    std::optional<std::string> protocol_name = "";
    std::string leader{};
    bool skip_assignment = false;
    std::string member_id{};
    std::vector<JoinGroupResponseMember> members{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &JoinGroupResponse::throttle_time_ms,
                      {.versions = since(2), .ignorable = true});
        visitor.field("error_code", &JoinGroupResponse::error_code);
        visitor.field("generation_id", &JoinGroupResponse::generation_id);
        visitor.field("protocol_type", &JoinGroupResponse::protocol_type,
                      {.versions = since(7), .nullable = since(7), .ignorable = true});
        visitor.field("protocol_name", &JoinGroupResponse::protocol_name, {.nullable = since(7)});
        visitor.field("leader", &JoinGroupResponse::leader);
        visitor.field("skip_assignment", &JoinGroupResponse::skip_assignment, {.versions = since(9)});
        visitor.field("member_id", &JoinGroupResponse::member_id);
        visitor.field("members", &JoinGroupResponse::members);
    }
};

extern template const FieldTable& table_of<JoinGroupRequest>();
extern template const FieldTable& table_of<JoinGroupResponse>();

}  // namespace flowstone::kafka
