// topic create, list, describe, alter, delete.

#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "storage/limits.h"
#include "tools/flowstone/command_line.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

struct TopicArguments {
    std::string name;
    int32_t partitions = 0;  // 0: not given
    std::string durability;
    std::vector<std::string> set;
    std::vector<std::string> unset;
    bool exists_ok = false;
    bool internal = false;
    bool json = false;
};

const char* name_of(Durability durability) {
    switch (durability) {
        case Durability::durable: return "durable";
        case Durability::written: return "written";
        case Durability::memory: return "memory";
    }
    return "unknown";
}

Exit create(Log& log, const TopicArguments& arguments) {
    auto configs = parse_pairs(arguments.set);
    if (!configs) { return complain(configs.error()); }
    if (!arguments.durability.empty()) { configs->emplace_back("flowstone.durability", arguments.durability); }
    auto topic = log.create_topic(
        arguments.name,
        {.partitions = arguments.partitions, .configs = std::move(*configs), .exists_ok = arguments.exists_ok});
    return topic ? Exit::done : complain(topic.error());
}

Exit create_remotely(Client& client, const TopicArguments& arguments) {
    auto configs = parse_pairs(arguments.set);
    if (!configs) { return complain(configs.error()); }
    if (!arguments.durability.empty()) { configs->emplace_back("flowstone.durability", arguments.durability); }
    auto created = client.create_topic(
        arguments.name,
        {.partitions = arguments.partitions, .configs = std::move(*configs), .exists_ok = arguments.exists_ok},
        broker_patience);
    return created ? Exit::done : complain(created.error());
}

Exit alter(Log& log, const TopicArguments& arguments) {
    auto set = parse_pairs(arguments.set);
    if (!set) { return complain(set.error()); }
    if (!set->empty() || !arguments.unset.empty()) {
        if (auto altered = log.alter_topic(arguments.name, *set, arguments.unset); !altered) {
            return complain(altered.error());
        }
    }
    if (arguments.partitions > 0) {
        if (auto added = log.add_partitions(arguments.name, arguments.partitions); !added) {
            return complain(added.error());
        }
    }
    return Exit::done;
}

Exit remove(Log& log, const TopicArguments& arguments) {
    auto deleted = log.delete_topic(arguments.name);
    return deleted ? Exit::done : complain(deleted.error());
}

Exit remove_remotely(Client& client, const TopicArguments& arguments) {
    auto deleted = client.delete_topic(arguments.name, broker_patience);
    return deleted ? Exit::done : complain(deleted.error());
}

std::string configs_text(const TopicInfo& info) {
    std::string text;
    for (const auto& [name, value] : info.configs) {
        if (!text.empty()) { text += ' '; }
        text += fmt::format("{}={}", name, value);
    }
    return text;
}

std::string configs_json(const TopicInfo& info) {
    std::string json = "{";
    for (const auto& [name, value] : info.configs) {
        if (json.size() > 1) { json += ','; }
        append_json_bytes(json, name);
        json += ':';
        append_json_bytes(json, value);
    }
    return json + '}';
}

void add_members(JsonLine& line, const TopicInfo& info) {
    line.text("topic", info.name)
        .text("topic_id", info.id.to_string())
        .number("partition_count", int64_t{info.partitions})
        .text("durability", name_of(info.durability))
        .flag("internal", info.internal)
        .raw("configs", configs_json(info));
}

Exit list(Log& log, const TopicArguments& arguments) {
    std::string out;
    Columns columns({{"topic"}, {"partitions", true}, {"durability"}, {"configs"}});
    for (const TopicInfo& info : log.topics()) {
        if (info.internal && !arguments.internal) { continue; }
        if (arguments.json) {
            JsonLine line(out);
            add_members(line, info);
        } else {
            columns.row({info.name, std::to_string(info.partitions), name_of(info.durability), configs_text(info)});
        }
    }
    if (!arguments.json) { columns.append_to(out); }
    return print(out);
}

