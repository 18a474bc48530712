// XXH3 compiled once for each instruction set.
//
// The files that define these tables are built with -mavx2 or -mavx512f. They include nothing but xxhash.h and C
// headers: an inline function of the standard library, emitted there, could be the copy the linker keeps for all.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace flowstone {

constexpr size_t xxh3_state_bytes = 576;
constexpr size_t xxh3_state_align = 64;

struct Xxh3Kernel {
    uint64_t (*hash64)(const void* from, size_t size, uint64_t seed);
    void (*hash128)(const void* from, size_t size, uint64_t seed, void* canonical);
    void (*reset)(void* state, uint64_t seed);
    void (*update)(void* state, const void* from, size_t size);
    void (*digest128)(const void* state, void* canonical);
};

extern const Xxh3Kernel xxh3_sse2;
extern const Xxh3Kernel xxh3_avx2;    // only where the processor has AVX2
extern const Xxh3Kernel xxh3_avx512;  // only where it has AVX-512F

}  // namespace flowstone
