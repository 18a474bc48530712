// AddOffsetsToTxn, key 25: a group whose offsets a transaction will commit.
//
// Source: Kafka 4.3, AddOffsetsToTxnRequest.json and Response.json, versions 0 to 4.
#pragma once

#include <cstdint>
#include <string>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct AddOffsetsToTxnRequest {
    static constexpr const char* message_name = "AddOffsetsToTxnRequest";
    static constexpr ApiKey api_key = ApiKey::add_offsets_to_txn;

    std::string transactional_id{};
    int64_t producer_id = 0;
    int16_t producer_epoch = 0;
    std::string group_id{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("transactional_id", &AddOffsetsToTxnRequest::transactional_id);
        visitor.field("producer_id", &AddOffsetsToTxnRequest::producer_id);
        visitor.field("producer_epoch", &AddOffsetsToTxnRequest::producer_epoch);
        visitor.field("group_id", &AddOffsetsToTxnRequest::group_id);
    }
};

struct AddOffsetsToTxnResponse {
    static constexpr const char* message_name = "AddOffsetsToTxnResponse";
    static constexpr ApiKey api_key = ApiKey::add_offsets_to_txn;

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &AddOffsetsToTxnResponse::throttle_time_ms);
        visitor.field("error_code", &AddOffsetsToTxnResponse::error_code);
    }
};

}  // namespace flowstone::kafka
