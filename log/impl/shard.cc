#include "log/impl/shard.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/limits.h"
#include "storage/mutants.h"
#include "storage/try.h"

namespace flowstone {

namespace {

Error deleted_error(const Partition& partition) {
    return fail(Code::not_found, "topic", fmt::format("topic {} was deleted", partition.identity().topic)).error();
}

}  // namespace

Shard::Shard(Engine& engine, uint32_t number, std::unique_ptr<Journal> journal)
    : engine_(engine), number_(number), journal_(std::move(journal)) {
    engine_.shards.push_back(this);
}

// --- from the partitions -----------------------------------------------------------------------------------------------

void Shard::queue(const Range& range) {
    Partition& partition = *range.partition;
    if (range.kind == EntryKind::batches) { note_dirty(partition, range.end - range.begin); }
    const bool shape =
        range.kind == EntryKind::trim || range.kind == EntryKind::truncate || range.kind == EntryKind::swap;
    if (partition.durability() == Durability::memory && !shape && range.kind != EntryKind::carry) {
        if (range.kind == EntryKind::roll) { partition.segment_of(range.begin).rolled = true; }
        if (range.kind == EntryKind::batches) { stream(partition, range.end - range.begin); }
        if (range.kind == EntryKind::batches && partition.carry_due_at(range.begin) && !partition.carry_queued) {
            partition.carry_queued = true;
            const Mark& end = partition.carry_end();
            queue_.push_back({&partition, EntryKind::carry, partition.carry_begin(), end.at, end.offset, end.offset,
                              partition.epoch(), 0});
            queued_bytes_ += end.at - partition.carry_begin();
        }
        partition.set_visible({range.end, range.next_offset});  // the appended end is what readers are promised
        return;
    }
    queue_.push_back(range);
    queue_.back().number = ++ranges_queued_;
    queued_bytes_ += range.end - range.begin;
}

void Shard::note_dirty(Partition& partition, uint64_t bytes) {
    dirty_bytes_ += bytes;
    if (partition.hooks.in_dirty_list) { return; }
    partition.hooks.in_dirty_list = true;
    dirty_.push_back(&partition);
}

void Shard::note_unfilled(Partition& partition) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < partition.chunks().size(); ++i) {
        const uint64_t end = partition.duty_end(i);
        bytes += end - std::min(end, partition.chunks()[i].filled);
    }
    if (bytes == 0) { return; }
    note_dirty(partition, bytes);
    recovered_bytes_ += bytes;
}

// What is appended to a `memory` topic goes to its file as soon as there is a large piece of it: the memory is used again
// while it is still in the processor's caches.
void Shard::stream(Partition& partition, uint64_t bytes) {
    partition.hooks.unfilled_bytes += bytes;
    if (partition.hooks.in_stream_list || partition.hooks.unfilled_bytes < stream_piece_bytes) { return; }
    partition.hooks.in_stream_list = true;
    streaming_.push_back(&partition);
}

bool Shard::take_back(Partition& partition, EntryKind kind) {
    return std::erase_if(queue_,
                         [&](const Range& range) { return range.partition == &partition && range.kind == kind; }) > 0;
}

void Shard::note_open(Partition& partition) {
    // Nobody waits for a `memory` topic: its open batch is closed when it is full, or when a reader takes it.
    const bool idle = partition.durability() == Durability::memory && !partition.carry_due();
    if (partition.hooks.in_open_list || idle) { return; }
    partition.hooks.in_open_list = true;
    open_.push_back(&partition);
}

void Shard::note_chunk(Partition& partition, const Chunk& chunk) {
    tail_bytes_ += chunk.buffer->capacity();
    tail_bytes_ever_ += chunk.buffer->capacity();
    if (partition.chunks().size() == 1) { ++partitions_with_chunks_; }
    tail_.emplace_back(&partition, chunk.begin);
    trim_tail();
}

size_t Shard::chunk_bytes_limit() const {
    // With many partitions a chunk is a small share of the budget: the size of a fill is budget / partitions.
    const uint64_t share = engine_.options.dirty_bytes_max / (2 * std::max<size_t>(partitions_with_chunks_, 1));
    for (size_t bytes = chunk_bytes_max; bytes > chunk_bytes_min; bytes /= 4) {
        if (bytes <= share) { return bytes; }
    }
    return chunk_bytes_min;
}

void Shard::shrink(Partition& partition) {
    const size_t least = std::max<size_t>(engine_.block_bytes, chunk_bytes_first);
    auto& chunks = partition.chunks();
    if (chunks.size() != 1 || chunks.front().buffer->capacity() <= least) { return; }
    if (chunks.front().end != partition.closed().at) { return; }
    if (chunks.front().filled < align_down(chunks.front().end, engine_.block_bytes)) { return; }
    const uint64_t begin = chunks.front().begin;
    tail_bytes_ -= chunks.front().buffer->capacity();
    partition.keep_unfinished_block(engine_.pool);
    tail_bytes_ += chunks.front().buffer->capacity();
    if (chunks.front().begin == begin) { return; }
    tail_.emplace_back(&partition, chunks.front().begin);
    if (++tail_moved_ * 2 < tail_.size()) { return; }
    tail_moved_ = 0;
    std::erase_if(tail_, [](const auto& one) {
        return std::ranges::find(one.first->chunks(), one.second, &Chunk::begin) == one.first->chunks().end();
    });
}

