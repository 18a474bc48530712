// Producing: processor time, throughput, latency.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "bench/broker_attack.h"
#include "bench/broker_load.h"
#include "bench/broker_workloads.h"
#include "bench/report.h"
#include "storage/try.h"

namespace flowstone::bench {

const ServerKind& ours_durable() {
    static const ServerKind kind{.name = "durable"};
    return kind;
}
const ServerKind& ours_memory() {
    static const ServerKind kind{.name = "memory", .topic_configs = {{"flowstone.durability", "memory"}}};
    return kind;
}
const ServerKind& kafka_default() {
    static const ServerKind kind{.name = "kafka", .program = ServerKind::Program::kafka};
    return kind;
}
const ServerKind& kafka_flushing() {
    static const ServerKind kind{
        .name = "kafka_flush", .program = ServerKind::Program::kafka, .topic_configs = {{"flush.messages", "1"}}};
    return kind;
}

const ServerKind& bare_program() {
    static const ServerKind kind{.name = "floor", .program = ServerKind::Program::floor};
    return kind;
}

// --- Fleet -------------------------------------------------------------------------------------------------------------

Result<BrokerServer*> Fleet::get(const ServerKind& kind) {
    auto& server = servers_[kind.name];
    if (!server) {
        auto started = fresh(kind);
        if (!started) {
            servers_.erase(kind.name);
            return std::unexpected(started.error());
        }
        server = std::move(*started);
    }
    return server.get();
}

Result<std::unique_ptr<BrokerServer>> Fleet::fresh(const ServerKind& kind) {
    return BrokerServer::start(programs_, kind, fmt::format("{}/{}-{}", directory_, kind.name, ++fresh_));
}

std::vector<Contender> on_servers(Fleet& fleet, const std::vector<ServerKind>& kinds, const OnServer& run) {
    std::vector<Contender> contenders;
    for (const ServerKind& kind : kinds) {
        if (kind.program == ServerKind::Program::kafka && !fleet.has_kafka()) { continue; }
        contenders.push_back(
            {.name = kind.name,
             .run = [&fleet, kind, run](const Setting& setting, const std::string&) -> Result<Outcome> {
                 TRY(BrokerServer * server, fleet.get(kind));
                 return run(setting, *server);
             }});
    }
    return contenders;
}

void Account::close(Outcome& outcome) const {
    outcome.cpu_ns = server_ns();
    const int64_t own = cpu_now_ns() - began_own_ns_;
    // Settling takes longer than the load itself when that is small: others count as if they had been as busy throughout.
    const auto others =
        static_cast<double>(std::max<int64_t>(0, machine_cpu_now_ns() - began_machine_ns_ - outcome.cpu_ns - own));
    const auto window = static_cast<double>(std::max<int64_t>(1, system_clock().monotonic_ns() - began_ns_));
    outcome.others_ns = static_cast<int64_t>(others * static_cast<double>(outcome.ns) / window);
}

// --- workloads -----------------------------------------------------------------------------------------------------

namespace {

// Not Kafka that flushes: it takes ten times as long and is compared with nothing at full speed.
const std::vector<ServerKind>& and_the_floor() {
    static const std::vector<ServerKind> kinds{ours_durable(), ours_memory(), bare_program(), kafka_default()};
    return kinds;
}
const std::vector<ServerKind>& all_servers() {
    static const std::vector<ServerKind> kinds{ours_durable(), ours_memory(), kafka_default(), kafka_flushing()};
    return kinds;
}

// A server that has not been produced to yet does half of the load first: Kafka compiles as it runs.
Result<void> warm_up(BrokerServer& server, ProduceLoad load) {
    if (server.warm) { return {}; }
    load.batches = std::max<uint64_t>(1, load.batches / 2);
    TRY_VOID(produce(server.port(), load));
    server.warm = true;
    return {};
}

// A load in a topic of its own, which is gone afterwards.
Result<Outcome> produce_measured(Fleet& fleet, BrokerServer& server, ProduceLoad load) {
    load.topic = fleet.next_topic();
    TRY_VOID(server.create_topic(load.topic, load.partitions));
    TRY_VOID(warm_up(server, load));
    server.settle();
    const Account account(server);
    TRY(auto outcome, produce(server.port(), load));
    server.settle();
    account.close(outcome);
    TRY_VOID(server.delete_topic(load.topic));
    return outcome;
}

ProduceLoad full_speed(const Setting& setting, uint32_t record_bytes, uint32_t batch_bytes, uint64_t full_bytes) {
    ProduceLoad load{.partitions = 4, .batch = batch_of(record_bytes, batch_bytes)};
    load.batches = std::max<uint64_t>(16, setting.amount(full_bytes) / (load.batch.records * record_bytes));
    return load;
}

Claim third_of_kafka(const char* ours) { return {ours, Measure::cpu_per_record, false, 1.0 / 3, "kafka"}; }

Claim twice_the_floor() { return {"durable", Measure::cpu_per_record, false, 2, "floor"}; }

Workload produce_1k(Fleet& fleet) {
    return {
        .name = "produce_1k_64k",
        .about = "1 KiB records in 64 KiB batches, 4 partitions, 4 connections with 5 in flight, as fast as it goes",
        .contenders = on_servers(fleet, and_the_floor(),
                                 [&fleet](const Setting& setting, BrokerServer& server) {
                                     return produce_measured(fleet, server,
                                                             full_speed(setting, 1024, 64u << 10, 4ull << 30));
                                 }),
        .claims = {third_of_kafka("durable"),
                   third_of_kafka("memory"),
                   twice_the_floor(),
                   {"durable", Measure::records_per_s, true, 2, "kafka"}}};
}

Workload produce_100(Fleet& fleet) {
    return {.name = "produce_100_16k",
            .about = "100 B records in 16 KiB batches, the same otherwise",
            .contenders = on_servers(fleet, and_the_floor(),
                                     [&fleet](const Setting& setting, BrokerServer& server) {
                                         return produce_measured(fleet, server,
                                                                 full_speed(setting, 100, 16u << 10, 2ull << 30));
                                     }),
            .claims = {third_of_kafka("durable"),
                       third_of_kafka("memory"),
                       twice_the_floor(),
                       {"durable", Measure::records_per_s, true, 2, "kafka"}}};
}

Workload produce_64(Fleet& fleet) {
    return {.name = "produce_64x1",
            .about = "one-record batches of 100 B from 64 connections, each waiting for its answer",
            .contenders = on_servers(fleet, and_the_floor(),
                                     [&fleet](const Setting& setting, BrokerServer& server) {
                                         ProduceLoad load{.partitions = 4, .connections = 64, .in_flight = 1};
                                         load.batch = {.record_bytes = 100, .records = 1};
                                         load.batches = std::max<uint64_t>(256, setting.amount(1u << 20));
                                         return produce_measured(fleet, server, load);
                                     }),
            .claims = {third_of_kafka("durable"), third_of_kafka("memory"), twice_the_floor()}};
}

// kafka-producer-perf-test's last line: "N records sent, R records/sec (M MB/sec), A ms avg latency, ...".
Result<Outcome> perf_tool(Fleet& fleet, const Setting& setting, BrokerServer& server) {
    const std::string topic = fleet.next_topic();
    TRY_VOID(server.create_topic(topic, 4));
    const uint64_t records = std::max<uint64_t>(1000, setting.amount(4u << 20));
    ProduceLoad first{.topic = topic, .partitions = 4, .batch = batch_of(1024, 16u << 10)};
    first.batches = records / first.batch.records;
    TRY_VOID(warm_up(server, first));
    auto command = java(fleet.programs(), {"-Xmx512M"});
    command.insert(command.end(),
                   {"org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records",
                    fmt::to_string(records), "--record-size", "1024", "--throughput", "-1", "--producer-props",
                    fmt::format("bootstrap.servers=127.0.0.1:{}", server.port()), "acks=all"});
    const Account account(server);
    TRY(const std::string text, run_program(command, server.directory() + ".perf.log"));
    Outcome outcome;
    const size_t summary = text.rfind(" records sent, ");
    if (summary == std::string::npos) { return fail(Code::invalid, "bench.perf_tool", text.substr(0, 160)); }
    const double per_second = std::stod(text.substr(summary + std::string(" records sent, ").size()));
    outcome.records = records;
    outcome.bytes = records * 1024;
    outcome.ns = static_cast<int64_t>(static_cast<double>(records) / per_second * 1e9);
    account.close(outcome);
    TRY_VOID(server.delete_topic(topic));
    return outcome;
}

Workload produce_tool(Fleet& fleet) {
    Workload workload{.name = "produce_perf_tool",
                      .about = "kafka-producer-perf-test, records of 1 KiB, acks=all",
                      .contenders = {},
                      .claims = {{"durable", Measure::records_per_s, true, 1, "kafka"}}};
    if (!fleet.has_kafka()) { return workload; }
    const std::vector<ServerKind> kinds{ours_durable(), ours_memory(), kafka_default()};
    workload.contenders = on_servers(fleet, kinds, [&fleet](const Setting& setting, BrokerServer& server) {
        return perf_tool(fleet, setting, server);
    });
    return workload;
}

// Batches of 16 KiB at half of what Kafka does at most, measured beforehand.
Workload latency_half(Fleet& fleet) {
    const auto rate = std::make_shared<uint64_t>(0);  // owners: the preparation and each contender
    const auto load_of = [](const Setting& setting) {
        ProduceLoad load{.partitions = 4, .batch = batch_of(1024, 16u << 10)};
        load.batches = std::max<uint64_t>(64, setting.amount(2ull << 30) / (load.batch.records * 1024));
        return load;
    };
    const auto prepare = [&fleet, rate, load_of](const Setting& setting, const std::string&) -> Result<void> {
        const ServerKind& kind = fleet.has_kafka() ? kafka_default() : ours_durable();
        TRY(BrokerServer * server, fleet.get(kind));
        const ProduceLoad load = load_of(setting);
        TRY(const Outcome outcome, produce_measured(fleet, *server, load));
        const double most = measure(outcome, Measure::records_per_s) / load.batch.records;
        *rate = std::max<uint64_t>(1, static_cast<uint64_t>(most / 2));
        return {};
    };
    return {.name = "produce_half",
            .about = "1 KiB records in 16 KiB batches at half of Kafka's most: latency from when each was due",
            .contenders = on_servers(fleet, all_servers(),
                                     [&fleet, rate, load_of](const Setting& setting, BrokerServer& server) {
                                         ProduceLoad load = load_of(setting);
                                         load.batches_per_s = *rate;
                                         load.batches = std::max<uint64_t>(
                                             16, static_cast<uint64_t>(static_cast<double>(*rate) * setting.seconds()));
                                         return produce_measured(fleet, server, load);
                                     }),
            .claims = {{"durable", Measure::p999, false, 0.5, "kafka"},
                       {"durable", Measure::p999, false, 0.1, "kafka_flush"}},
            .prepare = prepare};
}

// The same producers alone, then among strangers who mean ill. The value is p99 among them by p99 alone; the latencies
// shown are those among them.
Result<Outcome> beside_attack(Fleet& fleet, const Setting& setting, BrokerServer& server) {
    ProduceLoad load{.topic = fleet.next_topic(), .partitions = 4, .batch = {.record_bytes = 1024, .records = 10}};
    load.batches_per_s = 500;
    load.batches = static_cast<uint64_t>(static_cast<double>(load.batches_per_s) * setting.seconds());
    TRY_VOID(server.create_topic(load.topic, load.partitions));
    TRY_VOID(warm_up(server, load));
    server.settle();
    TRY(const Outcome alone, produce(server.port(), load));
    const Account account(server);
    const Attack attack(server.port(), load.topic);
    TRY(auto outcome, produce(server.port(), load));
    account.close(outcome);
    if (setting.size != Size::small && !attack.bit()) {
        return fail(Code::invalid, "bench.attack", "the attack came to nothing");
    }
    outcome.value = static_cast<double>(outcome.latency_ns.quantile(99, 100)) /
                    static_cast<double>(std::max<uint64_t>(1, alone.latency_ns.quantile(99, 100)));
    return outcome;
}

Workload under_attack(Fleet& fleet) {
    return {.name = "produce_under_attack",
            .about = "500 batches of 10 KiB a second among hostile connections; value: p99 by that without them",
            .contenders = on_servers(fleet, {ours_durable(), ours_memory()},
                                     [&fleet](const Setting& setting, BrokerServer& server) {
                                         return beside_attack(fleet, setting, server);
                                     }),
            .claims = {{"durable", Measure::value, false, 2, ""}, {"memory", Measure::value, false, 2, ""}}};
}

}  // namespace

std::vector<Workload> broker_produce_workloads(Fleet& fleet) {
    return {produce_1k(fleet),   produce_100(fleet),  produce_64(fleet),
            produce_tool(fleet), latency_half(fleet), under_attack(fleet)};
}

}  // namespace flowstone::bench
