// What other processes find in a log's shared tail is what the log's own reader finds.
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "log/served_log.h"
#include "storage/batch.h"
#include "storage/disk.h"
#include "storage/meta_files.h"
#include "storage/shared_memory.h"
#include "storage/shared_tail.h"
#include "tests/client/served_log.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using Found = SharedTailReader::Found;
using Records = std::vector<std::pair<int64_t, std::string>>;  // offset, value

class TailSharingTest : public testing::Test {
protected:
    static constexpr uint64_t bytes = 4u << 20;

    TailSharingTest() { open(); }
    void open(uint32_t threads = 1) {
        Options options = small_log().log;
        options.threads = threads;
        log_.emplace(value_of(Log::open(directory_.log(), std::move(options))));
        served_.emplace(*log_);
    }
    // Nothing happens but in the calls of a test.
    void open_without_threads() {
        ASSERT_TRUE(log_->close());
        served_.reset();
        log_.reset();
        open(0);
    }
    Topic make(const char* name, ConfigMap configs = {}, int32_t partitions = 1) {
        return value_of(log_->create_topic(name, {.partitions = partitions, .configs = std::move(configs)}));
    }
    void share(uint64_t its_bytes = bytes) { ASSERT_TRUE(served_->share_tails(its_bytes)); }
    std::string tail_name() {
        return shared_tail_name(value_of(read_meta_properties(*disk_, directory_.log())).directory_id);
    }
    void map() {
        memory_.emplace(
            value_of(SharedMemory::open(tail_name(), directory_.log(), shared_page_bytes, shared_page_bytes)));
        reader_.emplace(value_of(SharedTailReader::over(
            memory_->bytes(), reinterpret_cast<SharedBell*>(memory_->writable().data()), system_clock())));
    }
    // From there to the end, or to what is elsewhere.
    Records shared(const char* topic, int64_t from, int32_t partition = 0, Found* last = nullptr) {
        Records out;
        const Uuid id = served_->topic(topic)->id();
        const auto page = reader_->page_of(id, partition);
        if (!page) { return out; }
        SharedTailReader::Place place{.page = *page, .offset = {}, .at = 0};
        SharedTailReader::Copy copy;
        for (Offset next{from};;) {
            const Found found = reader_->read(place, id, partition, next, copy);
            if (last != nullptr) { *last = found; }
            if (found != Found::batches) { return out; }
            for (Bytes rest = copy.batches; !rest.empty();) {
                const BatchView batch = value_of(BatchView::parse(rest));
                rest = rest.subspan(batch.size());
                EXPECT_TRUE(batch.crc_matches());
                std::vector<std::byte> scratch;
                auto records = value_of(RecordCursor::open(batch, scratch));
                while (const auto record = value_of(records.next())) {
                    if (record->offset >= next) { out.emplace_back(record->offset.value, record->value.value_or("")); }
                }
                next = std::max(next, batch.next_offset());
            }
        }
    }
    static Records own(Topic& topic, int64_t from, int32_t partition = 0) {
        Records out;
        auto reader = value_of(topic.read({.partition = partition, .from = Offset{from}}));
        for (;;) {
            const auto batch = value_of(reader.next());
            if (batch.empty()) { return out; }
            for (const auto& record : batch) { out.emplace_back(record.offset.value, record.value.value_or("")); }
        }
    }

    TestDirectory directory_;
    std::unique_ptr<Disk> disk_ = open_posix_disk();
    std::optional<Log> log_;
    std::optional<ServedLog> served_;
    std::optional<SharedMemory> memory_;
    std::optional<SharedTailReader> reader_;
};

TEST_F(TailSharingTest, WhatIsAppendedFromThenOnIsThere) {
    Topic topic = make("events", {}, 3);
    ASSERT_TRUE(topic.append({.value = "before"}, {.partition = 1}));
    share();
    for (int i = 0; i < 500; ++i) {
        ASSERT_TRUE(topic.append_async({.value = std::string(static_cast<size_t>(i), 'v')}, {.partition = i % 3}));
        if (i % 50 == 0) { ASSERT_TRUE(log_->flush()); }
    }
    ASSERT_TRUE(log_->flush());
    map();
    for (int32_t partition = 0; partition < 3; ++partition) {
        const int64_t from = partition == 1 ? 1 : 0;
        Found last{};
        EXPECT_EQ(shared("events", from, partition, &last), own(topic, from, partition));
        EXPECT_EQ(last, Found::end);
    }
    Found last{};
    EXPECT_TRUE(shared("events", 0, 1, &last).empty());
    EXPECT_EQ(last, Found::elsewhere);
}

