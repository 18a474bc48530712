#include "storage/seal.h"

#include <algorithm>

#include "storage/check.h"
#include "storage/impl/aligned_memory.h"
#include "storage/limits.h"
#include "storage/mutants.h"
#include "storage/segment_files.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr std::string_view seal_magic = "FLOWSEAL";
constexpr uint16_t seal_version = 1;
constexpr uint8_t flag_chain = 1;
constexpr size_t fixed_bytes = 8 + 2 + 1 + 1 + 4 + 16 + 16 + 8 + 8 + 8 + 4 + 4;
constexpr size_t sum_bytes = 8;
constexpr uint64_t read_bytes = 256 * 1024;  // JOURNAL 8: cold reads go in pieces of this size
constexpr size_t faults_max = 1'000;
static_assert(fixed_bytes + 16ull * seal_pieces_max + 68 + 32ull * seal_replaced_max + sum_bytes <=
              seal_file_bytes_max);

uint64_t piece_count(uint64_t bytes) { return (bytes + seal_piece_bytes - 1) / seal_piece_bytes; }

// Any change of place changes every hash.
uint64_t seed_of(const SealPlace& place) {
    ByteWriter out;
    out.bytes(place.cluster.bytes);
    out.bytes(place.topic.bytes);
    out.le(place.partition);
    out.le(place.base.value);
    return xxh3_64(out.view());
}

ByteWriter encode_unsummed(const Seal& seal) {
    CHECK(seal.pieces.size() == piece_count(seal.bytes));
    CHECK(seal.pieces.size() <= seal_pieces_max);
    ByteWriter out;
    out.text(seal_magic);
    out.le(seal_version);
    out.le(static_cast<uint8_t>(seal.origin));
    out.le(static_cast<uint8_t>(seal.chain ? flag_chain : 0));
    out.le(seal.place.partition);
    out.bytes(seal.place.cluster.bytes);
    out.bytes(seal.place.topic.bytes);
    out.le(seal.place.base.value);
    out.le(seal.end.value);
    out.le(seal.bytes);
    out.le(static_cast<uint32_t>(seal_piece_bytes));
    out.le(static_cast<uint32_t>(seal.pieces.size()));
    for (const Hash128& piece : seal.pieces) { out.bytes(piece.bytes); }
    if (seal.chain) {
        CHECK(seal.chain->replaced.size() <= seal_replaced_max);
        out.bytes(seal.chain->content);
        out.bytes(seal.chain->previous);
        out.le(static_cast<uint32_t>(seal.chain->replaced.size()));
        for (const Sha256& head : seal.chain->replaced) { out.bytes(head); }
    }
    return out;
}

template <size_t size>
std::array<std::byte, size> read_array(ByteReader& reader) {
    std::array<std::byte, size> out{};
    const Bytes bytes = reader.bytes(size);
    std::ranges::copy(bytes, out.begin());
    return out;
}

std::unexpected<Error> bad(std::string_view why) { return fail(Code::corrupt, "seal.decode", why); }

Result<SealChain> decode_chain(ByteReader& reader) {
    SealChain chain;
    chain.content = read_array<32>(reader);
    chain.previous = read_array<32>(reader);
    const auto count = reader.le<uint32_t>();
    if (count > seal_replaced_max || count > reader.remaining() / 32) {
        return bad("more replaced seals than it holds");
    }
    for (uint32_t i = 0; i < count; ++i) { chain.replaced.push_back(read_array<32>(reader)); }
    return chain;
}

// What the checksum does not say: that the numbers agree with each other.
Result<void> check_agreement(const Seal& seal, uint32_t piece_bytes, uint8_t origin, uint8_t flags) {
    if (origin > static_cast<uint8_t>(SealOrigin::rewrite)) { return bad("unknown origin"); }
    if ((flags & ~flag_chain) != 0) { return bad("unknown flags"); }
    if (piece_bytes != seal_piece_bytes) { return bad("piece size"); }
    if (seal.place.partition < 0) { return bad("negative partition"); }
    if (seal.place.base.value < 0 || seal.end < seal.place.base) { return bad("offsets run backwards"); }
    return {};
}

