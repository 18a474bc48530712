// Truncation at the back: everything from an offset on is gone, for good, also for producers that retry.
//
// It takes back what was acknowledged, where files and slots say that it is proven. So nothing else may be under way:
// appends to the directory wait, all files are exact and both slots say so, and the journal is needed for nothing. Then the
// truncation is committed, alone; then files and memory are made anew, as an opening after a crash would make them; then
// both slots speak of what is left, and only then does anybody append again. A chain that holds a truncation so holds
// nothing else of its partition that counts, and replay does all of it once more, whatever a crash left half done.
#include <algorithm>

#include <fmt/format.h>

#include "log/impl/store.h"
#include "log/impl/tail_sharing.h"
#include "storage/check.h"
#include "storage/mutants.h"
#include "storage/segment_files.h"
#include "storage/segment_scan.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr char operation[] = "log.truncate";

// Appends to the whole directory wait while one of these lives.
class Held {
public:
    explicit Held(std::span<const std::unique_ptr<Shard>> shards) : shards_(shards) { hold(true); }
    ~Held() { hold(false); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

private:
    void hold(bool held) {
        for (const auto& shard : shards_) { shard->hold_appends(held); }
    }
    std::span<const std::unique_ptr<Shard>> shards_;
};

// Under the lock. True: there is something to take away.
Result<bool> check_end(const Partition& partition, Offset next_offset, Offset end) {
    const Partition::Identity& identity = partition.identity();
    if (partition.hooks.deleted) {
        return fail(Code::not_found, operation, fmt::format("topic {} was deleted", identity.topic));
    }
    if (partition.lost) { return std::unexpected(partition.lost_error(operation)); }
    if (end < partition.log_start() || end > next_offset) {
        return fail(Code::out_of_range, operation,
                    fmt::format("offset {} of {}-{} is outside [{}, {}]", end.value, identity.topic, identity.number,
                                partition.log_start().value, next_offset.value));
    }
    return end < next_offset;
}

}  // namespace

Result<Offset> Store::truncate(TopicTable& topic, int32_t number, Offset end) {
    if (read_only()) { return fail(Code::read_only, operation, path()); }
    // Who commits offsets, or knows topics, remembers more than the records.
    if (topic.internal) { return fail(Code::invalid, operation, fmt::format("topic {} is internal", topic.name)); }
    TRY(Partition* const partition, this->partition(topic, number));
    {
        Guard guard(partition->shard().lock());
        TRY(const bool any, check_end(*partition, partition->next_offset(), end));
        if (!any) { return end; }
    }
    const std::lock_guard maintenance(maintain_lock_);
    const std::lock_guard meta(meta_lock_);  // as alter_topic
    for (Partition* one : made_partitions()) { TRY_VOID(end_swap(*one)); }
    const Held held(shards_);
    for (auto& shard : shards_) {
        Guard guard(shard->lock());
        TRY_VOID(shard->flush(guard));
    }
    const std::lock_guard one(checkpoint_lock_);
    return truncate_alone(*partition, end);
}

Result<Offset> Store::truncate_alone(Partition& partition, Offset end) {
    TRY_VOID(load(partition, false));  // so that nobody reads its file meanwhile
    // Who has been let in to append already does not ask for an epoch again. Batches as they are bring their own.
    const bool starts_epoch = !partition.hooks.needs_epoch;
    TRY_VOID(checkpoint_locked({.exact = true}));
    TRY_VOID(checkpoint_locked({.exact = true}));
    std::unique_ptr<SegmentIndex> index;
    TRY(const auto truncation, plan_truncation(partition, end, index));
    if (!truncation) { return end; }
    TRY_VOID(commit_truncation(partition, *truncation));
    // Nothing of this takes room: a full disk keeps nobody from truncating.
    auto done = apply_truncation(partition, *truncation, std::move(index));
    if (done) { done = load(partition, starts_epoch); }
    if (done) { note_epoch_given(partition); }
    for (int slot = 0; slot < 2 && done; ++slot) {
        if (slot == 0 || !mutated(Mutant::truncation_slots)) { done = checkpoint_locked({.exact = true}); }
    }
    if (!done) {  // the journal has it: only the next opening puts right what is half done
        Guard guard(partition.shard().lock());
        partition.shard().go_offline(done.error());
        return std::unexpected(done.error());
    }
    return truncation->end;
}

