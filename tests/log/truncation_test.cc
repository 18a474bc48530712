// Truncation at the back: what is at and above an offset is gone for good, and what is below it is as it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "log/served_log.h"
#include "storage/segment_files.h"
#include "storage/thread.h"
#include "tests/log/log_world.h"
#include "tests/sim/world/world_verify.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Found = std::vector<std::pair<int64_t, std::string>>;

class TruncationTest : public LogWorld {
protected:
    static ConfigMap configs(const char* level = "durable") {
        return {{"flowstone.durability", level}, {"internal.segment.bytes", "9000"}};
    }
    static Result<Offset> truncate(Log& log, int64_t end, const char* name = "events") {
        ServedLog served(log);
        return served.truncate(*served.topic(name), 0, Offset{end});
    }
    // Records `from` to `to`, each the value of its offset.
    static Found records(int64_t from, int64_t to) {
        Found out;
        for (int64_t i = from; i < to; ++i) { out.emplace_back(i, numbered(static_cast<int>(i))); }
        return out;
    }
    // All of them in a longer search.
    static std::vector<CrashPoint> crashes(const SimDisk& disk, uint64_t first) {
        return std::getenv("FLOWSTONE_SIM_EXHAUSTIVE") != nullptr ? disk.all_crashes(2, first)
                                                                  : disk.sample_crashes(80, first, first);
    }
    // As a log finds it that opens what power loss left of `disk`, appends, closes and opens it again.
    Found after_power_loss(const SimDisk& disk, const Crash& crash) {
        const auto left = disk.crash(crash);
        Found found;
        for (int opening = 0; opening < 2; ++opening) {
            Log log = open_on(*left);
            Topic topic = value_of(log.topic("events"));
            found = read(topic);
            if (opening == 0) { EXPECT_TRUE(topic.append(record("on"))); }
            close(log);
        }
        EXPECT_EQ(verify_directory(*left, "data"), "");
        return found;
    }
};

class TruncationLevelTest : public TruncationTest, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Level, TruncationLevelTest, testing::Values("durable", "written", "memory"),
                         [](const auto& param) { return std::string(param.param); });

TEST_P(TruncationLevelTest, WhatIsBehindIsGoneAndWhatIsBelowIsAsItWas) {
    for (const int64_t asked : {29, 24, 17, 16, 15, 8, 3, 0}) {
        SCOPED_TRACE(asked);
        SimDisk disk;
        Found expected;
        {
            Log log = open_on(disk);
            Topic topic = make(log, "events", configs(GetParam()));
            fill(topic, 0, 30);
            const int64_t end = value_of(truncate(log, asked)).value;
            EXPECT_LE(end, asked);
            EXPECT_TRUE(end == asked || GetParam() == std::string_view("memory")) << "whose batches hold several";
            expected = records(0, end);
            EXPECT_EQ(info(topic).log_end, Offset{end});
            EXPECT_EQ(info(topic).high_watermark, Offset{end});
            EXPECT_EQ(read(topic), expected);
            for (int i = 0; i < 12; ++i) {
                const std::string value = "new " + numbered(i);
                EXPECT_EQ(value_of(topic.append(record(value))).offset, Offset{end + i});
                expected.emplace_back(end + i, value);
            }
            EXPECT_EQ(read(topic), expected);
            EXPECT_EQ(read(topic, Offset{end + 5}).size(), 7u);
            close(log);
        }
        EXPECT_EQ(verify_directory(disk, "data"), "");
        for (int opening = 0; opening < 2; ++opening) {
            Log log = open_on(disk);
            Topic topic = value_of(log.topic("events"));
            EXPECT_EQ(read(topic), expected);
            EXPECT_TRUE(topic.append(record("on")));
            expected.emplace_back(expected.size(), "on");
            const bool killed = opening == 0 && GetParam() != std::string_view("memory");
            if (!killed) { close(log); }
        }
        expected.emplace_back(expected.size(), "on");
        EXPECT_EQ(after_power_loss(disk, {.keep = Crash::Keep::nothing}), expected);
    }
}

