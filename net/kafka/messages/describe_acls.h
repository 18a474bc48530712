// DescribeAcls, key 29: access rules that match a filter.
//
// Source: Kafka 4.3, DescribeAclsRequest.json and Response.json, versions 1 to 3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DescribeAclsRequest {
    static constexpr const char* message_name = "DescribeAclsRequest";
    static constexpr ApiKey api_key = ApiKey::describe_acls;

    int8_t resource_type_filter = 0;
    std::optional<std::string> resource_name_filter = "";
    int8_t pattern_type_filter = 3;
    std::optional<std::string> principal_filter = "";
    std::optional<std::string> host_filter = "";
    int8_t operation = 0;
    int8_t permission_type = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("resource_type_filter", &DescribeAclsRequest::resource_type_filter);
        visitor.field("resource_name_filter", &DescribeAclsRequest::resource_name_filter, {.nullable = every_version});
        visitor.field("pattern_type_filter", &DescribeAclsRequest::pattern_type_filter);
        visitor.field("principal_filter", &DescribeAclsRequest::principal_filter, {.nullable = every_version});
        visitor.field("host_filter", &DescribeAclsRequest::host_filter, {.nullable = every_version});
        visitor.field("operation", &DescribeAclsRequest::operation);
        visitor.field("permission_type", &DescribeAclsRequest::permission_type);
    }
};

struct DescribeAclsResponse {
    static constexpr const char* message_name = "DescribeAclsResponse";
    static constexpr ApiKey api_key = ApiKey::describe_acls;

    struct AclDescription {
        std::string principal{};
        std::string host{};
        int8_t operation = 0;
        int8_t permission_type = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("principal", &AclDescription::principal);
            visitor.field("host", &AclDescription::host);
            visitor.field("operation", &AclDescription::operation);
            visitor.field("permission_type", &AclDescription::permission_type);
        }
    };

    struct DescribeAclsResource {
        int8_t resource_type = 0;
        std::string resource_name{};
        int8_t pattern_type = 3;
        std::vector<AclDescription> acls{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("resource_type", &DescribeAclsResource::resource_type);
            visitor.field("resource_name", &DescribeAclsResource::resource_name);
            visitor.field("pattern_type", &DescribeAclsResource::pattern_type);
            visitor.field("acls", &DescribeAclsResource::acls);
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";
    std::vector<DescribeAclsResource> resources{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DescribeAclsResponse::throttle_time_ms);
        visitor.field("error_code", &DescribeAclsResponse::error_code);
        visitor.field("error_message", &DescribeAclsResponse::error_message, {.nullable = every_version});
        visitor.field("resources", &DescribeAclsResponse::resources);
    }
};

extern template const FieldTable& table_of<DescribeAclsRequest>();
extern template const FieldTable& table_of<DescribeAclsResponse>();

}  // namespace flowstone::kafka
