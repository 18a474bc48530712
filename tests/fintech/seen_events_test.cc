#include "client/fintech/seen_events.h"

#include <string>

#include <gtest/gtest.h>

namespace flowstone::fintech {
namespace {

TEST(SeenEvents, AnIdIsKnownForAsLongAsItIsKept) {
    SeenEvents seen({.keep_ms = 100, .events_max = 10});
    EXPECT_FALSE(seen.has("a", 0));
    seen.add("a", 1'000);
    EXPECT_TRUE(seen.has("a", 1'000));
    EXPECT_TRUE(seen.has("a", 1'100));
    EXPECT_FALSE(seen.has("a", 1'101));
    EXPECT_FALSE(seen.has("b", 1'000));
}

TEST(SeenEvents, ForgetsWhatIsOlderAndWhatIsTooMuch) {
    SeenEvents seen({.keep_ms = 100, .events_max = 3});
    seen.add("a", 1'000);
    seen.add("b", 1'200);
    EXPECT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen.forgotten_early(), 0u);
    for (const char* id : {"c", "d", "e"}) { seen.add(id, 1'210); }
    EXPECT_EQ(seen.size(), 3u);
    EXPECT_EQ(seen.forgotten_early(), 1u);
    EXPECT_FALSE(seen.has("b", 1'210));
    EXPECT_TRUE(seen.has("c", 1'210));
}

TEST(SeenEvents, OneThatCameAgainAfterItsTimeIsKeptFromThenOn) {
    SeenEvents seen({.keep_ms = 100, .events_max = 10});
    seen.add("a", 1'000);
    seen.add("a", 1'101);  // forgets the first
    EXPECT_EQ(seen.size(), 1u);
    EXPECT_TRUE(seen.has("a", 1'201));
}

TEST(SeenEvents, AClockThatGoesBackForgetsNothing) {
    SeenEvents seen({.keep_ms = 100, .events_max = 10});
    seen.add("a", 1'000);
    seen.add("b", 500);
    EXPECT_TRUE(seen.has("a", 900));
    EXPECT_TRUE(seen.has("a", 1'000));
}

}  // namespace
}  // namespace flowstone::fintech
