// A host and a port as people write them in a configuration; or, in place of a host, the whole path of a socket in the
// file system, which nobody writes: a program makes it. Pure: no name is looked up.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <flowstone/result.h>

namespace flowstone {

struct HostPort {
    std::string host;  // a name, or an address in numbers without brackets; empty: every address of this machine
    uint16_t port = 0;
    std::string to_string() const;  // "kafka.example:9092", "[::1]:9092", "/data/log/flowstone.sock"
    friend auto operator<=>(const HostPort&, const HostPort&) = default;
};

// "host:port", "[address of IPv6]:port", ":port", and each with Kafka's "PLAINTEXT://" in front. Other ways to write an
// address of IPv4 that the system's resolver would take (127.1, 0x7f000001) are refused: what an address is must be
// plain to see for whoever decides whether it may be reached from outside.
// Errors: invalid, whose detail says why, without `text`.
Result<HostPort> parse_host_port(std::string_view text);

bool is_path(const HostPort& at);
bool is_loopback(const HostPort& at);     // 127.0.0.0/8, ::1, localhost; of other names it is not known
bool is_any_address(const HostPort& at);  // 0.0.0.0, ::, or no host

}  // namespace flowstone
