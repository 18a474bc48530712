// Comma-separated values as RFC 4180 has them, row by row, each row bounded.
//
// Fields are taken exactly as written: only the quotes around a field go, and two quotes within them become one. Lines
// end with LF or CRLF; within quotes both belong to the field. What the RFC forbids is an error and never guessed at: a
// quote within an unquoted field, text after a closing quote, a quote that is never closed, a CR without LF.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/result.h>

#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {

struct CsvLimits {
    size_t row_bytes_max = 16u << 20;  // of all its fields together
    size_t columns_max = 4096;
};

class CsvReader {
public:
    explicit CsvReader(ByteSource& source, CsvLimits limits = {}) : source_(source), limits_(limits) {}

    // Reads the next row. False at the end. Errors: invalid, too_large, with the number of the line in the detail; the
    // source's. After an error it stays where it is and must not be asked again.
    Result<bool> next();
    // The fields of that row, valid until the next call.
    size_t columns() const { return ends_.size(); }
    std::string_view field(size_t column) const {
        const size_t begin = column == 0 ? 0 : ends_[column - 1];
        return std::string_view(row_).substr(begin, ends_[column] - begin);
    }
    uint64_t line_number() const { return row_line_; }   // where that row begins, from 1
    uint64_t bytes_read() const { return bytes_read_; }  // up to the end of that row

private:
    enum class State : uint8_t { field_start, unquoted, quoted, quote_in_quoted, after_cr };
    Result<bool> fill();
    Result<void> keep(std::string_view text);
    Result<void> end_field();
    std::unexpected<Error> refuse(Code code, std::string_view what) const;
    // Goes on within a field up to the next character that means something. True when the row has ended.
    Result<bool> step();
    Result<bool> step_outside_quotes();
    Result<bool> step_after_quote();

    ByteSource& source_;
    CsvLimits limits_;
    std::vector<char> buffer_;
    size_t begin_ = 0;
    size_t end_ = 0;
    State state_ = State::field_start;
    std::string row_;           // the fields of the row back to back
    std::vector<size_t> ends_;  // where each field ends in row_
    uint64_t line_ = 1;
    uint64_t row_line_ = 1;
    uint64_t bytes_read_ = 0;
    bool at_start_ = true;  // of the stream, where a byte order mark may stand
};

}  // namespace flowstone::tool
