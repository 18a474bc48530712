// A string as a source of bytes that come in pieces of a given size.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {

class StringSource : public ByteSource {
public:
    explicit StringSource(std::string text, size_t piece_bytes = SIZE_MAX)
        : text_(std::move(text)), piece_bytes_(piece_bytes) {}
    Result<size_t> read(std::span<char> into) override {
        const size_t size = std::min({into.size(), piece_bytes_, text_.size() - at_});
        text_.copy(into.data(), size, at_);
        at_ += size;
        return size;
    }

private:
    std::string text_;
    size_t piece_bytes_;
    size_t at_ = 0;
};

}  // namespace flowstone::tool
