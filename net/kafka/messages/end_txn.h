// EndTxn, key 26: a transaction commits or aborts.
//
// Source: Kafka 4.3, EndTxnRequest.json and Response.json, versions 0 to 5.
#pragma once

#include <cstdint>
#include <string>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct EndTxnRequest {
    static constexpr const char* message_name = "EndTxnRequest";
    static constexpr ApiKey api_key = ApiKey::end_txn;

    std::string transactional_id{};
    int64_t producer_id = 0;
    int16_t producer_epoch = 0;
    bool committed = false;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("transactional_id", &EndTxnRequest::transactional_id);
        visitor.field("producer_id", &EndTxnRequest::producer_id);
        visitor.field("producer_epoch", &EndTxnRequest::producer_epoch);
        visitor.field("committed", &EndTxnRequest::committed);
    }
};

struct EndTxnResponse {
    static constexpr const char* message_name = "EndTxnResponse";
    static constexpr ApiKey api_key = ApiKey::end_txn;

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    int64_t producer_id = -1;
    int16_t producer_epoch = -1;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &EndTxnResponse::throttle_time_ms);
        visitor.field("error_code", &EndTxnResponse::error_code);
        visitor.field("producer_id", &EndTxnResponse::producer_id, {.versions = since(5), .ignorable = true});
        visitor.field("producer_epoch", &EndTxnResponse::producer_epoch, {.versions = since(5), .ignorable = true});
    }
};

}  // namespace flowstone::kafka
