// What a partition remembers of idempotent producers, so that a retry is recognised.
//
// Per producer id the last 5 batches: the most that a producer may have in flight (KIP-98; SERVE.md rules 21 to 23).
// The next batch must continue the last sequence, wrapping from 2^31 - 1 to 0. A retry of one of the five is a
// duplicate and answers with its original place. A producer that is not known may begin with any sequence.
//
//   check(sequence)        decides, changes nothing
//   applied(batch)         the batch has its offset: remember it
//
// Kept across restarts in two pieces: Kafka's `.snapshot` holds each producer's last batch, because Kafka itself keeps
// no more there; with that alone a retry of an older one of the five would be refused after a restart as out of order,
// although it was acknowledged. The whole window goes as an opaque blob into our checkpoint (encode_window).
//
// Pure: no clock, no I/O. Not synchronised: the partition's lock. A partition without producers costs one pointer.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/batch.h"
#include "storage/producer_snapshot.h"

namespace flowstone {

constexpr size_t producer_window = 5;                           // batches per producer
constexpr uint32_t producers_per_partition_max = 100'000;       // above it the one silent for longest is forgotten
constexpr int64_t producer_expiration_ms_default = 86'400'000;  // Kafka's producer.id.expiration.ms

// The next sequence after `count` records that begin at `sequence`, both in [0, 2^31).
constexpr int32_t sequence_after(int32_t sequence, int64_t count) {
    return static_cast<int32_t>((int64_t{sequence} + count) & INT32_MAX);
}

// Who appends what, before it has an offset.
struct ProducerAppend {
    int64_t producer_id = -1;
    int16_t epoch = -1;
    int32_t base_sequence = -1;
    int32_t record_count = 0;
};

// One batch in the log.
struct ProducerBatch {
    int32_t base_sequence = -1;
    int32_t last_sequence = -1;
    Offset base_offset;
    Offset last_offset;
    int64_t timestamp_ms =
        -1;  // the batch's max timestamp; what an answer to a duplicate carries under log append time
    friend bool operator==(const ProducerBatch&, const ProducerBatch&) = default;
};

class ProducerState {
public:
    ProducerState();
    ProducerState(ProducerState&&) noexcept;
    ProducerState& operator=(ProducerState&&) noexcept;
    ~ProducerState();

    // Empty: append it. A batch: it is a duplicate of that one; answer with its place (once that is acknowledged).
    // Errors: out_of_order, stale_epoch, each with producer, epoch and both sequences; invalid, when the fields
    // cannot be a producer's (negative sequence, no records); busy, when it is new and all others are in transactions.
    Result<std::optional<ProducerBatch>> check(const ProducerAppend& append) const;

    // The batch is in the log at its base offset. Believed unchecked, as Kafka believes replicated batches; one without
    // a producer id changes nothing. Markers end the producer's transaction. `now_ms` is for expiry: the time of the
    // append, not of the records, or a producer that writes history would be forgotten at once.
    void applied(BatchView batch, int64_t now_ms);
    // The same for a caller without bytes at hand. Not for control batches.
    void applied(const ProducerAppend& append, Offset base_offset, int64_t timestamp_ms, bool transactional,
                 int64_t now_ms);

    // Forgets producers without an open transaction that were silent for `expiration_ms`. Returns how many.
    size_t expire(int64_t now_ms, int64_t expiration_ms);

    // The log was truncated to `end`. False: nothing at or above it was remembered, and nothing changed. True: what was
    // before is not known here (a window is short, a marker may have ended a transaction), so everything is forgotten
    // and the caller rebuilds: load() or decode_window() of the last state at or below `end`, then applied() for each
    // batch from there to `end`. Trimming the front needs no call: as in Kafka, a producer's sequence still counts.
    bool truncate(Offset end);

    // The same, given what applied() makes of each batch that is still there. Of each producer the longer memory counts:
    // what was trimmed away only this one knows, what had fallen out of its window only the walk.
    void truncate(Offset end, ProducerState walked);

    size_t size() const;
    // As its marker would.
    void end_transaction(int64_t producer_id);
    Offset first_open_transaction() const;      // the smallest; -1: none
    std::vector<int64_t> producer_ids() const;  // sorted
    // Oldest first; empty when the producer is not known.
    std::vector<ProducerBatch> window(int64_t producer_id) const;

    // The entries of Kafka's snapshot, sorted by producer id; and back: replaces everything. `end` is the offset that
    // the snapshot was taken at. Of two entries of one id the last counts.
    std::vector<ProducerSnapshotEntry> entries() const;
    void load(std::span<const ProducerSnapshotEntry> entries, Offset end, int64_t now_ms);

    // The whole window. Blob, little endian: u8 version 1 · i64 end · u32 producers, the one silent for longest first ·
    // each { i64 id · i16 epoch · i32 coordinator epoch · i64 transaction's first offset · i64 last use ms · u8 batches ·
    // each { i32 base sequence · i32 last sequence · i64 base offset · i64 last offset · i64 timestamp } }.
    // Empty when there are no producers. Only batches below `end` are told of: a crash may take back the others. A
    // producer with none below it is left out.
    std::vector<std::byte> encode_window(Offset end = {std::numeric_limits<int64_t>::max()}) const;
    // Replaces everything. Errors: corrupt, unsupported (newer version): then nothing changed.
    Result<void> decode_window(Bytes blob);

private:
    struct Producers;
    std::unique_ptr<Producers> producers_;  // null while there are none
};

}  // namespace flowstone
