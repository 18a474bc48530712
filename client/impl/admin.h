// How a call of an Admin is carried out: by the client's thread, or by whoever drives a ClientEngine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <flowstone/admin.h>

#include "client/impl/broker_call.h"
#include "client/impl/client_engine.h"

namespace flowstone {

class AdminDoor {
public:
    AdminDoor() = default;
    AdminDoor(const AdminDoor&) = delete;
    AdminDoor& operator=(const AdminDoor&) = delete;
    virtual ~AdminDoor() = default;

    virtual int64_t now_ns() = 0;  // of the clock that deadlines are of
    // Runs `begin` where the engine is, adds the call to it, and returns when that is done. False: it never will be.
    virtual bool carry_out(const std::function<std::shared_ptr<BrokerCall>(ClientEngine&)>& begin) = 0;

    // Of each thing, why not, or nothing.
    template <class Request, class Response>
    std::vector<std::optional<Error>> ask(const BrokerCall::Options& options,
                                          const std::vector<BrokerCall::Thing>& things,
                                          typename RequestCall<Request, Response>::Make make,
                                          typename RequestCall<Request, Response>::Read read) {
        if (things.empty()) { return {}; }
        std::shared_ptr<BrokerCall> call;
        const bool done = carry_out([&](ClientEngine& engine) {
            call = std::make_shared<RequestCall<Request, Response>>(engine.call_world(), options, things,
                                                                    std::move(make), std::move(read));
            return call;
        });
        if (done) { return call->errors(); }
        const Error closed = fail(Code::closed, options.operation, "the client is closed").error();
        return std::vector<std::optional<Error>>(things.size(), closed);
    }
};

}  // namespace flowstone
