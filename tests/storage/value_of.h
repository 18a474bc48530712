// What a test takes for granted: the value of a Result.
#pragma once

#include <stdexcept>
#include <utility>

#include <flowstone/result.h>

namespace flowstone {

// Fails the test with the error's sentence when there is no value.
template <class T>
T value_of(Result<T> result) {
    if (!result) { throw std::runtime_error(result.error().message()); }
    return std::move(*result);
}

}  // namespace flowstone
