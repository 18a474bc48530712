// One partition in memory: what was appended, how far it has come, and the recent bytes.
//
// A partition's batches form one stream of bytes across its segments. A *stream position* counts these bytes; a segment
// begins at a multiple of the disk block, so a stream position is aligned exactly when the file position is:
//
//      segment 0                segment 4096
//      |=======================|...|==================|        ... is padding that exists in no file
//      0                    end    begin          closed_
//
// The recent bytes lie in chunks: block-aligned memory that continues one another. A new chunk begins with a copy of the
// unfinished block before it, so each chunk can be written to the file by itself. Bytes that no chunk holds are in the
// file. Marks, each a stream position and the offset there:
//
//      filled <= journaled (visible for `durable`) <= closed <= open batch
//
// No I/O, no lock: guarded by its shard's lock, decided here, driven by Shard.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/log.h>
#include <flowstone/result.h>

#include "log/producer_state.h"
#include "log/topic_config.h"
#include "storage/batch.h"
#include "storage/buffer.h"
#include "storage/checkpoint.h"
#include "storage/disk.h"
#include "storage/journal_format.h"
#include "storage/meta_files.h"
#include "storage/seal.h"
#include "storage/segment_index.h"
#include "storage/transaction_index.h"

namespace flowstone {

class Shard;
class Partition;

constexpr size_t batch_bytes_target = 64u << 10;  // a batch being built is closed here
constexpr size_t chunk_bytes_first = 4u << 10;    // many partitions never hold more than a few records
constexpr size_t chunk_bytes_min = 16u << 10;     // of those that follow
constexpr size_t chunk_bytes_max = 1u << 20;

struct Mark {
    uint64_t at = 0;
    Offset offset{0};
};

// What a truncation leaves: the segment that is the active one again, its bytes, and where the log ends. Cutting a file
// writes its last block again: the journal has the bytes of that first.
struct Truncation {
    Offset segment_base{0};
    BytePos position{0};
    Offset end{0};
    std::vector<std::byte> fragment{};
};

// Closed batches, or a change of shape, on their way to the topic's level. In the order in which they happened.
struct Range {
    Partition* partition = nullptr;
    EntryKind kind = EntryKind::batches;
    uint64_t begin = 0;  // stream positions
    uint64_t end = 0;
    Offset base_offset{0};
    Offset next_offset{0};
    Epoch epoch{0};
    uint32_t group = 0;   // ranges of one group that is not 0 become durable together
    uint64_t number = 0;  // in the order of queueing, given by the shard
};

// A segment that is not finished: the active one, or one that was rolled and is not yet cut, synced and sealed.
struct OpenSegment {
    Offset base{0};
    uint64_t begin = 0;               // stream position
    std::optional<uint64_t> end;      // once rolled
    Offset end_offset{0};             // once rolled; where the next one begins
    std::optional<Offset> lost_from;  // its records end here, before end_offset: the rest is an accepted loss
    bool rolled = false;              // and the journal knows
    int64_t first_timestamp_ms = -1;  // of its first batch: decides segment.ms
    bool begun_here = false;          // not by an earlier opening
    int64_t since_ms = -1;            // how old maintenance takes it to be when nothing is appended; -1: not seen yet
    std::shared_ptr<File> file;       // owners: this, and readers under way; null until bytes must be written
    uint64_t allocated = 0;           // file space reserved so far
    bool padded = false;              // an exact fill left zeros behind its end, which no cut has taken away yet
    std::atomic<bool> names_unsynced{false};  // the file's name is not yet known to survive
    bool unsynced = true;  // written without DSYNC, or cut, since its file was last synced; or an earlier opening's
    std::unique_ptr<SegmentIndex> index;
    std::unique_ptr<SealBuilder> seal;  // null until the partition is loaded for appending
    BytePos in_file(uint64_t at) const { return BytePos{static_cast<int64_t>(at - begin)}; }
};

// A segment that is finished and only read.
struct ClosedSegment {
    Offset base{0};
    Offset end{0};
    uint64_t bytes = 0;
    int64_t timestamp_ms_max = -1;  // -1: not looked up yet, or no record has one
    // The first checkpoint that does not speak of it as unfinished. Only after the next one, when neither slot does,
    // may its file change or go: replay over the older slot reads it.
    uint64_t closed_at = 0;
    uint32_t version = 0;  // of the file's content: compaction puts another file in its place
};

struct Chunk {
    BufferRef buffer;
    uint64_t begin = 0;        // of the buffer's first byte; block aligned
    uint64_t end = 0;          // of the bytes of closed batches
    uint64_t filled = 0;       // below it the file has the bytes
    uint64_t first_batch = 0;  // where the first batch that begins here begins; == end if none does
    Offset first_offset{0};    // its base offset
    const std::byte* at(uint64_t position) const { return buffer->data() + (position - begin); }
};

class Partition {
public:
    struct Identity {
        std::string topic;
        Uuid topic_id;
        int32_t number = 0;
        std::string directory;
        Uuid cluster;
        bool internal = false;  // may have the reserve when the disk is full
    };
    Partition(Shard& shard, Identity identity, std::shared_ptr<const TopicConfig> config, uint32_t block_bytes);

