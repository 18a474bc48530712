// rdkafka_bench: our client library beside librdkafka, on the same flowstoned in the same run, over TCP on loopback.
//
//   produce_100          100-byte values to one partition from one thread, until the last is acknowledged; durable topic
//   produce_100_memory   the same to a topic that is written behind
//   consume_100          all of one partition, from the beginning
//
//   --rounds N      five unless told; each client does the work once in each, in turn
//   --size S        small (proves that it runs, measures nothing), medium (a sixteenth) or full (10 million records)
//   --only NAME     one client alone: ours, ours_1m, rdkafka
//   --dir DIR       where the broker's data goes; a directory under the current one unless told, removed at the end
//   --json          one object a line
//
// `ours` is flowstone::Client as it comes (64 KiB a batch), `ours_1m` with batches of 1 MiB, which is what librdkafka makes
// of 100-byte records by its defaults, `rdkafka` is librdkafka as its rdkafka_performance drives it (rdkafka.h). "cpu" is this
// process's user and system time: the client's, as the broker is a process of its own. Figures are medians over the rounds,
// ratios are taken within a round and then their median.
// Exit code: 0 when everything ran, whatever the verdicts; 3 when something could not run.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <flowstone/admin.h>
#include <flowstone/client.h>

#include "bench/broker_server.h"
#include "bench/rdkafka.h"
#include "bench/report.h"
#include "bench/rounds.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t records_full = 10'000'000;
constexpr uint32_t record_bytes = 100;
constexpr int32_t partition = 0;

// One broker for all rounds of a workload, started when it is first wanted.
class Place {
public:
    Place(Programs programs, std::string directory)
        : programs_(std::move(programs)), directory_(std::move(directory)) {}

    Result<BrokerServer*> server() {
        if (!server_) {
            const std::string own = fmt::format("{}/broker-{}", directory_, ++servers_);
            TRY(server_, BrokerServer::start(programs_, {.name = "ours"}, own));
        }
        return server_.get();
    }
    void stop() { server_.reset(); }
    std::string next_topic() { return fmt::format("bench-{}", ++topics_); }

private:
    Programs programs_;
    std::string directory_;
    std::unique_ptr<BrokerServer> server_;
    int servers_ = 0;
    int topics_ = 0;
};

Result<Client> open(const BrokerServer& server) { return Client::open(fmt::format("127.0.0.1:{}", server.port())); }

Result<void> make_topic(const BrokerServer& server, const std::string& topic, const char* durability) {
    TRY(Client client, open(server));
    return client.admin().create_topic(topic, {.configs = {{"flowstone.durability", durability}}});
}

Result<Outcome> produce_ours(uint16_t port, const std::string& topic, uint64_t records, size_t batch_bytes) {
    TRY(Client client, Client::open(fmt::format("127.0.0.1:{}", port)));
    TRY(Producer producer, client.producer({.batch_bytes_max = batch_bytes}));
    TRY(ProducerTopic to, producer.topic(topic));
    const std::string value(record_bytes, 'v');
    TRY(const Delivery first, to.send({.value = value}, partition));
    TRY_VOID(producer.flush());
    TRY_VOID(first.wait());
    Outcome outcome;
    const Stopwatch watch;
    std::optional<Delivery> last;
    for (uint64_t sent = 0; sent < records; ++sent) { TRY(last, to.send({.value = value}, partition)); }
    TRY_VOID(producer.flush());
    TRY(const Position at, last->wait());
    watch.stop(outcome);
    outcome.records = records;
    outcome.bytes = records * record_bytes;
    outcome.hash = static_cast<uint64_t>(at.offset.value);
    TRY_VOID(client.close());
    if (at.offset != Offset{static_cast<int64_t>(records)}) {
        return fail(Code::corrupt, "bench.produce", "not all are there");
    }
    return outcome;
}

Result<Outcome> consume_ours(uint16_t port, const std::string& topic, uint64_t records) {
    TRY(Client client, Client::open(fmt::format("127.0.0.1:{}", port)));
    TRY(Consumer consumer, client.consumer());
    Outcome outcome;
    const Stopwatch watch;
    TRY_VOID(consumer.assign({{topic, 0}}));
    while (outcome.records < records) {
        TRY(const ConsumedBatch batch, consumer.poll(30s));
        if (batch.empty()) { return fail(Code::timed_out, "bench.consume"); }
        for (const RecordView& record : batch) {
            ++outcome.records;
            outcome.bytes += record.value->size();
        }
    }
    watch.stop(outcome);
    outcome.hash = outcome.bytes;
    return outcome;
}

std::vector<Claim> claims_of(const std::string& ours) {
    return {{ours, Measure::records_per_s, true, 3, "rdkafka"},
            {ours, Measure::cpu_per_record, false, 1.0 / 3, "rdkafka"}};
}

