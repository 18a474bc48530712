// A journal and the partitions that wait for it, guarded by one lock.
//
// Appending threads copy records into their partition's chunks under the lock. Closed batches queue here, in the order
// of their closing. Whoever must wait becomes the committer: it takes what has gathered, gives the lock up, writes one
// commit, takes the lock again, moves the high watermarks and wakes those it served and one who waits for the next
// commit. Behind the journal, one filler at a time writes whole blocks into the segment files.
//
// Both roles are taken by the calling thread (`threads = 0`) or belong to threads of their own; the code is the same.
// Functions that take a Guard are called with the lock held and may give it up meanwhile.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <vector>

#include <flowstone/log.h>
#include <flowstone/result.h>

#include "log/impl/partition.h"
#include "log/impl/turns.h"
#include "storage/buffer.h"
#include "storage/clock.h"
#include "storage/disk.h"
#include "storage/journal.h"
#include "storage/lock.h"

namespace flowstone {

using Guard = std::unique_lock<BiasedLock>;

// Threads that sleep on futex words.
struct ThreadWorld {
    using Guard = std::unique_lock<BiasedLock>;
    using Word = std::atomic<uint32_t>;
    static void change(Word& word) { word.fetch_add(1); }
    static void wake_one(Word& word) { flowstone::wake_one(word); }
    static void wake_all(Word& word) { flowstone::wake_all(word); }
    static void sleep(Guard& guard, Word& word, int64_t timeout_ns) {
        const uint32_t seen = word.load();
        guard.unlock();
        sleep_while(word, seen, timeout_ns);
        guard.lock();
    }
};

constexpr uint64_t direct_backlog_bytes_max = 1u << 20;  // inline bytes that a direct write brings to the file with it
constexpr size_t files_at_once = 32;                     // that are written together: a commit may speak of thousands
constexpr uint64_t fill_piece_bytes = 256u << 10;        // JOURNAL 2.4
// `memory` topics: nobody waits for their writes. 4 MiB in one request gave 3.9 GB/s into reserved space, 1 MiB 3.1.
constexpr uint64_t stream_piece_bytes = 4u << 20;
// What is kept of the tail when nobody has read from it for a whole `tail_bytes_max`: memory that is used again while it
// is still in the caches costs a third less to append to.
constexpr uint64_t tail_bytes_unread = 1u << 20;
constexpr uint64_t atomic_append_bytes_max = 512u << 10;
// So many bytes that went straight to the segments ask for a checkpoint as one in the ring does: the opening after a crash
// walks through them, and their indexes and the seals of what was finished wait for it.
constexpr uint64_t direct_bytes_a_ring_byte = 8;

class Shard;
class Store;
class TailSharing;

// What all shards of one open directory share. Outlives them.
struct Engine {
    Disk& disk;
    Clock& clock;
    BufferPool& pool;
    std::string directory;
    uint32_t block_bytes = 4096;
    uint64_t direct_bytes_min;  // UINT64_MAX: never, but for batches no commit could carry
    Options options;
    uint32_t shard_count = 1;  // how many there are
    // Opens or makes the file of a segment, its directory too. Safe from any thread; blocks.
    std::function<Result<std::shared_ptr<File>>(Partition&, OpenSegment&)> segment_file;
    // Makes its name survive, and that of its directory.
    std::function<Result<void>(Partition&, OpenSegment&)> sync_names{};
    // Frees the space kept for when the disk is full; false when there is none (left). Blocks.
    std::function<bool()> give_up_reserve{};

    std::vector<Shard*> shards{};  // all of them, made before anybody appends
    Store* store = nullptr;        // that all of this belongs to

    // The first write or sync that failed: from then on nothing is acknowledged in this directory, by no shard.
    Lock failure_lock{};
    std::optional<Error> failure{};  // set once, before `failed`
    std::atomic<bool> failed{false};
    std::atomic<int64_t> deadline_ns{INT64_MAX};  // set by close: no step begins later, no wait lasts longer

    // Where other processes read what is new; null: none does. Followed under a shard's lock, which Store::stop_sharing takes
    // of each before it ends.
    std::atomic<TailSharing*> sharing{nullptr};

    // For threads that sleep until anything moves. Announced before they look, under the shard's lock, and seen under it.
    std::atomic<uint32_t> bell{0};
    std::atomic<bool> bell_wanted{false};
    void ring_bell() {
        if (!bell_wanted.load(std::memory_order_relaxed)) { return; }
        bell_wanted.store(false, std::memory_order_relaxed);
        bell.fetch_add(1, std::memory_order_release);
        wake_all_processes(bell);  // they sleep on a word of their own besides
    }

