#include "client/fintech/json.h"

#include <gtest/gtest.h>

#include "tests/storage/value_of.h"

namespace flowstone::fintech {
namespace {

TEST(FintechJson, GivesWhatIsThereWithNumbersAsTheyAreWritten) {
    JsonReader reader;
    const Json json =
        value_of(reader.read(R"( {"a": {"b": 1.50 , "c": "x\ny\u00e9"}, "d": [true, null, -0], "e": {}} )"));
    EXPECT_EQ(json["a"]["b"].text(), "1.50");
    EXPECT_EQ(json["a"]["c"].string(), "x\ny\u00e9");
    EXPECT_FALSE(json["a"]["d"]);
    EXPECT_FALSE(json["b"]["d"]["e"]);
    EXPECT_FALSE(json["d"]["a"]);
    std::string list;
    for (const Json item : json["d"]) { list += std::string(item.text()) + ' '; }
    EXPECT_EQ(list, "true null -0 ");
    EXPECT_TRUE(json["e"].is(JsonKind::object));
    EXPECT_TRUE(json["d"].is(JsonKind::array));
    EXPECT_EQ(json["a"]["b"].string(), "");  // a number is no string
}

TEST(FintechJson, KeepsNumbersThatNoMachineTypeHolds) {
    JsonReader reader;
    const Json json = value_of(reader.read(R"({"a":1e400,"b":123456789012345678901234567890})"));
    EXPECT_EQ(json["a"].text(), "1e400");
    EXPECT_EQ(json["b"].text(), "123456789012345678901234567890");
}

TEST(FintechJson, WhatIsNotStrictlyJsonIsRefused) {
    JsonReader reader;
    for (const char* text : {"",
                             " ",
                             "x",
                             "1",
                             "\"a\"",
                             "null",
                             "{",
                             "}",
                             "[",
                             "[1",
                             "{\"a\"}",
                             "{\"a\":}",
                             "{\"a\":1,}",
                             "[1,]",
                             "{a:1}",
                             "{'a':1}",
                             "{\"a\":1}{",
                             "{\"a\":1} x",
                             "{\"a\":01}",
                             "{\"a\":+1}",
                             "{\"a\":.5}",
                             "{\"a\":1.}",
                             "{\"a\":tru}",
                             "{\"a\":truee}",
                             "{\"a\":nul}",
                             "{\"a\":NaN}",
                             "{\"a\":\"\x01\"}",
                             "{\"a\":\"\\x\"}",
                             "{\"a\":\"\\ud800\"}",
                             "{\"a\":\"\xff\"}",
                             "{\"a\":\"\xc0\x80\"}",
                             "{\"a\":\"\xed\xa0\x80\"}",
                             "{\"a\":\"b}",
                             "{\"a\" 1}",
                             "{\"a\":1 \"b\":2}",
                             "[1 2]",
                             "{\"a\":1}]",
                             "[}",
                             "{\"a\":[}",
                             "{\"a\":--1}",
                             "\xef\xbb\xbf{}x"}) {
        const auto json = reader.read(text);
        EXPECT_FALSE(json) << text;
        if (!json) { EXPECT_EQ(json.error().code, Code::invalid) << text; }
    }
    EXPECT_TRUE(reader.read("{}"));  // and goes on afterwards
}

TEST(FintechJson, ANameThatComesTwiceIsRefusedHoweverItIsSpelled) {
    JsonReader reader;
    EXPECT_FALSE(reader.read(R"({"amount":"1.00","amount":"1000.00"})"));
    EXPECT_FALSE(reader.read(R"({"amount":"1.00","\u0061mount":"1000.00"})"));
    EXPECT_FALSE(reader.read(R"({"x":{"a":1,"b":{"c":1},"a":2}})"));
    EXPECT_TRUE(reader.read(R"({"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]})"));
}

TEST(FintechJson, LimitsHoldFromBothSides) {
    JsonReader reader({.bytes_max = 60, .nodes_max = 8, .members_max = 3, .depth_max = 4});
    const auto refusal = [&](const std::string& text) {
        return reader.read(text) ? Code::io : reader.read(text).error().code;
    };
    EXPECT_TRUE(reader.read("[[[1]]]"));
    EXPECT_EQ(refusal("[[[[1]]]]"), Code::too_large);
    EXPECT_TRUE(reader.read("[1,2,3,4,5,6,7]"));
    EXPECT_EQ(refusal("[1,2,3,4,5,6,7,8]"), Code::too_large);
    EXPECT_TRUE(reader.read(R"({"a":1,"b":2,"c":3})"));
    EXPECT_EQ(refusal(R"({"a":1,"b":2,"c":3,"d":4})"), Code::too_large);
    EXPECT_TRUE(reader.read("[\"" + std::string(56, 'x') + "\"]"));
    EXPECT_EQ(refusal("[\"" + std::string(57, 'x') + "\"]"), Code::too_large);
}

TEST(FintechJson, DeepNestingEndsAtTheLimitAndNotTheStack) {
    JsonReader reader;
    EXPECT_EQ(reader.read(std::string(100'000, '[') + std::string(100'000, ']')).error().code, Code::too_large);
    std::string objects;
    for (int i = 0; i < 30'000; ++i) { objects += "{\"a\":"; }
    EXPECT_EQ(reader.read(objects + '1' + std::string(30'000, '}')).error().code, Code::too_large);
}

TEST(FintechJson, AnErrorHoldsNothingOfTheText) {
    JsonReader reader;
    const auto json = reader.read(R"({"card":"4111111111111111","card":"4111111111111111"})");
    EXPECT_EQ(json.error().message().find("4111"), std::string::npos);
}

TEST(FintechJson, StringsAreWrittenSoThatTheyAreReadBack) {
    std::string text;
    for (int letter = 0; letter < 128; ++letter) { text += static_cast<char>(letter); }
    text += "\u00e9\U0001f600";
    std::string json = "[";
    append_json_string(json, text);
    json += ']';
    JsonReader reader;
    const Json list = value_of(reader.read(json));
    EXPECT_EQ((*list.begin()).string(), text);
}

}  // namespace
}  // namespace flowstone::fintech
