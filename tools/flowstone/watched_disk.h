// The disk of a command, with a line on the terminal that says how much of what it must read it has read.
#pragma once

#include <memory>
#include <string>

#include "storage/disk.h"
#include "storage/lock.h"
#include "tools/flowstone/progress.h"

namespace flowstone::tool {

// Passes everything on. Safe from any thread.
class WatchedDisk final : public Disk {
public:
    // `work_total` in bytes.
    WatchedDisk(std::unique_ptr<Disk> below, uint64_t work_total);

    void clear();  // before something else is said on the terminal

    const char* room() const override { return below_->room(); }
    Result<uint32_t> block_bytes(const std::string& directory) override { return below_->block_bytes(directory); }
    Result<std::unique_ptr<File>> open(const std::string& path, OpenOptions options) override {
        return below_->open(path, options);
    }
    void run(std::span<Io> requests) override;
    std::unique_ptr<BackgroundRead> begin_read(const std::shared_ptr<File>& file, BytePos at,
                                               MutableBytes into) override {
        return below_->begin_read(file, at, into);
    }
    Result<uint64_t> size(File& file) override { return below_->size(file); }
    Result<void> truncate(File& file, uint64_t bytes) override { return below_->truncate(file, bytes); }
    Result<void> allocate(File& file, BytePos begin, BytePos end, bool keep_size) override {
        return below_->allocate(file, begin, end, keep_size);
    }
    Result<FileInfo> info(const std::string& path) override { return below_->info(path); }
    Result<std::vector<DirectoryEntry>> list(const std::string& directory) override { return below_->list(directory); }
    Result<void> make_directory(const std::string& path) override { return below_->make_directory(path); }
    Result<void> remove(const std::string& path) override { return below_->remove(path); }
    Result<void> rename(const std::string& from, const std::string& to) override { return below_->rename(from, to); }
    Result<void> sync_directory(const std::string& path) override { return below_->sync_directory(path); }
    Result<void> sync_directories(std::span<const std::string> paths) override {
        return below_->sync_directories(paths);
    }
    Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override { return below_->lock(path); }
    void drop_cache(File& file) override { below_->drop_cache(file); }
    Result<uint64_t> free_bytes(const std::string& directory) override { return below_->free_bytes(directory); }

private:
    std::unique_ptr<Disk> below_;
    Lock lock_;
    Progress progress_;    // guarded by lock_
    ProgressState state_;  // likewise
};

}  // namespace flowstone::tool