    // Watched partitions that moved, for whoever waits for many at once (ServedLog). Under a shard's lock or none.
    Lock moved_lock{};  // an innermost lock; guards the rest
    std::function<void()> moved_notice{};
    std::vector<Partition*> moved{};
    void note_moved(Partition& partition) {
        const std::lock_guard one(moved_lock);
        moved.push_back(&partition);
        if (moved.size() == 1 && moved_notice) { moved_notice(); }
    }
    // Of a commit that has reached the disk: bytes of the journal, and how long its writes took.
    std::function<void(uint64_t bytes, int64_t took_ns)> commit_notice{};
    std::atomic<int64_t> committed_ns{INT64_MIN / 2};  // when the last one had ended
    void note_commit(uint64_t bytes, int64_t began_ns) {
        const int64_t now_ns = clock.monotonic_ns();
        committed_ns.store(now_ns, std::memory_order_relaxed);
        const std::lock_guard one(moved_lock);
        if (commit_notice) { commit_notice(bytes, now_ns - began_ns); }
    }
    void note_failure() {
        const std::lock_guard one(moved_lock);
        if (moved_notice) { moved_notice(); }
    }
};

class Shard {
public:
    Shard(Engine& engine, uint32_t number, std::unique_ptr<Journal> journal);

    BiasedLock& lock() { return lock_; }
    uint32_t number() const { return number_; }
    Journal& journal() { return *journal_; }
    void set_journal(std::unique_ptr<Journal> journal) { journal_ = std::move(journal); }
    Engine& engine() { return engine_; }

    // --- from the partitions, under the lock ---
    void queue(const Range& range);
    void note_open(Partition& partition);
    void note_chunk(Partition& partition, const Chunk& chunk);
    void note_tail_read() { tail_read_at_ = tail_bytes_ever_; }  // somebody was served from a chunk
    size_t chunk_bytes_limit() const;
    // Of an idle partition only the unfinished block stays in memory. Requires that its file has all whole blocks.
    void shrink(Partition& partition);
    // Takes a change of shape back that no commit has taken up. False when one has, or may have.
    bool take_back(Partition& partition, EntryKind kind);
    uint32_t next_group() { return ++group_; }

    // --- appending ---
    // To be called before each append: waits while the dirty budget is spent. What was checked before the call may have
    // changed after it. Errors, all of them "not appended": offline, closed, no_space, not_found (topic deleted).
    Result<void> admit(Guard& guard, const Partition* partition = nullptr) {
        if (admits(partition)) [[likely]] { return {}; }
        return wait_for_room(guard, partition);
    }
    // Whether admit() would wait for others to write, who are at it. A full disk, or a log that ended, is no such wait,
    // nor is a budget spent on unfinished blocks, which only grow by more records.
    bool would_wait(const Partition& partition) const {
        const bool at_it = holders_ > 0 || !dirty_.empty() || filling_ || commit_due() || commits_.taken();
        return has_committer_ && !admits(&partition) && at_it && !engine_.failed.load(std::memory_order_acquire) &&
               !shut_ && !no_space_ && !partition.hooks.deleted;
    }
    // Whoever does not wait for room asks those who make it to go on.
    void hurry() {
        if (commit_due()) { wake_committer(); }
        if (fill_wanted() && wake_filler) { wake_filler(); }
    }
    // To be called after each append: what the calling thread owes (`threads = 0`), or a wake-up.
    void appended(Guard& guard, Partition& partition) {
        if (partition.hooks.readers_waiting > 0 || has_committer_ || queued_bytes_ >= commit_bytes_max ||
            fill_wanted() || engine_.sharing.load(std::memory_order_relaxed) != nullptr) [[unlikely]] {
            work_behind_append(guard, partition);
        }
    }
    // With `threads = 0` a reader that sleeps is woken by an append: it waits for it, so it does the work. What is
    // appended to a `memory` topic it may see at once.
    void call_readers(Partition& partition);

    // --- waiting ---
    // Until the partition is visible up to `next`. Errors: offline, closed (unknown until reopen), not_found (topic
    // deleted), out_of_range (truncated away), invalid (nothing was appended there), timed_out (others had not done it by
    // then).
    Result<void> wait_visible(Guard& guard, Partition& partition, Offset next, int64_t until_ns = INT64_MAX);
    // Until everything queued or open now is visible. Errors: as wait_visible, timed_out.
    Result<void> flush(Guard& guard, bool relieve = true);

