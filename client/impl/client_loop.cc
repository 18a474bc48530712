#include "client/impl/client_loop.h"

#include <algorithm>
#include <utility>

#include "storage/try.h"

namespace flowstone {

Result<std::unique_ptr<ClientLoop>> ClientLoop::start(std::vector<HostPort> bootstrap, const ClientOptions& options) {
    TRY(auto network, open_epoll_network());
    return std::unique_ptr<ClientLoop>(new ClientLoop(std::move(network), std::move(bootstrap), options));
}

ClientLoop::ClientLoop(std::unique_ptr<Network> network, std::vector<HostPort> bootstrap, const ClientOptions& options)
    : network_(std::move(network)),
      engine_({*network_, system_clock(), system_random()}, std::move(bootstrap), options) {
    thread_.emplace("flowstone-cli", [this] { body(); });
}

ClientLoop::~ClientLoop() { close(0); }

void ClientLoop::body() {
    std::vector<NetworkEvent> events;
    while (!stop_) {
        events.clear();
        if (!network_->wait(engine_.quiet_ns(), events)) { break; }
        engine_.turn(events);
        while (answer_calls()) { engine_.turn({}); }
    }
    engine_.close();
    const std::lock_guard guard(lock_);
    ended_ = true;
    for (const Call& call : calls_) { end(call, never); }
    calls_.clear();
}

void ClientLoop::end(const Call& call, uint32_t how) {
    uint32_t expected = open;
    call.state->compare_exchange_strong(expected, how, std::memory_order_acq_rel);
    wake_all(*call.state);
}

// Whether any was, so that there may be more to do.
bool ClientLoop::answer_calls() {
    std::vector<Call> calls;
    {
        const std::lock_guard guard(lock_);
        calls.swap(calls_);
    }
    bool any = false;
    std::erase_if(calls, [&](const Call& call) {
        if (*call.state == given_up) { return true; }
        if (!call.poll(engine_)) { return false; }
        end(call, was_true);
        return any = true;
    });
    const std::lock_guard guard(lock_);
    calls_.insert(calls_.begin(), std::make_move_iterator(calls.begin()), std::make_move_iterator(calls.end()));
    return any;
}

bool ClientLoop::run(const std::function<void(ClientEngine&)>& act) {
    return run_until(
        [&](ClientEngine& engine) {
            act(engine);
            return true;
        },
        -1);
}

bool ClientLoop::run_until(const std::function<bool(ClientEngine&)>& poll, int64_t timeout_ns) {
    if (!owned_here()) { return false; }
    const auto state = std::make_shared<std::atomic<uint32_t>>(open);
    {
        const std::lock_guard guard(lock_);
        if (ended_) { return false; }
        calls_.push_back({poll, state});
    }
    network_->wake();
    const int64_t until = timeout_ns < 0 ? INT64_MAX : system_clock().monotonic_ns() + timeout_ns;
    while (*state == open) {
        const int64_t left = until == INT64_MAX ? -1 : until - system_clock().monotonic_ns();
        if (until != INT64_MAX && left <= 0) {
            uint32_t expected = open;
            state->compare_exchange_strong(expected, given_up);
            // It may be looked at right now, and what it refers to is the caller's: until another one has had its turn.
            run([](ClientEngine&) {});
            break;
        }
        sleep_while(*state, open, left);
    }
    return *state == was_true;
}

bool ClientLoop::close(int64_t timeout_ns) {
    if (!thread_ || !owned_here()) { return true; }
    run([](ClientEngine& engine) { engine.finish(); });
    const bool delivered = run_until([](ClientEngine& engine) { return engine.all_delivered(); }, timeout_ns);
    stop_ = true;
    network_->wake();
    thread_.reset();
    return delivered;
}

}  // namespace flowstone
