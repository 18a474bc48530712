// What is neither producing nor consuming: starting, memory, and doing nothing with many partitions.
#include <algorithm>

#include <fmt/format.h>

#include "bench/broker_load.h"
#include "bench/broker_workloads.h"
#include "bench/floor.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

int64_t now_ns() { return system_clock().monotonic_ns(); }

int32_t many_partitions(const Setting& setting) {
    return setting.size == Size::full ? 10'000 : setting.size == Size::medium ? 2'000 : 50;
}

// From spawning it to the first batch that it acknowledged, in a topic that is made for it or was there.
Result<Outcome> first_produce(BrokerServer& server, const std::string& topic, bool make, int64_t began_ns) {
    TRY_VOID(server.await());
    if (make) { TRY_VOID(server.create_topic(topic, 1)); }
    const ProduceLoad load{.topic = topic, .connections = 1, .in_flight = 1, .batches = 1};
    TRY(auto outcome, produce(server.port(), load));
    outcome.ns = now_ns() - began_ns;
    outcome.cpu_ns = server.cpu_ns();
    return outcome;
}

// A second start, over the directory of the first, so that nothing is made that is made once: for Kafka its format.
Result<Outcome> start_empty(Fleet& fleet, const ServerKind& kind) {
    TRY(const auto server, fleet.fresh(kind));
    server->end();
    const int64_t began_ns = now_ns();
    TRY_VOID(server->spawn());
    return first_produce(*server, "bench", true, began_ns);
}

// Every partition has a batch, and nothing was closed.
Result<std::unique_ptr<BrokerServer>> with_partitions(Fleet& fleet, const ServerKind& kind, int32_t partitions) {
    TRY(auto server, fleet.fresh(kind));
    TRY_VOID(server->create_topic("bench", partitions));
    const ProduceLoad load{.topic = "bench", .partitions = partitions, .batches = static_cast<uint64_t>(partitions)};
    TRY_VOID(produce(server->port(), load));
    return server;
}

Result<Outcome> start_killed(Fleet& fleet, const ServerKind& kind, int32_t partitions) {
    TRY(const auto server, with_partitions(fleet, kind, partitions));
    server->kill();
    const int64_t began_ns = now_ns();
    TRY_VOID(server->spawn());
    return first_produce(*server, "bench", false, began_ns);
}

// Of a row whose value is neither a rate nor a latency.
Outcome value_only() {
    Outcome outcome;
    outcome.ns = 1;
    return outcome;
}

Outcome memory_of(const BrokerServer& server) {
    Outcome outcome = value_only();
    outcome.value = static_cast<double>(server.resident_bytes()) / (1 << 20);
    return outcome;
}

Result<Outcome> memory_empty(Fleet& fleet, const ServerKind& kind) {
    TRY(const auto server, fleet.fresh(kind));
    server->settle();
    return memory_of(*server);
}

Result<Outcome> memory_partitions(Fleet& fleet, const ServerKind& kind, int32_t partitions) {
    TRY(const auto server, with_partitions(fleet, kind, partitions));
    server->settle();
    return memory_of(*server);
}

// Each connection has asked for something once, and waits. The value is KiB for each.
Result<Outcome> memory_connections(Fleet& fleet, const ServerKind& kind, size_t connections) {
    TRY(const auto server, fleet.fresh(kind));
    TRY_VOID(server->create_topic("bench", 1));
    // The first ones make what all share.
    const ProduceLoad first{.topic = "bench", .connections = 16, .in_flight = 1, .batches = 16};
    TRY_VOID(produce(server->port(), first));
    server->settle();
    const uint64_t before = server->resident_bytes();
    TRY(const auto wire, Wire::connect(server->port(), connections));
    TRY_VOID(ask_each(*wire, connections));
    server->settle();
    const uint64_t after = server->resident_bytes();
    Outcome outcome = value_only();
    outcome.value = static_cast<double>(after - std::min(before, after)) / 1024 / static_cast<double>(connections);
    return outcome;
}

// Nobody is connected. The value is the share of one processor.
Result<Outcome> idle_partitions(Fleet& fleet, const ServerKind& kind, const Setting& setting) {
    TRY(const auto server, with_partitions(fleet, kind, many_partitions(setting)));
    server->settle();
    const Account account(*server);
    const int64_t began_ns = now_ns();
    sleep_until_ns(began_ns + static_cast<int64_t>(setting.seconds() * 1e9));
    Outcome outcome = value_only();
    outcome.ns = now_ns() - began_ns;
    account.close(outcome);
    outcome.value = static_cast<double>(outcome.cpu_ns) / static_cast<double>(outcome.ns);
    return outcome;
}

using OnFresh = std::function<Result<Outcome>(const Setting&, const ServerKind&)>;
std::vector<Contender> on_fresh(Fleet& fleet, const std::vector<ServerKind>& kinds, const OnFresh& run) {
    std::vector<Contender> contenders;
    for (const ServerKind& kind : kinds) {
        if (kind.program == ServerKind::Program::kafka && !fleet.has_kafka()) { continue; }
        contenders.push_back({.name = kind.name, .run = [kind, run](const Setting& setting, const std::string&) {
                                  return run(setting, kind);
                              }});
    }
    return contenders;
}

}  // namespace

std::vector<Workload> broker_rest_workloads(Fleet& fleet) {
    const std::vector<ServerKind> both{ours_durable(), kafka_default()};
    const std::vector<ServerKind> ours{ours_durable()};
    return {{.name = "start",
             .about = "from starting the program to the first produce it acknowledged, without topics",
             .contenders = on_fresh(
                 fleet, both, [&fleet](const Setting&, const ServerKind& kind) { return start_empty(fleet, kind); }),
             .claims = {{"durable", Measure::seconds, false, 0.05, ""}}},
            {.name = "start_killed",
             .about = "the same after SIGKILL, with a batch in each of 10,000 partitions",
             .contenders = on_fresh(fleet, ours,
                                    [&fleet](const Setting& setting, const ServerKind& kind) {
                                        return start_killed(fleet, kind, many_partitions(setting));
                                    }),
             .claims = {{"durable", Measure::seconds, false, 2, ""}}},
            {.name = "memory_empty",
             .about = "resident memory, in MiB, without topics",
             .contenders = on_fresh(
                 fleet, both, [&fleet](const Setting&, const ServerKind& kind) { return memory_empty(fleet, kind); }),
             .claims = {{"durable", Measure::value, false, 20, ""}}},
            {.name = "memory_partitions",
             .about = "the same with 10,000 partitions of a batch each",
             .contenders = on_fresh(fleet, ours,
                                    [&fleet](const Setting& setting, const ServerKind& kind) {
                                        return memory_partitions(fleet, kind, many_partitions(setting));
                                    }),
             .claims = {{"durable", Measure::value, false, 100, ""}}},
            {.name = "memory_connections",
             .about = "resident memory, in KiB, of each of 1,000 idle connections",
             .contenders = on_fresh(fleet, both,
                                    [&fleet](const Setting& setting, const ServerKind& kind) {
                                        return memory_connections(fleet, kind, setting.size == Size::small ? 50 : 1000);
                                    }),
             .claims = {{"durable", Measure::value, false, 8, ""}}},
            {.name = "idle_partitions",
             .about = "processor share of 10,000 partitions that nobody uses",
             .contenders = on_fresh(fleet, ours,
                                    [&fleet](const Setting& setting, const ServerKind& kind) {
                                        return idle_partitions(fleet, kind, setting);
                                    }),
             .claims = {{"durable", Measure::value, false, 0.01, ""}}}};
}

}  // namespace flowstone::bench
