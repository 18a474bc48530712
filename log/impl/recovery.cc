// Opening a directory: the newest checkpoint, then what the journal holds past it, then what the files hold past that.
//
// docs/DURABILITY.md says which bytes are believed and why. In short: below a checkpoint everything is proven and
// whatever is bad there is damage; past it the journal is believed commit by commit, in order; past the journal a
// whole batch that continues the log is kept (a direct write whose commit never came), and anything else is cut.
#include "log/impl/recovery.h"

#include <algorithm>

#include <fmt/format.h>

#include "log/impl/adopt.h"
#include "log/impl/cursor.h"
#include "log/impl/maintenance.h"
#include "storage/check.h"
#include "storage/meta_files.h"
#include "storage/mutants.h"
#include "storage/segment_files.h"
#include "storage/segment_scan.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr char metadata_topic_name[] = "__cluster_metadata";
constexpr char lock_file_name[] = ".lock";

bool ours_at_root(const std::string& name) {
    return name == lock_file_name || name == "lost+found" || name == "flowstone-reserve" || is_checkpoint_file(name) ||
           Journal::is_journal_file(name);
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const Environment& environment, std::string path, Options options,
                                           const Tuning& tuning) {
    if (options.read_only) { return open_beside(environment, path, options, tuning); }
    std::unique_ptr<Store> store(new Store(environment, std::move(path), std::move(options), tuning));
    Recovery recovery(*store);
    TRY_VOID(recovery.run());
    TailSharing::forget(store->path(), store->directory_id());
    store->alone_ = false;
    store->start_threads();
    return store;
}

Result<void> Recovery::run() {
    TRY_VOID(enter_directory());
    auto properties = read_meta_properties(disk(), store_.path());
    if (!properties && properties.error().code == Code::not_found) {
        TRY_VOID(make_directory());
        properties = read_meta_properties(disk(), store_.path());
    }
    if (!properties) { return std::unexpected(properties.error()); }
    TRY(store_.cluster_, Uuid::parse(properties->cluster_id));
    store_.directory_id_ = properties->directory_id;
    if (store_.wanted_cluster_ && store_.cluster_ != *store_.wanted_cluster_) {
        return fail(Code::invalid, "log.open",
                    fmt::format("{} belongs to cluster {}, not to {}", store_.path(), store_.cluster_.to_string(),
                                store_.wanted_cluster_->to_string()));
    }

    TRY(auto slots, read_slots());
    if (!slots.newest && slots.any_slot) {
        return fail(Code::corrupt, "log.open", fmt::format("neither checkpoint slot of {} holds", store_.path()));
    }
    const bool closed = slots.newest && slots.newest->clean && slots.newest->generation > 0;  // 0: never opened
    TRY(const bool kafka_since, store_.kafka_wrote_since(closed));
    if (!slots.newest || kafka_since) {
        if (!store_.read_only() && !store_.options().adopt) {
            return fail(Code::unsupported, "log.open",
                        fmt::format("{} was written by Kafka{}: it can be read, or adopted for writing (flowstone "
                                    "adopt, flowstoned --adopt)",
                                    store_.path(), slots.newest ? " since it was closed" : ""));
        }
        TRY(auto adopted, adopt(disk(), store_.random_,
                                {.directory = store_.path(),
                                 .cluster = store_.cluster_,
                                 .node = properties->node_id,
                                 .directory_id = store_.directory_id_,
                                 .metadata_topic = metadata_topic_id,
                                 .write = !store_.read_only(),
                                 .on_log = store_.options().on_log}));
        for (const MetadataRecord& record : adopted.known) { TRY_VOID(store_.metadata_.apply(record)); }
        if (slots.newest) {  // numbers only grow
            adopted.checkpoint.number = slots.newest->number;
            adopted.checkpoint.generation = slots.newest->generation;
        }
        slots.newest = std::move(adopted.checkpoint);
    }
    checkpoint_ = std::move(*slots.newest);
    if (slots.slot_damaged && !store_.read_only()) {
        store_.log(fmt::format("{}: one checkpoint slot does not hold; the other is used", store_.path()));
    }
    if (checkpoint_.cluster != store_.cluster_) {
        return fail(Code::corrupt, "log.open",
                    fmt::format("meta.properties and the checkpoint of {} name different clusters", store_.path()));
    }
    for (PartitionCheckpoint& partition : checkpoint_.partitions) {
        store_.persisted_.emplace(PartitionKey{partition.topic_id, partition.partition}, std::move(partition));
    }
    store_.checkpoint_number_ = checkpoint_.number;
    store_.generation_ = checkpoint_.generation + 1;
    store_.clock_guard_.emplace(store_.clock().wall_ms(), store_.clock().monotonic_ns(), checkpoint_.wall_ms);

    TRY_VOID(store_.read_only() ? open_rings_beside() : open_rings());
    TRY_VOID(replay());
    if (store_.read_only()) {
        leave_rings_to_followers();
        return {};
    }
    return begin_writing();
}

