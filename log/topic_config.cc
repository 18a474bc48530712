#include "log/topic_config.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "log/nearest_name.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr const char* operation = "topic.config";

using Value = ConfigValue;

// A row of the table with what the public definition leaves out.
struct Row {
    ConfigDefinition definition;
    int64_t min;  // of numbers
    int64_t max;
    std::array<const char*, 6> choices;         // of texts and lists; all null: anything
    void (*store)(TopicConfig&, const Value&);  // null: does not act
};

constexpr bool acts = true;
constexpr bool rests = false;
using enum ConfigType;

constexpr bool holds(const std::vector<std::string_view>& items, std::string_view item) {
    return std::ranges::find(items, item) != items.end();
}
using Store = void (*)(TopicConfig&, const Value&);
constexpr Row number_row(ConfigDefinition definition, int64_t min, int64_t max = INT64_MAX, Store store = nullptr) {
    return {definition, min, max, {}, store};
}
constexpr Row choice_row(ConfigDefinition definition, std::array<const char*, 6> choices, Store store) {
    return {definition, INT64_MIN, INT64_MAX, choices, store};
}
constexpr Row boolean_row(const char* name, const char* broker_name, const char* help) {
    return {{name, broker_name, boolean, "false", "[true, false]", rests, help}, 0, 0, {}, nullptr};
}
constexpr Row replicas_row(const char* name, const char* help) {
    return {{name, "", list, "", "[partition:broker,...] or *", rests, help}, 0, 0, {}, nullptr};
}