// The number of an opening tells the next one which epochs were given. This one is the second of its partition here.
void Store::note_epoch_given(Partition& partition) {
    Guard guard(partition.shard().lock());
    generation_ = std::max(generation_.load(), static_cast<uint32_t>(partition.epoch().value));
}

// Where it ends: behind the last batch that lies below `end` whole. Empty: nothing is to be taken away. `index`: of the
// segment that is the last one then.
Result<std::optional<Truncation>> Store::plan_truncation(Partition& partition, Offset end,
                                                         std::unique_ptr<SegmentIndex>& index) {
    TRY_VOID(know_closed_segments(partition));
    Truncation out;
    uint64_t bytes = 0;
    {
        Shard& shard = partition.shard();
        Guard guard(shard.lock());
        TRY(const bool any, check_end(partition, partition.closed().offset, end));
        if (!any) { return std::optional<Truncation>(); }
        if (partition.segments().size() != 1 || last_first_needed_[shard.number()] != shard.journal().next_sequence()) {
            return fail(Code::busy, operation, fmt::format("the journal of {} is still needed", path()));
        }
        out.segment_base = partition.active().base;
        bytes = partition.closed().at - partition.active().begin;
        for (const ClosedSegment& segment : partition.closed_segments) {
            if (segment.base > end || end >= partition.active().base) { break; }
            out.segment_base = segment.base;
            bytes = segment.bytes;
        }
    }
    out.end = out.segment_base;
    index = std::make_unique<SegmentIndex>(partition.identity().directory, out.segment_base);
    TRY(const auto file, open_segment(partition, out.segment_base));
    SegmentScanner scanner(disk(), *file,
                           {.end = BytePos{static_cast<int64_t>(bytes)},
                            .offset = out.segment_base,
                            .epoch_order = false,
                            .batch_bytes_max = scan_batch_bytes_limit});
    for (;;) {
        TRY(const auto found, scanner.next());
        if (!found || found->batch.last_offset() >= end) { break; }
        if (found->batch.last_offset() - out.segment_base > segment_offsets_max ||
            found->at.value > segment_bytes_limit) {
            return fail(Code::corrupt, operation, fmt::format("{} is larger than an index can tell", file->path()));
        }
        index->note(found->batch, found->at);
        out.position = found->at + found->batch.size();
        out.end = found->batch.next_offset();
    }
    if (scanner.fault() != ScanFault::none) {
        return fail(Code::corrupt, operation,
                    fmt::format("{} at byte {}: {}", file->path(), scanner.position().value, name(scanner.fault())));
    }
    const uint64_t fragment = static_cast<uint64_t>(out.position.value) % engine_.block_bytes;
    const int64_t block = out.position.value - static_cast<int64_t>(fragment);
    if (fragment > 0) {
        const BufferRef buffer = pool_.take(engine_.block_bytes);
        TRY(const uint64_t got,
            read_at(disk(), *file, BytePos{block}, MutableBytes(buffer->data(), engine_.block_bytes)));
        if (got < fragment) { return fail(Code::corrupt, operation, fmt::format("{} is cut short", file->path())); }
        out.fragment.assign(buffer->data(), buffer->data() + fragment);
    }
    if (out.end < partition.log_start()) {
        return fail(Code::out_of_range, operation,
                    fmt::format("offset {} of {}-{} lies in a batch that begins below the log start {}", end.value,
                                partition.identity().topic, partition.identity().number, partition.log_start().value));
    }
    return std::optional(std::move(out));
}