Result<void> Recovery::enter_directory() {
    const std::string& path = store_.path();
    auto info = disk().info(path);
    if (!info) {
        if (info.error().code != Code::not_found || store_.read_only() || !store_.options().create) {
            return std::unexpected(info.error());
        }
        TRY_VOID(disk().make_directory(path));
        if (!mutated(Mutant::new_log_directory)) { TRY_VOID(disk().sync_directory(parent_path(path))); }
    } else if (!info->directory) {
        return fail(Code::invalid, "log.open", fmt::format("{} is not a directory", path));
    }
    TRY(store_.engine_.block_bytes, disk().block_bytes(path));
    if (store_.read_only()) { return {}; }
    TRY(store_.directory_lock_, disk().lock(join_path(path, lock_file_name)));
    return {};
}

// A new log, in an empty directory or where a crash left one half made: meta.properties comes last.
Result<void> Recovery::make_directory() {
    const std::string& path = store_.path();
    TRY(const auto entries, disk().list(path));
    for (const DirectoryEntry& entry : entries) {
        if (!ours_at_root(entry.name) && entry.name != std::string(meta_properties_file_name) + ".tmp") {
            return fail(
                Code::invalid, "log.open",
                fmt::format("{} is not a Flowstone directory: it holds {} and no meta.properties", path, entry.name));
        }
    }
    if (store_.read_only() || !store_.options().create) {
        return fail(Code::not_found, "log.open", fmt::format("{} holds no log", path));
    }
    for (const DirectoryEntry& entry : entries) {
        if (is_checkpoint_file(entry.name) || Journal::is_journal_file(entry.name)) {
            TRY_VOID(disk().remove(join_path(path, entry.name)));
        }
    }
    Checkpoint first;
    first.number = 1;
    first.cluster = store_.wanted_cluster_ ? *store_.wanted_cluster_ : store_.random_.uuid();
    first.wall_ms = store_.clock().wall_ms();
    first.clean = true;
    for (uint32_t shard = 0; shard < shard_count(); ++shard) {
        TRY(const auto journal, Journal::create(disk(), journal_options(shard), store_.random_.uuid()));
        first.rings.push_back({journal->ring(), shard, 1, 0, false});
    }
    TRY_VOID(write_checkpoint(disk(), path, first));  // syncs the names, those of the rings too
    MetaProperties properties;
    properties.cluster_id = first.cluster.to_string();
    properties.node_id = 1;
    properties.directory_id = store_.random_.uuid();
    return write_meta_properties(disk(), path, properties);
}

uint32_t Recovery::shard_count() const { return store_.engine().shard_count; }

Journal::Options Recovery::journal_options(uint32_t shard) const {
    return {store_.path(), shard, store_.options().journal_bytes_max, store_.engine_.block_bytes, store_.read_only()};
}

bool Recovery::spoken_of(uint32_t shard) const {
    return std::ranges::find(checkpoint_.rings, shard, &RingCheckpoint::shard) != checkpoint_.rings.end();
}

// Every ring there is, whatever the shard count is now (JOURNAL 1.6).
Result<void> Recovery::open_rings() {
    TRY(const auto present, Journal::shards(disk(), store_.path()));
    for (const uint32_t shard : present) {
        auto opened = Journal::open(disk(), journal_options(shard));
        // After a clean close nothing of a ring is needed: one that does not hold is made anew.
        const bool needed = spoken_of(shard) && !checkpoint_.clean;
        if (!opened && (needed || opened.error().code != Code::corrupt)) { return std::unexpected(opened.error()); }
        const auto known = !opened ? checkpoint_.rings.end()
                                   : std::ranges::find(checkpoint_.rings, (*opened)->ring(), &RingCheckpoint::ring);
        if (known == checkpoint_.rings.end()) {
            // Made just before a crash, before any checkpoint spoke of it: nothing in it was acknowledged.
            store_.log(
                fmt::format("journal {} of {} is not in the checkpoint and is not needed", shard, store_.path()));
            continue;
        }
        auto journal = std::move(*opened);
        Ring ring{std::move(journal), *known, {}, known->first_sequence, 0};
        if (!checkpoint_.clean) {
            TRY(ring.scan, ring.journal->scan(store_.pool_, known->first_sequence));
            TRY_VOID(check_chain(ring));
        }
        rings_.push_back(std::move(ring));
    }
    for (const RingCheckpoint& ring : checkpoint_.rings) {
        if (std::ranges::find(rings_, ring.ring, [](const Ring& r) { return r.known.ring; }) == rings_.end() &&
            !checkpoint_.clean) {
            return fail(Code::corrupt, "log.open",
                        fmt::format("journal {} of {} is missing", ring.shard, store_.path()));
        }
    }
    return {};
}

