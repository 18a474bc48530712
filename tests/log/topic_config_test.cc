#include "log/topic_config.h"

#include <algorithm>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/paths.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

Result<TopicConfig> parse_one(std::string name, std::string value) {
    return TopicConfig::parse({{std::move(name), std::move(value)}});
}

TEST(TopicConfig, DefaultsAreKafkas) {
    const auto config = TopicConfig::parse({});
    ASSERT_TRUE(config);
    EXPECT_EQ(config->retention_ms, int64_t{7} * 24 * 3600 * 1000);
    EXPECT_EQ(config->retention_bytes, -1);
    EXPECT_EQ(config->segment_bytes, 1024 * 1024 * 1024);
    EXPECT_EQ(config->timestamp_after_max_ms, 3'600'000);
    EXPECT_TRUE(config->cleanup_policy.delete_old);
    EXPECT_FALSE(config->cleanup_policy.compact);
    EXPECT_FALSE(config->compression.has_value());
    EXPECT_EQ(config->durability, Durability::durable);
    EXPECT_EQ(config->seal, SealKind::none);
    EXPECT_TRUE(config->set.empty());
}

// The struct's initial values and the table's texts are written twice; this compares them.
TEST(TopicConfig, EveryDefaultOfTheTableParsesToTheDefaultOfTheStruct) {
    ConfigMap all;
    for (const ConfigDefinition& definition : topic_config_definitions()) {
        if (!definition.hidden) { all.emplace_back(definition.name, definition.default_value); }
    }
    const auto parsed = TopicConfig::parse(all);
    ASSERT_TRUE(parsed) << parsed.error().message();
    const TopicConfig fresh;
    EXPECT_EQ(parsed->retention_ms, fresh.retention_ms);
    EXPECT_EQ(parsed->retention_bytes, fresh.retention_bytes);
    EXPECT_EQ(parsed->segment_bytes, fresh.segment_bytes);
    EXPECT_EQ(parsed->segment_ms, fresh.segment_ms);
    EXPECT_EQ(parsed->cleanup_policy, fresh.cleanup_policy);
    EXPECT_EQ(parsed->min_cleanable_dirty_ratio, fresh.min_cleanable_dirty_ratio);
    EXPECT_EQ(parsed->delete_retention_ms, fresh.delete_retention_ms);
    EXPECT_EQ(parsed->min_compaction_lag_ms, fresh.min_compaction_lag_ms);
    EXPECT_EQ(parsed->max_compaction_lag_ms, fresh.max_compaction_lag_ms);
    EXPECT_EQ(parsed->max_message_bytes, fresh.max_message_bytes);
    EXPECT_EQ(parsed->timestamp_type, fresh.timestamp_type);
    EXPECT_EQ(parsed->timestamp_before_max_ms, fresh.timestamp_before_max_ms);
    EXPECT_EQ(parsed->timestamp_after_max_ms, fresh.timestamp_after_max_ms);
    EXPECT_EQ(parsed->compression, fresh.compression);
    EXPECT_EQ(parsed->durability, fresh.durability);
    EXPECT_EQ(parsed->seal, fresh.seal);
}

TEST(TopicConfig, KnowsEveryTopicConfigOfKafka) {
    // What LogConfig.configKeys() of Kafka 4.3.0 lists.
    const std::set<std::string> kafkas = {"cleanup.policy",
                                          "compression.gzip.level",
                                          "compression.lz4.level",
                                          "compression.type",
                                          "compression.zstd.level",
                                          "delete.retention.ms",
                                          "file.delete.delay.ms",
                                          "flush.messages",
                                          "flush.ms",
                                          "follower.replication.throttled.replicas",
                                          "index.interval.bytes",
                                          "leader.replication.throttled.replicas",
                                          "local.retention.bytes",
                                          "local.retention.ms",
                                          "max.compaction.lag.ms",
                                          "max.message.bytes",
                                          "message.timestamp.after.max.ms",
                                          "message.timestamp.before.max.ms",
                                          "message.timestamp.type",
                                          "min.cleanable.dirty.ratio",
                                          "min.compaction.lag.ms",
                                          "min.insync.replicas",
                                          "preallocate",
                                          "remote.log.copy.disable",
                                          "remote.log.delete.on.disable",
                                          "remote.storage.enable",
                                          "retention.bytes",
                                          "retention.ms",
                                          "segment.bytes",
                                          "segment.index.bytes",
                                          "segment.jitter.ms",
                                          "segment.ms",
                                          "unclean.leader.election.enable"};
    std::set<std::string> others;
    for (const ConfigDefinition& definition : topic_config_definitions()) {
        if (!kafkas.contains(definition.name)) { others.insert(definition.name); }
    }
    EXPECT_EQ(others, (std::set<std::string>{"flowstone.copied.from", "flowstone.durability", "flowstone.seal",
                                             "internal.segment.bytes"}));
    for (const std::string& name : kafkas) { EXPECT_NE(find_topic_config(name), nullptr) << name; }
    EXPECT_EQ(find_topic_config("retention"), nullptr);
    EXPECT_EQ(find_topic_config(""), nullptr);
    EXPECT_EQ(find_topic_config("zzz"), nullptr);
    for (const ConfigDefinition& definition : topic_config_definitions()) {
        EXPECT_EQ(find_topic_config(definition.name), &definition);
    }
}

