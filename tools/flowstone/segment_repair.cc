// `flowstone segment salvage` and `reseal`: the two that write.
#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "storage/meta_files.h"
#include "storage/seal.h"
#include "storage/segment_salvage.h"
#include "storage/segment_verify.h"
#include "storage/try.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/segment_output.h"
#include "tools/flowstone/segment_progress.h"

namespace flowstone::tool {
namespace {

constexpr size_t copy_bytes = 1 << 20;

struct Salvaged {
    uint64_t batches = 0;
    uint64_t records = 0;
    uint64_t bytes = 0;
    uint64_t lost_bytes = 0;
    std::vector<DamagedRange> damage;
};

// Appends to a file in large pieces.
class Copier {
public:
    Copier(Disk& disk, File& file) : disk_(disk), file_(file) {}
    Result<void> add(Bytes bytes) {
        pending_.insert(pending_.end(), bytes.begin(), bytes.end());
        return pending_.size() >= copy_bytes ? flush() : Result<void>{};
    }
    Result<void> flush() {
        if (pending_.empty()) { return {}; }
        TRY_VOID(write_at(disk_, file_, at_, pending_));
        at_ = at_ + pending_.size();
        pending_.clear();
        return {};
    }

private:
    Disk& disk_;
    File& file_;
    BytePos at_{0};
    std::vector<std::byte> pending_;
};

// One .log file and the new one that its whole batches go to.
struct SalvageStep {
    LogFile from;
    std::string to;
};

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Makes `directory` with a folder for each partition, and says which file goes where. Nothing there is written over.
Result<std::vector<SalvageStep>> plan_into_directory(Disk& disk, const std::vector<SegmentTarget>& targets,
                                                     const std::string& directory) {
    TRY_VOID(disk.make_directory(directory));
    TRY_VOID(disk.sync_directory(parent_path(directory)));
    std::vector<SalvageStep> steps;
    std::set<std::string> folders;
    for (const SegmentTarget& target : targets) {
        if (target.journal) {
            note(fmt::format("{}: the journal stays; opening the log replays every commit of it that holds",
                             target.directory));
            continue;
        }
        const std::string folder = join_path(directory, last_part(target.directory));
        if (folders.insert(folder).second) { TRY_VOID(disk.make_directory(folder)); }
        TRY(const auto files, log_files(disk, target));
        for (const LogFile& file : files) { steps.push_back({file, join_path(folder, last_part(file.path))}); }
    }
    TRY_VOID(disk.sync_directory(directory));
    return steps;
}

// One .log file goes into a new file, everything else into a new directory.
Result<std::vector<SalvageStep>> plan_salvage(Disk& disk, const std::vector<std::string>& paths,
                                              const std::string& out) {
    std::vector<SegmentTarget> targets;
    for (const std::string& path : paths) {
        TRY(auto found, resolve_segment_path(disk, path));
        for (SegmentTarget& target : found) {
            if (target.journal && !target.file.empty()) {
                return fail(
                    Code::invalid, "segment.salvage",
                    target.file + " is of the journal, which opening the log replays; salvage works on segments");
            }
            targets.push_back(std::move(target));
        }
    }
    if (targets.size() != 1 || targets.front().file.empty()) { return plan_into_directory(disk, targets, out); }
    TRY(const auto files, log_files(disk, targets.front()));
    return std::vector<SalvageStep>{{files.front(), out}};
}

Result<Salvaged> salvage(Disk& disk, const SalvageStep& step, SegmentProgress& progress) {
    const LogFile& from = step.from;
    const std::string& to = step.to;
    TRY(const auto source, disk.open(from.path, {}));
    TRY(const auto target, disk.open(to, {.write = true, .create = true, .exclusive = true}));
    SegmentSalvager salvager(
        disk, *source, {.offset = from.base, .offset_end = from.next_base, .batch_bytes_max = verify_batch_bytes_max});
    Copier copier(disk, *target);
    Salvaged result;
    while (true) {
        TRY(const auto scanned, salvager.next());
        if (!scanned) { break; }
        TRY_VOID(copier.add(scanned->batch.bytes()));
        progress.read(scanned->batch.size(), static_cast<uint64_t>(scanned->batch.record_count()));
        ++result.batches;
        result.records += static_cast<uint64_t>(scanned->batch.record_count());
        result.bytes += scanned->batch.size();
    }
    TRY_VOID(copier.flush());
    TRY_VOID(sync(disk, *target));
    TRY_VOID(disk.sync_directory(parent_path(to)));
    result.damage = salvager.damage();
    for (const DamagedRange& range : result.damage) {
        result.lost_bytes += static_cast<uint64_t>(range.end - range.begin);
    }
    return result;
}

// `of_several`: each line of text says of which file.
void append_salvaged(std::string& out, const Salvaged& result, const SalvageStep& step, bool of_several, bool json) {
    for (const DamagedRange& range : result.damage) {
        if (json) {
            JsonLine line(out);
            line.text("lost", name(range.fault))
                .number("begin_byte", range.begin.value)
                .number("end_byte", range.end.value);
            line.number("begin_offset", range.offset_begin.value);
            if (range.offset_end.value >= 0) { line.number("end_offset", range.offset_end.value); }
            line.text("source", step.from.path);
        } else {
            out += fmt::format("lost{}: {} ({})\n", of_several ? " of " + step.from.path : "",
                               range_text(range.begin, range.end, range.offset_begin, range.offset_end),
                               name(range.fault));
        }
    }
    if (json) {
        JsonLine(out)
            .text("path", step.to)
            .number("batches", result.batches)
            .number("records", result.records)
            .number("bytes", result.bytes)
            .number("lost_ranges", static_cast<uint64_t>(result.damage.size()))
            .number("lost_bytes", result.lost_bytes)
            .text("source", step.from.path);
    } else {
        out +=
            fmt::format("{}: {} records in {} batches, {}; lost {} in {} {}\n", step.to, format_count(result.records),
                        format_count(result.batches), format_bytes(result.bytes), format_bytes(result.lost_bytes),
                        result.damage.size(), result.damage.size() == 1 ? "range" : "ranges");
    }
}

// ---- reseal ------------------------------------------------------------------------------------------------------

enum class Resealed : uint8_t { made, kept, refused };

// The partition's directory is held against a writer: seals belong to the process that has the log open.
Result<std::unique_ptr<DirectoryLock>> lock_root(Disk& disk, const SegmentTarget& target) {
    return disk.lock(join_path(parent_path(target.directory), ".lock"));
}

// A chain goes on through a new seal: it continues the one before, and says which heads it stands in for.
Result<void> continue_chain(Disk& disk, const SegmentTarget& target, File& log, const std::vector<LogFile>& files,
                            size_t at, const Result<Seal>& old, Seal& seal) {
    const auto chained = [&](size_t i) -> std::optional<Seal> {
        auto other = read_seal(disk, target.directory, files[i].base);
        return other && other->chain ? std::optional(std::move(*other)) : std::nullopt;
    };
    const auto before = at > 0 ? chained(at - 1) : std::nullopt;
    const auto behind = at + 1 < files.size() ? chained(at + 1) : std::nullopt;
    const bool was_chained = old && old->chain;
    if (!before && !behind && !was_chained) { return {}; }
    SealChain chain;
    TRY(chain.content, sha256_of_file(disk, log, seal.bytes));
    if (before) { chain.previous = before->head(); }
    if (!before && was_chained) { chain.previous = old->chain->previous; }
    if (was_chained) { chain.replaced = old->chain->replaced; }
    const auto add = [&](const Sha256& head) {
        if (std::ranges::find(chain.replaced, head) == chain.replaced.end()) { chain.replaced.push_back(head); }
    };
    if (was_chained) { add(old->head()); }
    if (behind) { add(behind->chain->previous); }
    if (chain.replaced.size() > seal_replaced_max) { return fail(Code::too_large, "segment.reseal", log.path()); }
    seal.chain = std::move(chain);
    return {};
}

// Why a segment cannot be sealed as it is; empty if it can.
Result<std::string> objection(Disk& disk, const LogFile& file, Offset& end) {
    TRY(const auto log, disk.open(file.path, {}));
    SegmentSalvager salvager(
        disk, *log, {.offset = file.base, .offset_end = file.next_base, .batch_bytes_max = verify_batch_bytes_max});
    while (true) {
        TRY(const auto scanned, salvager.next());
        if (!scanned) { break; }
    }
    end = salvager.next_offset();
    if (salvager.damage().empty()) { return std::string(); }
    const DamagedRange& range = salvager.damage().front();
    return fmt::format("{} at {}", name(range.fault),
                       range_text(range.begin, range.end, range.offset_begin, range.offset_end));
}

Result<Resealed> reseal(Disk& disk, const SegmentTarget& target, const SealPlace& partition,
                        const std::vector<LogFile>& files, size_t at, bool force, SegmentProgress& progress) {
    const LogFile& file = files[at];
    TRY(const auto log, disk.open(file.path, {}));
    const auto old = read_seal(disk, target.directory, file.base);
    if (!old && old.error().code != Code::not_found && old.error().code != Code::corrupt) {
        return std::unexpected(old.error());  // also one of a newer version: not ours to replace
    }
    if (old) {
        TRY(const SealVerdict verdict, verify_seal(disk, *log, *old));
        SealPlace place = partition;
        place.base = file.base;
        if (verdict.good() && old->place == place) { return Resealed::kept; }
        if (!force) {
            progress.clear();
            note(fmt::format("{}: its seal can be read and the bytes do not match it; --force seals what is there",
                             file.path));
            return Resealed::refused;
        }
    }
    Offset end;
    TRY(const std::string why_not, objection(disk, file, end));
    if (!why_not.empty()) {
        progress.clear();
        note(fmt::format("{}: not sealed: {}", file.path, why_not));
        return Resealed::refused;
    }
    SealPlace place = partition;
    place.base = file.base;
    TRY(Seal seal, seal_of_file(disk, *log, place, end, SealOrigin::reseal));
    TRY_VOID(continue_chain(disk, target, *log, files, at, old, seal));
    TRY_VOID(write_seal(disk, target.directory, seal));
    return Resealed::made;
}

Result<SealPlace> place_of(Disk& disk, const SegmentTarget& target) {
    if (!target.partition || !target.cluster) {
        return fail(Code::invalid, "segment.reseal",
                    target.label() + " is not a partition's directory below one with a meta.properties");
    }
    TRY(const Uuid topic, read_partition_metadata(disk, target.directory));
    return SealPlace{.cluster = *target.cluster, .topic = topic, .partition = target.partition->partition, .base = {}};
}

Result<void> reseal_target(Disk& disk, const SegmentArguments& arguments, const SegmentTarget& target,
                           StandardOutput& out, SegmentProgress& progress, bool& refused) {
    TRY(const SealPlace place, place_of(disk, target));
    TRY(const auto lock, lock_root(disk, target));
    SegmentTarget whole = target;  // the neighbours' seals are wanted, too
    whole.only.reset();
    TRY(const auto files, log_files(disk, whole));
    for (size_t i = 0; i < files.size(); ++i) {
        if (target.only && files[i].base != *target.only) { continue; }
        const auto info = disk.info(files[i].path);
        progress.read(info ? info->bytes : 0);
        if (i + 1 == files.size()) { break; }  // it is not rolled
        TRY(const Resealed result, reseal(disk, target, place, files, i, arguments.force, progress));
        refused = refused || result == Resealed::refused;
        const char* word = result == Resealed::made ? "resealed" : result == Resealed::kept ? "kept" : "refused";
        if (arguments.json) {
            JsonLine(out.buffer()).text("path", files[i].path).text("result", word);
        } else {
            out.buffer() += fmt::format("{}: {}\n", files[i].path, word);
        }
        TRY_VOID(progress.emit(out));
    }
    return {};
}

}  // namespace

Exit run_segment_salvage(Disk& disk, const SegmentArguments& arguments) {
    SegmentArguments sources = arguments;
    const std::string made = std::move(sources.paths.back());  // there are two at least
    sources.paths.pop_back();
    auto plan = plan_salvage(disk, sources.paths, made);
    if (!plan) { return complain(plan.error()); }
    StandardOutput out;
    SegmentProgress progress(disk, sources, false);
    for (const SalvageStep& step : *plan) {
        if (interrupted()) { return complain("interrupted: not all was copied"); }
        const auto result = salvage(disk, step, progress);
        if (!result) { return complain(result.error()); }
        append_salvaged(out.buffer(), *result, step, plan->size() > 1, arguments.json);
        if (const auto emitted = progress.emit(out); !emitted) { return complain(emitted.error()); }
    }
    const auto flushed = out.flush();
    return flushed ? Exit::done : complain(flushed.error());
}

Exit run_segment_reseal(Disk& disk, const SegmentArguments& arguments) {
    StandardOutput out;
    SegmentProgress progress(disk, arguments, false);
    bool refused = false;
    const auto visit = [&](const SegmentTarget& target) -> Result<void> {
        if (target.journal && target.file.empty()) { return {}; }  // of a data directory: it has no seals
        if (target.journal) {
            return fail(Code::invalid, "segment.reseal",
                        target.file + " is of the journal, which has no seals; its commits carry their own sums");
        }
        return reseal_target(disk, arguments, target, out, progress, refused);
    };
    const auto done = for_each_target(disk, arguments, out, visit);
    progress.clear();
    if (!done) { return complain(done.error()); }
    if (const auto flushed = out.flush(); !flushed) { return complain(flushed.error()); }
    return refused ? Exit::no : Exit::done;
}

}  // namespace flowstone::tool
