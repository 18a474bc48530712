// What a Kafka broker looks for in a directory that was closed in order. Nothing of it is ours to need: our own opening
// goes by the checkpoint. With it, Kafka believes the segments' ends, and knows the producers of the last batches,
// without walking anything.
#include <algorithm>

#include "log/impl/store.h"
#include "storage/mutants.h"
#include "storage/producer_snapshot.h"
#include "storage/segment_files.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr char clean_shutdown_file_name[] = ".kafka_cleanshutdown";
constexpr std::string_view clean_shutdown = R"({"version":0,"brokerEpoch":-1})";  // -1: no broker's
constexpr uint64_t clean_shutdown_bytes_max = 4096;
constexpr char recovery_point_file_name[] = "recovery-point-offset-checkpoint";
constexpr char high_watermark_file_name[] = "replication-offset-checkpoint";
constexpr char log_start_file_name[] = "log-start-offset-checkpoint";

}  // namespace

// Of a partition that was appended to: where its epochs began, and its producers as of its end.
Result<void> Store::write_kafka_partition_files(Partition& partition) {
    const std::string& directory = partition.identity().directory;
    auto written = write_leader_epochs(disk(), directory, partition.epochs());
    if (!written) {
        // Made ready, but nothing was ever appended: there is no directory.
        return written.error().code == Code::not_found ? Result<void>{} : written;
    }
    const Offset end = partition.closed().offset;
    const auto producers = partition.producers().entries();
    TRY(const auto entries, disk().list(directory));
    for (const DirectoryEntry& entry : entries) {
        const auto name = parse_segment_file_name(entry.name);
        if (name && name->kind == SegmentFile::snapshot && name->base != end) {
            TRY_VOID(disk().remove(join_path(directory, entry.name)));
        }
    }
    return producers.empty() ? Result<void>{} : write_producer_snapshot(disk(), directory, end, producers);
}

// After the exact checkpoint, which says where every partition begins and ends.
Result<void> Store::write_kafka_root_files() {
    std::vector<PartitionOffset> ends;
    std::vector<PartitionOffset> starts;
    {
        const std::lock_guard meta(meta_lock_);
        const std::lock_guard persisted(persisted_lock_);
        for (const auto& [key, said] : persisted_) {
            const TopicState* topic = metadata_.topic(key.first);
            if (topic == nullptr) { continue; }  // deleted, or the metadata log, which Kafka does not list
            ends.push_back({{topic->name, key.second}, said.boundary_offset});
            if (said.log_start > Offset{0}) { starts.push_back({{topic->name, key.second}, said.log_start}); }
        }
    }
    for (auto* offsets : {&ends, &starts}) { std::ranges::sort(*offsets, {}, &PartitionOffset::partition); }
    const auto write = [&](const char* name, std::string_view text) {
        return replace_file(disk(), join_path(path(), name), as_bytes(text));
    };
    TRY_VOID(write(log_start_file_name, format_offset_checkpoint(starts)));
    TRY_VOID(write(high_watermark_file_name, format_offset_checkpoint(ends)));
    TRY_VOID(write(recovery_point_file_name, format_offset_checkpoint(ends)));
    return write(clean_shutdown_file_name, clean_shutdown);
}

// A Kafka broker takes our mark away when it starts and leaves its own, with its epoch, when it ends in order. Ours is there
// before a slot says that the directory was closed.
Result<bool> Store::kafka_wrote_since(bool closed) {
    const auto text = read_file(disk(), join_path(path(), clean_shutdown_file_name), clean_shutdown_bytes_max);
    if (!text) { return text.error().code == Code::not_found ? Result<bool>(closed) : std::unexpected(text.error()); }
    return as_text(*text) != clean_shutdown;
}

// Before anything is appended: what Kafka would believe without looking no longer holds.
Result<void> Store::remove_kafka_clean_shutdown() {
    auto removed = disk().remove(join_path(path(), clean_shutdown_file_name));
    if (!removed) { return removed.error().code == Code::not_found ? Result<void>{} : removed; }
    return mutated(Mutant::kafka_clean_gone) ? Result<void>{} : disk().sync_directory(path());
}

}  // namespace flowstone