// Lets go of the oldest chunks that the file has whole, beyond the budget for readers. One that is not filled yet, or that
// its partition is still writing to, goes to the back: an idle partition's must not keep everybody else's.
void Shard::trim_tail() {
    constexpr size_t looks_max = 16;
    const bool read_lately = tail_read_at_ && tail_bytes_ever_ - *tail_read_at_ <= engine_.options.tail_bytes_max;
    const uint64_t keep = std::min(engine_.options.tail_bytes_max, read_lately ? UINT64_MAX : tail_bytes_unread);
    for (size_t look = 0; look < looks_max && tail_bytes_ > keep && !tail_.empty(); ++look) {
        const auto [partition, begin] = tail_.front();
        tail_.pop_front();
        auto& chunks = partition->chunks();
        const auto chunk = std::ranges::find(chunks, begin, &Chunk::begin);
        if (chunk == chunks.end()) { continue; }
        // Oldest first: a chunk knows by the one behind it where its own duty ends.
        const bool oldest = chunk == chunks.begin();
        if (!oldest || chunks.size() == 1 || chunk->filled < partition->duty_end(0)) {
            tail_.emplace_back(partition, begin);
            continue;
        }
        tail_bytes_ -= chunk->buffer->capacity();
        chunks.erase(chunk);
    }
}

void Shard::note_journaled(Partition& partition) {
    if (partition.hooks.journaled) { return; }
    partition.hooks.journaled = true;
    journaled_.push_back(&partition);
}

void Shard::forget_journaled(const std::function<bool(Partition&)>& done) {
    std::erase_if(journaled_, [&](Partition* partition) {
        partition->hooks.journaled = !done(*partition);
        return !partition->hooks.journaled;
    });
}

void Shard::hold_appends(bool held) {
    Guard guard(lock_);
    holders_ += held ? 1 : UINT32_MAX;  // minus one
    fill_word_.fetch_add(1);
    wake_all(fill_word_);
}

void Shard::go_offline(const Error& error) {
    {
        const std::lock_guard one(engine_.failure_lock);
        if (engine_.failed.load(std::memory_order_acquire)) { return; }
        engine_.failure = error;
        engine_.failure->code = Code::offline;
        engine_.failed.store(true, std::memory_order_release);
    }
    // Under each one's lock: who has just asked and not yet fallen asleep must not miss it. Nobody else holds two of these
    // locks, and only the first failure comes here.
    for (Shard* shard : engine_.shards) {
        Guard other(shard->lock_, std::defer_lock);
        if (shard != this) { other.lock(); }
        shard->wake_everybody();
    }
    engine_.note_failure();
}

void Shard::wake_everybody() {
    commits_.wake_everybody();
    fill_word_.fetch_add(1);
    wake_all(fill_word_);
}

const std::optional<Error>& Shard::failure() const {
    static const std::optional<Error> none;
    return engine_.failed.load(std::memory_order_acquire) ? engine_.failure : none;
}

void Shard::shut() {
    shut_ = true;
    wake_everybody();
}

Error Shard::closed_error() const { return fail(Code::closed, "log", engine_.directory).error(); }

// --- time, which only closing limits ------------------------------------------------------------------------------------

int64_t Shard::time_left() const {
    const int64_t deadline = engine_.deadline_ns.load(std::memory_order_relaxed);
    return deadline == INT64_MAX ? -1 : std::max<int64_t>(deadline - engine_.clock.monotonic_ns(), 0);
}

Result<void> Shard::in_time() const {
    if (time_left() == 0) { return fail(Code::timed_out, "log.close", engine_.directory); }
    return {};
}

// --- appending -----------------------------------------------------------------------------------------------------------

Result<void> Shard::wait_for_room(Guard& guard, const Partition* partition) {
    const auto refuse = [](const Error& error) { return std::unexpected(error.with_fate(Fate::not_appended)); };
    for (;;) {
        if (failure()) { return refuse(*failure()); }
        if (shut_) { return refuse(closed_error()); }
        if (partition != nullptr && partition->hooks.deleted) { return refuse(deleted_error(*partition)); }
        if (partition != nullptr && partition->lost) { return refuse(partition->lost_error("topic.append")); }
        if (no_space_) {
            if (auto room = try_for_space(guard, partition); !room) { return refuse(room.error()); }
            continue;
        }
        if (holders_ > 0) {
            wait_on(guard, fill_word_);
            continue;
        }
        if (admits(partition)) { return {}; }
        if (commit_due() && !commits_.taken()) {
            if (auto done = commit(guard); !done) { return refuse(done.error()); }
            continue;
        }
        if (!filling_) {
            auto filled = fill(guard);
            if (!filled) { return refuse(filled.error()); }
            if (*filled) { continue; }
        }
        if (filling_) {
            wait_on(guard, fill_word_);
        } else if (commits_.taken()) {
            commits_.wait_for_this(guard);
        } else {
            return {};  // what is left are unfinished blocks, which only grow by more records
        }
    }
}

// Whether there is room again: what could not be written is tried once more. What others who are at it find out may be
// older than this call.
Result<void> Shard::try_for_space(Guard& guard, const Partition* partition) {
    while (filling_ || commits_.taken()) {
        if (filling_) {
            wait_on(guard, fill_word_);
        } else {
            commits_.wait_for_this(guard);
        }
    }
    if (!no_space_) { return {}; }
    Result<void> tried = std::unexpected(*no_space_);
    if (commit_due()) {
        const auto done = commit(guard);
        tried = done ? Result<void>{} : std::unexpected(done.error());
    } else {
        const auto done = fill(guard);
        tried = done ? Result<void>{} : std::unexpected(done.error());
    }
    if (tried || (tried.error().code == Code::no_space && give_up_reserve(guard, partition))) {
        room_again();
        return {};
    }
    return tried;
}

