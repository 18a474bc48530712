// DescribeDelegationToken, key 41: the tokens of some owners.
//
// Source: Kafka 4.3, DescribeDelegationTokenRequest.json and Response.json, versions 1 to 3.
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

struct DescribeDelegationTokenRequest {
    static constexpr const char* message_name = "DescribeDelegationTokenRequest";
    static constexpr ApiKey api_key = ApiKey::describe_delegation_token;

    struct DescribeDelegationTokenOwner {
        std::string principal_type{};
        std::string principal_name{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("principal_type", &DescribeDelegationTokenOwner::principal_type);
            visitor.field("principal_name", &DescribeDelegationTokenOwner::principal_name);
        }
    };

    std::optional<std::vector<DescribeDelegationTokenOwner>> owners{std::in_place};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("owners", &DescribeDelegationTokenRequest::owners, {.nullable = every_version});
    }
};

struct DescribeDelegationTokenResponse {
    static constexpr const char* message_name = "DescribeDelegationTokenResponse";
    static constexpr ApiKey api_key = ApiKey::describe_delegation_token;

    struct DescribedDelegationTokenRenewer {
        std::string principal_type{};
        std::string principal_name{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("principal_type", &DescribedDelegationTokenRenewer::principal_type);
            visitor.field("principal_name", &DescribedDelegationTokenRenewer::principal_name);
        }
    };

    struct DescribedDelegationToken {
        std::string principal_type{};
        std::string principal_name{};
        std::string token_requester_principal_type{};
        std::string token_requester_principal_name{};
        int64_t issue_timestamp = 0;
        int64_t expiry_timestamp = 0;
        int64_t max_timestamp = 0;
        std::string token_id{};
        Bytes hmac{};
        std::vector<DescribedDelegationTokenRenewer> renewers{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("principal_type", &DescribedDelegationToken::principal_type);
            visitor.field("principal_name", &DescribedDelegationToken::principal_name);
            visitor.field("token_requester_principal_type", &DescribedDelegationToken::token_requester_principal_type,
                          {.versions = since(3)});
            visitor.field("token_requester_principal_name", &DescribedDelegationToken::token_requester_principal_name,
                          {.versions = since(3)});
            visitor.field("issue_timestamp", &DescribedDelegationToken::issue_timestamp);
            visitor.field("expiry_timestamp", &DescribedDelegationToken::expiry_timestamp);
            visitor.field("max_timestamp", &DescribedDelegationToken::max_timestamp);
            visitor.field("token_id", &DescribedDelegationToken::token_id);
            visitor.field("hmac", &DescribedDelegationToken::hmac);
            visitor.field("renewers", &DescribedDelegationToken::renewers);
        }
    };

    ErrorCode error_code = ErrorCode::none;
    std::vector<DescribedDelegationToken> tokens{};
    int32_t throttle_time_ms = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("error_code", &DescribeDelegationTokenResponse::error_code);
        visitor.field("tokens", &DescribeDelegationTokenResponse::tokens);
        visitor.field("throttle_time_ms", &DescribeDelegationTokenResponse::throttle_time_ms);
    }
};

}  // namespace flowstone::kafka
