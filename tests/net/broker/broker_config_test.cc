#include "net/broker/broker_config.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/topic_config.h"
#include "net/broker/impl/config_sources.h"
#include "tests/paths.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::Pair;

Result<BrokerConfig> of_file(std::string text) {
    return parse_broker_config({.file_name = "f.toml", .file = std::move(text), .environment = {}, .flags = {}});
}
Result<BrokerConfig> of_flags(ConfigMap flags) {
    return parse_broker_config({.file_name = "", .file = {}, .environment = {}, .flags = std::move(flags)});
}
std::string detail(const Result<BrokerConfig>& config) { return config ? "none" : config.error().detail; }

TEST(BrokerConfig, WithoutAWordItListensToThisMachineOnly) {
    const BrokerConfig config = value_of(of_flags({}));
    EXPECT_EQ(config.listen, (std::vector<HostPort>{{"127.0.0.1", 9092}}));
    EXPECT_TRUE(config.advertised.empty());
    EXPECT_EQ(config.http, (HostPort{"127.0.0.1", 9644}));
    EXPECT_FALSE(config.insecure);
    EXPECT_THAT(config.data, ElementsAre("./flowstone-data"));
    EXPECT_EQ(config.node_id, 1);
    EXPECT_TRUE(config.topic_defaults.empty());
    EXPECT_TRUE(config.set.empty());
}

// The struct's initial values and the table's texts are written twice; this compares them.
TEST(BrokerConfig, EveryDefaultOfTheTableIsTheDefaultOfTheStruct) {
    ConfigMap all;
    for (const BrokerSetting& setting : broker_settings()) {
        if (setting.default_value != nullptr) { all.emplace_back(setting.name, setting.default_value); }
    }
    const auto parsed = of_flags(all);
    ASSERT_TRUE(parsed) << parsed.error().message();
    const BrokerConfig fresh = value_of(of_flags({}));
    EXPECT_EQ(parsed->listen, fresh.listen);
    EXPECT_EQ(parsed->advertised, fresh.advertised);
    EXPECT_EQ(parsed->http, fresh.http);
    EXPECT_EQ(parsed->insecure, fresh.insecure);
    EXPECT_EQ(parsed->data, fresh.data);
    EXPECT_EQ(parsed->node_id, fresh.node_id);
    EXPECT_EQ(parsed->rack, fresh.rack);
    EXPECT_EQ(parsed->threads, fresh.threads);
    EXPECT_EQ(parsed->journal_bytes_max, fresh.journal_bytes_max);
    EXPECT_EQ(parsed->dirty_bytes_max, fresh.dirty_bytes_max);
    EXPECT_EQ(parsed->tail_bytes_max, fresh.tail_bytes_max);
    EXPECT_EQ(parsed->reserve_bytes, fresh.reserve_bytes);
    EXPECT_EQ(parsed->connections_max, fresh.connections_max);
    EXPECT_EQ(parsed->connections_per_address_max, fresh.connections_per_address_max);
    EXPECT_EQ(parsed->connection_output_bytes_max, fresh.connection_output_bytes_max);
    EXPECT_EQ(parsed->connection_idle_ms_max, fresh.connection_idle_ms_max);
    EXPECT_EQ(parsed->requests_in_flight_max, fresh.requests_in_flight_max);
    EXPECT_EQ(parsed->request_memory_bytes_max, fresh.request_memory_bytes_max);
    EXPECT_EQ(parsed->frame_bytes_max, fresh.frame_bytes_max);
    EXPECT_EQ(parsed->frame_time_ms_max, fresh.frame_time_ms_max);
    EXPECT_EQ(parsed->frame_bytes_per_second_min, fresh.frame_bytes_per_second_min);
    EXPECT_EQ(parsed->create_topics_on_demand, fresh.create_topics_on_demand);
    EXPECT_EQ(parsed->delete_topics, fresh.delete_topics);
    EXPECT_EQ(parsed->partitions_default, fresh.partitions_default);
    EXPECT_EQ(parsed->fetch_bytes_max, fresh.fetch_bytes_max);
    EXPECT_EQ(parsed->described_partitions_max, fresh.described_partitions_max);
    const auto& groups = parsed->groups;
    EXPECT_EQ(groups.partitions, fresh.groups.partitions);
    EXPECT_EQ(groups.session_timeout_min_ms, fresh.groups.session_timeout_min_ms);
    EXPECT_EQ(groups.session_timeout_max_ms, fresh.groups.session_timeout_max_ms);
    EXPECT_EQ(groups.initial_rebalance_delay_ms, fresh.groups.initial_rebalance_delay_ms);
    EXPECT_EQ(groups.offset_metadata_length_max, fresh.groups.offset_metadata_length_max);
    EXPECT_EQ(groups.offsets_retention_ms, fresh.groups.offsets_retention_ms);
    EXPECT_EQ(groups.offsets_retention_check_ms, fresh.groups.offsets_retention_check_ms);
    EXPECT_EQ(groups.members_per_group_max, fresh.groups.members_per_group_max);
    EXPECT_EQ(groups.groups_max, fresh.groups.groups_max);
    EXPECT_EQ(groups.members_bytes_max, fresh.groups.members_bytes_max);
    EXPECT_EQ(groups.committed_offsets_max, fresh.groups.committed_offsets_max);
    EXPECT_EQ(parsed->fetch_sessions.sessions_max, fresh.fetch_sessions.sessions_max);
    EXPECT_EQ(parsed->fetch_sessions.partitions_max, fresh.fetch_sessions.partitions_max);
    EXPECT_EQ(parsed->fetch_sessions.bytes_max, fresh.fetch_sessions.bytes_max);
    const TopicConfig topics = value_of(TopicConfig::parse({}, parsed->topic_defaults));
    EXPECT_EQ(topics.retention_ms, TopicConfig{}.retention_ms);
    EXPECT_EQ(topics.segment_ms, TopicConfig{}.segment_ms);
}

