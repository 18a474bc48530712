// What opening does about acknowledged records that are gone: it names them, fences the partition they were in, and keeps
// whatever lies behind them where nobody takes it for something else. Nothing is decided for the user: the partition
// refuses to go on until the next opening is told to (Options::accept_loss).
#include <algorithm>

#include <fmt/format.h>

#include "log/impl/recovery.h"
#include "storage/mutants.h"
#include "storage/segment_files.h"
#include "storage/segment_scan.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr char aside_suffix[] = ".aside";

}  // namespace

// Commits must follow one another without a gap. What ends early is a crash tail; a gap with a commit behind it is damage,
// and can be fenced when that one tells all that is missing.
Result<void> Recovery::check_chain(Ring& ring) {
    std::vector<ChainLink> links;
    for (const JournalScan::Commit& commit : ring.scan.commits) {
        const CommitView& view = commit.view;
        links.push_back({view.place.sequence, view.place.prior_sum, view.sum, view.prior});
    }
    std::vector<uint64_t> broken;
    for (const JournalScan::Broken& one : ring.scan.broken) { broken.push_back(one.sequence); }
    JournalChain chain = judge_chain(ring.known.first_sequence, links, broken);
    const auto damaged = [&](std::string_view what) {
        return fail(Code::corrupt, "log.open",
                    fmt::format("journal {} of {} is damaged: {}", ring.known.shard, store_.path(), what));
    };
    if (chain.impostor) { return damaged(fmt::format("commit {} does not continue the one before", *chain.impostor)); }
    for (const JournalChain::Damage& damage : chain.damages) {
        if (!damage.all_known()) {
            return damaged(
                fmt::format("commits {} to {} are missing before {}", damage.begin, damage.end - 1, damage.end));
        }
        const bool metadata = std::ranges::any_of(
            damage.held, [](const EntryPlace& place) { return place.topic_id == metadata_topic_id; });
        if (metadata) { return damaged(fmt::format("commit {} held the topics' metadata", damage.begin)); }
    }
    ring.damages = std::move(chain.damages);
    ring.next_sequence = chain.next_sequence;
    ring.last_sum = chain.last_sum;
    if (chain.torn) {
        const JournalScan::Broken& torn = ring.scan.broken[*chain.torn];
        store_.log(
            fmt::format("{}: the last commit does not hold ({} bytes), torn by a crash or damaged since; it was not "
                        "acknowledged unless the disk lost it",
                        torn.path, torn.bytes));
    }
    return {};
}

// A commit is missing here: everything before it has been replayed, and nothing behind it.
Result<void> Recovery::fence_damage(const Ring& ring, const JournalChain::Damage& damage) {
    loss_ = true;
    std::string where = fmt::format("journal {} of {}", ring.known.shard, store_.path());
    for (const JournalScan::Broken& one : ring.scan.broken) {
        if (one.sequence == damage.begin) {
            where = fmt::format("{} at bytes {} to {}", one.path, one.at.value,
                                one.at.value + static_cast<int64_t>(one.bytes));
        }
    }
    store_.log(fmt::format("{}: commit {} is damaged; it held {} entries", where, damage.begin, damage.held.size()));
    for (const EntryPlace& place : damage.held) {
        EntryHead head;
        head.topic_id = place.topic_id;
        head.partition = place.partition;
        TRY(Partition* const partition, partition_of(head));
        if (partition == nullptr) { continue; }
        TRY_VOID(take_from_file(*partition, place.next_offset));
        const Offset known = partition->closed().offset;
        if (known == place.next_offset) { maybe_rolled_.insert(partition); }
        // Of a topic below `durable` the files decide. Else what it held of this one is there, but for a trim: a log may
        // begin earlier than it did.
        const bool there = known >= place.next_offset || partition->durability() != Durability::durable;
        if (there || partition->lost) { continue; }
        TRY_VOID(fence(*partition,
                       {.begin = known, .end = place.next_offset, .commit = damage.begin, .shard = ring.known.shard}));
        asides_.try_emplace(partition);
    }
    return {};
}

Result<void> Recovery::fence(Partition& partition, const LostRange& lost) {
    partition.lost = lost;
    touched_.insert(&partition);
    loss_ = true;
    const auto error = partition.lost_error("log.open");
    store_.log(error.message());
    // Who knows neither topics nor committed offsets must not go on with any.
    return partition.identity().internal ? std::unexpected(error) : Result<void>{};
}