Result<void> Recovery::replay() {
    for (uint32_t shard = 0; shard < shard_count(); ++shard) {
        store_.shards_.push_back(std::make_unique<Shard>(store_.engine_, shard, nullptr));
    }
    // The metadata log first: it says which topics there are.
    auto topic = std::make_shared<TopicTable>();
    topic->name = metadata_topic_name;
    topic->id = metadata_topic_id;
    topic->internal = true;
    topic->count = 1;
    TopicConfig config;
    config.retention_ms = -1;
    topic->config = std::make_shared<const TopicConfig>(config);
    store_.metadata_topic_ = topic;
    TRY_VOID(replay_entries(true));
    TRY(Partition* const metadata, store_.partition(*topic, 0));
    TRY_VOID(settle(*metadata));
    TRY_VOID(read_metadata(*metadata));
    TRY_VOID(replay_entries(false));
    if (!checkpoint_.clean) { TRY_VOID(settle_all()); }
    if (checkpoint_.clean && store_.options().accept_loss) { TRY_VOID(accept_losses()); }
    return {};
}

Result<void> Recovery::read_metadata(Partition& partition) {
    Cursor cursor(store_, partition);
    TRY_VOID(cursor.seek(partition.log_start()));
    std::vector<std::byte> scratch;
    for (;;) {
        TRY(const auto batch, cursor.next());
        if (!batch) { return {}; }
        if (batch->control()) { continue; }
        TRY(auto records, RecordCursor::open(*batch, scratch));
        for (;;) {
            TRY(const auto record, records.next());
            if (!record) { break; }
            if (record->value) { TRY_VOID(store_.metadata_.apply(as_bytes(*record->value))); }
        }
    }
}

Result<void> Recovery::replay_entries(bool metadata) {
    for (Ring& ring : rings_) {
        for (size_t i = 0; i < ring.scan.commits.size(); ++i) {
            for (const JournalChain::Damage& damage : ring.damages) {
                if (damage.before == i && !metadata) { TRY_VOID(fence_damage(ring, damage)); }
            }
            for (const Entry& entry : ring.scan.commits[i].view.entries) {
                if ((entry.head.topic_id == metadata_topic_id) != metadata) { continue; }
                TRY_VOID(replay_entry(entry));
            }
        }
    }
    TRY_VOID(finish_asides());
    if (!gaps_.empty()) { return std::unexpected(gaps_.begin()->second); }
    return {};
}

Result<Partition*> Recovery::partition_of(const EntryHead& head) {
    if (head.topic_id == metadata_topic_id) { return store_.partition(*store_.metadata_topic_, 0); }
    const TopicState* topic = store_.metadata_.topic(head.topic_id);
    if (topic == nullptr) {
        if (store_.metadata_.is_deleted(head.topic_id)) { return nullptr; }
        return fail(Code::corrupt, "log.open",
                    fmt::format("the journal of {} holds topic id {}, which no metadata record knows", store_.path(),
                                head.topic_id.to_string()));
    }
    return store_.partition(*store_.table_of(*topic), head.partition);
}

