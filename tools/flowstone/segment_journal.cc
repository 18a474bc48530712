#include "tools/flowstone/segment_journal.h"

#include <algorithm>

#include <fmt/format.h>

#include "log/metadata.h"
#include "storage/meta_files.h"
#include "storage/segment_scan.h"
#include "storage/try.h"

namespace flowstone::tool {
namespace {

constexpr char metadata_topic_name[] = "__cluster_metadata";
constexpr Uuid metadata_topic_id{{std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
                                  std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
                                  std::byte{0}, std::byte{0}, std::byte{0}, std::byte{1}}};  // Kafka's

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

const char* name(EntryKind kind) {
    switch (kind) {
        case EntryKind::batches: return "batches";
        case EntryKind::direct: return "direct";
        case EntryKind::carry: return "carry";
        case EntryKind::trim: return "trim";
        case EntryKind::truncate: return "truncate";
        case EntryKind::roll: return "roll";
        case EntryKind::swap: return "swap";
        case EntryKind::skip: return "skip";
    }
    return "?";
}

// The commits to show: those that replay would need, or all of the file that was named; by sequence.
std::vector<JournalCommit> shown_commits(const JournalSurvey& survey, const JournalReader& ring,
                                         const SegmentTarget& target) {
    if (target.file.empty()) {
        const auto first = survey.needed_from(ring);
        return first ? ring.chain(*first) : std::vector<JournalCommit>{};
    }
    auto commits = ring.chain(0);
    std::erase_if(commits, [&](const JournalCommit& commit) { return ring.file_of(commit).path != target.file; });
    return commits;
}

// Whole batches at the front of `payload`. `take` returns false to stop.
Result<bool> walk_payload(Bytes payload, const std::function<Result<bool>(const BatchView&)>& take) {
    while (!payload.empty()) {
        const auto batch = BatchView::parse(payload);
        if (!batch || !batch->crc_matches()) { break; }
        TRY(const bool more, take(*batch));
        if (!more) { return false; }
        payload = payload.subspan(batch->size());
    }
    return true;
}

// Applies the records of a batch of the metadata log. False at one that does not fit.
bool apply_batch(Metadata& metadata, const BatchView& batch, std::vector<std::byte>& scratch) {
    if (batch.control()) { return true; }
    bool good = true;
    const auto walked = walk_records(batch, scratch, [&](const RecordView& record) {
        good = !record.value || metadata.apply(as_bytes(*record.value));
        return good;
    });
    return walked && good;
}

void read_metadata_segments(Disk& disk, const std::string& root, Metadata& metadata, Offset& end) {
    SegmentTarget target;
    target.directory = join_path(root, std::string(metadata_topic_name) + "-0");
    const auto files = log_files(disk, target);
    if (!files) { return; }
    std::vector<std::byte> scratch;
    for (const LogFile& log : *files) {
        const auto file = disk.open(log.path, {});
        if (!file) { return; }
        SegmentScanner scanner(disk, **file, {.offset = log.base});
        while (true) {
            const auto scanned = scanner.next();
            if (!scanned) { return; }
            if (!*scanned) { break; }
            if (!apply_batch(metadata, (*scanned)->batch, scratch)) { return; }
            end = (*scanned)->batch.next_offset();
        }
    }
}

void read_metadata_journal(JournalSurvey& survey, Metadata& metadata, Offset& end) {
    std::vector<std::byte> scratch;
    for (const auto& ring : survey.rings) {
        const auto commits = ring->chain(survey.needed_from(*ring).value_or(0));
        const auto take = [&](const BatchView& batch) -> Result<bool> {
            if (batch.base_offset() < end) { return true; }
            end = batch.next_offset();
            return apply_batch(metadata, batch, scratch);
        };
        const auto visit = [&](const JournalCommit&, const CommitView& view) -> Result<bool> {
            for (const Entry& entry : view.entries) {
                if (entry.head.kind != EntryKind::batches || entry.head.topic_id != metadata_topic_id) { continue; }
                TRY(const bool more, walk_payload(entry.payload, take));
                if (!more) { return false; }
            }
            return true;
        };
        if (!ring->visit(commits, visit)) { return; }
    }
}

// ---- stat --------------------------------------------------------------------------------------------------------

struct FileStat {
    uint64_t commits = 0;
    uint64_t first = 0;
    uint64_t last = 0;
    uint32_t generation = 0;  // of the last
    uint64_t needed = 0;
    uint64_t used = 0;
};

FileStat stat_of(const JournalSurvey& survey, const JournalReader& ring, uint32_t file) {
    FileStat stat;
    const auto needed_from = survey.needed_from(ring);
    for (const JournalCommit& commit : ring.commits()) {
        if (commit.file != file || !commit.holds) { continue; }
        stat.first = stat.commits == 0 ? commit.sequence : std::min(stat.first, commit.sequence);
        if (commit.sequence >= stat.last) {
            stat.last = commit.sequence;
            stat.generation = std::max(stat.generation, commit.generation);
        }
        ++stat.commits;
        stat.used += commit.bytes;
        if (needed_from && commit.sequence >= *needed_from) { stat.needed += commit.bytes; }
    }
    return stat;
}

std::string state_of(const JournalFile& file) {
    if (file.unfinished) { return "unfinished"; }
    return file.fault.empty() ? "good" : "damaged";
}

std::string state_of(const CheckpointSlot& slot, const Checkpoint* newest) {
    if (!slot.content) { return slot.fault.empty() ? "empty" : "damaged"; }
    const std::string age = newest == &*slot.content ? "newest" : "older";
    return slot.content->clean ? age + ", clean" : age;
}

void append_slot_json(std::string& out, const CheckpointSlot& slot, const Checkpoint* newest) {
    JsonLine line(out);
    line.text("type", "checkpoint").text("path", slot.path).number("bytes", slot.bytes);
    line.text("state", !slot.content ? state_of(slot, newest) : newest == &*slot.content ? "newest" : "older");
    if (!slot.content) { return; }
    const Checkpoint& content = *slot.content;
    std::string rings;
    for (const RingCheckpoint& ring : content.rings) {
        rings += fmt::format("{}{{\"shard\":{},\"first_sequence\":{}}}", rings.empty() ? "" : ",", ring.shard,
                             ring.first_sequence);
    }
    line.number("number", content.number)
        .flag("clean", content.clean)
        .number("generation", uint64_t{content.generation})
        .time("time", content.wall_ms)
        .text("cluster_id", content.cluster.to_string())
        .number("partitions", static_cast<uint64_t>(content.partitions.size()))
        .raw("rings", '[' + rings + ']');
}

std::string rings_text(const Checkpoint& checkpoint) {
    std::string text;
    for (const RingCheckpoint& ring : checkpoint.rings) {
        text += fmt::format("{}{}: commit {}", text.empty() ? "" : ", ", ring.shard, ring.first_sequence);
    }
    return text.empty() ? "-" : text;
}

// ---- dump --------------------------------------------------------------------------------------------------------

void append_partition(std::string& out, bool json, const Checkpoint& checkpoint, const PartitionCheckpoint& partition,
                      const TopicNames& names) {
    if (!json) {
        out += fmt::format(
            "  {}: log start {}, segment {} proven to byte {}, a batch at {} with offset {}, {} epochs, {} sealed "
            "MiB\n",
            names.label(partition.topic_id, partition.partition), partition.log_start.value,
            partition.segment_base.value, partition.synced_bytes, partition.boundary, partition.boundary_offset.value,
            partition.epochs.size(), partition.seal_pieces.size());
        return;
    }
    JsonLine(out)
        .text("type", "checkpoint_partition")
        .number("number", checkpoint.number)
        .text("topic", names.find(partition.topic_id))
        .text("topic_id", partition.topic_id.to_string())
        .number("partition", int64_t{partition.partition})
        .number("log_start_offset", partition.log_start.value)
        .number("segment_base_offset", partition.segment_base.value)
        .number("proven_bytes", partition.synced_bytes)
        .number("boundary", partition.boundary)
        .number("boundary_offset", partition.boundary_offset.value)
        .number("epochs", static_cast<uint64_t>(partition.epochs.size()))
        .number("sealed_pieces", static_cast<uint64_t>(partition.seal_pieces.size()));
}

void append_slot(std::string& out, bool json, const CheckpointSlot& slot, const Checkpoint* newest,
                 const TopicNames& names) {
    if (json) {
        append_slot_json(out, slot, newest);
    } else if (!slot.content) {
        out += fmt::format("{}: {}\n", slot.path, slot.fault.empty() ? "never written" : slot.fault);
    } else {
        const Checkpoint& content = *slot.content;
        out += fmt::format("{}: checkpoint {}{}, generation {}, {}, cluster {}, journal {}\n", slot.path,
                           content.number, content.clean ? " of a clean close" : "", content.generation,
                           format_time(content.wall_ms), content.cluster.to_string(), rings_text(content));
    }
    if (!slot.content) { return; }
    for (const PartitionCheckpoint& partition : slot.content->partitions) {
        append_partition(out, json, *slot.content, partition, names);
    }
}

std::string entry_json(const Entry& entry, const TopicNames& names) {
    std::string text;
    {
        JsonLine line(text);
        line.text("kind", name(entry.head.kind))
            .text("topic", names.find(entry.head.topic_id))
            .text("topic_id", entry.head.topic_id.to_string())
            .number("partition", int64_t{entry.head.partition})
            .number("base_offset", entry.head.base_offset.value)
            .number("end_offset", entry.head.next_offset.value)
            .number("segment_base_offset", entry.head.segment_base.value)
            .number("position", entry.head.position.value)
            .number("bytes", static_cast<uint64_t>(entry.payload.size()))
            .number("epoch", entry.head.epoch.value);
        if (const auto direct = parse_direct(entry.payload); direct && entry.head.kind == EntryKind::direct) {
            line.number("direct_bytes", direct->bytes);
        }
    }
    text.pop_back();  // its line break
    return text;
}

void append_commit_json(std::string& out, const std::string& path, const JournalCommit& commit, const CommitView& view,
                        const TopicNames& names) {
    std::string entries;
    for (const Entry& entry : view.entries) { entries += (entries.empty() ? "" : ",") + entry_json(entry, names); }
    JsonLine(out)
        .text("type", "commit")
        .text("path", path)
        .number("sequence", commit.sequence)
        .number("generation", uint64_t{commit.generation})
        .number("position", commit.at.value)
        .number("bytes", static_cast<uint64_t>(view.bytes))
        .text("sum", fmt::format("{:016x}", commit.sum))
        .raw("entries", '[' + entries + ']');
}

void append_entry_text(std::string& out, const Entry& entry, const TopicNames& names) {
    const EntryHead& head = entry.head;
    out += fmt::format("  {} {} offsets [{}, {}) at {} of segment {}, {} bytes, epoch {}", name(head.kind),
                       names.label(head.topic_id, head.partition), head.base_offset.value, head.next_offset.value,
                       head.position.value, head.segment_base.value, entry.payload.size(), head.epoch.value);
    if (const auto direct = parse_direct(entry.payload); direct && head.kind == EntryKind::direct) {
        out += fmt::format(", {} bytes in the segment", direct->bytes);
    }
    out += '\n';
}

void append_commit_text(std::string& out, const std::string& path, const JournalCommit& commit,
                        const CommitView& view) {
    out += fmt::format("commit {} at {} of {}, {} bytes: generation {}, sum {:016x}, {} {}\n", commit.sequence,
                       commit.at.value, file_name(path), view.bytes, commit.generation, commit.sum, view.entries.size(),
                       view.entries.size() == 1 ? "entry" : "entries");
}

// One commit after the other, as `dump` shows them.
class CommitDump {
public:
    CommitDump(const SegmentArguments& arguments, const TopicNames& names, StandardOutput& out, RecordFormat format)
        : arguments_(arguments), names_(names), out_(out), format_(std::move(format)) {}

