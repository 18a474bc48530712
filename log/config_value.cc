#include "log/config_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace flowstone {
namespace {

bool is_word(std::string_view text, std::string_view lower_case_word) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(text, lower_case_word, {}, lower);
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
    if (text.starts_with('+')) {  // Java reads one plus sign
        text.remove_prefix(1);
        if (text.starts_with('+') || text.starts_with('-')) { return std::nullopt; }
    }
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) { return std::nullopt; }
    return value;
}

std::vector<std::string_view> split_list(std::string_view text) {
    std::vector<std::string_view> items;
    while (!text.empty()) {
        const size_t comma = text.find(',');
        items.push_back(trim_config_text(text.substr(0, comma)));
        if (comma == std::string_view::npos) { break; }
        text.remove_prefix(comma + 1);
        if (text.empty()) { items.emplace_back(); }
    }
    return items;
}

bool is_choice(const ConfigRule& rule, std::string_view text) {
    return rule.choices[0] == nullptr ||
           std::ranges::any_of(rule.choices, [&](const char* choice) { return choice != nullptr && text == choice; });
}

}  // namespace

const char* name(ConfigType type) {
    switch (type) {
        case ConfigType::boolean: return "BOOLEAN";
        case ConfigType::int32: return "INT";
        case ConfigType::int64: return "LONG";
        case ConfigType::decimal: return "DOUBLE";
        case ConfigType::text: return "STRING";
        case ConfigType::list: return "LIST";
    }
    return "?";
}

std::string_view trim_config_text(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    const size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) { return {}; }
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::optional<ConfigValue> parse_config_value(const ConfigRule& rule, std::string_view text) {
    ConfigValue value;
    text = trim_config_text(text);
    switch (rule.type) {
        case ConfigType::boolean:
            value.boolean = is_word(text, "true");
            if (!value.boolean && !is_word(text, "false")) { return std::nullopt; }
            return value;
        case ConfigType::int32:
        case ConfigType::int64: {
            const auto number = parse_number<int64_t>(text);
            if (!number || *number < rule.min || *number > rule.max) { return std::nullopt; }
            value.integer = *number;
            return value;
        }
        case ConfigType::decimal: {
            const auto number = parse_number<double>(text);
            if (!number || !std::isfinite(*number)) { return std::nullopt; }
            if (*number < static_cast<double>(rule.min) || *number > static_cast<double>(rule.max)) {
                return std::nullopt;
            }
            value.decimal = *number;
            return value;
        }
        case ConfigType::text:
            if (!is_choice(rule, text)) { return std::nullopt; }
            value.text = text;
            return value;
        case ConfigType::list:
            value.list = split_list(text);
            if (!std::ranges::all_of(value.list, [&](auto item) { return is_choice(rule, item); })) {
                return std::nullopt;
            }
            return value;
    }
    return std::nullopt;
}

}  // namespace flowstone
