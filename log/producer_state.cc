#include "log/producer_state.h"

#include <algorithm>
#include <array>
#include <list>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "log/transactions.h"
#include "storage/check.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr const char* operation = "producer.check";
constexpr uint8_t window_version = 1;
constexpr size_t producer_bytes_min = 8 + 2 + 4 + 8 + 8 + 1;
constexpr Offset no_offset{-1};

struct Producer {
    int64_t id = -1;
    int16_t epoch = -1;
    uint8_t batch_count = 0;
    int32_t coordinator_epoch = -1;
    Offset txn_first_offset;
    int64_t last_use_ms = 0;
    std::array<ProducerBatch, producer_window> batches{};  // oldest first

    std::span<const ProducerBatch> window() const { return {batches.data(), batch_count}; }
    void remember(const ProducerBatch& batch) {
        if (batch_count == producer_window) {
            std::move(batches.begin() + 1, batches.end(), batches.begin());
            --batch_count;
        }
        batches[batch_count++] = batch;
    }
    // A new epoch starts a new sequence: what was before it is no duplicate of anything any more.
    void enter_epoch(int16_t next) {
        if (next == epoch) { return; }
        epoch = next;
        batch_count = 0;
    }
    int32_t next_sequence() const {
        return batch_count == 0 || batches[batch_count - 1].last_sequence < 0
                   ? 0
                   : sequence_after(batches[batch_count - 1].last_sequence, 1);
    }
};

std::unexpected<Error> refuse(Code code, const ProducerAppend& append, const Producer& known) {
    if (code == Code::stale_epoch) {
        return fail(
            code, operation,
            fmt::format("producer {}: epoch {} was succeeded by {}", append.producer_id, append.epoch, known.epoch));
    }
    return fail(
        code, operation,
        fmt::format("producer {} epoch {}: sequence {} does not follow; expected {}", append.producer_id, append.epoch,
                    append.base_sequence, append.epoch == known.epoch ? known.next_sequence() : 0));
}

}  // namespace

struct ProducerState::Producers {
    using ByUse = std::list<Producer>;  // the one silent for longest first
    ByUse by_use;
    std::unordered_map<int64_t, ByUse::iterator> by_id;      // never iterated
    std::set<std::pair<Offset, int64_t>> open_transactions;  // first offset and producer
    Offset end{0};                                           // past everything that was applied

    const Producer* find(int64_t id) const {
        const auto found = by_id.find(id);
        return found == by_id.end() ? nullptr : &*found->second;
    }
    // The entry of `id`, made when there is none, as the most recently used.
    Producer& use(int64_t id, int64_t now_ms) {
        auto found = by_id.find(id);
        if (found == by_id.end()) {
            make_room();
            by_use.emplace_back().id = id;
            found = by_id.emplace(id, std::prev(by_use.end())).first;
        } else {
            by_use.splice(by_use.end(), by_use, found->second);
        }
        found->second->last_use_ms = now_ms;
        return *found->second;
    }
    // A producer in a transaction is never forgotten: its first offset holds readers back. When all are, the limit
    // gives way, since what is in the log must be followed; check() lets no new one in.
    void make_room() {
        if (by_id.size() < producers_per_partition_max) { return; }
        const auto victim = std::ranges::find(by_use, no_offset, &Producer::txn_first_offset);
        if (victim != by_use.end()) { forget(victim); }
    }
    ByUse::iterator forget(ByUse::iterator producer) {
        end_transaction(*producer);
        by_id.erase(producer->id);
        return by_use.erase(producer);
    }
    void begin_transaction(Producer& producer, Offset first) {
        if (producer.txn_first_offset != no_offset) { return; }
        producer.txn_first_offset = first;
        open_transactions.emplace(first, producer.id);
    }
    void end_transaction(Producer& producer) {
        open_transactions.erase({producer.txn_first_offset, producer.id});
        producer.txn_first_offset = no_offset;
    }
    bool is_full() const {
        return by_id.size() >= producers_per_partition_max && open_transactions.size() == by_id.size();
    }
};

ProducerState::ProducerState() = default;
ProducerState::ProducerState(ProducerState&&) noexcept = default;
ProducerState& ProducerState::operator=(ProducerState&&) noexcept = default;
ProducerState::~ProducerState() = default;

