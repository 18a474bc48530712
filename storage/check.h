// CHECK: an invariant of our own. On in release builds. Never used on what came from a file, a peer or a user.
#pragma once

namespace flowstone {

// Tells the handler that set_check_handler() set (<flowstone/result.h>), and aborts.
[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace flowstone

#define CHECK(condition)                                                                              \
    do {                                                                                              \
        if (!(condition)) [[unlikely]] { ::flowstone::check_failed(#condition, __FILE__, __LINE__); } \
    } while (false)