// The bounds are written twice, too: for people and for the parser.
TEST(BrokerConfig, NumbersAreHeldToTheBoundsThatAreWritten) {
    const auto with = [](const BrokerSetting& setting, int64_t value) {
        ConfigMap flags{{setting.name, std::to_string(value)}};
        // What must not contradict it.
        for (const auto& [name, other] : ConfigMap{{"message.max.bytes", "0"},
                                                   {"group.min.session.timeout.ms", "1"},
                                                   {"group.max.session.timeout.ms", "2147483647"}}) {
            if (name != setting.name) { flags.emplace_back(name, other); }
        }
        return of_flags(flags);
    };
    size_t checked = 0;
    for (const BrokerSetting& setting : broker_settings()) {
        const std::string bounds = setting.bounds;
        const bool is_number = setting.type == ConfigType::int32 || setting.type == ConfigType::int64;
        if (!is_number || !bounds.starts_with('[') || bounds.find("or") != std::string::npos) { continue; }
        int64_t low = 0;
        std::from_chars(bounds.data() + 1, bounds.data() + bounds.size(), low);
        int64_t high = setting.type == ConfigType::int32 ? INT32_MAX : INT64_MAX;
        const size_t last = bounds.rfind(',') + 1;
        if (bounds[last] != '.') { std::from_chars(bounds.data() + last, bounds.data() + bounds.size(), high); }
        EXPECT_TRUE(with(setting, low)) << setting.name << ": " << detail(with(setting, low));
        if (std::string_view(setting.name) != "message.max.bytes") {  // that much could not arrive
            EXPECT_TRUE(with(setting, high)) << setting.name << ": " << detail(with(setting, high));
        }
        EXPECT_FALSE(with(setting, low - 1)) << setting.name;
        if (high < INT64_MAX) { EXPECT_FALSE(with(setting, high + 1)) << setting.name; }
        EXPECT_FALSE(of_flags({{setting.name, "9223372036854775808"}})) << setting.name;
        EXPECT_FALSE(of_flags({{setting.name, "many"}})) << setting.name;
        ++checked;
    }
    EXPECT_GT(checked, 50u);
}