// The checkpoint's word on the active segment, as long as the journal has added nothing to it.
const PartitionCheckpoint* Recovery::still_as_said(Partition& partition) const {
    const auto known = store_.persisted_.find({partition.identity().topic_id, partition.identity().number});
    if (known == store_.persisted_.end()) { return nullptr; }
    const PartitionCheckpoint& said = known->second;
    const OpenSegment& segment = partition.active();
    const bool same = said.segment_base == segment.base && partition.closed().at == segment.begin + said.synced_bytes &&
                      partition.closed().offset == said.boundary_offset;
    return same ? &said : nullptr;
}

// What a damaged commit held may be in the segment: a direct write always, others once they were filled. Whole batches
// that continue the log are taken, up to the offset that the commit is known to have reached.
Result<void> Recovery::take_from_file(Partition& partition, Offset until) {
    OpenSegment& segment = partition.active();
    uint64_t proven = 0;
    if (const PartitionCheckpoint* const said = still_as_said(partition)) {
        proven = segment.begin + said->synced_bytes;
        partition.move_end_to(segment.begin + said->boundary);
    }
    const auto behind = [&] { return partition.closed().offset < until || partition.closed().at < proven; };
    if (!behind()) { return {}; }
    auto file = store_.open_segment(partition, segment.base);
    if (!file) { return file.error().code == Code::not_found ? Result<void>{} : std::unexpected(file.error()); }
    SegmentScanner scanner(disk(), **file, scan_options(partition, segment));
    TRY_VOID(take_batches(partition, scanner, behind));
    const uint64_t fragment = partition.closed().at % store_.engine_.block_bytes;
    if (fragment > 0 && partition.chunk_of(partition.closed().at - 1) == nullptr) {
        std::vector<std::byte> bytes(fragment);
        TRY_VOID(read_range(**file, partition.closed().at - segment.begin - fragment, bytes));
        partition.adopt_fragment(bytes, store_.pool_);
    }
    return {};
}

SegmentScanner::Options Recovery::scan_options(const Partition& partition, const OpenSegment& segment) {
    return {.begin = BytePos{static_cast<int64_t>(partition.closed().at - segment.begin)},
            .offset = partition.closed().offset,
            .epoch_order = false,
            .batch_bytes_max = scan_batch_bytes_limit};  // what the topic takes now is not what it took
}

// Whole batches that continue the log, as long as `wanted`. Behind an accepted loss offsets may be missing, and where it is
// on record that they are.
Result<void> Recovery::take_batches(Partition& partition, SegmentScanner& scanner,
                                    const std::function<bool()>& wanted) {
    while (wanted()) {
        TRY(const auto found, scanner.next());
        if (!found) { return {}; }
        const BatchView& batch = found->batch;
        const bool gaps = accepted_.contains(&partition) || batch.base_offset() < partition.compacted_end;
        if (batch.base_offset() != partition.closed().offset && !gaps) { return {}; }
        if (!partition.epoch_can_be(batch)) { return {}; }
        partition.note_epoch(batch);
        if (batch.base_offset() > partition.closed().offset) {
            partition.compacted_end = std::max(partition.compacted_end, batch.base_offset() + 1);
        }
        if (!partition.chunks().empty()) {  // they end in the same block, which is written as one
            partition.restore(batch.bytes(), store_.pool_);
        } else {
            partition.move_end_to(partition.closed().at + batch.size());
        }
        partition.restored(batch.next_offset());
        touched_.insert(&partition);
        unproven_.insert(&partition);
    }
    return {};
}

// What the journal holds of a partition behind what is lost: kept as the segment that it can become.
Result<void> Recovery::put_aside(Partition& partition, const Entry& entry) {
    const auto found = asides_.find(&partition);
    if (found == asides_.end() || store_.read_only()) { return {}; }
    Aside& aside = found->second;
    std::vector<std::byte> bytes;
    if (entry.head.kind == EntryKind::direct) {
        TRY(bytes, read_direct(partition, entry));
    } else if (entry.head.kind == EntryKind::batches) {
        bytes.assign(entry.payload.begin(), entry.payload.end());
    } else {
        return {};
    }
    const std::string& directory = partition.identity().directory;
    if (!aside.file) {
        partition.lost->end = entry.head.base_offset;
        TRY(const auto segment, store_.segment_file(partition, partition.active()));  // makes the directory, too
        aside.name = segment_file_name(entry.head.base_offset, SegmentFile::log) + aside_suffix;
        TRY(aside.file, disk().open(join_path(directory, aside.name), {.write = true, .create = true}));
        TRY_VOID(disk().truncate(*aside.file, 0));
    }
    TRY_VOID(write_at(disk(), *aside.file, BytePos{static_cast<int64_t>(aside.bytes)}, bytes));
    aside.bytes += bytes.size();
    return {};
}

