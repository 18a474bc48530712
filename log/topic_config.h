// The configuration of one topic, by Kafka's names: typed, checked, and described.
//
// Names, defaults and bounds are those of Kafka 4.3's topic configs, and four of our own that begin with
// "flowstone.". A config that does nothing here yet is accepted, checked and kept all the same, and marked so.
// Pure: a value type and a table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/log.h>
#include <flowstone/result.h>

#include "log/config_value.h"
#include "storage/batch.h"

namespace flowstone {

// One row of the table. All text is static.
struct ConfigDefinition {
    const char* name;
    const char* broker_name;  // the broker's config that says what topics without one of their own have; empty: none
    ConfigType type;
    const char* default_value;
    const char* bounds;   // for people: "[0,...]", "[none, sha256]"; empty when every value of the type will do
    bool acts;            // false: accepted, checked and kept, but nothing here looks at it yet
    const char* help;     // one sentence
    bool hidden = false;  // Kafka's "internal": for tests, not for lists
};
std::span<const ConfigDefinition> topic_config_definitions();      // sorted by name, hidden ones too
const ConfigDefinition* find_topic_config(std::string_view name);  // null when there is no such config
// The config that was meant by a name that is none: a broker's name for it, or one a few letters off. Null: no idea.
const ConfigDefinition* nearest_topic_config(std::string_view name);

// Checks `value` as parse() does for that one config. Errors: invalid, naming key and value.
Result<void> check_topic_config(const std::string& name, const std::string& value);

// What cleans a topic. Neither is Kafka 4's empty policy: nothing is ever deleted or compacted.
struct CleanupPolicy {
    bool delete_old = true;
    bool compact = false;
    friend bool operator==(const CleanupPolicy&, const CleanupPolicy&) = default;
};

enum class SealKind : uint8_t { none, sha256 };

// -1 in a retention means "no limit". All times are milliseconds.
struct TopicConfig {
    int64_t retention_ms = 604'800'000;
    int64_t retention_bytes = -1;
    int32_t segment_bytes = 1 << 30;
    int64_t segment_ms = 604'800'000;
    CleanupPolicy cleanup_policy;
    double min_cleanable_dirty_ratio = 0.5;
    int64_t delete_retention_ms = 86'400'000;
    int64_t min_compaction_lag_ms = 0;
    int64_t max_compaction_lag_ms = INT64_MAX;
    int32_t max_message_bytes = 1'048'588;
    int32_t min_insync_replicas = 1;  // a broker's matter: the log itself has one
    TimestampType timestamp_type = TimestampType::create_time;
    int64_t timestamp_before_max_ms = INT64_MAX;
    int64_t timestamp_after_max_ms = 3'600'000;
    std::optional<Codec> compression;  // empty: "producer", batches stay as they came
    Durability durability = Durability::durable;
    SealKind seal = SealKind::none;

    // Everything set on the topic, those that do not act included; sorted by name.
    ConfigMap set;
    // What the broker says about topics that do not set it themselves; by the topic's names, sorted.
    ConfigMap defaults;

    // How old an active segment gets before it is rolled: compaction must be able to reach it in time.
    int64_t roll_ms() const;

    // Each of `configs` over `broker_defaults` over the table's own. Errors: invalid, naming the key and the value: an
    // unknown name (and the one that was meant, if that can be told), a name given twice, a value that is not of the
    // type or out of bounds, or two values that contradict each other.
    static Result<TopicConfig> parse(const ConfigMap& configs, const ConfigMap& broker_defaults = {});
};

// Who said what is in force.
enum class ConfigSource : uint8_t { topic, broker, built_in };

// One of the places where a config may be said.
struct ConfigSynonym {
    std::string name;  // the topic's name for it, or the broker's
    std::string value;
    ConfigSource source;
};

// The text of every config as it is in force, in the order of the table: for describe. Hidden ones only when set.
struct ConfigEntry {
    const ConfigDefinition* definition;
    std::string value;
    ConfigSource source;
    std::vector<ConfigSynonym> synonyms;  // strongest first: the first one is in force
};
std::vector<ConfigEntry> describe(const TopicConfig& config);

const char* name(Durability durability);

}  // namespace flowstone
