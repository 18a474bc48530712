// Which log a command works on: `dir:PATH`, `shm:PATH`, `HOST:PORT[,HOST:PORT]...`, or a path.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <flowstone/result.h>

namespace flowstone::tool {

constexpr std::string_view endpoint_default = "dir:./flowstone-data";

struct Endpoint {
    // `path`: of nobody's choice; through the process that holds it and serves it if there is one, else as `dir`.
    enum class Kind : uint8_t { dir, shm, hosts, path };
    Kind kind = Kind::dir;
    std::string path;  // the hosts as given
    bool names_directory() const { return kind == Kind::dir || kind == Kind::path; }
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// A word with `/`, or one for which `is_directory` answers yes, is a path. Empty text is the default.
// Errors: invalid.
Result<Endpoint> parse_endpoint(std::string_view text, const std::function<bool(const std::string&)>& is_directory);

// As parse_endpoint(), with the file system's answer. Errors: invalid.
Result<Endpoint> find_endpoint(std::string_view text);

// As find_endpoint(), for a command that goes through a holder as well: what was a path is `shm` if it is served now, else
// `dir`. Errors: invalid.
Result<Endpoint> choose_endpoint(std::string_view text);

// A live process holds the log in that directory and listens there for others of this machine.
bool is_served(const std::string& directory);

std::string for_client(const Endpoint& endpoint);  // as Client::open takes it

// The directory of the log that -L names, for a command that works on it and on nothing else. Errors: as
// find_endpoint(); unsupported for shm and hosts.
Result<std::string> log_directory(std::string_view endpoint);

}  // namespace flowstone::tool
