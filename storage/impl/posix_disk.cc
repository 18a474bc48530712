#include "storage/impl/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/try.h"

namespace flowstone {
namespace {

// Repeats a call that a signal interrupted. For calls that return -1 and errno; bytes are moved by Transfer instead.
template <class Call>
auto uninterrupted(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR) { result = call(); }
    return result;
}

Result<struct stat> status(const std::string& path, const char* operation) {
    struct stat found;
    if (::stat(path.c_str(), &found) != 0) { return fail_errno(errno, operation, path); }
    return found;
}

// A number in a small file of /sys; 0 when there is none.
uint32_t number_in(const std::string& path) {
    const Descriptor file(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
    char text[32];
    const ssize_t size = file.valid() ? uninterrupted([&] { return ::read(file.get(), text, sizeof text); }) : 0;
    uint32_t number = 0;
    if (size > 0) { std::from_chars(text, text + size, number); }
    return number;
}

// The physical block of the device below; a partition has none of its own, its disk has.
uint32_t physical_block_bytes(dev_t device) {
    const std::string base = fmt::format("/sys/dev/block/{}:{}", major(device), minor(device));
    const uint32_t own = number_in(base + "/queue/physical_block_size");
    return own != 0 ? own : number_in(base + "/../queue/physical_block_size");
}

// Takes a larger block into account, unless it is no block at all.
void raise(uint32_t& block_bytes, uint32_t found) {
    if (std::has_single_bit(found) && found <= disk_block_bytes_max) { block_bytes = std::max(block_bytes, found); }
}

struct FreeDeleter {
    void operator()(void* memory) const { std::free(memory); }
};
using AlignedBlock = std::unique_ptr<void, FreeDeleter>;
AlignedBlock aligned_block(uint32_t bytes) {
    AlignedBlock block(std::aligned_alloc(bytes, bytes));
    CHECK(block != nullptr);
    return block;
}

class PosixLock final : public DirectoryLock {
public:
    explicit PosixLock(Descriptor descriptor) : descriptor_(std::move(descriptor)), owner_(::getpid()) {}
    // The lock belongs to the open file description, which a forked child shares: the child closes its copy only, and
    // closing ours would not unlock while it lives.
    ~PosixLock() override {
        if (::getpid() != owner_) { return; }
        (void)!::ftruncate(descriptor_.get(), 0);  // names no process that is gone
        struct flock whole{};
        whole.l_type = F_UNLCK;
        whole.l_whence = SEEK_SET;
        (void)::fcntl(descriptor_.get(), F_OFD_SETLK, &whole);
    }

private:
    Descriptor descriptor_;
    pid_t owner_;
};

std::string holder_of(int fd) {
    char text[24];
    const ssize_t size = uninterrupted([&] { return ::pread(fd, text, sizeof text, 0); });
    int64_t pid = 0;
    if (size > 0) { std::from_chars(text, text + size, pid); }
    return pid > 0 ? fmt::format("process {}", pid) : "another process";
}

}  // namespace

const SystemCalls& SystemCalls::kernel() {
    static const SystemCalls calls{::preadv, ::pwritev2, ::fdatasync, ::fsync};
    return calls;
}

Descriptor::~Descriptor() {
    if (fd_ >= 0) { ::close(fd_); }  // nothing is synced by closing, so nothing is lost by ignoring its result
}

Result<uint32_t> PosixDisk::block_bytes(const std::string& directory) {
    TRY(const Device found, device(directory));
    return found.block_bytes;
}

// Tried with a nameless file, so that nothing is left behind and nobody sees it. Where such files or the directory
// refuse, whether O_DIRECT works stays unknown, and each file is tried by reading when it is opened.
Result<PosixDisk::Device> PosixDisk::device(const std::string& directory) {
    TRY(const auto found, status(directory, "disk.block_bytes"));
    if (!S_ISDIR(found.st_mode)) { return fail_errno(ENOTDIR, "disk.block_bytes", directory); }
    const std::lock_guard guard(devices_lock_);
    if (const auto known = devices_.find(found.st_dev); known != devices_.end()) { return known->second; }

    Device device{.block_bytes = disk_block_bytes_min};
    raise(device.block_bytes, physical_block_bytes(found.st_dev));
    const Descriptor file(
        uninterrupted([&] { return ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); }));
    if (!file.valid()) { return device; }  // not remembered: another directory there may allow it
    struct statx limits{};
    if (::statx(file.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &limits) == 0 &&
        (limits.stx_mask & STATX_DIOALIGN) != 0) {
        raise(device.block_bytes, limits.stx_dio_mem_align);
        raise(device.block_bytes, limits.stx_dio_offset_align);
    }
    device.direct = Device::Direct::refused;
    if (::fcntl(file.get(), F_SETFL, O_DIRECT) == 0) {
        const AlignedBlock block = aligned_block(device.block_bytes);
        std::memset(block.get(), 0, device.block_bytes);
        const ssize_t wrote = uninterrupted([&] { return ::pwrite(file.get(), block.get(), device.block_bytes, 0); });
        if (wrote < 0 && errno != EINVAL) {  // a full disk says nothing about O_DIRECT
            device.direct = Device::Direct::unknown;
            return device;
        }
        if (wrote == device.block_bytes) { device.direct = Device::Direct::works; }
    }
    devices_.emplace(found.st_dev, device);
    return device;
}

