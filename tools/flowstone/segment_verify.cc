// `flowstone segment verify`.
#include "storage/segment_verify.h"

#include <fmt/format.h>

#include "storage/clock.h"
#include "storage/try.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/progress.h"
#include "tools/flowstone/segment_journal.h"
#include "tools/flowstone/segment_output.h"
#include "tools/flowstone/segment_progress.h"

namespace flowstone::tool {
namespace {

void append_fault_json(std::string& out, const SegmentFault& fault) {
    JsonLine line(out);
    line.text("fault", fault.what).text("path", fault.path);
    if (fault.begin.value >= 0) { line.number("begin_byte", fault.begin.value).number("end_byte", fault.end.value); }
    if (fault.offset_begin.value >= 0) { line.number("begin_offset", fault.offset_begin.value); }
    if (fault.offset_begin.value >= 0 && fault.offset_end.value >= 0) {
        line.number("end_offset", fault.offset_end.value);
    }
    if (!fault.detail.empty()) { line.text("detail", fault.detail); }
}

void append_fault_text(std::string& out, const SegmentFault& fault) {
    out += fmt::format("{}: {}", fault.path, fault.what);
    const std::string range = range_text(fault.begin, fault.end, fault.offset_begin, fault.offset_end);
    if (!range.empty()) { out += " at " + range; }
    if (!fault.detail.empty()) { out += ": " + fault.detail; }
    out += '\n';
}

// What there is to do, and whether this log has seals at all: then none may be missing.
struct Survey {
    std::vector<SegmentTarget> targets;
    uint64_t bytes = 0;
    bool seals = false;
};
Result<Survey> survey(Disk& disk, const SegmentArguments& arguments) {
    Survey found;
    for (const std::string& path : arguments.paths) {
        TRY(auto targets, resolve_segment_path(disk, path));
        for (SegmentTarget& target : targets) {
            TRY(const uint64_t bytes, bytes_of(disk, target));
            found.bytes += bytes;
            TRY(const auto files, log_files(disk, target));
            for (const LogFile& file : files) { found.seals = found.seals || file.parts.seal; }
            found.targets.push_back(std::move(target));
        }
    }
    return found;
}

struct AllCounts {
    VerifyCounts segments;
    std::optional<JournalCounts> journal;  // if there is one
    uint64_t faults() const { return segments.faults + (journal ? journal->faults : 0); }
};

Result<AllCounts> verify_all(Disk& disk, const SegmentArguments& arguments, const Survey& found,
                             const std::optional<Sha256>& chain_head, StandardOutput& out) {
    Progress progress(system_clock(), arguments.json);
    ProgressState state{.work_total = found.bytes};
    AllCounts counts;
    Checkpoints checkpoints(disk);
    std::optional<Error> failed;
    const auto read = [&](uint64_t bytes) {
        state.bytes += bytes;
        state.work_done += bytes;
        progress.show(state);
    };
    const auto name_fault = [&](const JournalFault& fault, const TopicNames& names) {
        progress.clear();
        if (arguments.json) {
            append_fault_json(out.buffer(), fault, names);
        } else {
            append_fault_text(out.buffer(), fault, names);
        }
        if (const auto wrote = out.wrote(); !wrote) { failed = wrote.error(); }
    };
    for (const SegmentTarget& target : found.targets) {
        if (target.journal) {
            TRY(const JournalCounts part, verify_journal(disk, target, read, name_fault));
            if (failed) { return std::unexpected(*failed); }
            if (!counts.journal) { counts.journal.emplace(); }
            *counts.journal += part;
            continue;
        }
        VerifyOptions options;
        checkpoints.apply(target, options);
        options.only = target.only;
        options.seals_expected = found.seals;
        options.cluster = target.cluster;
        if (target.partition) { options.partition = target.partition->partition; }
        options.chain_head = chain_head;
        options.progress = read;
        const auto sink = [&](const SegmentFault& fault) {
            progress.clear();
            if (arguments.json) {
                append_fault_json(out.buffer(), fault);
            } else {
                append_fault_text(out.buffer(), fault);
            }
            if (const auto wrote = out.wrote(); !wrote) { failed = wrote.error(); }
        };
        TRY(const VerifyCounts part, target.file_alone() ? verify_log_file(disk, target.file, options, sink)
                                                         : verify_partition(disk, target.directory, options, sink));
        if (failed) { return std::unexpected(*failed); }
        counts.segments += part;
        if (out.closed() || interrupted()) { break; }
    }
    return counts;
}

std::string summary_text(const AllCounts& all) {
    const auto counted = [](uint64_t count, const char* one, const char* many) {
        return fmt::format("{} {}", format_count(count), count == 1 ? one : many);
    };
    const VerifyCounts& counts = all.segments;
    std::string journal;
    std::string doubts;
    if (all.journal) {
        journal = fmt::format(", {} in {}, {}", counted(all.journal->commits, "needed commit", "needed commits"),
                              counted(all.journal->files, "journal file", "journal files"),
                              counted(all.journal->slots, "checkpoint", "checkpoints"));
        if (all.journal->doubts > 0) {
            doubts = fmt::format(", {} that a crash may have left", counted(all.journal->doubts, "oddity", "oddities"));
        }
    }
    return fmt::format("{}, {}, {}, {}, {} sealed{}: {}{}\n", counted(counts.segments, "segment", "segments"),
                       counted(counts.batches, "batch", "batches"), counted(counts.records, "record", "records"),
                       format_bytes(counts.bytes), format_count(counts.sealed), journal,
                       all.faults() == 0 ? "no fault" : counted(all.faults(), "fault", "faults"), doubts);
}

}  // namespace

Exit run_segment_verify(Disk& disk, const SegmentArguments& arguments) {
    std::optional<Sha256> chain_head;
    if (!arguments.chain_head.empty()) {
        chain_head.emplace();
        if (!parse_hex(arguments.chain_head, *chain_head)) {
            return complain("--chain takes 64 lower-case hexadecimal digits", Exit::usage);
        }
    }
    const auto found = survey(disk, arguments);
    if (!found) { return complain(found.error()); }
    if (chain_head && found->targets.size() != 1) {
        return complain("--chain speaks of one partition; name its directory", Exit::usage);
    }
    StandardOutput out;
    const auto counts = verify_all(disk, arguments, *found, chain_head, out);
    if (!counts) { return complain(counts.error()); }
    if (arguments.json) {
        const VerifyCounts& segments = counts->segments;
        JsonLine line(out.buffer());
        line.number("segments", segments.segments)
            .number("sealed", segments.sealed)
            .number("batches", segments.batches)
            .number("records", segments.records)
            .number("bytes", segments.bytes)
            .number("faults", counts->faults());
        if (counts->journal) {
            line.number("checkpoints", counts->journal->slots)
                .number("journal_files", counts->journal->files)
                .number("journal_commits", counts->journal->commits)
                .number("journal_bytes", counts->journal->bytes)
                .number("doubts", counts->journal->doubts);
        }
    } else {
        out.buffer() += summary_text(*counts);
    }
    if (const auto flushed = out.flush(); !flushed) { return complain(flushed.error()); }
    return counts->faults() == 0 ? Exit::done : Exit::no;
}

}  // namespace flowstone::tool
