#include "storage/segment_index.h"

#include <algorithm>
#include <limits>

#include "storage/check.h"
#include "storage/segment_files.h"
#include "storage/segment_scan.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr uint64_t page_bytes = 4096;  // one probe of a search; every page looked at is checked whole

}  // namespace

struct SegmentIndex::Column {
    SegmentFile kind;
    uint32_t entry_bytes;
    uint32_t page_entries() const { return page_bytes / entry_bytes; }

    Entry load(const std::byte* from) const {
        if (kind == SegmentFile::index) { return {load_be<int32_t>(from), load_be<int32_t>(from + 4)}; }
        return {load_be<int64_t>(from), load_be<int32_t>(from + 8)};
    }
    void store(std::byte* to, const Entry& entry) const {
        if (kind == SegmentFile::index) {
            store_be(to, static_cast<int32_t>(entry.key));
            store_be(to + 4, entry.value);
        } else {
            store_be(to, entry.key);
            store_be(to + 8, entry.value);
        }
    }
    // No batch with an entry begins at 0 or ends at the base: a zero is unwritten space. A time entry may name the
    // first batch, and its timestamp may be 0.
    bool possible(const Entry& entry) const {
        return kind == SegmentFile::index ? entry.key > 0 && entry.value > 0 : entry.key >= 0 && entry.value >= 0;
    }
    bool below(const Entry& entry, Offset base, SegmentEnd end) const {
        if (kind == SegmentFile::index) {
            return base.value + entry.key < end.offset.value && entry.value < end.at.value;
        }
        return base.value + entry.value < end.offset.value;
    }
    static const Column offsets;
    static const Column times;
};
constexpr SegmentIndex::Column SegmentIndex::Column::offsets{SegmentFile::index, index_entry_bytes};
constexpr SegmentIndex::Column SegmentIndex::Column::times{SegmentFile::time_index, time_index_entry_bytes};

SegmentIndex::SegmentIndex(std::string directory, Offset base, const State& state)
    : directory_(std::move(directory)), base_(base), state_(state) {}

Result<SegmentIndex> SegmentIndex::open(Disk& disk, std::string directory, Offset base, SegmentEnd end) {
    return open(disk, std::move(directory), base, end, Missing::corrupt);
}

Result<SegmentIndex> SegmentIndex::open(Disk& disk, std::string directory, Offset base, SegmentEnd end,
                                        Missing missing) {
    SegmentIndex index(std::move(directory), base);
    for (const Column* column : {&Column::offsets, &Column::times}) {
        auto info = disk.info(index.path(*column));
        if (!info) {
            if (info.error().code != Code::not_found) { return std::unexpected(info.error()); }
            if (missing == Missing::empty) { continue; }
            return fail(Code::corrupt, "segment_index.open", index.path(*column) + " is missing");
        }
        // A file longer than any segment needs is not believed past that; a rest of an entry is a torn write.
        const uint64_t entries = std::min<uint64_t>(info->bytes / column->entry_bytes, segment_bytes_limit);
        TRY(const uint32_t good, index.count_below(disk, *column, entries, end));
        (column == &Column::offsets ? index.state_.entries : index.state_.time_entries) = good;
    }
    TRY_VOID(index.load_last(disk));
    return index;
}

Result<SegmentIndex> SegmentIndex::open_after_crash(Disk& disk, std::string directory, Offset base, SegmentEnd end) {
    TRY(SegmentIndex index, open(disk, std::move(directory), base, end, Missing::empty));
    uint64_t bytes = uint64_t{index.state_.entries} * Column::offsets.entry_bytes;
    index.state_.entries = static_cast<uint32_t>(align_down(bytes, disk_block_bytes_min) / Column::offsets.entry_bytes);
    bytes = uint64_t{index.state_.time_entries} * Column::times.entry_bytes;
    index.state_.time_entries =
        static_cast<uint32_t>(align_down(bytes, disk_block_bytes_min) / Column::times.entry_bytes);
    TRY_VOID(index.load_last(disk));
    if (index.state_.entries == 0 || index.state_.time_entries == 0) {
        return SegmentIndex(std::move(index.directory_), base);
    }
    // The batch of the last time entry may come before that of the last offset entry: the later ones are noted again.
    const SegmentEnd both{index.state_.timestamp_offset_max + 1, end.at};
    TRY(index.state_.entries, index.count_below(disk, Column::offsets, index.state_.entries, both));
    TRY_VOID(index.load_last(disk));
    return index;
}

