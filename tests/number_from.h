// A number that whoever runs a test may give it: how many seeds, how many cycles.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace flowstone {

inline uint64_t number_from(const char* variable, uint64_t otherwise) {
    const char* const text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace flowstone
