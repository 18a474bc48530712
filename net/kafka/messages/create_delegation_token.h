// CreateDelegationToken, key 38: a token to log in with in another's name.
//
// Source: Kafka 4.3, CreateDelegationTokenRequest.json and Response.json, versions 1 to 3.
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

struct CreateDelegationTokenRequest {
    static constexpr const char* message_name = "CreateDelegationTokenRequest";
    static constexpr ApiKey api_key = ApiKey::create_delegation_token;

    struct CreatableRenewers {
        std::string principal_type{};
        std::string principal_name{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("principal_type", &CreatableRenewers::principal_type);
            visitor.field("principal_name", &CreatableRenewers::principal_name);
        }
    };

    std::optional<std::string> owner_principal_type = "";
    std::optional<std::string> owner_principal_name = "";
    std::vector<CreatableRenewers> renewers{};
    int64_t max_lifetime_ms = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("owner_principal_type", &CreateDelegationTokenRequest::owner_principal_type,
                      {.versions = since(3), .nullable = since(3)});
        visitor.field("owner_principal_name", &CreateDelegationTokenRequest::owner_principal_name,
                      {.versions = since(3), .nullable = since(3)});
        visitor.field("renewers", &CreateDelegationTokenRequest::renewers);
        visitor.field("max_lifetime_ms", &CreateDelegationTokenRequest::max_lifetime_ms);
    }
};

struct CreateDelegationTokenResponse {
    static constexpr const char* message_name = "CreateDelegationTokenResponse";
    static constexpr ApiKey api_key = ApiKey::create_delegation_token;

    ErrorCode error_code = ErrorCode::none;
    std::string principal_type{};
    std::string principal_name{};
    std::string token_requester_principal_type{};
    std::string token_requester_principal_name{};
    int64_t issue_timestamp_ms = 0;
    int64_t expiry_timestamp_ms = 0;
    int64_t max_timestamp_ms = 0;
    std::string token_id{};
    Bytes hmac{};
    int32_t throttle_time_ms = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("error_code", &CreateDelegationTokenResponse::error_code);
        visitor.field("principal_type", &CreateDelegationTokenResponse::principal_type);
        visitor.field("principal_name", &CreateDelegationTokenResponse::principal_name);
        visitor.field("token_requester_principal_type", &CreateDelegationTokenResponse::token_requester_principal_type,
                      {.versions = since(3)});
        visitor.field("token_requester_principal_name", &CreateDelegationTokenResponse::token_requester_principal_name,
                      {.versions = since(3)});
        visitor.field("issue_timestamp_ms", &CreateDelegationTokenResponse::issue_timestamp_ms);
        visitor.field("expiry_timestamp_ms", &CreateDelegationTokenResponse::expiry_timestamp_ms);
        visitor.field("max_timestamp_ms", &CreateDelegationTokenResponse::max_timestamp_ms);
        visitor.field("token_id", &CreateDelegationTokenResponse::token_id);
        visitor.field("hmac", &CreateDelegationTokenResponse::hmac);
        visitor.field("throttle_time_ms", &CreateDelegationTokenResponse::throttle_time_ms);
    }
};

}  // namespace flowstone::kafka
