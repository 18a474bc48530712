// Compaction by key: which records survive, and the batches that are written for them. The deciding part only: the
// driver reads segments, calls these for each batch, writes new segments and swaps them.
//
//   1. for each batch in [first dirty, clean end): map.note(batch), until it says full; then clean end is lower
//   2. for each batch of the segments to clean: clean_batch(batch, ...) and write what it answers
//
// What survives (SERVE.md rule 37): the last record of each key; a tombstone until delete.retention.ms after the first
// time it was cleaned; every record at or above the clean end; control batches; each producer's last batch, emptied
// if need be, so that its sequence is not lost; the last batch below the clean end, likewise, so that the log's end is
// not. Records without a key go, as in Kafka. Offsets and order never change.
//
// The time after which tombstones go (the delete horizon) is in the batch itself: attribute bit 6, and then the base
// timestamp field holds the horizon (KIP-534, Kafka 3.1 and later).
//
// Pure: no clock, no I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "log/topic_config.h"
#include "storage/batch.h"
#include "storage/checksum.h"

namespace flowstone {

// Where each key was last seen. Keys are kept as 128-bit hashes, seeded so that nobody can prepare two keys of one
// hash: taking one key for another would lose a record. Memory is taken once, in full: 24 bytes a slot.
class KeyMap {
public:
    struct Options {
        size_t bytes_max = 64u << 20;
        uint64_t seed = 0;  // from the Random door
        double load_max = 0.9;
    };
    explicit KeyMap(const Options& options);

    // Remembers that `key` is at `offset`; the larger offset wins. False when the map is full: then nothing changed.
    bool put(Bytes key, Offset offset);
    Offset find(Bytes key) const;  // -1: not seen
    size_t size() const { return size_; }
    size_t capacity() const { return keys_max_; }
    // Every record below this one was noted: only they may be superseded.
    Offset end() const { return end_; }
    void set_end(Offset end) { end_ = end; }
    void clear();

private:
    struct Slot {
        Hash128 hash;
        int64_t offset;  // -1: free
    };
    size_t place(const Hash128& hash) const;
    std::vector<Slot> slots_;
    uint64_t seed_;
    size_t keys_max_;
    size_t size_ = 0;
    Offset end_{0};
};

// How the transaction of a batch ended, as the caller knows. A batch outside any transaction is committed.
enum class TransactionFate : uint8_t {
    committed,
    aborted,  // never read: supersedes nothing, its records go
    unknown,  // supersedes nothing, its records stay
};

// Enters the keys of one batch into the map and moves map.end() past it. False when the map is full: the keys of this
// batch that fit are in it, which is harmless (the batch is at or above map.end(), so it stays, and an older record of
// the same key goes rightly). Errors: as RecordCursor::open and next.
Result<bool> note_keys(BatchView batch, TransactionFate fate, KeyMap& map, std::vector<std::byte>& scratch);

struct CleanRules {
    int64_t now_ms = 0;
    int64_t delete_retention_ms = 86'400'000;
    Offset
        clean_end;  // exclusive bound of the segments being cleaned: the batch that ends there is kept, empty at least
};

enum class Cleaned : uint8_t {
    as_it_was,  // write the batch given, byte for byte
    rewritten,  // write `batch`
    emptied,    // write `batch`, which has no records
    dropped,    // write nothing
};

struct CleanedBatch {
    Cleaned what = Cleaned::as_it_was;
    std::optional<BatchView> batch;  // in `out`
    uint32_t records_kept = 0;
    uint32_t records_dropped = 0;
    bool tombstones_kept = false;  // another cleaning is due at the horizon
    int64_t horizon_ms = -1;       // the batch's delete horizon afterwards; -1: none
};

// What remains of one batch. `is_producers_last`: no later batch of its producer is in the log.
// Errors: as RecordCursor::open and next; then the batch must be kept as it was and the cleaning given up.
Result<CleanedBatch> clean_batch(BatchView batch, TransactionFate fate, bool is_producers_last, const KeyMap& map,
                                 const CleanRules& rules, std::vector<std::byte>& scratch, std::vector<std::byte>& out);

// One segment as compaction sees it.
struct CleanableSegment {
    Offset base;
    Offset end;
    uint64_t bytes = 0;
    int64_t first_timestamp_ms = -1;  // of its first batch; -1: unknown, the largest counts
    int64_t max_timestamp_ms = -1;
    int64_t last_modified_ms = -1;  // counts where there is no timestamp
};

struct CleanPlan {
    bool due = false;
    Offset first_dirty;  // keys are noted from here
    Offset clean_end;    // up to here, exclusive; always a segment's end
    double dirty_ratio = 0;
};

// Whether a compacted log should be cleaned now, and which part. `segments` in order, the active one last: it is never
// touched, nor is anything at or above `bound` (the lowest of checkpoint, watermark and last stable offset), nor what
// is younger than min.compaction.lag.ms. `first_dirty` is where the last cleaning ended. Due when the dirty part is at
// least min.cleanable.dirty.ratio of all that could be cleaned, or something dirty is older than max.compaction.lag.ms,
// or `horizon_ms` (the earliest delete horizon left behind by the last cleaning; -1: none) has passed.
CleanPlan plan_cleaning(std::span<const CleanableSegment> segments, Offset first_dirty, Offset bound,
                        int64_t horizon_ms, int64_t now_ms, const TopicConfig& config);

}  // namespace flowstone
