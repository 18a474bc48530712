// The primitive forms of Kafka's protocol that storage/bytes.h does not have: lengths, and varints of 32 bits.
//
// Source: kafka.apache.org/protocol, "Protocol Primitive Types", and KIP-482. Old form: 16 bits in front of a string,
// 32 in front of bytes and arrays, -1 for null. Compact form (flexible versions): an unsigned varint of length + 1, 0
// for null.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "storage/bytes.h"

namespace flowstone::kafka {

constexpr int64_t null_length = -1;
constexpr size_t varint32_bytes_max = 5;

enum class LengthForm : uint8_t { text, counted };  // 16 or 32 bits in the old form; alike in the compact one

// An unsigned varint as Kafka reads it: at most 5 bytes, 32 bits. Nothing and `ok` false when it is not one, or ends
// early.
struct Varint32 {
    uint32_t value = 0;
    bool ok = false;
};
inline Varint32 read_unsigned_varint32(ByteReader& in) {
    const std::byte* const begin = in.position();
    const uint64_t value = in.unsigned_varint();
    const bool ok = !in.failed() && value <= std::numeric_limits<uint32_t>::max() &&
                    static_cast<size_t>(in.position() - begin) <= varint32_bytes_max;
    return {ok ? static_cast<uint32_t>(value) : 0, ok};
}

// null_length for null; below that when what stands there is no length, or ends early.
inline int64_t read_length(ByteReader& in, bool compact, LengthForm form) {
    constexpr int64_t no_length = -2;
    if (compact) {
        const Varint32 read = read_unsigned_varint32(in);
        return read.ok ? static_cast<int64_t>(read.value) - 1 : no_length;
    }
    const int64_t length = form == LengthForm::text ? int64_t{in.be<int16_t>()} : int64_t{in.be<int32_t>()};
    return in.failed() ? no_length : length;
}

}  // namespace flowstone::kafka
