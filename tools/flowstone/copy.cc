// copy: a topic from brokers into a directory, or from a directory to brokers.

#include "tools/flowstone/copy.h"

#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "storage/try.h"
#include "tools/flowstone/command_line.h"
#include "tools/flowstone/endpoint.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {

void CopyProgress::show(const std::vector<CopiedPart>& parts) {
    ProgressState state;
    uint64_t records = 0;
    uint64_t total = 0;
    for (const CopiedPart& part : parts) {
        records += part.records;
        state.bytes += part.bytes;
        const auto whole = static_cast<uint64_t>(std::max<int64_t>(0, part.end - part.begin));
        total += whole;
        state.work_done += std::min(whole, static_cast<uint64_t>(std::max<int64_t>(0, part.next - part.begin)));
    }
    state.records = records;
    state.work_total = total;
    progress_.show(state);
}

Result<std::optional<From>> parse_copy_from(const std::string& text) {
    if (text.empty()) { return std::nullopt; }
    TRY(const From from, parse_from(text));
    return from;
}

namespace {

Exit report(const Copied& copied, const CopyArguments& arguments, int64_t elapsed_ms) {
    std::string out;
    uint64_t records = 0;
    uint64_t bytes = 0;
    for (const CopiedPart& part : copied.parts) {
        records += part.records;
        bytes += part.bytes;
        if (arguments.json) {
            JsonLine(out)
                .text("topic", arguments.topic)
                .number("partition", int64_t{part.partition})
                .number("begin_offset", part.begin.value)
                .number("next_offset", part.next.value)
                .number("records", part.records)
                .number("bytes", part.bytes)
                .flag("complete", part.done());
        } else {
            out += part.next > part.begin
                       ? fmt::format("{}-{}: {} records, offsets {} to {}\n", arguments.topic, part.partition,
                                     format_count(part.records), part.begin.value, part.next.value - 1)
                       : fmt::format("{}-{}: nothing new\n", arguments.topic, part.partition);
        }
    }
    if (arguments.json) {
        JsonLine(out)
            .text("topic", arguments.topic)
            .number("partition_count", static_cast<int64_t>(copied.parts.size()))
            .number("records", records)
            .number("bytes", bytes)
            .number("elapsed_ms", elapsed_ms)
            .flag("complete", copied.complete);
    } else {
        out += fmt::format("{}: {} records, {} copied\n", arguments.topic, format_count(records), format_bytes(bytes));
    }
    if (const Exit printed = print(out); printed != Exit::done || copied.complete) { return printed; }
    return complain("interrupted: the same command goes on where it stopped");
}

// `copy` knows which way.
Exit between(const Invocation& invocation, Access access, const std::string& directory, const std::string& hosts,
             const CopyArguments& arguments, Result<Copied> (*copy)(Client&, Log&, const CopyArguments&)) {
    catch_interrupts();  // log and client are closed in order
    Invocation local = invocation;
    local.endpoint = "dir:" + directory;
    auto client = open_client(hosts, invocation.settings);
    if (!client) { return complain(client.error()); }
    const int64_t began_ns = system_clock().monotonic_ns();
    std::optional<Copied> copied;
    const Exit exit = with_log(
        local, access,
        [&](Log& log) {
            auto done = copy(*client, log, arguments);
            if (!done) { return complain(done.error()); }
            copied = std::move(*done);
            return Exit::done;
        },
        access == Access::create ? 1 : 0);
    if (!copied || exit != Exit::done) { return exit; }
    return report(*copied, arguments, (system_clock().monotonic_ns() - began_ns) / 1'000'000);
}

Exit run(const Invocation& invocation, const CopyArguments& arguments) {
    const auto source = find_endpoint(arguments.source);
    if (!source) { return complain(source.error()); }
    const auto target = find_endpoint(invocation.endpoint);
    if (!target) { return complain(target.error()); }
    if (auto from = parse_copy_from(arguments.from); !from) { return complain(from.error()); }
    if (auto to = parse_from(arguments.to); !to) { return complain(to.error()); }
    using Kind = Endpoint::Kind;
    if (source->kind == Kind::hosts && target->names_directory()) {
        return between(invocation, Access::create, target->path, source->path, arguments, copy_home);
    }
    if (source->names_directory() && target->kind == Kind::hosts) {
        return between(
            invocation, Access::read, source->path, target->path, arguments,
            [](Client& client, Log& log, const CopyArguments& given) { return copy_away(log, client, given); });
    }
    return complain("one of SOURCE and -L is HOST:PORT, the other dir:PATH", Exit::usage);
}

}  // namespace

void add_copy_command(CLI::App& app, Invocation& invocation) {
    auto arguments = std::make_shared<CopyArguments>();  // owner: the callback
    CLI::App& command =
        add_command(app, "copy", "Copy a topic from brokers into a directory, or from a directory to brokers",
                    {"flowstone copy broker:9092 payments -L dir:./here",
                     "flowstone copy broker:9092 payments -L dir:./here --from 2014-04-01T00:00:00Z --to 500000",
                     "flowstone copy dir:./here payments -L broker:9092"});
    command.footer(
        "The same command again goes on where it stopped, also when it was killed.\n"
        "Into a directory: whole batches as they are, with their offsets, up to where an open transaction begins.\n"
        "To brokers: the records, with keys, headers, times and partition; offsets are the broker's own.\n" +
        command.get_footer());
    command.add_option("SOURCE", arguments->source, "HOST:PORT[,HOST:PORT]... or dir:PATH; -L is the target")
        ->required();
    command.add_option("TOPIC", arguments->topic)->required();
    command.add_option("--partition", arguments->partition, "Only this one (default: all at once)")
        ->check(check_count)
        ->type_name("P");
    command
        .add_option("--from", arguments->from,
                    "Where to begin: beginning, end, an offset, or a time (RFC 3339); what is there already counts")
        ->option_text("beginning|end|OFFSET|TIME");
    command.add_option("--to", arguments->to, "Where to stop: before that offset or time (default: end, as it is now)")
        ->option_text("end|OFFSET|TIME");
    command.add_flag("--json", arguments->json, "One JSON object a partition, and one for all");
    command.add_flag("-q,--quiet", arguments->quiet, "No progress");
    command.callback([&invocation, arguments] {
        invocation.run = [&invocation, arguments] {
            arguments->settings = invocation.settings;
            return run(invocation, *arguments);
        };
    });
}

}  // namespace flowstone::tool
