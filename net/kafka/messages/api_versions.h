// ApiVersions, key 18: what a broker serves, in which versions.
//
// Source: Kafka 4.3, ApiVersionsRequest.json and Response.json, versions 0 to 4.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct ApiVersionsRequest {
    static constexpr const char* message_name = "ApiVersionsRequest";
    static constexpr ApiKey api_key = ApiKey::api_versions;

    std::string client_software_name{};
    std::string client_software_version{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("client_software_name", &ApiVersionsRequest::client_software_name,
                      {.versions = since(3), .ignorable = true});
        visitor.field("client_software_version", &ApiVersionsRequest::client_software_version,
                      {.versions = since(3), .ignorable = true});
    }
};

struct ApiVersionsResponse {
    static constexpr const char* message_name = "ApiVersionsResponse";
    static constexpr ApiKey api_key = ApiKey::api_versions;

    struct ApiVersion {
        int16_t api_key = 0;
        int16_t min_version = 0;
        int16_t max_version = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("api_key", &ApiVersion::api_key);
            visitor.field("min_version", &ApiVersion::min_version);
            visitor.field("max_version", &ApiVersion::max_version);
        }
    };

    struct SupportedFeatureKey {
        std::string name{};
        int16_t min_version = 0;
        int16_t max_version = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &SupportedFeatureKey::name, {.versions = since(3)});
            visitor.field("min_version", &SupportedFeatureKey::min_version, {.versions = since(3)});
            visitor.field("max_version", &SupportedFeatureKey::max_version, {.versions = since(3)});
        }
    };

    struct FinalizedFeatureKey {
        std::string name{};
        int16_t max_version_level = 0;
        int16_t min_version_level = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &FinalizedFeatureKey::name, {.versions = since(3)});
            visitor.field("max_version_level", &FinalizedFeatureKey::max_version_level, {.versions = since(3)});
            visitor.field("min_version_level", &FinalizedFeatureKey::min_version_level, {.versions = since(3)});
        }
    };

    ErrorCode error_code = ErrorCode::none;
    std::vector<ApiVersion> api_keys{};
    int32_t throttle_time_ms = 0;
    std::vector<SupportedFeatureKey> supported_features{};
    int64_t finalized_features_epoch = -1;
    std::vector<FinalizedFeatureKey> finalized_features{};
    bool zk_migration_ready = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("error_code", &ApiVersionsResponse::error_code);
        visitor.field("api_keys", &ApiVersionsResponse::api_keys);
        visitor.field("throttle_time_ms", &ApiVersionsResponse::throttle_time_ms,
                      {.versions = since(1), .ignorable = true});
        visitor.field("supported_features", &ApiVersionsResponse::supported_features,
                      {.versions = since(3), .tag = 0, .ignorable = true});
        visitor.field("finalized_features_epoch", &ApiVersionsResponse::finalized_features_epoch,
                      {.versions = since(3), .tag = 1, .ignorable = true});
        visitor.field("finalized_features", &ApiVersionsResponse::finalized_features,
                      {.versions = since(3), .tag = 2, .ignorable = true});
        visitor.field("zk_migration_ready", &ApiVersionsResponse::zk_migration_ready,
                      {.versions = since(3), .tag = 3, .ignorable = true});
    }
};

extern template const FieldTable& table_of<ApiVersionsRequest>();
extern template const FieldTable& table_of<ApiVersionsResponse>();

}  // namespace flowstone::kafka
