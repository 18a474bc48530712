// Serves pages by HTTP: drives one HttpConnection for each peer over the network. What is said is decided by the pages.
//
// Bounded: connections (a new one above the limit takes the place of the one that is silent for longest), what a request
// may be and how long everything takes (http_connection.h).
//
// Threads: one, in which pages are called. It shares the network with others that it is no business of: whoever waits
// for the network hands the events on. Network, clock and pages must outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include <flowstone/result.h>

#include "net/http/http_connection.h"
#include "net/http/http_pages.h"
#include "net/transport/network.h"
#include "storage/clock.h"
#include "storage/limits.h"

namespace flowstone {

class HttpServer {
public:
    HttpServer(Network& network, Clock& clock, const HttpPages& pages, size_t peers_max = http_connections_max);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    // Returns the address with its port. Errors: io, not_found.
    Result<HostPort> listen(const HostPort& address);
    // What the network told; what concerns others is passed over. To be called once in a while without events too.
    void turn(std::span<const NetworkEvent> events);
    // How long nothing need be done if no event comes; negative: for ever.
    int64_t quiet_ns();

    size_t connection_count() const { return connections_.size(); }

private:
    struct Peer {
        HttpConnection http;
        int64_t active_ms;
        bool readable = true;  // what came before we asked for events
        bool writable = true;
        bool lingers = false;  // everything is said; what still comes is thrown away until the peer ends
        int64_t lingers_until_ms = 0;
    };
    void accept_all(ListenerId listener);
    void make_room();
    bool serve(ConnectionId id, Peer& peer);
    bool read_some(ConnectionId id, Peer& peer);
    bool write_some(ConnectionId id, Peer& peer);
    static bool has_work(const Peer& peer);
    int64_t now_ms() { return clock_.monotonic_ns() / 1'000'000; }

    Network& network_;
    Clock& clock_;
    const HttpPages& pages_;
    size_t peers_max_;
    std::vector<ListenerId> listeners_;
    bool accepts_later_ = false;  // there was no descriptor for who comes next
    std::map<ConnectionId, Peer> connections_;
    std::vector<std::byte> buffer_;
};

}  // namespace flowstone
