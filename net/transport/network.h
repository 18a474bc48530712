// The door to the network: stream connections for one thread that waits for all of them.
//
// Readiness is told once for each change (edges): who was told that a connection is readable reads until a read gives
// fewer bytes than were asked for. Ids are never used twice. Behind it: epoll, and the simulated network of the tests.
//
// Threads: everything belongs to one thread but wake(), which any may call.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <flowstone/result.h>

#include "net/transport/host_port.h"
#include "storage/bytes.h"

namespace flowstone {

using ConnectionId = uint64_t;
using ListenerId = uint64_t;

struct NetworkEvent {
    uint64_t id = 0;  // of a connection or a listener
    bool readable = false;
    bool writable = false;
};

struct Accepted {
    ConnectionId id = 0;
    HostPort peer;
    HostPort local;              // that the peer reached us at
    bool other_process = false;  // through a socket in the file system, and not this process itself
};

struct ReadBytes {
    size_t bytes = 0;  // 0: nothing is there now
    bool end = false;  // nothing will come any more
};

class Network {
public:
    virtual ~Network() = default;

    struct Listener {
        ListenerId id = 0;
        HostPort address;  // with the port that was given when 0 was asked for
    };
    // A path (is_path()) is a socket in the file system, for those who may write into its directory; it is there until it is
    // closed. Errors: io (address in use, no permission), not_found (no such host).
    virtual Result<Listener> listen(const HostPort& address) = 0;
    // Sleeps until something is ready, wake() or the time; negative: for ever. Events are appended.
    virtual Result<void> wait(int64_t timeout_ns, std::vector<NetworkEvent>& events) = 0;
    virtual void wake() = 0;

    // Begins to connect, to one of the host's addresses: another one for each `attempt`, around. The connection is
    // writable once it is there; that it could not be made is found by reading. A name is looked up before this returns.
    // Errors: not_found (no such host; nobody listens at that path), busy (no descriptors), io;
    // unsupported, where there is a listening end only.
    virtual Result<ConnectionId> connect(const HostPort& address, size_t attempt);

    // The next connection that waits at the listener; empty when none does. Errors: busy (no descriptors: try again
    // once one is free), io.
    virtual Result<std::optional<Accepted>> accept(ListenerId listener) = 0;
    // Errors: io (the peer is gone, too).
    virtual Result<ReadBytes> read(ConnectionId connection, MutableBytes into) = 0;
    // Takes as many as there is room for, 0 when there is none now. Errors: io.
    virtual Result<size_t> write(ConnectionId connection, std::span<const Bytes> pieces) = 0;
    virtual void close(uint64_t id) = 0;  // of a connection or a listener
};

inline Result<ConnectionId> Network::connect(const HostPort& /*address*/, size_t /*attempt*/) {
    return fail(Code::unsupported, "network.connect");
}

// Errors: io.
Result<std::unique_ptr<Network>> open_epoll_network();

// Where the process that holds the log in a directory is reached on this machine: "flowstone.sock" in it, by its whole
// path. Errors: not_found (no such directory), io.
Result<HostPort> socket_in(const std::string& directory);

}  // namespace flowstone
