#include "tests/sim/world/sim_network.h"

#include <algorithm>
#include <utility>

#include "storage/check.h"
#include "storage/try.h"

namespace flowstone {

// Some of them, at least one.
size_t SimNetwork::part_of(size_t whole) {
    if (!options_.cut || whole <= 1) { return whole; }
    switch (random_.below(4)) {
        case 0: return 1 + random_.below(std::min<size_t>(whole, 16));
        case 1: return 1 + random_.below(whole);
        default: return whole;
    }
}

SimNetwork::Link* SimNetwork::find(uint64_t id) {
    const auto found = links_.find(id);
    return found == links_.end() ? nullptr : &found->second;
}
const SimNetwork::Link* SimNetwork::find(uint64_t id) const {
    const auto found = links_.find(id);
    return found == links_.end() ? nullptr : &found->second;
}

// --- the server's end --------------------------------------------------------------------------------------------------

Result<Network::Listener> SimNetwork::listen(const HostPort& address) {
    HostPort bound = address;
    if (bound.port == 0) { bound.port = next_port_++; }
    for (const auto& [id, taken] : listeners_) {
        if (taken == bound) { return fail(Code::io, "network.listen", bound.to_string()); }
    }
    const ListenerId id = next_id_++;
    listeners_.emplace(id, bound);
    return Listener{id, bound};
}

Result<void> SimNetwork::wait(int64_t timeout_ns, std::vector<NetworkEvent>& events) {
    for (auto& [listener, backlog] : backlog_) {
        if (std::exchange(backlog.tell, false)) { events.push_back({listener, true, false}); }
    }
    for (auto& [id, link] : links_) {
        if (!link.accepted || link.server_closed || (!link.tell_readable && !link.tell_writable)) { continue; }
        events.push_back({id, std::exchange(link.tell_readable, false), std::exchange(link.tell_writable, false)});
    }
    if (events.empty() && !woken_ && timeout_ns > 0) { clock_.advance_ms((timeout_ns + 999'999) / 1'000'000); }
    woken_ = false;
    return {};
}

Result<std::optional<Accepted>> SimNetwork::accept(ListenerId listener) {
    auto& waiting = backlog_[listener].waiting;
    if (waiting.empty()) { return std::optional<Accepted>(); }
    if (connections_ >= options_.descriptors) { return fail(Code::busy, "network.accept", "no descriptors are left"); }
    const ConnectionId id = waiting.front();
    waiting.pop_front();
    Link& link = links_.at(id);
    link.accepted = true;
    link.tell_writable = true;
    ++connections_;
    return std::optional(Accepted{id, link.client, link.server});
}

Result<ReadBytes> SimNetwork::read(ConnectionId connection, MutableBytes into) {
    Link* link = find(connection);
    CHECK(link != nullptr);
    if (link->broken || link->server_closed) { return fail(Code::io, "network.read", "the connection was reset"); }
    auto& bytes = link->to_server.bytes;
    if (bytes.empty()) { return ReadBytes{0, link->client_closed}; }
    // Fewer than asked for tells the reader that no more is there, so what is held back is told of again.
    const size_t count = part_of(std::min(into.size(), bytes.size()));
    std::copy_n(bytes.begin(), count, into.begin());
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    if (count < into.size() && (!bytes.empty() || link->client_closed)) { link->tell_readable = true; }
    return ReadBytes{count, false};
}

Result<size_t> SimNetwork::write(ConnectionId connection, std::span<const Bytes> pieces) {
    Link* link = find(connection);
    CHECK(link != nullptr);
    if (link->broken || link->client_closed || link->server_closed) {
        return fail(Code::io, "network.write", "the peer is gone");
    }
    size_t wanted = 0;
    for (const Bytes piece : pieces) { wanted += piece.size(); }
    auto& bytes = link->to_client.bytes;
    const size_t room = options_.buffer_bytes - std::min(options_.buffer_bytes, bytes.size());
    const size_t count = room == 0 ? 0 : part_of(std::min(wanted, room));
    size_t left = count;
    for (const Bytes piece : pieces) {
        const size_t taken = std::min(left, piece.size());
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(taken));
        left -= taken;
    }
    if (count < wanted && count < room) { link->tell_writable = true; }
    return count;
}

void SimNetwork::close(uint64_t id) {
    listeners_.erase(id);
    if (const auto backlog = backlog_.find(id); backlog != backlog_.end()) {
        for (const ConnectionId waiting : backlog->second.waiting) { links_.at(waiting).server_closed = true; }
        backlog_.erase(backlog);
    }
    if (Link* link = find(id); link != nullptr && !link->server_closed) {
        link->server_closed = true;
        --connections_;
    }
}

// --- the clients' end --------------------------------------------------------------------------------------------------

Result<SimNetwork::SocketId> SimNetwork::dial(const HostPort& to, const HostPort& from) {
    for (const auto& [listener, address] : listeners_) {
        if (address != to) { continue; }
        const ConnectionId id = next_id_++;
        links_[id].client = from;
        links_[id].server = to;
        backlog_[listener].waiting.push_back(id);
        backlog_[listener].tell = true;
        return id;
    }
    return fail(Code::not_found, "network.connect", to.to_string());
}

size_t SimNetwork::send(SocketId socket, Bytes bytes) {
    Link& link = links_.at(socket);
    if (link.server_closed || link.client_closed || link.broken) { return 0; }
    auto& pipe = link.to_server.bytes;
    const size_t room = options_.buffer_bytes - std::min(options_.buffer_bytes, pipe.size());
    const size_t count = std::min(bytes.size(), room);
    pipe.insert(pipe.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    if (count > 0) { link.tell_readable = true; }
    return count;
}

std::vector<std::byte> SimNetwork::receive(SocketId socket) {
    Link& link = links_.at(socket);
    std::vector<std::byte> out(link.to_client.bytes.begin(), link.to_client.bytes.end());
    link.to_client.bytes.clear();
    if (!out.empty()) { link.tell_writable = true; }
    return out;
}

bool SimNetwork::closed_by_server(SocketId socket) const {
    const Link* link = find(socket);
    return link != nullptr && link->server_closed && link->to_client.bytes.empty();
}

void SimNetwork::hang_up(SocketId socket) {
    links_.at(socket).client_closed = true;
    links_.at(socket).tell_readable = true;
}

void SimNetwork::lose_server() {
    for (auto& [id, link] : links_) { link.server_closed = true; }
    connections_ = 0;
    listeners_.clear();
    backlog_.clear();
}

void SimNetwork::reset(SocketId socket) {
    links_.at(socket).broken = true;
    links_.at(socket).tell_readable = true;
}

bool SimNetwork::broken(SocketId socket) const { return links_.at(socket).broken; }

// --- a client's door ---------------------------------------------------------------------------------------------------

Result<ConnectionId> SimClientNetwork::connect(const HostPort& address, size_t /*attempt*/) {
    TRY(const SimNetwork::SocketId socket, servers_.dial(address));
    sockets_.emplace(socket, Socket());
    return socket;
}

Result<void> SimClientNetwork::wait(int64_t /*timeout_ns*/, std::vector<NetworkEvent>& events) {
    for (auto& [id, socket] : sockets_) {
        const auto came = servers_.receive(id);
        socket.received.insert(socket.received.end(), came.begin(), came.end());
        const bool over = servers_.closed_by_server(id) || servers_.broken(id);
        const bool ended = over && !std::exchange(socket.end_told, over);
        const bool readable = std::exchange(socket.tell_readable, false) || !came.empty() || ended;
        const bool writable = std::exchange(socket.tell_writable, false);
        if (readable || writable) { events.push_back({id, readable, writable}); }
    }
    return {};
}

Result<ReadBytes> SimClientNetwork::read(ConnectionId connection, MutableBytes into) {
    Socket& socket = sockets_.at(connection);
    if (servers_.broken(connection)) { return fail(Code::io, "network.read", "the connection was reset"); }
    auto& bytes = socket.received;
    if (bytes.empty()) { return ReadBytes{0, servers_.closed_by_server(connection)}; }
    const size_t wanted = std::min(into.size(), bytes.size());
    const size_t count = random_.below(2) == 0 ? wanted : 1 + random_.below(wanted);
    std::copy_n(bytes.begin(), count, into.begin());
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    // Fewer than asked for tells the reader that no more is there, so what is held back is told of again.
    socket.tell_readable = count < into.size() && (!bytes.empty() || servers_.closed_by_server(connection));
    return ReadBytes{count, false};
}

Result<size_t> SimClientNetwork::write(ConnectionId connection, std::span<const Bytes> pieces) {
    Socket& socket = sockets_.at(connection);
    if (servers_.broken(connection) || servers_.closed_by_server(connection)) {
        return fail(Code::io, "network.write", "the peer is gone");
    }
    size_t put = 0;
    for (const Bytes piece : pieces) {
        const size_t wanted = random_.below(2) == 0 ? piece.size() : 1 + random_.below(piece.size());
        const size_t count = servers_.send(connection, piece.first(wanted));
        put += count;
        if (count < piece.size()) {
            socket.tell_writable = true;
            break;
        }
    }
    return put;
}

void SimClientNetwork::close(uint64_t id) {
    if (sockets_.erase(id) > 0) { servers_.hang_up(id); }
}

void SimClientNetwork::break_all() {
    for (const auto& [id, socket] : sockets_) { servers_.reset(id); }
}

}  // namespace flowstone
