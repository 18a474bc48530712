#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "storage/batch.h"
#include "storage/impl/journal_file.h"
#include "storage/journal.h"
#include "storage/journal_verify.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr uint64_t read_align_bytes = 64u << 10;  // what any device's O_DIRECT takes
static_assert(journal_extent_bytes % read_align_bytes == 0);

bool is_zero(Bytes bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

// A commit carries magic, ring id and its own place. Two of the three make one whose header was damaged: by chance
// nothing else has them, and a copy of a commit lies at another place than it says.
bool nearly_a_commit(Bytes bytes, const Uuid& ring, uint32_t file, uint32_t block) {
    if (bytes.size() < commit_header_bytes) { return false; }
    const bool magic = std::memcmp(bytes.data(), "FLOWCMT1", 8) == 0;
    const bool own_ring = std::memcmp(bytes.data() + 8, ring.bytes.data(), ring.bytes.size()) == 0;
    const bool own_place =
        load_le<uint32_t>(bytes.data() + 40) == file && load_le<uint32_t>(bytes.data() + 44) == block;
    return int{magic} + int{own_ring} + int{own_place} == 2;
}

}  // namespace

Result<std::unique_ptr<JournalReader>> JournalReader::open(Disk& disk, const std::string& directory, uint32_t shard,
                                                           const Progress& progress) {
    std::unique_ptr<JournalReader> reader(new JournalReader(disk, shard));
    reader->buffer_ = reader->pool_.take(journal_extent_bytes);
    TRY(const auto entries, disk.list(directory));
    for (const DirectoryEntry& entry : entries) {
        uint32_t of_shard = 0;
        uint32_t number = 0;
        if (entry.directory || !parse_journal_file_name(entry.name, of_shard, number) || of_shard != shard) {
            continue;
        }
        if (reader->files_.size() == journal_files_max) { return fail(Code::too_large, "journal.read", directory); }
        TRY_VOID(reader->open_file(join_path(directory, entry.name), number));
    }
    if (reader->files_.empty()) { return fail(Code::not_found, "journal.read", directory); }
    for (uint32_t i = 0; i < reader->files_.size(); ++i) {
        if (!reader->files_[i].fault.empty()) { continue; }
        for (uint64_t at = 0; at < reader->files_[i].bytes; at += journal_extent_bytes) {
            TRY_VOID(reader->scan_extent(i, at));
            if (progress) { progress(journal_extent_bytes); }
        }
    }
    return reader;
}

Result<void> JournalReader::open_file(const std::string& path, uint32_t number) {
    JournalFile file{.path = path, .number = number, .file = nullptr, .fault = {}};
    TRY(file.file, disk_.open(path, {.direct = true}));
    TRY(file.bytes, disk_.size(*file.file));
    TRY(const Bytes front, load(file, 0, read_align_bytes));
    const auto header = decode_journal_file(front, path);
    if (!header) {
        file.unfinished = is_zero(front);
        file.fault = header.error().message();
    } else if (ring_ != Uuid{} && header->ring != ring_) {
        file.fault = "it belongs to another ring";
    } else if (header->shard != shard_ || header->number != number) {
        file.fault = fmt::format("its header says {}", journal_file_name(header->shard, header->number));
    } else if (header->block_bytes < disk_block_bytes_min || header->block_bytes > journal_extent_bytes ||
               (header->block_bytes & (header->block_bytes - 1)) != 0 || header->bytes % journal_extent_bytes != 0) {
        file.fault = "its header does not hold";
    } else if (file.bytes < header->bytes) {
        file.fault = fmt::format("it has {} bytes instead of {}", file.bytes, header->bytes);
    } else {
        ring_ = header->ring;
        file.bytes = header->bytes;
        file.block_bytes = header->block_bytes;
    }
    files_.push_back(std::move(file));
    return {};
}

// The bytes [begin, end), which lie in one extent; fewer at the end of the file.
Result<Bytes> JournalReader::load(const JournalFile& file, uint64_t begin, uint64_t end) {
    const uint64_t from = align_down(begin, read_align_bytes);
    const uint64_t size = std::min(align_up(end, read_align_bytes) - from, journal_extent_bytes);
    TRY(const uint64_t got,
        read_at(disk_, *file.file, BytePos{static_cast<int64_t>(from)}, MutableBytes(buffer_->data(), size)));
    if (from + got <= begin) { return Bytes{}; }
    return Bytes(buffer_->data() + (begin - from), std::min(end, from + got) - begin);
}

