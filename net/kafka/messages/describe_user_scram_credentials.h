// DescribeUserScramCredentials, key 50: which SCRAM credentials users have; never the secrets.
//
// Source: Kafka 4.3, DescribeUserScramCredentialsRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DescribeUserScramCredentialsRequest {
    static constexpr const char* message_name = "DescribeUserScramCredentialsRequest";
    static constexpr ApiKey api_key = ApiKey::describe_user_scram_credentials;

    struct UserName {
        std::string name{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &UserName::name);
        }
    };

    std::optional<std::vector<UserName>> users{std::in_place};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("users", &DescribeUserScramCredentialsRequest::users, {.nullable = every_version});
    }
};

struct DescribeUserScramCredentialsResponse {
    static constexpr const char* message_name = "DescribeUserScramCredentialsResponse";
    static constexpr ApiKey api_key = ApiKey::describe_user_scram_credentials;

    struct CredentialInfo {
        int8_t mechanism = 0;
        int32_t iterations = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("mechanism", &CredentialInfo::mechanism);
            visitor.field("iterations", &CredentialInfo::iterations);
        }
    };

    struct DescribeUserScramCredentialsResult {
        std::string user{};
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";
        std::vector<CredentialInfo> credential_infos{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("user", &DescribeUserScramCredentialsResult::user);
            visitor.field("error_code", &DescribeUserScramCredentialsResult::error_code);
            visitor.field("error_message", &DescribeUserScramCredentialsResult::error_message,
                          {.nullable = every_version});
            visitor.field("credential_infos", &DescribeUserScramCredentialsResult::credential_infos);
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";
    std::vector<DescribeUserScramCredentialsResult> results{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DescribeUserScramCredentialsResponse::throttle_time_ms);
        visitor.field("error_code", &DescribeUserScramCredentialsResponse::error_code);
        visitor.field("error_message", &DescribeUserScramCredentialsResponse::error_message,
                      {.nullable = every_version});
        visitor.field("results", &DescribeUserScramCredentialsResponse::results);
    }
};

}  // namespace flowstone::kafka
