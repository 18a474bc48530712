// SaslHandshake, key 17: which SASL mechanism a connection will use.
//
// Source: Kafka 4.3, SaslHandshakeRequest.json and Response.json, versions 0 to 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct SaslHandshakeRequest {
    static constexpr const char* message_name = "SaslHandshakeRequest";
    static constexpr ApiKey api_key = ApiKey::sasl_handshake;

    std::string mechanism{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("mechanism", &SaslHandshakeRequest::mechanism);
    }
};

struct SaslHandshakeResponse {
    static constexpr const char* message_name = "SaslHandshakeResponse";
    static constexpr ApiKey api_key = ApiKey::sasl_handshake;

    ErrorCode error_code = ErrorCode::none;
    std::vector<std::string> mechanisms{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("error_code", &SaslHandshakeResponse::error_code);
        visitor.field("mechanisms", &SaslHandshakeResponse::mechanisms);
    }
};

}  // namespace flowstone::kafka
