#include <flowstone/result.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

namespace flowstone {

const char* name(Code code) noexcept {
    switch (code) {
        case Code::io: return "io";
        case Code::corrupt: return "corrupt";
        case Code::not_found: return "not_found";
        case Code::out_of_range: return "out_of_range";
        case Code::stale_epoch: return "stale_epoch";
        case Code::busy: return "busy";
        case Code::closed: return "closed";
        case Code::invalid: return "invalid";
        case Code::exists: return "exists";
        case Code::locked: return "locked";
        case Code::read_only: return "read_only";
        case Code::offline: return "offline";
        case Code::too_large: return "too_large";
        case Code::out_of_order: return "out_of_order";
        case Code::no_space: return "no_space";
        case Code::unsupported: return "unsupported";
        case Code::timed_out: return "timed_out";
    }
    return "unknown";
}

namespace {

// What a person reads first; `detail` follows and makes it specific.
const char* phrase(Code code) {
    switch (code) {
        case Code::io: return "the disk or file system failed";
        case Code::corrupt: return "the bytes are damaged";
        case Code::not_found: return "it does not exist";
        case Code::out_of_range: return "that is out of range";
        case Code::stale_epoch: return "the epoch has been succeeded";
        case Code::busy: return "a limit is reached, try again later";
        case Code::closed: return "it is closed";
        case Code::invalid: return "the request is not valid";
        case Code::exists: return "it already exists";
        case Code::locked: return "another process has it open for writing";
        case Code::read_only: return "it can only be read";
        case Code::offline: return "the directory is offline after a disk error";
        case Code::too_large: return "it is too large";
        case Code::out_of_order: return "the sequence number does not follow";
        case Code::no_space: return "no space is left";
        case Code::unsupported: return "it is not supported by this release";
        case Code::timed_out: return "the time-out passed";
    }
    return "unknown";
}

}  // namespace

std::string Error::message() const noexcept {
    std::string text = fmt::format("{}: {}", operation, phrase(code));
    if (detail[0] != '\0') { text += fmt::format(": {}", detail); }
    if (os_errno != 0) {
        char buffer[128];
        text += fmt::format(" ({})", strerror_r(os_errno, buffer, sizeof buffer));
    }
    if (fate == Fate::not_appended) { text += "; not appended"; }
    if (fate == Fate::unknown_until_reopen) {
        text += "; whether it was appended is unknown until the log is reopened";
    }
    return text + '.';
}

Error Error::with_detail(std::string_view text) const noexcept {
    Error copy = *this;
    constexpr size_t room = sizeof copy.detail - 1;
    if (text.size() <= room) {
        *std::ranges::copy(text, copy.detail).out = '\0';  // an empty text may point nowhere
        return copy;
    }
    // The ends say most: the head names the root, the tail the file.
    constexpr std::string_view gap = "...";
    constexpr size_t head = room / 3;
    constexpr size_t tail = room - head - gap.size();
    std::memcpy(copy.detail, text.data(), head);
    std::memcpy(copy.detail + head, gap.data(), gap.size());
    std::memcpy(copy.detail + head + gap.size(), text.data() + text.size() - tail, tail);
    copy.detail[room] = '\0';
    return copy;
}

std::unexpected<Error> fail(Code code, const char* operation, std::string_view detail) noexcept {
    Error error;
    error.code = code;
    error.operation = operation;
    return std::unexpected(error.with_detail(detail));
}

std::unexpected<Error> fail_errno(int os_errno, const char* operation, std::string_view detail) noexcept {
    Error error;
    error.operation = operation;
    error.os_errno = os_errno;
    switch (os_errno) {
        case ENOENT: error.code = Code::not_found; break;
        case EEXIST: error.code = Code::exists; break;
        case ENOSPC:
        case EDQUOT: error.code = Code::no_space; break;
        case EROFS:
        case EACCES:
        case EPERM: error.code = Code::read_only; break;
        case EOPNOTSUPP: error.code = Code::unsupported; break;
        default: error.code = Code::io; break;
    }
    return std::unexpected(error.with_detail(detail));
}

}  // namespace flowstone
