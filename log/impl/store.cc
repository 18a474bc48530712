#include "log/impl/store.h"

#include <algorithm>

#include <fmt/format.h>

#include "log/impl/cursor.h"
#include "log/impl/maintenance.h"
#include "storage/check.h"
#include "storage/fork_guard.h"
#include "storage/mutants.h"
#include "storage/seal.h"
#include "storage/segment_files.h"
#include "storage/segment_scan.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr uint32_t open_files_least = 2 * files_at_once;

}  // namespace

Store::Store(const Environment& environment, std::string path, Options options, const Tuning& tuning)
    : engine_{*environment.disk,
              *environment.clock,
              pool_,
              std::move(path),
              4096,
              tuning.direct_bytes_min,
              std::move(options),
              {},
              {}},
      random_(*environment.random),
      wanted_cluster_(environment.cluster),
      process_token_(process_token()) {
    engine_.store = this;
    engine_.shard_count = tuning.shards > 0 ? tuning.shards : std::max(1u, engine_.options.threads);
    engine_.give_up_reserve = [this] { return give_up_reserve(); };
    engine_.segment_file = [this](Partition& partition, OpenSegment& segment) {
        return segment_file(partition, segment);
    };
    engine_.sync_names = [this](Partition& partition, OpenSegment& segment) {
        const Named one[] = {{&partition, &segment}};
        return sync_names(one);
    };
}

Store::~Store() {
    stop_threads();
    threads_.clear();
}

Result<void> Store::share_tail(uint64_t bytes) {
    const std::lock_guard guard(sharing_lock_);
    if (sharing_ || closed_) { return {}; }
    TRY(sharing_, TailSharing::begin(path(), directory_id(), bytes));
    engine_.sharing.store(sharing_.get(), std::memory_order_release);
    // Batches that nobody was to see before they are full: those that are begun from now on are closed by and by.
    for (Partition* const partition : made_partitions()) {
        Guard shard(partition->shard().lock());
        if (partition->durability() == Durability::memory) { partition->close_batch(pool_); }
    }
    return {};
}

void Store::stop_sharing() {
    const std::lock_guard guard(sharing_lock_);
    engine_.sharing = nullptr;
    // Who saw it holds a shard's lock.
    for (Partition* const partition : made_partitions()) {
        Guard shard(partition->shard().lock());
        partition->hooks.shared_page.reset();
    }
    sharing_.reset();
}

Result<void> Store::usable(const char* operation) const {
    if (!owned_here()) { return fail(Code::closed, operation, "the log belongs to the parent process"); }
    if (closed_.load(std::memory_order_relaxed)) { return fail(Code::closed, operation, path()); }
    return {};
}

void Store::log(std::string_view line) const {
    if (engine_.options.on_log) { engine_.options.on_log(line); }
}

// --- topics ----------------------------------------------------------------------------------------------------------------

void TopicTable::put(int32_t number, Partition* partition) {
    const auto needed = static_cast<size_t>(number) + 1;
    Slots* slots = slots_.load();
    if (slots == nullptr || slots->size() < needed) {
        auto grown = std::make_unique<Slots>(std::max<size_t>(needed, static_cast<size_t>(count.load())));
        for (size_t i = 0; slots != nullptr && i < slots->size(); ++i) { (*grown)[i].store((*slots)[i].load()); }
        slots = grown.get();
        generations_.push_back(std::move(grown));
        slots_.store(slots, std::memory_order_release);
    }
    (*slots)[static_cast<size_t>(number)].store(partition, std::memory_order_release);
}

std::shared_ptr<TopicTable> Store::table_of(const TopicState& topic) {
    auto& table = tables_[topic.name];
    if (!table || table->id != topic.id) {
        table = std::make_shared<TopicTable>();
        table->name = topic.name;
        table->id = topic.id;
        table->internal = topic.internal;
        auto config = TopicConfig::parse(topic.config_map(), topic_defaults_);
        // A config that this release does not accept was written by another: the defaults hold, and nothing is deleted.
        if (!config) {
            log(fmt::format("topic {}: {}; its records are kept", topic.name, config.error().message()));
            config = TopicConfig{};
            config->retention_ms = -1;
        }
        table->config = std::make_shared<const TopicConfig>(std::move(*config));
    }
    table->count = static_cast<int32_t>(topic.partitions.size());
    return table;
}

