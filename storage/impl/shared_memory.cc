#include "storage/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>
#include <fmt/format.h>

#include "storage/try.h"

namespace flowstone {
namespace {

namespace ipc = boost::interprocess;

constexpr const char* operation = "shared_memory.open";

std::unexpected<Error> failed(const std::string& name, int error) {
    return fail_errno(error, operation, fmt::format("shared memory {}", name));
}
std::unexpected<Error> failed(const std::string& name, const ipc::interprocess_exception& error) {
    return failed(name, error.get_native_error());
}

int descriptor_of(const ipc::shared_memory_object& object) { return object.get_mapping_handle().handle; }

struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    uid_t owner = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
};
Identity identity_of(const ipc::shared_memory_object& object) {
    struct stat info{};
    if (fstat(descriptor_of(object), &info) != 0) { return {}; }
    return {info.st_dev, info.st_ino, info.st_uid};
}

// Two directories of one id, one of them copied from the other, are two all the same.
std::string name_in(const struct stat& directory, const std::string& name) {
    return fmt::format("{}-{:x}-{:x}", name, directory.st_dev, directory.st_ino);
}

}  // namespace

struct SharedMemory::Impl {
    std::string name;                  // as the system has it
    ipc::shared_memory_object object;  // whose lock the maker holds
    ipc::mapped_region all;
    ipc::mapped_region page{};  // of nothing: may not be written
    bool made = false;
};

SharedMemory::SharedMemory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SharedMemory::SharedMemory(SharedMemory&&) noexcept = default;
SharedMemory& SharedMemory::operator=(SharedMemory&&) noexcept = default;
SharedMemory::~SharedMemory() = default;

Result<SharedMemory> SharedMemory::make(const std::string& name, uint64_t bytes, const std::string& directory) {
    struct stat owner{};
    if (stat(directory.c_str(), &owner) != 0) { return fail_errno(errno, operation, directory); }
    const std::string full = name_in(owner, name);
    ipc::shared_memory_object::remove(full.c_str());
    try {
        ipc::permissions nobody_else;
        nobody_else.set_permissions(S_IRUSR | S_IWUSR);
        ipc::shared_memory_object object(ipc::create_only, full.c_str(), ipc::read_write, nobody_else);
        const int descriptor = descriptor_of(object);
        const auto give_up = [&](int error) {
            ipc::shared_memory_object::remove(full.c_str());
            return failed(full, error);
        };
        if (const int error = posix_fallocate(descriptor, 0, static_cast<off_t>(bytes)); error != 0) {
            return give_up(error);
        }
        // Owner first, which only root may change: then nobody of another group gets in between.
        if (fchown(descriptor, owner.st_uid, owner.st_gid) != 0 && errno != EPERM) { return give_up(errno); }
        if (fchmod(descriptor, owner.st_mode & (S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH)) != 0) {
            return give_up(errno);
        }
        struct flock whole{};
        whole.l_type = F_WRLCK;
        whole.l_whence = SEEK_SET;
        if (fcntl(descriptor, F_OFD_SETLK, &whole) != 0) { return give_up(errno); }
        auto impl = std::make_unique<Impl>(full, std::move(object), ipc::mapped_region());
        impl->all = ipc::mapped_region(impl->object, ipc::read_write);
        impl->made = true;
        return SharedMemory(std::move(impl));
    } catch (const ipc::interprocess_exception& error) { return failed(full, error); }
}

Result<SharedMemory> SharedMemory::open(const std::string& name, const std::string& directory, uint64_t page_begin,
                                        uint64_t page_bytes) {
    struct stat owner{};
    if (stat(directory.c_str(), &owner) != 0) { return fail_errno(errno, operation, directory); }
    const std::string full = name_in(owner, name);
    try {
        ipc::shared_memory_object object(ipc::open_only, full.c_str(), ipc::read_only);
        // Anybody may make a name here.
        if (identity_of(object).owner != owner.st_uid) {
            return fail(Code::not_found, operation,
                        fmt::format("shared memory {} is not of the owner of {}", full, directory));
        }
        ipc::offset_t bytes = 0;
        if (!object.get_size(bytes) || bytes < static_cast<ipc::offset_t>(page_begin + page_bytes)) {
            return fail(Code::not_found, operation, fmt::format("shared memory {} is not whole", full));
        }
        auto impl = std::make_unique<Impl>(full, std::move(object), ipc::mapped_region());
        impl->all = ipc::mapped_region(impl->object, ipc::read_only);
        try {
            ipc::shared_memory_object writable(ipc::open_only, full.c_str(), ipc::read_write);
            if (identity_of(writable) == identity_of(impl->object)) {
                impl->page =
                    ipc::mapped_region(writable, ipc::read_write, static_cast<ipc::offset_t>(page_begin), page_bytes);
            }
        } catch (const ipc::interprocess_exception&) {  // NOLINT(bugprone-empty-catch): may only read
        }
        return SharedMemory(std::move(impl));
    } catch (const ipc::interprocess_exception& error) { return failed(full, error); }
}

void SharedMemory::remove(const std::string& name, const std::string& directory) {
    struct stat info{};
    if (stat(directory.c_str(), &info) == 0) { ipc::shared_memory_object::remove(name_in(info, name).c_str()); }
}

Bytes SharedMemory::bytes() const {
    return {static_cast<const std::byte*>(impl_->all.get_address()), impl_->all.get_size()};
}

MutableBytes SharedMemory::writable() const {
    const ipc::mapped_region& region = impl_->made ? impl_->all : impl_->page;
    return {static_cast<std::byte*>(region.get_address()), region.get_size()};
}

bool SharedMemory::current() const {
    try {
        const ipc::shared_memory_object now(ipc::open_only, impl_->name.c_str(), ipc::read_only);
        return identity_of(now) == identity_of(impl_->object);
    } catch (const ipc::interprocess_exception&) { return false; }
}

bool SharedMemory::alive() const {
    struct flock whole{};
    whole.l_type = F_RDLCK;
    whole.l_whence = SEEK_SET;
    const bool held = fcntl(descriptor_of(impl_->object), F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    return held && current();
}

}  // namespace flowstone
