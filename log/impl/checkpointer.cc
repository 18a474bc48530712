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

constexpr size_t partitions_at_once = 16;  // that are synced together: 43 us a file instead of 200 (JOURNAL 2.4)

}  // namespace

Result<Store::CheckpointPass> Store::begin_checkpoint(CheckpointScope scope) {
    CheckpointPass pass{.scope = scope};
    for (const auto& shard : shards_) {
        Guard guard(shard->lock());
        if (shard->failure()) { return std::unexpected(*shard->failure()); }
        const Journal& journal = shard->journal();
        pass.first_needed.push_back(journal.next_sequence());
        pass.begun_at.push_back(shard->checkpoint_work());
        pass.direct_at.push_back(shard->direct_bytes());
        pass.room.push_back(std::max((journal.bytes() - journal.bytes_used()) / 2, commit_bytes_max));
    }
    for (Partition* partition : made_partitions()) {
        Guard guard(partition->shard().lock());
        if (partition->hooks.deleted || (scope.only != nullptr && !scope.only->contains(partition))) { continue; }
        const bool dirty = partition->hooks.journaled || partition->segments().size() > 1 ||
                           partition->segments().back()->file || !partition->chunks().empty() ||
                           (scope.exact && !ends_on_record(*partition));
        if (dirty) { pass.partitions.push_back(partition); }
    }
    return pass;
}

// Brings the next partitions to their files, until `until` of them are there.
Result<void> Store::go_on(CheckpointPass& pass, size_t until) {
    until = std::min(until, pass.partitions.size());
    while (pass.looked < until) {
        const size_t begin = pass.touched.size();
        std::vector<Partition*> next;
        for (size_t i = pass.looked; i < until && next.size() < partitions_at_once; ++i) {
            Guard guard(pass.partitions[i]->shard().lock());
            if (pass.partitions[i]->closed().at > 0) { next.push_back(pass.partitions[i]); }
        }
        TRY_VOID(make_directories(next));
        for (size_t i = 0; i < partitions_at_once && pass.looked < until; ++i) {
            Partition* partition = pass.partitions[pass.looked++];
            {
                Guard guard(partition->shard().lock());
                if (partition->hooks.deleted) { continue; }
                TRY_VOID(partition->shard().fill_partition(guard, *partition, pass.scope.exact));
            }
            TRY_VOID(finish_rolled(*partition));
            if (pass.scope.exact) { TRY_VOID(cut_file(*partition)); }
            pass.touched.push_back({partition});
        }
        TRY_VOID(sync_partitions(std::span(pass.touched).subspan(begin), pass.scope.clean));
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
            auto seal = std::make_unique<SealBuilder>(partition.seal_place(segment->base));
            TRY_VOID(read_back(partition, *segment, 0, bytes, [&](Bytes part) { seal->update(part); }));
            segment->seal = std::move(seal);
        }
        Seal seal = segment->seal->finish(segment->lost_from.value_or(segment->end_offset), SealOrigin::append);
        if (partition.config().seal == SealKind::sha256) { TRY_VOID(chain_seal(partition, *file, seal)); }
        // A seal that survives names a file that does.
        const Named name[] = {{&partition, segment}};
        if (segment->names_unsynced && !mutated(Mutant::rolled_names)) { TRY_VOID(sync_names(name)); }
        TRY_VOID(write_seal(disk(), partition.identity().directory, seal));
        if (seal.chain) { TRY_VOID(forget_truncated_seals(partition)); }
        {
            Guard guard(partition.shard().lock());
            segment->index->close();
        }
        std::vector<std::shared_ptr<File>> files;
        TRY_VOID(flush_index(partition, *segment, files));
        TRY_VOID(sync_files(files));
        if (!mutated(Mutant::rolled_names)) { TRY_VOID(sync_names(name)); }
        TRY_VOID(know_closed_segments(partition));
        Guard guard(partition.shard().lock());
        partition.closed_segments.push_back(
            {segment->base, segment->end_offset, bytes, segment->index->timestamp_ms_max(), checkpoint_number_ + 1});
        partition.segments().erase(partition.segments().begin());
    }
}