TEST(BrokerConfig, AFileSpeaksInQuotesOrInTables) {
    const auto config = of_file(R"(
# a broker for everybody in this house
listen = ["0.0.0.0:9092", "[::]:9093"]
advertised_listeners = "kafka.house:9092, kafka.house:9093"
insecure = true
data = "/var/lib/flowstone"
node.id = 7
"max.connections" = 500
"max.connections.per.ip" = 50
delete.topic.enable = false
compression.type = "zstd"

[log]
retention.hours = 24
"cleanup.policy" = ["compact", "delete"]

[log.cleaner]
min.cleanable.ratio = 0.25
)");
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(config->listen, (std::vector<HostPort>{{"0.0.0.0", 9092}, {"::", 9093}}));
    EXPECT_EQ(config->advertised, (std::vector<HostPort>{{"kafka.house", 9092}, {"kafka.house", 9093}}));
    EXPECT_TRUE(config->insecure);
    EXPECT_THAT(config->data, ElementsAre("/var/lib/flowstone"));
    EXPECT_EQ(config->node_id, 7);
    EXPECT_EQ(config->connections_max, 500u);
    EXPECT_EQ(config->connections_per_address_max, 50u);
    EXPECT_FALSE(config->delete_topics);
    EXPECT_THAT(config->topic_defaults,
                ElementsAre(Pair("cleanup.policy", "compact,delete"), Pair("compression.type", "zstd"),
                            Pair("min.cleanable.dirty.ratio", "0.25"), Pair("retention.ms", "86400000")));
    const auto topics = TopicConfig::parse({}, config->topic_defaults);
    ASSERT_TRUE(topics) << topics.error().message();
    EXPECT_TRUE(topics->cleanup_policy.compact && topics->cleanup_policy.delete_old);
    EXPECT_EQ(topics->compression, Codec::zstd);
}

TEST(BrokerConfig, SeveralDirectoriesAreSaidAsKafkaSaysThemAsAListOrByAFlagEach) {
    for (const std::string file : {"log.dirs = '/a, /b'", "data = ['/a', '/b']", "log.dirs = ['/a', '/b']"}) {
        const auto config = parse_broker_config({.file_name = "f.toml", .file = file, .environment = {}, .flags = {}});
        ASSERT_TRUE(config) << config.error().message();
        EXPECT_THAT(config->data, ElementsAre("/a", "/b")) << file;
    }
    const auto flags = parse_broker_config(
        {.file_name = "f.toml", .file = "data = '/c'", .environment = {}, .flags = {{"data", "/a"}, {"data", "/b"}}});
    ASSERT_TRUE(flags) << flags.error().message();
    EXPECT_THAT(flags->data, ElementsAre("/a", "/b"));
}

TEST(BrokerConfig, FlagsCountBeforeTheEnvironmentAndThatBeforeTheFile) {
    BrokerConfigInput input{.file_name = "f.toml",
                            .file = "num.partitions = 2\nnode_id = 2\nbroker.rack = \"two\"\ndata = \"two\"\n",
                            .environment = {{"FLOWSTONED_NUM_PARTITIONS", "3"},
                                            {"FLOWSTONED_NODE_ID", "3"},
                                            {"FLOWSTONED_BROKER_RACK", "three"},
                                            {"FLOWSTONED_DATA", " "},
                                            {"FLOWSTONED_CONFIG", "f.toml"},
                                            {"HOME", "/"}},
                            .flags = {{"num.partitions", "4"}, {"node.id", "4"}}};
    const auto config = parse_broker_config(input);
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(config->partitions_default, 4);
    EXPECT_EQ(config->node_id, 4);
    EXPECT_EQ(config->rack, "three");
    EXPECT_THAT(config->data, ElementsAre("two")) << "a variable that is empty says nothing";
    std::vector<std::string> said;
    for (const auto& set : config->set) {
        said.push_back(fmt::format("{}={} {}", set.setting->name, set.value, set.where));
    }
    EXPECT_THAT(said, ElementsAre("data=two f.toml:4", "node_id=4 --node.id",
                                  "broker.rack=three FLOWSTONED_BROKER_RACK", "num.partitions=4 --num.partitions"));
}

TEST(BrokerConfig, AListMayBeSaidByOneFlagOrByMany) {
    const auto config = of_flags({{"listen", "127.0.0.1:1,127.0.0.1:2"}, {"listeners", "PLAINTEXT://[::1]:3"}});
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(config->listen, (std::vector<HostPort>{{"127.0.0.1", 1}, {"127.0.0.1", 2}, {"::1", 3}}));
    EXPECT_TRUE(config->advertised.empty());
    EXPECT_FALSE(of_flags({{"node_id", "1"}, {"node.id", "1"}}));
}

