// A broker in a world of its own, and clients that speak to it frame by frame.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "log/environment.h"
#include "net/broker/broker.h"
#include "storage/batch.h"
#include "tests/sim/world/faulty_disk.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_network.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {

class BrokerWorld : public testing::Test {
protected:
    static constexpr size_t network_bytes = 4u << 20;  // on their way to a peer that fetches nothing

    explicit BrokerWorld(const SimDisk::Options& disk = {})
        : disk_(disk), network_(clock_, {.buffer_bytes = network_bytes}) {}

    void start(BrokerConfig config = {}, Options options = {}) {
        start_on(faulty_, std::move(config), std::move(options));
    }
    void start_on(Disk& disk, BrokerConfig config, Options options, bool threads = false) {
        log_.emplace(value_of(open_log({&disk, &clock_, &random_}, "data", std::move(options))));
        broker_ = std::make_unique<Broker>(*log_, network_, clock_, random_, std::move(config), threads,
                                           [this](std::string_view line) { lines_.emplace_back(line); });
        address_ = value_of(broker_->listen({"127.0.0.1", 9092}));
    }
    void stop() {
        broker_->stop(1'000);
        broker_.reset();
        ASSERT_TRUE(log_->close());
        log_.reset();
    }
    // The process dies; what the disk has stays.
    void kill() {
        broker_.reset();
        log_.reset();
    }

    class Client {
    public:
        explicit Client(BrokerWorld& world, std::string id = "test")
            : world_(world), id_(std::move(id)), socket_(value_of(world.network_.dial(world.address_))) {}

        void send_bytes(Bytes bytes) {
            for (int rounds = 0; !bytes.empty(); ++rounds) {
                const size_t sent = world_.network_.send(socket_, bytes);
                bytes = bytes.subspan(sent);
                if (sent > 0) { continue; }
                if (closed() || rounds > 10'000) { return; }
                world_.run();
            }
        }
        template <class Message>
        int32_t send(const Message& message, int16_t version) {
            kafka::Gather frame;
            kafka::frame_request({.api_version = version, .correlation_id = ++sent_, .client_id = id_}, message, frame);
            send_bytes(frame.flat());
            return sent_;
        }
        // The next response, whatever it is to; empty when the connection ended, or nothing comes for `wait_ms`.
        std::optional<Bytes> receive(int64_t wait_ms = 60'000) {
            const int64_t until = world_.clock_.wall_ms() + wait_ms;
            for (;;) {
                const auto more = world_.network_.receive(socket_);
                in_.insert(in_.end(), more.begin(), more.end());
                if (in_.size() >= kafka::frame_length_bytes) {
                    const auto length = static_cast<size_t>(load_be<int32_t>(in_.data()));
                    if (in_.size() >= kafka::frame_length_bytes + length) {
                        const auto begin = in_.begin() + kafka::frame_length_bytes;
                        const auto end = begin + static_cast<std::ptrdiff_t>(length);
                        frames_.emplace_back(begin, end);
                        in_.erase(in_.begin(), end);
                        return Bytes(frames_.back());
                    }
                }
                if (closed() || world_.clock_.wall_ms() > until) { return std::nullopt; }
                world_.run();
            }
        }
        template <class Response>
        Response answer(int16_t version, int64_t wait_ms = 60'000) {
            const auto frame = receive(wait_ms);
            EXPECT_TRUE(frame) << "no answer";
            if (!frame) { return {}; }
            const auto parsed = value_of(kafka::parse_response(*frame, Response::api_key, version));
            EXPECT_EQ(parsed.correlation_id, ++answered_);
            return value_of(kafka::decode<Response>(parsed.body, version));
        }
        template <class Response, class Message>
        Response ask(const Message& message, int16_t version) {
            send(message, version);
            return answer<Response>(version);
        }
        void skip_answer() { ++answered_; }  // the request before has none
        void hang_up() { world_.network_.hang_up(socket_); }
        void reset() { world_.network_.reset(socket_); }
        bool closed() const { return world_.network_.closed_by_server(socket_); }
        SimNetwork::SocketId socket() const { return socket_; }

    private:
        BrokerWorld& world_;
        std::string id_;
        SimNetwork::SocketId socket_;
        std::vector<std::byte> in_;
        std::deque<std::vector<std::byte>> frames_;  // that answers view
        int32_t sent_ = 0;
        int32_t answered_ = 0;
    };

    void run() { ASSERT_TRUE(broker_->run(time_passes_ ? 10 : 0)); }
    void pass(int64_t ms) {
        const int64_t until = clock_.wall_ms() + ms;
        while (clock_.wall_ms() < until) { ASSERT_TRUE(broker_->run(until - clock_.wall_ms())); }
    }
    uint64_t closed(CloseReason reason) const { return broker_->server().counts().closed[static_cast<size_t>(reason)]; }
    // Once every client is gone.
    void expect_nothing_left() {
        EXPECT_EQ(broker_->server().connection_count(), 0u);
        EXPECT_EQ(broker_->server().frames_bytes(), 0u);
        EXPECT_EQ(broker_->waiting(), 0u);
        EXPECT_EQ(network_.open_connections(), 0u);
    }
    // Without the passing of time.
    void settle() {
        for (int i = 0; i < 20; ++i) { ASSERT_TRUE(broker_->run(0)); }
    }

    struct Sent {
        int records = 1;
        Codec codec = Codec::none;
        int64_t producer_id = -1;
        int16_t epoch = -1;
        int32_t sequence = -1;
        bool transactional = false;
        bool control = false;
        size_t value_bytes = 10;
        std::optional<int64_t> timestamp_ms{};
        bool with_key = true;
    };
    std::vector<std::byte> batch(const Sent& sent) {
        std::vector<std::byte> space(batch_header_bytes + static_cast<size_t>(sent.records) * (sent.value_bytes + 64));
        BatchBuilder builder(space, {.transactional = sent.transactional,
                                     .control = sent.control,
                                     .producer_id = sent.producer_id,
                                     .producer_epoch = sent.epoch,
                                     .base_sequence = sent.sequence});
        const std::string value(sent.value_bytes, 'v');
        for (int i = 0; i < sent.records; ++i) {
            Record record{.key = "k", .value = value};
            if (!sent.with_key) { record.key = std::nullopt; }
            EXPECT_TRUE(builder.append(record, sent.timestamp_ms.value_or(clock_.wall_ms())));
        }
        const BatchView plain = builder.close();
        std::vector<std::byte> packed;
        const Bytes bytes = value_of(recompress(plain, sent.codec, packed)).bytes();
        return {bytes.begin(), bytes.end()};
    }

    SimDisk disk_;
    FaultyDisk faulty_{disk_};  // what the log sees
    SimClock clock_;
    SimRandom random_{1};
    SimNetwork network_;
    std::optional<Log> log_;
    std::unique_ptr<Broker> broker_;
    HostPort address_;
    std::vector<std::string> lines_;
    bool time_passes_ =
        true;  // while nothing happens; threads of the log's own take a time that the clock does not know
};

}  // namespace flowstone
