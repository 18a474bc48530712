// perf append, perf read: how fast this log is on this machine.

#include <atomic>
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "storage/clock.h"
#include "storage/limits.h"
#include "storage/try.h"
#include "tools/flowstone/command_line.h"
#include "tools/flowstone/histogram.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/progress.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

constexpr int64_t repaint_ns = 100'000'000;
constexpr uint32_t record_bytes_max = 16u << 20;
constexpr uint32_t batch_records_max = 100'000;
constexpr uint32_t threads_max = 256;

struct PerfArguments {
    std::string topic = "flowstone.perf";
    uint64_t records = 100'000;
    uint32_t record_bytes = 100;
    uint32_t batch_records = 1;
    int32_t partitions = 1;
    uint32_t threads = 1;
    std::string durability = "durable";
    uint64_t rate = 0;  // records a second of all threads together; 0: as fast as it goes
    bool json = false;
    bool quiet = false;
};

// What one thread saw.
struct Measured {
    Histogram latency_ns;
    uint64_t records = 0;
    uint64_t bytes = 0;
    std::optional<Error> error{};
};

// What the threads share. Each has a part of its own, so nothing is locked.
struct Course {
    Clock& clock;
    const PerfArguments& arguments;
    int64_t began_ns = 0;
    std::atomic<uint64_t> records{0};  // done, for the progress line
    std::atomic<bool> stop{false};
};

// Values differ, so that no layer below can take one for all.
std::string noise(size_t bytes) {
    std::string text(bytes, '\0');
    uint64_t state = 0x9e3779b97f4a7c15;
    for (char& letter : text) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        letter = static_cast<char>('!' + state % 94);
    }
    return text;
}

// When batch `index` of a thread should start. The batches of all threads are spread evenly.
int64_t intended_start_ns(const Course& course, uint32_t thread, uint64_t index) {
    const PerfArguments& arguments = course.arguments;
    const uint64_t place = index * arguments.threads + thread;
    const double seconds = static_cast<double>(place) * arguments.batch_records / static_cast<double>(arguments.rate);
    return course.began_ns + static_cast<int64_t>(seconds * 1e9);
}

void append_part(Course& course, const Topic& shared_topic, uint32_t thread, Measured& measured) {
    Topic topic = shared_topic;  // to append, a handle of one's own; copies are cheap
    const PerfArguments& arguments = course.arguments;
    const std::string values = noise(arguments.record_bytes + 4096);
    std::vector<Record> batch(arguments.batch_records);
    const uint64_t share = arguments.records / arguments.threads + (thread < arguments.records % arguments.threads);
    for (uint64_t index = 0; measured.records < share && !course.stop && !interrupted(); ++index) {
        const uint64_t count = std::min<uint64_t>(arguments.batch_records, share - measured.records);
        for (uint64_t i = 0; i < count; ++i) {
            const uint64_t shift = (measured.records + i) * 61 % 4096;
            batch[i].value = std::string_view(values).substr(shift, arguments.record_bytes);
        }
        int64_t start_ns = course.clock.monotonic_ns();
        if (arguments.rate > 0) {
            const int64_t intended_ns = intended_start_ns(course, thread, index);
            sleep_ns(intended_ns - start_ns);
            start_ns = intended_ns;  // what waited for those before it counts its wait
        }
        const auto partition =
            static_cast<int32_t>((index * arguments.threads + thread) % static_cast<uint64_t>(topic.partitions()));
        auto at = topic.append(std::span(batch).first(count), {.partition = partition});
        if (!at) {
            measured.error = at.error();
            course.stop = true;
            return;
        }
        measured.latency_ns.record(static_cast<uint64_t>(std::max<int64_t>(0, course.clock.monotonic_ns() - start_ns)));
        measured.records += count;
        measured.bytes += count * arguments.record_bytes;
        course.records += count;
    }
}