Result<void> Store::commit_truncation(Partition& partition, const Truncation& truncation) {
    Shard& shard = partition.shard();
    Guard guard(shard.lock());
    const uint64_t at = partition.closed().at;
    partition.truncation = truncation;
    shard.queue({&partition, EntryKind::truncate, at, at, truncation.end, truncation.end, partition.epoch(), 0});
    auto flushed = shard.flush(guard, false);
    // Taken up by a commit that failed, it may be in the journal, and nothing may come behind it.
    if (!flushed && !shard.take_back(partition, EntryKind::truncate)) { shard.go_offline(flushed.error()); }
    return flushed;
}

// What is journaled is done, or done once more: to the files, to what the next slot says, and to memory.
Result<void> Store::apply_truncation(Partition& partition, const Truncation& truncation,
                                     std::unique_ptr<SegmentIndex> index) {
    const bool replayed = index == nullptr;
    {
        Guard guard(partition.shard().lock());
        partition.truncating = true;
        partition.hooks.swap_word.fetch_add(1);  // odd: readers wait
    }
    auto described = describe_truncated(partition, truncation, replayed);
    Result<void> done = described ? Result<void>{} : std::unexpected(described.error());
    if (done && !read_only()) { done = cut_segments(partition, truncation); }
    PartitionCheckpoint left;
    if (done) {
        left = std::move(*described);
        const std::lock_guard persisted(persisted_lock_);
        persisted_[{partition.identity().topic_id, partition.identity().number}] = left;
    }
    Guard guard(partition.shard().lock());
    if (done) { done = make_anew(partition, left, std::move(index)); }
    if (done) {
        partition.truncations.push_back(truncation.end);
        partition.truncating = false;
    } else {
        partition.shard().go_offline(done.error());  // files of two lives lie side by side, for nobody to read
    }
    partition.hooks.swap_word.fetch_add(1);
    wake_all(partition.hooks.swap_word);
    partition.wake_readers();
    return done;
}

// Names that go first, so that what stays is cut only when nothing follows it any more.
Result<void> Store::cut_segments(Partition& partition, const Truncation& truncation) {
    const std::string& directory = partition.identity().directory;
    const bool chained = partition.config().seal == SealKind::sha256;
    const Offset base = truncation.segment_base;
    TRY(const auto entries, disk().list(directory));
    for (const DirectoryEntry& entry : entries) {
        const auto name = parse_segment_file_name(entry.name);
        if (!name || name->base < base) { continue; }
        const std::string file = join_path(directory, entry.name);
        const bool unfinished = name->kind == SegmentFile::seal || truncation.position.value == 0;
        if (name->base == base && !unfinished) { continue; }
        if (name->kind == SegmentFile::seal && chained) {
            // The next seal says what it stands in for.
            TRY_VOID(disk().rename(file, file + truncated_seal_suffix));
        } else {
            TRY_VOID(remove_file(file));
        }
    }
    if (!mutated(Mutant::truncation_gone)) { TRY_VOID(disk().sync_directory(directory)); }
    if (truncation.position.value == 0) { return {}; }
    auto aborted = read_transaction_index(disk(), directory, base);
    if (!aborted && aborted.error().code != Code::not_found) { return std::unexpected(aborted.error()); }
    if (aborted && std::erase_if(*aborted, [&](const auto& one) { return one.last >= truncation.end; }) > 0) {
        TRY_VOID(
            write_transaction_index(disk(), directory, base, *aborted));  // which takes a block, where one came along
    }
    const std::string name = join_path(directory, segment_file_name(base, SegmentFile::log));
    TRY(const auto file, disk().open(name, {.write = true}));
    return disk().truncate(
        *file, static_cast<uint64_t>(truncation.position.value));  // synced by the checkpoint that speaks of it
}

