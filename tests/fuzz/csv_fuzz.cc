// CSV of a stranger: bounded, and the same rows however the bytes arrive.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/check.h"
#include "tests/tools/string_source.h"
#include "tools/flowstone/csv.h"
#include "tools/flowstone/events.h"
#include "tools/flowstone/output.h"

namespace {

using namespace flowstone;
using namespace flowstone::tool;

constexpr CsvLimits limits{.row_bytes_max = 1000, .columns_max = 20};

// The rows, and whether they ended well.
struct Read {
    std::vector<std::vector<std::string>> rows;
    bool well = false;
    friend bool operator==(const Read&, const Read&) = default;
};

Read read(const std::string& text, size_t piece_bytes) {
    StringSource source(text, piece_bytes);
    CsvReader csv(source, limits);
    Read read;
    while (true) {
        const auto more = csv.next();
        if (!more || !*more) {
            read.well = more.has_value();
            CHECK(!read.well || csv.bytes_read() == text.size());
            return read;
        }
        CHECK(csv.columns() > 0);
        CHECK(csv.columns() <= limits.columns_max);
        size_t row_bytes = 0;
        read.rows.emplace_back();
        for (size_t column = 0; column < csv.columns(); ++column) {
            row_bytes += csv.field(column).size();
            read.rows.back().emplace_back(csv.field(column));
        }
        CHECK(row_bytes <= limits.row_bytes_max);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) { return 0; }
    const size_t piece_bytes = data[0] % 7 + 1;
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    CHECK(read(text, piece_bytes) == read(text, SIZE_MAX));

    StringSource source(text, piece_bytes);
    auto events = make_event_source(source, {.csv = true, .key_field = "/card", .row_field = "row"});
    CHECK(events.has_value());
    while (true) {
        const auto event = (*events)->next();
        if (!event || !*event) { return 0; }
        CHECK(is_utf8((*event)->value));
        CHECK((*event)->key.has_value());  // a column is there or it is an error; it is never null
    }
}
