#include "client/impl/coordinator.h"

#include <utility>

namespace flowstone {
namespace {

constexpr int64_t ms_ns = 1'000'000;

}  // namespace

using kafka::ErrorCode;

Coordinator::Coordinator(Requests& requests, ClusterView& cluster, Clock& clock, std::string group, int32_t node,
                         int64_t request_ms)
    : requests_(requests),
      cluster_(cluster),
      clock_(clock),
      group_(std::move(group)),
      node_(node),
      request_ms_(request_ms) {}

Coordinator::~Coordinator() = default;

void Coordinator::find(std::function<void(ErrorCode)> done) {
    waiting_.push_back(std::move(done));
    if (waiting_.size() > 1) { return; }
    kafka::FindCoordinatorRequest request;
    request.key = group_;
    request.coordinator_keys = {group_};
    requests_.ask<kafka::FindCoordinatorResponse>(
        cluster_.some_node(), std::move(request), clock_.monotonic_ns() + request_ms_ * ms_ns,
        [self = shared_from_this()](const Result<Answered<kafka::FindCoordinatorResponse>>& answer) {
            self->on_found(answer);
        });
}

void Coordinator::on_found(const Result<Answered<kafka::FindCoordinatorResponse>>& answer) {
    ErrorCode code = answer ? answer->response.error_code : code_of(answer.error());
    if (answer && code == ErrorCode::none) {
        std::string host = answer->response.host;
        int32_t port = answer->response.port;
        if (answer->bytes.version >= 4) {
            code = ErrorCode::coordinator_not_available;
            for (const auto& one : answer->response.coordinators) {
                if (one.key != group_) { continue; }
                code = one.error_code;
                host = one.host;
                port = one.port;
            }
        }
        // A socket of this machine has a path and no port.
        if (code == ErrorCode::none) {
            known_ = port >= 0 && port <= UINT16_MAX && requests_.know(node_, {host, static_cast<uint16_t>(port)});
            if (!known_) { code = ErrorCode::coordinator_not_available; }
        }
    }
    for (const auto& done : std::exchange(waiting_, {})) { done(code); }
}

void Coordinator::heed(ErrorCode code) {
    const bool moved = code == ErrorCode::not_coordinator || code == ErrorCode::coordinator_not_available ||
                       code == ErrorCode::network_exception;
    if (moved) { known_ = false; }
}

void Coordinator::hang_up() { requests_.hang_up(node_); }

ErrorCode Coordinator::code_of(const Error& error) {
    return error.code == Code::unsupported ? ErrorCode::unsupported_version : ErrorCode::network_exception;
}

}  // namespace flowstone