void SegmentIndex::note(Offset last_offset, BytePos at, int64_t timestamp_ms_max) {
    const int64_t relative = last_offset - base_;
    CHECK(relative >= 0 && relative <= segment_offsets_max);
    CHECK(at.value >= 0 && at.value <= segment_bytes_limit);
    if (timestamp_ms_max > state_.timestamp_ms_max) {
        state_.timestamp_ms_max = timestamp_ms_max;
        state_.timestamp_offset_max = last_offset;
    }
    if (at - state_.last_entry_at > index_interval_bytes) {
        pending_.push_back({relative, static_cast<int32_t>(at.value)});
        state_.last_entry_at = at;
        add_time_entry();
    }
}

void SegmentIndex::close() {
    add_time_entry();
    complete();
}

void SegmentIndex::add_time_entry() {
    if (state_.timestamp_ms_max <= state_.last_entry_timestamp_ms) { return; }
    pending_times_.push_back({state_.timestamp_ms_max, static_cast<int32_t>(state_.timestamp_offset_max - base_)});
    state_.last_entry_timestamp_ms = state_.timestamp_ms_max;
}

Result<BytePos> SegmentIndex::lookup(Disk& disk, Offset offset) const {
    const int64_t relative = offset - base_;
    if (auto found = lookup_pending(offset)) { return *found; }
    TRY(const auto entry, find(disk, Column::offsets, relative));
    return entry ? BytePos{entry->value} : BytePos{0};
}

std::optional<BytePos> SegmentIndex::lookup_pending(Offset offset) const {
    const int64_t relative = offset - base_;
    auto after = std::ranges::upper_bound(pending_, relative, {}, &Entry::key);
    if (after == pending_.begin()) { return {}; }
    return BytePos{std::prev(after)->value};
}

Result<TimeLookup> SegmentIndex::lookup_time(Disk& disk, int64_t timestamp_ms) const {
    std::optional<Entry> entry;
    auto after = std::ranges::upper_bound(pending_times_, timestamp_ms, {}, &Entry::key);
    if (after != pending_times_.begin()) {
        entry = *std::prev(after);
    } else {
        TRY(entry, find(disk, Column::times, timestamp_ms));
    }
    if (!entry) { return TimeLookup{}; }
    const Offset offset = base_ + entry->value;
    TRY(const BytePos at, lookup(disk, offset));
    return TimeLookup{at, entry->key, offset};
}

SegmentIndex SegmentIndex::flushed_part() const { return SegmentIndex(directory_, base_, state_); }

Result<void> SegmentIndex::flush(Disk& disk) {
    if (pending_.empty() && pending_times_.empty() && !cut_) { return {}; }
    cut_ = true;  // until both are written
    unsynced_ = true;
    const auto made = [&](uint32_t before, const auto& pending) {
        return before == 0 && (complete_ || !pending.empty());
    };
    if (made(state_.entries, pending_) || made(state_.time_entries, pending_times_)) { names_unsynced_ = true; }
    TRY_VOID(flush_column(disk, Column::offsets, pending_, state_.entries));
    TRY_VOID(flush_column(disk, Column::times, pending_times_, state_.time_entries));
    flushed();
    return {};
}

void SegmentIndex::flushed() {
    state_.entries += static_cast<uint32_t>(pending_.size());
    state_.time_entries += static_cast<uint32_t>(pending_times_.size());
    pending_ = {};
    pending_times_ = {};
    cut_ = false;
}

Result<void> SegmentIndex::replace(Disk& disk) {
    CHECK(state_.entries == 0 && state_.time_entries == 0);
    TRY_VOID(replace_file(disk, path(Column::offsets), bytes_of(Column::offsets, pending_)));
    TRY_VOID(replace_file(disk, path(Column::times), bytes_of(Column::times, pending_times_)));
    flushed();
    return {};
}

void SegmentIndex::forget_flushed(const SegmentIndex& flushed_copy) {
    CHECK(flushed_copy.pending_entries() == 0 && flushed_copy.base_ == base_);
    const State& theirs = flushed_copy.state_;
    CHECK(theirs.entries >= state_.entries && theirs.time_entries >= state_.time_entries);
    pending_.erase(pending_.begin(), pending_.begin() + (theirs.entries - state_.entries));
    pending_times_.erase(pending_times_.begin(), pending_times_.begin() + (theirs.time_entries - state_.time_entries));
    state_.entries = theirs.entries;
    state_.time_entries = theirs.time_entries;
    cut_ = flushed_copy.cut_ || complete_ != flushed_copy.complete_;
    unsynced_ = flushed_copy.unsynced_;
    names_unsynced_ = flushed_copy.names_unsynced_;
}

