// What the paths of `flowstone segment` mean: a data directory, a partition's directory, or one file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/disk.h"
#include "storage/segment_files.h"

namespace flowstone::tool {

// One partition directory, or a part of it; or a data directory's journal with its checkpoint slots.
struct SegmentTarget {
    std::string directory;
    std::optional<TopicPartition> partition;  // if the directory is named as one
    std::optional<Uuid> cluster;              // if a meta.properties lies beside the directory and its id is a Uuid
    std::optional<Offset> only;               // one segment
    std::string file;      // the file that was named, if one was. With no `only`: its name is no segment's
    bool journal = false;  // `directory` is the data directory; `file` one of its ring files or slots

    bool file_alone() const { return !file.empty() && !only; }
    // "payments-3", or the directory where that is not known.
    std::string label() const;
};

// Live partitions only, and last the journal; what Kafka marked as deleted, future or stray is left out of a data directory but may be named
// itself. Errors: not_found, also for a directory without segments; those of Disk.
Result<std::vector<SegmentTarget>> resolve_segment_path(Disk& disk, const std::string& path);

// One .log file of a target, in order.
struct LogFile {
    std::string path;
    Offset base{0};
    Offset next_base{INT64_MAX};  // of the segment behind it
    SegmentListing parts;
    bool active = true;  // the last of its directory
};
Result<std::vector<LogFile>> log_files(Disk& disk, const SegmentTarget& target);

}  // namespace flowstone::tool
