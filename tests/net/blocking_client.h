// One connection to a broker over real TCP: frames out, frames in, blocking; on a loopback port.
//
// Whatever breaks the connection, a peer that is silent for too long too, ends in `false` or nothing, and so does every
// call after it: the broker may be killed at any moment. Threads: one.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/kafka/frame.h"

namespace flowstone {

class BlockingClient {
public:
    explicit BlockingClient(uint16_t port, int silence_s = 20) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        const timeval silence{.tv_sec = silence_s, .tv_usec = 0};
        const int on = 1;
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
        ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence);
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) { hang_up(); }
    }
    ~BlockingClient() { hang_up(); }
    BlockingClient(const BlockingClient&) = delete;
    BlockingClient& operator=(const BlockingClient&) = delete;

    bool connected() const { return socket_ >= 0; }

    template <class Message>
    bool send(const Message& message, int16_t version) {
        kafka::Gather frame;
        kafka::frame_request({.api_version = version, .correlation_id = ++sent_, .client_id = "test"}, message, frame);
        const std::vector<std::byte> bytes = frame.flat();
        for (size_t at = 0; at < bytes.size() && connected();) {
            const ssize_t put = ::send(socket_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
            if (put <= 0) { hang_up(); }
            at += static_cast<size_t>(std::max<ssize_t>(put, 0));
        }
        return connected();
    }

    // The answer to the oldest request without one. Views in it hold until the next call.
    template <class Response>
    std::optional<Response> receive(int16_t version) {
        std::byte length[kafka::frame_length_bytes];
        if (!read(length)) { return std::nullopt; }
        frame_.resize(static_cast<size_t>(load_be<int32_t>(length)));
        if (!read(frame_)) { return std::nullopt; }
        const auto parsed = kafka::parse_response(frame_, Response::api_key, version);
        if (!parsed || parsed->correlation_id != ++answered_) { return broken<Response>(); }
        auto response = kafka::decode<Response>(parsed->body, version);
        if (!response) { return broken<Response>(); }
        return std::move(*response);
    }

    template <class Response, class Message>
    std::optional<Response> ask(const Message& message, int16_t version) {
        if (!send(message, version)) { return std::nullopt; }
        return receive<Response>(version);
    }

    // What came was no answer to what was asked. A connection that ended is no such thing.
    bool misunderstood() const { return misunderstood_; }

private:
    bool read(MutableBytes into) {
        while (!into.empty() && connected()) {
            const ssize_t got = ::recv(socket_, into.data(), into.size(), 0);
            if (got <= 0) {
                hang_up();
                break;
            }
            into = into.subspan(static_cast<size_t>(got));
        }
        return connected();
    }
    template <class Response>
    std::optional<Response> broken() {
        misunderstood_ = true;
        hang_up();
        return std::nullopt;
    }
    void hang_up() {
        if (socket_ >= 0) { ::close(socket_); }
        socket_ = -1;
    }

    int socket_;
    int32_t sent_ = 0;
    int32_t answered_ = 0;
    bool misunderstood_ = false;
    std::vector<std::byte> frame_;
};

}  // namespace flowstone
