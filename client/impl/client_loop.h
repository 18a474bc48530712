// The client's thread, and how other threads reach what is in it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <flowstone/client.h>

#include "client/impl/client_engine.h"
#include "storage/fork_guard.h"
#include "storage/lock.h"
#include "storage/thread.h"

namespace flowstone {

class ClientLoop {
public:
    // Errors: io.
    static Result<std::unique_ptr<ClientLoop>> start(std::vector<HostPort> bootstrap, const ClientOptions& options);
    ~ClientLoop();  // as close(0)
    ClientLoop(const ClientLoop&) = delete;
    ClientLoop& operator=(const ClientLoop&) = delete;

    // --- any thread but the client's ---
    // Runs it in the client's thread and waits for that. False: the thread has ended, and nothing was run.
    bool run(const std::function<void(ClientEngine&)>& act);
    // Runs `poll` in the client's thread after each turn until it is true, or the time is over. False: it never was.
    bool run_until(const std::function<bool(ClientEngine&)>& poll, int64_t timeout_ns);

    // Waits for what producers hold, ends the thread. False: something was given up.
    bool close(int64_t timeout_ns);
    // In a child of fork() the thread is not there: nothing runs, and this must be leaked, not destroyed.
    bool owned_here() const { return owner_ == process_token(); }

private:
    enum State : uint32_t { open, was_true, never, given_up };
    struct Call {
        std::function<bool(ClientEngine&)> poll;
        std::shared_ptr<std::atomic<uint32_t>> state;  // owners: the caller, and the list
    };
    ClientLoop(std::unique_ptr<Network> network, std::vector<HostPort> bootstrap, const ClientOptions& options);
    void body();
    bool answer_calls();
    static void end(const Call& call, uint32_t how);

    std::unique_ptr<Network> network_;
    ClientEngine engine_;
    Lock lock_;  // guards calls_ and ended_
    std::vector<Call> calls_;
    bool ended_ = false;
    std::atomic<bool> stop_ = false;
    const uint32_t owner_ = process_token();
    std::optional<Thread> thread_;
};

}  // namespace flowstone
