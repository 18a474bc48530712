#include "tools/flowstone/csv.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "storage/try.h"

namespace flowstone::tool {
namespace {

constexpr size_t read_bytes = 64 * 1024;
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

}  // namespace

std::unexpected<Error> CsvReader::refuse(Code code, std::string_view what) const {
    return fail(code, "csv.read", fmt::format("line {}: {}", line_, what));
}

// False at the end of the stream. Called only when everything read so far has been used.
Result<bool> CsvReader::fill() {
    buffer_.resize(read_bytes);
    begin_ = 0;
    end_ = 0;
    // The mark must be seen whole, so the first bytes are gathered.
    const size_t wanted = at_start_ ? byte_order_mark.size() : 1;
    while (end_ < wanted) {
        TRY(const size_t arrived, source_.read(std::span(buffer_).subspan(end_)));
        if (arrived == 0) { break; }
        end_ += arrived;
    }
    const bool marked = at_start_ && std::string_view(buffer_.data(), end_).starts_with(byte_order_mark);
    at_start_ = false;
    if (!marked) { return end_ > 0; }
    begin_ = byte_order_mark.size();
    bytes_read_ = begin_;
    if (begin_ == end_) { return fill(); }  // nothing has arrived yet but the mark
    return true;
}

Result<void> CsvReader::keep(std::string_view text) {
    if (text.size() > limits_.row_bytes_max - row_.size()) {
        return refuse(Code::too_large, fmt::format("the row is longer than {} bytes", limits_.row_bytes_max));
    }
    row_ += text;
    return {};
}

Result<void> CsvReader::end_field() {
    if (ends_.size() == limits_.columns_max) {
        return refuse(Code::too_large, fmt::format("more than {} columns", limits_.columns_max));
    }
    ends_.push_back(row_.size());
    return {};
}

Result<bool> CsvReader::step_outside_quotes() {
    const std::string_view rest(buffer_.data() + begin_, end_ - begin_);
    size_t size = 0;
    while (size < rest.size() && rest[size] != ',' && rest[size] != '\n' && rest[size] != '\r' && rest[size] != '"') {
        ++size;
    }
    TRY_VOID(keep(rest.substr(0, size)));
    const bool at_start = state_ == State::field_start && size == 0;
    state_ = at_start ? State::field_start : State::unquoted;
    begin_ += size;
    if (size == rest.size()) { return false; }
    ++begin_;
    switch (rest[size]) {
        case ',':
            state_ = State::field_start;
            TRY_VOID(end_field());
            return false;
        case '"':
            if (!at_start) { return refuse(Code::invalid, "a quote within a field that does not begin with one"); }
            state_ = State::quoted;
            return false;
        case '\r': state_ = State::after_cr; return false;
        default: TRY_VOID(end_field()); return true;
    }
}

Result<bool> CsvReader::step_after_quote() {
    const char letter = buffer_[begin_++];
    switch (letter) {
        case '"':  // two quotes are one
            state_ = State::quoted;
            TRY_VOID(keep("\""));
            return false;
        case ',':
            state_ = State::field_start;
            TRY_VOID(end_field());
            return false;
        case '\r': state_ = State::after_cr; return false;
        case '\n': TRY_VOID(end_field()); return true;
        default: return refuse(Code::invalid, "text after the closing quote of a field");
    }
}

Result<bool> CsvReader::step() {
    switch (state_) {
        case State::field_start:
        case State::unquoted: return step_outside_quotes();
        case State::quote_in_quoted: return step_after_quote();
        case State::quoted: {
            const std::string_view rest(buffer_.data() + begin_, end_ - begin_);
            const size_t size = std::min(rest.find('"'), rest.size());
            TRY_VOID(keep(rest.substr(0, size)));
            line_ += static_cast<uint64_t>(std::count(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(size), '\n'));
            begin_ += size;
            if (size < rest.size()) {
                ++begin_;
                state_ = State::quote_in_quoted;
            }
            return false;
        }
        case State::after_cr:
            if (buffer_[begin_] != '\n') { return refuse(Code::invalid, "a carriage return without a line feed"); }
            ++begin_;
            TRY_VOID(end_field());
            return true;
    }
    return false;
}

Result<bool> CsvReader::next() {
    row_.clear();
    ends_.clear();
    state_ = State::field_start;
    row_line_ = line_;
    while (true) {
        if (begin_ == end_) {
            TRY(const bool more, fill());
            if (!more) { break; }
        }
        const size_t before = begin_;
        TRY(const bool ended, step());
        bytes_read_ += begin_ - before;
        if (ended) {
            ++line_;
            return true;
        }
    }
    if (state_ == State::quoted) { return refuse(Code::invalid, "the file ends within a quoted field"); }
    if (state_ == State::after_cr) { return refuse(Code::invalid, "a carriage return without a line feed"); }
    if (state_ == State::field_start && ends_.empty()) { return false; }
    TRY_VOID(end_field());  // the last line has no line break
    return true;
}

}  // namespace flowstone::tool
