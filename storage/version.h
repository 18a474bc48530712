// Which release this is. Versions are semantic; every release opens every earlier format.
//
// This header is public (installed as <flowstone/version.h>): standard library only.
#pragma once

#include <flowstone/result.h>

#define FLOWSTONE_VERSION "0.1.0"

namespace flowstone {

// The version of the library that is running, which may be newer than FLOWSTONE_VERSION.
FLOWSTONE_EXPORT const char* version() noexcept;

}  // namespace flowstone
