// A log's tail through shared memory, with the process that holds the log coming and going as it likes.
// FLOWSTONE_SHARED_KILLS sets how often it is killed (20).
#include "client/impl/shared_near.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "log/served_log.h"
#include "storage/batch.h"
#include "storage/disk.h"
#include "storage/meta_files.h"
#include "tests/client/served_log.h"
#include "tests/number_from.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using Found = NearLog::Found;
constexpr uint64_t tail_bytes = 1u << 20;
const TopicPartition place{"events", 0};

class SharedNearTest : public testing::Test {
protected:
    void hold() {
        log_.emplace(value_of(Log::open(directory_.log(), small_log().log)));
        served_.emplace(*log_);
    }
    void let_go() {
        ASSERT_TRUE(log_->close());
        served_.reset();
        log_.reset();
    }
    Topic make() { return value_of(log_->create_topic("events", {.exists_ok = true})); }
    Uuid id() { return served_->topic("events")->id(); }
    // Until what was once not there is looked for again.
    Found read_at_last(Offset from, const Uuid& topic) {
        for (;;) {  // hangs when it never is
            answer_ = value_of(near_.read(place, topic, from));
            if (answer_.found != Found::elsewhere) { return answer_.found; }
            clock_.pass();
        }
    }

    // Real time, and as much more as one likes.
    class AheadClock final : public Clock {
    public:
        int64_t wall_ms() override { return system_clock().wall_ms(); }
        int64_t monotonic_ns() override { return system_clock().monotonic_ns() + ahead_ns_; }
        void pass() { ahead_ns_ += 1'000'000'000; }

    private:
        int64_t ahead_ns_ = 0;
    };

