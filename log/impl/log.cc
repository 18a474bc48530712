// The public face: checks what the caller says, finds the partition, takes the shard's lock.
#include <flowstone/log.h>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "log/consumer_offsets.h"
#include "log/environment.h"
#include "log/impl/cursor.h"
#include "log/impl/group_offsets.h"
#include "log/impl/log_access.h"
#include "log/impl/put.h"
#include "log/impl/store.h"
#include "storage/check.h"
#include "storage/limits.h"
#include "storage/try.h"

// Members of an exported class are exported with it, unless told.
#define FLOWSTONE_HIDDEN [[gnu::visibility("hidden")]]

namespace flowstone {

struct FLOWSTONE_HIDDEN Topic::Impl {
    Store* store = nullptr;
    std::shared_ptr<TopicTable> table;  // owners: the store's table of topics, and each handle
    std::shared_ptr<Store> snapshot;    // read-only: keeps a store that is newer than the log's own
    Store* opened = nullptr;            // the log's own, which is asked for newer ones
};

struct FLOWSTONE_HIDDEN Log::Impl {
    std::unique_ptr<Disk> own_disk;  // null in another environment
    std::unique_ptr<Store> store;
    std::unique_ptr<GroupOffsets> offsets;
};

struct FLOWSTONE_HIDDEN Reader::Impl {
    Store* store;
    Partition* partition;
    std::shared_ptr<Store> snapshot;  // read-only: keeps `store` when it is not the log's own; outlives what follows
    Store* opened;                    // the log's own
    std::optional<Cursor> cursor;
    Offset position;  // records below it are passed over
    std::vector<std::byte> scratch;
    std::optional<RecordCursor> records;
    std::optional<Error> broken;  // found while iterating; told by the next call
    Offset first_wanted{0};       // of the batch being iterated

