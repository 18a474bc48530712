// Memory that O_DIRECT accepts.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>

#include "storage/bytes.h"

namespace flowstone {

struct FreeMemory {
    void operator()(std::byte* memory) const { std::free(memory); }
};
using AlignedMemory = std::unique_ptr<std::byte[], FreeMemory>;

// Requires `alignment` to be a power of two and `bytes` a multiple of it.
inline AlignedMemory allocate_aligned(uint64_t bytes, uint64_t alignment) {
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(alignment, bytes));
    if (memory == nullptr) { throw std::bad_alloc(); }
    return AlignedMemory(memory);
}

}  // namespace flowstone