TEST(BrokerConfig, WhatIsWrongIsSaidWithItsPlace) {
    const struct {
        const char* file;
        const char* said;
    } wrong[] = {
        {"\nnum.partition = 3", "f.toml:2: there is no setting num.partition, the nearest is num.partitions"},
        {"[log]\nretention.ms = 1\nretention.mss = 1",
         "f.toml:3: there is no setting log.retention.mss, the nearest is log.retention.ms"},
        {"retention.ms = 1", "f.toml:1: there is no setting retention.ms, the nearest is log.retention.ms"},
        {"log.dir = '/tmp'", "f.toml:1: there is no setting log.dir, the nearest is data"},
        {"zookeeper.connect = 'x'", "f.toml:1: there is no setting zookeeper.connect"},
        {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r = 1", "f.toml:1: there is no setting a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q"},
        {"node_id = 1\n'node.id' = 1", "f.toml:2: node_id is said twice, also at f.toml:1"},
        {"log.retention.ms = 1\n'log.retention.ms' = 1", "f.toml:2: log.retention.ms is said twice, also at f.toml:1"},
        {"num.partitions = 0", "f.toml:1: num.partitions=0: must be INT [1,...,100000]"},
        {"num.partitions = 'many'", "f.toml:1: num.partitions=many: must be INT [1,...,100000]"},
        {"num.partitions = 1.5", "f.toml:1: num.partitions=1.5: must be INT [1,...,100000]"},
        {"num.partitions = [1]", "f.toml:1: num.partitions takes one value, not a list"},
        {"num.partitions = 1979-05-27", "f.toml:1: num.partitions must be a text, a number, true or false"},
        {"listen = [['127.0.0.1:1']]", "f.toml:1: listen must be a text, a number, true or false, or a list"},
        {"listen = ['127.0.0.1:1,127.0.0.1:2']", "f.toml:1: listen must be a text, a number, true or false, or a list"},
        {"log.cleanup.policy = 'shred'", "f.toml:1: log.cleanup.policy=shred: must be LIST [compact, delete]"},
        {"listen = []", "f.toml:1: listen=: needs an address"},
        {"listen = 'here'", "f.toml:1: listen=here: must be host:port"},
        {"listen = '10.0.0.1:9092'",
         "f.toml:1: listen=10.0.0.1:9092 can be reached by other machines, which needs insecure=true"},
        {"http = '0.0.0.0:9644'",
         "f.toml:1: http=0.0.0.0:9644 can be reached by other machines, which needs insecure=true"},
        {"insecure = true\nlisten = ':9092'\nadvertised_listeners = '0.0.0.0:9092'",
         "f.toml:3: no client can connect to 0.0.0.0:9092"},
        {"advertised_listeners = 'x:0'", "f.toml:1: no client can connect to x:0"},
        {"advertised_listeners = ['x:1', 'y:1']", "f.toml:1: advertised_listeners has 2 addresses, listen has 1"},
        {"listen = ['[::1]:1', '[::1]:1']", "f.toml:1: listen=[::1]:1 is said twice"},
        {"http = '127.0.0.1:9092'", "f.toml:1: http and listen are both 127.0.0.1:9092"},
        {"data = ''", "f.toml:1: data=: must be the path of a directory"},
        {"data = '/a,/b,/a'", "f.toml:1: data=/a,/b,/a: /a is said twice"},
        {"group.min.session.timeout.ms = 1800001",
         "f.toml:1: group.min.session.timeout.ms=1800001 is above group.max.session.timeout.ms=1800000"},
        {"log.cleaner.min.compaction.lag.ms = 2\nlog.cleaner.max.compaction.lag.ms = 1",
         "f.toml:1: min.compaction.lag.ms=2: is above max.compaction.lag.ms=1"},
        {"frame_bytes_max = 4096",
         "f.toml:1: message.max.bytes=1048588 is above frame_bytes_max=4096: it could never arrive"},
    };
    for (const auto& one : wrong) {
        const auto config = of_file(one.file);
        EXPECT_EQ(detail(config), one.said) << one.file;
        if (!config) { EXPECT_EQ(config.error().code, Code::invalid); }
    }
    const auto no_toml = of_file("node_id = 1\nnode_id 2\n");
    EXPECT_TRUE(detail(no_toml).starts_with("f.toml:2: no TOML: ")) << detail(no_toml);

    const auto flag = of_flags({{"no-such-thing-at-all", "1"}});
    EXPECT_EQ(detail(flag), "--no-such-thing-at-all: there is no setting no-such-thing-at-all");
    const auto near =
        parse_broker_config({.file_name = "", .file = {}, .environment = {{"FLOWSTONED_NODEID", "1"}}, .flags = {}});
    EXPECT_EQ(detail(near), "FLOWSTONED_NODEID: there is no setting nodeid, the nearest is node_id");
}

TEST(BrokerConfig, ALongPathLeavesRoomForWhatIsWrong) {
    const std::string path = "/" + std::string(300, 'd') + "/flowstoned.toml";
    const auto config =
        parse_broker_config({.file_name = path, .file = "num.partitions = 0", .environment = {}, .flags = {}});
    EXPECT_TRUE(detail(config).ends_with("d/flowstoned.toml:1: num.partitions=0: must be INT [1,...,100000]"))
        << detail(config);
}

TEST(BrokerConfig, FilesAreBounded) {
    EXPECT_TRUE(of_file("#" + std::string(broker_config_line_bytes_max - 1, 'x')));
    EXPECT_EQ(detail(of_file("\n#" + std::string(broker_config_line_bytes_max, 'x'))),
              "f.toml:2: a line has at most 4096 bytes");
    std::string large;
    while (large.size() <= broker_config_file_bytes_max) { large += "# and so on\n"; }
    const auto config = of_file(large);
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().code, Code::too_large);
    // As deep as a line can go.
    std::string deep = "a";
    while (deep.size() < broker_config_line_bytes_max - 10) { deep += ".a"; }
    EXPECT_FALSE(of_file(deep + " = 1"));
    EXPECT_FALSE(of_file("[" + deep + "]\n" + deep + " = 1"));
    EXPECT_FALSE(of_file("a = " + std::string(4000, '[')));
    std::string many = "listen = [";
    for (size_t i = 0; i <= listeners_max; ++i) { many += fmt::format("'127.0.0.1:{}',\n", i + 1); }
    EXPECT_FALSE(of_file(many + "]"));
}