    TestDirectory directory_;
    AheadClock clock_;
    SharedNear near_{directory_.log(), clock_};
    NearLog::Answer answer_;
    std::optional<Log> log_;
    std::optional<ServedLog> served_;
};

TEST_F(SharedNearTest, ItIsThereFromWhenItIsSharedUntilTheEnd) {
    EXPECT_EQ(value_of(near_.read(place, {}, Offset{0})).found, Found::elsewhere);  // no log at all
    hold();
    Topic topic = make();
    EXPECT_EQ(value_of(near_.read(place, id(), Offset{0})).found, Found::elsewhere);
    ASSERT_TRUE(served_->share_tails(tail_bytes));
    ASSERT_TRUE(topic.append({.value = "first"}));
    ASSERT_EQ(read_at_last(Offset{0}, id()), Found::batches);
    EXPECT_EQ(value_of(BatchView::parse(answer_.batches)).base_offset(), Offset{0});
    EXPECT_EQ(answer_.end, Offset{1});
    EXPECT_EQ(value_of(near_.read(place, id(), Offset{1})).found, Found::end);
    const Uuid topic_id = id();
    let_go();
    EXPECT_EQ(value_of(near_.read(place, topic_id, Offset{1})).found, Found::elsewhere);
    // Another opening shares anew, and is found.
    hold();
    topic = make();
    ASSERT_TRUE(served_->share_tails(tail_bytes));
    ASSERT_TRUE(topic.append({.value = "second"}));
    EXPECT_EQ(read_at_last(Offset{1}, id()), Found::batches);
    let_go();
}

TEST_F(SharedNearTest, WhoeverSleepsIsWokenByAnAppendAndByTheEnd) {
    hold();
    Topic topic = make();
    ASSERT_TRUE(served_->share_tails(tail_bytes));
    ASSERT_TRUE(topic.append({.value = "first"}));
    ASSERT_EQ(read_at_last(Offset{0}, id()), Found::batches);
    const std::atomic<uint32_t> own = 0;
    const auto sleep_until = [&](Offset from, Found wanted, const Uuid& topic_id) {
        for (;;) {  // hangs when nobody wakes it
            const uint32_t ticket = near_.ticket();
            if (value_of(near_.read(place, topic_id, from)).found == wanted) { return; }
            near_.sleep({own, 0}, ticket, -1);
        }
    };
    const Uuid topic_id = id();
    std::thread appending([&] { EXPECT_TRUE(topic.append({.value = "second"})); });
    sleep_until(Offset{1}, Found::batches, topic_id);
    appending.join();
    std::thread closing([&] { EXPECT_TRUE(log_->close()); });
    sleep_until(Offset{2}, Found::elsewhere, topic_id);
    closing.join();
}

// Who reads on without a pause does not make the batches small that it reads.
TEST_F(SharedNearTest, OnlyWhoIsAboutToSleepAnnouncesIt) {
    Client holder = value_of(Client::open("dir:" + directory_.log(), small_log()));
    Topic topic = value_of(holder.log()->create_topic("events", {}));
    ServedLog served(*holder.log());
    ASSERT_TRUE(served.share_tails(tail_bytes));
    ASSERT_TRUE(topic.append({.value = "a page"}));
    const auto name =
        shared_tail_name(value_of(read_meta_properties(*open_posix_disk(), directory_.log())).directory_id);
    const auto memory = value_of(SharedMemory::open(name, directory_.log(), shared_page_bytes, shared_page_bytes));
    auto& bell = *reinterpret_cast<SharedBell*>(memory.writable().data());
    Client client = value_of(Client::open("shm:" + directory_.log()));
    Consumer consumer = value_of(client.consumer());
    ASSERT_TRUE(consumer.assign({place}, From::end()));
    std::thread appending([&] {
        while (bell.sleepers == 0) { std::this_thread::yield(); }  // hangs when the reader never comes over
        EXPECT_TRUE(topic.append({.value = "wakes it"}));
    });
    ASSERT_FALSE(value_of(consumer.poll(std::chrono::hours(1))).empty());
    appending.join();
    EXPECT_EQ(bell.sleepers, 0u);
    for (int i = 0; i < 10; ++i) { ASSERT_TRUE(topic.append({.value = "next"})); }
    for (int i = 0; i < 10; ++i) { ASSERT_FALSE(value_of(consumer.poll(std::chrono::hours(1))).empty()); }
    EXPECT_EQ(bell.sleepers, 0u);
    EXPECT_TRUE(value_of(consumer.poll(std::chrono::milliseconds(0))).empty());
    EXPECT_EQ(bell.sleepers, 0u);
    ASSERT_TRUE(client.close());
    ASSERT_TRUE(holder.close());
}

// --- processes ---------------------------------------------------------------------------------------------------------

int kills() { return static_cast<int>(number_from("FLOWSTONE_SHARED_KILLS", 20)); }

// Holds the log and appends numbers that are their offsets, until it is killed.
[[noreturn]] void append_for_ever(const std::string& directory) {
    auto log = Log::open(directory, small_log().log);
    if (!log) { _exit(1); }
    ServedLog served(*log);
    auto topic = log->create_topic("events", {.exists_ok = true});
    if (!topic || !served.share_tails(tail_bytes)) { _exit(2); }
    for (int64_t next = value_of(topic->partition(0)).log_end.value;; ++next) {
        if (!topic->append({.value = std::to_string(next)})) { _exit(3); }
    }
}

TEST_F(SharedNearTest, WhateverIsKilledReadersReadOnAndNothingThatTheySawIsLost) {
    hold();
    make();
    const Uuid topic_id = id();
    let_go();
    const auto name =
        shared_tail_name(value_of(read_meta_properties(*open_posix_disk(), directory_.log())).directory_id);
    int64_t next = 0;  // to be read
    for (int cycle = 0; cycle < kills(); ++cycle) {
        const pid_t holder = fork();
        if (holder == 0) { append_for_ever(directory_.log()); }
        // A little more of it in each cycle, so that it dies at ever other places.
        const int64_t until = next + 10 + cycle % 7;
        std::optional<int64_t> seen;
        while (next < until || !seen) {
            int status = 0;
            ASSERT_EQ(waitpid(holder, &status, WNOHANG), 0) << "the holder ended with " << status;
            answer_ = value_of(near_.read(place, topic_id, Offset{next}));
            clock_.pass();
            if (answer_.found == Found::elsewhere) {
                // What was appended before we came, or too long ago, is in the log; we wait for what comes now.
                const auto beside = Log::open(directory_.log(), {.read_only = true});
                if (!beside) { continue; }
                const auto topic = beside->topic("events");
                if (topic) { next = std::max(next, value_of(topic->partition(0)).high_watermark.value); }
                continue;
            }
            if (answer_.found != Found::batches) { continue; }
            for (Bytes rest = answer_.batches; !rest.empty();) {
                const BatchView batch = value_of(BatchView::parse(rest));
                rest = rest.subspan(batch.size());
                ASSERT_TRUE(batch.crc_matches());
                std::vector<std::byte> scratch;
                auto records = value_of(RecordCursor::open(batch, scratch));
                while (const auto record = value_of(records.next())) {
                    ASSERT_EQ(record->value.value_or(""), std::to_string(record->offset.value));
                    seen = record->offset.value;
                }
                next = batch.next_offset().value;
            }
        }
        ASSERT_EQ(kill(holder, SIGKILL), 0);
        ASSERT_EQ(waitpid(holder, nullptr, 0), holder);
        // What is left in memory can be read, and then nobody waits for the dead.
        const std::atomic<uint32_t> own = 0;
        for (;;) {
            const uint32_t ticket = near_.ticket();
            answer_ = value_of(near_.read(place, topic_id, Offset{next}));
            if (answer_.found == Found::elsewhere) { break; }
            if (answer_.found == Found::batches) {
                for (Bytes rest = answer_.batches; !rest.empty();) {
                    const BatchView batch = value_of(BatchView::parse(rest));
                    rest = rest.subspan(batch.size());
                    next = batch.next_offset().value;
                }
                seen = next - 1;
            }
            if (answer_.found == Found::end) { near_.sleep({own, 0}, ticket, -1); }
        }
        const auto log = value_of(Log::open(directory_.log(), {.read_only = true}));
        const int64_t end = value_of(value_of(log.topic("events")).partition(0)).high_watermark.value;
        ASSERT_TRUE(seen);
        ASSERT_GT(end, *seen) << "in cycle " << cycle;
    }
    ASSERT_TRUE(SharedMemory::open(name, directory_.log(), 0, shared_page_bytes));
    hold();
    EXPECT_FALSE(SharedMemory::open(name, directory_.log(), 0, shared_page_bytes));  // nothing is left behind
    let_go();
}

TEST_F(SharedNearTest, ReadersThatAreKilledHoldNobodyUp) {
    hold();
    Topic topic = make();
    ASSERT_TRUE(served_->share_tails(tail_bytes));
    const Uuid topic_id = id();
    int64_t appended = 0;
    for (int cycle = 0; cycle < kills(); ++cycle) {
        int ready[2];
        ASSERT_EQ(pipe(ready), 0);
        const pid_t reader = fork();
        if (reader == 0) {
            SharedNear near(directory_.log(), system_clock());
            const std::atomic<uint32_t> own = 0;
            bool told = false;
            for (Offset next{appended};;) {
                const uint32_t ticket = near.ticket();
                const auto answer = near.read(place, topic_id, next);
                if (!answer) { _exit(1); }
                if (answer->found == Found::elsewhere) { continue; }
                if (!std::exchange(told, true)) { static_cast<void>(!write(ready[1], "y", 1)); }
                if (answer->found == Found::batches) { next = answer->end; }
                if (answer->found == Found::end) { near.sleep({own, 0}, ticket, -1); }
            }
        }
        ASSERT_TRUE(topic.append({.value = "a page"}));
        char byte = 0;
        ASSERT_EQ(::read(ready[0], &byte, 1), 1);
        for (int i = 0; i < 20 + cycle % 5; ++i) { ASSERT_TRUE(topic.append({.value = "on and on"})); }
        ASSERT_EQ(kill(reader, SIGKILL), 0);
        ASSERT_EQ(waitpid(reader, nullptr, 0), reader);
        for (int i = 0; i < 20; ++i) { ASSERT_TRUE(topic.append({.value = "and on"})); }
        appended = value_of(topic.partition(0)).log_end.value;
        close(ready[0]);
        close(ready[1]);
    }
    EXPECT_EQ(read_at_last(Offset{appended - 1}, topic_id), Found::batches);
    let_go();
}

}  // namespace
}  // namespace flowstone
