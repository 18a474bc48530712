#include "log/impl/shard.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "log/impl/tail_sharing.h"
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
    const bool shape = range.kind == EntryKind::trim || range.kind == EntryKind::truncate ||
                       range.kind == EntryKind::swap || range.kind == EntryKind::skip;
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
    return std::erase_if(queue_, [&](const Range& range) {
               const bool taken = range.partition == &partition && range.kind == kind;
               if (taken) { queued_bytes_ -= range.end - range.begin; }
               return taken;
           }) > 0;
}

void Shard::note_open(Partition& partition) {
    // Nobody waits for a `memory` topic: its open batch is closed when it is full, or when a reader takes it. But for those
    // who look only when they are told.
    const bool awaited = partition.hooks.watched || engine_.bell_wanted.load(std::memory_order_relaxed) ||
                         engine_.sharing.load(std::memory_order_relaxed) != nullptr;
    const bool idle = partition.durability() == Durability::memory && !partition.carry_due() && !awaited;
    if (partition.hooks.in_open_list || idle) { return; }
    partition.hooks.in_open_list = true;
    open_.push_back(&partition);
}

void Shard::note_chunk(Partition& partition, const Chunk& chunk) {
    tail_bytes_ += chunk.buffer->capacity();
    tail_bytes_ever_ += chunk.buffer->capacity();
    if (partition.chunks().size() == 1) { ++partitions_with_chunks_; }
    tail_.push_back(&partition);
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
    tail_bytes_ -= chunks.front().buffer->capacity();
    partition.keep_unfinished_block(engine_.pool);
    tail_bytes_ += chunks.front().buffer->capacity();
}

// Lets go of the oldest chunks that the file has whole, beyond the budget for readers. One that is not filled yet, or that
// its partition is still writing to, goes to the back: an idle partition's must not keep everybody else's.
void Shard::trim_tail() {
    constexpr size_t looks_max = 16;
    const bool read_lately = tail_read_at_ && tail_bytes_ever_ - *tail_read_at_ <= engine_.options.tail_bytes_max;
    const uint64_t keep = std::min(engine_.options.tail_bytes_max, read_lately ? UINT64_MAX : tail_bytes_unread);
    for (size_t look = 0; look < looks_max && tail_bytes_ > keep && !tail_.empty(); ++look) {
        Partition* const partition = tail_.front();
        tail_.pop_front();
        auto& chunks = partition->chunks();
        if (chunks.size() == 1 || chunks.front().filled < partition->duty_end(0)) {
            tail_.push_back(partition);
            fill_rolled_end(*partition);
            continue;
        }
        tail_bytes_ -= chunks.front().buffer->capacity();
        chunks.erase(chunks.begin());
    }
}

