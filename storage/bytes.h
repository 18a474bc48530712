// Integers and varints in byte strings, every read bounded.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flowstone {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Big endian is Kafka's order, little endian ours.
template <class T>
inline T load_be(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return std::endian::native == std::endian::little ? std::byteswap(value) : value;
}
template <class T>
inline T load_le(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return std::endian::native == std::endian::big ? std::byteswap(value) : value;
}
template <class T>
inline void store_be(std::byte* to, T value) {
    if constexpr (std::endian::native == std::endian::little) { value = std::byteswap(value); }
    std::memcpy(to, &value, sizeof value);
}
template <class T>
inline void store_le(std::byte* to, T value) {
    if constexpr (std::endian::native == std::endian::big) { value = std::byteswap(value); }
    std::memcpy(to, &value, sizeof value);
}

constexpr uint64_t align_up(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }
constexpr uint64_t align_down(uint64_t value, uint64_t step) { return value / step * step; }

// Zigzag: small magnitudes become small unsigned numbers.
constexpr uint64_t zigzag(int64_t value) {
    return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
constexpr int64_t unzigzag(uint64_t value) {
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

constexpr size_t varint_bytes_max = 10;
constexpr size_t unsigned_varint_bytes(uint64_t value) { return value == 0 ? 1 : (std::bit_width(value) + 6) / 7; }
constexpr size_t varint_bytes(int64_t value) { return unsigned_varint_bytes(zigzag(value)); }

inline std::byte* put_unsigned_varint(std::byte* to, uint64_t value) {
    while (value >= 0x80) {
        *to++ = static_cast<std::byte>(value | 0x80);
        value >>= 7;
    }
    *to++ = static_cast<std::byte>(value);
    return to;
}
inline std::byte* put_varint(std::byte* to, int64_t value) { return put_unsigned_varint(to, zigzag(value)); }

// Reads front to back. A read past the end, or a varint that is too long, sets failed() and yields zeros from
// then on: check once at the end. Views point into the bytes given.
class ByteReader {
public:
    explicit ByteReader(Bytes bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    bool failed() const { return failed_; }
    size_t remaining() const { return static_cast<size_t>(end_ - at_); }
    const std::byte* position() const { return at_; }

    template <class T>
    T be() {
        if (!need(sizeof(T))) { return T{}; }
        T value = load_be<T>(at_);
        at_ += sizeof(T);
        return value;
    }
    template <class T>
    T le() {
        if (!need(sizeof(T))) { return T{}; }
        T value = load_le<T>(at_);
        at_ += sizeof(T);
        return value;
    }
    uint64_t unsigned_varint() {
        uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (!need(1)) { return 0; }
            const auto byte = static_cast<uint64_t>(*at_++);
            value |= (byte & 0x7f) << shift;
            if (byte < 0x80) { return value; }
        }
        failed_ = true;
        return 0;
    }
    int64_t varint() { return unzigzag(unsigned_varint()); }
    Bytes bytes(uint64_t size) {
        if (!need(size)) { return {}; }
        Bytes view(at_, size);
        at_ += size;
        return view;
    }
    void skip(uint64_t size) { bytes(size); }

private:
    bool need(uint64_t size) {
        if (failed_ || size > remaining()) {
            failed_ = true;
            return false;
        }
        return true;
    }
    const std::byte* at_;
    const std::byte* end_;
    bool failed_ = false;
};

// Appends to a growing string of bytes. For metadata, never for the append path.
class ByteWriter {
public:
    template <class T>
    void be(T value) {
        std::byte raw[sizeof(T)];
        store_be(raw, value);
        bytes(raw);
    }
    template <class T>
    void le(T value) {
        std::byte raw[sizeof(T)];
        store_le(raw, value);
        bytes(raw);
    }
    void unsigned_varint(uint64_t value) {
        std::byte raw[varint_bytes_max];
        bytes(Bytes(raw, static_cast<size_t>(put_unsigned_varint(raw, value) - raw)));
    }
    void varint(int64_t value) { unsigned_varint(zigzag(value)); }
    void bytes(Bytes view) { out_.insert(out_.end(), view.begin(), view.end()); }
    void text(std::string_view view) { bytes(as_bytes(view)); }

    size_t size() const { return out_.size(); }
    std::byte* data() { return out_.data(); }
    Bytes view() const { return out_; }
    std::vector<std::byte> take() { return std::move(out_); }

private:
    std::vector<std::byte> out_;
};

}  // namespace flowstone