    const Identity& identity() const { return identity_; }
    SealPlace seal_place(Offset base) const { return {identity_.cluster, identity_.topic_id, identity_.number, base}; }
    Shard& shard() const { return shard_; }
    // Without the lock too: a config that was replaced stays for whoever may be reading it.
    const TopicConfig& config() const { return *config_.load(std::memory_order_acquire); }
    void set_config(std::shared_ptr<const TopicConfig> config);
    Durability durability() const { return config().durability; }

    // --- appending -------------------------------------------------------------------------------------------
    // Room for at least `bytes` in the open batch, or a fresh one; rolls when the segment is full, or too old for a
    // record of this time.
    // The batch then takes the record by builder().append().
    BatchBuilder& open_batch(size_t bytes, int64_t timestamp_ms, BufferPool& pool,
                             const BatchBuilder::Options& producer = {});
    BatchBuilder* builder() { return builder_ ? &*builder_ : nullptr; }
    // Closes the open batch, if there is one, and hands its range to the shard.
    void close_batch(BufferPool& pool);
    // Copies a ready batch in as the next one. Returns its base offset. Checked by the caller.
    Offset put_batch(BatchView batch, BufferPool& pool);
    Offset next_offset() const { return builder_ ? builder_->next_offset() : closed_.offset; }

    // --- batches as they are, at their own offsets: checked by the caller, and no batch is open ------------------
    bool fresh() const { return closed_.at == 0 && closed_.offset == Offset{0} && segments_.size() == 1; }
    // A fresh log begins there, with its first segment.
    void begin_at(Offset first);
    // On its way to the journal: offsets below it may be missing from now on, and where begin_at() has put the log.
    void skip(Offset missing_below);
    // How many of these, from the front, belong into the active segment. 0: it must be rolled first.
    size_t without_roll(std::span<const BatchView> batches) const;
    // Rolls in front of a batch that a segment with the next offset as its base may be too far from.
    void roll_before(BatchView batch);
    void put_as_is(BatchView batch, BufferPool& pool);
    void start_epoch(Epoch epoch);
    Epoch epoch() const { return epochs_.empty() ? Epoch{0} : epochs_.back().epoch; }
    // The leader epoch of the batches that begin at an offset below closed(), and the offsets around it for which that
    // holds as well. None: no epoch is on record there.
    struct EpochSpan {
        std::optional<Epoch> epoch;
        Offset begin{0};
        Offset end{0};
    };
    EpochSpan epoch_at(Offset offset) const;

