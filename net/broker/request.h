// One request of one connection, and what every handler of requests works with.
//
// Threads: the broker's one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "log/served_log.h"
#include "net/broker/broker_config.h"
#include "net/broker/cluster.h"
#include "net/broker/worker.h"
#include "net/kafka/frame.h"
#include "net/kafka/message.h"
#include "net/transport/server.h"
#include "storage/check.h"
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
    // Has the worker make the answer: `make` takes what was asked, which is read anew there, and returns the response, in
    // the worker's thread. Until that stands among the answers, whose bytes are bounded, nothing further of the connection
    // is taken. The frame is kept, so that whoever waits for the worker counts against the memory of all requests.
    template <class Asked, class Make>
    void answer_by_worker(Request request, Make make) {
        server.pause(request.peer.connection);
        worker.submit([this, request = std::move(request), make = std::move(make)]() mutable -> std::function<void()> {
            const auto asked = kafka::decode<Asked>(request.body, request.version());
            CHECK(asked.has_value());  // it could be read before it came here
            Answer answer;
            kafka::frame_response(request.header.correlation_id, make(*asked), request.version(), answer.frame);
            return [this, request = std::move(request), answer = std::move(answer)]() mutable {
                server.resume(request.peer.connection);
                send(request, std::move(answer));
            };
        });
    }
    void send(const Request& request, Answer answer);
};

}  // namespace flowstone
