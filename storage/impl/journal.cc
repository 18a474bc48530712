#include "storage/journal.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/impl/journal_file.h"
#include "storage/limits.h"
#include "storage/mutants.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr uint64_t fill_bytes = 1u << 20;  // pre-writing goes in pieces of this size: what a commit may take
static_assert(fill_bytes <= commit_bytes_max);

}  // namespace

bool Journal::is_journal_file(const std::string& name) {
    uint32_t shard = 0;
    uint32_t number = 0;
    return parse_journal_file_name(name, shard, number);
}

Result<std::vector<uint32_t>> Journal::shards(Disk& disk, const std::string& directory) {
    TRY(const auto entries, disk.list(directory));
    std::vector<uint32_t> found;
    for (const DirectoryEntry& entry : entries) {
        uint32_t shard = 0;
        uint32_t number = 0;
        if (!entry.directory && parse_journal_file_name(entry.name, shard, number)) { found.push_back(shard); }
    }
    std::ranges::sort(found);
    found.erase(std::ranges::unique(found).begin(), found.end());
    return found;
}

std::string Journal::path(const Options& options, uint32_t number) {
    return join_path(options.directory, journal_file_name(options.shard, number));
}

uint64_t Journal::next_file_bytes() const {
    return std::min(journal_next_file_bytes,
                    align_down(options_.bytes_max - std::min(options_.bytes_max, bytes()), journal_extent_bytes));
}

Result<void> Journal::begin_file(uint64_t bytes) {
    TRY(auto file, disk_.open(path(options_, next_file_), {.write = true, .create = true, .direct = true}));
    growing_ = RingFile{std::move(file), next_file_, bytes};
    unfinished_ = false;
    auto reserved = disk_.allocate(*growing_->file, BytePos{0}, BytePos{static_cast<int64_t>(bytes)}, false);
    if (!reserved && reserved.error().code != Code::unsupported) { return reserved; }
    return {};
}

// Written once in full: a DSYNC write into written blocks costs half of one into merely allocated ones. The header comes
// last: with it the file is one of the ring's.
Result<bool> Journal::write_file(BufferPool& pool, uint64_t bytes) {
    RingFile& file = *growing_;
    const BufferRef buffer = pool.take(fill_bytes);
    std::memset(buffer->data(), 0, fill_bytes);
    for (const uint64_t end = file.written + std::min(bytes, file.bytes - file.written); file.written < end;) {
        TRY_VOID(write_at(disk_, *file.file, BytePos{static_cast<int64_t>(file.written)},
                          Bytes(buffer->data(), fill_bytes)));
        file.written += fill_bytes;
    }
    if (file.written < file.bytes) { return false; }
    if (!mutated(Mutant::journal_fill_sync)) { TRY_VOID(sync(disk_, *file.file)); }
    encode_journal_file({ring_, options_.shard, file.number, file.bytes, options_.block_bytes}, buffer->data());
    iovec piece{buffer->data(), options_.block_bytes};
    Io header{.kind = mutated(Mutant::journal_header_dsync) ? Io::Kind::write : Io::Kind::write_durable,
              .file = file.file.get(),
              .pieces = {&piece, 1}};
    disk_.run({&header, 1});
    if (header.os_errno != 0) { return fail_errno(header.os_errno, "journal.grow", file.file->path()); }
    return true;
}

std::vector<Journal::Extent> Journal::extents_of(size_t file_index) const {
    const auto blocks = static_cast<uint32_t>(journal_extent_bytes / options_.block_bytes);
    const auto count = static_cast<uint32_t>(files_[file_index].bytes / journal_extent_bytes);
    std::vector<Extent> extents;
    for (uint32_t i = 0; i < count; ++i) {
        // Block 0 holds the file's header.
        extents.push_back({.file = file_index, .begin_block = std::max(i * blocks, 1u), .end_block = (i + 1) * blocks});
    }
    return extents;
}