Result<void> read_partition(Course& course, const Topic& topic, int32_t partition, Measured& measured) {
    TRY(const PartitionInfo info, topic.partition(partition));
    TRY(Reader reader, topic.read({.partition = partition, .from = From::beginning()}));
    while (reader.position() < info.high_watermark && !course.stop && !interrupted()) {
        if (course.records >= course.arguments.records) { break; }
        const int64_t start_ns = course.clock.monotonic_ns();
        const Result<Batch> batch = reader.next();
        if (!batch) { return std::unexpected(batch.error()); }
        if (batch->empty()) { break; }
        uint64_t count = 0;
        for (const RecordView& record : *batch) {
            ++count;
            measured.bytes += record.key.value_or("").size() + record.value.value_or("").size();
        }
        measured.latency_ns.record(static_cast<uint64_t>(std::max<int64_t>(0, course.clock.monotonic_ns() - start_ns)));
        measured.records += count;
        course.records += count;
    }
    return {};
}

void read_part(Course& course, const Topic& topic, uint32_t thread, Measured& measured) {
    for (auto partition = static_cast<int32_t>(thread); partition < topic.partitions();
         partition += static_cast<int32_t>(course.arguments.threads)) {
        if (auto read = read_partition(course, topic, partition, measured); !read) {
            measured.error = read.error();
            course.stop = true;
            return;
        }
    }
}

using Part = void (*)(Course&, const Topic&, uint32_t thread, Measured&);

// Runs `part` in every thread, painting progress meanwhile.
Result<Measured> run_parts(Course& course, const Topic& topic, Part part) {
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
                part(course, topic, thread, measured[thread]);
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

// `what` is timed: one append call, or one batch read.
Exit report(const PerfArguments& arguments, const std::string& workload, const std::string& durability,
            int32_t partitions, const Measured& measured, int64_t elapsed_ns) {
    const double seconds = std::max(static_cast<double>(elapsed_ns) / 1e9, 1e-9);
    const double records_per_s = static_cast<double>(measured.records) / seconds;
    const double bytes_per_s = static_cast<double>(measured.bytes) / seconds;
    const Histogram& latency = measured.latency_ns;
    const uint64_t p50_ns = latency.quantile(50, 100);
    const uint64_t p99_ns = latency.quantile(99, 100);
    const uint64_t p999_ns = latency.quantile(999, 1000);
    std::string out;
    if (arguments.json) {
        JsonLine line(out);
        line.text("workload", workload).text("topic", arguments.topic).text("durability", durability);
        line.number("records", measured.records).number("bytes", measured.bytes);
        if (workload == "append") {
            line.number("record_bytes", uint64_t{arguments.record_bytes})
                .number("batch_records", uint64_t{arguments.batch_records})
                .number("intended_records_per_s", arguments.rate);
        }
        line.number("partition_count", int64_t{partitions})
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
            format_count(measured.records), format_bytes(measured.bytes), durability, seconds,
            format_count(static_cast<uint64_t>(records_per_s)), format_bytes(static_cast<uint64_t>(bytes_per_s)),
            workload == "append" ? "an append, from when it should have started" : "a batch", ms(p50_ns), ms(p99_ns),
            ms(p999_ns), ms(latency.max()));
    }
    return print(out);
}

// The topic, made if it is not there; one of another kind is not measured under a wrong name.
Result<Topic> perf_topic(Log& log, const PerfArguments& arguments) {
    auto topic = log.create_topic(arguments.topic, {.partitions = arguments.partitions,
                                                    .configs = {{"flowstone.durability", arguments.durability}},
                                                    .exists_ok = true});
    if (!topic) { return topic; }
    TRY(const TopicInfo info, log.describe(arguments.topic));
    const bool same_level = info.durability == (arguments.durability == "durable"   ? Durability::durable
                                                : arguments.durability == "written" ? Durability::written
                                                                                    : Durability::memory);
    if (info.partitions != arguments.partitions || !same_level) {
        return fail(Code::exists, "perf",
                    fmt::format("{} with other partitions or durability; delete it or choose another --topic",
                                arguments.topic));
    }
    return topic;
}

