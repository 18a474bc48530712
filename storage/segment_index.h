// The offset index and the time index of one segment, in Kafka's format.
//
//   <base>.index      8 bytes an entry: last offset of a batch minus base (i32), where that batch begins (i32)
//   <base>.timeindex  12 bytes an entry: largest timestamp so far (i64), last offset of the batch it first
//                     appeared in, minus base (i32)
//   big endian, both columns of both files strictly growing
//
// Sparse: a batch gets an entry when it begins more than index_interval_bytes after the last one that got one. Both
// are hints: what the caller finds at a position it checks, and a bad file costs a rebuild, never an answer.
// Format page: docs/formats/segment.md.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/batch.h"
#include "storage/disk.h"

namespace flowstone {

constexpr uint32_t index_interval_bytes = 4096;  // Kafka's index.interval.bytes
constexpr uint32_t index_entry_bytes = 8;
constexpr uint32_t time_index_entry_bytes = 12;
constexpr int64_t segment_offsets_max = INT32_MAX;  // what the i32 of an entry can express
constexpr int64_t segment_bytes_limit = INT32_MAX;  // likewise; segment.bytes cannot be set higher

// Where a segment ends, as far as it is known to be good.
struct SegmentEnd {
    Offset offset;  // the next offset
    BytePos at;
};

// What the time index says: no batch before the one that holds `offset` has a timestamp this large.
struct TimeLookup {
    BytePos at{0};              // a batch boundary at or before that batch
    int64_t timestamp_ms = -1;  // its max timestamp; -1: there is no entry, begin at the front and check nothing
    Offset offset;              // its last one if we or a recent Kafka wrote it, else any in it
};

// Owned by the segment. Not safe from several threads. Holds no file open between calls and in memory only what has
// not been flushed: 20 bytes per index_interval_bytes appended since.
class SegmentIndex {
public:
    // All that is needed to go on without reading a file; kept in the checkpoint. Speaks of flushed entries.
    struct State {
        uint32_t entries = 0;
        uint32_t time_entries = 0;
        BytePos last_entry_at{0};              // position named by the last offset entry; 0 without one
        int64_t last_entry_timestamp_ms = -1;  // of the last time entry; -1 without one
        int64_t timestamp_ms_max = -1;         // of the segment so far
        Offset timestamp_offset_max;           // last offset of the first batch that has it
        friend bool operator==(const State&, const State&) = default;
    };

    // A new segment's index: what its files hold, if they exist, is overwritten by the first flush, which makes none that
    // would be empty before the segment is closed, or complete() was called.
    SegmentIndex(std::string directory, Offset base) : SegmentIndex(std::move(directory), base, State{}) {}
    // As saved by state() after a flush. Reads nothing; entries beyond the state's are overwritten.
    SegmentIndex(std::string directory, Offset base, const State& state);
    // From the files alone: counts the entries below `end` and looks at the last of each; zeros at the end (Kafka
    // preallocates) and entries past `end` are dropped. Of a segment that was not closed the batches from
    // last_entry_at() on must be noted again. Errors: corrupt (a missing file too): rebuild. io.
    static Result<SegmentIndex> open(Disk& disk, std::string directory, Offset base, SegmentEnd end);

    // The same where the power may have gone since the files were synced: entries that were being written behind synced
    // ones put their whole page at risk, so the last page of each file is not believed. Columns end alike. A missing file
    // has no entries.
    static Result<SegmentIndex> open_after_crash(Disk& disk, std::string directory, Offset base, SegmentEnd end);

    // A batch was appended at `at`. In order. Noting a batch again does nothing. Requires last_offset - base and `at`
    // within their limits.
    void note(Offset last_offset, BytePos at, int64_t timestamp_ms_max);
    void note(const BatchView& batch, BytePos at) { note(batch.last_offset(), at, batch.max_timestamp_ms()); }
    // The segment is rolled: the time index gets its last entry, the segment's largest timestamp. Flush afterwards.
    void close();
    // Both files are to be there after the next flush, though one be empty: Kafka looks for them.
    void complete() { complete_ = cut_ = true; }

