// The workloads of bench/broker_bench, and the servers they share.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/broker_server.h"
#include "bench/workload.h"

namespace flowstone::bench {

// The servers of one workload: each is started when it is first wanted and lives until stop(), so that every round finds
// it as warm as the round before left it.
class Fleet {
public:
    Fleet(Programs programs, std::string directory)
        : programs_(std::move(programs)), directory_(std::move(directory)) {}

    Result<BrokerServer*> get(const ServerKind& kind);
    Result<std::unique_ptr<BrokerServer>> fresh(const ServerKind& kind);  // for one use: start-up, memory
    void stop() { servers_.clear(); }

    const Programs& programs() const { return programs_; }
    bool has_kafka() const { return has_kafka_; }
    std::string next_topic() { return "bench-" + std::to_string(++topics_); }

private:
    Programs programs_;
    std::string directory_;
    bool has_kafka_ = programs_.kafka_missing().empty();
    std::map<std::string, std::unique_ptr<BrokerServer>> servers_;
    uint64_t topics_ = 0;
    uint64_t fresh_ = 0;
};

std::vector<Workload> broker_produce_workloads(Fleet& fleet);
std::vector<Workload> broker_consume_workloads(Fleet& fleet);
std::vector<Workload> broker_rest_workloads(Fleet& fleet);

// --- for the workloads ---
const ServerKind& ours_durable();
const ServerKind& ours_memory();
const ServerKind& kafka_default();   // never flushes by itself
const ServerKind& kafka_flushing();  // flush.messages=1
const ServerKind& bare_program();    // broker_floor.h: for producing only

// Contenders that do `run` on each of these servers; Kafka's are left out where there is no Kafka.
using OnServer = std::function<Result<Outcome>(const Setting&, BrokerServer&)>;
std::vector<Contender> on_servers(Fleet& fleet, const std::vector<ServerKind>& kinds, const OnServer& run);

// What a server, and everybody else, used while something ran.
class Account {
public:
    explicit Account(const BrokerServer& server) : server_(server) {}
    void close(Outcome& outcome) const;  // sets cpu_ns and others_ns; ns is set already
    int64_t server_ns() const { return server_.cpu_ns() - began_server_ns_; }

private:
    const BrokerServer& server_;
    int64_t began_ns_ = system_clock().monotonic_ns();
    int64_t began_server_ns_ = server_.cpu_ns();
    int64_t began_own_ns_ = cpu_now_ns();
    int64_t began_machine_ns_ = machine_cpu_now_ns();
};

}  // namespace flowstone::bench
