// A log in a world of its own: simulated disk, clock and randomness.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <flowstone/log.h>

#include "log/environment.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {

class LogWorld : public testing::Test {
protected:
    static constexpr int64_t hour_ms = 3'600'000;
    static constexpr int64_t day_ms = 24 * hour_ms;

    Log open(Options options = {}) { return open_on(disk_, std::move(options)); }
    Log open_on(Disk& disk, Options options = {}) {
        auto log = open_log({&disk, &clock_, &random_}, "data", std::move(options));
        EXPECT_TRUE(log) << log.error().message();
        return std::move(*log);
    }
    static Topic make(Log& log, std::string_view name, ConfigMap configs = {}, int32_t partitions = 1) {
        auto topic = log.create_topic(name, {.partitions = partitions, .configs = std::move(configs)});
        EXPECT_TRUE(topic) << topic.error().message();
        return *topic;
    }
    static Record record(std::string_view value) { return {.key = std::nullopt, .value = value}; }
    // Values of 1,000 bytes that begin with their number, each a batch of its own.
    static void fill(Topic& topic, int from, int to, std::optional<int64_t> timestamp_ms = {}) {
        for (int i = from; i < to; ++i) {
            std::string value = numbered(i);
            auto at = topic.append({.key = "k" + std::to_string(i), .value = value, .timestamp_ms = timestamp_ms});
            ASSERT_TRUE(at) << at.error().message();
        }
    }
    static std::string numbered(int i) {
        std::string value = std::to_string(i) + " ";
        value.resize(1000, '.');
        return value;
    }
    // Offsets and values from `from` to the end.
    static std::vector<std::pair<int64_t, std::string>> read(Topic& topic, From from = {}, int32_t partition = 0) {
        std::vector<std::pair<int64_t, std::string>> out;
        auto reader = topic.read({.partition = partition, .from = from});
        EXPECT_TRUE(reader) << reader.error().message();
        while (reader) {
            auto batch = reader->next();
            EXPECT_TRUE(batch) << batch.error().message();
            if (!batch || batch->empty()) { break; }
            for (const auto& found : *batch) { out.emplace_back(found.offset.value, found.value.value_or("(none)")); }
        }
        return out;
    }
    static PartitionInfo info(Topic& topic, int32_t partition = 0) {
        auto found = topic.partition(partition);
        EXPECT_TRUE(found) << found.error().message();
        return *found;
    }
    static void maintain(Log& log) {
        auto done = log.maintain();
        ASSERT_TRUE(done) << done.error().message();
    }
    static void close(Log& log) {
        auto closed = log.close();
        ASSERT_TRUE(closed) << closed.error().message();
    }
    std::vector<std::string> files(const std::string& directory) { return files_on(disk_, directory); }
    static std::vector<std::string> files_on(Disk& disk, const std::string& directory) {
        std::vector<std::string> names;
        auto entries = disk.list(directory);
        if (!entries) { return names; }
        for (const auto& entry : *entries) { names.push_back(entry.name); }
        return names;
    }

    SimDisk disk_;
    SimClock clock_;  // in May 2014
    SimRandom random_{1};
};

}  // namespace flowstone
