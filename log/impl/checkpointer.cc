// Checkpoints: bringing to the segment files what the journal holds, and writing down that it is there.
//
// Order is everything. Files are filled and synced, then the names of new ones, then the slot is written, and only then
// may the journal reuse the space up to what both slots no longer need.
#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "log/impl/store.h"
#include "storage/check.h"
#include "storage/mutants.h"
#include "storage/segment_files.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr size_t syncs_at_once = 16;  // JOURNAL 2.4: 43 us a file

}  // namespace

Result<void> Store::relieve_ring(Shard& shard, bool must) {
    if (!must && engine_.options.threads > 0) {
        relief_due_ = true;
        wake_filler();
        return {};
    }
    return relieve_now(shard, must);
}

// The ring is half full, or full: it grows while it may, and a checkpoint gives back what is not needed.
Result<void> Store::relieve_now(Shard& shard, bool must) {
    std::unique_lock one(checkpoint_lock_, std::defer_lock);
    if (must) {
        one.lock();
    } else if (!one.try_lock()) {
        return {};  // somebody is at it
    }
    bool grow = false;
    {
        Guard guard(shard.lock());
        const Journal& journal = shard.journal();
        if (must ? journal.bytes_used() < journal.bytes() : journal.bytes_used() * 2 <= journal.bytes()) { return {}; }
        grow = journal.can_grow();
    }
    if (grow) {
        const auto grown = grow_ring(shard, must);
        if (grown) { return {}; }
        log(grown.error().message());  // the ring as it is must do
    }
    auto done = checkpoint_locked({.exact = must});
    // The fragments did not fit into what is left of the ring: exact files need none of it.
    if (!done && done.error().code == Code::busy) { done = checkpoint_locked({.exact = true}); }
    return done;
}

// A piece at a time, unless the ring is full: whoever commits waits for no more than a commit takes.
Result<void> Store::grow_ring(Shard& shard, bool must) {
    Journal& journal = shard.journal();
    uint64_t bytes = UINT64_MAX;
    if (!must) {
        Guard guard(shard.lock());
        bytes = journal.growth_due();
    }
    if (bytes == 0) { return {}; }
    TRY(const bool whole, journal.grow(pool_, bytes));
    if (!whole) { return {}; }
    Guard guard(shard.lock());
    journal.join();
    return {};
}

Result<void> Store::fill_journaled(Shard& shard, CheckpointScope scope, std::vector<Touched>& touched) {
    const std::vector<Partition*> all = made_partitions();
    std::vector<Partition*> partitions;
    {
        Guard guard(shard.lock());
        for (Partition* partition : all) {
            if (&partition->shard() != &shard || partition->hooks.deleted) { continue; }
            if (scope.only != nullptr && !scope.only->contains(partition)) { continue; }
            const bool dirty = partition->hooks.journaled || partition->segments().size() > 1 ||
                               partition->segments().back()->file || !partition->chunks().empty() ||
                               (scope.exact && !ends_on_record(*partition));
            if (dirty) { partitions.push_back(partition); }
        }
    }
    for (Partition* partition : partitions) {
        Guard guard(shard.lock());
        if (partition->hooks.deleted) { continue; }
        TRY_VOID(shard.fill_partition(guard, *partition, scope.exact));
        touched.push_back({partition});
    }
    return {};
}

// Whether the newest slot names the offset at which the partition ends. Else the next opening would have to look for it in
// the file, and after a clean close it does not look.
bool Store::ends_on_record(const Partition& partition) {
    const std::lock_guard persisted(persisted_lock_);
    const auto said = persisted_.find({partition.identity().topic_id, partition.identity().number});
    return said == persisted_.end() || said->second.boundary == said->second.synced_bytes;
}

