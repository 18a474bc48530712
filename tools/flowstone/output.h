// Text for people and programs: JSON, base64, times, amounts of bytes, columns. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flowstone::tool {

bool is_utf8(std::string_view bytes);

// RFC 4648 section 4, with padding.
std::string base64(std::string_view bytes);

// One JSON object on one line, member by member in the order of the calls. Names are ours and never escaped.
//   JsonLine(out).text("topic", name).number("partition", 3);   // writes {"topic":"a","partition":3} and a line break
class JsonLine {
public:
    explicit JsonLine(std::string& out) : out_(out) { out_ += '{'; }
    ~JsonLine() { out_ += "}\n"; }
    JsonLine(const JsonLine&) = delete;
    JsonLine& operator=(const JsonLine&) = delete;

    JsonLine& text(std::string_view name, std::string_view value);  // bytes that are no UTF-8 become {"base64": "..."}
    JsonLine& nullable(std::string_view name, const std::optional<std::string_view>& value);  // absent: null
    JsonLine& number(std::string_view name, int64_t value);
    JsonLine& number(std::string_view name, uint64_t value);
    // With a fixed number of decimals. For rates and ratios that we measured, never for what a record holds.
    JsonLine& decimal(std::string_view name, double value, int decimals);
    JsonLine& flag(std::string_view name, bool value);
    JsonLine& time(std::string_view name, int64_t since_1970_ms);  // -1, which is "none" in a record: null
    JsonLine& raw(std::string_view name, std::string_view json);   // JSON text as it is

private:
    void member(std::string_view name);
    std::string& out_;
    bool first_ = true;
};

// A JSON string with quotes. `text` must be UTF-8.
void append_json_string(std::string& out, std::string_view text);
// A JSON string, or {"base64": "..."} for bytes that are no UTF-8.
void append_json_bytes(std::string& out, std::string_view bytes);

// RFC 3339, UTC, with milliseconds: "2014-04-01T09:30:00.000Z". What lies outside the years 0000 to 9999, which RFC
// 3339 cannot say, is the number of milliseconds itself.
std::string format_time(int64_t since_1970_ms);
// RFC 3339 date and time with an offset or Z, or a date alone, which is its first moment in UTC. Parts of a millisecond
// are rounded up, so that "the first record at or after" stays true.
std::optional<int64_t> parse_time(std::string_view text);

std::string format_bytes(uint64_t bytes);      // "999 B", "1.0 KiB", "12.3 MiB"
std::string format_count(uint64_t count);      // "181,335"
std::string format_seconds(uint64_t seconds);  // "0:07", "1:02:09"

// The whole of `text` as a decimal number.
std::optional<int64_t> parse_integer(std::string_view text);

// Left-aligned text and right-aligned numbers under headings, two spaces apart.
class Columns {
public:
    struct Heading {
        std::string text;
        bool right = false;
    };
    explicit Columns(std::vector<Heading> headings) : headings_(std::move(headings)) {}
    void row(std::vector<std::string> cells);  // as many as headings
    void append_to(std::string& out) const;

private:
    std::vector<Heading> headings_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace flowstone::tool
