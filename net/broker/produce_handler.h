// Produce: batches into the log, straight from the frame they came in; the answer once they have reached their topic's
// level.
//
// When the log has no room just now, the request waits, and nothing further is read from its connection until it has been
// taken; everybody else is served meanwhile. So it is while a thread of its own appends what is large without compression:
// a few such batches from a stranger would else hold up everybody.
//
// SERVE.md rules 2, 17, 18, 21 to 23, 41, 43. `acks` decides only when the producer is told: 0 never, 1 and all when what
// it sent is visible, which on one replica is the same moment.
//
// Threads: the broker's one.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
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
    size_t waiting() const { return waiting_.size() + parked_.size() + unpacking_.size(); }

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

    // On its way into the log, which has not taken the next partition's batch yet.
    struct Parked {
        Waiting waiting;
        kafka::ProduceRequest produce;
        size_t topic = 0;  // of the request: what comes next
        size_t partition = 0;
        bool failed = false;
        bool paused = false;  // nothing further is read from its connection
        int64_t since_ms = 0;
    };

    // Of one batch.
    struct Append {
        Result<AppendedBatch> appended;
        std::vector<RefusedRecord> refused{};  // records that are why it was not taken
    };

    enum class Taken : uint8_t {
        whole,
        no_room,  // for the next batch
        large,    // is the next batch, without compression
    };

    void go_on(Parked parked);
    void pause(Parked& parked);
    Taken take(Parked& parked);
    void taken(Parked parked);
    std::optional<ServedTopic> topic_of(const Parked& parked) const;
    std::expected<Answered, Taken> append(const Parked& parked, const std::optional<ServedTopic>& topic,
                                          const kafka::ProduceRequest::PartitionProduceData& data,
                                          std::vector<Open>& open);
    Answered answered(const kafka::ProduceRequest::PartitionProduceData& data, ServedPartition place,
                      const Append& append, std::vector<Open>& open);
    static void note(Parked& parked, Answered answered, size_t opened);
    void append_elsewhere(Parked parked);
    void appended_elsewhere(WaitId id, const Append& append);
    bool settle(Waiting& waiting);
    void finish(std::map<WaitId, Waiting>::iterator waiting);

    BrokerContext& context_;
    std::deque<Parked> parked_;  // in the order in which they came; one of a connection at most
    int64_t try_again_ms_ = 0;
    std::map<WaitId, Parked> unpacking_;  // one of a connection at most
    std::map<WaitId, Waiting> waiting_;
    WaitId next_id_ = 0;
    PartitionWaiters by_partition_;
    Deadlines deadlines_;
};

}  // namespace flowstone
