// Files of a simulated disk, put where other programs can read them.
#pragma once

#include <filesystem>
#include <string>

#include "storage/disk.h"

namespace flowstone {

// Blocks of zeros take no room there. Errors: those of Disk; a file that cannot be written is not noticed.
Result<void> copy_out(Disk& disk, const std::string& from, const std::filesystem::path& to);

}  // namespace flowstone
