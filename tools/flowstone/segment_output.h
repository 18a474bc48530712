// What the commands of `flowstone segment` share: they print piece by piece and go through all targets of all paths.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "storage/segment_scan.h"
#include "tools/flowstone/segment.h"
#include "tools/flowstone/segment_paths.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {

// "none", "zstd", or "codec 6" for one that does not exist.
std::string codec_name(const BatchView& batch);

// "bytes [100, 200), offsets [5, 7)", as far as they are known: -1 is not.
std::string range_text(BytePos begin, BytePos end, Offset offset_begin, Offset offset_end);

// What can be read of a batch's records, each passed to `take` until it returns false. Errors: as RecordCursor.
Result<void> walk_records(const BatchView& batch, std::vector<std::byte>& scratch,
                          const std::function<bool(const RecordView&)>& take);

// Calls visit(target) -> Result<void> for all of them. Stops when nobody reads any more.
template <class Visit>
Result<void> for_each_target(Disk& disk, const SegmentArguments& arguments, StandardOutput& out, Visit&& visit) {
    for (const std::string& path : arguments.paths) {
        auto targets = resolve_segment_path(disk, path);
        if (!targets) { return std::unexpected(targets.error()); }
        for (const SegmentTarget& target : *targets) {
            if (out.closed() || interrupted()) { return {}; }
            if (auto visited = visit(target); !visited) { return visited; }
        }
    }
    return {};
}

}  // namespace flowstone::tool