    // A batch boundary at or before the batch that holds `offset`. The caller checks it: unless it is 0, a batch begins
    // there and its last offset is at or below `offset`; else the index is bad: rebuild. (If both hold, the answer is
    // right whatever the file says.) Errors: corrupt (entries do not grow, or the file is short): rebuild. io.
    Result<BytePos> lookup(Disk& disk, Offset offset) const;
    // Where to begin looking for the first batch whose max timestamp is `timestamp_ms` or later. Checked by the caller
    // as lookup() is, and also: the batch that holds TimeLookup::offset has exactly this max timestamp. Errors: as lookup.
    Result<TimeLookup> lookup_time(Disk& disk, int64_t timestamp_ms) const;

    // The answer to lookup() if memory alone has it: the offset lies past the first entry that is not flushed.
    std::optional<BytePos> lookup_pending(Offset offset) const;
    // A copy without the pending entries, for lookups on another thread: taken under the owner's lock, used without.
    // Never flush it. It answers until the files are next truncated.
    SegmentIndex flushed_part() const;

    // For a flush on another thread: a copy is taken under the owner's lock, flushed without it, and then told here, under
    // the lock again. Batches noted meanwhile stay pending. One such flush at a time.
    void forget_flushed(const SegmentIndex& flushed_copy);

    // Writes pending entries; both files are cut to what belongs to them. Not synced. After an error nothing is
    // forgotten, but what the files hold is unknown until the next successful flush.
    Result<void> flush(Disk& disk);
    // What must be synced at roll, and before a checkpoint's state speaks of it: both files, or none when synced() was
    // told of all that was flushed.
    Result<std::vector<std::unique_ptr<File>>> unsynced_files(Disk& disk) const;
    // Whether the directory must be synced, too: a flush may have made a file.
    bool names_unsynced() const { return names_unsynced_; }
    void synced() { unsynced_ = names_unsynced_ = false; }
    // The first flush of an index made anew, into files that take the place of those there are: after power loss each is
    // as it was or whole. Durable when it returns. Requires that nothing was flushed.
    Result<void> replace(Disk& disk);
    uint32_t pending_entries() const { return static_cast<uint32_t>(pending_.size() + pending_times_.size()); }

    // The segment was cut at `end` (a batch boundary). Then note the batches in [last_entry_at(), end) again, for the
    // largest timestamp, and flush. Errors: corrupt: rebuild. io.
    Result<void> truncate(Disk& disk, SegmentEnd end);

    // Requires pending_entries() == 0.
    State state() const;
    BytePos last_entry_at() const { return state_.last_entry_at; }  // 0 without an entry; pending ones count
    int64_t timestamp_ms_max() const { return state_.timestamp_ms_max; }
    Offset timestamp_offset_max() const { return state_.timestamp_offset_max; }

private:
    struct Entry {
        int64_t key;    // offset relative to base_; in the time index the timestamp
        int32_t value;  // position; in the time index the relative offset
    };
    struct Column;  // one of the two files: its name and how an entry is laid out

    std::string path(const Column& column) const;
    Result<std::vector<Entry>> read_page(Disk& disk, File& file, const Column& column, uint64_t page,
                                         uint64_t entries) const;
    Result<std::optional<Entry>> find(Disk& disk, const Column& column, int64_t key) const;
    enum class Missing : uint8_t { corrupt, empty };
    static Result<SegmentIndex> open(Disk& disk, std::string directory, Offset base, SegmentEnd end, Missing missing);
    Result<uint32_t> count_below(Disk& disk, const Column& column, uint64_t entries, SegmentEnd end) const;
    Result<void> load_last(Disk& disk);
    Result<void> flush_column(Disk& disk, const Column& column, std::span<const Entry> pending, uint32_t entries) const;
    static std::vector<std::byte> bytes_of(const Column& column, std::span<const Entry> entries);
    void flushed();
    void add_time_entry();

    std::string directory_;
    Offset base_;
    State state_;  // entries and time_entries count flushed ones, the rest speaks of all
    std::vector<Entry> pending_;
    std::vector<Entry> pending_times_;
    bool cut_ = true;  // the files may hold more than state_ counts
    bool complete_ = false;
    bool unsynced_ = true;  // what was flushed may be in the page cache alone
    bool names_unsynced_ = true;
};

// Makes both index files of a segment again from its batches in [0, end), as closed when it is `rolled`. By replace():
// durable when it returns. Errors: corrupt, when the segment itself is bad below `end`; io.
Result<SegmentIndex> rebuild_index(Disk& disk, const std::string& directory, Offset base, SegmentEnd end,
                                   uint64_t batch_bytes_max, bool rolled);

}  // namespace flowstone
