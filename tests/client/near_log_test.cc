// A consumer that finds some records near and fetches the others: each once, in order, wherever it changes over.
#include "client/impl/near_log.h"

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "storage/batch.h"
#include "tests/client/client_world.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

// Gives what the log has, or says that it is elsewhere, as it is told.
class ToldNear final : public NearLog {
public:
    explicit ToldNear(Log& log) : log_(log) {}

    Result<Answer> read(const TopicPartition& place, const Uuid& topic, Offset from) override {
        ++reads;
        EXPECT_FALSE(topic.is_zero());
        if (!is_near()) { return Answer{}; }
        Topic handle = value_of(log_.topic(place.topic));
        const Offset end = value_of(handle.partition(place.partition)).high_watermark;
        if (from >= end) { return Answer{Found::end, {}, end}; }
        auto reader = value_of(handle.read({.partition = place.partition, .from = from}));
        batches_.clear();
        for (size_t i = 0; i < batches_at_once; ++i) {
            const auto batch = value_of(reader.next());
            if (batch.empty()) { break; }
            batches_.insert(batches_.end(), batch.bytes().begin(), batch.bytes().end());
        }
        if (damaged) { batches_.back() ^= std::byte{1}; }
        ++found;
        return Answer{Found::batches, batches_, end};
    }
    bool checked() const override { return false; }
    uint32_t ticket() override { return 0; }
    void sleep(const WordToWatch& /*own*/, uint32_t /*ticket*/, int64_t /*timeout_ns*/) override {}

    std::function<bool()> is_near = [] { return true; };
    size_t batches_at_once = 2;
    bool damaged = false;
    int reads = 0;
    int found = 0;

private:
    Log& log_;
    std::vector<std::byte> batches_;
};

class NearLogTest : public ClientWorld {
protected:
    std::shared_ptr<ConsumerCore> consume(const std::vector<TopicPartition>& places = {{"events", 0}},
                                          const ConsumerOptions& options = {}) {
        auto near = std::make_unique<ToldNear>(*log_);
        near_ = near.get();
        auto consumer = engine_->add_consumer(options, std::move(near));
        consumer->assign(places, From::beginning());
        return consumer;
    }
    // Values [from, to), each a batch of its own.
    void append(int from, int to, int32_t partition = 0) {
        Topic topic = value_of(log_->topic("events"));
        for (int i = from; i < to; ++i) {
            ASSERT_TRUE(topic.append({.value = std::to_string(i)}, {.partition = partition}));
        }
    }
    static Values numbers(int from, int to) {
        Values values;
        for (int i = from; i < to; ++i) { values.push_back(std::to_string(i)); }
        return values;
    }

    ToldNear* near_ = nullptr;  // the consumer's
};

TEST_F(NearLogTest, WhatIsNearIsNotFetched) {
    start_all();
    make_topic("events");
    append(0, 10);
    const auto consumer = consume();
    EXPECT_EQ(drain(*consumer), numbers(0, 10));
    append(10, 13);
    EXPECT_EQ(drain(*consumer), numbers(10, 13));
    EXPECT_EQ(near_->found, 7);  // two batches each, and one
    EXPECT_EQ(consumer->position({"events", 0}), Offset{13});
    EXPECT_EQ(consumer->lag({"events", 0}), 0);
}

TEST_F(NearLogTest, WhatIsElsewhereIsFetched) {
    start_all();
    make_topic("events");
    append(0, 10);
    const auto consumer = consume();
    near_->is_near = [] { return false; };
    EXPECT_EQ(drain(*consumer), numbers(0, 10));
    EXPECT_EQ(near_->found, 0);
    near_->is_near = [] { return true; };
    append(10, 20);
    EXPECT_EQ(drain(*consumer), numbers(10, 20));
}

