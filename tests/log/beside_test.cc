// Readers beside a writer, interleaved by hand on one simulated disk. Whatever the reader's disk is asked to do, it must
// not be a change.
#include <flowstone/log.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <span>
#include <string>
#include <utility>

#include "log/environment.h"
#include "storage/passing_disk.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

// Passes reads on; anything else is a broken promise.
class ReadingDisk final : public PassingDisk {
public:
    using PassingDisk::PassingDisk;
    Result<std::unique_ptr<File>> open(const std::string& path, OpenOptions options) override {
        EXPECT_FALSE(options.write || options.create) << path << " was opened for writing";
        if (before_open) { before_open(path); }
        return PassingDisk::open(path, options);
    }
    void run(std::span<Io> requests) override {
        for (const Io& request : requests) { EXPECT_EQ(request.kind, Io::Kind::read) << request.file->path(); }
        PassingDisk::run(requests);
    }
    Result<void> truncate(File& file, uint64_t) override { return change("truncate", file.path()); }
    Result<void> allocate(File& file, BytePos, BytePos, bool) override { return change("allocate", file.path()); }
    Result<void> make_directory(const std::string& path) override { return change("make_directory", path); }
    Result<void> remove(const std::string& path) override { return change("remove", path); }
    Result<void> rename(const std::string& path, const std::string&) override { return change("rename", path); }
    Result<void> sync_directory(const std::string& path) override { return change("sync_directory", path); }
    Result<void> sync_directories(std::span<const std::string> paths) override {
        return change("sync_directories", paths.front());
    }
    Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override {
        ADD_FAILURE() << path << " was locked";
        return PassingDisk::lock(path);
    }

    std::function<void(const std::string& path)> before_open;

private:
    static Result<void> change(const char* what, const std::string& path) {
        ADD_FAILURE() << what << " of " << path;
        return fail(Code::read_only, "test.disk", path);
    }
};

class BesideTest : public testing::Test {
protected:
    Log open_writer(Options options = {}, const Tuning& tuning = {}) {
        auto log = open_log({&disk_, &clock_, &random_}, "data", std::move(options), tuning);
        EXPECT_TRUE(log) << log.error().message();
        return std::move(*log);
    }
    Result<Log> try_reader() {
        return open_log({&reading_, &clock_, &random_}, "data",
                        {.read_only = true, .on_log = [](std::string_view line) { ADD_FAILURE() << line; }});
    }
    Log open_reader() {
        auto log = try_reader();
        EXPECT_TRUE(log) << log.error().message();
        return std::move(*log);
    }
    static std::vector<std::string> drain(Reader& reader) {
        std::vector<std::string> out;
        for (;;) {
            auto batch = reader.next();
            EXPECT_TRUE(batch) << batch.error().message();
            if (!batch || batch->empty()) { return out; }
            for (const auto& record : *batch) { out.emplace_back(record.value.value_or("(none)")); }
        }
    }
    static std::vector<std::string> values(const Log& log, std::string_view name, int32_t partition = 0) {
        auto topic = log.topic(name);
        EXPECT_TRUE(topic) << topic.error().message();
        if (!topic) { return {}; }
        auto reader = topic->read({.partition = partition});
        EXPECT_TRUE(reader) << reader.error().message();
        return reader ? drain(*reader) : std::vector<std::string>{};
    }
    // Appends records "from" to "to", each acknowledged.
    static void append(Topic& topic, int from, int to, size_t bytes = 0) {
        for (int i = from; i < to; ++i) {
            const std::string value = text(i, bytes);
            auto at = topic.append({.key = std::nullopt, .value = value}, {.partition = 0});
            ASSERT_TRUE(at) << at.error().message();
        }
    }
    static std::string text(int i, size_t bytes = 0) {
        std::string value = std::to_string(i);
        if (value.size() < bytes) { value.resize(bytes, static_cast<char>('a' + i % 26)); }
        return value;
    }
    static std::vector<std::string> texts(int from, int to, size_t bytes = 0) {
        std::vector<std::string> out;
        for (int i = from; i < to; ++i) { out.push_back(text(i, bytes)); }
        return out;
    }
    void look_again_later() { clock_.advance_ms(1000); }

    SimDisk disk_;
    ReadingDisk reading_{disk_};
    SimClock clock_;
    SimRandom random_{1};
};

TEST_F(BesideTest, WhatWasAcknowledgedIsSeenWhileTheWriterIsOpen) {
    Log writer = open_writer();
    auto topic = writer.create_topic("events");
    ASSERT_TRUE(topic);
    append(*topic, 0, 100);
    EXPECT_EQ(values(open_reader(), "events"), texts(0, 100));
    ASSERT_TRUE(writer.checkpoint());
    append(*topic, 100, 200);
    EXPECT_EQ(values(open_reader(), "events"), texts(0, 200));
    ASSERT_TRUE(writer.close());
    EXPECT_EQ(values(open_reader(), "events"), texts(0, 200));
}

