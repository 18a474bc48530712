#include "client/fintech/pattern.h"

#include <regex>
#include <string>

#include <gtest/gtest.h>

#include "tests/storage/value_of.h"

namespace flowstone::fintech {
namespace {

bool matches(std::string_view pattern, std::string_view text) {
    return value_of(Pattern::compile(pattern)).matches(text);
}

TEST(Pattern, MatchesTheWholeText) {
    EXPECT_TRUE(matches("^txn_[a-z0-9]+$", "txn_0a"));
    EXPECT_FALSE(matches("^txn_[a-z0-9]+$", "txn_"));
    EXPECT_FALSE(matches("^txn_[a-z0-9]+$", "xtxn_0a"));
    EXPECT_FALSE(matches("^txn_[a-z0-9]+$", "txn_0a "));
    EXPECT_FALSE(matches("^txn_[a-z0-9]+$", "txn_0a\n"));  // $ is the end, not the end of a line
    EXPECT_TRUE(matches("^$", ""));
    EXPECT_FALSE(matches("^$", "a"));
}

TEST(Pattern, TimeGrowsWithTheTextAlone) {
    // Backtracking would take 2^40 steps.
    std::string pattern = "^";
    for (int i = 0; i < 20; ++i) { pattern += "a*"; }
    EXPECT_FALSE(matches(pattern + "b$", std::string(100'000, 'a')));
}

// Every text of up to five of three letters, against the standard library's.
TEST(Pattern, AgreesWithEcmaScript) {
    for (const char* pattern : {"^a+b?$", "^a*b*c*$", "^[ab]{2}c?$", "^a{1,3}b$", "^[a-b]{0,2}c{2,}$", "^a?a?a?aa$",
                                "^abc$", "^[abc]*$", "^a{0}b$", "^[c]+[a-c]$"}) {
        const Pattern ours = value_of(Pattern::compile(pattern));
        const std::regex theirs(pattern);
        for (int length = 0, count = 1; length <= 5; ++length, count *= 3) {
            for (int number = 0; number < count; ++number) {
                std::string text;
                for (int at = 0, rest = number; at < length; ++at, rest /= 3) {
                    text += static_cast<char>('a' + rest % 3);
                }
                ASSERT_EQ(ours.matches(text), std::regex_match(text, theirs)) << pattern << ' ' << text;
            }
        }
    }
}

TEST(Pattern, EscapesAndClassesMeanWhatTheySay) {
    EXPECT_TRUE(matches("^\\d+\\.\\d{2}$", "12.50"));
    EXPECT_FALSE(matches("^\\d+\\.\\d{2}$", "12x50"));
    EXPECT_TRUE(matches("^[\\d_-]+$", "1-2_3"));
    EXPECT_TRUE(matches("^[a-]+$", "a-"));
    EXPECT_FALSE(matches("^[a-z]+$", "\u00e9"));
}

TEST(Pattern, WhatItDoesNotKnowIsRefusedWhenItIsCompiled) {
    for (const char* text : {"", "a", "^a", "a$", "^(a)$", "^a|b$", "^.$", "^[^a]$", "^a{,2}$", "^a{2,1}$", "^a{$",
                             "^[a$", "^\\w$", "^+$", "^a++$", "^\\$", "^[z-a]$", "^\u00e9$", "^^a$"}) {
        const auto compiled = Pattern::compile(text);
        EXPECT_FALSE(compiled) << text;
        if (!compiled) { EXPECT_EQ(compiled.error().code, Code::unsupported) << text; }
    }
    EXPECT_EQ(Pattern::compile("^a{64}$").error().code, Code::too_large);
    EXPECT_EQ(Pattern::compile("^a{4000000000}$").error().code, Code::too_large);
    EXPECT_TRUE(Pattern::compile("^a{62}$"));
    EXPECT_TRUE(matches("^a{62}$", std::string(62, 'a')));
    EXPECT_FALSE(matches("^a{62}$", std::string(61, 'a')));
}

}  // namespace
}  // namespace flowstone::fintech
