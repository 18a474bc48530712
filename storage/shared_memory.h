// Memory that processes of one machine share, by a name within a directory: the directory itself is a part of it, so that a
// copy of the directory has memory of its own. Nothing of it is on the disk.
//
// Real: fallocated when it is made, so that nobody gets SIGBUS for want of room. Gone at the next start of the machine, or
// when whoever made it takes its name away; those that map it keep it until they let go.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <flowstone/result.h>

#include "storage/bytes.h"

namespace flowstone {

class SharedMemory {
public:
    // Zeros, under a name that whatever had it before loses. Who may open `directory`'s files may open it.
    // Errors: no_space, read_only, io.
    static Result<SharedMemory> make(const std::string& name, uint64_t bytes, const std::string& directory);
    // Read only, but for [page_begin, page_begin + page_bytes), where this process may write, too, if it has the right to.
    // Errors: not_found (or of another owner than the directory), read_only (no right to read), io.
    static Result<SharedMemory> open(const std::string& name, const std::string& directory, uint64_t page_begin,
                                     uint64_t page_bytes);
    static void remove(const std::string& name, const std::string& directory);  // nothing when there is none

    SharedMemory(SharedMemory&&) noexcept;
    SharedMemory& operator=(SharedMemory&&) noexcept;
    ~SharedMemory();

    Bytes bytes() const;
    MutableBytes writable() const;  // of the one who made it: all; else that page, or nothing
    // Whether the name means this memory, and not another one that somebody made since.
    bool current() const;
    // For those who opened it: whether it is current and its maker lives. Costs a few system calls. A child that the maker
    // forked counts as the maker.
    bool alive() const;

private:
    struct Impl;
    explicit SharedMemory(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flowstone