    // --- the roles ---
    bool commit_due() const { return !queue_.empty() || !open_.empty(); }
    // One commit; the role must be free. False when the ring was full and `relieve` did not help it: only a checkpoint,
    // which is itself what helps, passes no.
    Result<bool> commit(Guard& guard, bool relieve = true);
    Result<void> commit_if_free(Guard& guard);  // or waits for the one in flight
    bool filling() const { return filling_; }
    // Writes one piece of the oldest dirty partition. False when there is nothing to fill.
    Result<bool> fill(Guard& guard);
    // Fills this partition up to what is visible: whole blocks, or with `exact` everything.
    Result<void> fill_partition(Guard& guard, Partition& partition, bool exact);
    bool fill_wanted() const { return !streaming_.empty() || dirty_bytes_ * 2 >= engine_.options.dirty_bytes_max; }

    // --- checkpoints ---
    // The ring is half full, or as much as fills half of it went past it since the last checkpoint.
    bool checkpoint_due() const {
        const uint64_t past = (direct_bytes_ - direct_checkpointed_) / direct_bytes_a_ring_byte;
        return std::max(journal_->bytes_used(), past) * 2 > journal_->bytes();
    }
    uint64_t checkpoint_work() const { return journal_->committed_bytes() + direct_bytes_ / direct_bytes_a_ring_byte; }
    uint64_t direct_bytes() const { return direct_bytes_; }  // that went straight to segments since the opening
    void note_checkpoint(uint64_t direct_bytes) { direct_checkpointed_ = direct_bytes; }

    // Partitions with bytes that the journal may still be needed for.
    const std::vector<Partition*>& journaled() const { return journaled_; }
    // The partition's file may not be written while its size is set: neither by a fill nor by a commit.
    void hold_file(Guard& guard, Partition& partition);
    void release_file(Partition& partition);
    // Whether this is a partition of this shard; `partition` may be anything.
    bool owns(const void* partition) const { return members_.contains(partition); }
    void adopt(const Partition& partition) { members_.insert(&partition); }
    void forget_journaled(const std::function<bool(Partition&)>& done);
    void note_journaled(Partition& partition);
    // Recovery: what the journal gave back counts as appended and not yet in a file.
    void note_unfilled(Partition& partition);

    // Takes away the chunks that begin at `from` or later: the files have their bytes, or nobody needs them.
    void forget_chunks(Partition& partition, uint64_t from);
    // The partition's topic was deleted: what is queued of it is forgotten, its memory given back.
    void drop(Guard& guard, Partition& partition);

    void go_offline(const Error& error);
    const std::optional<Error>& failure() const;
    void shut();                   // appends are refused from now on; whoever waits for room learns of it
    void hold_appends(bool held);  // those that come wait in admit(); may be nested
    bool is_shut() const { return shut_; }

    // Commits what others append, until `stop`: a thread of its own runs this (`threads = N`).
    void run_committer(const std::atomic<bool>& stop);
    void set_committer(bool present);
    bool has_committer() const { return has_committer_; }
    void wake_committer();

    // Set by the store: called without the lock when the ring is half full, to grow it or to make a checkpoint. With
    // `must` it returns only after the ring has room.
    std::function<Result<void>(bool must)> relieve_ring;
    std::function<void()> wake_filler;  // null with `threads = 0`

    uint64_t dirty_bytes() const { return dirty_bytes_; }
    uint64_t queued_bytes() const { return queued_bytes_; }  // not yet in a commit
    uint64_t tail_bytes() const { return tail_bytes_; }
    uint64_t commits() const { return commits_.count(); }

private:
    bool admits(const Partition* partition) const {
        return !engine_.failed.load(std::memory_order_acquire) && !shut_ && !no_space_ && holders_ == 0 &&
               dirty_bytes_ < engine_.options.dirty_bytes_max + recovered_bytes_ &&
               (partition == nullptr || (!partition->hooks.deleted && !partition->lost));
    }
    Result<void> wait_for_room(Guard& guard, const Partition* partition);
    void work_behind_append(Guard& guard, Partition& partition);
    void show_sleepers(Partition& partition);

    // Ranges of one partition that lie behind one another in one segment: one entry of the commit.
    struct Run {
        Range range;
        // As they were when the run was planned: without the lock the partition is not looked at.
        Durability level = Durability::durable;
        OpenSegment* segment = nullptr;
        Offset segment_base{0};
        BytePos position{0};      // of range.begin in the segment
        Offset missing_below{0};  // of a skip: everything known by then
        bool direct = false;
        bool sync_first = false;  // what was filled in front of the direct write is not durable yet
        bool carry = false;
        bool grouped = false;  // part of an atomic append: only the journal makes it all or nothing
        uint64_t carry_begin = 0;
        uint64_t direct_begin = 0;  // of the block-aligned part that goes to the segment
        uint64_t direct_end = 0;
        std::vector<Bytes> pieces{};         // of range, whole batches each
        std::vector<Bytes> carry_pieces{};   // of [carry_begin, range.begin)
        std::vector<Bytes> direct_pieces{};  // of [direct_begin, direct_end), block aligned
    };
    struct Plan {
        std::vector<Run> runs;
        std::vector<BufferRef> pins;
        size_t ranges = 0;  // to take from the queue
        std::vector<Range> taken;
        size_t journal_bytes = 0;
        bool journaled = false;  // anything for the journal at all
        bool blocked = false;    // a file must be written that somebody else is at: plan again when he is done
        std::optional<CommitPlace> place;
        Bytes commit{};  // as written
        uint64_t sum = 0;
        std::vector<EntryPlace> places{};
    };
    struct Write {
        OpenSegment* segment;
        Partition* partition;
        uint64_t begin;  // stream positions
        uint64_t end;
        std::vector<iovec> pieces;
        bool durable;
    };

