// `flowstone segment ...`: looks into the files of a log, offline. Reads only, but for `salvage`, which writes a new
// file, and `reseal`, which writes seals.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/flowstone/command_line.h"

namespace flowstone {
class Disk;
}

namespace flowstone::tool {

void add_segment_commands(CLI::App& app, Invocation& invocation);

struct SegmentArguments {
    std::vector<std::string> paths;  // of salvage the last one is what is made
    bool json = false;
    bool records = false;                 // dump
    std::string chain_head;               // verify: 64 hexadecimal digits; empty for none
    std::string text;                     // grep
    bool count = false;                   // grep: only how many
    std::optional<uint64_t> records_max;  // grep
    bool force = false;                   // reseal
};

Exit run_segment_stat(Disk& disk, const SegmentArguments& arguments);
Exit run_segment_dump(Disk& disk, const SegmentArguments& arguments);
Exit run_segment_verify(Disk& disk, const SegmentArguments& arguments);
Exit run_segment_grep(Disk& disk, const SegmentArguments& arguments);
Exit run_segment_salvage(Disk& disk, const SegmentArguments& arguments);
Exit run_segment_reseal(Disk& disk, const SegmentArguments& arguments);

}  // namespace flowstone::tool
