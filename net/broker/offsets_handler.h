// Offsets by time and by epoch, and moving the log start. SERVE.md rules 9, 10, 38.
//
// Looking for a time, and deleting records, may read and write files: the worker does it. Threads: the broker's one.
#pragma once

#include "net/broker/request.h"
#include "net/kafka/messages/delete_records.h"
#include "net/kafka/messages/list_offsets.h"
#include "net/kafka/messages/offset_for_leader_epoch.h"

namespace flowstone {

class OffsetsHandler {
public:
    explicit OffsetsHandler(BrokerContext& context) : context_(context) {}

    void on(Request request, const kafka::ListOffsetsRequest& asked);
    void on(const Request& request, const kafka::OffsetForLeaderEpochRequest& asked);
    void on(Request request, const kafka::DeleteRecordsRequest& asked);

private:
    struct Place {
        kafka::ErrorCode error = kafka::ErrorCode::none;
        std::optional<ServedTopic> topic{};
        ServedPartition partition{};
        Epoch leader_epoch{};
    };
    using ListedOffset = kafka::ListOffsetsResponse::ListOffsetsPartitionResponse;
    Place find(const std::string& topic, int32_t partition, int32_t current_leader_epoch) const;
    static bool by_search(int64_t timestamp);
    bool may_delete(const ServedTopic& topic) const;
    kafka::ListOffsetsResponse list(const kafka::ListOffsetsRequest& asked) const;
    void list(const Place& place, int64_t timestamp, ListedOffset& out) const;

    BrokerContext& context_;
};

}  // namespace flowstone
