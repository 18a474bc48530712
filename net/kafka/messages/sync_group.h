// SyncGroup, key 14: the leader hands out assignments; each member gets its own.
//
// Source: Kafka 4.3, SyncGroupRequest.json and Response.json, versions 0 to 5.
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

struct SyncGroupRequest {
    static constexpr const char* message_name = "SyncGroupRequest";
    static constexpr ApiKey api_key = ApiKey::sync_group;

    struct SyncGroupRequestAssignment {
        std::string member_id{};
        Bytes assignment{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("member_id", &SyncGroupRequestAssignment::member_id);
            visitor.field("assignment", &SyncGroupRequestAssignment::assignment);
        }
    };

    std::string group_id{};
    int32_t generation_id = 0;
    std::string member_id{};
    std::optional<std::string> group_instance_id{};
    std::optional<std::string> protocol_type{};
    std::optional<std::string> protocol_name{};
    std::vector<SyncGroupRequestAssignment> assignments{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &SyncGroupRequest::group_id);
        visitor.field("generation_id", &SyncGroupRequest::generation_id);
        visitor.field("member_id", &SyncGroupRequest::member_id);
        visitor.field("group_instance_id", &SyncGroupRequest::group_instance_id,
                      {.versions = since(3), .nullable = since(3)});
        visitor.field("protocol_type", &SyncGroupRequest::protocol_type,
                      {.versions = since(5), .nullable = since(5), .ignorable = true});
        visitor.field("protocol_name", &SyncGroupRequest::protocol_name,
                      {.versions = since(5), .nullable = since(5), .ignorable = true});
        visitor.field("assignments", &SyncGroupRequest::assignments);
    }
};

struct SyncGroupResponse {
    static constexpr const char* message_name = "SyncGroupResponse";
    static constexpr ApiKey api_key = ApiKey::sync_group;

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> protocol_type{};
    std::optional<std::string> protocol_name{};
    Bytes assignment{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &SyncGroupResponse::throttle_time_ms,
                      {.versions = since(1), .ignorable = true});
        visitor.field("error_code", &SyncGroupResponse::error_code);
        visitor.field("protocol_type", &SyncGroupResponse::protocol_type,
                      {.versions = since(5), .nullable = since(5), .ignorable = true});
        visitor.field("protocol_name", &SyncGroupResponse::protocol_name,
                      {.versions = since(5), .nullable = since(5), .ignorable = true});
        visitor.field("assignment", &SyncGroupResponse::assignment);
    }
};

extern template const FieldTable& table_of<SyncGroupRequest>();
extern template const FieldTable& table_of<SyncGroupResponse>();

}  // namespace flowstone::kafka