TEST(BrokerConfig, ListenersThatAreNotReachableNeedNoWord) {
    const auto config = of_flags({{"listen", "localhost:0"}, {"http", "off"}});
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_FALSE(config->http);
    const auto open = of_flags({{"listen", "0.0.0.0:9092"},
                                {"advertised.listeners", "PLAINTEXT://10.0.0.1:19092"},
                                {"insecure", "true"},
                                {"http", ":9644"}});
    ASSERT_TRUE(open) << open.error().message();
    EXPECT_EQ(open->advertised, (std::vector<HostPort>{{"10.0.0.1", 19092}}));
}

TEST(BrokerConfig, OfTimesTheSmallestUnitThatIsSaidCounts) {
    const auto retention = [](ConfigMap flags) {
        const BrokerConfig config = value_of(of_flags(std::move(flags)));
        return value_of(TopicConfig::parse({}, config.topic_defaults)).retention_ms;
    };
    EXPECT_EQ(retention({}), 168 * 3'600'000);
    EXPECT_EQ(retention({{"log.retention.hours", "2"}}), 7'200'000);
    EXPECT_EQ(retention({{"log.retention.hours", "2"}, {"log.retention.minutes", "3"}}), 180'000);
    EXPECT_EQ(retention({{"log.retention.ms", "4"}, {"log.retention.hours", "2"}, {"log.retention.minutes", "3"}}), 4);
    EXPECT_EQ(retention({{"log.retention.hours", "-1"}}), -1);
    EXPECT_EQ(retention({{"log.retention.hours", "2147483647"}}), int64_t{2147483647} * 3'600'000);
    EXPECT_EQ(retention({{"log.retention.ms", "9223372036854775807"}}), INT64_MAX);
    const BrokerConfig rolls = value_of(of_flags({{"log.roll.hours", "1"}, {"log.roll.jitter.hours", "1"}}));
    EXPECT_THAT(rolls.topic_defaults, ElementsAre(Pair("segment.jitter.ms", "3600000"), Pair("segment.ms", "3600000")));
}

TEST(BrokerConfig, DescribeTellsEverySettingByKafkasName) {
    const BrokerConfig config = value_of(of_flags(
        {{"node_id", "7"}, {"insecure", "true"}, {"listen", ":9092"}, {"advertised_listeners", "kafka.house:9092"}}));
    const auto entries = describe(config);
    EXPECT_EQ(entries.size(), broker_settings().size());
    EXPECT_TRUE(std::ranges::is_sorted(entries, {}, &BrokerConfigEntry::name));
    const auto of = [&](std::string_view name) {
        const auto found = std::ranges::find(entries, name, &BrokerConfigEntry::name);
        EXPECT_NE(found, entries.end()) << name;
        return fmt::format("{} {}", found->value.value_or("null"), static_cast<int>(found->source));
    };
    EXPECT_EQ(of("node.id"), "7 3");
    EXPECT_EQ(of("listeners"), "PLAINTEXT://:9092 3");
    EXPECT_EQ(of("advertised.listeners"), "PLAINTEXT://kafka.house:9092 3");
    EXPECT_EQ(of("log.retention.hours"), "168 0");
    EXPECT_EQ(of("log.retention.ms"), "null 0");
    EXPECT_EQ(of("broker.rack"), "null 0");
    EXPECT_EQ(of("message.max.bytes"), "1048588 0");
    EXPECT_EQ(of("log.segment.bytes"), "1073741824 0");
    EXPECT_EQ(of("request_memory_bytes_max"), "268435456 0");
}

TEST(BrokerConfig, NamesAreDistinctInEveryPlace) {
    std::set<std::string> names;
    std::set<std::string> variables;
    for (const BrokerSetting& setting : broker_settings()) {
        const std::set<std::string> own{setting.name, *setting.kafka_name != 0 ? setting.kafka_name : setting.name};
        std::set<std::string> own_variables;
        for (const std::string& name : own) {
            EXPECT_TRUE(names.insert(name).second) << name;
            EXPECT_EQ(find_broker_setting(name), &setting);
            own_variables.insert(environment_name(name));
        }
        for (const std::string& variable : own_variables) {
            EXPECT_TRUE(variables.insert(variable).second) << variable;
        }
        const std::string_view help = setting.help;
        EXPECT_TRUE(help.ends_with('.') && help.find(". ") == std::string_view::npos) << setting.name;
        EXPECT_LE(help.size(), 110u) << setting.name;
    }
    EXPECT_TRUE(variables.contains("FLOWSTONED_LOG_RETENTION_MS"));
    EXPECT_FALSE(variables.contains("FLOWSTONED_CONFIG"));
}

// Whatever a file holds, it is read or refused.
TEST(BrokerConfig, NoFileIsTooStrange) {
    const std::string good =
        "listen = ['127.0.0.1:9092']\nnode.id = 7\n[log]\nretention.hours = 24\n\"roll.ms\" = 5\n"
        "cleanup.policy = \"compact\"\nroll = { jitter = { ms = 1 } }\n";
    SimRandom random(7);
    size_t read = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::string text = good;
        for (uint64_t n = 1 + random.below(4); n > 0; --n) {
            const size_t at = random.below(text.size());
            switch (random.below(3)) {
                case 0: text[at] = static_cast<char>(random.below(256)); break;
                case 1: text.erase(at, 1 + random.below(40)); break;
                default: text.insert(at, good.substr(random.below(good.size()), random.below(20)));
            }
            if (text.empty()) { break; }
        }
        const auto config = of_file(text);
        if (config) {
            ++read;
        } else {
            ASSERT_EQ(config.error().code, Code::invalid);
            ASSERT_NE(config.error().detail[0], '\0');
        }
    }
    EXPECT_GT(read, 100u);
}

TEST(BrokerConfig, ThePageListsThemAsTheyAre) {
    std::ifstream page(source_path("docs/CONFIGS.md"));
    ASSERT_TRUE(page);
    std::vector<std::string> rows;
    bool in_section = false;
    for (std::string line; std::getline(page, line);) {
        if (line.starts_with("## ")) { in_section = line == "## Broker settings"; }
        if (in_section && line.starts_with("| `")) { rows.push_back(line); }
    }
    std::vector<std::string> expected;
    for (const BrokerSetting& setting : broker_settings()) {
        const std::string_view name = setting.name;
        const std::string_view kafka = setting.kafka_name;
        const std::string_view value = setting.default_value == nullptr ? "none" : setting.default_value;
        expected.push_back(fmt::format(
            "| `{}`{} | {} | {} | {} | {} |", name, kafka.empty() || kafka == name ? "" : fmt::format(", `{}`", kafka),
            value.empty() ? "empty" : value, *setting.bounds != 0 ? setting.bounds : flowstone::name(setting.type),
            setting.acts ? "acts" : "kept", setting.help));
    }
    EXPECT_THAT(rows, testing::ElementsAreArray(expected));
}

}  // namespace
}  // namespace flowstone