Result<void> Recovery::replay_entry(const Entry& entry) {
    TRY(Partition* const partition, partition_of(entry.head));
    if (partition == nullptr) { return {}; }
    const EntryHead& head = entry.head;
    // No fault yet: entries that a later carry repeats are still in the ring when others need their commit.
    const auto gap = [&]() -> Result<void> {
        // Below `durable` only a block written again is repeated, and what led there may be gone: the files decide.
        if (partition->durability() != Durability::durable) { return {}; }
        gaps_.try_emplace(partition, fail(Code::corrupt, "log.open",
                                          fmt::format("the journal goes on at byte {} of {}/{}, which ends at {}",
                                                      head.position.value, partition->identity().directory,
                                                      segment_file_name(head.segment_base, SegmentFile::log),
                                                      partition->closed().at - partition->active().begin))
                                         .error());
        return {};
    };
    if (head.kind == EntryKind::trim) {
        touched_.insert(partition);
        partition->set_log_start(head.base_offset);
        return {};
    }
    if (head.kind == EntryKind::swap) {
        touched_.insert(partition);  // so that the next checkpoint says so
        partition->compacted_end = std::max(partition->compacted_end, head.next_offset);
        return store_.replay_swap(*partition, entry.payload);
    }
    if (partition->lost && !partition->lost->inside) { return put_aside(*partition, entry); }
    if (head.kind == EntryKind::truncate) { return replay_truncation(*partition, entry); }
    if (head.kind == EntryKind::skip) { return replay_skip(*partition, entry) ? Result<void>{} : gap(); }
    if (head.segment_base < partition->active().base) { return {}; }  // in a segment that was finished since
    if (head.segment_base == partition->closed().offset && maybe_rolled_.erase(partition) > 0 &&
        head.segment_base > partition->active().base) {
        partition->active().rolled = true;
        partition->begin_segment();
    }
    if (head.segment_base > partition->active().base) { return gap(); }
    touched_.insert(partition);
    const uint64_t begin = partition->active().begin + static_cast<uint64_t>(head.position.value);
    const uint64_t have = partition->closed().at;
    switch (head.kind) {
        case EntryKind::roll:
            if (begin != have) { return begin < have ? Result<void>{} : gap(); }
            if (head.base_offset > partition->active().base) {
                partition->restored(head.base_offset);
                partition->active().rolled = true;
                partition->begin_segment();
            }
            return {};
        case EntryKind::carry:
        case EntryKind::batches: {
            const uint64_t end = begin + entry.payload.size();
            if (gaps_.contains(partition) && head.kind == EntryKind::batches) { return {}; }
            if (end == have && head.kind == EntryKind::batches) { partition->restored(head.next_offset); }
            if (end < have || (end == have && head.kind == EntryKind::batches)) { return {}; }
            if (begin > have) { return gap(); }
            // A carry repeats the unfinished block from its beginning; the file may hold it torn.
            const bool no_chunk = partition->chunk_of(have == 0 ? 0 : have - 1) == nullptr;
            if (head.kind == EntryKind::carry && no_chunk && begin % store_.engine_.block_bytes == 0) {
                partition->move_end_to(begin);
            }
            const uint64_t from = partition->closed().at;
            if (from % store_.engine_.block_bytes != 0 && partition->chunk_of(from - 1) == nullptr) { return gap(); }
            partition->restore(entry.payload.subspan(from - begin), store_.pool_);
            if (head.kind == EntryKind::batches) { note_epochs(*partition, entry.payload); }
            if (head.kind == EntryKind::carry) { gaps_.erase(partition); }
            if (head.kind == EntryKind::batches || partition->closed().offset < head.next_offset) {
                partition->restored(head.next_offset);
            }
            return {};
        }
        case EntryKind::direct: return replay_direct(*partition, entry, begin);
        case EntryKind::trim:
        case EntryKind::truncate:
        case EntryKind::swap:
        case EntryKind::skip: break;
    }
    return fail(Code::unsupported, "log.open",
                fmt::format("a journal entry of kind {} in {}", static_cast<int>(head.kind), store_.path()));
}

// Of batches that a sum of the journal proves.
void Recovery::note_epochs(Partition& partition, Bytes batches) {
    while (const auto batch = BatchView::parse(batches)) {
        partition.note_epoch(*batch);
        batches = batches.subspan(batch->size());
    }
}

// False: a log that it says is empty is not.
bool Recovery::replay_skip(Partition& partition, const Entry& entry) {
    touched_.insert(&partition);
    const Offset below{ByteReader(entry.payload).le<int64_t>()};
    partition.compacted_end = std::max(partition.compacted_end, below);
    if (entry.head.base_offset <= partition.closed().offset) { return true; }
    if (entry.head.segment_base != entry.head.base_offset) { return true; }
    if (!partition.fresh()) { return false; }
    partition.begin_at(entry.head.base_offset);
    return true;
}

// Both slots that it may be replayed over speak of all that was there before it, and nothing was appended behind it.
Result<void> Recovery::replay_truncation(Partition& partition, const Entry& entry) {
    const EntryHead& head = entry.head;
    const auto bytes = static_cast<int64_t>(entry.payload.size());
    const auto said = store_.persisted_.find({head.topic_id, head.partition});
    const bool known = said != store_.persisted_.end() && head.segment_base.value >= 0 && head.position.value >= 0 &&
                       head.segment_base <= said->second.segment_base && head.base_offset >= head.segment_base &&
                       head.base_offset <= said->second.boundary_offset && bytes <= head.position.value &&
                       (head.position.value - bytes) % store_.engine_.block_bytes == 0 &&
                       bytes < store_.engine_.block_bytes;
    if (!known) {
        return fail(Code::corrupt, "log.open",
                    fmt::format("the journal truncates {} to offset {}, where the checkpoint knows of nothing",
                                partition.identity().directory, head.base_offset.value));
    }
    gaps_.erase(&partition);
    maybe_rolled_.erase(&partition);
    touched_.insert(&partition);
    truncated_.insert(&partition);
    loss_ = true;  // so that both slots speak of it, and neither needs the journal, before anybody appends
    TRY_VOID(store_.apply_truncation(partition, {head.segment_base, head.position, head.base_offset}, nullptr));
    // The file may hold the block torn.
    partition.move_end_to(static_cast<uint64_t>(head.position.value - bytes));
    partition.restore(entry.payload, store_.pool_);
    partition.restored(head.base_offset);
    return {};
}