    Result<void> wait(uint32_t seen, int64_t timeout_ns);
    Result<bool> look_again(bool at_once, bool seek = true);
};

namespace {

constexpr int64_t beside_wait_ns = 100'000'000;  // a reader beside a writer looks again this often
constexpr int append_step_looks_max = 1'000;     // at a partition that others append to meanwhile

// A log that was moved from, or that a forked child inherited, is closed.
template <class Impl>
Result<void> owned(const Impl* impl, const char* operation) {
    if (impl == nullptr) { return fail(Code::closed, operation, "the log was moved away"); }
    if (!impl->store->owned_here()) { return fail(Code::closed, operation, "the log belongs to the parent process"); }
    return {};
}

template <class Impl>
Result<void> usable(const Impl* impl, const char* operation) {
    TRY_VOID(owned(impl, operation));
    return impl->store->usable(operation);
}

std::unexpected<Error> not_appended(const Error& error) { return std::unexpected(error.with_fate(Fate::not_appended)); }

int32_t choose_partition(TopicTable& table, const Record& record, const AppendOptions& options) {
    if (options.partition) { return *options.partition; }
    const int32_t count = table.count.load(std::memory_order_relaxed);
    if (record.key) { return partition_for_key(as_bytes(*record.key), count); }
    // Sticky: one partition for as long as a batch lasts, so that batches are full.
    return static_cast<int32_t>(table.sticky.load(std::memory_order_relaxed) % static_cast<uint32_t>(count));
}

// Records that go to one partition: one lock, one look at the clock, checked before the first is taken. Notes where each
// went; the last is returned.
Result<Pending> append_run(Store& store, TopicTable& table, int32_t number, std::span<const Record> records,
                           std::vector<Position>& positions) {
    auto partition = ready_partition(store, table, number);
    if (!partition) { return not_appended(partition.error()); }
    Partition& target = **partition;
    Shard& shard = target.shard();
    Guard guard(shard.lock());
    TRY_VOID(shard.admit(guard, &target));
    const int64_t now = store.now_ms();
    for (const Record& record : records) {
        if (auto good = check_record(target, record, BatchBuilder::record_bytes_max(record), now); !good) {
            return not_appended(good.error());
        }
    }
    for (size_t taken = 0; taken < records.size();) {
        const Offset first = target.next_offset();
        const size_t count = fill_batch(target, records.subspan(taken), now);
        if (count == 0) {
            // Many records may be more than memory is meant to hold: a commit or fill comes between the batches.
            if (taken > 0) {
                shard.appended(guard, target);
                if (auto room = shard.admit(guard, &target); !room) {
                    return std::unexpected(room.error().with_fate(Fate::unknown_until_reopen));
                }
            }
            const Record& record = records[taken];
            positions.push_back({number, put_in_fresh_batch(store, target, record, now)});
            if (!record.key) { table.sticky.fetch_add(1, std::memory_order_relaxed); }
            ++taken;
            continue;
        }
        for (size_t i = 0; i < count; ++i) { positions.push_back({number, first + static_cast<int64_t>(i)}); }
        taken += count;
    }
    shard.appended(guard, target);
    return Pending{positions.back(), shard.number(), &target};
}

// Moves the log start, durable in the journal when it returns.
Result<Offset> trim(Partition& partition, Offset before) {
    Shard& shard = partition.shard();
    Guard guard(shard.lock());
    TRY_VOID(shard.admit(guard, &partition));
    if (partition.durability() == Durability::memory) { partition.close_batch(shard.engine().pool); }
    if (before > partition.visible().offset || before.value < 0) {
        return fail(
            Code::out_of_range, "topic.delete_records",
            fmt::format("offset {} of {}-{} is above the high watermark {}", before.value, partition.identity().topic,
                        partition.identity().number, partition.visible().offset.value));
    }
    if (before <= partition.log_start()) { return partition.log_start(); }
    shard.queue({&partition, EntryKind::trim, partition.closed().at, partition.closed().at, before, before,
                 partition.epoch(), 0});
    TRY_VOID(shard.flush(guard));
    return partition.log_start();
}

}  // namespace

// --- Topic -------------------------------------------------------------------------------------------------------------------

Topic::Topic(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
const std::string& Topic::name() const noexcept { return impl_->table->name; }
int32_t Topic::partitions() const noexcept { return impl_->table->count; }

Result<Pending> Topic::append_async(const Record& record, const AppendOptions& options) noexcept {
    if (options.producer) { return append_idempotent({&record, 1}, options); }
    Store& store = *impl_->store;
    TopicTable& table = *impl_->table;
    const int32_t number = choose_partition(table, record, options);
    auto partition = ready_partition(store, table, number);
    if (!partition) { return not_appended(partition.error()); }
    Shard& shard = (*partition)->shard();
    const size_t bytes = BatchBuilder::record_bytes_max(record);
    Guard guard(shard.lock());
    if (!options.may_wait && shard.would_wait(**partition)) {
        shard.hurry();
        return not_appended(fail(Code::busy, "topic.append", "dirty_bytes_max is reached").error());
    }
    TRY_VOID(shard.admit(guard, *partition));
    const int64_t now = store.now_ms();
    if (auto good = check_record(**partition, record, bytes, now); !good) { return not_appended(good.error()); }
    const Offset offset = put_record(store, **partition, record, now);
    if (!record.key && (*partition)->builder() != nullptr && (*partition)->builder()->count() == 1) {
        table.sticky.fetch_add(1, std::memory_order_relaxed);
    }
    shard.appended(guard, **partition);
    return Pending{{number, offset}, shard.number(), *partition};
}

Result<Position> Topic::append(const Record& record, const AppendOptions& options) noexcept {
    TRY(const Pending pending, append_async(record, options));
    TRY_VOID(wait_for(pending));
    return pending.at;
}

Result<void> Topic::wait_for(const Pending& pending) const {
    auto* partition = static_cast<Partition*>(const_cast<void*>(pending.owner));
    Guard guard(partition->shard().lock());
    return partition->shard().wait_visible(guard, *partition, pending.at.offset + 1);
}

Result<void> Topic::wait(int32_t number, Offset end, std::chrono::milliseconds timeout) const noexcept {
    TRY_VOID(owned(impl_.get(), "topic.wait"));
    Partition* const partition = impl_->table->find(number);
    if (partition == nullptr) {
        return fail(Code::invalid, "topic.wait", fmt::format("nothing was appended to {}-{}", name(), number));
    }
    const int64_t now = impl_->store->clock().monotonic_ns();
    const int64_t timeout_ns = std::clamp<int64_t>(timeout.count(), 0, (INT64_MAX - now) / 1'000'000) * 1'000'000;
    Guard guard(partition->shard().lock());
    return partition->shard().wait_visible(guard, *partition, end, now + timeout_ns);
}

Result<std::vector<Position>> Topic::append(std::span<const Record> records, const AppendOptions& options) noexcept {
    std::vector<Position> positions;
    std::vector<Pending> last;  // one for each partition that took any
    if (options.producer) {
        TRY(const Pending first, append_idempotent(records, options));
        TRY_VOID(wait_for({{first.at.partition, first.at.offset + (static_cast<int64_t>(records.size()) - 1)},
                           first.shard,
                           first.owner}));
        for (size_t i = 0; i < records.size(); ++i) {
            positions.push_back({first.at.partition, first.at.offset + static_cast<int64_t>(i)});
        }
        return positions;
    }
    positions.reserve(records.size());
    for (size_t begin = 0, end = 0; begin < records.size(); begin = end) {
        const int32_t number = choose_partition(*impl_->table, records[begin], options);
        for (end = begin + 1; end < records.size(); ++end) {
            if (!options.partition && choose_partition(*impl_->table, records[end], options) != number) { break; }
        }
        TRY(const Pending pending,
            append_run(*impl_->store, *impl_->table, number, records.subspan(begin, end - begin), positions));
        auto same = std::ranges::find(last, pending.owner, &Pending::owner);
        if (same == last.end()) {
            last.push_back(pending);
        } else {
            *same = pending;
        }
    }
    for (const Pending& pending : last) { TRY_VOID(wait_for(pending)); }
    return positions;
}

// Records of one producer become a batch of their own, so that the batch can be recognised when it comes again.
Result<Pending> Topic::append_idempotent(std::span<const Record> records, const AppendOptions& options) {
    Store& store = *impl_->store;
    if (!options.partition || records.empty()) {
        return not_appended(fail(Code::invalid, "topic.append", "a producer needs a partition and records").error());
    }
    auto partition = ready_partition(store, *impl_->table, *options.partition);
    if (!partition) { return not_appended(partition.error()); }
    Partition& target = **partition;
    Shard& shard = target.shard();
    Guard guard(shard.lock());
    TRY_VOID(shard.admit(guard, &target));
    const int64_t now = store.now_ms();
    if (auto good = check_producer_batch(target, records); !good) { return not_appended(good.error()); }
    for (const Record& record : records) {
        if (auto good = check_record(target, record, BatchBuilder::record_bytes_max(record), now); !good) {
            return not_appended(good.error());
        }
    }
    target.close_batch(store.engine().pool);
    auto known = target.producers().check({options.producer->producer_id, options.producer->epoch,
                                           options.producer->sequence, static_cast<int32_t>(records.size())});
    if (!known) { return not_appended(known.error()); }
    if (*known) { return Pending{{*options.partition, (*known)->base_offset}, shard.number(), &target}; }
    BatchBuilder::Options producer;
    producer.producer_id = options.producer->producer_id;
    producer.producer_epoch = options.producer->epoch;
    producer.base_sequence = options.producer->sequence;
    const Offset base = put_records(store, target, records, producer, 0, now);
    shard.appended(guard, target);
    return Pending{{*options.partition, base}, shard.number(), &target};
}

Result<Pending> Topic::append_batch(int32_t number, std::span<const std::byte> bytes) noexcept {
    TRY(const PutBatch put, append_ready_batch(*impl_->store, *impl_->table, number, bytes));
    return Pending{{number, put.base_offset}, put.partition->shard().number(), put.partition};
}

Result<Pending> Topic::append_as_is(int32_t number, std::span<const std::byte> batches) noexcept {
    return flowstone::append_as_is(*impl_->store, *impl_->table, number, batches);
}

Result<Reader> Topic::read(const ReadOptions& options) const noexcept {
    Store& store = *impl_->store;
    TRY_VOID(impl_->opened->usable("topic.read"));
    TRY(Partition* const partition, store.partition(*impl_->table, options.partition));
    auto impl =
        std::make_unique<Reader::Impl>(&store, partition, impl_->snapshot, impl_->opened, std::nullopt, Offset{0});
    impl->cursor.emplace(store, *partition);
    Reader reader(std::move(impl));
    TRY_VOID(reader.seek(options.from));
    return reader;
}

Result<PartitionInfo> Topic::partition(int32_t number) const noexcept {
    Store& store = *impl_->store;
    TRY_VOID(impl_->opened->usable("topic.partition"));
    TRY(Partition* const partition, store.partition(*impl_->table, number));
    TRY_VOID(store.know_closed_segments(*partition));
    Guard guard(partition->shard().lock());
    PartitionInfo info{partition->log_start(), partition->visible().offset, partition->next_offset(),
                       partition->epoch()};
    if (partition->durability() == Durability::memory) { info.high_watermark = info.log_end; }
    const Partition::Size size = partition->size();
    info.bytes = size.bytes;
    info.segments = size.segments;
    return info;
}

Result<Offset> Topic::offset_for_time(int32_t number, int64_t timestamp_ms) const noexcept {
    Store& store = *impl_->store;
    TRY_VOID(impl_->opened->usable("topic.offset_for_time"));
    TRY(Partition* const partition, store.partition(*impl_->table, number));
    Cursor cursor(store, *partition);
    TRY(const auto place, cursor.seek_time(timestamp_ms));
    return place.offset;
}

Result<Offset> Topic::delete_records(int32_t number, Offset before) noexcept {
    Store& store = *impl_->store;
    TRY(Partition* const partition, ready_partition(store, *impl_->table, number));
    auto start = trim(*partition, before);
    // What makes room may have the space kept for a full disk.
    if (!start && start.error().code == Code::no_space && store.engine().give_up_reserve()) {
        start = trim(*partition, before);
    }
    return start;
}

// --- Reader --------------------------------------------------------------------------------------------------------------------

Reader::Reader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&& other) noexcept {
    Reader old(std::move(*this));
    impl_ = std::move(other.impl_);
    return *this;
}
Reader::~Reader() {
    if (impl_ && !impl_->store->owned_here()) { (void)impl_.release(); }  // as Log's
}
Offset Reader::position() const noexcept { return impl_ ? impl_->position : Offset{}; }

Result<void> Reader::seek(From from) noexcept {
    Impl& self = *impl_;
    TRY_VOID(self.opened->usable("reader.seek"));
    if (self.store->read_only()) { TRY_VOID(self.look_again(false, false)); }
    const bool by_offset = std::holds_alternative<Offset>(from.value());
    for (;;) {
        Offset start;
        Offset target{0};
        {
            Guard guard(self.partition->shard().lock());
            start = self.partition->log_start();
            if (std::holds_alternative<From::Beginning>(from.value())) { target = start; }
            if (std::holds_alternative<From::End>(from.value())) {
                if (self.partition->durability() == Durability::memory) {
                    self.partition->close_batch(self.store->engine().pool);
                }
                target = self.partition->visible().offset;
            }
            if (by_offset) { target = std::get<Offset>(from.value()); }
        }
        Result<void> found;
        if (const auto* time = std::get_if<From::Time>(&from.value())) {
            const auto place = self.cursor->seek_time(time->ms);
            if (place) { target = place->offset; }
            found = place ? Result<void>{} : std::unexpected(place.error());
        }
        if (found) { found = self.cursor->seek(target); }
        if (!found && found.error().code == Code::out_of_range && !by_offset) {
            // Who names no offset is not told that retention took one away meanwhile.
            Guard guard(self.partition->shard().lock());
            if (self.partition->log_start() > start) { continue; }
        }
        if (!found) { return found; }
        self.position = target;
        self.broken.reset();
        return {};
    }
}

Result<Batch> Reader::next(std::chrono::milliseconds timeout) noexcept {
    Impl& self = *impl_;
    if (auto usable = self.opened->usable("reader.next"); !usable) { return std::unexpected(usable.error()); }
    if (self.broken) { return std::unexpected(*std::exchange(self.broken, std::nullopt)); }
    const int64_t deadline = self.store->clock().monotonic_ns() + std::chrono::nanoseconds(timeout).count();
    for (;;) {
        const uint32_t seen = self.partition->hooks.visible_word.load(std::memory_order_acquire);
        auto batch = self.cursor->next();
        const bool changed = !batch && (batch.error().code == Code::not_found || batch.error().code == Code::corrupt);
        if (changed && self.store->read_only()) {
            // The segment went away behind our back, or was compacted: what the directory holds now says why.
            const auto again = self.look_again(true);
            if (!again) { return std::unexpected(again.error()); }
            if (*again) { batch = self.cursor->next(); }
        }
        if (!batch) { return std::unexpected(batch.error()); }
        if (*batch) {
            // Compaction keeps some batches for what they say of a producer or an end, without records.
            const bool nothing = (*batch)->control() || (*batch)->record_count() == 0;
            if ((*batch)->next_offset() <= self.position || nothing) { continue; }
            auto records = RecordCursor::open(**batch, self.scratch);
            if (!records) { return std::unexpected(records.error()); }
            self.records = std::move(*records);
            Batch out;
            out.state_ = &self;
            out.base_offset_ = std::max(self.position, (*batch)->base_offset());
            out.next_offset_ = (*batch)->next_offset();
            out.bytes_ = (*batch)->bytes();
            self.first_wanted = self.position;
            self.position = out.next_offset_;
            return out;
        }
        if (self.store->read_only()) {
            const auto more = self.look_again(false);
            if (!more) { return std::unexpected(more.error()); }
            if (*more) { continue; }
        }
        const int64_t left = deadline - self.store->clock().monotonic_ns();
        if (left <= 0) { return Batch(); }
        if (auto waited = self.wait(seen, left); !waited) { return std::unexpected(waited.error()); }
    }
}

// Read-only: goes on in what the directory holds now, if that is more. True when it is.
Result<bool> Reader::Impl::look_again(bool at_once, bool seek) {
    std::shared_ptr<Store> now = opened->newest(at_once);
    if (now == snapshot) { return false; }
    const Partition::Identity& identity = partition->identity();
    const auto table = now->find_topic(identity.topic);
    if (!table || table->id != identity.topic_id) {
        return fail(Code::not_found, "reader.next", fmt::format("topic {} was deleted", identity.topic));
    }
    TRY(Partition* const found, now->partition(*table, identity.number));
    // A writer that was too fast for us once may leave less to see than before: what was shown stays.
    if (seek && !at_once && found->visible().offset < position) { return false; }
    Cursor moved(*now, *found);
    if (seek) { TRY_VOID(moved.seek(position)); }
    store = now.get();
    partition = found;
    cursor.emplace(std::move(moved));
    records.reset();
    snapshot = std::move(now);  // last: what was read from the older store points into its buffers
    return true;
}

// Sleeps until something becomes visible. A reader that must wait for records which nobody commits does it itself.
Result<void> Reader::Impl::wait(uint32_t seen, int64_t timeout_ns) {
    Shard& shard = partition->shard();
    {
        Guard guard(shard.lock());
        if (partition->durability() == Durability::memory) { partition->close_batch(store->engine().pool); }
        if (partition->hooks.visible_word.load() != seen) { return {}; }
        if (partition->hooks.deleted) {
            return fail(Code::not_found, "reader.next",
                        fmt::format("topic {} was deleted", partition->identity().topic));
        }
        if (shard.is_shut()) { return fail(Code::closed, "reader.next", store->path()); }
        if (!shard.has_committer() && !store->read_only() && partition->next_offset() > partition->visible().offset &&
            !shard.failure()) {
            return shard.commit_if_free(guard);
        }
        partition->hooks.readers_waiting += 1;
    }
    // Nobody wakes who looks at another process's writes.
    if (store->read_only()) { timeout_ns = std::min<int64_t>(timeout_ns, beside_wait_ns); }
    sleep_while(partition->hooks.visible_word, seen, timeout_ns);
    Guard guard(shard.lock());
    partition->hooks.readers_waiting -= 1;
    partition->hooks.readers_called = false;
    return {};
}

void Batch::Iterator::advance() noexcept {
    auto* self = static_cast<Reader::Impl*>(state_);
    while (self != nullptr) {
        auto record = self->records->next();
        if (!record) { self->broken = record.error(); }
        if (!record || !*record) {
            state_ = nullptr;
            return;
        }
        if ((*record)->offset < self->first_wanted) { continue; }
        record_ = **record;
        return;
    }
}

// --- access across the classes of the public header ---------------------------------------------------------------------------

Log LogAccess::make(std::unique_ptr<Disk> disk, std::unique_ptr<Store> store) {
    auto impl = std::make_unique<Log::Impl>();
    impl->own_disk = std::move(disk);
    impl->store = std::move(store);
    impl->offsets = std::make_unique<GroupOffsets>(*impl->store);
    return Log(std::move(impl));
}

Topic LogAccess::topic(Store& opened, std::shared_ptr<TopicTable> table, std::shared_ptr<Store> snapshot) {
    auto impl = std::make_shared<Topic::Impl>();
    impl->store = snapshot ? snapshot.get() : &opened;
    impl->table = std::move(table);
    impl->snapshot = std::move(snapshot);
    impl->opened = &opened;
    return Topic(std::move(impl));
}

Store& LogAccess::store(Log& log) { return *log.impl_->store; }

// --- Log ---------------------------------------------------------------------------------------------------------------------

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Log::Log(Log&&) noexcept = default;
Log& Log::operator=(Log&& other) noexcept {
    Log old(std::move(*this));
    impl_ = std::move(other.impl_);
    return *this;
}
// In a forked child everything stays as it is: other threads held its locks, and its files are the parent's.
Log::~Log() {
    if (impl_ && !impl_->store->owned_here()) { (void)impl_.release(); }
}
const std::string& Log::path() const noexcept {
    static const std::string none;
    return impl_ ? impl_->store->path() : none;
}
bool Log::read_only() const noexcept { return impl_ && impl_->store->read_only(); }
uint32_t Log::shards() const noexcept {
    return usable(impl_.get(), "log.shards") ? static_cast<uint32_t>(impl_->store->shards().size()) : 0;
}

Result<Log> open_log(const Environment& environment, std::string path, Options options, const Tuning& tuning) {
    TRY(auto store, Store::open(environment, std::move(path), std::move(options), tuning));
    return LogAccess::make(nullptr, std::move(store));
}

Result<Log> Log::open(std::string path, Options options) noexcept {
    return open_log_of(std::nullopt, std::move(path), std::move(options));
}

Result<Log> open_log_of(const std::optional<Uuid>& cluster, std::string path, Options options) {
    auto disk = open_best_disk();
    if (options.on_log && std::string_view(disk->room()) != "io_uring") {  // containers often forbid it
        options.on_log(fmt::format("{}: io_uring cannot be used here; POSIX calls read and write instead", path));
    }
    const Environment environment{disk.get(), &system_clock(), &system_random(), cluster};
    TRY(auto store, Store::open(environment, std::move(path), std::move(options), {}));
    return LogAccess::make(std::move(disk), std::move(store));
}

Result<Topic> Log::topic(std::string_view name) const noexcept {
    TRY_VOID(usable(impl_.get(), "log.topic"));
    auto snapshot = impl_->store->newest();
    auto table = (snapshot ? *snapshot : *impl_->store).find_topic(name);
    if (!table) { return fail(Code::not_found, "log.topic", fmt::format("topic {} in {}", name, path())); }
    return LogAccess::topic(*impl_->store, std::move(table), std::move(snapshot));
}

Result<Topic> Log::create_topic(std::string_view name, const TopicOptions& options) noexcept {
    TRY_VOID(usable(impl_.get(), "log.create_topic"));
    TRY(auto table, impl_->store->create_topic(name, {.options = options}));
    return LogAccess::topic(*impl_->store, std::move(table));
}

Result<void> Log::delete_topic(std::string_view name) noexcept {
    TRY_VOID(usable(impl_.get(), "log.delete_topic"));
    return impl_->store->delete_topic(name);
}
Result<void> Log::add_partitions(std::string_view name, int32_t total) noexcept {
    TRY_VOID(usable(impl_.get(), "log.add_partitions"));
    return impl_->store->add_partitions(name, total);
}
Result<void> Log::alter_topic(std::string_view name, const ConfigMap& set,
                              std::span<const std::string> unset) noexcept {
    TRY_VOID(usable(impl_.get(), "log.alter_topic"));
    return impl_->store->alter_topic(name, set, unset);
}
std::vector<TopicInfo> Log::topics() const noexcept {
    if (!usable(impl_.get(), "log.topics")) { return {}; }
    const auto snapshot = impl_->store->newest();
    return (snapshot ? *snapshot : *impl_->store).topics();
}

std::vector<Loss> Log::losses() const noexcept {
    if (!usable(impl_.get(), "log.losses")) { return {}; }
    const auto snapshot = impl_->store->newest();
    return (snapshot ? *snapshot : *impl_->store).losses();
}

Result<TopicInfo> Log::describe(std::string_view name) const noexcept {
    TRY_VOID(usable(impl_.get(), "log.describe"));
    for (TopicInfo& info : topics()) {
        if (info.name == name) { return std::move(info); }
    }
    return fail(Code::not_found, "log.describe", fmt::format("topic {} in {}", name, path()));
}

struct FLOWSTONE_HIDDEN Log::Moving {
    std::span<const OffsetMove> moves;
    GroupOffsets::Known known;
};

Result<Pending> Log::append_atomic(std::span<const AtomicPart> parts, std::string_view group,
                                   std::span<const GroupOffset> offsets) noexcept {
    TRY(const auto appended, append_together(parts, group, offsets, nullptr));
    return *appended;
}

Result<Pending> Log::append_step(std::string_view group, std::span<const OffsetMove> moves,
                                 std::span<const AtomicPart> parts) noexcept {
    std::vector<GroupOffset> offsets;
    for (const OffsetMove& move : moves) { offsets.push_back({move.topic, move.partition, move.to, move.metadata}); }
    for (int looks = 0; looks < append_step_looks_max; ++looks) {
        if (auto good = usable(impl_.get(), "log.append_step"); !good) { return not_appended(good.error()); }
        auto known = impl_->offsets->known(group, moves);
        if (!known) { return not_appended(known.error()); }
        const Moving moving{moves, std::move(*known)};
        TRY(const auto appended, append_together(parts, group, offsets, &moving));
        if (appended) { return *appended; }
    }
    return not_appended(
        fail(Code::busy, "log.append_step", fmt::format("others commit beside group {}", group)).error());
}

// Nothing: the group's offsets are to be looked up again; what was appended for groups meanwhile has become visible.
Result<std::optional<Pending>> Log::append_together(std::span<const AtomicPart> parts, std::string_view group,
                                                    std::span<const GroupOffset> offsets, const Moving* moving) {
    if (auto good = usable(impl_.get(), "log.append_atomic"); !good) { return not_appended(good.error()); }
    Store& store = *impl_->store;
    struct Step {
        Partition* partition;
        std::span<const Record> records;
        BatchBuilder::Options producer{};
    };
    std::vector<Step> steps;
    std::vector<GroupRecord> encoded;
    std::vector<Record> offset_records;
    Partition* committing = nullptr;  // the last step's, when offsets are committed
    size_t bytes = 0;
    for (const AtomicPart& part : parts) {
        if (part.records.empty()) { continue; }
        if (!part.topic.impl_ || part.topic.impl_->store != &store) {
            return not_appended(fail(Code::invalid, "log.append_atomic", "a topic of another log").error());
        }
        auto partition = ready_partition(store, *part.topic.impl_->table, part.partition);
        if (!partition) { return not_appended(partition.error()); }
        Step step{*partition, part.records};
        if (part.producer) {
            step.producer.producer_id = part.producer->producer_id;
            step.producer.producer_epoch = part.producer->epoch;
            step.producer.base_sequence = part.producer->sequence;
        }
        steps.push_back(step);
    }
    if (!offsets.empty()) {
        auto records = impl_->offsets->encode_commit(group, offsets);
        if (!records) { return not_appended(records.error()); }
        encoded = std::move(*records);
        for (const auto& record : encoded) {
            offset_records.push_back({.key = as_text(record.key), .value = as_text(*record.value)});
        }
        auto partition = impl_->offsets->partition_for(group);
        if (!partition) { return not_appended(partition.error()); }
        steps.push_back({*partition, offset_records});
        committing = *partition;
    }
    if (steps.empty()) { return not_appended(fail(Code::invalid, "log.append_atomic", "nothing to append").error()); }
    Shard& shard = steps.front().partition->shard();
    const int64_t now = store.now_ms();
    for (const Step& step : steps) {
        const std::string& name = step.partition->identity().topic;
        if (&step.partition->shard() != &shard) {
            return not_appended(fail(Code::invalid, "log.append_atomic",
                                     fmt::format("{}-{} is on another shard than the first part", name,
                                                 step.partition->identity().number))
                                    .error());
        }
        if (step.partition->durability() != Durability::durable) {
            return not_appended(
                fail(Code::invalid, "log.append_atomic", fmt::format("topic {} is not durable", name)).error());
        }
        if (step.producer.producer_id >= 0) {
            if (auto good = check_producer_batch(*step.partition, step.records); !good) {
                return not_appended(good.error());
            }
        }
        for (const Record& record : step.records) {
            const size_t size = BatchBuilder::record_bytes_max(record);
            if (auto good = check_record(*step.partition, record, size, now); !good) {
                return not_appended(good.error());
            }
            bytes += size;
        }
        bytes += 256;  // batch and entry heads
    }
    if (bytes > atomic_append_bytes_max) {
        return not_appended(fail(Code::too_large, "log.append_atomic",
                                 fmt::format("{} bytes together, {} are allowed", bytes, atomic_append_bytes_max))
                                .error());
    }

    Guard guard(shard.lock());
    for (const Step& step : steps) {
        // The last of these calls may have given the lock up, so that an earlier partition was deleted after its turn.
        TRY_VOID(shard.admit(guard, step.partition));
    }
    for (const Step& step : steps) {
        if (step.partition->hooks.deleted) {
            return not_appended(fail(Code::not_found, "log.append_atomic",
                                     fmt::format("topic {} was deleted", step.partition->identity().topic))
                                    .error());
        }
    }
    size_t duplicates = 0;
    Pending pending;
    for (const Step& step : steps) {
        step.partition->close_batch(store.engine().pool);
        if (step.producer.producer_id < 0) { continue; }
        auto known =
            step.partition->producers().check({step.producer.producer_id, step.producer.producer_epoch,
                                               step.producer.base_sequence, static_cast<int32_t>(step.records.size())});
        if (!known) { return not_appended(known.error()); }
        if (*known) {
            ++duplicates;
            pending = {{step.partition->identity().number, (*known)->base_offset}, shard.number(), step.partition};
        }
    }
    if (duplicates > 0) { return pending; }  // all of it is there: it was atomic the first time
    if (moving != nullptr && committing != nullptr) {
        const Offset end = committing->closed().offset;
        const auto there = impl_->offsets->compare(*committing, group, moving->moves, moving->known, end);
        if (!there) { return not_appended(there.error()); }
        if (!*there) {
            if (auto seen = shard.wait_visible(guard, *committing, end); !seen) { return not_appended(seen.error()); }
            return std::nullopt;
        }
    }
    const uint32_t together = shard.next_group();
    for (const Step& step : steps) {
        const Offset first = put_records(store, *step.partition, step.records, step.producer, together, now);
        pending = {{step.partition->identity().number, first}, shard.number(), step.partition};
    }
    if (moving != nullptr && committing != nullptr) {
        impl_->offsets->moved(*committing, group, moving->moves, moving->known, pending.at.offset,
                              committing->closed().offset);
    }
    for (const Step& step : steps) { shard.call_readers(*step.partition); }
    shard.appended(guard, *steps.back().partition);
    return pending;
}

Result<void> Log::wait(const Pending& pending) noexcept {
    if (auto good = owned(impl_.get(), "log.wait"); !good) {
        return std::unexpected(good.error().with_fate(Fate::unknown_until_reopen));
    }
    auto& shards = impl_->store->shards();
    if (pending.shard < shards.size()) {
        Shard& shard = *shards[pending.shard];
        Guard guard(shard.lock());
        if (shard.owns(pending.owner)) {
            auto* partition = static_cast<Partition*>(const_cast<void*>(pending.owner));
            return shard.wait_visible(guard, *partition, pending.at.offset + 1);
        }
    }
    return fail(Code::invalid, "log.wait", "an append of another log, or none");
}

Result<void> Log::flush() noexcept {
    TRY_VOID(usable(impl_.get(), "log.flush"));
    for (auto& shard : impl_->store->shards()) {
        Guard guard(shard->lock());
        TRY_VOID(shard->flush(guard));
    }
    return {};
}

Result<void> Log::poll() noexcept {
    TRY_VOID(usable(impl_.get(), "log.poll"));
    return impl_->store->poll();
}

Result<void> Log::commit_offsets(std::string_view group, std::span<const GroupOffset> offsets) noexcept {
    TRY_VOID(usable(impl_.get(), "log.commit_offsets"));
    return impl_->offsets->commit(group, offsets);
}
Result<std::vector<GroupOffset>> Log::fetch_offsets(std::string_view group) const noexcept {
    TRY_VOID(usable(impl_.get(), "log.fetch_offsets"));
    return impl_->offsets->fetch(group);
}
std::vector<std::string> Log::groups() const noexcept {
    return usable(impl_.get(), "log.groups") ? impl_->offsets->groups() : std::vector<std::string>{};
}
Result<void> Log::delete_offsets(std::string_view group) noexcept {
    TRY_VOID(usable(impl_.get(), "log.delete_offsets"));
    return impl_->offsets->remove(group);
}
Result<int64_t> Log::new_producer_id() noexcept {
    TRY_VOID(usable(impl_.get(), "log.new_producer_id"));
    return impl_->store->new_producer_id();
}
Result<void> Log::checkpoint() noexcept {
    TRY_VOID(flush());
    return impl_->store->checkpoint({.exact = true});
}
Result<void> Log::maintain() noexcept {
    TRY_VOID(usable(impl_.get(), "log.maintain"));
    return impl_->store->maintain();
}
Result<void> Log::close(std::chrono::milliseconds timeout) noexcept {
    TRY_VOID(owned(impl_.get(), "log.close"));
    return impl_->store->close(timeout.count());
}

}  // namespace flowstone
