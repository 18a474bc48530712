#include "storage/segment_files.h"

#include <charconv>
#include <map>

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/limits.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr size_t base_digits = 20;  // Kafka's: sorted by name is sorted by offset

// Decimal digits only, no sign and no blanks, within T.
template <class T>
std::optional<T> parse_digits(std::string_view text) {
    T value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || text[0] == '-' || error != std::errc{} || end != text.data() + text.size()) { return {}; }
    return value;
}

std::optional<TopicPartition> parse_topic_partition(std::string_view name) {
    const size_t dash = name.rfind('-');
    if (dash == std::string_view::npos) { return {}; }
    const std::string_view topic = name.substr(0, dash);
    const std::string_view digits = name.substr(dash + 1);
    const auto partition = parse_digits<int32_t>(digits);
    if (!partition || !valid_topic_name(topic)) { return {}; }
    if (digits.size() > 1 && digits[0] == '0') { return {}; }  // one partition must not have two directories
    return TopicPartition{std::string(topic), *partition};
}

bool& part_of(SegmentListing& segment, SegmentFile kind) {
    switch (kind) {
        case SegmentFile::log: return segment.log;
        case SegmentFile::index: return segment.index;
        case SegmentFile::time_index: return segment.time_index;
        case SegmentFile::transaction_index: return segment.transaction_index;
        case SegmentFile::snapshot: return segment.snapshot;
        case SegmentFile::seal: return segment.seal;
    }
    CHECK(false);
}

}  // namespace

std::string_view suffix(SegmentFile kind) {
    switch (kind) {
        case SegmentFile::log: return ".log";
        case SegmentFile::index: return ".index";
        case SegmentFile::time_index: return ".timeindex";
        case SegmentFile::transaction_index: return ".txnindex";
        case SegmentFile::snapshot: return ".snapshot";
        case SegmentFile::seal: return ".seal";
    }
    CHECK(false);
}

std::string segment_file_name(Offset base, SegmentFile kind) {
    CHECK(base.value >= 0);
    return fmt::format("{:020}{}", base.value, suffix(kind));
}

std::optional<SegmentFileName> parse_segment_file_name(std::string_view name) {
    if (name.size() <= base_digits) { return {}; }
    const auto base = parse_digits<int64_t>(name.substr(0, base_digits));
    if (!base) { return {}; }
    for (const SegmentFile kind : segment_file_kinds) {
        if (name.substr(base_digits) == suffix(kind)) { return SegmentFileName{Offset{*base}, kind}; }
    }
    return {};
}

bool valid_topic_name(std::string_view topic) {
    if (topic.empty() || topic.size() > topic_name_bytes_max || topic == "." || topic == "..") { return false; }
    for (const char letter : topic) {
        const bool allowed = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                             (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' || letter == '-';
        if (!allowed) { return false; }
    }
    return true;
}

std::string partition_directory_name(const TopicPartition& partition) {
    CHECK(valid_topic_name(partition.topic));
    CHECK(partition.partition >= 0);
    return fmt::format("{}-{}", partition.topic, partition.partition);
}

std::optional<PartitionDirectoryName> parse_partition_directory_name(std::string_view name) {
    struct Ending {
        std::string_view text;
        PartitionDirectoryState state;
    };
    constexpr Ending endings[] = {{"-delete", PartitionDirectoryState::deleted},
                                  {"-future", PartitionDirectoryState::future},
                                  {"-stray", PartitionDirectoryState::stray}};
    for (const Ending& ending : endings) {
        if (!name.ends_with(ending.text)) { continue; }
        // "<topic>-<partition>.<unique id>-delete": the id has no dot, a topic may.
        const std::string_view body = name.substr(0, name.size() - ending.text.size());
        const size_t dot = body.rfind('.');
        if (dot == std::string_view::npos || dot + 1 == body.size()) { return {}; }
        auto partition = parse_topic_partition(body.substr(0, dot));
        if (!partition) { return {}; }
        return PartitionDirectoryName{std::move(*partition), ending.state};
    }
    auto partition = parse_topic_partition(name);
    if (!partition) { return {}; }
    return PartitionDirectoryName{std::move(*partition), PartitionDirectoryState::live};
}

Result<PartitionListing> list_segments(Disk& disk, const std::string& directory) {
    TRY(const auto entries, disk.list(directory));
    std::map<int64_t, SegmentListing> by_base;
    PartitionListing listing;
    for (const DirectoryEntry& entry : entries) {
        const auto name = parse_segment_file_name(entry.name);
        if (!name || entry.directory) {
            listing.others.push_back(entry.name);
            continue;
        }
        SegmentListing& segment = by_base[name->base.value];
        segment.base = name->base;
        part_of(segment, name->kind) = true;
    }
    for (const auto& [base, segment] : by_base) {
        (segment.log ? listing.segments : listing.orphans).push_back(segment);
    }
    return listing;
}

}  // namespace flowstone