Result<void> Store::chain_seal(Partition& partition, File& file, Seal& seal) {
    SealChain chain;
    TRY(chain.content, sha256_of_file(disk(), file, seal.bytes));
    // The one before may be of a segment that was trimmed: its seal is still there.
    const std::string& directory = partition.identity().directory;
    TRY(const auto last, last_seal_before(disk(), directory, seal.place.base));
    if (last) {
        const auto before = read_seal(disk(), directory, *last);
        if (before && before->chain) { chain.previous = before->head(); }
        // Damage there is for `segment verify` to name, and no reason to keep nothing more: the chain begins anew.
        if (!before && before.error().code != Code::corrupt) { return std::unexpected(before.error()); }
        if (!before) { log(fmt::format("the chain of seals begins anew: {}", before.error().message())); }
    }
    TRY(const auto truncated, truncated_seals(directory));
    for (const std::string& name : truncated) {
        TRY(const auto bytes, read_file(disk(), name, seal_file_bytes_max));
        const auto gone = decode_seal(bytes);
        if (!gone || !gone->chain) { continue; }
        std::ranges::copy(gone->chain->replaced, std::back_inserter(chain.replaced));
        chain.replaced.push_back(gone->head());
    }
    if (chain.replaced.size() > seal_replaced_max) {  // the oldest are forgotten
        chain.replaced.erase(chain.replaced.begin(), chain.replaced.end() - seal_replaced_max);
    }
    seal.chain = std::move(chain);
    return {};
}

// A seal that is there says what they said.
Result<void> Store::forget_truncated_seals(const Partition& partition) {
    TRY(const auto truncated, truncated_seals(partition.identity().directory));
    for (const std::string& name : truncated) { TRY_VOID(disk().remove(name)); }
    return {};
}

// All files of these together: no more are open for it than that. `complete`: whoever looks next may be Kafka.
Result<void> Store::sync_partitions(std::span<Touched> touched, bool complete) {
    TRY_VOID(in_time());
    std::vector<InFile> segments;
    for (Touched& one : touched) {
        // What is filled after this moment may not be synced.
        Partition& partition = *one.partition;
        Guard guard(partition.shard().lock());
        one.synced = partition.filled_from(0);
        // All that are open: the claim is about the first, which may be rolled and not yet filled to its end.
        for (const auto& segment : partition.segments()) {
            const bool in_file = segment->file || partition.filled_from(segment->begin) > segment->begin;
            if (in_file && segment->end.value_or(partition.closed().at) > segment->begin) {
                segments.emplace_back(&partition, segment.get(), std::exchange(segment->unsynced, false));
                if (complete) { segment->index->complete(); }
            }
        }
    }
    auto synced = sync_segments(segments);
    for (const InFile& one : segments) {
        Guard guard(one.partition->shard().lock());
        if (synced) {
            one.segment->index->synced();
        } else {
            one.segment->unsynced = one.segment->unsynced || one.unsynced;
        }
    }
    return synced;
}

// Of those that nothing was written to since only the index is looked at.
Result<void> Store::sync_segments(std::span<const InFile> segments) {
    std::vector<std::shared_ptr<File>> files;
    std::vector<Named> named;
    for (const auto [partition, segment, unsynced] : segments) {
        if (unsynced && !mutated(Mutant::segment_sync)) {
            TRY(auto file, segment_file(*partition, *segment));
            files.push_back(std::move(file));
        }
        TRY_VOID(flush_index(*partition, *segment, files));
        const bool names = segment->names_unsynced || segment->index->names_unsynced();
        if (names && !mutated(Mutant::segment_names)) { named.push_back({partition, segment}); }
    }
    TRY_VOID(sync_names(named));
    return sync_files(files);
}

Result<void> Store::sync_files(std::span<const std::shared_ptr<File>> files) {
    std::vector<Io> requests;
    requests.reserve(files.size());
    for (const auto& file : files) { requests.push_back({.kind = Io::Kind::sync, .file = file.get()}); }
    disk().run(requests);
    for (const Io& request : requests) {
        if (request.os_errno != 0) { return fail_sync(request.os_errno, "checkpoint.sync", request.file->path()); }
    }
    return {};
}

// Appending goes on meanwhile: what is written is a copy. Adds the files that are to be synced.
Result<void> Store::flush_index(Partition& partition, OpenSegment& segment, std::vector<std::shared_ptr<File>>& files) {
    Guard guard(partition.shard().lock());
    SegmentIndex copy = *segment.index;
    guard.unlock();
    TRY_VOID(copy.flush(disk()));
    TRY(auto unsynced, copy.unsynced_files(disk()));
    if (!mutated(Mutant::index_sync)) { std::ranges::move(unsynced, std::back_inserter(files)); }
    guard.lock();
    segment.index->forget_flushed(copy);
    return {};
}