Result<std::vector<std::byte>> Recovery::read_direct(Partition& partition, const Entry& entry) {
    const auto direct = parse_direct(entry.payload);
    if (!direct) { return fail(Code::corrupt, "log.open", "a journal entry of a direct write is too short"); }
    std::vector<std::byte> bytes(direct->bytes);
    TRY(const auto file, store_.open_segment(partition, entry.head.segment_base));
    TRY_VOID(read_range(*file, static_cast<uint64_t>(entry.head.position.value), bytes));
    const Bytes tail = entry.payload.subspan(direct_payload_bytes);
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    if (direct_sum(bytes, true) != direct->sum && !mutated(Mutant::direct_sum)) {
        return fail(
            Code::corrupt, "log.open",
            fmt::format("{}: bytes {} to {} are not what was acknowledged", file->path(), entry.head.position.value,
                        entry.head.position.value + static_cast<int64_t>(direct->bytes)));
    }
    return bytes;
}

// The bytes are in the segment since before the journal spoke of them: a mismatch is damage, never a torn write.
Result<void> Recovery::replay_direct(Partition& partition, const Entry& entry, uint64_t begin) {
    const auto direct = parse_direct(entry.payload);
    if (!direct) { return fail(Code::corrupt, "log.open", "a journal entry of a direct write is too short"); }
    const uint64_t direct_end = begin + direct->bytes;
    const Bytes tail = entry.payload.subspan(direct_payload_bytes);
    const uint64_t end = direct_end + tail.size();
    if (end == partition.closed().at) { partition.restored(entry.head.next_offset); }
    if (end <= partition.closed().at) { return {}; }
    OpenSegment& segment = partition.active();
    TRY(const auto bytes, read_direct(partition, entry));
    note_epochs(partition, bytes);
    // Everything before its end is in the file: the write began with whatever of this segment no file had.
    const uint64_t from = std::max(partition.closed().at, direct_end);
    if (partition.closed().at < direct_end) {
        partition.shard().forget_chunks(partition, segment.begin);
        partition.move_end_to(direct_end);
    }
    partition.restore(tail.subspan(from - direct_end), store_.pool_);
    partition.restored(entry.head.next_offset);
    return {};
}

Result<void> Recovery::read_range(File& file, uint64_t at, MutableBytes into) {
    const uint64_t block = store_.engine_.block_bytes;
    const BufferRef buffer = store_.pool_.take(1u << 20);
    while (!into.empty()) {
        const uint64_t from = align_down(at, block);
        TRY(const uint64_t got, read_at(disk(), file, BytePos{static_cast<int64_t>(from)},
                                        MutableBytes(buffer->data(), buffer->capacity())));
        if (from + got <= at) { return fail(Code::corrupt, "log.open", fmt::format("{} is cut short", file.path())); }
        const size_t part = std::min<size_t>(into.size(), from + got - at);
        std::memcpy(into.data(), buffer->data() + (at - from), part);
        at += part;
        into = into.subspan(part);
    }
    return {};
}

// After an unclean end, every partition that has or may have bytes past its checkpoint.
Result<void> Recovery::settle_all() {
    for (const auto& [name, topic] : store_.metadata_.topics()) {
        const auto table = store_.table_of(*topic);
        for (int32_t i = 0; i < table->count; ++i) {
            const std::string directory = join_path(store_.path(), partition_directory_name({name, i}));
            if (table->find(i) == nullptr) {
                TRY(const bool there, exists(disk(), directory));
                if (!there) { continue; }
            }
            TRY(Partition* const partition, store_.partition(*table, i));
            TRY_VOID(settle(*partition));
        }
    }
    return {};
}