std::shared_ptr<TopicTable> Store::find_topic(std::string_view name) {
    std::lock_guard guard(meta_lock_);
    if (name == metadata_topic_->name) { return metadata_topic_; }
    const TopicState* topic = metadata_.topic(name);
    return topic == nullptr ? nullptr : table_of(*topic);
}

Result<void> Store::append_metadata(const std::vector<MetadataRecord>& records) {
    if (read_only()) { return fail(Code::read_only, "log.alter", path()); }
    if (records.empty()) { return {}; }
    std::vector<std::vector<std::byte>> values;
    size_t bytes = 0;
    for (const MetadataRecord& record : records) {
        values.push_back(encode(record));
        bytes += values.back().size() + 64;
    }
    TRY(Partition* const partition, this->partition(*metadata_topic_, 0));
    TRY_VOID(load(*partition));
    // One batch: the records hold together or not at all.
    std::vector<std::byte> space(bytes + batch_header_bytes);
    BatchBuilder builder(space, {});
    for (const auto& value : values) {
        const bool fits = builder.append({.key = std::nullopt, .value = as_text(value)}, now_ms());
        CHECK(fits);
    }
    const BatchView batch = builder.close();
    Guard guard(partition->shard().lock());
    TRY_VOID(partition->shard().admit(guard, partition));
    partition->put_batch(batch, pool_);
    const Offset next = partition->closed().offset;
    TRY_VOID(partition->shard().wait_visible(guard, *partition, next));
    guard.unlock();
    for (const MetadataRecord& record : records) { TRY_VOID(metadata_.apply(record)); }
    return {};
}

std::shared_ptr<TopicTable> Store::find_topic(const Uuid& id) {
    std::lock_guard guard(meta_lock_);
    const TopicState* topic = metadata_.topic(id);
    return topic == nullptr ? nullptr : table_of(*topic);
}

// Under meta_lock: the records that make the topic.
Result<std::vector<MetadataRecord>> Store::plan_topic(std::string_view name, NewTopic topic) {
    if (!topic.internal && is_internal_topic(name)) {
        return fail(Code::invalid, "topic.create", fmt::format("topic {} is internal", name));
    }
    ConfigMap& configs = topic.options.configs;
    // Who limits the size, or compacts, does not ask for an age.
    const bool told = std::ranges::any_of(configs, [](const auto& config) { return config.first == "retention.ms"; });
    if (topic.kept_for_ever && !told && !topic.internal) { configs.emplace_back("retention.ms", "-1"); }
    return metadata_.create_topic({.name = name,
                                   .id = topic.id ? *topic.id : random_.uuid(),
                                   .partitions = topic.options.partitions,
                                   .configs = configs,
                                   .placement = {.broker = 1, .directory = directory_id_, .each_in = topic.each_in}});
}

Result<std::shared_ptr<TopicTable>> Store::create_topic(std::string_view name, NewTopic topic) {
    std::lock_guard guard(meta_lock_);
    if (const TopicState* known = metadata_.topic(name)) {
        if (topic.options.exists_ok) { return table_of(*known); }
        return fail(Code::exists, "topic.create", fmt::format("topic {}", name));
    }
    TRY_VOID(set_not_aside());
    TRY(const auto records, plan_topic(name, std::move(topic)));
    TRY_VOID(append_metadata(records));
    return table_of(*metadata_.topic(name));
}

Result<void> Store::check_new_topic(std::string_view name, NewTopic topic) {
    std::lock_guard guard(meta_lock_);
    if (metadata_.topic(name) != nullptr) { return fail(Code::exists, "topic.create", fmt::format("topic {}", name)); }
    TRY(const auto records, plan_topic(name, std::move(topic)));
    return {};
}

