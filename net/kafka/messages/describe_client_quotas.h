// DescribeClientQuotas, key 48: quotas that match a filter.
//
// Source: Kafka 4.3, DescribeClientQuotasRequest.json and Response.json, versions 0 to 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DescribeClientQuotasRequest {
    static constexpr const char* message_name = "DescribeClientQuotasRequest";
    static constexpr ApiKey api_key = ApiKey::describe_client_quotas;

    struct ComponentData {
        std::string entity_type{};
        int8_t match_type = 0;
        std::optional<std::string> match = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("entity_type", &ComponentData::entity_type);
            visitor.field("match_type", &ComponentData::match_type);
            visitor.field("match", &ComponentData::match, {.nullable = every_version});
        }
    };

    std::vector<ComponentData> components{};
    bool strict = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("components", &DescribeClientQuotasRequest::components);
        visitor.field("strict", &DescribeClientQuotasRequest::strict);
    }
};

struct DescribeClientQuotasResponse {
    static constexpr const char* message_name = "DescribeClientQuotasResponse";
    static constexpr ApiKey api_key = ApiKey::describe_client_quotas;

    struct EntityData {
        std::string entity_type{};
        std::optional<std::string> entity_name = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("entity_type", &EntityData::entity_type);
            visitor.field("entity_name", &EntityData::entity_name, {.nullable = every_version});
        }
    };

    struct ValueData {
        std::string key{};
        double value = 0.0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("key", &ValueData::key);
            visitor.field("value", &ValueData::value);
        }
    };

    struct EntryData {
        std::vector<EntityData> entity{};
        std::vector<ValueData> values{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("entity", &EntryData::entity);
            visitor.field("values", &EntryData::values);
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";
    std::optional<std::vector<EntryData>> entries{std::in_place};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DescribeClientQuotasResponse::throttle_time_ms);
        visitor.field("error_code", &DescribeClientQuotasResponse::error_code);
        visitor.field("error_message", &DescribeClientQuotasResponse::error_message, {.nullable = every_version});
        visitor.field("entries", &DescribeClientQuotasResponse::entries, {.nullable = every_version});
    }
};

extern template const FieldTable& table_of<DescribeClientQuotasRequest>();
extern template const FieldTable& table_of<DescribeClientQuotasResponse>();

}  // namespace flowstone::kafka
