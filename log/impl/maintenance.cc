#include "log/impl/maintenance.h"

#include <algorithm>

#include <fmt/format.h>

#include "log/impl/compactor.h"
#include "log/retention.h"
#include "storage/check.h"
#include "storage/lock.h"
#include "storage/mutants.h"
#include "storage/segment_files.h"
#include "storage/segment_scan.h"
#include "storage/try.h"

namespace flowstone {
namespace {

bool is_remains(std::string_view name) { return name.ends_with(deleted_file_suffix) || name.ends_with(".cleaned"); }

std::string hex(const Uuid& id) {
    std::string out;
    for (const std::byte byte : id.bytes) { out += fmt::format("{:02x}", std::to_integer<int>(byte)); }
    return out;
}

}  // namespace

Result<void> Store::maintain() {
    if (read_only()) { return fail(Code::read_only, "log.maintain", path()); }
    std::lock_guard one(maintain_lock_);
    auto done = Maintenance(*this).run();
    // Trims and deletions are what makes room: for them the reserve is kept.
    if (!done && done.error().code == Code::no_space && give_up_reserve()) { done = Maintenance(*this).run(); }
    note_loss(done);
    take_reserve();
    return done;
}

// --- the reserve (JOURNAL 5.3) ---------------------------------------------------------------------------------------

// Takes the space for the day when the disk is full, unless that day is today. Without it everything else works.
void Store::take_reserve() {
    std::lock_guard one(reserve_lock_);
    const uint64_t bytes = engine_.options.reserve_bytes;
    if (reserve_held_ || bytes == 0) { return; }
    const std::string name = join_path(path(), reserve_file_name);
    const auto info = disk().info(name);
    if (info && info->allocated_bytes >= bytes) {
        reserve_held_ = true;
        return;
    }
    // As much must stay free besides: what was just given up is not taken from those who needed it.
    const auto free = disk().free_bytes(path());
    if (!free || *free < 2 * bytes) { return; }
    auto file = disk().open(name, {.write = true, .create = true});
    if (!file) { return; }
    if (!disk().allocate(**file, BytePos{0}, BytePos{static_cast<int64_t>(bytes)}, false) || !sync(disk(), **file) ||
        !disk().sync_directory(path())) {
        (void)disk().truncate(**file, 0);
        return;
    }
    reserve_held_ = true;
}

bool Store::give_up_reserve() {
    std::lock_guard one(reserve_lock_);
    if (!reserve_held_) { return false; }
    auto file = disk().open(join_path(path(), reserve_file_name), {.write = true});
    if (!file || !disk().truncate(**file, 0)) { return false; }
    reserve_held_ = false;
    log(fmt::format("{}: the disk is full; {} bytes kept for this are given up", path(),
                    engine_.options.reserve_bytes));
    return true;
}

ClockGuard::Reading Store::guarded_time() {
    ClockGuard::Reading time;
    {
        const std::lock_guard one(clock_lock_);
        time = clock_guard_->read(clock().wall_ms(), clock().monotonic_ns());
    }
    if (!time.notice.empty()) { log(time.notice); }
    return time;
}

Result<void> Maintenance::run() {
    const ClockGuard::Reading time = store_.guarded_time();
    now_ms_ = time.now_ms;
    time_believed_ = time.believed;

    TRY_VOID(remove_leftovers());
    std::vector<Target> targets = this->targets();
    bool unfinished = false;
    for (Target& target : targets) {
        if (stopping()) { return {}; }
        TRY(const bool rolled, roll_idle(target));
        unfinished = unfinished || rolled;
    }
    if (unfinished) { TRY_VOID(store_.checkpoint({})); }
    TRY_VOID(retain(targets));
    for (Target& target : targets) {
        if (stopping()) { return {}; }
        // While time is not believed no tombstone may pass its horizon: compaction waits.
        if (!target.config->cleanup_policy.compact || !time_believed_) { continue; }
        TRY_VOID(remove_remains(*target.partition));
        auto done = Compactor(store_, *target.partition, target.config, now_ms_).run();
        if (!done && done.error().code != Code::not_found && done.error().code != Code::closed) { return done; }
    }
    return {};
}

Result<void> Maintenance::retain(std::vector<Target>& targets) {
    for (Target& target : targets) {
        if (stopping()) { return {}; }
        TRY_VOID(decide(target));
    }
    TRY_VOID(settle(targets));
    for (Target& target : targets) {
        if (stopping()) { return {}; }
        if (!target.gone.empty()) { TRY_VOID(remove_segments(target)); }
    }
    return {};
}

// Partitions for which there may be something to do. The others stay as they are, and out of memory.
std::vector<Maintenance::Target> Maintenance::targets() {
    struct Candidate {
        std::shared_ptr<TopicTable> table;
        std::shared_ptr<const TopicConfig> config;
        int32_t number;
    };
    std::vector<Candidate> candidates;
    {
        std::lock_guard meta(store_.meta_lock_);
        for (const auto& [name, topic] : store_.metadata_.topics()) {
            const auto table = store_.table_of(*topic);
            for (int32_t i = 0; i < table->count; ++i) { candidates.push_back({table, table->config, i}); }
        }
    }
    {
        std::lock_guard persisted(store_.persisted_lock_);
        std::erase_if(candidates, [&](const Candidate& candidate) {
            if (candidate.table->find(candidate.number) != nullptr) { return false; }
            const auto said = store_.persisted_.find({candidate.table->id, candidate.number});
            return !concerns(*candidate.table, *candidate.config,
                             said == store_.persisted_.end() ? nullptr : &said->second);
        });
    }
    std::vector<Target> out;
    for (const Candidate& candidate : candidates) {
        // Errors: the topic was deleted meanwhile, and then there is nothing to do.
        auto partition = store_.partition(*candidate.table, candidate.number);
        if (partition && !(*partition)->lost) { out.push_back({*partition, candidate.config}); }
    }
    return out;
}

bool Maintenance::concerns(const TopicTable& table, const TopicConfig& config, const PartitionCheckpoint* said) const {
    if (table.deleted || said == nullptr) { return false; }
    return said->log_start.value > 0 || config.cleanup_policy.compact ||
           (config.cleanup_policy.delete_old && (config.retention_ms >= 0 || config.retention_bytes >= 0));
}

// --- rolling ---------------------------------------------------------------------------------------------------------

// Rolls the active segment when it is old enough by segment.ms, or holds nothing that retention by time would keep: what
// is never rolled is never deleted. True when there is a segment that a checkpoint can finish.
Result<bool> Maintenance::roll_idle(Target& target) {
    Partition& partition = *target.partition;
    const TopicConfig& config = *target.config;
    const bool expires = time_believed_ && config.cleanup_policy.delete_old && config.retention_ms >= 0;
    {
        Guard guard(partition.shard().lock());
        if (partition.hooks.deleted || partition.shard().failure()) { return false; }
        if (partition.next_offset() == partition.active().base) { return partition.segments().size() > 1; }
    }
    TRY(const int64_t since_ms, begun_at(partition));
    {
        Guard guard(partition.shard().lock());
        const int64_t last_ms = partition.active().index->timestamp_ms_max();
        // Everything in it was deleted by request, or is too old to stay.
        const bool below_start = partition.log_start() >= partition.next_offset();
        const bool expired = expires && partition.builder() == nullptr && last_ms >= 0 &&
                             elapsed_ms(last_ms, now_ms_) > config.retention_ms;
        if (elapsed_ms(since_ms, now_ms_) <= config.roll_ms() && !expired && !below_start) {
            return partition.segments().size() > 1;
        }
    }
    TRY_VOID(store_.load(partition));
    Guard guard(partition.shard().lock());
    TRY_VOID(partition.shard().admit(guard));
    if (partition.hooks.deleted) { return false; }
    partition.close_batch(store_.pool_);
    if (partition.closed().offset == partition.active().base) { return true; }
    partition.roll();
    TRY_VOID(partition.shard().flush(guard));
    return true;
}

// When the active segment was begun, as far as anyone can tell: when it was first seen here (its records may be of any
// time), or, if an earlier opening began it, when its first record says.
Result<int64_t> Maintenance::begun_at(Partition& partition) {
    Offset base;
    bool begun_here;
    {
        Guard guard(partition.shard().lock());
        if (partition.active().since_ms >= 0) { return partition.active().since_ms; }
        base = partition.active().base;
        begun_here = partition.active().begun_here;
    }
    int64_t since_ms = now_ms_;
    if (auto file = store_.open_segment(partition, base); file && !begun_here) {
        SegmentScanner scanner(store_.disk(), **file, {.offset = base, .crc = false});
        TRY(const auto first, scanner.next());
        if (first && first->batch.base_timestamp_ms() >= 0) {
            since_ms = std::min(since_ms, first->batch.base_timestamp_ms());
        }
    }
    Guard guard(partition.shard().lock());
    if (partition.active().base == base && partition.active().since_ms < 0) { partition.active().since_ms = since_ms; }
    return since_ms;
}

// --- retention -------------------------------------------------------------------------------------------------------

Result<void> Maintenance::decide(Target& target) {
    Partition& partition = *target.partition;
    const TopicConfig& config = *target.config;
    const bool limited = config.cleanup_policy.delete_old && (config.retention_ms >= 0 || config.retention_bytes >= 0);
    {
        Guard guard(partition.shard().lock());
        if (partition.hooks.deleted || (!limited && partition.log_start().value == 0)) { return {}; }
    }
    TRY_VOID(store_.know_closed_segments(partition));
    TRY_VOID(remove_remains(partition));
    TRY_VOID(look_up_times(target));

    Guard guard(partition.shard().lock());
    std::vector<SegmentInfo> segments;
    for (const ClosedSegment& segment : partition.closed_segments) {
        segments.push_back({segment.base, segment.end, segment.bytes, segment.timestamp_ms_max, -1});
    }
    SegmentInfo open{partition.segments().front()->base, partition.closed().offset, 0, -1, -1};
    for (const auto& segment : partition.segments()) {
        open.bytes += segment->end.value_or(partition.closed().at) - segment->begin;
    }
    segments.push_back(open);
    const RetentionDecision decision = decide_retention({.segments = segments,
                                                         .log_start = partition.log_start(),
                                                         .delete_end = partition.visible().offset,
                                                         .now_ms = now_ms_,
                                                         .time_believed = time_believed_},
                                                        config);
    if (decision.delete_count == 0) { return {}; }
    target.gone.assign(partition.closed_segments.begin(),
                       partition.closed_segments.begin() + static_cast<ptrdiff_t>(decision.delete_count));
    if (decision.new_log_start <= partition.log_start()) { return {}; }
    TRY_VOID(partition.shard().admit(guard));
    partition.shard().queue({&partition, EntryKind::trim, partition.closed().at, partition.closed().at,
                             decision.new_log_start, decision.new_log_start, partition.epoch(), 0});
    return {};
}

// Of the leading segments, until one is found that time keeps.
Result<void> Maintenance::look_up_times(Target& target) {
    const TopicConfig& config = *target.config;
    if (!config.cleanup_policy.delete_old || config.retention_ms < 0 || !time_believed_) { return {}; }
    Partition& partition = *target.partition;
    std::vector<ClosedSegment> segments;
    {
        Guard guard(partition.shard().lock());
        segments = partition.closed_segments;
    }
    for (const ClosedSegment& segment : segments) {
        TRY(const int64_t last_ms, store_.largest_timestamp(partition, segment));
        if (elapsed_ms(last_ms, now_ms_) <= config.retention_ms) { return {}; }
    }
    return {};
}

// From the time index, which is made again when it is bad. -1 when nobody can tell.
Result<int64_t> Store::largest_timestamp(Partition& partition, const ClosedSegment& segment) {
    if (segment.timestamp_ms_max >= 0) { return segment.timestamp_ms_max; }
    const SegmentEnd end{segment.end, BytePos{static_cast<int64_t>(segment.bytes)}};
    const std::string& directory = partition.identity().directory;
    auto index = SegmentIndex::open(disk(), directory, segment.base, end);
    if (!index && index.error().code == Code::corrupt) {
        index = rebuild_index(disk(), directory, segment.base, end, scan_batch_bytes_limit, true);
    }
    if (!index && index.error().code == Code::corrupt) { return -1; }  // damage is not ours to delete by time
    if (!index) { return std::unexpected(index.error()); }
    Guard guard(partition.shard().lock());
    for (ClosedSegment& known : partition.closed_segments) {
        if (known.base == segment.base) { known.timestamp_ms_max = index->timestamp_ms_max(); }
    }
    return index->timestamp_ms_max();
}

// The new log starts durable, and the segments to go below both checkpoint slots.
Result<void> Maintenance::settle(const std::vector<Target>& targets) {
    for (auto& shard : store_.shards_) {
        Guard guard(shard->lock());
        TRY_VOID(shard->flush(guard));
    }
    uint64_t closed_at = 0;
    for (const Target& target : targets) {
        for (const ClosedSegment& segment : target.gone) { closed_at = std::max(closed_at, segment.closed_at); }
    }
    while (store_.checkpoint_number_ < closed_at + 1) { TRY_VOID(store_.checkpoint({})); }
    return {};
}

Result<void> Maintenance::remove_segments(Target& target) {
    Partition& partition = *target.partition;
    const std::string& directory = partition.identity().directory;
    {
        Guard guard(partition.shard().lock());
        if (partition.hooks.deleted) { return {}; }
        CHECK(target.gone.back().end <= partition.log_start());
        std::erase_if(partition.closed_segments,
                      [&](const ClosedSegment& segment) { return segment.base <= target.gone.back().base; });
    }
    const auto named = [&](const ClosedSegment& segment, SegmentFile kind) {
        return join_path(directory, segment_file_name(segment.base, kind));
    };
    for (const ClosedSegment& segment : target.gone) {
        TRY_VOID(store_.disk().rename(named(segment, SegmentFile::log),
                                      named(segment, SegmentFile::log) + deleted_file_suffix));
    }
    // Before what belongs to them goes: no crash leaves a segment without its seal and index.
    if (!mutated(Mutant::retention_renamed)) { TRY_VOID(store_.disk().sync_directory(directory)); }
    for (const ClosedSegment& segment : target.gone) {
        for (const SegmentFile kind : segment_file_kinds) {
            if (kind == SegmentFile::log) { continue; }
            // A tamper-evident history goes on to be provable: its seals are links of the chain.
            if (kind == SegmentFile::seal && target.config->seal == SealKind::sha256) { continue; }
            auto removed = store_.disk().remove(named(segment, kind));
            if (!removed && removed.error().code != Code::not_found) { return removed; }
        }
        TRY_VOID(store_.remove_file(named(segment, SegmentFile::log) + deleted_file_suffix));
    }
    return mutated(Mutant::retention_gone) ? Result<void>{} : store_.disk().sync_directory(directory);
}

// What a crash left of removed or half-cleaned segments. Looked for once after each opening.
Result<void> Maintenance::remove_remains(Partition& partition) {
    if (partition.remains_removed) { return {}; }
    const std::string& directory = partition.identity().directory;
    auto listing = list_segments(store_.disk(), directory);
    if (!listing && listing.error().code != Code::not_found) { return std::unexpected(listing.error()); }
    if (listing) {
        for (const std::string& name : listing->others) {
            if (is_remains(name)) { TRY_VOID(store_.remove_file(join_path(directory, name))); }
        }
    }
    partition.remains_removed = true;
    return {};
}

// --- deleted topics --------------------------------------------------------------------------------------------------

// Renames the directories of a topic whose deletion is on record to names that nobody reads. Returns the new names.
Result<std::vector<std::string>> Store::set_aside(const TopicTable& topic) {
    std::vector<std::string> aside;
    std::lock_guard one(checkpoint_lock_);
    for (int32_t i = 0; i < topic.count; ++i) {
        {
            const std::lock_guard persisted(persisted_lock_);
            persisted_.erase({topic.id, i});
        }
        const std::string directory = join_path(path(), partition_directory_name({topic.name, i}));
        TRY(const bool there, exists(disk(), directory));
        if (!there) { continue; }
        TRY(aside.emplace_back(), rename_aside({topic.name, i}));
    }
    if (!mutated(Mutant::deletion_renamed)) { TRY_VOID(disk().sync_directory(path())); }
    return aside;
}

// As Kafka names what it is about to remove.
Result<std::string> Store::rename_aside(const TopicPartition& partition) {
    // A file name has 255 bytes: like Kafka's, a long topic's name is cut.
    const std::string ending = fmt::format("-{}.{}-delete", partition.partition, hex(random_.uuid()));
    std::string name = partition.topic.substr(0, 255 - ending.size()) + ending;
    TRY_VOID(disk().rename(join_path(path(), partition_directory_name(partition)), join_path(path(), name)));
    return name;
}

// Directories of topics whose deletion is on record. What belongs to a topic that nobody knows is left alone.
Result<void> Maintenance::remove_leftovers() {
    TRY(const auto entries, store_.disk().list(store_.path()));
    bool any = false;
    for (const DirectoryEntry& entry : entries) {
        const auto name = entry.directory ? parse_partition_directory_name(entry.name) : std::nullopt;
        if (!name || stopping()) { continue; }
        if (name->state == PartitionDirectoryState::live) {
            // Nobody makes a topic of this name while we look: its directories would not be a deleted topic's.
            std::unique_lock meta(store_.meta_lock_);
            if (store_.metadata_.topic(name->partition.topic) != nullptr ||
                name->partition.topic == store_.metadata_topic_->name) {
                continue;
            }
            const auto id = read_partition_metadata(store_.disk(), join_path(store_.path(), entry.name));
            if (!id || !store_.metadata_.is_deleted(*id)) { continue; }
            TRY(const std::string aside, store_.rename_aside(name->partition));
            meta.unlock();
            TRY_VOID(store_.remove_directory(aside));
        } else if (name->state == PartitionDirectoryState::deleted) {
            TRY_VOID(store_.remove_directory(entry.name));
        } else {
            continue;
        }
        any = true;
    }
    return any && !mutated(Mutant::leftovers_gone) ? store_.disk().sync_directory(store_.path()) : Result<void>{};
}

Result<void> Store::remove_directory(const std::string& name) {
    const std::string directory = join_path(path(), name);
    auto entries = disk().list(directory);
    if (!entries) {
        return entries.error().code == Code::not_found ? Result<void>{} : std::unexpected(entries.error());
    }
    for (const DirectoryEntry& entry : *entries) {
        if (!entry.directory) { TRY_VOID(remove_file(join_path(directory, entry.name))); }
    }
    return disk().remove(directory);
}

// Large files a piece at a time, so that commits come through in between. Sleeps: never under a lock.
Result<void> Store::remove_file(const std::string& file_path) {
    TRY(const FileInfo info, disk().info(file_path));
    if (info.allocated_bytes > unlink_bytes_max) {
        TRY(const auto file, disk().open(file_path, {.write = true}));
        const std::atomic<uint32_t> nobody{0};
        for (uint64_t bytes = std::max(info.bytes, info.allocated_bytes); bytes > shrink_step_bytes && !stopping_;) {
            bytes -= shrink_step_bytes;
            if (bytes > info.bytes) { continue; }  // reserved behind the end: the first cut frees it
            TRY_VOID(disk().truncate(*file, bytes));
            sleep_while(nobody, 0, shrink_pause_ns);
        }
    }
    return disk().remove(file_path);
}

}  // namespace flowstone