Result<void> Journal::remove(Disk& disk, const Options& options) {
    TRY(const auto entries, disk.list(options.directory));
    for (const DirectoryEntry& entry : entries) {
        uint32_t shard = 0;
        uint32_t number = 0;
        if (!entry.directory && parse_journal_file_name(entry.name, shard, number) && shard == options.shard) {
            TRY_VOID(disk.remove(join_path(options.directory, entry.name)));
        }
    }
    return {};
}

Result<std::unique_ptr<Journal>> Journal::create(Disk& disk, const Options& options, const Uuid& ring) {
    TRY_VOID(remove(disk, options));
    std::unique_ptr<Journal> journal(new Journal(disk, options));
    journal->ring_ = ring;
    const uint64_t bytes =
        std::max(journal_extent_bytes * 2,
                 std::min(journal_first_file_bytes, align_down(options.bytes_max, journal_extent_bytes)));
    TRY_VOID(journal->begin_file(bytes));
    BufferPool pool;
    TRY(const bool whole, journal->write_file(pool, bytes));
    CHECK(whole);
    journal->join();
    journal->at_block_ = journal->extents_[0].begin_block;
    return journal;
}

Result<std::unique_ptr<Journal>> Journal::open(Disk& disk, const Options& options) {
    std::unique_ptr<Journal> journal(new Journal(disk, options));
    TRY(const auto entries, disk.list(options.directory));
    std::vector<uint32_t> numbers;
    for (const DirectoryEntry& entry : entries) {
        uint32_t shard = 0;
        uint32_t number = 0;
        if (!entry.directory && parse_journal_file_name(entry.name, shard, number) && shard == options.shard) {
            numbers.push_back(number);
        }
    }
    std::ranges::sort(numbers);
    if (numbers.empty()) { return fail(Code::not_found, "journal.open", options.directory); }
    BufferPool pool;
    const BufferRef block = pool.take(options.block_bytes);
    std::optional<Error> unreadable;
    for (const uint32_t number : numbers) {
        const std::string file_path = path(options, number);
        TRY(auto file, disk.open(file_path, {.write = !options.read_only, .direct = true}));
        TRY(const uint64_t got, read_at(disk, *file, BytePos{0}, MutableBytes(block->data(), options.block_bytes)));
        const auto header = decode_journal_file(Bytes(block->data(), got), file_path);
        if (!header) {
            // A file that was being added when the power went holds no commit yet. One that did is missed by sequence.
            unreadable = header.error();
            continue;
        }
        journal->next_file_ = number + 1;
        TRY(const uint64_t size, disk.size(*file));
        if (!journal->files_.empty() && header->ring != journal->ring_) {
            return fail(Code::corrupt, "journal.open", fmt::format("{} belongs to another ring", file_path));
        }
        if (header->block_bytes < disk_block_bytes_min || header->block_bytes > journal_extent_bytes ||
            (header->block_bytes & (header->block_bytes - 1)) != 0 || header->bytes % journal_extent_bytes != 0) {
            return fail(Code::corrupt, "journal.open", fmt::format("the header of {} does not hold", file_path));
        }
        if (size < header->bytes) {  // it got its header when it was whole
            return fail(Code::corrupt, "journal.open",
                        fmt::format("{} has {} bytes instead of {}", file_path, size, header->bytes));
        }
        journal->ring_ = header->ring;
        journal->options_.block_bytes = header->block_bytes;
        journal->files_.push_back({std::move(file), number, header->bytes});
    }
    if (journal->files_.empty()) { return std::unexpected(*unreadable); }
    journal->unfinished_ = std::ranges::binary_search(numbers, journal->next_file_);
    for (size_t i = 0; i < journal->files_.size(); ++i) {
        for (const Extent& extent : journal->extents_of(i)) { journal->extents_.push_back(extent); }
    }
    if (journal->extents_.empty()) {
        return fail(Code::corrupt, "journal.open", fmt::format("{} is cut short", journal->files_[0].file->path()));
    }
    journal->at_block_ = journal->extents_[0].begin_block;
    return journal;
}

uint64_t Journal::bytes() const {
    uint64_t total = 0;
    for (const RingFile& file : files_) { total += file.bytes; }
    return total;
}