// A rolled segment whose bytes are all in the file becomes a closed one: cut to its size, synced, sealed.
Result<void> Store::finish_rolled(Partition& partition) {
    for (;;) {
        OpenSegment* segment = nullptr;
        {
            Guard guard(partition.shard().lock());
            if (partition.segments().size() < 2) { return {}; }
            segment = partition.segments().front().get();
            if (!segment->rolled || partition.filled_from(segment->begin) < *segment->end ||
                partition.visible().at < *segment->end) {
                return {};
            }
        }
        TRY_VOID(in_time());
        const uint64_t bytes = *segment->end - segment->begin;
        TRY(const auto file, segment_file(partition, *segment));
        TRY_VOID(disk().truncate(*file, bytes));
        if (!mutated(Mutant::rolled_sync)) { TRY_VOID(sync(disk(), *file)); }
        if (!segment->seal) {  // recovered: its bytes were not hashed as they came
            segment->seal = std::make_unique<SealBuilder>(partition.seal_place(segment->base));
            TRY_VOID(read_back(partition, *segment, 0, bytes, [&](Bytes part) { segment->seal->update(part); }));
        }
        Seal seal = segment->seal->finish(segment->lost_from.value_or(segment->end_offset), SealOrigin::append);
        if (partition.config().seal == SealKind::sha256) { TRY_VOID(chain_seal(partition, *file, seal)); }
        TRY_VOID(write_seal(disk(), partition.identity().directory, seal));
        {
            Guard guard(partition.shard().lock());
            segment->index->close();
        }
        TRY_VOID(flush_index(partition, *segment, true));
        if (!mutated(Mutant::rolled_names)) { TRY_VOID(sync_names(partition, *segment)); }
        TRY_VOID(know_closed_segments(partition));
        Guard guard(partition.shard().lock());
        partition.closed_segments.push_back(
            {segment->base, segment->end_offset, bytes, segment->index->timestamp_ms_max(), checkpoint_number_ + 1});
        partition.active().names_unsynced = partition.active().names_unsynced || segment->names_unsynced;
        partition.segments().erase(partition.segments().begin());
    }
}

Result<void> Store::chain_seal(Partition& partition, File& file, Seal& seal) {
    SealChain chain;
    TRY(chain.content, sha256_of_file(disk(), file, seal.bytes));
    TRY_VOID(know_closed_segments(partition));
    std::optional<Offset> last;
    {
        Guard guard(partition.shard().lock());
        if (!partition.closed_segments.empty()) { last = partition.closed_segments.back().base; }
    }
    if (last) {
        auto before = read_seal(disk(), partition.identity().directory, *last);
        if (!before) { return std::unexpected(before.error()); }
        if (before->chain) { chain.previous = before->head(); }
    }
    seal.chain = std::move(chain);
    return {};
}

Result<void> Store::sync_partitions(std::vector<Touched>& touched) {
    std::vector<std::shared_ptr<File>> files;
    for (Touched& one : touched) {
        Partition& partition = *one.partition;
        // All that are open: the claim is about the first, which may be rolled and not yet filled to its end.
        std::vector<OpenSegment*> segments;
        {
            // What is filled after this moment may not be synced.
            Guard guard(partition.shard().lock());
            one.synced = partition.filled_from(0);
            for (const auto& segment : partition.segments()) {
                const bool in_file = segment->file || partition.filled_from(segment->begin) > segment->begin;
                if (in_file && segment->end.value_or(partition.closed().at) > segment->begin) {
                    segments.push_back(segment.get());
                }
            }
        }
        for (OpenSegment* segment : segments) {
            TRY(auto file, segment_file(partition, *segment));  // recovery may have kept bytes without opening it
            files.push_back(std::move(file));
            TRY_VOID(flush_index(partition, *segment, true));
            if (segment->index_names_unsynced) { segment->names_unsynced = true; }
            segment->index_names_unsynced = false;
            if (segment->names_unsynced && !mutated(Mutant::segment_names)) {
                TRY_VOID(sync_names(partition, *segment));
            }
        }
    }
    if (mutated(Mutant::segment_sync)) { return {}; }
    for (size_t i = 0; i < files.size(); i += syncs_at_once) {
        TRY_VOID(in_time());
        std::vector<Io> requests;
        for (size_t j = i; j < std::min(files.size(), i + syncs_at_once); ++j) {
            requests.push_back({.kind = Io::Kind::sync, .file = files[j].get()});
        }
        disk().run(requests);
        for (const Io& request : requests) {
            if (request.os_errno != 0) { return fail_sync(request.os_errno, "checkpoint.sync", request.file->path()); }
        }
    }
    return {};
}

// Appending goes on meanwhile: what is written is a copy.
Result<void> Store::flush_index(Partition& partition, OpenSegment& segment, bool and_sync) {
    Guard guard(partition.shard().lock());
    SegmentIndex copy = *segment.index;
    guard.unlock();
    TRY_VOID(copy.flush(disk()));
    if (and_sync && !mutated(Mutant::index_sync)) { TRY_VOID(copy.sync(disk())); }
    guard.lock();
    segment.index->forget_flushed(copy);
    return {};
}

