// <base>.seal: what a rolled segment's bytes were when they were appended.
//
// One XXH3-128 per MiB, seeded with the place the bytes belong to, so that damage is fenced to a MiB and a file in the
// wrong place is found out. With SHA-256 (flowstone.seal=sha256) seals form a chain that makes history tamper-evident.
// A seal is never rebuilt silently: only `segment reseal` makes one from bytes it read, and the seal says so.
// Format page: docs/formats/seal.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/checksum.h"
#include "storage/disk.h"
#include "storage/sha256.h"

namespace flowstone {

constexpr uint64_t seal_piece_bytes = 1u << 20;
constexpr uint32_t seal_pieces_max = 1u << 20;  // a segment of 1 TiB
constexpr uint32_t seal_replaced_max = 100'000;
constexpr uint64_t seal_file_bytes_max = 32u << 20;  // both of the above, with room

// Behind the name of a seal that a truncation took away, until the next one of its chain stands in for it.
constexpr char truncated_seal_suffix[] = ".truncated";

// Which bytes these are. The same bytes elsewhere have other hashes.
struct SealPlace {
    Uuid cluster;
    Uuid topic;
    int32_t partition = 0;
    Offset base;
    friend bool operator==(const SealPlace&, const SealPlace&) = default;
};

enum class SealOrigin : uint8_t {
    append = 0,   // from the bytes as they were appended, before the disk had them
    reseal = 1,   // read back from the file on an operator's word
    rewrite = 2,  // by compaction, from the bytes as they were written
};
const char* name(SealOrigin origin);

// The tamper-evident part.
struct SealChain {
    Sha256 content{};              // of the segment's bytes
    Sha256 previous{};             // head() of the seal before this one; zeros for a partition's first
    std::vector<Sha256> replaced;  // heads of the seals that compaction, trim or truncation took away for this one
    friend bool operator==(const SealChain&, const SealChain&) = default;
};

struct Seal {
    SealPlace place;
    Offset end;          // the segment's next offset
    uint64_t bytes = 0;  // the segment's length
    SealOrigin origin = SealOrigin::append;
    std::vector<Hash128> pieces;  // ceil(bytes / seal_piece_bytes)
    std::optional<SealChain> chain;
    friend bool operator==(const Seal&, const Seal&) = default;

    // SHA-256 of everything the seal says, its previous included: what the next seal, and whoever keeps the head of
    // the chain elsewhere, refers to. Requires a chain.
    Sha256 head() const;
};

std::vector<std::byte> encode_seal(const Seal& seal);
// Errors: corrupt; unsupported (a newer version); too_large.
Result<Seal> decode_seal(Bytes bytes);

// Errors: those of Disk; not_found; decode_seal's with the path.
Result<Seal> read_seal(Disk& disk, const std::string& directory, Offset base);
// The base of the last seal below `base`, whether or not its segment is still there. Errors: those of Disk::list.
Result<std::optional<Offset>> last_seal_before(Disk& disk, const std::string& directory, Offset base);
// Durable when it returns.
Result<void> write_seal(Disk& disk, const std::string& directory, const Seal& seal);

// The hash of one piece: what is compared when a single MiB is checked or fetched from a peer.
Hash128 seal_piece_hash(const SealPlace& place, Bytes piece);

// Takes a segment's bytes as they are appended, in pieces of any size. About 600 bytes and 16 per MiB.
class SealBuilder {
public:
    explicit SealBuilder(const SealPlace& place);
    // Goes on after a restart: `pieces` are the finished ones a checkpoint kept. The caller then feeds the bytes from
    // bytes() on, that is the unfinished MiB, which it reads from the segment or the journal.
    SealBuilder(const SealPlace& place, std::vector<Hash128> pieces);

    void update(Bytes bytes);
    uint64_t bytes() const { return bytes_; }
    // The finished pieces so far: what a checkpoint keeps.
    const std::vector<Hash128>& pieces() const { return pieces_; }
    const SealPlace& place() const { return place_; }

    // The seal of everything so far; the builder may go on.
    Seal finish(Offset end, SealOrigin origin) const;

private:
    SealPlace place_;
    uint64_t seed_ = 0;
    uint64_t bytes_ = 0;
    std::vector<Hash128> pieces_;
    Xxh3Stream partial_;
};

// One MiB that is not what was sealed, or bytes that are missing or too many.
struct SealFault {
    enum class Kind : uint8_t { piece, length } kind = Kind::piece;
    BytePos begin;  // of the piece, or of what is missing or too much
    BytePos end;
};
// Reads a segment against its seal, in pieces of seal_piece_bytes; also computes the SHA-256 when the seal has a
// chain (`content_matches`). Errors: io.
struct SealVerdict {
    std::vector<SealFault> faults;  // at most 1,000; adjacent pieces are joined
    bool content_matches = true;    // the SHA-256; true without a chain
    bool good() const { return faults.empty() && content_matches; }
};
Result<SealVerdict> verify_seal(Disk& disk, File& log, const Seal& seal);

// Hashes a file that is there: for reseal and for the SHA-256 of a rolled segment. Errors: io.
Result<Seal> seal_of_file(Disk& disk, File& log, const SealPlace& place, Offset end, SealOrigin origin);
Result<Sha256> sha256_of_file(Disk& disk, File& log, uint64_t bytes);

}  // namespace flowstone
