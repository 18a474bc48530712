// One request of one connection, and what every handler of requests works with.
//
// Threads: the broker's one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "log/served_log.h"
#include "net/broker/broker_config.h"
#include "net/broker/cluster.h"
#include "net/broker/worker.h"
#include "net/kafka/frame.h"
#include "net/kafka/message.h"
#include "net/transport/server.h"
#include "storage/clock.h"
#include "storage/random.h"

namespace flowstone {

class BrokerMetrics;

struct Request {
    Peer peer;
    AnswerSlot slot;
    kafka::RequestHeader header;
    FramePtr frame;  // keeps `body`; let go once nothing views it, for it counts against the memory of all requests
    Bytes body;
    int64_t received_ns = 0;
    int16_t version() const { return header.api_version; }
};

// Owned by the Broker; outlives the handlers.
struct BrokerContext {
    ServedLog& served;
    Clock& clock;
    Random& random;
    Server& server;
    Worker& worker;    // what may block on files
    Worker& unpacker;  // batches that are large without compression
    Cluster& cluster;
    const BrokerConfig& config;
    BrokerMetrics& metrics;

    int64_t now_ms() const { return clock.monotonic_ns() / 1'000'000; }

    // `pins` keep what is spliced into the response.
    template <class T>
    void answer(const Request& request, const T& response, std::vector<BufferRef> pins = {}) {
        Answer answer;
        kafka::frame_response(request.header.correlation_id, response, request.version(), answer.frame);
        answer.pins = std::move(pins);
        send(request, std::move(answer));
    }
    void send(const Request& request, Answer answer);
};

}  // namespace flowstone
