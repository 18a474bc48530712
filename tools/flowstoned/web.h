// What flowstoned serves by HTTP, in a thread of its own: /metrics for Prometheus, /healthz for whoever restarts it.
//
// The broker's own thread tells it how things are after each of its rounds; pages show the last that was told. So neither
// waits for the other for longer than it takes to copy a few numbers.
#pragma once

#include <memory>
#include <optional>

#include <flowstone/result.h>

#include "net/broker/broker.h"
#include "net/transport/host_port.h"

namespace flowstone {

class Web {
public:
    Web();
    ~Web();

    // Once. Errors: io, not_found.
    Result<void> serve(const HostPort& address);
    const std::optional<HostPort>& address() const { return address_; }  // with its port; none: nothing is served
    void publish(const Broker& broker);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
    std::optional<HostPort> address_;
};

}  // namespace flowstone