// Looks past what is proven: whole batches that continue the log are kept, the rest is cut; then notes every batch since
// the checkpoint, so that indexes and producers are as if nothing had happened.
Result<void> Recovery::settle(Partition& partition) {
    const auto known = store_.persisted_.find({partition.identity().topic_id, partition.identity().number});
    const PartitionCheckpoint said = known == store_.persisted_.end() ? PartitionCheckpoint{} : known->second;
    // Only what was on record when this opening began: what it finds itself must be seen before.
    const bool accept = said.lost && store_.options().accept_loss && !store_.read_only();
    if (checkpoint_.clean && !accept) {
        partition.show_restored();
        return {};
    }
    if (accept) { TRY_VOID(accept_loss(partition)); }
    // A reader beside its writer cuts no file: behind the end there is what was truncated.
    const bool uncut = store_.read_only() && truncated_.contains(&partition);
    if (!partition.lost && !uncut) {  // a fenced one stays as it is
        TRY_VOID(keep_unfinished_write(partition));
        if (!store_.read_only() && !partition.lost) { TRY_VOID(set_aside(partition)); }
    }
    TRY_VOID(note_batches(partition, said));
    // It goes on below what it was trimmed to: the journal must not tell of that trim again once there is more.
    if (partition.log_start() > partition.closed().offset) { loss_ = true; }
    partition.show_restored();
    if (partition.closed().at > 0) {  // nothing of what was found went through a seal
        for (const auto& segment : partition.segments()) { segment->seal.reset(); }
        partition.hooks.loaded = false;
    }
    // What the checkpoint says of epochs may not have reached their file.
    partition.hooks.epochs_unwritten = partition.hooks.epochs_unwritten || !partition.epochs().empty();
    if (touched_.contains(&partition)) {
        // A killed process left names that only the page cache knows.
        for (const auto& segment : partition.segments()) { segment->names_unsynced = true; }
        // Until it is filled or carried, everything that this opening needed is needed on.
        const auto ring =
            std::ranges::find(rings_, partition.shard().number(), [](const Ring& r) { return r.known.shard; });
        partition.note_commit(0, ring == rings_.end() ? 1 : ring->known.first_sequence);
        partition.shard().note_journaled(partition);
    }
    return {};
}

Result<void> Recovery::keep_unfinished_write(Partition& partition) {
    for (;;) {
        OpenSegment& segment = partition.active();
        // The journal held no batch of it (a trim is none): what lies between the boundary and the end has offsets that
        // only the file tells, and the last batch below the checkpoint may go on past it.
        const PartitionCheckpoint* const said = still_as_said(partition);
        const bool durable = partition.durability() == Durability::durable;
        auto file = store_.open_segment(partition, segment.base);
        if (!file && file.error().code != Code::not_found) { return std::unexpected(file.error()); }
        if (!file) {
            if (said == nullptr || said->synced_bytes == 0 || !durable) { return {}; }
            return std::unexpected(file.error());  // a segment is missing that a checkpoint proved
        }
        // A sync that failed leaves bytes that only the page cache has, and no later sync brings them to the disk.
        if (!(*file)->direct()) { disk().drop_cache(**file); }
        TRY(const uint64_t size, disk().size(**file));
        // A reader beside a writer shows of a durable partition what was acknowledged, not what is on its way.
        // But it needs to know its topics: of their log only what was acknowledged is ever in the file.
        const bool topics = partition.identity().topic_id == metadata_topic_id;
        const bool proven_only = durable && store_.read_only() && !(without_rings_ && topics);
        const uint64_t end = partition.closed().at;
        if (said != nullptr) { partition.move_end_to(segment.begin + said->boundary); }
        const auto below_proven = [&] { return said != nullptr && partition.closed().at < end; };
        if (proven_only && !below_proven()) { return {}; }
        if (size < partition.closed().at - segment.begin && !(durable && below_proven())) { return {}; }
        SegmentScanner::Options options = scan_options(partition, segment);
        if (proven_only) { options.end = BytePos{static_cast<int64_t>(end - segment.begin)}; }
        SegmentScanner scanner(disk(), **file, options);
        TRY_VOID(take_batches(partition, scanner, [] { return true; }));
        while (below_proven()) {
            TRY(const bool lost, fence_proven(partition, segment, **file, scanner, *said));
            if (!lost) { break; }
            if (!partition.lost->inside) { return {}; }
            TRY_VOID(take_batches(partition, scanner, [] { return true; }));
        }
        if (!store_.read_only() && partition.closed().at - segment.begin < size) {
            TRY(const auto writable, store_.segment_file(partition, segment));
            TRY_VOID(disk().truncate(*writable, partition.closed().at - segment.begin));
            unproven_.insert(&partition);
        }
        // A segment that begins where this one ends: rolls of topics below `durable` are not in the journal, and a
        // direct write into a new segment may have ended before the commit that speaks of the roll.
        const std::string next =
            join_path(partition.identity().directory, segment_file_name(partition.closed().offset, SegmentFile::log));
        TRY(const bool goes_on, exists(disk(), next));
        if (partition.closed().offset == segment.base) { return {}; }
        if (!goes_on && (durable || !was_sealed(partition, segment))) { return {}; }
        segment.rolled = true;
        partition.begin_segment();
        // No commit tells of that roll: both slots do, before one tells of what comes into the new segment.
        if (durable) { unproven_.insert(&partition); }
    }
}

