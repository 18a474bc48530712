// Errors as values: Result<T>, Error, and the TRY macro that passes an error on.
//
// This header is public (installed as <flowstone/result.h>): standard library only.
#pragma once

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
    FLOWSTONE_EXPORT std::string message() const;

    // The same error with `text` as detail, cut in the middle when it is too long.
    FLOWSTONE_EXPORT Error with_detail(std::string_view text) const;
    Error with_fate(Fate value) const {
        Error copy = *this;
        copy.fate = value;
        return copy;
    }
};
static_assert(std::is_trivially_copyable_v<Error>);

template <class T>
using Result = std::expected<T, Error>;

FLOWSTONE_EXPORT std::unexpected<Error> fail(Code code, const char* operation, std::string_view detail = {});
// Translates errno: ENOENT becomes not_found, ENOSPC and EDQUOT no_space, EROFS and EACCES read_only, else io.
FLOWSTONE_EXPORT std::unexpected<Error> fail_errno(int os_errno, const char* operation, std::string_view detail = {});

// The frozen name of a code, such as "not_found".
FLOWSTONE_EXPORT const char* name(Code code);

}  // namespace flowstone
