#include "storage/meta_files.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "storage/limits.h"
#include "storage/segment_files.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr uint32_t offset_checkpoint_entries_max = 1'000'000;

std::unexpected<Error> bad(const char* operation, size_t line, std::string_view why) {
    return fail(Code::corrupt, operation, fmt::format("line {}: {}", line, why));
}

// A whole decimal number and nothing else, as Java's parsers take it, without a plus sign.
template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) { return {}; }
    return value;
}

// Lines without their line break; a last line without one counts too.
class Lines {
public:
    explicit Lines(std::string_view text) : rest_(text) {}
    std::optional<std::string_view> next() {
        if (rest_.empty()) { return {}; }
        ++number_;
        const size_t end = rest_.find('\n');
        std::string_view line = rest_.substr(0, end);
        rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
        if (line.ends_with('\r')) { line.remove_suffix(1); }
        return line;
    }
    size_t number() const { return number_; }  // of the line last returned, from 1

private:
    std::string_view rest_;
    size_t number_ = 0;
};

// What Kafka's CheckpointFile has in common: "0", the count of entries, one entry a line.
template <class Take>
Result<void> parse_checkpoint(std::string_view text, const char* operation, uint64_t entries_max, Take&& take) {
    if (text.size() > meta_file_bytes_max) { return fail(Code::too_large, operation); }
    Lines lines(text);
    const auto version = parse_number<int64_t>(lines.next().value_or(""));
    if (!version) { return bad(operation, 1, "no version"); }
    if (*version != 0) { return fail(Code::unsupported, operation, fmt::format("version {}", *version)); }
    const auto count = parse_number<uint64_t>(lines.next().value_or(""));
    if (!count) { return bad(operation, 2, "no count"); }
    if (*count > entries_max) { return fail(Code::too_large, operation, fmt::format("{} entries", *count)); }
    for (uint64_t i = 0; i < *count; ++i) {
        const auto line = lines.next();
        if (!line) { return bad(operation, lines.number() + 1, "fewer entries than the count says"); }
        if (const char* why = take(*line)) { return bad(operation, lines.number(), why); }
    }
    if (lines.next()) { return bad(operation, lines.number(), "more entries than the count says"); }
    if (!text.ends_with('\n')) { return bad(operation, lines.number(), "cut in the last line"); }
    return {};
}

// ---- Java's properties -------------------------------------------------------------------------------------------

bool is_blank(char letter) { return letter == ' ' || letter == '\t' || letter == '\f'; }

void append_utf8(std::string& out, uint32_t unit) {
    if (unit < 0x80) {
        out += static_cast<char>(unit);
    } else if (unit < 0x800) {
        out += static_cast<char>(0xc0 | unit >> 6);
        out += static_cast<char>(0x80 | (unit & 0x3f));
    } else {
        out += static_cast<char>(0xe0 | unit >> 12);
        out += static_cast<char>(0x80 | (unit >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (unit & 0x3f));
    }
}

// Takes escapes out; empty for a bad one. A pair of \u surrogates stays two units: ids are ASCII.
std::optional<std::string> unescape(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            out += text[i];
            continue;
        }
        if (++i == text.size()) { return {}; }
        switch (text[i]) {
            case 't': out += '\t'; break;
            case 'n': out += '\n'; break;
            case 'r': out += '\r'; break;
            case 'f': out += '\f'; break;
            case 'u': {
                const std::string_view digits = text.substr(i + 1, 4);
                uint32_t unit = 0;
                const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
                if (digits.size() != 4 || error != std::errc{} || end != digits.data() + 4) { return {}; }
                append_utf8(out, unit);
                i += 4;
                break;
            }
            default: out += text[i]; break;
        }
    }
    return out;
}

// `key` also has its blanks escaped. Other bytes stay: Java reads the file as Latin-1, and ids are ASCII.
std::string escape(std::string_view text, bool key) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        switch (text[i]) {
            case '\t': out += "\\t"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\f': out += "\\f"; break;
            case ' ': out += key || i == 0 ? "\\ " : " "; break;
            case '\\':
            case '=':
            case ':':
            case '#':
            case '!':
                out += '\\';
                out += text[i];
                break;
            default: out += text[i]; break;
        }
    }
    return out;
}

bool continues(std::string_view line) {
    const size_t last = line.find_last_not_of('\\');
    const size_t slashes = last == std::string_view::npos ? line.size() : line.size() - last - 1;
    return slashes % 2 == 1;
}

// One logical line without comment and blanks before it: "key = value", "key:value" or "key value".
std::optional<std::pair<std::string, std::string>> split_property(std::string_view line) {
    size_t key_end = 0;
    while (key_end < line.size() && line[key_end] != '=' && line[key_end] != ':' && !is_blank(line[key_end])) {
        key_end += line[key_end] == '\\' ? 2 : 1;
    }
    key_end = std::min(key_end, line.size());
    size_t value = key_end;
    while (value < line.size() && is_blank(line[value])) { ++value; }
    if (value < line.size() && (line[value] == '=' || line[value] == ':')) { ++value; }
    while (value < line.size() && is_blank(line[value])) { ++value; }
    auto key = unescape(line.substr(0, key_end));
    auto text = unescape(line.substr(value));
    if (!key || !text) { return {}; }
    return std::pair{std::move(*key), std::move(*text)};
}

