// Many threads at one log: what is appended is there once and in order, and nothing hangs. Meant for the presets tsan
// and asan too; counts are bounded, and no thread sleeps but in the log.
#include <flowstone/log.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <charconv>
#include <map>
#include <random>
#include <thread>

#include "log/environment.h"
#include "tests/sim/world/sim_disk.h"

namespace flowstone {
namespace {

class ThreadsTest : public testing::TestWithParam<uint32_t> {
protected:
    Log open(Options options = {}) {
        options.threads = GetParam();
        auto log = open_log({&disk_, &system_clock(), &system_random()}, "data", std::move(options));
        EXPECT_TRUE(log) << log.error().message();
        return std::move(*log);
    }
    static Topic topic(Log& log, const char* name, int32_t partitions, ConfigMap configs = {}) {
        auto made =
            log.create_topic(name, {.partitions = partitions, .configs = std::move(configs), .exists_ok = true});
        EXPECT_TRUE(made) << made.error().message();
        return std::move(*made);
    }
    static Record record(std::string_view value) { return {.key = std::nullopt, .value = value}; }

    // Values are "writer:count"; of one writer they must be there from 0 on, each once, in order.
    static std::map<int, int> counts(Topic& topic, int32_t partition) {
        std::map<int, int> next;
        auto reader = topic.read({.partition = partition});
        EXPECT_TRUE(reader) << reader.error().message();
        for (;;) {
            auto batch = reader->next();
            if (!batch) {
                ADD_FAILURE() << batch.error().message();
                return next;
            }
            if (batch->empty()) { return next; }
            for (const auto& one : *batch) {
                const std::string_view text = one.value.value_or("");
                int writer = -1;
                int count = -1;
                const auto colon = text.find(':');
                if (colon == text.npos) { continue; }
                std::from_chars(text.data(), text.data() + colon, writer);
                std::from_chars(text.data() + colon + 1, text.data() + text.size(), count);
                EXPECT_EQ(count, next[writer]) << "writer " << writer << " in partition " << partition;
                next[writer] = count + 1;
            }
        }
    }
    static std::string value(int writer, int count, size_t padding = 0) {
        return std::to_string(writer) + ":" + std::to_string(count) + std::string(padding, ' ');
    }

