// The offline verification of everything that a world left on its disk.
#include <fmt/format.h>

#include "storage/segment_verify.h"
#include "tests/sim/world/world.h"

namespace flowstone {

std::string World::verify(SimDisk& disk) {
    auto entries = disk.list("data");
    if (!entries) { return "list: " + entries.error().message(); }
    std::string found;
    for (const DirectoryEntry& entry : *entries) {
        if (!entry.directory) { continue; }
        const std::string path = join_path("data", entry.name);
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
