#include "net/transport/host_port.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace flowstone {
namespace {

constexpr size_t host_bytes_max = 253;
constexpr size_t label_bytes_max = 63;
constexpr std::string_view digits = "0123456789";

bool is_only(std::string_view text, std::string_view characters) {
    return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

// Four numbers of at most three digits.
bool is_ipv4(std::string_view text) {
    for (int i = 0; i < 4; ++i) {
        const size_t dot = i < 3 ? text.find('.') : text.size();
        if (dot == std::string_view::npos) { return false; }
        const std::string_view part = text.substr(0, dot);
        int value = 256;
        if (part.size() > 3 || !is_only(part, digits)) { return false; }
        std::from_chars(part.data(), part.data() + part.size(), value);
        if (value > 255) { return false; }
        text.remove_prefix(i < 3 ? dot + 1 : dot);
    }
    return true;
}

// What is in brackets. Whether it is one the system will say; it is certainly nothing else.
bool may_be_ipv6(std::string_view text) {
    return text.size() <= 45 && std::ranges::count(text, ':') >= 2 && is_only(text, "0123456789abcdefABCDEF:.");
}

bool is_host_name(std::string_view text) {
    if (text.size() > host_bytes_max) { return false; }
    std::string_view last;
    while (true) {
        last = text.substr(0, text.find('.'));
        if (last.empty() || last.size() > label_bytes_max || last.starts_with('-') || last.ends_with('-')) {
            return false;
        }
        if (!is_only(last, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_")) { return false; }
        if (last.size() == text.size()) { break; }
        text.remove_prefix(last.size() + 1);
    }
    // A number at the end would be taken for an address.
    return !is_only(last, digits) && !last.starts_with("0x") && !last.starts_with("0X");
}

std::unexpected<Error> refuse(std::string_view why) { return fail(Code::invalid, "host_port", why); }

}  // namespace

std::string HostPort::to_string() const {
    if (is_path(*this)) { return host; }
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Result<HostPort> parse_host_port(std::string_view text) {
    if (const size_t scheme = text.find("://"); scheme != std::string_view::npos) {
        if (text.substr(0, scheme) != "PLAINTEXT") { return refuse("of Kafka's protocols only PLAINTEXT is served"); }
        text.remove_prefix(scheme + 3);
    }
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) { return refuse("must be host:port"); }
    std::string_view host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    uint32_t number = 0;
    if (port.size() > 5 || !is_only(port, digits)) { return refuse("the port must be a number from 0 to 65535"); }
    std::from_chars(port.data(), port.data() + port.size(), number);
    if (number > 65'535) { return refuse("the port must be a number from 0 to 65535"); }
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
        if (!may_be_ipv6(host)) { return refuse("in brackets stands an address of IPv6"); }
    } else if (host.find(':') != std::string_view::npos) {
        return refuse("an address of IPv6 stands in brackets");
    } else if (!host.empty() && !is_ipv4(host) && !is_host_name(host)) {
        return refuse("the host must be a name, or an address in full");
    }
    return HostPort{std::string(host), static_cast<uint16_t>(number)};
}

bool is_path(const HostPort& at) { return at.host.starts_with('/'); }

bool is_loopback(const HostPort& at) {
    return at.host == "localhost" || at.host == "::1" || (at.host.starts_with("127.") && is_ipv4(at.host));
}

bool is_any_address(const HostPort& at) {
    return at.host.empty() || is_only(at.host, "0.") || (may_be_ipv6(at.host) && is_only(at.host, "0:."));
}

}  // namespace flowstone
