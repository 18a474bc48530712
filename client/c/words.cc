#include "client/c/words.h"

#include <algorithm>
#include <chrono>
#include <string>

#include <flowstone/client.h>
#include <flowstone/version.h>

#include "storage/limits.h"

namespace flowstone::c {
namespace {

constexpr std::chrono::milliseconds forever = std::chrono::years(10);  // what the C++ calls can add to a clock

static_assert(FLOWSTONE_IO == static_cast<int>(Code::io) && FLOWSTONE_TIMED_OUT == static_cast<int>(Code::timed_out));
static_assert(FLOWSTONE_FATE_NOT_APPENDED == static_cast<int>(Fate::not_appended));
static_assert(FLOWSTONE_FATE_UNKNOWN_UNTIL_REOPEN == static_cast<int>(Fate::unknown_until_reopen));
static_assert(FLOWSTONE_WRITTEN == static_cast<int>(Durability::written));
static_assert(FLOWSTONE_MEMORY == static_cast<int>(Durability::memory));

int32_t advice_of(const Error& error, Side side) {
    if (side == Side::log && (error.code == Code::offline || error.fate == Fate::unknown_until_reopen)) {
        return FLOWSTONE_ADVICE_REOPEN;
    }
    switch (advice(error)) {
        case Advice::retry: return FLOWSTONE_ADVICE_RETRY;
        case Advice::give_up: return FLOWSTONE_ADVICE_GIVE_UP;
        case Advice::fenced: return FLOWSTONE_ADVICE_FENCED;
    }
    return FLOWSTONE_ADVICE_GIVE_UP;
}

Result<std::optional<std::string_view>> field_of(flowstone_bytes bytes, const char* operation, std::string_view what) {
    if (bytes.data == nullptr) {
        if (bytes.size == 0) { return std::optional<std::string_view>(); }
        return fail(Code::invalid, operation, std::string(what) + " is NULL and has a size");
    }
    if (bytes.size > field_bytes_max) { return fail(Code::too_large, operation, std::string(what)); }
    return std::optional(std::string_view(bytes.data, bytes.size));
}

}  // namespace

int32_t report(const Error& error, Side side, flowstone_error* into) {
    const auto code = static_cast<int32_t>(error.code);
    if (into == nullptr) { return code; }
    into->code = code;
    into->fate = static_cast<int32_t>(error.fate);
    into->advice = advice_of(error, side);
    into->os_errno = error.os_errno;
    const std::string text = error.message();
    const size_t size = std::min(text.size(), sizeof into->message - 1);
    std::memcpy(into->message, text.data(), size);
    into->message[size] = '\0';
    return code;
}

Result<std::string_view> text_of(flowstone_bytes bytes, const char* operation, std::string_view what) {
    TRY(const auto text, field_of(bytes, operation, what));
    if (!text) { return std::string_view(); }
    if (text->size() > text_bytes_max) { return fail(Code::invalid, operation, std::string(what) + " is too long"); }
    if (text->contains('\0')) { return fail(Code::invalid, operation, std::string(what) + " has a zero in it"); }
    return *text;
}

Result<From> from_of(flowstone_from from, const char* operation) {
    switch (from.kind) {
        case FLOWSTONE_FROM_BEGINNING: return From::beginning();
        case FLOWSTONE_FROM_END: return From::end();
        case FLOWSTONE_FROM_OFFSET: return From(Offset{from.value});
        case FLOWSTONE_FROM_TIME: return From::time_ms(from.value);
        default: return fail(Code::invalid, operation, "no such kind of beginning: " + std::to_string(from.kind));
    }
}

Result<TopicPartition> partition_of(const flowstone_topic_partition& partition, const char* operation) {
    TRY(const auto topic, text_of(partition.topic, operation, "the topic's name"));
    return TopicPartition{std::string(topic), partition.partition};
}

Result<std::vector<GroupOffset>> offsets_of(const flowstone_group_offset* given, size_t count, const char* operation) {
    if (count != 0) { TRY_VOID(check_given(given, operation, "the array of offsets")); }
    if (count > array_length_max) { return fail(Code::too_large, operation, "too many offsets at once"); }
    std::vector<GroupOffset> offsets;
    for (const flowstone_group_offset& one : std::span(given, count)) {
        TRY(const auto topic, text_of(one.topic, operation, "the topic's name"));
        TRY(const auto metadata, text_of(one.metadata, operation, "the metadata"));
        offsets.push_back({std::string(topic), one.partition, Offset{one.offset}, std::string(metadata)});
    }
    return offsets;
}

Result<Options> log_options_of(const flowstone_log_options* given, const char* operation) {
    TRY(const auto asked, read_options(given, operation));
    Options options;
    options.threads = asked.threads;
    options.read_only = asked.read_only != 0;
    options.create = asked.must_exist == 0;
    options.adopt = asked.adopt != 0;
    options.accept_loss = asked.accept_loss != 0;
    if (asked.journal_bytes_max != 0) { options.journal_bytes_max = asked.journal_bytes_max; }
    if (asked.dirty_bytes_max != 0) { options.dirty_bytes_max = asked.dirty_bytes_max; }
    if (asked.tail_bytes_max != 0) { options.tail_bytes_max = asked.tail_bytes_max; }
    if (asked.open_files_max != 0) { options.open_files_max = asked.open_files_max; }
    if (asked.reserve_bytes < -1) { return fail(Code::invalid, operation, "reserve_bytes is negative"); }
    if (asked.reserve_bytes == -1) { options.reserve_bytes = 0; }
    if (asked.reserve_bytes > 0) { options.reserve_bytes = static_cast<uint64_t>(asked.reserve_bytes); }
    return options;
}

Result<TopicOptions> topic_options_of(const flowstone_topic_options* given, const char* operation) {
    TRY(const auto asked, read_options(given, operation));
    TopicOptions options;
    if (asked.partitions != 0) { options.partitions = asked.partitions; }
    options.exists_ok = asked.exists_ok != 0;
    if (asked.config_count > array_length_max || (asked.configs == nullptr && asked.config_count != 0)) {
        return fail(Code::invalid, operation, "the configs are NULL, or too many");
    }
    for (const flowstone_config& config : std::span(asked.configs, asked.config_count)) {
        TRY(const auto name, text_of(config.name, operation, "a config's name"));
        TRY(const auto value, text_of(config.value, operation, "a config's value"));
        options.configs.emplace_back(name, value);
    }
    return options;
}

std::chrono::milliseconds timeout_of(int64_t timeout_ms) {
    if (timeout_ms < 0) { return forever; }
    return std::min(std::chrono::milliseconds(timeout_ms), forever);
}

Result<std::chrono::milliseconds> time_of(int64_t option_ms, std::chrono::milliseconds otherwise,
                                          const char* operation) {
    if (option_ms < -1) { return fail(Code::invalid, operation, "a time is negative"); }
    if (option_ms == 0) { return otherwise; }
    return option_ms == -1 ? std::chrono::milliseconds(0) : timeout_of(option_ms);
}

// --- records -----------------------------------------------------------------------------------------------------------------

Result<Record> GivenRecords::convert(const flowstone_record& given, std::span<Header> headers, const char* operation) {
    Record record;
    TRY(record.key, field_of(given.key, operation, "the key"));
    TRY(record.value, field_of(given.value, operation, "the value"));
    if (given.has_timestamp != 0) { record.timestamp_ms = given.timestamp_ms; }
    for (size_t i = 0; i < given.header_count; ++i) {
        TRY(const auto name, field_of(given.headers[i].name, operation, "a header's name"));
        TRY(headers[i].value, field_of(given.headers[i].value, operation, "a header's value"));
        headers[i].name = name.value_or(std::string_view());
    }
    record.headers = headers.first(given.header_count);
    return record;
}

namespace {

Result<void> check_headers(const flowstone_record& given, const char* operation) {
    if (given.header_count > headers_per_record_max) { return fail(Code::too_large, operation, "too many headers"); }
    if (given.headers == nullptr && given.header_count != 0) {
        return fail(Code::invalid, operation, "the headers are NULL and have a count");
    }
    return {};
}

}  // namespace

Result<void> GivenRecords::add(const flowstone_record* given, const char* operation) {
    TRY_VOID(check_given(given, operation, "the record"));
    TRY_VOID(check_headers(*given, operation));
    std::span<Header> headers = few_;
    if (given->header_count > headers.size()) {
        headers_.resize(given->header_count);
        headers = headers_;
    }
    TRY(one_, convert(*given, headers, operation));
    return {};
}

Result<void> GivenRecords::add_all(const flowstone_record* given, size_t count, const char* operation) {
    if (count != 0) { TRY_VOID(check_given(given, operation, "the array of records")); }
    if (count > array_length_max) { return fail(Code::too_large, operation, "too many records at once"); }
    size_t headers = 0;
    for (const flowstone_record& record : std::span(given, count)) {
        TRY_VOID(check_headers(record, operation));
        headers += record.header_count;
    }
    headers_.resize(headers);
    std::span<Header> left = headers_;
    records_.reserve(count);
    for (const flowstone_record& record : std::span(given, count)) {
        TRY(records_.emplace_back(), convert(record, left, operation));
        left = left.subspan(record.header_count);
    }
    return {};
}

}  // namespace flowstone::c