// What a slot says of the partition from now on. Replay looks at the last segment itself, as behind any checkpoint.
Result<PartitionCheckpoint> Store::describe_truncated(Partition& partition, const Truncation& truncation,
                                                      bool replayed) {
    const PartitionKey key{partition.identity().topic_id, partition.identity().number};
    PartitionCheckpoint left;
    {
        const std::lock_guard persisted(persisted_lock_);
        if (const auto said = persisted_.find(key); said != persisted_.end()) { left = said->second; }
    }
    left.topic_id = key.first;
    left.partition = key.second;
    if (left.segment_base != truncation.segment_base) { left.seal_pieces.clear(); }
    left.segment_base = truncation.segment_base;
    left.synced_bytes = static_cast<uint64_t>(truncation.position.value);
    left.seal_pieces.resize(std::min<size_t>(left.seal_pieces.size(), left.synced_bytes / seal_piece_bytes));
    left.boundary = replayed ? 0 : left.synced_bytes;
    left.boundary_offset = left.producers_end = replayed ? truncation.segment_base : truncation.end;
    left.log_start = std::min(left.log_start, truncation.end);
    left.compacted_end = std::min(left.compacted_end, truncation.end);
    // The number of an epoch that is gone stays taken: what is appended now is of a later one.
    if (!left.epochs.empty()) {
        const Epoch taken = left.epochs.back().epoch;
        std::erase_if(left.epochs, [&](const EpochStart& epoch) { return epoch.start >= truncation.end; });
        if (left.epochs.empty() || left.epochs.back().epoch < taken) { left.epochs.push_back({taken, truncation.end}); }
    }
    left.index = {};
    TRY_VOID(describe_producers(partition, truncation, left));
    return left;
}

// As of left.producers_end: what is remembered of them, and what every batch says that is there still. Damage is for
// readers to name, and keeps nobody from truncating what is behind it.
Result<void> Store::describe_producers(Partition& partition, const Truncation& truncation, PartitionCheckpoint& left) {
    ProducerState producers;
    TRY_VOID(producers.decode_window(left.producers));
    if (producers.size() == 0) { return {}; }
    ProducerState walked;
    TRY(const auto listing, list_segments(disk(), partition.identity().directory));
    for (const SegmentListing& segment : listing.segments) {
        const bool last = segment.base == truncation.segment_base;
        if (segment.base > truncation.segment_base || segment.base >= left.producers_end) { break; }
        TRY(const auto file, open_segment(partition, segment.base));
        SegmentScanner scanner(disk(), *file,
                               {.end = last ? truncation.position : BytePos{INT64_MAX},
                                .offset = segment.base,
                                .epoch_order = false,
                                .batch_bytes_max = scan_batch_bytes_limit});
        for (;;) {
            TRY(const auto found, scanner.next());
            if (!found) { break; }
            walked.applied(found->batch, found->batch.max_timestamp_ms());
        }
    }
    producers.truncate(left.producers_end, std::move(walked));
    left.producers = producers.encode_window();
    return {};
}

// Under the lock: memory as an opening finds it that goes by this.
Result<void> Store::make_anew(Partition& partition, const PartitionCheckpoint& left,
                              std::unique_ptr<SegmentIndex> index) {
    TRY_VOID(partition.producers().decode_window(left.producers));
    partition.compacted_end = left.compacted_end;
    std::erase_if(partition.closed_segments,
                  [&](const ClosedSegment& segment) { return segment.base >= left.segment_base; });
    if (TailSharing* const sharing = engine_.sharing) { sharing->removed(partition); }  // its readers come to the log
    partition.shard().forget_chunks(partition, 0);
    if (!index) { index = std::make_unique<SegmentIndex>(partition.identity().directory, left.segment_base); }
    partition.restart(start_of(left, partition.durability()), std::move(index));
    partition.shard().note_journaled(partition);  // so that the next checkpoint brings its index to the files
    return {};
}

// What truncations took away from a chain of seals, by base.
Result<std::vector<std::string>> Store::truncated_seals(const std::string& directory) {
    TRY(const auto entries, disk().list(directory));
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : entries) {
        if (entry.name.ends_with(truncated_seal_suffix)) { names.push_back(join_path(directory, entry.name)); }
    }
    return names;
}

}  // namespace flowstone