// Idle fragments are repeated at the ring's head, so that its tail can pass them (JOURNAL 2.5).
Result<void> Store::carry_fragments(Shard& shard, uint64_t below) {
    Guard guard(shard.lock());
    bool any = false;
    for (Partition* partition : shard.journaled()) {
        const uint64_t filled = partition->filled_from(0);
        const auto needed = partition->needed_from(filled);
        if (!needed || *needed >= below || filled >= partition->visible().at ||
            partition->fill_due(partition->visible().at)) {
            continue;
        }
        const uint64_t begin = align_down(filled, engine_.block_bytes);
        shard.queue({partition, EntryKind::carry, begin, partition->visible().at, partition->visible().offset,
                     partition->visible().offset, partition->epoch(), 0});
        any = true;
    }
    return any ? shard.flush(guard, false) : Result<void>{};
}

void Store::describe_partition(const Touched& touched, bool exact, PartitionCheckpoint& out) {
    Partition& partition = *touched.partition;
    const OpenSegment& first = *partition.segments().front();
    const bool whole = partition.segments().size() == 1;
    const uint64_t visible = partition.visible().at;
    uint64_t filled = std::min(touched.synced, visible);
    // An exact claim holds only if nothing follows in the same block: what is committed next repeats the block first. That
    // is true of what is queued already, but not of a commit under way, nor of bytes that a file gets without one.
    const bool next_repeats = partition.durability() == Durability::durable
                                  ? visible >= first.begin && visible <= first.end.value_or(UINT64_MAX)
                                  : whole && partition.closed().at == visible;
    const bool at_end = exact && filled == visible && next_repeats && partition.hooks.committing_to == 0;
    if (!at_end) { filled = std::max(first.begin, align_down(filled, engine_.block_bytes)); }
    if (!at_end && !whole) { filled = std::min(filled, align_down(*first.end, engine_.block_bytes)); }
    filled = std::max(filled, first.begin);
    // What was proven stays proven: after an exact checkpoint that is more than whole blocks. But a batch below `durable`
    // whose end was lost was cut off, proven blocks and all.
    if (out.segment_base == first.base) {
        filled = std::max(filled, std::min(first.begin + out.synced_bytes, visible));
    }
    out.topic_id = partition.identity().topic_id;
    out.partition = partition.identity().number;
    out.log_start = partition.log_start();
    out.epochs = partition.epochs();
    out.compacted_end = partition.compacted_end;
    out.lost = partition.lost;
    // Of several segments the first is the one that is not finished; replay goes on from there.
    // Within the block that an exact checkpoint of an earlier opening ended in, nothing is known but what it said: that
    // stays true, because the block is not written again before the journal holds all of it.
    const bool as_before = !at_end && filled < partition.first_boundary();
    if (!as_before) {
        const Mark boundary = at_end ? partition.visible() : partition.boundary_at(filled);
        out.segment_base = first.base;
        out.synced_bytes = filled - first.begin;
        out.boundary = boundary.at - first.begin;
        out.boundary_offset = boundary.offset;
    }
    out.index = first.index->pending_entries() == 0 ? first.index->state() : SegmentIndex::State{};
    out.seal_pieces = first.seal ? first.seal->pieces() : out.seal_pieces;
    if (out.seal_pieces.size() > out.synced_bytes / seal_piece_bytes) {
        out.seal_pieces.resize(out.synced_bytes / seal_piece_bytes);
    }
    // What is not acknowledged yet a crash may take back, and others may get its offsets.
    out.producers = partition.producers().encode_window(partition.visible().offset);
    out.producers_end = partition.visible().offset;
    if (at_end && out.synced_bytes % engine_.block_bytes != 0) { partition.set_carry_due(partition.visible()); }
}

Result<void> Store::checkpoint(CheckpointScope scope) {
    if (read_only()) { return fail(Code::read_only, "log.checkpoint", path()); }
    std::unique_lock one(checkpoint_lock_, std::defer_lock);
    const int64_t left = time_left();
    if (left < 0) {
        one.lock();
    } else if (!one.try_lock_for(std::chrono::nanoseconds(left))) {
        return fail(Code::timed_out, "log.close", path());
    }
    return checkpoint_locked(scope);
}

Result<void> Store::checkpoint_locked(CheckpointScope scope) {
    auto done = checkpoint_steps(scope);
    note_loss(done);
    return done;
}

// A write or sync that failed is never tried again, whoever asked for it: the kernel may have dropped the bytes and say
// that all is well the next time.
void Store::note_loss(const Result<void>& done) {
    if (done || !loses_writes(done.error())) { return; }
    Guard guard(shards_.front()->lock());
    shards_.front()->go_offline(done.error());
}