    SimDisk disk_;
};

INSTANTIATE_TEST_SUITE_P(Threads, ThreadsTest, testing::Values(0u, 1u, 2u),
                         [](const auto& info) { return "With" + std::to_string(info.param); });

TEST_P(ThreadsTest, EverybodyWhoWaitsIsServed) {
    Log log = open();
    Topic events = topic(log, "events", 3);
    constexpr int writers = 8;
    constexpr int each = 60;
    {
        std::vector<std::jthread> threads;
        for (int writer = 0; writer < writers; ++writer) {
            // Threads end at different times: the last to work must not leave anybody asleep.
            threads.emplace_back([&, writer] {
                for (int i = 0; i < each + writer * 7; ++i) {
                    auto at = events.append(record(value(writer, i)), {.partition = writer % 3});
                    ASSERT_TRUE(at) << at.error().message();
                }
            });
        }
    }
    std::map<int, int> all;
    for (int32_t partition = 0; partition < 3; ++partition) { all.merge(counts(events, partition)); }
    for (int writer = 0; writer < writers; ++writer) { EXPECT_EQ(all[writer], each + writer * 7); }
    ASSERT_TRUE(log.close());
}

// A thread may end right after it was the committer, with appends of its own that it never waited for.
TEST_P(ThreadsTest, ThreadsThatEndAtAnyTimeLeaveNobodyAsleep) {
    Log log = open();
    Topic events = topic(log, "events", 3);
    constexpr int lanes = 4;
    constexpr int lives = 40;
    std::array<int, lanes> appended{};
    {
        std::vector<std::jthread> threads;
        for (int lane = 0; lane < lanes; ++lane) {
            threads.emplace_back([&, lane] {
                std::minstd_rand random(static_cast<uint32_t>(lane) + 1);
                for (int life = 0; life < lives; ++life) {
                    const uint32_t count = 1 + random() % 4;
                    const uint32_t waits = random();  // a bit for each append
                    std::jthread([&, lane, count, waits] {
                        for (uint32_t i = 0; i < count; ++i) {
                            auto pending =
                                events.append_async(record(value(lane, appended[lane]++)), {.partition = lane % 3});
                            ASSERT_TRUE(pending) << pending.error().message();
                            if ((waits >> i & 1) == 0) { continue; }
                            auto at = log.wait(*pending);
                            ASSERT_TRUE(at) << at.error().message();
                        }
                    }).join();
                }
            });
        }
    }
    ASSERT_TRUE(log.flush());
    std::map<int, int> all;
    for (int32_t partition = 0; partition < 3; ++partition) { all.merge(counts(events, partition)); }
    for (int lane = 0; lane < lanes; ++lane) { EXPECT_EQ(all[lane], appended[lane]); }
    ASSERT_TRUE(log.close());
}

TEST_P(ThreadsTest, EveryCallBesideEveryOther) {
    {
        // Budgets small enough that fills, rolls, checkpoints and waiting for room happen all the time.
        Log log = open({.journal_bytes_max = 16u << 20, .dirty_bytes_max = 1u << 20, .tail_bytes_max = 256u << 10});
        Topic durable = topic(log, "durable", 2, {{"segment.bytes", "1048576"}});
        Topic written = topic(log, "written", 2, {{"flowstone.durability", "written"}, {"segment.bytes", "1048576"}});
        Topic memory = topic(log, "memory", 2, {{"flowstone.durability", "memory"}, {"segment.bytes", "1048576"}});
        std::atomic<int> writing = 0;
        std::vector<std::jthread> threads;
        const auto run = [&](bool writes, auto body) {
            if (writes) { writing.fetch_add(1); }
            threads.emplace_back([&writing, writes, body] {
                body();
                if (writes) { writing.fetch_sub(1); }
            });
        };
        for (int writer = 0; writer < 2; ++writer) {
            for (Topic* one : {&durable, &written, &memory}) {
                run(true, [one, writer] {
                    for (int i = 0; i < 400; ++i) {
                        // Every now and then a batch that goes straight to the segment.
                        const std::string text = value(writer, i, i % 50 == 49 ? 150'000 : 900);
                        if (i % 5 == 0) {
                            auto at = one->append(record(text), {.partition = 0});
                            ASSERT_TRUE(at) << at.error().message();
                        } else {
                            auto pending = one->append_async(record(text), {.partition = 0});
                            ASSERT_TRUE(pending) << pending.error().message();
                        }
                    }
                });
            }
        }
        run(true, [&] {  // idempotent, each twice
            const auto id = log.new_producer_id();
            ASSERT_TRUE(id) << id.error().message();
            for (int i = 0; i < 200; ++i) {
                for (int again = 0; again < 2; ++again) {
                    const std::string text = value(7, i);
                    auto at = durable.append(record(text), {.partition = 1, .producer = ProducerSequence{*id, 0, i}});
                    ASSERT_TRUE(at) << at.error().message();
                }
            }
        });
        run(true, [&] {  // several partitions and an offset at once
            for (int i = 0; i < 100; ++i) {
                const std::string text = value(8, i);
                const Record records[] = {record(text)};
                const AtomicPart parts[] = {{durable, 0, records}};
                auto done = log.append_atomic(parts);
                if (done) { EXPECT_TRUE(log.wait(*done)); }
                // With several shards the parts may belong apart; that is told, and nothing is appended.
                ASSERT_TRUE(done || done.error().code == Code::invalid) << done.error().message();
                const GroupOffset offset[] = {{"durable", 0, Offset{i}}};
                auto committed = log.commit_offsets("group", offset);
                ASSERT_TRUE(committed) << committed.error().message();
                auto fetched = log.fetch_offsets("group");
                ASSERT_TRUE(fetched && fetched->size() == 1) << "offset " << i;
                EXPECT_EQ((*fetched)[0].offset, Offset{i});
            }
        });
        run(true, [&] {  // topics come and go while others append to them
            for (int i = 0; i < 15; ++i) {
                Topic passing = topic(log, "passing", 2);
                std::jthread other([&] {
                    for (int k = 0; k < 20; ++k) {
                        auto at = passing.append(record("x"), {.partition = k % 2});
                        if (!at) {
                            ASSERT_EQ(at.error().code, Code::not_found) << at.error().message();
                            return;
                        }
                    }
                });
                if (i % 2 == 0) {
                    auto grown = log.add_partitions("passing", 3);
                    ASSERT_TRUE(grown) << grown.error().message();
                }
                auto gone = log.delete_topic("passing");
                ASSERT_TRUE(gone) << gone.error().message();
            }
        });
        run(true, [&] {
            for (int i = 0; i < 30; ++i) {
                auto altered = log.alter_topic("durable", {{"retention.ms", std::to_string(1'000'000'000 + i)}});
                ASSERT_TRUE(altered) << altered.error().message();
                EXPECT_GE(log.topics().size(), 3u);
                ASSERT_TRUE(log.describe("durable"));
                ASSERT_TRUE(durable.partition(0));
            }
        });
        run(false, [&] {
            do {
                auto done = log.flush();
                ASSERT_TRUE(done) << done.error().message();
                done = log.poll();
                ASSERT_TRUE(done) << done.error().message();
            } while (writing > 0);
        });
        run(false, [&] {
            do {
                auto done = log.checkpoint();
                ASSERT_TRUE(done) << done.error().message();
            } while (writing > 0);
        });
        for (Topic* one : {&durable, &written, &memory}) {
            run(false, [one, &writing] {
                do { counts(*one, 0); } while (writing > 0);
            });
            run(false, [one, &writing] {  // from anywhere
                for (int64_t i = 0; writing > 0; ++i) {
                    auto info = one->partition(0);
                    ASSERT_TRUE(info) << info.error().message();
                    const int64_t end = info->high_watermark.value;
                    auto reader = one->read({.partition = 0, .from = Offset{end == 0 ? 0 : i * 37 % end}});
                    ASSERT_TRUE(reader) << reader.error().message();
                    auto batch = reader->next(std::chrono::milliseconds(1));
                    ASSERT_TRUE(batch) << batch.error().message();
                    if (!batch->empty()) { EXPECT_EQ((*(*batch).begin()).offset, batch->base_offset()); }
                }
            });
        }
        threads.clear();
        auto closed = log.close();
        ASSERT_TRUE(closed) << closed.error().message();
    }
    Log log = open();
    for (const char* name : {"durable", "written", "memory"}) {
        auto again = log.topic(name);
        ASSERT_TRUE(again) << again.error().message();
        auto found = counts(*again, 0);
        for (int writer = 0; writer < 2; ++writer) { EXPECT_EQ(found[writer], 400) << name; }
    }
    auto durable = log.topic("durable");
    EXPECT_EQ(counts(*durable, 1)[7], 200);
}

TEST_P(ThreadsTest, ClosingWhileOthersAppendLosesNothingThatWasAcknowledged) {
    for (int round = 0; round < 5; ++round) {
        std::atomic<int> acknowledged[4] = {};
        {
            Log log = open();
            Topic events = topic(log, ("round-" + std::to_string(round)).c_str(), 2);
            std::vector<std::jthread> threads;
            std::atomic<int> begun = 0;
            for (int writer = 0; writer < 4; ++writer) {
                threads.emplace_back([&, writer] {
                    for (int i = 0;; ++i) {
                        auto at = events.append(record(value(writer, i)), {.partition = writer % 2});
                        if (!at) {
                            EXPECT_EQ(at.error().code, Code::closed) << at.error().message();
                            EXPECT_NE(at.error().fate, Fate::none);
                            return;
                        }
                        acknowledged[writer] = i + 1;
                        if (i == 20) { begun.fetch_add(1); }
                    }
                });
            }
            threads.emplace_back([&] {  // tails until the end
                auto reader = events.read({.partition = 0, .from = From::end()});
                while (reader) {
                    auto batch = reader->next(std::chrono::seconds(100));
                    if (batch) { continue; }
                    EXPECT_EQ(batch.error().code, Code::closed) << batch.error().message();
                    return;
                }
            });
            while (begun < 4) { std::this_thread::yield(); }
            auto closed = log.close();
            EXPECT_TRUE(closed) << closed.error().message();
            threads.clear();
        }
        Log log = open();
        auto events = log.topic("round-" + std::to_string(round));
        ASSERT_TRUE(events) << events.error().message();
        std::map<int, int> all;
        for (int32_t partition = 0; partition < 2; ++partition) { all.merge(counts(*events, partition)); }
        for (int writer = 0; writer < 4; ++writer) { EXPECT_GE(all[writer], acknowledged[writer]); }
    }
}

TEST_P(ThreadsTest, ATailingReaderIsWokenByAsynchronousAppends) {
    for (const char* level : {"durable", "written", "memory"}) {
        SCOPED_TRACE(level);
        Log log = open();
        Topic events = topic(log, level, 1, {{"flowstone.durability", level}});
        constexpr int count = 200;
        std::jthread reader([&] {
            auto tail = events.read();
            ASSERT_TRUE(tail);
            for (int seen = 0; seen < count;) {
                auto batch = tail->next(std::chrono::seconds(100));
                ASSERT_TRUE(batch) << batch.error().message();
                ASSERT_FALSE(batch->empty()) << "after " << seen;
                for (const auto& one : *batch) { EXPECT_EQ(one.value, value(0, seen++)); }
            }
        });
        for (int i = 0; i < count; ++i) { ASSERT_TRUE(events.append_async(record(value(0, i)))); }
        reader.join();
    }
}

}  // namespace
}  // namespace flowstone
