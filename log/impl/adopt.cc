#include "log/impl/adopt.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include <fmt/format.h>

#include "log/metadata.h"
#include "log/producer_state.h"
#include "log/transactions.h"
#include "storage/check.h"
#include "storage/limits.h"
#include "storage/mutants.h"
#include "storage/record.h"
#include "storage/segment_files.h"
#include "storage/segment_index.h"
#include "storage/segment_scan.h"
#include "storage/transaction_index.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr char metadata_name[] = "__cluster_metadata";
constexpr char transactions_name[] = "__transaction_state";
constexpr char log_start_file_name[] = "log-start-offset-checkpoint";
constexpr uint64_t log_start_file_bytes_max = 64u << 20;
constexpr uint64_t metadata_snapshot_bytes_max = 1ull << 30;

class Adoption {
public:
    Adoption(Disk& disk, Random& random, const AdoptOptions& options)
        : disk_(disk), random_(random), options_(options) {}
    Result<Adopted> run();

private:
    Result<void> read_log_starts();
    Result<void> read_metadata_snapshot(const std::string& directory, Offset first_segment);
    Result<void> apply_records(BatchView batch);
    Result<void> note_decisions(BatchView batch);
    Result<void> keep_aborted(const std::string& directory, const SegmentListing& segment, Offset end);
    void end_decided_transactions(const std::string& directory);
    Result<void> enter_partition(const TopicPartition& partition);
    Result<std::optional<PartitionCheckpoint>> walk(const TopicPartition& partition, const Uuid& topic);
    Result<void> walk_segment(const std::string& directory, Offset base, Offset end, bool last, bool metadata,
                              PartitionCheckpoint& out);
    Result<void> check_epoch(std::span<const EpochStart> epochs, const ScannedBatch& scanned,
                             const std::string& file) const;
    Result<void> refuse(const SegmentScanner& scanner, const std::string& path) const;
    Result<void> cut(const std::string& path, BytePos end, uint64_t bytes);
    void enter_unknown_topics();
    Result<void> write_metadata();
    std::string path(const std::string& name) const { return join_path(options_.directory, name); }
    void log(std::string_view line) const {
        if (options_.on_log) { options_.on_log(line); }
    }

    Disk& disk_;
    Random& random_;
    const AdoptOptions& options_;
    std::map<TopicPartition, Offset> log_starts_;
    Metadata metadata_;
    std::map<std::string, std::pair<Uuid, int32_t>> unknown_;  // topics by name: id, partitions
    std::vector<MetadataRecord> from_snapshot_;
    std::vector<MetadataRecord> entered_;
    std::optional<PartitionCheckpoint> metadata_end_;
    Offset metadata_from_{0};       // records of the metadata log below it are in the snapshot
    ProducerState producers_;       // of the partition being walked
    TransactionWalk transactions_;  // likewise
    Epoch epoch_{0};                // of its last batch
    TransactionDecisions decisions_;
    bool walks_decisions_ = false;  // the partition is one of __transaction_state
    int64_t producer_id_max_ = -1;
    Adopted out_;
};

Result<Adopted> Adoption::run() {
    out_.checkpoint.cluster = options_.cluster;
    out_.checkpoint.clean = true;
    TRY_VOID(read_log_starts());
    TRY(const auto entries, disk_.list(options_.directory));
    std::vector<TopicPartition> partitions;
    for (const DirectoryEntry& entry : entries) {
        const auto name = parse_partition_directory_name(entry.name);
        if (!entry.directory || !name) { continue; }
        if (name->state != PartitionDirectoryState::live) {
            log(fmt::format("{} is left as it is", path(entry.name)));
        } else if (name->partition.topic == metadata_name) {
            TRY(metadata_end_, walk(name->partition, options_.metadata_topic));
        } else {
            partitions.push_back(name->partition);
        }
    }
    // What was decided about transactions must be known before their partitions are looked at.
    std::ranges::partition(partitions, [](const auto& one) { return one.topic == transactions_name; });
    for (const TopicPartition& partition : partitions) { TRY_VOID(enter_partition(partition)); }
    enter_unknown_topics();
    if (options_.write) {
        TRY_VOID(write_metadata());
    } else {
        out_.known = std::move(from_snapshot_);
        out_.known.insert(out_.known.end(), entered_.begin(), entered_.end());
    }
    if (metadata_end_) { out_.checkpoint.partitions.push_back(std::move(*metadata_end_)); }
    return std::move(out_);
}

