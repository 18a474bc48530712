#include "net/broker/lag_times.h"

#include <gtest/gtest.h>

namespace flowstone {
namespace {

const TopicPartition at{"t", 0};

TEST(LagTimes, CountFromWhenTheFirstWaitingRecordWasSeen) {
    LagTimes times;
    EXPECT_EQ(times.waiting_ms(at, Offset{0}, 100), 0) << "nobody has looked";
    times.saw(at, Offset{10}, 1'000);
    times.saw(at, Offset{10}, 2'000);
    times.saw(at, Offset{30}, 3'000);
    EXPECT_EQ(times.waiting_ms(at, Offset{5}, 9'000), 8'000);
    EXPECT_EQ(times.waiting_ms(at, Offset{10}, 9'000), 6'000);
    EXPECT_EQ(times.waiting_ms(at, Offset{29}, 9'000), 6'000);
    EXPECT_EQ(times.waiting_ms(at, Offset{30}, 9'000), 0) << "it has caught up";
}

TEST(LagTimes, ATopicThatWasMadeAgainBeginsAnew) {
    LagTimes times;
    times.saw(at, Offset{10}, 1'000);
    times.saw(at, Offset{2}, 5'000);
    EXPECT_EQ(times.waiting_ms(at, Offset{0}, 6'000), 1'000);
}

TEST(LagTimes, StayBoundedAndKeepTheNewest) {
    LagTimes times;
    for (int64_t i = 1; i <= 100'000; ++i) { times.saw(at, Offset{i}, i); }
    EXPECT_EQ(times.waiting_ms(at, Offset{99'999}, 100'000), 0) << "first seen just now";
    EXPECT_GE(times.waiting_ms(at, Offset{0}, 100'000), 1);
    times.forget_older(100'000);
    EXPECT_EQ(times.size(), 1u);
    times.forget_older(100'001);
    EXPECT_EQ(times.size(), 0u);
}

}  // namespace
}  // namespace flowstone
