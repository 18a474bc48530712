// The disk of a command, with a line on the terminal that says how much of what it must read it has read.
#pragma once

#include <memory>
#include <string>

#include "storage/disk.h"
#include "storage/lock.h"
#include "storage/passing_disk.h"
#include "tools/flowstone/progress.h"

namespace flowstone::tool {

// Safe from any thread.
class WatchedDisk final : public PassingDisk {
public:
    // `work_total` in bytes.
    WatchedDisk(std::unique_ptr<Disk> below, uint64_t work_total);

    void clear();  // before something else is said on the terminal

    void run(std::span<Io> requests) override;

private:
    std::unique_ptr<Disk> owned_;
    Lock lock_;
    Progress progress_;    // guarded by lock_
    ProgressState state_;  // likewise
};

}  // namespace flowstone::tool
