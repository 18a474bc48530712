// Several directories over every kind of crash.
#include "log/log_directories.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "log/served_log.h"
#include "storage/batch.h"
#include "tests/sim/world/faulty_disk.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

const std::vector<std::string> paths{"first", "second"};

class LogDirectoriesTest : public testing::Test {
protected:
    static Options small() { return {.journal_bytes_max = 16u << 20, .reserve_bytes = 0}; }
    LogDirectories open(Disk& disk) {
        return value_of(LogDirectories::open({&disk, &clock_, &random_, {}}, paths, small()));
    }
    static Result<AppendedBatch> put(ServedLog& served, const ServedTopic& topic, int32_t partition,
                                     size_t value_bytes = 1) {
        std::vector<std::byte> space(1'000 + value_bytes);
        BatchBuilder builder(space, {});
        const std::string value(value_bytes, 'v');
        EXPECT_TRUE(builder.append({.key = "k", .value = value}, 1'400'000'000'000));
        return served.append(topic, partition, builder.close().bytes());
    }
    static Result<AppendedBatch> append(ServedLog& served, const ServedTopic& topic, int32_t partition) {
        auto appended = put(served, topic, partition);
        EXPECT_TRUE(served.poll());
        return appended;
    }
    static int64_t end_of(ServedLog& served, const ServedTopic& topic, int32_t partition) {
        return served.ends(value_of(served.partition(topic, partition))).high_watermark.value;
    }

    SimClock clock_;
    SimRandom random_{1};
};

// What somebody did, and between which operations of the disk.
struct Step {
    uint64_t begun = 0;
    uint64_t done = 0;
    bool certain(const CrashPoint& point) const { return point.operation >= done; }
    bool possible(const CrashPoint& point) const { return point.operation + (point.during ? 1 : 0) > begun; }
};

TEST_F(LogDirectoriesTest, AfterEveryCrashTheyAreOfOneMindAndWhatWasAcknowledgedIsThere) {
    SimDisk disk({.record = true});
    Step made;
    Step filled;
    Step altered;
    Step grown;
    Step deleted;
    Step made_again;
    Uuid first_id;
    Uuid second_id;
    {
        LogDirectories directories = open(disk);
        ServedLog served(directories);
        const auto step = [&](const auto& act) {
            Step step{.begun = disk.operations()};
            act();
            step.done = disk.operations();
            return step;
        };
        std::optional<ServedTopic> topic;
        made = step([&] { topic = value_of(served.create("t", 2, {})); });
        first_id = topic->id();
        filled = step([&] {
            for (int32_t i = 0; i < 2; ++i) { EXPECT_TRUE(append(served, *topic, i)); }
        });
        altered = step([&] { EXPECT_TRUE(served.alter_topic("t", {{"retention.ms", "5"}}, {})); });
        grown = step([&] { EXPECT_TRUE(served.add_partitions("t", 4)); });
        EXPECT_TRUE(append(served, *topic, 3));
        deleted = step([&] { EXPECT_TRUE(served.delete_topic("t")); });
        made_again = step([&] { topic = value_of(served.create("t", 2, {})); });
        second_id = topic->id();
        EXPECT_TRUE(append(served, *topic, 1));
    }
    std::vector<CrashPoint> points = disk.sample_crashes(100, 1);
    for (const CrashPoint& point : disk.sample_crashes(100, 2, made.begun)) { points.push_back(point); }
    for (const CrashPoint& point : points) {
        SCOPED_TRACE(point.to_string());
        const auto after = disk.crash_state(point);
        auto opened = LogDirectories::open({after.get(), &clock_, &random_, {}}, paths, small());
        ASSERT_TRUE(opened) << opened.error().message();
        ServedLog served(*opened);
        auto topic = served.topic("t");
        if (made.certain(point) && !deleted.possible(point)) { ASSERT_TRUE(topic && topic->id() == first_id); }
        if (deleted.certain(point) && !made_again.possible(point)) { ASSERT_FALSE(topic); }
        if (made_again.certain(point)) { ASSERT_TRUE(topic && topic->id() == second_id); }
        if (topic && topic->id() == first_id) {
            if (filled.certain(point)) {
                for (int32_t i = 0; i < 2; ++i) { EXPECT_EQ(end_of(served, *topic, i), 1); }
            }
            if (grown.certain(point)) { EXPECT_EQ(topic->partitions(), 4); }
        }
        if (topic && topic->id() == second_id) {
            EXPECT_EQ(end_of(served, *topic, 0), 0);
            EXPECT_LE(end_of(served, *topic, 1), 1);
        }
        if (!topic) { topic = value_of(served.create("t", 2, {})); }
        for (int32_t i = 0; i < topic->partitions(); ++i) {
            const int64_t before = end_of(served, *topic, i);
            ASSERT_TRUE(append(served, *topic, i));
            EXPECT_EQ(end_of(served, *topic, i), before + 1);
        }
        const std::vector<TopicInfo> home = opened->logs()[0].topics();
        const std::vector<TopicInfo> other = opened->logs()[1].topics();
        ASSERT_EQ(home.size(), 1u);
        ASSERT_EQ(other.size(), 1u) << "half of the partitions are in it";
        EXPECT_EQ(other[0].id, home[0].id);
        EXPECT_EQ(other[0].partitions, home[0].partitions);
        EXPECT_EQ(other[0].configs, home[0].configs);
    }
}

TEST_F(LogDirectoriesTest, WhoeverWatchesIsToldOfAllOfThem) {
    SimDisk disk;
    LogDirectories directories = open(disk);
    ServedLog served(directories);
    ASSERT_TRUE(served.set_topic_defaults({{"max.message.bytes", "2000"}}));
    const ServedTopic topic = value_of(served.create("t", 2, {}));
    int notices = 0;
    uint64_t committed = 0;
    served.set_notice([&] { ++notices; });
    served.set_commit_notice([&](uint64_t bytes, int64_t) { committed += bytes; });
    for (int32_t i = 0; i < 2; ++i) {
        const ServedPartition place = value_of(served.partition(topic, i));
        ASSERT_EQ(served.directory_of(place), static_cast<size_t>(i));
        notices = 0;
        committed = 0;
        served.watch(place);
        ASSERT_TRUE(put(served, topic, i));
        EXPECT_GT(served.memory().queued_bytes, 0u);
        ASSERT_TRUE(served.poll());
        EXPECT_EQ(served.memory().queued_bytes, 0u);
        EXPECT_EQ(notices, 1);
        EXPECT_GT(committed, 0u);
        EXPECT_THAT(served.moved(), testing::ElementsAre(place));
        EXPECT_EQ(put(served, topic, i, 3'000).error().code, Code::too_large);
    }
}

TEST_F(LogDirectoriesTest, AnyCallThatFailsInAnotherWhileItIsOpenedCostsOnlyThatOne) {
    SimDisk disk;
    {
        LogDirectories directories = open(disk);
        ServedLog served(directories);
        const ServedTopic topic = value_of(served.create("t", 2, {}));
        for (int32_t i = 0; i < 2; ++i) { ASSERT_TRUE(append(served, topic, i)); }
    }
    {
        Log first = value_of(open_log({&disk, &clock_, &random_, {}}, "first", small()));
        ASSERT_TRUE(first.alter_topic("t", {{"retention.ms", "5"}}));  // which the other is to be told
        ASSERT_TRUE(first.close());
    }
    bool failed = true;
    for (uint64_t call = 0; failed; ++call) {
        SCOPED_TRACE(call);
        const auto copy = disk.crash({.keep = Crash::Keep::everything});
        FaultyDisk faulty(*copy);
        faulty.only_paths_with("second");
        faulty.fail_at(call, EIO, true);
        auto opened = LogDirectories::open({&faulty, &clock_, &random_, {}}, paths, small());
        ASSERT_TRUE(opened) << opened.error().message();
        failed = faulty.failed().has_value();
        ServedLog served(*opened);
        const auto topic = served.topic("t");
        ASSERT_TRUE(topic);
        EXPECT_TRUE(append(served, *topic, 0));
        if (!failed) { EXPECT_EQ(end_of(served, *topic, 1), 1); }
    }
}

// As Kafka leaves them: nothing in them is only ours, and its metadata log is in the first, or elsewhere.
TEST_F(LogDirectoriesTest, ThoseThatKafkaWroteAreAdoptedTogether) {
    for (const bool metadata_in_first : {true, false}) {
        SimDisk disk;
        {
            LogDirectories directories = open(disk);
            ServedLog served(directories);
            const ServedTopic topic = value_of(served.create("t", 2, {}));
            for (int32_t i = 0; i < 2; ++i) { ASSERT_TRUE(append(served, topic, i)); }
            ASSERT_TRUE(directories.close());
        }
        for (const std::string& path : paths) {
            for (const DirectoryEntry& entry : value_of(disk.list(path))) {
                const std::string name = path + "/" + entry.name;
                if (entry.name.starts_with("flowstone-")) { ASSERT_TRUE(disk.remove(name)); }
                if (entry.name != "__cluster_metadata-0" || (metadata_in_first && path == "first")) { continue; }
                for (const DirectoryEntry& file : value_of(disk.list(name))) {
                    ASSERT_TRUE(disk.remove(name + "/" + file.name));
                }
                ASSERT_TRUE(disk.remove(name));
            }
        }
        const Environment world{&disk, &clock_, &random_, {}};
        Options options = small();
        EXPECT_EQ(LogDirectories::open(world, paths, options).error().code, Code::unsupported);
        options.adopt = true;
        for (int start = 0; start < 2; ++start) {
            LogDirectories directories = value_of(LogDirectories::open(world, paths, options));
            ServedLog served(directories);
            const auto topic = served.topic("t");
            ASSERT_TRUE(topic);
            ASSERT_EQ(topic->partitions(), 2);
            for (int32_t i = 0; i < 2; ++i) {
                EXPECT_EQ(end_of(served, *topic, i), start + 1);
                ASSERT_TRUE(append(served, *topic, i));
                EXPECT_EQ(served.directory_of(value_of(served.partition(*topic, i))), static_cast<size_t>(i));
            }
            options.adopt = false;
        }
    }
}

TEST_F(LogDirectoriesTest, OneDirectoryIsServedAsItIs) {
    SimDisk disk;
    auto opened = value_of(LogDirectories::open({&disk, &clock_, &random_, {}}, std::vector<std::string>{"only"}, {}));
    ServedLog served(opened);
    const ServedTopic topic = value_of(served.create("t", 2, {}));
    ASSERT_TRUE(append(served, topic, 1));
    EXPECT_EQ(served.directories().size(), 1u);
    EXPECT_EQ(served.directories()[0].path, "only");
    EXPECT_EQ(served.directory_of(value_of(served.partition(topic, 1))), 0u);
}

}  // namespace
}  // namespace flowstone
