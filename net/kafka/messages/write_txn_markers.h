// WriteTxnMarkers, key 27: from the coordinator: markers that end transactions in their partitions.
//
// Source: Kafka 4.3, WriteTxnMarkersRequest.json and Response.json, versions 1 to 2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct WriteTxnMarkersRequest {
    static constexpr const char* message_name = "WriteTxnMarkersRequest";
    static constexpr ApiKey api_key = ApiKey::write_txn_markers;

    struct WritableTxnMarkerTopic {
        std::string name{};
        std::vector<int32_t> partition_indexes{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &WritableTxnMarkerTopic::name);
            visitor.field("partition_indexes", &WritableTxnMarkerTopic::partition_indexes);
        }
    };

    struct WritableTxnMarker {
        int64_t producer_id = 0;
        int16_t producer_epoch = 0;
        bool transaction_result = false;
        std::vector<WritableTxnMarkerTopic> topics{};
        int32_t coordinator_epoch = 0;
        int8_t transaction_version = 0;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("producer_id", &WritableTxnMarker::producer_id);
            visitor.field("producer_epoch", &WritableTxnMarker::producer_epoch);
            visitor.field("transaction_result", &WritableTxnMarker::transaction_result);
            visitor.field("topics", &WritableTxnMarker::topics);
            visitor.field("coordinator_epoch", &WritableTxnMarker::coordinator_epoch);
            visitor.field("transaction_version", &WritableTxnMarker::transaction_version,
                          {.versions = since(2), .ignorable = true});
        }
    };

    std::vector<WritableTxnMarker> markers{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("markers", &WriteTxnMarkersRequest::markers);
    }
};

struct WriteTxnMarkersResponse {
    static constexpr const char* message_name = "WriteTxnMarkersResponse";
    static constexpr ApiKey api_key = ApiKey::write_txn_markers;

    struct WritableTxnMarkerPartitionResult {
        int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("partition_index", &WritableTxnMarkerPartitionResult::partition_index);
            visitor.field("error_code", &WritableTxnMarkerPartitionResult::error_code);
        }
    };

    struct WritableTxnMarkerTopicResult {
        std::string name{};
        std::vector<WritableTxnMarkerPartitionResult> partitions{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("name", &WritableTxnMarkerTopicResult::name);
            visitor.field("partitions", &WritableTxnMarkerTopicResult::partitions);
        }
    };

    struct WritableTxnMarkerResult {
        int64_t producer_id = 0;
        std::vector<WritableTxnMarkerTopicResult> topics{};

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("producer_id", &WritableTxnMarkerResult::producer_id);
            visitor.field("topics", &WritableTxnMarkerResult::topics);
        }
    };

    std::vector<WritableTxnMarkerResult> markers{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("markers", &WriteTxnMarkersResponse::markers);
    }
};

}  // namespace flowstone::kafka