    // --- marks ------------------------------------------------------------------------------------------------
    const Mark& closed() const { return closed_; }
    const Mark& visible() const { return visible_; }
    void set_visible(Mark mark);
    // After recovery: what is there can be read. A topic below `durable` may have lost what its checkpoint claimed of a
    // batch, and what it was trimmed to.
    void show_restored() {
        visible_ = closed_;
        log_start_ = std::min(log_start_, closed_.offset);
        // An epoch that began behind that is empty; its number stays taken.
        for (EpochStart& epoch : epochs_) { epoch.start = std::min(epoch.start, closed_.offset); }
        if (epoch_taken_ > epoch()) { epochs_.push_back({epoch_taken_, closed_.offset}); }
    }
    void wake_readers();  // that wait for something visible
    Offset log_start() const { return log_start_; }
    void set_log_start(Offset offset) { log_start_ = std::max(log_start_, offset); }
    const std::vector<EpochStart>& epochs() const { return epochs_; }
    ProducerState& producers() { return producers_; }
    // By their end. Null: nobody has looked. Owners: this, and readers under way.
    std::shared_ptr<const std::vector<AbortedTransaction>> aborted_transactions;
    uint32_t group = 0;  // of the ranges being closed now; set and cleared by an atomic append

    // --- the recent bytes -----------------------------------------------------------------------------------------
    std::vector<Chunk>& chunks() { return chunks_; }
    // Where those who read batches from memory stood last: the one that holds `offset` begins at `at`.
    void note_read(Offset offset, uint64_t at) { read_hints_[read_hints_used_++ % read_hints_.size()] = {at, offset}; }
    std::optional<uint64_t> read_hint(Offset offset) const;
    // The chunk that holds [begin, end) whole, or null.
    const Chunk* chunk_with(uint64_t begin, uint64_t end) const;
    const Chunk* chunk_of(uint64_t at) const;  // that holds the byte at `at`
    // The bytes of [begin, end) as pieces of chunks, with references that keep them. Requires that chunks hold them.
    // `batches`: cut between batches, as they were appended. `blocks`: cut at multiples of the disk block.
    enum class Cut : uint8_t { batches, blocks };
    void pieces(uint64_t begin, uint64_t end, Cut cut, std::vector<Bytes>& out, std::vector<BufferRef>& pins) const;
    // Where the part that this chunk must bring to the file ends: its last, unfinished block belongs to the chunk that
    // continues it, unless none does yet or another segment follows.
    uint64_t duty_end(size_t chunk) const;
    // The first position at or after `at` whose byte no file has yet.
    uint64_t filled_from(uint64_t at) const;
    // Whole blocks below `limit` that are still to be filled.
    bool fill_due(uint64_t limit) const;

    OpenSegment& active() { return *segments_.back(); }
    std::vector<std::unique_ptr<OpenSegment>>& segments() {
        return segments_;
    }  // rolled ones first, the active one last
    OpenSegment& segment_of(uint64_t at);
    struct Size {
        uint64_t bytes = 0;
        uint32_t segments = 0;
    };
    Size size() const;  // once its closed segments are known