Result<void> Store::delete_topic(std::string_view name) {
    std::vector<std::string> aside;
    {
        std::lock_guard guard(meta_lock_);
        TRY(const auto records, metadata_.delete_topic(name));
        if (is_internal_topic(name)) {
            return fail(Code::invalid, "topic.delete", fmt::format("topic {} is internal", name));
        }
        const std::shared_ptr<TopicTable> table = table_of(*metadata_.topic(name));
        TRY_VOID(append_metadata(records));
        tables_.erase(table->name);
        std::vector<Partition*> gone;
        {
            std::lock_guard files(files_lock_);
            table->deleted = true;  // from here on no partition of it is made
            for (int32_t i = 0; i < table->count; ++i) {
                if (Partition* partition = table->find(i)) { gone.push_back(partition); }
            }
        }
        for (Partition* partition : gone) {
            Guard shard_guard(partition->shard().lock());
            partition->shard().drop(shard_guard, *partition);
        }
        not_aside_.push_back(table);
        auto set = set_not_aside();
        note_loss(set ? Result<void>{} : std::unexpected(set.error()));
        TRY(aside, std::move(set));
        std::lock_guard files(files_lock_);
        for (Partition* partition : gone) {
            Guard shard_guard(partition->shard().lock());
            for (const auto& segment : partition->segments()) { segment->file.reset(); }
        }
    }
    if (engine_.options.threads > 0) {
        maintain_due_ = true;
        wake_filler();
        return {};
    }
    std::lock_guard one(maintain_lock_);
    for (const std::string& directory : aside) { TRY_VOID(remove_directory(directory)); }
    auto synced = mutated(Mutant::deletion_gone) ? Result<void>{} : disk().sync_directory(path());
    note_loss(synced);
    return synced;
}

// Before anyone can make a topic of such a name again: its directories would have the same names. Returns the new ones.
Result<std::vector<std::string>> Store::set_not_aside() {
    std::vector<std::string> aside;
    while (!not_aside_.empty()) {
        TRY(const auto names, set_aside(*not_aside_.back()));
        aside.insert(aside.end(), names.begin(), names.end());
        not_aside_.pop_back();
    }
    return aside;
}

Result<void> Store::add_partitions(std::string_view name, int32_t total, std::vector<Uuid> each_in) {
    std::lock_guard guard(meta_lock_);
    const Placement placement{.broker = 1, .directory = directory_id_, .each_in = std::move(each_in)};
    TRY(const auto records, metadata_.add_partitions(name, total, placement));
    TRY_VOID(append_metadata(records));
    table_of(*metadata_.topic(name));
    return {};
}

Result<void> Store::alter_topic(std::string_view name, const ConfigMap& set, std::span<const std::string> unset) {
    // Held to the end: a metadata record appended while appends are held would wait for us, and we for its lock.
    std::lock_guard guard(meta_lock_);
    TRY(const auto records, metadata_.alter_configs(name, set, unset));
    const auto table = table_of(*metadata_.topic(name));
    const Durability before = table->config->durability;
    TRY_VOID(append_metadata(records));
    TRY(auto parsed, TopicConfig::parse(metadata_.topic(name)->config_map(), topic_defaults_));
    const bool changed = parsed.durability != before;
    const auto config = std::make_shared<const TopicConfig>(std::move(parsed));

    // A level changes at a quiet moment, with everything synced: raising it syncs what is below first (JOURNAL 4.2), and
    // each level counts on how the others left the last block of the file.
    Result<void> done;
    if (changed) {
        for (auto& shard : shards_) { shard->hold_appends(true); }
        done = quiesce();
    }
    set_config(*table, config, changed);
    if (changed) {
        for (auto& shard : shards_) { shard->hold_appends(false); }
    }
    return done;
}

// Under meta_lock. `reopen`: its files are opened another way from now on.
void Store::set_config(TopicTable& table, const std::shared_ptr<const TopicConfig>& config, bool reopen) {
    const std::lock_guard files(files_lock_);  // partitions made after this begin with it
    table.config = config;
    for (int32_t i = 0; i < table.count; ++i) {
        Partition* partition = table.find(i);
        if (partition == nullptr) { continue; }
        Guard shard_guard(partition->shard().lock());
        partition->close_batch(pool_);
        partition->set_config(config);
        if (reopen) {
            for (const auto& segment : partition->segments()) { segment->file.reset(); }
        }
    }
}

