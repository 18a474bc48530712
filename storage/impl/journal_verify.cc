#include "storage/journal_verify.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "storage/journal.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int survey_attempts_max = 4;  // a checkpoint takes longer than to read a ring, unless the ring is huge

// One ring's commits against the checkpoint.
class RingVerifier {
public:
    RingVerifier(JournalReader& ring, const RingCheckpoint* known, bool clean, const JournalFaultSink& sink,
                 JournalCounts& counts)
        : ring_(ring), known_(known), clean_(clean), sink_(sink), counts_(counts) {}

    Result<void> run() {
        check_files();
        if (known_ == nullptr || clean_) { return {}; }  // nothing of it is needed
        const auto chain = ring_.chain(known_->first_sequence);
        counts_.commits += chain.size();
        uint64_t expected = known_->first_sequence;
        const JournalCommit* before = nullptr;
        for (const JournalCommit& commit : chain) {
            if (commit.sequence != expected) {
                TRY_VOID(report_gap(before, expected, commit));
            } else if (!follows(before, commit)) {
                report({.path = ring_.file_of(commit).path,
                        .what = "commit_order",
                        .begin = commit.at,
                        .end = commit.end(),
                        .sequence_begin = commit.sequence,
                        .sequence_end = commit.sequence + 1,
                        .held = {},
                        .detail = "it does not continue the sum of the commit before it"});
            }
            before = &commit;
            expected = commit.sequence + 1;
        }
        return check_end(before, expected);
    }

private:
    void report(const JournalFault& fault) {
        ++(fault.doubtful ? counts_.doubts : counts_.faults);
        sink_(fault);
    }

    void check_files() {
        for (const JournalFile& file : ring_.files()) {
            ++counts_.files;
            counts_.bytes += file.bytes;
            if (file.fault.empty()) { continue; }
            report({.path = file.path,
                    .what = "ring_file",
                    .doubtful = file.unfinished,
                    .begin = BytePos{},
                    .end = BytePos{},
                    .held = {},
                    .detail = file.unfinished ? "it was never finished" : file.fault});
        }
    }

    bool follows(const JournalCommit* before, const JournalCommit& commit) const {
        if (before != nullptr) { return commit.prior_sum == before->sum; }
        return !known_->prior_known || commit.prior_sum == known_->prior_sum;
    }

    // Where the commit behind `before` began, unless it took a fresh extent.
    bool lies_behind(const JournalCommit* before, const JournalCommit& commit) const {
        return before != nullptr && commit.file == before->file && commit.at == before->end();
    }

    Result<void> report_damaged(const JournalCommit& commit, uint64_t sequence, bool doubtful,
                                std::vector<EntryPlace> held) {
        named_.emplace_back(commit.file, commit.at);
        TRY(std::string why, ring_.explain(commit));
        if (doubtful) { why += "; as the last one it may be a crash tail"; }
        report({.path = ring_.file_of(commit).path,
                .what = "commit_damaged",
                .doubtful = doubtful,
                .begin = commit.at,
                .end = commit.end(),
                .sequence_begin = sequence,
                .sequence_end = sequence + 1,
                .held = std::move(held),
                .detail = std::move(why)});
        return {};
    }

    // Commits from `expected` on are not there, and `behind` is: they were once, or it would not be.
    Result<void> report_gap(const JournalCommit* before, uint64_t expected, const JournalCommit& behind) {
        std::vector<EntryPlace> held;
        TRY_VOID(ring_.visit({&behind, 1}, [&](const JournalCommit&, const CommitView& view) -> Result<bool> {
            held = view.prior;
            return false;
        }));
        bool named = false;
        for (const JournalCommit& commit : ring_.commits()) {
            const bool inside = commit.sequence >= expected && commit.sequence < behind.sequence;
            if (commit.holds || (!inside && !lies_behind(before, commit))) { continue; }
            const uint64_t sequence = inside ? commit.sequence : expected;
            TRY_VOID(report_damaged(commit, sequence, false,
                                    sequence + 1 == behind.sequence ? held : std::vector<EntryPlace>{}));
            named = true;
        }
        if (named && behind.sequence == expected + 1) { return {}; }
        JournalFault fault{.path = ring_.file_of(before != nullptr ? *before : behind).path,
                           .what = "commit_missing",
                           .begin = BytePos{},
                           .end = BytePos{},
                           .sequence_begin = expected,
                           .sequence_end = behind.sequence,
                           .held = named ? std::vector<EntryPlace>{} : std::move(held),
                           .detail = fmt::format("commit {} behind it is there", behind.sequence)};
        if (before != nullptr) {
            fault.begin = before->end();
            fault.end = before->file == behind.file ? std::max(fault.begin, behind.at) : fault.begin;
        }
        report(fault);
        return {};
    }