    // --- what the journal holds -----------------------------------------------------------------------------------
    // A batch boundary at or below `at`, not far from it; those before it are forgotten.
    Mark boundary_at(uint64_t at);
    // Recovery: forgets all but `first`, or adds the front of another segment.
    void restart_boundaries(Mark first) { boundaries_.assign(1, first); }
    void add_boundary(Mark front) { boundaries_.push_back(front); }
    uint64_t first_boundary() const { return boundaries_.front().at; }
    // The commit `sequence` holds bytes from `begin` on.
    void note_commit(uint64_t begin, uint64_t sequence);
    // The first commit that is needed for bytes at or above `at`; empty when none is.
    std::optional<uint64_t> needed_from(uint64_t at) const;
    void forget_commits_below(uint64_t at);
    // The commit `sequence` repeated everything from `begin` on that no file has: earlier ones are not needed.
    void note_carried(uint64_t begin, uint64_t sequence) { commits_.assign(1, {begin, sequence}); }
    // The unfinished block before closed_ is not in the journal (it was written by an exact checkpoint): the next entry
    // is preceded by a carry, because its block is about to be written again (JOURNAL 2.2).
    bool carry_due() const { return carry_due_; }
    void set_carry_due(const Mark& end) {
        carry_due_ = true;
        carry_begin_ = align_down(end.at, block_bytes_);
        carry_end_ = end;
    }
    void carried() { carry_due_ = false; }
    // Whether bytes at `at` share the block that must be carried first.
    bool carry_due_at(uint64_t at) const { return carry_due_ && at > carry_begin_ && at < carry_begin_ + block_bytes_; }
    uint64_t carry_begin() const { return carry_begin_; }
    const Mark& carry_end() const { return carry_end_; }
    // Below `durable`: the commit that holds the proven bytes of a block that is being written again. Needed until a
    // checkpoint speaks of the whole block, or the next write repeats them anew.
    struct Rewritten {
        uint64_t sequence;
        uint64_t end;  // of the block
    };
    std::optional<Rewritten> rewritten;
    // Acknowledged records are lost: nothing is appended, and nothing read behind them. Set by recovery only.
    std::optional<LostRange> lost;
    Error lost_error(const char* operation) const;  // requires lost
    bool carry_queued = false;                      // on its own, because this level has no journal entries to go with

    // Where recovery left it.
    struct Start {
        Offset segment_base{0};
        uint64_t bytes = 0;         // of the active segment
        uint64_t boundary = 0;      // where a batch begins, at or below `bytes`
        Offset boundary_offset{0};  // of that batch; replay finds what lies between
        Offset log_start{0};
        std::vector<EpochStart> epochs;
        Offset proven_end{0};  // of those that begin behind it a crash may have left nothing
    };
    void start(Start start, std::unique_ptr<SegmentIndex> index);
    // The same in place of what there was. Requires that nothing is open, queued or under way, and that no chunk is left.
    void restart(Start start, std::unique_ptr<SegmentIndex> index);
    // Recovery: puts bytes that the journal holds behind what is there.
    void restore(Bytes bytes, BufferPool& pool);
    // One of them, once all are there: what appended() would have noted, but for the queue.
    void restored_batch(BatchView batch, uint64_t at, bool known_to_producers);
    // Idle, and all whole blocks are in its file: of its only chunk the unfinished block is kept, in memory of its size.
    // Requires no open batch.
    void keep_unfinished_block(BufferPool& pool);
    // Loading: the unfinished block before closed(), read from the file.
    void adopt_fragment(Bytes bytes, BufferPool& pool);
    void restored(Offset next_offset) { closed_.offset = next_offset; }
    // Whether a batch can be what was appended at its offset: its checksum says nothing of its leader epoch. Behind what
    // is proven, and what has been noted since, a later one may have begun.
    bool epoch_can_be(BatchView batch) const;
    void note_epoch(BatchView batch);
    // The next bytes belong at `at`: behind those that a direct write put into the file, or where a carry repeats some.
    void move_end_to(uint64_t at) { closed_.at = at; }
    void begin_segment();  // the active segment is full: the next begins at next_offset()
    void roll();           // the same, on the way to the journal

    // Shard's bookkeeping, in its own lists.
    struct Hooks {
        bool in_open_list = false;
        bool in_dirty_list = false;
        bool journaled = false;  // the journal may hold bytes of it that are still needed
        bool deleted = false;
        bool has_directory = false;       // made or found by this opening
        std::atomic<bool> loaded{false};  // the unfinished block and the seal are in memory
        bool loading = false;             // somebody is reading them
        std::atomic<uint32_t> load_word{0};
        bool filling = false;  // a fill of this partition is in flight, or its file's size being set
        bool writing = false;  // a commit is writing to its file
        bool in_stream_list = false;
        uint64_t unfilled_bytes = 0;          // of a `memory` topic
        std::atomic<bool> needs_epoch{true};  // no append since the log was opened
        bool epochs_unwritten = false;        // leader-epoch-checkpoint does not have all of them
        uint64_t committing_to = 0;
        std::atomic<uint32_t> visible_word{0};
        uint32_t readers_waiting = 0;
        bool readers_called = false;          // to commit what was appended while they slept; once is enough
        bool taking_as_is = false;            // somebody appends batches as they are; one at a time
        bool watched = false;                 // the next move is told to the engine, once
        std::optional<uint32_t> shared_page;  // of the tail that other processes read
        // Odd while files of closed segments are being replaced: readers of files wait, and begin again after it.
        std::atomic<uint32_t> swap_word{0};
    } hooks;

