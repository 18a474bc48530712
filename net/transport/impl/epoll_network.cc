// The network of the machine, by epoll and non-blocking sockets; a path in place of a host is a socket in the file system.
#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_map>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fmt/format.h>

#include "net/transport/impl/socket_descriptor.h"
#include "net/transport/impl/unix_socket.h"
#include "net/transport/network.h"
#include "storage/fork_guard.h"
#include "storage/try.h"

namespace flowstone {

namespace {

constexpr int listen_backlog = 1024;
constexpr size_t events_max = 256;  // of one wait
constexpr size_t pieces_max = 64;   // of one write
constexpr uint64_t wake_id = 0;

HostPort address_of(const sockaddr_storage& from) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (from.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
        inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
        return {text.data(), ntohs(v4.sin_port)};
    }
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
    } else {
        inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    }
    return {text.data(), ntohs(v6.sin6_port)};
}

HostPort name_of(int socket, int (*ask)(int, sockaddr*, socklen_t*)) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    if (ask(socket, reinterpret_cast<sockaddr*>(&name), &size) != 0) { return {}; }
    return address_of(name);
}

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// One at least.
Result<Addresses> look_up(const HostPort& address, int flags, const char* operation) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const std::string port = std::to_string(address.port);
    const int error = getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(), port.c_str(), &hints, &found);
    if (error != 0) {
        return fail(Code::not_found, operation, fmt::format("{}: {}", address.to_string(), gai_strerror(error)));
    }
    return Addresses(found, &freeaddrinfo);
}

