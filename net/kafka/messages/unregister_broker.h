// UnregisterBroker, key 64: a broker that will not come back.
//
// Source: Kafka 4.3, UnregisterBrokerRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct UnregisterBrokerRequest {
    static constexpr const char* message_name = "UnregisterBrokerRequest";
    static constexpr ApiKey api_key = ApiKey::unregister_broker;

    int32_t broker_id = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("broker_id", &UnregisterBrokerRequest::broker_id);
    }
};

struct UnregisterBrokerResponse {
    static constexpr const char* message_name = "UnregisterBrokerResponse";
    static constexpr ApiKey api_key = ApiKey::unregister_broker;

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &UnregisterBrokerResponse::throttle_time_ms);
        visitor.field("error_code", &UnregisterBrokerResponse::error_code);
        visitor.field("error_message", &UnregisterBrokerResponse::error_message, {.nullable = every_version});
    }
};

}  // namespace flowstone::kafka
