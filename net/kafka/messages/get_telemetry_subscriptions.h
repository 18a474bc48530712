// GetTelemetrySubscriptions, key 71: which metrics a client is to push (KIP-714).
//
// Source: Kafka 4.3, GetTelemetrySubscriptionsRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <flowstone/ids.h>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct GetTelemetrySubscriptionsRequest {
    static constexpr const char* message_name = "GetTelemetrySubscriptionsRequest";
    static constexpr ApiKey api_key = ApiKey::get_telemetry_subscriptions;

    Uuid client_instance_id{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("client_instance_id", &GetTelemetrySubscriptionsRequest::client_instance_id);
    }
};

struct GetTelemetrySubscriptionsResponse {
    static constexpr const char* message_name = "GetTelemetrySubscriptionsResponse";
    static constexpr ApiKey api_key = ApiKey::get_telemetry_subscriptions;

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    Uuid client_instance_id{};
    int32_t subscription_id = 0;
    std::vector<int8_t> accepted_compression_types{};
    int32_t push_interval_ms = 0;
    int32_t telemetry_max_bytes = 0;
    bool delta_temporality = false;
    std::vector<std::string> requested_metrics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &GetTelemetrySubscriptionsResponse::throttle_time_ms);
        visitor.field("error_code", &GetTelemetrySubscriptionsResponse::error_code);
        visitor.field("client_instance_id", &GetTelemetrySubscriptionsResponse::client_instance_id);
        visitor.field("subscription_id", &GetTelemetrySubscriptionsResponse::subscription_id);
        visitor.field("accepted_compression_types", &GetTelemetrySubscriptionsResponse::accepted_compression_types);
        visitor.field("push_interval_ms", &GetTelemetrySubscriptionsResponse::push_interval_ms);
        visitor.field("telemetry_max_bytes", &GetTelemetrySubscriptionsResponse::telemetry_max_bytes);
        visitor.field("delta_temporality", &GetTelemetrySubscriptionsResponse::delta_temporality);
        visitor.field("requested_metrics", &GetTelemetrySubscriptionsResponse::requested_metrics);
    }
};

}  // namespace flowstone::kafka