Result<void> Store::set_topic_defaults(const ConfigMap& defaults) {
    TRY(const auto parsed, TopicConfig::parse({}, defaults));
    if (parsed.durability != TopicConfig{}.durability) {
        return fail(Code::invalid, "log.set_topic_defaults", "a level of durability is a topic's own");
    }
    std::lock_guard guard(meta_lock_);
    topic_defaults_ = defaults;
    for (const auto& [name, table] : tables_) {
        auto config = TopicConfig::parse(metadata_.topic(name)->config_map(), topic_defaults_);
        if (config) { set_config(*table, std::make_shared<const TopicConfig>(std::move(*config)), false); }
    }
    return {};
}

Result<void> Store::quiesce() {
    for (auto& shard : shards_) {
        Guard guard(shard->lock());
        TRY_VOID(shard->flush(guard));
    }
    return checkpoint({.exact = true});
}

std::vector<TopicInfo> Store::topics() {
    std::lock_guard guard(meta_lock_);
    std::vector<TopicInfo> out;
    for (const auto& [name, topic] : metadata_.topics()) {
        const auto table = table_of(*topic);
        out.push_back({name, topic->id, static_cast<int32_t>(topic->partitions.size()), table->config->durability,
                       topic->config_map(), topic->internal});
    }
    return out;
}

std::vector<Loss> Store::losses() {
    std::vector<Loss> out;
    for (const TopicInfo& topic : topics()) {
        const auto table = find_topic(topic.id);
        for (int32_t number = 0; table != nullptr && number < topic.partitions; ++number) {
            const auto lost = lost_of(*table, number);
            if (lost) { out.push_back({topic.name, number, lost->begin, lost->end}); }
        }
    }
    return out;
}

// Opening sets it and nothing changes it after; of a partition that nobody used yet, the checkpoint says it.
std::optional<LostRange> Store::lost_of(const TopicTable& topic, int32_t number) {
    if (const Partition* const made = topic.find(number)) { return made->lost; }
    const std::lock_guard persisted(persisted_lock_);
    const auto said = persisted_.find({topic.id, number});
    return said == persisted_.end() ? std::nullopt : said->second.lost;
}

Result<int64_t> Store::new_producer_id() {
    std::lock_guard guard(meta_lock_);
    if (producer_id_next_ == producer_id_end_) {
        const int64_t first = metadata_.next_producer_id();
        TRY(const auto records, metadata_.allocate_producer_ids(1, 1));
        TRY_VOID(append_metadata(records));
        producer_id_next_ = first;
        producer_id_end_ = first + producer_id_block;
    }
    return producer_id_next_++;
}

std::vector<Partition*> Store::made_partitions() {
    const std::lock_guard files(files_lock_);
    std::vector<Partition*> out;
    for (const auto& partition : partitions_) { out.push_back(partition.get()); }
    return out;
}

// --- partitions --------------------------------------------------------------------------------------------------------------

Shard& Store::shard_of(const Uuid& topic, int32_t partition) {
    const auto mixed =
        static_cast<uint64_t>(std::to_integer<uint32_t>(topic.bytes[15])) + static_cast<uint64_t>(partition);
    return *shards_[mixed % shards_.size()];
}

Result<Partition*> Store::partition(TopicTable& topic, int32_t number) {
    if (Partition* found = topic.find(number)) { return found; }
    if (number < 0 || number >= topic.count) {
        return fail(Code::out_of_range, "topic.partition",
                    fmt::format("topic {} has partitions 0 to {}, not {}", topic.name, topic.count.load() - 1, number));
    }
    std::lock_guard guard(files_lock_);
    if (Partition* found = topic.find(number)) { return found; }
    if (topic.deleted) {
        return fail(Code::not_found, "topic.partition", fmt::format("topic {} was deleted", topic.name));
    }
    return make_partition(topic, number);
}

