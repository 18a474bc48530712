// PushTelemetry, key 72: metrics that a client pushes (KIP-714).
//
// Source: Kafka 4.3, PushTelemetryRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>

#include <flowstone/ids.h>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"
#include "storage/bytes.h"

namespace flowstone::kafka {

struct PushTelemetryRequest {
    static constexpr const char* message_name = "PushTelemetryRequest";
    static constexpr ApiKey api_key = ApiKey::push_telemetry;

    Uuid client_instance_id{};
    int32_t subscription_id = 0;
    bool terminating = false;
    int8_t compression_type = 0;
    Bytes metrics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("client_instance_id", &PushTelemetryRequest::client_instance_id);
        visitor.field("subscription_id", &PushTelemetryRequest::subscription_id);
        visitor.field("terminating", &PushTelemetryRequest::terminating);
        visitor.field("compression_type", &PushTelemetryRequest::compression_type);
        visitor.field("metrics", &PushTelemetryRequest::metrics);
    }
};

struct PushTelemetryResponse {
    static constexpr const char* message_name = "PushTelemetryResponse";
    static constexpr ApiKey api_key = ApiKey::push_telemetry;

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &PushTelemetryResponse::throttle_time_ms);
        visitor.field("error_code", &PushTelemetryResponse::error_code);
    }
};

}  // namespace flowstone::kafka
