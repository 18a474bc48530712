#include "storage/impl/transfer.h"

#include <algorithm>
#include <cerrno>

#include "storage/check.h"

namespace flowstone {

Transfer::Transfer(Io& io, uint32_t block_bytes) : io_(&io), block_bytes_(block_bytes) {
    io.done = 0;
    io.os_errno = 0;
    if (io.kind == Io::Kind::sync) { return; }
    if (io.pieces.size() > io_pieces_max || io.at.value < 0) {
        end(EINVAL);
        return;
    }
    uint64_t alignment = static_cast<uint64_t>(io.at.value);
    for (const iovec& piece : io.pieces) {
        alignment |= reinterpret_cast<uintptr_t>(piece.iov_base) | piece.iov_len;
        bytes_ += piece.iov_len;
        left_[count_++] = piece;
    }
    if (alignment % block_bytes != 0) {
        end(EINVAL);
    } else if (bytes_ == 0) {
        end(0);
    }
}

void Transfer::result(int64_t bytes_or_errno) {
    CHECK(next_ == Next::again);
    if (bytes_or_errno < 0) {
        const auto os_errno = static_cast<int32_t>(-bytes_or_errno);
        const bool again = os_errno == EINTR || os_errno == EAGAIN || os_errno == ECANCELED;
        if (!again || ++attempts_ >= io_attempts_max) { end(os_errno); }
        return;
    }
    if (io_->kind == Io::Kind::sync) { return end(0); }
    const bool reading = io_->kind == Io::Kind::read;
    if (bytes_or_errno == 0) { return end(reading ? 0 : EIO); }

    const auto moved = static_cast<uint64_t>(bytes_or_errno);
    if (moved >= bytes_ - io_->done) {
        io_->done = bytes_;
        return end(0);
    }
    if (block_bytes_ == 1) { return advance(moved); }
    if (reading) {
        io_->done += moved;  // file_size() takes back what does not end on a block
        next_ = Next::ask_size;
        return;
    }
    advance(align_down(moved, block_bytes_));  // the rest of a block is written again: the same bytes
}

void Transfer::file_size(uint64_t bytes) {
    CHECK(next_ == Next::ask_size);
    next_ = Next::again;
    if (position() >= bytes) { return end(0); }
    uint64_t left = 0;
    for (const iovec& piece : remaining()) { left += piece.iov_len; }
    const uint64_t moved = io_->done - (bytes_ - left);
    io_->done -= moved;
    advance(align_down(moved, block_bytes_));
}

void Transfer::advance(uint64_t bytes) {
    if (bytes == 0 && ++attempts_ >= io_attempts_max) { return end(EIO); }
    if (bytes > 0) { attempts_ = 0; }
    io_->done += bytes;
    while (bytes > 0) {
        iovec& piece = left_[first_];
        const auto step = std::min<uint64_t>(bytes, piece.iov_len);
        piece.iov_base = static_cast<std::byte*>(piece.iov_base) + step;
        piece.iov_len -= step;
        bytes -= step;
        if (piece.iov_len == 0) { ++first_; }
    }
}

void Transfer::end(int32_t os_errno) {
    io_->os_errno = os_errno;
    next_ = Next::ended;
}

}  // namespace flowstone