// Sorted by name. Names, types, defaults and bounds: Kafka's LogConfig.
constexpr Row rows[] = {
    choice_row({"cleanup.policy", "log.cleanup.policy", list, "delete", "[compact, delete]", acts,
                "What becomes of old segments: deleted, compacted by key, both, or (empty) kept for ever."},
               {"compact", "delete"},
               [](TopicConfig& c, const Value& v) {
                   c.cleanup_policy = {.delete_old = holds(v.list, "delete"), .compact = holds(v.list, "compact")};
               }),
    number_row({"compression.gzip.level", "compression.gzip.level", int32, "-1", "[1,...,9] or -1", rests,
                "Effort of gzip; -1 is gzip's own choice."},
               -1, 9),
    number_row({"compression.lz4.level", "compression.lz4.level", int32, "9", "[1,...,17]", rests, "Effort of lz4."}, 1,
               17),
    choice_row(
        {"compression.type", "compression.type", text, "producer", "[uncompressed, zstd, lz4, snappy, gzip, producer]",
         acts, "How batches are stored; producer leaves them as they came."},
        {"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"},
        [](TopicConfig& c, const Value& v) {
            c.compression.reset();
            if (v.text == "uncompressed") { c.compression = Codec::none; }
            if (v.text == "gzip") { c.compression = Codec::gzip; }
            if (v.text == "snappy") { c.compression = Codec::snappy; }
            if (v.text == "lz4") { c.compression = Codec::lz4; }
            if (v.text == "zstd") { c.compression = Codec::zstd; }
        }),
    number_row(
        {"compression.zstd.level", "compression.zstd.level", int32, "3", "[-131072,...,22]", rests, "Effort of zstd."},
        -131'072, 22),
    number_row({"delete.retention.ms", "log.cleaner.delete.retention.ms", int64, "86400000", "[0,...]", acts,
                "How long a tombstone stays after it was first compacted."},
               0, INT64_MAX, [](TopicConfig& c, const Value& v) { c.delete_retention_ms = v.integer; }),
    number_row({"file.delete.delay.ms", "log.segment.delete.delay.ms", int64, "60000", "[0,...]", rests,
                "How long a deleted file stays before it is removed; ours goes at once, readers keep it open."},
               0),
    choice_row({"flowstone.copied.from", "", text, "", "", rests,
                "The id of the topic that this one is a copy of; set by `flowstone copy`."},
               {}, nullptr),
    choice_row({"flowstone.durability", "", text, "durable", "[durable, written, memory]", acts,
                "What an acknowledgement promises: it survives power loss, the end of the process, or neither."},
               {"durable", "written", "memory"},
               [](TopicConfig& c, const Value& v) {
                   c.durability = v.text == "durable"   ? Durability::durable
                                  : v.text == "written" ? Durability::written
                                                        : Durability::memory;
               }),
    choice_row({"flowstone.seal", "flowstone.seal", text, "none", "[none, sha256]", acts,
                "Whether segments are chained by SHA-256, so that history cannot be changed unseen."},
               {"none", "sha256"},
               [](TopicConfig& c, const Value& v) { c.seal = v.text == "sha256" ? SealKind::sha256 : SealKind::none; }),
    number_row({"flush.messages", "log.flush.interval.messages", int64, "9223372036854775807", "[1,...]", rests,
                "Records between forced syncs; flowstone.durability decides instead."},
               1),
    number_row({"flush.ms", "log.flush.interval.ms", int64, "9223372036854775807", "[0,...]", rests,
                "Time between forced syncs; flowstone.durability decides instead."},
               0),
    replicas_row("follower.replication.throttled.replicas", "Replicas whose copying is throttled on the follower."),
    number_row({"index.interval.bytes", "log.index.interval.bytes", int32, "4096", "[0,...]", rests,
                "Bytes of log between two entries of the offset index; ours has one every 4096."},
               0, INT32_MAX),
    number_row({"internal.segment.bytes", "", int32, "", "[1,...]", acts,
                "Segment size below the bound of segment.bytes, which it overrides: for tests.", /*hidden=*/true},
               1, INT32_MAX, [](TopicConfig& c, const Value& v) { c.segment_bytes = static_cast<int32_t>(v.integer); }),
    replicas_row("leader.replication.throttled.replicas", "Replicas whose copying is throttled on the leader."),
    number_row({"local.retention.bytes", "log.local.retention.bytes", int64, "-2", "[-2,...]", rests,
                "Bytes kept here when older segments are in remote storage; -2 is retention.bytes."},
               -2),
    number_row({"local.retention.ms", "log.local.retention.ms", int64, "-2", "[-2,...]", rests,
                "Time kept here when older segments are in remote storage; -2 is retention.ms."},
               -2),
    number_row({"max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", int64, "9223372036854775807", "[1,...]",
                acts, "A record is compacted at the latest when it is this old."},
               1, INT64_MAX, [](TopicConfig& c, const Value& v) { c.max_compaction_lag_ms = v.integer; }),
    number_row({"max.message.bytes", "message.max.bytes", int32, "1048588", "[0,...]", acts,
                "The largest batch that is accepted, as compressed."},
               0, INT32_MAX,
               [](TopicConfig& c, const Value& v) { c.max_message_bytes = static_cast<int32_t>(v.integer); }),
    number_row({"message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", int64, "3600000", "[0,...]",
                acts, "How far ahead of the clock a record's timestamp may be."},
               0, INT64_MAX, [](TopicConfig& c, const Value& v) { c.timestamp_after_max_ms = v.integer; }),
    number_row({"message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", int64, "9223372036854775807",
                "[0,...]", acts, "How far behind the clock a record's timestamp may be."},
               0, INT64_MAX, [](TopicConfig& c, const Value& v) { c.timestamp_before_max_ms = v.integer; }),
    choice_row(
        {"message.timestamp.type", "log.message.timestamp.type", text, "CreateTime", "[CreateTime, LogAppendTime]",
         acts, "Whose time records carry: the producer's, or that of the append."},
        {"CreateTime", "LogAppendTime"},
        [](TopicConfig& c, const Value& v) {
            c.timestamp_type = v.text == "CreateTime" ? TimestampType::create_time : TimestampType::log_append_time;
        }),
    number_row({"min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio", decimal, "0.5", "[0,...,1]", acts,
                "The part of the log that must be uncompacted before compaction starts."},
               0, 1, [](TopicConfig& c, const Value& v) { c.min_cleanable_dirty_ratio = v.decimal; }),
    number_row({"min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", int64, "0", "[0,...]", acts,
                "A record is not compacted before it is this old."},
               0, INT64_MAX, [](TopicConfig& c, const Value& v) { c.min_compaction_lag_ms = v.integer; }),
    number_row({"min.insync.replicas", "min.insync.replicas", int32, "1", "[1,...]", acts,
                "Replicas that must have a record before acks=all answers."},
               1, INT32_MAX,
               [](TopicConfig& c, const Value& v) { c.min_insync_replicas = static_cast<int32_t>(v.integer); }),
    boolean_row("preallocate", "log.preallocate", "Whether segment files are allocated in advance; ours always are."),
    boolean_row("remote.log.copy.disable", "", "Whether nothing further is copied to remote storage."),
    boolean_row("remote.log.delete.on.disable", "", "Whether remote segments go when remote storage is turned off."),
    boolean_row("remote.storage.enable", "", "Whether older segments move to remote storage; there is none here yet."),
    number_row({"retention.bytes", "log.retention.bytes", int64, "-1", "", acts,
                "Bytes a partition keeps at most, under the delete policy; -1 is no limit."},
               INT64_MIN, INT64_MAX,
               [](TopicConfig& c, const Value& v) { c.retention_bytes = std::max<int64_t>(v.integer, -1); }),
    number_row({"retention.ms", "log.retention.ms", int64, "604800000", "[-1,...]", acts,
                "How long a partition keeps records, under the delete policy; -1 is for ever."},
               -1, INT64_MAX, [](TopicConfig& c, const Value& v) { c.retention_ms = v.integer; }),
    number_row({"segment.bytes", "log.segment.bytes", int32, "1073741824", "[1048576,...]", acts,
                "A segment is rolled at this size."},
               1 << 20, INT32_MAX,
               [](TopicConfig& c, const Value& v) { c.segment_bytes = static_cast<int32_t>(v.integer); }),
    number_row({"segment.index.bytes", "log.index.size.max.bytes", int32, "10485760", "[4,...]", rests,
                "The largest offset index; ours grow as needed."},
               4, INT32_MAX),
    number_row({"segment.jitter.ms", "log.roll.jitter.ms", int64, "0", "[0,...]", rests,
                "Random time taken from segment.ms, so that rolls do not coincide."},
               0),
    number_row({"segment.ms", "log.roll.ms", int64, "604800000", "[1,...]", acts,
                "A segment that is not full is rolled when it is this old."},
               1, INT64_MAX, [](TopicConfig& c, const Value& v) { c.segment_ms = v.integer; }),
    boolean_row("unclean.leader.election.enable", "unclean.leader.election.enable",
                "Whether a replica that is behind may lead when no other is left."),
};
static_assert(std::ranges::is_sorted(rows, {}, [](const Row& row) { return std::string_view(row.definition.name); }));

const Row* find_row(std::string_view name) {
    const auto* at =
        std::ranges::lower_bound(rows, name, {}, [](const Row& row) { return std::string_view(row.definition.name); });
    return at != std::end(rows) && name == at->definition.name ? at : nullptr;
}

// "*", or pairs of partition and broker. A comma at the end is let pass, as Kafka does here and nowhere else.
bool is_throttled_replicas(std::span<const std::string_view> items) {
    const auto is_number = [](std::string_view text) {
        return !text.empty() && text.size() <= 10 && text.find_first_not_of("0123456789") == std::string_view::npos;
    };
    if (items.size() == 1 && items[0] == "*") { return true; }
    if (items.size() > 1 && items.back().empty()) { items = items.first(items.size() - 1); }
    return std::ranges::all_of(items, [&](std::string_view item) {
        const size_t colon = item.find(':');
        return colon != std::string_view::npos && is_number(item.substr(0, colon)) && is_number(item.substr(colon + 1));
    });
}

// Empty when `text` is not of the type, or out of bounds.
std::optional<Value> parse_value(const Row& row, std::string_view text) {
    auto value = parse_config_value({row.definition.type, row.min, row.max, row.choices}, text);
    const bool is_free_list = row.definition.type == list && row.choices[0] == nullptr;
    if (value && is_free_list && !is_throttled_replicas(value->list)) { return std::nullopt; }
    return value;
}

std::unexpected<Error> refuse(std::string_view key, std::string_view value, std::string_view why) {
    return fail(Code::invalid, operation, fmt::format("{}={}: {}", key, value.substr(0, 60), why));
}

Result<void> set_one(TopicConfig& config, const std::string& key, const std::string& text) {
    const Row* row = find_row(key);
    if (row == nullptr) {
        const ConfigDefinition* meant = nearest_topic_config(key);
        return refuse(key.substr(0, 60), std::string_view(text).substr(0, 20),
                      meant == nullptr ? "there is no such topic config"
                                       : fmt::format("there is no such topic config, the nearest is {}", meant->name));
    }
    const auto value = parse_value(*row, text);
    // Gzip alone has a hole in its range: -1 and 1 to 9.
    if (!value || (key == "compression.gzip.level" && value->integer == 0)) {
        return refuse(key, text, fmt::format("must be {} {}", name(row->definition.type), row->definition.bounds));
    }
    if (key == "remote.storage.enable" && value->boolean) {
        return refuse(key, text, "there is no remote storage here");
    }
    if (row->store != nullptr) { row->store(config, *value); }
    return {};
}

}  // namespace

