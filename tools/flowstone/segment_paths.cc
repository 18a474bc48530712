#include "tools/flowstone/segment_paths.h"

#include <utility>

#include "storage/checkpoint.h"
#include "storage/journal.h"
#include "storage/journal_verify.h"
#include "storage/meta_files.h"
#include "storage/try.h"

namespace flowstone::tool {
namespace {

std::string without_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/') { path.pop_back(); }
    return path;
}

std::string_view last_part(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string_view(path) : std::string_view(path).substr(slash + 1);
}

std::optional<Uuid> cluster_of(Disk& disk, const std::string& root) {
    const auto properties = read_meta_properties(disk, root);
    if (!properties) { return {}; }
    const auto id = Uuid::parse(properties->cluster_id);
    return id ? std::optional(*id) : std::nullopt;
}

SegmentTarget partition_target(Disk& disk, const std::string& directory) {
    SegmentTarget target;
    target.directory = directory;
    if (auto name = parse_partition_directory_name(last_part(directory))) {
        target.partition = std::move(name->partition);
        target.cluster = cluster_of(disk, parent_path(directory));
    }
    return target;
}

Result<std::vector<SegmentTarget>> resolve_file(Disk& disk, const std::string& path) {
    const std::string file_name(last_part(path));
    SegmentTarget target = partition_target(disk, parent_path(path));
    target.file = path;
    target.journal = Journal::is_journal_file(file_name) || is_checkpoint_file(file_name);
    if (target.journal) {
        target.partition.reset();
        return std::vector<SegmentTarget>{std::move(target)};
    }
    if (const auto name = parse_segment_file_name(last_part(path))) {
        const auto log = disk.info(join_path(target.directory, segment_file_name(name->base, SegmentFile::log)));
        if (log) { target.only = name->base; }
    }
    return std::vector<SegmentTarget>{std::move(target)};
}

}  // namespace

std::string SegmentTarget::label() const {
    if (file_alone()) { return file; }
    return partition ? partition_directory_name(*partition) : directory;
}

Result<std::vector<SegmentTarget>> resolve_segment_path(Disk& disk, const std::string& given) {
    const std::string path = without_slashes(given);
    TRY(const FileInfo info, disk.info(path));
    if (!info.directory) { return resolve_file(disk, path); }
    TRY(const PartitionListing listing, list_segments(disk, path));
    if (!listing.segments.empty() || parse_partition_directory_name(last_part(path))) {
        return std::vector<SegmentTarget>{partition_target(disk, path)};
    }
    // A data directory.
    TRY(const auto entries, disk.list(path));
    std::vector<SegmentTarget> targets;
    const std::optional<Uuid> cluster = cluster_of(disk, path);
    for (const DirectoryEntry& entry : entries) {
        auto name = parse_partition_directory_name(entry.name);
        if (!entry.directory || !name || name->state != PartitionDirectoryState::live) { continue; }
        SegmentTarget target;
        target.directory = join_path(path, entry.name);
        target.partition = std::move(name->partition);
        target.cluster = cluster;
        targets.push_back(std::move(target));
    }
    if (has_journal(disk, path)) {
        SegmentTarget target;
        target.directory = path;
        target.cluster = cluster;
        target.journal = true;
        targets.push_back(std::move(target));
    }
    if (targets.empty() && !cluster) { return fail(Code::not_found, "segment", path + " holds no segments"); }
    return targets;
}

Result<std::vector<LogFile>> log_files(Disk& disk, const SegmentTarget& target) {
    if (target.journal) { return std::vector<LogFile>{}; }
    if (target.file_alone()) { return std::vector<LogFile>{{.path = target.file, .parts = {}}}; }
    TRY(const PartitionListing listing, list_segments(disk, target.directory));
    std::vector<LogFile> files;
    for (size_t i = 0; i < listing.segments.size(); ++i) {
        const SegmentListing& segment = listing.segments[i];
        if (target.only && segment.base != *target.only) { continue; }
        const bool active = i + 1 == listing.segments.size();
        files.push_back({.path = join_path(target.directory, segment_file_name(segment.base, SegmentFile::log)),
                         .base = segment.base,
                         .next_base = active ? Offset{INT64_MAX} : listing.segments[i + 1].base,
                         .parts = segment,
                         .active = active});
    }
    return files;
}

}  // namespace flowstone::tool
