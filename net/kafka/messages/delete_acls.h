// DeleteAcls, key 31: access rules that match filters are to go.
//
// Source: Kafka 4.3, DeleteAclsRequest.json and Response.json, versions 1 to 3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DeleteAclsRequest {
    static constexpr const char* message_name = "DeleteAclsRequest";
    static constexpr ApiKey api_key = ApiKey::delete_acls;

    struct DeleteAclsFilter {
        int8_t resource_type_filter = 0;
        std::optional<std::string> resource_name_filter = "";
        int8_t pattern_type_filter = 3;
        std::optional<std::string> principal_filter = "";
        std::optional<std::string> host_filter = "";
        int8_t operation = 0;
        int8_t permission_type = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("resource_type_filter", &DeleteAclsFilter::resource_type_filter);
            visitor.field("resource_name_filter", &DeleteAclsFilter::resource_name_filter, {.nullable = every_version});
            visitor.field("pattern_type_filter", &DeleteAclsFilter::pattern_type_filter);
            visitor.field("principal_filter", &DeleteAclsFilter::principal_filter, {.nullable = every_version});
            visitor.field("host_filter", &DeleteAclsFilter::host_filter, {.nullable = every_version});
            visitor.field("operation", &DeleteAclsFilter::operation);
            visitor.field("permission_type", &DeleteAclsFilter::permission_type);
        }
    };

    std::vector<DeleteAclsFilter> filters{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("filters", &DeleteAclsRequest::filters);
    }
};

struct DeleteAclsResponse {
    static constexpr const char* message_name = "DeleteAclsResponse";
    static constexpr ApiKey api_key = ApiKey::delete_acls;

    struct DeleteAclsMatchingAcl {
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";
        int8_t resource_type = 0;
        std::string resource_name{};
        int8_t pattern_type = 3;
        std::string principal{};
        std::string host{};
        int8_t operation = 0;
        int8_t permission_type = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &DeleteAclsMatchingAcl::error_code);
            visitor.field("error_message", &DeleteAclsMatchingAcl::error_message, {.nullable = every_version});
            visitor.field("resource_type", &DeleteAclsMatchingAcl::resource_type);
            visitor.field("resource_name", &DeleteAclsMatchingAcl::resource_name);
            visitor.field("pattern_type", &DeleteAclsMatchingAcl::pattern_type);
            visitor.field("principal", &DeleteAclsMatchingAcl::principal);
            visitor.field("host", &DeleteAclsMatchingAcl::host);
            visitor.field("operation", &DeleteAclsMatchingAcl::operation);
            visitor.field("permission_type", &DeleteAclsMatchingAcl::permission_type);
        }
    };

    struct DeleteAclsFilterResult {
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";
        std::vector<DeleteAclsMatchingAcl> matching_acls{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &DeleteAclsFilterResult::error_code);
            visitor.field("error_message", &DeleteAclsFilterResult::error_message, {.nullable = every_version});
            visitor.field("matching_acls", &DeleteAclsFilterResult::matching_acls);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<DeleteAclsFilterResult> filter_results{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DeleteAclsResponse::throttle_time_ms);
        visitor.field("filter_results", &DeleteAclsResponse::filter_results);
    }
};

extern template const FieldTable& table_of<DeleteAclsRequest>();
extern template const FieldTable& table_of<DeleteAclsResponse>();

}  // namespace flowstone::kafka