Result<std::vector<std::pair<std::string, std::string>>> parse_properties(std::string_view text) {
    constexpr const char* operation = "meta_properties.parse";
    if (text.size() > meta_file_bytes_max) { return fail(Code::too_large, operation); }
    std::vector<std::pair<std::string, std::string>> properties;
    Lines lines(text);
    while (auto line = lines.next()) {
        const auto trim = [](std::string_view raw) {
            while (!raw.empty() && is_blank(raw.front())) { raw.remove_prefix(1); }
            return raw;
        };
        const size_t number = lines.number();
        std::string logical(trim(*line));
        if (logical.empty() || logical[0] == '#' || logical[0] == '!') { continue; }
        while (continues(logical)) {
            logical.pop_back();
            const auto more = lines.next();
            if (!more) { break; }
            logical += trim(*more);
        }
        auto property = split_property(logical);
        if (!property || property->first.empty()) { return bad(operation, number, "no property"); }
        for (const auto& [key, value] : properties) {
            if (key == property->first) { return bad(operation, number, "the same key twice"); }
        }
        if (properties.size() == 1'000) { return bad(operation, number, "too many properties"); }
        properties.push_back(std::move(*property));
    }
    return properties;
}

// ---- files -------------------------------------------------------------------------------------------------------

template <class Parse>
auto read_parsed(Disk& disk, const std::string& directory, const char* file_name, Parse parse)
    -> decltype(parse(std::string_view{})) {
    const std::string path = join_path(directory, file_name);
    TRY(const auto bytes, read_file(disk, path, meta_file_bytes_max));
    auto parsed = parse(as_text(bytes));
    if (!parsed) { return std::unexpected(parsed.error().with_detail(path + ": " + parsed.error().detail)); }
    return parsed;
}

}  // namespace

std::span<const EpochStart> epochs_until(std::span<const EpochStart> epochs, Offset offset) {
    const auto after = std::ranges::upper_bound(epochs, offset, {}, &EpochStart::start);
    return epochs.first(static_cast<size_t>(after - epochs.begin()));
}

std::string format_leader_epochs(std::span<const EpochStart> epochs) {
    std::string text = fmt::format("0\n{}\n", epochs.size());
    for (const EpochStart& epoch : epochs) { text += fmt::format("{} {}\n", epoch.epoch.value, epoch.start.value); }
    return text;
}

Result<std::vector<EpochStart>> parse_leader_epochs(std::string_view text) {
    std::vector<EpochStart> epochs;
    TRY_VOID(
        parse_checkpoint(text, "leader_epochs.parse", leader_epochs_max, [&](std::string_view line) -> const char* {
            const size_t blank = line.find(' ');
            if (blank == std::string_view::npos) { return "not \"epoch offset\""; }
            const auto epoch = parse_number<int32_t>(line.substr(0, blank));
            const auto start = parse_number<int64_t>(line.substr(blank + 1));
            if (!epoch || !start || *epoch < 0 || *start < 0) { return "not \"epoch offset\""; }
            if (!epochs.empty() && *epoch <= epochs.back().epoch.value) { return "epochs do not grow"; }
            if (!epochs.empty() && *start < epochs.back().start.value) { return "offsets run backwards"; }
            epochs.push_back({Epoch{*epoch}, Offset{*start}});
            return nullptr;
        }));
    return epochs;
}

std::string format_partition_metadata(const Uuid& topic_id) {
    return fmt::format("version: 0\ntopic_id: {}", topic_id.to_string());
}

Result<Uuid> parse_partition_metadata(std::string_view text) {
    constexpr const char* operation = "partition_metadata.parse";
    constexpr std::string_view version_key = "version: ";
    constexpr std::string_view id_key = "topic_id: ";
    if (text.size() > meta_file_bytes_max) { return fail(Code::too_large, operation); }
    Lines lines(text);
    const std::string_view version_line = lines.next().value_or("");
    if (!version_line.starts_with(version_key)) { return bad(operation, 1, "no version"); }
    const auto version = parse_number<int32_t>(version_line.substr(version_key.size()));
    if (!version) { return bad(operation, 1, "no version"); }
    if (*version != 0) { return fail(Code::unsupported, operation, fmt::format("version {}", *version)); }
    const std::string_view id_line = lines.next().value_or("");
    if (!id_line.starts_with(id_key)) { return bad(operation, 2, "no topic_id"); }
    const auto id = Uuid::parse(id_line.substr(id_key.size()));
    if (!id || id->is_zero()) { return bad(operation, 2, "no topic_id"); }
    if (lines.next()) { return bad(operation, 3, "more than two lines"); }
    return *id;
}