bool Shard::give_up_reserve(Guard& guard, const Partition* partition) {
    if (partition == nullptr || !partition->identity().internal || !engine_.give_up_reserve) { return false; }
    guard.unlock();
    const bool freed = engine_.give_up_reserve();
    guard.lock();
    return freed;
}

// They fell asleep when there was nothing to wait for.
void Shard::call_readers(Partition& partition) {
    if (partition.hooks.readers_waiting == 0) { return; }
    if (partition.durability() == Durability::memory) { partition.close_batch(engine_.pool); }
    if (has_committer_ || partition.hooks.readers_called) { return; }
    partition.hooks.readers_called = true;
    partition.wake_readers();
}

void Shard::work_behind_append(Guard& guard, Partition& partition) {
    call_readers(partition);
    if (has_committer_) {
        if (commit_due()) { wake_committer(); }
        if (fill_wanted()) { wake_filler(); }
        return;
    }
    if (queued_bytes_ >= commit_bytes_max && !commits_.taken() && !failure()) { (void)commit(guard); }
    if (fill_wanted() && !filling_ && !failure()) { (void)fill(guard); }
}

// --- waiting ---------------------------------------------------------------------------------------------------------------

void Shard::wait_on(Guard& guard, std::atomic<uint32_t>& word) { ThreadWorld::sleep(guard, word, -1); }

Result<void> Shard::wait_visible(Guard& guard, Partition& partition, Offset next) {
    auto waited = wait_for(guard, partition, next);
    if (waited || waited.error().code != Code::no_space || !give_up_reserve(guard, &partition)) { return waited; }
    room_again();
    return wait_for(guard, partition, next);
}

Result<void> Shard::wait_for(Guard& guard, Partition& partition, Offset next) {
    const auto lost = [](const Error& error) { return std::unexpected(error.with_fate(Fate::unknown_until_reopen)); };
    const auto done = [&]() -> Result<bool> {
        if (partition.visible().offset >= next) { return true; }
        if (next > partition.next_offset()) {
            return fail(Code::invalid, "log.wait",
                        fmt::format("nothing was appended to {}-{} at offset {} yet", partition.identity().topic,
                                    partition.identity().number, next.value - 1));
        }
        if (mutated(Mutant::answer_early)) { return true; }
        if (partition.durability() == Durability::memory) { return true; }  // appended is all it promises
        if (failure()) { return lost(*failure()); }
        if (partition.hooks.deleted) { return lost(deleted_error(partition)); }
        if (has_committer_ && commit_refused_ && !commits_.taken()) { return lost(*no_space_); }
        const bool served_still = commit_due() || commits_.taken();
        if (shut_ && (!served_still || time_left() == 0)) { return lost(closed_error()); }
        return false;
    };
    const auto carried = [&] { return partition.hooks.committing_to >= static_cast<uint64_t>(next.value); };
    const auto work = [&]() -> Result<void> {
        if (has_committer_) {
            wake_committer();
            commits_.wait_for_this(guard);
        } else if (auto did = commit(guard); !did) {
            return lost(did.error());
        }
        return {};
    };
    return commits_.until(guard, done, carried, work);
}

Result<void> Shard::flush(Guard& guard, bool relieve) {
    close_open_batches();
    const uint64_t last = ranges_queued_;  // what others append meanwhile is not waited for
    for (;;) {
        const bool queued = !queue_.empty() && queue_.front().number <= last;
        const bool in_flight = commits_.taken() && commit_first_range_ <= last;
        if (!queued && !in_flight) { return {}; }
        if (failure()) { return std::unexpected(failure()->with_fate(Fate::unknown_until_reopen)); }
        TRY_VOID(in_time());
        if (commits_.taken()) {
            commits_.wait_for_this(guard, time_left());
            continue;
        }
        TRY(const bool room, commit(guard, relieve));
        if (!room) { return fail(Code::busy, "log.flush", "the journal is full"); }
    }
}

// --- committing --------------------------------------------------------------------------------------------------------------

void Shard::close_open_batches() {
    for (Partition* partition : open_) {
        partition->hooks.in_open_list = false;
        partition->close_batch(engine_.pool);
    }
    open_.clear();
}

Result<bool> Shard::commit(Guard& guard, bool relieve) {
    if (failure()) { return std::unexpected(*failure()); }
    commits_.take();
    Plan now;
    bool room = plan(now);
    while (room && now.blocked) {
        wait_on(guard, fill_word_);
        now = {};
        room = plan(now);
    }
    Result<void> result;
    if (room) {
        guard.unlock();
        const int64_t begin_ns = engine_.clock.monotonic_ns();
        result = perform(now);
        if (result && now.journaled) {
            engine_.note_commit(now.commit.size(), engine_.clock.monotonic_ns() - begin_ns);
        }
        guard.lock();
        end_writing(now);
        // Whatever failed meanwhile, nothing is acknowledged after it (JOURNAL 5.1).
        if (failure()) { result = std::unexpected(*failure()); }
        if (result) {
            room_again();
            publish(now);
        } else if (result.error().code == Code::no_space) {
            // Only a direct write can meet a full disk, before the journal speaks of it: the records stay queued.
            for (const Range& range : now.taken) { queued_bytes_ += range.end - range.begin; }
            queue_.insert(queue_.begin(), now.taken.begin(), now.taken.end());
            no_space_ = result.error();
            commit_refused_ = true;
        } else {
            go_offline(result.error());
        }
    }
    commit_first_range_ = UINT64_MAX;
    commits_.leave(commit_due() || !room);
    if (!result) { return std::unexpected(result.error()); }
    if (!relieve || (room && journal_->bytes_used() * 2 <= journal_->bytes())) { return room; }
    guard.unlock();
    result = relieve_ring(!room);
    guard.lock();
    if (!result && result.error().code == Code::no_space) {
        no_space_ = result.error();
        commit_refused_ = true;
    }
    if (!result) { return std::unexpected(result.error()); }
    return true;
}

