// AlterClientQuotas, key 49: quotas to be set or removed.
//
// Source: Kafka 4.3, AlterClientQuotasRequest.json and Response.json, versions 0 to 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct AlterClientQuotasRequest {
    static constexpr const char* message_name = "AlterClientQuotasRequest";
    static constexpr ApiKey api_key = ApiKey::alter_client_quotas;

    struct EntityData {
        std::string entity_type{};
        std::optional<std::string> entity_name = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("entity_type", &EntityData::entity_type);
            visitor.field("entity_name", &EntityData::entity_name, {.nullable = every_version});
        }
    };

    struct OpData {
        std::string key{};
        double value = 0.0;
        bool remove = false;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("key", &OpData::key);
            visitor.field("value", &OpData::value);
            visitor.field("remove", &OpData::remove);
        }
    };

    struct EntryData {
        std::vector<EntityData> entity{};
        std::vector<OpData> ops{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("entity", &EntryData::entity);
            visitor.field("ops", &EntryData::ops);
        }
    };

    std::vector<EntryData> entries{};
    bool validate_only = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("entries", &AlterClientQuotasRequest::entries);
        visitor.field("validate_only", &AlterClientQuotasRequest::validate_only);
    }
};

struct AlterClientQuotasResponse {
    static constexpr const char* message_name = "AlterClientQuotasResponse";
    static constexpr ApiKey api_key = ApiKey::alter_client_quotas;

    struct EntityData {
        std::string entity_type{};
        std::optional<std::string> entity_name = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("entity_type", &EntityData::entity_type);
            visitor.field("entity_name", &EntityData::entity_name, {.nullable = every_version});
        }
    };

    struct EntryData {
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";
        std::vector<EntityData> entity{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &EntryData::error_code);
            visitor.field("error_message", &EntryData::error_message, {.nullable = every_version});
            visitor.field("entity", &EntryData::entity);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<EntryData> entries{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &AlterClientQuotasResponse::throttle_time_ms);
        visitor.field("entries", &AlterClientQuotasResponse::entries);
    }
};

}  // namespace flowstone::kafka