// Feeds [0, bytes) of a file in order; fewer when the file is shorter. Returns how many there were.
template <class Take>
Result<uint64_t> read_pieces(Disk& disk, File& file, uint64_t bytes, Take&& take) {
    uint64_t align = disk_block_bytes_min;
    if (file.direct()) {
        TRY(const uint32_t block, disk.block_bytes(parent_path(file.path())));
        align = std::max<uint64_t>(align, block);
    }
    const AlignedMemory memory = allocate_aligned(align_up(read_bytes, align), align);
    uint64_t at = 0;
    while (at < bytes) {
        const MutableBytes into(memory.get(), align_up(read_bytes, align));
        TRY(const uint64_t done, read_at(disk, file, BytePos{static_cast<int64_t>(at)}, into));
        const uint64_t taken = std::min(done, bytes - at);
        take(Bytes(memory.get(), taken));
        at += taken;
        if (done < into.size()) { break; }
    }
    return at;
}

void add_fault(SealVerdict& verdict, SealFault::Kind kind, uint64_t begin, uint64_t end) {
    const SealFault fault{kind, BytePos{static_cast<int64_t>(begin)}, BytePos{static_cast<int64_t>(end)}};
    if (!verdict.faults.empty() && verdict.faults.back().kind == kind && verdict.faults.back().end == fault.begin) {
        verdict.faults.back().end = fault.end;
    } else if (verdict.faults.size() < faults_max) {
        verdict.faults.push_back(fault);
    }
}

}  // namespace

const char* name(SealOrigin origin) {
    switch (origin) {
        case SealOrigin::append: return "append";
        case SealOrigin::reseal: return "reseal";
        case SealOrigin::rewrite: return "rewrite";
    }
    return "unknown";
}

Sha256 Seal::head() const {
    CHECK(chain.has_value());
    return sha256(encode_unsummed(*this).view());
}

std::vector<std::byte> encode_seal(const Seal& seal) {
    ByteWriter out = encode_unsummed(seal);
    out.le(xxh3_64(out.view()));
    return out.take();
}

Result<Seal> decode_seal(Bytes bytes) {
    if (bytes.size() > seal_file_bytes_max) { return fail(Code::too_large, "seal.decode"); }
    ByteReader reader(bytes);
    if (as_text(reader.bytes(seal_magic.size())) != seal_magic) { return bad("not a seal"); }
    // The sum comes before the version: a flipped bit is damage, not a release that does not exist.
    if (bytes.size() < fixed_bytes + sum_bytes) { return bad("shorter than a seal"); }
    const Bytes summed = bytes.first(bytes.size() - sum_bytes);
    if (load_le<uint64_t>(bytes.data() + summed.size()) != xxh3_64(summed) && !mutated(Mutant::seal_sum)) {
        return bad("checksum");
    }
    const auto version = reader.le<uint16_t>();
    if (version != seal_version) {
        return fail(Code::unsupported, "seal.decode", "version " + std::to_string(version));
    }
    Seal seal;
    const auto origin = reader.le<uint8_t>();
    const auto flags = reader.le<uint8_t>();
    seal.origin = static_cast<SealOrigin>(origin);
    seal.place.partition = reader.le<int32_t>();
    seal.place.cluster.bytes = read_array<16>(reader);
    seal.place.topic.bytes = read_array<16>(reader);
    seal.place.base = Offset{reader.le<int64_t>()};
    seal.end = Offset{reader.le<int64_t>()};
    seal.bytes = reader.le<uint64_t>();
    const auto piece_bytes = reader.le<uint32_t>();
    const auto count = reader.le<uint32_t>();
    TRY_VOID(check_agreement(seal, piece_bytes, origin, flags));
    if (seal.bytes > uint64_t{seal_pieces_max} * seal_piece_bytes || count != piece_count(seal.bytes) ||
        count > reader.remaining() / 16) {
        return bad("length and hashes do not agree");
    }
    seal.pieces.resize(count);
    for (Hash128& piece : seal.pieces) { piece.bytes = read_array<16>(reader); }
    if ((flags & flag_chain) != 0) { TRY(seal.chain, decode_chain(reader)); }
    if (reader.failed() || reader.remaining() != sum_bytes) { return bad("wrong size"); }
    return seal;
}

Result<Seal> read_seal(Disk& disk, const std::string& directory, Offset base) {
    const std::string path = join_path(directory, segment_file_name(base, SegmentFile::seal));
    TRY(const auto bytes, read_file(disk, path, seal_file_bytes_max));
    auto seal = decode_seal(bytes);
    if (!seal) { return std::unexpected(seal.error().with_detail(path + ": " + seal.error().detail)); }
    if (seal->place.base != base) { return fail(Code::corrupt, "seal.read", path + " belongs to another segment"); }
    return seal;
}

