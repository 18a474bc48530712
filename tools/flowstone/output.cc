#include "tools/flowstone/output.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iterator>

#include <fmt/format.h>
#include <simdjson.h>

#include "storage/check.h"

namespace flowstone::tool {
namespace {

constexpr int64_t day_ms = 86'400'000;

// Takes `count` digits off the front, or nothing.
std::optional<int64_t> take_digits(std::string_view& text, size_t count) {
    if (text.size() < count) { return std::nullopt; }
    int64_t value = 0;
    for (const char digit : text.substr(0, count)) {
        if (digit < '0' || digit > '9') { return std::nullopt; }
        value = value * 10 + (digit - '0');
    }
    text.remove_prefix(count);
    return value;
}

bool take(std::string_view& text, std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == std::string_view::npos) { return false; }
    text.remove_prefix(1);
    return true;
}

// The first moment of a date in milliseconds since 1970.
std::optional<int64_t> take_date(std::string_view& text) {
    const auto year = take_digits(text, 4);
    if (!year || !take(text, "-")) { return std::nullopt; }
    const auto month = take_digits(text, 2);
    if (!month || !take(text, "-")) { return std::nullopt; }
    const auto day = take_digits(text, 2);
    if (!day) { return std::nullopt; }
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                           std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    if (!date.ok()) { return std::nullopt; }
    return std::chrono::sys_days(date).time_since_epoch().count() * day_ms;
}

// ".123456" in milliseconds, rounded up. No point: 0.
std::optional<int64_t> take_fraction(std::string_view& text) {
    if (!take(text, ".")) { return 0; }
    int64_t ms = 0;
    bool rest = false;
    size_t digits = 0;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; ++digits, text.remove_prefix(1)) {
        if (digits < 3) {
            ms = ms * 10 + (text.front() - '0');
        } else {
            rest = rest || text.front() != '0';
        }
    }
    if (digits == 0) { return std::nullopt; }
    for (; digits < 3; ++digits) { ms *= 10; }
    return rest ? ms + 1 : ms;
}

// "12:30:05.25" in milliseconds. A leap second counts as the second after it.
std::optional<int64_t> take_time_of_day(std::string_view& text) {
    const auto hour = take_digits(text, 2);
    if (!hour || *hour > 23 || !take(text, ":")) { return std::nullopt; }
    const auto minute = take_digits(text, 2);
    if (!minute || *minute > 59 || !take(text, ":")) { return std::nullopt; }
    const auto second = take_digits(text, 2);
    if (!second || *second > 60) { return std::nullopt; }
    const auto fraction_ms = take_fraction(text);
    if (!fraction_ms) { return std::nullopt; }
    return ((*hour * 60 + *minute) * 60 + *second) * 1000 + *fraction_ms;
}

// "Z" or "+01:30": what must be subtracted to get UTC.
std::optional<int64_t> take_zone(std::string_view& text) {
    if (take(text, "Zz")) { return 0; }
    const bool west = !text.empty() && text.front() == '-';
    if (!take(text, "+-")) { return std::nullopt; }
    const auto hours = take_digits(text, 2);
    if (!hours || *hours > 23 || !take(text, ":")) { return std::nullopt; }
    const auto minutes = take_digits(text, 2);
    if (!minutes || *minutes > 59) { return std::nullopt; }
    const int64_t ms = (*hours * 60 + *minutes) * 60'000;
    return west ? -ms : ms;
}

// Letters on the screen, near enough: bytes that do not continue a UTF-8 character.
size_t display_width(std::string_view text) {
    return static_cast<size_t>(std::count_if(
        text.begin(), text.end(), [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }));
}

}  // namespace

bool is_utf8(std::string_view bytes) { return simdjson::validate_utf8(bytes.data(), bytes.size()); }

std::string base64(std::string_view bytes) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t at = 0; at < bytes.size(); at += 3) {
        const std::string_view group = bytes.substr(at, 3);
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; ++i) {
            bits = (bits << 8) | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0u);
        }
        for (size_t i = 0; i < 4; ++i) { out += i <= group.size() ? alphabet[(bits >> (18 - 6 * i)) & 63] : '='; }
    }
    return out;
}

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    size_t plain = 0;  // where the run begins that needs no escape
    for (size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f) [[likely]] { continue; }
        out.append(text, plain, at - plain);
        plain = at + 1;
        switch (byte) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default: fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte); break;
        }
    }
    out.append(text, plain);
    out += '"';
}

void append_json_bytes(std::string& out, std::string_view bytes) {
    if (is_utf8(bytes)) { return append_json_string(out, bytes); }
    out += "{\"base64\":\"";
    out += base64(bytes);
    out += "\"}";
}

void JsonLine::member(std::string_view name) {
    out_ += first_ ? "\"" : ",\"";
    first_ = false;
    out_ += name;
    out_ += "\":";
}

