// The ring that acknowledgements wait for: preallocated, already-written files, reused in a circle.
//
// A commit is one O_DIRECT + RWF_DSYNC write that starts on a fresh block; one is in flight at a time. The ring is
// divided into extents of 4 MiB, and a commit lies within one; an extent is reused when no commit in it is needed
// any more by either checkpoint slot (JOURNAL 3.1). Format: docs/formats/journal.md.
//
// Not locked: the shard calls take()/wrote()/release() under its lock and write() without it, one at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/buffer.h"
#include "storage/disk.h"
#include "storage/journal_format.h"

namespace flowstone {

constexpr uint64_t commit_bytes_max = 1u << 20;  // JOURNAL 1.2
constexpr uint64_t journal_extent_bytes = 4u << 20;
constexpr uint64_t journal_first_file_bytes = 16u << 20;  // pre-written in 12 ms
constexpr uint64_t journal_next_file_bytes = 64u << 20;
constexpr uint32_t journal_files_max = 1024;
static_assert(journal_extent_bytes >= 2 * commit_bytes_max, "an extent must be able to carry any one commit");
static_assert(journal_first_file_bytes % journal_extent_bytes == 0);
static_assert(journal_next_file_bytes % journal_extent_bytes == 0);

// What a scan of one ring found.
struct JournalScan {
    struct Commit {
        CommitView view;    // points into `memory`
        size_t extent = 0;  // where it lies, as an index of the ring's extents
    };
    std::vector<Commit> commits;  // sequence >= the first asked for, ascending, each sequence once
    std::vector<BufferRef> memory;
    uint64_t bytes_read = 0;
    // What says that it is a commit of a sequence >= the first asked for, but does not hold.
    struct Broken {
        uint64_t sequence = 0;
        std::string path;
        BytePos at{0};
        uint64_t bytes = 0;
    };
    std::vector<Broken> broken;
};

class Journal {
public:
    struct Options {
        std::string directory;
        uint32_t shard = 0;
        uint64_t bytes_max = 128ull << 20;
        uint32_t block_bytes = 4096;
        bool read_only = false;
    };

    // Makes a ring of one file. What there is of another one of this shard goes: power loss may have kept a file of a ring
    // that was removed. Durable, its names too, once the directory is synced (the caller does).
    // Errors: no_space, io.
    static Result<std::unique_ptr<Journal>> create(Disk& disk, const Options& options, const Uuid& ring);
    // Removes every file of the shard's ring. Durable once the directory is synced (the caller does).
    static Result<void> remove(Disk& disk, const Options& options);
    // Opens the files of an existing ring. Errors: not_found (there is none), corrupt (no readable header), io.
    static Result<std::unique_ptr<Journal>> open(Disk& disk, const Options& options);
    // Shards that have ring files in this directory, whatever the shard count is now.
    static Result<std::vector<uint32_t>> shards(Disk& disk, const std::string& directory);
    static bool is_journal_file(const std::string& name);

    const Uuid& ring() const { return ring_; }
    uint64_t bytes() const;       // of all files
    uint64_t bytes_used() const;  // in extents that may not be reused yet
    bool can_grow() const { return bytes() < options_.bytes_max && !growth_refused_; }

    // Reads the whole ring, several pieces at once; read-only, the extents that may hold what is asked for.
    Result<JournalScan> scan(BufferPool& pool, uint64_t first_sequence);
    // After scan(), beside a writer: whether it may have gone on. Looks only where its next commit can be: behind the
    // newest one, at the front of an extent, in a further file. Errors: io.
    Result<bool> went_on(BufferPool& pool);

    // After scan(): writing goes on behind the last good commit, in a fresh extent.
    void resume(const JournalScan& scan, uint32_t generation, uint64_t next_sequence, uint64_t prior_sum);

    // The place of the next commit of up to `bytes`; empty when the ring is full: release() or grow() first.
    std::optional<CommitPlace> take(uint64_t bytes);
    // Blocks; the file is the one that take() chose, so that the ring may grow meanwhile. Errors: io; then the
    // directory is offline.
    Result<void> write(const CommitPlace& place, Bytes commit);
    // The commit of the last take() is durable.
    void wrote(const CommitPlace& place, Bytes commit, uint64_t sum);

