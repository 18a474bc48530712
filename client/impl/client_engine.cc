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

std::shared_ptr<ConsumerCore> ClientEngine::add_consumer(const ConsumerOptions& options,
                                                         std::unique_ptr<NearLog> near) {
    Network* const network = &world_.network;
    int32_t lane = 1;
    while (std::ranges::any_of(consumers_, [&](const auto& one) { return one->lane() == lane; })) { ++lane; }
    consumers_.push_back(std::make_shared<ConsumerCore>(
        ConsumerCore::World{requests_, cluster_, world_.clock, [network] { network->wake(); }, request_ms_, lane},
        options, std::move(near)));
    return consumers_.back();
}

std::shared_ptr<ConsumerMember> ClientEngine::add_member(const std::shared_ptr<ConsumerCore>& consumer,
                                                         const ConsumerOptions& options) {
    Network* const network = &world_.network;
    int32_t node = INT32_MAX;  // brokers' numbers are small
    while (std::ranges::any_of(members_, [&](const Member& one) { return one.node == node; })) { --node; }
    members_.push_back(
        {consumer.get(), node,
         std::make_shared<ConsumerMember>(ConsumerMember::World{requests_, cluster_, world_.clock,
                                                                [network] { network->wake(); }, node, request_ms_},
                                          consumer, options)});
    return members_.back().member;
}

void ClientEngine::remove(const ConsumerCore& consumer) {
    for (Member& one : members_) {
        if (one.consumer != &consumer) { continue; }
        one.consumer = nullptr;
        one.member->abandon();
    }
    if (std::erase_if(consumers_, [&](const auto& one) { return one.get() == &consumer; }) > 0) {
        requests_.hang_up_lane(consumer.lane());
    }
}

void ClientEngine::add(std::shared_ptr<BrokerCall> call) { calls_.push_back(std::move(call)); }

// Its number is another's then.
void ClientEngine::forget_members() {
    std::erase_if(members_, [](const Member& one) {
        if (one.consumer != nullptr || !one.member->gone()) { return false; }
        one.member->close();
        return true;
    });
}

void ClientEngine::finish() {
    for (const auto& producer : producers_) { producer->flush_begin(); }
    for (const Member& one : members_) { one.member->abandon(); }
}

bool ClientEngine::all_delivered() const {
    return std::ranges::all_of(producers_, [](const auto& producer) { return producer->flushed(UINT64_MAX); }) &&
           std::ranges::all_of(members_, [](const Member& one) { return one.member->gone(); });
}

void ClientEngine::turn(std::span<const NetworkEvent> events) {
    bool more = true;
    for (int round = 0; more && round < rounds_max; ++round) {
        requests_.turn(round == 0 ? events : std::span<const NetworkEvent>());
        for (const auto& call : calls_) { call->turn(); }
        std::erase_if(calls_, [](const auto& call) { return call->done(); });
        cluster_.turn();
        for (const auto& producer : producers_) { producer->turn(); }
        for (const Member& one : members_) { one.member->turn(); }
        for (const auto& consumer : consumers_) { consumer->turn(); }
        more = requests_.turn({});
    }
    more_to_do_ = more;
    forget_members();
}

int64_t ClientEngine::quiet_ns() const {
    if (more_to_do_) { return 0; }
    int64_t next = std::min(requests_.next_deadline_ns(), cluster_.next_deadline_ns());
    for (const auto& producer : producers_) { next = std::min(next, producer->next_deadline_ns()); }
    for (const auto& consumer : consumers_) { next = std::min(next, consumer->next_deadline_ns()); }
    for (const Member& one : members_) { next = std::min(next, one.member->next_deadline_ns()); }
    for (const auto& call : calls_) { next = std::min(next, call->next_deadline_ns()); }
    return next == INT64_MAX ? -1 : std::max<int64_t>(0, next - world_.clock.monotonic_ns());
}

// Requests first: what is under way ends, and whatever it carried is its producer's again.
void ClientEngine::close() {
    requests_.close();
    for (const auto& producer : producers_) { producer->close(); }
    for (const Member& one : members_) { one.member->close(); }
    for (const auto& consumer : consumers_) { consumer->close(); }
    for (const auto& call : calls_) { call->close(); }
    calls_.clear();
}

}  // namespace flowstone