uint64_t Journal::bytes_used() const {
    uint64_t total = 0;
    for (const Extent& extent : extents_) { total += reusable(extent) ? 0 : journal_extent_bytes; }
    return total;
}

Result<JournalScan> Journal::scan(BufferPool& pool, uint64_t first_sequence) {
    JournalScan out;
    std::vector<bool> needed(extents_.size(), true);
    if (options_.read_only) { TRY(needed, needed_extents(pool, first_sequence)); }
    for (size_t i = 0; i < extents_.size(); ++i) {
        if (needed[i]) { TRY_VOID(scan_extent(i, pool, first_sequence, out)); }
    }
    // Each sequence once: of two, the later opening's counts, because the other was cut off by the crash between.
    std::ranges::sort(out.commits, [](const JournalScan::Commit& a, const JournalScan::Commit& b) {
        return std::pair(a.view.place.sequence, a.view.place.generation) <
               std::pair(b.view.place.sequence, b.view.place.generation);
    });
    std::vector<JournalScan::Commit> kept;
    for (JournalScan::Commit& commit : out.commits) {
        if (!kept.empty() && kept.back().view.place.sequence == commit.view.place.sequence) { kept.pop_back(); }
        kept.push_back(std::move(commit));
    }
    out.commits = std::move(kept);
    return out;
}

Result<void> Journal::scan_extent(size_t extent_index, BufferPool& pool, uint64_t first_sequence, JournalScan& out) {
    Extent& extent = extents_[extent_index];
    RingFile& file = files_[extent.file];
    const uint64_t block = options_.block_bytes;
    const uint64_t begin = extent.begin_block * block;
    const uint64_t size = extent.end_block * block - begin;
    const BufferRef buffer = pool.take(journal_extent_bytes);
    // Four reads of 1 MiB at once: what the device needs to give its full rate.
    constexpr size_t pieces = journal_extent_bytes >> 20;
    iovec vectors[pieces];
    std::vector<Io> requests;
    for (uint64_t at = 0, i = 0; at < size; ++i) {
        const uint64_t piece = std::min<uint64_t>(size - at, 1u << 20);
        vectors[i] = {buffer->data() + at, piece};
        requests.push_back({.kind = Io::Kind::read,
                            .file = file.file.get(),
                            .at = BytePos{static_cast<int64_t>(begin + at)},
                            .pieces = {&vectors[i], 1}});
        at += piece;
    }
    disk_.run(requests);
    for (const Io& request : requests) {
        if (request.os_errno != 0) { return fail_errno(request.os_errno, "journal.scan", file.file->path()); }
        if (request.done != request.pieces[0].iov_len) {
            return fail(Code::corrupt, "journal.scan", fmt::format("{} is cut short", file.file->path()));
        }
        out.bytes_read += request.done;
    }
    bool keep = false;
    for (uint64_t at = 0; at < size;) {
        CommitView view;
        const Bytes here(buffer->data() + at, size - at);
        const auto fault = parse_commit(here, ring_, file.number, static_cast<uint32_t>((begin + at) / block), view);
        if (fault == CommitFault::none) {
            extent.used = true;
            extent.last_sequence = std::max(extent.last_sequence, view.place.sequence);
            at += align_up(view.bytes, block);
            if (view.place.sequence >= scanned_sequence_) {
                scanned_sequence_ = view.place.sequence;
                scanned_extent_ = extent_index;
                scanned_end_block_ = static_cast<uint32_t>((begin + at) / block);
            }
            if (view.place.sequence >= first_sequence) {
                out.commits.push_back({std::move(view), extent_index});
                keep = true;
            }
            continue;
        }
        if (fault == CommitFault::damaged && view.place.sequence >= first_sequence) {
            // Kept only as a hint: whether it matters depends on the sequences around it.
            extent.used = true;
            extent.last_sequence = std::max(extent.last_sequence, view.place.sequence);
            out.broken.push_back(
                {view.place.sequence, file.file->path(), BytePos{static_cast<int64_t>(begin + at)}, view.bytes});
        }
        at += block;
    }
    if (keep) { out.memory.push_back(buffer); }
    return {};
}