Result<void> Adoption::read_log_starts() {
    auto text = read_file(disk_, path(log_start_file_name), log_start_file_bytes_max);
    if (!text) { return text.error().code == Code::not_found ? Result<void>{} : std::unexpected(text.error()); }
    const auto parsed = parse_offset_checkpoint(as_text(*text));
    if (!parsed) { return std::unexpected(parsed.error().with_detail(path(log_start_file_name))); }
    for (const PartitionOffset& start : *parsed) { log_starts_[start.partition] = start.offset; }
    return {};
}

Result<void> Adoption::apply_records(BatchView batch) {
    if (batch.control()) { return {}; }
    std::vector<std::byte> scratch;
    TRY(auto records, RecordCursor::open(batch, scratch));
    for (;;) {
        TRY(const auto record, records.next());
        if (!record) { return {}; }
        if (!record->value || record->offset < metadata_from_) { continue; }
        TRY_VOID(metadata_.apply(as_bytes(*record->value)));
    }
}

Result<void> Adoption::note_decisions(BatchView batch) {
    if (batch.control()) { return {}; }
    std::vector<std::byte> scratch;
    TRY(auto records, RecordCursor::open(batch, scratch));
    for (;;) {
        TRY(const auto record, records.next());
        if (!record) { return {}; }
        if (!record->key) { continue; }
        decisions_.record(as_bytes(*record->key),
                          record->value ? std::optional(as_bytes(*record->value)) : std::nullopt);
    }
}

// Kafka drops the beginning of its metadata log once "<offset>-<epoch>.checkpoint" holds what it came to: record
// batches of metadata records that make the state below that offset.
Result<void> Adoption::read_metadata_snapshot(const std::string& directory, Offset first_segment) {
    TRY(const auto entries, disk_.list(directory));
    std::string newest;
    for (const DirectoryEntry& entry : entries) {
        const bool named = entry.name.size() == 42 && entry.name[20] == '-' && entry.name.ends_with(".checkpoint");
        if (named) { newest = std::max(newest, entry.name); }  // zero-padded: by name is by offset
    }
    int64_t offset = -1;
    if (!newest.empty()) { std::from_chars(newest.data(), newest.data() + 20, offset); }
    if (offset < first_segment.value) {
        return fail(Code::corrupt, "log.open",
                    fmt::format("{} begins at offset {} and no snapshot holds what came before", directory,
                                first_segment.value));
    }
    if (options_.write) {
        return fail(Code::unsupported, "log.open",
                    fmt::format("{} begins at offset {}: adopting a metadata log whose beginning is in a snapshot",
                                directory, first_segment.value));
    }
    TRY(const auto bytes, read_file(disk_, join_path(directory, newest), metadata_snapshot_bytes_max));
    for (Bytes rest(bytes); !rest.empty();) {
        TRY(const BatchView batch, BatchView::parse(rest));
        if (!batch.crc_matches()) { return fail(Code::corrupt, "log.open", join_path(directory, newest)); }
        TRY_VOID(apply_records(batch));
        rest = rest.subspan(batch.size());
    }
    from_snapshot_ = metadata_.snapshot();
    metadata_from_ = Offset{offset};
    return {};
}

Result<void> Adoption::enter_partition(const TopicPartition& partition) {
    const std::string directory = path(partition_directory_name(partition));
    const TopicState* by_name = metadata_.topic(partition.topic);
    Uuid id = by_name == nullptr ? Uuid{} : by_name->id;
    auto said = read_partition_metadata(disk_, directory);
    if (!said && said.error().code != Code::not_found) { return std::unexpected(said.error()); }
    if (said && by_name != nullptr && *said != id) {
        log(fmt::format("{} belongs to another topic of that name and is left as it is", directory));
        return {};
    }
    if (by_name == nullptr) {
        auto& [unknown_id, count] = unknown_[partition.topic];
        if (unknown_id.is_zero()) { unknown_id = said ? *said : random_.uuid(); }
        if (said && *said != unknown_id) {
            return fail(Code::corrupt, "log.open", fmt::format("{} has another topic id than its siblings", directory));
        }
        id = unknown_id;
        count = std::max(count, partition.partition + 1);
        if (!said && options_.write) { TRY_VOID(write_partition_metadata(disk_, directory, id)); }
    }
    TRY(auto end, walk(partition, id));
    if (end) { out_.checkpoint.partitions.push_back(std::move(*end)); }
    return {};
}

