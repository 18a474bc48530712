// What happens to old data on a whole log: the decisions themselves are tested in retention_test.cc.
#include "log/served_log.h"
#include "tests/log/log_world.h"

#include <algorithm>

#include "tests/sim/world/faulty_disk.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::StartsWith;

class MaintenanceTest : public LogWorld {
protected:
    static constexpr char segment_bytes[] = "1048576";  // about 980 records of fill()
};

TEST_F(MaintenanceTest, SizeKeepsAtLeastWhatWasAskedForAndDeletesWholeSegments) {
    Log log = open();
    Topic topic = make(log, "events", {{"segment.bytes", segment_bytes}, {"retention.bytes", "2000000"}});
    fill(topic, 0, 5'000);
    maintain(log);
    const PartitionInfo kept = info(topic);
    EXPECT_GT(kept.log_start.value, 0);
    EXPECT_GE(kept.bytes, 2'000'000u);
    EXPECT_LT(kept.bytes, 2'000'000u + 2 * 1'048'576u);
    const auto all = read(topic);
    ASSERT_EQ(all.size(), static_cast<size_t>(5'000 - kept.log_start.value));
    EXPECT_EQ(all.front(), std::pair(kept.log_start.value, numbered(static_cast<int>(kept.log_start.value))));
    EXPECT_THAT(files("data/events-0"), Not(Contains(StartsWith("00000000000000000000."))));
    EXPECT_EQ(topic.read({.from = Offset{0}}).error().code, Code::out_of_range);
}

TEST_F(MaintenanceTest, TheLogStartStaysAfterAnyReopening) {
    Offset start;
    {
        Log log = open();
        Topic topic = make(log, "events", {{"segment.bytes", segment_bytes}, {"retention.bytes", "1000000"}});
        fill(topic, 0, 3'000);
        maintain(log);
        start = info(topic).log_start;
        ASSERT_GT(start.value, 0);
    }  // not closed: the trim is in the journal
    for (int i = 0; i < 2; ++i) {
        Log log = open();
        Topic topic = value_of(log.topic("events"));
        EXPECT_EQ(info(topic).log_start, start);
        EXPECT_EQ(read(topic).front().first, start.value);
        maintain(log);
        EXPECT_EQ(info(topic).log_start, start);
        if (i == 1) { close(log); }
    }
}

TEST_F(MaintenanceTest, TimeDeletesWhatIsOlderAndRollsAnIdleSegmentForIt) {
    Log log = open();
    Topic topic = make(log, "events", {{"segment.bytes", segment_bytes}, {"retention.ms", std::to_string(day_ms)}});
    fill(topic, 0, 2'500);
    maintain(log);
    EXPECT_EQ(info(topic).log_start, Offset{0});
    clock_.advance_ms(day_ms + 1);
    maintain(log);  // nothing is left, the active segment included
    EXPECT_EQ(info(topic).log_start, Offset{2'500});
    EXPECT_THAT(read(topic), ElementsAre());
    fill(topic, 2'500, 2'501);
    EXPECT_THAT(read(topic), ElementsAre(std::pair(int64_t{2'500}, numbered(2'500))));
}

TEST_F(MaintenanceTest, ALibraryTopicKeepsRecordsOf2014ForEver) {
    const int64_t in_2014 = clock_.wall_ms() - 30 * day_ms;
    clock_.jump_wall_ms(4'000 * day_ms);  // today
    for (const char* config : {"", "retention.bytes", "cleanup.policy"}) {
        SCOPED_TRACE(config);
        ConfigMap configs{{"segment.bytes", segment_bytes}};
        if (*config == 'r') { configs.emplace_back(config, "1000000000"); }
        if (*config == 'c') { configs.emplace_back(config, "delete"); }
        const std::string name = std::string("events") + config;
        {
            Log log = open();
            Topic topic = make(log, name, configs);
            fill(topic, 0, 2'000, in_2014);
            EXPECT_LE(info(topic).segments, 3u) << "records of long ago do not begin a segment each";
            clock_.advance_ms(30 * day_ms);
            maintain(log);
            close(log);
        }
        clock_.advance_ms(400 * day_ms);
        Log log = open();
        Topic topic = value_of(log.topic(name));
        maintain(log);
        clock_.advance_ms(2 * hour_ms);  // the clock is believed again by now
        maintain(log);
        EXPECT_EQ(read(topic).size(), 2'000u);
        // A broker on the same directory applies its defaults to what the topic does not say.
        const auto said = value_of(log.describe(name)).configs;
        EXPECT_THAT(said, Contains(std::pair<std::string, std::string>("retention.ms", "-1")));
    }
}

// A topic that was made over the wire goes by a broker's defaults; one that the library made says itself what it keeps.
TEST_F(MaintenanceTest, RecordsOf2014SurviveAStartWithABrokersDefaults) {
    const int64_t in_2014 = clock_.wall_ms() - 30 * day_ms;
    clock_.jump_wall_ms(4'000 * day_ms);  // today
    {
        Log log = open();
        Topic topic = make(log, "events", {{"segment.bytes", segment_bytes}});
        fill(topic, 0, 2'000, in_2014);
        ASSERT_TRUE(ServedLog(log).create("wire", 1, {{"segment.bytes", segment_bytes}}));
        Topic wire = value_of(log.topic("wire"));
        fill(wire, 0, 2'000, in_2014);
        close(log);
    }
    clock_.advance_ms(400 * day_ms);
    Log log = open();
    ServedLog served(log);
    ASSERT_TRUE(served.set_topic_defaults({}));  // Kafka's: retention.ms is a week
    for (int i = 0; i < 3; ++i) {                // the clock is believed again by the second
        maintain(log);
        clock_.advance_ms(2 * hour_ms);
    }
    Topic topic = value_of(log.topic("events"));
    EXPECT_EQ(read(topic).size(), 2'000u);
    EXPECT_EQ(info(topic).log_start, Offset{0});
    Topic wire = value_of(log.topic("wire"));
    EXPECT_EQ(info(wire).log_start, Offset{2'000}) << "the defaults delete nothing at all";
}

TEST_F(MaintenanceTest, AnIdleSegmentIsRolledWhenSegmentMsHasPassed) {
    Log log = open();
    Topic topic = make(log, "events", {{"segment.ms", std::to_string(hour_ms)}});
    fill(topic, 0, 3);
    maintain(log);
    EXPECT_EQ(info(topic).segments, 1u);
    clock_.advance_ms(hour_ms + 1);
    maintain(log);
    EXPECT_EQ(info(topic).segments, 2u);
    EXPECT_THAT(files("data/events-0"), Contains("00000000000000000000.seal"));
    maintain(log);
    EXPECT_EQ(info(topic).segments, 2u) << "an empty segment is not rolled";
    EXPECT_EQ(read(topic).size(), 3u);
}

TEST_F(MaintenanceTest, AnIdleSegmentOfAnEarlierOpeningIsAsOldAsItsFirstRecord) {
    {
        Log log = open();
        Topic topic = make(log, "events", {{"segment.ms", std::to_string(hour_ms)}, {"retention.bytes", "1000000000"}});
        fill(topic, 0, 3);
        close(log);
    }
    clock_.advance_ms(hour_ms + 1);
    Log log = open();
    Topic topic = value_of(log.topic("events"));
    maintain(log);
    EXPECT_EQ(info(topic).segments, 2u);
    fill(topic, 3, 4);
    EXPECT_EQ(read(topic).size(), 4u);
}

TEST_F(MaintenanceTest, TheLongestRetentionNeverEndsWhateverTheClockSays) {
    for (const int64_t wall_ms : {int64_t{-5}, int64_t{1'400'000'000'000}, INT64_MAX / 4}) {
        SCOPED_TRACE(wall_ms);
        clock_.jump_wall_ms(wall_ms - clock_.wall_ms());
        SimDisk disk;
        Log log = open_on(disk);
        Topic topic = make(log, "events",
                           {{"retention.ms", "9223372036854775807"},
                            {"segment.ms", "9223372036854775807"},
                            {"message.timestamp.before.max.ms", "9223372036854775807"}});
        fill(topic, 0, 10, 0);  // as old as times get
        maintain(log);
        clock_.advance_ms(30 * day_ms);
        maintain(log);
        EXPECT_EQ(info(topic).log_start, Offset{0});
        EXPECT_EQ(info(topic).segments, 1u) << "nothing was rolled to be deleted";
        EXPECT_EQ(read(topic).size(), 10u);
    }
}

TEST_F(MaintenanceTest, NothingIsDeletedByTimeWhileTheClockIsNotBelieved) {
    {
        Log log = open();
        Topic topic = make(log, "events", {{"retention.ms", std::to_string(day_ms)}});
        fill(topic, 0, 3);
        close(log);
    }
    clock_.jump_wall_ms(1'000 * day_ms);
    std::vector<std::string> lines;
    Log log = open({.on_log = [&](std::string_view line) { lines.emplace_back(line); }});
    Topic topic = value_of(log.topic("events"));
    maintain(log);
    EXPECT_EQ(read(topic).size(), 3u);
    EXPECT_FALSE(lines.empty()) << "it says so";
    clock_.advance_ms(hour_ms + 1);
    maintain(log);
    EXPECT_EQ(read(topic).size(), 0u);
}

TEST_F(MaintenanceTest, DeletedRecordsAreUnreadableAtOnceAndTheirSegmentsGoLater) {
    Log log = open();
    Topic topic = make(log, "events", {{"segment.bytes", segment_bytes}});
    fill(topic, 0, 3'000);
    auto behind = topic.read({.from = Offset{100}});
    auto inside = topic.read({.from = Offset{2'500}});
    ASSERT_TRUE(behind->next());
    ASSERT_TRUE(log.checkpoint());
    auto start = topic.delete_records(0, Offset{2'000});
    ASSERT_TRUE(start) << start.error().message();
    EXPECT_EQ(*start, Offset{2'000});
    EXPECT_EQ(behind->next().error().code, Code::out_of_range);
    EXPECT_THAT(files("data/events-0"), Contains("00000000000000000000.log"));
    maintain(log);
    for (const char* suffix : {".log", ".index", ".timeindex", ".seal", ".log.deleted"}) {
        EXPECT_THAT(files("data/events-0"), Not(Contains(std::string("00000000000000000000") + suffix)));
    }
    EXPECT_EQ(behind->next().error().code, Code::out_of_range);
    auto batch = inside->next();
    ASSERT_TRUE(batch) << batch.error().message();
    EXPECT_EQ(batch->base_offset(), Offset{2'500});
    EXPECT_EQ(read(topic).size(), 1'000u);
    EXPECT_EQ(topic.delete_records(0, Offset{3'001}).error().code, Code::out_of_range);
    EXPECT_EQ(value_of(topic.delete_records(0, Offset{5})), Offset{2'000}) << "the log start never goes back";
}

TEST_F(MaintenanceTest, PowerLossLeavesNoSegmentWithoutItsSealAndBringsNoneBack) {
    SimDisk disk({.record = true});
    Log log = open_on(disk);
    Topic topic = make(log, "events", {{"internal.segment.bytes", "4000"}, {"retention.bytes", "8000"}});
    fill(topic, 0, 20);
    maintain(log);
    fill(topic, 20, 40);
    const uint64_t begun = disk.operations();
    maintain(log);
    const auto left = files_on(disk, "data/events-0");
    EXPECT_EQ(files_on(*disk.crash({.keep = Crash::Keep::nothing}), "data/events-0"), left);
    int removed = 0;
    for (uint64_t operation = begun; operation < disk.operations(); ++operation) {
        if (!disk.describe(operation).starts_with("remove data/events-0")) { continue; }
        ++removed;
        for (uint64_t seed = 0; seed < 10; ++seed) {
            const auto after = disk.crash_state({.operation = operation + 1, .crash = {.seed = seed}});
            const auto names = files_on(*after, "data/events-0");
            for (const std::string& name : names) {
                if (!name.ends_with(".log") || std::ranges::find(left, name) != left.end()) { continue; }
                const std::string seal = name.substr(0, name.size() - 3) + "seal";
                EXPECT_THAT(names, Contains(seal)) << "operation " << operation << " seed " << seed;
            }
        }
    }
    EXPECT_GT(removed, 0);
}

TEST_F(MaintenanceTest, AFileThatACrashLeftHalfRemovedGoesAtTheNextRound) {
    {
        Log log = open();
        make(log, "events", {{"retention.bytes", "1000000"}});
        Topic topic = value_of(log.topic("events"));
        fill(topic, 0, 10);
        close(log);
    }
    ASSERT_TRUE(
        disk_.rename("data/events-0/leader-epoch-checkpoint", "data/events-0/00000000000000000000.log.deleted"));
    Log log = open();
    maintain(log);
    EXPECT_THAT(files("data/events-0"), Not(Contains("00000000000000000000.log.deleted")));
    Topic topic = value_of(log.topic("events"));
    EXPECT_EQ(read(topic).size(), 10u);
}

TEST_F(MaintenanceTest, ALargeFileIsShrunkBeforeItIsRemoved) {
    FaultyDisk disk(disk_);
    Log log = open_on(disk);
    Topic topic = make(log, "events", {{"segment.bytes", "20971520"}, {"retention.bytes", "0"}});
    const std::string value(1'000'000, 'x');
    for (int i = 0; i < 25; ++i) { ASSERT_TRUE(topic.append(record(value))); }
    ASSERT_TRUE(log.checkpoint());
    disk.only_paths_with(".log.deleted");
    const uint64_t before = disk.calls(FaultyDisk::Call::truncate);
    maintain(log);
    EXPECT_GE(disk.calls(FaultyDisk::Call::truncate) - before, 18u);
    EXPECT_GT(info(topic).log_start.value, 0);
}

TEST_F(MaintenanceTest, TenThousandPartitionsAreMadeInOneRecordAndNoFile) {
    Log log = open();
    const uint64_t before = disk_.operations();
    make(log, "many", {}, 10'000);
    EXPECT_LE(disk_.operations() - before, 20u) << "directories come with the first append";
    EXPECT_THAT(files("data"), Not(Contains(StartsWith("many-"))));
}

TEST_F(MaintenanceTest, WhileOnePartitionIsReadBackOthersAreOpened) {
    {
        Log log = open();
        Topic topic = make(log, "events", {}, 3);
        ASSERT_TRUE(topic.append(record("0"), {.partition = 0}));
        ASSERT_TRUE(topic.append(record("1"), {.partition = 1}));
        close(log);
    }
    FaultyDisk disk(disk_);
    Log log = open_on(disk);
    Topic topic = value_of(log.topic("events"));
    disk.only_paths_with("events-0/");
    bool interrupted = false;
    disk.interrupt(FaultyDisk::Call::read, [&] {
        interrupted = true;
        EXPECT_TRUE(topic.append(record("1"), {.partition = 1})) << "which reads back, too";
        EXPECT_TRUE(topic.append(record("2"), {.partition = 2})) << "which is made now";
    });
    ASSERT_TRUE(topic.append(record("0"), {.partition = 0}));
    EXPECT_TRUE(interrupted);
    for (const int p : {0, 1, 2}) { EXPECT_EQ(read(topic, {}, p).size(), p < 2 ? 2u : 1u); }
}

TEST_F(MaintenanceTest, AnIdlePartitionGoesOnAfterItsFileWasClosed) {
    {
        Log log = open();
        Topic topic = make(log, "events", {}, 20);
        for (int round = 0; round < 4; ++round) {
            for (int p = 0; p < 20; ++p) {
                ASSERT_TRUE(topic.append(record(numbered(round)), {.partition = p}));
                if (round == 2 && p % 2 == 0) {
                    const std::string large(300'000, 'x');
                    ASSERT_TRUE(topic.append(record(large), {.partition = p}));
                }
            }
            ASSERT_TRUE(log.checkpoint());
        }
    }
    auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
    Log log = open_on(*crashed);
    Topic topic = value_of(log.topic("events"));
    for (int p = 0; p < 20; ++p) { EXPECT_EQ(read(topic, {}, p).size(), p % 2 == 0 ? 5u : 4u); }
}

}  // namespace
}  // namespace flowstone
