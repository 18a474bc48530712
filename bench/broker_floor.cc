#include "bench/broker_floor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "bench/floor.h"
#include "net/kafka/frame.h"
#include "net/kafka/messages/metadata.h"
#include "net/kafka/messages/produce.h"
#include "storage/batch.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

constexpr uint64_t file_bytes = 64ull << 20;
constexpr size_t write_bytes_max = 1u << 20;
constexpr size_t block_bytes = 4096;
constexpr size_t read_bytes = 256u << 10;

class Floor {
public:
    explicit Floor(RawFile file) : file_(std::move(file)), queue_(1, write_bytes_max) {}

    Result<void> serve(int listener) {
        const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
        watch(epoll, listener);
        std::array<epoll_event, 64> events;
        for (;;) {
            const int count = ::epoll_wait(epoll, events.data(), events.size(), -1);
            for (int i = 0; i < count; ++i) {
                const int socket = events[static_cast<size_t>(i)].data.fd;
                if (socket != listener) {
                    TRY_VOID(receive(socket));
                } else if (const int peer = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC); peer >= 0) {
                    const int on = 1;
                    ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                    watch(epoll, peer);
                }
            }
            TRY_VOID(write());
        }
    }

private:
    struct Answer {
        int socket;
        int32_t correlation_id;
        int16_t version;
        kafka::ProduceResponse response;
    };

    static void watch(int epoll, int socket) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = socket;
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
    }

    Result<void> receive(int socket) {
        std::vector<std::byte>& in = arrived_[socket];
        const size_t before = in.size();
        in.resize(before + read_bytes);
        const ssize_t got = ::recv(socket, in.data() + before, read_bytes, MSG_DONTWAIT);
        if (got <= 0) {
            ::close(socket);
            arrived_.erase(socket);
            return {};
        }
        in.resize(before + static_cast<size_t>(got));
        size_t at = 0;
        while (in.size() - at >= kafka::frame_length_bytes) {
            const auto size = static_cast<size_t>(load_be<int32_t>(in.data() + at));
            if (in.size() - at - kafka::frame_length_bytes < size) { break; }
            TRY_VOID(take(socket, Bytes(in).subspan(at + kafka::frame_length_bytes, size)));
            at += kafka::frame_length_bytes + size;
        }
        in.erase(in.begin(), in.begin() + static_cast<ptrdiff_t>(at));
        return {};
    }

    Result<void> take(int socket, Bytes frame) {
        TRY(const auto request, kafka::parse_request(frame));
        const int16_t version = request.header.api_version;
        if (request.header.api_key == kafka::ApiKey::metadata) {
            kafka::MetadataResponse response;
            response.brokers.emplace_back();
            reply(socket, request.header.correlation_id, response, version);
            return {};
        }
        TRY(const auto produce, kafka::decode<kafka::ProduceRequest>(request.body, version));
        Answer answer{socket, request.header.correlation_id, version, {}};
        for (const auto& topic : produce.topic_data) {
            auto& answered = answer.response.responses.emplace_back();
            answered.name = topic.name;
            for (const auto& data : topic.partition_data) {
                TRY(const auto batch, BatchView::parse(data.records.value_or(Bytes{})));
                if (!batch.crc_matches()) { return fail(Code::corrupt, "floor.take"); }
                if (batch.size() > write_bytes_max) { return fail(Code::too_large, "floor.take"); }
                if (write_bytes_max - used_ < batch.size()) { TRY_VOID(write()); }
                std::memcpy(queue_.buffer(0).data() + used_, batch.bytes().data(), batch.size());
                used_ += batch.size();
                auto& partition = answered.partition_responses.emplace_back();
                partition.index = data.index;
                partition.base_offset = next_offset_;
                next_offset_ += batch.record_count();
            }
        }
        answers_.push_back(std::move(answer));
        return {};
    }

    Result<void> write() {
        if (used_ > 0) {
            const size_t bytes = (used_ + block_bytes - 1) / block_bytes * block_bytes;
            if (at_ + bytes > file_bytes) { at_ = 0; }
            queue_.write(file_.fd(), 0, at_, bytes, true);
            TRY_VOID(queue_.drain());
            at_ += bytes;
            used_ = 0;
        }
        for (const Answer& answer : answers_) {
            reply(answer.socket, answer.correlation_id, answer.response, answer.version);
        }
        answers_.clear();
        return {};
    }

    template <class Response>
    static void reply(int socket, int32_t correlation_id, const Response& response, int16_t version) {
        kafka::Gather frame;
        kafka::frame_response(correlation_id, response, version, frame);
        const auto bytes = frame.flat();
        (void)!::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }

    RawFile file_;
    Queue queue_;
    uint64_t at_ = 0;
    size_t used_ = 0;
    int64_t next_offset_ = 0;
    std::map<int, std::vector<std::byte>> arrived_;
    std::vector<Answer> answers_;
};

}  // namespace

int serve_floor(uint16_t port, const std::string& directory) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto file = RawFile::make(directory + "/floor", FileKind::recycled, file_bytes);
    if (!file || ::bind(listener, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
        ::listen(listener, 1024) != 0) {
        fmt::print(stderr, "broker_bench --floor: cannot begin\n");
        return 3;
    }
    const auto served = Floor(std::move(*file)).serve(listener);
    fmt::print(stderr, "broker_bench --floor: {}\n", served.error().message());
    return 3;
}

}  // namespace flowstone::bench