Exit list_remotely(Client& client, const TopicArguments& arguments) {
    auto topics = client.topics(broker_patience);
    if (!topics) { return complain(topics.error()); }
    std::string out;
    Columns columns({{"topic"}, {"partitions", true}});
    for (const RemoteTopic& topic : *topics) {
        if (topic.internal && !arguments.internal) { continue; }
        if (arguments.json) {
            JsonLine(out)
                .text("topic", topic.name)
                .text("topic_id", topic.id.to_string())
                .number("partition_count", int64_t{topic.partitions})
                .flag("internal", topic.internal);
        } else {
            columns.row({topic.name, std::to_string(topic.partitions)});
        }
    }
    if (!arguments.json) { columns.append_to(out); }
    return print(out);
}

std::string partition_json(int32_t partition, const PartitionInfo& info) {
    std::string json;
    JsonLine(json)
        .number("partition", int64_t{partition})
        .number("log_start_offset", info.log_start.value)
        .number("high_watermark", info.high_watermark.value)
        .number("log_end_offset", info.log_end.value)
        .number("leader_epoch", info.epoch.value)
        .number("bytes", info.bytes)
        .number("segment_count", uint64_t{info.segments});
    json.pop_back();  // it stands within a line
    return json;
}

Result<void> describe_one(Log& log, const TopicInfo& info, bool json, std::string& out) {
    auto topic = log.topic(info.name);
    if (!topic) { return std::unexpected(topic.error()); }
    Columns columns({{"partition", true},
                     {"start", true},
                     {"high watermark", true},
                     {"end", true},
                     {"epoch", true},
                     {"segments", true},
                     {"bytes", true}});
    std::string list = "[";
    for (int32_t partition = 0; partition < topic->partitions(); ++partition) {
        auto at = topic->partition(partition);
        if (!at) { return std::unexpected(at.error()); }
        if (json) {
            if (list.size() > 1) { list += ','; }
            list += partition_json(partition, *at);
        } else {
            columns.row({std::to_string(partition), std::to_string(at->log_start.value),
                         std::to_string(at->high_watermark.value), std::to_string(at->log_end.value),
                         std::to_string(at->epoch.value), std::to_string(at->segments), std::to_string(at->bytes)});
        }
    }
    if (json) {
        JsonLine line(out);
        add_members(line, info);
        line.raw("partitions", list + ']');
        return {};
    }
    if (!out.empty()) { out += '\n'; }
    out += fmt::format("topic       {}\nid          {}\npartitions  {}\ndurability  {}\nconfigs     {}\n\n", info.name,
                       info.id.to_string(), info.partitions, name_of(info.durability), configs_text(info));
    columns.append_to(out);
    return {};
}

Exit describe(Log& log, const TopicArguments& arguments) {
    std::vector<TopicInfo> topics;
    if (arguments.name.empty()) {
        for (TopicInfo& info : log.topics()) {
            if (!info.internal || arguments.internal) { topics.push_back(std::move(info)); }
        }
    } else {
        auto info = log.describe(arguments.name);
        if (!info) { return complain(info.error()); }
        topics.push_back(std::move(*info));
    }
    std::string out;
    for (const TopicInfo& info : topics) {
        if (auto described = describe_one(log, info, arguments.json, out); !described) {
            return complain(described.error());
        }
    }
    return print(out);
}

// What a command does with a log in a directory, and with one behind brokers; null: nothing yet.
struct Work {
    Exit (*local)(Log&, const TopicArguments&);
    Exit (*remote)(Client&, const TopicArguments&) = nullptr;
};

