// Opening and memory: open_empty, create_10000, open_10000_clean, open_10000_killed, memory_use.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "bench/floor.h"
#include "bench/ours.h"
#include "storage/try.h"

extern char** environ;

namespace flowstone::bench {
namespace {

int32_t many(const Setting& setting) { return setting.size == Size::small ? 100 : 10'000; }

// --- a process of its own ------------------------------------------------------------------------------------------------

// Runs this program as a child and hands over its standard output line by line; `take` says when it is to be killed.
Result<void> with_child(const Setting& setting, const std::string& what, const std::string& directory, uint64_t amount,
                        const std::function<bool(std::string_view line)>& take) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) { return fail_errno(errno, "bench.child"); }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::vector<std::string> words = {setting.program, "--child", what, directory, std::to_string(amount)};
    std::vector<char*> arguments;
    for (std::string& word : words) { arguments.push_back(word.data()); }
    arguments.push_back(nullptr);
    pid_t child = 0;
    const int spawned = ::posix_spawn(&child, setting.program.c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (spawned != 0) { return fail_errno(spawned, "bench.child", setting.program); }
    FILE* output = ::fdopen(ends[0], "r");
    char line[256];
    bool killed = false;
    while (std::fgets(line, sizeof line, output) != nullptr) {
        std::string_view text(line);
        if (!text.empty() && text.back() == '\n') { text.remove_suffix(1); }
        if (!take(text)) {
            killed = true;
            ::kill(child, SIGKILL);
        }
    }
    std::fclose(output);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (!killed && status != 0) { return fail(Code::io, "bench.child", what + " did not end well"); }
    return {};
}

double resident_bytes() {
    std::ifstream file("/proc/self/statm");
    double pages = 0;
    double resident = 0;
    file >> pages >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

// A batch more in each partition, durable, without a checkpoint, never closed: what SIGKILL leaves.
Result<void> child_fill(const std::string& directory, uint64_t partitions) {
    const Source source(4000);
    TRY(const auto ours, OurLog::open(directory, {.partitions = static_cast<int32_t>(partitions)}));
    for (uint64_t i = 0; i < partitions; ++i) {
        TRY_VOID(ours->topic().append_async(source.record(i), {.partition = static_cast<int32_t>(i)}));
    }
    TRY_VOID(ours->log().flush());
    std::puts("ready");
    std::fflush(stdout);
    for (;;) { ::pause(); }
}

// Resident memory before, with an empty log, and after each tenth of `gigabytes`.
Result<void> child_memory(const std::string& directory, uint64_t bytes) {
    const auto tell = [](const char* when) {
        std::printf("%s %.0f\n", when, resident_bytes());
        std::fflush(stdout);
    };
    const Source source(1024);
    tell("before");
    TRY(const auto ours, OurLog::open(directory, {}));
    tell("empty");
    const uint64_t records = bytes / 1024;
    for (uint64_t i = 0; i < records; ++i) {
        TRY_VOID(ours->topic().append_async(source.record(i), {.partition = 0}));
        if (i == records / 10) {
            TRY_VOID(ours->log().flush());
            tell("tenth");
        }
    }
    TRY_VOID(ours->log().flush());
    tell("all");
    return ours->log().close();
}

// --- opening -----------------------------------------------------------------------------------------------------------------

constexpr const char* filled_name = "/../filled";  // made by prepare, beside the contenders' own directories

// A batch of 4 KiB in each of 10,000 partitions, closed cleanly. Every contender leaves it closed cleanly again.
Result<void> prepare_partitions(const Setting& setting, const std::string& directory) {
    const std::string filled = directory + "/filled";
    std::filesystem::create_directories(filled);
    const Source source(4000);
    TRY(const auto ours, OurLog::open(filled, {.partitions = many(setting)}));
    for (int32_t i = 0; i < many(setting); ++i) {
        TRY_VOID(ours->topic().append_async(source.record(static_cast<uint64_t>(i)), {.partition = i}));
    }
    return ours->log().close(std::chrono::minutes(5));
}

// With `use`, until the first append is acknowledged and the first record is read.
Result<Outcome> timed_open(const Setting& setting, const std::string& directory, bool use) {
    Outcome outcome;
    const Stopwatch watch;
    TRY(Log log, Log::open(directory + "/ours", {.threads = setting.threads}));
    if (use) {
        TRY(Topic topic, log.topic("bench"));
        TRY_VOID(topic.append({.value = "first"}, {.partition = 0}));
        TRY(Reader reader, topic.read());
        const auto batch = reader.next();
        if (!batch) { return std::unexpected(batch.error()); }
        if (batch->empty()) { return fail(Code::not_found, "bench.open", "nothing to read"); }
        outcome.hash = static_cast<uint64_t>(batch->next_offset().value);
    }
    watch.stop(outcome);
    outcome.records = 1;
    TRY_VOID(log.close(std::chrono::minutes(5)));
    return outcome;
}

Workload open_empty() {
    return {"open_empty",
            "the first opening of a directory, which makes the ring; and opening it again after close",
            {{"create", [](const Setting& setting,
                           const std::string& directory) { return timed_open(setting, directory, false); }},
             {"ours",
              [](const Setting& setting, const std::string& directory) -> Result<Outcome> {
                  TRY(Log log, Log::open(directory + "/ours"));
                  TRY_VOID(log.close());
                  return timed_open(setting, directory, false);
              }}},
            {{"ours", Measure::seconds, false, 0.020}, {"create", Measure::seconds, false, 0.020}}};
}

Workload create_10000() {
    return {"create_10000",
            "creating a topic of 10,000 partitions",
            {{"ours",
              [](const Setting& setting, const std::string& directory) -> Result<Outcome> {
                  TRY(Log log, Log::open(directory + "/ours", {.threads = setting.threads}));
                  Outcome outcome;
                  const Stopwatch watch;
                  TRY(const Topic topic, log.create_topic("bench", {.partitions = many(setting)}));
                  watch.stop(outcome);
                  outcome.records = static_cast<uint64_t>(topic.partitions());
                  TRY_VOID(log.close());
                  return outcome;
              }}},
            {{"ours", Measure::seconds, false, 2.0}}};
}

Workload open_10000_clean() {
    return {
        "open_10000_clean",
        "opening 10,000 partitions of one 4 KiB batch each, closed cleanly",
        {{"ours", [](const Setting& setting,
                     const std::string& directory) { return timed_open(setting, directory + filled_name, false); }}},
        {{"ours", Measure::seconds, false, 1.0}},
        prepare_partitions};
}

// What the killed log may take: twice the clean opening, and the journal's bytes at 0.7 of the read limit.
Result<Outcome> allowance(const Setting& setting, const std::string& directory) {
    TRY(Outcome clean, timed_open(setting, directory + filled_name, true));
    std::vector<std::string> rings;
    for (const auto& entry : std::filesystem::directory_iterator(directory + filled_name + "/ours")) {
        if (entry.path().filename().string().starts_with("flowstone-journal-")) { rings.push_back(entry.path()); }
    }
    TRY(const Outcome read, floor_read(rings, 1u << 20, 4));
    clean.ns = 2 * clean.ns + static_cast<int64_t>(static_cast<double>(read.ns) / 0.7);
    clean.bytes = read.bytes;
    return clean;
}

Workload open_10000_killed() {
    return {"open_10000_killed",
            "the same after another batch in each and SIGKILL before any checkpoint, to the first append and read",
            {{"allowance", allowance},
             {"ours",
              [](const Setting& setting, const std::string& directory) -> Result<Outcome> {
                  const std::string filled = directory + filled_name;
                  TRY_VOID(with_child(setting, "fill", filled, static_cast<uint64_t>(many(setting)),
                                      [](std::string_view line) { return line != "ready"; }));
                  return timed_open(setting, filled, true);
              }}},
            {{"ours", Measure::seconds, false, 1, "allowance"}},
            prepare_partitions};
}

// --- memory ------------------------------------------------------------------------------------------------------------------

Result<Outcome> memory_between(const Setting& setting, const std::string& directory, uint64_t bytes,
                               const std::string& from, const std::string& to) {
    Outcome outcome;
    outcome.bytes = bytes;
    outcome.records = bytes / 1024 > 0 ? bytes / 1024 : 1;
    double begin = 0;
    double end = 0;
    const Stopwatch watch;
    TRY_VOID(with_child(setting, "memory", directory, bytes, [&](std::string_view line) {
        const size_t space = line.find(' ');
        double value = 0;
        std::from_chars(line.data() + space + 1, line.data() + line.size(), value);
        if (line.substr(0, space) == from) { begin = value; }
        if (line.substr(0, space) == to) { end = value; }
        return true;
    }));
    watch.stop(outcome);
    // Growth as a factor; from nothing, as bytes.
    outcome.value = from.empty() ? end : end / begin;
    return outcome;
}

Workload memory_use() {
    constexpr double mib = 1024.0 * 1024.0;
    constexpr double journal_buffers = 2.0 * mib;  // huge pages: one slab of two buffers
    return {"memory_use",
            "resident memory of a process: with an empty log; growth from 1 GB to 10 GB of 1 KiB records",
            {{"empty", [](const Setting& setting,
                          const std::string& directory) { return memory_between(setting, directory, 0, "", "empty"); }},
             {"growth",
              [](const Setting& setting, const std::string& directory) {
                  return memory_between(setting, directory, setting.amount(10'000'000'000), "tenth", "all");
              }}},
            {{"empty", Measure::value, false, 12 * mib + journal_buffers}, {"growth", Measure::value, false, 1.05}}};
}

}  // namespace

std::vector<Workload> open_workloads() {
    return {open_empty(), create_10000(), open_10000_clean(), open_10000_killed(), memory_use()};
}

int run_child(const std::string& what, const std::string& directory, uint64_t amount) {
    const Result<void> done = what == "fill"     ? child_fill(directory, amount)
                              : what == "memory" ? child_memory(directory, amount)
                                                 : fail(Code::invalid, "bench.child", what);
    if (done) { return 0; }
    std::fprintf(stderr, "%s\n", done.error().message().c_str());
    return 1;
}

}  // namespace flowstone::bench
