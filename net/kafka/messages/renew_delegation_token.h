// RenewDelegationToken, key 39: a token is to live longer.
//
// Source: Kafka 4.3, RenewDelegationTokenRequest.json and Response.json, versions 1 to 2.
#pragma once

#include <cstdint>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"
#include "storage/bytes.h"

namespace flowstone::kafka {

struct RenewDelegationTokenRequest {
    static constexpr const char* message_name = "RenewDelegationTokenRequest";
    static constexpr ApiKey api_key = ApiKey::renew_delegation_token;

    Bytes hmac{};
    int64_t renew_period_ms = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("hmac", &RenewDelegationTokenRequest::hmac);
        visitor.field("renew_period_ms", &RenewDelegationTokenRequest::renew_period_ms);
    }
};

struct RenewDelegationTokenResponse {
    static constexpr const char* message_name = "RenewDelegationTokenResponse";
    static constexpr ApiKey api_key = ApiKey::renew_delegation_token;

    ErrorCode error_code = ErrorCode::none;
    int64_t expiry_timestamp_ms = 0;
    int32_t throttle_time_ms = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("error_code", &RenewDelegationTokenResponse::error_code);
        visitor.field("expiry_timestamp_ms", &RenewDelegationTokenResponse::expiry_timestamp_ms);
        visitor.field("throttle_time_ms", &RenewDelegationTokenResponse::throttle_time_ms);
    }
};

}  // namespace flowstone::kafka
