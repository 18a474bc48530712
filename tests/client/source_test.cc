#include <flowstone/source.h>

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/stage_model.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

const Source example{"fraud-check", "payments", 3, Offset{4711}, 0};

TEST(Source, IsFiveWordsInAHeader) {
    EXPECT_EQ(value_of(encode_source(example)), "fraud-check payments 3 4711 0");
    EXPECT_EQ(value_of(decode_source("fraud-check payments 3 4711 0")), example);
    const Source largest{std::string(249, 'a'), "b", INT32_MAX, Offset{INT64_MAX}, INT32_MAX};
    EXPECT_EQ(value_of(decode_source(value_of(encode_source(largest)))), largest);
}

TEST(Source, OfOtherShapesIsCorrupt) {
    for (const char* text : {"",
                             " ",
                             "a",
                             "a b 1 2",
                             "a b 1 2 3 4",
                             "a b 1 2 3 ",
                             " a b 1 2 3",
                             "a  b 1 2 3",
                             "a b -1 2 3",
                             "a b 1 -2 3",
                             "a b 1 2 -3",
                             "a b +1 2 3",
                             "a b 01 2 3",
                             "a b 1 2 3x",
                             "a b 1 2x 3",
                             "a b  2 3",
                             "a b 2147483648 2 3",
                             "a b 1 9223372036854775808 3",
                             "a b 1 2 2147483648",
                             "a/b c 1 2 3",
                             "a . 1 2 3",
                             "a b\n 1 2 3"}) {
        const auto decoded = decode_source(text);
        ASSERT_FALSE(decoded) << text;
        EXPECT_EQ(decoded.error().code, Code::corrupt) << text;
    }
}

TEST(Source, IsNotMadeOfWhatCouldNotBeReadAgain) {
    const auto refused = [](const Source& source) { return encode_source(source).error().code == Code::invalid; };
    EXPECT_TRUE(refused({"two words", "b", 0, Offset{0}, 0}));
    EXPECT_TRUE(refused({"a", "", 0, Offset{0}, 0}));
    EXPECT_TRUE(refused({"a", std::string(250, 'b'), 0, Offset{0}, 0}));
    EXPECT_TRUE(refused({"a", "b", -1, Offset{0}, 0}));
    EXPECT_TRUE(refused({"a", "b", 0, Offset{-1}, 0}));
    EXPECT_TRUE(refused({"a", "b", 0, Offset{0}, -1}));
}

class SourceFilterTest : public testing::Test {
protected:
    Result<bool> fresh(SourceFilter& filter, std::optional<std::string> source,
                       const TopicPartition& place = {"t", 0}) {
        ModelRecord record;
        record.value = "v";
        if (source) { record.headers.emplace_back("flowstone.source", *source); }
        return filter.fresh(place, views_.add(record, Offset{0}));
    }
    ModelViews views_;
};

TEST_F(SourceFilterTest, DropsWhatIsNotAboveTheLastFromThere) {
    SourceFilter filter;
    EXPECT_TRUE(value_of(fresh(filter, "s in 0 5 0")));
    EXPECT_FALSE(value_of(fresh(filter, "s in 0 5 0")));
    EXPECT_TRUE(value_of(fresh(filter, "s in 0 5 1")));
    EXPECT_FALSE(value_of(fresh(filter, "s in 0 4 9")));
    EXPECT_TRUE(value_of(fresh(filter, "s in 0 6 0")));
    EXPECT_FALSE(value_of(fresh(filter, "s in 0 5 7")));
    EXPECT_EQ(filter.dropped(), 3u);
}

TEST_F(SourceFilterTest, StagesTopicsPartitionsAndPlacesAreApart) {
    SourceFilter filter;
    EXPECT_TRUE(value_of(fresh(filter, "s in 0 5 0")));
    EXPECT_TRUE(value_of(fresh(filter, "r in 0 5 0")));
    EXPECT_TRUE(value_of(fresh(filter, "s on 0 5 0")));
    EXPECT_TRUE(value_of(fresh(filter, "s in 1 5 0")));
    EXPECT_TRUE(value_of(fresh(filter, "s in 0 5 0", {"t", 1})));
    EXPECT_TRUE(value_of(fresh(filter, "s in 0 5 0", {"u", 0})));
    EXPECT_EQ(filter.dropped(), 0u);
}

TEST_F(SourceFilterTest, RecordsThatSayNothingPass) {
    SourceFilter filter;
    EXPECT_TRUE(value_of(fresh(filter, {})));
    EXPECT_TRUE(value_of(fresh(filter, {})));
    EXPECT_EQ(fresh(filter, "nonsense").error().code, Code::corrupt);
}

TEST_F(SourceFilterTest, WhatItHasSeenCanBeKeptAndRestored) {
    SourceFilter filter;
    ASSERT_TRUE(value_of(fresh(filter, "s in 0 5 1")));
    ASSERT_TRUE(value_of(fresh(filter, "r in 2 7 0")));
    SourceFilter other;
    for (const Source& source : filter.seen({"t", 0})) { ASSERT_TRUE(other.restore({"t", 0}, source)); }
    EXPECT_FALSE(value_of(fresh(other, "s in 0 5 1")));
    EXPECT_TRUE(value_of(fresh(other, "s in 0 5 2")));
    EXPECT_FALSE(value_of(fresh(other, "r in 2 7 0")));
    ASSERT_TRUE(other.restore({"t", 0}, {"s", "in", 0, Offset{1}, 0}));  // never back
    EXPECT_FALSE(value_of(fresh(other, "s in 0 5 2")));
    other.forget({"t", 0});
    EXPECT_TRUE(value_of(fresh(other, "s in 0 1 0")));
    EXPECT_THAT(other.seen({"u", 0}), testing::IsEmpty());
}

TEST_F(SourceFilterTest, KeepsNoMoreSourcesThanItWasTold) {
    SourceFilter filter(2);
    EXPECT_TRUE(value_of(fresh(filter, "a in 0 1 0")));
    EXPECT_TRUE(value_of(fresh(filter, "b in 0 1 0")));
    EXPECT_EQ(fresh(filter, "c in 0 1 0").error().code, Code::busy);
    EXPECT_TRUE(value_of(fresh(filter, "a in 0 2 0")));
    filter.forget({"t", 0});
    EXPECT_TRUE(value_of(fresh(filter, "c in 0 1 0")));
}

}  // namespace
}  // namespace flowstone
