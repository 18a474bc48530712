// Bytes written by hand in tests: "00 03 'abc' ff".
#pragma once

#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "storage/bytes.h"

namespace flowstone {

// Pairs of hexadecimal digits, and text in single quotes; blanks are ignored.
inline std::vector<std::byte> from_hex(std::string_view text) {
    const auto digit = [](char letter) { return letter <= '9' ? letter - '0' : std::tolower(letter) - 'a' + 10; };
    std::vector<std::byte> bytes;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == ' ') { continue; }
        if (text[i] == '\'') {
            for (++i; text[i] != '\''; ++i) { bytes.push_back(static_cast<std::byte>(text[i])); }
            continue;
        }
        bytes.push_back(static_cast<std::byte>(digit(text[i]) * 16 + digit(text[i + 1])));
        ++i;
    }
    return bytes;
}

inline std::string to_hex(Bytes bytes) {
    std::string text;
    for (const std::byte byte : bytes) {
        constexpr const char* digits = "0123456789abcdef";
        text += digits[static_cast<unsigned>(byte) >> 4];
        text += digits[static_cast<unsigned>(byte) & 15];
    }
    return text;
}

}  // namespace flowstone
