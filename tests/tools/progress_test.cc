#include "tools/flowstone/progress.h"

#include <gtest/gtest.h>

namespace flowstone::tool {
namespace {

TEST(ProgressLine, SaysRateBytesAndTimeLeft) {
    const ProgressState state{
        .records = 1500, .bytes = 3 << 20, .work_done = 25, .work_total = 100, .elapsed_ns = 2'000'000'000};
    EXPECT_EQ(progress_line(state, 120),
              "[=======                       ]  25% 1,500 records, 3.0 MiB, 750 records/s, 1.5 MiB/s, 0:06 left");
}

TEST(ProgressLine, WithoutATotalHasNeitherBarNorTimeLeft) {
    const ProgressState state{.records = 10, .bytes = 20, .elapsed_ns = 1'000'000'000};
    EXPECT_EQ(progress_line(state, 120), "10 records, 20 B, 10 records/s, 20 B/s");
}

TEST(ProgressLine, WhatIsNotCountedIsNotSaid) {
    const ProgressState state{.bytes = 2048, .work_done = 1, .work_total = 2, .elapsed_ns = 2'000'000'000};
    EXPECT_EQ(progress_line(state, 120), "[===============               ]  50% 2.0 KiB, 1.0 KiB/s, 0:02 left");
}

TEST(ProgressLine, FitsTheTerminal) {
    const ProgressState state{
        .records = 1500, .bytes = 3 << 20, .work_done = 25, .work_total = 100, .elapsed_ns = 2'000'000'000};
    for (size_t columns = 0; columns < 120; ++columns) { EXPECT_LE(progress_line(state, columns).size(), columns); }
    EXPECT_EQ(progress_line(state, 70).substr(0, 19), " 25% 1,500 records,");  // the bar goes first
}

TEST(ProgressLine, BearsNoTimeNoWorkAndMoreThanTheTotal) {
    EXPECT_EQ(progress_line({.records = 0}, 120), "0 records, 0 B, 0 records/s, 0 B/s");
    EXPECT_EQ(progress_line({.records = 0, .work_done = 0, .work_total = 0}, 120),
              "0 records, 0 B, 0 records/s, 0 B/s");
    const ProgressState over{.records = 1, .bytes = 1, .work_done = 7, .work_total = 5, .elapsed_ns = 1'000'000'000};
    EXPECT_EQ(progress_line(over, 120),
              "[==============================] 100% 1 records, 1 B, 1 records/s, 1 B/s, 0:00 left");
}

}  // namespace
}  // namespace flowstone::tool