// Everything a crash may leave, in the middle of it and behind it: all of it or nothing.
TEST_P(TruncationLevelTest, ACrashAtAnyMomentLeavesAllOfItOrNothing) {
    for (const int64_t asked_end : {21, 16, 13}) {
        SimDisk disk({.record = true});
        int64_t end = 0;
        uint64_t asked = 0;
        uint64_t done = 0;
        {
            Log log = open_on(disk);
            Topic topic = make(log, "events", configs(GetParam()));
            fill(topic, 0, 22);
            ASSERT_TRUE(log.checkpoint());
            fill(topic, 22, 30);
            asked = disk.operations();
            end = value_of(truncate(log, asked_end)).value;
            done = disk.operations();
            ASSERT_TRUE(topic.append(record("new")));
        }
        const bool durable = std::string_view(GetParam()) == "durable";
        int cut = 0;
        for (const CrashPoint& point : crashes(disk, asked)) {
            const auto left = disk.crash_state(point);
            Log log = open_on(*left);
            Topic topic = value_of(log.topic("events"));
            const Found found = read(topic);
            const auto size = static_cast<int64_t>(found.size());
            const std::string where = fmt::format("{} of [{}, {}), to {}", point.to_string(), asked, done, end);
            Found whole = records(0, 30);
            Found left_over = records(0, end);
            if (size > end && found[static_cast<size_t>(end)].second == "new") { left_over.emplace_back(end, "new"); }
            const bool all = found == left_over;
            if (point.operation >= done) {
                EXPECT_TRUE(all) << where << " found " << size;
            } else if (durable) {
                EXPECT_TRUE(all || found == whole) << where << " found " << size;
            } else {
                whole.resize(std::min(found.size(), whole.size()));
                EXPECT_TRUE(all || found == whole) << where << " found " << size;
            }
            cut += all ? 1 : 0;
            EXPECT_TRUE(topic.append(record("on"))) << where;
            EXPECT_EQ(read(topic).size(), found.size() + 1) << where;
            close(log);
            EXPECT_EQ(verify_directory(*left, "data"), "") << where;
            if (HasFailure()) { return; }
        }
        EXPECT_GT(cut, 0);
    }
}

TEST_F(TruncationTest, ABatchThatHoldsTheEndGoesWhole) {
    Log log = open();
    Topic topic = make(log, "events", configs());
    fill(topic, 0, 3);
    const Record five[] = {record("a"), record("b"), record("c"), record("d"), record("e")};
    ASSERT_TRUE(topic.append(five));
    EXPECT_EQ(value_of(truncate(log, 5)), Offset{3});
    EXPECT_EQ(read(topic), records(0, 3));
    ASSERT_TRUE(topic.append(five));
    EXPECT_EQ(value_of(truncate(log, 7)), Offset{3});
    EXPECT_EQ(value_of(truncate(log, 3)), Offset{3}) << "there is nothing to take away";
}

TEST_F(TruncationTest, RefusesWhatItCannotDoAndSaysWhy) {
    {
        Log log = open();
        Topic topic = make(log, "events", configs());
        const Record five[] = {record("a"), record("b"), record("c"), record("d"), record("e")};
        ASSERT_TRUE(topic.append(five));
        fill(topic, 5, 20);
        ASSERT_TRUE(topic.delete_records(0, Offset{3}));
        const auto refused = [&](int64_t end, const char* name = "events") { return truncate(log, end, name).error(); };
        EXPECT_EQ(refused(2).code, Code::out_of_range);
        EXPECT_THAT(refused(2).message(), HasSubstr("offset 2 of events-0 is outside [3, 20]"));
        EXPECT_EQ(refused(21).code, Code::out_of_range);
        EXPECT_THAT(refused(21).message(), HasSubstr("offset 21 of events-0 is outside [3, 20]"));
        EXPECT_EQ(refused(-1).code, Code::out_of_range);
        EXPECT_EQ(refused(4).code, Code::out_of_range);
        EXPECT_THAT(refused(4).message(), HasSubstr("a batch that begins below the log start 3"));
        const GroupOffset offset[] = {{"events", 0, Offset{1}, ""}};
        ASSERT_TRUE(log.commit_offsets("group", offset));
        EXPECT_EQ(refused(0, "__consumer_offsets").code, Code::invalid);
        EXPECT_EQ(info(topic).log_end, Offset{20}) << "nothing was changed";
        EXPECT_EQ(value_of(truncate(log, 5)), Offset{5});
        ServedLog served(log);
        const ServedTopic events = *served.topic("events");
        EXPECT_EQ(served.truncate(events, 1, Offset{0}).error().code, Code::out_of_range) << "no such partition";
        ASSERT_TRUE(log.delete_topic("events"));
        EXPECT_EQ(served.truncate(events, 0, Offset{4}).error().code, Code::not_found);
        ASSERT_TRUE(log.close());
        EXPECT_EQ(served.truncate(events, 0, Offset{4}).error().code, Code::closed);
    }
    {
        Log log = open();
        make(log, "events", configs());
        close(log);
    }
    Log beside = open({.read_only = true});
    EXPECT_EQ(truncate(beside, 0).error().code, Code::read_only);
}

