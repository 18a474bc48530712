// What a program names to Client::open, and how it is reached.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/client.h>

#include "client/impl/held_log.h"
#include "net/transport/host_port.h"

namespace flowstone {

struct OpenEndpoint {
    std::vector<HostPort> brokers;  // to begin with; one at least
    std::unique_ptr<HeldLog> held;  // of dir:PATH
    std::string shared{};           // PATH of shm:PATH
};

// Opens the log of dir:PATH; looks whether somebody holds that of shm:PATH. Of hosts nobody is asked.
// Errors: as Client::open.
Result<OpenEndpoint> open_endpoint(std::string_view endpoint, const ClientOptions& options);

// Where the process listens that holds the log in that directory. Errors: not_found: nobody does; io, read_only.
Result<HostPort> find_holder(const std::string& directory);

}  // namespace flowstone
