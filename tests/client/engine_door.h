// Carries out an Admin's calls by an engine that a test drives.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "client/impl/admin.h"
#include "tests/sim/world/sim_clock.h"

namespace flowstone {

class EngineDoor final : public AdminDoor {
public:
    // `until` drives the engine until something is true; false: it never was.
    EngineDoor(SimClock& clock, ClientEngine& engine, std::function<bool(const std::function<bool()>&)> until)
        : clock_(clock), engine_(engine), until_(std::move(until)) {}
    int64_t now_ns() override { return clock_.monotonic_ns(); }
    bool carry_out(const std::function<std::shared_ptr<BrokerCall>(ClientEngine&)>& begin) override {
        const auto call = begin(engine_);
        engine_.add(call);
        return until_([&] { return call->done(); });
    }

private:
    SimClock& clock_;
    ClientEngine& engine_;
    std::function<bool(const std::function<bool()>&)> until_;
};

}  // namespace flowstone