TEST_F(TruncationTest, ReadersBehindItAreToldAndThoseBeforeItGoOn) {
    for (const bool cold : {false, true}) {
        SimDisk disk;
        Log log = open_on(disk, {.tail_bytes_max = cold ? 0u : 1u << 20});
        Topic topic = make(log, "events", configs());
        fill(topic, 0, 30);
        ASSERT_TRUE(log.checkpoint());
        std::vector<Reader> readers;
        for (const int64_t from : {2, 20, 25, 30}) {
            readers.push_back(value_of(topic.read({.from = Offset{from}})));
            if (from == 30) { continue; }
            const auto batch = readers.back().next();  // whatever it has read ahead is not to be shown
            ASSERT_TRUE(batch) << batch.error().message();
            EXPECT_EQ(batch->next_offset(), Offset{from + 1});
        }
        ASSERT_EQ(value_of(truncate(log, 21)), Offset{21});
        for (int i = 21; i < 40; ++i) { ASSERT_TRUE(topic.append(record("new " + std::to_string(i)))); }
        for (const size_t behind : {2u, 3u}) {
            for (int time = 0; time < 2; ++time) {
                const auto told = readers[behind].next();
                ASSERT_FALSE(told);
                EXPECT_EQ(told.error().code, Code::out_of_range);
                EXPECT_THAT(told.error().message(), HasSubstr("was truncated away, the log ended at 21"));
            }
            ASSERT_TRUE(readers[behind].seek(Offset{30}));
            const auto batch = readers[behind].next();
            ASSERT_TRUE(batch) << batch.error().message();
            EXPECT_EQ(batch->begin()->value, "new 30");
        }
        for (const size_t before : {0u, 1u}) {
            int64_t next = before == 0 ? 3 : 21;
            while (next < 40) {
                const auto batch = readers[before].next();
                ASSERT_TRUE(batch) << batch.error().message();
                ASSERT_FALSE(batch->empty());
                for (const auto& found : *batch) {
                    EXPECT_EQ(found.offset, Offset{next});
                    EXPECT_EQ(found.value,
                              next < 21 ? numbered(static_cast<int>(next)) : "new " + std::to_string(next));
                    ++next;
                }
            }
        }
    }
}

TEST_F(TruncationTest, WhoWatchesLearnsOfItAndACursorThatWasKeptIsOfNoUse) {
    Log log = open({.tail_bytes_max = 0});
    Topic topic = make(log, "events", configs());
    fill(topic, 0, 30);
    ASSERT_TRUE(log.checkpoint());
    ServedLog served(log);
    const ServedTopic events = *served.topic("events");
    const ServedPartition place = value_of(served.partition(events, 0));
    const auto read_on = [&](int64_t from) {
        return served.read(place, Offset{from}, {.bytes_max = 1500, .at_least_one = true, .memory_only = false});
    };
    EXPECT_EQ(value_of(read_on(20)).next_offset, Offset{21});
    EXPECT_EQ(value_of(read_on(21)).next_offset, Offset{22});
    served.watch(place);
    ASSERT_EQ(value_of(served.truncate(events, 0, Offset{15})), Offset{15});
    EXPECT_THAT(served.moved(), ElementsAre(place));
    EXPECT_EQ(served.ends(place).high_watermark, Offset{15});
    EXPECT_EQ(read_on(22).error().code, Code::out_of_range);
    for (int i = 15; i < 30; ++i) { ASSERT_TRUE(topic.append(record("new " + numbered(i)))); }
    ASSERT_TRUE(log.checkpoint());
    const auto again = read_on(22);
    ASSERT_TRUE(again) << again.error().message();
    const auto batch = value_of(BatchView::parse(again->pieces.front()));
    std::vector<std::byte> scratch;
    auto cursor = value_of(RecordCursor::open(batch, scratch));
    EXPECT_EQ(value_of(cursor.next())->value, "new " + numbered(22));
}