// Whether a segment of a topic below `durable` had been finished, though no file of the next one survived: what is
// appended now does not belong into it, because its seal says where it ends.
bool Recovery::was_sealed(const Partition& partition, const OpenSegment& segment) {
    const auto seal = read_seal(disk(), partition.identity().directory, segment.base);
    return seal && seal->end == partition.closed().offset && seal->bytes == partition.closed().at - segment.begin;
}

// Segment files past the end: a direct write may have made a segment whose commit never came, and no whole batch in it
// continues the log. Whole batches are kept under another name.
Result<void> Recovery::set_aside(Partition& partition) {
    const std::string& directory = partition.identity().directory;
    const auto entries = disk().list(directory);
    if (!entries) {
        return entries.error().code == Code::not_found ? Result<void>{} : std::unexpected(entries.error());
    }
    bool any = false;
    for (const DirectoryEntry& entry : *entries) {
        const auto name = parse_segment_file_name(entry.name);
        if (!name || name->base < partition.active().base) { continue; }
        const std::string path = join_path(directory, entry.name);
        if (name->base == partition.active().base) {
            // Of bytes of a topic below `durable` that a crash took: what is appended now is not what it speaks of.
            if (name->kind != SegmentFile::seal || partition.durability() == Durability::durable) { continue; }
            store_.log(fmt::format("{} speaks of bytes that are gone, and is removed", path));
        }
        bool whole = false;
        if (name->kind == SegmentFile::log) {
            TRY(const auto file, disk().open(path, {}));
            SegmentScanner scanner(disk(), *file, {.offset = name->base});
            TRY(const auto batch, scanner.next());
            whole = batch.has_value();
        }
        if (whole) {
            store_.log(fmt::format("{} does not continue the log, which ends at offset {}: set aside as {}.aside", path,
                                   partition.closed().offset.value, entry.name));
            TRY_VOID(disk().rename(path, path + ".aside"));
        } else {
            TRY_VOID(disk().remove(path));
        }
        any = true;
    }
    return any && !mutated(Mutant::stray_directory) ? disk().sync_directory(directory) : Result<void>{};
}

Result<void> Recovery::note_batches(Partition& partition, const PartitionCheckpoint& said) {
    if (partition.closed().offset < said.producers_end) { partition.producers().truncate(partition.closed().offset); }
    bool first = true;
    for (const auto& segment : partition.segments()) {
        const bool was_active = first && segment->base == said.segment_base;
        first = false;
        uint64_t at = segment->begin + (was_active ? said.boundary : 0);
        const uint64_t end = segment->end.value_or(partition.closed().at);
        const Offset offset = was_active ? said.boundary_offset : segment->base;
        if (segment == partition.segments().front()) {
            partition.restart_boundaries({at, offset});
        } else {
            partition.add_boundary({at, offset});
        }
        if (was_active && at > segment->begin) {
            const SegmentEnd proven{offset, segment->in_file(at)};
            auto index = SegmentIndex::open_after_crash(disk(), partition.identity().directory, segment->base, proven);
            if (!index && !store_.read_only()) {
                index = rebuild_index(disk(), partition.identity().directory, segment->base, proven,
                                      scan_batch_bytes_limit, false);
            }
            if (!index && index.error().code != Code::corrupt) { return std::unexpected(index.error()); }
            segment->index = index ? std::make_unique<SegmentIndex>(std::move(*index))
                                   : std::make_unique<SegmentIndex>(partition.identity().directory, segment->base);
            // The largest timestamp since its last entry stands in the batches only.
            const auto noted = static_cast<uint64_t>(segment->index->last_entry_at().value);
            uint64_t told = noted;
            TRY_VOID(each_batch(partition, *segment, noted, at - segment->begin, [&](BatchView batch) {
                // It lies below the boundary, where nobody has read yet what is there.
                if (batch.next_offset() <= batch.base_offset()) { return false; }
                if (batch.base_offset() < segment->base || batch.next_offset() > offset) { return false; }
                segment->index->note(batch, BytePos{static_cast<int64_t>(told)});
                told += batch.size();
                return true;
            }));
        } else {
            segment->index = std::make_unique<SegmentIndex>(partition.identity().directory, segment->base);
        }
        // A batch's checksum covers neither its offset nor its epoch: what does not follow is not what was written there.
        Offset reached = offset;
        TRY_VOID(each_batch(partition, *segment, at - segment->begin, end - segment->begin, [&](BatchView batch) {
            const bool gap = batch.base_offset() > reached && batch.base_offset() < partition.compacted_end;
            const bool known_gap = partition.lost && partition.lost->inside;
            if (batch.base_offset() != reached && !gap && !known_gap) { return false; }
            if (batch.base_offset() < reached || batch.next_offset() <= batch.base_offset()) { return false; }
            if (batch.next_offset() > partition.closed().offset || !partition.epoch_can_be(batch)) { return false; }
            partition.restored_batch(batch, at, batch.base_offset() < said.producers_end);
            at += batch.size();
            reached = batch.next_offset();
            return true;
        }));
        const bool named = (partition.lost && partition.lost->inside) || accepted_.contains(&partition);
        if (at != end && named) { return {}; }
        if (at != end && !partition.identity().internal) {
            return fence(partition, {.begin = reached,
                                     .end = partition.closed().offset,
                                     .segment_base = segment->base,
                                     .position = segment->in_file(at),
                                     .inside = true});
        }
        if (at != end) {
            return fail(Code::corrupt, "log.open",
                        fmt::format("{}/{} holds no whole batch at byte {}, below what was proven",
                                    partition.identity().directory, segment_file_name(segment->base, SegmentFile::log),
                                    at - segment->begin));
        }
    }
    return {};
}