const char* name(Durability durability) {
    switch (durability) {
        case Durability::durable: return "durable";
        case Durability::written: return "written";
        case Durability::memory: return "memory";
    }
    return "?";
}

std::span<const ConfigDefinition> topic_config_definitions() {
    static const auto definitions = [] {
        std::array<ConfigDefinition, std::size(rows)> all{};
        std::ranges::transform(rows, all.begin(), &Row::definition);
        return all;
    }();
    return definitions;
}

const ConfigDefinition* find_topic_config(std::string_view name) {
    const Row* row = find_row(name);
    return row == nullptr ? nullptr : &topic_config_definitions()[static_cast<size_t>(row - rows)];
}

const ConfigDefinition* nearest_topic_config(std::string_view name) {
    std::vector<std::string_view> names;
    for (const ConfigDefinition& definition : topic_config_definitions()) {
        if (definition.hidden) { continue; }
        if (!name.empty() && name == definition.broker_name) { return &definition; }
        names.emplace_back(definition.name);
    }
    const auto nearest = nearest_name(name, names);
    return nearest ? find_topic_config(*nearest) : nullptr;
}

Result<void> check_topic_config(const std::string& name, const std::string& value) {
    TopicConfig scratch;
    return set_one(scratch, name, value);
}

int64_t TopicConfig::roll_ms() const {
    return cleanup_policy.compact ? std::min(segment_ms, max_compaction_lag_ms) : segment_ms;
}

