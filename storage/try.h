// TRY: pass an error to the caller in one visible line. Plain statements, to be used whole in a braced block.
#pragma once

#include <flowstone/result.h>

#define FLOWSTONE_CONCAT_(a, b) a##b
#define FLOWSTONE_CONCAT(a, b) FLOWSTONE_CONCAT_(a, b)

#define FLOWSTONE_TRY_(result, declaration, expression)                 \
    auto result = (expression);                                         \
    if (!result) { return std::unexpected(std::move(result).error()); } \
    declaration = std::move(*result)

// TRY(auto file, disk.open(path)) declares `file`, or returns the error.
#define TRY(declaration, ...) FLOWSTONE_TRY_(FLOWSTONE_CONCAT(try_result_, __LINE__), declaration, (__VA_ARGS__))

// TRY_VOID(disk.remove(path)) goes on, or returns the error.
#define TRY_VOID(...)                                                   \
    do {                                                                \
        if (auto try_void_result = (__VA_ARGS__); !try_void_result) {   \
            return std::unexpected(std::move(try_void_result).error()); \
        }                                                               \
    } while (false)