// Idle fragments are repeated at the ring's head, so that its tail can pass them (JOURNAL 2.5): of partitions whose files
// hold durably all that is in front of it. What was filled since they were synced may be lost with the power.
Result<void> Store::carry_fragments(Shard& shard, uint64_t below, std::span<const Touched> touched) {
    Guard guard(shard.lock());
    bool any = false;
    for (const auto& [partition, synced] : touched) {
        const uint64_t filled = partition->filled_from(0);
        if (&partition->shard() != &shard || !partition->hooks.journaled || filled != synced) { continue; }
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
    if (!any) { return {}; }
    auto flushed = shard.flush(guard, false);
    if (flushed) { return {}; }
    // Those that found no room are taken back: committed behind an exact claim, they would make it look as if the ring held
    // the block that the next batch goes on in, until a later checkpoint lets go of them.
    for (const Touched& one : touched) {
        const bool here = &one.partition->shard() == &shard && !one.partition->carry_queued;
        if (here) { shard.take_back(*one.partition, EntryKind::carry); }
    }
    return flushed;
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

// One that somebody began and left is given up: what it brought to files stays there, and no slot speaks of it yet.
Result<void> Store::checkpoint_locked(CheckpointScope scope) {
    pass_.reset();
    auto done = checkpoint_steps(scope);
    // The fragments did not fit into what is left of the ring: exact files need none of it.
    if (!done && done.error().code == Code::busy && !scope.exact) {
        scope.exact = true;
        done = checkpoint_steps(scope);
    }
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
    // Whoever closes waits for the others to end what they are at.
    const bool in_the_way = stopping_ && !alone_;
    if (in_the_way || time_left() == 0) { return fail(Code::timed_out, "log.close", path()); }
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
    TRY(auto pass, begin_checkpoint(scope));
    TRY_VOID(go_on(pass, pass.partitions.size()));
    return end_checkpoint(pass);
}

// All are in their files: the slot says so, and the ring is given back what it need not hold any more.
Result<void> Store::end_checkpoint(CheckpointPass& pass) {
    const CheckpointScope& scope = pass.scope;
    std::vector<Touched>& touched = pass.touched;
    std::vector<uint64_t>& first_needed = pass.first_needed;
    if (!scope.exact && scope.only == nullptr) {
        for (size_t i = 0; i < shards_.size(); ++i) {
            TRY_VOID(carry_fragments(*shards_[i], first_needed[i], touched));
        }
    }

    std::vector<RingCheckpoint> rings;
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
    TRY(bool tight, put_slot(slot, first_needed));
    if (tight) {
        ++slot.number;
        TRY(tight, put_slot(slot, first_needed));
    }
    for (size_t i = 0; scope.only == nullptr && i < shards_.size(); ++i) {
        Guard guard(shards_[i]->lock());
        shards_[i]->note_checkpoint(pass.direct_at[i]);
    }
    close_idle_files(touched, scope.exact);
    return {};
}

// Either slot may be the one that survives: the older one's need counts. True when that keeps a ring more than half full
// that would not be if both said the same.
Result<bool> Store::put_slot(const Checkpoint& slot, std::span<const uint64_t> first_needed) {
    TRY_VOID(in_time());
    TRY_VOID(write_checkpoint(disk(), path(), slot));
    checkpoint_number_ = slot.number;
    bool tight = false;
    for (size_t i = 0; i < shards_.size(); ++i) {
        Guard guard(shards_[i]->lock());
        Journal& journal = shards_[i]->journal();
        const uint64_t both = std::min(first_needed[i], last_first_needed_[i]);
        journal.release(mutated(Mutant::older_slot) ? first_needed[i] : both);
        tight = tight || (both < first_needed[i] && journal.bytes_used() * 2 > journal.bytes());
        last_first_needed_[i] = first_needed[i];
    }
    return tight;
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
            partition.shard().shrink(partition);
        }
    }
}

