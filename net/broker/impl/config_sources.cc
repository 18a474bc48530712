#include "net/broker/impl/config_sources.h"

#include <algorithm>

#include <fmt/format.h>

// Errors as values, and nothing but the parser. In a header, since the library of Debian is built with exceptions.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_UNRELEASED_FEATURES 0
#include <toml++/toml.h>

#include "storage/try.h"

namespace flowstone {
namespace {

constexpr std::string_view environment_prefix = "FLOWSTONED_";
constexpr std::string_view environment_of_file = "FLOWSTONED_CONFIG";  // the program's own: where the file is
constexpr size_t name_bytes_shown_max = 60;
constexpr size_t depth_max = 16;  // of tables; no name has as many dots

std::string unknown(std::string_view name) {
    const std::string_view shown = name.substr(0, name_bytes_shown_max);
    const BrokerSetting* meant = nearest_broker_setting(name);
    if (meant == nullptr) { return fmt::format("there is no setting {}", shown); }
    return fmt::format("there is no setting {}, the nearest is {}", shown, meant->name);
}

// Adds one; for lists that may be continued, to the one that is there.
Result<void> add(SaidSettings& said, BrokerConfig::Set one, bool may_continue) {
    const auto same = std::ranges::find(said, one.setting, &BrokerConfig::Set::setting);
    if (same == said.end()) {
        said.push_back(std::move(one));
    } else if (may_continue && one.setting->type == ConfigType::list) {
        same->value += "," + one.value;
    } else {
        return refuse_setting(one.where, fmt::format("{} is said twice, also at {}", one.setting->name, same->where));
    }
    return {};
}

// --- TOML -----------------------------------------------------------------------------------------------------------

struct TomlSetting {
    std::string name;
    const toml::node* value;
    toml::source_position at;
};

std::string position(std::string_view file_name, const toml::source_position& at) {
    return fmt::format("{}:{}", file_name, at.line);
}

// What is in the table and those within it. One that lies too deep is no setting.
void collect(const toml::table& table, const std::string& prefix, size_t depth, std::vector<TomlSetting>& found) {
    for (const auto& [key, value] : table) {
        std::string name = prefix.empty() ? std::string(key.str()) : fmt::format("{}.{}", prefix, key.str());
        const toml::table* inner = value.as_table();
        if (inner != nullptr && depth < depth_max) {
            collect(*inner, name, depth + 1, found);
        } else {
            found.push_back({std::move(name), &value, key.source().begin});
        }
    }
}

// As it would be written on a command line. Empty when there is no such way.
std::optional<std::string> text_of(const toml::node& node) {
    if (const auto* text = node.as_string()) { return text->get(); }
    if (const auto* integer = node.as_integer()) { return std::to_string(integer->get()); }
    if (const auto* decimal = node.as_floating_point()) { return fmt::format("{}", decimal->get()); }
    if (const auto* truth = node.as_boolean()) { return truth->get() ? "true" : "false"; }
    const auto* list = node.as_array();
    if (list == nullptr) { return std::nullopt; }
    std::string all;
    for (const toml::node& item : *list) {
        const auto one = item.is_array() ? std::nullopt : text_of(item);
        // A comma or nothing in an item would make another list of it.
        if (!one || one->empty() || one->find(',') != std::string::npos) { return std::nullopt; }
        if (!all.empty()) { all += ','; }
        all += *one;
    }
    return all;
}

Result<void> add_of_file(SaidSettings& said, const TomlSetting& found, const std::string& where) {
    const BrokerSetting* setting = find_broker_setting(found.name);
    if (setting == nullptr) { return refuse_setting(where, unknown(found.name)); }
    const bool may_be_list = setting->type == ConfigType::list;
    const auto value = text_of(*found.value);
    if (!value) {
        return refuse_setting(where, fmt::format("{} must be a text, a number, true or false{}", setting->name,
                                                 may_be_list ? ", or a list" : ""));
    }
    if (found.value->is_array() && !may_be_list) {
        return refuse_setting(where, fmt::format("{} takes one value, not a list", setting->name));
    }
    return add(said, {setting, *value, BrokerConfigSource::file, where}, /*may_continue=*/false);
}

Result<void> check_lines(std::string_view file_name, std::string_view text) {
    if (text.size() > broker_config_file_bytes_max) {
        return fail(
            Code::too_large, "broker.config",
            fmt::format("{} has {} bytes, {} are allowed", file_name, text.size(), broker_config_file_bytes_max));
    }
    size_t number = 1;
    for (size_t begin = 0; begin < text.size(); ++number) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        if (end - begin > broker_config_line_bytes_max) {
            return refuse_setting(fmt::format("{}:{}", file_name, number),
                                  fmt::format("a line has at most {} bytes", broker_config_line_bytes_max));
        }
        begin = end + 1;
    }
    return {};
}

}  // namespace