TEST_F(TruncationTest, WhatComesNextIsOfALaterEpochAlsoAfterPowerLoss) {
    Epoch before;
    Epoch next;
    {
        Log log = open();
        Topic topic = make(log, "events", configs());
        fill(topic, 0, 10);
        close(log);
    }
    {
        Log log = open();
        Topic topic = value_of(log.topic("events"));
        fill(topic, 10, 20);
        before = info(topic).epoch;
        ASSERT_TRUE(truncate(log, 5));
        ASSERT_TRUE(topic.append(record("new")));
        next = info(topic).epoch;
        EXPECT_GT(next, before);
        ServedLog served(log);
        const auto epochs = served.epochs(value_of(served.partition(*served.topic("events"), 0)));
        EXPECT_EQ(epochs.back(), (EpochStart{next, Offset{5}}));
    }
    const auto left = disk_.crash({.keep = Crash::Keep::nothing});
    Log log = open_on(*left);
    Topic topic = value_of(log.topic("events"));
    ASSERT_TRUE(topic.append(record("later")));
    EXPECT_GT(info(topic).epoch, next);
    EXPECT_EQ(read(topic).size(), 7u);
}

// Sequences 0 to 19, one record each. After the truncation those that are left are duplicates, and the others are new.
TEST_F(TruncationTest, ProducersGoOnWhereTheLogEnds) {
    for (const bool trimmed : {false, true}) {
        for (const bool power_loss : {false, true}) {
            SimDisk disk;
            std::optional<Log> log = open_on(disk);
            Topic topic = make(*log, "events", configs());
            const int64_t producer = value_of(log->new_producer_id());
            const auto send = [&](int32_t sequence) {
                const Record one[] = {record("x")};
                return topic.append(one, {.partition = 0, .producer = ProducerSequence{producer, 0, sequence}});
            };
            for (int32_t i = 0; i < 20; ++i) { ASSERT_TRUE(send(i)); }
            if (trimmed) { ASSERT_TRUE(topic.delete_records(0, Offset{12})); }
            ASSERT_EQ(value_of(truncate(*log, 12)), Offset{12});
            std::unique_ptr<SimDisk> left;
            if (power_loss) {
                log.reset();
                left = disk.crash({.keep = Crash::Keep::nothing});
                log.emplace(open_on(*left));
                topic = value_of(log->topic("events"));
            }
            for (int32_t i = 7; i < 12; ++i) {
                const auto again = send(i);
                ASSERT_TRUE(again) << again.error().message();
                EXPECT_EQ(again->front().offset, Offset{i}) << "a duplicate";
            }
            EXPECT_EQ(send(13).error().code, Code::out_of_order);
            for (int32_t i = 12; i < 16; ++i) {
                const auto on = send(i);
                ASSERT_TRUE(on) << on.error().message();
                EXPECT_EQ(on->front().offset, Offset{i});
            }
            EXPECT_EQ(info(topic).log_end, Offset{16});
        }
    }
}

TEST_F(TruncationTest, TimesBehindItAreForgotten) {
    Log log = open();
    Topic topic = make(log, "events", configs());
    for (int i = 0; i < 30; ++i) { fill(topic, i, i + 1, 1'000'000 + i); }
    ASSERT_TRUE(truncate(log, 15));
    for (int i = 15; i < 30; ++i) { fill(topic, i, i + 1, 2'000'000 + i); }
    ASSERT_TRUE(log.checkpoint());
    EXPECT_EQ(value_of(topic.offset_for_time(0, 1'000'014)), Offset{14});
    EXPECT_EQ(value_of(topic.offset_for_time(0, 1'000'015)), Offset{15});
    EXPECT_EQ(value_of(topic.offset_for_time(0, 2'000'020)), Offset{20});
}

// The files of segments that go, and not only their names in the log.
TEST_F(TruncationTest, PowerLossBringsNoSegmentBack) {
    Log log = open();
    Topic topic = make(log, "events", configs());
    fill(topic, 0, 30);
    ASSERT_TRUE(log.checkpoint());
    const auto listing = value_of(list_segments(disk_, "data/events-0"));
    ASSERT_GE(listing.segments.size(), 3u);
    const Offset base = listing.segments[1].base;
    ASSERT_EQ(value_of(truncate(log, base.value)), base);
    const auto left = disk_.crash({.keep = Crash::Keep::nothing});
    for (const std::string& name : files_on(*left, "data/events-0")) {
        const auto found = parse_segment_file_name(name);
        if (found) { EXPECT_LT(found->base, base) << name; }
    }
}