TEST(TopicConfig, RetentionUpToTheEndOfTimeIsKept) {
    const auto config = parse_one("retention.ms", "9223372036854775807");
    ASSERT_TRUE(config);
    EXPECT_EQ(config->retention_ms, INT64_MAX);
    EXPECT_FALSE(parse_one("retention.ms", "9223372036854775808"));
    EXPECT_EQ(value_of(parse_one("retention.ms", "-1")).retention_ms, -1);
    EXPECT_FALSE(parse_one("retention.ms", "-2"));
}

// One below, at, and above each bound that Kafka's LogConfig sets.
TEST(TopicConfig, BoundsHoldFromBothSides) {
    const struct {
        const char* name;
        const char* lowest;
        const char* below;
        const char* highest;
        const char* above;
    } bounds[] = {
        {"segment.bytes", "1048576", "1048575", "2147483647", "2147483648"},
        {"segment.ms", "1", "0", "9223372036854775807", "9223372036854775808"},
        {"max.message.bytes", "0", "-1", "2147483647", "2147483648"},
        {"index.interval.bytes", "0", "-1", "2147483647", "2147483648"},
        {"segment.index.bytes", "4", "3", "2147483647", "2147483648"},
        {"min.insync.replicas", "1", "0", "2147483647", "2147483648"},
        {"max.compaction.lag.ms", "1", "0", "9223372036854775807", "9223372036854775808"},
        {"delete.retention.ms", "0", "-1", "9223372036854775807", "9223372036854775808"},
        {"message.timestamp.after.max.ms", "0", "-1", "9223372036854775807", "9223372036854775808"},
        {"message.timestamp.before.max.ms", "0", "-1", "9223372036854775807", "9223372036854775808"},
        {"file.delete.delay.ms", "0", "-1", "9223372036854775807", "9223372036854775808"},
        {"flush.messages", "1", "0", "9223372036854775807", "9223372036854775808"},
        {"flush.ms", "0", "-1", "9223372036854775807", "9223372036854775808"},
        {"local.retention.ms", "-2", "-3", "9223372036854775807", "9223372036854775808"},
        {"local.retention.bytes", "-2", "-3", "9223372036854775807", "9223372036854775808"},
        {"compression.gzip.level", "-1", "-2", "9", "10"},
        {"compression.lz4.level", "1", "0", "17", "18"},
        {"compression.zstd.level", "-131072", "-131073", "22", "23"},
        {"min.cleanable.dirty.ratio", "0", "-0.001", "1", "1.001"},
    };
    for (const auto& bound : bounds) {
        EXPECT_TRUE(parse_one(bound.name, bound.lowest)) << bound.name;
        EXPECT_TRUE(parse_one(bound.name, bound.highest)) << bound.name;
        EXPECT_FALSE(parse_one(bound.name, bound.below)) << bound.name;
        EXPECT_FALSE(parse_one(bound.name, bound.above)) << bound.name;
    }
    EXPECT_FALSE(parse_one("compression.gzip.level", "0"));
    EXPECT_TRUE(parse_one("compression.gzip.level", "1"));
}

