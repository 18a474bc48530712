// How topics are shown, whichever kind of endpoint told of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <flowstone/log.h>

namespace flowstone::tool {

// What only brokers tell of a partition.
struct ShownReplicas {
    int32_t leader = -1;
    std::vector<int32_t> replicas{};
    std::vector<int32_t> in_sync{};
};
struct ShownPartition {
    Offset log_start;
    Offset high_watermark;
    Epoch epoch;
    // Nothing: brokers do not tell.
    std::optional<Offset> log_end{};
    std::optional<uint64_t> bytes{};
    std::optional<uint32_t> segments{};
    std::optional<ShownReplicas> replicas{};  // nothing: a directory does not tell
};
struct ShownTopic {
    std::string name;
    Uuid id;
    int32_t partition_count = 0;
    std::optional<std::string> durability{};  // nothing: no topic of ours
    bool internal = false;
    ConfigMap configs{};                       // those set on the topic
    std::vector<ShownPartition> partitions{};  // for show_topics() with details only
};

const char* name_of(Durability durability);
ShownTopic shown(const TopicInfo& info);  // without partitions

// One line a topic; with `details`, its settings and a line a partition, or all of it in one JSON object.
std::string show_topics(std::vector<ShownTopic> topics, bool details, bool json);

}  // namespace flowstone::tool
