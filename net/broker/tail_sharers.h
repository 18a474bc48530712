// Whether there is anybody who would read the log's tail in memory: another process of this machine that fetched. As long
// as one of them is connected the tail is shared (ServedLog::share_tails), and it costs nothing otherwise.
//
// Threads: the broker's one.
#pragma once

#include <functional>
#include <string>
#include <unordered_set>

#include <fmt/format.h>

#include "log/served_log.h"
#include "net/transport/server.h"
#include "storage/limits.h"

namespace flowstone {

class TailSharers {
public:
    TailSharers(ServedLog& log, const std::function<void(std::string_view)>& lines) : log_(log), lines_(lines) {}

    void fetched(const Peer& peer) {
        if (!peer.other_process || !connections_.insert(peer.connection).second || connections_.size() > 1) { return; }
        // Without it they fetch, as everybody does.
        if (const auto shared = log_.share_tails(shared_tail_bytes); !shared) {
            lines_(fmt::format("no shared memory for readers of this machine: {}", shared.error().message()));
        }
    }
    void closed(ConnectionId connection) {
        if (connections_.erase(connection) > 0 && connections_.empty()) { log_.stop_sharing_tails(); }
    }

private:
    ServedLog& log_;
    const std::function<void(std::string_view)>& lines_;
    std::unordered_set<ConnectionId> connections_;
};

}  // namespace flowstone
