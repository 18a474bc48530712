// Produce: batches into the log, straight from the frame they came in; the answer once they have reached their topic's
// level.
//
// When the log has no room just now, the request waits, and nothing further is read from its connection until it has been
// taken; everybody else is served meanwhile.
//
// SERVE.md rules 2, 17, 18, 21 to 23, 41, 43. `acks` decides only when the producer is told: 0 never, 1 and all when what
// it sent is visible, which on one replica is the same moment.
//
// Threads: the broker's one.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "net/broker/request.h"
#include "net/broker/waiting.h"
#include "net/kafka/messages/produce.h"

namespace flowstone {

class ProduceHandler {
public:
    explicit ProduceHandler(BrokerContext& context) : context_(context) {}

    void on(Request request, kafka::ProduceRequest produce);
    void moved(ServedPartition partition);
    void tick(int64_t now_ms);
    int64_t next_deadline_ms() const { return parked_.empty() ? deadlines_.next_ms() : try_again_ms_; }
    size_t waiting() const { return waiting_.size() + parked_.size(); }

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

    // On its way into the log, which has no room for the next partition's batch.
    struct Parked {
        Waiting waiting;
        kafka::ProduceRequest produce;
        size_t topic = 0;  // of the request: what comes next
        size_t partition = 0;
        bool failed = false;
        int64_t since_ms = 0;
    };

    bool take(Parked& parked);
    void taken(Parked parked);
    std::optional<Answered> append(const Parked& parked, const std::optional<ServedTopic>& topic,
                                   const kafka::ProduceRequest::PartitionProduceData& data, std::vector<Open>& open);
    bool settle(Waiting& waiting);
    void finish(std::map<WaitId, Waiting>::iterator waiting);

    BrokerContext& context_;
    std::deque<Parked> parked_;  // in the order in which they came; one of a connection at most
    int64_t try_again_ms_ = 0;
    std::map<WaitId, Waiting> waiting_;
    WaitId next_id_ = 0;
    PartitionWaiters by_partition_;
    Deadlines deadlines_;
};

}  // namespace flowstone
