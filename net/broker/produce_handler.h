// Produce: batches into the log, straight from the frame they came in; the answer once they have reached their topic's
// level.
//
// SERVE.md rules 2, 17, 18, 21 to 23, 41, 43. `acks` decides only when the producer is told: 0 never, 1 and all when what
// it sent is visible, which on one replica is the same moment.
//
// Threads: the broker's one.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "net/broker/request.h"
#include "net/broker/waiting.h"
#include "net/kafka/messages/produce.h"

namespace flowstone {

class ProduceHandler {
public:
    explicit ProduceHandler(BrokerContext& context) : context_(context) {}

    void on(Request request, const kafka::ProduceRequest& produce);
    void moved(ServedPartition partition);
    void tick(int64_t now_ms);
    int64_t next_deadline_ms() const { return deadlines_.next_ms(); }
    size_t waiting() const { return waiting_.size(); }

private:
    using Answered = kafka::ProduceResponse::PartitionProduceResponse;
    struct Open {  // appended, not visible yet
        size_t topic;
        size_t partition;  // in the response
        ServedPartition place;
        Offset next_offset;
    };
    struct Waiting {
        Request request;
        kafka::ProduceResponse response;
        std::vector<Open> open;
        int64_t deadline_ms;
    };

    Answered append(const Request& request, const kafka::ProduceRequest& produce,
                    const std::optional<ServedTopic>& topic, const kafka::ProduceRequest::PartitionProduceData& data,
                    std::vector<Open>& open);
    bool settle(Waiting& waiting);
    void finish(std::map<WaitId, Waiting>::iterator waiting);

    BrokerContext& context_;
    std::map<WaitId, Waiting> waiting_;
    WaitId next_id_ = 0;
    PartitionWaiters by_partition_;
    Deadlines deadlines_;
};

}  // namespace flowstone
