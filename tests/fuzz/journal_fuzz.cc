// A journal that power loss left, with edits (edits.h) laid over it. The first byte says what is done about the sums:
//   1  commits get theirs right, and batches, so that what lies behind it is reached
//   2  each continues the sum of the one before it, too
//   4  the whole log is opened on it, and shows nothing that was not appended; else the ring is scanned as recovery and
//      as verification do, which must see the same commits, and what a scan believes is written again and is the same
#include <algorithm>
#include <memory>
#include <vector>

#include "storage/batch.h"
#include "storage/checksum.h"
#include "storage/journal.h"
#include "storage/journal_chain.h"
#include "storage/journal_verify.h"
#include "tests/fuzz/edits.h"
#include "tests/fuzz/log_directory.h"

using namespace flowstone;

namespace {

constexpr size_t block_bytes = edited_block_bytes;
constexpr char ring_path[] = "data/flowstone-journal-0.0000";
constexpr uint64_t magic = 0x31'54'4d'43'57'4f'4c'46;  // "FLOWCMT1"
constexpr size_t sum_at = 72;

// The blocks of the ring file that are not zeros, and one behind each run of them, back to back.
struct UsedBlocks {
    std::vector<uint64_t> places;  // in the file
    std::vector<std::byte> bytes;
};

UsedBlocks used_blocks(Disk& disk) {
    const auto file = read_file(disk, ring_path, 64u << 20);
    CHECK(file.has_value());
    UsedBlocks used;
    bool before = false;
    for (size_t at = 0; at < file->size(); at += block_bytes) {
        const Bytes block = Bytes(*file).subspan(at, block_bytes);
        const bool zeros = std::ranges::all_of(block, [](std::byte byte) { return byte == std::byte{0}; });
        if (!zeros || before) {
            used.places.push_back(at);
            used.bytes.insert(used.bytes.end(), block.begin(), block.end());
        }
        before = !zeros;
    }
    return used;
}

// Rights the checksums of whole batches, and continues the sum over their headers.
uint64_t mend_batches(MutableBytes bytes, uint64_t sum) {
    while (const auto batch = BatchView::parse(bytes)) {
        store_be(bytes.data() + 17, crc32c(batch->bytes().subspan(21)));
        sum = crc64(batch->bytes().first(batch_header_bytes), sum);
        bytes = bytes.subspan(batch->size());
    }
    return sum;
}

// The sum of a commit, as far as its lengths let it be reckoned.
uint64_t mend_body(MutableBytes commit, uint32_t prior_count, uint64_t sum) {
    const size_t places = std::min(size_t{prior_count} * commit_place_bytes, commit.size() - commit_header_bytes);
    sum = crc64(commit.subspan(commit_header_bytes, places), sum);
    MutableBytes rest = commit.subspan(commit_header_bytes + places);
    while (rest.size() >= entry_head_bytes) {
        const size_t payload_bytes = load_le<uint32_t>(rest.data() + 60);
        if (CommitWriter::entry_bytes(payload_bytes) > rest.size()) { break; }
        sum = crc64(rest.first(entry_head_bytes), sum);
        const MutableBytes payload = rest.subspan(entry_head_bytes, payload_bytes);
        const bool batches = load_le<uint32_t>(rest.data()) == static_cast<uint32_t>(EntryKind::batches);
        sum = batches ? mend_batches(payload, sum) : crc64(payload, sum);
        rest = rest.subspan(CommitWriter::entry_bytes(payload_bytes));
    }
    return sum;
}

// The blocks of the ring lie in the order in which they were written.
void mend_sums(MutableBytes ring, bool chained) {
    uint64_t prior = 0;
    for (size_t at = 0; at < ring.size(); at += block_bytes) {
        std::byte* header = ring.data() + at;
        const size_t bytes = load_le<uint32_t>(header + 48);
        if (load_le<uint64_t>(header) != magic || bytes < commit_header_bytes || bytes > ring.size() - at) { continue; }
        if (chained && prior != 0) { store_le(header + 64, prior); }
        store_le<uint64_t>(header + sum_at, 0);
        const uint64_t seed = crc64(Bytes(header, commit_header_bytes), load_le<uint64_t>(header + 64));
        prior = mend_body({header, bytes}, load_le<uint32_t>(header + 56), seed);
        store_le(header + sum_at, prior);
    }
}

void write_back(Disk& disk, const UsedBlocks& used, Bytes before) {
    auto file = disk.open(ring_path, {.write = true});
    CHECK(file.has_value());
    for (size_t i = 0; i < used.places.size(); ++i) {
        const Bytes block = Bytes(used.bytes).subspan(i * block_bytes, block_bytes);
        if (std::ranges::equal(block, before.subspan(i * block_bytes, block_bytes))) { continue; }
        CHECK(write_at(disk, **file, BytePos{static_cast<int64_t>(used.places[i])}, block).has_value());
    }
    CHECK(sync(disk, **file).has_value());
}

bool same(const EntryPlace& a, const EntryPlace& b) {
    return a.topic_id == b.topic_id && a.partition == b.partition && a.base_offset == b.base_offset &&
           a.next_offset == b.next_offset;
}

bool same(const Entry& a, const Entry& b) {
    return a.head.kind == b.head.kind && a.head.topic_id == b.head.topic_id && a.head.partition == b.head.partition &&
           a.head.epoch == b.head.epoch && a.head.segment_base == b.head.segment_base &&
           a.head.position == b.head.position && a.head.base_offset == b.head.base_offset &&
           a.head.next_offset == b.head.next_offset && std::ranges::equal(a.payload, b.payload);
}

// What was read is written, read again, and the same. Bytes that nobody reads may differ.
void write_again(const CommitView& view, BufferPool& pool) {
    const BufferRef space = pool.take(align_up(view.bytes, block_bytes));
    CommitWriter writer({space->data(), space->capacity()}, view.place, view.prior);
    for (const Entry& entry : view.entries) { writer.add(entry.head, {&entry.payload, 1}); }
    const Bytes bytes = writer.finish(block_bytes);
    CommitView again;
    CHECK(parse_commit(bytes, view.place.ring, view.place.file, view.place.block, again) == CommitFault::none);
    CHECK(again.bytes == view.bytes);
    CHECK(again.place.sequence == view.place.sequence);
    CHECK(again.place.generation == view.place.generation);
    CHECK(again.place.prior_sum == view.place.prior_sum);
    CHECK(std::ranges::equal(again.prior, view.prior, [](const auto& a, const auto& b) { return same(a, b); }));
    CHECK(std::ranges::equal(again.entries, view.entries, [](const auto& a, const auto& b) { return same(a, b); }));
}

// What recovery reads of the ring: the sequences that hold, ascending. None when the ring does not open.
std::vector<uint64_t> scan(Disk& disk, uint64_t first_sequence) {
    static BufferPool pool;
    const auto journal = Journal::open(disk, {.directory = "data", .read_only = false});
    if (!journal) { return {}; }
    const auto found = (*journal)->scan(pool, first_sequence);
    CHECK(found.has_value());
    std::vector<uint64_t> sequences;
    std::vector<ChainLink> links;
    for (const auto& commit : found->commits) {
        const CommitView& view = commit.view;
        write_again(view, pool);
        sequences.push_back(view.place.sequence);
        links.push_back({view.place.sequence, view.place.prior_sum, view.sum, view.prior});
    }
    std::vector<uint64_t> broken;
    for (const auto& one : found->broken) { broken.push_back(one.sequence); }
    (void)judge_chain(first_sequence, links, broken);
    (void)(*journal)->went_on(pool);
    return sequences;
}

void verify(Disk& disk, const std::vector<uint64_t>& scanned, uint64_t first_sequence) {
    const auto survey = survey_journal(disk, "data");
    if (!survey) { return; }
    CHECK(verify_journal(*survey, [](const JournalFault&) {}).has_value());
    for (const auto& ring : survey->rings) {
        std::vector<uint64_t> sequences;
        for (const JournalCommit& commit : ring->chain(first_sequence)) { sequences.push_back(commit.sequence); }
        if (!scanned.empty()) { CHECK(sequences == scanned); }
        for (const JournalCommit& commit : ring->commits()) {
            if (!commit.holds) { CHECK(ring->explain(commit).has_value()); }
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static LogDirectory directory;
    if (size == 0) { return 0; }
    const Bytes input(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
    const auto disk = directory.copy();
    static const UsedBlocks valid = used_blocks(*disk);
    UsedBlocks used = valid;
    apply_edits(input, used.bytes);
    if ((data[0] & 1) != 0) { mend_sums(used.bytes, (data[0] & 2) != 0); }
    write_back(*disk, used, valid.bytes);

    if ((data[0] & 4) != 0) {
        directory.use(*disk, (data[0] & 1) == 0);
        return 0;
    }
    const auto checkpoint = read_checkpoint(*disk, "data");
    CHECK(checkpoint.has_value() && checkpoint->newest->rings.size() == 1);
    const uint64_t first_sequence = checkpoint->newest->rings[0].first_sequence;
    verify(*disk, scan(*disk, first_sequence), first_sequence);
    return 0;
}
