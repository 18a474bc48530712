#include "tools/flowstone/output.h"

#include <gtest/gtest.h>

namespace flowstone::tool {
namespace {

std::string json_string(std::string_view text) {
    std::string out;
    append_json_bytes(out, text);
    return out;
}

TEST(Base64, AgreesWithTheVectorsOfRfc4648) {
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
    EXPECT_EQ(base64("foob"), "Zm9vYg==");
    EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64("\xff\xff\xfe"), "///+");
}

TEST(Json, EscapesWhatRfc8259SaysMustBeEscaped) {
    EXPECT_EQ(json_string("plain"), R"("plain")");
    EXPECT_EQ(json_string("a\"b\\c"), R"("a\"b\\c")");
    EXPECT_EQ(json_string("\n\r\t"), R"("\n\r\t")");
    EXPECT_EQ(json_string(std::string_view("\0\x01\x1f", 3)), R"("\u0000\u0001\u001f")");
    EXPECT_EQ(json_string("/\xc2\xa3\xf0\x9f\x92\xb3"), "\"/\xc2\xa3\xf0\x9f\x92\xb3\"");
}

TEST(Json, BytesThatAreNoUtf8AreBase64) {
    EXPECT_EQ(json_string("\xff"), R"({"base64":"/w=="})");
    EXPECT_EQ(json_string("\xc0\x80"), R"({"base64":"wIA="})");              // overlong
    EXPECT_EQ(json_string("\xed\xa0\x80"), R"({"base64":"7aCA"})");          // a surrogate
    EXPECT_EQ(json_string("\xf4\x90\x80\x80"), R"({"base64":"9JCAgA=="})");  // above U+10FFFF
    EXPECT_EQ(json_string("\xe2\x82"), R"({"base64":"4oI="})");              // cut off
}

TEST(Json, AnObjectIsOneLineInTheOrderOfTheCalls) {
    std::string out;
    JsonLine(out)
        .text("topic", "a")
        .nullable("key", std::nullopt)
        .nullable("value", "")
        .number("offset", int64_t{-9223372036854775807})
        .number("bytes", uint64_t{18446744073709551615u})
        .decimal("rate", 2.5, 2)
        .flag("sealed", true)
        .time("at", 0)
        .time("none", -1)
        .raw("list", "[1]");
    EXPECT_EQ(out, R"({"topic":"a","key":null,"value":"","offset":-9223372036854775807,"bytes":18446744073709551615,)"
                   R"("rate":2.50,"sealed":true,"at":"1970-01-01T00:00:00.000Z","none":null,"list":[1]})"
                   "\n");
}

TEST(Time, FormatsAsRfc3339InUtc) {
    EXPECT_EQ(format_time(0), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(format_time(1'396'310'400'001), "2014-04-01T00:00:00.001Z");
    EXPECT_EQ(format_time(1'456'704'000'000), "2016-02-29T00:00:00.000Z");
    EXPECT_EQ(format_time(-2), "1969-12-31T23:59:59.998Z");
    EXPECT_EQ(format_time(-62'167'219'200'000), "0000-01-01T00:00:00.000Z");
    EXPECT_EQ(format_time(253'402'300'799'999), "9999-12-31T23:59:59.999Z");
}

TEST(Time, OutsideTheYearsOfRfc3339IsMilliseconds) {
    EXPECT_EQ(format_time(253'402'300'800'000), "253402300800000");
    EXPECT_EQ(format_time(INT64_MAX), "9223372036854775807");
    EXPECT_EQ(format_time(INT64_MIN), "-9223372036854775808");
}

TEST(Time, ParsesTheExamplesOfRfc3339) {
    EXPECT_EQ(parse_time("1985-04-12T23:20:50.52Z"), 482'196'050'520);
    EXPECT_EQ(parse_time("1996-12-19T16:39:57-08:00"), 851'042'397'000);
    EXPECT_EQ(parse_time("1990-12-31T23:59:60Z"), 662'688'000'000);  // a leap second
    EXPECT_EQ(parse_time("1990-12-31T15:59:60-08:00"), 662'688'000'000);
    EXPECT_EQ(parse_time("1937-01-01T12:00:27.87+00:20"), -1'041'337'172'130);
    EXPECT_EQ(parse_time("1985-04-12t23:20:50.52z"), 482'196'050'520);
    EXPECT_EQ(parse_time("2014-04-01"), 1'396'310'400'000);
}

TEST(Time, PartsOfAMillisecondAreRoundedUp) {
    EXPECT_EQ(parse_time("1970-01-01T00:00:00.0010000Z"), 1);
    EXPECT_EQ(parse_time("1970-01-01T00:00:00.0010001Z"), 2);
    EXPECT_EQ(parse_time("1970-01-01T00:00:00.1Z"), 100);
}

TEST(Time, RefusesWhatIsNoTime) {
    for (const char* text : {"",
                             "2014",
                             "2014-04",
                             "2014-4-1",
                             "2014-02-29",
                             "2014-13-01",
                             "2014-00-01",
                             "2014-04-31",
                             "2014-04-01T",
                             "2014-04-01T00:00",
                             "2014-04-01T00:00:00",
                             "2014-04-01T24:00:00Z",
                             "2014-04-01T00:60:00Z",
                             "2014-04-01T00:00:61Z",
                             "2014-04-01T00:00:00.Z",
                             "2014-04-01T00:00:00+0100",
                             "2014-04-01T00:00:00+24:00",
                             "2014-04-01T00:00:00Zx",
                             "2014-04-01 ",
                             "+014-04-01",
                             "2014-04-01T00:00:00Z "}) {
        EXPECT_FALSE(parse_time(text)) << text;
    }
}

TEST(Bytes, AreGivenInBinaryUnits) {
    EXPECT_EQ(format_bytes(0), "0 B");
    EXPECT_EQ(format_bytes(1023), "1023 B");
    EXPECT_EQ(format_bytes(1024), "1.0 KiB");
    EXPECT_EQ(format_bytes(1536), "1.5 KiB");
    EXPECT_EQ(format_bytes((1 << 20) - 1), "1.0 MiB");
    EXPECT_EQ(format_bytes(UINT64_MAX), "16.0 EiB");
}

TEST(Counts, AreGroupedInThousands) {
    EXPECT_EQ(format_count(0), "0");
    EXPECT_EQ(format_count(999), "999");
    EXPECT_EQ(format_count(1000), "1,000");
    EXPECT_EQ(format_count(181335), "181,335");
    EXPECT_EQ(format_count(1000000), "1,000,000");
}

TEST(Seconds, AreMinutesAndThenHours) {
    EXPECT_EQ(format_seconds(0), "0:00");
    EXPECT_EQ(format_seconds(67), "1:07");
    EXPECT_EQ(format_seconds(3600 + 2 * 60 + 9), "1:02:09");
}

TEST(Integers, MustBeTheWholeText) {
    EXPECT_EQ(parse_integer("-12"), -12);
    EXPECT_EQ(parse_integer("9223372036854775807"), INT64_MAX);
    EXPECT_FALSE(parse_integer("9223372036854775808"));
    EXPECT_FALSE(parse_integer(""));
    EXPECT_FALSE(parse_integer("1x"));
    EXPECT_FALSE(parse_integer(" 1"));
    EXPECT_FALSE(parse_integer("+1"));
}

TEST(Columns, AlignTextLeftAndNumbersRight) {
    Columns columns({{"topic"}, {"records", true}, {"level"}});
    columns.row({"payments", "7", "durable"});
    columns.row({"\xc3\xa9", "1,000", "memory"});  // one letter of two bytes
    std::string out;
    columns.append_to(out);
    EXPECT_EQ(out,
              "topic     records  level\n"
              "payments        7  durable\n"
              "\xc3\xa9           1,000  memory\n");
}

}  // namespace
}  // namespace flowstone::tool
