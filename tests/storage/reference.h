// Slow and plain versions of what the storage room computes, written from the specifications and from nothing of ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/bytes.h"

namespace flowstone::reference {

// One bit at a time. CRC-32C: reflected polynomial 0x1EDC6F41, all ones in and out (RFC 3720, section 12.1).
inline uint32_t crc32c(Bytes bytes) {
    uint32_t crc = 0xffffffff;
    for (const std::byte byte : bytes) {
        crc ^= static_cast<uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit) { crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u); }
    }
    return ~crc;
}

// CRC-64/WE: polynomial of ECMA-182, most significant bit first, all ones in and out.
inline uint64_t crc64(Bytes bytes) {
    uint64_t crc = ~0ull;
    for (const std::byte byte : bytes) {
        crc ^= static_cast<uint64_t>(byte) << 56;
        for (int bit = 0; bit < 8; ++bit) { crc = (crc << 1) ^ ((crc >> 63) != 0 ? 0x42f0e1eba9ea3693ull : 0ull); }
    }
    return ~crc;
}

// Bytes put together by hand in Kafka's order.
class Wire {
public:
    Wire& big(int64_t value, int bytes) {
        for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) { raw(static_cast<int>(value >> shift)); }
        return *this;
    }
    Wire& raw(int byte) {
        out_.push_back(static_cast<std::byte>(byte & 0xff));
        return *this;
    }
    Wire& text(std::string_view text) {
        for (const char letter : text) { raw(letter); }
        return *this;
    }
    Wire& append(const Wire& other) {
        out_.insert(out_.end(), other.out_.begin(), other.out_.end());
        return *this;
    }
    // Zigzag: 0, -1, 1, -2 are 0, 1, 2, 3; then groups of seven bits, lowest first, the top bit saying "more".
    Wire& varint(int64_t value) {
        uint64_t code = value >= 0 ? 2 * static_cast<uint64_t>(value) : 2 * static_cast<uint64_t>(-(value + 1)) + 1;
        for (; code > 127; code /= 128) { raw(static_cast<int>(code % 128 + 128)); }
        return raw(static_cast<int>(code));
    }
    Wire& nullable(std::optional<std::string_view> value) {
        return value ? varint(static_cast<int64_t>(value->size())).text(*value) : varint(-1);
    }
    size_t size() const { return out_.size(); }
    const std::vector<std::byte>& bytes() const { return out_; }

private:
    std::vector<std::byte> out_;
};

struct RecordFields {
    int64_t timestamp_delta = 0;
    int32_t offset_delta = 0;
    std::optional<std::string_view> key{};
    std::optional<std::string_view> value{};
    Wire headers = Wire().varint(0);
};

inline Wire record(const RecordFields& fields) {
    Wire body;
    body.raw(0).varint(fields.timestamp_delta).varint(fields.offset_delta);
    body.nullable(fields.key).nullable(fields.value).append(fields.headers);
    return Wire().varint(static_cast<int64_t>(body.size())).append(body);
}

struct BatchFields {
    int64_t base_offset = 0;
    int32_t epoch = 0;
    int magic = 2;
    int attributes = 0;
    int32_t last_offset_delta = 0;
    int64_t base_timestamp = 0;
    int64_t max_timestamp = 0;
    int64_t producer_id = -1;
    int producer_epoch = -1;
    int32_t base_sequence = -1;
    int64_t count = 1;
    Wire records{};
};

// "Record Batch" of kafka.apache.org/documentation, with a right length and checksum.
inline std::vector<std::byte> batch(const BatchFields& fields) {
    Wire checked;
    checked.big(fields.attributes, 2).big(fields.last_offset_delta, 4).big(fields.base_timestamp, 8);
    checked.big(fields.max_timestamp, 8).big(fields.producer_id, 8).big(fields.producer_epoch, 2);
    checked.big(fields.base_sequence, 4).big(fields.count, 4).append(fields.records);
    Wire whole;
    whole.big(fields.base_offset, 8).big(static_cast<int64_t>(4 + 1 + 4 + checked.size()), 4).big(fields.epoch, 4);
    whole.raw(fields.magic).big(crc32c(checked.bytes()), 4).append(checked);
    return whole.bytes();
}

}  // namespace flowstone::reference