void Shard::end_writing(const Plan& now) {
    for (const Run& run : now.runs) {
        run.range.partition->hooks.writing = false;
        run.range.partition->hooks.committing_to = 0;
    }
}

Result<void> Shard::commit_if_free(Guard& guard) {
    if (!commits_.taken()) {
        TRY_VOID(commit(guard));
        return {};
    }
    commits_.wait_for_this(guard);
    return {};
}

// --- a thread of its own -----------------------------------------------------------------------------------------------------

void Shard::run_committer(const std::atomic<bool>& stop) {
    Guard guard(lock_);
    while (!stop) {
        if (commits_.taken()) {  // by a flush
            commits_.wait_for_this(guard);
            continue;
        }
        // A full disk makes a commit fail at once, and the next: then it waits for somebody to ask again.
        if (!failure() && commit_due() && commit(guard)) { continue; }
        committer_asleep_ = true;
        wait_on(guard, committer_word_);
        committer_asleep_ = false;
    }
}

void Shard::set_committer(bool present) {
    has_committer_ = present;
    if (!present) { commits_.wake_everybody(); }
}

void Shard::wake_committer() {
    if (!committer_asleep_) { return; }
    committer_asleep_ = false;
    committer_word_.fetch_add(1);
    wake_one(committer_word_);
}

void Shard::forget_chunks(Partition& partition, uint64_t from) {
    std::erase_if(tail_, [&](const auto& chunk) { return chunk.first == &partition && chunk.second >= from; });
    std::erase_if(partition.chunks(), [&](const Chunk& chunk) {
        if (chunk.begin < from) { return false; }
        tail_bytes_ -= chunk.buffer->capacity();
        return true;
    });
}

void Shard::drop(Guard& guard, Partition& partition) {
    partition.hooks.deleted = true;
    while (commits_.taken() || filling_ || partition.hooks.filling) {
        if (commits_.taken()) {
            commits_.wait_for_this(guard);
        } else {
            wait_on(guard, fill_word_);
        }
    }
    partition.close_batch(engine_.pool);
    std::erase_if(queue_, [&](const Range& range) {
        if (range.partition != &partition) { return false; }
        queued_bytes_ -= range.end - range.begin;
        return true;
    });
    std::erase(open_, &partition);
    std::erase(journaled_, &partition);
    partition.hooks.journaled = false;
    std::erase(dirty_, &partition);
    std::erase(streaming_, &partition);
    std::erase_if(tail_, [&](const auto& chunk) { return chunk.first == &partition; });
    for (const Chunk& chunk : partition.chunks()) {
        tail_bytes_ -= chunk.buffer->capacity();
        dirty_bytes_ -= std::min(dirty_bytes_, chunk.end - std::min(chunk.end, chunk.filled));
    }
    partition.chunks().clear();
    commits_.wake_everybody();
    partition.wake_readers();
}

size_t Shard::cost(const Run& run) const {
    size_t bytes = 0;
    const uint64_t payload =
        run.direct ? direct_payload_bytes + (run.range.end - run.direct_end) : run.range.end - run.range.begin;
    if (run.range.kind == EntryKind::batches) { bytes += CommitWriter::entry_bytes(payload); }
    if (run.range.kind == EntryKind::carry) { bytes += CommitWriter::entry_bytes(run.range.end - run.range.begin); }
    if (run.range.kind != EntryKind::batches && run.range.kind != EntryKind::carry) {
        const bool swap = run.range.kind == EntryKind::swap;
        bytes += CommitWriter::entry_bytes(swap ? run.range.partition->swap_text.size() : 0);
    }
    if (run.carry) { bytes += CommitWriter::entry_bytes(run.range.begin - run.carry_begin); }
    return bytes;
}

// Takes ranges from the front of the queue while they fit into one commit; groups whole or not at all.
void Shard::plan_runs(Plan& out) {
    const size_t budget = commit_bytes_max - commit_header_bytes - prior_places_.size() * commit_place_bytes;
    size_t total = 0;
    size_t taken = 0;
    while (taken < queue_.size()) {
        size_t count = 1;
        size_t bytes = 0;
        const uint32_t group = queue_[taken].group;
        while (group != 0 && taken + count < queue_.size() && queue_[taken + count].group == group) { ++count; }
        for (size_t i = taken; i < taken + count; ++i) {
            uint64_t size = queue_[i].kind == EntryKind::roll ? 0 : queue_[i].end - queue_[i].begin;
            if (queue_[i].kind == EntryKind::swap) { size = queue_[i].partition->swap_text.size(); }
            if (queue_[i].kind == EntryKind::carry) { size = engine_.block_bytes; }
            bytes += CommitWriter::entry_bytes(size) +
                     (queue_[i].partition->carry_due() ? CommitWriter::entry_bytes(engine_.block_bytes) : 0);
        }
        if (taken > 0 && total + bytes > budget) { break; }
        total += bytes;
        for (size_t i = taken; i < taken + count; ++i) {
            const Range& range = queue_[i];
            Run* before = nullptr;
            for (auto run = out.runs.rbegin(); run != out.runs.rend(); ++run) {
                if (run->range.partition == range.partition) {
                    before = &*run;
                    break;
                }
                if (run - out.runs.rbegin() > 16) { break; }  // with many partitions a run rarely has a second range
            }
            if (before != nullptr && before->range.kind == EntryKind::batches && range.kind == EntryKind::batches &&
                before->range.end == range.begin) {
                before->range.end = range.end;
                before->grouped = before->grouped || group != 0;
                before->range.next_offset = range.next_offset;
            } else {
                out.runs.push_back({.range = range, .grouped = group != 0});
            }
        }
        taken += count;
    }
    out.ranges = taken;
}