// The whole batches at the front of [begin, end) of a segment file, as long as `take` says so.
Result<void> Recovery::each_batch(Partition& partition, OpenSegment& segment, uint64_t begin, uint64_t end,
                                  const std::function<bool(BatchView)>& take) {
    std::vector<std::byte> bytes;
    bool more = true;
    return store_.read_back(partition, segment, begin, end, [&](Bytes part) {
        if (!more) { return; }
        bytes.insert(bytes.end(), part.begin(), part.end());
        Bytes rest(bytes);
        while (rest.size() >= batch_header_bytes) {
            const auto batch = BatchView::parse(rest);
            if (!batch) { break; }
            more = take(*batch);
            if (!more) { return; }
            rest = rest.subspan(batch->size());
        }
        bytes.erase(bytes.begin(), bytes.end() - static_cast<ptrdiff_t>(rest.size()));
    });
}

// The rings go on, one for each shard, and what they hold they hold on: opening brings nothing of it to the files, only
// what the journal does not know. After a loss, and with another number of shards, everything is brought to them first.
Result<void> Recovery::begin_writing() {
    bool same_shards = rings_.size() == shard_count();
    for (uint32_t shard = 0; shard < shard_count(); ++shard) {
        auto ring = std::ranges::find(rings_, shard, [](const Ring& r) { return r.known.shard; });
        if (ring == rings_.end()) {
            same_shards = false;
            TRY(auto journal, Journal::create(disk(), journal_options(shard), store_.random_.uuid()));
            if (!mutated(Mutant::new_ring_directory)) { TRY_VOID(disk().sync_directory(store_.path())); }
            journal->resume({}, store_.generation_, 1, 0);
            store_.shards_[shard]->set_journal(std::move(journal));
            store_.last_first_needed_.push_back(1);
            continue;
        }
        ring->journal->resume(ring->scan, store_.generation_, ring->next_sequence, ring->last_sum);
        ring->journal->release(ring->known.first_sequence);
        store_.last_first_needed_.push_back(ring->known.first_sequence);
        store_.shards_[shard]->set_journal(std::move(ring->journal));
    }
    for (auto& shard : store_.shards_) {
        shard->relieve_ring = [store = &store_, raw = shard.get()](bool must) {
            return store->relieve_ring(*raw, must);
        };
    }
    // The opening itself goes on record: it numbers epochs and generations.
    for (Partition* partition : touched_) { partition->shard().note_unfilled(*partition); }
    const Store::CheckpointScope scope{.exact = true, .only = same_shards && !loss_ ? &unproven_ : nullptr};
    TRY_VOID(store_.checkpoint(scope));
    // What was kept or cut without the journal knowing must be in both slots: either may be the one that survives. And
    // whoever finds a slot that says "clean" passes over the journal: it is written over, so that losing the newest one
    // does not lose what comes now.
    const bool both = !same_shards || loss_ || !unproven_.empty() || checkpoint_.clean;
    if (both && !mutated(Mutant::both_slots)) { TRY_VOID(store_.checkpoint(scope)); }
    // Only now: while it is there and Kafka's, our older checkpoints do not count.
    TRY_VOID(store_.remove_kafka_clean_shutdown());
    TRY_VOID(Maintenance(store_).remove_leftovers());
    store_.take_reserve();
    TRY(const auto present, Journal::shards(disk(), store_.path()));
    for (const uint32_t shard : present) {
        if (shard >= shard_count()) { TRY_VOID(remove_ring(shard)); }
    }
    return {};
}

Result<void> Recovery::remove_ring(uint32_t shard) {
    TRY_VOID(store_.checkpoint({.exact = true}));  // so that neither slot speaks of it
    TRY_VOID(Journal::remove(disk(), journal_options(shard)));
    return mutated(Mutant::ring_gone) ? Result<void>{} : disk().sync_directory(store_.path());
}

}  // namespace flowstone
