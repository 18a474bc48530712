#include "tools/flowstone/histogram.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace flowstone::tool {
namespace {

TEST(Histogram, IsEmptyAtFirst) {
    Histogram histogram;
    EXPECT_EQ(histogram.count(), 0u);
    EXPECT_EQ(histogram.quantile(1, 2), 0u);
    EXPECT_EQ(histogram.max(), 0u);
}

TEST(Histogram, SmallValuesAreExact) {
    Histogram histogram;
    for (uint64_t value = 1; value <= 100; ++value) { histogram.record(value); }
    EXPECT_EQ(histogram.quantile(50, 100), 50u);
    EXPECT_EQ(histogram.quantile(99, 100), 99u);
    EXPECT_EQ(histogram.quantile(999, 1000), 100u);
    EXPECT_EQ(histogram.quantile(1, 1), 100u);
}

TEST(Histogram, OneValueIsEveryQuantile) {
    for (const uint64_t value :
         {uint64_t{0}, uint64_t{255}, uint64_t{256}, uint64_t{257}, uint64_t{1} << 40, UINT64_MAX}) {
        Histogram histogram;
        histogram.record(value);
        EXPECT_EQ(histogram.quantile(1, 1000), value);
        EXPECT_EQ(histogram.quantile(999, 1000), value);
        EXPECT_EQ(histogram.max(), value);
    }
}

TEST(Histogram, IsWithinOnePercentOfTheSortedValuesAndNeverBelow) {
    std::mt19937_64 random(7);
    Histogram histogram;
    std::vector<uint64_t> values;
    for (int i = 0; i < 20'000; ++i) {
        const uint64_t value = random() >> (random() % 64);  // all magnitudes
        values.push_back(value);
        histogram.record(value);
    }
    std::sort(values.begin(), values.end());
    for (uint64_t per_mille = 1; per_mille <= 1000; ++per_mille) {
        const uint64_t exact = values[(values.size() * per_mille + 999) / 1000 - 1];
        const uint64_t found = histogram.quantile(per_mille, 1000);
        EXPECT_GE(found, exact);
        EXPECT_LE(found - exact, exact / 100);
    }
}

TEST(Histogram, MergesAsIfAllHadBeenRecordedInOne) {
    Histogram one;
    Histogram two;
    Histogram both;
    for (uint64_t value = 1; value < 1'000'000; value *= 3) {
        one.record(value);
        two.record(value * 2);
        both.record(value);
        both.record(value * 2);
    }
    one.merge(two);
    EXPECT_EQ(one.count(), both.count());
    EXPECT_EQ(one.max(), both.max());
    for (uint64_t percent = 1; percent <= 100; ++percent) {
        EXPECT_EQ(one.quantile(percent, 100), both.quantile(percent, 100));
    }
}

}  // namespace
}  // namespace flowstone::tool
