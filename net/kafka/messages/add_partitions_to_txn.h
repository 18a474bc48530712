// AddPartitionsToTxn, key 24: partitions that a transaction will write to; brokers ask in batches from version 4.
//
// Source: Kafka 4.3, AddPartitionsToTxnRequest.json and Response.json, versions 0 to 5.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct AddPartitionsToTxnRequest {
    static constexpr const char* message_name = "AddPartitionsToTxnRequest";
    static constexpr ApiKey api_key = ApiKey::add_partitions_to_txn;

    struct AddPartitionsToTxnTopic {
        std::string name{};
        std::vector<int32_t> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &AddPartitionsToTxnTopic::name);
            visitor.field("partitions", &AddPartitionsToTxnTopic::partitions);
        }
    };

    struct AddPartitionsToTxnTransaction {
        std::string transactional_id{};
        int64_t producer_id = 0;
        int16_t producer_epoch = 0;
        bool verify_only = false;
        std::vector<AddPartitionsToTxnTopic> topics{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("transactional_id", &AddPartitionsToTxnTransaction::transactional_id, {.versions = since(4)});
            visitor.field("producer_id", &AddPartitionsToTxnTransaction::producer_id, {.versions = since(4)});
            visitor.field("producer_epoch", &AddPartitionsToTxnTransaction::producer_epoch, {.versions = since(4)});
            visitor.field("verify_only", &AddPartitionsToTxnTransaction::verify_only, {.versions = since(4)});
            visitor.field("topics", &AddPartitionsToTxnTransaction::topics, {.versions = since(4)});
        }
    };

    std::vector<AddPartitionsToTxnTransaction> transactions{};
    std::string v3_and_below_transactional_id{};
    int64_t v3_and_below_producer_id = 0;
    int16_t v3_and_below_producer_epoch = 0;
    std::vector<AddPartitionsToTxnTopic> v3_and_below_topics{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("transactions", &AddPartitionsToTxnRequest::transactions, {.versions = since(4)});
        visitor.field("v3_and_below_transactional_id", &AddPartitionsToTxnRequest::v3_and_below_transactional_id,
                      {.versions = until(3)});
        visitor.field("v3_and_below_producer_id", &AddPartitionsToTxnRequest::v3_and_below_producer_id,
                      {.versions = until(3)});
        visitor.field("v3_and_below_producer_epoch", &AddPartitionsToTxnRequest::v3_and_below_producer_epoch,
                      {.versions = until(3)});
        visitor.field("v3_and_below_topics", &AddPartitionsToTxnRequest::v3_and_below_topics, {.versions = until(3)});
    }
};

struct AddPartitionsToTxnResponse {
    static constexpr const char* message_name = "AddPartitionsToTxnResponse";
    static constexpr ApiKey api_key = ApiKey::add_partitions_to_txn;

    struct AddPartitionsToTxnPartitionResult {
        int32_t partition_index = 0;
        int16_t partition_error_code = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &AddPartitionsToTxnPartitionResult::partition_index);
            visitor.field("partition_error_code", &AddPartitionsToTxnPartitionResult::partition_error_code);
        }
    };

    struct AddPartitionsToTxnTopicResult {
        std::string name{};
        std::vector<AddPartitionsToTxnPartitionResult> results_by_partition{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &AddPartitionsToTxnTopicResult::name);
            visitor.field("results_by_partition", &AddPartitionsToTxnTopicResult::results_by_partition);
        }
    };

    struct AddPartitionsToTxnResult {
        std::string transactional_id{};
        std::vector<AddPartitionsToTxnTopicResult> topic_results{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("transactional_id", &AddPartitionsToTxnResult::transactional_id, {.versions = since(4)});
            visitor.field("topic_results", &AddPartitionsToTxnResult::topic_results, {.versions = since(4)});
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::vector<AddPartitionsToTxnResult> results_by_transaction{};
    std::vector<AddPartitionsToTxnTopicResult> results_by_topic_v3_and_below{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &AddPartitionsToTxnResponse::throttle_time_ms);
        visitor.field("error_code", &AddPartitionsToTxnResponse::error_code, {.versions = since(4), .ignorable = true});
        visitor.field("results_by_transaction", &AddPartitionsToTxnResponse::results_by_transaction,
                      {.versions = since(4)});
        visitor.field("results_by_topic_v3_and_below", &AddPartitionsToTxnResponse::results_by_topic_v3_and_below,
                      {.versions = until(3)});
    }
};

}  // namespace flowstone::kafka
