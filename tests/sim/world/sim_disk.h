// A disk in memory, as mean as a real one may be, with crashes at any point of a recorded trace.
//
// Processes see the page cache; a crash keeps only what was synced, and of the rest whatever is worst:
//   bytes   An unsynced write survives per 512-byte sector, in any subset, across files and in any order. A sector that
//           was not synced after it was last written may also hold noise, even where it rewrote durable bytes; a
//           buffered write puts its whole 4 KiB page at that risk, because that is what write-back writes.
//           write_durable covers its own bytes and the size that is needed to read them, nothing else.
//   size    Of one file, the changes of size survive up to some point in their order: the size may be there without
//           the bytes (zeros) and the bytes without the size (lost). A truncation that survives hides what it cut.
//   names   Creating, removing and renaming survive in any subset, in their order, until their directory is synced. A
//           rename is atomic. A file that was synced under a name that was not is lost with the name.
//   space   Reserved space that was not synced may be gone.
//   sync    A failed sync (run_failing) drops what it covered: still readable from the cache, never written, and the
//           next sync succeeds.
//
// Everything follows from the calls and the seed. Safe from any thread; calls happen one at a time. States share pages,
// so a crash costs about what is unsynced at its point, not what is on the disk.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/disk.h"

namespace flowstone {

// What a crash makes of everything that was not synced.
struct Crash {
    enum class Keep : uint8_t {
        nothing,
        everything,
        prefix,  // what operations below `prefix` did
        seeded,  // one of many styles: the above, subsets dense and sparse, with and without noise
    };
    Keep keep = Keep::seeded;
    uint64_t prefix = 0;
    uint64_t seed = 1;
};

// One state that a disk may be in after a crash.
struct CrashPoint {
    uint64_t operation = 0;  // those below it had ended
    bool during = false;     // and this one had begun; its writes are torn like anything unsynced
    Crash crash{};

    std::string to_string() const;  // "before 17, prefix 12"; enough to repeat it
};

// A read in the background whose bytes are those of its beginning, or of its end.
class SimRead final : public BackgroundRead {
public:
    SimRead(Disk& disk, std::shared_ptr<File> file, BytePos at, MutableBytes into, bool at_once)
        : disk_(disk), file_(std::move(file)), at_(at), into_(into) {
        if (at_once) { done_ = read_at(disk_, *file_, at_, into_); }
    }
    Result<uint64_t> end() override { return done_ ? std::move(*done_) : read_at(disk_, *file_, at_, into_); }

private:
    Disk& disk_;
    std::shared_ptr<File> file_;
    BytePos at_;
    MutableBytes into_;
    std::optional<Result<uint64_t>> done_;
};

class SimDisk final : public Disk {
public:
    struct Options {
        uint64_t bytes_max = uint64_t{1} << 40;  // room on the disk, in pages of 4 KiB
        uint32_t block_bytes = 4096;
        bool direct = true;      // O_DIRECT is given to who asks
        bool record = false;     // keep a trace: needed for crash_state()
        int64_t process_id = 1;  // whom lock() names
    };
    SimDisk();
    explicit SimDisk(Options options);
    ~SimDisk() override;

    const char* room() const override { return "simulated"; }
    Result<uint32_t> block_bytes(const std::string& directory) override;
    Result<std::unique_ptr<File>> open(const std::string& path, OpenOptions options) override;
    void run(std::span<Io> requests) override;
    std::unique_ptr<BackgroundRead> begin_read(const std::shared_ptr<File>& file, BytePos at,
                                               MutableBytes into) override;
    Result<uint64_t> size(File& file) override;
    Result<void> truncate(File& file, uint64_t bytes) override;
    Result<void> allocate(File& file, BytePos begin, BytePos end, bool keep_size) override;
    Result<FileInfo> info(const std::string& path) override;
    Result<std::vector<DirectoryEntry>> list(const std::string& directory) override;
    Result<void> make_directory(const std::string& path) override;
    Result<void> remove(const std::string& path) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> sync_directory(const std::string& path) override;
    Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override;
    void drop_cache(File& file) override;
    Result<uint64_t> free_bytes(const std::string& directory) override;

    // Performs requests as a failing device would: a write leaves any subset of its sectors (none with ENOSPC), a sync
    // drops what it covered, a read gives nothing. Each ends with `os_errno`.
    void run_failing(std::span<Io> requests, int32_t os_errno);

    // While full, nothing more takes room and no name is made: somebody else took what was left, and gives it back.
    void set_full(bool full);

    // Operations so far: every call that changed or synced something is one, and so is one run() of many requests.
    // A promise made when operations() was n must hold in every crash at operation n or later.
    uint64_t operations() const;
    std::string describe(uint64_t operation) const;  // "run: write_durable journal/0 at 4096 +8192"; needs record

    // The disk after a crash now, or at a point of the trace (needs record). The new disk has no open files or locks,
    // everything on it is durable, and it records when `record`. This disk goes on unchanged.
    std::unique_ptr<SimDisk> crash(const Crash& crash, bool record = false) const;
    std::unique_ptr<SimDisk> crash_state(const CrashPoint& point, bool record = false) const;

    // Which operations have left something unsynced at a point, ascending. Where a prefix can end.
    std::vector<uint64_t> unsynced(uint64_t operation, bool during) const;

    // Every point of the trace from `first` on, before and during each operation: nothing, everything, every prefix, and
    // `seeds` seeded states each.
    std::vector<CrashPoint> all_crashes(uint64_t seeds, uint64_t first = 0) const;
    // `count` points spread over the trace by `seed`, mostly seeded, half of them during an operation.
    std::vector<CrashPoint> sample_crashes(uint64_t count, uint64_t seed, uint64_t first = 0) const;

    // Shared with the files and locks it hands out, which may outlive it.
    struct Core;

private:
    explicit SimDisk(std::shared_ptr<Core> core);
    std::shared_ptr<Core> core_;
};

}  // namespace flowstone