    // The last commit may have been torn by a crash or damaged since: nobody can tell.
    Result<void> check_end(const JournalCommit* before, uint64_t expected) {
        for (const JournalCommit& commit : ring_.commits()) {
            const bool named = std::ranges::find(named_, std::pair(commit.file, commit.at)) != named_.end();
            if (commit.holds || named || (commit.sequence < expected && !lies_behind(before, commit))) { continue; }
            TRY_VOID(report_damaged(commit, expected, true, {}));
        }
        return {};
    }

    JournalReader& ring_;
    const RingCheckpoint* known_;
    bool clean_;
    const JournalFaultSink& sink_;
    JournalCounts& counts_;
    std::vector<std::pair<uint32_t, BytePos>> named_;  // files and places of commits that were reported
};

const RingCheckpoint* known_ring(const Checkpoint& checkpoint, const Uuid& ring) {
    const auto found = std::ranges::find(checkpoint.rings, ring, &RingCheckpoint::ring);
    return found == checkpoint.rings.end() ? nullptr : &*found;
}

JournalFault of_file(const std::string& path, const char* what, bool doubtful, std::string detail) {
    return {.path = path,
            .what = what,
            .doubtful = doubtful,
            .begin = BytePos{},
            .end = BytePos{},
            .held = {},
            .detail = std::move(detail)};
}

}  // namespace

Result<std::vector<CheckpointSlot>> read_checkpoint_slots(Disk& disk, const std::string& directory) {
    TRY(const auto entries, disk.list(directory));
    std::vector<CheckpointSlot> slots;
    for (const DirectoryEntry& entry : entries) {
        if (entry.directory || !is_checkpoint_file(entry.name)) { continue; }
        CheckpointSlot slot{.path = join_path(directory, entry.name), .content = {}, .fault = {}};
        auto bytes = read_file(disk, slot.path, checkpoint_bytes_max);
        if (!bytes) { return std::unexpected(bytes.error()); }
        slot.bytes = bytes->size();
        if (slot.bytes > 0) {
            auto content = decode_checkpoint(*bytes);
            if (!content) {
                slot.fault = content.error().message();
            } else if (!entry.name.ends_with(content->number % 2 == 0 ? "-0" : "-1")) {
                slot.fault = fmt::format("number {} belongs to the other slot", content->number);
            } else {
                slot.content = std::move(*content);
            }
        }
        slots.push_back(std::move(slot));
    }
    return slots;
}

const Checkpoint* newest_checkpoint(std::span<const CheckpointSlot> slots) {
    const Checkpoint* newest = nullptr;
    for (const CheckpointSlot& slot : slots) {
        if (slot.content && (newest == nullptr || slot.content->number > newest->number)) { newest = &*slot.content; }
    }
    return newest;
}

std::optional<uint64_t> JournalSurvey::needed_from(const JournalReader& ring) const {
    const Checkpoint* newest = checkpoint();
    if (newest == nullptr) { return 1; }
    const RingCheckpoint* known = known_ring(*newest, ring.ring());
    if (newest->clean || known == nullptr) { return {}; }
    return known->first_sequence;
}

