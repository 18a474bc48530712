// The offline verification of everything that a log left on its disk, as tests ask for it.
#pragma once

#include <string>

#include "storage/disk.h"

namespace flowstone {

// The first fault in any partition below `directory`, or "". Every rolled segment must have its seal.
std::string verify_directory(Disk& disk, const std::string& directory);

}  // namespace flowstone