    void note_dirty(Partition& partition, uint64_t bytes);
    void stream(Partition& partition, uint64_t bytes);
    void close_open_batches();
    bool plan(Plan& plan);  // false: the ring is full
    void plan_runs(Plan& plan);
    void plan_direct(Run& run);
    void plan_carries(Plan& plan);
    size_t cost(const Run& run) const;
    Result<void> wait_for(Guard& guard, Partition& partition, Offset next, int64_t until_ns);
    Result<void> try_for_space(Guard& guard, const Partition* partition);
    bool give_up_reserve(Guard& guard, const Partition* partition);
    Result<void> perform(Plan& plan);
    Result<void> write_segments(Plan& plan, bool direct);
    static std::vector<Bytes> direct_parts(const Run& run, std::byte* payload);
    Result<void> write_commit(Plan& plan);
    void fill_behind(Guard& guard, const Plan& done);
    void end_writing(const Plan& plan);
    void publish(Plan& plan);
    void note_rewritten(Partition& partition, uint64_t begin, uint64_t sequence);
    Result<void> run_writes(std::span<Write> writes);
    void note_filled(Partition& partition, uint64_t begin, uint64_t end);
    std::optional<Write> next_fill(Partition& partition, uint64_t limit, bool exact, uint64_t bytes_max,
                                   std::vector<BufferRef>& pins);
    Result<void> reserve_space(const Write& write, File& file);
    Result<bool> fill_some(Guard& guard, Partition& partition, bool exact);
    void trim_tail();
    void fill_rolled_end(Partition& partition);
    uint64_t fill_limit(const Partition& partition) const;
    static void wait_on(Guard& guard, std::atomic<uint32_t>& word);
    Result<void> in_time() const;
    int64_t time_left() const;
    Error closed_error() const;
    void end_fill();
    void wake_everybody();

    Engine& engine_;
    uint32_t number_;
    std::unique_ptr<Journal> journal_;
    BiasedLock lock_;

    std::deque<Range> queue_;
    uint64_t queued_bytes_ = 0;
    std::vector<Partition*> open_;  // with an open batch
    std::deque<Partition*> dirty_;  // with chunks to fill, oldest first
    std::deque<Partition*>
        streaming_;  // with a whole piece of a `memory` topic, or the end of a finished segment, to fill now
    std::vector<Partition*> journaled_;
    // An entry a chunk, as they came. It stands for the oldest that its partition has: that one goes first.
    std::deque<Partition*> tail_;
    uint64_t dirty_bytes_ = 0;      // of chunks that no file has yet
    uint64_t recovered_bytes_ = 0;  // of these, from the journal: nobody need wait for them
    uint64_t direct_bytes_ = 0;
    uint64_t direct_checkpointed_ = 0;
    uint64_t tail_bytes_ = 0;               // memory of all chunks
    uint64_t tail_bytes_ever_ = 0;          // of those that are gone, too
    std::optional<uint64_t> tail_read_at_;  // tail_bytes_ever_ when a reader was last served from a chunk
    size_t partitions_with_chunks_ = 0;
    uint32_t group_ = 0;

    Turns<ThreadWorld> commits_;
    bool filling_ = false;
    std::atomic<uint32_t> fill_word_{0};
    uint64_t ranges_queued_ = 0;                // ever: numbers them
    uint64_t commit_first_range_ = UINT64_MAX;  // of the commit in flight
    bool has_committer_ = false;
    bool committer_asleep_ = false;
    std::atomic<uint32_t> committer_word_{0};
    std::unordered_set<const void*> members_;
    std::vector<EntryPlace> prior_places_;
    BufferRef journal_buffer_;

    // The disk was full when a write was last tried. Reads go on, appends are refused until one try succeeds.
    std::optional<Error> no_space_;
    bool commit_refused_ = false;  // by it; a fill that finds no room keeps no commit from the journal
    void room_again() {
        no_space_.reset();
        commit_refused_ = false;
    }

    uint32_t holders_ = 0;
    bool shut_ = false;
};

}  // namespace flowstone
