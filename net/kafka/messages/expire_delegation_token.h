// ExpireDelegationToken, key 40: a token is to end.
//
// Source: Kafka 4.3, ExpireDelegationTokenRequest.json and Response.json, versions 1 to 2.
#pragma once

#include <cstdint>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"
#include "storage/bytes.h"

namespace flowstone::kafka {

struct ExpireDelegationTokenRequest {
    static constexpr const char* message_name = "ExpireDelegationTokenRequest";
    static constexpr ApiKey api_key = ApiKey::expire_delegation_token;

    Bytes hmac{};
    int64_t expiry_time_period_ms = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("hmac", &ExpireDelegationTokenRequest::hmac);
        visitor.field("expiry_time_period_ms", &ExpireDelegationTokenRequest::expiry_time_period_ms);
    }
};

struct ExpireDelegationTokenResponse {
    static constexpr const char* message_name = "ExpireDelegationTokenResponse";
    static constexpr ApiKey api_key = ApiKey::expire_delegation_token;

    ErrorCode error_code = ErrorCode::none;
    int64_t expiry_timestamp_ms = 0;
    int32_t throttle_time_ms = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("error_code", &ExpireDelegationTokenResponse::error_code);
        visitor.field("expiry_timestamp_ms", &ExpireDelegationTokenResponse::expiry_timestamp_ms);
        visitor.field("throttle_time_ms", &ExpireDelegationTokenResponse::throttle_time_ms);
    }
};

}  // namespace flowstone::kafka