std::unexpected<Error> refuse_setting(std::string_view where, std::string_view text) {
    // What follows says more than the beginning of a long path.
    constexpr size_t where_bytes_max = 60;
    if (where.size() <= where_bytes_max) {
        return fail(Code::invalid, "broker.config", fmt::format("{}: {}", where, text));
    }
    return fail(Code::invalid, "broker.config",
                fmt::format("...{}: {}", where.substr(where.size() - where_bytes_max), text));
}

Result<SaidSettings> settings_of_file(std::string_view file_name, std::string_view text) {
    TRY_VOID(check_lines(file_name, text));
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        return refuse_setting(position(file_name, parsed.error().source().begin),
                              fmt::format("no TOML: {}", parsed.error().description()));
    }
    std::vector<TomlSetting> found;
    collect(parsed.table(), "", 0, found);
    // Tables are sorted by name; who reads a message goes through the file from the top.
    std::ranges::sort(found, {}, [](const TomlSetting& one) { return std::pair(one.at.line, one.at.column); });
    SaidSettings said;
    for (const TomlSetting& one : found) { TRY_VOID(add_of_file(said, one, position(file_name, one.at))); }
    return said;
}

std::string environment_name(std::string_view setting) {
    std::string name(environment_prefix);
    for (const char c : setting) {
        name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '.' ? '_' : c;
    }
    return name;
}

Result<SaidSettings> settings_of_environment(const ConfigMap& variables) {
    SaidSettings said;
    for (const auto& [variable, value] : variables) {
        if (!variable.starts_with(environment_prefix) || variable == environment_of_file) { continue; }
        const auto is_meant = [&](const BrokerSetting& setting) {
            return environment_name(setting.name) == variable ||
                   (*setting.kafka_name != 0 && environment_name(setting.kafka_name) == variable);
        };
        const auto found = std::ranges::find_if(broker_settings(), is_meant);
        if (found == broker_settings().end()) {
            std::string name = variable.substr(environment_prefix.size());
            std::ranges::transform(name, name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
            return refuse_setting(variable.substr(0, name_bytes_shown_max), unknown(name));
        }
        // A variable that is there but empty is how many tools say that it is not set.
        if (trim_config_text(value).empty()) { continue; }
        TRY_VOID(add(said, {&*found, value, BrokerConfigSource::environment, variable}, /*may_continue=*/false));
    }
    return said;
}

Result<SaidSettings> settings_of_flags(const ConfigMap& flags) {
    SaidSettings said;
    for (const auto& [name, value] : flags) {
        const std::string where = fmt::format("--{}", name.substr(0, name_bytes_shown_max));
        const BrokerSetting* setting = find_broker_setting(name);
        if (setting == nullptr) { return refuse_setting(where, unknown(name)); }
        TRY_VOID(add(said, {setting, value, BrokerConfigSource::flag, where}, /*may_continue=*/true));
    }
    return said;
}

}  // namespace flowstone