TEST(TopicConfig, PoliciesCombineAndMayBeEmpty) {
    const auto policy = [](const char* text) { return value_of(parse_one("cleanup.policy", text)).cleanup_policy; };
    EXPECT_EQ(policy("delete"), (CleanupPolicy{.delete_old = true, .compact = false}));
    EXPECT_EQ(policy("compact"), (CleanupPolicy{.delete_old = false, .compact = true}));
    EXPECT_EQ(policy("compact, delete"), (CleanupPolicy{.delete_old = true, .compact = true}));
    EXPECT_EQ(policy(" compact , delete "), (CleanupPolicy{.delete_old = true, .compact = true}));
    EXPECT_EQ(policy("delete,delete"), (CleanupPolicy{.delete_old = true, .compact = false}));
    EXPECT_EQ(policy(""), (CleanupPolicy{.delete_old = false, .compact = false}));
    for (const char* bad : {"keep", "delete,", ",delete", "delete;compact", "Delete"}) {
        EXPECT_FALSE(parse_one("cleanup.policy", bad)) << bad;
    }
}

TEST(TopicConfig, CodecsByKafkasNames) {
    EXPECT_EQ(value_of(parse_one("compression.type", "uncompressed")).compression, Codec::none);
    EXPECT_EQ(value_of(parse_one("compression.type", "gzip")).compression, Codec::gzip);
    EXPECT_EQ(value_of(parse_one("compression.type", "snappy")).compression, Codec::snappy);
    EXPECT_EQ(value_of(parse_one("compression.type", "lz4")).compression, Codec::lz4);
    EXPECT_EQ(value_of(parse_one("compression.type", "zstd")).compression, Codec::zstd);
    EXPECT_EQ(value_of(parse_one("compression.type", "producer")).compression, std::nullopt);
    EXPECT_FALSE(parse_one("compression.type", "none"));
}

TEST(TopicConfig, OurOwnNames) {
    EXPECT_EQ(value_of(parse_one("flowstone.durability", "written")).durability, Durability::written);
    EXPECT_EQ(value_of(parse_one("flowstone.durability", "memory")).durability, Durability::memory);
    EXPECT_FALSE(parse_one("flowstone.durability", "safe"));
    EXPECT_EQ(value_of(parse_one("flowstone.seal", "sha256")).seal, SealKind::sha256);
    EXPECT_FALSE(parse_one("flowstone.seal", "md5"));
    EXPECT_FALSE(parse_one("flowstone.unknown", "1"));
}

TEST(TopicConfig, ErrorsNameKeyAndValue) {
    const auto unknown = parse_one("retention.mss", "5");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Code::invalid);
    EXPECT_EQ(std::string(unknown.error().detail),
              "retention.mss=5: there is no such topic config, the nearest is retention.ms");
    const auto bad = parse_one("retention.ms", "a week");
    ASSERT_FALSE(bad);
    EXPECT_EQ(std::string(bad.error().detail), "retention.ms=a week: must be LONG [-1,...]");
    EXPECT_FALSE(TopicConfig::parse({{"retention.ms", "1"}, {"retention.ms", "1"}}));
}

TEST(TopicConfig, NumbersAndWordsAsJavaReadsThem) {
    EXPECT_EQ(value_of(parse_one("retention.ms", " +5 ")).retention_ms, 5);
    for (const char* bad : {"", " ", "5 5", "0x5", "5.0", "++5", "+-1", "+", "5ms", "NaN"}) {
        EXPECT_FALSE(parse_one("retention.ms", bad)) << bad;
    }
    EXPECT_TRUE(parse_one("preallocate", "TRUE"));
    EXPECT_TRUE(parse_one("preallocate", " false"));
    EXPECT_FALSE(parse_one("preallocate", "yes"));
    for (const char* bad : {"nan", "inf", "", "half", "0.5x"}) {
        EXPECT_FALSE(parse_one("min.cleanable.dirty.ratio", bad)) << bad;
    }
}

TEST(TopicConfig, ThrottledReplicasArePairsOrAStar) {
    for (const char* good : {"", "*", "0:1", "0:1,1:2", "0:1,"}) {
        EXPECT_TRUE(parse_one("leader.replication.throttled.replicas", good)) << good;
    }
    for (const char* bad : {"*,0:1", "0", "0:", ":1", "a:1", ",", ",0:1", "-1:2"}) {
        EXPECT_FALSE(parse_one("leader.replication.throttled.replicas", bad)) << bad;
    }
}

TEST(TopicConfig, LagsMustNotContradictEachOther) {
    EXPECT_TRUE(TopicConfig::parse({{"min.compaction.lag.ms", "5"}, {"max.compaction.lag.ms", "5"}}));
    EXPECT_FALSE(TopicConfig::parse({{"min.compaction.lag.ms", "6"}, {"max.compaction.lag.ms", "5"}}));
}

