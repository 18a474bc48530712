#include "storage/check.h"

#include <csignal>
#include <cstdio>

#include <flowstone/result.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flowstone {
namespace {

void break_an_invariant() {
    const bool kept = false;
    CHECK(kept);
}

TEST(Check, WithoutAHandlerALineGoesToStandardErrorBeforeTheProcessIsAborted) {
    EXPECT_EXIT(break_an_invariant(), testing::KilledBySignal(SIGABRT),
                testing::MatchesRegex("flowstone: CHECK failed: kept at .*check_test.cc:[0-9]+\n"));
}

TEST(Check, AHandlerIsGivenTheTextAndNothingIsPrinted) {
    const auto brackets = [](const char* text) { std::fprintf(stderr, "[%s]", text); };
    EXPECT_EXIT(
        {
            set_check_handler(brackets);
            break_an_invariant();
        },
        testing::KilledBySignal(SIGABRT), testing::MatchesRegex("\\[flowstone: CHECK failed: kept at .*:[0-9]+\\]"));
}

TEST(Check, NoHandlerIsTheDefaultAgain) {
    const auto silent = [](const char*) {};
    EXPECT_EXIT(
        {
            set_check_handler(silent);
            set_check_handler(nullptr);
            break_an_invariant();
        },
        testing::KilledBySignal(SIGABRT), testing::HasSubstr("CHECK failed: kept"));
}

}  // namespace
}  // namespace flowstone
