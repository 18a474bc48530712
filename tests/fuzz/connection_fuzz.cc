// Whole connections: any bytes in any frames, to a broker with a log on the simulated disk and network. It answers or
// closes; once the peer is gone nothing of it is left but what it made; memory stays bounded.
//
// The input is pieces: a length of 16 bits, big endian, and as many bytes. A piece is sent as one frame, with Kafka's
// length before it; with the length's highest bit set it is sent as it is. Between pieces the broker works.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "log/environment.h"
#include "net/broker/broker.h"
#include "storage/check.h"
#include "tests/counted_new.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_network.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {
namespace {

constexpr uint16_t raw_piece = 0x8000;
constexpr size_t pieces_max = 64;
// For an input of a few KiB: what topics, groups and answers of all that is there take.
constexpr uint64_t allocated_max = 256u << 20;
// A world is used by so many inputs, since making one takes longer than most of them.
constexpr int inputs_of_world = 200;

template <class T>
T must(Result<T> result) {
    CHECK(result.has_value());
    return std::move(*result);
}

class World {
public:
    World() : network_(clock_, {.buffer_bytes = 4u << 20}) {
        log_.emplace(must(open_log({&disk_, &clock_, &random_}, "data", {.journal_bytes_max = 8u << 20})));
        BrokerConfig config;
        config.request_memory_bytes_max = 64u << 20;
        broker_ = std::make_unique<Broker>(*log_, network_, clock_, random_, std::move(config), false,
                                           [](std::string_view /*line*/) {});
        address_ = must(broker_->listen({"127.0.0.1", 9092}));
    }
    void take(Bytes input) {
        const auto socket = must(network_.dial(address_));
        for (size_t pieces = 0; pieces < pieces_max && input.size() >= 2; ++pieces) {
            const auto head = load_be<uint16_t>(input.data());
            input = input.subspan(2);
            const Bytes piece = input.first(std::min<size_t>(head & ~raw_piece, input.size()));
            input = input.subspan(piece.size());
            if ((head & raw_piece) == 0) {
                std::byte length[4];
                store_be<int32_t>(length, static_cast<int32_t>(piece.size()));
                send(socket, length);
            }
            send(socket, piece);
            settle(socket);
        }
        network_.hang_up(socket);
        // Long polls, joins and their like have ended by now.
        for (int64_t passed_ms = 0; passed_ms < 3'600'000 && !idle();) {
            const int64_t before_ms = clock_.wall_ms();
            CHECK(broker_->run(600'000).has_value());
            passed_ms += std::max<int64_t>(clock_.wall_ms() - before_ms, 1);
        }
        CHECK(broker_->server().connection_count() == 0);
        CHECK(broker_->server().frames_bytes() == 0);
        CHECK(network_.open_connections() == 0);
    }

private:
    void send(SimNetwork::SocketId socket, Bytes bytes) {
        for (int round = 0; !bytes.empty() && round < 1'000; ++round) {
            if (network_.closed_by_server(socket)) { return; }
            bytes = bytes.subspan(network_.send(socket, bytes));
            if (!bytes.empty()) { settle(socket); }
        }
    }
    void settle(SimNetwork::SocketId socket) {
        for (int round = 0; round < 8; ++round) {
            CHECK(broker_->run(0).has_value());
            network_.receive(socket);
        }
    }
    bool idle() const { return broker_->server().connection_count() == 0 && broker_->server().frames_bytes() == 0; }

    SimDisk disk_;
    SimClock clock_;
    SimRandom random_{1};
    SimNetwork network_;
    std::optional<Log> log_;
    std::unique_ptr<Broker> broker_;
    HostPort address_;
};

}  // namespace
}  // namespace flowstone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace flowstone;
    static std::unique_ptr<World> world;
    static int inputs = 0;
    if (inputs++ % inputs_of_world == 0) {
        world.reset();
        world = std::make_unique<World>();
    }
    const uint64_t before = bytes_allocated;
    world->take(Bytes(reinterpret_cast<const std::byte*>(data), size));
    CHECK(bytes_allocated - before < allocated_max);
    return 0;
}