    // Commits below `sequence` are not needed any more.
    void release(uint64_t sequence) {
        reusable_below_ = sequence;
        growth_refused_ = false;
    }
    uint64_t next_sequence() const { return next_sequence_; }
    uint64_t committed_bytes() const { return committed_bytes_; }  // of all commits since it was opened
    uint64_t last_sum() const { return prior_sum_; }
    uint32_t generation() const { return generation_; }

    // Growing by one file, a piece at a time, so that nobody waits for the whole of it. grow() blocks, pre-writes up to
    // `bytes` more, in pieces of 1 MiB, and touches nothing that take() uses; true when the file is whole and durable, its
    // name too. Then join() puts it behind the extent being written. Until then the file has no header: after a crash it
    // is no part of the ring, and the next growth begins it anew. Errors: no_space, io, busy (the ring may not grow); after
    // one can_grow() says no until the next release(). One thread at a time calls these four and can_grow().
    Result<bool> grow(BufferPool& pool, uint64_t bytes);
    // What grow() should write now: a piece, or nothing yet. The file is whole when commits have taken half of the room
    // that there was at the first call.
    uint64_t growth_due();
    void join();
    // Removes a file that is not whole, a crash's too: the ring is being closed.
    Result<void> abandon_growth();

private:
    struct RingFile {
        std::unique_ptr<File> file;
        uint32_t number = 0;
        uint64_t bytes = 0;
        uint64_t written = 0;  // while it grows: its front that was written
    };
    struct Extent {
        size_t file = 0;  // index in files_
        uint32_t begin_block = 0;
        uint32_t end_block = 0;
        bool used = false;
        uint64_t last_sequence = 0;  // of the newest commit in it
    };

    Journal(Disk& disk, Options options) : disk_(disk), options_(std::move(options)) {}
    static std::string path(const Options& options, uint32_t number);
    uint64_t next_file_bytes() const;
    Result<void> begin_file(uint64_t bytes);
    Result<bool> write_file(BufferPool& pool, uint64_t bytes);
    std::vector<Extent> extents_of(size_t file_index) const;
    bool reusable(const Extent& extent) const { return !extent.used || extent.last_sequence < reusable_below_; }
    struct Place {
        size_t file;  // index in files_
        uint32_t block;
    };
    Result<std::vector<uint64_t>> claimed_sequences(BufferPool& pool, const std::vector<Place>& places);
    Result<std::vector<bool>> needed_extents(BufferPool& pool, uint64_t first_sequence);
    Result<void> scan_extent(size_t extent_index, BufferPool& pool, uint64_t first_sequence, JournalScan& out);

    Disk& disk_;
    Options options_;
    Uuid ring_;
    std::vector<RingFile> files_;
    std::vector<Extent> extents_;  // in the order in which they are written
    size_t extent_ = 0;            // the one being written
    uint32_t at_block_ = 0;        // next free block in it
    File* file_ = nullptr;         // that of the last take()
    uint64_t next_sequence_ = 1;
    uint64_t prior_sum_ = 0;
    uint32_t generation_ = 1;
    uint64_t reusable_below_ = 0;
    uint64_t committed_bytes_ = 0;
    uint32_t next_file_ = 0;
    std::optional<RingFile> growing_;  // its number is next_file_
    uint64_t growth_begun_at_ = 0;     // of committed_bytes_
    uint64_t growth_room_ = 0;         // what may be committed until it is whole; 0: not begun
    bool unfinished_ = false;          // a file of that number is there, from a growth that a crash ended
    std::atomic<bool> growth_refused_ = false;
    // What scan() saw last: the newest commit that holds, and the place behind it.
    uint64_t scanned_sequence_ = 0;
    size_t scanned_extent_ = 0;
    uint32_t scanned_end_block_ = 0;
};

}  // namespace flowstone