Result<Partition*> Store::make_partition(TopicTable& topic, int32_t number) {
    const std::string directory = join_path(path(), partition_directory_name({topic.name, number}));
    auto partition = std::make_unique<Partition>(
        shard_of(topic.id, number),
        Partition::Identity{topic.name, topic.id, number, directory, cluster_, topic.internal}, topic.config,
        engine_.block_bytes);
    std::optional<PartitionCheckpoint> known;
    {
        const std::lock_guard persisted(persisted_lock_);
        if (const auto said = persisted_.find({topic.id, number}); said != persisted_.end()) { known = said->second; }
    }
    Partition::Start start;
    std::unique_ptr<SegmentIndex> index;
    if (!known) {
        index = std::make_unique<SegmentIndex>(directory, Offset{0});
        partition->hooks.loaded = true;
        partition->closed_segments_known = true;
    } else {
        const PartitionCheckpoint& checkpoint = *known;
        start = start_of(checkpoint, topic.config->durability);
        index = std::make_unique<SegmentIndex>(directory, checkpoint.segment_base, checkpoint.index);
        partition->compacted_end = checkpoint.compacted_end;
        partition->lost = checkpoint.lost;
        TRY_VOID(partition->producers().decode_window(checkpoint.producers));
    }
    partition->start(std::move(start), std::move(index));
    if (!known) { partition->active().seal = std::make_unique<SealBuilder>(partition->seal_place(Offset{0})); }
    Partition* made = partition.get();
    {
        Guard guard(made->shard().lock());
        made->shard().adopt(*made);
    }
    partitions_.push_back(std::move(partition));
    topic.put(number, made);
    return made;
}

Partition::Start Store::start_of(const PartitionCheckpoint& said, Durability level) {
    return {.segment_base = said.segment_base,
            .bytes = said.synced_bytes,
            .boundary = said.boundary,
            .boundary_offset = said.boundary_offset,
            .log_start = said.log_start,
            .epochs = said.epochs,
            .proven_end = level == Durability::durable ? said.producers_end : said.boundary_offset};
}

Epoch Store::epoch_after(const std::vector<EpochStart>& epochs) const {
    return Epoch{std::max<int64_t>(generation_, epochs.empty() ? 0 : epochs.back().epoch.value + 1)};
}

Epoch Store::leader_epoch(const TopicTable& topic, int32_t number) {
    if (Partition* partition = topic.find(number)) {
        Guard guard(partition->shard().lock());
        return partition->hooks.needs_epoch ? epoch_after(partition->epochs()) : partition->epoch();
    }
    const std::lock_guard persisted(persisted_lock_);
    const auto said = persisted_.find({topic.id, number});
    return epoch_after(said == persisted_.end() ? std::vector<EpochStart>{} : said->second.epochs);
}

// One thread reads, without a lock that others need, and those that come meanwhile wait for it.
Result<void> Store::load(Partition& partition, bool starts_epoch) {
    Partition::Hooks& hooks = partition.hooks;
    Guard guard(partition.shard().lock());
    while (hooks.loading) { ThreadWorld::sleep(guard, hooks.load_word, -1); }
    if (!hooks.loaded) {
        hooks.loading = true;
        auto done = load_unfinished(guard, partition);
        hooks.loading = false;
        hooks.loaded = done.has_value();
        ThreadWorld::change(hooks.load_word);
        wake_all(hooks.load_word);
        if (!done) { return done; }
    }
    if (hooks.needs_epoch && starts_epoch && !read_only()) {
        // The first append after each opening starts a new leader epoch, so whoever read what a crash took back learns of it.
        partition.start_epoch(epoch_after(partition.epochs()));
        hooks.needs_epoch = false;
    }
    return {};
}

// Gives the lock up while it reads.
Result<void> Store::load_unfinished(Guard& guard, Partition& partition) {
    OpenSegment& active = partition.active();  // stays it: nobody appends before this is done
    const uint64_t bytes = partition.closed().at - active.begin;
    const bool no_fragment = bytes > 0 && partition.chunk_of(partition.closed().at - 1) == nullptr;
    guard.unlock();
    auto seal = unfinished_seal(partition, active, bytes);
    const uint64_t unfinished = align_down(bytes, engine_.block_bytes);
    std::vector<std::byte> fragment;
    Result<void> done;
    if (seal && unfinished < bytes && no_fragment) {
        done = read_back(partition, active, unfinished, bytes,
                         [&](Bytes part) { fragment.insert(fragment.end(), part.begin(), part.end()); });
    }
    guard.lock();
    if (!seal) { return std::unexpected(seal.error()); }
    TRY_VOID(std::move(done));
    if (partition.hooks.deleted) {
        return fail(Code::not_found, "partition.load", fmt::format("topic {} was deleted", partition.identity().topic));
    }
    active.seal = std::move(*seal);
    if (!fragment.empty()) { partition.adopt_fragment(fragment, pool_); }
    return {};
}

