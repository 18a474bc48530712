#include "client/fintech/schema.h"

#include <gtest/gtest.h>

#include "tests/storage/value_of.h"

namespace flowstone::fintech {
namespace {

class SchemaTest : public testing::Test {
protected:
    // What a schema has against a text: "code path rule", joined by "; ".
    std::string check(std::string_view schema, std::string_view text) {
        const Schema compiled = value_of(Schema::compile("test/1", schema));
        const Json json = value_of(reader_.read(text));
        std::vector<Reason> reasons;
        compiled.check(json, reasons);
        std::string out;
        for (const Reason& reason : reasons) {
            EXPECT_EQ(reason.schema, "test/1");
            out += (out.empty() ? "" : "; ") + reason.code + ' ' + reason.path + ' ' + reason.rule;
        }
        return out;
    }
    // Of one property "a" alone.
    std::string check_a(const std::string& rule, const std::string& value) {
        return check("{\"properties\":{\"a\":" + rule + "}}", "{\"a\":" + value + "}");
    }
    static Error refusal(std::string_view schema) {
        const auto compiled = Schema::compile("test/1", schema);
        EXPECT_FALSE(compiled) << schema;
        return compiled ? Error{} : compiled.error();
    }
    JsonReader reader_;
};

TEST_F(SchemaTest, EveryTypeIsTold) {
    const std::pair<const char*, const char*> values[] = {{"object", "{}"},  {"array", "[]"},      {"string", "\"x\""},
                                                          {"number", "1.5"}, {"boolean", "false"}, {"null", "null"}};
    for (const auto& [type, own] : values) {
        for (const auto& [other, value] : values) {
            const std::string found = check_a(std::string("{\"type\":\"") + type + "\"}", value);
            EXPECT_EQ(found, type == other ? "" : std::string("type /a ") + type) << value;
        }
    }
    EXPECT_EQ(check_a(R"({"type":"integer"})", "5"), "");
    EXPECT_EQ(check_a(R"({"type":"integer"})", "5.0"), "");
    EXPECT_EQ(check_a(R"({"type":"integer"})", "5.5"), "type /a integer");
    EXPECT_EQ(check_a(R"({"type":["number","string"]})", "true"), "type /a number|string");
}

TEST_F(SchemaTest, EveryFaultIsToldNotOnlyTheFirst) {
    EXPECT_EQ(check(R"({"type":"object","required":["a","b"],"properties":{"a":{"type":"string"},"b":{},
                        "c":{"type":"object","required":["d"],"properties":{"d":{},"e":{"enum":["x","y"]}}}}})",
                    R"({"a":1,"c":{"e":"z"}})"),
              "type /a string; required /b b; required /c/d d; enum /c/e x|y");
}

TEST_F(SchemaTest, LimitsAreDecimalAndHoldAtBothEnds) {
    const std::string amount = R"({"type":["number","string"],"format":"decimal","minimum":0.01,"maximum":1000000})";
    for (const char* value : {"0.01", "1000000", "1e6", "0.010", "1000000.000", "\"0.01\"", "\"1e6\""}) {
        EXPECT_EQ(check_a(amount, value), "") << value;
    }
    for (const char* value : {"0.009999999999999999", "0", "-0", "-5", "\"0.001\"", "\"-1\""}) {
        EXPECT_EQ(check_a(amount, value), "minimum /a 0.01") << value;
    }
    for (const char* value : {"1000000.01", "1000000.0000000001", "1e7", "\"1000001\""}) {
        EXPECT_EQ(check_a(amount, value), "maximum /a 1000000") << value;
    }
    for (const char* value : {"1e400", "1e-400", "\"1e400\"", "123456789012345678901"}) {
        EXPECT_EQ(check_a(amount, value), "digits /a at most 18 digits, and as many decimals") << value;
    }
    for (const char* value : {"\"\"", "\"1,5\"", "\"0x1\"", "\"1 \"", "\"NaN\""}) {
        EXPECT_EQ(check_a(amount, value), "format /a decimal") << value;
    }
}

TEST_F(SchemaTest, LengthsAreInLettersNotBytes) {
    EXPECT_EQ(check_a(R"({"maxLength":2,"minLength":2})", "\"\u00e9\U0001f600\""), "");
    EXPECT_EQ(check_a(R"({"maxLength":2})", "\"abc\""), "maxLength /a 2");
    EXPECT_EQ(check_a(R"({"minLength":1})", "\"\""), "minLength /a 1");
    EXPECT_EQ(check_a(R"({"minLength":1})", "5"), "");  // says nothing of numbers
}

