// Counts what each thread allocates by operator new. Replaces it: for one source file of a program, tests only. Others
// of the same program that look at the count include tests/bytes_allocated.h. ThreadSanitizer has an operator new of its
// own and lets nobody replace it: there the count stays 0.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#include "tests/bytes_allocated.h"

#if !defined(__has_feature)
#define __has_feature(feature) 0  // a compiler that knows none
#endif
#if !__has_feature(thread_sanitizer)
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
#endif
