// What the commands of `perf` share: their settings, threads that each measure a part, and the report.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include <flowstone/result.h>

#include "storage/clock.h"
#include "tools/flowstone/command_line.h"
#include "tools/flowstone/histogram.h"
#include "tools/flowstone/output.h"

namespace flowstone::tool {

constexpr uint32_t perf_record_bytes_max = 16u << 20;
constexpr uint32_t perf_threads_max = 256;

struct PerfArguments {
    std::string topic = "flowstone.perf";
    uint64_t records = 100'000;
    uint32_t record_bytes = 100;
    uint32_t batch_records = 1;  // of an append
    int32_t partitions = 1;
    uint32_t threads = 1;
    std::string durability;  // empty: as the topic is, or would be
    uint64_t rate = 0;       // records a second of all threads together; 0: as fast as it goes
    bool json = false;
    bool quiet = false;
    // Of a producer:
    uint32_t batch_bytes = 64u << 10;
    uint32_t linger_ms = 5;
    std::string compression = "none";
    std::string acks = "all";
    bool idempotent = true;
    std::vector<std::string> settings;  // -X
};

// What one thread saw.
struct Measured {
    Histogram latency_ns;
    uint64_t records = 0;
    uint64_t bytes = 0;
    std::optional<Error> error{};

    void took(int64_t ns) { latency_ns.record(static_cast<uint64_t>(std::max<int64_t>(0, ns))); }
};

// What the threads share. Each has a part of its own, so nothing is locked.
struct Course {
    Clock& clock;
    const PerfArguments& arguments;
    int64_t began_ns = 0;
    std::atomic<uint64_t> records{0};  // done, for the progress line
    std::atomic<bool> stop{false};

    int64_t elapsed_ns() const { return clock.monotonic_ns() - began_ns; }
    bool stopped() const;  // by an error, or Ctrl-C
    // How many of all records a thread does.
    uint64_t share(uint32_t thread) const {
        return arguments.records / arguments.threads + (thread < arguments.records % arguments.threads);
    }
    // When the `index`th of a thread's pieces of `records` each should start: those of all threads are spread evenly.
    // Waits until then; without a rate that is now. What waited for those before it so counts its wait.
    int64_t await_start_ns(uint32_t thread, uint64_t index, uint32_t records) const;
};

// Values differ, so that no layer below can take one for all.
class PerfValues {
public:
    explicit PerfValues(uint32_t bytes);
    std::string_view value(uint64_t index) const {
        return std::string_view(noise_).substr(index * 61 % shifts, bytes_);
    }

private:
    static constexpr size_t shifts = 4096;
    std::string noise_;
    uint32_t bytes_;
};

// Runs `part` in every thread, painting progress meanwhile. A part that fails sets `error` and Course::stop.
Result<Measured> run_parts(Course& course, const std::function<void(uint32_t thread, Measured&)>& part);

struct PerfReport {
    std::string workload;                          // "append"
    std::string timed;                             // what the latency is of
    std::string promise_kind;                      // "durability"
    std::string promise;                           // "durable"
    std::function<void(JsonLine&)> settings = {};  // more of them
    int32_t partitions = 1;
};
Exit report(const Course& course, const PerfReport& what, const Measured& measured);

void add_perf_options(CLI::App& command, PerfArguments& arguments);  // that all of them have
void add_load_options(CLI::App& command, PerfArguments& arguments);  // of those that write

// Adds `perf produce|consume|roundtrip`.
void add_network_perf_commands(CLI::App& perf, Invocation& invocation);

}  // namespace flowstone::tool
