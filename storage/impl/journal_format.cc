#include "storage/journal_format.h"

#include <cstring>

#include "storage/batch.h"
#include "storage/check.h"
#include "storage/checksum.h"
#include "storage/mutants.h"
#include "storage/segment_index.h"

namespace flowstone {
namespace {

constexpr uint64_t magic = 0x31'54'4d'43'57'4f'4c'46;  // "FLOWCMT1" as little-endian bytes
constexpr size_t sum_at = 72;

void put_id(std::byte* to, const Uuid& id) { std::memcpy(to, id.bytes.data(), id.bytes.size()); }
Uuid get_id(const std::byte* from) {
    Uuid id;
    std::memcpy(id.bytes.data(), from, id.bytes.size());
    return id;
}

void put_place(std::byte* to, const EntryPlace& place) {
    put_id(to, place.topic_id);
    store_le<int32_t>(to + 16, place.partition);
    store_le<uint32_t>(to + 20, 0);
    store_le<int64_t>(to + 24, place.base_offset.value);
    store_le<int64_t>(to + 32, place.next_offset.value);
}

EntryPlace get_place(const std::byte* from) {
    return {get_id(from), load_le<int32_t>(from + 16), {load_le<int64_t>(from + 24)}, {load_le<int64_t>(from + 32)}};
}

void put_head(std::byte* to, const EntryHead& head, uint32_t payload_bytes) {
    store_le<uint32_t>(to, static_cast<uint32_t>(head.kind));
    store_le<int32_t>(to + 4, head.partition);
    put_id(to + 8, head.topic_id);
    store_le<int64_t>(to + 24, head.segment_base.value);
    store_le<int64_t>(to + 32, head.position.value);
    store_le<int64_t>(to + 40, head.base_offset.value);
    store_le<int64_t>(to + 48, head.next_offset.value);
    store_le<int32_t>(to + 56, static_cast<int32_t>(head.epoch.value));
    store_le<uint32_t>(to + 60, payload_bytes);
}

// A sum only says that nothing changed since it was taken.
bool in_range(const EntryHead& head) {
    return head.partition >= 0 && head.segment_base.value >= 0 && head.position.value >= 0 &&
           head.position.value <= segment_bytes_limit && head.base_offset.value >= 0 &&
           head.next_offset >= head.base_offset;
}

bool known_kind(uint32_t kind) { return kind >= 1 && kind <= static_cast<uint32_t>(EntryKind::skip); }

// Continues the sum over a payload of batches, header by header. Empty when `bytes` is not whole batches.
template <class EachBatch>
std::optional<uint64_t> sum_batches(Bytes bytes, uint64_t sum, EachBatch each) {
    while (!bytes.empty()) {
        const auto batch = BatchView::parse(bytes);
        if (!batch || !each(*batch)) { return std::nullopt; }
        sum = crc64(batch->bytes().first(batch_header_bytes), sum);
        bytes = bytes.subspan(batch->size());
    }
    return sum;
}

bool crc_holds(const BatchView& batch) { return batch.crc_matches(); }
bool any_batch(const BatchView&) { return true; }

}  // namespace

CommitWriter::CommitWriter(MutableBytes space, const CommitPlace& place, std::span<const EntryPlace> prior)
    : space_(space), place_(place), sum_(place.prior_sum), prior_count_(static_cast<uint32_t>(prior.size())) {
    used_ = commit_header_bytes + prior.size() * commit_place_bytes;
    CHECK(used_ <= space_.size());
    std::byte* at = space_.data() + commit_header_bytes;
    for (const EntryPlace& before : prior) {
        put_place(at, before);
        at += commit_place_bytes;
    }
}

void CommitWriter::add(const EntryHead& head, std::span<const Bytes> payload) {
    size_t payload_bytes = 0;
    for (const Bytes& piece : payload) { payload_bytes += piece.size(); }
    CHECK(fits(payload_bytes));
    std::byte* at = space_.data() + used_;
    put_head(at, head, static_cast<uint32_t>(payload_bytes));
    at += entry_head_bytes;
    for (const Bytes& piece : payload) {
        if (piece.empty()) { continue; }
        std::memcpy(at, piece.data(), piece.size());
        at += piece.size();
    }
    const size_t padded = entry_bytes(payload_bytes);
    std::memset(at, 0, padded - entry_head_bytes - payload_bytes);
    used_ += padded;
    entries_ += 1;
    places_.push_back({head.topic_id, head.partition, head.base_offset, head.next_offset});
}

namespace {

// The sum over everything after the header: places, then heads and what of each payload the heads do not cover.
std::optional<uint64_t> sum_body(Bytes commit, uint32_t prior_count, uint64_t sum, bool check_crc) {
    const size_t places_bytes = size_t{prior_count} * commit_place_bytes;
    sum = crc64(commit.subspan(commit_header_bytes, places_bytes), sum);
    Bytes rest = commit.subspan(commit_header_bytes + places_bytes);
    while (!rest.empty()) {
        sum = crc64(rest.first(entry_head_bytes), sum);
        const auto kind = static_cast<EntryKind>(load_le<uint32_t>(rest.data()));
        const uint32_t payload_bytes = load_le<uint32_t>(rest.data() + 60);
        const Bytes payload = rest.subspan(entry_head_bytes, payload_bytes);
        if (kind == EntryKind::batches) {
            const auto next = sum_batches(payload, sum, check_crc ? crc_holds : any_batch);
            if (!next) { return std::nullopt; }
            sum = *next;
        } else {
            sum = crc64(payload, sum);
        }
        rest = rest.subspan(CommitWriter::entry_bytes(payload_bytes));
    }
    return sum;
}

}  // namespace

Bytes CommitWriter::finish(uint32_t block_bytes) {
    std::byte* header = space_.data();
    std::memset(header, 0, commit_header_bytes);
    store_le<uint64_t>(header, magic);
    put_id(header + 8, place_.ring);
    store_le<uint32_t>(header + 24, place_.generation);
    store_le<uint64_t>(header + 32, place_.sequence);
    store_le<uint32_t>(header + 40, place_.file);
    store_le<uint32_t>(header + 44, place_.block);
    store_le<uint32_t>(header + 48, static_cast<uint32_t>(used_));
    store_le<uint32_t>(header + 52, entries_);
    store_le<uint32_t>(header + 56, prior_count_);
    store_le<uint64_t>(header + 64, place_.prior_sum);
    sum_ = crc64(Bytes(header, commit_header_bytes), place_.prior_sum);
    const auto sum = sum_body(Bytes(header, used_), prior_count_, sum_, false);
    CHECK(sum.has_value());
    sum_ = *sum;
    store_le<uint64_t>(header + sum_at, sum_);
    const size_t padded = align_up(used_, block_bytes);
    CHECK(padded <= space_.size());
    std::memset(header + used_, 0, padded - used_);
    return Bytes(header, padded);
}

CommitFault parse_commit(Bytes bytes, const Uuid& ring, uint32_t file, uint32_t block, CommitView& out) {
    if (bytes.size() < commit_header_bytes || load_le<uint64_t>(bytes.data()) != magic) {
        return CommitFault::not_a_commit;
    }
    if (get_id(bytes.data() + 8) != ring) { return CommitFault::not_a_commit; }
    out = CommitView{};
    const std::byte* header = bytes.data();
    out.place = {ring,
                 load_le<uint32_t>(header + 24),
                 load_le<uint32_t>(header + 40),
                 load_le<uint32_t>(header + 44),
                 load_le<uint64_t>(header + 32),
                 load_le<uint64_t>(header + 64)};
    if (out.place.file != file || out.place.block != block) { return CommitFault::not_a_commit; }
    out.bytes = load_le<uint32_t>(header + 48);
    out.sum = load_le<uint64_t>(header + sum_at);
    const uint32_t entry_count = load_le<uint32_t>(header + 52);
    const uint32_t prior_count = load_le<uint32_t>(header + 56);
    if (out.bytes > bytes.size() || out.bytes < commit_header_bytes ||
        prior_count > (out.bytes - commit_header_bytes) / commit_place_bytes) {
        return CommitFault::damaged;
    }
    const size_t entries_at = commit_header_bytes + size_t{prior_count} * commit_place_bytes;
    for (uint32_t i = 0; i < prior_count; ++i) {
        out.prior.push_back(get_place(header + commit_header_bytes + size_t{i} * commit_place_bytes));
    }
    // Lengths first, so that the sum below never reads past the end.
    Bytes rest = bytes.subspan(entries_at, out.bytes - entries_at);
    while (!rest.empty()) {
        if (rest.size() < entry_head_bytes || !known_kind(load_le<uint32_t>(rest.data()))) {
            return CommitFault::damaged;
        }
        const std::byte* at = rest.data();
        const uint32_t payload_bytes = load_le<uint32_t>(at + 60);
        if (payload_bytes > rest.size() - entry_head_bytes || CommitWriter::entry_bytes(payload_bytes) > rest.size()) {
            return CommitFault::damaged;
        }
        Entry entry;
        entry.head = {static_cast<EntryKind>(load_le<uint32_t>(at)),
                      get_id(at + 8),
                      load_le<int32_t>(at + 4),
                      {load_le<int32_t>(at + 56)},
                      {load_le<int64_t>(at + 24)},
                      {load_le<int64_t>(at + 32)},
                      {load_le<int64_t>(at + 40)},
                      {load_le<int64_t>(at + 48)}};
        if (!in_range(entry.head)) { return CommitFault::damaged; }
        entry.payload = rest.subspan(entry_head_bytes, payload_bytes);
        out.entries.push_back(entry);
        rest = rest.subspan(CommitWriter::entry_bytes(payload_bytes));
    }
    if (out.entries.size() != entry_count) { return CommitFault::damaged; }

    std::byte unsummed[commit_header_bytes];
    std::memcpy(unsummed, header, commit_header_bytes);
    store_le<uint64_t>(unsummed + sum_at, 0);
    const auto sum = sum_body(bytes.first(out.bytes), prior_count, crc64(unsummed, out.place.prior_sum), true);
    return sum == out.sum || mutated(Mutant::commit_sum) ? CommitFault::none : CommitFault::damaged;
}

std::optional<DirectPayload> parse_direct(Bytes payload) {
    if (payload.size() < direct_payload_bytes) { return std::nullopt; }
    return DirectPayload{load_le<uint64_t>(payload.data()), load_le<uint64_t>(payload.data() + 8)};
}

std::optional<uint64_t> direct_sum(Bytes bytes, bool check_crc, uint64_t seed) {
    return sum_batches(bytes, seed, check_crc ? crc_holds : any_batch);
}

}  // namespace flowstone
