// log_bench: the log against the machine it runs on. Named workloads; without names, all of them.
//
//   memory_append_100         append 100 B, memory level, write-back counted, against a floor that frames the same
//   encode_only_100           the same without I/O
//   disk_bound_1k             append 1 KiB: memory level, durable by the direct path, durable by the journal
//   paced_100k, paced_1m      durable appends of 100 B at a rate: latency from the intended start
//   waiters_64x1, _64x100     64 threads, each waiting for its append
//   partitions_10000_4k       4 KiB batches round-robin over 10,000 partitions
//   tail_latency              from append to a tailing reader, memory level and durable
//   read_tail, read_cold      reading from memory and from the disk
//   read_cold_beside_commits  and what the second does to commits
//   checkpoint_beside         what a checkpoint, a trim of 1 GiB and rolling do to commits
//   open_empty, open_10000_clean, open_10000_killed   opening
//   create_10000              making a topic of 10,000 partitions
//   memory_use                resident memory, empty and with ten times the data
//
//   --rounds N      five unless told; every contender runs once in each, in turn
//   --size S        small (seconds for all, measures nothing), medium (a sixteenth) or full
//   --threads N     Options::threads of ours: 0, the caller does the work, or N
//   --only NAME      one contender alone, to look at it with perf; claims about others are not run
//   --peers         RocksDB and LMDB beside ours, where they were built in
//   --dir DIR       where the data goes; a directory under the current one unless told, removed at the end
//   --json          one object a line
//
// Figures are medians over the rounds, ratios are taken within a round and then their median. A claim has no verdict when
// what it is compared with varied more than twofold, or when a durable round ended before its third lap: "lap" is how
// often the bytes of the commits went round the ring. "others" is how many processors something else kept busy: on a
// quiet machine the kernel's workers, a tenth or two. "work" is a hash of what was done.
// Exit code: 0 when everything ran, whatever the verdicts; 3 when something could not run.
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/peers.h"
#include "bench/report.h"
#include "bench/rounds.h"
#include "bench/workload.h"

namespace flowstone::bench {
namespace {

struct Arguments {
    std::vector<std::string> names;
    uint32_t rounds = 5;
    std::string directory;
    std::string only;
    bool json = false;
    bool list = false;
    Setting setting;
};

std::vector<Workload> all_workloads() {
    std::vector<Workload> all;
    for (auto& part : {append_workloads(), wait_workloads(), read_workloads(), open_workloads()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

int run_all(const Arguments& arguments) {
    if (arguments.list) {
        for (const Workload& workload : all_workloads()) { fmt::print("{:<26} {}\n", workload.name, workload.about); }
        return 0;
    }
    const auto chosen = choose(all_workloads(), arguments.names);
    if (!chosen) {
        fmt::print(stderr, "log_bench: {}\n", chosen.error().detail);
        return 2;
    }
    if (arguments.setting.peers && !peers_missing().empty()) { fmt::print(stderr, "log_bench: {}\n", peers_missing()); }
    const bool own_directory = arguments.directory.empty();
    const std::string directory =
        std::filesystem::absolute(own_directory ? fmt::format("log_bench-{}", ::getpid()) : arguments.directory);
    std::filesystem::create_directories(directory);
    print_machine(this_machine(directory), arguments.json);
    int code = 0;
    const Rounds rounds{.setting = arguments.setting,
                        .rounds = arguments.rounds,
                        .only = arguments.only,
                        .peers = arguments.setting.peers && peers_missing().empty()};
    for (const Workload& workload : *chosen) {
        const std::string inside = directory + "/" + workload.name;
        auto series = run_rounds(workload, rounds, inside);
        std::filesystem::remove_all(inside);
        if (!series) {
            fmt::print(stderr, "log_bench: {}\n", series.error().message());
            code = 3;
            continue;
        }
        print_workload(workload, *series, arguments.json);
    }
    if (own_directory) { std::filesystem::remove_all(directory); }
    return code;
}

int main_of(int argc, char** argv) {
    Arguments arguments;
    std::vector<std::string> child;
    CLI::App app("The log against the machine it runs on, by named workloads. Without names: all of them.");
    app.add_option("workload", arguments.names, "which to run; --list names them");
    app.add_option("--rounds", arguments.rounds, "every contender runs once in each")->check(CLI::Range(1, 100));
    const std::map<std::string, Size> sizes{{"small", Size::small}, {"medium", Size::medium}, {"full", Size::full}};
    app.add_option("--size", arguments.setting.size, "small, medium or full")
        ->transform(CLI::CheckedTransformer(sizes, CLI::ignore_case));
    app.add_option("--threads", arguments.setting.threads, "Options::threads of ours")->check(CLI::Range(0, 64));
    app.add_option("--only", arguments.only, "one contender alone");
    app.add_flag("--peers", arguments.setting.peers, "RocksDB and LMDB beside ours");
    app.add_option("--dir", arguments.directory, "where the data goes");
    app.add_flag("--json", arguments.json, "one object a line");
    app.add_flag("--list", arguments.list, "the workloads");
    app.add_option("--child", child)->expected(3)->group("");
    CLI11_PARSE(app, argc, argv);
    // Sleeping until a record is due must not last 50 us longer than asked.
    ::prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    if (!child.empty()) { return run_child(child[0], child[1], std::stoull(child[2])); }
    arguments.setting.program = std::filesystem::read_symlink("/proc/self/exe");
    return run_all(arguments);
}

}  // namespace
}  // namespace flowstone::bench

int main(int argc, char** argv) { return flowstone::bench::main_of(argc, argv); }
