// The C header's words as those of the C++ headers, and back. Bytes and numbers come from a caller who may be wrong: what
// can be checked is, and what is not is only handed on.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flowstone/flowstone.h>
#include <flowstone/log.h>
#include <flowstone/record.h>
#include <flowstone/result.h>

#include "storage/clock.h"
#include "storage/try.h"

namespace flowstone::c {

constexpr size_t text_bytes_max = 1u << 20;      // of a path, a name, an endpoint
constexpr size_t field_bytes_max = INT32_MAX;    // of a key, a value, a header's value: what a record can hold
constexpr size_t array_length_max = 10'000'000;  // of what one call is given
constexpr size_t struct_bytes_max = 4096;        // a `size` that claims more is not one

// A handle begins with a number that says of which kind it is, until it is freed.
template <uint32_t kind>
class Handle {
public:
    Handle() = default;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { kind_ = 0; }
    bool alive() const { return kind_ == kind; }

private:
    volatile uint32_t kind_ = kind;  // volatile: what the destructor writes is written
};

template <class T>
Result<T*> alive(T* handle, const char* operation) {
    if (handle == nullptr) { return fail(Code::invalid, operation, "the handle is NULL"); }
    if (!handle->alive()) { return fail(Code::invalid, operation, "the handle is of another kind, or freed"); }
    return handle;
}

template <class T>
Result<void> check_given(const T* pointer, const char* operation, std::string_view what) {
    if (pointer != nullptr) { return {}; }
    return fail(Code::invalid, operation, std::string(what) + " is NULL");
}

// --- answers -----------------------------------------------------------------------------------------------------------

enum class Side : uint8_t { log, client };

// Fills `into`, unless it is null, and returns the code.
int32_t report(const Error& error, Side side, flowstone_error* into);

inline void report_success(flowstone_error* into) {
    if (into == nullptr) { return; }
    into->code = FLOWSTONE_OK;
    into->fate = FLOWSTONE_FATE_NONE;
    into->advice = FLOWSTONE_ADVICE_NONE;
    into->os_errno = 0;
    into->message[0] = '\0';
}

// What a call of the C header does, as it is told there. No exception passes: noexcept ends the process, as it does in C++.
template <class Act>
int32_t answer(Side side, flowstone_error* into, Act&& act) noexcept {
    const Result<void> done = std::forward<Act>(act)();
    if (!done) { return report(done.error(), side, into); }
    report_success(into);
    return FLOWSTONE_OK;
}

// The same of an append: what says nothing of the record's fate was found before anything was done.
template <class Act>
int32_t answer_append(Side side, flowstone_error* into, Act&& act) noexcept {
    const Result<void> done = std::forward<Act>(act)();
    if (!done) {
        const Error& error = done.error();
        return report(error.fate == Fate::none ? error.with_fate(Fate::not_appended) : error, side, into);
    }
    report_success(into);
    return FLOWSTONE_OK;
}

// --- structs that grow ---------------------------------------------------------------------------------------------------

// How large each was in the first release that had it. They never change.
template <class Struct>
inline constexpr uint32_t first_size = 0;
template <>
inline constexpr uint32_t first_size<flowstone_topic_options> = 32;
template <>
inline constexpr uint32_t first_size<flowstone_topic_info> = 48;
template <>
inline constexpr uint32_t first_size<flowstone_log_options> = 64;
template <>
inline constexpr uint32_t first_size<flowstone_partition_info> = 48;
template <>
inline constexpr uint32_t first_size<flowstone_client_options> = 40;
template <>
inline constexpr uint32_t first_size<flowstone_producer_options> = 56;
template <>
inline constexpr uint32_t first_size<flowstone_consumer_options> = 40;

template <class Struct>
Result<void> check_size(const Struct* given, const char* operation) {
    static_assert(first_size<Struct> != 0 && first_size<Struct> <= sizeof(Struct));
    if (given->size < first_size<Struct> || given->size > struct_bytes_max) {
        return fail(Code::invalid, operation, "a struct's size is not its sizeof: " + std::to_string(given->size));
    }
    return {};
}

// All zero when there are none; what an older caller does not have is zero.
template <class Options>
Result<Options> read_options(const Options* given, const char* operation) {
    Options options{};
    if (given == nullptr) { return options; }
    TRY_VOID(check_size(given, operation));
    const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
    for (size_t at = sizeof options; at < given->size; ++at) {
        if (bytes[at] != 0) {
            return fail(Code::unsupported, operation, "an option that this release does not have is not zero");
        }
    }
    std::memcpy(&options, given, std::min<size_t>(given->size, sizeof options));
    if constexpr (requires { options.reserved; }) {
        if (options.reserved != 0) { return fail(Code::unsupported, operation, "a reserved option is not zero"); }
    }
    return options;
}

// Requires check_size(into). What the caller has beyond ours is made zero.
template <class Struct>
void give(Struct filled, Struct* into) {
    filled.size = into->size;
    const size_t known = std::min<size_t>(filled.size, sizeof filled);
    std::memset(into, 0, filled.size);
    std::memcpy(into, &filled, known);
}

// --- words -----------------------------------------------------------------------------------------------------------------

inline flowstone_bytes bytes_of(std::string_view text) {
    return {text.data() == nullptr ? "" : text.data(), text.size()};
}
inline flowstone_bytes bytes_or_absent(const std::optional<std::string_view>& field) {
    return field ? bytes_of(*field) : flowstone_bytes{nullptr, 0};
}
inline flowstone_position position_of(const Position& at) { return {at.offset.value, at.partition, 0}; }

// A name, path or endpoint; absent is empty.
Result<std::string_view> text_of(flowstone_bytes bytes, const char* operation, std::string_view what);
Result<From> from_of(flowstone_from from, const char* operation);
Result<TopicPartition> partition_of(const flowstone_topic_partition& partition, const char* operation);
Result<std::vector<GroupOffset>> offsets_of(const flowstone_group_offset* given, size_t count, const char* operation);
Result<Options> log_options_of(const flowstone_log_options* given, const char* operation);
Result<TopicOptions> topic_options_of(const flowstone_topic_options* given, const char* operation);
inline std::optional<int32_t> choice_of(int32_t partition) {
    return partition == FLOWSTONE_ANY_PARTITION ? std::nullopt : std::optional(partition);
}
std::chrono::milliseconds timeout_of(int64_t timeout_ms);
// Of an option: 0 is `otherwise`, -1 is none.
Result<std::chrono::milliseconds> time_of(int64_t option_ms, std::chrono::milliseconds otherwise,
                                          const char* operation);

// What is left of a time-out for another try.
class Deadline {
public:
    explicit Deadline(int64_t timeout_ms)
        : timeout_(timeout_of(timeout_ms)),
          until_ns_(system_clock().monotonic_ns() + std::chrono::nanoseconds(timeout_).count()) {}
    std::chrono::milliseconds left() const {
        const std::chrono::nanoseconds ns(std::max<int64_t>(0, until_ns_ - system_clock().monotonic_ns()));
        return std::min(timeout_, std::chrono::ceil<std::chrono::milliseconds>(ns));
    }

private:
    std::chrono::milliseconds timeout_;
    int64_t until_ns_;
};

inline flowstone_view view_of(const RecordView& record) {
    const auto headers = record.encoded_headers;
    return {record.offset.value, record.timestamp_ms, bytes_or_absent(record.key), bytes_or_absent(record.value),
            bytes_of({reinterpret_cast<const char*>(headers.data()), headers.size()})};
}

// Records of a caller, borrowed from it. Allocates nothing for one record with few headers.
class GivenRecords {
public:
    Result<void> add(const flowstone_record* given, const char* operation);
    Result<void> add_all(const flowstone_record* given, size_t count, const char* operation);
    const Record& one() const { return one_; }                // of add()
    std::span<const Record> all() const { return records_; }  // of add_all()

private:
    Result<Record> convert(const flowstone_record& given, std::span<Header> headers, const char* operation);
    Record one_;
    Header few_[4];
    std::vector<Header> headers_;
    std::vector<Record> records_;
};

// Gives up to `into.size()` of what is left of a batch. Nothing is left when `left` says so.
template <class Iterator>
size_t give_records(std::optional<Iterator>& left, std::span<flowstone_view> into) {
    size_t given = 0;
    for (; given < into.size() && *left != std::default_sentinel; ++*left) { into[given++] = view_of(**left); }
    if (*left == std::default_sentinel) { left.reset(); }
    return given;
}

}  // namespace flowstone::c
