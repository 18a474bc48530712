#include "client/fintech/decimal.h"

#include <gtest/gtest.h>

#include "tests/storage/value_of.h"

namespace flowstone::fintech {
namespace {

Decimal decimal(std::string_view text) { return value_of(Decimal::parse(text)); }
Code refusal(std::string_view text) {
    const auto parsed = Decimal::parse(text);
    EXPECT_FALSE(parsed) << text;
    return parsed ? Code::io : parsed.error().code;
}

TEST(Decimal, TakesEverySpellingOfANumberThatJsonHas) {
    EXPECT_EQ(decimal("12.50"), (Decimal{125, 1}));
    EXPECT_EQ(decimal("-0.01"), (Decimal{-1, 2}));
    EXPECT_EQ(decimal("1e2"), (Decimal{100, 0}));
    EXPECT_EQ(decimal("1.5E+1"), (Decimal{15, 0}));
    EXPECT_EQ(decimal("125e-3"), (Decimal{125, 3}));
    EXPECT_EQ(decimal("-0"), (Decimal{0, 0}));
    EXPECT_EQ(decimal("0e400"), (Decimal{0, 0}));
    EXPECT_EQ(decimal("0.00000000000000000000"), (Decimal{0, 0}));
    EXPECT_EQ(decimal("100.000000000000000000000000"), (Decimal{100, 0}));
}

TEST(Decimal, WhatIsNoNumberIsRefused) {
    for (const char* text : {"", "-", "+1", ".5", "1.", "01", "00", "1e", "1e+", "0x10", "1,5", " 1", "1 ", "NaN",
                             "Infinity", "--1", "1.2.3", "1e2e3", "\xd9\xa1"}) {
        EXPECT_EQ(refusal(text), Code::invalid) << text;
    }
}

TEST(Decimal, HoldsEighteenDigitsAndNoMore) {
    EXPECT_EQ(decimal("999999999999999999"), (Decimal{999'999'999'999'999'999, 0}));
    EXPECT_EQ(decimal("0.000000000000000001"), (Decimal{1, 18}));
    EXPECT_EQ(decimal("1e17"), (Decimal{100'000'000'000'000'000, 0}));
    for (const char* text : {"1000000000000000000", "0.0000000000000000001", "1e18", "1e400", "-1e400", "1e-400",
                             "1e99999999999999999999", "1e-99999999999999999999", "1234567890.1234567891"}) {
        EXPECT_EQ(refusal(text), Code::too_large) << text;
    }
}

TEST(Decimal, IsWrittenAsItIs) {
    for (const char* text : {"0", "1", "-1", "12.5", "0.05", "-0.001", "999999999999999999", "0.000000000000000001"}) {
        EXPECT_EQ(decimal(text).text(), text);
    }
}

TEST(Decimal, ComparesByValueWhateverTheScale) {
    EXPECT_TRUE(compare(decimal("0.009"), decimal("0.01")) < 0);
    EXPECT_TRUE(compare(decimal("-0.009"), decimal("-0.01")) > 0);
    EXPECT_TRUE(compare(decimal("1000000"), decimal("1e6")) == 0);
    EXPECT_TRUE(compare(decimal("999999999999999999"), decimal("0.000000000000000001")) > 0);
}

TEST(Decimal, AddsExactlyOrSaysThatItCannot) {
    EXPECT_EQ(value_of(sum(decimal("0.002"), decimal("0.0005"))), decimal("0.0025"));
    EXPECT_EQ(value_of(sum(decimal("0.5"), decimal("0.5"))), (Decimal{1, 0}));
    EXPECT_EQ(value_of(sum(decimal("0.3"), decimal("-0.3"))), Decimal{});
    EXPECT_FALSE(sum(decimal("999999999999999999"), decimal("1")));
    EXPECT_FALSE(sum(decimal("100000000000000000"), decimal("0.000000000000000001")));
}

TEST(Decimal, SumsOf128BitsAreWrittenWhole) {
    EXPECT_EQ(to_string(Int128{0}), "0");
    EXPECT_EQ(to_string(-power_of_ten(38)), "-1" + std::string(38, '0'));
    EXPECT_EQ(to_string(power_of_ten(20) + 7), "100000000000000000007");
}

}  // namespace
}  // namespace flowstone::fintech
