// Consuming: processor time, latency from producer to consumer, and what one does to the other.
#include <algorithm>

#include <fmt/format.h>

#include "bench/broker_load.h"
#include "bench/broker_workloads.h"
#include "storage/thread.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

constexpr size_t tail_consumers = 4;

// Consumers in threads of their own, from now until each has had its records.
class Beside {
public:
    Beside(uint16_t port, const ConsumeLoad& load, size_t consumers) : results_(consumers) {
        for (auto& result : results_) {
            threads_.emplace_back("consumer", [port, load, &result] { result = consume(port, load); });
        }
    }
    // Waits for them; all of them together.
    Result<Outcome> join() {
        threads_.clear();
        Outcome all;
        for (auto& result : results_) {
            if (!result) { return std::unexpected(result.error()); }
            all.records += result->records;
            all.bytes += result->bytes;
            all.ns = std::max(all.ns, result->ns);
            all.hash ^= result->hash;
            all.latency_ns.merge(result->latency_ns);
        }
        return all;
    }

private:
    std::vector<Result<Outcome>> results_;
    std::vector<Thread> threads_;
};

Result<void> warm_up(BrokerServer& server, ProduceLoad load, Fleet& fleet, uint64_t batches) {
    if (server.warm) { return {}; }
    load.topic = fleet.next_topic();
    load.batches = batches;
    load.batches_per_s = 0;
    TRY_VOID(server.create_topic(load.topic, load.partitions));
    TRY_VOID(produce(server.port(), load));
    const ConsumeLoad read{.topic = load.topic, .partitions = load.partitions, .records = batches * load.batch.records};
    TRY_VOID(consume(server.port(), read));
    TRY_VOID(server.delete_topic(load.topic));
    server.warm = true;
    return {};
}

// Ten records a batch, a batch each millisecond: from when a batch was due until a consumer has it.
Result<Outcome> end_to_end(Fleet& fleet, const Setting& setting, BrokerServer& server) {
    ProduceLoad load{.topic = fleet.next_topic(), .partitions = 4, .batch = {.record_bytes = 1024, .records = 10}};
    load.batches_per_s = 1000;
    load.batches = static_cast<uint64_t>(static_cast<double>(load.batches_per_s) * setting.seconds());
    load.stamped = true;
    TRY_VOID(warm_up(server, load, fleet, 2000));
    TRY_VOID(server.create_topic(load.topic, load.partitions));
    const Account account(server);
    Beside consumer(server.port(),
                    {.topic = load.topic,
                     .partitions = load.partitions,
                     .records = load.batches * load.batch.records,
                     .stamped = true},
                    1);
    TRY_VOID(produce(server.port(), load));
    TRY(auto outcome, consumer.join());
    account.close(outcome);
    TRY_VOID(server.delete_topic(load.topic));
    return outcome;
}