Result<std::optional<ProducerBatch>> ProducerState::check(const ProducerAppend& append) const {
    if (append.producer_id < 0 || append.epoch < 0 || append.base_sequence < 0 || append.record_count < 1) {
        return fail(Code::invalid, operation,
                    fmt::format("producer {} epoch {} sequence {} with {} records", append.producer_id, append.epoch,
                                append.base_sequence, append.record_count));
    }
    const Producer* known = producers_ == nullptr ? nullptr : producers_->find(append.producer_id);
    if (known == nullptr) {
        if (producers_ != nullptr && producers_->is_full()) {
            return fail(Code::busy, operation,
                        fmt::format("{} producers are in transactions", producers_per_partition_max));
        }
        return std::nullopt;  // expired, deleted or new: any first sequence will do (rule 23)
    }
    if (append.epoch < known->epoch) { return refuse(Code::stale_epoch, append, *known); }
    if (append.epoch > known->epoch) {
        if (append.base_sequence != 0) { return refuse(Code::out_of_order, append, *known); }
        return std::nullopt;
    }
    const int32_t last_sequence = sequence_after(append.base_sequence, append.record_count - 1);
    for (const ProducerBatch& batch : known->window()) {
        if (batch.base_sequence == append.base_sequence && batch.last_sequence == last_sequence) { return batch; }
    }
    if (append.base_sequence != known->next_sequence()) { return refuse(Code::out_of_order, append, *known); }
    return std::nullopt;
}

void ProducerState::applied(BatchView batch, int64_t now_ms) {
    if (batch.producer_id() < 0) { return; }
    if (batch.control()) {
        // Commit and abort end the transaction alike.
        const auto marker = read_marker(batch);
        if (!marker) { return; }
        if (producers_ == nullptr) { producers_ = std::make_unique<Producers>(); }
        Producer& producer = producers_->use(batch.producer_id(), now_ms);
        producer.enter_epoch(batch.producer_epoch());
        if (marker->coordinator_epoch) { producer.coordinator_epoch = *marker->coordinator_epoch; }
        producers_->end_transaction(producer);
        producers_->end = std::max(producers_->end, batch.next_offset());
        return;
    }
    // A compacted batch has fewer records than it had: its span in offsets still tells how far its sequences went.
    const ProducerAppend append{.producer_id = batch.producer_id(),
                                .epoch = batch.producer_epoch(),
                                .base_sequence = batch.base_sequence(),
                                .record_count = static_cast<int32_t>(
                                    std::clamp<int64_t>(int64_t{batch.last_offset_delta()} + 1, 1, INT32_MAX))};
    applied(append, batch.base_offset(), batch.max_timestamp_ms(), batch.transactional(), now_ms);
}

void ProducerState::applied(const ProducerAppend& append, Offset base_offset, int64_t timestamp_ms, bool transactional,
                            int64_t now_ms) {
    if (append.producer_id < 0) { return; }
    if (producers_ == nullptr) { producers_ = std::make_unique<Producers>(); }
    Producer& producer = producers_->use(append.producer_id, now_ms);
    producer.enter_epoch(append.epoch);
    const Offset last_offset = base_offset + (append.record_count - 1);
    const bool numbered = append.base_sequence >= 0;  // a coordinator's own batches have an id but no sequence
    producer.remember({.base_sequence = numbered ? append.base_sequence : -1,
                       .last_sequence = numbered ? sequence_after(append.base_sequence, append.record_count - 1) : -1,
                       .base_offset = base_offset,
                       .last_offset = last_offset,
                       .timestamp_ms = timestamp_ms});
    if (transactional) { producers_->begin_transaction(producer, base_offset); }
    producers_->end = std::max(producers_->end, last_offset + 1);
}

size_t ProducerState::expire(int64_t now_ms, int64_t expiration_ms) {
    if (producers_ == nullptr) { return 0; }
    size_t forgotten = 0;
    for (auto at = producers_->by_use.begin(); at != producers_->by_use.end();) {
        if (now_ms - at->last_use_ms < expiration_ms) { break; }  // all later ones were used later
        if (at->txn_first_offset != no_offset) {
            ++at;
            continue;
        }
        at = producers_->forget(at);
        ++forgotten;
    }
    if (producers_->by_id.empty()) { producers_.reset(); }
    return forgotten;
}

