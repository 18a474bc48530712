// A network inside one process: a server on one end, clients of the test's making on the other, and a seed that decides
// how bytes are cut on their way.
//
// As mean as a real one: a read gives fewer bytes than are there, a write takes fewer than it is given, events tell of
// changes once, a peer vanishes at any byte. Nothing is lost or reordered within a connection. wait() never sleeps: when
// nothing is ready it moves the clock by what it was to wait for, so simulated time passes as fast as there is nothing to
// do. One thread, but for wake().
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "net/transport/network.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {

class SimNetwork final : public Network {
public:
    struct Options {
        uint64_t seed = 1;
        bool cut = true;                    // bytes come and go in pieces; else as many as there are
        size_t buffer_bytes = 256u << 10;   // that a connection holds in each direction
        uint32_t descriptors = UINT32_MAX;  // connections that the server may have open at once
    };
    SimNetwork(SimClock& clock, const Options& options) : clock_(clock), options_(options), random_(options.seed) {}

    // --- the server's end ---
    Result<Listener> listen(const HostPort& address) override;
    Result<void> wait(int64_t timeout_ns, std::vector<NetworkEvent>& events) override;
    void wake() override { woken_ = true; }
    Result<std::optional<Accepted>> accept(ListenerId listener) override;
    Result<ReadBytes> read(ConnectionId connection, MutableBytes into) override;
    Result<size_t> write(ConnectionId connection, std::span<const Bytes> pieces) override;
    void close(uint64_t id) override;

    // --- the clients' end ---
    using SocketId = uint64_t;
    // Errors: not_found, when nobody listens there.
    Result<SocketId> dial(const HostPort& to, const HostPort& from = {"127.0.0.1", 40'000});
    size_t send(SocketId socket, Bytes bytes);        // how many were taken
    std::vector<std::byte> receive(SocketId socket);  // what has come
    bool closed_by_server(SocketId socket) const;     // and everything before it was received
    bool broken(SocketId socket) const;
    void hang_up(SocketId socket);
    void reset(SocketId socket);  // without a word: the server's next call fails
    size_t open_connections() const { return connections_; }
    // The server's machine is gone, in the middle of whatever it did: what it sent before still arrives, what it does
    // from now on reaches nobody.
    void lose_server();

private:
    struct Pipe {
        std::deque<std::byte> bytes;
    };
    struct Link {
        HostPort client;
        HostPort server;
        Pipe to_server;
        Pipe to_client;
        bool accepted = false;
        bool server_closed = false;
        bool client_closed = false;
        bool broken = false;
        bool tell_readable = false;
        bool tell_writable = false;
    };
    size_t part_of(size_t whole);
    Link* find(uint64_t id);
    const Link* find(uint64_t id) const;

    SimClock& clock_;
    Options options_;
    SimRandom random_;
    std::map<ListenerId, HostPort> listeners_;
    struct Backlog {
        std::deque<ConnectionId> waiting;
        bool tell = false;
    };
    std::map<ListenerId, Backlog> backlog_;
    std::map<ConnectionId, Link> links_;
    uint64_t next_id_ = 1;
    uint16_t next_port_ = 50'000;
    size_t connections_ = 0;
    std::atomic<bool> woken_ = false;
};

// The door of a client to servers of a SimNetwork, as mean as theirs. wait() never sleeps, nor does it move the clock.
class SimClientNetwork final : public Network {
public:
    explicit SimClientNetwork(SimNetwork& servers, uint64_t seed = 1) : servers_(servers), random_(seed) {}

    Result<Listener> listen(const HostPort& /*address*/) override { return fail(Code::unsupported, "network.listen"); }
    Result<ConnectionId> connect(const HostPort& address, size_t attempt) override;
    Result<void> wait(int64_t timeout_ns, std::vector<NetworkEvent>& events) override;
    void wake() override {}
    Result<std::optional<Accepted>> accept(ListenerId /*listener*/) override { return std::optional<Accepted>(); }
    Result<ReadBytes> read(ConnectionId connection, MutableBytes into) override;
    Result<size_t> write(ConnectionId connection, std::span<const Bytes> pieces) override;
    void close(uint64_t id) override;
    size_t open_connections() const { return sockets_.size(); }
    // Every connection breaks without a word, at whatever byte it had come to.
    void break_all();

private:
    struct Socket {
        std::vector<std::byte> received;
        bool end_told = false;
        bool tell_readable = false;
        bool tell_writable = true;
    };
    SimNetwork& servers_;
    SimRandom random_;
    std::map<SimNetwork::SocketId, Socket> sockets_;
};

}  // namespace flowstone