// Where the partition ends, and what was learned on the way. Empty: it has no segment.
Result<std::optional<PartitionCheckpoint>> Adoption::walk(const TopicPartition& partition, const Uuid& topic) {
    const std::string directory = path(partition_directory_name(partition));
    const bool metadata = partition.topic == metadata_name;
    TRY(const auto listing, list_segments(disk_, directory));
    const auto& segments = listing.segments;
    if (segments.empty()) { return std::optional<PartitionCheckpoint>(); }
    if (metadata && segments.front().base > Offset{0}) {
        TRY_VOID(read_metadata_snapshot(directory, segments.front().base));
    }
    PartitionCheckpoint out;
    out.topic_id = topic;
    out.partition = partition.partition;
    out.log_start = std::max(segments.front().base, metadata_from_);
    if (const auto start = log_starts_.find(partition); start != log_starts_.end()) {
        out.log_start = std::max(out.log_start, start->second);
    }
    auto epochs = read_leader_epochs(disk_, directory);
    if (!epochs && epochs.error().code != Code::not_found) { return std::unexpected(epochs.error()); }
    if (epochs) { out.epochs = std::move(*epochs); }
    producers_ = ProducerState();
    transactions_ = TransactionWalk();
    walks_decisions_ = partition.topic == transactions_name;
    epoch_ = Epoch{-1};
    const bool all = options_.write || metadata;
    for (size_t i = all ? 0 : segments.size() - 1; i < segments.size(); ++i) {
        const bool last = i + 1 == segments.size();
        const Offset end = last ? Offset{INT64_MAX} : segments[i + 1].base;
        TRY_VOID(walk_segment(directory, segments[i].base, end, last, metadata, out));
        if (options_.write) { TRY_VOID(keep_aborted(directory, segments[i], last ? out.boundary_offset : end)); }
    }
    // In segments that nobody walked Kafka's cleaner may have left gaps.
    if (!all) { out.compacted_end = std::max(out.compacted_end, segments.back().base); }
    if (options_.write) { end_decided_transactions(directory); }
    out.log_start = std::min(out.log_start, out.boundary_offset);
    // One that began behind the end is empty; its number stays taken.
    for (EpochStart& epoch : out.epochs) { epoch.start = std::min(epoch.start, out.boundary_offset); }
    out.producers = producers_.encode_window();
    out.producers_end = out.boundary_offset;
    const SegmentEnd end{out.boundary_offset, BytePos{static_cast<int64_t>(out.synced_bytes)}};
    auto index = options_.write ? rebuild_index(disk_, directory, out.segment_base, end, scan_batch_bytes_limit, false)
                                : SegmentIndex::open(disk_, directory, out.segment_base, end);
    if (index) { out.index = index->state(); }  // else readers look from the segment's front
    return std::optional(std::move(out));
}

