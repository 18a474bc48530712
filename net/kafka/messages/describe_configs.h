// DescribeConfigs, key 32: configuration values, where they come from, and what they mean.
//
// Source: Kafka 4.3, DescribeConfigsRequest.json and Response.json, versions 1 to 4.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DescribeConfigsRequest {
    static constexpr const char* message_name = "DescribeConfigsRequest";
    static constexpr ApiKey api_key = ApiKey::describe_configs;

    struct DescribeConfigsResource {
        int8_t resource_type = 0;
        std::string resource_name{};
        std::optional<std::vector<std::string>> configuration_keys{std::in_place};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("resource_type", &DescribeConfigsResource::resource_type);
            visitor.field("resource_name", &DescribeConfigsResource::resource_name);
            visitor.field("configuration_keys", &DescribeConfigsResource::configuration_keys,
                          {.nullable = every_version});
        }
    };

    std::vector<DescribeConfigsResource> resources{};
    bool include_synonyms = false;
    bool include_documentation = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("resources", &DescribeConfigsRequest::resources);
        visitor.field("include_synonyms", &DescribeConfigsRequest::include_synonyms);
        visitor.field("include_documentation", &DescribeConfigsRequest::include_documentation, {.versions = since(3)});
    }
};

struct DescribeConfigsResponse {
    static constexpr const char* message_name = "DescribeConfigsResponse";
    static constexpr ApiKey api_key = ApiKey::describe_configs;

    struct DescribeConfigsSynonym {
        std::string name{};
        std::optional<std::string> value = "";
        int8_t source = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &DescribeConfigsSynonym::name);
            visitor.field("value", &DescribeConfigsSynonym::value, {.nullable = every_version});
            visitor.field("source", &DescribeConfigsSynonym::source);
        }
    };

    struct DescribeConfigsResourceResult {
        std::string name{};
        std::optional<std::string> value = "";
        bool read_only = false;
        int8_t config_source = -1;
        bool is_sensitive = false;
        std::vector<DescribeConfigsSynonym> synonyms{};
        int8_t config_type = 0;
        std::optional<std::string> documentation = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &DescribeConfigsResourceResult::name);
            visitor.field("value", &DescribeConfigsResourceResult::value, {.nullable = every_version});
            visitor.field("read_only", &DescribeConfigsResourceResult::read_only);
            visitor.field("config_source", &DescribeConfigsResourceResult::config_source);
            visitor.field("is_sensitive", &DescribeConfigsResourceResult::is_sensitive);
            visitor.field("synonyms", &DescribeConfigsResourceResult::synonyms);
            visitor.field("config_type", &DescribeConfigsResourceResult::config_type,
                          {.versions = since(3), .ignorable = true});
            visitor.field("documentation", &DescribeConfigsResourceResult::documentation,
                          {.versions = since(3), .nullable = every_version, .ignorable = true});
        }
    };

    struct DescribeConfigsResult {
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";
        int8_t resource_type = 0;
        std::string resource_name{};
        std::vector<DescribeConfigsResourceResult> configs{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &DescribeConfigsResult::error_code);
            visitor.field("error_message", &DescribeConfigsResult::error_message, {.nullable = every_version});
            visitor.field("resource_type", &DescribeConfigsResult::resource_type);
            visitor.field("resource_name", &DescribeConfigsResult::resource_name);
            visitor.field("configs", &DescribeConfigsResult::configs);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<DescribeConfigsResult> results{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DescribeConfigsResponse::throttle_time_ms);
        visitor.field("results", &DescribeConfigsResponse::results);
    }
};

extern template const FieldTable& table_of<DescribeConfigsRequest>();
extern template const FieldTable& table_of<DescribeConfigsResponse>();

}  // namespace flowstone::kafka
