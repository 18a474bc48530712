// group list, describe, reset, delete: what consumer groups have committed.

#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "storage/try.h"
#include "tools/flowstone/command_line.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

struct GroupArguments {
    std::string group;
    std::string topic;
    std::string to;
    std::optional<int32_t> partition;
    bool json = false;
};

Result<std::vector<GroupOffset>> offsets_of(const Log& log, const std::string& group) {
    TRY(auto offsets, log.fetch_offsets(group));
    if (offsets.empty()) { return fail(Code::not_found, "group", fmt::format("'{}' has committed nothing", group)); }
    std::sort(offsets.begin(), offsets.end(), [](const GroupOffset& one, const GroupOffset& other) {
        return std::tie(one.topic, one.partition) < std::tie(other.topic, other.partition);
    });
    return offsets;
}

Exit list(Log& log, const GroupArguments& arguments) {
    std::string out;
    Columns columns({{"group"}, {"partitions", true}});
    std::vector<std::string> groups = log.groups();
    std::sort(groups.begin(), groups.end());
    for (const std::string& group : groups) {
        auto offsets = log.fetch_offsets(group);
        if (!offsets) { return complain(offsets.error()); }
        if (arguments.json) {
            JsonLine(out).text("group", group).number("partition_count", uint64_t{offsets->size()});
        } else {
            columns.row({group, std::to_string(offsets->size())});
        }
    }
    if (!arguments.json) { columns.append_to(out); }
    return print(out);
}

// Nothing when the topic or partition is gone.
std::optional<Offset> high_watermark(const Log& log, const GroupOffset& offset) {
    auto topic = log.topic(offset.topic);
    if (!topic) { return std::nullopt; }
    auto info = topic->partition(offset.partition);
    if (!info) { return std::nullopt; }
    return info->high_watermark;
}

void show(const Log& log, const std::string& group, const std::vector<GroupOffset>& offsets, bool json,
          std::string& out) {
    Columns columns({{"topic"}, {"partition", true}, {"committed", true}, {"high watermark", true}, {"lag", true}});
    for (const GroupOffset& offset : offsets) {
        const auto end = high_watermark(log, offset);
        const int64_t lag = end ? *end - offset.offset : 0;
        if (!json) {
            columns.row({offset.topic, std::to_string(offset.partition), std::to_string(offset.offset.value),
                         end ? std::to_string(end->value) : "-", end ? std::to_string(lag) : "-"});
            continue;
        }
        JsonLine line(out);
        line.text("group", group)
            .text("topic", offset.topic)
            .number("partition", int64_t{offset.partition})
            .number("committed_offset", offset.offset.value);
        if (end) {
            line.number("high_watermark", end->value).number("lag", lag);
        } else {
            line.raw("high_watermark", "null").raw("lag", "null");
        }
        line.text("metadata", offset.metadata);
    }
    if (!json) { columns.append_to(out); }
}

Exit describe(Log& log, const GroupArguments& arguments) {
    auto offsets = offsets_of(log, arguments.group);
    if (!offsets) { return complain(offsets.error()); }
    std::string out;
    show(log, arguments.group, *offsets, arguments.json, out);
    return print(out);
}

Result<std::vector<GroupOffset>> reset_offsets(Log& log, const GroupArguments& arguments, const From& to) {
    TRY(const Topic topic, log.topic(arguments.topic));
    TRY(const auto partitions, partitions_of(topic.name(), topic.partitions(), arguments.partition));
    std::vector<GroupOffset> offsets;
    for (const int32_t partition : partitions) {
        TRY(const Offset offset, resolve(topic, partition, to));
        offsets.push_back({.topic = arguments.topic, .partition = partition, .offset = offset});
    }
    TRY_VOID(log.commit_offsets(arguments.group, offsets));
    return offsets;
}

Exit reset(Log& log, const GroupArguments& arguments) {
    auto to = parse_from(arguments.to);
    if (!to) { return complain(to.error()); }
    auto offsets = reset_offsets(log, arguments, *to);
    if (!offsets) { return complain(offsets.error()); }
    std::string out;
    show(log, arguments.group, *offsets, arguments.json, out);
    return print(out);
}

Exit remove(Log& log, const GroupArguments& arguments) {
    if (auto offsets = offsets_of(log, arguments.group); !offsets) { return complain(offsets.error()); }
    auto deleted = log.delete_offsets(arguments.group);
    return deleted ? Exit::done : complain(deleted.error());
}

}  // namespace

void add_group_commands(CLI::App& app, Invocation& invocation) {
    auto arguments = std::make_shared<GroupArguments>();  // owners: the callbacks; one of them runs
    CLI::App& group = add_command(app, "group", "What consumer groups have read",
                                  {"flowstone group list", "flowstone group describe billing"});
    group.require_subcommand(1);
    using Work = Exit (*)(Log&, const GroupArguments&);
    const auto leaf = [&](Access access, Work work, const char* name, const char* summary,
                          const std::vector<std::string>& examples) -> CLI::App& {
        CLI::App& command = add_command(group, name, summary, examples);
        command.callback([&invocation, arguments, access, work] {
            invocation.run = [&invocation, arguments, access, work] {
                return with_log(invocation, access, [&](Log& log) { return work(log, *arguments); });
            };
        });
        return command;
    };

    CLI::App& list_command = leaf(Access::read, list, "list", "One line per group", {"flowstone group list --json"});
    CLI::App& describe_command =
        leaf(Access::read, describe, "describe", "What a group has committed, and how far behind it is",
             {"flowstone group describe billing"});
    CLI::App& reset_command =
        leaf(Access::write, reset, "reset", "Commit another place, from which the group goes on",
             {"flowstone group reset billing --topic payments --to beginning",
              "flowstone group reset billing --topic payments --to 2014-04-01T00:00:00Z --partition 3"});
    CLI::App& delete_command =
        leaf(Access::write, remove, "delete", "Forget a group", {"flowstone group delete billing"});
    for (CLI::App* command : {&describe_command, &reset_command, &delete_command}) {
        command->add_option("GROUP", arguments->group)->required();
    }
    for (CLI::App* command : {&list_command, &describe_command, &reset_command}) {
        command->add_flag("--json", arguments->json, "One JSON object a line");
    }
    reset_command.add_option("--topic", arguments->topic, "Of which topic")->required();
    reset_command
        .add_option("--to", arguments->to, "Where it goes on: beginning, end, an offset, or a time (RFC 3339)")
        ->required()
        ->option_text("beginning|end|OFFSET|TIME REQUIRED");
    reset_command.add_option("--partition", arguments->partition, "All partitions unless given")
        ->check(check_count)
        ->type_name("P");
}

}  // namespace flowstone::tool
