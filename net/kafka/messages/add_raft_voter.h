// AddRaftVoter, key 80: a voter joins the metadata log's quorum.
//
// Source: Kafka 4.3, AddRaftVoterRequest.json and Response.json, versions 0 to 1.
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

struct AddRaftVoterRequest {
    static constexpr const char* message_name = "AddRaftVoterRequest";
    static constexpr ApiKey api_key = ApiKey::add_raft_voter;

    struct Listener {
        std::string name{};
        std::string host{};
        uint16_t port = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &Listener::name);
            visitor.field("host", &Listener::host);
            visitor.field("port", &Listener::port);
        }
    };

    std::optional<std::string> cluster_id = "";
    int32_t timeout_ms = 0;
    int32_t voter_id = 0;
    Uuid voter_directory_id{};
    std::vector<Listener> listeners{};
    bool ack_when_committed = true;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("cluster_id", &AddRaftVoterRequest::cluster_id, {.nullable = every_version});
        visitor.field("timeout_ms", &AddRaftVoterRequest::timeout_ms);
        visitor.field("voter_id", &AddRaftVoterRequest::voter_id);
        visitor.field("voter_directory_id", &AddRaftVoterRequest::voter_directory_id);
        visitor.field("listeners", &AddRaftVoterRequest::listeners);
        visitor.field("ack_when_committed", &AddRaftVoterRequest::ack_when_committed, {.versions = since(1)});
    }
};

struct AddRaftVoterResponse {
    static constexpr const char* message_name = "AddRaftVoterResponse";
    static constexpr ApiKey api_key = ApiKey::add_raft_voter;

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &AddRaftVoterResponse::throttle_time_ms);
        visitor.field("error_code", &AddRaftVoterResponse::error_code);
        visitor.field("error_message", &AddRaftVoterResponse::error_message, {.nullable = every_version});
    }
};

}  // namespace flowstone::kafka