// Large writes go to the segment once and leave only place and sum in the journal (JOURNAL 2.3).
void Shard::plan_direct(Run& run) {
    Partition& partition = *run.range.partition;
    // A direct write whose commit never came is kept by the next opening, without the rest of its group.
    if (run.grouped || run.range.kind != EntryKind::batches || partition.durability() != Durability::durable ||
        partition.carry_due_at(run.range.begin) || partition.hooks.filling) {
        return;
    }
    const bool oversize = CommitWriter::entry_bytes(run.range.end - run.range.begin) > commit_bytes_max / 2;
    const OpenSegment& segment = partition.segment_of(run.range.begin);
    const uint64_t filled = partition.filled_from(segment.begin);
    if (filled > run.range.begin || (run.range.begin - filled > direct_backlog_bytes_max && !oversize)) { return; }
    const uint64_t begin = align_down(filled, engine_.block_bytes);
    const uint64_t end = align_down(run.range.end, engine_.block_bytes);
    if (end <= run.range.begin || (end - begin < engine_.direct_bytes_min && !oversize)) { return; }
    run.direct = true;
    run.sync_first = segment.unsynced;
    run.direct_begin = begin;
    run.direct_end = end;
}

// A fragment is repeated as it is now, in front of what its partition commits with it: replay meets the bytes in their
// order, and no commit before this one is needed for what no file has. One that was completed since it was queued is not
// repeated; where it is not filled yet, its commits stay needed.
void Shard::plan_carries(Plan& out) {
    const auto is_carry = [](const Run& run) { return run.range.kind == EntryKind::carry; };
    if (std::ranges::none_of(out.runs, is_carry)) { return; }
    std::erase_if(out.runs, [&](const Run& run) {
        const Partition& partition = *run.range.partition;
        if (run.range.kind != EntryKind::carry || partition.carry_queued) { return false; }
        const uint64_t end = run.range.begin + engine_.block_bytes;
        return partition.filled_from(0) >= end || partition.visible().at > end;
    });
    for (Run& run : out.runs) {
        if (run.range.kind != EntryKind::carry || run.range.partition->carry_queued) { continue; }
        const Mark& visible = run.range.partition->visible();
        run.range.end = visible.at;
        run.range.base_offset = run.range.next_offset = visible.offset;
    }
    std::vector<Run> in_order;
    std::ranges::copy_if(out.runs, std::back_inserter(in_order), is_carry);
    std::ranges::copy_if(out.runs, std::back_inserter(in_order), std::not_fn(is_carry));
    out.runs = std::move(in_order);
}

bool Shard::plan(Plan& out) {
    if (queued_bytes_ < commit_bytes_max) { close_open_batches(); }
    plan_runs(out);
    size_t bytes = commit_header_bytes + prior_places_.size() * commit_place_bytes;
    plan_carries(out);
    for (Run& run : out.runs) {
        Partition& partition = *run.range.partition;
        run.level = partition.durability();
        run.segment = &partition.segment_of(run.range.begin);
        run.position = run.segment->in_file(run.range.begin);
        const bool durable = run.level == Durability::durable;
        plan_direct(run);
        // Bytes of a `written` topic go to its file now.
        if (run.level == Durability::written && run.range.kind == EntryKind::batches && partition.hooks.filling) {
            out.blocked = true;
            return true;
        }
        if (run.range.kind == EntryKind::batches && partition.carry_due_at(run.range.begin)) {
            run.carry = true;
            run.carry_begin = align_down(run.range.begin, engine_.block_bytes);
        }
        const bool bytes_run = run.range.kind == EntryKind::batches || run.range.kind == EntryKind::carry;
        const bool shape = !bytes_run && (durable || run.range.kind != EntryKind::roll);
        if (!shape && !(bytes_run && (durable || run.range.kind == EntryKind::carry)) && !run.carry) { continue; }
        out.journaled = true;
        bytes += durable || run.range.kind != EntryKind::batches
                     ? cost(run)
                     : CommitWriter::entry_bytes(run.range.begin - run.carry_begin);
    }
    if (bytes > commit_bytes_max) {
        // One batch that only a direct write can carry, but whose block the journal must hold first: the carry alone.
        CHECK(out.runs.size() == 1 && (out.runs[0].carry || out.runs[0].range.partition->hooks.filling));
        out.ranges = 0;
        Run& run = out.runs[0];
        if (!run.carry) {
            out.blocked = true;
            return true;
        }
        run.position = run.segment->in_file(run.carry_begin);
        run.range.kind = EntryKind::carry;
        run.range.end = run.range.begin;
        run.range.begin = run.carry_begin;
        run.range.next_offset = run.range.base_offset;
        run.carry = false;
        bytes = commit_header_bytes + prior_places_.size() * commit_place_bytes + cost(run);
    }
    if (out.journaled) {
        out.place = journal_->take(bytes);
        if (!out.place) { return false; }
    }
    out.journal_bytes = bytes;
    for (Run& run : out.runs) {
        Partition& partition = *run.range.partition;
        if (run.range.kind == EntryKind::batches || run.range.kind == EntryKind::carry) {
            partition.pieces(run.range.begin, run.range.end, Partition::Cut::batches, run.pieces, out.pins);
        }
        if (run.range.kind == EntryKind::swap) { run.pieces.push_back(as_bytes(partition.swap_text)); }
        if (run.carry) {
            partition.pieces(run.carry_begin, run.range.begin, Partition::Cut::batches, run.carry_pieces, out.pins);
        }
        if (run.direct) {
            partition.pieces(run.direct_begin, run.direct_end, Partition::Cut::blocks, run.direct_pieces, out.pins);
        }
        // Never less than it carries: who believes to be carried by the next commit sleeps until there is one.
        partition.hooks.committing_to =
            std::max(partition.hooks.committing_to, static_cast<uint64_t>(run.range.next_offset.value));
        if (run.direct || run.level == Durability::written) { partition.hooks.writing = true; }
    }
    if (out.ranges > 0) { commit_first_range_ = queue_.front().number; }
    for (size_t i = 0; i < out.ranges; ++i) {
        queued_bytes_ -= queue_.front().end - queue_.front().begin;
        out.taken.push_back(queue_.front());
        queue_.pop_front();
    }
    return true;
}