Result<void> JournalReader::scan_extent(uint32_t file_index, uint64_t begin) {
    const JournalFile& file = files_[file_index];
    const uint64_t block = file.block_bytes;
    TRY(const Bytes extent, load(file, begin, begin + journal_extent_bytes));
    for (uint64_t at = begin == 0 ? block : 0; at < extent.size();) {
        const Bytes here = extent.subspan(at);
        const auto number = static_cast<uint32_t>((begin + at) / block);
        CommitView view;
        const CommitFault fault = parse_commit(here, ring_, file.number, number, view);
        uint64_t size = block;
        if (fault == CommitFault::none) { size = align_up(view.bytes, block); }
        if (fault != CommitFault::not_a_commit || nearly_a_commit(here, ring_, file.number, number)) {
            if (fault == CommitFault::not_a_commit) { view.place.sequence = load_le<uint64_t>(here.data() + 32); }
            commits_.push_back({.sequence = view.place.sequence,
                                .sum = view.sum,
                                .prior_sum = view.place.prior_sum,
                                .at = BytePos{static_cast<int64_t>(begin + at)},
                                .file = file_index,
                                .bytes = static_cast<uint32_t>(size),
                                .generation = view.place.generation,
                                .entries = static_cast<uint32_t>(view.entries.size()),
                                .holds = fault == CommitFault::none});
        }
        at += size;
    }
    return {};
}

std::vector<JournalCommit> JournalReader::chain(uint64_t first_sequence) const {
    std::vector<JournalCommit> found;
    for (const JournalCommit& commit : commits_) {
        if (commit.holds && commit.sequence >= first_sequence) { found.push_back(commit); }
    }
    std::ranges::sort(found, [](const JournalCommit& a, const JournalCommit& b) {
        return std::pair(a.sequence, b.generation) < std::pair(b.sequence, a.generation);
    });
    const auto repeated = std::ranges::unique(found, {}, &JournalCommit::sequence);
    found.erase(repeated.begin(), repeated.end());
    return found;
}

Result<void> JournalReader::visit(std::span<const JournalCommit> commits, const Visit& visit) {
    for (const JournalCommit& commit : commits) {
        const JournalFile& file = files_[commit.file];
        const auto at = static_cast<uint64_t>(commit.at.value);
        TRY(const Bytes bytes, load(file, at, at + commit.bytes));
        CommitView view;
        const auto block = static_cast<uint32_t>(at / file.block_bytes);
        if (parse_commit(bytes, ring_, file.number, block, view) != CommitFault::none ||
            view.place.sequence != commit.sequence) {
            continue;
        }
        TRY(const bool more, visit(commit, view));
        if (!more) { break; }
    }
    return {};
}

Result<std::string> JournalReader::explain(const JournalCommit& commit) {
    const JournalFile& file = files_[commit.file];
    const auto at = static_cast<uint64_t>(commit.at.value);
    TRY(const Bytes bytes, load(file, at, align_up(at + 1, journal_extent_bytes)));
    CommitView view;
    const auto block = static_cast<uint32_t>(at / file.block_bytes);
    if (parse_commit(bytes, ring_, file.number, block, view) == CommitFault::not_a_commit) {
        return "its magic, ring id or place is not what it should be";
    }
    for (size_t i = 0; i < view.entries.size(); ++i) {
        if (view.entries[i].head.kind != EntryKind::batches) { continue; }
        Bytes rest = view.entries[i].payload;
        while (!rest.empty()) {
            const auto batch = BatchView::parse(rest);
            if (!batch) { return fmt::format("entry {} does not hold whole batches", i); }
            if (!batch->crc_matches()) {
                return fmt::format("entry {}: the batch at offset {} does not match its checksum", i,
                                   batch->base_offset().value);
            }
            rest = rest.subspan(batch->size());
        }
    }
    return "its sum does not hold";
}

}  // namespace flowstone
