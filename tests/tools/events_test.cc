#include "tools/flowstone/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/string_source.h"

namespace flowstone::tool {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// "row key=value" for each event; the error's detail in the end, if there was one.
std::vector<std::string> read(const std::string& text, const EventOptions& options) {
    StringSource source(text, 3);
    auto events = make_event_source(source, options);
    if (!events) { return {events.error().detail}; }
    std::vector<std::string> all;
    while (true) {
        auto event = (*events)->next();
        if (!event) {
            all.emplace_back(event.error().detail);
            return all;
        }
        if (!*event) { return all; }
        const std::string key((*event)->key.value_or("(none)"));
        all.push_back(std::to_string((*event)->row) + ' ' + key + '=' + std::string((*event)->value));
    }
}

TEST(Events, LinesAreValues) { EXPECT_THAT(read("a\nb\n", {}), ElementsAre("1 (none)=a", "2 (none)=b")); }

TEST(Events, TheFirstSeparatorEndsTheKey) {
    EXPECT_THAT(read("k:v\n:v\nk:\na:b:c\n", {.key_separator = ":"}), ElementsAre("1 k=v", "2 =v", "3 k=", "4 a=b:c"));
    EXPECT_THAT(read("k::v\n", {.key_separator = "::"}), ElementsAre("1 k=v"));
    EXPECT_THAT(read("k:v\nnone\n", {.key_separator = ":"}), ElementsAre("1 k=v", HasSubstr("line 2 has no key")));
}

TEST(Events, TheKeyIsAFieldOfTheValue) {
    EXPECT_THAT(read("{\"a\":{\"id\":7.50}}\n{\"a\":{\"id\":null}}\n", {.key_field = "/a/id"}),
                ElementsAre("1 7.50={\"a\":{\"id\":7.50}}", "2 (none)={\"a\":{\"id\":null}}"));
    EXPECT_THAT(read("{\"id\":1}\n{}\n", {.key_field = "/id"}),
                ElementsAre("1 1={\"id\":1}", HasSubstr("line 2: /id")));
    EXPECT_THAT(read("no json\n", {.key_field = "/id"}), ElementsAre(HasSubstr("line 1: ")));
}

TEST(Events, RowsBecomeObjectsOfStrings) {
    EXPECT_THAT(read("card,amount,name\r\n0042,-594.00,\"a \"\"b\"\", c\"\r\n7,,\r\n", {.csv = true}),
                ElementsAre(R"(1 (none)={"card":"0042","amount":"-594.00","name":"a \"b\", c"})",
                            R"(2 (none)={"card":"7","amount":"","name":""})"));
}

TEST(Events, RowsGetTheirNumberAndTheirKey) {
    EXPECT_THAT(read("card,\"a\"\"\"\nx,1\ny,2\n", {.csv = true, .key_field = "/card", .row_field = "row"}),
                ElementsAre(R"(1 x={"card":"x","a\"":"1","row":1})", R"(2 y={"card":"y","a\"":"2","row":2})"));
}

TEST(Events, AnEmptyCsvAndAHeaderAloneHaveNone) {
    EXPECT_THAT(read("", {.csv = true}), ElementsAre());
    EXPECT_THAT(read("a,b\n", {.csv = true}), ElementsAre());
}

TEST(Events, RefusesCsvThatWouldMakeDoubtfulObjects) {
    EXPECT_THAT(read("a,a\n1,2\n", {.csv = true}), ElementsAre(HasSubstr("two columns are called 'a'")));
    EXPECT_THAT(read("a,row\n1,2\n", {.csv = true, .row_field = "row"}), ElementsAre(HasSubstr("two columns")));
    EXPECT_THAT(read("a,b\n1\n", {.csv = true}), ElementsAre(HasSubstr("line 2: 1 fields where the header has 2")));
    EXPECT_THAT(read("a\n1,2\n", {.csv = true}), ElementsAre(HasSubstr("line 2: 2 fields where the header has 1")));
    EXPECT_THAT(read("a\n\xff\n", {.csv = true}), ElementsAre(HasSubstr("line 2: not UTF-8")));
    EXPECT_THAT(read("\xff\n1\n", {.csv = true}), ElementsAre(HasSubstr("not UTF-8")));
    EXPECT_THAT(read("a\n1\n", {.csv = true, .key_field = "/b"}), ElementsAre(HasSubstr("line 2: /b")));
}

TEST(Events, RefusesOptionsThatContradictEachOther) {
    StringSource source("");
    for (const EventOptions& options :
         {EventOptions{.key_field = "/a", .key_separator = ":"}, EventOptions{.csv = true, .key_separator = ":"},
          EventOptions{.row_field = "row"}, EventOptions{.key_separator = ""}, EventOptions{.key_field = "a"}}) {
        auto events = make_event_source(source, options);
        ASSERT_FALSE(events);
        EXPECT_EQ(events.error().code, Code::invalid);
    }
}

}  // namespace
}  // namespace flowstone::tool