TEST_F(TailSharingTest, SegmentsOfEveryLevelGoOnIntoOneAnother) {
    for (const char* level : {"durable", "written", "memory"}) {
        SCOPED_TRACE(level);
        const std::string name = std::string("topic-") + level;
        Topic topic = make(name.c_str(), {{"flowstone.durability", level}, {"segment.bytes", "1048576"}});
        share();
        for (int i = 0; i < 400; ++i) { ASSERT_TRUE(topic.append({.value = std::string(7'000, 'v')})); }
        ASSERT_TRUE(log_->flush());
        const Records expected = own(topic, 0);
        map();
        EXPECT_EQ(expected.size(), 400u);
        EXPECT_GT(value_of(topic.partition(0)).segments, 2u);
        EXPECT_EQ(shared(name.c_str(), 0), expected);
    }
}

// A batch for which the direct path is taken, and one that is too large for the ring.
TEST_F(TailSharingTest, LargeBatches) {
    Topic topic = make("events", {{"max.message.bytes", "16777216"}});
    share();
    const std::string large(600'000, 'l');
    const std::string huge(3'000'000, 'h');
    for (const std::string& value : {large, std::string("a"), huge, std::string("b"), large}) {
        ASSERT_TRUE(topic.append({.value = value}));
    }
    map();
    Found last{};
    const Records front = shared("events", 0, 0, &last);
    EXPECT_EQ(last, Found::elsewhere);
    ASSERT_EQ(front.size(), 2u);
    EXPECT_EQ(front[0].second, large);
    EXPECT_EQ(shared("events", 3), own(topic, 3));
}

TEST_F(TailSharingTest, WhatWasDeletedIsElsewhere) {
    Topic topic = make("events");
    make("gone");
    share();
    for (int i = 0; i < 10; ++i) { ASSERT_TRUE(topic.append({.value = "v"})); }
    ASSERT_TRUE(value_of(log_->topic("gone")).append({.value = "v"}));
    map();
    const Uuid gone = served_->topic("gone")->id();
    EXPECT_TRUE(reader_->page_of(gone, 0));
    ASSERT_TRUE(topic.delete_records(0, Offset{5}));
    ASSERT_TRUE(log_->delete_topic("gone"));
    Found last{};
    EXPECT_TRUE(shared("events", 4, 0, &last).empty());
    EXPECT_EQ(last, Found::elsewhere);
    EXPECT_EQ(shared("events", 5).size(), 5u);
    EXPECT_FALSE(reader_->page_of(gone, 0));
}

TEST_F(TailSharingTest, TheNextOpeningTakesAwayWhatTheDeadLeft) {
    ASSERT_TRUE(log_->close());
    served_.reset();
    log_.reset();
    { const auto left = value_of(SharedMemory::make(tail_name(), bytes, directory_.log())); }
    ASSERT_TRUE(SharedMemory::open(tail_name(), directory_.log(), 0, shared_page_bytes));
    ASSERT_TRUE(Log::open(directory_.log(), {.read_only = true}));  // may be beside one who lives
    ASSERT_TRUE(SharedMemory::open(tail_name(), directory_.log(), 0, shared_page_bytes));
    open();
    EXPECT_FALSE(SharedMemory::open(tail_name(), directory_.log(), 0, shared_page_bytes));
}

TEST_F(TailSharingTest, ItEndsAndBeginsAnew) {
    Topic topic = make("events");
    share();
    ASSERT_TRUE(topic.append({.value = "first"}));
    map();
    served_->stop_sharing_tails();
    EXPECT_TRUE(reader_->closed());
    EXPECT_FALSE(memory_->alive());
    EXPECT_FALSE(SharedMemory::open(tail_name(), directory_.log(), 0, shared_page_bytes));
    ASSERT_TRUE(topic.append({.value = "second"}));
    share();
    ASSERT_TRUE(topic.append({.value = "third"}));
    map();
    EXPECT_EQ(shared("events", 2), own(topic, 2));
    ASSERT_TRUE(log_->close());
    EXPECT_TRUE(reader_->closed());
    EXPECT_FALSE(SharedMemory::open(tail_name(), directory_.log(), 0, shared_page_bytes));
}

// Nobody waits for a record of a `memory` topic, and so nobody would close its batch: those who look when they are told.
TEST_F(TailSharingTest, RecordsOfMemoryTopicsAreSoonThere) {
    Topic topic = make("events", {{"flowstone.durability", "memory"}});
    ASSERT_TRUE(topic.append_async({.value = "there is a partition"}));
    share();
    std::atomic<uint32_t> own_word = 0;
    ASSERT_TRUE(topic.append_async({.value = "one"}));
    map();
    for (int64_t next = 1; next < 100; ++next) {
        Records found;
        while (found.empty()) {  // hangs when it never comes
            const uint32_t ticket = reader_->ticket();
            ASSERT_TRUE(reader_->announce());
            found = shared("events", next);
            if (found.empty()) { sleep_while_both({own_word, 0}, {reader_->word(), ticket}, -1); }
        }
        ASSERT_EQ(found.back().first, next);
        ASSERT_TRUE(topic.append_async({.value = "another"}));
    }
}

TEST_F(TailSharingTest, WhoAppendsToAMemoryTopicShowsTheRecordToThoseWhoSleep) {
    open_without_threads();
    Topic topic = make("events", {{"flowstone.durability", "memory"}});
    ASSERT_TRUE(topic.append_async({.value = "there is a page"}));
    share();
    map();
    for (int64_t next = 1; next < 100; next += 10) {
        for (int64_t i = 1; i < 10; ++i) { ASSERT_TRUE(topic.append_async({.value = "gathers"})); }
        ASSERT_TRUE(shared("events", next).empty());
        const uint32_t ticket = reader_->ticket();
        ASSERT_TRUE(reader_->announce());
        ASSERT_TRUE(topic.append_async({.value = "shown"}));
        EXPECT_NE(reader_->ticket(), ticket);
        const Records shown = shared("events", next);
        ASSERT_EQ(shown.size(), 10u);
        EXPECT_EQ(shown.back().second, "shown");
    }
    // In batches as large as the appends between two sleeps make them.
    auto reader = value_of(topic.read({.from = Offset{1}}));
    EXPECT_EQ(value_of(reader.next()).next_offset(), Offset{11});
}

TEST_F(TailSharingTest, WhatSeveralAppendAtOnceIsShownToThoseWhoSleep) {
    open_without_threads();
    Topic topic = make("events", {{"flowstone.durability", "memory"}});
    ASSERT_TRUE(topic.append_async({.value = "there is a page"}));
    share();
    map();
    const std::vector<Record> three(3, Record{.value = "v"});
    ASSERT_TRUE(topic.append(three));
    ASSERT_TRUE(shared("events", 1).empty());
    ASSERT_TRUE(reader_->announce());
    ASSERT_TRUE(topic.append(three));
    EXPECT_EQ(shared("events", 1).size(), 6u);
}

TEST_F(TailSharingTest, WhatIsNotYetDurableIsShownToNobody) {
    open_without_threads();
    for (const char* level : {"durable", "written"}) {
        SCOPED_TRACE(level);
        Topic topic = make(level, {{"flowstone.durability", level}});
        share();
        ASSERT_TRUE(topic.append({.value = "there is a page"}));
        map();
        ASSERT_TRUE(reader_->announce());
        ASSERT_TRUE(topic.append_async({.value = "on its way"}));
        EXPECT_TRUE(shared(level, 1).empty());
        ASSERT_TRUE(log_->flush());
        EXPECT_EQ(shared(level, 1).size(), 1u);
    }
}

// Batches of any size follow one another: the page speaks of everything that the ring has.
TEST_F(TailSharingTest, WhatTheRingHasIsThereHoweverItWasAppended) {
    Topic topic = make("events", {{"flowstone.durability", "memory"}});
    ASSERT_TRUE(topic.append_async({.value = "there is a page"}));
    share(16u << 20);
    map();
    constexpr int count = 12'000;  // of 1 KiB, of a ring of 14 MiB
    const std::string value(1'024, 'v');
    for (int i = 0; i < count; ++i) {
        if (i % 3 == 0) { ASSERT_TRUE(reader_->announce()); }
        ASSERT_TRUE(topic.append_async({.value = value}));
    }
    ASSERT_TRUE(reader_->announce());
    ASSERT_TRUE(topic.append_async({.value = "last"}));
    EXPECT_EQ(shared("events", 1).size(), count + 1u);
}

TEST_F(TailSharingTest, WhoWatchesAMemoryTopicIsTold) {
    Topic topic = make("events", {{"flowstone.durability", "memory"}});
    ASSERT_TRUE(topic.append_async({.value = "there is a partition"}));
    const ServedTopic watched = *served_->topic("events");
    const ServedPartition partition = value_of(served_->partition(watched, 0));
    std::atomic<uint32_t> told = 0;
    served_->set_notice([&] {
        ++told;
        wake_all(told);
    });
    static_cast<void>(own(topic, 0));  // closes what is open
    served_->watch(partition);
    ASSERT_TRUE(topic.append_async({.value = "new"}));
    while (told == 0) { sleep_while(told, 0); }  // hangs when it is not
    EXPECT_EQ(served_->moved().size(), 1u);
    served_->set_notice({});
}

}  // namespace
}  // namespace flowstone
