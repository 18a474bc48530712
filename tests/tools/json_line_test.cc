#include "tools/flowstone/json_line.h"

#include <gtest/gtest.h>

namespace flowstone::tool {
namespace {

// What is found, "(null)", or the name of the error.
std::string find(const std::string& pointer, std::string_view json) {
    auto field = JsonField::parse(pointer);
    if (!field) { return std::string("pointer ") + name(field.error().code); }
    auto found = field->find(json);
    if (!found) { return name(found.error().code); }
    return *found ? std::string(**found) : "(null)";
}

TEST(JsonField, FindsNestedFields) {
    EXPECT_EQ(find("/card", R"({"a":{"card":"x"},"card":"7557"})"), "7557");
    EXPECT_EQ(find("/data/accountId", R"({"data": {"accountId": "A-1"}})"), "A-1");
    EXPECT_EQ(find("/list/1/x", R"({"list":[{"x":"a"},{"x":"b"}]})"), "b");
    EXPECT_EQ(find("/", R"({"":"empty name"})"), "empty name");
    EXPECT_EQ(find("/a~1b", R"({"a/b":"slash"})"), "slash");
    EXPECT_EQ(find("/m~0n", R"({"m~n":"tilde"})"), "tilde");
}

TEST(JsonField, ResolvesTheEscapesOfAString) {
    EXPECT_EQ(find("/k", R"({"k":"a\"\\\/\n\u00e9\ud83d\udcb3"})"), "a\"\\/\n\xc3\xa9\xf0\x9f\x92\xb3");
    EXPECT_EQ(find("/k", R"({"k":""})"), "");
}

TEST(JsonField, NumbersStayExactlyAsWritten) {
    EXPECT_EQ(find("/n", R"({"n":0.10})"), "0.10");
    EXPECT_EQ(find("/n", R"({"n": -594.00 })"), "-594.00");
    EXPECT_EQ(find("/n", R"({"n":123456789012345678901234567890.123456789})"),
              "123456789012345678901234567890.123456789");
    EXPECT_EQ(find("/n", R"({"n":1e400})"), "1e400");
    EXPECT_EQ(find("/b", R"({"big":1e999,"b":true})"), "true");
    EXPECT_EQ(find("/b", "{\"b\":false\n}"), "false");
}

TEST(JsonField, NullIsNoKey) { EXPECT_EQ(find("/k", R"({"k":null})"), "(null)"); }

TEST(JsonField, SaysWhenThereIsNoSuchField) {
    EXPECT_EQ(find("/k", R"({"K":1})"), "not_found");
    EXPECT_EQ(find("/k", "{}"), "not_found");
    EXPECT_EQ(find("/k", "[]"), "not_found");
    EXPECT_EQ(find("/9", "[1]"), "not_found");
    EXPECT_EQ(find("/k/x", R"({"k":"scalar"})"), "not_found");
    EXPECT_EQ(find("/k", "17"), "not_found");
    EXPECT_EQ(find("/k", "\"k\""), "not_found");
}

TEST(JsonField, RefusesObjectsAndListsAsKeys) {
    EXPECT_EQ(find("/k", R"({"k":{}})"), "unsupported");
    EXPECT_EQ(find("/k", R"({"k":[1]})"), "unsupported");
}

TEST(JsonField, RefusesWhatIsNoJson) {
    for (const char* text : {"", " ", "{", "{\"k\"", "{\"k\":", "{\"k\":}", "{\"k\":tru}", "{\"k\":01}", "{\"k\":1.}",
                             "{\"k\":-}", "{\"k\":\"", "{\"k\":\"\\x\"}", "{\"k\":\"\xff\"}", "plain text"}) {
        const std::string found = find("/k", text);
        EXPECT_TRUE(found == "invalid" || found == "not_found") << text << " gave " << found;
        if (std::string_view(text).starts_with("{\"k\":")) { EXPECT_EQ(found, "invalid") << text; }
    }
}

TEST(JsonField, RefusesWhatIsNoPointer) {
    for (const char* pointer : {"", "card", "/a~", "/a~2", "/~"}) {
        EXPECT_EQ(find(pointer, "{}"), "pointer invalid") << pointer;
    }
}

TEST(JsonNumber, IsWhatRfc8259Says) {
    for (const char* text : {"0", "-0", "10", "0.5", "-1.25e+10", "1E-9", "1e5"}) {
        EXPECT_TRUE(is_json_number(text)) << text;
    }
    for (const char* text : {"", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "1 ", "NaN", "Infinity", "--1"}) {
        EXPECT_FALSE(is_json_number(text)) << text;
    }
}

}  // namespace
}  // namespace flowstone::tool
