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
    // Asks a broker that `node` picks, again while that may help and the request was certainly not carried out, or when
    // `repeatable`, always. Errors: those of Requests::ask; closed.
    template <class Response, class Request>
    Result<Answered<Response>> ask(const std::function<int32_t(ClientEngine&)>& node, const Request& request,
                                   bool repeatable, int64_t timeout_ns) {
        const int64_t until = system_clock().monotonic_ns() + timeout_ns;
        for (;;) {
            const auto state =
                std::make_shared<std::optional<Result<Answered<Response>>>>();  // owners: we and the callback
            const int64_t left = until - system_clock().monotonic_ns();
            const bool asked = run([&](ClientEngine& engine) {
                engine.requests().template ask<Response>(
                    node(engine), request, until,
                    [state](Result<Answered<Response>> answer) { *state = std::move(answer); });
            });
            if (!asked) { return fail(Code::closed, "client.request", "the client is closed"); }
            run_until([&](ClientEngine&) { return state->has_value(); }, left);
            std::optional<Result<Answered<Response>>> answer;
            run([&](ClientEngine&) { answer = std::move(*state); });
            if (!answer) { return fail(Code::timed_out, "client.request", "no broker answers"); }
            if (*answer) { return std::move(**answer); }
            const Error& error = answer->error();
            const bool safe = repeatable || error.fate == Fate::not_appended;
            const bool hopeless = error.code == Code::unsupported || error.code == Code::closed;
            if (!safe || hopeless || system_clock().monotonic_ns() + retry_ns >= until) {
                return std::unexpected(error.with_fate(Fate::none));
            }
            pause();
        }
    }

    // Waits for what producers hold, ends the thread. False: something was given up.
    bool close(int64_t timeout_ns);
    // In a child of fork() the thread is not there: nothing runs, and this must be leaked, not destroyed.
    bool owned_here() const { return owner_ == process_token(); }

private:
    static constexpr int64_t retry_ns = 100'000'000;
    enum State : uint32_t { open, was_true, never, given_up };
    struct Call {
        std::function<bool(ClientEngine&)> poll;
        std::shared_ptr<std::atomic<uint32_t>> state;  // owners: the caller, and the list
    };
    ClientLoop(std::unique_ptr<Network> network, std::vector<HostPort> bootstrap, const ClientOptions& options);
    void body();
    bool answer_calls();
    static void end(const Call& call, uint32_t how);
    static void pause();

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