// O_NONBLOCK lets the open of a pipe return, so that it can be refused. O_DIRECT is set afterwards, because an open with
// O_CREAT and O_DIRECT that is refused may leave the new file behind.
Result<std::unique_ptr<File>> PosixDisk::open(const std::string& path, OpenOptions options) {
    constexpr const char* operation = "disk.open";
    int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (options.write ? O_RDWR : O_RDONLY);
    if (options.create) { flags |= O_CREAT; }
    if (options.create && options.exclusive) { flags |= O_EXCL; }
    Descriptor descriptor(uninterrupted([&] { return ::open(path.c_str(), flags, 0644); }));
    if (!descriptor.valid() && errno == EISDIR) {
        return fail(Code::invalid, operation, fmt::format("{} is not a file", path));
    }
    if (!descriptor.valid()) { return fail_errno(errno, operation, path); }
    struct stat found;
    if (::fstat(descriptor.get(), &found) != 0) { return fail_errno(errno, operation, path); }
    if (!S_ISREG(found.st_mode)) { return fail(Code::invalid, operation, fmt::format("{} is not a file", path)); }
    if (::fcntl(descriptor.get(), F_SETFL, 0) != 0) { return fail_errno(errno, operation, path); }

    uint32_t direct_block_bytes = 0;
    if (options.direct) {
        TRY(const Device device, this->device(parent_path(path)));
        const bool tried =
            device.direct != Device::Direct::refused && ::fcntl(descriptor.get(), F_SETFL, O_DIRECT) == 0;
        bool works = tried;
        if (tried && device.direct == Device::Direct::unknown) {
            const AlignedBlock block = aligned_block(device.block_bytes);
            works = uninterrupted([&] { return ::pread(descriptor.get(), block.get(), device.block_bytes, 0); }) >= 0;
        }
        if (tried && !works && ::fcntl(descriptor.get(), F_SETFL, 0) != 0) {
            return fail_errno(errno, operation, path);
        }
        if (works) { direct_block_bytes = device.block_bytes; }
    }
    return std::make_unique<PosixFile>(std::move(descriptor), path, direct_block_bytes);
}

void PosixDisk::run(std::span<Io> requests) {
    for (Io& request : requests) {
        Transfer transfer(request, posix(*request.file).alignment());
        finish(transfer);
    }
}

void PosixDisk::finish(Transfer& transfer) const {
    PosixFile& file = posix(*transfer.io().file);
    while (transfer.next() != Transfer::Next::ended) {
        if (transfer.next() == Transfer::Next::ask_size) {
            answer_size(transfer);
            continue;
        }
        const auto pieces = transfer.remaining();
        const auto count = static_cast<int>(pieces.size());
        const auto at = static_cast<off_t>(transfer.position());
        ssize_t result = 0;
        switch (transfer.io().kind) {
            case Io::Kind::read: result = calls_.preadv(file.fd(), pieces.data(), count, at); break;
            case Io::Kind::write: result = calls_.pwritev2(file.fd(), pieces.data(), count, at, 0); break;
            case Io::Kind::sync:
                result = file.directory() ? calls_.fsync(file.fd()) : calls_.fdatasync(file.fd());
                break;
            case Io::Kind::write_durable:
                if (!file.dsync_refused()) {
                    result = calls_.pwritev2(file.fd(), pieces.data(), count, at, RWF_DSYNC);
                    if (result >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) { break; }
                    file.refuse_dsync();
                }
                result = calls_.pwritev2(file.fd(), pieces.data(), count, at, 0);
                // An interrupted sync makes the whole piece be written and synced again.
                if (result > 0 && calls_.fdatasync(file.fd()) != 0) { result = -1; }
                break;
        }
        if (result < 0 && errno == EAGAIN) { std::this_thread::yield(); }  // short of something; let others free it
        transfer.result(result < 0 ? -errno : result);
    }
}

void PosixDisk::answer_size(Transfer& transfer) const {
    struct stat found{};
    const bool known = ::fstat(posix(*transfer.io().file).fd(), &found) == 0;
    transfer.file_size(known ? static_cast<uint64_t>(found.st_size) : 0);
}

Result<uint64_t> PosixDisk::size(File& file) {
    struct stat found;
    if (::fstat(posix(file).fd(), &found) != 0) { return fail_errno(errno, "disk.size", file.path()); }
    return static_cast<uint64_t>(found.st_size);
}