Result<void> SegmentIndex::flush_column(Disk& disk, const Column& column, std::span<const Entry> pending,
                                        uint32_t entries) const {
    const bool empty = entries == 0 && pending.empty();
    const auto file = disk.open(path(column), {.write = true, .create = !empty || complete_});
    if (!file && file.error().code == Code::not_found && empty) { return {}; }
    if (!file) { return std::unexpected(file.error()); }
    const uint64_t begin = uint64_t{entries} * column.entry_bytes;
    const uint64_t end = begin + pending.size() * column.entry_bytes;
    TRY(const uint64_t size, disk.size(**file));
    if (size < begin) { return fail(Code::corrupt, "segment_index.flush", path(column) + " is too short"); }
    if (size > end) { TRY_VOID(disk.truncate(**file, end)); }
    if (pending.empty()) { return {}; }
    return write_at(disk, **file, BytePos{static_cast<int64_t>(begin)}, bytes_of(column, pending));
}

std::vector<std::byte> SegmentIndex::bytes_of(const Column& column, std::span<const Entry> entries) {
    std::vector<std::byte> bytes(entries.size() * column.entry_bytes);
    for (size_t i = 0; i < entries.size(); ++i) { column.store(bytes.data() + i * column.entry_bytes, entries[i]); }
    return bytes;
}

Result<std::vector<std::unique_ptr<File>>> SegmentIndex::unsynced_files(Disk& disk) const {
    std::vector<std::unique_ptr<File>> files;
    if (!unsynced_) { return files; }
    for (const Column* column : {&Column::offsets, &Column::times}) {
        auto file = disk.open(path(*column), {.write = true});
        const bool empty = column == &Column::offsets ? state_.entries == 0 : state_.time_entries == 0;
        if (!file && file.error().code == Code::not_found && empty && !complete_) { continue; }
        if (!file) { return std::unexpected(file.error()); }
        files.push_back(std::move(*file));
    }
    return files;
}

Result<void> SegmentIndex::truncate(Disk& disk, SegmentEnd end) {
    std::erase_if(pending_, [&](const Entry& entry) { return !Column::offsets.below(entry, base_, end); });
    std::erase_if(pending_times_, [&](const Entry& entry) { return !Column::times.below(entry, base_, end); });
    TRY(state_.entries, count_below(disk, Column::offsets, state_.entries, end));
    TRY(state_.time_entries, count_below(disk, Column::times, state_.time_entries, end));
    cut_ = true;
    return load_last(disk);
}

SegmentIndex::State SegmentIndex::state() const {
    CHECK(pending_entries() == 0);
    return state_;
}

std::string SegmentIndex::path(const Column& column) const {
    return join_path(directory_, segment_file_name(base_, column.kind));
}

// The entries of one page, all of which must be there and grow.
Result<std::vector<SegmentIndex::Entry>> SegmentIndex::read_page(Disk& disk, File& file, const Column& column,
                                                                 uint64_t page, uint64_t entries) const {
    const uint64_t first = page * column.page_entries();
    const uint64_t count = std::min<uint64_t>(column.page_entries(), entries - first);
    std::byte bytes[page_bytes];
    const MutableBytes into(bytes, count * column.entry_bytes);
    TRY(const uint64_t done, read_at(disk, file, BytePos{static_cast<int64_t>(first * column.entry_bytes)}, into));
    if (done < into.size()) { return fail(Code::corrupt, "segment_index.lookup", file.path() + " is too short"); }
    std::vector<Entry> page_entries(count);
    for (uint64_t i = 0; i < count; ++i) {
        const Entry entry = column.load(bytes + i * column.entry_bytes);
        const bool grows = i == 0 || (entry.key > page_entries[i - 1].key && entry.value > page_entries[i - 1].value);
        if (!column.possible(entry) || !grows) {
            return fail(Code::corrupt, "segment_index.lookup", file.path() + " does not grow");
        }
        page_entries[i] = entry;
    }
    return page_entries;
}

