// perf append, perf read: how fast this log is on this machine.

#include <memory>

#include <fmt/format.h>

#include "storage/limits.h"
#include "storage/try.h"
#include "tools/flowstone/endpoint.h"
#include "tools/flowstone/perf.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"
#include "tools/flowstone/topic_output.h"

namespace flowstone::tool {
namespace {

constexpr uint32_t batch_records_max = 100'000;

void append_part(Course& course, const Topic& shared_topic, uint32_t thread, Measured& measured) {
    Topic topic = shared_topic;  // to append, a handle of one's own; copies are cheap
    const PerfArguments& arguments = course.arguments;
    const PerfValues values(arguments.record_bytes);
    std::vector<Record> batch(arguments.batch_records);
    const uint64_t share = course.share(thread);
    for (uint64_t index = 0; measured.records < share && !course.stopped(); ++index) {
        const uint64_t count = std::min<uint64_t>(arguments.batch_records, share - measured.records);
        for (uint64_t i = 0; i < count; ++i) { batch[i].value = values.value(measured.records + i); }
        const int64_t start_ns = course.await_start_ns(thread, index, arguments.batch_records);
        const auto partition =
            static_cast<int32_t>((index * arguments.threads + thread) % static_cast<uint64_t>(topic.partitions()));
        auto at = topic.append(std::span(batch).first(count), {.partition = partition});
        if (!at) {
            measured.error = at.error();
            course.stop = true;
            return;
        }
        measured.took(course.clock.monotonic_ns() - start_ns);
        measured.records += count;
        measured.bytes += count * arguments.record_bytes;
        course.records += count;
    }
}

Result<void> read_partition(Course& course, const Topic& topic, int32_t partition, Measured& measured) {
    TRY(const PartitionInfo info, topic.partition(partition));
    TRY(Reader reader, topic.read({.partition = partition, .from = From::beginning()}));
    while (reader.position() < info.high_watermark && !course.stopped()) {
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
        measured.took(course.clock.monotonic_ns() - start_ns);
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
    Course course{.clock = system_clock(), .arguments = arguments};
    const auto measured =
        run_parts(course, [&](uint32_t thread, Measured& mine) { append_part(course, *topic, thread, mine); });
    if (!measured) { return complain(measured.error()); }
    const auto settings = [&](JsonLine& line) {
        line.number("record_bytes", uint64_t{arguments.record_bytes})
            .number("batch_records", uint64_t{arguments.batch_records})
            .number("intended_records_per_s", arguments.rate);
    };
    return report(course,
                  {.workload = "append",
                   .timed = "an append, from when it should have started",
                   .promise_kind = "durability",
                   .promise = arguments.durability,
                   .settings = settings,
                   .partitions = topic->partitions()},
                  *measured);
}

Exit read(Log& log, const PerfArguments& arguments) {
    auto topic = log.topic(arguments.topic);
    if (!topic) { return complain(topic.error()); }
    auto info = log.describe(arguments.topic);
    if (!info) { return complain(info.error()); }
    Course course{.clock = system_clock(), .arguments = arguments};
    const auto measured =
        run_parts(course, [&](uint32_t thread, Measured& mine) { read_part(course, *topic, thread, mine); });
    if (!measured) { return complain(measured.error()); }
    return report(course,
                  {.workload = "read",
                   .timed = "a batch",
                   .promise_kind = "durability",
                   .promise = name_of(info->durability),
                   .partitions = topic->partitions()},
                  *measured);
}

}  // namespace

void add_perf_commands(CLI::App& app, Invocation& invocation) {
    CLI::App& perf = add_command(app, "perf", "Measure throughput and latency",
                                 {"flowstone -L /tmp/perf perf append --records 1000000 --batch 100",
                                  "flowstone -L /tmp/perf perf read", "flowstone -L 127.0.0.1:9092 perf roundtrip"});
    perf.require_subcommand(1);
    const auto leaf = [&](const char* name, const char* of_brokers, const char* summary,
                          const std::vector<std::string>& examples, Access access,
                          Exit (*work)(Log&, const PerfArguments&)) {
        auto arguments = std::make_shared<PerfArguments>();  // owner: the callback
        CLI::App& command = add_command(perf, name, summary, examples);
        add_perf_options(command, *arguments);
        command.callback([&invocation, arguments, access, work, of_brokers] {
            invocation.run = [&invocation, arguments, access, work, of_brokers] {
                const auto endpoint = find_endpoint(invocation.endpoint);
                if (endpoint && !endpoint->names_directory()) {
                    return complain(fmt::format("this is of a directory; of brokers: {}", of_brokers));
                }
                catch_interrupts();
                return with_log(invocation, access, [&](Log& log) { return work(log, *arguments); });
            };
        });
        return std::pair(&command, arguments);
    };
    const auto [append_command, append_arguments] =
        leaf("append", "perf produce", "Append records and wait for each batch; the topic stays for perf read",
             {"flowstone perf append --records 1000000 --size 100 --batch 100 --threads 2",
              "flowstone perf append --rate 10000 --durability written --topic perf.written --json"},
             Access::create, append);
    append_arguments->durability = "durable";
    add_load_options(*append_command, *append_arguments);
    append_command->add_option("--batch", append_arguments->batch_records, "Records per append (default 1)")
        ->check(CLI::Range(1u, batch_records_max))
        ->type_name("N");

    const auto [read_command, read_arguments] =
        leaf("read", "perf consume", "Read a topic from the beginning",
             {"flowstone perf read --topic payments --threads 2 --json"}, Access::read, read);
    read_arguments->records = UINT64_MAX;
    read_command->add_option("--records", read_arguments->records, "Stop after so many (default: all)")
        ->check(check_count)
        ->type_name("N");
    add_network_perf_commands(perf, invocation);
}

}  // namespace flowstone::tool