TEST(TopicConfig, ThereIsNoRemoteStorageToEnable) {
    EXPECT_TRUE(parse_one("remote.storage.enable", "false"));
    EXPECT_FALSE(parse_one("remote.storage.enable", "true"));
}

TEST(TopicConfig, TestsMayHaveSmallSegments) {
    const auto config = TopicConfig::parse({{"internal.segment.bytes", "4096"}, {"segment.bytes", "2097152"}});
    ASSERT_TRUE(config);
    EXPECT_EQ(config->segment_bytes, 4096);
}

TEST(TopicConfig, ACompactedSegmentIsRolledInTimeForItsLag) {
    EXPECT_EQ(value_of(TopicConfig::parse({{"segment.ms", "100"}, {"max.compaction.lag.ms", "50"}})).roll_ms(), 100);
    EXPECT_EQ(value_of(TopicConfig::parse(
                           {{"cleanup.policy", "compact"}, {"segment.ms", "100"}, {"max.compaction.lag.ms", "50"}}))
                  .roll_ms(),
              50);
}

TEST(TopicConfig, DescribeListsEveryConfigAndWhatIsSet) {
    const auto config = TopicConfig::parse({{"retention.ms", "-1"}, {"min.insync.replicas", "2"}});
    ASSERT_TRUE(config);
    const auto entries = describe(*config);
    const auto hidden = std::ranges::count_if(topic_config_definitions(), &ConfigDefinition::hidden);
    EXPECT_EQ(entries.size() + static_cast<size_t>(hidden), topic_config_definitions().size());
    EXPECT_TRUE(std::ranges::is_sorted(
        entries, {}, [](const ConfigEntry& entry) { return std::string_view(entry.definition->name); }));
    for (const ConfigEntry& entry : entries) {
        const std::string_view name = entry.definition->name;
        const bool is_set = name == "retention.ms" || name == "min.insync.replicas";
        EXPECT_EQ(entry.source, is_set ? ConfigSource::topic : ConfigSource::built_in) << name;
        if (name == "retention.ms") { EXPECT_EQ(entry.value, "-1"); }
        if (name == "min.insync.replicas") {
            EXPECT_EQ(entry.value, "2");
            EXPECT_TRUE(entry.definition->acts);
        }
        if (name == "preallocate") { EXPECT_FALSE(entry.definition->acts); }
        if (name == "segment.ms") { EXPECT_EQ(entry.value, "604800000"); }
    }
}

