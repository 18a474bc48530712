// AlterUserScramCredentials, key 51: SCRAM credentials to be set or removed.
//
// Source: Kafka 4.3, AlterUserScramCredentialsRequest.json and Response.json, version 0.
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

struct AlterUserScramCredentialsRequest {
    static constexpr const char* message_name = "AlterUserScramCredentialsRequest";
    static constexpr ApiKey api_key = ApiKey::alter_user_scram_credentials;

    struct ScramCredentialDeletion {
        std::string name{};
        int8_t mechanism = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &ScramCredentialDeletion::name);
            visitor.field("mechanism", &ScramCredentialDeletion::mechanism);
        }
    };

    struct ScramCredentialUpsertion {
        std::string name{};
        int8_t mechanism = 0;
        int32_t iterations = 0;
        Bytes salt{};
        Bytes salted_password{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &ScramCredentialUpsertion::name);
            visitor.field("mechanism", &ScramCredentialUpsertion::mechanism);
            visitor.field("iterations", &ScramCredentialUpsertion::iterations);
            visitor.field("salt", &ScramCredentialUpsertion::salt);
            visitor.field("salted_password", &ScramCredentialUpsertion::salted_password);
        }
    };

    std::vector<ScramCredentialDeletion> deletions{};
    std::vector<ScramCredentialUpsertion> upsertions{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("deletions", &AlterUserScramCredentialsRequest::deletions);
        visitor.field("upsertions", &AlterUserScramCredentialsRequest::upsertions);
    }
};

struct AlterUserScramCredentialsResponse {
    static constexpr const char* message_name = "AlterUserScramCredentialsResponse";
    static constexpr ApiKey api_key = ApiKey::alter_user_scram_credentials;

    struct AlterUserScramCredentialsResult {
        std::string user{};
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("user", &AlterUserScramCredentialsResult::user);
            visitor.field("error_code", &AlterUserScramCredentialsResult::error_code);
            visitor.field("error_message", &AlterUserScramCredentialsResult::error_message,
                          {.nullable = every_version});
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<AlterUserScramCredentialsResult> results{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &AlterUserScramCredentialsResponse::throttle_time_ms);
        visitor.field("results", &AlterUserScramCredentialsResponse::results);
    }
};

}  // namespace flowstone::kafka
