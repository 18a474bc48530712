#include "client/fintech/reference_rates.h"

#include <gtest/gtest.h>

#include "tests/storage/value_of.h"

namespace flowstone::fintech {
namespace {

constexpr std::string_view table = "Date,USD,JPY,GBP\n2013-10-01,1.3554,132.6,0.8345\n2013-10-02,1.3515,132.13,\n";

Currency currency(std::string_view code) { return Currency::find(code).value(); }
Money money(std::string_view text, std::string_view code) { return value_of(Money::parse(text, currency(code))); }
// "82.74 GBP at 2013-10-01", or nothing.
std::string converted(std::string_view amount, std::string_view from, std::string_view to, std::string_view day) {
    const ReferenceRates rates = value_of(ReferenceRates::parse(table));
    const auto reported = rates.convert(money(amount, from), currency(to), value_of(parse_date(day)));
    if (!reported) { return ""; }
    return reported->amount.text() + ' ' + std::string(reported->amount.currency().code()) + " at " +
           format_date(reported->rate_date);
}

TEST(ReferenceRates, TheLastRateOnOrBeforeTheDayCounts) {
    EXPECT_EQ(converted("100", "EUR", "USD", "2013-10-01"), "135.54 USD at 2013-10-01");
    EXPECT_EQ(converted("100", "EUR", "USD", "2013-10-02"), "135.15 USD at 2013-10-02");
    EXPECT_EQ(converted("100", "EUR", "USD", "2013-10-05"), "135.15 USD at 2013-10-02");
    EXPECT_EQ(converted("100", "EUR", "GBP", "2013-10-02"), "83.45 GBP at 2013-10-01");  // the second day has none
    EXPECT_EQ(converted("100", "EUR", "USD", "2013-10-12"), "135.15 USD at 2013-10-02");
    EXPECT_EQ(converted("100", "EUR", "USD", "2013-10-13"), "");  // too old
    EXPECT_EQ(converted("100", "EUR", "USD", "2013-09-30"), "");  // before the first
}

TEST(ReferenceRates, TwoCurrenciesMeetInTheEuroAndAreRoundedOnce) {
    // 100 USD is 100 / 1.3554 * 0.8345 = 61.5685... GBP.
    EXPECT_EQ(converted("100", "USD", "GBP", "2013-10-01"), "61.57 GBP at 2013-10-01");
    EXPECT_EQ(converted("100", "USD", "GBP", "2013-10-02"), "61.75 GBP at 2013-10-01");   // 83.45 / 1.3515
    EXPECT_EQ(converted("61.57", "GBP", "JPY", "2013-10-01"), "9783 JPY at 2013-10-01");  // 9783.3...
    EXPECT_EQ(converted("5", "GBP", "GBP", "2013-10-01"), "5.00 GBP at 2013-10-01");
    EXPECT_EQ(converted("5", "EUR", "EUR", "1999-01-01"), "5.00 EUR at 1999-01-01");
    EXPECT_EQ(converted("5", "CHF", "EUR", "2013-10-01"), "");
}

TEST(ReferenceRates, TheVersionIsTheTexts) {
    const ReferenceRates rates = value_of(ReferenceRates::parse(table));
    EXPECT_EQ(rates.version().size(), 16u);
    EXPECT_EQ(rates.version(), value_of(ReferenceRates::parse(table)).version());
    EXPECT_NE(rates.version(), value_of(ReferenceRates::parse("Date,USD\n")).version());
}

TEST(ReferenceRates, ATableThatIsNoneIsRefusedByItsLine) {
    EXPECT_TRUE(ReferenceRates::parse("Date,USD\r\n2013-10-01,1.5\r\n"));
    const std::pair<const char*, const char*> tables[] = {
        {"", "line 1"},
        {"Day,USD\n", "line 1"},
        {"Date,DOLLARS\n", "line 1"},
        {"Date,USD\n2013-10-01,1.5\nyesterday,1.5\n", "line 3"},
        {"Date,USD\n2013-10-01,N/A\n", "line 2"},
        {"Date,USD\n2013-10-01,0\n", "line 2"},
        {"Date,USD\n2013-10-01,-1\n", "line 2"},
        {"Date,USD\n2013-10-01,1.5,2\n", "line 2"},
        {"Date,USD\n\n", "line 2"},
    };
    for (const auto& [text, line] : tables) {
        const auto parsed = ReferenceRates::parse(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().code, Code::invalid) << text;
        EXPECT_NE(parsed.error().message().find(line), std::string::npos) << parsed.error().message();
    }
}

}  // namespace
}  // namespace flowstone::fintech