int64_t Store::time_left() const {
    const int64_t deadline = engine_.deadline_ns;
    return deadline == INT64_MAX ? -1 : std::max<int64_t>(deadline - engine_.clock.monotonic_ns(), 0);
}

Result<void> Store::in_time() const {
    if (time_left() == 0) { return fail(Code::timed_out, "log.close", path()); }
    return {};
}

// The first commit that is needed for what the slot about to be written does not say of the partition; empty when none is.
// Of one that the slot describes as before, because it was not asked for or has moved since, that is everything. Under the
// locks of its shard and of what is persisted.
std::optional<uint64_t> Store::needed_still(Partition& partition, bool described) {
    auto& rewritten = partition.rewritten;
    uint64_t proven = 0;
    if (described) {
        const auto& said = persisted_[{partition.identity().topic_id, partition.identity().number}];
        const OpenSegment& front = *partition.segments().front();
        // A block that was proven once and is still to be written again is needed from the journal all the same.
        proven =
            std::min(front.begin + (front.base == said.segment_base ? said.synced_bytes : 0), partition.filled_from(0));
        partition.forget_commits_below(proven);
        if (rewritten && (proven >= rewritten->end || partition.carry_due())) { rewritten.reset(); }
    }
    std::optional<uint64_t> needed = partition.needed_from(proven);
    const auto and_from = [&](uint64_t sequence) { needed = std::min(needed.value_or(sequence), sequence); };
    if (partition.swap_sequence) { and_from(*partition.swap_sequence); }
    if (rewritten) { and_from(rewritten->sequence); }
    return needed;
}

Result<void> Store::checkpoint_steps(CheckpointScope scope) {
    std::vector<Touched> touched;
    std::vector<uint64_t> first_needed(shards_.size());
    std::vector<RingCheckpoint> rings;
    for (size_t i = 0; i < shards_.size(); ++i) {
        {
            Guard guard(shards_[i]->lock());
            if (shards_[i]->failure()) { return std::unexpected(*shards_[i]->failure()); }
            first_needed[i] = shards_[i]->journal().next_sequence();
        }
        TRY_VOID(fill_journaled(*shards_[i], scope, touched));
    }
    for (const Touched& one : touched) { TRY_VOID(finish_rolled(*one.partition)); }
    if (scope.exact) { TRY_VOID(cut_files(touched)); }
    TRY_VOID(sync_partitions(touched));
    if (!scope.exact && scope.only == nullptr) {
        for (size_t i = 0; i < shards_.size(); ++i) { TRY_VOID(carry_fragments(*shards_[i], first_needed[i])); }
    }

    Checkpoint slot;
    slot.number = checkpoint_number_ + 1;
    slot.cluster = cluster_;
    slot.generation = generation_;
    slot.clean = scope.clean;
    slot.wall_ms = now_ms();
    for (size_t i = 0; i < shards_.size(); ++i) {
        Guard guard(shards_[i]->lock());
        const std::lock_guard persisted(persisted_lock_);
        std::unordered_set<const Partition*> described;
        for (const Touched& one : touched) {
            const Partition& partition = *one.partition;
            if (&partition.shard() != shards_[i].get() || partition.hooks.deleted) { continue; }
            describe_partition(one, scope.exact,
                               persisted_[{partition.identity().topic_id, partition.identity().number}]);
            described.insert(&partition);
        }
        Journal& journal = shards_[i]->journal();
        uint64_t first = first_needed[i];
        shards_[i]->forget_journaled([&](Partition& partition) {
            const auto needed = needed_still(partition, described.contains(&partition));
            first = std::min(first, needed.value_or(first));
            return !needed;
        });
        first = std::min(first, journal.next_sequence());
        first_needed[i] = first;
        rings.push_back({journal.ring(), shards_[i]->number(), first, 0, false});
    }
    slot.rings = std::move(rings);
    {
        const std::lock_guard persisted(persisted_lock_);
        for (const auto& [key, partition] : persisted_) { slot.partitions.push_back(partition); }
    }
    TRY_VOID(in_time());
    TRY_VOID(write_checkpoint(disk(), path(), slot));
    checkpoint_number_ = slot.number;
    for (size_t i = 0; i < shards_.size(); ++i) {
        Guard guard(shards_[i]->lock());
        // Either slot may be the one that survives: the older one's need counts.
        shards_[i]->journal().release(mutated(Mutant::older_slot) ? first_needed[i]
                                                                  : std::min(first_needed[i], last_first_needed_[i]));
        last_first_needed_[i] = first_needed[i];
    }
    close_idle_files(touched, scope.exact);
    return {};
}

