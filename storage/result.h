// Errors as values: Result<T>, Error, and the TRY macro that passes an error on.
//
// This header is public (installed as <flowstone/result.h>): standard library only.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#if defined(__GNUC__)
#define FLOWSTONE_EXPORT __attribute__((visibility("default")))
#else
#define FLOWSTONE_EXPORT
#endif

namespace flowstone {

// What a caller may branch on. The numbers are frozen: the C header uses them. New codes go at the end.
enum class Code : uint8_t {
    io = 1,             // the operating system refused or failed; Error::os_errno says why
    corrupt = 2,        // bytes are not what was written, or claim what cannot be
    not_found = 3,      // no such topic, partition, group, file or directory
    out_of_range = 4,   // an offset below the start or above the end, a partition number past the last
    stale_epoch = 5,    // a leader or producer epoch that has been succeeded
    busy = 6,           // a named limit is reached; try again later
    closed = 7,         // the log, reader or process side is closed
    invalid = 8,        // the caller's argument can never be right
    exists = 9,         // a topic or file of that name is already there
    locked = 10,        // another process has the directory open for writing
    read_only = 11,     // the log was opened for reading, or its directory does not allow writing
    offline = 12,       // a disk error was seen; nothing further is acknowledged until reopened
    too_large = 13,     // a record, batch or value above its named limit
    out_of_order = 14,  // a producer's sequence number does not follow its last
    no_space = 15,      // the disk or quota is full; nothing was changed
    unsupported = 16,   // a format version, codec or feature that this release does not know
    timed_out = 17,     // the time-out passed first
};

// Whether an append may still turn out to have happened.
enum class Fate : uint8_t {
    none = 0,                  // not an append
    not_appended = 1,          // certainly not in the log
    unknown_until_reopen = 2,  // may be found in the log after the next open
};

// One error: trivially copyable, allocates nothing, never converted into another type.
struct [[nodiscard]] Error {
    Code code = Code::invalid;
    Fate fate = Fate::none;
    int32_t os_errno = 0;        // only with io, no_space, locked, read_only
    const char* operation = "";  // static text: "topic.append", "segment.open"
    char detail[176] = {};       // one phrase with the path, topic, offset or process id; zero-terminated

    // One full sentence without a final line break, for people.
    FLOWSTONE_EXPORT std::string message() const noexcept;

    // The same error with `text` as detail, cut in the middle when it is too long.
    FLOWSTONE_EXPORT Error with_detail(std::string_view text) const noexcept;
    Error with_fate(Fate value) const {
        Error copy = *this;
        copy.fate = value;
        return copy;
    }
};
static_assert(std::is_trivially_copyable_v<Error>);

// A value or the Error why there is none: std::expected, but dropping it warns with every compiler, and the value of a
// temporary cannot be reached through * or ->, so no loop and no reference outlives what it looks at. Looking at the
// value while there is an error is undefined: test first.
template <class T>
class [[nodiscard]] Result {
public:
    using value_type = T;
    using error_type = Error;

    Result()
        requires std::default_initializable<T>
    = default;
    template <class U = T>
        requires std::constructible_from<std::expected<T, Error>, U> && (!std::same_as<std::remove_cvref_t<U>, Result>)
    explicit(!std::convertible_to<U, std::expected<T, Error>>) Result(U&& value) : held_(std::forward<U>(value)) {}
    template <class U>
        requires std::constructible_from<T, U> && (!std::same_as<U, T>)
    Result(Result<U>&& other) : held_(std::move(other.held_)) {}

    bool has_value() const { return held_.has_value(); }
    explicit operator bool() const { return held_.has_value(); }

    T& operator*() & { return *held_; }
    const T& operator*() const& { return *held_; }
    T* operator->() & { return &*held_; }
    const T* operator->() const& { return &*held_; }
    void operator*() const&& = delete;
    void operator->() const&& = delete;

    template <class U>
    T value_or(U&& otherwise) const& {
        return held_.value_or(std::forward<U>(otherwise));
    }
    template <class U>
    T value_or(U&& otherwise) && {
        return std::move(held_).value_or(std::forward<U>(otherwise));
    }

    Error& error() & { return held_.error(); }
    const Error& error() const& { return held_.error(); }
    Error error() && { return held_.error(); }

    friend bool operator==(const Result& result, const T& value)
        requires std::equality_comparable<T>
    {
        return result.has_value() && *result == value;
    }

private:
    template <class U>
    friend class Result;
    std::expected<T, Error> held_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;
    using error_type = Error;

    Result() = default;
    Result(std::unexpected<Error> error) : held_(std::move(error)) {}

    bool has_value() const { return held_.has_value(); }
    explicit operator bool() const { return held_.has_value(); }
    Error& error() & { return held_.error(); }
    const Error& error() const& { return held_.error(); }
    Error error() && { return held_.error(); }

private:
    std::expected<void, Error> held_;
};

FLOWSTONE_EXPORT std::unexpected<Error> fail(Code code, const char* operation, std::string_view detail = {}) noexcept;
// Translates errno: ENOENT becomes not_found, ENOSPC and EDQUOT no_space, EROFS and EACCES read_only, else io.
FLOWSTONE_EXPORT std::unexpected<Error> fail_errno(int os_errno, const char* operation,
                                                   std::string_view detail = {}) noexcept;

// The frozen name of a code, such as "not_found".
FLOWSTONE_EXPORT const char* name(Code code) noexcept;

// What becomes of a broken invariant of the library's own, which is no error that anybody could handle: the handler is called
// with one line of text, without a final line break, and then the process is aborted. Without a handler (null) the line goes
// to standard error. It is called by the thread that found it, which may hold any lock of the library: it may write the
// text somewhere, and ask nothing of the library. Any thread may set it at any time; the last one counts.
using CheckHandler = void (*)(const char* text);
FLOWSTONE_EXPORT void set_check_handler(CheckHandler handler) noexcept;

}  // namespace flowstone