// As often as one likes, with fetches under way that nobody needs any more, runs that were taken in part, and partitions
// that are here and there at the same time.
class ChangingNearLog : public NearLogTest, public testing::WithParamInterface<uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, ChangingNearLog, testing::Range(0u, 6u));
TEST_P(ChangingNearLog, EachRecordOnceHoweverItChangesOver) {
    constexpr int partitions = 3;
    constexpr int rounds = 60;
    constexpr int records = 7;
    start_all();
    make_topic("events", partitions);
    const auto consumer = consume({{"events", 0}, {"events", 1}, {"events", 2}});
    std::mt19937 random(GetParam());  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
    near_->is_near = [&] { return random() % 3 != 0; };
    std::array<Values, partitions> expected;
    std::array<Values, partitions> got;
    const auto take = [&] {
        for (;;) {
            auto taken = consumer->take(batch_);
            ASSERT_TRUE(taken) << taken.error().message();
            if (*taken == nullptr) { return; }
            while (const auto record = value_of(batch_.cursor->next())) {
                if (record->offset < batch_.from) { continue; }
                got[static_cast<size_t>(batch_.place.partition)].emplace_back(record->value.value_or(""));
            }
            if (random() % 4 == 0) { step(); }
        }
    };
    for (int round = 0; round < rounds; ++round) {
        const auto partition = static_cast<int32_t>(random() % partitions);
        auto& all = expected[static_cast<size_t>(partition)];
        const int begin = static_cast<int>(all.size());
        append(begin, begin + records, partition);
        for (const std::string& value : numbers(begin, begin + records)) { all.push_back(value); }
        near_->batches_at_once = 1 + random() % 4;
        for (uint32_t i = random() % 8; i > 0; --i) { step(); }
        take();
    }
    near_->is_near = [] { return true; };
    EXPECT_TRUE(until([&] {
        take();
        return got == expected;
    }));
    EXPECT_EQ(got, expected);
    EXPECT_GT(near_->found, 0);
    EXPECT_GT(near_->reads, near_->found);
}

TEST_F(NearLogTest, SeekAndPauseHoldInsideWhatWasRead) {
    start_all();
    make_topic("events");
    append(0, 10);
    const auto consumer = consume();
    near_->batches_at_once = 10;
    const auto next = [&] {
        EXPECT_TRUE(until([&] { return value_of(consumer->take(batch_)) != nullptr; }));
        return std::string(value_of(batch_.cursor->next())->value.value_or(""));
    };
    EXPECT_EQ(next(), "0");
    ASSERT_TRUE(consumer->seek({"events", 0}, Offset{7}));
    EXPECT_EQ(next(), "7");
    consumer->pause({"events", 0}, true);
    EXPECT_TRUE(drain(*consumer).empty());
    consumer->pause({"events", 0}, false);
    EXPECT_EQ(drain(*consumer), numbers(8, 10));
    consumer->assign({}, {});
    EXPECT_TRUE(drain(*consumer).empty());
}

TEST_F(NearLogTest, ADamagedBatchIsNotPassed) {
    start_all();
    make_topic("events");
    append(0, 3);
    const auto consumer = consume();
    near_->damaged = true;  // the last of two
    std::optional<Error> error;
    EXPECT_EQ(drain(*consumer, &error), numbers(0, 1));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Code::corrupt);
    EXPECT_EQ(consumer->position({"events", 0}), Offset{1});
    near_->damaged = false;
    EXPECT_TRUE(drain(*consumer).empty());  // until somebody decides
    ASSERT_TRUE(consumer->seek({"events", 0}, Offset{1}));
    EXPECT_EQ(drain(*consumer), numbers(1, 3));
}

TEST_F(NearLogTest, ATopicThatIsNotThereIsTheBrokersToTell) {
    start_all();
    const auto consumer = consume({{"absent", 0}});
    std::optional<Error> error;
    EXPECT_TRUE(drain(*consumer, &error).empty());
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Code::not_found);
}

}  // namespace
}  // namespace flowstone