// An idle partition costs no descriptor. Only a file whose every byte this checkpoint synced may be closed: the next one
// syncs the files that are open.
void Store::close_idle_files(const std::vector<Touched>& touched, bool exact) {
    const std::lock_guard files(files_lock_);
    for (const Touched& one : touched) {
        Partition& partition = *one.partition;
        Guard guard(partition.shard().lock());
        const bool still = exact || partition.closed().at == partition.closed_at_checkpoint;
        partition.closed_at_checkpoint = partition.closed().at;
        const bool busy = partition.hooks.filling || partition.hooks.writing || partition.builder() != nullptr ||
                          partition.segments().size() > 1 || partition.active().padded;
        if (still && !busy && partition.filled_from(0) == one.synced &&
            partition.visible().at == partition.closed().at) {
            partition.active().file.reset();
        }
    }
}

// After an exact fill the last block ends in zeros; the file ends with its last batch.
Result<void> Store::cut_files(const std::vector<Touched>& touched) {
    for (const Touched& one : touched) {
        TRY_VOID(in_time());
        Partition& partition = *one.partition;
        // Its writes are exact; only recovery fills what needs a cut.
        if (partition.durability() == Durability::written && !alone_) { continue; }
        if (partition.lost && partition.lost->commit == 0) { continue; }  // bytes that somebody may still make sense of
        Shard& shard = partition.shard();
        Guard guard(shard.lock());
        shard.hold_file(guard, partition);  // a commit or fill that makes it longer waits
        OpenSegment& active = partition.active();
        const std::shared_ptr<File> file = active.file;
        Result<void> cut;
        if (file && partition.filled_from(0) == partition.visible().at &&
            partition.closed().at == partition.visible().at) {
            const uint64_t bytes = partition.visible().at - active.begin;
            guard.unlock();
            cut = disk().truncate(*file, bytes);
            guard.lock();
            if (cut) { active.padded = false; }
        }
        shard.release_file(partition);
        TRY_VOID(std::move(cut));
    }
    return {};
}

Result<void> Store::close(int64_t timeout_ms) {
    if (closed_.exchange(true)) { return {}; }
    const int64_t now = clock().monotonic_ns();
    const int64_t timeout_ns = std::clamp<int64_t>(timeout_ms, 0, (INT64_MAX - now) / 2'000'000) * 1'000'000;
    engine_.deadline_ns = now + timeout_ns;
    for (auto& shard : shards_) {
        Guard guard(shard->lock());
        shard->shut();
    }
    const std::vector<Partition*> partitions = made_partitions();
    for (Partition* partition : partitions) { partition->wake_readers(); }
    if (read_only()) { return {}; }
    Result<void> result;
    for (auto& shard : shards_) {
        Guard guard(shard->lock());
        if (result) { result = shard->flush(guard); }
    }
    stop_threads();
    while (const uint32_t running = threads_running_.load()) {
        const int64_t left = time_left();
        if (left == 0) { break; }
        sleep_while(threads_running_, running, left);
    }
    const bool ended = threads_running_.load() == 0;
    if (result && !ended) { result = fail(Code::timed_out, "log.close", path()); }
    alone_ = ended;
    // Another thread's maintenance ends soon: it looks at stopping_.
    std::unique_lock maintenance(maintain_lock_, std::defer_lock);
    if (result && !maintenance.try_lock_for(std::chrono::nanoseconds(time_left()))) {
        result = fail(Code::timed_out, "log.close", path());
    }
    for (Partition* partition : partitions) {
        if (result) { result = end_swap(*partition); }
    }
    if (result) { result = checkpoint({.exact = true}); }
    for (Partition* partition : partitions) {
        if (result) { result = in_time(); }
        if (!result || partition->hooks.deleted) { continue; }
        if (partition->hooks.needs_epoch && !partition->hooks.epochs_unwritten) { continue; }
        if (partition->closed().offset == Offset{0}) { continue; }  // nothing was appended: it has no directory
        result = write_kafka_partition_files(*partition);
        partition->hooks.epochs_unwritten = false;
    }
    // Both slots say the same then: neither needs the ring.
    if (result) { result = checkpoint({.exact = true, .clean = true}); }
    for (auto& shard : shards_) {
        if (result) { result = shard->journal().abandon_growth(); }
    }
    if (result) { result = write_kafka_root_files(); }
    // After an error a call to the disk may still be under way: the directory stays ours until the destructor.
    if (result) { directory_lock_.reset(); }
    return result;
}

}  // namespace flowstone