Result<void> Adoption::walk_segment(const std::string& directory, Offset base, Offset end, bool last, bool metadata,
                                    PartitionCheckpoint& out) {
    const std::string name = join_path(directory, segment_file_name(base, SegmentFile::log));
    TRY(auto file, disk_.open(name, {}));
    SegmentScanner scanner(
        disk_, *file, {.offset = base, .offset_end = end, .epoch = epoch_, .batch_bytes_max = scan_batch_bytes_limit});
    Offset expected = base;
    for (;;) {
        TRY(const auto batch, scanner.next());
        if (!batch) { break; }
        const BatchView view = batch->batch;
        TRY_VOID(check_epoch(out.epochs, *batch, name));
        // Kafka compacted it once, or still does: up to here missing offsets are no damage.
        if (view.base_offset() > expected) { out.compacted_end = std::max(out.compacted_end, view.next_offset()); }
        expected = view.next_offset();
        producers_.applied(view, view.max_timestamp_ms());
        transactions_.applied(view);
        if (walks_decisions_) { TRY_VOID(note_decisions(view)); }
        producer_id_max_ = std::max(producer_id_max_, view.producer_id());
        if (metadata) { TRY_VOID(apply_records(view)); }
        if (out.epochs.empty() || view.epoch() > out.epochs.back().epoch) {
            out.epochs.push_back({view.epoch(), view.base_offset()});
        }
    }
    epoch_ = scanner.epoch();
    const bool unfinished = scanner.fault() == ScanFault::torn_end || scanner.fault() == ScanFault::zeros;
    if (scanner.fault() != ScanFault::none) {
        if (!last || !unfinished) { return refuse(scanner, name); }
        if (options_.write) {
            TRY(const uint64_t size, disk_.size(*file));
            TRY_VOID(cut(name, scanner.position(), size));
        }
    }
    out.segment_base = base;
    out.synced_bytes = static_cast<uint64_t>(scanner.position().value);
    out.boundary = out.synced_bytes;
    out.boundary_offset = std::max(base, scanner.next_offset());
    return {};
}

// The index of the segment's aborted transactions as Kafka would have left it in order: it is written when a segment is
// finished, so after a crash the last one may be missing, half, or ahead of the records.
Result<void> Adoption::keep_aborted(const std::string& directory, const SegmentListing& segment, Offset end) {
    const auto found = transactions_.take_aborted();
    if (!segment.transaction_index && found.empty()) { return {}; }
    std::vector<AbortedTransaction> said;
    if (segment.transaction_index) {
        auto read = read_transaction_index(disk_, directory, segment.base);
        if (read) {
            said = std::move(*read);
        } else if (read.error().code == Code::corrupt) {
            log(fmt::format("{}; made again from the records", read.error().detail));
        } else {
            return std::unexpected(read.error());
        }
    }
    auto kept = said;
    std::erase_if(kept, [&](const AbortedTransaction& one) { return one.last < segment.base || one.last >= end; });
    kept = merged(std::move(kept), found);  // of one that began before the log start, only the index knows
    if (kept == said && !(said.empty() && segment.transaction_index)) { return {}; }
    return write_transaction_index(disk_, directory, segment.base, kept);
}

// A commit that the coordinator had decided is one, although this partition's marker was never written.
void Adoption::end_decided_transactions(const std::string& directory) {
    for (const auto& [producer, first] : transactions_.open()) {
        const bool commits = decisions_.commits(producer);
        if (commits) { producers_.end_transaction(producer); }
        log(fmt::format("{}: the transaction that producer {} began at offset {} was {}", directory, producer,
                        first.value,
                        commits ? "to be committed, and counts as committed" : "never ended, and counts as aborted"));
    }
}

// What the directory's leader epochs say of a batch. Kafka may have died before it noted the last of them.
Result<void> Adoption::check_epoch(std::span<const EpochStart> epochs, const ScannedBatch& scanned,
                                   const std::string& file) const {
    const BatchView& batch = scanned.batch;
    const auto begun = epochs_until(epochs, batch.base_offset());
    if (begun.empty() || batch.epoch() == begun.back().epoch) { return {}; }
    if (begun.size() == epochs.size() && batch.epoch() > begun.back().epoch) { return {}; }
    return fail(
        Code::corrupt, "log.open",
        fmt::format("{} at byte {}, offset {}: a batch of leader epoch {}, where {} says {}", file, scanned.at.value,
                    batch.base_offset().value, batch.epoch().value, leader_epoch_file_name, begun.back().epoch.value));
}

Result<void> Adoption::refuse(const SegmentScanner& scanner, const std::string& file) const {
    if (scanner.fault() == ScanFault::bad_magic) {
        return fail(Code::unsupported, "log.open",
                    fmt::format("{} at byte {}: a batch that is not of version 2; let Kafka 3 convert it", file,
                                scanner.position().value));
    }
    return fail(Code::corrupt, "log.open",
                fmt::format("{} at byte {}: {}", file, scanner.position().value, name(scanner.fault())));
}

