// Lines of text from a stream, each bounded.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <flowstone/result.h>

#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {

constexpr size_t line_bytes_max = 16u << 20;

class LineReader {
public:
    explicit LineReader(ByteSource& source, size_t bytes_max = line_bytes_max)
        : source_(source), bytes_max_(bytes_max) {}

    // The next line without its line break (LF), valid until the next call; nothing at the end. What follows the last
    // line break is a line if it is not empty. Errors: too_large, and the source's.
    Result<std::optional<std::string_view>> next();
    uint64_t line_number() const { return line_number_; }  // of the line that was last returned, from 1
    uint64_t bytes_read() const { return bytes_read_; }    // up to the end of that line

private:
    std::string_view take(size_t size, size_t line_break_bytes);
    ByteSource& source_;
    size_t bytes_max_;
    std::vector<char> buffer_;
    size_t begin_ = 0;  // of what is not yet returned
    size_t end_ = 0;
    uint64_t line_number_ = 0;
    uint64_t bytes_read_ = 0;
};

}  // namespace flowstone::tool
