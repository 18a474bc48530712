// What is proven to be on disk: two alternating slots, each a whole file with a checksum.
//
// A slot is written only after every file and directory it speaks of is synced, over the older of the two, so losing
// either loses nothing: ring space is reused only up to the older slot's first sequence. Below a checkpoint whatever
// is bad is corruption, never a crash tail. Format: docs/formats/checkpoint.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/checksum.h"
#include "storage/disk.h"
#include "storage/meta_files.h"
#include "storage/segment_index.h"

namespace flowstone {

constexpr uint64_t checkpoint_bytes_max = 1ull << 30;

// A ring of the directory: from where replay begins.
struct RingCheckpoint {
    Uuid ring;
    uint32_t shard = 0;
    uint64_t first_sequence = 1;  // the first commit still needed
    uint64_t prior_sum = 0;       // sum of the commit before it, when `prior_known`
    bool prior_known = false;
};

// Acknowledged records that are lost: known, named over every opening, until somebody accepts it.
struct LostRange {
    Offset begin{0};
    Offset end{0};           // the next offset that may be given; what lies before it was, to others
    uint64_t commit = 0;     // they were in this commit of the journal; 0: in the segment
    uint32_t shard = 0;      // of that journal
    Offset segment_base{0};  // they were in this segment, below a checkpoint
    BytePos position{0};     // from this byte on
    bool inside = false;     // what follows them in the segment is there
    friend bool operator==(const LostRange&, const LostRange&) = default;
};

// A partition whose active segment has bytes. A partition that is not named has none yet.
struct PartitionCheckpoint {
    Uuid topic_id;
    int32_t partition = 0;
    Offset segment_base{0};     // the active segment
    uint64_t synced_bytes = 0;  // of it, proven to be on disk
    Offset log_start{0};
    uint64_t boundary = 0;      // where a batch begins, at or below synced_bytes and equal to it in a clean checkpoint
    Offset boundary_offset{0};  // its base offset: replay and scans begin here
    Offset compacted_end{0};    // everything below was compacted
    SegmentIndex::State index;
    std::vector<Hash128> seal_pieces;  // finished MiBs of the active segment
    std::vector<EpochStart> epochs;    // all of the partition, the leader-epoch-checkpoint to be
    std::vector<std::byte> producers;  // ProducerState::encode_window
    std::optional<LostRange> lost;
    Offset producers_end{0};  // just before this offset, which may lie past synced_bytes
};

struct Checkpoint {
    uint64_t number = 0;  // grows by one each time; the slot is its parity
    Uuid cluster;
    uint32_t generation = 0;  // openings for writing so far
    bool clean = false;       // closed: the ring is empty and every file exact to the byte
    int64_t wall_ms = 0;      // the last time on record
    std::vector<RingCheckpoint> rings;
    std::vector<PartitionCheckpoint> partitions;  // by topic id and partition
};

std::vector<std::byte> encode_checkpoint(const Checkpoint& checkpoint);
// Errors: corrupt; unsupported (newer version).
Result<Checkpoint> decode_checkpoint(Bytes bytes);

// The newest slot that holds, and what became of the other.
struct CheckpointRead {
    std::optional<Checkpoint> newest;
    uint64_t older_number = 0;  // of the other slot when it holds, else 0
    bool slot_damaged = false;  // a slot is there but does not hold: a torn write, or damage
    bool any_slot = false;      // a slot file exists
};
Result<CheckpointRead> read_checkpoint(Disk& disk, const std::string& directory);
// The larger number that a slot claims, read from its front without proof: at least that of the newest complete one.
Result<uint64_t> claimed_checkpoint_number(Disk& disk, const std::string& directory);
// Durable when it returns. Errors: no_space, io.
Result<void> write_checkpoint(Disk& disk, const std::string& directory, const Checkpoint& checkpoint);
bool is_checkpoint_file(const std::string& name);

}  // namespace flowstone