bool no_descriptors(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

constexpr uint32_t connection_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

class EpollNetwork final : public Network {
public:
    EpollNetwork(SocketDescriptor epoll, SocketDescriptor event)
        : epoll_(std::move(epoll)), event_(std::move(event)), process_token_(process_token()) {}
    ~EpollNetwork() override {
        // What a forked child has are copies: the path is its parent's.
        if (process_token_ != process_token()) { return; }
        for (const auto& [id, path] : paths_) { remove_socket(path); }
    }

    Result<Listener> listen(const HostPort& address) override {
        if (is_path(address)) {
            TRY(SocketDescriptor socket, listen_at_path(address.host, listen_backlog));
            TRY(const uint64_t id, add(std::move(socket), EPOLLIN | EPOLLET));
            paths_.emplace(id, address.host);
            return Listener{id, address};
        }
        TRY(const Addresses found, look_up(address, AI_PASSIVE, "network.listen"));
        SocketDescriptor socket(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (socket.get() < 0) { return fail_errno(errno, "network.listen", address.to_string()); }
        const int on = 1;
        setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0 || ::listen(socket.get(), listen_backlog) != 0) {
            return fail_errno(errno, "network.listen", address.to_string());
        }
        const HostPort bound = name_of(socket.get(), getsockname);
        TRY(const uint64_t id, add(std::move(socket), EPOLLIN | EPOLLET));
        return Listener{id, bound};
    }

    Result<ConnectionId> connect(const HostPort& address, size_t attempt) override {
        if (is_path(address)) {
            TRY(SocketDescriptor socket, connect_to_path(address.host));
            return add(std::move(socket), connection_events);
        }
        TRY(const Addresses found, look_up(address, 0, "network.connect"));
        size_t count = 0;
        for (const addrinfo* one = found.get(); one != nullptr; one = one->ai_next) { ++count; }
        const addrinfo* chosen = found.get();
        for (size_t skip = attempt % count; skip > 0; --skip) { chosen = chosen->ai_next; }
        SocketDescriptor socket(::socket(chosen->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (socket.get() < 0) {
            if (no_descriptors(errno)) { return fail(Code::busy, "network.connect", "no descriptors are left"); }
            return fail_errno(errno, "network.connect", address.to_string());
        }
        const int on = 1;
        setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (::connect(socket.get(), chosen->ai_addr, chosen->ai_addrlen) != 0 && errno != EINPROGRESS) {
            return fail_errno(errno, "network.connect", address.to_string());
        }
        return add(std::move(socket), connection_events);
    }

    Result<void> wait(int64_t timeout_ns, std::vector<NetworkEvent>& events) override {
        std::array<epoll_event, events_max> ready;
        // Rounded up: a sleep that ends before its time would be repeated at once.
        const int64_t timeout_ms = timeout_ns < 0 ? -1 : std::min<int64_t>((timeout_ns + 999'999) / 1'000'000, 60'000);
        const int count = epoll_wait(epoll_.get(), ready.data(), ready.size(), static_cast<int>(timeout_ms));
        if (count < 0) {
            if (errno == EINTR) { return {}; }
            return fail_errno(errno, "network.wait");
        }
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = ready[static_cast<size_t>(i)];
            if (event.data.u64 == wake_id) {
                uint64_t value = 0;
                (void)!::read(event_.get(), &value, sizeof value);
                continue;
            }
            // An error or a hang-up is found by reading.
            const bool over = (event.events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0;
            events.push_back({event.data.u64, over || (event.events & EPOLLIN) != 0, (event.events & EPOLLOUT) != 0});
        }
        return {};
    }

    void wake() override {
        const uint64_t one = 1;
        (void)!::write(event_.get(), &one, sizeof one);
    }

    Result<std::optional<Accepted>> accept(ListenerId listener) override {
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        SocketDescriptor socket(
            accept4(number(listener), reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (socket.get() < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) { return std::optional<Accepted>(); }
            if (no_descriptors(errno)) { return fail(Code::busy, "network.accept", "no descriptors are left"); }
            return fail_errno(errno, "network.accept");
        }
        if (const auto path = paths_.find(listener); path != paths_.end()) {
            ucred peer{};
            socklen_t peer_bytes = sizeof peer;
            const bool known = getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes) == 0;
            TRY(const uint64_t id, add(std::move(socket), connection_events));
            return std::optional(Accepted{id, {path->second, 0}, {path->second, 0}, known && peer.pid != getpid()});
        }
        const int on = 1;
        setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const HostPort local = name_of(socket.get(), getsockname);
        TRY(const uint64_t id, add(std::move(socket), connection_events));
        return std::optional(Accepted{id, address_of(from), local});
    }

    Result<ReadBytes> read(ConnectionId connection, MutableBytes into) override {
        for (;;) {
            const ssize_t got = recv(number(connection), into.data(), into.size(), 0);
            if (got > 0) { return ReadBytes{static_cast<size_t>(got), false}; }
            if (got == 0) { return ReadBytes{0, true}; }
            if (errno == EAGAIN) { return ReadBytes{}; }
            if (errno != EINTR) { return fail_errno(errno, "network.read"); }
        }
    }

    Result<size_t> write(ConnectionId connection, std::span<const Bytes> pieces) override {
        std::array<iovec, pieces_max> parts;
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = std::min(pieces.size(), parts.size());
        for (size_t i = 0; i < message.msg_iovlen; ++i) {
            parts[i] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
        }
        for (;;) {
            const ssize_t put = sendmsg(number(connection), &message, MSG_NOSIGNAL);
            if (put >= 0) { return static_cast<size_t>(put); }
            if (errno == EAGAIN) { return size_t{0}; }
            if (errno != EINTR) { return fail_errno(errno, "network.write"); }
        }
    }

    void close(uint64_t id) override {
        if (const auto path = paths_.extract(id); !path.empty()) { remove_socket(path.mapped()); }
        sockets_.erase(id);  // epoll forgets a closed descriptor
    }

private:
    Result<uint64_t> add(SocketDescriptor socket, uint32_t events) {
        const uint64_t id = next_id_++;
        epoll_event event{.events = events, .data = {.u64 = id}};
        if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) {
            return fail_errno(errno, "network.add");
        }
        sockets_.emplace(id, std::move(socket));
        return id;
    }
    int number(uint64_t id) const {
        const auto found = sockets_.find(id);
        return found == sockets_.end() ? -1 : found->second.get();
    }

    SocketDescriptor epoll_;
    SocketDescriptor event_;
    std::unordered_map<uint64_t, SocketDescriptor> sockets_;
    std::unordered_map<ListenerId, std::string> paths_;  // of those that are listened at
    uint32_t process_token_;
    uint64_t next_id_ = wake_id + 1;
};

}  // namespace

Result<std::unique_ptr<Network>> open_epoll_network() {
    SocketDescriptor epoll(epoll_create1(EPOLL_CLOEXEC));
    SocketDescriptor event(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (epoll.get() < 0 || event.get() < 0) { return fail_errno(errno, "network.open"); }
    epoll_event wake{.events = EPOLLIN | EPOLLET, .data = {.u64 = wake_id}};
    if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, event.get(), &wake) != 0) { return fail_errno(errno, "network.open"); }
    return std::unique_ptr<Network>(std::make_unique<EpollNetwork>(std::move(epoll), std::move(event)));
}

}  // namespace flowstone
