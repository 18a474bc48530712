#include "storage/disk.h"

namespace flowstone {

std::unique_ptr<Disk> open_uring_disk() { return nullptr; }

}  // namespace flowstone