    std::vector<ClosedSegment> closed_segments;  // older ones, by base
    bool closed_segments_known = false;          // listed from the directory when first needed
    Offset compacted_end{0};                     // offsets below it may be missing
    int64_t compaction_horizon_ms = -1;  // the earliest that a kept tombstone waits for, since this opening; -1: none
    std::string swap_text;               // of the swap that is on its way to the journal
    bool swap_open = false;              // one is on its way, or its files are
    bool swap_placed = false;            // its new file is in its place, files of the old ones may be there still
    std::optional<uint64_t> swap_sequence;  // the commit that holds a swap whose files are not in their places yet
    std::vector<Offset> replaced;           // read-only: segments that a swap made nobody's, but whose files are there
    Truncation truncation;                  // that is on its way to the journal
    bool truncating =
        false;  // it is in the journal, and the files are being cut: readers wait, or learn that it failed
    std::vector<Offset> truncations;    // where it ended after each, since this opening
    uint64_t closed_at_checkpoint = 0;  // where it ended at the last one
    bool remains_removed = false;       // files that a crash left behind; only maintenance looks at this

private:
    size_t room() const;
    void tell_watcher();
    void appended(BatchView batch);
    void new_chunk(size_t bytes, BufferPool& pool);
    void queue_range(EntryKind kind, uint64_t begin, uint64_t end, Offset base, Offset next);
    bool roll_due(size_t bytes, int64_t timestamp_ms) const;
    bool segment_full(uint64_t used, size_t bytes, int64_t first_timestamp_ms, int64_t timestamp_ms) const;
    MutableBytes copy_in(BatchView batch, BufferPool& pool);

    Shard& shard_;
    Identity identity_;
    std::vector<std::shared_ptr<const TopicConfig>> configs_;  // every one it had; owners: this, and the topic
    std::atomic<const TopicConfig*> config_{nullptr};
    uint32_t block_bytes_;

    Mark closed_;
    Mark visible_;
    Offset log_start_{0};
    std::vector<EpochStart> epochs_;
    Offset epochs_proven_end_{0};  // below it epochs_ was complete when this opening began
    Epoch epoch_taken_{-1};        // the last number that was on record then
    ProducerState producers_;

    std::optional<BatchBuilder> builder_;
    BatchBuilder::Options builder_options_;
    std::vector<std::byte> scratch_;  // holds the open batch of a compressed topic
    bool builder_in_scratch_ = false;

    std::vector<Chunk> chunks_;
    std::array<Mark, 4> read_hints_{};  // at 0: none
    uint32_t read_hints_used_ = 0;
    size_t next_chunk_bytes_ = chunk_bytes_first;
    std::vector<std::unique_ptr<OpenSegment>> segments_;  // owned one by one: references outlive a roll

    struct CommitMark {
        uint64_t begin;
        uint64_t sequence;
    };
    std::vector<CommitMark>
        commits_;  // sparse: a byte is in the commit of the last mark at or below it, or a later one
    bool carry_due_ = false;
    uint64_t carry_begin_ = 0;  // of the block
    Mark carry_end_;            // of what is in it
    void note_boundary(Mark begin);
    std::vector<Mark> boundaries_;  // where batches begin, one in 32 KiB
};

}  // namespace flowstone
