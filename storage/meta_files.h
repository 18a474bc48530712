// The small text files of a data directory, as Kafka writes them.
//
//   leader-epoch-checkpoint   version 0: which leader epoch began at which offset, per partition
//   partition.metadata        version 0: the topic's id, per partition
//   meta.properties           version 1: cluster, node and directory id, at the root
//
// Parsed strictly and bounded by meta_file_bytes_max; written by replace_file, so old or new survives a crash, never
// a mixture. Format page: docs/formats/meta-files.md.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/disk.h"

namespace flowstone {

constexpr char leader_epoch_file_name[] = "leader-epoch-checkpoint";
constexpr char partition_metadata_file_name[] = "partition.metadata";
constexpr char meta_properties_file_name[] = "meta.properties";

struct EpochStart {
    Epoch epoch;
    Offset start;
    friend bool operator==(const EpochStart&, const EpochStart&) = default;
};
// Those that began at or before an offset; the last of them is that of the batch which begins there.
std::span<const EpochStart> epochs_until(std::span<const EpochStart> epochs, Offset offset);
std::string format_leader_epochs(std::span<const EpochStart> epochs);
// Both columns grow strictly in epoch and not backwards in offset. Errors: corrupt (with the line), unsupported.
Result<std::vector<EpochStart>> parse_leader_epochs(std::string_view text);

std::string format_partition_metadata(const Uuid& topic_id);
Result<Uuid> parse_partition_metadata(std::string_view text);  // Errors: corrupt, unsupported.

struct MetaProperties {
    std::string cluster_id;  // 22 characters of a Uuid when ours; Kafka allows any text
    int32_t node_id = -1;
    Uuid directory_id;                                        // zero in directories written before Kafka 3.7
    std::vector<std::pair<std::string, std::string>> others;  // unknown keys, kept in their order
    friend bool operator==(const MetaProperties&, const MetaProperties&) = default;
};
std::string format_meta_properties(const MetaProperties& properties);
// Java's properties format: comments, the three separators, escapes, continued lines. Errors: corrupt, unsupported
// (a version other than 1; version 0 is ZooKeeper's).
Result<MetaProperties> parse_meta_properties(std::string_view text);

// Errors of all: those of Disk (not_found), too_large, and of the parser with the path as detail.
Result<std::vector<EpochStart>> read_leader_epochs(Disk& disk, const std::string& directory);
Result<void> write_leader_epochs(Disk& disk, const std::string& directory, std::span<const EpochStart> epochs);
Result<Uuid> read_partition_metadata(Disk& disk, const std::string& directory);
Result<void> write_partition_metadata(Disk& disk, const std::string& directory, const Uuid& topic_id);
Result<MetaProperties> read_meta_properties(Disk& disk, const std::string& root);
Result<void> write_meta_properties(Disk& disk, const std::string& root, const MetaProperties& properties);

// Kafka's offset checkpoints at the root (recovery-point-offset-checkpoint, log-start-offset-checkpoint,
// replication-offset-checkpoint): version 0, count, "topic partition offset" lines.
struct PartitionOffset {
    TopicPartition partition;
    Offset offset;
    friend bool operator==(const PartitionOffset&, const PartitionOffset&) = default;
};
std::string format_offset_checkpoint(std::span<const PartitionOffset> offsets);
Result<std::vector<PartitionOffset>> parse_offset_checkpoint(std::string_view text);  // Errors: corrupt, unsupported.

}  // namespace flowstone
