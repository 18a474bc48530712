// InitProducerId, key 22: an id and epoch for an idempotent or transactional producer. Version 6 is unstable.
//
// Source: Kafka 4.3, InitProducerIdRequest.json and Response.json, versions 0 to 5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct InitProducerIdRequest {
    static constexpr const char* message_name = "InitProducerIdRequest";
    static constexpr ApiKey api_key = ApiKey::init_producer_id;

    std::optional<std::string> transactional_id = "";
    int32_t transaction_timeout_ms = 0;
    int64_t producer_id = -1;
    int16_t producer_epoch = -1;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("transactional_id", &InitProducerIdRequest::transactional_id, {.nullable = every_version});
        visitor.field("transaction_timeout_ms", &InitProducerIdRequest::transaction_timeout_ms);
        visitor.field("producer_id", &InitProducerIdRequest::producer_id, {.versions = since(3)});
        visitor.field("producer_epoch", &InitProducerIdRequest::producer_epoch, {.versions = since(3)});
    }
};

struct InitProducerIdResponse {
    static constexpr const char* message_name = "InitProducerIdResponse";
    static constexpr ApiKey api_key = ApiKey::init_producer_id;

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    int64_t producer_id = -1;
    int16_t producer_epoch = 0;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &InitProducerIdResponse::throttle_time_ms);
        visitor.field("error_code", &InitProducerIdResponse::error_code);
        visitor.field("producer_id", &InitProducerIdResponse::producer_id);
        visitor.field("producer_epoch", &InitProducerIdResponse::producer_epoch);
    }
};

extern template const FieldTable& table_of<InitProducerIdRequest>();
extern template const FieldTable& table_of<InitProducerIdResponse>();

}  // namespace flowstone::kafka
