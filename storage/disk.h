// The door to files. Everything that touches a file goes through a Disk.
//
// Three rooms are behind it: io_uring, plain POSIX calls, and the simulated disk of the tests, which is as mean as a
// real one may be (tests/sim/world/sim_disk.h). The contract below is tested against all three.
//
// Calls block the calling thread until the work has ended: no request outlives the call that made it, because the
// kernel may fail a request whose thread exits (liburing#1595). What runs beside what is the caller's choice:
// run() takes many requests at once, and any number of threads may call at the same time. The one exception is a read in
// the background, which is done again when the kernel failed it.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/bytes.h"
#include <flowstone/ids.h>
#include <flowstone/result.h>

namespace flowstone {

// An open file. Closed by its destructor. Not synced by anything but an explicit sync.
class File {
public:
    virtual ~File() = default;
    virtual const std::string& path() const = 0;
    // True when O_DIRECT is in force: addresses, positions and lengths must be multiples of Disk::block_bytes.
    virtual bool direct() const = 0;
};

// One request of Disk::run.
struct Io {
    enum class Kind : uint8_t {
        read,           // fills `pieces` from `at`; `done` is less than asked only at the end of the file
        write,          // writes `pieces` at `at`, all of them or an error
        write_durable,  // the same, and these bytes (no others) survive power loss when it ends: RWF_DSYNC
        sync,           // fdatasync: everything written to this file before this call survives power loss, its size too
    };
    Kind kind = Kind::read;
    File* file = nullptr;
    BytePos at{0};
    std::span<const iovec> pieces{};  // valid until run() returns; at most io_pieces_max

    uint64_t done = 0;     // out: bytes read or written
    int32_t os_errno = 0;  // out: 0, or why it failed
};

struct OpenOptions {
    bool write = false;      // else reading only
    bool create = false;     // make the file when it is not there; its name is durable only after sync_directory
    bool exclusive = false;  // with create: an existing file is an error (exists)
    bool direct = false;     // ask for O_DIRECT; File::direct() tells whether it was given
};

struct FileInfo {
    uint64_t bytes = 0;            // size
    uint64_t allocated_bytes = 0;  // space taken on disk
    bool directory = false;
};

struct DirectoryEntry {
    std::string name;
    bool directory = false;
};

// Held until destroyed; the kernel drops it when the process ends however it ends. A child forked meanwhile does not hold
// it, but keeps it held if it lives on when the process ends without destroying it.
class DirectoryLock {
public:
    virtual ~DirectoryLock() = default;
};

// A read that goes on while its caller does other things. May change threads, one at a time. The destructor returns once
// the kernel has let go of the memory.
class BackgroundRead {
public:
    virtual ~BackgroundRead() = default;
    // Waits for it: the bytes read, fewer than asked only at the end of the file. To be called once.
    virtual Result<uint64_t> end() = 0;
};

class Disk {
public:
    virtual ~Disk() = default;

    // "io_uring", "posix" or "simulated".
    virtual const char* room() const = 0;
    // What O_DIRECT needs: at least 4096, a power of two. Asked once per directory.
    virtual Result<uint32_t> block_bytes(const std::string& directory) = 0;

    // Errors: not_found, exists, invalid (not a file), read_only, no_space, io.
    virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenOptions options) = 0;

    // Performs all requests, in any order and at the same time where it can, and returns when every one has ended.
    // Short transfers, EINTR and EAGAIN are dealt with inside. Requests of one call must not overlap; a sync says nothing
    // about writes of the same call. A direct request that is not aligned, or one with too many pieces, ends with EINVAL.
    virtual void run(std::span<Io> requests) = 0;

    // Begins to read what is at `at` into `into`, which must stay until the read is destroyed; so must the disk. Null where
    // a read cannot go on by itself (plain calls), or where enough of them do already: nothing has begun then. What is
    // written to these bytes meanwhile may or may not be read.
    virtual std::unique_ptr<BackgroundRead> begin_read(const std::shared_ptr<File>& /*file*/, BytePos /*at*/,
                                                       MutableBytes /*into*/) {
        return nullptr;
    }

    virtual Result<uint64_t> size(File& file) = 0;
    virtual Result<void> truncate(File& file, uint64_t bytes) = 0;
    // Reserves space for [begin, end). With keep_size the file's size stays. Errors: no_space; unsupported where the
    // file system cannot, and then files simply grow.
    virtual Result<void> allocate(File& file, BytePos begin, BytePos end, bool keep_size) = 0;

    virtual Result<FileInfo> info(const std::string& path) = 0;
    virtual Result<std::vector<DirectoryEntry>> list(const std::string& directory) = 0;  // sorted by name
    virtual Result<void> make_directory(const std::string& path) = 0;                    // Errors: exists, io.
    virtual Result<void> remove(const std::string& path) = 0;                         // a file, or an empty directory
    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
    // Names created, removed or renamed in this directory before the call survive power loss. Errors: io, not_found.
    virtual Result<void> sync_directory(const std::string& path) = 0;
    // The same for several, at the same time where it can. An error is of one of them; the others may be synced.
    virtual Result<void> sync_directories(std::span<const std::string> paths);

    // Locks `path` (a file, created when missing) for this process and writes its process id into it.
    // Errors: locked, with the holder's process id as detail; read_only; io.
    virtual Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) = 0;

    // Forgets cached clean pages of a file, so that the next read comes from the device.
    virtual void drop_cache(File& file) = 0;
    virtual Result<uint64_t> free_bytes(const std::string& directory) = 0;
};

std::unique_ptr<Disk> open_uring_disk();  // null where io_uring cannot be used
std::unique_ptr<Disk> open_posix_disk();
// The best room this machine offers: io_uring unless the kernel or container forbids it. Disk::room() tells which.
std::unique_ptr<Disk> open_best_disk();

// Shorthands for one request. read_at returns the bytes read, fewer than asked only at the end of the file.
Result<uint64_t> read_at(Disk& disk, File& file, BytePos at, MutableBytes into);
Result<void> write_at(Disk& disk, File& file, BytePos at, Bytes from);
Result<void> sync(Disk& disk, File& file);

// Whether there is a file or directory of that name. Errors: those of Disk::info, but for not_found.
Result<bool> exists(Disk& disk, const std::string& path);

// As fail_errno, for a sync: when it finds no space it has failed like any other, and dropped what it covered.
std::unexpected<Error> fail_sync(int os_errno, const char* operation, std::string_view detail);
// Whether an error is of a write or sync that failed: bytes may be lost although they can still be read, so neither may be
// tried again (JOURNAL 5.1). A write to a full disk is none.
bool loses_writes(const Error& error);

// The whole of a small file. Errors: too_large above `bytes_max`, before memory is taken.
Result<std::vector<std::byte>> read_file(Disk& disk, const std::string& path, uint64_t bytes_max);

// Replaces a small file so that a crash leaves the old or the new content, never a mixture: writes `path`.tmp, syncs
// it, renames it over `path` and syncs the directory. Durable when it returns.
Result<void> replace_file(Disk& disk, const std::string& path, Bytes content);
// The same for several at once, in directories of their own: after an error each is old or new.
struct Replacement {
    std::string path;
    Bytes content;  // must stay
};
Result<void> replace_files(Disk& disk, std::span<const Replacement> files);

// "a/b" and "c" make "a/b/c"; parent_path("a/b/c") is "a/b".
std::string join_path(const std::string& directory, const std::string& name);
std::string parent_path(const std::string& path);

}  // namespace flowstone
