#include "tools/flowstone/endpoint.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include <flowstone/client.h>

#include "tools/flowstone/output.h"

namespace flowstone::tool {
namespace {

bool is_host_and_port(std::string_view text) {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) { return false; }
    const std::string_view digits = text.substr(colon + 1);
    if (!std::all_of(digits.begin(), digits.end(), [](char digit) { return digit >= '0' && digit <= '9'; })) {
        return false;
    }
    const auto port = parse_integer(digits);
    return port && *port >= 1 && *port <= 65535;
}

bool are_hosts(std::string_view text) {
    while (true) {
        const size_t comma = text.find(',');
        if (!is_host_and_port(text.substr(0, comma))) { return false; }
        if (comma == std::string_view::npos) { return true; }
        text.remove_prefix(comma + 1);
    }
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text, const std::function<bool(const std::string&)>& is_directory) {
    if (text.empty()) { text = endpoint_default; }
    for (const auto& [scheme, kind] : {std::pair{"dir:", Endpoint::Kind::dir}, {"shm:", Endpoint::Kind::shm}}) {
        if (!text.starts_with(scheme)) { continue; }
        const std::string_view path = text.substr(4);
        if (path.empty()) { return fail(Code::invalid, "endpoint", fmt::format("no path after '{}'", scheme)); }
        return Endpoint{kind, std::string(path)};
    }
    if (text.find('/') != std::string_view::npos || is_directory(std::string(text))) {
        return Endpoint{Endpoint::Kind::path, std::string(text)};
    }
    if (are_hosts(text)) { return Endpoint{Endpoint::Kind::hosts, std::string(text)}; }
    return fail(Code::invalid, "endpoint",
                fmt::format("'{}' is no directory; write dir:{} for one that is yet to be made", text, text));
}

Result<Endpoint> find_endpoint(std::string_view text) {
    return parse_endpoint(text, [](const std::string& path) {
        std::error_code ignored;
        return std::filesystem::is_directory(path, ignored);
    });
}

Result<Endpoint> choose_endpoint(std::string_view text) {
    auto endpoint = find_endpoint(text);
    if (endpoint && endpoint->kind == Endpoint::Kind::path) {
        endpoint->kind = is_served(endpoint->path) ? Endpoint::Kind::shm : Endpoint::Kind::dir;
    }
    return endpoint;
}

bool is_served(const std::string& directory) { return Client::open("shm:" + directory).has_value(); }

std::string for_client(const Endpoint& endpoint) {
    switch (endpoint.kind) {
        case Endpoint::Kind::path:
        case Endpoint::Kind::dir: return "dir:" + endpoint.path;
        case Endpoint::Kind::shm: return "shm:" + endpoint.path;
        case Endpoint::Kind::hosts: break;
    }
    return endpoint.path;
}

Result<std::string> log_directory(std::string_view text) {
    auto endpoint = find_endpoint(text);
    if (!endpoint) { return std::unexpected(endpoint.error()); }
    if (!endpoint->names_directory()) {
        return fail(Code::unsupported, "endpoint",
                    fmt::format("'{}': this works on a directory itself; use dir:PATH", for_client(*endpoint)));
    }
    return std::move(endpoint->path);
}

}  // namespace flowstone::tool