bool ProducerState::truncate(Offset end) {
    if (producers_ == nullptr || producers_->end <= end) { return false; }
    producers_.reset();
    return true;
}

void ProducerState::truncate(Offset end, ProducerState walked) {
    if (producers_ == nullptr || producers_->end <= end) { return; }
    ProducerState below;
    const auto decoded = below.decode_window(encode_window(end));
    CHECK(decoded.has_value());
    *this = std::move(walked);
    if (below.producers_ == nullptr) { return; }
    if (producers_ == nullptr) { producers_ = std::make_unique<Producers>(); }
    producers_->end = end;
    for (const Producer& one : below.producers_->by_use) {
        const auto found = producers_->by_id.find(one.id);
        if (found != producers_->by_id.end()) {
            Producer& known = *found->second;
            if (one.epoch != known.epoch || one.batch_count <= known.batch_count) { continue; }
            known.batches = one.batches;
            known.batch_count = one.batch_count;
            continue;
        }
        producers_->by_use.push_front(one);
        Producer& added = producers_->by_use.front();
        added.txn_first_offset = no_offset;
        producers_->by_id.emplace(one.id, producers_->by_use.begin());
        if (one.txn_first_offset != no_offset) { producers_->begin_transaction(added, one.txn_first_offset); }
    }
}

size_t ProducerState::size() const { return producers_ == nullptr ? 0 : producers_->by_id.size(); }

void ProducerState::end_transaction(int64_t producer_id) {
    if (producers_ == nullptr) { return; }
    const auto known = producers_->by_id.find(producer_id);
    if (known != producers_->by_id.end()) { producers_->end_transaction(*known->second); }
}

Offset ProducerState::first_open_transaction() const {
    if (producers_ == nullptr || producers_->open_transactions.empty()) { return no_offset; }
    return producers_->open_transactions.begin()->first;
}

std::vector<int64_t> ProducerState::producer_ids() const {
    std::vector<int64_t> ids;
    if (producers_ == nullptr) { return ids; }
    for (const Producer& producer : producers_->by_use) { ids.push_back(producer.id); }
    std::ranges::sort(ids);
    return ids;
}

std::vector<ProducerBatch> ProducerState::window(int64_t producer_id) const {
    const Producer* known = producers_ == nullptr ? nullptr : producers_->find(producer_id);
    if (known == nullptr) { return {}; }
    return {known->window().begin(), known->window().end()};
}

std::vector<ProducerSnapshotEntry> ProducerState::entries() const {
    std::vector<ProducerSnapshotEntry> entries;
    if (producers_ == nullptr) { return entries; }
    for (const Producer& producer : producers_->by_use) {
        ProducerSnapshotEntry entry{.producer_id = producer.id,
                                    .producer_epoch = producer.epoch,
                                    .last_sequence = -1,
                                    .last_offset = no_offset,
                                    .offset_delta = 0,
                                    .timestamp_ms = producer.last_use_ms,
                                    .coordinator_epoch = producer.coordinator_epoch,
                                    .transaction_first_offset = producer.txn_first_offset};
        if (producer.batch_count > 0) {
            const ProducerBatch& last = producer.window().back();
            entry.last_sequence = last.last_sequence;
            entry.last_offset = last.last_offset;
            entry.offset_delta = static_cast<int32_t>(last.last_offset - last.base_offset);
            entry.timestamp_ms = last.timestamp_ms;
        }
        entries.push_back(entry);
    }
    std::ranges::sort(entries, {}, &ProducerSnapshotEntry::producer_id);
    return entries;
}

void ProducerState::load(std::span<const ProducerSnapshotEntry> entries, Offset end, int64_t now_ms) {
    producers_.reset();
    for (const ProducerSnapshotEntry& entry : entries) {
        if (entry.producer_id < 0) { continue; }
        if (producers_ == nullptr) { producers_ = std::make_unique<Producers>(); }
        if (const auto found = producers_->by_id.find(entry.producer_id); found != producers_->by_id.end()) {
            producers_->forget(found->second);
        }
        Producer& producer = producers_->use(entry.producer_id, now_ms);
        producer.epoch = entry.producer_epoch;
        producer.coordinator_epoch = entry.coordinator_epoch;
        if (entry.transaction_first_offset.value >= 0) {
            producers_->begin_transaction(producer, entry.transaction_first_offset);
        }
        if (entry.last_sequence < 0 || entry.last_offset.value < 0) { continue; }
        const int32_t delta = std::clamp<int32_t>(
            entry.offset_delta, 0, static_cast<int32_t>(std::min<int64_t>(entry.last_offset.value, INT32_MAX)));
        producer.remember({.base_sequence = sequence_after(entry.last_sequence, -int64_t{delta}),
                           .last_sequence = entry.last_sequence,
                           .base_offset = entry.last_offset + -int64_t{delta},
                           .last_offset = entry.last_offset,
                           .timestamp_ms = entry.timestamp_ms});
    }
    if (producers_ != nullptr) { producers_->end = end; }
}

