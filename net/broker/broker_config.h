// The configuration of a broker: from flags, the environment and a file of TOML into one plain struct.
//
// A setting has one name; some of ours have Kafka's name for the same thing beside it, and either will do. Kafka's dotted
// names are keys of TOML in quotes or as nested tables: "log.retention.ms" = 5 and log.retention.ms = 5 say the same.
// What a flag says counts before what the environment says (FLOWSTONED_LOG_RETENTION_MS), that before the file, that
// before the default. What nobody knows is an error, wherever it stands. docs/CONFIGS.md lists all settings.
//
// Pure: texts in, a struct or one sentence out. Whoever calls reads the file.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flowstone/log.h>
#include <flowstone/result.h>

#include "log/config_value.h"
#include "net/broker/fetch_sessions.h"
#include "net/broker/group_coordinator.h"
#include "net/transport/host_port.h"
#include "storage/limits.h"

namespace flowstone {

// One row of the table. All text is static, or lives as long as the program.
struct BrokerSetting {
    const char* name;
    const char* kafka_name;  // often the same; empty: Kafka has nothing like it
    ConfigType type;
    const char* default_value;      // null: nothing, another setting counts then
    const char* bounds;             // for people; empty when every value of the type will do
    bool acts;                      // false: accepted, checked and kept, but nothing here looks at it yet
    const char* help;               // one sentence
    const char* topic_config = "";  // whose default it is for topics that do not set it; empty: of none
};
std::span<const BrokerSetting> broker_settings();                 // ours first, then Kafka's, then defaults of topics
const BrokerSetting* find_broker_setting(std::string_view name);  // by either name; null when there is none
const BrokerSetting* nearest_broker_setting(std::string_view name);  // what may have been meant; null: no idea

enum class BrokerConfigSource : uint8_t { built_in, file, environment, flag };

struct BrokerConfig {
    // --- who can reach it ---
    std::vector<HostPort> listen{{"127.0.0.1", 9092}};
    // What clients are told to connect to: as many as listen, in its order, or none. Without, each connection is told the
    // address that it reached us at.
    std::vector<HostPort> advertised;
    std::optional<HostPort> http{{"127.0.0.1", 9644}};
    bool insecure = false;  // what listens may be reached from other machines, by anybody

    // --- where and how ---
    std::vector<std::string> data{"./flowstone-data"};  // the first is the home of topics and groups
    int32_t node_id = 1;
    std::optional<std::string> rack;
    uint32_t threads = 0;  // 0: as many as the broker sees fit
    uint64_t journal_bytes_max = 1ull << 30;
    uint64_t dirty_bytes_max = 64ull << 20;
    uint64_t tail_bytes_max = 16ull << 20;
    uint64_t reserve_bytes = 64ull << 20;

    // --- limits of connections (DESIGN section 9) ---
    size_t connections_max = flowstone::connections_max;
    size_t connections_per_address_max = INT32_MAX;  // [max.connections.per.ip]
    size_t connection_output_bytes_max = flowstone::connection_output_bytes_max;
    int64_t connection_idle_ms_max = flowstone::connection_idle_ms_max;
    size_t requests_in_flight_max = flowstone::requests_in_flight_max;
    uint64_t request_memory_bytes_max = flowstone::request_memory_bytes_max;
    size_t frame_bytes_max = flowstone::frame_bytes_max;
    int64_t frame_time_ms_max = flowstone::frame_time_ms_max;
    int64_t frame_bytes_per_second_min = flowstone::frame_bytes_per_second_min;

    // --- what requests do ---
    bool create_topics_on_demand = true;       // [auto.create.topics.enable]
    bool delete_topics = true;                 // [delete.topic.enable]
    int32_t partitions_default = 1;            // [num.partitions]
    int32_t fetch_bytes_max = 55 << 20;        // [fetch.max.bytes] of one answer, whatever the request says
    int32_t described_partitions_max = 2'000;  // [max.request.partition.size.limit] of one answer
    GroupCoordinatorOptions groups;
    FetchSessionsOptions fetch_sessions;

    // By the topic's names, sorted: what TopicConfig::parse takes as broker_defaults. Only what was set.
    ConfigMap topic_defaults;

    // What was set, and by whom, in the order of the table.
    struct Set {
        const BrokerSetting* setting;
        std::string value;
        BrokerConfigSource source;
        std::string where;  // "flowstoned.toml:12", "FLOWSTONED_NODE_ID", "--node_id"
    };
    std::vector<Set> set;
};

struct BrokerConfigInput {
    std::string file_name;            // for messages
    std::optional<std::string> file;  // what is in it
    ConfigMap environment;  // variables that do not begin with FLOWSTONED_ are passed over, and so is FLOWSTONED_CONFIG
    ConfigMap flags;        // by the names of the settings; of a list, one may be given several times
};
// Errors: invalid, too_large (the file); with one sentence that says where, what and why.
Result<BrokerConfig> parse_broker_config(const BrokerConfigInput& input);

// For DescribeConfigs of a broker: every setting, by Kafka's name where there is one, sorted by name. All are read-only:
// a broker takes its configuration when it starts.
struct BrokerConfigEntry {
    std::string name;
    std::optional<std::string> value;  // as it counts; none: nothing was said, and nothing need be
    BrokerConfigSource source;
    const BrokerSetting* setting;
};
std::vector<BrokerConfigEntry> describe(const BrokerConfig& config);

constexpr size_t broker_config_file_bytes_max = 256 * 1024;
constexpr size_t broker_config_line_bytes_max = 4096;  // bounds how deep tables can lie within each other
constexpr size_t listeners_max = 64;
constexpr size_t directories_max = 64;

}  // namespace flowstone