TEST_F(BesideTest, WithoutAWriterTheJournalIsReplayedIntoMemory) {
    {
        Log writer = open_writer();
        auto topic = writer.create_topic("events");
        ASSERT_TRUE(topic);
        append(*topic, 0, 100, 50);  // 400 KiB of the ring
    }
    const auto crashed = disk_.crash({.keep = Crash::Keep::nothing});
    ReadingDisk reading(*crashed);
    auto reader = open_log({&reading, &clock_, &random_}, "data", {.read_only = true});
    ASSERT_TRUE(reader) << reader.error().message();
    EXPECT_EQ(values(*reader, "events"), texts(0, 100, 50));
}

TEST_F(BesideTest, AnAppendNobodyWaitedForIsNotSeen) {
    Log writer = open_writer();
    auto topic = writer.create_topic("events");
    ASSERT_TRUE(topic);
    append(*topic, 0, 3);
    ASSERT_TRUE(topic->append_async({.key = std::nullopt, .value = "later"}));
    EXPECT_EQ(values(open_reader(), "events"), texts(0, 3));
}

TEST_F(BesideTest, AReaderAtItsEndFollowsTheWriter) {
    Log writer = open_writer();
    auto topic = writer.create_topic("events");
    ASSERT_TRUE(topic);
    append(*topic, 0, 10);
    Log beside = open_reader();
    auto seen = beside.topic("events");
    ASSERT_TRUE(seen);
    auto reader = seen->read();
    ASSERT_TRUE(reader);
    EXPECT_EQ(drain(*reader), texts(0, 10));
    for (int i = 10; i < 200; i += 10) {
        append(*topic, i, i + 10, 700);
        if (i % 50 == 0) { ASSERT_TRUE(writer.checkpoint()); }
        look_again_later();
        EXPECT_EQ(drain(*reader), texts(i, i + 10, 700)) << "at " << i;
    }
    ASSERT_TRUE(writer.close());
    look_again_later();
    EXPECT_THAT(drain(*reader), testing::IsEmpty());
    Log again = open_writer();
    auto reopened = again.topic("events");
    ASSERT_TRUE(reopened);
    append(*reopened, 200, 210);
    look_again_later();
    EXPECT_EQ(drain(*reader), texts(200, 210));
}

TEST_F(BesideTest, TheDirectoryIsNotLookedAtMoreOftenThanTenTimesASecond) {
    Log writer = open_writer();
    auto topic = writer.create_topic("events");
    ASSERT_TRUE(topic);
    append(*topic, 0, 1);
    Log beside = open_reader();
    auto reader = value_of(beside.topic("events")).read();
    ASSERT_TRUE(reader);
    EXPECT_EQ(drain(*reader), texts(0, 1));
    append(*topic, 1, 2);
    clock_.advance_ms(99);
    int opened = 0;
    reading_.before_open = [&](const std::string&) { ++opened; };
    EXPECT_THAT(drain(*reader), testing::IsEmpty());
    EXPECT_EQ(opened, 0);
    clock_.advance_ms(1);
    EXPECT_EQ(drain(*reader), texts(1, 2));
}

