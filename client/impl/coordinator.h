// Which broker coordinates a group, and a connection to it that nobody else waits on: a broker answers one connection's
// requests in turn, and a join may be answered minutes later, a fetch after half a second.
//
// Threads: one, that of its Requests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/impl/cluster_view.h"
#include "client/impl/requests.h"
#include "net/kafka/error_code.h"
#include "net/kafka/messages/find_coordinator.h"
#include "storage/clock.h"

namespace flowstone {

// A request under way keeps it.
class Coordinator : public std::enable_shared_from_this<Coordinator> {
public:
    // `node`: under which Requests knows the coordinator, whichever broker it is; nobody else's.
    Coordinator(Requests& requests, ClusterView& cluster, Clock& clock, std::string group, int32_t node,
                int64_t request_ms);
    ~Coordinator();

    // Asks who it is, unless that is under way. Each `done` is called once, never within this call.
    void find(std::function<void(kafka::ErrorCode)> done);
    // The node to ask; nothing until found.
    std::optional<int32_t> node() const { return known_ ? std::optional(node_) : std::nullopt; }
    // Takes note of what an answer said: whether it is still the one.
    void heed(kafka::ErrorCode code);
    void hang_up();  // what is under way with it fails

    // What an answer that did not come is like.
    static kafka::ErrorCode code_of(const Error& error);

private:
    void on_found(const Result<Answered<kafka::FindCoordinatorResponse>>& answer);

    Requests& requests_;
    ClusterView& cluster_;
    Clock& clock_;
    const std::string group_;
    const int32_t node_;
    const int64_t request_ms_;
    bool known_ = false;
    std::vector<std::function<void(kafka::ErrorCode)>> waiting_;
};

}  // namespace flowstone
