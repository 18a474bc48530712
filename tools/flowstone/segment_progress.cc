#include "tools/flowstone/segment_progress.h"

#include "storage/clock.h"
#include "storage/journal.h"
#include "storage/try.h"
#include "tools/flowstone/segment.h"

namespace flowstone::tool {
namespace {

Result<uint64_t> journal_bytes(Disk& disk, const std::string& root) {
    TRY(const auto entries, disk.list(root));
    uint64_t bytes = 0;
    for (const DirectoryEntry& entry : entries) {
        if (!Journal::is_journal_file(entry.name)) { continue; }
        const auto info = disk.info(join_path(root, entry.name));
        bytes += info ? info->bytes : 0;
    }
    return bytes;
}

uint64_t bytes_of_all(Disk& disk, const SegmentArguments& arguments) {
    uint64_t bytes = 0;
    for (const std::string& path : arguments.paths) {
        const auto targets = resolve_segment_path(disk, path);
        if (!targets) { continue; }
        for (const SegmentTarget& target : *targets) { bytes += bytes_of(disk, target).value_or(0); }
    }
    return bytes;
}

}  // namespace

Result<uint64_t> bytes_of(Disk& disk, const SegmentTarget& target) {
    if (target.journal) { return journal_bytes(disk, target.directory); }
    TRY(const auto files, log_files(disk, target));
    uint64_t bytes = 0;
    for (const LogFile& file : files) {
        const auto info = disk.info(file.path);
        bytes += info ? info->bytes : 0;
    }
    return bytes;
}

SegmentProgress::SegmentProgress(Disk& disk, const SegmentArguments& arguments, bool quiet)
    : progress_(system_clock(), quiet), terminal_(output_is_terminal()) {
    if (progress_.shown()) { state_.work_total = bytes_of_all(disk, arguments); }
}

void SegmentProgress::read(uint64_t bytes, std::optional<uint64_t> records) {
    state_.bytes += bytes;
    state_.work_done += bytes;
    if (records) { state_.records = state_.records.value_or(0) + *records; }
    progress_.show(state_);
}

Result<void> SegmentProgress::emit(StandardOutput& out) {
    if (!terminal_ || out.buffer().empty()) { return out.wrote(); }
    progress_.clear();
    return out.flush();
}

}  // namespace flowstone::tool