Result<void> Shard::perform(Plan& now) {
    TRY_VOID(write_segments(now, true));
    if (now.journaled) { TRY_VOID(write_commit(now)); }
    // Last, because they may write a block again that the journal has to hold first.
    return write_segments(now, false);
}

// What must be in the segments before the journal may speak of it (`direct`), or the writes of `written` topics.
Result<void> Shard::write_segments(Plan& now, bool direct) {
    std::vector<Write> writes;
    for (Run& run : now.runs) {
        Partition& partition = *run.range.partition;
        if (run.range.kind != EntryKind::batches) { continue; }
        if (direct ? !run.direct : run.level != Durability::written) { continue; }
        const uint64_t begin = run.direct ? run.direct_begin : run.range.begin;
        const uint64_t end = run.direct ? run.direct_end : run.range.end;
        Write write{run.segment, &partition, begin, end, {}, run.direct};
        for (const Bytes& piece : run.direct ? run.direct_pieces : run.pieces) {
            write.pieces.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
        }
        writes.push_back(std::move(write));
    }
    if (writes.empty()) { return {}; }
    for (size_t begin = 0; begin < writes.size(); begin += files_at_once) {
        TRY_VOID(run_writes(std::span(writes).subspan(begin, std::min(files_at_once, writes.size() - begin))));
    }
    // Replay of a direct write takes all before it from the file: what a fill brought there must be as durable.
    for (const Run& run : now.runs) {
        if (!direct || !run.sync_first || mutated(Mutant::direct_fill_sync)) { continue; }
        TRY(const auto file, engine_.segment_file(*run.range.partition, *run.segment));
        TRY_VOID(sync(engine_.disk, *file));
    }
    // The journal is about to speak of these files: their names must be as durable as their bytes.
    for (const Write& write : writes) {
        if (direct && write.segment->names_unsynced && !mutated(Mutant::direct_names)) {
            TRY_VOID(engine_.sync_names(*write.partition, *write.segment));
        }
    }
    return {};
}

// Space ahead in growing steps, so that a large file lies in few extents. Small ones take what they need.
Result<void> Shard::reserve_space(const Write& write, File& file) {
    constexpr uint64_t worth_it = 256u << 10;
    constexpr uint64_t step_max = 64u << 20;
    OpenSegment& segment = *write.segment;
    const uint64_t end = align_up(static_cast<uint64_t>(segment.in_file(write.end).value), engine_.block_bytes);
    if (end < worth_it || end <= segment.allocated) { return {}; }
    const uint64_t full = align_up(static_cast<uint64_t>(write.partition->config().segment_bytes), engine_.block_bytes);
    const uint64_t until = std::max(end, std::min(full, end + std::min(end, step_max)));
    auto reserved = engine_.disk.allocate(file, segment.in_file(segment.begin + segment.allocated),
                                          segment.in_file(segment.begin + until), true);
    if (!reserved && reserved.error().code != Code::unsupported) { return reserved; }
    segment.allocated = reserved ? until : UINT64_MAX;  // where it is refused, files simply grow
    return {};
}

Result<void> Shard::run_writes(std::span<Write> writes) {
    struct Progress {
        std::shared_ptr<File> file;
        BytePos at{0};
        std::span<const iovec> pieces;  // that are still to be written
    };
    std::vector<Progress> under_way;
    for (Write& write : writes) {
        TRY(auto file, engine_.segment_file(*write.partition, *write.segment));
        TRY_VOID(reserve_space(write, *file));
        under_way.push_back({std::move(file), write.segment->in_file(write.begin), write.pieces});
    }
    // One request for all pieces of a write, or as many as a request takes and then the next: writes that extend a file
    // must not be two in flight (research: ext4 serialises them on the inode and hands them to workers).
    for (;;) {
        std::vector<Io> requests;
        for (size_t i = 0; i < writes.size(); ++i) {
            Progress& progress = under_way[i];
            const auto now = progress.pieces.first(std::min(progress.pieces.size(), io_pieces_max));
            if (now.empty()) { continue; }
            requests.push_back({.kind = writes[i].durable && !mutated(Mutant::direct_dsync) ? Io::Kind::write_durable
                                                                                            : Io::Kind::write,
                                .file = progress.file.get(),
                                .at = progress.at,
                                .pieces = now});
            for (const iovec& piece : now) { progress.at = progress.at + piece.iov_len; }
            progress.pieces = progress.pieces.subspan(now.size());
        }
        if (requests.empty()) { return {}; }
        engine_.disk.run(requests);
        for (const Io& request : requests) {
            if (request.os_errno != 0) { return fail_errno(request.os_errno, "segment.write", request.file->path()); }
        }
    }
}