// The seal so far of a segment of `bytes`: what the checkpoint knows of it, and the rest hashed.
Result<std::unique_ptr<SealBuilder>> Store::unfinished_seal(Partition& partition, OpenSegment& active, uint64_t bytes) {
    std::vector<Hash128> pieces;
    {
        const std::lock_guard persisted(persisted_lock_);
        const auto known = persisted_.find({partition.identity().topic_id, partition.identity().number});
        if (known != persisted_.end() && known->second.segment_base == active.base) {
            pieces = known->second.seal_pieces;
        }
    }
    const uint64_t hashed = std::min<uint64_t>(pieces.size() * seal_piece_bytes, align_down(bytes, seal_piece_bytes));
    pieces.resize(hashed / seal_piece_bytes);
    auto seal = std::make_unique<SealBuilder>(partition.seal_place(active.base), std::move(pieces));
    TRY_VOID(read_back(partition, active, hashed, bytes, [&](Bytes part) { seal->update(part); }));
    return seal;
}

// The bytes [begin, end) of an unfinished segment, from its file and, behind what is filled, from memory.
Result<void> Store::read_back(Partition& partition, OpenSegment& segment, uint64_t begin, uint64_t end,
                              const std::function<void(Bytes)>& take) {
    if (begin == end) { return {}; }
    std::vector<Bytes> pieces;
    std::vector<BufferRef> pins;
    uint64_t filled;
    {
        Guard guard(partition.shard().lock());
        filled = std::clamp(partition.filled_from(segment.begin + begin), segment.begin + begin, segment.begin + end) -
                 segment.begin;
        if (filled < end) {
            partition.pieces(segment.begin + filled, segment.begin + end, Partition::Cut::batches, pieces, pins);
        }
    }
    if (begin < filled) {
        TRY(const auto file, open_segment(partition, segment.base));
        const uint64_t from = align_down(begin, engine_.block_bytes);
        const BufferRef buffer = pool_.take(1u << 20);
        for (uint64_t at = from; at < filled; at += buffer->capacity()) {
            const uint64_t size = std::min<uint64_t>(buffer->capacity(), align_up(filled, engine_.block_bytes) - at);
            TRY(const uint64_t got,
                read_at(disk(), *file, BytePos{static_cast<int64_t>(at)}, MutableBytes(buffer->data(), size)));
            const uint64_t until = std::min(filled, at + size);
            if (at + got < until) {
                return fail(Code::corrupt, "partition.load",
                            fmt::format("{} is cut short: {} bytes were proven", file->path(), filled));
            }
            const uint64_t skip = std::max(begin, at) - at;
            take(Bytes(buffer->data() + skip, until - at - skip));
        }
    }
    for (const Bytes& piece : pieces) { take(piece); }
    return {};
}

Result<std::shared_ptr<File>> Store::open_segment(const Partition& partition, Offset base) {
    const std::string name = join_path(partition.identity().directory, segment_file_name(base, SegmentFile::log));
    TRY(auto file, disk().open(name, {.direct = partition.durability() != Durability::written}));
    return std::shared_ptr<File>(std::move(file));
}

// Those that nobody writes to or syncs just now, an eighth of them: whoever is at it looks at each partition once at most.
// What was written to them and is not synced is remembered (OpenSegment::unsynced), and synced when they are open again.
void Store::close_some_files() {
    const size_t keep = *files_open_ - *files_open_ / 8;
    for (size_t looked = 0; looked < partitions_.size() && *files_open_ > keep; ++looked) {
        Partition& partition = *partitions_[files_hand_++ % partitions_.size()];
        Guard guard(partition.shard().lock());
        if (partition.hooks.filling || partition.hooks.writing) { continue; }
        for (const auto& segment : partition.segments()) {
            if (segment->file.use_count() == 1) { segment->file.reset(); }
        }
    }
}

