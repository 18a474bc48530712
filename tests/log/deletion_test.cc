#include "tests/log/log_world.h"

#include <atomic>
#include <thread>

#include "tests/sim/world/faulty_disk.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::Contains;
using testing::Not;
using testing::StartsWith;

class DeletionTest : public LogWorld {};

TEST_F(DeletionTest, HandlesAndReadersOfADeletedTopicAnswerNotFound) {
    Log log = open();
    Topic topic = make(log, "events");
    fill(topic, 0, 10);
    auto reader = topic.read();
    auto pending = topic.append_async(record("never committed"));
    ASSERT_TRUE(pending);
    ASSERT_TRUE(log.delete_topic("events"));
    auto at = topic.append(record("late"));
    ASSERT_FALSE(at);
    EXPECT_EQ(at.error().code, Code::not_found);
    EXPECT_EQ(at.error().fate, Fate::not_appended);
    (void)log.wait(*pending);  // returns: the deletion's own commit may have taken it along
    EXPECT_EQ(reader->next().error().code, Code::not_found);
    EXPECT_EQ(log.topic("events").error().code, Code::not_found);
    EXPECT_THAT(files("data"), Not(Contains(StartsWith("events-"))));
}

TEST_F(DeletionTest, ATopicOfTheSameNameBeginsEmptyAndStaysApart) {
    {
        Log log = open();
        Topic first = make(log, "events");
        fill(first, 0, 100);
        ASSERT_TRUE(log.delete_topic("events"));
        Topic second = make(log, "events");
        fill(second, 0, 3);
        EXPECT_EQ(first.append(record("late")).error().code, Code::not_found);
        EXPECT_EQ(read(second).size(), 3u);
    }
    Log log = open();
    Topic topic = value_of(log.topic("events"));
    EXPECT_EQ(read(topic).size(), 3u);
}

TEST_F(DeletionTest, PowerLossLeavesNothingOfItToATopicOfTheSameName) {
    SimDisk disk({.record = true});
    uint64_t begun = 0;
    {
        Log log = open_on(disk);
        Topic topic = make(log, "events");
        fill(topic, 0, 5);
        ASSERT_TRUE(log.checkpoint());
        begun = disk.operations();
        ASSERT_TRUE(log.delete_topic("events"));
    }
    EXPECT_THAT(files_on(*disk.crash({.keep = Crash::Keep::nothing}), "data"), Not(Contains(StartsWith("events-"))));
    for (const CrashPoint& point : disk.all_crashes(8, begun)) {
        const auto after = disk.crash_state(point);
        {
            Log log = open_on(*after);
            if (log.topic("events")) { ASSERT_TRUE(log.delete_topic("events")); }
            EXPECT_THAT(files_on(*after, "data"), Not(Contains(StartsWith("events-")))) << point.to_string();
            Topic topic = make(log, "events");
            fill(topic, 0, 2);
        }
        Log log = open_on(*after);
        Topic topic = value_of(log.topic("events"));
        EXPECT_EQ(read(topic).size(), 2u) << point.to_string();
    }
}

// What the second topic has is in the journal only: its directories come with its first fill, where the first one's were.
TEST_F(DeletionTest, PowerLossBringsNothingBackIntoATopicOfTheSameName) {
    {
        Log log = open();
        Topic topic = make(log, "events");
        fill(topic, 0, 5);
        ASSERT_TRUE(log.checkpoint());
        ASSERT_TRUE(log.delete_topic("events"));
        topic = make(log, "events");
        fill(topic, 0, 2);
    }
    const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
    EXPECT_THAT(files_on(*crashed, "data"), Not(Contains(StartsWith("events-0"))));
    {
        Log log = open_on(*crashed);
        Topic topic = value_of(log.topic("events"));
        EXPECT_EQ(read(topic).size(), 2u);
        fill(topic, 2, 3);
        close(log);
    }
    Log log = open_on(*crashed);
    Topic topic = value_of(log.topic("events"));
    EXPECT_EQ(read(topic).size(), 3u);
}

TEST_F(DeletionTest, DirectoriesThatACrashLeftAreRemovedAtOpening) {
    {
        FaultyDisk disk(disk_);
        Log log = open_on(disk);
        Topic topic = make(log, "events", {}, 2);
        ASSERT_TRUE(topic.append(record("a"), {.partition = 0}));
        ASSERT_TRUE(topic.append(record("b"), {.partition = 1}));
        make(log, "others");
        Topic others = value_of(log.topic("others"));
        fill(others, 0, 1);
        ASSERT_TRUE(log.checkpoint());
        // The process ends when the first directory is to be renamed: the deletion is on record by then.
        disk.fail_at(FaultyDisk::Call::rename, disk.calls(FaultyDisk::Call::rename), EIO, true);
        EXPECT_FALSE(log.delete_topic("events"));
        EXPECT_THAT(files("data"), Contains("events-1"));
    }
    Log log = open();
    EXPECT_THAT(files("data"), Not(Contains(StartsWith("events-"))));
    EXPECT_THAT(files_on(*disk_.crash({.keep = Crash::Keep::nothing}), "data"), Not(Contains(StartsWith("events-"))));
    Topic others = value_of(log.topic("others"));
    EXPECT_EQ(read(others).size(), 1u);
    EXPECT_EQ(log.topic("events").error().code, Code::not_found);
}

TEST_F(DeletionTest, ADirectoryOfANameNobodyKnowsIsLeftAlone) {
    {
        Log log = open();
        close(log);
    }
    ASSERT_TRUE(disk_.make_directory("data/somebody-0"));
    Log log = open();
    maintain(log);
    EXPECT_THAT(files("data"), Contains("somebody-0"));
}

TEST_F(DeletionTest, ALongNameIsCutWhenItsDirectoryIsSetAside) {
    Log log = open();
    const std::string name(249, 'n');
    Topic topic = make(log, name);
    fill(topic, 0, 1);
    ASSERT_TRUE(log.checkpoint());
    auto deleted = log.delete_topic(name);
    EXPECT_TRUE(deleted) << deleted.error().message();
    EXPECT_THAT(files("data"), Not(Contains(StartsWith("nnn"))));
}

TEST_F(DeletionTest, AppendersAndReadersInOtherThreadsLearnOfIt) {
    for (const uint32_t threads : {0u, 1u}) {
        SCOPED_TRACE(threads);
        Log log = open({.threads = threads});
        for (int round = 0; round < 5; ++round) {
            Topic topic = make(log, "events");
            std::atomic<int> appended = 0;
            std::atomic<int> not_found = 0;
            std::vector<std::thread> workers;
            for (int i = 0; i < 3; ++i) {
                workers.emplace_back([&] {
                    for (;;) {
                        auto at = topic.append(record("x"));
                        if (!at) {
                            not_found += at.error().code == Code::not_found;
                            return;
                        }
                        ++appended;
                    }
                });
            }
            workers.emplace_back([&] {
                auto reader = topic.read();
                for (;;) {
                    if (!reader) { break; }
                    auto batch = reader->next();
                    if (!batch) {
                        not_found += batch.error().code == Code::not_found;
                        return;
                    }
                }
                not_found += reader.error().code == Code::not_found;
            });
            while (appended < 100) { std::this_thread::yield(); }
            auto deleted = log.delete_topic("events");
            EXPECT_TRUE(deleted) << deleted.error().message();
            for (auto& worker : workers) { worker.join(); }
            EXPECT_EQ(not_found, 4);
        }
        maintain(log);
        close(log);
        EXPECT_THAT(files("data"), Not(Contains(StartsWith("events-"))));
    }
}

}  // namespace
}  // namespace flowstone
