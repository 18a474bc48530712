#include <thread>
#include <vector>

#include <fmt/format.h>

#include "storage/limits.h"
#include "tools/flowstone/perf.h"
#include "tools/flowstone/progress.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

constexpr int64_t repaint_ns = 100'000'000;

}  // namespace

PerfValues::PerfValues(uint32_t bytes) : noise_(bytes + shifts, '\0'), bytes_(bytes) {
    uint64_t state = 0x9e3779b97f4a7c15;
    for (char& letter : noise_) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        letter = static_cast<char>('!' + state % 94);
    }
}

bool Course::stopped() const { return stop || interrupted(); }

int64_t Course::await_start_ns(uint32_t thread, uint64_t index, uint32_t piece) const {
    const int64_t now = clock.monotonic_ns();
    if (arguments.rate == 0) { return now; }
    const uint64_t place = index * arguments.threads + thread;
    const double seconds = static_cast<double>(place) * piece / static_cast<double>(arguments.rate);
    const int64_t intended = began_ns + static_cast<int64_t>(seconds * 1e9);
    if (intended > now) { sleep_ns(intended - now); }
    return intended;
}

Result<Measured> run_parts(Course& course, const std::function<void(uint32_t thread, Measured&)>& part) {
    const uint32_t count = course.arguments.threads;
    std::vector<Measured> measured(count);
    std::atomic<uint32_t> running{count};
    Progress progress(course.clock, course.arguments.quiet);
    course.began_ns = course.clock.monotonic_ns();
    {
        std::vector<std::jthread> threads;
        threads.reserve(count);
        for (uint32_t thread = 0; thread < count; ++thread) {
            threads.emplace_back([&, thread] {
                part(thread, measured[thread]);
                --running;
                running.notify_one();
            });
        }
        while (const uint32_t left = running) {
            if (!error_is_terminal() || course.arguments.quiet) {
                running.wait(left);
                continue;
            }
            sleep_ns(repaint_ns);
            const uint64_t records = course.records;
            progress.show({.records = records,
                           .bytes = records * course.arguments.record_bytes,
                           .work_done = records,
                           .work_total = course.arguments.records});
        }
    }
    Measured all;
    for (const Measured& one : measured) {
        if (one.error) { return std::unexpected(*one.error); }
        all.latency_ns.merge(one.latency_ns);
        all.records += one.records;
        all.bytes += one.bytes;
    }
    return all;
}

Exit report(const Course& course, const PerfReport& what, const Measured& measured) {
    const PerfArguments& arguments = course.arguments;
    const double seconds = std::max(static_cast<double>(course.elapsed_ns()) / 1e9, 1e-9);
    const double records_per_s = static_cast<double>(measured.records) / seconds;
    const double bytes_per_s = static_cast<double>(measured.bytes) / seconds;
    const Histogram& latency = measured.latency_ns;
    const uint64_t p50_ns = latency.quantile(50, 100);
    const uint64_t p99_ns = latency.quantile(99, 100);
    const uint64_t p999_ns = latency.quantile(999, 1000);
    std::string out;
    if (arguments.json) {
        JsonLine line(out);
        line.text("workload", what.workload).text("topic", arguments.topic).text(what.promise_kind, what.promise);
        line.number("records", measured.records).number("bytes", measured.bytes);
        if (what.settings) { what.settings(line); }
        line.number("partition_count", int64_t{what.partitions})
            .number("thread_count", uint64_t{arguments.threads})
            .decimal("elapsed_s", seconds, 6)
            .decimal("records_per_s", records_per_s, 1)
            .decimal("bytes_per_s", bytes_per_s, 1)
            .number("latency_p50_ns", p50_ns)
            .number("latency_p99_ns", p99_ns)
            .number("latency_p999_ns", p999_ns)
            .number("latency_max_ns", latency.max());
    } else {
        const auto ms = [](uint64_t ns) { return static_cast<double>(ns) / 1e6; };
        out = fmt::format(
            "{} records ({}, {}) in {:.2f} s: {} records/s, {}/s\n"
            "latency of {}: p50 {:.3f} ms, p99 {:.3f} ms, p99.9 {:.3f} ms, max {:.3f} ms\n",
            format_count(measured.records), format_bytes(measured.bytes), what.promise, seconds,
            format_count(static_cast<uint64_t>(records_per_s)), format_bytes(static_cast<uint64_t>(bytes_per_s)),
            what.timed, ms(p50_ns), ms(p99_ns), ms(p999_ns), ms(latency.max()));
    }
    return print(out);
}

void add_perf_options(CLI::App& command, PerfArguments& arguments) {
    command.add_option("--topic", arguments.topic, "Which topic (default flowstone.perf)")->type_name("NAME");
    command.add_option("--threads", arguments.threads, "How many at a time (default 1)")
        ->check(CLI::Range(1u, perf_threads_max))
        ->type_name("N");
    command.add_flag("--json", arguments.json, "One JSON object");
    command.add_flag("-q,--quiet", arguments.quiet, "No progress");
}

void add_load_options(CLI::App& command, PerfArguments& arguments) {
    command.add_option("--records", arguments.records, fmt::format("How many (default {})", arguments.records))
        ->check(check_count)
        ->type_name("N");
    command.add_option("--size", arguments.record_bytes, "Bytes of each value (default 100)")
        ->check(CLI::Range(0u, perf_record_bytes_max))
        ->type_name("BYTES");
    command.add_option("--partitions", arguments.partitions, "Of the topic (default 1)")
        ->check(CLI::Range(1, partitions_per_topic_max))
        ->type_name("N");
    command.add_option("--durability", arguments.durability, "Of the topic (default durable)")
        ->check(CLI::IsMember({"durable", "written", "memory"}))
        ->option_text("durable|written|memory");
    command
        .add_option("--rate", arguments.rate,
                    arguments.rate == 0 ? "Records a second; else as fast as it goes"
                                        : fmt::format("Records a second (default {})", arguments.rate))
        ->check(check_count)
        ->type_name("N");
}

}  // namespace flowstone::tool
