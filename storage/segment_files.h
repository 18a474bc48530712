// Names of the files of a data directory, and which segments a partition directory holds.
//
//   <topic>-<partition>/                     a partition; a topic's name may itself contain '-'
//   <topic>-<partition>.<32 hex>-delete/     renamed by Kafka before it is removed; also -future and -stray
//   00000000000000004096.log                 base offset in 20 digits, then what the file is
//
// Format page: docs/formats/segment.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/disk.h"

namespace flowstone {

enum class SegmentFile : uint8_t { log, index, time_index, transaction_index, snapshot, seal };
constexpr SegmentFile segment_file_kinds[] = {SegmentFile::log,        SegmentFile::index,
                                              SegmentFile::time_index, SegmentFile::transaction_index,
                                              SegmentFile::snapshot,   SegmentFile::seal};

// ".log", ".index", ".timeindex", ".txnindex", ".snapshot", ".seal".
std::string_view suffix(SegmentFile kind);

// "00000000000000004096.log". Requires base >= 0.
std::string segment_file_name(Offset base, SegmentFile kind);

struct SegmentFileName {
    Offset base;
    SegmentFile kind = SegmentFile::log;
    friend bool operator==(const SegmentFileName&, const SegmentFileName&) = default;
};
// Exactly 20 digits that fit 63 bits and a known suffix; anything else is none of ours.
std::optional<SegmentFileName> parse_segment_file_name(std::string_view name);

// What a directory at the root is.
enum class PartitionDirectoryState : uint8_t {
    live,
    deleted,  // "-delete": Kafka removes it by and by; its records are gone
    future,   // "-future": a copy being made on this disk
    stray,    // "-stray": Kafka did not find the partition in its metadata
};
struct PartitionDirectoryName {
    TopicPartition partition;
    PartitionDirectoryState state = PartitionDirectoryState::live;
    friend bool operator==(const PartitionDirectoryName&, const PartitionDirectoryName&) = default;
};

// Kafka's rule: 1 to 249 of [a-zA-Z0-9._-], and neither "." nor "..".
bool valid_topic_name(std::string_view topic);

// "transactions.raw-3". Requires a valid topic name and partition >= 0.
std::string partition_directory_name(const TopicPartition& partition);
// Empty for a name that is no partition's, such as "lost+found" or "__cluster_metadata".
std::optional<PartitionDirectoryName> parse_partition_directory_name(std::string_view name);

// One segment as its directory shows it.
struct SegmentListing {
    Offset base;
    bool log = false, index = false, time_index = false, transaction_index = false, snapshot = false, seal = false;
};
struct PartitionListing {
    std::vector<SegmentListing> segments;  // that have a .log, by base offset
    std::vector<SegmentListing> orphans;   // other files whose .log is missing (a .snapshot may rightly stand alone)
    std::vector<std::string> others;       // names that are no segment's: checkpoints, ".deleted", ".cleaned", unknown
};
// Errors: those of Disk::list.
Result<PartitionListing> list_segments(Disk& disk, const std::string& directory);

}  // namespace flowstone
