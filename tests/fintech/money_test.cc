#include "client/fintech/money.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <regex>
#include <type_traits>

#include <gtest/gtest.h>

#include "tests/paths.h"
#include "tests/storage/value_of.h"

namespace flowstone::fintech {
namespace {

// No way from floating point to money, and none back.
template <class Number>
constexpr bool apart_from_money = !std::is_constructible_v<Money, Number, Currency> &&
                                  !std::is_convertible_v<Number, Money> && !std::is_convertible_v<Money, Number> &&
                                  !std::is_constructible_v<Number, Money> && !std::is_convertible_v<Decimal, Number> &&
                                  !std::is_constructible_v<Number, Decimal> && !std::is_assignable_v<Money&, Number>;
static_assert(apart_from_money<float>);
static_assert(apart_from_money<double>);
static_assert(apart_from_money<long double>);
static_assert(!std::is_constructible_v<Money, bool, Currency>);
static_assert(!std::is_constructible_v<Money, int, Currency>);  // a literal says what it is: int64_t{5}
static_assert(std::is_constructible_v<Money, int64_t, Currency>);

Currency currency(std::string_view code) { return Currency::find(code).value(); }
Money money(std::string_view text, std::string_view code) { return value_of(Money::parse(text, currency(code))); }
Decimal decimal(std::string_view text) { return value_of(Decimal::parse(text)); }
std::string read(const std::string& path) {
    std::ifstream file(path);
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

// What the compiler cannot see: that nobody takes the digits and makes them floating point on the way.
TEST(Money, NoFloatingPointIsNamedOnItsPath) {
    const std::regex floating(R"(\b(float|double|stod|stof|strto[df]|atof|get_double|lround|pow)\b)");
    for (const char* file : {"decimal", "money", "event", "validate", "enrich", "row_event", "ledger", "journal_stage",
                             "reference_rates", "validate_stage", "audit", "schema", "json"}) {
        for (const char* kind : {".h", ".cc"}) {
            std::string code = read(source_path(std::string("client/fintech/") + file + kind));
            code = std::regex_replace(code, std::regex(R"(//[^\n]*)"), "");
            code = std::regex_replace(code, std::regex(R"("(\\.|[^"\\\n])*")"), "");
            EXPECT_FALSE(std::regex_search(code, floating)) << file << kind;
        }
    }
}

TEST(Currency, HasItsOwnNumberOfDecimals) {
    EXPECT_EQ(currency("USD").exponent(), 2);
    EXPECT_EQ(currency("JPY").exponent(), 0);
    EXPECT_EQ(currency("KWD").exponent(), 3);
    EXPECT_EQ(currency("CLF").exponent(), 4);
    EXPECT_EQ(currency("GBP").code(), "GBP");
}

TEST(Currency, WhatIsNoneIsNotFound) {
    for (const char* code : {"", "US", "usd", "USDX", "XXX", "XAU", "AAA", "ZZZ"}) {
        EXPECT_FALSE(Currency::find(code)) << code;
    }
}

TEST(Currency, EveryOneOfDebiansListOfIsoIsKnownUnlessItHasNoMinorUnit) {
    const std::string path = "/usr/share/iso-codes/json/iso_4217.json";
    if (!std::ifstream(path)) { GTEST_SKIP() << path << " is not there (Debian: iso-codes)"; }
    const std::string text = read(path);
    const std::regex code(R"~("alpha_3":\s*"([A-Z]{3})")~");
    std::vector<std::string> unknown;
    for (std::sregex_iterator at(text.begin(), text.end(), code); at != std::sregex_iterator(); ++at) {
        if (!Currency::find((*at)[1].str())) { unknown.push_back((*at)[1]); }
    }
    // Metals, units of account, the codes for tests and for no currency at all.
    const std::vector<std::string> none{"XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR",
                                        "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"};
    std::ranges::sort(unknown);
    EXPECT_EQ(unknown, none);
}

TEST(Money, IsReadFromDigitsInTheCurrencysOwnUnits) {
    EXPECT_EQ(money("12.50", "GBP").minor(), 1250);
    EXPECT_EQ(money("12.5", "GBP").minor(), 1250);
    EXPECT_EQ(money("1250", "JPY").minor(), 1250);
    EXPECT_EQ(money("1.234", "KWD").minor(), 1234);
    EXPECT_EQ(money("-0.05", "USD").minor(), -5);
    EXPECT_EQ(money("1.10e1", "USD").minor(), 1100);
    // 0.1 + 0.2, which floating point has no exact answer for.
    EXPECT_EQ(value_of(add(money("0.1", "USD"), money("0.2", "USD"))), money("0.3", "USD"));
    EXPECT_EQ(money("1.005", "KWD").text(), "1.005");
}

TEST(Money, MoreDecimalsThanTheCurrencyHasAreNotRoundedAway) {
    EXPECT_EQ(Money::parse("0.001", currency("USD")).error().code, Code::out_of_range);
    EXPECT_EQ(Money::parse("1.5", currency("JPY")).error().code, Code::out_of_range);
    EXPECT_TRUE(Money::parse("1.500", currency("USD")));  // zeros are no decimals
}

TEST(Money, IsWrittenWithAllDecimalsOfItsCurrency) {
    EXPECT_EQ(money("12.5", "GBP").text(), "12.50");
    EXPECT_EQ(money("-0.05", "GBP").text(), "-0.05");
    EXPECT_EQ(money("7", "JPY").text(), "7");
    EXPECT_EQ(Money(std::numeric_limits<int64_t>::min(), currency("GBP")).text(), "-92233720368547758.08");
}

TEST(Money, TwoCurrenciesNeverAddAndNothingOverflows) {
    const Money most(std::numeric_limits<int64_t>::max(), currency("GBP"));
    const Money least(std::numeric_limits<int64_t>::min(), currency("GBP"));
    const Money one(int64_t{1}, currency("GBP"));
    EXPECT_EQ(add(one, money("1", "USD")).error().code, Code::invalid);
    EXPECT_EQ(subtract(one, money("1", "USD")).error().code, Code::invalid);
    EXPECT_EQ(add(most, one).error().code, Code::too_large);
    EXPECT_EQ(subtract(least, one).error().code, Code::too_large);
    EXPECT_EQ(negate(least).error().code, Code::too_large);
    EXPECT_EQ(value_of(negate(most)).minor(), -std::numeric_limits<int64_t>::max());
    EXPECT_EQ(value_of(subtract(one, most)).minor(), 1 - std::numeric_limits<int64_t>::max());
}

TEST(Money, SumsGoBeyond64Bits) {
    const Money most(std::numeric_limits<int64_t>::max(), currency("GBP"));
    MoneySum sum(currency("GBP"));
    for (int i = 0; i < 1'000; ++i) { ASSERT_TRUE(sum.add(most)); }
    EXPECT_EQ(to_string(sum.minor()), "9223372036854775807000");
    EXPECT_EQ(sum.money().error().code, Code::too_large);
    for (int i = 0; i < 999; ++i) { ASSERT_TRUE(sum.add(value_of(negate(most)))); }
    EXPECT_EQ(value_of(sum.money()), most);
    EXPECT_EQ(sum.add(money("1", "USD")).error().code, Code::invalid);
}

TEST(Money, AConversionRoundsOnceHalfToEven) {
    const auto minor = [](std::string_view text, std::string_view rate) {
        return value_of(share(money(text, "GBP"), decimal(rate))).amount.minor();
    };
    EXPECT_EQ(minor("0.01", "0.5"), 0);    // 0.5 to 0
    EXPECT_EQ(minor("0.03", "0.5"), 2);    // 1.5 to 2
    EXPECT_EQ(minor("0.05", "0.5"), 2);    // 2.5 to 2
    EXPECT_EQ(minor("0.05", "0.51"), 3);   // 2.55
    EXPECT_EQ(minor("0.05", "0.49"), 2);   // 2.45
    EXPECT_EQ(minor("-0.01", "0.5"), 0);   // -0.5 to 0
    EXPECT_EQ(minor("-0.03", "0.5"), -2);  // -1.5 to -2
    EXPECT_EQ(minor("-0.05", "0.5"), -2);
    EXPECT_EQ(minor("-0.05", "0.51"), -3);
}

TEST(Money, AConversionKnowsBothCurrenciesDecimals) {
    EXPECT_EQ(value_of(convert(money("1", "GBP"), currency("JPY"), decimal("187.65"))).amount, money("188", "JPY"));
    EXPECT_EQ(value_of(convert(money("188", "JPY"), currency("KWD"), decimal("0.002"))).amount, money("0.376", "KWD"));
    // As the ECB quotes: 1 EUR is 1.3554 USD, and 0.8345 GBP. 100 USD in GBP is 100 * 0.8345 / 1.3554 = 61.568...
    EXPECT_EQ(value_of(convert(money("100", "USD"), currency("GBP"), decimal("0.8345"), decimal("1.3554"))).amount,
              money("61.57", "GBP"));
}

// amount + rest is what was asked for, exactly: nothing is lost in rounding, it is only elsewhere.
TEST(Money, WhatIsRoundedAwayIsGivenBack) {
    uint64_t state = 1;
    const auto draw = [&](uint64_t below) {
        state = state * 6364136223846793005 + 1442695040888963407;
        return static_cast<int64_t>((state >> 33) % below);
    };
    const char* const codes[] = {"JPY", "GBP", "KWD", "CLF"};
    for (int i = 0; i < 100'000; ++i) {
        const Money from(draw(2'000'000) - 1'000'000, currency(codes[draw(4)]));
        const Currency to = currency(codes[draw(4)]);
        const Decimal rate{draw(10'000), static_cast<int32_t>(draw(4))};
        const Decimal divisor{draw(10'000) + 1, static_cast<int32_t>(draw(4))};
        const Rounded rounded = value_of(convert(from, to, rate, divisor));
        const Fraction rest = rounded.rest;
        ASSERT_TRUE(rest.denominator > 0);
        ASSERT_TRUE((rest.numerator < 0 ? -rest.numerator : rest.numerator) * 2 <= rest.denominator);
        // from * rate / divisor == amount + rest, in major units, with every denominator multiplied away.
        const Int128 exact = Int128{from.minor()} * rate.digits * power_of_ten(divisor.scale + to.exponent());
        const Int128 below = Int128{divisor.digits} * power_of_ten(rate.scale + from.currency().exponent());
        const Int128 given = rounded.amount.minor() * rest.denominator + rest.numerator;
        ASSERT_TRUE(exact * rest.denominator == given * below)
            << from.text() << ' ' << rate.text() << ' ' << divisor.text();
    }
}

TEST(Money, AConversionThatCannotBeIsAnError) {
    EXPECT_EQ(convert(money("1", "GBP"), currency("USD"), decimal("1"), Decimal{0, 0}).error().code, Code::invalid);
    EXPECT_EQ(convert(money("1", "GBP"), currency("USD"), decimal("1"), Decimal{-1, 0}).error().code, Code::invalid);
    const Money most(std::numeric_limits<int64_t>::max(), currency("GBP"));
    EXPECT_EQ(share(most, decimal("1.1")).error().code, Code::too_large);
    EXPECT_EQ(
        convert(most, currency("CLF"), decimal("999999999999999999"), decimal("0.000000000000000001")).error().code,
        Code::too_large);
}

}  // namespace
}  // namespace flowstone::fintech
