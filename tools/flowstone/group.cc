// group list, describe, reset, delete: what consumer groups have committed.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <flowstone/admin.h>

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
    bool state = false;
    bool members = false;
    bool json = false;
};

// What a group has committed, and the end of that partition; nothing when the topic or partition is gone.
struct Place {
    GroupOffset committed;
    std::optional<Offset> high_watermark;
};

std::string show_places(const std::string& group, const std::vector<Place>& places, bool json) {
    std::string out;
    Columns columns({{"topic"}, {"partition", true}, {"committed", true}, {"high watermark", true}, {"lag", true}});
    for (const auto& [offset, end] : places) {
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
    return out;
}

// Of a log that nobody serves every group is without members, whatever they agreed on when they were there.
RemoteGroupDetail without_members(const std::string& group) {
    return {.name = group, .state = "Empty", .protocol = {}, .assignor = {}, .members = {}};
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }
std::optional<std::string_view> or_null(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

std::string show_state(const RemoteGroupDetail& group, bool json) {
    std::string out;
    if (json) {
        JsonLine(out)
            .text("group", group.name)
            .nullable("state", or_null(group.state))
            .nullable("protocol", or_null(group.protocol))
            .nullable("assignor", or_null(group.assignor))
            .number("member_count", uint64_t{group.members.size()});
        return out;
    }
    Columns columns({{"group"}, {"state"}, {"protocol"}, {"assignor"}, {"members", true}});
    columns.row({group.name, or_dash(group.state), or_dash(group.protocol), or_dash(group.assignor),
                 std::to_string(group.members.size())});
    columns.append_to(out);
    return out;
}

// "payments-0 payments-1", or a JSON list.
std::string show_assigned(const std::vector<TopicPartition>& places, bool json) {
    std::string out;
    for (const TopicPartition& place : places) {
        if (!json) {
            out += fmt::format("{}{}-{}", out.empty() ? "" : " ", place.topic, place.partition);
            continue;
        }
        out += out.empty() ? R"({"topic":)" : R"(,{"topic":)";
        append_json_bytes(out, place.topic);
        out += fmt::format(R"(,"partition":{}}})", place.partition);
    }
    return json ? fmt::format("[{}]", out) : or_dash(out);
}

std::string show_members(const RemoteGroupDetail& group, bool json) {
    std::string out;
    Columns columns({{"member"}, {"instance"}, {"client"}, {"host"}, {"assigned"}});
    for (const RemoteMember& member : group.members) {
        const std::string assigned = show_assigned(member.assigned, json);
        if (json) {
            JsonLine(out)
                .text("group", group.name)
                .text("member", member.id)
                .nullable("instance", member.instance)
                .text("client_id", member.client_id)
                .text("host", member.host)
                .raw("assigned", assigned);
        } else {
            columns.row(
                {member.id, member.instance.value_or("-"), or_dash(member.client_id), or_dash(member.host), assigned});
        }
    }
    if (!json) { columns.append_to(out); }
    return out;
}

struct ListedGroup {
    std::string name;
    std::string state;
    size_t partitions = 0;
};

std::string show_groups(std::vector<ListedGroup> groups, bool json) {
    std::string out;
    Columns columns({{"group"}, {"state"}, {"partitions", true}});
    std::ranges::sort(groups, {}, &ListedGroup::name);
    for (const ListedGroup& group : groups) {
        if (json) {
            JsonLine(out)
                .text("group", group.name)
                .nullable("state", or_null(group.state))
                .number("partition_count", uint64_t{group.partitions});
        } else {
            columns.row({group.name, or_dash(group.state), std::to_string(group.partitions)});
        }
    }
    if (!json) { columns.append_to(out); }
    return out;
}

std::unexpected<Error> nothing_committed(const std::string& group) {
    return fail(Code::not_found, "group", fmt::format("'{}' has committed nothing", group));
}

// --- of a log in a directory -------------------------------------------------------------------------------------------

Result<std::vector<GroupOffset>> offsets_of(const Log& log, const std::string& group) {
    TRY(auto offsets, log.fetch_offsets(group));
    if (offsets.empty()) { return nothing_committed(group); }
    std::ranges::sort(offsets, {}, [](const GroupOffset& one) { return std::tie(one.topic, one.partition); });
    return offsets;
}

std::vector<Place> places_of(const Log& log, const std::vector<GroupOffset>& offsets) {
    std::vector<Place> places;
    for (const GroupOffset& offset : offsets) {
        Place& place = places.emplace_back(offset, std::nullopt);
        const auto topic = log.topic(offset.topic);
        if (!topic) { continue; }
        if (const auto info = topic->partition(offset.partition)) { place.high_watermark = info->high_watermark; }
    }
    return places;
}

Result<std::vector<ListedGroup>> list(Log& log, const GroupArguments& /*arguments*/) {
    std::vector<ListedGroup> groups;
    for (const std::string& group : log.groups()) {
        TRY(const auto offsets, log.fetch_offsets(group));
        groups.push_back({group, without_members(group).state, offsets.size()});
    }
    return groups;
}

Result<std::vector<Place>> describe(Log& log, const GroupArguments& arguments) {
    TRY(const auto offsets, offsets_of(log, arguments.group));
    return places_of(log, offsets);
}

Result<RemoteGroupDetail> detail(Log& log, const GroupArguments& arguments) {
    TRY_VOID(offsets_of(log, arguments.group));
    return without_members(arguments.group);
}

Result<std::vector<Place>> reset(Log& log, const GroupArguments& arguments, const From& to) {
    TRY(const Topic topic, log.topic(arguments.topic));
    TRY(const auto partitions, partitions_of(topic.name(), topic.partitions(), arguments.partition));
    std::vector<GroupOffset> offsets;
    for (const int32_t partition : partitions) {
        TRY(const Offset offset, resolve(topic, partition, to));
        offsets.push_back({.topic = arguments.topic, .partition = partition, .offset = offset});
    }
    TRY_VOID(log.commit_offsets(arguments.group, offsets));
    return places_of(log, offsets);
}

Result<void> remove(Log& log, const GroupArguments& arguments) {
    TRY_VOID(offsets_of(log, arguments.group));
    return log.delete_offsets(arguments.group);
}

// --- of brokers --------------------------------------------------------------------------------------------------------

Result<std::vector<Place>> places_of(Admin& admin, const std::vector<GroupOffset>& offsets) {
    std::vector<TopicPartition> partitions;
    for (const GroupOffset& offset : offsets) { partitions.push_back({offset.topic, offset.partition}); }
    const auto ends = admin.offsets_at(partitions, From::end(), broker_patience);
    std::vector<Place> places;
    for (size_t i = 0; i < offsets.size(); ++i) {
        Place& place = places.emplace_back(offsets[i], std::nullopt);
        if (ends[i]) {
            place.high_watermark = *ends[i];
        } else if (ends[i].error().code != Code::not_found) {
            return std::unexpected(ends[i].error());
        }
    }
    return places;
}

Result<std::vector<ListedGroup>> list(Client& client, const GroupArguments& /*arguments*/) {
    Admin admin = client.admin();
    TRY(const auto groups, admin.groups(broker_patience));
    std::vector<std::string> names;
    for (const RemoteGroup& group : groups) { names.push_back(group.name); }
    const auto offsets = admin.offsets_of(names, broker_patience);
    std::vector<ListedGroup> out;
    for (size_t i = 0; i < groups.size(); ++i) {
        if (!offsets[i]) { return std::unexpected(offsets[i].error()); }
        out.push_back({groups[i].name, groups[i].state, offsets[i]->size()});
    }
    return out;
}

Result<std::vector<Place>> describe(Client& client, const GroupArguments& arguments) {
    Admin admin = client.admin();
    TRY(const auto offsets, admin.offsets(arguments.group, broker_patience));
    if (offsets.empty()) { return nothing_committed(arguments.group); }
    return places_of(admin, offsets);
}

Result<RemoteGroupDetail> detail(Client& client, const GroupArguments& arguments) {
    return client.admin().group(arguments.group, broker_patience);
}

Result<std::vector<Place>> reset(Client& client, const GroupArguments& arguments, const From& to) {
    Admin admin = client.admin();
    TRY(const RemoteTopic topic, admin.topic(arguments.topic, broker_patience));
    const auto count = static_cast<int32_t>(topic.partitions.size());
    TRY(const auto partitions, partitions_of(topic.name, count, arguments.partition));
    std::vector<TopicPartition> places;
    for (const int32_t partition : partitions) { places.push_back({topic.name, partition}); }
    const auto found = admin.offsets_at(places, to, broker_patience);
    std::vector<GroupOffset> offsets;
    for (size_t i = 0; i < places.size(); ++i) {
        if (!found[i]) { return std::unexpected(found[i].error()); }
        offsets.push_back({.topic = places[i].topic, .partition = places[i].partition, .offset = *found[i]});
    }
    TRY_VOID(admin.alter_offsets(arguments.group, offsets, broker_patience));
    return places_of(admin, offsets);
}

Result<void> remove(Client& client, const GroupArguments& arguments) {
    return client.admin().delete_group(arguments.group, broker_patience);
}

// --- commands ----------------------------------------------------------------------------------------------------------

template <class Where>
Exit run_list(Where& where, const GroupArguments& arguments) {
    auto groups = list(where, arguments);
    return groups ? print(show_groups(std::move(*groups), arguments.json)) : complain(groups.error());
}

Exit show(const Result<std::vector<Place>>& places, const GroupArguments& arguments) {
    if (!places) { return complain(places.error()); }
    return print(show_places(arguments.group, *places, arguments.json));
}

template <class Where>
Exit run_describe(Where& where, const GroupArguments& arguments) {
    if (!arguments.state && !arguments.members) { return show(describe(where, arguments), arguments); }
    const auto group = detail(where, arguments);
    if (!group) { return complain(group.error()); }
    return print(arguments.state ? show_state(*group, arguments.json) : show_members(*group, arguments.json));
}

template <class Where>
Exit run_reset(Where& where, const GroupArguments& arguments) {
    const auto to = parse_from(arguments.to);
    if (!to) { return complain(to.error()); }
    return show(reset(where, arguments, *to), arguments);
}

template <class Where>
Exit run_remove(Where& where, const GroupArguments& arguments) {
    auto removed = remove(where, arguments);
    return removed ? Exit::done : complain(removed.error());
}

// What a command does with a log in a directory, and with one behind brokers.
struct Work {
    Exit (*local)(Log&, const GroupArguments&);
    Exit (*remote)(Client&, const GroupArguments&);
};

}  // namespace

void add_group_commands(CLI::App& app, Invocation& invocation) {
    auto arguments = std::make_shared<GroupArguments>();  // owners: the callbacks; one of them runs
    CLI::App& group = add_command(app, "group", "What consumer groups have read",
                                  {"flowstone group list", "flowstone group describe billing"});
    group.require_subcommand(1);
    const auto leaf = [&](Access access, Work work, const char* name, const char* summary,
                          const std::vector<std::string>& examples) -> CLI::App& {
        CLI::App& command = add_command(group, name, summary, examples);
        command.callback([&invocation, arguments, access, work] {
            invocation.run = [&invocation, arguments, access, work] {
                return with_endpoint(
                    invocation, access, [&](Log& log) { return work.local(log, *arguments); },
                    [&](Client& client) { return work.remote(client, *arguments); });
            };
        });
        return command;
    };

    CLI::App& list_command = leaf(Access::read, {run_list<Log>, run_list<Client>}, "list", "One line per group",
                                  {"flowstone group list --json"});
    CLI::App& describe_command =
        leaf(Access::read, {run_describe<Log>, run_describe<Client>}, "describe",
             "What a group has committed, and how far behind it is; or how it is, or who is in it",
             {"flowstone group describe billing", "flowstone -L broker:9092 group describe billing --members"});
    CLI::Option* const state =
        describe_command.add_flag("--state", arguments->state, "Its state, and what its members agreed on");
    describe_command.add_flag("--members", arguments->members, "One line per member, with what it reads")
        ->excludes(state);
    CLI::App& reset_command =
        leaf(Access::write, {run_reset<Log>, run_reset<Client>}, "reset",
             "Commit another place, from which the group goes on",
             {"flowstone group reset billing --topic payments --to beginning",
              "flowstone group reset billing --topic payments --to 2014-04-01T00:00:00Z --partition 3"});
    CLI::App& delete_command = leaf(Access::write, {run_remove<Log>, run_remove<Client>}, "delete", "Forget a group",
                                    {"flowstone group delete billing"});
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
