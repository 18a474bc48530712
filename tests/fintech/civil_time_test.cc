#include "client/fintech/civil_time.h"

#include <gtest/gtest.h>

#include "tests/storage/value_of.h"

namespace flowstone::fintech {
namespace {

Moment moment(std::string_view text) { return value_of(parse_moment(text)); }

// Seconds since 1970 as `date -u -d TEXT +%s` says.
TEST(CivilTime, AMomentIsTheSameWhereverItIsWritten) {
    EXPECT_EQ(moment("1970-01-01T00:00:00Z").ns, 0);
    EXPECT_EQ(moment("2014-04-01T09:30:00Z").ns, 1'396'344'600'000'000'000);
    EXPECT_EQ(moment("2014-04-01T10:30:00+01:00"), moment("2014-04-01T09:30:00Z"));
    EXPECT_EQ(moment("2014-03-31T23:30:00-10:00"), moment("2014-04-01T09:30:00Z"));
    EXPECT_EQ(moment("2014-04-01t09:30:00z"), moment("2014-04-01T09:30:00-00:00"));
    EXPECT_EQ(moment("2000-02-29T12:00:00Z").ns, 951'825'600'000'000'000);
    EXPECT_EQ(moment("1969-12-31T23:59:59.5Z").ns, -500'000'000);
}

TEST(CivilTime, DecimalsAreKeptToTheNanosecond) {
    EXPECT_EQ(moment("1970-01-01T00:00:00.123456789Z").ns, 123'456'789);
    EXPECT_EQ(moment("1970-01-01T00:00:00.1Z").ns, 100'000'000);
    EXPECT_EQ(moment("1970-01-01T00:00:00.000000001Z").ns, 1);
    EXPECT_FALSE(parse_moment("1970-01-01T00:00:00.1234567891Z"));
}

TEST(CivilTime, MillisecondsAreRoundedDown) {
    EXPECT_EQ(Moment{1'999'999}.ms(), 1);
    EXPECT_EQ(Moment{-1}.ms(), -1);
    EXPECT_EQ(Moment{-1'000'000}.ms(), -1);
    EXPECT_EQ(Moment{0}.ms(), 0);
}

TEST(CivilTime, ATimeWithoutAZoneIsNoMoment) {
    // 01:30 on 30 March 2014 was in London's gap, 01:30 on 26 October 2014 was there twice: only a zone tells.
    for (const char* text : {"2014-03-30T01:30:00",
                             "2014-10-26T01:30:00",
                             "2014-04-01T09:30:00.5",
                             "2014-04-01",
                             "2014-04-01T09:30Z",
                             "2014-04-01 09:30:00Z",
                             "2014-04-01T09:30:00 Z",
                             "2014-04-01T09:30:00+0100",
                             "2014-04-01T09:30:00+1:00",
                             "2014-04-01T09:30:00+24:00",
                             "2014-04-01T09:30:00+01:60",
                             "2014-04-01T09:30:00.Z",
                             "2014-04-01T09:30:00Zx",
                             "2014-04-01T24:00:00Z",
                             "2014-04-01T09:60:00Z",
                             "2014-4-1T09:30:00Z",
                             "",
                             "Z",
                             "-014-04-01T09:30:00Z",
                             "2014-04-01T09:30:00Europe/London"}) {
        const auto parsed = parse_moment(text);
        EXPECT_FALSE(parsed) << text;
        if (!parsed) { EXPECT_EQ(parsed.error().code, Code::invalid) << text; }
    }
}

TEST(CivilTime, DaysThatThereAreNotAreRefused) {
    for (const char* text : {"2014-02-29", "1900-02-29", "2014-04-31", "2014-13-01", "2014-00-01", "2014-01-00"}) {
        EXPECT_FALSE(parse_date(text)) << text;
    }
    EXPECT_TRUE(parse_date("2000-02-29"));
    EXPECT_FALSE(parse_date("2000-02-29T"));
}

TEST(CivilTime, ALeapSecondIsTheBeginOfTheNextDay) {
    EXPECT_EQ(moment("2016-12-31T23:59:60Z"), moment("2017-01-01T00:00:00Z"));
    EXPECT_EQ(moment("2017-01-01T00:59:60+01:00"), moment("2017-01-01T00:00:00Z"));
    EXPECT_FALSE(parse_moment("2016-12-31T23:58:60Z"));
    EXPECT_FALSE(parse_moment("2016-12-31T23:59:60+01:00"));
    EXPECT_FALSE(parse_moment("2016-12-31T23:59:61Z"));
}

TEST(CivilTime, YearsThatDoNotFitAreOutOfRange) {
    for (const char* text :
         {"0001-01-01T00:00:00Z", "1677-12-31T00:00:00Z", "2262-01-01T00:00:00Z", "9999-12-31T00:00:00Z"}) {
        EXPECT_EQ(parse_moment(text).error().code, Code::out_of_range) << text;
    }
    for (const char* text : {"1678-01-01T00:00:00Z", "2261-12-31T23:59:59.999999999Z"}) {
        EXPECT_EQ(format_moment(moment(text)), text);
    }
    EXPECT_TRUE(parse_moment("2261-12-31T23:59:59-23:59"));
    EXPECT_TRUE(parse_moment("1678-01-01T00:00:00+23:59"));
}

TEST(CivilTime, IsWrittenWithAsManyDecimalsAsItTakes) {
    for (const char* text : {"2014-04-01T09:30:00Z", "2014-04-01T09:30:00.100Z", "2014-04-01T09:30:00.000010Z",
                             "2014-04-01T09:30:00.000000001Z", "1969-12-31T23:59:59.999Z"}) {
        EXPECT_EQ(format_moment(moment(text)), text);
    }
    EXPECT_EQ(format_moment(moment("2014-04-01T00:30:00+01:00")), "2014-03-31T23:30:00Z");
}

TEST(CivilTime, ADateIsTheDayInUtc) {
    EXPECT_EQ(format_date(date_of(moment("2014-04-01T00:30:00+01:00"))), "2014-03-31");
    EXPECT_EQ(date_of(Moment{-1}).days, -1);
    EXPECT_EQ(begin_of(value_of(parse_date("1970-01-02"))).ns, 86'400'000'000'000);
    EXPECT_EQ(value_of(parse_date("2014-04-01")).days, 16'161);
}

}  // namespace
}  // namespace flowstone::fintech