// What is written directly behind a truncation is in the file alone: replay over a slot from before it would cut it away.
TEST_F(TruncationTest, EitherSlotAloneTellsOfItAndOfWhatCameAfter) {
    const std::string large(400'000, 'x');
    Log log = open();
    Topic topic = make(log, "events", {{"segment.bytes", "4194304"}});
    fill(topic, 0, 30);
    ASSERT_TRUE(truncate(log, 10));
    ASSERT_TRUE(topic.append(record("first, with the block before it, in the journal")));
    ASSERT_TRUE(topic.append(record(large)));
    Found expected = records(0, 10);
    expected.emplace_back(10, "first, with the block before it, in the journal");
    expected.emplace_back(11, large);
    for (const char* slot : {"data/flowstone-checkpoint-0", "data/flowstone-checkpoint-1"}) {
        SCOPED_TRACE(slot);
        const auto left = disk_.crash({.keep = Crash::Keep::everything});
        const auto file = value_of(left->open(slot, {.write = true}));
        ASSERT_TRUE(write_at(*left, *file, BytePos{40}, std::vector<std::byte>(8, std::byte{0xaa})));
        Log after = open_on(*left);
        Topic found = value_of(after.topic("events"));
        EXPECT_EQ(read(found), expected);
    }
}

// Offsets are missing where it was compacted: the log then ends behind the last record that is left.
TEST_F(TruncationTest, OfACompactedLogWhatIsLeftStays) {
    Log log = open();
    ConfigMap compacted = configs();
    compacted.emplace_back("cleanup.policy", "compact");
    compacted.emplace_back("min.cleanable.dirty.ratio", "0.01");
    Topic topic = make(log, "events", compacted);
    fill(topic, 0, 30);
    fill(topic, 0, 30);
    ASSERT_TRUE(log.checkpoint());
    clock_.advance_ms(hour_ms);
    maintain(log);
    const Found before = read(topic);
    ASSERT_LT(before.size(), 60u) << "it was compacted";
    const Offset end = value_of(truncate(log, 40));
    EXPECT_LE(end, Offset{40});
    Found expected = before;
    std::erase_if(expected, [](const auto& one) { return one.first >= 40; });
    EXPECT_EQ(read(topic), expected);
    expected.emplace_back(end.value, "on");
    ASSERT_TRUE(topic.append({.key = "k", .value = "on"}));
    EXPECT_EQ(read(topic), expected);
    close(log);
    EXPECT_EQ(verify_directory(disk_, "data"), "");
    Log again = open();
    Topic found = value_of(again.topic("events"));
    EXPECT_EQ(read(found), expected);
}

// Others append, read and check all the while.
TEST_F(TruncationTest, OthersGoOnMeanwhile) {
    Log log = open({.threads = 2});
    Topic topic = make(log, "events", configs());
    Topic other = make(log, "other", configs());
    std::atomic<bool> stop{false};
    std::optional<Thread> writer(std::in_place, "writer", [&] {
        for (int i = 0; !stop; ++i) {
            EXPECT_TRUE(other.append(record(std::to_string(i))));
            // It may go before its own thread has looked whether it is there.
            const auto appended = topic.append(record(std::to_string(i)));
            const bool gone =
                !appended && appended.error().code == Code::out_of_range && appended.error().fate == Fate::not_appended;
            EXPECT_TRUE(appended || gone) << appended.error().message();
        }
    });
    for (int round = 0; round < 8; ++round) {
        fill(topic, 0, 5);
        const Offset end = info(topic).log_end;
        const auto cut = truncate(log, end.value - 3);
        ASSERT_TRUE(cut) << cut.error().message();
        EXPECT_LE(*cut, Offset{end.value - 3});
        const Found found = read(topic);
        for (size_t i = 0; i < found.size(); ++i) { ASSERT_EQ(found[i].first, static_cast<int64_t>(i)); }
    }
    stop = true;
    writer.reset();
    close(log);
    EXPECT_EQ(verify_directory(disk_, "data"), "");
}

}  // namespace
}  // namespace flowstone