Result<std::shared_ptr<File>> Store::segment_file(Partition& partition, OpenSegment& segment) {
    std::lock_guard guard(files_lock_);
    if (segment.file) { return segment.file; }
    if (*files_open_ >= std::max(options().open_files_max, open_files_least)) { close_some_files(); }
    const Partition::Identity& identity = partition.identity();
    const std::string name = join_path(identity.directory, segment_file_name(segment.base, SegmentFile::log));
    const bool direct = partition.durability() != Durability::written;
    bool made_now = false;
    auto file = disk().open(name, {.write = true, .direct = direct});
    if (!file && file.error().code == Code::not_found) {
        Partition* const one[] = {&partition};
        TRY_VOID(make_directories(one));
        file = disk().open(name, {.write = true, .create = true, .direct = direct});
        made_now = true;
    }
    if (!file) { return std::unexpected(file.error()); }
    std::shared_ptr<File> opened(file->release(), [count = files_open_](File* last) {
        delete last;
        count->fetch_sub(1);
    });
    files_open_->fetch_add(1);
    // Set under both locks, so that either is enough to read it.
    Guard shard_guard(partition.shard().lock());
    segment.names_unsynced = segment.names_unsynced || made_now;
    segment.file = opened;
    return opened;
}

// Each gets a directory that says whose it is, if there is none yet. Its topic may be deleted meanwhile: a deletion waits
// for the checkpoint, or the fill, before it looks for directories.
Result<void> Store::make_directories(std::span<Partition* const> partitions) {
    const std::lock_guard one(making_lock_);
    std::vector<Partition*> made_for;
    std::vector<std::string> texts;
    std::vector<Replacement> said;
    texts.reserve(partitions.size());
    for (Partition* partition : partitions) {
        const Partition::Identity& identity = partition->identity();
        {
            Guard guard(partition->shard().lock());
            if (partition->hooks.has_directory || partition->hooks.deleted) { continue; }
        }
        made_for.push_back(partition);
        auto made = disk().make_directory(identity.directory);
        if (!made && made.error().code != Code::exists) { return std::unexpected(made.error()); }
        if (made) { directories_made_.fetch_add(1); }
        std::string path = join_path(identity.directory, partition_metadata_file_name);
        // A crash may have left a directory that does not say whose it is: whoever comes after a deletion must know.
        if (!made && disk().info(path)) { continue; }
        said.push_back({std::move(path), as_bytes(texts.emplace_back(format_partition_metadata(identity.topic_id)))});
    }
    TRY_VOID(replace_files(disk(), said));
    for (Partition* partition : made_for) {
        Guard guard(partition->shard().lock());
        partition->hooks.has_directory = true;
    }
    return {};
}

Result<void> Store::sync_names(std::span<const Named> named) {
    if (named.empty()) { return {}; }
    std::vector<std::string> directories;
    for (const Named& one : named) { directories.push_back(one.partition->identity().directory); }
    if (!mutated(Mutant::partition_directory)) { TRY_VOID(disk().sync_directories(directories)); }
    const uint64_t made = directories_made_.load();
    if (directories_synced_.load() < made) {
        if (!mutated(Mutant::root_directory)) { TRY_VOID(disk().sync_directory(path())); }
        uint64_t synced = directories_synced_.load();
        while (synced < made && !directories_synced_.compare_exchange_weak(synced, made)) {}
    }
    for (const Named& one : named) { one.segment->names_unsynced = false; }
    return {};
}

Result<void> Store::know_closed_segments(Partition& partition) {
    {
        Guard guard(partition.shard().lock());
        if (partition.closed_segments_known) { return {}; }
    }
    auto listing = list_segments(disk(), partition.identity().directory);
    if (!listing && listing.error().code != Code::not_found) { return std::unexpected(listing.error()); }
    std::vector<ClosedSegment> found;
    if (listing) {
        for (const SegmentListing& segment : listing->segments) {
            TRY(const FileInfo info, disk().info(join_path(partition.identity().directory,
                                                           segment_file_name(segment.base, SegmentFile::log))));
            found.push_back({segment.base, {}, info.bytes, -1, checkpoint_number_ + 1});
        }
    }
    Guard guard(partition.shard().lock());
    if (partition.closed_segments_known) { return {}; }
    const Offset first_open = partition.segments().front()->base;
    std::erase_if(found, [&](const ClosedSegment& segment) {
        return segment.base >= first_open ||
               std::ranges::find(partition.replaced, segment.base) != partition.replaced.end();
    });
    for (size_t i = 0; i < found.size(); ++i) { found[i].end = i + 1 < found.size() ? found[i + 1].base : first_open; }
    partition.closed_segments = std::move(found);
    partition.closed_segments_known = true;
    return {};
}