// Before any checkpoint lets go of the journal.
Result<void> Recovery::finish_asides() {
    for (const auto& [partition, aside] : asides_) {
        if (!aside.file) { continue; }
        if (!mutated(Mutant::aside_sync)) { TRY_VOID(sync(disk(), *aside.file)); }
        if (!mutated(Mutant::aside_names)) {
            TRY_VOID(disk().sync_directory(partition->identity().directory));
            TRY_VOID(disk().sync_directory(store_.path()));
        }
        store_.log(fmt::format("{}: {} bytes behind what is lost are set aside as {}", partition->identity().directory,
                               aside.bytes, aside.name));
    }
    asides_.clear();
    return {};
}

// The log goes on behind what is lost: in a segment of its own, which is what was set aside, if anything was.
Result<void> Recovery::accept_loss(Partition& partition) {
    const LostRange lost = *partition.lost;
    store_.log(fmt::format("the loss of offsets [{}, {}) of {}-{} is accepted", lost.begin.value, lost.end.value,
                           partition.identity().topic, partition.identity().number));
    partition.lost.reset();
    accepted_.insert(&partition);
    touched_.insert(&partition);
    loss_ = true;
    if (lost.inside) { return {}; }
    const std::string& directory = partition.identity().directory;
    const std::string log = join_path(directory, segment_file_name(lost.end, SegmentFile::log));
    TRY(const bool there, exists(disk(), log + aside_suffix));
    if (there) {
        TRY_VOID(disk().rename(log + aside_suffix, log));
        if (!mutated(Mutant::accept_directory)) { TRY_VOID(disk().sync_directory(directory)); }
    }
    partition.restored(lost.end);
    partition.active().rolled = true;
    partition.active().lost_from = lost.begin;
    partition.begin_segment();
    return {};
}

// After a clean close nobody looks at partitions, but for those.
Result<void> Recovery::accept_losses() {
    std::vector<PartitionKey> keys;
    for (const auto& [key, said] : store_.persisted_) {
        if (said.lost) { keys.push_back(key); }
    }
    for (const PartitionKey& key : keys) {
        EntryHead head;
        head.topic_id = key.first;
        head.partition = key.second;
        TRY(Partition* const partition, partition_of(head));
        if (partition != nullptr) { TRY_VOID(settle(*partition)); }
    }
    return {};
}

// Whether the batch at `at` says that it ends past what was proven, so that its end may have been lost to a crash: where
// its topic's level was raised since the checkpoint, that of a durable topic too.
Result<bool> Recovery::ends_past(File& file, uint64_t at, uint64_t proven) {
    TRY(const uint64_t size, disk().size(file));
    std::vector<std::byte> head(batch_header_bytes);
    if (at + head.size() > std::min(size, proven)) { return false; }
    TRY_VOID(read_range(file, at, head));
    const auto bytes = BatchView::measure(head);
    return bytes && at + *bytes > proven;
}

// The scan ended at bytes that a checkpoint proved. True when what they held is lost; then the end is where it would be,
// or, when nothing good follows, where the damage begins. Below `durable` the last batch that began below the checkpoint
// may have lost its end to a crash, and an opening may have cut it off: it counts only when another one follows it there.
Result<bool> Recovery::fence_proven(Partition& partition, OpenSegment& segment, File& file, SegmentScanner& scanner,
                                    const PartitionCheckpoint& said) {
    const uint64_t at = partition.closed().at - segment.begin;
    const Offset begin = partition.lost ? partition.lost->begin : partition.closed().offset;
    LostRange lost{.begin = begin,
                   .end = std::max(said.producers_end, partition.closed().offset),
                   .segment_base = segment.base,
                   .position = BytePos{static_cast<int64_t>(at)}};
    std::optional<ScannedBatch> found;
    // Without a fault the file ends, or the batch that was looked at last does not continue the log.
    bool more = scanner.fault() == ScanFault::none;
    if (!more) { TRY(more, scanner.resync()); }
    if (more) { TRY(found, scanner.next()); }
    TRY(const bool past, ends_past(file, at, said.synced_bytes));
    const bool tail = past || partition.durability() != Durability::durable;
    if (tail && (!found || static_cast<uint64_t>(found->at.value) >= said.synced_bytes)) { return false; }
    if (found) {
        lost.end = found->batch.base_offset();
        lost.inside = true;
        partition.move_end_to(segment.begin + static_cast<uint64_t>(found->at.value) + found->batch.size());
        partition.restored(found->batch.next_offset());
    }
    TRY_VOID(fence(partition, lost));
    return true;
}

}  // namespace flowstone