Result<JournalSurvey> survey_journal(Disk& disk, const std::string& directory,
                                     const JournalReader::Progress& progress) {
    for (int attempt = 1;; ++attempt) {
        JournalSurvey survey;
        TRY(survey.slots, read_checkpoint_slots(disk, directory));
        TRY(const auto shards, Journal::shards(disk, directory));
        for (const uint32_t shard : shards) {
            TRY(auto ring, JournalReader::open(disk, directory, shard, progress));
            survey.rings.push_back(std::move(ring));
        }
        // What the ring's tail passed meanwhile is not missing.
        TRY(const auto again, read_checkpoint_slots(disk, directory));
        const Checkpoint* before = survey.checkpoint();
        const Checkpoint* after = newest_checkpoint(again);
        const bool moved = (before == nullptr) != (after == nullptr) || (before && before->number != after->number);
        if (!moved) { return survey; }
        if (attempt == survey_attempts_max) {
            return fail(Code::busy, "journal.read", fmt::format("{} changes faster than it can be read", directory));
        }
    }
}

bool has_journal(Disk& disk, const std::string& directory) {
    const auto entries = disk.list(directory);
    return entries && std::ranges::any_of(*entries, [](const DirectoryEntry& entry) {
               return !entry.directory && (Journal::is_journal_file(entry.name) || is_checkpoint_file(entry.name));
           });
}

JournalCounts& JournalCounts::operator+=(const JournalCounts& other) {
    slots += other.slots;
    files += other.files;
    commits += other.commits;
    bytes += other.bytes;
    faults += other.faults;
    doubts += other.doubts;
    return *this;
}

Result<JournalCounts> verify_journal(const JournalSurvey& survey, const JournalFaultSink& sink) {
    JournalCounts counts;
    const auto report = [&](const JournalFault& fault) {
        ++(fault.doubtful ? counts.doubts : counts.faults);
        sink(fault);
    };
    const Checkpoint* newest = survey.checkpoint();
    for (const CheckpointSlot& slot : survey.slots) {
        counts.slots += slot.content ? 1 : 0;
        if (slot.fault.empty()) { continue; }
        // A crash tears the slot that was being written, and leaves the other.
        const bool doubtful = newest != nullptr;
        report(of_file(slot.path, "slot_damaged", doubtful,
                       slot.fault + (doubtful ? "; a crash may have torn it, the other slot holds" : "")));
    }
    for (const auto& ring : survey.rings) {
        const RingCheckpoint* known = newest == nullptr ? nullptr : known_ring(*newest, ring->ring());
        if (newest != nullptr && known == nullptr && ring->ring() != Uuid{}) {
            // Made just before a crash, before any checkpoint spoke of it: nothing in it was acknowledged.
            report(of_file(ring->files().front().path, "ring_unknown", true, "no checkpoint speaks of this ring"));
        }
        const RingCheckpoint everything{.ring = ring->ring(), .shard = ring->shard()};
        RingVerifier verifier(*ring, newest == nullptr ? &everything : known, newest != nullptr && newest->clean, sink,
                              counts);
        TRY_VOID(verifier.run());
    }
    if (newest == nullptr || newest->clean) { return counts; }
    for (const RingCheckpoint& known : newest->rings) {
        const bool present =
            std::ranges::any_of(survey.rings, [&](const auto& ring) { return ring->ring() == known.ring; });
        if (present) { continue; }
        report(of_file(
            survey.slots.front().path, "ring_missing", false,
            fmt::format("the journal of shard {} is not there, and it holds what no segment has", known.shard)));
    }
    return counts;
}

void apply_checkpoint(const Checkpoint& checkpoint, const Uuid& topic_id, int32_t partition, VerifyOptions& options) {
    const auto known = std::ranges::find_if(checkpoint.partitions, [&](const PartitionCheckpoint& one) {
        return one.topic_id == topic_id && one.partition == partition;
    });
    options.closed = checkpoint.clean;
    if (known == checkpoint.partitions.end()) {
        options.synced = SegmentEnd{Offset{0}, BytePos{0}};  // it had no bytes then
        options.synced_base = Offset{0};
        return;
    }
    options.synced = SegmentEnd{known->boundary_offset, BytePos{static_cast<int64_t>(known->boundary)}};
    options.synced_base = known->segment_base;
    options.synced_bytes = known->synced_bytes;
    if (!checkpoint.clean) { options.epochs = known->epochs; }
}

}  // namespace flowstone
