#include "net/http/http_server.h"

#include <algorithm>

#include "storage/try.h"

namespace flowstone {
namespace {

constexpr size_t read_bytes = 4 * 1024;
constexpr int steps_per_turn_max = 64;  // reads, answers and writes of one peer, then it is another's turn
constexpr int64_t linger_ms = 2'000;
constexpr int64_t accept_again_ms = 1'000;

}  // namespace

HttpServer::HttpServer(Network& network, Clock& clock, const HttpPages& pages, size_t peers_max)
    : network_(network), clock_(clock), pages_(pages), peers_max_(peers_max), buffer_(read_bytes) {}

HttpServer::~HttpServer() {
    for (const ListenerId listener : listeners_) { network_.close(listener); }
    for (const auto& [id, peer] : connections_) { network_.close(id); }
}

Result<HostPort> HttpServer::listen(const HostPort& address) {
    TRY(const auto listener, network_.listen(address));
    listeners_.push_back(listener.id);
    return listener.address;
}

void HttpServer::turn(std::span<const NetworkEvent> events) {
    bool accepts = accepts_later_;
    for (const NetworkEvent& event : events) {
        if (const auto found = connections_.find(event.id); found != connections_.end()) {
            found->second.readable = found->second.readable || event.readable;
            found->second.writable = found->second.writable || event.writable;
        } else if (std::ranges::find(listeners_, event.id) != listeners_.end()) {
            accepts = true;
        }
    }
    if (accepts) {
        accepts_later_ = false;
        for (const ListenerId listener : listeners_) { accept_all(listener); }
    }
    // Few connections: all are looked at.
    for (auto at = connections_.begin(); at != connections_.end();) {
        if (serve(at->first, at->second)) {
            ++at;
        } else {
            network_.close(at->first);
            at = connections_.erase(at);
        }
    }
}

void HttpServer::accept_all(ListenerId listener) {
    while (true) {
        const auto accepted = network_.accept(listener);
        if (!accepted) {
            accepts_later_ = true;
            return;
        }
        if (!*accepted) { return; }
        make_room();
        const int64_t now = now_ms();
        connections_.emplace((*accepted)->id, Peer{.http = HttpConnection(now), .active_ms = now});
    }
}

// A page is asked for by few, and again and again: who is silent can come again.
void HttpServer::make_room() {
    if (connections_.size() < peers_max_) { return; }
    const auto longest =
        std::ranges::min_element(connections_, {}, [](const auto& entry) { return entry.second.active_ms; });
    network_.close(longest->first);
    connections_.erase(longest);
}

// False when the connection is over.
bool HttpServer::serve(ConnectionId id, Peer& peer) {
    for (int step = 0; step < steps_per_turn_max && has_work(peer); ++step) {
        if (peer.readable && (peer.lingers || peer.http.wants_input()) && !read_some(id, peer)) { return false; }
        if (auto request = peer.http.next_request(now_ms())) { peer.http.answer(pages_.answer(*request), now_ms()); }
        if (!peer.http.output().empty() && peer.writable && !write_some(id, peer)) { return false; }
        if (!peer.lingers && peer.http.should_close()) {
            peer.lingers = true;
            peer.lingers_until_ms = now_ms() + linger_ms;
        }
    }
    return now_ms() < (peer.lingers ? peer.lingers_until_ms : peer.http.deadline_ms());
}

// Both ask for no readiness that they were not told of; see Network.
bool HttpServer::read_some(ConnectionId id, Peer& peer) {
    const auto got = network_.read(id, buffer_);
    if (!got) { return false; }
    peer.readable = got->bytes == buffer_.size();
    if (got->bytes > 0 && !peer.lingers) {
        peer.active_ms = now_ms();
        peer.http.receive(Bytes(buffer_).first(got->bytes), now_ms());
    }
    if (!got->end) { return true; }
    peer.readable = false;
    peer.http.end_of_input();
    return !peer.lingers;  // it has read everything, or never will
}

bool HttpServer::write_some(ConnectionId id, Peer& peer) {
    const Bytes piece = as_bytes(peer.http.output());
    const auto taken = network_.write(id, std::span(&piece, 1));
    if (!taken) { return false; }
    if (*taken < piece.size()) { peer.writable = false; }
    if (*taken > 0) { peer.active_ms = now_ms(); }
    peer.http.sent(*taken, now_ms());
    return true;
}

bool HttpServer::has_work(const Peer& peer) {
    if (peer.lingers) { return peer.readable; }
    if (!peer.http.output().empty()) { return peer.writable; }
    return (peer.readable && peer.http.wants_input()) || peer.http.may_have_request() || peer.http.should_close();
}

// Until somebody must be closed, or has more to be done than fitted into a turn.
int64_t HttpServer::quiet_ns() {
    int64_t until = INT64_MAX;
    const int64_t now = now_ms();
    for (const auto& [id, peer] : connections_) {
        if (has_work(peer)) { return 0; }
        until = std::min(until, peer.lingers ? peer.lingers_until_ms : peer.http.deadline_ms());
    }
    if (accepts_later_) { until = std::min(until, now + accept_again_ms); }
    return until == INT64_MAX ? -1 : std::max<int64_t>(until - now, 0) * 1'000'000;
}

}  // namespace flowstone
