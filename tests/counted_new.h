// Counts what this thread allocates by operator new. Replaces it: for one source file of a program, tests only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace flowstone {

// Bytes asked for since the thread began; what was freed is not taken off.
inline thread_local uint64_t bytes_allocated = 0;

}  // namespace flowstone

// NOLINTBEGIN(misc-definitions-in-headers): a replacement of operator new must not be inline.
void* operator new(size_t size) {
    flowstone::bytes_allocated += size;
    void* memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) { std::abort(); }
    return memory;
}
void* operator new[](size_t size) { return operator new(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return operator new(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return operator new(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
// NOLINTEND(misc-definitions-in-headers)