using namespace flowstone;

// --- of no handle --------------------------------------------------------------------------------------------------------

const char* flowstone_version() noexcept { return version(); }

void flowstone_set_check_handler(flowstone_check_handler handler) noexcept { set_check_handler(handler); }

const char* flowstone_code_name(int32_t code) noexcept {
    if (code == FLOWSTONE_OK) { return "ok"; }
    if (code < FLOWSTONE_OK || code > UINT8_MAX) { return "unknown"; }
    return name(static_cast<Code>(code));
}

size_t flowstone_view_headers(const flowstone_view* view, flowstone_header* into, size_t capacity) noexcept {
    if (view == nullptr || view->encoded_headers.data == nullptr) { return 0; }
    RecordView record;
    record.encoded_headers = std::as_bytes(std::span(view->encoded_headers.data, view->encoded_headers.size));
    const size_t all = record.header_count();
    if (into == nullptr || capacity == 0) { return all; }
    Header few[16];
    std::vector<Header> many;
    std::span<Header> headers = few;
    if (std::min(all, capacity) > headers.size()) {
        many.resize(std::min(all, capacity));
        headers = many;
    }
    headers = headers.first(std::min(all, capacity));
    record.headers(headers);
    for (size_t i = 0; i < headers.size(); ++i) {
        into[i] = {c::bytes_of(headers[i].name), c::bytes_or_absent(headers[i].value)};
    }
    return all;
}
