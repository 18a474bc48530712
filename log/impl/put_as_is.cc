// Appending what another log of the same partition holds: a copy of it, or what a follower takes from its leader.
//
// A record batch says itself where it belongs. Offsets that are missing in front of some of them are put on record in the
// journal before the batches are (EntryKind::skip), so that nobody takes them for damage. The index of aborted
// transactions is written before the markers that end them: it may say too much after a crash, never too little.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "log/impl/put.h"
#include "log/transactions.h"
#include "storage/producer_snapshot.h"
#include "storage/segment_index.h"
#include "storage/segment_scan.h"
#include "storage/transaction_index.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr char operation[] = "topic.append_as_is";

std::unexpected<Error> refuse(const Error& error) { return std::unexpected(error.with_fate(Fate::not_appended)); }

// Whole batches that hold, each behind the one before, and small enough for those who read segments.
Result<std::vector<BatchView>> parse_batches(Bytes bytes) {
    std::vector<BatchView> batches;
    while (!bytes.empty()) {
        const auto batch = BatchView::parse(bytes);
        if (!batch && batch.error().code == Code::out_of_range) {
            return fail(Code::corrupt, operation, batch.error().detail);
        }
        if (!batch) { return std::unexpected(batch.error()); }
        TRY_VOID(batch->check_header());
        const int64_t base = batch->base_offset().value;
        if (!batch->crc_matches()) {
            return fail(Code::corrupt, operation, fmt::format("the batch at offset {} does not match its sum", base));
        }
        if (batch->size() > scan_batch_bytes_limit) {
            return fail(Code::too_large, operation,
                        fmt::format("the batch at offset {}: {} bytes", base, batch->size()));
        }
        if (batch->epoch() < Epoch{0}) {
            return fail(Code::invalid, operation, fmt::format("the batch at offset {} has no leader epoch", base));
        }
        if (!batches.empty() && batch->base_offset() < batches.back().next_offset()) {
            return fail(Code::invalid, operation,
                        fmt::format("offset {} follows {}", base, batches.back().last_offset().value));
        }
        if (!batches.empty() && batch->epoch() < batches.back().epoch()) {
            return fail(Code::invalid, operation, fmt::format("at offset {} the leader epoch goes back", base));
        }
        batches.push_back(*batch);
        bytes = bytes.subspan(batch->size());
    }
    if (batches.empty()) { return fail(Code::invalid, operation, "no batches"); }
    return batches;
}

// Under the lock: whether they go on where the log ends.
Result<void> check_place(Partition& partition, std::span<const BatchView> batches) {
    const std::string& topic = partition.identity().topic;
    const int32_t number = partition.identity().number;
    if (partition.durability() != Durability::durable) {
        return fail(Code::unsupported, operation, fmt::format("the level of topic {} is not durable", topic));
    }
    const BatchView& first = batches.front();
    const Offset end = partition.closed().offset;
    if (first.base_offset() < end) {
        return fail(
            Code::out_of_range, operation,
            fmt::format("offset {} for {}-{}, which ends at {}", first.base_offset().value, topic, number, end.value));
    }
    if (!partition.epochs().empty() && first.epoch() < partition.epoch()) {
        return fail(Code::stale_epoch, operation,
                    fmt::format("a batch of epoch {} for {}-{}, which is at epoch {}", first.epoch().value, topic,
                                number, partition.epoch().value));
    }
    // Entries of an index have 32 bits, and a segment that holds nothing is not ended.
    const OpenSegment& active = partition.active();
    const bool bare = partition.closed().at == active.begin && !partition.fresh();
    if (bare && first.last_offset() - active.base > segment_offsets_max) {
        return fail(Code::out_of_range, operation,
                    fmt::format("offset {} is too far from {}, the end of {}-{}", first.base_offset().value, end.value,
                                topic, number));
    }
    return {};
}

// Behind the last gap; nothing when each batch begins where the one before it ends.
Offset missing_below(Offset end, std::span<const BatchView> batches) {
    Offset below{0};
    for (const BatchView& batch : batches) {
        if (batch.base_offset() > end) { below = batch.base_offset() + 1; }
        end = batch.next_offset();
    }
    return below;
}