Exit append(Log& log, const PerfArguments& arguments) {
    auto topic = perf_topic(log, arguments);
    if (!topic) { return complain(topic.error()); }
    Clock& clock = system_clock();
    Course course{.clock = clock, .arguments = arguments};
    auto measured = run_parts(course, *topic, append_part);
    if (!measured) { return complain(measured.error()); }
    return report(arguments, "append", arguments.durability, topic->partitions(), *measured,
                  clock.monotonic_ns() - course.began_ns);
}

Exit read(Log& log, const PerfArguments& arguments) {
    auto topic = log.topic(arguments.topic);
    if (!topic) { return complain(topic.error()); }
    auto info = log.describe(arguments.topic);
    if (!info) { return complain(info.error()); }
    Clock& clock = system_clock();
    Course course{.clock = clock, .arguments = arguments};
    auto measured = run_parts(course, *topic, read_part);
    if (!measured) { return complain(measured.error()); }
    const char* levels[] = {"durable", "written", "memory"};
    return report(arguments, "read", levels[static_cast<size_t>(info->durability)], topic->partitions(), *measured,
                  clock.monotonic_ns() - course.began_ns);
}

}  // namespace

void add_perf_commands(CLI::App& app, Invocation& invocation) {
    CLI::App& perf = add_command(
        app, "perf", "Measure throughput and latency",
        {"flowstone -L /tmp/perf perf append --records 1000000 --batch 100", "flowstone -L /tmp/perf perf read"});
    perf.require_subcommand(1);
    const auto leaf = [&](const char* name, const char* summary, const std::vector<std::string>& examples,
                          Access access, Exit (*work)(Log&, const PerfArguments&)) {
        auto arguments = std::make_shared<PerfArguments>();  // owner: the callback
        CLI::App& command = add_command(perf, name, summary, examples);
        command.add_option("--topic", arguments->topic, "Which topic (default flowstone.perf)")->type_name("NAME");
        command.add_option("--threads", arguments->threads, "How many at a time (default 1)")
            ->check(CLI::Range(1u, threads_max))
            ->type_name("N");
        command.add_flag("--json", arguments->json, "One JSON object");
        command.add_flag("-q,--quiet", arguments->quiet, "No progress");
        command.callback([&invocation, arguments, access, work] {
            invocation.run = [&invocation, arguments, access, work] {
                catch_interrupts();
                return with_log(invocation, access, [&](Log& log) { return work(log, *arguments); });
            };
        });
        return std::pair(&command, arguments);
    };
    const auto [append_command, append_arguments] =
        leaf("append", "Append records and wait for each batch; the topic stays for perf read",
             {"flowstone perf append --records 1000000 --size 100 --batch 100 --threads 2",
              "flowstone perf append --rate 10000 --durability written --topic perf.written --json"},
             Access::create, append);
    append_command->add_option("--records", append_arguments->records, "How many (default 100000)")
        ->check(check_count)
        ->type_name("N");
    append_command->add_option("--size", append_arguments->record_bytes, "Bytes of each value (default 100)")
        ->check(CLI::Range(0u, record_bytes_max))
        ->type_name("BYTES");
    append_command->add_option("--batch", append_arguments->batch_records, "Records per append (default 1)")
        ->check(CLI::Range(1u, batch_records_max))
        ->type_name("N");
    append_command->add_option("--partitions", append_arguments->partitions, "Of the topic (default 1)")
        ->check(CLI::Range(1, partitions_per_topic_max))
        ->type_name("N");
    append_command->add_option("--durability", append_arguments->durability, "Of the topic (default durable)")
        ->check(CLI::IsMember({"durable", "written", "memory"}))
        ->option_text("durable|written|memory");
    append_command->add_option("--rate", append_arguments->rate, "Records a second; else as fast as it goes")
        ->check(check_count)
        ->type_name("N");

    const auto [read_command, read_arguments] =
        leaf("read", "Read a topic from the beginning", {"flowstone perf read --topic payments --threads 2 --json"},
             Access::read, read);
    read_arguments->records = UINT64_MAX;
    read_command->add_option("--records", read_arguments->records, "Stop after so many (default: all)")
        ->check(check_count)
        ->type_name("N");
}

}  // namespace flowstone::tool
