#include "tests/sim/world/world_verify.h"

#include <fmt/format.h>

#include "storage/segment_verify.h"

namespace flowstone {

std::string verify_directory(Disk& disk, const std::string& directory) {
    auto entries = disk.list(directory);
    if (!entries) { return "list: " + entries.error().message(); }
    std::string found;
    for (const DirectoryEntry& entry : *entries) {
        if (!entry.directory) { continue; }
        const std::string path = join_path(directory, entry.name);
        VerifyOptions options;
        options.seals_expected = true;
        auto counts = verify_partition(disk, path, options, [&](const SegmentFault& fault) {
            if (!found.empty()) { return; }
            found =
                fmt::format("verify: {} in {} at byte {}: {}", fault.what, fault.path, fault.begin.value, fault.detail);
        });
        if (!counts) { return fmt::format("verify {}: {}", path, counts.error().message()); }
    }
    return found;
}

}  // namespace flowstone