// The sequence that the commit at each of these places claims; 0 where there is none.
Result<std::vector<uint64_t>> Journal::claimed_sequences(BufferPool& pool, const std::vector<Place>& places) {
    std::vector<uint64_t> claimed(places.size());
    const uint64_t block = options_.block_bytes;
    const BufferRef buffer = pool.take(places.size() * block);
    std::vector<iovec> vectors(places.size());
    std::vector<Io> requests;
    for (size_t i = 0; i < places.size(); ++i) {
        vectors[i] = {buffer->data() + i * block, block};
        requests.push_back({.kind = Io::Kind::read,
                            .file = files_[places[i].file].file.get(),
                            .at = BytePos{static_cast<int64_t>(places[i].block * block)},
                            .pieces = {&vectors[i], 1}});
    }
    disk_.run(requests);
    for (size_t i = 0; i < places.size(); ++i) {
        if (requests[i].os_errno != 0) {
            return fail_errno(requests[i].os_errno, "journal.read", requests[i].file->path());
        }
        CommitView view;
        // One block seldom holds a whole commit: its place and sequence are enough of a hint.
        const auto fault = parse_commit(Bytes(buffer->data() + i * block, requests[i].done), ring_,
                                        files_[places[i].file].number, places[i].block, view);
        if (fault != CommitFault::not_a_commit) { claimed[i] = view.place.sequence; }
    }
    return claimed;
}

// A reader beside a writer must be faster than it, so it leaves out extents that another one follows below
// `first_sequence`. Recovery reads everything instead: there a front may be damaged.
Result<std::vector<bool>> Journal::needed_extents(BufferPool& pool, uint64_t first_sequence) {
    std::vector<Place> places;
    for (const Extent& extent : extents_) { places.push_back({extent.file, extent.begin_block}); }
    TRY(const auto fronts, claimed_sequences(pool, places));
    std::vector<bool> needed(extents_.size(), true);
    for (size_t i = 0; i < fronts.size(); ++i) {
        needed[i] = fronts[i] == 0 || std::ranges::none_of(fronts, [&](uint64_t front) {
                        return front > fronts[i] && front <= first_sequence;
                    });
    }
    return needed;
}

Result<bool> Journal::went_on(BufferPool& pool) {
    if (const auto joined = disk_.open(path(options_, next_file_), {.direct = true})) {
        const BufferRef block = pool.take(options_.block_bytes);
        TRY(const uint64_t got,
            read_at(disk_, **joined, BytePos{0}, MutableBytes(block->data(), options_.block_bytes)));
        if (decode_journal_file(Bytes(block->data(), got), (*joined)->path())) { return true; }
    }
    std::vector<Place> places;
    for (const Extent& extent : extents_) { places.push_back({extent.file, extent.begin_block}); }
    if (scanned_sequence_ > 0 && scanned_end_block_ < extents_[scanned_extent_].end_block) {
        places.push_back({extents_[scanned_extent_].file, scanned_end_block_});
    }
    TRY(const auto claimed, claimed_sequences(pool, places));
    return std::ranges::any_of(claimed, [&](uint64_t sequence) { return sequence > scanned_sequence_; });
}

void Journal::resume(const JournalScan& scan, uint32_t generation, uint64_t next_sequence, uint64_t prior_sum) {
    generation_ = generation;
    next_sequence_ = next_sequence;
    prior_sum_ = prior_sum;
    // Whatever claims a sequence that is not (any more) part of the chain does not hold its extent.
    for (Extent& extent : extents_) {
        if (extent.used && extent.last_sequence >= next_sequence) { extent.last_sequence = next_sequence - 1; }
    }
    // A fresh extent: blocks behind the last commit may hold a torn write, and are left as they are.
    extent_ = scan.commits.empty() ? 0 : scan.commits.back().extent;
    at_block_ = extents_[extent_].end_block;
}

