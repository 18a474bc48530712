// Records of every size, from some bytes to more than any commit holds, on topics of every level whose segments are small:
// whatever comes together is read back, and again after the next opening.
// FLOWSTONE_MIXED_SEEDS sets how many runs (4), FLOWSTONE_MIXED_SEED the first of them.
#include <random>
#include <vector>

#include "tests/log/log_world.h"
#include "tests/number_from.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

// A value by which one tells it from others: long ones need not be kept.
struct Written {
    size_t bytes = 0;
    char filled_with = 0;
    friend bool operator==(const Written&, const Written&) = default;
};

class MixedSizesTest : public LogWorld {
protected:
    void run(uint64_t seed) {
        dice_.seed(static_cast<uint32_t>(seed));
        const Options options{.threads = static_cast<uint32_t>(seed % 2),
                              .journal_bytes_max = 16u << 20,
                              .dirty_bytes_max = one_of<uint64_t>({4u << 20, 32u << 20}),
                              .tail_bytes_max = one_of<uint64_t>({0, 2u << 20, 16u << 20})};
        Log log = open(options);
        for (const char* const level : {"durable", "durable", "written", "memory"}) {
            const std::string name = fmt::format("{}-{}-{}", level, seed, topics_.size());
            const auto segment = one_of<const char*>({"1200000", "3000000", "9000000"});
            make(log, name,
                 {{"flowstone.durability", level},
                  {"internal.segment.bytes", segment},
                  {"max.message.bytes", "8000000"}});
            topics_.push_back({name, {}});
        }
        for (int reopened = 0; reopened < 3; ++reopened) {
            for (int turn = 0; turn < 40; ++turn) { ASSERT_NO_FATAL_FAILURE(take_turn(log)); }
            ASSERT_NO_FATAL_FAILURE(expect_all(log));
            close(log);
            log = open(options);
            ASSERT_NO_FATAL_FAILURE(expect_all(log));
        }
        close(log);
        topics_.clear();
    }

private:
    struct Model {
        std::string name;
        std::vector<Written> written;
    };

    template <class T>
    T one_of(std::initializer_list<T> what) {
        return *(what.begin() + below(what.size()));
    }
    size_t below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(dice_); }

    std::string some_value() {
        const size_t most = one_of<size_t>({100, 100, 5'000, 300'000, 1'100'000, 3'000'000});
        return std::string(1 + below(most), static_cast<char>('a' + below(26)));
    }

    void take_turn(Log& log) {
        Model& model = topics_[below(topics_.size())];
        Topic topic = value_of(log.topic(model.name));
        const size_t what = below(20);
        if (what == 0) { ASSERT_TRUE(log.checkpoint()); }
        if (what == 1) { ASSERT_TRUE(log.poll()); }
        if (what == 2) { ASSERT_NO_FATAL_FAILURE(expect(topic, model)); }
        if (what == 3) { ASSERT_TRUE(log.flush()); }
        for (size_t left = 1 + below(8); left > 0; --left) {
            const std::string value = some_value();
            const auto sent = topic.append_async(record(value));
            ASSERT_TRUE(sent) << sent.error().message();
            model.written.push_back({value.size(), value.front()});
        }
        if (what > 12) { ASSERT_TRUE(log.flush()); }
    }

    void expect(Topic& topic, const Model& model) {
        std::vector<Written> found;
        for (const auto& [offset, value] : read(topic)) { found.push_back({value.size(), value.front()}); }
        // What nobody waited for need not be there yet.
        ASSERT_LE(found.size(), model.written.size());
        ASSERT_TRUE(std::equal(found.begin(), found.end(), model.written.begin())) << model.name;
    }
    void expect_all(Log& log) {
        ASSERT_TRUE(log.flush());
        for (const Model& model : topics_) {
            Topic topic = value_of(log.topic(model.name));
            ASSERT_EQ(info(topic).log_end.value, static_cast<int64_t>(model.written.size())) << model.name;
            ASSERT_NO_FATAL_FAILURE(expect(topic, model));
            ASSERT_EQ(read(topic).size(), model.written.size()) << model.name;
        }
    }

    std::mt19937 dice_;
    std::vector<Model> topics_;
};

TEST_F(MixedSizesTest, WhateverComesTogetherIsReadBack) {
    const uint64_t first = number_from("FLOWSTONE_MIXED_SEED", 1);
    const uint64_t seeds = number_from("FLOWSTONE_MIXED_SEEDS", 4);
    for (uint64_t seed = first; seed < first + seeds; ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        run(seed);
        if (HasFatalFailure() || HasNonfatalFailure()) { return; }
    }
}

// What a topic takes may change; what it took is there, also when its process was killed.
TEST_F(MixedSizesTest, ABatchIsReadWhateverItsTopicTakesByNow) {
    const std::string large(3'000'000, 'l');
    for (const char* const level : {"durable", "written", "memory"}) {
        SCOPED_TRACE(level);
        Log log = open();
        Topic topic = make(log, level, {{"flowstone.durability", level}, {"max.message.bytes", "4000000"}});
        ASSERT_TRUE(topic.append(record(large)));
        ASSERT_TRUE(log.checkpoint());
        ASSERT_TRUE(topic.append(record(large)));
        ASSERT_TRUE(log.alter_topic(level, {{"max.message.bytes", "1000"}, {"internal.segment.bytes", "2000"}}, {}));
        const auto killed = disk_.crash({.keep = Crash::Keep::everything});
        close(log);
        Log again = open_on(*killed);
        Topic found = value_of(again.topic(level));
        EXPECT_EQ(read(found).size(), std::string_view(level) == "memory" ? 1u : 2u);
        log = open();
        topic = value_of(log.topic(level));
        EXPECT_EQ(read(topic).size(), 2u);
        close(log);
    }
}

}  // namespace
}  // namespace flowstone
