// One broker: serves Kafka's protocol from an open log, in one directory or several.
//
//   Broker broker(directories, *network, system_clock(), system_random(), config, true, lines);
//   for (size_t i = 0; i < config.listen.size(); ++i) { broker.listen(config.listen[i], config.advertised[i]); }
//   while (running) { broker.run(); }      // one thread
//   broker.stop(5'000);                    // answers what was asked, then closes its connections
//
// This type dispatches: it reads a request's header, finds who handles its key, and drives what waits for the log, for
// files or for time. The handlers decide what is answered. The log may commit in threads of its own (`threads = N`) or
// within run() (`threads = 0`), which is how the simulated world runs it.
//
// Threads: one, but for wake(). The log, network, clock and randomness must outlive it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <flowstone/log.h>
#include <flowstone/result.h>

#include "log/log_directories.h"
#include "net/broker/admin_handler.h"
#include "net/broker/broker_metrics.h"
#include "net/broker/config_handler.h"
#include "net/broker/fetch_handler.h"
#include "net/broker/groups_handler.h"
#include "net/broker/offsets_handler.h"
#include "net/broker/produce_handler.h"
#include "net/broker/request.h"
#include "net/broker/tail_sharers.h"
#include "net/broker/topics_handler.h"
#include "net/http/http_server.h"
#include "net/kafka/messages/api_versions.h"
#include "net/transport/server.h"

namespace flowstone {

class Broker final : public FrameHandler {
public:
    // `lines` takes what an operator should know, one line a call. With `threads`, files are read in a thread of their
    // own and large batches unpacked in another; without, where that is asked for.
    Broker(Log& log, Network& network, Clock& clock, Random& random, BrokerConfig config, bool threads,
           std::function<void(std::string_view)> lines);
    Broker(LogDirectories& directories, Network& network, Clock& clock, Random& random, BrokerConfig config,
           bool threads, std::function<void(std::string_view)> lines);
    ~Broker() override;

    // Clients of this listener are told `advertised`, or, without, the address that they reached it at.
    // Errors: io, not_found. Returns the address with its port.
    Result<HostPort> listen(const HostPort& address, const std::optional<HostPort>& advertised = {});

    // /metrics, /healthz and /readyz. Errors and result as listen().
    Result<HostPort> listen_http(const HostPort& address) { return http_.listen(address); }

    // Waits until there is something to do, at most `timeout_ms`, and does it. Errors: io, of the network as a whole.
    Result<void> run(int64_t timeout_ms = -1);
    void wake() { network_.wake(); }  // from any thread or signal handler: ends the wait of run()
    // Accepts nothing more, answers what is in flight for up to `timeout_ms`, who waits for records at once, then closes
    // every connection.
    void stop(int64_t timeout_ms);

    const Server& server() const { return server_; }
    // Why nothing is acknowledged any more in the first directory, if so. Then it answers still, reads too, but takes
    // nothing there until it is started anew.
    std::optional<Error> failure() const { return served_->failure(); }
    size_t waiting() const;  // requests that were taken and wait for the log, for files, for others or for time

    // For the server.
    void on_open(const Peer& peer) override;
    void on_frame(const Peer& peer, AnswerSlot slot, FramePtr frame) override;
    void on_close(ConnectionId connection) override;

private:
    Broker(std::unique_ptr<ServedLog> served, Network& network, Clock& clock, Random& random, BrokerConfig config,
           bool threads, std::function<void(std::string_view)> lines);
    struct Api;
    static const std::vector<Api>& apis();
    static const Api* find_api(kafka::ApiKey key);
    template <class Message, auto handler>
    void decoded(Request request);
    void on(const Request& request, const kafka::ApiVersionsRequest& asked);
    void answer_api_versions(const Request& request, kafka::ErrorCode error);
    int64_t next_deadline_ms() const;
    void work();

    Network& network_;
    BrokerConfig config_;
    std::function<void(std::string_view)> lines_;
    std::vector<NetworkEvent> events_;
    std::unique_ptr<ServedLog> served_;
    Server server_;
    HttpPages pages_;
    HttpServer http_;
    Cluster cluster_;
    BrokerMetrics metrics_;
    BrokerContext context_;
    ProduceHandler produce_;
    FetchHandler fetch_;
    TailSharers sharers_;
    TopicsHandler topics_;
    OffsetsHandler offsets_;
    AdminHandler admin_;
    ConfigHandler configs_;
    GroupsHandler groups_;
    Clock& clock_;
    Worker worker_;  // these last: their jobs use all of the above
    Worker unpacker_;
};

}  // namespace flowstone
