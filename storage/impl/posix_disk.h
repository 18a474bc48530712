// The POSIX room: plain calls, one request after the other. Also the base of the io_uring room, which differs in run(),
// begin_read() and sync_directories() only.
//
// What failure leaves behind:
//   write          any part of it may be in the file; `done` bytes at the front are.
//   write_durable  as write. Where RWF_DSYNC is refused (EOPNOTSUPP, ENOSYS) the file is fdatasynced after each write instead.
//   sync           what had been written since the last sync may be lost although it can still be read, and a second
//                  sync may report success (Linux marks the pages clean). Never retried here; callers must not either.
//   lock           nothing; the pid in the file is for messages only and may be stale or missing.
#pragma once

#include <atomic>
#include <map>
#include <mutex>

#include "storage/disk.h"
#include "storage/impl/transfer.h"

namespace flowstone {

// The calls that move bytes. Tests put theirs here to make them short, interrupted or failing; the default is the kernel.
struct SystemCalls {
    ssize_t (*preadv)(int fd, const iovec* pieces, int count, off_t at);
    ssize_t (*pwritev2)(int fd, const iovec* pieces, int count, off_t at, int flags);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);  // of directories

    static const SystemCalls& kernel();
};

// Owns a file descriptor.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor();
    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }

private:
    int fd_;
};

class PosixFile final : public File {
public:
    PosixFile(Descriptor descriptor, std::string path, uint32_t direct_block_bytes, bool directory = false)
        : descriptor_(std::move(descriptor)),
          path_(std::move(path)),
          direct_block_bytes_(direct_block_bytes),
          directory_(directory) {}
    const std::string& path() const override { return path_; }
    bool direct() const override { return direct_block_bytes_ != 0; }
    bool directory() const { return directory_; }
    int fd() const { return descriptor_.get(); }
    uint32_t alignment() const { return direct() ? direct_block_bytes_ : 1; }
    bool dsync_refused() const { return dsync_refused_.load(std::memory_order_relaxed); }
    void refuse_dsync() { dsync_refused_.store(true, std::memory_order_relaxed); }

private:
    Descriptor descriptor_;
    std::string path_;
    uint32_t direct_block_bytes_;  // 0: not direct
    bool directory_;
    std::atomic<bool> dsync_refused_ = false;
};

// Safe from any thread.
class PosixDisk : public Disk {
public:
    explicit PosixDisk(const SystemCalls& calls = SystemCalls::kernel()) : calls_(calls) {}

    const char* room() const override { return "posix"; }
    Result<uint32_t> block_bytes(const std::string& directory) override;
    Result<std::unique_ptr<File>> open(const std::string& path, OpenOptions options) override;
    void run(std::span<Io> requests) override;
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

protected:
    // Performs one request by plain calls, from where it stands to its end.
    void finish(Transfer& transfer) const;
    // Tells a transfer that asked for it how long its file is.
    void answer_size(Transfer& transfer) const;
    static PosixFile& posix(File& file) { return static_cast<PosixFile&>(file); }
    // To be synced; its errors are those of sync_directory().
    static Result<std::unique_ptr<PosixFile>> open_directory(const std::string& path);

private:
    // What a file system can do, found by trying in one of its directories.
    struct Device {
        uint32_t block_bytes = 0;
        enum class Direct : uint8_t { works, refused, unknown } direct = Direct::unknown;
    };
    Result<Device> device(const std::string& directory);

    const SystemCalls calls_;
    std::mutex devices_lock_;
    std::map<uint64_t, Device> devices_;  // by st_dev
};

}  // namespace flowstone