// After an exact fill the last block ends in zeros; the file ends with its last batch.
Result<void> Store::cut_file(Partition& partition) {
    TRY_VOID(in_time());
    // Its writes are exact; only recovery fills what needs a cut.
    if (partition.durability() == Durability::written && !alone_) { return {}; }
    if (partition.lost && partition.lost->commit == 0) { return {}; }  // bytes that somebody may still make sense of
    Shard& shard = partition.shard();
    Guard guard(shard.lock());
    shard.hold_file(guard, partition);  // a commit or fill that makes it longer waits
    OpenSegment& active = partition.active();
    std::shared_ptr<File> file = active.file;
    if (!file && active.padded) {  // closed, to make room for another
        guard.unlock();
        auto opened = segment_file(partition, active);
        guard.lock();
        if (!opened) {
            shard.release_file(partition);
            return std::unexpected(opened.error());
        }
        file = std::move(*opened);
    }
    Result<void> cut;
    if (file && partition.filled_from(0) == partition.visible().at && partition.closed().at == partition.visible().at) {
        const uint64_t bytes = partition.visible().at - active.begin;
        guard.unlock();
        cut = disk().truncate(*file, bytes);
        guard.lock();
        active.unsynced = true;
        if (cut) { active.padded = false; }
    }
    shard.release_file(partition);
    return cut;
}

// What was told at the level `memory` and no journal holds.
Result<void> Store::fill_unjournaled(std::span<Partition* const> partitions) {
    std::vector<Partition*> unjournaled;
    for (Partition* partition : partitions) {
        Guard guard(partition->shard().lock());
        if (partition->hooks.deleted || partition->durability() != Durability::memory) { continue; }
        partition->close_batch(engine_.pool);
        if (partition->closed().at > 0) { unjournaled.push_back(partition); }
    }
    for (size_t i = 0; i < unjournaled.size(); ++i) {
        if (i % partitions_at_once == 0) {
            TRY_VOID(make_directories(
                std::span(unjournaled).subspan(i).first(std::min(partitions_at_once, unjournaled.size() - i))));
        }
        Guard guard(unjournaled[i]->shard().lock());
        TRY_VOID(unjournaled[i]->shard().fill_partition(guard, *unjournaled[i], /*exact=*/true));
    }
    return {};
}

// Everything into files that Kafka can read, and both slots to say so.
Result<void> Store::close_files(std::span<Partition* const> partitions) {
    for (Partition* partition : partitions) { TRY_VOID(end_swap(*partition)); }
    TRY_VOID(checkpoint({.exact = true}));
    for (Partition* partition : partitions) {
        TRY_VOID(in_time());
        if (partition->hooks.deleted) { continue; }
        if (partition->hooks.needs_epoch && !partition->hooks.epochs_unwritten) { continue; }
        if (partition->closed().offset == Offset{0}) { continue; }  // nothing was appended: it has no directory
        TRY_VOID(write_kafka_partition_files(*partition));
        partition->hooks.epochs_unwritten = false;
    }
    TRY_VOID(write_kafka_root_files());
    // Both slots say the same then: neither needs the ring.
    TRY_VOID(checkpoint({.exact = true, .clean = true}));
    // A growth that is still at it leaves a file that the next opening takes up.
    std::unique_lock growth(growth_lock_, std::defer_lock);
    const bool alone = growth.try_lock_for(std::chrono::nanoseconds(time_left()));
    for (auto& shard : shards_) {
        if (alone) { TRY_VOID(shard->journal().abandon_growth()); }
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
    stop_sharing();
    stop_threads();
    while (const uint32_t running = threads_running_.load()) {
        const int64_t left = time_left();
        if (left == 0) { break; }
        sleep_while(threads_running_, running, left);
    }
    const bool ended = threads_running_.load() == 0;
    if (result && !ended) { result = fail(Code::timed_out, "log.close", path()); }
    // Another thread's maintenance ends soon: it looks at stopping_.
    std::unique_lock maintenance(maintain_lock_, std::defer_lock);
    if (result && !maintenance.try_lock_for(std::chrono::nanoseconds(time_left()))) {
        result = fail(Code::timed_out, "log.close", path());
    }
    {
        std::unique_lock checkpoint(checkpoint_lock_, std::defer_lock);
        if (result && !checkpoint.try_lock_for(std::chrono::nanoseconds(time_left()))) {
            result = fail(Code::timed_out, "log.close", path());
        }
    }
    alone_ = ended;
    if (result) { result = fill_unjournaled(partitions); }
    if (result) {
        result = close_files(partitions);
        if (!result && result.error().code == Code::timed_out) {
            log("closed in time, with records in the journal that the next opening brings to their segments");
            result = {};
        }
    }
    // After another error a call to the disk may still be under way: the directory stays ours until the destructor.
    if (result) { directory_lock_.reset(); }
    return result;
}

}  // namespace flowstone
