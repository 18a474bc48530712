// How many files and connections the process may have open.
#pragma once

#include <cstdint>

namespace flowstone {

// As many as it may without asking anybody: the soft limit becomes the hard one. Returns it.
uint64_t raise_descriptor_limit();

}  // namespace flowstone