TEST_F(SchemaTest, WordsAreHeldToPatternEnumAndConst) {
    EXPECT_EQ(check_a(R"({"pattern":"^[A-Z]{3}$"})", "\"GBP\""), "");
    EXPECT_EQ(check_a(R"({"pattern":"^[A-Z]{3}$"})", "\"gbp\""), "pattern /a ^[A-Z]{3}$");
    EXPECT_EQ(check_a(R"({"const":"x"})", "\"x\""), "");
    EXPECT_EQ(check_a(R"({"const":"x"})", "\"y\""), "enum /a x");
    EXPECT_EQ(check_a(R"({"enum":["x","y"]})", "1"), "enum /a x|y");
    EXPECT_EQ(check_a(R"({"enum":["x"]})", "null"), "enum /a x");
    EXPECT_EQ(check_a(R"({"enum":["x"]})", "{}"), "enum /a x");
}

TEST_F(SchemaTest, TimesHaveTheirZone) {
    EXPECT_EQ(check_a(R"({"format":"date-time"})", "\"2014-04-01T09:30:00Z\""), "");
    EXPECT_EQ(check_a(R"({"format":"date-time"})", "\"2014-04-01T09:30:00\""), "format /a date-time");
}

TEST_F(SchemaTest, OtherMembersAreKeptUnlessItSaysNo) {
    EXPECT_EQ(check(R"({"properties":{"a":{}}})", R"({"a":1,"b":2})"), "");
    EXPECT_EQ(check(R"({"properties":{"a":{}},"additionalProperties":false})", R"({"a":1})"), "");
    EXPECT_EQ(check(R"({"properties":{"a":{}},"additionalProperties":false})", R"({"a":1,"name of a person":2,"c":3})"),
              "additionalProperties  nothing but what is named");
}

TEST_F(SchemaTest, ItemsAreHeldToTheirRule) {
    EXPECT_EQ(check_a(R"({"items":{"type":"string"}})", R"(["x",1,"y",2])"), "type /a/- string; type /a/- string");
    EXPECT_EQ(check_a(R"({"items":{"type":"string"}})", "[]"), "");
}

TEST_F(SchemaTest, AReasonIsJsonAndHasNothingOfTheEvent) {
    const Schema schema = value_of(Schema::compile("test/1", R"({"properties":{"a":{"pattern":"^x$"}}})"));
    std::vector<Reason> reasons;
    schema.check(value_of(reader_.read(R"({"a":"4111111111111111"})")), reasons);
    EXPECT_EQ(to_json(reasons), R"([{"code":"pattern","path":"/a","rule":"^x$","schema":"test/1"}])");
    EXPECT_EQ(to_json({}), "[]");
}

TEST_F(SchemaTest, WhatIsNotKnownIsRefusedWhenItIsCompiled) {
    for (const char* schema :
         {R"({"oneOf":[]})", R"({"$ref":"#"})", R"({"properties":{"a":{"multipleOf":2}}})", R"({"format":"email"})",
          R"({"requierd":["a"]})", R"({"properties":{"a":{"pattern":"a.*b"}}})"}) {
        EXPECT_EQ(refusal(schema).code, Code::unsupported) << schema;
    }
    EXPECT_NE(refusal(R"({"properties":{"a":{"multipleOf":2}}})").message().find("/a has multipleOf"),
              std::string::npos);
    for (const char* schema : {"", "[]", R"({"type":"float"})", R"({"type":5})", R"({"required":["a"]})",
                               R"({"required":"a"})", R"({"properties":[]})", R"({"minLength":-1})",
                               R"({"minLength":1.5})", R"({"minimum":"1"})", R"({"minimum":1e400})", R"({"enum":"x"})",
                               R"({"enum":[1]})", R"({"const":1})", R"({"additionalProperties":{}})"}) {
        EXPECT_EQ(refusal(schema).code, Code::invalid) << schema;
    }
}

TEST(Schemas, ThoseInTheProgramAreRightAndFoundByTypeAndVersion) {
    Schemas schemas;
    for (const SchemaText& schema : built_in_schemas()) {
        const auto added = schemas.add(std::string(schema.name), schema.text);
        EXPECT_TRUE(added) << added.error().message();
    }
    EXPECT_EQ(schemas.size(), 4u);
    ASSERT_NE(schemas.find("transaction.completed", "1.0"), nullptr);
    EXPECT_EQ(schemas.find("transaction.completed", "1.0")->name(), "transaction.completed/1.0");
    EXPECT_EQ(schemas.find("transaction.completed", "2.0"), nullptr);
    EXPECT_EQ(schemas.find("", ""), nullptr);
    EXPECT_EQ(schemas.add("transaction.completed/1.0", "{}").error().code, Code::exists);
}

}  // namespace
}  // namespace flowstone::fintech
