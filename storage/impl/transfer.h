// One Io on its way: what is left of it after short transfers, and what each result of the kernel means for it.
// Decides only; the rooms make the calls. Used by the POSIX and the io_uring room alike.
#pragma once

#include <array>

#include "storage/disk.h"
#include "storage/limits.h"

namespace flowstone {

class Transfer {
public:
    enum class Next : uint8_t {
        again,     // issue remaining() at position()
        ask_size,  // a direct read came back short: tell file_size(), since only that tells the end from an interruption
        ended,     // io().done and io().os_errno are final
    };

    // `block_bytes` is what direct transfers must be multiples of; 1 for buffered files. A request that breaks that
    // rule, or has too many pieces, has ended with EINVAL before it began, in every room alike.
    Transfer(Io& io, uint32_t block_bytes);

    Next next() const { return next_; }
    Io& io() const { return *io_; }
    uint64_t position() const { return static_cast<uint64_t>(io_->at.value) + io_->done; }
    std::span<const iovec> remaining() const { return {left_.data() + first_, count_ - first_}; }

    // What the kernel said: bytes moved, or a negative errno. Reads of 0 are the end of the file; writes of 0 are an
    // error. EINTR, EAGAIN and ECANCELED mean again, up to io_attempts_max times without progress, then they are the error.
    void result(int64_t bytes_or_errno);
    void file_size(uint64_t bytes);

private:
    void advance(uint64_t bytes);
    void end(int32_t os_errno);

    Io* io_;
    uint64_t bytes_ = 0;  // asked in all
    uint32_t block_bytes_;
    uint32_t attempts_ = 0;  // since the last progress
    Next next_ = Next::again;
    size_t first_ = 0;  // Invariant: left_[first_, count_) is what has not been moved
    size_t count_ = 0;
    std::array<iovec, io_pieces_max> left_;
};

}  // namespace flowstone