std::vector<std::byte> ProducerState::encode_window(Offset end) const {
    if (producers_ == nullptr) { return {}; }
    const auto below = [&](const Producer& producer) {
        return static_cast<uint8_t>(
            std::ranges::count_if(producer.window(), [&](const ProducerBatch& b) { return b.base_offset < end; }));
    };
    const auto left_out = [&](const Producer& producer) { return producer.batch_count > 0 && below(producer) == 0; };
    const auto count = std::ranges::count_if(producers_->by_use, [&](const Producer& p) { return !left_out(p); });
    if (count == 0) { return {}; }
    ByteWriter out;
    out.le(window_version);
    out.le(std::min(producers_->end, end).value);
    out.le(static_cast<uint32_t>(count));
    for (const Producer& producer : producers_->by_use) {
        if (left_out(producer)) { continue; }
        out.le(producer.id);
        out.le(producer.epoch);
        out.le(producer.coordinator_epoch);
        out.le((producer.txn_first_offset < end ? producer.txn_first_offset : no_offset).value);
        out.le(producer.last_use_ms);
        out.le(below(producer));
        for (const ProducerBatch& batch : producer.window().first(below(producer))) {  // ascending
            out.le(batch.base_sequence);
            out.le(batch.last_sequence);
            out.le(batch.base_offset.value);
            out.le(batch.last_offset.value);
            out.le(batch.timestamp_ms);
        }
    }
    return out.take();
}

Result<void> ProducerState::decode_window(Bytes blob) {
    constexpr const char* decode = "producer.decode_window";
    if (blob.empty()) {
        producers_.reset();
        return {};
    }
    ByteReader in(blob);
    const auto version = in.le<uint8_t>();
    if (version != window_version) { return fail(Code::unsupported, decode, fmt::format("version {}", version)); }
    auto fresh = std::make_unique<Producers>();
    fresh->end = {in.le<int64_t>()};
    const auto count = in.le<uint32_t>();
    if (count > in.remaining() / producer_bytes_min) {
        return fail(Code::corrupt, decode, "more producers than bytes");
    }
    for (uint32_t i = 0; i < count; ++i) {
        Producer producer;
        producer.id = in.le<int64_t>();
        producer.epoch = in.le<int16_t>();
        producer.coordinator_epoch = in.le<int32_t>();
        const Offset txn_first{in.le<int64_t>()};
        producer.last_use_ms = in.le<int64_t>();
        const auto batches = in.le<uint8_t>();
        if (batches > producer_window) {
            return fail(Code::corrupt, decode, fmt::format("a window of {} batches", batches));
        }
        for (uint8_t b = 0; b < batches; ++b) {
            ProducerBatch batch;
            batch.base_sequence = in.le<int32_t>();
            batch.last_sequence = in.le<int32_t>();
            batch.base_offset = {in.le<int64_t>()};
            batch.last_offset = {in.le<int64_t>()};
            batch.timestamp_ms = in.le<int64_t>();
            producer.remember(batch);
        }
        if (in.failed() || producer.id < 0 || fresh->by_id.contains(producer.id)) {
            return fail(Code::corrupt, decode, fmt::format("producer {} of {}", i, count));
        }
        fresh->by_use.push_back(producer);
        fresh->by_id.emplace(producer.id, std::prev(fresh->by_use.end()));
        if (txn_first.value >= 0) { fresh->begin_transaction(fresh->by_use.back(), txn_first); }
    }
    if (in.failed() || in.remaining() != 0 || count == 0) {
        return fail(Code::corrupt, decode, "bytes are left over or missing");
    }
    producers_ = std::move(fresh);
    return {};
}

}  // namespace flowstone
