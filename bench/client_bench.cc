// client_bench: the client on a log in its own process, beside the log. Named workloads; without names, all of them.
//
//   client_append_100   append 100 B, memory level: the log's own append, a Producer of dir:, and one through its socket
//   shm_visible_100k    sent in one process to seen in another, beside a futex ping-pong between processes
//   shm_consume_1k      read in another process from memory, beside a copy with checksums
//
//   --rounds N, --size S, --only NAME, --dir DIR, --json, --list: as log_bench (bench/log_bench --help)
#include <unistd.h>

#include <filesystem>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <flowstone/client.h>

#include "bench/client_workloads.h"
#include "bench/ours.h"
#include "bench/report.h"
#include "bench/rounds.h"
#include "bench/workload.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

constexpr uint64_t gib = 1ull << 30;

// The same records as our_append(), by a Producer; `through` the broker's socket, as another process would.
Result<Outcome> client_append(const std::string& directory, uint64_t records, uint32_t record_bytes, bool through) {
    const Source source(record_bytes);
    TRY(Client holder, Client::open("dir:" + directory + "/ours"));
    TRY(Topic topic, holder.log()->create_topic("bench", {.configs = {{"flowstone.durability", "memory"}}}));
    std::optional<Client> other;
    if (through) { TRY(other, Client::open("shm:" + directory + "/ours")); }
    TRY(Producer producer, (other ? *other : holder).producer());
    TRY(ProducerTopic to, producer.topic("bench"));
    Outcome outcome;
    outcome.records = records;
    outcome.bytes = records * record_bytes;
    const Stopwatch watch;
    for (uint64_t i = 0; i < records; ++i) { TRY_VOID(to.send(source.record(i), 0)); }
    TRY_VOID(producer.flush());
    TRY(outcome.hash, hash_of_end(topic));
    if (other) { TRY_VOID(other->close()); }
    TRY_VOID(holder.close(std::chrono::minutes(5)));
    watch.stop(outcome);
    return outcome;
}

Workload client_append_100() {
    constexpr uint64_t full = gib / 100;
    const auto by_client = [](bool through) {
        return [through](const Setting& setting, const std::string& directory) {
            return client_append(directory, setting.amount(full), 100, through);
        };
    };
    return {"client_append_100",
            "100 B, one thread, one partition, memory level, write-back and close counted",
            {{"log",
              [](const Setting& setting, const std::string& directory) {
                  return our_append(directory, {.level = Durability::memory, .options = {.threads = 1}},
                                    setting.amount(full), 100);
              }},
             {"dir", by_client(false)},
             {"dir_by_socket", by_client(true)}},
            {{"dir", Measure::records_per_s, true, 0.8, "log"}}};
}

int main_of(int argc, char** argv) {
    std::vector<std::string> names;
    Rounds rounds{.setting = {}, .rounds = 5, .only = {}, .peers = false};
    std::string directory = fmt::format("client_bench-{}", ::getpid());
    bool json = false;
    bool list = false;
    CLI::App app("The client on a log in its own process, by named workloads. Without names: all of them.");
    app.add_option("workload", names, "which to run; --list names them");
    app.add_option("--rounds", rounds.rounds, "every contender runs once in each")->check(CLI::Range(1, 100));
    const std::map<std::string, Size> sizes{{"small", Size::small}, {"medium", Size::medium}, {"full", Size::full}};
    app.add_option("--size", rounds.setting.size, "small, medium or full")
        ->transform(CLI::CheckedTransformer(sizes, CLI::ignore_case));
    app.add_option("--only", rounds.only, "one contender alone");
    app.add_option("--dir", directory, "where the data goes; it is removed at the end");
    app.add_flag("--json", json, "one object a line");
    app.add_flag("--list", list, "the workloads");
    CLI11_PARSE(app, argc, argv);

    std::vector<Workload> all{client_append_100()};
    for (Workload& one : shared_workloads()) { all.push_back(std::move(one)); }
    for (const Workload& workload : all) {
        if (list) { fmt::print("{:<26} {}\n", workload.name, workload.about); }
    }
    if (list) { return 0; }
    const auto chosen = choose(all, names);
    if (!chosen) {
        fmt::print(stderr, "client_bench: {}\n", chosen.error().detail);
        return 2;
    }
    directory = std::filesystem::absolute(directory);
    std::filesystem::create_directories(directory);
    print_machine(this_machine(directory), json);
    int code = 0;
    for (const Workload& workload : *chosen) {
        const auto series = run_rounds(workload, rounds, directory + "/" + workload.name);
        if (series) {
            print_workload(workload, *series, json);
        } else {
            fmt::print(stderr, "client_bench: {}\n", series.error().message());
            code = 3;
        }
    }
    std::filesystem::remove_all(directory);
    return code;
}

}  // namespace
}  // namespace flowstone::bench

int main(int argc, char** argv) { return flowstone::bench::main_of(argc, argv); }
