// CreateAcls, key 30: access rules to be added.
//
// Source: Kafka 4.3, CreateAclsRequest.json and Response.json, versions 1 to 3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct CreateAclsRequest {
    static constexpr const char* message_name = "CreateAclsRequest";
    static constexpr ApiKey api_key = ApiKey::create_acls;

    struct AclCreation {
        int8_t resource_type = 0;
        std::string resource_name{};
        int8_t resource_pattern_type = 3;
        std::string principal{};
        std::string host{};
        int8_t operation = 0;
        int8_t permission_type = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("resource_type", &AclCreation::resource_type);
            visitor.field("resource_name", &AclCreation::resource_name);
            visitor.field("resource_pattern_type", &AclCreation::resource_pattern_type);
            visitor.field("principal", &AclCreation::principal);
            visitor.field("host", &AclCreation::host);
            visitor.field("operation", &AclCreation::operation);
            visitor.field("permission_type", &AclCreation::permission_type);
        }
    };

    std::vector<AclCreation> creations{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("creations", &CreateAclsRequest::creations);
    }
};

struct CreateAclsResponse {
    static constexpr const char* message_name = "CreateAclsResponse";
    static constexpr ApiKey api_key = ApiKey::create_acls;

    struct AclCreationResult {
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &AclCreationResult::error_code);
            visitor.field("error_message", &AclCreationResult::error_message, {.nullable = every_version});
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<AclCreationResult> results{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &CreateAclsResponse::throttle_time_ms);
        visitor.field("results", &CreateAclsResponse::results);
    }
};

extern template const FieldTable& table_of<CreateAclsRequest>();
extern template const FieldTable& table_of<CreateAclsResponse>();

}  // namespace flowstone::kafka