// Under the lock: the transactions that these batches, which come next, end with an abort.
std::vector<AbortedTransaction> aborted_by(Partition& partition, std::span<const BatchView> batches) {
    if (std::ranges::none_of(batches, &BatchView::control)) { return {}; }
    TransactionWalk walk;
    for (const ProducerSnapshotEntry& producer : partition.producers().entries()) {
        if (producer.transaction_first_offset >= Offset{0}) {
            walk.began(producer.producer_id, producer.transaction_first_offset);
        }
    }
    for (const BatchView& batch : batches) { walk.applied(batch); }
    return walk.take_aborted();
}

// One call at a time: the lock is given up on the way.
class Turn {
public:
    static Result<Turn> take(Partition& partition) {
        const Guard guard(partition.shard().lock());
        if (std::exchange(partition.hooks.taking_as_is, true)) {
            return fail(
                Code::busy, operation,
                fmt::format("somebody else appends to {}-{}", partition.identity().topic, partition.identity().number));
        }
        return Turn(&partition);
    }
    Turn(Turn&& other) noexcept : partition_(std::exchange(other.partition_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
        if (partition_ == nullptr) { return; }
        const Guard guard(partition_->shard().lock());
        partition_->hooks.taking_as_is = false;
    }

private:
    explicit Turn(Partition* partition) : partition_(partition) {}
    Partition* partition_;
};

Result<void> take(Store& store, Partition& partition, Guard& guard, std::span<const BatchView> batches) {
    Shard& shard = partition.shard();
    if (partition.fresh() && batches.front().base_offset() > Offset{0}) {
        // Where a log begins is on record before a segment of it can be there.
        partition.begin_at(batches.front().base_offset());
        partition.skip({});
        TRY_VOID(shard.flush(guard));
        partition.close_batch(store.engine().pool);  // of others, who came meanwhile
        TRY_VOID(check_place(partition, batches));
    }
    if (const Offset below = missing_below(partition.closed().offset, batches); below > partition.compacted_end) {
        partition.skip(below);
    }
    while (!batches.empty()) {
        const auto piece = batches.first(partition.without_roll(batches));
        if (piece.empty()) {
            partition.roll_before(batches.front());
            continue;
        }
        if (const auto aborted = aborted_by(partition, piece); !aborted.empty()) {
            const Offset base = partition.active().base;
            const Offset end = partition.closed().offset;
            guard.unlock();
            auto noted = store.note_aborted(partition, base, end, aborted);
            guard.lock();
            TRY_VOID(std::move(noted));
            TRY_VOID(shard.admit(guard, &partition));
            partition.close_batch(store.engine().pool);
            TRY_VOID(check_place(partition, batches));
            if (partition.active().base != base) { continue; }  // rolled meanwhile
        }
        for (const BatchView& batch : piece) { partition.put_as_is(batch, store.engine().pool); }
        batches = batches.subspan(piece.size());
    }
    return {};
}

}  // namespace

Result<Pending> append_as_is(Store& store, TopicTable& table, int32_t number, Bytes bytes) {
    auto ready = make_ready(store, table, number, false);
    if (!ready) { return refuse(ready.error()); }
    Partition& partition = **ready;
    auto batches = parse_batches(bytes);
    if (!batches) { return refuse(batches.error()); }
    auto turn = Turn::take(partition);
    if (!turn) { return refuse(turn.error()); }
    Shard& shard = partition.shard();
    Guard guard(shard.lock());
    TRY_VOID(shard.admit(guard, &partition));
    partition.close_batch(store.engine().pool);
    if (auto good = check_place(partition, *batches); !good) { return refuse(good.error()); }
    const Offset before = partition.closed().offset;
    partition.hooks.epochs_unwritten = true;  // and what else Kafka looks for at a close
    const auto done = take(store, partition, guard, *batches);
    if (!done) {
        const bool some = partition.closed().offset > before;
        return std::unexpected(done.error().with_fate(some ? Fate::unknown_until_reopen : Fate::not_appended));
    }
    shard.appended(guard, partition);
    return Pending{{number, batches->back().last_offset()}, shard.number(), &partition};
}

}  // namespace flowstone
