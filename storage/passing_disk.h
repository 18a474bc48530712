// What a disk that watches or changes some calls of another one begins with.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/disk.h"

namespace flowstone {

// Passes everything on. Safe from any thread as far as the disk below is, which must outlive it.
class PassingDisk : public Disk {
public:
    explicit PassingDisk(Disk& below) : below_(below) {}

    const char* room() const override { return below_.room(); }
    Result<uint32_t> block_bytes(const std::string& directory) override { return below_.block_bytes(directory); }
    Result<std::unique_ptr<File>> open(const std::string& path, OpenOptions options) override {
        return below_.open(path, options);
    }
    void run(std::span<Io> requests) override { below_.run(requests); }
    std::unique_ptr<BackgroundRead> begin_read(const std::shared_ptr<File>& file, BytePos at,
                                               MutableBytes into) override {
        return below_.begin_read(file, at, into);
    }
    Result<uint64_t> size(File& file) override { return below_.size(file); }
    Result<void> truncate(File& file, uint64_t bytes) override { return below_.truncate(file, bytes); }
    Result<void> allocate(File& file, BytePos begin, BytePos end, bool keep_size) override {
        return below_.allocate(file, begin, end, keep_size);
    }
    Result<FileInfo> info(const std::string& path) override { return below_.info(path); }
    Result<std::vector<DirectoryEntry>> list(const std::string& directory) override { return below_.list(directory); }
    Result<void> make_directory(const std::string& path) override { return below_.make_directory(path); }
    Result<void> remove(const std::string& path) override { return below_.remove(path); }
    Result<void> rename(const std::string& from, const std::string& to) override { return below_.rename(from, to); }
    Result<void> sync_directory(const std::string& path) override { return below_.sync_directory(path); }
    Result<void> sync_directories(std::span<const std::string> paths) override {
        return below_.sync_directories(paths);
    }
    Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override { return below_.lock(path); }
    void drop_cache(File& file) override { below_.drop_cache(file); }
    Result<uint64_t> free_bytes(const std::string& directory) override { return below_.free_bytes(directory); }

private:
    Disk& below_;
};

}  // namespace flowstone
