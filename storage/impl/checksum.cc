#include "storage/checksum.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <utility>

#include <isa-l.h>
#include <nmmintrin.h>

#include "storage/check.h"
#include "storage/impl/xxh3.h"

namespace flowstone {
namespace {

// Below this ISA-L's folding does not pay for its set-up; above it three or more streams run side by side.
constexpr size_t crc32c_loop_bytes_max = 512;

// Seed and result are the raw register, without the inversions at either end.
uint32_t crc32c_loop(const std::byte* from, size_t size, uint32_t state) {
    uint64_t wide = state;
    for (; size >= 8; size -= 8, from += 8) { wide = _mm_crc32_u64(wide, load_le<uint64_t>(from)); }
    state = static_cast<uint32_t>(wide);
    for (; size > 0; --size, ++from) { state = _mm_crc32_u8(state, static_cast<uint8_t>(*from)); }
    return state;
}

const Xxh3Kernel& pick_xxh3_kernel() {
    if (__builtin_cpu_supports("avx512f")) { return xxh3_avx512; }
    if (__builtin_cpu_supports("avx2")) { return xxh3_avx2; }
    return xxh3_sse2;
}

const Xxh3Kernel& xxh3() {
    static const Xxh3Kernel& kernel = pick_xxh3_kernel();
    return kernel;
}

}  // namespace

uint32_t crc32c(Bytes bytes, uint32_t seed) {
    uint32_t state = ~seed;
    if (bytes.size() < crc32c_loop_bytes_max) { return ~crc32c_loop(bytes.data(), bytes.size(), state); }
    while (!bytes.empty()) {
        // ISA-L counts in int and its prototype forgot a const.
        const size_t size = std::min<size_t>(bytes.size(), size_t{1} << 30);
        auto* from = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
        state = crc32_iscsi(from, static_cast<int>(size), state);
        bytes = bytes.subspan(size);
    }
    return ~state;
}

uint64_t crc64(Bytes bytes, uint64_t seed) {
    return crc64_ecma_norm(seed, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

Hash128 xxh3_128(Bytes bytes, uint64_t seed) {
    Hash128 hash;
    xxh3().hash128(bytes.data(), bytes.size(), seed, hash.bytes.data());
    return hash;
}

uint64_t xxh3_64(Bytes bytes, uint64_t seed) { return xxh3().hash64(bytes.data(), bytes.size(), seed); }

// Every kernel keeps the same state, so that one size and alignment will do.
struct Xxh3Stream::State {
    alignas(xxh3_state_align) std::byte raw[xxh3_state_bytes];
};

Xxh3Stream::Xxh3Stream(uint64_t seed) : state_(std::make_unique<State>()) { xxh3().reset(state_->raw, seed); }
Xxh3Stream::~Xxh3Stream() = default;
Xxh3Stream::Xxh3Stream(Xxh3Stream&&) noexcept = default;
Xxh3Stream& Xxh3Stream::operator=(Xxh3Stream&&) noexcept = default;

void Xxh3Stream::update(Bytes bytes) {
    CHECK(state_ != nullptr);
    if (!bytes.empty()) { xxh3().update(state_->raw, bytes.data(), bytes.size()); }
}

Hash128 Xxh3Stream::digest() const {
    CHECK(state_ != nullptr);
    Hash128 hash;
    xxh3().digest128(state_->raw, hash.bytes.data());
    return hash;
}

}  // namespace flowstone
