#include "tools/flowstone/record_output.h"

#include <gtest/gtest.h>

#include "storage/bytes.h"

namespace flowstone::tool {
namespace {

// Record format of Kafka: count, then length and bytes of each name and value, all zigzag varints; -1 for null.
constexpr std::string_view two_headers(
    "\x04"
    "\x02"
    "a"
    "\x04"
    "x\xff"
    "\x02"
    "b"
    "\x01",
    9);

RecordView record(std::optional<std::string_view> key, std::optional<std::string_view> value) {
    RecordView view;
    view.offset = Offset{42};
    view.timestamp_ms = 1'396'310'400'000;
    view.key = key;
    view.value = value;
    view.encoded_headers = as_bytes(std::string_view("\0", 1));
    return view;
}

std::string formatted(std::string_view format, const RecordView& view) {
    auto parsed = RecordFormat::parse(format);
    if (!parsed) { return parsed.error().detail; }
    std::string out;
    parsed->append(out, {.topic = "pay", .partition = 3}, view);
    return out;
}

TEST(RecordFormat, PutsInWhatTheLettersStandFor) {
    RecordView view = record("k", "v");
    view.encoded_headers = as_bytes(two_headers);
    EXPECT_EQ(formatted("%t %p %o %T %k %h %v", view), "pay 3 42 2014-04-01T00:00:00.000Z k a=x\xff,b v\n");
    EXPECT_EQ(formatted("%v", view), "v\n");
    EXPECT_EQ(formatted("", view), "\n");
    EXPECT_EQ(formatted("100%%\\t\\n\\\\%k.", view), "100%\t\n\\k.\n");
}

TEST(RecordFormat, WhatIsAbsentIsEmpty) {
    RecordView view = record(std::nullopt, std::nullopt);
    view.timestamp_ms = -1;
    EXPECT_EQ(formatted("[%k|%v|%h|%T]", view), "[|||]\n");
}

TEST(RecordFormat, RefusesLettersThatMeanNothing) {
    EXPECT_FALSE(RecordFormat::parse("%x"));
    EXPECT_FALSE(RecordFormat::parse("100%"));
    EXPECT_FALSE(RecordFormat::parse("\\"));
    EXPECT_FALSE(RecordFormat::parse("\\x"));
    EXPECT_FALSE(RecordFormat::parse(std::string_view("%\0", 2)));
}

TEST(RecordJson, IsOneObjectALine) {
    std::string out;
    append_record_json(out, {.topic = "pay", .partition = 3}, record("k\"", "\xff"));
    EXPECT_EQ(out, R"({"topic":"pay","partition":3,"offset":42,"timestamp":"2014-04-01T00:00:00.000Z","key":"k\"",)"
                   R"("value":{"base64":"/w=="},"headers":[]})"
                   "\n");
    out.clear();
    RecordView view = record(std::nullopt, std::nullopt);
    view.timestamp_ms = -1;
    view.encoded_headers = as_bytes(two_headers);
    append_record_json(out, {.topic = "pay", .partition = 0}, view);
    EXPECT_EQ(out, R"({"topic":"pay","partition":0,"offset":42,"timestamp":null,"key":null,"value":null,)"
                   R"("headers":[{"name":"a","value":{"base64":"eP8="}},{"name":"b","value":null}]})"
                   "\n");
}

}  // namespace
}  // namespace flowstone::tool
