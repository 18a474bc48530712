#include "tools/flowstone/topic_output.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/flowstone/output.h"

namespace flowstone::tool {
namespace {

std::string configs_text(const ConfigMap& configs) {
    std::string text;
    for (const auto& [name, value] : configs) {
        if (!text.empty()) { text += ' '; }
        text += fmt::format("{}={}", name, value);
    }
    return text;
}

std::string configs_json(const ConfigMap& configs) {
    std::string json = "{";
    for (const auto& [name, value] : configs) {
        if (json.size() > 1) { json += ','; }
        append_json_bytes(json, name);
        json += ':';
        append_json_bytes(json, value);
    }
    return json + '}';
}

void add_members(JsonLine& line, const ShownTopic& topic) {
    line.text("topic", topic.name)
        .text("topic_id", topic.id.to_string())
        .number("partition_count", int64_t{topic.partition_count})
        .nullable("durability", topic.durability)
        .flag("internal", topic.internal)
        .raw("configs", configs_json(topic.configs));
}

template <class T>
void number_or_null(JsonLine& line, std::string_view name, const std::optional<T>& value) {
    if (value) {
        line.number(name, *value);
    } else {
        line.raw(name, "null");
    }
}

std::string partition_json(size_t number, const ShownPartition& partition) {
    std::string json;
    {
        JsonLine line(json);
        line.number("partition", uint64_t{number})
            .number("log_start_offset", partition.log_start.value)
            .number("high_watermark", partition.high_watermark.value);
        number_or_null(line, "log_end_offset",
                       partition.log_end ? std::optional(partition.log_end->value) : std::nullopt);
        line.number("leader_epoch", partition.epoch.value);
        number_or_null(line, "bytes", partition.bytes);
        number_or_null(line, "segment_count",
                       partition.segments ? std::optional<uint64_t>(*partition.segments) : std::nullopt);
        if (partition.replicas) {
            line.number("leader", int64_t{partition.replicas->leader})
                .raw("replicas", fmt::format("[{}]", fmt::join(partition.replicas->replicas, ",")))
                .raw("in_sync_replicas", fmt::format("[{}]", fmt::join(partition.replicas->in_sync, ",")));
        }
    }
    json.pop_back();  // it stands within a line
    return json;
}

std::string partitions_text(const ShownTopic& topic) {
    std::vector<Columns::Heading> headings = {{"partition", true}, {"start", true}, {"high watermark", true},
                                              {"end", true},       {"epoch", true}, {"segments", true},
                                              {"bytes", true}};
    const bool replicas =
        std::ranges::any_of(topic.partitions, [](const auto& one) { return one.replicas.has_value(); });
    if (replicas) { headings.insert(headings.end(), {{"leader", true}, {"replicas"}, {"in sync"}}); }
    Columns columns(std::move(headings));
    for (size_t number = 0; number < topic.partitions.size(); ++number) {
        const ShownPartition& one = topic.partitions[number];
        std::vector<std::string> cells = {std::to_string(number),
                                          std::to_string(one.log_start.value),
                                          std::to_string(one.high_watermark.value),
                                          one.log_end ? std::to_string(one.log_end->value) : "-",
                                          std::to_string(one.epoch.value),
                                          one.segments ? std::to_string(*one.segments) : "-",
                                          one.bytes ? std::to_string(*one.bytes) : "-"};
        if (replicas) {
            const ShownReplicas told = one.replicas.value_or(ShownReplicas());
            cells.insert(cells.end(), {told.leader < 0 ? "-" : std::to_string(told.leader),
                                       fmt::format("{}", fmt::join(told.replicas, ",")),
                                       fmt::format("{}", fmt::join(told.in_sync, ","))});
        }
        columns.row(std::move(cells));
    }
    std::string text;
    columns.append_to(text);
    return text;
}

std::string details_json(const ShownTopic& topic) {
    std::string list = "[";
    for (size_t number = 0; number < topic.partitions.size(); ++number) {
        if (number > 0) { list += ','; }
        list += partition_json(number, topic.partitions[number]);
    }
    std::string out;
    {
        JsonLine line(out);
        add_members(line, topic);
        line.raw("partitions", list + ']');
    }
    return out;
}

std::string details_text(const ShownTopic& topic) {
    return fmt::format("topic       {}\nid          {}\npartitions  {}\ndurability  {}\nconfigs     {}\n\n", topic.name,
                       topic.id.to_string(), topic.partition_count, topic.durability.value_or("-"),
                       configs_text(topic.configs)) +
           partitions_text(topic);
}

}  // namespace

const char* name_of(Durability durability) {
    switch (durability) {
        case Durability::durable: return "durable";
        case Durability::written: return "written";
        case Durability::memory: return "memory";
    }
    return "unknown";
}

ShownTopic shown(const TopicInfo& info) {
    return {.name = info.name,
            .id = info.id,
            .partition_count = info.partitions,
            .durability = name_of(info.durability),
            .internal = info.internal,
            .configs = info.configs};
}

std::string show_topics(std::vector<ShownTopic> topics, bool details, bool json) {
    std::string out;
    Columns columns({{"topic"}, {"partitions", true}, {"durability"}, {"configs"}});
    for (ShownTopic& topic : topics) {
        std::ranges::sort(topic.configs);  // each endpoint has an order of its own
        if (details) {
            if (!out.empty() && !json) { out += '\n'; }
            out += json ? details_json(topic) : details_text(topic);
        } else if (json) {
            JsonLine line(out);
            add_members(line, topic);
        } else {
            columns.row({topic.name, std::to_string(topic.partition_count), topic.durability.value_or("-"),
                         configs_text(topic.configs)});
        }
    }
    if (!details && !json) { columns.append_to(out); }
    return out;
}

}  // namespace flowstone::tool
