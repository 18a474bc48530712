// RemoveRaftVoter, key 81: a voter leaves the metadata log's quorum.
//
// Source: Kafka 4.3, RemoveRaftVoterRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <flowstone/ids.h>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct RemoveRaftVoterRequest {
    static constexpr const char* message_name = "RemoveRaftVoterRequest";
    static constexpr ApiKey api_key = ApiKey::remove_raft_voter;

    std::optional<std::string> cluster_id = "";
    int32_t voter_id = 0;
    Uuid voter_directory_id{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("cluster_id", &RemoveRaftVoterRequest::cluster_id, {.nullable = every_version});
        visitor.field("voter_id", &RemoveRaftVoterRequest::voter_id);
        visitor.field("voter_directory_id", &RemoveRaftVoterRequest::voter_directory_id);
    }
};

struct RemoveRaftVoterResponse {
    static constexpr const char* message_name = "RemoveRaftVoterResponse";
    static constexpr ApiKey api_key = ApiKey::remove_raft_voter;

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &RemoveRaftVoterResponse::throttle_time_ms);
        visitor.field("error_code", &RemoveRaftVoterResponse::error_code);
        visitor.field("error_message", &RemoveRaftVoterResponse::error_message, {.nullable = every_version});
    }
};

}  // namespace flowstone::kafka