    Result<bool> show(const std::string& path, const JournalCommit& commit, const CommitView& view) {
        // With --json a line is a record or a commit, never a mixture.
        if (arguments_.json && !arguments_.records) { append_commit_json(out_.buffer(), path, commit, view, names_); }
        if (!arguments_.json) { append_commit_text(out_.buffer(), path, commit, view); }
        for (const Entry& entry : view.entries) {
            if (!arguments_.json) { append_entry_text(out_.buffer(), entry, names_); }
            if (arguments_.records && entry.head.kind == EntryKind::batches) { TRY_VOID(show_records(entry)); }
        }
        TRY_VOID(out_.wrote());
        return !out_.closed() && !interrupted();
    }

private:
    Result<void> show_records(const Entry& entry) {
        const std::string topic = names_.find(entry.head.topic_id);
        const RecordPlace place{topic, entry.head.partition};
        const auto take = [&](const BatchView& batch) -> Result<bool> {
            const auto walked = walk_records(batch, scratch_, [&](const RecordView& record) {
                if (arguments_.json) {
                    append_record_json(out_.buffer(), place, record);
                } else {
                    format_.append(out_.buffer(), place, record);
                }
                return true;
            });
            if (!walked) {
                note(fmt::format("the batch at {}: {}", batch.base_offset().value, walked.error().message()));
            }
            return true;
        };
        TRY_VOID(walk_payload(entry.payload, take));
        return {};
    }