JsonLine& JsonLine::text(std::string_view name, std::string_view value) {
    member(name);
    append_json_bytes(out_, value);
    return *this;
}

JsonLine& JsonLine::nullable(std::string_view name, const std::optional<std::string_view>& value) {
    return value ? text(name, *value) : raw(name, "null");
}

JsonLine& JsonLine::number(std::string_view name, int64_t value) {
    member(name);
    fmt::format_to(std::back_inserter(out_), "{}", value);
    return *this;
}

JsonLine& JsonLine::number(std::string_view name, uint64_t value) {
    member(name);
    fmt::format_to(std::back_inserter(out_), "{}", value);
    return *this;
}

JsonLine& JsonLine::decimal(std::string_view name, double value, int decimals) {
    member(name);
    fmt::format_to(std::back_inserter(out_), "{:.{}f}", value, decimals);
    return *this;
}

JsonLine& JsonLine::flag(std::string_view name, bool value) { return raw(name, value ? "true" : "false"); }

JsonLine& JsonLine::time(std::string_view name, int64_t since_1970_ms) {
    return since_1970_ms == -1 ? raw(name, "null") : text(name, format_time(since_1970_ms));
}

JsonLine& JsonLine::raw(std::string_view name, std::string_view json) {
    member(name);
    out_ += json;
    return *this;
}

std::string format_time(int64_t since_1970_ms) {
    constexpr int64_t begin_ms = -62'167'219'200'000;  // 0000-01-01T00:00:00Z
    constexpr int64_t end_ms = 253'402'300'800'000;    // 10000-01-01T00:00:00Z
    if (since_1970_ms < begin_ms || since_1970_ms >= end_ms) { return std::to_string(since_1970_ms); }
    const int64_t shifted_ms = since_1970_ms - begin_ms;  // not negative, so that division rounds down
    const int64_t ms = shifted_ms % day_ms;
    const int64_t day = shifted_ms / day_ms + begin_ms / day_ms;
    const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(static_cast<int>(day)))};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), ms / 3'600'000,
                       ms / 60'000 % 60, ms / 1000 % 60, ms % 1000);
}

std::optional<int64_t> parse_time(std::string_view text) {
    const auto date_ms = take_date(text);
    if (!date_ms || text.empty()) { return date_ms; }
    if (!take(text, "Tt ")) { return std::nullopt; }
    const auto time_ms = take_time_of_day(text);
    if (!time_ms) { return std::nullopt; }
    const auto zone_ms = take_zone(text);
    if (!zone_ms || !text.empty()) { return std::nullopt; }
    return *date_ms + *time_ms - *zone_ms;
}

std::string format_bytes(uint64_t bytes) {
    if (bytes < 1024) { return fmt::format("{} B", bytes); }
    constexpr std::string_view units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = static_cast<double>(bytes) / 1024;
    size_t unit = 0;
    // 1023.95 would round up to "1024.0".
    for (; amount >= 1023.95 && unit + 1 < std::size(units); ++unit) { amount /= 1024; }
    return fmt::format("{:.1f} {}", amount, units[unit]);
}

std::string format_count(uint64_t count) {
    std::string text = std::to_string(count);
    for (size_t at = text.size(); at > 3;) {
        at -= 3;
        text.insert(at, 1, ',');
    }
    return text;
}

std::string format_seconds(uint64_t seconds) {
    if (seconds < 3600) { return fmt::format("{}:{:02}", seconds / 60, seconds % 60); }
    return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::optional<int64_t> parse_integer(std::string_view text) {
    int64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size()) { return std::nullopt; }
    return value;
}

void Columns::row(std::vector<std::string> cells) {
    CHECK(cells.size() == headings_.size());
    rows_.push_back(std::move(cells));
}

void Columns::append_to(std::string& out) const {
    std::vector<size_t> widths;
    for (size_t column = 0; column < headings_.size(); ++column) {
        widths.push_back(display_width(headings_[column].text));
        for (const auto& cells : rows_) { widths[column] = std::max(widths[column], display_width(cells[column])); }
    }
    const auto append_row = [&](const auto& text_of) {
        for (size_t column = 0; column < headings_.size(); ++column) {
            const std::string& text = text_of(column);
            const std::string space(widths[column] - display_width(text), ' ');
            const bool last = column + 1 == headings_.size();
            if (headings_[column].right) {
                out += space + text;
            } else {
                out += last ? text : text + space;  // nothing after the last word of a line
            }
            if (!last) { out += "  "; }
        }
        out += '\n';
    };
    append_row([&](size_t column) -> const std::string& { return headings_[column].text; });
    for (const auto& cells : rows_) {
        append_row([&](size_t column) -> const std::string& { return cells[column]; });
    }
}

}  // namespace flowstone::tool
