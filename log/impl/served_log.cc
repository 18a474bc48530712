#include "log/served_log.h"

#include <algorithm>

#include <fmt/format.h>

#include "log/impl/directories.h"
#include "log/impl/kept_cursors.h"
#include "log/impl/log_access.h"
#include "log/impl/put.h"
#include "log/impl/store.h"
#include "log/log_directories.h"
#include "storage/segment_files.h"
#include "storage/try.h"

namespace flowstone {

namespace {

Store& store_of(ServedPartition partition) {
    return *static_cast<const Partition*>(partition.token())->shard().engine().store;
}

std::vector<Store*> stores_of(std::span<Log> logs) {
    std::vector<Store*> stores;
    for (Log& log : logs) { stores.push_back(&LogAccess::store(log)); }
    return stores;
}

}  // namespace

// --- topics ----------------------------------------------------------------------------------------------------------

const std::string& ServedTopic::name() const { return table_->name; }
const Uuid& ServedTopic::id() const { return table_->id; }
int32_t ServedTopic::partitions() const { return table_->count; }
bool ServedTopic::internal() const { return table_->internal; }

ServedLog::ServedLog(Log& log) : ServedLog({&LogAccess::store(log)}, nullptr) {}
ServedLog::ServedLog(LogDirectories& directories)
    : ServedLog(stores_of(directories.logs()), directories.together_.get()) {}
ServedLog::ServedLog(std::vector<Store*> stores, Directories* together)
    : stores_(std::move(stores)),
      store_(*stores_.front()),
      together_(together),
      failure_told_(stores_.size()),
      cursors_(std::make_unique<KeptCursors>()) {}
ServedLog::~ServedLog() {
    set_notice({});
    set_commit_notice({});
}

std::optional<ServedTopic> ServedLog::topic(std::string_view name) const {
    auto table = store_.find_topic(name);
    if (!table || table == store_.metadata_topic_) { return std::nullopt; }  // which is no client's business
    return ServedTopic(std::move(table));
}

std::optional<ServedTopic> ServedLog::topic(const Uuid& id) const {
    auto table = store_.find_topic(id);
    if (!table) { return std::nullopt; }
    return ServedTopic(std::move(table));
}

std::vector<ServedTopic> ServedLog::topics() const {
    std::vector<ServedTopic> out;
    std::lock_guard guard(store_.meta_lock_);
    for (const auto& [name, topic] : store_.metadata_.topics()) { out.push_back(ServedTopic(store_.table_of(*topic))); }
    return out;
}

std::shared_ptr<const TopicConfig> ServedLog::config(const ServedTopic& topic) const {
    std::lock_guard guard(store_.meta_lock_);
    return topic.table_->config;
}

Uuid ServedLog::cluster_id() const { return store_.cluster_; }

Result<void> ServedLog::set_topic_defaults(const ConfigMap& defaults) {
    for (Store* const store : stores_) { TRY_VOID(store->set_topic_defaults(defaults)); }
    return {};
}

Result<ServedTopic> ServedLog::create(std::string_view name, int32_t partitions, const ConfigMap& configs,
                                      bool internal) {
    TRY_VOID(store_.usable("topic.create"));
    Store::NewTopic topic{
        .options = {.partitions = partitions, .configs = configs}, .internal = internal, .kept_for_ever = false};
    auto made = together_ == nullptr ? store_.create_topic(name, std::move(topic))
                                     : together_->create_topic(name, std::move(topic));
    TRY(auto table, std::move(made));
    return ServedTopic(std::move(table));
}

Result<void> ServedLog::delete_topic(std::string_view name) {
    TRY_VOID(store_.usable("topic.delete"));
    return together_ == nullptr ? store_.delete_topic(name) : together_->delete_topic(name);
}

Result<void> ServedLog::add_partitions(std::string_view name, int32_t total) {
    TRY_VOID(store_.usable("topic.add_partitions"));
    return together_ == nullptr ? store_.add_partitions(name, total) : together_->add_partitions(name, total);
}

Result<void> ServedLog::alter_topic(std::string_view name, const ConfigMap& set, std::span<const std::string> unset) {
    TRY_VOID(store_.usable("topic.alter"));
    return together_ == nullptr ? store_.alter_topic(name, set, unset) : together_->alter_topic(name, set, unset);
}

Result<void> ServedLog::share_tails(uint64_t bytes) {
    for (Store* const store : stores_) { TRY_VOID(store->share_tail(bytes)); }
    return {};
}
void ServedLog::stop_sharing_tails() {
    for (Store* const store : stores_) { store->stop_sharing(); }
}

Result<int64_t> ServedLog::new_producer_id() {
    TRY_VOID(store_.usable("log.new_producer_id"));
    return store_.new_producer_id();
}

Result<void> ServedLog::check_create(std::string_view name, int32_t partitions, const ConfigMap& configs) const {
    return store_.check_new_topic(
        name, {.options = {.partitions = partitions, .configs = configs}, .internal = false, .kept_for_ever = false});
}

// --- partitions ------------------------------------------------------------------------------------------------------

// Where the partition is: act(store, its topic there).
template <class Do>
auto ServedLog::in_place(const ServedTopic& topic, int32_t number, Do act) const {
    using Answer = decltype(act(store_, topic.table_));
    if (together_ == nullptr) { return act(store_, topic.table_); }
    auto place = together_->find(topic.table_, number);
    return place ? act(*place->store, place->topic) : Answer(std::unexpected(place.error()));
}

Result<ServedPartition> ServedLog::partition(const ServedTopic& topic, int32_t number) const {
    return in_place(topic, number,
                    [&](Store& store, const std::shared_ptr<TopicTable>& table) -> Result<ServedPartition> {
                        TRY(Partition* const partition, store.partition(*table, number));
                        return ServedPartition(partition);
                    });
}

Epoch ServedLog::leader_epoch(const ServedTopic& topic, int32_t number) const {
    return together_ == nullptr ? store_.leader_epoch(*topic.table_, number)
                                : together_->leader_epoch(*topic.table_, number);
}

std::vector<EpochStart> ServedLog::epochs(ServedPartition partition) const {
    Guard guard(partition.partition_->shard().lock());
    return partition.partition_->epochs();
}

PartitionEnds ServedLog::ends(ServedPartition served) const {
    Partition& partition = *served.partition_;
    Guard guard(partition.shard().lock());
    PartitionEnds ends{partition.log_start(), partition.visible().offset, partition.next_offset(),
                       partition.hooks.deleted};
    if (partition.durability() == Durability::memory) { ends.high_watermark = ends.log_end; }
    return ends;
}

PartitionEnds ServedLog::metadata_ends() const {
    const auto partition = store_.partition(*store_.metadata_topic_, 0);
    return partition ? ends(ServedPartition(*partition)) : PartitionEnds{};
}

std::vector<ProducerSnapshotEntry> ServedLog::producers(ServedPartition partition) const {
    Guard guard(partition.partition_->shard().lock());
    return partition.partition_->producers().entries();
}

Result<uint64_t> ServedLog::bytes(ServedPartition served) const {
    Partition& partition = *served.partition_;
    TRY_VOID(store_of(served).know_closed_segments(partition));
    Guard guard(partition.shard().lock());
    return partition.size().bytes;
}

// --- appending -------------------------------------------------------------------------------------------------------

Result<AppendedBatch> ServedLog::append(const ServedTopic& topic, int32_t number, Bytes batch,
                                        const AppendEffort& effort) {
    return in_place(topic, number,
                    [&](Store& store, const std::shared_ptr<TopicTable>& table) -> Result<AppendedBatch> {
                        TRY(const PutBatch put, append_ready_batch(store, *table, number, batch, effort));
                        return AppendedBatch{put.base_offset, put.next_offset, put.log_append_time_ms, put.log_start,
                                             put.duplicate};
                    });
}

Result<Offset> ServedLog::delete_records(const ServedTopic& topic, int32_t number, Offset before) {
    return in_place(topic, number, [&](Store& store, const std::shared_ptr<TopicTable>& table) {
        return LogAccess::topic(store, table).delete_records(number, before);
    });
}

Result<Offset> ServedLog::truncate(const ServedTopic& topic, int32_t number, Offset end) {
    return in_place(topic, number, [&](Store& store, const std::shared_ptr<TopicTable>& table) -> Result<Offset> {
        TRY_VOID(store.usable("log.truncate"));
        return store.truncate(*table, number, end);
    });
}

bool ServedLog::time_believed() const { return store_.guarded_time().believed; }

Result<void> ServedLog::poll() {
    Result<void> done;
    for (Store* const store : stores_) {
        auto polled = store->poll();
        if (done) { done = std::move(polled); }
    }
    return done;
}

// --- directories -----------------------------------------------------------------------------------------------------

std::vector<LogDirectory> ServedLog::directories() const {
    std::vector<LogDirectory> all;
    for (Store* const store : stores_) { all.push_back({store->path(), store->shards_.front()->failure()}); }
    if (together_ != nullptr) { std::ranges::copy(together_->missing(), std::back_inserter(all)); }
    return all;
}

size_t ServedLog::directory_of(ServedPartition partition) const {
    return static_cast<size_t>(std::ranges::find(stores_, &store_of(partition)) - stores_.begin());
}

std::optional<Error> ServedLog::failure(ServedPartition partition) const {
    return partition.partition_->shard().failure();
}

std::optional<Error> ServedLog::failure() const { return store_.shards_.front()->failure(); }

ServedLog::Memory ServedLog::memory() const {
    Memory memory;
    for (Store* const store : stores_) {
        for (const auto& shard : store->shards_) {
            Guard guard(shard->lock());
            memory.unwritten_bytes += shard->dirty_bytes();
            memory.unwritten_bytes_max += store->engine_.options.dirty_bytes_max;
            memory.tail_bytes += shard->tail_bytes();
            memory.queued_bytes += shard->queued_bytes();
        }
    }
    return memory;
}

void ServedLog::set_commit_notice(const std::function<void(uint64_t bytes, int64_t took_ns)>& notice) {
    for (Store* const store : stores_) {
        const std::lock_guard one(store->engine_.moved_lock);
        store->engine_.commit_notice = notice;
    }
}

// --- waiting ---------------------------------------------------------------------------------------------------------

void ServedLog::set_notice(const std::function<void()>& notice) {
    for (Store* const store : stores_) {
        const std::lock_guard one(store->engine_.moved_lock);
        store->engine_.moved_notice = notice;
    }
}

void ServedLog::watch(ServedPartition partition) {
    Guard guard(partition.partition_->shard().lock());
    partition.partition_->hooks.watched = true;
}

std::vector<ServedPartition> ServedLog::moved() {
    std::vector<ServedPartition> out;
    std::vector<Partition*> moved;
    for (size_t at = 0; at < stores_.size(); ++at) {
        Store& store = *stores_[at];
        moved.clear();
        {
            const std::lock_guard one(store.engine_.moved_lock);
            moved.swap(store.engine_.moved);
        }
        for (Partition* partition : moved) { out.push_back(ServedPartition(partition)); }
        if (!store.failed() || std::exchange(failure_told_[at], 1) != 0) { continue; }
        for (Partition* partition : store.made_partitions()) {
            Guard guard(partition->shard().lock());
            if (std::exchange(partition->hooks.watched, false)) { out.push_back(ServedPartition(partition)); }
        }
    }
    return out;
}

uint32_t ServedLog::announce_sleeper() {
    const uint32_t ticket = store_.engine_.bell.load(std::memory_order_acquire);
    store_.engine_.bell_wanted = true;
    return ticket;
}
void ServedLog::sleep_until_moved(const WordToWatch& own, uint32_t ticket, int64_t timeout_ns) const {
    sleep_while_both(own, {store_.engine_.bell, ticket}, timeout_ns);
}

// --- reading ---------------------------------------------------------------------------------------------------------

namespace {

void take(StoredBatches& out, Bytes batch, const BufferRef& pin) {
    if (!out.pieces.empty() && out.pieces.back().data() + out.pieces.back().size() == batch.data()) {
        out.pieces.back() = Bytes(out.pieces.back().data(), out.pieces.back().size() + batch.size());
    } else {
        out.pieces.push_back(batch);
        out.pins.push_back(pin);
    }
    out.bytes += batch.size();
}

bool fits(const StoredBatches& out, uint64_t bytes, const ReadLimits& limits) {
    return out.bytes + bytes <= limits.bytes_max || (out.bytes == 0 && limits.at_least_one);
}

// Where in the stream the batch that holds `from` may begin: at it, or before it in the same chunk. Empty when no chunk
// has it.
std::optional<uint64_t> begin_in_memory(Partition& partition, Offset from) {
    if (const auto hint = partition.read_hint(from)) { return hint; }
    const auto& chunks = partition.chunks();
    for (auto chunk = chunks.rbegin(); chunk != chunks.rend(); ++chunk) {
        if (chunk->first_batch < chunk->end && chunk->first_offset <= from) { return chunk->first_batch; }
    }
    return std::nullopt;
}

// Under the lock: as many as are in memory without a gap. False when not even the first is.
bool read_memory(Partition& partition, Offset from, const ReadLimits& limits, StoredBatches& out) {
    const auto begin = begin_in_memory(partition, from);
    // Both may be older than the segments: what a hint names, and what a chunk still holds, can be closed by now.
    if (!begin || *begin < partition.segments().front()->begin) { return false; }
    const uint64_t visible = partition.visible().at;
    const Chunk* chunk = nullptr;
    uint64_t taken_to = 0;
    bool found = false;
    for (uint64_t at = *begin; at < visible;) {
        // Between two segments there may be padding, which nobody reads: the next one begins at a block.
        const OpenSegment& segment = partition.segment_of(at);
        if (segment.end && at >= *segment.end) {
            at = align_up(at, partition.shard().engine().block_bytes);
            continue;
        }
        if (chunk == nullptr || at < chunk->begin || at + batch_header_bytes > chunk->end) {
            chunk = partition.chunk_with(at, at + batch_header_bytes);
        }
        if (chunk == nullptr) { break; }
        const auto batch = BatchView::parse(Bytes(chunk->at(at), chunk->end - at));
        if (!batch) { break; }
        at += batch->size();
        if (batch->next_offset() <= from) { continue; }
        found = true;
        if (!fits(out, batch->size(), limits)) { break; }
        take(out, batch->bytes(), chunk->buffer);
        out.next_offset = batch->next_offset();
        taken_to = at;
    }
    if (taken_to > 0) { partition.note_read(out.next_offset, taken_to); }
    return found;
}

}  // namespace

Result<StoredBatches> ServedLog::read(ServedPartition served, Offset from, const ReadLimits& limits) const {
    Partition& partition = *served.partition_;
    StoredBatches out;
    out.next_offset = from;
    {
        Guard guard(partition.shard().lock());
        if (partition.hooks.deleted) {
            return fail(Code::not_found, "log.read", fmt::format("topic {} was deleted", partition.identity().topic));
        }
        if (partition.durability() == Durability::memory) { partition.close_batch(partition.shard().engine().pool); }
        const Offset end = partition.visible().offset;
        if (from < partition.log_start() || from > end) {
            return fail(Code::out_of_range, "log.read",
                        fmt::format("offset {} of {}-{} is outside [{}, {}]", from.value, partition.identity().topic,
                                    partition.identity().number, partition.log_start().value, end.value));
        }
        if (from == end) { return out; }
        if (read_memory(partition, from, limits, out)) {
            partition.shard().note_tail_read();
            return out;
        }
        if (limits.memory_only) {
            out.on_disk = true;
            return out;
        }
    }
    auto cursor = cursors_->take(partition, from);
    if (!cursor || cursor->outdated()) {
        cursor = std::make_unique<Cursor>(store_of(served), partition);
        TRY_VOID(cursor->seek(from));
    }
    for (;;) {
        auto batch = cursor->next();
        if (!batch && out.bytes > 0) { break; }  // what is whole is served; the next read begins at what is not
        if (!batch) { return std::unexpected(batch.error()); }
        if (!*batch) { break; }
        if (!fits(out, (*batch)->size(), limits)) {
            cursor->step_back();
            cursors_->keep(partition, out.next_offset, std::move(cursor));
            break;
        }
        take(out, (*batch)->bytes(), cursor->pin());
        out.next_offset = (*batch)->next_offset();
    }
    return out;
}

std::optional<std::vector<AbortedTransaction>> ServedLog::aborted(ServedPartition served, Offset from,
                                                                  Offset end) const {
    Partition& partition = *served.partition_;
    std::shared_ptr<const std::vector<AbortedTransaction>> all;
    {
        Guard guard(partition.shard().lock());
        all = partition.aborted_transactions;
    }
    if (!all) { return std::nullopt; }
    std::vector<AbortedTransaction> out;
    for (auto one = std::ranges::lower_bound(*all, from, {}, &AbortedTransaction::last); one != all->end(); ++one) {
        if (one->first < end) { out.push_back(*one); }
        if (one->last_stable_end >= end) { break; }
    }
    return out;
}

namespace {

Result<std::vector<AbortedTransaction>> read_aborted(Disk& disk, const std::string& directory) {
    std::vector<AbortedTransaction> all;
    const auto entries = disk.list(directory);
    if (!entries && entries.error().code == Code::not_found) { return all; }  // nothing was ever appended
    if (!entries) { return std::unexpected(entries.error()); }
    for (const DirectoryEntry& entry : *entries) {
        // Its segment may be in the journal only.
        const auto name = parse_segment_file_name(entry.name);
        if (!name || name->kind != SegmentFile::transaction_index) { continue; }
        TRY(const auto some, read_transaction_index(disk, directory, name->base));
        all.insert(all.end(), some.begin(), some.end());
    }
    return merged(std::move(all), {});
}

}  // namespace

Result<void> ServedLog::learn_aborted(ServedPartition served) const {
    Partition& partition = *served.partition_;
    Disk& disk = store_of(served).disk();
    auto all = read_aborted(disk, partition.identity().directory);
    // Compaction puts the entries of several segments into the first one's, and may have done so on the way.
    while (!all && all.error().code == Code::not_found) { all = read_aborted(disk, partition.identity().directory); }
    if (!all) { return std::unexpected(all.error()); }
    Guard guard(partition.shard().lock());
    for (const ProducerSnapshotEntry& producer : partition.producers().entries()) {
        const Offset first = producer.transaction_first_offset;
        if (first < Offset{0}) { continue; }
        // It has no marker, and says nothing of those that ended later: -1.
        all->push_back({producer.producer_id, first, std::max(first, producer.last_offset), Offset{-1}});
    }
    std::ranges::sort(*all, {}, &AbortedTransaction::last);
    partition.aborted_transactions = std::make_shared<const std::vector<AbortedTransaction>>(std::move(*all));
    return {};
}

Result<FoundOffset> ServedLog::find_time(ServedPartition served, int64_t timestamp_ms) const {
    Cursor cursor(store_of(served), *served.partition_);
    TRY(const auto place, cursor.seek_time(timestamp_ms));
    if (!place.timestamp_ms) { return FoundOffset{}; }
    return FoundOffset{place.offset, *place.timestamp_ms};
}

// Only batches that claim a larger time than any before are looked into.
Result<FoundOffset> ServedLog::find_largest_time(ServedPartition served) const {
    Cursor cursor(store_of(served), *served.partition_);
    TRY_VOID(cursor.seek(ends(served).log_start));
    FoundOffset found;
    std::vector<std::byte> scratch;
    for (;;) {
        TRY(const auto batch, cursor.next());
        if (!batch) { return found; }
        if (batch->max_timestamp_ms() <= found.timestamp_ms || batch->record_count() == 0) { continue; }
        TRY(auto records, RecordCursor::open(*batch, scratch));
        for (;;) {
            TRY(const auto record, records.next());
            if (!record) { break; }
            if (record->timestamp_ms > found.timestamp_ms) { found = {record->offset, record->timestamp_ms}; }
        }
    }
}

}  // namespace flowstone