std::string format_meta_properties(const MetaProperties& properties) {
    std::string text = "#\n";
    const auto add = [&](std::string_view key, std::string_view value) {
        text += fmt::format("{}={}\n", escape(key, /*key=*/true), escape(value, /*key=*/false));
    };
    for (const auto& [key, value] : properties.others) { add(key, value); }
    add("cluster.id", properties.cluster_id);
    if (!properties.directory_id.is_zero()) { add("directory.id", properties.directory_id.to_string()); }
    add("node.id", std::to_string(properties.node_id));
    add("version", "1");
    return text;
}

Result<MetaProperties> parse_meta_properties(std::string_view text) {
    constexpr const char* operation = "meta_properties.parse";
    TRY(auto pairs, parse_properties(text));
    MetaProperties properties;
    bool versioned = false;
    bool has_cluster = false;
    for (auto& [key, value] : pairs) {
        if (key == "version") {
            const auto version = parse_number<int32_t>(value);
            if (!version) { return fail(Code::corrupt, operation, "version is no number"); }
            if (*version != 1) { return fail(Code::unsupported, operation, fmt::format("version {}", *version)); }
            versioned = true;
        } else if (key == "cluster.id") {
            has_cluster = !value.empty();
            properties.cluster_id = std::move(value);
        } else if (key == "node.id") {
            const auto node = parse_number<int32_t>(value);
            if (!node || *node < 0) { return fail(Code::corrupt, operation, "node.id is no number"); }
            properties.node_id = *node;
        } else if (key == "directory.id") {
            const auto id = Uuid::parse(value);
            if (!id) { return fail(Code::corrupt, operation, "directory.id is no id"); }
            properties.directory_id = *id;
        } else {
            properties.others.emplace_back(std::move(key), std::move(value));
        }
    }
    // Kafka's version 0 has no version key; it belongs to ZooKeeper.
    if (!versioned) { return fail(Code::unsupported, operation, "version 0"); }
    if (!has_cluster) { return fail(Code::corrupt, operation, "cluster.id is missing"); }
    if (properties.node_id < 0) { return fail(Code::corrupt, operation, "node.id is missing"); }
    return properties;
}

std::string format_offset_checkpoint(std::span<const PartitionOffset> offsets) {
    std::string text = fmt::format("0\n{}\n", offsets.size());
    for (const PartitionOffset& entry : offsets) {
        text += fmt::format("{} {} {}\n", entry.partition.topic, entry.partition.partition, entry.offset.value);
    }
    return text;
}

Result<std::vector<PartitionOffset>> parse_offset_checkpoint(std::string_view text) {
    constexpr const char* shape = "not \"topic partition offset\"";
    std::vector<PartitionOffset> offsets;
    TRY_VOID(parse_checkpoint(
        text, "offset_checkpoint.parse", offset_checkpoint_entries_max, [&](std::string_view line) -> const char* {
            const size_t first = line.find(' ');
            const size_t second = line.rfind(' ');
            if (first == std::string_view::npos || first == second) { return shape; }
            const std::string_view topic = line.substr(0, first);
            const auto partition = parse_number<int32_t>(line.substr(first + 1, second - first - 1));
            const auto offset = parse_number<int64_t>(line.substr(second + 1));
            if (!valid_topic_name(topic) || !partition || *partition < 0 || !offset || *offset < 0) { return shape; }
            offsets.push_back({{std::string(topic), *partition}, Offset{*offset}});
            return nullptr;
        }));
    return offsets;
}

Result<std::vector<EpochStart>> read_leader_epochs(Disk& disk, const std::string& directory) {
    return read_parsed(disk, directory, leader_epoch_file_name, parse_leader_epochs);
}
Result<void> write_leader_epochs(Disk& disk, const std::string& directory, std::span<const EpochStart> epochs) {
    return replace_file(disk, join_path(directory, leader_epoch_file_name), as_bytes(format_leader_epochs(epochs)));
}
Result<Uuid> read_partition_metadata(Disk& disk, const std::string& directory) {
    return read_parsed(disk, directory, partition_metadata_file_name, parse_partition_metadata);
}
Result<void> write_partition_metadata(Disk& disk, const std::string& directory, const Uuid& topic_id) {
    const std::string text = format_partition_metadata(topic_id);
    return replace_file(disk, join_path(directory, partition_metadata_file_name), as_bytes(text));
}
Result<MetaProperties> read_meta_properties(Disk& disk, const std::string& root) {
    return read_parsed(disk, root, meta_properties_file_name, parse_meta_properties);
}
Result<void> write_meta_properties(Disk& disk, const std::string& root, const MetaProperties& properties) {
    const std::string text = format_meta_properties(properties);
    return replace_file(disk, join_path(root, meta_properties_file_name), as_bytes(text));
}

}  // namespace flowstone