// At a rate, so that consumers find what has just come. The processor time is theirs: what the same load without them
// takes, measured in the same round, is taken away.
Result<Outcome> consume_tail(Fleet& fleet, const Setting& setting, BrokerServer& server) {
    ProduceLoad load{.partitions = 4, .batch = batch_of(1024, 16u << 10)};
    load.batches_per_s = 1600;  // 25 MB/s
    load.batches = static_cast<uint64_t>(static_cast<double>(load.batches_per_s) * setting.seconds());
    TRY_VOID(warm_up(server, load, fleet, std::max<uint64_t>(16, setting.amount(16'384))));
    int64_t cpu_ns[2] = {};
    Outcome outcome;
    for (const size_t consumers : {size_t{0}, tail_consumers}) {
        load.topic = fleet.next_topic();
        TRY_VOID(server.create_topic(load.topic, load.partitions));
        server.settle();
        const Account account(server);
        Beside beside(
            server.port(),
            {.topic = load.topic, .partitions = load.partitions, .records = load.batches * load.batch.records},
            consumers);
        TRY_VOID(produce(server.port(), load));
        TRY(outcome, beside.join());
        server.settle();
        account.close(outcome);
        cpu_ns[consumers > 0] = outcome.cpu_ns;
        TRY_VOID(server.delete_topic(load.topic));
    }
    outcome.cpu_ns = std::max<int64_t>(1, cpu_ns[1] - cpu_ns[0]);
    return outcome;
}

ProduceLoad backlog(Fleet& fleet, const Setting& setting) {
    ProduceLoad load{.topic = fleet.next_topic(), .partitions = 4, .batch = batch_of(1024, 64u << 10)};
    load.batches = std::max<uint64_t>(16, setting.amount(2ull << 30) / (load.batch.records * 1024));
    return load;
}

// What was produced, once it is in files only and out of the page cache.
Result<Outcome> consume_cold(Fleet& fleet, const Setting& setting, BrokerServer& server) {
    const ProduceLoad load = backlog(fleet, setting);
    TRY_VOID(warm_up(server, load, fleet, std::max<uint64_t>(4, load.batches / 2)));
    TRY_VOID(server.create_topic(load.topic, load.partitions));
    TRY_VOID(produce(server.port(), load));
    server.settle();
    server.forget_pages();
    const Account account(server);
    TRY(auto outcome,
        consume(server.port(),
                {.topic = load.topic, .partitions = load.partitions, .records = load.batches * load.batch.records}));
    account.close(outcome);
    TRY_VOID(server.delete_topic(load.topic));
    return outcome;
}

// A producer at a steady rate alone, then while a consumer reads a backlog from the files, once. The value is p99.9 with
// it by p99.9 without; the latencies shown are those with it.
Result<Outcome> beside_catch_up(Fleet& fleet, const Setting& setting, BrokerServer& server) {
    const ProduceLoad old = backlog(fleet, setting);
    TRY_VOID(warm_up(server, old, fleet, std::max<uint64_t>(4, old.batches / 2)));
    TRY_VOID(server.create_topic(old.topic, old.partitions));
    TRY_VOID(produce(server.port(), old));
    ProduceLoad load{.topic = fleet.next_topic(), .partitions = 4, .batch = {.record_bytes = 1024, .records = 10}};
    load.batches_per_s = 500;
    load.batches = static_cast<uint64_t>(static_cast<double>(load.batches_per_s) * setting.seconds());
    TRY_VOID(server.create_topic(load.topic, load.partitions));
    server.settle();
    TRY(const Outcome alone, produce(server.port(), load));
    server.forget_pages();
    const Account account(server);
    Beside reader(server.port(),
                  {.topic = old.topic, .partitions = old.partitions, .records = old.batches * old.batch.records}, 1);
    TRY(auto outcome, produce(server.port(), load));
    TRY_VOID(reader.join());
    account.close(outcome);
    outcome.value = static_cast<double>(outcome.latency_ns.quantile(999, 1000)) /
                    static_cast<double>(std::max<uint64_t>(1, alone.latency_ns.quantile(999, 1000)));
    TRY_VOID(server.delete_topic(load.topic));
    TRY_VOID(server.delete_topic(old.topic));
    return outcome;
}

OnServer with(Fleet& fleet, Result<Outcome> (*run)(Fleet&, const Setting&, BrokerServer&)) {
    return [&fleet, run](const Setting& setting, BrokerServer& server) { return run(fleet, setting, server); };
}

}  // namespace

std::vector<Workload> broker_consume_workloads(Fleet& fleet) {
    const std::vector<ServerKind> three{ours_durable(), ours_memory(), kafka_default()};
    return {{.name = "end_to_end",
             .about = "batches of ten records of 1 KiB, one each millisecond, until a consumer has them",
             .contenders = on_servers(fleet, {ours_durable(), ours_memory(), kafka_default(), kafka_flushing()},
                                      with(fleet, end_to_end)),
             .claims = {{"durable", Measure::p50, false, 1, "kafka"}, {"durable", Measure::p99, false, 1, "kafka"}}},
            {.name = "consume_tail",
             .about = "four consumers of what is produced at 25 MB/s; processor time beyond that of producing",
             .contenders = on_servers(fleet, three, with(fleet, consume_tail)),
             .claims = {{"durable", Measure::cpu_per_record, false, 1.0 / 3, "kafka"}}},
            {.name = "consume_cold",
             .about = "one consumer of a backlog that is in files only",
             .contenders = on_servers(fleet, three, with(fleet, consume_cold)),
             .claims = {{"durable", Measure::cpu_per_record, false, 1.0 / 3, "kafka"}}},
            {.name = "produce_beside_catch_up",
             .about = "500 batches of 10 KiB a second while another catches up; value: p99.9 by that without it",
             .contenders = on_servers(fleet, three, with(fleet, beside_catch_up)),
             .claims = {{"durable", Measure::value, false, 1.5, ""}}}};
}

}  // namespace flowstone::bench
