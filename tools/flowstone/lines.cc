#include "tools/flowstone/lines.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "storage/try.h"

namespace flowstone::tool {
namespace {

constexpr size_t read_bytes = 64 * 1024;

}  // namespace

Result<std::optional<std::string_view>> LineReader::next() {
    size_t searched = 0;  // bytes of the line known to hold no line break
    while (true) {
        const char* from = buffer_.data() + begin_;
        const size_t held = end_ - begin_;
        const void* found = held == searched ? nullptr : std::memchr(from + searched, '\n', held - searched);
        const size_t size = found == nullptr ? held : static_cast<size_t>(static_cast<const char*>(found) - from);
        if (size > bytes_max_) {
            return fail(Code::too_large, "line.read",
                        fmt::format("line {} is longer than {} bytes", line_number_ + 1, bytes_max_));
        }
        if (found != nullptr) { return take(size, 1); }
        searched = held;

        if (begin_ != 0) { std::memmove(buffer_.data(), from, held); }
        begin_ = 0;
        end_ = held;
        // Grows with what has arrived, not with what may come.
        if (buffer_.size() - end_ < read_bytes) { buffer_.resize(std::max(2 * end_, end_ + read_bytes)); }
        TRY(const size_t arrived, source_.read(std::span(buffer_).subspan(end_)));
        end_ += arrived;
        if (arrived > 0) { continue; }
        if (held == 0) { return std::nullopt; }
        return take(held, 0);
    }
}

std::string_view LineReader::take(size_t size, size_t line_break_bytes) {
    const std::string_view line(buffer_.data() + begin_, size);
    begin_ += size + line_break_bytes;
    bytes_read_ += size + line_break_bytes;
    ++line_number_;
    return line;
}

}  // namespace flowstone::tool
