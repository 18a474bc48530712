// The text files of a data directory. What parses is written and parsed again, and must be the same.
#include <string_view>

#include "storage/check.h"
#include "storage/limits.h"
#include "storage/meta_files.h"
#include "storage/segment_files.h"

using namespace flowstone;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto epochs = parse_leader_epochs(text)) {
        CHECK(parse_leader_epochs(format_leader_epochs(*epochs)) == *epochs);
    }
    if (const auto offsets = parse_offset_checkpoint(text)) {
        CHECK(parse_offset_checkpoint(format_offset_checkpoint(*offsets)) == *offsets);
    }
    if (const auto id = parse_partition_metadata(text)) {
        CHECK(parse_partition_metadata(format_partition_metadata(*id)) == *id);
    }
    if (const auto properties = parse_meta_properties(text)) {
        const std::string again = format_meta_properties(*properties);
        if (again.size() <= meta_file_bytes_max) { CHECK(parse_meta_properties(again) == *properties); }
    }
    if (const auto name = parse_segment_file_name(text)) { CHECK(segment_file_name(name->base, name->kind) == text); }
    const auto directory = parse_partition_directory_name(text);
    if (directory && directory->state == PartitionDirectoryState::live) {
        CHECK(partition_directory_name(directory->partition) == text);
    }
    return 0;
}
