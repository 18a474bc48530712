// Requests to brokers and their answers, over one connection to each, and one more for each lane besides: a broker answers
// what comes over a connection in its order, so a request that it lets wait has to be in a lane of its own.
//
//   requests.know(node, {"10.0.0.7", 9092});
//   requests.ask<kafka::MetadataResponse>(node, kafka::MetadataRequest{...}, deadline_ns, [](auto answer) { ... });
//   while (running) { network.wait(...); requests.turn(events); }
//
// A connection is made when somebody first asks, learns by ApiVersions what its broker speaks, and each request goes out
// in the newest version that both know. It lives until it breaks or leaves a request unanswered past its deadline. What
// else was under way on it fails then too, and whoever asked decides about asking again: nothing is sent twice here.
// After a failure the next connection waits, longer each time.
//
// Threads: one, in which all callbacks are called, never within ask().
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flowstone/result.h>

#include "net/kafka/frame.h"
#include "net/kafka/messages/api_versions.h"
#include "net/transport/network.h"
#include "net/transport/output.h"
#include "storage/clock.h"
#include "storage/random.h"

namespace flowstone {

// An answer that was read, and the bytes that its views point into.
struct AnswerBytes {
    int16_t version = 0;
    std::shared_ptr<const std::byte[]> frame;  // owners: the answer, and whoever keeps views into it
    Bytes body;
};
template <class Response>
struct Answered {
    Response response;
    AnswerBytes bytes;
};

class Requests {
public:
    struct Options {
        std::string client_id = "flowstone";
        int64_t reconnect_ms = 50;  // after the first failure; doubled for each further one, and blurred by half
        int64_t reconnect_ms_max = 1'000;
        int64_t connect_ms_max = 10'000;  // until a broker has said what it speaks
    };
    Requests(Network& network, Clock& clock, Random& random, Options options);
    ~Requests();

    // Where a broker is that the program names; its number is below zero. -1 is the first of them.
    void begin_at(int32_t node, const HostPort& address);
    // Where a broker is that another one names. Another address than before closes the connection to that one. A path is
    // the one that node -1 was given, for a broker may know its directory by another name, in a container for instance.
    // False, and it stays unknown: a path without one there, for whom we reach over the network has no say in which sockets
    // of this machine we open; or a number below zero.
    bool know(int32_t node, const HostPort& address);
    // Closes its connection at once; what was asked of it fails. The next request makes another.
    void hang_up(int32_t node);
    void hang_up_lane(int32_t lane);  // with every broker
    // Whether a connection to it was lost or refused since the last answer.
    bool failing(int32_t node) const;

    // `done` is called once, with the answer or with: timed_out; io, when the connection was lost or could not be made;
    // unsupported, when the broker does not know the api in any version up to `version_max`; corrupt; not_found, for a
    // node that is not known. Error::fate says whether the request was certainly not carried out.
    template <class Response, class Request>
    void ask(int32_t node, Request request, int64_t deadline_ns, std::function<void(Result<Answered<Response>>)> done,
             int16_t version_max = INT16_MAX, int32_t lane = 0) {
        ask_erased(node, lane,
                   {.key = Request::api_key,
                    .version_max = version_max,
                    .deadline_ns = deadline_ns,
                    .answered = true,
                    .frame = framing(std::move(request)),
                    .done = [done = std::move(done)](Result<AnswerBytes> answer) {
                        if (!answer) { return done(std::unexpected(answer.error())); }
                        auto response = kafka::decode<Response>(answer->body, answer->version, UINT32_MAX);
                        if (!response) { return done(std::unexpected(response.error())); }
                        done(Answered<Response>{std::move(*response), std::move(*answer)});
                    }});
    }
    // A request that is never answered, a produce with acks 0. `done` is called when it was handed to the connection.
    template <class Request>
    void tell(int32_t node, Request request, int64_t deadline_ns, std::function<void(Result<void>)> done) {
        ask_erased(node, 0,
                   {.key = Request::api_key,
                    .version_max = INT16_MAX,
                    .deadline_ns = deadline_ns,
                    .answered = false,
                    .frame = framing(std::move(request)),
                    .done = [done = std::move(done)](Result<AnswerBytes> answer) {
                        done(answer ? Result<void>() : std::unexpected(answer.error()));
                    }});
    }

    // Whether anything was answered, so that whoever asks may have more to ask.
    bool turn(std::span<const NetworkEvent> events);
    int64_t next_deadline_ns() const;  // when turn() is to be called at the latest; INT64_MAX: whenever
    // Every request under way fails with `closed`.
    void close();

private:
    using Framing = std::function<void(const kafka::RequestHeader&, kafka::Gather&)>;
    struct Asked {
        kafka::ApiKey key{};
        int16_t version_max = INT16_MAX;
        int64_t deadline_ns = 0;
        bool answered = true;
        Framing frame;
        std::function<void(Result<AnswerBytes>)> done;
    };
    struct InFlight {
        int32_t correlation_id = 0;
        int16_t version = 0;
        Asked asked;
    };
    struct Node {
        HostPort address;
        std::optional<ConnectionId> connection;
        bool knows_versions = false;
        std::vector<kafka::ApiVersionsResponse::ApiVersion> versions;
        size_t attempts = 0;           // that failed since the last answer
        std::optional<Error> failure;  // of the last of these
        int64_t not_before_ns = 0;
        int64_t connected_by_ns = 0;
        bool writable = false;
        std::deque<Asked> waiting;
        std::deque<InFlight> in_flight;
        Output output;
        std::array<std::byte, kafka::frame_length_bytes> length{};
        size_t length_bytes = 0;
        size_t frame_size = 0;
        size_t frame_bytes = 0;
        std::shared_ptr<std::byte[]> frame;  // owners: as AnswerBytes
    };

    template <class Request>
    static Framing framing(Request request) {
        return [request = std::move(request)](const kafka::RequestHeader& header, kafka::Gather& out) {
            kafka::frame_request(header, request, out);
        };
    }
    void learn(int32_t node, const HostPort& address);
    void ask_erased(int32_t node, int32_t lane, Asked asked);
    void hang_up(Node& node);
    void connect(Node& node);
    void ask_versions(Node& node, int16_t version);
    void on_versions(Node& node, const AnswerBytes& answer);
    void send_waiting(Node& node);
    void send_one(Node& node, Asked asked, int16_t version);
    void write(Node& node);
    void read(Node& node);
    void take(Node& node, Bytes bytes);
    void on_frame(Node& node);
    void lose(Node& node, const Error& why);
    void expire(Node& node, int64_t now_ns);
    void finish(Asked& asked, Result<AnswerBytes> answer);
    static std::optional<int16_t> version_for(const Node& node, kafka::ApiKey key, int16_t version_max);

    Network& network_;
    Clock& clock_;
    Random& random_;
    Options options_;
    std::map<std::pair<int32_t, int32_t>, Node> nodes_;  // by number and lane; lane 0 has every one that is known
    std::map<ConnectionId, Node*> by_connection_;
    std::vector<std::pair<std::function<void(Result<AnswerBytes>)>, Result<AnswerBytes>>> finished_;
    std::vector<std::byte> read_buffer_;
    int32_t next_correlation_id_ = 1;
    bool closed_ = false;
};

}  // namespace flowstone