std::optional<CommitPlace> Journal::take(uint64_t bytes) {
    const auto blocks = static_cast<uint32_t>(align_up(bytes, options_.block_bytes) / options_.block_bytes);
    if (at_block_ + blocks > extents_[extent_].end_block) {
        // The next one in the ring as a rule. Where it grew in the middle and was opened again since, another may be free.
        size_t next = (extent_ + 1) % extents_.size();
        while (next != extent_ && !reusable(extents_[next])) { next = (next + 1) % extents_.size(); }
        if (!reusable(extents_[next])) { return std::nullopt; }
        extent_ = next;
        extents_[next].used = false;
        extents_[next].last_sequence = 0;
        at_block_ = extents_[next].begin_block;
    }
    CommitPlace place;
    place.ring = ring_;
    place.generation = generation_;
    place.file = files_[extents_[extent_].file].number;
    file_ = files_[extents_[extent_].file].file.get();
    place.block = at_block_;
    place.sequence = next_sequence_;
    place.prior_sum = prior_sum_;
    return place;
}

Result<void> Journal::write(const CommitPlace& place, Bytes commit) {
    File& file = *file_;
    iovec piece{const_cast<std::byte*>(commit.data()), commit.size()};
    Io request{.kind = mutated(Mutant::journal_dsync) ? Io::Kind::write : Io::Kind::write_durable,
               .file = &file,
               .at = BytePos{int64_t{place.block} * options_.block_bytes},
               .pieces = {&piece, 1}};
    disk_.run({&request, 1});
    // The ring's space was written before: a full disk here is a failed sync.
    if (request.os_errno != 0) { return fail_sync(request.os_errno, "journal.commit", file.path()); }
    return {};
}

void Journal::wrote(const CommitPlace& place, Bytes commit, uint64_t sum) {
    CHECK(place.sequence == next_sequence_);
    at_block_ = place.block + static_cast<uint32_t>(commit.size() / options_.block_bytes);
    extents_[extent_].used = true;
    extents_[extent_].last_sequence = place.sequence;
    next_sequence_ = place.sequence + 1;
    committed_bytes_ += commit.size();
    prior_sum_ = sum;
}

Result<bool> Journal::grow(BufferPool& pool, uint64_t bytes) {
    const auto refused = [&](const Error& error) {
        growth_refused_ = true;
        (void)abandon_growth();  // gives its space back; the first error is the one that counts
        return std::unexpected(error);
    };
    if (!growing_) {
        const uint64_t file_bytes = next_file_bytes();
        if (file_bytes == 0 || next_file_ >= journal_files_max) {
            return refused(fail(Code::busy, "journal.grow", options_.directory).error());
        }
        if (auto begun = begin_file(file_bytes); !begun) { return refused(begun.error()); }
    }
    const auto whole = write_file(pool, bytes);
    if (!whole) { return refused(whole.error()); }
    if (*whole && !mutated(Mutant::journal_directory)) {
        if (auto named = disk_.sync_directory(options_.directory); !named) { return refused(named.error()); }
    }
    return *whole;
}

uint64_t Journal::growth_due() {
    if (growth_room_ == 0) {
        growth_begun_at_ = committed_bytes_;
        growth_room_ = std::max((bytes() - bytes_used()) / 2, commit_bytes_max);
    }
    const uint64_t file_bytes = growing_ ? growing_->bytes : next_file_bytes();
    const uint64_t written = growing_ ? growing_->written : 0;
    const uint64_t committed = std::min(committed_bytes_ - growth_begun_at_, growth_room_);
    return file_bytes * committed / growth_room_ >= written + fill_bytes ? fill_bytes : 0;
}

void Journal::join() {
    CHECK(growing_ && growing_->written == growing_->bytes);
    next_file_ = growing_->number + 1;
    files_.push_back(std::move(*growing_));
    growing_.reset();
    growth_room_ = 0;
    const auto added = extents_of(files_.size() - 1);
    const size_t behind = extents_.empty() ? 0 : extent_ + 1;
    extents_.insert(extents_.begin() + static_cast<ptrdiff_t>(behind), added.begin(), added.end());
}

Result<void> Journal::abandon_growth() {
    if (!growing_ && !unfinished_) { return {}; }
    growing_.reset();
    growth_room_ = 0;
    unfinished_ = false;
    return disk_.remove(path(options_, next_file_));
}

}  // namespace flowstone