// The last flushed entry whose key is at or below `key`. Binary search by pages, then inside one.
Result<std::optional<SegmentIndex::Entry>> SegmentIndex::find(Disk& disk, const Column& column, int64_t key) const {
    const uint64_t entries = column.kind == SegmentFile::index ? state_.entries : state_.time_entries;
    if (entries == 0) { return std::nullopt; }
    TRY(const auto file, disk.open(path(column), {}));
    std::optional<Entry> best;
    uint64_t begin = 0;
    uint64_t end = (entries + column.page_entries() - 1) / column.page_entries();
    while (begin < end) {
        const uint64_t middle = begin + (end - begin) / 2;
        TRY(const auto page, read_page(disk, *file, column, middle, entries));
        if (page.front().key > key) {
            end = middle;
            continue;
        }
        // Pages must grow among themselves too, as far as the search sees them.
        if (best && page.front().value <= best->value) {
            return fail(Code::corrupt, "segment_index.lookup", file->path() + " does not grow");
        }
        best = *std::prev(std::ranges::upper_bound(page, key, {}, &Entry::key));
        if (page.back().key > key) { break; }
        begin = middle + 1;
    }
    return best;
}

// How many of the first `entries` in the file belong to what lies below `end`, taking them to be in order.
Result<uint32_t> SegmentIndex::count_below(Disk& disk, const Column& column, uint64_t entries, SegmentEnd end) const {
    if (entries == 0) { return 0; }
    TRY(const auto file, disk.open(path(column), {}));
    const auto belongs = [&](uint64_t i) -> Result<bool> {
        std::byte bytes[time_index_entry_bytes];
        const MutableBytes into(bytes, column.entry_bytes);
        TRY(const uint64_t done, read_at(disk, *file, BytePos{static_cast<int64_t>(i * column.entry_bytes)}, into));
        if (done < into.size()) { return fail(Code::corrupt, "segment_index.open", file->path() + " is too short"); }
        const Entry entry = column.load(bytes);
        const bool unwritten = i > 0 && entry.key == 0 && entry.value == 0;
        return !unwritten && column.possible(entry) && column.below(entry, base_, end);
    };
    uint64_t begin = 0;
    uint64_t past = entries;
    while (begin < past) {
        const uint64_t middle = begin + (past - begin) / 2;
        TRY(const bool below, belongs(middle));
        if (below) {
            begin = middle + 1;
        } else {
            past = middle;
        }
    }
    return static_cast<uint32_t>(begin);
}

// Sets what state_ says of the last entries, from pending ones or else from the files.
Result<void> SegmentIndex::load_last(Disk& disk) {
    constexpr int64_t any = std::numeric_limits<int64_t>::max();
    std::optional<Entry> entry;
    std::optional<Entry> time;
    if (!pending_.empty()) {
        entry = pending_.back();
    } else {
        TRY(entry, find(disk, Column::offsets, any));
    }
    if (!pending_times_.empty()) {
        time = pending_times_.back();
    } else {
        TRY(time, find(disk, Column::times, any));
    }
    state_.last_entry_at = entry ? BytePos{entry->value} : BytePos{0};
    state_.last_entry_timestamp_ms = time ? time->key : -1;
    state_.timestamp_ms_max = state_.last_entry_timestamp_ms;
    state_.timestamp_offset_max = time ? base_ + time->value : Offset{};
    return {};
}

Result<SegmentIndex> rebuild_index(Disk& disk, const std::string& directory, Offset base, SegmentEnd end,
                                   uint64_t batch_bytes_max, bool rolled) {
    TRY(const auto log, disk.open(join_path(directory, segment_file_name(base, SegmentFile::log)), {}));
    SegmentScanner scanner(disk, *log, {.end = end.at, .offset = base, .batch_bytes_max = batch_bytes_max});
    SegmentIndex index(directory, base);
    while (true) {
        TRY(const auto scanned, scanner.next());
        if (!scanned) { break; }
        if (scanned->batch.last_offset() - base > segment_offsets_max || scanned->at.value > segment_bytes_limit) {
            return fail(Code::corrupt, "segment_index.rebuild", log->path() + " is larger than an index can tell");
        }
        index.note(scanned->batch, scanned->at);
    }
    if (scanner.fault() != ScanFault::none || scanner.position() != end.at) {
        return fail(Code::corrupt, "segment_index.rebuild", log->path() + ": " + name(scanner.fault()));
    }
    if (rolled) { index.close(); }
    TRY_VOID(index.replace(disk));
    return index;
}

}  // namespace flowstone