Result<void> Adoption::cut(const std::string& file_path, BytePos end, uint64_t bytes) {
    log(fmt::format("{}: its last batch is unfinished; {} bytes are cut", file_path,
                    bytes - static_cast<uint64_t>(end.value)));
    TRY(auto file, disk_.open(file_path, {.write = true}));
    TRY_VOID(disk_.truncate(*file, static_cast<uint64_t>(end.value)));
    return mutated(Mutant::adopted_cut) ? Result<void>{} : sync(disk_, *file);
}

// Topics that only their directories tell of, and topics whose retention is not on record: nothing of them is deleted.
void Adoption::enter_unknown_topics() {
    const auto keep = [&](const std::string& topic) {
        entered_.push_back(ConfigRecord{config_resource_topic, topic, "retention.ms", "-1"});
    };
    for (const auto& [name, topic] : metadata_.topics()) {
        const bool told = std::ranges::any_of(topic->configs, [](const auto& config) {
            return config.first.starts_with("retention.") || config.first == "cleanup.policy";
        });
        if (!told) { keep(name); }
    }
    for (const auto& [name, topic] : unknown_) {
        entered_.push_back(TopicRecord{name, topic.first});
        for (int32_t i = 0; i < topic.second; ++i) {
            entered_.push_back(PartitionRecord{.partition = i,
                                               .topic_id = topic.first,
                                               .replicas = {options_.node},
                                               .isr = {options_.node},
                                               .leader = options_.node,
                                               .leader_epoch = 0,
                                               .partition_epoch = 0,
                                               .directories = {options_.directory_id}});
        }
        keep(name);
    }
    if (producer_id_max_ >= metadata_.next_producer_id()) {
        entered_.push_back(ProducerIdsRecord{options_.node, 0, producer_id_max_ + 1});
    }
}

// Straight into the file, because no journal is there yet; our checkpoint, which comes last, makes it count.
Result<void> Adoption::write_metadata() {
    if (entered_.empty()) { return {}; }
    const std::string directory = path(partition_directory_name({metadata_name, 0}));
    if (!metadata_end_) {
        metadata_end_.emplace();
        metadata_end_->topic_id = options_.metadata_topic;
        if (auto made = disk_.make_directory(directory); !made && made.error().code != Code::exists) { return made; }
        TRY_VOID(write_partition_metadata(disk_, directory, options_.metadata_topic));
    }
    PartitionCheckpoint& end = *metadata_end_;
    std::vector<std::vector<std::byte>> values;
    size_t bytes = batch_header_bytes;
    for (const MetadataRecord& record : entered_) {
        values.push_back(encode(record));
        bytes += values.back().size() + 64;
    }
    std::vector<std::byte> space(bytes);
    BatchBuilder builder(
        space, {.base_offset = end.boundary_offset, .epoch = end.epochs.empty() ? Epoch{0} : end.epochs.back().epoch});
    for (const auto& value : values) {
        const bool fits = builder.append({.key = std::nullopt, .value = as_text(value)}, 0);
        CHECK(fits);
    }
    const BatchView batch = builder.close();
    if (end.epochs.empty()) { end.epochs.push_back({batch.epoch(), batch.base_offset()}); }
    const std::string name = join_path(directory, segment_file_name(end.segment_base, SegmentFile::log));
    TRY(auto file, disk_.open(name, {.write = true, .create = true}));
    TRY_VOID(write_at(disk_, *file, BytePos{static_cast<int64_t>(end.synced_bytes)}, batch.bytes()));
    if (!mutated(Mutant::adopted_sync)) { TRY_VOID(sync(disk_, *file)); }
    if (!mutated(Mutant::adopted_names)) {
        TRY_VOID(disk_.sync_directory(directory));
        TRY_VOID(disk_.sync_directory(options_.directory));
    }
    end.synced_bytes += batch.size();
    end.boundary = end.synced_bytes;
    end.boundary_offset = batch.next_offset();
    const SegmentEnd proven{end.boundary_offset, BytePos{static_cast<int64_t>(end.synced_bytes)}};
    TRY(const auto index, rebuild_index(disk_, directory, end.segment_base, proven, scan_batch_bytes_limit, false));
    end.index = index.state();
    return {};
}

}  // namespace

Result<Adopted> adopt(Disk& disk, Random& random, const AdoptOptions& options) {
    return Adoption(disk, random, options).run();
}

}  // namespace flowstone
