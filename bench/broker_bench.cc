// broker_bench: flowstoned beside a real Kafka in the same run. Named workloads; without names, all of them.
//
//   produce_1k_64k, produce_100_16k   producing as fast as it goes: the server's processor time, throughput
//   produce_64x1                      one-record batches from 64 connections
//   produce_perf_tool                 throughput by Kafka's own tool
//   produce_half                      latency at half of Kafka's most
//   produce_under_attack              what hostile connections do to a producer
//   end_to_end                        from producer to consumer, 10,000 records a second
//   consume_tail, consume_cold        the server's processor time of consuming what is new, and a backlog in files
//   produce_beside_catch_up           what a consumer of a backlog does to a producer
//   start, start_killed               from starting the program to the first produce
//   memory_empty, memory_partitions, memory_connections   resident memory
//   idle_partitions                   processor time of 10,000 partitions that nobody uses
//
//   --rounds N      five unless told; every server does the work once in each, in turn
//   --size S        small (seconds for all, measures nothing), medium (a sixteenth, 2,000 partitions) or full
//   --only NAME     one server alone: durable, memory, kafka, kafka_flush, floor; claims about others are not run
//   --no-kafka      as if there were no Kafka
//   --kafka DIR     where Kafka's jars are; build/interop/lib unless told, where `./dev interop` puts them
//   --dir DIR       where the data goes; a directory under the current one unless told, removed at the end
//   --json          one object a line
//
// `durable` and `memory` are flowstoned with that flowstone.durability, `kafka` is Kafka as it comes, which does not flush,
// `kafka_flush` has flush.messages=1, `floor` is a bare program (broker_floor.h). Each is a process of its own that lives through all rounds of a workload and has done
// half of the work once before the first is measured. "cpu" is the server's user and system time, until it has settled;
// "others" is what else kept processors busy, but for the load itself. Figures are medians over the rounds, ratios are
// taken within a round and then their median. A claim has no verdict when what it is compared with varied more than twofold.
// Exit code: 0 when everything ran, whatever the verdicts; 3 when something could not run.
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/broker_floor.h"
#include "bench/broker_workloads.h"
#include "bench/report.h"
#include "bench/rounds.h"

namespace flowstone::bench {
namespace {

struct Arguments {
    std::vector<std::string> names;
    Rounds rounds;
    std::string directory;
    std::string kafka_jars;
    bool no_kafka = false;
    bool json = false;
    bool list = false;
};

// The build directory is two above this program, the tree two above that.
Programs find_programs(const Arguments& arguments) {
    namespace fs = std::filesystem;
    const fs::path own = fs::read_symlink("/proc/self/exe");
    const fs::path build = own.parent_path().parent_path();
    Programs programs{.own = own, .flowstoned = build / "tools/flowstoned", .kafka_jars = arguments.kafka_jars};
    if (programs.kafka_jars.empty()) { programs.kafka_jars = build.parent_path() / "interop/lib"; }
    if (arguments.no_kafka) { programs.kafka_jars.clear(); }
    return programs;
}

std::vector<Workload> all_workloads(Fleet& fleet) {
    std::vector<Workload> all;
    for (auto& part :
         {broker_produce_workloads(fleet), broker_consume_workloads(fleet), broker_rest_workloads(fleet)}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

int run_all(const Arguments& arguments) {
    const Programs programs = find_programs(arguments);
    const bool own_directory = arguments.directory.empty();
    const std::string directory =
        std::filesystem::absolute(own_directory ? fmt::format("broker_bench-{}", ::getpid()) : arguments.directory);
    Fleet fleet(programs, directory);
    if (arguments.list) {
        for (const Workload& workload : all_workloads(fleet)) {
            fmt::print("{:<26} {}\n", workload.name, workload.about);
        }
        return 0;
    }
    const auto chosen = choose(all_workloads(fleet), arguments.names);
    if (!chosen) {
        fmt::print(stderr, "broker_bench: {}\n", chosen.error().detail);
        return 2;
    }
    if (!fleet.has_kafka()) { fmt::print(stderr, "broker_bench: {}\n", programs.kafka_missing()); }
    std::filesystem::create_directories(directory);
    print_machine(this_machine(directory), arguments.json);
    int code = 0;
    for (const Workload& workload : *chosen) {
        if (workload.contenders.empty()) { continue; }
        auto series = run_rounds(workload, arguments.rounds, directory + "/" + workload.name);
        if (!series) {
            fmt::print(stderr, "broker_bench: {}\n", series.error().message());
            code = 3;
        } else {
            print_workload(workload, *series, arguments.json);
            print_load(arguments.json);
        }
        fleet.stop();
    }
    if (own_directory && code == 0) { std::filesystem::remove_all(directory); }
    return code;
}

int main_of(int argc, char** argv) {
    Arguments arguments;
    CLI::App app("The broker beside Kafka, by named workloads. Without names: all of them.");
    app.add_option("workload", arguments.names, "which to run; --list names them");
    app.add_option("--rounds", arguments.rounds.rounds, "every server does the work once in each")
        ->check(CLI::Range(1, 100));
    const std::map<std::string, Size> sizes{{"small", Size::small}, {"medium", Size::medium}, {"full", Size::full}};
    app.add_option("--size", arguments.rounds.setting.size, "small, medium or full")
        ->transform(CLI::CheckedTransformer(sizes, CLI::ignore_case));
    app.add_option("--only", arguments.rounds.only, "one server alone");
    app.add_flag("--no-kafka", arguments.no_kafka, "as if there were no Kafka");
    app.add_option("--kafka", arguments.kafka_jars, "where Kafka's jars are");
    app.add_option("--dir", arguments.directory, "where the data goes");
    app.add_flag("--json", arguments.json, "one object a line");
    app.add_flag("--list", arguments.list, "the workloads");
    std::vector<std::string> floor;
    app.add_option("--floor", floor)->expected(2)->group("");
    CLI11_PARSE(app, argc, argv);
    // Sleeping until a batch is due must not last 50 us longer than asked.
    ::prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    if (!floor.empty()) { return serve_floor(static_cast<uint16_t>(std::stoul(floor[0])), floor[1]); }
    return run_all(arguments);
}

}  // namespace
}  // namespace flowstone::bench

int main(int argc, char** argv) { return flowstone::bench::main_of(argc, argv); }
