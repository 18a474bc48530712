#include "storage/check.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include <flowstone/result.h>

namespace flowstone {
namespace {

void print_line(const char* text) { std::fprintf(stderr, "%s\n", text); }
std::atomic<CheckHandler> handler{print_line};

}  // namespace

void set_check_handler(CheckHandler new_handler) noexcept {
    handler.store(new_handler == nullptr ? print_line : new_handler);
}

void check_failed(const char* expression, const char* file, int line) {
    char text[512];
    std::snprintf(text, sizeof text, "flowstone: CHECK failed: %s at %s:%d", expression, file, line);
    handler.load()(text);
    std::abort();
}

}  // namespace flowstone