Result<std::optional<Offset>> last_seal_before(Disk& disk, const std::string& directory, Offset base) {
    TRY(const PartitionListing listing, list_segments(disk, directory));
    std::optional<Offset> last;
    for (const auto* files : {&listing.segments, &listing.orphans}) {
        for (const SegmentListing& one : *files) {
            if (one.seal && one.base < base && (!last || *last < one.base)) { last = one.base; }
        }
    }
    return last;
}

Result<void> write_seal(Disk& disk, const std::string& directory, const Seal& seal) {
    return replace_file(disk, join_path(directory, segment_file_name(seal.place.base, SegmentFile::seal)),
                        encode_seal(seal));
}

Hash128 seal_piece_hash(const SealPlace& place, Bytes piece) { return xxh3_128(piece, seed_of(place)); }

SealBuilder::SealBuilder(const SealPlace& place) : place_(place), seed_(seed_of(place)), partial_(seed_) {}

SealBuilder::SealBuilder(const SealPlace& place, std::vector<Hash128> pieces)
    : place_(place),
      seed_(seed_of(place)),
      bytes_(pieces.size() * seal_piece_bytes),
      pieces_(std::move(pieces)),
      partial_(seed_) {}

void SealBuilder::update(Bytes bytes) {
    while (!bytes.empty()) {
        const uint64_t room = seal_piece_bytes - bytes_ % seal_piece_bytes;
        const Bytes part = bytes.first(std::min<uint64_t>(room, bytes.size()));
        partial_.update(part);
        bytes_ += part.size();
        bytes = bytes.subspan(part.size());
        if (part.size() == room) {
            pieces_.push_back(partial_.digest());
            partial_ = Xxh3Stream(seed_);
        }
    }
}

Seal SealBuilder::finish(Offset end, SealOrigin origin) const {
    Seal seal{.place = place_, .end = end, .bytes = bytes_, .origin = origin, .pieces = pieces_, .chain = {}};
    if (bytes_ % seal_piece_bytes != 0) { seal.pieces.push_back(partial_.digest()); }
    return seal;
}

Result<SealVerdict> verify_seal(Disk& disk, File& log, const Seal& seal) {
    SealBuilder builder(seal.place);
    Sha256Stream content;
    TRY(const uint64_t found, read_pieces(disk, log, seal.bytes, [&](Bytes bytes) {
            builder.update(bytes);
            if (seal.chain) { content.update(bytes); }
        }));
    TRY(const uint64_t size, disk.size(log));
    const Seal actual = builder.finish(seal.end, seal.origin);
    SealVerdict verdict;
    for (size_t i = 0; i < actual.pieces.size(); ++i) {
        const uint64_t begin = i * seal_piece_bytes;
        const uint64_t end = std::min(begin + seal_piece_bytes, seal.bytes);
        if (end > found) { break; }  // cut inside: the length says it
        if (actual.pieces[i] != seal.pieces[i]) { add_fault(verdict, SealFault::Kind::piece, begin, end); }
    }
    if (found < seal.bytes) { add_fault(verdict, SealFault::Kind::length, found, seal.bytes); }
    if (size > seal.bytes) { add_fault(verdict, SealFault::Kind::length, seal.bytes, size); }
    if (seal.chain) { verdict.content_matches = content.finish() == seal.chain->content; }
    return verdict;
}

Result<Seal> seal_of_file(Disk& disk, File& log, const SealPlace& place, Offset end, SealOrigin origin) {
    TRY(const uint64_t size, disk.size(log));
    SealBuilder builder(place);
    TRY(const uint64_t found, read_pieces(disk, log, size, [&](Bytes bytes) { builder.update(bytes); }));
    if (found != size) { return fail(Code::io, "seal.read", log.path() + " changed while it was read"); }
    return builder.finish(end, origin);
}

Result<Sha256> sha256_of_file(Disk& disk, File& log, uint64_t bytes) {
    Sha256Stream content;
    TRY(const uint64_t found, read_pieces(disk, log, bytes, [&](Bytes piece) { content.update(piece); }));
    if (found != bytes) { return fail(Code::corrupt, "seal.sha256", log.path() + " is too short"); }
    return content.finish();
}

}  // namespace flowstone