Result<void> PosixDisk::truncate(File& file, uint64_t bytes) {
    const int failed = uninterrupted([&] { return ::ftruncate(posix(file).fd(), static_cast<off_t>(bytes)); });
    if (failed != 0) { return fail_errno(errno, "disk.truncate", file.path()); }
    return {};
}

Result<void> PosixDisk::allocate(File& file, BytePos begin, BytePos end, bool keep_size) {
    if (begin.value < 0 || end <= begin) { return fail(Code::invalid, "disk.allocate", file.path()); }
    const int mode = keep_size ? FALLOC_FL_KEEP_SIZE : 0;
    const int failed = uninterrupted([&] { return ::fallocate(posix(file).fd(), mode, begin.value, end - begin); });
    if (failed != 0) { return fail_errno(errno, "disk.allocate", file.path()); }
    return {};
}

Result<FileInfo> PosixDisk::info(const std::string& path) {
    TRY(const auto found, status(path, "disk.info"));
    constexpr uint64_t st_blocks_unit = 512;  // whatever the file system's own block is
    return FileInfo{.bytes = static_cast<uint64_t>(found.st_size),
                    .allocated_bytes = static_cast<uint64_t>(found.st_blocks) * st_blocks_unit,
                    .directory = S_ISDIR(found.st_mode)};
}

Result<std::vector<DirectoryEntry>> PosixDisk::list(const std::string& directory) {
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
    if (stream == nullptr) { return fail_errno(errno, "disk.list", directory); }
    std::vector<DirectoryEntry> entries;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(stream.get());
        if (entry == nullptr) { break; }
        std::string name = entry->d_name;
        if (name == "." || name == "..") { continue; }
        bool is_directory = entry->d_type == DT_DIR;
        if (entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK) {
            struct stat found;
            is_directory = ::stat(join_path(directory, name).c_str(), &found) == 0 && S_ISDIR(found.st_mode);
        }
        entries.push_back({std::move(name), is_directory});
    }
    if (errno != 0) { return fail_errno(errno, "disk.list", directory); }
    std::ranges::sort(entries, {}, &DirectoryEntry::name);
    return entries;
}

Result<void> PosixDisk::make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) != 0) { return fail_errno(errno, "disk.make_directory", path); }
    return {};
}

Result<void> PosixDisk::remove(const std::string& path) {
    int failed = ::unlink(path.c_str());
    if (failed != 0 && errno == EISDIR) { failed = ::rmdir(path.c_str()); }
    if (failed != 0) { return fail_errno(errno, "disk.remove", path); }
    return {};
}

Result<void> PosixDisk::rename(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) {
        return fail_errno(errno, "disk.rename", fmt::format("{} to {}", from, to));
    }
    return {};
}

Result<std::unique_ptr<PosixFile>> PosixDisk::open_directory(const std::string& path) {
    Descriptor directory(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (!directory.valid()) { return fail_sync(errno, "disk.sync_directory", path); }
    return std::make_unique<PosixFile>(std::move(directory), path, 0, true);
}

Result<void> PosixDisk::sync_directory(const std::string& path) {
    TRY(const auto directory, open_directory(path));
    Io request{.kind = Io::Kind::sync, .file = directory.get()};
    run({&request, 1});
    if (request.os_errno != 0) { return fail_sync(request.os_errno, "disk.sync_directory", path); }
    return {};
}

// An open-file-description lock: unlike a process's own locks it is not dropped when some other descriptor of the same
// file is closed, and it also keeps a second lock in this process out.
Result<std::unique_ptr<DirectoryLock>> PosixDisk::lock(const std::string& path) {
    Descriptor file(
        uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644); }));
    if (!file.valid()) { return fail_errno(errno, "disk.lock", path); }
    struct flock whole{};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(file.get(), F_OFD_SETLK, &whole) != 0) {
        if (errno != EAGAIN && errno != EACCES) { return fail_errno(errno, "disk.lock", path); }
        return fail(Code::locked, "disk.lock", fmt::format("{} has {}", holder_of(file.get()), path));
    }
    // A full disk must not keep anyone from opening: without the text only the message is poorer.
    const std::string pid = fmt::format("{}\n", ::getpid());
    (void)!::ftruncate(file.get(), 0);
    (void)!::pwrite(file.get(), pid.data(), pid.size(), 0);
    return std::make_unique<PosixLock>(std::move(file));
}

void PosixDisk::drop_cache(File& file) { ::posix_fadvise(posix(file).fd(), 0, 0, POSIX_FADV_DONTNEED); }

Result<uint64_t> PosixDisk::free_bytes(const std::string& directory) {
    struct statvfs found;
    if (uninterrupted([&] { return ::statvfs(directory.c_str(), &found); }) != 0) {
        return fail_errno(errno, "disk.free_bytes", directory);
    }
    return static_cast<uint64_t>(found.f_bavail) * found.f_frsize;
}

std::unique_ptr<Disk> open_posix_disk() { return std::make_unique<PosixDisk>(); }

}  // namespace flowstone
