// DescribeTransactions, key 65: transactions by their transactional ids.
//
// Source: Kafka 4.3, DescribeTransactionsRequest.json and Response.json, version 0.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct DescribeTransactionsRequest {
    static constexpr const char* message_name = "DescribeTransactionsRequest";
    static constexpr ApiKey api_key = ApiKey::describe_transactions;

    std::vector<std::string> transactional_ids{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("transactional_ids", &DescribeTransactionsRequest::transactional_ids);
    }
};

struct DescribeTransactionsResponse {
    static constexpr const char* message_name = "DescribeTransactionsResponse";
    static constexpr ApiKey api_key = ApiKey::describe_transactions;

    struct TopicData {
        std::string topic{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("topic", &TopicData::topic);
            visitor.field("partitions", &TopicData::partitions);
        }
    };

    struct TransactionState {
        ErrorCode error_code = ErrorCode::none;
        std::string transactional_id{};
        std::string transaction_state{};
        int32_t transaction_timeout_ms = 0;
        int64_t transaction_start_time_ms = 0;
        int64_t producer_id = 0;
        int16_t producer_epoch = 0;
        std::vector<TopicData> topics{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("error_code", &TransactionState::error_code);
            visitor.field("transactional_id", &TransactionState::transactional_id);
            visitor.field("transaction_state", &TransactionState::transaction_state);
            visitor.field("transaction_timeout_ms", &TransactionState::transaction_timeout_ms);
            visitor.field("transaction_start_time_ms", &TransactionState::transaction_start_time_ms);
            visitor.field("producer_id", &TransactionState::producer_id);
            visitor.field("producer_epoch", &TransactionState::producer_epoch);
            visitor.field("topics", &TransactionState::topics);
        }
    };

    int32_t throttle_time_ms = 0;
    std::vector<TransactionState> transaction_states{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &DescribeTransactionsResponse::throttle_time_ms);
        visitor.field("transaction_states", &DescribeTransactionsResponse::transaction_states);
    }
};

}  // namespace flowstone::kafka