// A command that does `work` with what it was given.
CLI::App& leaf(CLI::App& topic, Invocation& invocation, const std::shared_ptr<TopicArguments>& arguments, Access access,
               Work work, const std::string& name, const std::string& summary,
               const std::vector<std::string>& examples) {
    CLI::App& command = add_command(topic, name, summary, examples);
    command.callback([&invocation, arguments, access, work] {
        invocation.run = [&invocation, arguments, access, work] {
            const auto local = [&](Log& log) { return work.local(log, *arguments); };
            if (work.remote == nullptr) { return with_log(invocation, access, local); }
            return with_endpoint(invocation, access, local,
                                 [&](Client& client) { return work.remote(client, *arguments); });
        };
    });
    return command;
}

}  // namespace

void add_topic_commands(CLI::App& app, Invocation& invocation) {
    auto arguments = std::make_shared<TopicArguments>();  // owners: the callbacks; one of them runs
    CLI::App& topic =
        add_command(app, "topic", "Create, list, describe, alter and delete topics",
                    {"flowstone topic create payments --partitions 8", "flowstone topic describe payments"});
    topic.require_subcommand(1);
    const auto leaf_of = [&](Access access, Work work, const char* name, const char* summary,
                             const std::vector<std::string>& examples) -> CLI::App& {
        return leaf(topic, invocation, arguments, access, work, name, summary, examples);
    };

    CLI::App& create_command =
        leaf_of(Access::create, {create, create_remotely}, "create", "Create a topic, and the log if it is not there",
                {"flowstone topic create payments --partitions 8",
                 "flowstone topic create clicks --durability written --config retention.ms=86400000"});
    create_command.add_option("NAME", arguments->name, "Letters, digits, '.', '_' and '-'")->required();
    create_command.add_option("--partitions", arguments->partitions, "How many")
        ->required()
        ->check(CLI::Range(1, partitions_per_topic_max))
        ->type_name("N");
    create_command.add_option("--durability", arguments->durability, "What survives: power loss, kill -9, or nothing")
        ->check(CLI::IsMember({"durable", "written", "memory"}))
        ->option_text("durable|written|memory");
    create_command.add_option("--config", arguments->set, "A setting under Kafka's name, may be repeated")
        ->allow_extra_args(false)
        ->type_name("NAME=VALUE");
    create_command.add_flag("--exists-ok", arguments->exists_ok, "Leave a topic of that name as it is");

    CLI::App& list_command =
        leaf_of(Access::read, {list, list_remotely}, "list", "One line per topic", {"flowstone topic list --json"});
    CLI::App& describe_command =
        leaf_of(Access::read, {describe}, "describe", "Settings, and offsets and bytes per partition",
                {"flowstone topic describe payments", "flowstone topic describe --json | jq .partitions"});
    describe_command.add_option("NAME", arguments->name, "All topics unless given");
    for (CLI::App* command : {&list_command, &describe_command}) {
        command->add_flag("--internal", arguments->internal, "Show topics that the log keeps for itself, too");
        command->add_flag("--json", arguments->json, "One JSON object a line");
    }

    CLI::App& alter_command = leaf_of(Access::write, {alter}, "alter", "Change settings, or add partitions",
                                      {"flowstone topic alter payments --set retention.ms=604800000 --unset segment.ms",
                                       "flowstone topic alter payments --partitions 16"});
    alter_command.add_option("NAME", arguments->name)->required();
    alter_command.add_option("--set", arguments->set, "A setting under Kafka's name, may be repeated")
        ->allow_extra_args(false)
        ->type_name("NAME=VALUE");
    alter_command.add_option("--unset", arguments->unset, "Back to the default, may be repeated")
        ->allow_extra_args(false)
        ->type_name("NAME");
    alter_command
        .add_option("--partitions", arguments->partitions, "How many in all; there may only be more than before")
        ->check(CLI::Range(1, partitions_per_topic_max))
        ->type_name("N");

    CLI::App& delete_command = leaf_of(Access::write, {remove, remove_remotely}, "delete",
                                       "Delete a topic and all its records", {"flowstone topic delete payments"});
    delete_command.add_option("NAME", arguments->name)->required();
}

}  // namespace flowstone::tool
