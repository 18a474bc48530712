// Heartbeat, key 12: a member is alive; the answer says whether the group is being balanced.
//
// Source: Kafka 4.3, HeartbeatRequest.json and Response.json, versions 0 to 4.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct HeartbeatRequest {
    static constexpr const char* message_name = "HeartbeatRequest";
    static constexpr ApiKey api_key = ApiKey::heartbeat;

    std::string group_id{};
    int32_t generation_id = 0;
    std::string member_id{};
    std::optional<std::string> group_instance_id{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("group_id", &HeartbeatRequest::group_id);
        visitor.field("generation_id", &HeartbeatRequest::generation_id);
        visitor.field("member_id", &HeartbeatRequest::member_id);
        visitor.field("group_instance_id", &HeartbeatRequest::group_instance_id,
                      {.versions = since(3), .nullable = since(3)});
    }
};

struct HeartbeatResponse {
    static constexpr const char* message_name = "HeartbeatResponse";
    static constexpr ApiKey api_key = ApiKey::heartbeat;

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &HeartbeatResponse::throttle_time_ms,
                      {.versions = since(1), .ignorable = true});
        visitor.field("error_code", &HeartbeatResponse::error_code);
    }
};

extern template const FieldTable& table_of<HeartbeatRequest>();
extern template const FieldTable& table_of<HeartbeatResponse>();

}  // namespace flowstone::kafka
