// SHA-256 over bytes that come in pieces.
#pragma once

#include <array>
#include <memory>

#include "storage/bytes.h"

namespace flowstone {

using Sha256 = std::array<std::byte, 32>;

class Sha256Stream {
public:
    Sha256Stream();
    ~Sha256Stream();
    Sha256Stream(Sha256Stream&&) noexcept;
    Sha256Stream& operator=(Sha256Stream&&) noexcept;
    void update(Bytes bytes);
    Sha256 finish();  // the stream is then spent

private:
    struct State;
    std::unique_ptr<State> state_;
};

Sha256 sha256(Bytes bytes);
std::string to_hex(Bytes bytes);                          // lower case
bool parse_hex(std::string_view text, MutableBytes out);  // exactly out.size() bytes

}  // namespace flowstone
