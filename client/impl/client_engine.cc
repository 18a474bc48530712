#include "client/impl/client_engine.h"

#include <algorithm>

namespace flowstone {
namespace {

constexpr int rounds_max = 16;  // of one turn: each may ask what the next one has answered

}  // namespace

ClientEngine::ClientEngine(const World& world, std::vector<HostPort> bootstrap, const ClientOptions& options)
    : world_(world),
      request_ms_(options.request_timeout.count()),
      requests_(world.network, world.clock, world.random, {.client_id = options.client_id}),
      cluster_(requests_, world.clock, world.random, {.bootstrap = std::move(bootstrap), .request_ms = request_ms_}) {}

std::shared_ptr<ProducerCore> ClientEngine::add_producer(const ProducerOptions& options) {
    Network* const network = &world_.network;
    producers_.push_back(
        std::make_shared<ProducerCore>(ProducerCore::World{requests_, cluster_, world_.clock, world_.random,
                                                           [network] { network->wake(); }, request_ms_},
                                       options));
    return producers_.back();
}

std::shared_ptr<ConsumerCore> ClientEngine::add_consumer(const ConsumerOptions& options) {
    Network* const network = &world_.network;
    consumers_.push_back(std::make_shared<ConsumerCore>(
        ConsumerCore::World{requests_, cluster_, world_.clock, [network] { network->wake(); }, request_ms_}, options));
    return consumers_.back();
}

void ClientEngine::remove(const ConsumerCore& consumer) {
    std::erase_if(consumers_, [&](const auto& one) { return one.get() == &consumer; });
}

void ClientEngine::stop_lingering() {
    for (const auto& producer : producers_) { producer->flush_begin(); }
}

bool ClientEngine::all_delivered() const {
    return std::ranges::all_of(producers_, [](const auto& producer) { return producer->flushed(UINT64_MAX); });
}

void ClientEngine::turn(std::span<const NetworkEvent> events) {
    bool more = true;
    for (int round = 0; more && round < rounds_max; ++round) {
        requests_.turn(round == 0 ? events : std::span<const NetworkEvent>());
        cluster_.turn();
        for (const auto& producer : producers_) { producer->turn(); }
        for (const auto& consumer : consumers_) { consumer->turn(); }
        more = requests_.turn({});
    }
}

int64_t ClientEngine::quiet_ns() const {
    int64_t next = std::min(requests_.next_deadline_ns(), cluster_.next_deadline_ns());
    for (const auto& producer : producers_) { next = std::min(next, producer->next_deadline_ns()); }
    for (const auto& consumer : consumers_) { next = std::min(next, consumer->next_deadline_ns()); }
    return next == INT64_MAX ? -1 : std::max<int64_t>(0, next - world_.clock.monotonic_ns());
}

// Requests first: what is under way ends, and whatever it carried is its producer's again.
void ClientEngine::close() {
    requests_.close();
    for (const auto& producer : producers_) { producer->close(); }
    for (const auto& consumer : consumers_) { consumer->close(); }
}

}  // namespace flowstone
