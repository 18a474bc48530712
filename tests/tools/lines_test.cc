#include "tools/flowstone/lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/string_source.h"

#include "tests/storage/value_of.h"

namespace flowstone::tool {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Result<std::vector<std::string>> read(const std::string& text, size_t piece_bytes, size_t bytes_max) {
    StringSource source(text, piece_bytes);
    LineReader lines(source, bytes_max);
    std::vector<std::string> all;
    while (true) {
        auto line = lines.next();
        if (!line) { return std::unexpected(line.error()); }
        if (!*line) { break; }
        all.emplace_back(**line);
        EXPECT_EQ(lines.line_number(), all.size());
    }
    EXPECT_EQ(lines.bytes_read(), text.size());
    return all;
}

TEST(Lines, EndWithALineFeedAndKeepEverythingElse) {
    for (size_t piece_bytes = 1; piece_bytes < 12; ++piece_bytes) {
        EXPECT_THAT(value_of(read("a\r\n\nb c\nd", piece_bytes, 10)), ElementsAre("a\r", "", "b c", "d"));
        EXPECT_THAT(value_of(read("\n", piece_bytes, 10)), ElementsAre(""));
        EXPECT_THAT(value_of(read("", piece_bytes, 10)), IsEmpty());
        EXPECT_THAT(value_of(read(std::string("\0\n", 2), piece_bytes, 10)), ElementsAre(std::string(1, '\0')));
    }
}

TEST(Lines, AreBounded) {
    EXPECT_THAT(value_of(read("1234\n1234", 3, 4)), ElementsAre("1234", "1234"));
    EXPECT_EQ(read("12345\n", 3, 4).error().code, Code::too_large);
    EXPECT_EQ(read("12345\n", 100, 4).error().code, Code::too_large);
    EXPECT_EQ(read("\n12345", 100, 4).error().code, Code::too_large);
}

TEST(Lines, LongerThanOneReadAreWhole) {
    const std::string line(300'000, 'x');
    EXPECT_THAT(value_of(read(line + "\n" + line, 70'000, line.size())), ElementsAre(line, line));
}

}  // namespace
}  // namespace flowstone::tool