TEST_F(BesideTest, LargeWritesAreFollowed) {
    Log writer = open_writer();
    auto topic = writer.create_topic("events");
    ASSERT_TRUE(topic);
    append(*topic, 0, 1);
    Log beside = open_reader();
    auto reader = value_of(beside.topic("events")).read();
    ASSERT_TRUE(reader);
    EXPECT_EQ(drain(*reader), texts(0, 1));
    for (int next = 1; next < 60; next += 3) {
        append(*topic, next, next + 3, next % 2 == 0 ? 300'000 : 900);
        look_again_later();
        ASSERT_EQ(drain(*reader), texts(next, next + 3, next % 2 == 0 ? 300'000 : 900)) << "at " << next;
    }
}

TEST_F(BesideTest, SegmentsThatRollAreFollowed) {
    Log writer = open_writer({}, {.direct_bytes_min = UINT64_MAX});
    auto topic = writer.create_topic("events", {.configs = {{"segment.bytes", "1048576"}}});
    ASSERT_TRUE(topic);
    append(*topic, 0, 1);
    Log beside = open_reader();
    auto reader = value_of(beside.topic("events")).read();
    ASSERT_TRUE(reader);
    EXPECT_EQ(drain(*reader), texts(0, 1));
    int next = 1;
    for (int round = 0; round < 40; ++round) {
        const size_t bytes = round % 2 == 0 ? 30'000 : 900;
        append(*topic, next, next + 7, bytes);
        if (round % 9 == 8) { ASSERT_TRUE(writer.checkpoint()); }
        look_again_later();
        ASSERT_EQ(drain(*reader), texts(next, next + 7, bytes)) << "round " << round;
        next += 7;
    }
    EXPECT_EQ(values(open_reader(), "events").size(), static_cast<size_t>(next));
}

TEST_F(BesideTest, TheRingMayGoRoundBetweenTwoLooks) {
    Log writer = open_writer({.journal_bytes_max = 8u << 20});
    auto topic = writer.create_topic("events");
    ASSERT_TRUE(topic);
    append(*topic, 0, 1);
    Log beside = open_reader();
    auto reader = value_of(beside.topic("events")).read();
    ASSERT_TRUE(reader);
    EXPECT_EQ(drain(*reader), texts(0, 1));
    int next = 1;
    for (int round = 0; round < 5; ++round) {
        append(*topic, next, next + 700, 30'000);  // 21 MB: more than two laps
        look_again_later();
        ASSERT_EQ(drain(*reader), texts(next, next + 700, 30'000)) << "round " << round;
        next += 700;
    }
}

TEST_F(BesideTest, ATopicMadeSinceIsFound) {
    Log writer = open_writer();
    Log beside = open_reader();
    EXPECT_EQ(beside.topic("events").error().code, Code::not_found);
    auto topic = writer.create_topic("events");
    ASSERT_TRUE(topic);
    append(*topic, 0, 5);
    look_again_later();
    EXPECT_EQ(values(beside, "events"), texts(0, 5));
    EXPECT_EQ(beside.topics().size(), 1u);
}

TEST_F(BesideTest, ATopicDeletedSinceIsNamed) {
    Log writer = open_writer();
    auto topic = writer.create_topic("events");
    ASSERT_TRUE(topic);
    append(*topic, 0, 5);
    Log beside = open_reader();
    auto reader = value_of(beside.topic("events")).read();
    ASSERT_TRUE(reader);
    EXPECT_EQ(drain(*reader), texts(0, 5));
    ASSERT_TRUE(writer.delete_topic("events"));
    look_again_later();
    auto batch = reader->next();
    ASSERT_FALSE(batch);
    EXPECT_EQ(batch.error().code, Code::not_found);
}

TEST_F(BesideTest, TopicsBelowDurableAreSeenAsFarAsTheirFilesGo) {
    for (const char* level : {"written", "memory"}) {
        Log writer = open_writer();
        auto topic = writer.create_topic(level, {.configs = {{"flowstone.durability", level}}});
        ASSERT_TRUE(topic) << topic.error().message();
        append(*topic, 0, 50);
        if (level == std::string("memory")) { ASSERT_TRUE(writer.checkpoint()); }
        Log beside = open_reader();
        auto reader = value_of(beside.topic(level)).read();
        ASSERT_TRUE(reader);
        EXPECT_EQ(drain(*reader), texts(0, 50)) << level;
        append(*topic, 50, 90);
        if (level == std::string("memory")) { ASSERT_TRUE(writer.checkpoint()); }
        look_again_later();
        EXPECT_EQ(drain(*reader), texts(50, 90)) << level;
        ASSERT_TRUE(writer.close());
    }
}

// The writer moves on whenever the reader opens a file, until it has looked often enough.
class BesideAtSpeedTest : public BesideTest, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(RecordsBetweenLooks, BesideAtSpeedTest, testing::Values(1, 40, 300));

TEST_P(BesideAtSpeedTest, AWriterAtWorkDuringTheCopyLeavesAPrefix) {
    const int speed = GetParam();
    Log writer = open_writer({.journal_bytes_max = 8u << 20});
    auto topic = writer.create_topic("events", {.configs = {{"segment.bytes", "1048576"}}});
    ASSERT_TRUE(topic);
    int next = 300;
    append(*topic, 0, next, 3000);
    ASSERT_TRUE(writer.checkpoint());
    int looks = 0;
    bool pause = true;
    reading_.before_open = [&](const std::string&) {
        if (std::exchange(pause, true)) { return; }
        append(*topic, next, next + speed, 3000);
        next += speed;
        if (++looks % 5 == 0) { ASSERT_TRUE(writer.checkpoint()); }
        pause = false;
    };
    for (int round = 0; round < 2; ++round) {
        const int before = next;
        pause = false;
        auto beside = try_reader();
        pause = true;  // reading on is not what this test is about
        ASSERT_TRUE(beside) << beside.error().message();
        auto reader = value_of(beside->topic("events")).read();
        ASSERT_TRUE(reader) << reader.error().message();
        const auto seen = drain(*reader);
        EXPECT_EQ(seen, texts(0, static_cast<int>(seen.size()), 3000));
        // Checkpoints that pass every copy leave what they prove; else everything from before the call is there.
        if (speed < 300) { EXPECT_GE(seen.size(), static_cast<size_t>(before)) << "at speed " << speed; }
        EXPECT_GE(seen.size(), 300u);
    }
    reading_.before_open = nullptr;
    EXPECT_GE(looks, 6);
}

TEST_F(BesideTest, AWriterThatLapsEveryCopyOfTheRingLeavesWhatItProved) {
    Log writer = open_writer({.journal_bytes_max = 8u << 20});
    auto topic = writer.create_topic("events");
    ASSERT_TRUE(topic);
    append(*topic, 0, 50, 30'000);
    ASSERT_TRUE(writer.checkpoint());
    int next = 50;
    reading_.before_open = [&](const std::string& path) {
        if (path.find("flowstone-journal") == std::string::npos) { return; }
        append(*topic, next, next + 500, 30'000);  // 15 MB: nearly two laps
        next += 500;
    };
    auto beside = try_reader();
    ASSERT_TRUE(beside) << beside.error().message();
    reading_.before_open = nullptr;
    const auto seen = values(*beside, "events");
    EXPECT_GE(seen.size(), 50u);
    EXPECT_EQ(seen, texts(0, static_cast<int>(seen.size()), 30'000));
}

TEST_F(BesideTest, NothingCanBeChanged) {
    {
        Log writer = open_writer();
        auto topic = writer.create_topic("events");
        ASSERT_TRUE(topic);
        append(*topic, 0, 3);
        ASSERT_TRUE(writer.close());
    }
    Log beside = open_reader();
    EXPECT_TRUE(beside.read_only());
    auto topic = beside.topic("events");
    ASSERT_TRUE(topic);
    EXPECT_EQ(topic->append({.key = std::nullopt, .value = "x"}).error().code, Code::read_only);
    EXPECT_EQ(topic->delete_records(0, Offset{1}).error().code, Code::read_only);
    EXPECT_EQ(beside.create_topic("more").error().code, Code::read_only);
    EXPECT_EQ(beside.delete_topic("events").error().code, Code::read_only);
    EXPECT_EQ(beside.add_partitions("events", 4).error().code, Code::read_only);
    EXPECT_EQ(beside.alter_topic("events", {{"retention.ms", "1"}}).error().code, Code::read_only);
    EXPECT_EQ(beside.new_producer_id().error().code, Code::read_only);
    const GroupOffset offset{"events", 0, Offset{1}};
    EXPECT_EQ(beside.commit_offsets("group", {&offset, 1}).error().code, Code::read_only);
    EXPECT_EQ(beside.checkpoint().error().code, Code::read_only);
    EXPECT_TRUE(beside.poll());
    EXPECT_TRUE(beside.close());
}

TEST_F(BesideTest, DamageInTheJournalIsNamedAndNotTakenForAWriterAtWork) {
    {
        Log writer = open_writer();
        auto topic = writer.create_topic("events");
        ASSERT_TRUE(topic);
        append(*topic, 0, 20);
    }
    // One block in the middle of the chain is gone: writing begins with a fresh extent, here the second.
    auto file = disk_.open("data/flowstone-journal-0.0000", {.write = true});
    ASSERT_TRUE(file);
    const std::vector<std::byte> zeros(4096);
    ASSERT_TRUE(write_at(disk_, **file, BytePos{(4 << 20) + 10 * 4096}, zeros));
    std::vector<std::string> lines;
    auto beside = open_log({&reading_, &clock_, &random_}, "data",
                           {.read_only = true, .on_log = [&](std::string_view line) { lines.emplace_back(line); }});
    ASSERT_TRUE(beside) << beside.error().message();
    EXPECT_THAT(lines, testing::Contains(testing::HasSubstr("commit 11 is damaged")));
    auto topic = beside->topic("events");
    ASSERT_TRUE(topic);
    auto reader = topic->read();
    ASSERT_TRUE(reader);
    Result<Batch> batch = reader->next();
    while (batch && !batch->empty()) { batch = reader->next(); }
    EXPECT_EQ(reader->position(), Offset{9});
    ASSERT_FALSE(batch);
    EXPECT_EQ(batch.error().code, Code::corrupt) << batch.error().message();
}

}  // namespace
}  // namespace flowstone