// What the journal keeps of a direct write: its length and sum, and the bytes of the block it did not finish.
std::vector<Bytes> Shard::direct_parts(const Run& run, std::byte* payload) {
    uint64_t sum = 0;
    for (const Bytes& piece : run.pieces) { sum = direct_sum(piece, false, sum).value(); }
    store_le<uint64_t>(payload, run.direct_end - run.range.begin);
    store_le<uint64_t>(payload + 8, sum);
    std::vector<Bytes> parts{Bytes(payload, direct_payload_bytes)};
    uint64_t at = run.range.begin;
    for (const Bytes& piece : run.pieces) {
        const uint64_t end = at + piece.size();
        if (end > run.direct_end) {
            parts.push_back(piece.last(std::min<uint64_t>(piece.size(), end - run.direct_end)));
        }
        at = end;
    }
    return parts;
}

Result<void> Shard::write_commit(Plan& now) {
    if (!journal_buffer_) { journal_buffer_ = engine_.pool.take(commit_bytes_max); }
    CommitWriter writer(MutableBytes(journal_buffer_->data(), commit_bytes_max), *now.place, prior_places_);
    for (const Run& run : now.runs) {
        const Range& range = run.range;
        Partition& partition = *range.partition;
        const bool durable = run.level == Durability::durable;
        const OpenSegment& segment = *run.segment;
        EntryHead head{range.kind,
                       partition.identity().topic_id,
                       partition.identity().number,
                       range.epoch,
                       segment.base,
                       run.position,
                       range.base_offset,
                       range.next_offset};
        if (run.carry && !mutated(Mutant::carry)) {
            EntryHead carry = head;
            carry.kind = EntryKind::carry;
            carry.position = segment.in_file(run.carry_begin);
            carry.next_offset = range.base_offset;
            writer.add(carry, run.carry_pieces);
        }
        if (range.kind == EntryKind::batches && !durable) { continue; }
        if (range.kind == EntryKind::roll) {
            if (!durable) { continue; }
            head.position = segment.in_file(range.end);
            writer.add(head, {});
            continue;
        }
        if (run.direct) {
            std::byte payload[direct_payload_bytes];
            head.kind = EntryKind::direct;
            writer.add(head, direct_parts(run, payload));
            continue;
        }
        writer.add(head, run.pieces);
    }
    now.commit = writer.finish(engine_.block_bytes);
    now.sum = writer.sum();
    now.places = writer.take_places();
    return journal_->write(*now.place, now.commit);
}

void Shard::publish(Plan& now) {
    if (now.journaled) {
        journal_->wrote(*now.place, now.commit, now.sum);
        prior_places_ = std::move(now.places);
    }
    for (Run& run : now.runs) {
        const Range& range = run.range;
        Partition& partition = *range.partition;
        const bool durable = run.level == Durability::durable;
        switch (range.kind) {
            case EntryKind::batches:
            case EntryKind::direct:
                if (durable) {
                    partition.note_commit(run.carry ? run.carry_begin : range.begin, now.place->sequence);
                    note_journaled(partition);
                }
                if (run.carry && !durable) { note_rewritten(partition, run.carry_begin, now.place->sequence); }
                if (run.carry) { partition.carried(); }
                if (run.direct) {
                    note_filled(partition, run.direct_begin, run.direct_end);
                    run.segment->unsynced = false;
                }
                if (run.level == Durability::written) {
                    run.segment->unsynced = true;
                    note_filled(partition, range.begin, range.end);
                }
                partition.set_visible({range.end, range.next_offset});
                break;
            case EntryKind::carry:
                if (durable) {
                    partition.note_carried(range.begin, now.place->sequence);
                    note_journaled(partition);
                } else {
                    note_rewritten(partition, range.begin, now.place->sequence);
                }
                partition.carried();
                partition.carry_queued = false;
                break;
            case EntryKind::roll: run.segment->rolled = true; break;
            case EntryKind::trim:
                partition.note_commit(partition.closed().at, now.place->sequence);
                note_journaled(partition);
                partition.set_log_start(range.base_offset);
                break;
            case EntryKind::swap:
                partition.swap_sequence = now.place->sequence;
                note_journaled(partition);
                break;
            case EntryKind::truncate: break;
        }
    }
    trim_tail();
}

void Shard::note_rewritten(Partition& partition, uint64_t begin, uint64_t sequence) {
    partition.rewritten = {sequence, begin + engine_.block_bytes};
    note_journaled(partition);
}

// --- filling -----------------------------------------------------------------------------------------------------------------

uint64_t Shard::fill_limit(const Partition& partition) const {
    if (partition.carry_queued) { return partition.carry_begin(); }
    if (mutated(Mutant::fill_early)) { return partition.closed().at; }
    return partition.durability() == Durability::memory ? partition.closed().at : partition.visible().at;
}

void Shard::note_filled(Partition& partition, uint64_t begin, uint64_t end) {
    auto& chunks = partition.chunks();
    for (size_t i = 0; i < chunks.size(); ++i) {
        Chunk& chunk = chunks[i];
        const uint64_t until = std::min(end, partition.duty_end(i));
        if (begin > chunk.filled) { continue; }  // not this chunk's turn
        if (until > chunk.filled) {
            const uint64_t bytes = until - chunk.filled;
            dirty_bytes_ -= std::min(dirty_bytes_, bytes);
            recovered_bytes_ -= std::min(recovered_bytes_, bytes);  // the oldest come first
            chunk.filled = until;
        }
    }
}

