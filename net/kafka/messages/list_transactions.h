// ListTransactions, key 66: the transactions a broker coordinates.
//
// Source: Kafka 4.3, ListTransactionsRequest.json and Response.json, versions 0 to 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct ListTransactionsRequest {
    static constexpr const char* message_name = "ListTransactionsRequest";
    static constexpr ApiKey api_key = ApiKey::list_transactions;

    std::vector<std::string> state_filters{};
    std::vector<int64_t> producer_id_filters{};
    int64_t duration_filter = -1;
    std::optional<std::string> transactional_id_pattern{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("state_filters", &ListTransactionsRequest::state_filters);
        visitor.field("producer_id_filters", &ListTransactionsRequest::producer_id_filters);
        visitor.field("duration_filter", &ListTransactionsRequest::duration_filter, {.versions = since(1)});
        visitor.field("transactional_id_pattern", &ListTransactionsRequest::transactional_id_pattern,
                      {.versions = since(2), .nullable = since(2)});
    }
};

struct ListTransactionsResponse {
    static constexpr const char* message_name = "ListTransactionsResponse";
    static constexpr ApiKey api_key = ApiKey::list_transactions;

    struct TransactionState {
        std::string transactional_id{};
        int64_t producer_id = 0;
        std::string transaction_state{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("transactional_id", &TransactionState::transactional_id);
            visitor.field("producer_id", &TransactionState::producer_id);
            visitor.field("transaction_state", &TransactionState::transaction_state);
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::vector<std::string> unknown_state_filters{};
    std::vector<TransactionState> transaction_states{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &ListTransactionsResponse::throttle_time_ms);
        visitor.field("error_code", &ListTransactionsResponse::error_code);
        visitor.field("unknown_state_filters", &ListTransactionsResponse::unknown_state_filters);
        visitor.field("transaction_states", &ListTransactionsResponse::transaction_states);
    }
};

extern template const FieldTable& table_of<ListTransactionsRequest>();
extern template const FieldTable& table_of<ListTransactionsResponse>();

}  // namespace flowstone::kafka
