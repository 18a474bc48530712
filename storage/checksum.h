// Checksums and hashes. The widest instructions the processor has are chosen at run time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "storage/bytes.h"

namespace flowstone {

// CRC-32C (Castagnoli), as in Kafka's batches: crc32c("123456789") == 0xe3069283.
// To go on over more bytes, pass the previous result as `seed`.
uint32_t crc32c(Bytes bytes, uint32_t seed = 0);

// 64-bit CRC (ECMA-182, ISA-L's crc64_ecma_norm), chained by seed: the journal's sum.
uint64_t crc64(Bytes bytes, uint64_t seed);

struct Hash128 {
    std::array<std::byte, 16> bytes{};  // canonical (big endian) XXH3-128
    friend bool operator==(const Hash128&, const Hash128&) = default;
};
Hash128 xxh3_128(Bytes bytes, uint64_t seed);
uint64_t xxh3_64(Bytes bytes, uint64_t seed = 0);

// XXH3-128 over bytes that come in pieces.
class Xxh3Stream {
public:
    explicit Xxh3Stream(uint64_t seed);
    ~Xxh3Stream();
    Xxh3Stream(Xxh3Stream&&) noexcept;
    Xxh3Stream& operator=(Xxh3Stream&&) noexcept;
    void update(Bytes bytes);
    Hash128 digest() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace flowstone