TEST(TopicConfig, WhatWasMeantIsNamed) {
    const auto meant = [](std::string_view name) {
        const ConfigDefinition* definition = nearest_topic_config(name);
        return definition == nullptr ? std::string("nothing") : std::string(definition->name);
    };
    EXPECT_EQ(meant("retention.msec"), "retention.ms");
    EXPECT_EQ(meant("retetnion.ms"), "retention.ms");
    EXPECT_EQ(meant("cleanup_policy"), "cleanup.policy");
    EXPECT_EQ(meant("message.max.bytes"), "max.message.bytes") << "as brokers call it";
    EXPECT_EQ(meant("log.roll.ms"), "segment.ms") << "as brokers call it";
    EXPECT_EQ(meant("flowstone.durable"), "flowstone.durability");
    for (const char* far : {"", "x", "zzz", "bootstrap.servers", "internal.segment.byte"}) {
        EXPECT_EQ(meant(far), "nothing") << far;
    }
    EXPECT_EQ(meant(std::string(100'000, 'x')), "nothing");
    EXPECT_EQ(meant(std::string(80, 'x')), "nothing");
    const auto nothing_like_it = parse_one(std::string(300, 'x'), std::string(300, 'y'));
    ASSERT_FALSE(nothing_like_it);
    EXPECT_TRUE(std::string(nothing_like_it.error().detail).ends_with("there is no such topic config"));
}

TEST(TopicConfig, ATopicTakesTheBrokersDefaultWhereItSaysNothing) {
    const ConfigMap broker = {{"segment.ms", "100"}, {"retention.ms", "3600000"}, {"cleanup.policy", "compact"}};
    const auto config = TopicConfig::parse({{"retention.ms", "-1"}}, broker);
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(config->retention_ms, -1);
    EXPECT_EQ(config->segment_ms, 100);
    EXPECT_TRUE(config->cleanup_policy.compact);
    EXPECT_FALSE(config->cleanup_policy.delete_old);
    EXPECT_EQ(config->set, (ConfigMap{{"retention.ms", "-1"}}));

    EXPECT_FALSE(TopicConfig::parse({}, {{"retention.ms", "-2"}})) << "a broker's defaults are checked too";
    EXPECT_FALSE(TopicConfig::parse({}, {{"retention.mss", "1"}}));
    EXPECT_FALSE(TopicConfig::parse({{"min.compaction.lag.ms", "6"}}, {{"max.compaction.lag.ms", "5"}}))
        << "together they contradict each other";
}

TEST(TopicConfig, DescribeTellsWhoSaidSoAndWhatElseWasSaid) {
    const auto config = TopicConfig::parse({{"retention.ms", "-1"}, {"remote.log.copy.disable", "true"}},
                                           {{"retention.ms", "5"}, {"max.message.bytes", "100"}});
    ASSERT_TRUE(config);
    const auto of = [&](std::string_view name) {
        const auto entries = describe(*config);
        const auto found = std::ranges::find_if(entries, [&](const auto& e) { return e.definition->name == name; });
        EXPECT_NE(found, entries.end()) << name;
        std::string text = fmt::format("{} from {}:", found->value, static_cast<int>(found->source));
        for (const ConfigSynonym& one : found->synonyms) {
            text += fmt::format(" {}={} from {}", one.name, one.value, static_cast<int>(one.source));
        }
        return text;
    };
    EXPECT_EQ(of("retention.ms"),
              "-1 from 0: retention.ms=-1 from 0 log.retention.ms=5 from 1 log.retention.ms=604800000 from 2");
    EXPECT_EQ(of("max.message.bytes"), "100 from 1: message.max.bytes=100 from 1 message.max.bytes=1048588 from 2");
    EXPECT_EQ(of("segment.ms"), "604800000 from 2: log.roll.ms=604800000 from 2");
    EXPECT_EQ(of("remote.log.copy.disable"),
              "true from 0: remote.log.copy.disable=true from 0 remote.log.copy.disable=false from 2");
}

// The broker's names: Kafka's ServerTopicConfigSynonyms.
TEST(TopicConfig, BrokersNamesAreDistinctAndMissOnlyWhatHasNone) {
    std::set<std::string> names;
    std::set<std::string> without;
    for (const ConfigDefinition& definition : topic_config_definitions()) {
        if (*definition.broker_name == 0) {
            without.insert(definition.name);
        } else {
            EXPECT_TRUE(names.insert(definition.broker_name).second) << definition.broker_name;
        }
    }
    EXPECT_EQ(without, (std::set<std::string>{"flowstone.copied.from", "flowstone.durability",
                                              "follower.replication.throttled.replicas", "internal.segment.bytes",
                                              "leader.replication.throttled.replicas", "remote.log.copy.disable",
                                              "remote.log.delete.on.disable", "remote.storage.enable"}));
}

TEST(TopicConfig, HelpIsOneSentence) {
    for (const ConfigDefinition& definition : topic_config_definitions()) {
        const std::string_view help = definition.help;
        EXPECT_TRUE(help.ends_with('.')) << definition.name;
        EXPECT_EQ(help.find(". "), std::string_view::npos) << definition.name;
        EXPECT_LE(help.size(), 110u) << definition.name;
    }
}

TEST(TopicConfig, ThePageListsThemAsTheyAre) {
    std::ifstream page(source_path("docs/CONFIGS.md"));
    ASSERT_TRUE(page);
    std::vector<std::string> rows;
    bool in_section = false;
    for (std::string line; std::getline(page, line);) {
        if (line.starts_with("## ")) { in_section = line == "## Topic configs"; }
        if (in_section && line.starts_with("| `")) { rows.push_back(line); }
    }
    std::vector<std::string> expected;
    for (const ConfigDefinition& definition : topic_config_definitions()) {
        if (definition.hidden) { continue; }
        const std::string_view value = definition.default_value;
        expected.push_back(fmt::format("| `{}` | {} | {} | {} | {} |", definition.name, value.empty() ? "empty" : value,
                                       *definition.bounds != 0 ? definition.bounds : name(definition.type),
                                       definition.acts ? "acts" : "kept", definition.help));
    }
    EXPECT_THAT(rows, testing::ElementsAreArray(expected));
}

}  // namespace
}  // namespace flowstone
