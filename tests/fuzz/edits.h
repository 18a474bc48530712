// What a fuzzer does to bytes that hold: its input, read as a list of edits. Most of what it changes stays as it was, so
// that it soon is where a decoder looks.
//
//   edit = where u24, what u8, bytes         little endian; `where` counts round the end
//   what = kind in 2 bits, count in 6        0: count bytes follow, written there; 1: one follows, xored to count of them;
//                                            2: u24 follows, from where count blocks are copied; 3: count zeros
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "storage/bytes.h"

namespace flowstone {

constexpr size_t edited_block_bytes = 4096;

inline size_t edit_place(ByteReader& edits, size_t size) {
    const auto low = edits.le<uint16_t>();
    return (size_t{edits.le<uint8_t>()} << 16 | low) % size;
}

inline void apply_edits(Bytes input, MutableBytes bytes) {
    if (bytes.empty()) { return; }
    ByteReader edits(input);
    while (edits.remaining() >= 4) {
        const size_t at = edit_place(edits, bytes.size());
        const auto what = edits.le<uint8_t>();
        const MutableBytes to = bytes.subspan(at, std::min<size_t>(what & 63, bytes.size() - at));
        switch (what >> 6) {
            case 0: std::ranges::copy(edits.bytes(std::min(to.size(), edits.remaining())), to.begin()); break;
            case 1: {
                const auto mask = std::byte{edits.le<uint8_t>()};
                for (std::byte& byte : to) { byte ^= mask; }
                break;
            }
            case 2: {
                const size_t from = align_down(edit_place(edits, bytes.size()), edited_block_bytes);
                const size_t onto = align_down(at, edited_block_bytes);
                const size_t most = std::min(bytes.size() - from, bytes.size() - onto);
                std::memmove(bytes.data() + onto, bytes.data() + from, std::min(to.size() * edited_block_bytes, most));
                break;
            }
            default: std::ranges::fill(to, std::byte{0});
        }
    }
}

}  // namespace flowstone