Result<void> Store::note_aborted(Partition& partition, Offset segment_base, Offset end,
                                 std::span<const AbortedTransaction> aborted) {
    Partition* const one[] = {&partition};
    TRY_VOID(make_directories(one));
    if (!mutated(Mutant::aborted_directory)) { TRY_VOID(disk().sync_directory(path())); }
    const std::string& directory = partition.identity().directory;
    auto known = read_transaction_index(disk(), directory, segment_base);
    if (!known && known.error().code != Code::not_found) { return std::unexpected(known.error()); }
    std::vector<AbortedTransaction> all = known ? std::move(*known) : std::vector<AbortedTransaction>{};
    std::erase_if(all, [&](const AbortedTransaction& one_of_all) { return one_of_all.last >= end; });
    return write_transaction_index(disk(), directory, segment_base, merged(std::move(all), aborted));
}

// Without a seal nobody can tell.
bool Store::is_whole(const Partition& partition, Offset base, uint64_t bytes) {
    const auto seal = read_seal(disk(), partition.identity().directory, base);
    return !seal || seal->bytes <= bytes;
}

Result<void> Store::poll() {
    for (auto& shard : shards_) {
        Guard guard(shard->lock());
        if (shard->has_committer()) { continue; }
        if (shard->commit_due()) { TRY_VOID(shard->commit_if_free(guard)); }
        if (shard->fill_wanted() && !shard->filling()) { TRY_VOID(shard->fill(guard)); }
    }
    return {};
}

// --- threads -------------------------------------------------------------------------------------------------------------------

void Store::start_thread(const std::string& name, std::function<void()> body) {
    threads_running_.fetch_add(1);
    threads_.emplace_back(name, [this, run = std::move(body)] {
        run();
        threads_running_.fetch_sub(1);
        wake_all(threads_running_);
    });
}

void Store::start_threads() {
    if (engine_.options.threads == 0 || read_only()) { return; }
    for (auto& shard : shards_) {
        shard->wake_filler = [this] {
            if (fill_asleep_.load(std::memory_order_relaxed)) { wake_filler(); }
        };
        {
            Guard guard(shard->lock());
            shard->set_committer(true);
        }
        start_thread(fmt::format("flowstone-{}", shard->number()),
                     [this, raw = shard.get()] { raw->run_committer(stopping_); });
    }
    start_thread("flowstone-fill", [this] { run_filler(); });
}

// They end after the step they are at. From then on whoever waits does the work.
void Store::stop_threads() {
    stopping_ = true;
    for (auto& shard : shards_) {
        Guard guard(shard->lock());
        if (!shard->has_committer()) { continue; }
        shard->wake_committer();
        shard->set_committer(false);
    }
    fill_work_.fetch_add(1);
    wake_all(fill_work_);
}

void Store::wake_filler() {
    if (fill_asleep_.exchange(false)) {
        fill_work_.fetch_add(1);
        wake_all(fill_work_);
    }
}

void Store::run_filler() {
    int64_t maintain_next_ns = clock().monotonic_ns() + maintain_every_ns;
    while (!stopping_) {
        const uint32_t seen = fill_work_.load();
        fill_asleep_ = true;
        bool worked = false;
        for (auto& shard : shards_) {
            Guard guard(shard->lock());
            if (shard->failure() || shard->filling() || !shard->fill_wanted()) { continue; }
            const auto filled = shard->fill(guard);
            worked = worked || (filled && *filled);
        }
        if (relief_due_.exchange(false)) {
            for (auto& shard : shards_) { (void)relieve_now(*shard, false); }
            worked = true;
        }
        if (maintain_due_.exchange(false) || clock().monotonic_ns() >= maintain_next_ns) {
            if (auto done = maintain(); !done && !stopping_) { log(done.error().message()); }
            maintain_next_ns = clock().monotonic_ns() + maintain_every_ns;
            worked = true;
        }
        if (!worked) { sleep_while(fill_work_, seen, 1'000'000'000); }
    }
}

}  // namespace flowstone