    const SegmentArguments& arguments_;
    const TopicNames& names_;
    StandardOutput& out_;
    RecordFormat format_;
    std::vector<std::byte> scratch_;
};

}  // namespace

TopicNames TopicNames::load(Disk& disk, const std::string& root, JournalSurvey& survey) {
    TopicNames names;
    names.names_[metadata_topic_id] = metadata_topic_name;
    const auto entries = disk.list(root);
    for (const DirectoryEntry& entry : entries ? *entries : std::vector<DirectoryEntry>{}) {
        const auto parsed = parse_partition_directory_name(entry.name);
        if (!entry.directory || !parsed || parsed->state != PartitionDirectoryState::live) { continue; }
        const auto id = read_partition_metadata(disk, join_path(root, entry.name));
        if (id) { names.names_[*id] = parsed->partition.topic; }
    }
    Metadata metadata;
    Offset end{0};
    read_metadata_segments(disk, root, metadata, end);
    read_metadata_journal(survey, metadata, end);
    for (const auto& [name, topic] : metadata.topics()) { names.names_[topic->id] = name; }
    return names;
}

std::string TopicNames::find(const Uuid& id) const {
    const auto found = names_.find(id);
    return found == names_.end() ? std::string() : found->second;
}

std::string TopicNames::label(const Uuid& id, int32_t partition) const {
    const std::string known = find(id);
    return fmt::format("{}-{}", known.empty() ? id.to_string() : known, partition);
}

Result<void> JournalStat::add(Disk& disk, const SegmentArguments& arguments, const SegmentTarget& target,
                              std::string& out) {
    TRY(const JournalSurvey survey, survey_journal(disk, target.directory));
    const auto wanted = [&](const std::string& path) { return target.file.empty() || target.file == path; };
    for (const auto& ring : survey.rings) {
        for (uint32_t i = 0; i < ring->files().size(); ++i) {
            const JournalFile& file = ring->files()[i];
            if (!wanted(file.path)) { continue; }
            const FileStat stat = stat_of(survey, *ring, i);
            if (arguments.json) {
                JsonLine(out)
                    .text("type", "journal")
                    .text("path", file.path)
                    .number("shard", uint64_t{ring->shard()})
                    .number("commits", stat.commits)
                    .number("first_sequence", stat.first)
                    .number("last_sequence", stat.last)
                    .number("generation", uint64_t{stat.generation})
                    .number("needed_bytes", stat.needed)
                    .number("used_bytes", stat.used)
                    .number("bytes", file.bytes)
                    .text("state", state_of(file));
                continue;
            }
            any_file_ = true;
            const auto sequence = [&](uint64_t value) { return stat.commits == 0 ? "-" : std::to_string(value); };
            files_.row({file_name(file.path), format_count(stat.commits), sequence(stat.first), sequence(stat.last),
                        sequence(stat.generation), format_bytes(stat.needed), format_bytes(stat.used),
                        format_bytes(file.bytes), state_of(file)});
        }
    }
    for (const CheckpointSlot& slot : survey.slots) {
        if (!wanted(slot.path)) { continue; }
        if (arguments.json) {
            append_slot_json(out, slot, survey.checkpoint());
            continue;
        }
        any_slot_ = true;
        const auto& content = slot.content;
        slots_.row({file_name(slot.path), content ? std::to_string(content->number) : "-",
                    content ? std::to_string(content->generation) : "-",
                    content ? format_count(content->partitions.size()) : "-", format_bytes(slot.bytes),
                    content ? rings_text(*content) : "-", state_of(slot, survey.checkpoint())});
    }
    return {};
}

void JournalStat::append_to(std::string& out, bool first) const {
    for (const auto& [any, columns] : {std::pair(any_file_, &files_), std::pair(any_slot_, &slots_)}) {
        if (!any) { continue; }
        if (!first) { out += '\n'; }
        columns->append_to(out);
        first = false;
    }
}

Result<void> dump_journal(Disk& disk, const SegmentArguments& arguments, const SegmentTarget& target,
                          StandardOutput& out, bool& clean) {
    TRY(JournalSurvey survey, survey_journal(disk, target.directory));
    const TopicNames names = TopicNames::load(disk, target.directory, survey);
    for (const CheckpointSlot& slot : survey.slots) {
        if (!target.file.empty() && target.file != slot.path) { continue; }
        clean = clean && slot.fault.empty();
        if (arguments.json && arguments.records) { continue; }
        append_slot(out.buffer(), arguments.json, slot, survey.checkpoint(), names);
        TRY_VOID(out.wrote());
    }
    TRY(RecordFormat format, RecordFormat::parse("    %o\t%T\t%k\t%v\t%h"));
    CommitDump dump(arguments, names, out, std::move(format));
    for (const auto& ring : survey.rings) {
        const auto commits = shown_commits(survey, *ring, target);
        TRY_VOID(ring->visit(commits, [&](const JournalCommit& commit, const CommitView& view) {
            return dump.show(ring->file_of(commit).path, commit, view);
        }));
    }
    return {};
}

Result<JournalCounts> verify_journal(Disk& disk, const SegmentTarget& target, const JournalReader::Progress& progress,
                                     const JournalFaultNamer& sink) {
    TRY(JournalSurvey survey, survey_journal(disk, target.directory, progress));
    std::optional<TopicNames> names;  // only when there is something to say
    return flowstone::verify_journal(survey, [&](const JournalFault& fault) {
        if (!names) { names = TopicNames::load(disk, target.directory, survey); }
        sink(fault, *names);
    });
}

void append_fault_json(std::string& out, const JournalFault& fault, const TopicNames& names) {
    std::string held;
    for (const EntryPlace& place : fault.held) {
        std::string one;
        JsonLine(one)
            .text("topic", names.find(place.topic_id))
            .text("topic_id", place.topic_id.to_string())
            .number("partition", int64_t{place.partition})
            .number("base_offset", place.base_offset.value)
            .number("end_offset", place.next_offset.value);
        one.pop_back();
        held += (held.empty() ? "" : ",") + one;
    }
    JsonLine line(out);
    line.text(fault.doubtful ? "doubt" : "fault", fault.what).text("path", fault.path);
    if (fault.begin.value >= 0) { line.number("begin_byte", fault.begin.value).number("end_byte", fault.end.value); }
    if (fault.sequence_begin > 0) {
        line.number("begin_sequence", fault.sequence_begin).number("end_sequence", fault.sequence_end);
    }
    if (!held.empty()) { line.raw("held", '[' + held + ']'); }
    if (!fault.detail.empty()) { line.text("detail", fault.detail); }
}

void append_fault_text(std::string& out, const JournalFault& fault, const TopicNames& names) {
    out += fmt::format("{}: {}", fault.path, fault.what);
    const std::string range = range_text(fault.begin, fault.end, Offset{}, Offset{});
    if (!range.empty()) { out += " at " + range; }
    if (fault.sequence_begin > 0) {
        out += range.empty() ? " at " : ", ";
        out += fault.sequence_end == fault.sequence_begin + 1
                   ? fmt::format("commit {}", fault.sequence_begin)
                   : fmt::format("commits [{}, {})", fault.sequence_begin, fault.sequence_end);
    }
    if (!fault.detail.empty()) { out += ": " + fault.detail; }
    out += '\n';
    for (const EntryPlace& place : fault.held) {
        out += fmt::format("  it held {} offsets [{}, {})\n", names.label(place.topic_id, place.partition),
                           place.base_offset.value, place.next_offset.value);
    }
}

Result<void> walk_journaled_batches(Disk& disk, const SegmentTarget& target,
                                    const std::function<Result<bool>(const JournaledBatch&)>& take) {
    TRY(JournalSurvey survey, survey_journal(disk, target.directory));
    const TopicNames names = TopicNames::load(disk, target.directory, survey);
    for (const auto& ring : survey.rings) {
        const auto commits = shown_commits(survey, *ring, target);
        const auto visit = [&](const JournalCommit& commit, const CommitView& view) -> Result<bool> {
            for (const Entry& entry : view.entries) {
                if (entry.head.kind != EntryKind::batches) { continue; }
                std::string topic = names.find(entry.head.topic_id);
                if (topic.empty()) { topic = entry.head.topic_id.to_string(); }
                const RecordPlace place{topic, entry.head.partition};
                const auto take_batch = [&](const BatchView& batch) {
                    return take({ring->file_of(commit).path, commit.at, place, batch});
                };
                TRY(const bool more, walk_payload(entry.payload, take_batch));
                if (!more) { return false; }
            }
            return true;
        };
        TRY_VOID(ring->visit(commits, visit));
    }
    return {};
}

void Checkpoints::apply(const SegmentTarget& target, VerifyOptions& options) {
    if (!target.partition || target.file_alone()) { return; }
    const std::string root = parent_path(target.directory);
    auto known = known_.find(root);
    if (known == known_.end()) {
        std::optional<Checkpoint> newest;
        if (const auto slots = read_checkpoint_slots(disk_, root)) {
            if (const Checkpoint* found = newest_checkpoint(*slots)) { newest = *found; }
        }
        known = known_.emplace(root, std::move(newest)).first;
    }
    const auto topic = read_partition_metadata(disk_, target.directory);
    if (known->second && topic) { apply_checkpoint(*known->second, *topic, target.partition->partition, options); }
}

}  // namespace flowstone::tool