// Where the next segment is written directly nobody else would fill the end of a finished one before the next checkpoint,
// and until then no chunk behind it can go.
void Shard::fill_rolled_end(Partition& partition) {
    const Chunk& front = partition.chunks().front();
    const uint64_t end = partition.duty_end(0);
    const bool left = front.filled < end && partition.segment_of(front.begin).end;
    if (!left || partition.visible().at < end || partition.hooks.in_stream_list) { return; }
    partition.hooks.in_stream_list = true;
    streaming_.push_back(&partition);
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

// Who sleeps until something is visible is woken by whoever appends it: through the committer it would be two wake-ups.
// Batches are of one record then, but only while somebody sleeps: the next ones gather while he is on his way.
void Shard::show_sleepers(Partition& partition) {
    if (partition.builder() == nullptr || partition.durability() != Durability::memory) { return; }
    const TailSharing* const sharing = engine_.sharing.load(std::memory_order_acquire);
    const bool awaited = partition.hooks.watched || engine_.bell_wanted.load(std::memory_order_relaxed) ||
                         (sharing != nullptr && sharing->awaited());
    if (!awaited) { return; }
    partition.close_batch(engine_.pool);
    // Else the committer finds it there, and nothing to close.
    if (!open_.empty() && open_.back() == &partition) {
        open_.pop_back();
        partition.hooks.in_open_list = false;
    }
}

void Shard::work_behind_append(Guard& guard, Partition& partition) {
    call_readers(partition);
    show_sleepers(partition);
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

Result<void> Shard::wait_visible(Guard& guard, Partition& partition, Offset next, int64_t until_ns) {
    auto waited = wait_for(guard, partition, next, until_ns);
    if (waited || waited.error().code != Code::no_space || !give_up_reserve(guard, &partition)) { return waited; }
    room_again();
    return wait_for(guard, partition, next, until_ns);
}

Result<void> Shard::wait_for(Guard& guard, Partition& partition, Offset next, int64_t until_ns) {
    const auto lost = [](const Error& error) { return std::unexpected(error.with_fate(Fate::unknown_until_reopen)); };
    const auto done = [&]() -> Result<bool> {
        if (partition.visible().offset >= next) { return true; }
        if (next > partition.next_offset() && !partition.truncations.empty()) {
            const Error gone = fail(Code::out_of_range, "log.wait",
                                    fmt::format("offset {} of {}-{} was truncated away", next.value - 1,
                                                partition.identity().topic, partition.identity().number))
                                   .error();
            return std::unexpected(gone.with_fate(Fate::not_appended));
        }
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
    if (until_ns == INT64_MAX || !has_committer_) { return commits_.until(guard, done, carried, work); }
    // The committer needs nobody who waits: whoever stops waiting is missed by none.
    for (;;) {
        TRY(const bool now, done());
        if (now) { return {}; }
        const int64_t left = until_ns - engine_.clock.monotonic_ns();
        if (left <= 0) {
            return fail(Code::timed_out, "log.wait",
                        fmt::format("{}-{}", partition.identity().topic, partition.identity().number));
        }
        wake_committer();
        commits_.wait_for_this(guard, left);
    }
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

// Batches too large for the journal went past somebody who waits to fill the same files: it is his turn.
void Shard::fill_behind(Guard& guard, const Plan& done) {
    const bool passed = std::ranges::any_of(
        done.runs, [](const Run& run) { return run.direct && run.range.partition->hooks.in_stream_list; });
    if (passed && !filling_) { static_cast<void>(fill(guard)); }  // an error is kept for the next who appends
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
        if (result && now.journaled) { engine_.note_commit(now.commit.size(), begin_ns); }
        guard.lock();
        end_writing(now);
        // Whatever failed meanwhile, nothing is acknowledged after it (JOURNAL 5.1).
        if (failure()) { result = std::unexpected(*failure()); }
        if (result) {
            room_again();
            publish(now);
            fill_behind(guard, now);
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
    if (!relieve || (room && !checkpoint_due())) { return room; }
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
        if (!failure() && commit_due()) {
            if (commit(guard)) { continue; }
            if (stop) { return; }  // said while the lock was given up: whoever said it woke nobody
        }
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
    std::erase_if(partition.chunks(), [&](const Chunk& chunk) {
        if (chunk.begin < from) { return false; }
        tail_bytes_ -= chunk.buffer->capacity();
        tail_.erase(std::ranges::find(tail_, &partition));
        return true;
    });
}

void Shard::drop(Guard& guard, Partition& partition) {
    partition.hooks.deleted = true;
    if (TailSharing* const sharing = engine_.sharing) { sharing->removed(partition); }
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
    std::erase(tail_, &partition);
    for (const Chunk& chunk : partition.chunks()) {
        tail_bytes_ -= chunk.buffer->capacity();
        dirty_bytes_ -= std::min(dirty_bytes_, chunk.end - std::min(chunk.end, chunk.filled));
    }
    partition.chunks().clear();
    commits_.wake_everybody();
    partition.wake_readers();
}

}  // namespace flowstone
