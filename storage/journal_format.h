// The bytes of one journal commit: writing it and believing it. No I/O.
//
//   commit  = header, places of the commit before, entries, zeros up to the block
//   header  = 96 bytes        place = 40 bytes        entry = head of 64 bytes, payload
//
// Everything little endian but the batches inside. Format page: docs/formats/journal.md. Rules: docs/DURABILITY.md.
//
// A commit's sum is a chained CRC-64: seeded with the sum of the commit before, over header (its own sum as zero),
// places, entry heads, and of each payload what no other checksum covers: of batches their 61-byte headers, which
// contain the CRC-32C of the rest; of other payloads every byte. Nothing is read twice to be written once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/bytes.h"

namespace flowstone {

constexpr size_t commit_header_bytes = 96;
constexpr size_t commit_place_bytes = 40;
constexpr size_t entry_head_bytes = 64;

// Where a commit lies, and what it follows.
struct CommitPlace {
    Uuid ring;                // the ring's own id: another directory's journal never fits
    uint32_t generation = 0;  // counts openings for writing; a recycled file still holds good commits of older ones
    uint32_t file = 0;        // number of the ring file
    uint32_t block = 0;       // 4 KiB block in that file
    uint64_t sequence = 0;    // counts commits, never reset
    uint64_t prior_sum = 0;   // sum of the commit with the sequence before
};

enum class EntryKind : uint8_t {
    batches = 1,  // whole batches, to be found at `position` of the segment
    direct = 2,   // batches already in the segment: payload is DirectPayload, then the bytes of the last unfilled block
    carry = 3,    // bytes that the segment is to hold at `position`, repeated because their block is written again
    trim = 4,     // log start moved to base_offset
    truncate = 5,  // log end moved back to base_offset
    roll = 6,      // a segment of base_offset begins; `position` is the size of the one before
    swap = 7,      // compacted segments took the place of others: payload is text, docs/formats/journal.md
    skip = 8,      // offsets may be missing below i64, the payload; a log without records begins with base_offset
};

// Names its place completely, so that replay needs nothing but the entry.
struct EntryHead {
    EntryKind kind = EntryKind::batches;
    Uuid topic_id;
    int32_t partition = 0;
    Epoch epoch{0};
    Offset segment_base{0};  // which segment file
    BytePos position{0};     // of the first byte in that file
    Offset base_offset{0};   // of the first record
    Offset next_offset{0};   // after the last record
};

struct DirectPayload {
    uint64_t bytes = 0;  // from EntryHead::position, in the segment file, durable before this entry was written
    uint64_t sum = 0;    // CRC-64 chained over the 61-byte headers of its batches
};
constexpr size_t direct_payload_bytes = 16;
constexpr size_t skip_payload_bytes = 8;

// What the next commit repeats: enough to fence what was lost when this one cannot be read.
struct EntryPlace {
    Uuid topic_id;
    int32_t partition = 0;
    Offset base_offset{0};
    Offset next_offset{0};
};

// Builds one commit in a buffer of the caller's. Usage: begin, add..., finish. Copies payloads once.
class CommitWriter {
public:
    // `space` is block aligned and stays valid until finish(). `prior` are the places of the commit before.
    CommitWriter(MutableBytes space, const CommitPlace& place, std::span<const EntryPlace> prior);

    // What an entry with this payload takes.
    static size_t entry_bytes(size_t payload_bytes) { return entry_head_bytes + align_up(payload_bytes, 8); }
    bool fits(size_t payload_bytes) const { return used_ + entry_bytes(payload_bytes) <= space_.size(); }

    // `payload` in pieces, back to back. For batches the pieces must each hold whole batches. Requires fits().
    void add(const EntryHead& head, std::span<const Bytes> payload);
    // Returns the bytes to write, padded with zeros to `block_bytes`.
    Bytes finish(uint32_t block_bytes);

    uint32_t entries() const { return entries_; }
    uint64_t sum() const { return sum_; }  // after finish()
    std::vector<EntryPlace> take_places() { return std::move(places_); }

private:
    MutableBytes space_;
    CommitPlace place_;
    size_t used_ = 0;
    uint32_t entries_ = 0;
    uint64_t sum_ = 0;
    uint32_t prior_count_ = 0;
    std::vector<EntryPlace> places_;
};

struct Entry {
    EntryHead head;
    Bytes payload;  // points into the commit
};

// A commit as found in a ring file; points into the bytes it was parsed from.
struct CommitView {
    CommitPlace place;
    uint64_t sum = 0;
    size_t bytes = 0;  // without padding
    std::vector<EntryPlace> prior;
    std::vector<Entry> entries;
};

enum class CommitFault : uint8_t { none, not_a_commit, damaged };

// Reads a commit at the front of `bytes`. not_a_commit: no magic or another ring's; damaged: it says it is one, but
// lengths, place, sum or a batch's checksum do not hold. `place.file` and `place.block` must match.
CommitFault parse_commit(Bytes bytes, const Uuid& ring, uint32_t file, uint32_t block, CommitView& out);

// The DirectPayload at the front of a `direct` entry's payload.
std::optional<DirectPayload> parse_direct(Bytes payload);

// The sum that DirectPayload carries, continued from `seed` over the batches in `bytes`; empty when they are not whole
// batches, or with `check_crc` when one's own checksum is wrong.
std::optional<uint64_t> direct_sum(Bytes bytes, bool check_crc, uint64_t seed = 0);

}  // namespace flowstone
