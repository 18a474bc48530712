// Values of configurations as people write them: one text, read by a type and its bounds. Topics and brokers share it.
//
// Pure. How text is read is Kafka's (ConfigDef): blanks around it do not count, "+5" is a number, TRUE is true.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace flowstone {

enum class ConfigType : uint8_t { boolean, int32, int64, decimal, text, list };
const char* name(ConfigType type);  // Kafka's word: "BOOLEAN", "INT", "LONG", "DOUBLE", "STRING", "LIST"

// After its type was checked; which member counts follows from the type. Views the text it was read from.
struct ConfigValue {
    bool boolean = false;
    int64_t integer = 0;
    double decimal = 0;
    std::string_view text;
    std::vector<std::string_view> list;
};

struct ConfigRule {
    ConfigType type;
    int64_t min;  // of numbers
    int64_t max;
    std::array<const char*, 6> choices;  // of texts, and of each item of a list; all null: anything
};

// Empty when `text` is not of the type, or out of bounds.
std::optional<ConfigValue> parse_config_value(const ConfigRule& rule, std::string_view text);

// Without blanks at both ends.
std::string_view trim_config_text(std::string_view text);

}  // namespace flowstone