Workload produce_workload(Place& place, const char* name, const char* durability) {
    using Run = std::function<Result<Outcome>(uint16_t port, const std::string& topic, uint64_t records)>;
    const auto contender = [&place, durability](const char* who, const Run& run) {
        return Contender{
            .name = who,
            .run = [&place, durability, run](const Setting& setting, const std::string&) -> Result<Outcome> {
                TRY(BrokerServer * server, place.server());
                const std::string topic = place.next_topic();
                TRY_VOID(make_topic(*server, topic, durability));
                server->settle();
                TRY(auto outcome, run(server->port(), topic, setting.amount(records_full)));
                server->settle();
                TRY_VOID(server->delete_topic(topic));
                return outcome;
            }};
    };
    const auto ours = [](size_t batch_bytes) {
        return [batch_bytes](uint16_t port, const std::string& topic, uint64_t records) {
            return produce_ours(port, topic, records, batch_bytes);
        };
    };
    Workload workload;
    workload.name = name;
    workload.about = fmt::format("100-byte values, one partition, {}", durability);
    workload.contenders = {contender("ours", ours(64u << 10)), contender("ours_1m", ours(1u << 20))};
    if (rdkafka_missing().empty()) {
        workload.contenders.push_back(contender("rdkafka", [](uint16_t port, const std::string& topic,
                                                              uint64_t records) {
            return rdkafka_produce({.port = port, .topic = topic, .records = records, .record_bytes = record_bytes});
        }));
    }
    workload.claims = claims_of("ours");
    return workload;
}

Workload consume_workload(Place& place) {
    Workload workload;
    workload.name = "consume_100";
    workload.about = "100-byte values of one partition, from the beginning";
    const auto contender = [&place](const char* who, auto run) {
        return Contender{.name = who,
                         .run = [&place, run](const Setting& setting, const std::string&) -> Result<Outcome> {
                             TRY(BrokerServer * server, place.server());
                             server->settle();
                             return run(server->port(), setting.amount(records_full));
                         }};
    };
    workload.prepare = [&place](const Setting& setting, const std::string&) -> Result<void> {
        TRY(BrokerServer * server, place.server());
        TRY_VOID(make_topic(*server, "backlog", "durable"));
        TRY_VOID(produce_ours(server->port(), "backlog", setting.amount(records_full), 64u << 10));
        return {};
    };
    workload.contenders = {
        contender("ours", [](uint16_t port, uint64_t records) { return consume_ours(port, "backlog", records); })};
    if (rdkafka_missing().empty()) {
        workload.contenders.push_back(contender("rdkafka", [](uint16_t port, uint64_t records) {
            return rdkafka_consume(
                {.port = port, .topic = "backlog", .records = records, .record_bytes = record_bytes});
        }));
    }
    workload.claims = claims_of("ours");
    return workload;
}

struct Arguments {
    std::vector<std::string> names;
    Rounds rounds;
    std::string directory;
    bool json = false;
    bool list = false;
};

int run_all(const Arguments& arguments) {
    namespace fs = std::filesystem;
    const fs::path own = fs::read_symlink("/proc/self/exe");
    const bool own_directory = arguments.directory.empty();
    const std::string directory =
        fs::absolute(own_directory ? fmt::format("rdkafka_bench-{}", ::getpid()) : arguments.directory);
    Place place({.own = own, .flowstoned = own.parent_path().parent_path() / "tools/flowstoned", .kafka_jars = ""},
                directory);
    std::vector<Workload> all = {produce_workload(place, "produce_100", "durable"),
                                 produce_workload(place, "produce_100_memory", "memory"), consume_workload(place)};
    if (arguments.list) {
        for (const Workload& workload : all) { fmt::print("{:<20} {}\n", workload.name, workload.about); }
        return 0;
    }
    const auto chosen = choose(std::move(all), arguments.names);
    if (!chosen) {
        fmt::print(stderr, "rdkafka_bench: {}\n", chosen.error().detail);
        return 2;
    }
    if (const std::string missing = rdkafka_missing(); !missing.empty()) {
        fmt::print(stderr, "rdkafka_bench: {}\n", missing);
    }
    fs::create_directories(directory);
    print_machine(this_machine(directory), arguments.json);
    int code = 0;
    for (const Workload& workload : *chosen) {
        auto series = run_rounds(workload, arguments.rounds, directory + "/" + workload.name);
        if (!series) {
            fmt::print(stderr, "rdkafka_bench: {}\n", series.error().message());
            code = 3;
        } else {
            print_workload(workload, *series, arguments.json);
            print_load(arguments.json);
        }
        place.stop();
    }
    if (own_directory && code == 0) { fs::remove_all(directory); }
    return code;
}

int main_of(int argc, char** argv) {
    Arguments arguments;
    CLI::App app("Our client library beside librdkafka, by named workloads. Without names: all of them.");
    app.add_option("workload", arguments.names, "which to run; --list names them");
    app.add_option("--rounds", arguments.rounds.rounds, "every client does the work once in each")
        ->check(CLI::Range(1, 100));
    const std::map<std::string, Size> sizes{{"small", Size::small}, {"medium", Size::medium}, {"full", Size::full}};
    app.add_option("--size", arguments.rounds.setting.size, "small, medium or full")
        ->transform(CLI::CheckedTransformer(sizes, CLI::ignore_case));
    app.add_option("--only", arguments.rounds.only, "one client alone");
    app.add_option("--dir", arguments.directory, "where the broker's data goes");
    app.add_flag("--json", arguments.json, "one object a line");
    app.add_flag("--list", arguments.list, "the workloads");
    CLI11_PARSE(app, argc, argv);
    return run_all(arguments);
}

}  // namespace
}  // namespace flowstone::bench

int main(int argc, char** argv) { return flowstone::bench::main_of(argc, argv); }
