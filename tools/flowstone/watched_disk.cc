#include "tools/flowstone/watched_disk.h"

#include <mutex>
#include <utility>

#include "storage/clock.h"

namespace flowstone::tool {

WatchedDisk::WatchedDisk(std::unique_ptr<Disk> below, uint64_t work_total)
    : PassingDisk(*below), owned_(std::move(below)), progress_(system_clock(), false) {
    state_.work_total = work_total;
}

void WatchedDisk::clear() {
    const std::lock_guard guard(lock_);
    progress_.clear();
}

void WatchedDisk::run(std::span<Io> requests) {
    PassingDisk::run(requests);
    uint64_t bytes = 0;
    for (const Io& request : requests) { bytes += request.kind == Io::Kind::read ? request.done : 0; }
    if (bytes == 0) { return; }
    const std::lock_guard guard(lock_);
    state_.bytes += bytes;
    state_.work_done += bytes;
    progress_.show(state_);
}

}  // namespace flowstone::tool