// The next write that brings bytes below `limit` to the file, contiguous in one segment: whole blocks, and with `exact`, or
// where a rolled segment ends, the last fragment too, padded with zeros that the cut to the exact size takes away again.
std::optional<Shard::Write> Shard::next_fill(Partition& partition, uint64_t limit, bool exact, uint64_t bytes_max,
                                             std::vector<BufferRef>& pins) {
    std::optional<Write> write;
    const auto& chunks = partition.chunks();
    const uint64_t block = engine_.block_bytes;
    for (size_t i = 0; i < chunks.size(); ++i) {
        const Chunk& chunk = chunks[i];
        const uint64_t duty = std::min(partition.duty_end(i), limit);
        if (duty <= chunk.filled) { continue; }
        OpenSegment& segment = partition.segment_of(chunk.begin);
        const bool fragment = exact || (segment.end && duty == *segment.end);
        const uint64_t begin = align_down(chunk.filled, block);
        const uint64_t end = fragment ? duty : align_down(duty, block);
        if (write && (write->segment != &segment || write->end != begin)) { break; }
        if (end <= chunk.filled) { break; }
        if (!write) { write = Write{&segment, &partition, begin, begin, {}, false}; }
        const uint64_t until = std::min(end, write->begin + bytes_max);
        if (until <= begin) { break; }
        std::byte* from = chunk.buffer->data() + (begin - chunk.begin);
        const uint64_t whole = align_down(until, block);
        if (whole > begin) { write->pieces.push_back({from, whole - begin}); }
        pins.push_back(chunk.buffer);
        if (until > whole) {
            // An open batch may be growing in this block: the fragment is written from a copy.
            BufferRef copy = engine_.pool.take(block);
            std::memset(copy->data(), 0, block);
            std::memcpy(copy->data(), chunk.at(std::max(whole, begin)), until - std::max(whole, begin));
            write->pieces.push_back({copy->data(), block});
            pins.push_back(std::move(copy));
        }
        write->end = until;
        if (until < end || until > whole || write->pieces.size() + 2 > io_pieces_max) { break; }
    }
    return write;
}

Result<bool> Shard::fill_some(Guard& guard, Partition& partition, bool exact) {
    const bool stream = partition.durability() == Durability::memory;
    std::vector<BufferRef> pins;
    auto write =
        next_fill(partition, fill_limit(partition), exact, stream ? stream_piece_bytes : fill_piece_bytes, pins);
    if (!write) { return false; }
    std::vector<Write> writes;
    writes.push_back(std::move(*write));
    partition.hooks.filling = true;
    writes[0].segment->unsynced = true;
    guard.unlock();
    auto result = run_writes(writes);
    guard.lock();
    partition.hooks.filling = false;
    if (!result) {
        // A full disk takes nothing away: the bytes stay here and in the journal. Anything else ends this directory.
        if (result.error().code == Code::no_space) {
            no_space_ = result.error();
        } else {
            go_offline(result.error());
        }
        return std::unexpected(result.error());
    }
    room_again();
    writes[0].segment->unsynced = true;  // a checkpoint may have synced it meanwhile
    writes[0].segment->padded = writes[0].segment->padded || writes[0].end % engine_.block_bytes != 0;
    note_filled(partition, writes[0].begin, writes[0].end);
    partition.hooks.unfilled_bytes -= std::min(partition.hooks.unfilled_bytes, writes[0].end - writes[0].begin);
    trim_tail();
    return true;
}

Result<bool> Shard::fill(Guard& guard) {
    CHECK(!filling_);
    filling_ = true;
    Result<bool> result = false;
    if (!streaming_.empty() && !streaming_.front()->hooks.filling) {
        Partition* partition = streaming_.front();
        streaming_.pop_front();
        result = fill_some(guard, *partition, false);
        partition->hooks.in_stream_list = result && *result && partition->hooks.unfilled_bytes >= stream_piece_bytes;
        if (partition->hooks.in_stream_list) { streaming_.push_back(partition); }
    }
    size_t looked = 0;
    const size_t count = result && !*result && fill_wanted() ? dirty_.size() : 0;
    while (looked++ < count && !dirty_.empty()) {
        Partition* partition = dirty_.front();
        dirty_.pop_front();
        if (partition->hooks.writing || partition->hooks.filling) {  // somebody else is at its file
            dirty_.push_back(partition);
            continue;
        }
        result = fill_some(guard, *partition, false);
        const bool more = partition->fill_due(partition->closed().at) || partition->builder() != nullptr;
        if (more || (result && *result)) {
            dirty_.push_back(partition);
        } else {
            partition->hooks.in_dirty_list = false;
        }
        if (!result || *result) { break; }
    }
    end_fill();
    return result;
}

void Shard::end_fill() {
    filling_ = false;
    fill_word_.fetch_add(1);
    wake_all(fill_word_);
}

void Shard::hold_file(Guard& guard, Partition& partition) {
    for (;;) {
        if (partition.hooks.writing) {
            commits_.wait_for_this(guard);
        } else if (partition.hooks.filling) {
            wait_on(guard, fill_word_);
        } else {
            partition.hooks.filling = true;
            return;
        }
    }
}

void Shard::release_file(Partition& partition) {
    partition.hooks.filling = false;
    fill_word_.fetch_add(1);
    wake_all(fill_word_);
}

Result<void> Shard::fill_partition(Guard& guard, Partition& partition, bool exact) {
    if (exact && partition.durability() == Durability::memory) { partition.close_batch(engine_.pool); }
    Result<bool> more = true;
    while (more && *more) {
        TRY_VOID(in_time());
        if (filling_ || partition.hooks.filling) {
            wait_on(guard, fill_word_);
            continue;
        }
        if (partition.hooks.writing) {
            commits_.wait_for_this(guard);
            continue;
        }
        filling_ = true;
        more = fill_some(guard, partition, exact);
        end_fill();
    }
    if (!more) { return std::unexpected(more.error()); }
    return {};
}

}  // namespace flowstone
