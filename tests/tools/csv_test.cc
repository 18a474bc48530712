#include "tools/flowstone/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/string_source.h"

#include "tests/storage/value_of.h"

namespace flowstone::tool {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Rows = std::vector<std::vector<std::string>>;

Result<Rows> read(const std::string& text, size_t piece_bytes = SIZE_MAX, CsvLimits limits = {}) {
    StringSource source(text, piece_bytes);
    CsvReader csv(source, limits);
    Rows rows;
    while (true) {
        auto more = csv.next();
        if (!more) { return std::unexpected(more.error()); }
        if (!*more) {
            EXPECT_EQ(csv.bytes_read(), text.size());
            return rows;
        }
        rows.emplace_back();
        for (size_t column = 0; column < csv.columns(); ++column) { rows.back().emplace_back(csv.field(column)); }
    }
}

TEST(Csv, ReadsTheExamplesOfRfc4180) {
    // Section 2, rules 1, 2, 5, 6 and 7.
    EXPECT_THAT(value_of(read("aaa,bbb,ccc\r\nzzz,yyy,xxx\r\n")),
                ElementsAre(ElementsAre("aaa", "bbb", "ccc"), ElementsAre("zzz", "yyy", "xxx")));
    EXPECT_THAT(value_of(read("aaa,bbb,ccc\r\nzzz,yyy,xxx")),
                ElementsAre(ElementsAre("aaa", "bbb", "ccc"), ElementsAre("zzz", "yyy", "xxx")));
    EXPECT_THAT(value_of(read("\"aaa\",\"bbb\",\"ccc\"\r\nzzz,yyy,xxx")),
                ElementsAre(ElementsAre("aaa", "bbb", "ccc"), ElementsAre("zzz", "yyy", "xxx")));
    EXPECT_THAT(value_of(read("\"aaa\",\"b\r\nbb\",\"ccc\"\r\nzzz,yyy,xxx")),
                ElementsAre(ElementsAre("aaa", "b\r\nbb", "ccc"), ElementsAre("zzz", "yyy", "xxx")));
    EXPECT_THAT(value_of(read("\"aaa\",\"b\"\"bb\",\"ccc\"")), ElementsAre(ElementsAre("aaa", "b\"bb", "ccc")));
}

TEST(Csv, SpacesBelongToTheField) { EXPECT_THAT(value_of(read(" a , b\n")), ElementsAre(ElementsAre(" a ", " b"))); }

TEST(Csv, EmptyFieldsAndLinesAreFields) {
    EXPECT_THAT(value_of(read(",,\n")), ElementsAre(ElementsAre("", "", "")));
    EXPECT_THAT(value_of(read("a\n\nb\n")), ElementsAre(ElementsAre("a"), ElementsAre(""), ElementsAre("b")));
    EXPECT_THAT(value_of(read("\"\"\n")), ElementsAre(ElementsAre("")));
    EXPECT_THAT(value_of(read("\"\"")), ElementsAre(ElementsAre("")));
    EXPECT_THAT(value_of(read("a,")), ElementsAre(ElementsAre("a", "")));
    EXPECT_THAT(value_of(read("")), IsEmpty());
}

TEST(Csv, AByteOrderMarkIsNoPartOfTheFirstField) {
    EXPECT_THAT(value_of(read("\xef\xbb\xbf"
                              "a,b\n")),
                ElementsAre(ElementsAre("a", "b")));
    EXPECT_THAT(value_of(read("\xef\xbb\xbf\"a\"\n")), ElementsAre(ElementsAre("a")));
    EXPECT_THAT(value_of(read("a,\xef\xbb\xbf"
                              "b\n")),
                ElementsAre(ElementsAre("a",
                                        "\xef\xbb\xbf"
                                        "b")));
    EXPECT_THAT(value_of(read("\xef\xbb\xbf")), IsEmpty());
}

TEST(Csv, IsTheSameInPiecesOfAnySize) {
    const std::string text =
        "\xef\xbb\xbf"
        "a,\"b\"\"\r\n\",c\r\n\"\",,\"\"\"\"\r\nlast,\"x\",";
    const Rows whole = value_of(read(text));
    ASSERT_THAT(whole,
                ElementsAre(ElementsAre("a", "b\"\r\n", "c"), ElementsAre("", "", "\""), ElementsAre("last", "x", "")));
    for (size_t piece_bytes = 1; piece_bytes < text.size(); ++piece_bytes) {
        EXPECT_EQ(value_of(read(text, piece_bytes)), whole) << piece_bytes;
    }
}

TEST(Csv, RefusesWhatTheRfcForbidsAndNamesTheLine) {
    for (const auto& [text, reason] : std::vector<std::pair<std::string, std::string>>{
             {"a\nb\"c\n", "line 2: a quote within"},
             {"a\n\"b\"c\n", "line 2: text after the closing quote"},
             {"a\n\"b\" ,c\n", "line 2: text after the closing quote"},
             {"a\n\"b\n", "the file ends within a quoted field"},
             {"a\n\"", "the file ends within a quoted field"},
             {"a\rb\n", "line 1: a carriage return"},
             {"a\r", "line 1: a carriage return"},
             {"\"a\n\n\"\n\"b\"c", "line 4: text after"}}) {  // line breaks within quotes count
        auto rows = read(text);
        ASSERT_FALSE(rows) << text;
        EXPECT_EQ(rows.error().code, Code::invalid);
        EXPECT_THAT(rows.error().detail, HasSubstr(reason));
    }
}

TEST(Csv, RowsAndColumnsAreBounded) {
    const CsvLimits limits{.row_bytes_max = 4, .columns_max = 3};
    EXPECT_TRUE(read("ab,cd\n", SIZE_MAX, limits));
    EXPECT_EQ(read("ab,cde\n", SIZE_MAX, limits).error().code, Code::too_large);
    EXPECT_EQ(read("\"abcde\n", SIZE_MAX, limits).error().code, Code::too_large);
    EXPECT_EQ(read("abcde", 1, limits).error().code, Code::too_large);
    EXPECT_TRUE(read("a,b,c\n", SIZE_MAX, limits));
    EXPECT_EQ(read("a,b,c,d\n", SIZE_MAX, limits).error().code, Code::too_large);
    EXPECT_EQ(read(",,,\n", SIZE_MAX, limits).error().code, Code::too_large);
}

TEST(Csv, SaysOnWhichLineARowBegins) {
    StringSource source("a\n\"b\n\n\"\nc\n");
    CsvReader csv(source);
    std::vector<uint64_t> lines;
    while (value_of(csv.next())) { lines.push_back(csv.line_number()); }
    EXPECT_THAT(lines, ElementsAre(1, 2, 5));
}

}  // namespace
}  // namespace flowstone::tool
