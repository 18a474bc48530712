// IncrementalAlterConfigs, key 44: single configuration values, set, deleted, appended to or subtracted from.
//
// Source: Kafka 4.3, IncrementalAlterConfigsRequest.json and Response.json, versions 0 to 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct IncrementalAlterConfigsRequest {
    static constexpr const char* message_name = "IncrementalAlterConfigsRequest";
    static constexpr ApiKey api_key = ApiKey::incremental_alter_configs;

    struct AlterableConfig {
        std::string name{};
        int8_t config_operation = 0;
        std::optional<std::string> value = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &AlterableConfig::name);
            visitor.field("config_operation", &AlterableConfig::config_operation);
            visitor.field("value", &AlterableConfig::value, {.nullable = every_version});
        }
    };

    struct AlterConfigsResource {
        int8_t resource_type = 0;
        std::string resource_name{};
        std::vector<AlterableConfig> configs{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("resource_type", &AlterConfigsResource::resource_type);
            visitor.field("resource_name", &AlterConfigsResource::resource_name);
            visitor.field("configs", &AlterConfigsResource::configs);
        }
    };

    std::vector<AlterConfigsResource> resources{};
    bool validate_only = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("resources", &IncrementalAlterConfigsRequest::resources);
        visitor.field("validate_only", &IncrementalAlterConfigsRequest::validate_only);
    }
};

struct IncrementalAlterConfigsResponse {
    static constexpr const char* message_name = "IncrementalAlterConfigsResponse";
    static constexpr ApiKey api_key = ApiKey::incremental_alter_configs;

    struct AlterConfigsResourceResponse {
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";
        int8_t resource_type = 0;
        std::string resource_name{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &AlterConfigsResourceResponse::error_code);
            visitor.field("error_message", &AlterConfigsResourceResponse::error_message, {.nullable = every_version});
            visitor.field("resource_type", &AlterConfigsResourceResponse::resource_type);
            visitor.field("resource_name", &AlterConfigsResourceResponse::resource_name);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<AlterConfigsResourceResponse> responses{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &IncrementalAlterConfigsResponse::throttle_time_ms);
        visitor.field("responses", &IncrementalAlterConfigsResponse::responses);
    }
};

extern template const FieldTable& table_of<IncrementalAlterConfigsRequest>();
extern template const FieldTable& table_of<IncrementalAlterConfigsResponse>();

}  // namespace flowstone::kafka
