// ListConfigResources, key 74: resources that have configuration.
//
// Source: Kafka 4.3, ListConfigResourcesRequest.json and Response.json, versions 0 to 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct ListConfigResourcesRequest {
    static constexpr const char* message_name = "ListConfigResourcesRequest";
    static constexpr ApiKey api_key = ApiKey::list_config_resources;

    std::vector<int8_t> resource_types{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("resource_types", &ListConfigResourcesRequest::resource_types, {.versions = since(1)});
    }
};

struct ListConfigResourcesResponse {
    static constexpr const char* message_name = "ListConfigResourcesResponse";
    static constexpr ApiKey api_key = ApiKey::list_config_resources;

    struct ConfigResource {
        std::string resource_name{};
        int8_t resource_type = 16;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("resource_name", &ConfigResource::resource_name);
            visitor.field("resource_type", &ConfigResource::resource_type, {.versions = since(1), .ignorable = true});
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::vector<ConfigResource> config_resources{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &ListConfigResourcesResponse::throttle_time_ms);
        visitor.field("error_code", &ListConfigResourcesResponse::error_code);
        visitor.field("config_resources", &ListConfigResourcesResponse::config_resources);
    }
};

extern template const FieldTable& table_of<ListConfigResourcesRequest>();
extern template const FieldTable& table_of<ListConfigResourcesResponse>();

}  // namespace flowstone::kafka
