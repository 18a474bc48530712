// SaslAuthenticate, key 36: one token of a SASL exchange.
//
// Source: Kafka 4.3, SaslAuthenticateRequest.json and Response.json, versions 0 to 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"
#include "storage/bytes.h"

namespace flowstone::kafka {

struct SaslAuthenticateRequest {
    static constexpr const char* message_name = "SaslAuthenticateRequest";
    static constexpr ApiKey api_key = ApiKey::sasl_authenticate;

    Bytes auth_bytes{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("auth_bytes", &SaslAuthenticateRequest::auth_bytes);
    }
};

struct SaslAuthenticateResponse {
    static constexpr const char* message_name = "SaslAuthenticateResponse";
    static constexpr ApiKey api_key = ApiKey::sasl_authenticate;

    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";
    Bytes auth_bytes{};
    int64_t session_lifetime_ms = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("error_code", &SaslAuthenticateResponse::error_code);
        visitor.field("error_message", &SaslAuthenticateResponse::error_message, {.nullable = every_version});
        visitor.field("auth_bytes", &SaslAuthenticateResponse::auth_bytes);
        visitor.field("session_lifetime_ms", &SaslAuthenticateResponse::session_lifetime_ms,
                      {.versions = since(1), .ignorable = true});
    }
};

}  // namespace flowstone::kafka
