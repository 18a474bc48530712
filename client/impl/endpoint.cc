#include "client/impl/endpoint.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "net/transport/network.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr const char* operation = "client.open";

Result<std::vector<HostPort>> parse_hosts(std::string_view endpoint) {
    std::vector<HostPort> hosts;
    while (!endpoint.empty()) {
        const size_t comma = std::min(endpoint.find(','), endpoint.size());
        const auto host = parse_host_port(endpoint.substr(0, comma));
        if (!host) {
            return fail(Code::invalid, operation,
                        fmt::format("\"{}\": {}", endpoint.substr(0, comma), host.error().detail));
        }
        hosts.push_back(*host);
        endpoint.remove_prefix(std::min(comma + 1, endpoint.size()));
    }
    if (hosts.empty()) { return fail(Code::invalid, operation, "the endpoint is empty"); }
    return hosts;
}

std::optional<std::string> path_behind(std::string_view scheme, std::string_view endpoint) {
    if (!endpoint.starts_with(scheme)) { return {}; }
    return std::string(endpoint.substr(scheme.size()));
}

}  // namespace

// A later failure to connect is tried again, as with any broker. That nobody is there to begin with is told at once.
Result<HostPort> find_holder(const std::string& directory) {
    TRY(HostPort address, socket_in(directory));
    TRY(const auto network, open_epoll_network());
    const auto connection = network->connect(address, 0);
    if (connection) {
        network->close(*connection);
        return address;
    }
    if (connection.error().code != Code::not_found) { return std::unexpected(connection.error()); }
    return fail(Code::not_found, operation,
                fmt::format("nobody serves the log in {0}: open dir:{0}, or start flowstoned --data {0}", directory));
}

Result<OpenEndpoint> open_endpoint(std::string_view endpoint, const ClientOptions& options) {
    if (endpoint == "dir:" || endpoint == "shm:") {
        return fail(Code::invalid, operation, fmt::format("no path after \"{}\"", endpoint));
    }
    OpenEndpoint opened;
    if (auto directory = path_behind("dir:", endpoint)) {
        TRY(opened.held, HeldLog::open(std::move(*directory), options.log));
        opened.brokers = {opened.held->address()};
    } else if (auto shared = path_behind("shm:", endpoint)) {
        TRY(const HostPort address, find_holder(*shared));
        opened.brokers = {address};
        opened.shared = std::move(*shared);
    } else {
        TRY(opened.brokers, parse_hosts(endpoint));
    }
    return opened;
}

}  // namespace flowstone