Result<TopicConfig> TopicConfig::parse(const ConfigMap& configs, const ConfigMap& broker_defaults) {
    TopicConfig config;
    config.defaults = broker_defaults;
    config.set = configs;
    // In the order of names, so that internal.segment.bytes would lose to segment.bytes: it is set again at the end.
    const std::string* small_segments = nullptr;
    for (ConfigMap* layer : {&config.defaults, &config.set}) {
        std::ranges::sort(*layer);
        for (size_t i = 0; i < layer->size(); ++i) {
            const auto& [key, value] = (*layer)[i];
            if (i > 0 && (*layer)[i - 1].first == key) { return refuse(key, value, "is given twice"); }
            TRY_VOID(set_one(config, key, value));
            if (key == "internal.segment.bytes") { small_segments = &value; }
        }
    }
    if (small_segments != nullptr) { TRY_VOID(set_one(config, "internal.segment.bytes", *small_segments)); }
    if (config.min_compaction_lag_ms > config.max_compaction_lag_ms) {
        return refuse("min.compaction.lag.ms", std::to_string(config.min_compaction_lag_ms),
                      fmt::format("is above max.compaction.lag.ms={}", config.max_compaction_lag_ms));
    }
    return config;
}

namespace {

const std::string* value_in(const ConfigMap& sorted, std::string_view name) {
    const auto found = std::ranges::lower_bound(sorted, name, {}, &ConfigMap::value_type::first);
    return found != sorted.end() && found->first == name ? &found->second : nullptr;
}

}  // namespace

std::vector<ConfigEntry> describe(const TopicConfig& config) {
    std::vector<ConfigEntry> entries;
    for (const ConfigDefinition& definition : topic_config_definitions()) {
        const std::string* of_topic = value_in(config.set, definition.name);
        const std::string* of_broker = value_in(config.defaults, definition.name);
        if (definition.hidden && of_topic == nullptr && of_broker == nullptr) { continue; }
        // What has no name in a broker's configuration goes by the topic's.
        const char* broker_name = *definition.broker_name != 0 ? definition.broker_name : definition.name;
        std::vector<ConfigSynonym> synonyms;
        if (of_topic != nullptr) { synonyms.push_back({definition.name, *of_topic, ConfigSource::topic}); }
        if (of_broker != nullptr) { synonyms.push_back({broker_name, *of_broker, ConfigSource::broker}); }
        if (!definition.hidden) { synonyms.push_back({broker_name, definition.default_value, ConfigSource::built_in}); }
        const ConfigSynonym in_force = synonyms.front();
        entries.push_back({&definition, in_force.value, in_force.source, std::move(synonyms)});
    }
    return entries;
}

}  // namespace flowstone
