// AlterConfigs, key 33: all of a resource's configuration, replaced.
//
// Source: Kafka 4.3, AlterConfigsRequest.json and Response.json, versions 0 to 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct AlterConfigsRequest {
    static constexpr const char* message_name = "AlterConfigsRequest";
    static constexpr ApiKey api_key = ApiKey::alter_configs;

    struct AlterableConfig {
        std::string name{};
        std::optional<std::string> value = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &AlterableConfig::name);
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
        visitor.field("resources", &AlterConfigsRequest::resources);
        visitor.field("validate_only", &AlterConfigsRequest::validate_only);
    }
};

struct AlterConfigsResponse {
    static constexpr const char* message_name = "AlterConfigsResponse";
    static constexpr ApiKey api_key = ApiKey::alter_configs;

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
        visitor.field("throttle_time_ms", &AlterConfigsResponse::throttle_time_ms);
        visitor.field("responses", &AlterConfigsResponse::responses);
    }
};

extern template const FieldTable& table_of<AlterConfigsRequest>();
extern template const FieldTable& table_of<AlterConfigsResponse>();

}  // namespace flowstone::kafka
