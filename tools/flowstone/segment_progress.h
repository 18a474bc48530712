// How far a command of `flowstone segment` is through the files of its paths: a line on the terminal, if there is one.
#pragma once

#include <cstdint>

#include "tools/flowstone/progress.h"
#include "tools/flowstone/segment_paths.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {

struct SegmentArguments;

// Bytes that are read of a target: its .log files, or its journal. Errors: those of Disk.
Result<uint64_t> bytes_of(Disk& disk, const SegmentTarget& target);

class SegmentProgress {
public:
    // Looks at all targets first, where it is shown at all. What cannot be looked at the command itself complains about.
    SegmentProgress(Disk& disk, const SegmentArguments& arguments, bool quiet);

    void read(uint64_t bytes, std::optional<uint64_t> records = {});
    void clear() { progress_.clear(); }  // before something else is said on the terminal
    // What is in the buffer, when it has grown; on a terminal at once, and the line makes room.
    Result<void> emit(StandardOutput& out);

private:
    Progress progress_;
    ProgressState state_;
    bool terminal_;  // is where output goes
};

}  // namespace flowstone::tool
