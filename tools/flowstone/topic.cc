// topic create, list, describe, alter, delete.

#include <cstdint>
#include <memory>

#include <CLI/CLI.hpp>
#include <flowstone/admin.h>
#include <fmt/format.h>

#include "storage/limits.h"
#include "storage/try.h"
#include "tools/flowstone/command_line.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"
#include "tools/flowstone/topic_output.h"

namespace flowstone::tool {
namespace {

struct TopicArguments {
    std::string name;
    int32_t partitions = 0;  // 0: not given
    int16_t replicas = -1;   // -1: not given
    std::string durability;
    std::vector<std::string> set;
    std::vector<std::string> unset;
    bool exists_ok = false;
    bool internal = false;
    bool json = false;
};

Exit create(Log& log, const TopicArguments& arguments) {
    if (arguments.replicas > 1) {
        return complain(fail(Code::invalid, "topic.create",
                             fmt::format("a log in a directory has one copy, not {}", arguments.replicas))
                            .error());
    }
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
    auto created = client.admin().create_topic(arguments.name,
                                               {.partitions = arguments.partitions,
                                                .configs = std::move(*configs),
                                                .exists_ok = arguments.exists_ok,
                                                .replicas = arguments.replicas},
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

Exit alter_remotely(Client& client, const TopicArguments& arguments) {
    Admin admin = client.admin();
    auto set = parse_pairs(arguments.set);
    if (!set) { return complain(set.error()); }
    if (!set->empty() || !arguments.unset.empty()) {
        const auto owner = ConfigOwner::topic(arguments.name);
        if (auto altered = admin.alter_configs(owner, *set, arguments.unset, broker_patience); !altered) {
            return complain(altered.error());
        }
    }
    if (arguments.partitions > 0) {
        if (auto added = admin.add_partitions(arguments.name, arguments.partitions, broker_patience); !added) {
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
    auto deleted = client.admin().delete_topic(arguments.name, broker_patience);
    return deleted ? Exit::done : complain(deleted.error());
}

// --- showing -----------------------------------------------------------------------------------------------------------

Result<std::vector<ShownPartition>> all_partitions(const Topic& topic) {
    std::vector<ShownPartition> partitions;
    for (int32_t number = 0; number < topic.partitions(); ++number) {
        TRY(const PartitionInfo at, topic.partition(number));
        partitions.push_back({.log_start = at.log_start,
                              .high_watermark = at.high_watermark,
                              .epoch = at.epoch,
                              .log_end = at.log_end,
                              .bytes = at.bytes,
                              .segments = at.segments});
    }
    return partitions;
}

// Those that the command names, or all.
Result<std::vector<ShownTopic>> find_topics(const Log& log, const TopicArguments& arguments, bool details) {
    std::vector<TopicInfo> infos;
    if (arguments.name.empty()) {
        infos = log.topics();
        std::erase_if(infos, [&](const TopicInfo& info) { return info.internal && !arguments.internal; });
    } else {
        TRY(TopicInfo info, log.describe(arguments.name));
        infos.push_back(std::move(info));
    }
    std::vector<ShownTopic> topics;
    for (const TopicInfo& info : infos) {
        topics.push_back(shown(info));
        if (!details) { continue; }
        TRY(const Topic topic, log.topic(info.name));
        TRY(topics.back().partitions, all_partitions(topic));
    }
    return topics;
}

// What is told of each, put to the partitions of the topics in turn.
Result<void> add_partitions(Admin& admin, const std::vector<RemoteTopic>& remote, std::vector<ShownTopic>& topics) {
    std::vector<TopicPartition> places;
    for (const RemoteTopic& topic : remote) {
        for (size_t number = 0; number < topic.partitions.size(); ++number) {
            places.push_back({topic.name, static_cast<int32_t>(number)});
        }
    }
    const auto ends = admin.ends(places, broker_patience);
    const auto bytes = admin.bytes(places, broker_patience);
    size_t place = 0;
    for (size_t i = 0; i < topics.size(); ++i) {
        for (const RemotePartition& told : remote[i].partitions) {
            if (!ends[place]) { return std::unexpected(ends[place].error()); }
            if (!bytes[place]) { return std::unexpected(bytes[place].error()); }
            topics[i].partitions.push_back({.log_start = ends[place]->log_start,
                                            .high_watermark = ends[place]->high_watermark,
                                            .epoch = told.epoch,
                                            .bytes = *bytes[place],
                                            .replicas = {{told.leader, told.replicas, told.in_sync}}});
            ++place;
        }
    }
    return {};
}

Result<std::vector<ShownTopic>> find_topics(Client& client, const TopicArguments& arguments, bool details) {
    Admin admin = client.admin();
    std::vector<RemoteTopic> remote;
    if (arguments.name.empty()) {
        TRY(remote, admin.topics(broker_patience));
        std::erase_if(remote, [&](const RemoteTopic& topic) { return topic.internal && !arguments.internal; });
    } else {
        TRY(RemoteTopic one, admin.topic(arguments.name, broker_patience));
        remote.push_back(std::move(one));
    }
    std::vector<ConfigOwner> owners;
    for (const RemoteTopic& topic : remote) { owners.push_back(ConfigOwner::topic(topic.name)); }
    const auto configs = admin.configs_of(owners, broker_patience);
    std::vector<ShownTopic> topics;
    for (size_t i = 0; i < remote.size(); ++i) {
        if (!configs[i]) { return std::unexpected(configs[i].error()); }
        auto& topic = topics.emplace_back();
        topic.name = remote[i].name;
        topic.id = remote[i].id;
        topic.partition_count = static_cast<int32_t>(remote[i].partitions.size());
        topic.internal = remote[i].internal;
        for (const RemoteConfig& config : *configs[i]) {
            if (config.name == "flowstone.durability") { topic.durability = config.value; }
            if (config.source != RemoteConfig::Source::topic) { continue; }
            topic.configs.emplace_back(config.name, config.value.value_or(""));
        }
    }
    if (details) { TRY_VOID(add_partitions(admin, remote, topics)); }
    return topics;
}

template <bool details, class Where>
Exit show(Where& where, const TopicArguments& arguments) {
    auto topics = find_topics(where, arguments, details);
    if (!topics) { return complain(topics.error()); }
    return print(show_topics(std::move(*topics), details, arguments.json));
}

// What a command does with a log in a directory, and with one behind brokers.
struct Work {
    Exit (*local)(Log&, const TopicArguments&);
    Exit (*remote)(Client&, const TopicArguments&);
};

// A command that does `work` with what it was given.
CLI::App& leaf(CLI::App& topic, Invocation& invocation, const std::shared_ptr<TopicArguments>& arguments, Access access,
               Work work, const std::string& name, const std::string& summary,
               const std::vector<std::string>& examples) {
    CLI::App& command = add_command(topic, name, summary, examples);
    command.callback([&invocation, arguments, access, work] {
        invocation.run = [&invocation, arguments, access, work] {
            return with_endpoint(
                invocation, access, [&](Log& log) { return work.local(log, *arguments); },
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
    create_command
        .add_option("--replicas", arguments->replicas, "How many copies; as the brokers' settings say unless given")
        ->check(CLI::Range(1, INT16_MAX))
        ->type_name("N");
    create_command.add_option("--durability", arguments->durability, "What survives: power loss, kill -9, or nothing")
        ->check(CLI::IsMember({"durable", "written", "memory"}))
        ->option_text("durable|written|memory");
    create_command.add_option("--config", arguments->set, "A setting under Kafka's name, may be repeated")
        ->allow_extra_args(false)
        ->type_name("NAME=VALUE");
    create_command.add_flag("--exists-ok", arguments->exists_ok, "Leave a topic of that name as it is");

    CLI::App& list_command = leaf_of(Access::read, {show<false, Log>, show<false, Client>}, "list",
                                     "One line per topic", {"flowstone topic list --json"});
    CLI::App& describe_command =
        leaf_of(Access::read, {show<true, Log>, show<true, Client>}, "describe",
                "Settings, and offsets and bytes per partition",
                {"flowstone topic describe payments", "flowstone topic describe --json | jq .partitions"});
    describe_command.add_option("NAME", arguments->name, "All topics unless given");
    for (CLI::App* command : {&list_command, &describe_command}) {
        command->add_flag("--internal", arguments->internal, "Show topics that the log keeps for itself, too");
        command->add_flag("--json", arguments->json, "One JSON object a line");
    }

    CLI::App& alter_command =
        leaf_of(Access::write, {alter, alter_remotely}, "alter", "Change settings, or add partitions",
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
