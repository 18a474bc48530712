#include "bench/broker_attack.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "bench/source.h"
#include "bench/workload.h"
#include "net/kafka/frame.h"
#include "net/kafka/messages/fetch.h"
#include "net/kafka/messages/metadata.h"
#include "net/kafka/messages/produce.h"
#include "storage/batch.h"
#include "storage/checksum.h"
#include "storage/compression.h"
#include "storage/limits.h"

namespace flowstone::bench {
namespace {

constexpr int64_t second_ns = 1'000'000'000;
constexpr int64_t tick_ns = 10'000'000;
constexpr size_t ticks_per_s = second_ns / tick_ns;
constexpr int16_t metadata_version = 9;
constexpr int16_t produce_version = 12;  // the last that names topics, as is the next
constexpr int16_t fetch_version = 12;

// A connection that nothing waits for: what cannot be sent or read at once is not.
class Stranger {
public:
    Stranger() = default;
    explicit Stranger(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        // Gone without a word when it is closed, and no port is kept from those who come after it.
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
    Stranger(Stranger&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
    Stranger& operator=(Stranger&& other) noexcept {
        std::swap(socket_, other.socket_);
        return *this;
    }
    ~Stranger() {
        if (socket_ >= 0) { ::close(socket_); }
    }

    size_t send(Bytes bytes) {
        const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent < 0 ? 0 : static_cast<size_t>(sent);
    }
    bool heard() {  // whether anything came
        std::array<std::byte, 4096> bytes;
        return ::recv(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT) > 0;
    }
    bool closed() {
        std::byte one;
        return ::recv(socket_, &one, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
    }

private:
    int socket_ = -1;
};

template <class Message>
std::vector<std::byte> frame_of(const Message& message, int16_t version) {
    kafka::Gather frame;
    kafka::frame_request({.api_version = version, .correlation_id = 1, .client_id = "stranger"}, message, frame);
    return frame.flat();
}

std::vector<std::byte> nonsense_frame() {
    const Source noise(256);
    std::vector<std::byte> frame(4 + 256);
    store_be<int32_t>(frame.data(), 256);
    std::ranges::copy(as_bytes(noise.value(0)), frame.begin() + 4);
    return frame;
}

std::vector<std::byte> claim() {
    std::vector<std::byte> out(100);
    store_be<int32_t>(out.data(), static_cast<int32_t>(frame_bytes_max));
    return out;
}

// Zeros that gzip packs a thousandfold: below every bound, so that nothing but the work of unpacking them is amiss.
std::vector<std::byte> bomb_frame(const std::string& topic) {
    const std::string zeros(60u << 20, '\0');
    std::vector<std::byte> space(zeros.size() + 1024);
    BatchBuilder builder(space, {});
    builder.append({.value = zeros, .timestamp_ms = fixed_time_ms}, fixed_time_ms);
    const BatchView plain = builder.close();
    std::vector<std::byte> bomb(space.begin(), space.begin() + batch_header_bytes);
    if (!compress(Codec::gzip, plain.encoded_records(), bomb)) { return {}; }
    store_be<int32_t>(bomb.data() + 8, static_cast<int32_t>(bomb.size() - batch_length_prefix_bytes));
    store_be<int16_t>(bomb.data() + 21, static_cast<int16_t>(Codec::gzip));
    store_be<uint32_t>(bomb.data() + 17, crc32c(Bytes(bomb).subspan(batch_crc_begin)));
    kafka::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 60'000;
    auto& data = request.topic_data.emplace_back();
    data.name = topic;
    data.partition_data.push_back({0, Bytes(bomb)});
    return frame_of(request, produce_version);
}

// All that the topic has, again and again from its beginning.
std::vector<std::byte> fetch_frame(const std::string& topic) {
    kafka::FetchRequest request;
    request.max_bytes = 50 << 20;
    auto& asked = request.topics.emplace_back();
    asked.topic = topic;
    asked.partitions.push_back({.partition = 0, .partition_max_bytes = 1 << 20});
    return frame_of(request, fetch_version);
}

std::vector<Stranger> strangers(uint16_t port, size_t count) {
    std::vector<Stranger> out;
    out.reserve(count);
    for (size_t i = 0; i < count; ++i) { out.emplace_back(port); }
    return out;
}

}  // namespace

class Attack::Run {
public:
    Run(uint16_t port, const std::string& topic, Attack& attack)
        : attack_(attack),
          port_(port),
          question_(frame_of(kafka::MetadataRequest{}, metadata_version)),
          fetch_(fetch_frame(topic)),
          bomb_(bomb_frame(topic)),
          slow_(strangers(port, slow_connections)),
          deaf_(strangers(port, deaf_connections)),
          claimers_(strangers(port, claim_connections)) {
        for (size_t i = 0; i < bomb_connections; ++i) { bombers_.push_back({Stranger(port), Bytes(bomb_)}); }
    }

    void tick() {
        send_nonsense();
        send_bytes_slowly();
        for (Stranger& one : deaf_) { one.send(fetch_); }
        if (ticks_ == 0) {
            for (Stranger& one : claimers_) { one.send(claim_); }
        }
        for (Bomber& bomber : bombers_) { throw_bomb(bomber); }
        // The crowd stays for half of each second.
        if (ticks_ % ticks_per_s == 0) { crowd_ = strangers(port_, crowd_connections); }
        if (ticks_ % ticks_per_s == ticks_per_s / 2) { crowd_.clear(); }
        ++ticks_;
    }

private:
    struct Bomber {
        Stranger stranger;
        Bytes unsent;
    };

    void send_nonsense() {
        if (talkers_.size() == malformed_per_s) {  // those of the last second
            for (Stranger& one : talkers_) { attack_.nonsense_closed_ += one.closed() ? 1 : 0; }
            talkers_.clear();
        }
        for (size_t i = 0; i < malformed_per_s / ticks_per_s; ++i) { talkers_.emplace_back(port_).send(nonsense_); }
    }
    void send_bytes_slowly() {
        for (size_t i = ticks_ % 16; i < slow_.size(); i += 16) {
            slow_[i].send(Bytes(question_).subspan(slow_at_ % question_.size(), 1));
        }
        slow_at_ += ticks_ % 16 == 15 ? 1 : 0;
    }
    void throw_bomb(Bomber& bomber) const {
        if (bomber.unsent.empty() && bomber.stranger.heard()) { bomber.unsent = bomb_; }
        if (bomber.unsent.empty()) { return; }
        bomber.unsent = bomber.unsent.subspan(bomber.stranger.send(bomber.unsent));
        if (bomber.unsent.empty()) { ++attack_.bombs_thrown_; }
    }

    Attack& attack_;
    uint16_t port_;
    std::vector<std::byte> question_;
    std::vector<std::byte> fetch_;
    std::vector<std::byte> nonsense_ = nonsense_frame();
    std::vector<std::byte> claim_ = claim();
    std::vector<std::byte> bomb_;
    std::vector<Stranger> slow_;
    size_t slow_at_ = 0;
    std::vector<Stranger> deaf_;
    std::vector<Stranger> claimers_;
    std::vector<Bomber> bombers_;
    std::vector<Stranger> talkers_;
    std::vector<Stranger> crowd_;
    size_t ticks_ = 0;
};

Attack::Attack(uint16_t port, const std::string& topic)
    : run_(std::make_unique<Run>(port, topic, *this)), thread_("attack", [this] { run(); }) {}

Attack::~Attack() { stop_ = true; }

void Attack::run() {
    const int64_t began_ns = system_clock().monotonic_ns();
    for (int64_t next_ns = began_ns; !stop_ && next_ns - began_ns < seconds_max * second_ns; next_ns += tick_ns) {
        const int64_t wait_ns = next_ns - system_clock().monotonic_ns();
        if (wait_ns > 0) {
            const timespec wait{0, wait_ns};
            ::nanosleep(&wait, nullptr);
        }
        run_->tick();
    }
}

}  // namespace flowstone::bench
