#include "net/broker/broker_config.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "log/nearest_name.h"
#include "log/topic_config.h"
#include "net/broker/impl/config_sources.h"
#include "storage/try.h"

namespace flowstone {
namespace {

// Says why not; empty when all is well.
using Store = std::string (*)(BrokerConfig&, const ConfigValue&);

// A row of the table with what the public one leaves out.
struct Row {
    BrokerSetting setting;
    int64_t min;  // of numbers
    int64_t max;
    Store store;  // null: does not act, or is the default of a topic config
};

constexpr bool acts = true;
constexpr bool kept = false;
using enum ConfigType;

constexpr int64_t largest = INT64_MAX;
constexpr size_t path_bytes_max = 4096;
constexpr int64_t ms_per_minute = 60'000;
constexpr int64_t ms_per_hour = 3'600'000;

template <auto Member>
std::string store_number(BrokerConfig& config, const ConfigValue& value) {
    config.*Member = static_cast<std::remove_reference_t<decltype(config.*Member)>>(value.integer);
    return {};
}
template <auto Member>
std::string store_truth(BrokerConfig& config, const ConfigValue& value) {
    config.*Member = value.boolean;
    return {};
}
template <auto Options, auto Member>
std::string store_option(BrokerConfig& config, const ConfigValue& value) {
    auto& member = (config.*Options).*Member;
    member = static_cast<std::remove_reference_t<decltype(member)>>(value.integer);
    return {};
}
constexpr auto groups = &BrokerConfig::groups;
constexpr auto sessions = &BrokerConfig::fetch_sessions;
using Groups = GroupCoordinatorOptions;
using Sessions = FetchSessionsOptions;

std::string store_addresses(std::vector<HostPort>& addresses, const ConfigValue& value) {
    addresses.clear();
    for (const std::string_view item : value.list) {
        const auto address = parse_host_port(item);
        if (!address) { return address.error().detail; }
        addresses.push_back(*address);
    }
    return addresses.size() > listeners_max ? fmt::format("at most {} addresses", listeners_max) : std::string();
}
std::string store_listen(BrokerConfig& config, const ConfigValue& value) {
    if (value.list.empty()) { return "needs an address"; }
    return store_addresses(config.listen, value);
}
std::string store_advertised(BrokerConfig& config, const ConfigValue& value) {
    return store_addresses(config.advertised, value);
}
std::string store_http(BrokerConfig& config, const ConfigValue& value) {
    config.http.reset();
    if (value.text == "off") { return {}; }
    const auto address = parse_host_port(value.text);
    if (!address) { return address.error().detail; }
    config.http = *address;
    return {};
}
std::string store_data(BrokerConfig& config, const ConfigValue& value) {
    if (value.list.empty()) { return "must be the path of a directory"; }
    if (value.list.size() > directories_max) { return fmt::format("at most {} directories", directories_max); }
    config.data.clear();
    for (const std::string_view path : value.list) {
        if (path.empty() || path.size() > path_bytes_max || path.find('\0') != std::string_view::npos) {
            return "must be the path of a directory";
        }
        if (std::ranges::find(config.data, path) != config.data.end()) { return fmt::format("{} is said twice", path); }
        config.data.emplace_back(path);
    }
    return {};
}
std::string store_rack(BrokerConfig& config, const ConfigValue& value) {
    if (value.text.size() > kafka_string_bytes_max) { return "is too long"; }
    config.rack = value.text;
    return {};
}
std::string store_offsets_retention(BrokerConfig& config, const ConfigValue& value) {
    config.groups.offsets_retention_ms = value.integer * ms_per_minute;
    return {};
}

// Ours, with Kafka's name for the same thing; then Kafka's. Names, types and defaults of the latter: Kafka's
// ServerConfigs, SocketServerConfigs, ServerLogConfigs, ReplicationConfigs, GroupCoordinatorConfig.
constexpr Row own_rows[] = {
    {{"advertised_listeners", "advertised.listeners", list, "", "[host:port,...]", acts,
      "What clients are told to connect to, one for each listener; empty is the address that each reached us at."},
     0,
     0,
     store_advertised},
    {{"committed_offsets_max", "", int64, "10000000", "[1,...]", acts, "Committed offsets of all groups."},
     1,
     largest,
     store_option<groups, &Groups::committed_offsets_max>},
    {{"connection_idle_ms_max", "connections.max.idle.ms", int64, "600000", "[1,...]", acts,
      "A connection on which nothing was asked for so long is closed."},
     1,
     largest,
     store_number<&BrokerConfig::connection_idle_ms_max>},
    {{"connection_output_bytes_max", "", int64, "16777216", "[65536,...]", acts,
      "Answers that a client does not fetch; above it nothing more is read from it."},
     65'536,
     largest,
     store_number<&BrokerConfig::connection_output_bytes_max>},
    {{"connections_max", "max.connections", int32, "10000", "[1,...,1000000]", acts,
      "Connections at a time; above it new ones are closed."},
     1,
     1'000'000,
     store_number<&BrokerConfig::connections_max>},
    {{"data", "log.dirs", list, "./flowstone-data", "[directory,...]", acts,
      "Where the log is kept; topics and groups in the first, the partitions of users' topics in all of them."},
     0,
     0,
     store_data},
    {{"dirty_bytes_max", "", int64, "67108864", "[1048576,...]", acts,
      "Appended bytes in memory that are not in segment files yet; appends wait at it."},
     1 << 20,
     largest,
     store_number<&BrokerConfig::dirty_bytes_max>},
    {{"fetch_session_partitions_max", "", int32, "100000", "[1,...]", acts,
      "Partitions of one fetch session; a client of more fetches without one."},
     1,
     INT32_MAX,
     store_option<sessions, &Sessions::partitions_max>},
    {{"fetch_sessions_bytes_max", "", int64, "134217728", "[0,...]", acts, "Memory of all fetch sessions."},
     0,
     largest,
     store_option<sessions, &Sessions::bytes_max>},
    {{"fetch_sessions_max", "max.incremental.fetch.session.cache.slots", int32, "1000", "[0,...,1000000]", acts,
      "Fetch sessions at a time; 0 is none."},
     0,
     1'000'000,
     store_option<sessions, &Sessions::sessions_max>},
    {{"frame_bytes_max", "socket.request.max.bytes", int32, "104857600", "[1024,...,1073741824]", acts,
      "The largest request; a connection that sends more is closed."},
     1024,
     1 << 30,
     store_number<&BrokerConfig::frame_bytes_max>},
    {{"frame_bytes_per_second_min", "", int64, "65536", "[0,...]", acts,
      "The slowest a request may come past frame_time_ms_max, or while others wait for its memory; 0: any."},
     0,
     largest,
     store_number<&BrokerConfig::frame_bytes_per_second_min>},
    {{"frame_time_ms_max", "", int64, "30000", "[100,...]", acts, "How long a request may take to arrive."},
     100,
     largest,
     store_number<&BrokerConfig::frame_time_ms_max>},
    {{"groups_max", "", int32, "100000", "[1,...]", acts, "Consumer groups of this broker."},
     1,
     INT32_MAX,
     store_option<groups, &Groups::groups_max>},
    {{"http", "", text, "127.0.0.1:9644", "host:port or off", acts, "Where metrics and health are served."},
     0,
     0,
     store_http},
    {{"insecure", "", boolean, "false", "[true, false]", acts,
      "Allows listeners that other machines can reach, without encryption or passwords."},
     0,
     0,
     store_truth<&BrokerConfig::insecure>},
    {{"journal_bytes_max", "", int64, "1073741824", "[16777216,...]", acts,
      "The ring on disk that acknowledgements wait for, for each thread of the log."},
     16 << 20,
     largest,
     store_number<&BrokerConfig::journal_bytes_max>},
    {{"listen", "listeners", list, "127.0.0.1:9092", "[host:port,...]", acts,
      "Where clients of Kafka connect; port 0 is any free one."},
     0,
     0,
     store_listen},
    {{"members_bytes_max", "", int64, "268435456", "[0,...]", acts, "What members of all groups say about themselves."},
     0,
     largest,
     store_option<groups, &Groups::members_bytes_max>},
    {{"members_per_group_max", "group.max.size", int32, "10000", "[1,...]", acts, "Members of one consumer group."},
     1,
     INT32_MAX,
     store_option<groups, &Groups::members_per_group_max>},
    {{"node_id", "node.id", int32, "1", "[0,...]", acts, "The number that this broker goes by."},
     0,
     INT32_MAX,
     store_number<&BrokerConfig::node_id>},
    {{"request_memory_bytes_max", "", int64, "268435456", "[1048576,...]", acts,
      "Memory of all requests together; while there is none left, nothing is read."},
     1 << 20,
     largest,
     store_number<&BrokerConfig::request_memory_bytes_max>},
    {{"requests_in_flight_max", "", int32, "100", "[1,...,10000]", acts,
      "Requests of one connection that wait for their answer."},
     1,
     10'000,
     store_number<&BrokerConfig::requests_in_flight_max>},
    {{"reserve_bytes", "", int64, "67108864", "[0,...]", acts,
      "Kept free on disk, and given up when it is full, so that deletions still work."},
     0,
     largest,
     store_number<&BrokerConfig::reserve_bytes>},
    {{"tail_bytes_max", "", int64, "16777216", "[0,...]", acts, "Recent bytes kept in memory for readers."},
     0,
     largest,
     store_number<&BrokerConfig::tail_bytes_max>},
    {{"threads", "", int32, "0", "[0,...,256]", acts, "Threads of the log; 0 leaves it to the broker."},
     0,
     256,
     store_number<&BrokerConfig::threads>},

    {{"auto.create.topics.enable", "auto.create.topics.enable", boolean, "true", "[true, false]", acts,
      "Whether a topic that a client asks for is made, if the client allows it."},
     0,
     0,
     store_truth<&BrokerConfig::create_topics_on_demand>},
    {{"broker.rack", "broker.rack", text, nullptr, "", acts, "The rack that clients are told."}, 0, 0, store_rack},
    {{"default.replication.factor", "default.replication.factor", int32, "1", "[1,...,32767]", kept,
      "Replicas of topics that are made without a number; one broker keeps one."},
     1,
     32'767,
     nullptr},
    {{"delete.topic.enable", "delete.topic.enable", boolean, "true", "[true, false]", acts,
      "Whether clients may delete topics."},
     0,
     0,
     store_truth<&BrokerConfig::delete_topics>},
    {{"fetch.max.bytes", "fetch.max.bytes", int32, "57671680", "[1024,...]", acts,
      "Bytes of records in one answer to a fetch, whatever it asks for."},
     1024,
     INT32_MAX,
     store_number<&BrokerConfig::fetch_bytes_max>},
    {{"group.initial.rebalance.delay.ms", "group.initial.rebalance.delay.ms", int32, "3000", "[0,...]", acts,
      "How long a new group waits for more members before its first assignment."},
     0,
     INT32_MAX,
     store_option<groups, &Groups::initial_rebalance_delay_ms>},
    {{"group.max.session.timeout.ms", "group.max.session.timeout.ms", int32, "1800000", "[1,...]", acts,
      "The longest session timeout that a member may ask for."},
     1,
     INT32_MAX,
     store_option<groups, &Groups::session_timeout_max_ms>},
    {{"group.min.session.timeout.ms", "group.min.session.timeout.ms", int32, "6000", "[1,...]", acts,
      "The shortest session timeout that a member may ask for."},
     1,
     INT32_MAX,
     store_option<groups, &Groups::session_timeout_min_ms>},
    {{"log.retention.check.interval.ms", "log.retention.check.interval.ms", int64, "300000", "[1,...]", kept,
      "Time between two looks for what is too old; ours come every minute."},
     1,
     largest,
     nullptr},
    // Kafka lets 0 stand only beside max.connections.per.ip.overrides, which is not served.
    {{"max.connections.per.ip", "max.connections.per.ip", int32, "2147483647", "[1,...]", acts,
      "Connections of one address at a time; above it new ones of that address are closed."},
     1,
     INT32_MAX,
     store_number<&BrokerConfig::connections_per_address_max>},
    {{"max.request.partition.size.limit", "max.request.partition.size.limit", int32, "2000", "[1,...]", acts,
      "Partitions that one answer describes."},
     1,
     INT32_MAX,
     store_number<&BrokerConfig::described_partitions_max>},
    {{"num.io.threads", "num.io.threads", int32, "8", "[1,...]", kept, "Threads for requests; see threads."},
     1,
     INT32_MAX,
     nullptr},
    {{"num.network.threads", "num.network.threads", int32, "3", "[1,...]", kept,
      "Threads for the network; ours has one."},
     1,
     INT32_MAX,
     nullptr},
    {{"num.partitions", "num.partitions", int32, "1", "[1,...,100000]", acts,
      "Partitions of topics that are made without a number."},
     1,
     partitions_per_topic_max,
     store_number<&BrokerConfig::partitions_default>},
    {{"offset.metadata.max.bytes", "offset.metadata.max.bytes", int32, "4096", "[0,...,32767]", acts,
      "The longest text beside a committed offset."},
     0,
     32'767,
     store_option<groups, &Groups::offset_metadata_length_max>},
    {{"offsets.retention.check.interval.ms", "offsets.retention.check.interval.ms", int64, "600000", "[1,...]", acts,
      "How often committed offsets are looked at for their age."},
     1,
     largest,
     store_option<groups, &Groups::offsets_retention_check_ms>},
    {{"offsets.retention.minutes", "offsets.retention.minutes", int32, "10080", "[1,...]", acts,
      "How long the offsets of a group without members stay."},
     1,
     INT32_MAX,
     store_offsets_retention},
    {{"offsets.topic.num.partitions", "offsets.topic.num.partitions", int32, "50", "[1,...,100000]", acts,
      "Partitions of __consumer_offsets, which must not change once it is there."},
     1,
     partitions_per_topic_max,
     store_option<groups, &Groups::partitions>},
    {{"offsets.topic.replication.factor", "offsets.topic.replication.factor", int32, "1", "[1,...,32767]", kept,
      "Replicas of __consumer_offsets; one broker keeps one."},
     1,
     32'767,
     nullptr},
    {{"queued.max.requests", "queued.max.requests", int32, "500", "[1,...]", kept,
      "Requests that wait for a thread; see requests_in_flight_max."},
     1,
     INT32_MAX,
     nullptr},
    {{"transaction.state.log.min.isr", "transaction.state.log.min.isr", int32, "1", "[1,...]", kept,
      "Replicas that must have a record of __transaction_state; one broker keeps one."},
     1,
     INT32_MAX,
     nullptr},
    {{"transaction.state.log.replication.factor", "transaction.state.log.replication.factor", int32, "1",
      "[1,...,32767]", kept, "Replicas of __transaction_state; one broker keeps one."},
     1,
     32'767,
     nullptr},
};

// The defaults of topics in larger units, which count where the one in milliseconds is not set: the first that is set.
struct LargerUnit {
    BrokerSetting setting;
    int64_t min;
    int64_t ms;
};
constexpr LargerUnit larger_units[] = {
    {{"log.retention.minutes", "log.retention.minutes", int32, nullptr, "[-1,...]", acts,
      "As log.retention.ms, in minutes; counts where that is not set.", "retention.ms"},
     -1,
     ms_per_minute},
    {{"log.retention.hours", "log.retention.hours", int32, "168", "[-1,...]", acts,
      "As log.retention.ms, in hours; counts where neither that nor minutes are set.", "retention.ms"},
     -1,
     ms_per_hour},
    {{"log.roll.hours", "log.roll.hours", int32, "168", "[1,...]", acts,
      "As log.roll.ms, in hours; counts where that is not set.", "segment.ms"},
     1,
     ms_per_hour},
    {{"log.roll.jitter.hours", "log.roll.jitter.hours", int32, "0", "[0,...]", kept,
      "As log.roll.jitter.ms, in hours; counts where that is not set.", "segment.jitter.ms"},
     0,
     ms_per_hour},
};

bool has_larger_unit(std::string_view topic_config) {
    return std::ranges::any_of(larger_units,
                               [&](const LargerUnit& unit) { return topic_config == unit.setting.topic_config; });
}

std::string_view folded(std::string_view name, std::string& space) {
    space.assign(name);
    std::ranges::transform(space, space.begin(), [](char c) { return c == '_' || c == '-' ? '.' : c; });
    return space;
}

std::unexpected<Error> refuse_value(const BrokerConfig::Set& said, std::string_view why) {
    constexpr size_t value_bytes_shown_max = 40;
    return refuse_setting(
        said.where, fmt::format("{}={}: {}", said.setting->name, said.value.substr(0, value_bytes_shown_max), why));
}
std::string expectation(const BrokerSetting& setting) {
    return fmt::format("must be {}{}{}", name(setting.type), *setting.bounds != 0 ? " " : "", setting.bounds);
}

const BrokerConfig::Set* find_set(const BrokerConfig& config, std::string_view name) {
    const auto found =
        std::ranges::find(config.set, name, [](const auto& set) { return std::string_view(set.setting->name); });
    return found == config.set.end() ? nullptr : &*found;
}

// For what is wrong about settings together: at the first of `names` that was set.
std::unexpected<Error> refuse_together(const BrokerConfig& config, std::initializer_list<const char*> names,
                                       std::string_view why) {
    for (const char* name : names) {
        if (const auto* said = find_set(config, name); said != nullptr) { return refuse_setting(said->where, why); }
    }
    return fail(Code::invalid, "broker.config", why);
}

// --- one setting ----------------------------------------------------------------------------------------------------

Result<void> apply_own(BrokerConfig& config, const Row& row, const BrokerConfig::Set& said) {
    const auto value = parse_config_value({row.setting.type, row.min, row.max, {}}, said.value);
    if (!value) { return refuse_value(said, expectation(row.setting)); }
    if (row.store == nullptr) { return {}; }
    const std::string why_not = row.store(config, *value);
    return why_not.empty() ? Result<void>() : refuse_value(said, why_not);
}

void set_topic_default(BrokerConfig& config, const char* topic_config, std::string value) {
    config.topic_defaults.emplace_back(topic_config, std::move(value));
}

Result<void> apply_larger_unit(BrokerConfig& config, const LargerUnit& unit, const BrokerConfig::Set& said) {
    const auto value = parse_config_value({unit.setting.type, unit.min, INT32_MAX, {}}, said.value);
    if (!value) { return refuse_value(said, expectation(unit.setting)); }
    const bool is_known = std::ranges::any_of(config.topic_defaults,
                                              [&](const auto& set) { return set.first == unit.setting.topic_config; });
    if (is_known) { return {}; }
    set_topic_default(config, unit.setting.topic_config,
                      std::to_string(value->integer < 0 ? -1 : value->integer * unit.ms));
    return {};
}

Result<void> apply_topic_default(BrokerConfig& config, const BrokerConfig::Set& said) {
    if (auto good = check_topic_config(said.setting->topic_config, said.value); !good) {
        return refuse_value(said, expectation(*said.setting));
    }
    set_topic_default(config, said.setting->topic_config, std::string(trim_config_text(said.value)));
    return {};
}

// In the order of the table: what is in milliseconds comes before its larger units.
Result<void> apply(BrokerConfig& config) {
    for (const BrokerConfig::Set& said : config.set) {
        const auto index = static_cast<size_t>(said.setting - broker_settings().data());
        const size_t topics_begin = std::size(own_rows);
        const size_t units_begin = broker_settings().size() - std::size(larger_units);
        if (index < topics_begin) {
            TRY_VOID(apply_own(config, own_rows[index], said));
        } else if (index < units_begin) {
            TRY_VOID(apply_topic_default(config, said));
        } else {
            TRY_VOID(apply_larger_unit(config, larger_units[index - units_begin], said));
        }
    }
    std::ranges::sort(config.topic_defaults);
    return {};
}

// --- all together ---------------------------------------------------------------------------------------------------

Result<void> check_reach(const BrokerConfig& config) {
    for (size_t i = 0; i < config.listen.size(); ++i) {
        const HostPort& at = config.listen[i];
        if (!is_loopback(at) && !config.insecure) {
            return refuse_together(
                config, {"listen"},
                fmt::format("listen={} can be reached by other machines, which needs insecure=true", at.to_string()));
        }
        if (at.port != 0 && std::ranges::count(config.listen, at) > 1) {
            return refuse_together(config, {"listen"}, fmt::format("listen={} is said twice", at.to_string()));
        }
    }
    if (!config.http) { return {}; }
    if (!is_loopback(*config.http) && !config.insecure) {
        return refuse_together(config, {"http"},
                               fmt::format("http={} can be reached by other machines, which needs insecure=true",
                                           config.http->to_string()));
    }
    if (config.http->port != 0 && std::ranges::find(config.listen, *config.http) != config.listen.end()) {
        return refuse_together(config, {"http", "listen"},
                               fmt::format("http and listen are both {}", config.http->to_string()));
    }
    return {};
}

Result<void> check_advertised(const BrokerConfig& config) {
    if (config.advertised.empty()) { return {}; }
    for (const HostPort& at : config.advertised) {
        if (is_any_address(at) || at.port == 0) {
            return refuse_together(config, {"advertised_listeners"},
                                   fmt::format("no client can connect to {}", at.to_string()));
        }
    }
    if (config.advertised.size() != config.listen.size()) {
        return refuse_together(config, {"advertised_listeners"},
                               fmt::format("advertised_listeners has {} addresses, listen has {}",
                                           config.advertised.size(), config.listen.size()));
    }
    return {};
}

Result<void> check_together(BrokerConfig& config) {
    TRY_VOID(check_reach(config));
    TRY_VOID(check_advertised(config));
    const Groups& group = config.groups;
    if (group.session_timeout_min_ms > group.session_timeout_max_ms) {
        return refuse_together(config, {"group.min.session.timeout.ms", "group.max.session.timeout.ms"},
                               fmt::format("group.min.session.timeout.ms={} is above group.max.session.timeout.ms={}",
                                           group.session_timeout_min_ms, group.session_timeout_max_ms));
    }
    const auto topics = TopicConfig::parse({}, config.topic_defaults);
    if (!topics) {  // each is good alone
        return refuse_together(config, {"log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"},
                               topics.error().detail);
    }
    if (static_cast<uint64_t>(topics->max_message_bytes) > config.frame_bytes_max) {
        return refuse_together(config, {"message.max.bytes", "frame_bytes_max"},
                               fmt::format("message.max.bytes={} is above frame_bytes_max={}: it could never arrive",
                                           topics->max_message_bytes, config.frame_bytes_max));
    }
    return {};
}

// The stronger one counts. In the order of the table afterwards.
void lay_over(SaidSettings& weaker, SaidSettings stronger) {
    for (BrokerConfig::Set& one : stronger) {
        const auto same = std::ranges::find(weaker, one.setting, &BrokerConfig::Set::setting);
        if (same != weaker.end()) {
            *same = std::move(one);
        } else {
            weaker.push_back(std::move(one));
        }
    }
    std::ranges::sort(weaker, {}, &BrokerConfig::Set::setting);
}

}  // namespace

std::span<const BrokerSetting> broker_settings() {
    static const auto all = [] {
        std::vector<BrokerSetting> settings;
        for (const Row& row : own_rows) { settings.push_back(row.setting); }
        for (const ConfigDefinition& topic : topic_config_definitions()) {
            if (*topic.broker_name == 0) { continue; }
            settings.push_back({topic.broker_name, topic.broker_name, topic.type,
                                has_larger_unit(topic.name) ? nullptr : topic.default_value, topic.bounds, topic.acts,
                                topic.help, topic.name});
        }
        for (const LargerUnit& unit : larger_units) { settings.push_back(unit.setting); }
        return settings;
    }();
    return all;
}

const BrokerSetting* find_broker_setting(std::string_view name) {
    if (name.empty()) { return nullptr; }
    for (const BrokerSetting& setting : broker_settings()) {
        if (name == setting.name || name == setting.kafka_name) { return &setting; }
    }
    return nullptr;
}

const BrokerSetting* nearest_broker_setting(std::string_view name) {
    // By a topic's name for it, or one that differs in dots only, or one a few letters off.
    std::vector<std::string> spaces;
    std::vector<const BrokerSetting*> owners;
    std::string space;
    const std::string wanted(folded(name, space));
    for (const BrokerSetting& setting : broker_settings()) {
        if (!name.empty() && name == setting.topic_config) { return &setting; }
        for (const char* candidate : {setting.name, setting.kafka_name}) {
            if (*candidate == 0) { continue; }
            spaces.emplace_back(folded(candidate, space));
            owners.push_back(&setting);
        }
    }
    const std::vector<std::string_view> names(spaces.begin(), spaces.end());
    const auto nearest = nearest_name(wanted, names);
    if (!nearest) { return nullptr; }
    return owners[static_cast<size_t>(std::ranges::find(names, *nearest) - names.begin())];
}

Result<BrokerConfig> parse_broker_config(const BrokerConfigInput& input) {
    BrokerConfig config;
    if (input.file) {
        TRY(auto of_file, settings_of_file(input.file_name, *input.file));
        lay_over(config.set, std::move(of_file));
    }
    TRY(auto of_environment, settings_of_environment(input.environment));
    lay_over(config.set, std::move(of_environment));
    TRY(auto of_flags, settings_of_flags(input.flags));
    lay_over(config.set, std::move(of_flags));
    TRY_VOID(apply(config));
    TRY_VOID(check_together(config));
    return config;
}

std::vector<BrokerConfigEntry> describe(const BrokerConfig& config) {
    std::vector<BrokerConfigEntry> entries;
    for (const BrokerSetting& setting : broker_settings()) {
        const BrokerConfig::Set* said = find_set(config, setting.name);
        BrokerConfigEntry& entry = entries.emplace_back();
        entry.name = *setting.kafka_name != 0 ? setting.kafka_name : setting.name;
        entry.setting = &setting;
        entry.source = said == nullptr ? BrokerConfigSource::built_in : said->source;
        if (said != nullptr) {
            entry.value = trim_config_text(said->value);
        } else if (setting.default_value != nullptr) {
            entry.value = setting.default_value;
        }
        const auto addresses = [&](const std::vector<HostPort>& all) {  // as Kafka's tools read them
            entry.value = "";
            for (const HostPort& at : all) {
                *entry.value += fmt::format("{}PLAINTEXT://{}", entry.value->empty() ? "" : ",", at.to_string());
            }
        };
        if (entry.name == "listeners") { addresses(config.listen); }
        if (entry.name == "advertised.listeners" && !config.advertised.empty()) { addresses(config.advertised); }
    }
    std::ranges::sort(entries, {}, &BrokerConfigEntry::name);
    return entries;
}

}  // namespace flowstone
