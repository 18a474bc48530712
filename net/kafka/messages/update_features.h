// UpdateFeatures, key 57: the cluster's finalised feature levels.
//
// Source: Kafka 4.3, UpdateFeaturesRequest.json and Response.json, versions 0 to 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct UpdateFeaturesRequest {
    static constexpr const char* message_name = "UpdateFeaturesRequest";
    static constexpr ApiKey api_key = ApiKey::update_features;

    struct FeatureUpdateKey {
        std::string feature{};
        int16_t max_version_level = 0;
        bool allow_downgrade = false;
        int8_t upgrade_type = 1;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("feature", &FeatureUpdateKey::feature);
            visitor.field("max_version_level", &FeatureUpdateKey::max_version_level);
            visitor.field("allow_downgrade", &FeatureUpdateKey::allow_downgrade, {.versions = until(0)});
            visitor.field("upgrade_type", &FeatureUpdateKey::upgrade_type, {.versions = since(1)});
        }
    };

    int32_t timeout_ms = 60000;
    std::vector<FeatureUpdateKey> feature_updates{};
    bool validate_only = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("timeout_ms", &UpdateFeaturesRequest::timeout_ms);
        visitor.field("feature_updates", &UpdateFeaturesRequest::feature_updates);
        visitor.field("validate_only", &UpdateFeaturesRequest::validate_only, {.versions = since(1)});
    }
};

struct UpdateFeaturesResponse {
    static constexpr const char* message_name = "UpdateFeaturesResponse";
    static constexpr ApiKey api_key = ApiKey::update_features;

    struct UpdatableFeatureResult {
        std::string feature{};
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("feature", &UpdatableFeatureResult::feature);
            visitor.field("error_code", &UpdatableFeatureResult::error_code);
            visitor.field("error_message", &UpdatableFeatureResult::error_message, {.nullable = every_version});
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";
    std::vector<UpdatableFeatureResult> results{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &UpdateFeaturesResponse::throttle_time_ms);
        visitor.field("error_code", &UpdateFeaturesResponse::error_code);
        visitor.field("error_message", &UpdateFeaturesResponse::error_message, {.nullable = every_version});
        visitor.field("results", &UpdateFeaturesResponse::results, {.versions = until(1), .ignorable = true});
    }
};

}  // namespace flowstone::kafka
