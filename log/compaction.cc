#include "log/compaction.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int64_t slot_free = -1;

// How much of the log is what: the segments before `end` are clean or dirty.
struct Division {
    size_t end = 0;  // segments that may be cleaned, from the front
    uint64_t clean_bytes = 0;
    uint64_t dirty_bytes = 0;
    int64_t oldest_dirty_ms = -1;  // -1: nothing dirty has a time
};

int64_t last_time_ms(const CleanableSegment& segment) {
    return segment.max_timestamp_ms >= 0 ? segment.max_timestamp_ms : segment.last_modified_ms;
}

int64_t first_time_ms(const CleanableSegment& segment) {
    return segment.first_timestamp_ms >= 0 ? segment.first_timestamp_ms : last_time_ms(segment);
}

Division divide(std::span<const CleanableSegment> segments, Offset first_dirty, Offset bound, int64_t young_ms) {
    Division division;
    for (size_t i = 0; i + 1 < segments.size(); ++i) {  // the last is the active one
        const CleanableSegment& segment = segments[i];
        if (segment.end > bound || last_time_ms(segment) > young_ms) { break; }
        division.end = i + 1;
        if (segment.end <= first_dirty) {
            division.clean_bytes += segment.bytes;
            continue;
        }
        division.dirty_bytes += segment.bytes;
        const int64_t time_ms = first_time_ms(segment);
        if (time_ms >= 0 && (division.oldest_dirty_ms < 0 || time_ms < division.oldest_dirty_ms)) {
            division.oldest_dirty_ms = time_ms;
        }
    }
    return division;
}

int64_t saturating_minus(int64_t a, int64_t b) {
    int64_t difference = 0;
    return __builtin_sub_overflow(a, b, &difference) ? (b < 0 ? INT64_MAX : INT64_MIN) : difference;
}
int64_t saturating_plus(int64_t a, int64_t b) {
    int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? INT64_MIN : INT64_MAX) : sum;
}

std::optional<int64_t> horizon_of(BatchView batch) {
    return batch.has_delete_horizon() ? std::optional(batch.base_timestamp_ms()) : std::nullopt;
}

enum class Verdict : uint8_t { keep, drop };

Verdict judge(const RecordView& record, TransactionFate fate, bool tombstones_expired, const KeyMap& map) {
    if (fate == TransactionFate::aborted) { return Verdict::drop; }
    if (record.offset >= map.end() || fate == TransactionFate::unknown) { return Verdict::keep; }
    if (!record.key || record.offset < map.find(as_bytes(*record.key))) { return Verdict::drop; }
    return !record.value && tombstones_expired ? Verdict::drop : Verdict::keep;
}

// What a first pass over a batch finds.
struct Survey {
    uint32_t kept = 0;
    uint32_t dropped = 0;
    bool tombstones_kept = false;  // below the map's end: only there is a tombstone itself clean
};

Result<Survey> survey(BatchView batch, TransactionFate fate, bool tombstones_expired, const KeyMap& map,
                      std::vector<std::byte>& scratch) {
    Survey found;
    TRY(auto cursor, RecordCursor::open(batch, scratch));
    while (true) {
        TRY(const auto record, cursor.next());
        if (!record) { return found; }
        if (judge(*record, fate, tombstones_expired, map) == Verdict::drop) {
            ++found.dropped;
            continue;
        }
        ++found.kept;
        found.tombstones_kept |= !record->value && record->offset < map.end() && fate == TransactionFate::committed;
    }
}

BatchBuilder::Options options_like(BatchView batch, std::optional<int64_t> horizon_ms) {
    return {.base_offset = batch.base_offset(),
            .epoch = batch.epoch(),
            .timestamp_type = batch.timestamp_type(),
            .transactional = batch.transactional(),
            .control = batch.control(),
            .producer_id = batch.producer_id(),
            .producer_epoch = batch.producer_epoch(),
            .base_sequence = batch.base_sequence(),
            .delete_horizon_ms = horizon_ms};
}

// Encodes the records that stay, uncompressed, into `space`, which is large enough for them.
Result<BatchView> encode_survivors(BatchView batch, TransactionFate fate, bool tombstones_expired, const KeyMap& map,
                                   std::optional<int64_t> horizon_ms, std::vector<std::byte>& scratch,
                                   std::vector<std::byte>& space) {
    TRY(auto cursor, RecordCursor::open(batch, scratch));
    // A kept record is never encoded longer than it was, but for its time, which may count from another base.
    const size_t records_bytes = batch.codec_id() == 0 ? batch.encoded_records().size() : scratch.size();
    space.resize(batch_header_bytes + records_bytes +
                 static_cast<size_t>(batch.record_count()) * (varint_bytes_max + varint_bytes_max));
    BatchBuilder builder(space, options_like(batch, horizon_ms));
    while (true) {
        TRY(const auto record, cursor.next());
        if (!record) { return builder.close_at(batch.last_offset_delta()); }
        if (judge(*record, fate, tombstones_expired, map) == Verdict::drop) { continue; }
        if (!builder.append_at(static_cast<int32_t>(record->offset - batch.base_offset()), *record)) {
            return fail(Code::too_large, "compaction.encode",
                        fmt::format("the batch at offset {}", batch.base_offset().value));
        }
    }
}

BatchView empty_like(BatchView batch, std::vector<std::byte>& out) {
    out.resize(batch_header_bytes);
    BatchBuilder builder(out, options_like(batch, std::nullopt));
    return builder.close_empty(batch.last_offset_delta(), batch.max_timestamp_ms());
}

}  // namespace

// --- the map ---

KeyMap::KeyMap(const Options& options)
    : slots_(std::max<size_t>(options.bytes_max / sizeof(Slot), 2)), seed_(options.seed) {
    // At least one slot stays free, or a search for what is not there would never end.
    const auto loaded =
        static_cast<size_t>(static_cast<double>(slots_.size()) * std::clamp(options.load_max, 0.0, 1.0));
    keys_max_ = std::clamp<size_t>(loaded, 1, slots_.size() - 1);
    clear();
}

void KeyMap::clear() {
    std::ranges::fill(slots_, Slot{.hash = {}, .offset = slot_free});
    size_ = 0;
    end_ = Offset{0};
}

// Where the hash is, or the free slot where it would go: linear probing.
size_t KeyMap::place(const Hash128& hash) const {
    size_t at = static_cast<size_t>(load_le<uint64_t>(hash.bytes.data()) % slots_.size());
    while (slots_[at].offset != slot_free && slots_[at].hash != hash) { at = at + 1 == slots_.size() ? 0 : at + 1; }
    return at;
}

bool KeyMap::put(Bytes key, Offset offset) {
    const Hash128 hash = xxh3_128(key, seed_);
    Slot& slot = slots_[place(hash)];
    if (slot.offset == slot_free) {
        if (size_ == keys_max_) { return false; }
        ++size_;
        slot.hash = hash;
    }
    slot.offset = std::max(slot.offset, offset.value);
    return true;
}

Offset KeyMap::find(Bytes key) const { return {slots_[place(xxh3_128(key, seed_))].offset}; }

Result<bool> note_keys(BatchView batch, TransactionFate fate, KeyMap& map, std::vector<std::byte>& scratch) {
    if (!batch.control() && fate == TransactionFate::committed) {
        TRY(auto cursor, RecordCursor::open(batch, scratch));
        while (true) {
            TRY(const auto record, cursor.next());
            if (!record) { break; }
            if (record->key && !map.put(as_bytes(*record->key), record->offset)) { return false; }
        }
    }
    map.set_end(std::max(map.end(), batch.next_offset()));
    return true;
}

// --- one batch ---

Result<CleanedBatch> clean_batch(BatchView batch, TransactionFate fate, bool is_producers_last, const KeyMap& map,
                                 const CleanRules& rules, std::vector<std::byte>& scratch,
                                 std::vector<std::byte>& out) {
    CleanedBatch cleaned;
    cleaned.horizon_ms = horizon_of(batch).value_or(-1);
    if (batch.control() || (batch.base_offset() >= map.end() && fate != TransactionFate::aborted)) {
        cleaned.records_kept = static_cast<uint32_t>(std::max(batch.record_count(), 0));
        return cleaned;
    }
    const auto horizon_ms = horizon_of(batch);
    const bool tombstones_expired = horizon_ms && rules.now_ms >= *horizon_ms;
    TRY(const Survey found, survey(batch, fate, tombstones_expired, map, scratch));
    cleaned.records_kept = found.kept;
    cleaned.records_dropped = found.dropped;
    cleaned.tombstones_kept = found.tombstones_kept;

    if (found.kept == 0) {
        cleaned.horizon_ms = -1;
        const bool must_stay = is_producers_last || batch.next_offset() == rules.clean_end;
        if (!must_stay) {
            cleaned.what = Cleaned::dropped;
        } else if (found.dropped > 0) {
            cleaned.what = Cleaned::emptied;
            cleaned.batch = empty_like(batch, out);
        }  // else it was empty already
        return cleaned;
    }
    const bool starts_horizon = found.tombstones_kept && !horizon_ms;
    if (found.dropped == 0 && !starts_horizon) { return cleaned; }

    const auto new_horizon_ms =
        starts_horizon ? std::optional(saturating_plus(rules.now_ms, rules.delete_retention_ms)) : horizon_ms;
    cleaned.what = Cleaned::rewritten;
    cleaned.horizon_ms = new_horizon_ms.value_or(-1);
    std::vector<std::byte> plain;
    std::vector<std::byte>& space = batch.codec_id() == 0 ? out : plain;
    TRY(BatchView survivors, encode_survivors(batch, fate, tombstones_expired, map, new_horizon_ms, scratch, space));
    if (batch.codec_id() != 0) { TRY(survivors, recompress(survivors, static_cast<Codec>(batch.codec_id()), out)); }
    cleaned.batch = survivors;
    return cleaned;
}

// --- when and what ---

CleanPlan plan_cleaning(std::span<const CleanableSegment> segments, Offset first_dirty, Offset bound,
                        int64_t horizon_ms, int64_t now_ms, const TopicConfig& config) {
    CleanPlan plan{.due = false, .first_dirty = first_dirty, .clean_end = first_dirty, .dirty_ratio = 0};
    if (!config.cleanup_policy.compact || segments.empty()) { return plan; }
    const int64_t young_ms =
        config.min_compaction_lag_ms > 0 ? saturating_minus(now_ms, config.min_compaction_lag_ms) : INT64_MAX;
    const Division division = divide(segments, first_dirty, bound, young_ms);
    if (division.end == 0) { return plan; }

    // What lies below the first segment was trimmed away, and a truncation may have gone below what was clean.
    const Offset clean_end = segments[division.end - 1].end;
    plan.first_dirty = std::clamp(first_dirty, segments.front().base, clean_end);
    plan.clean_end = clean_end;
    const uint64_t bytes = division.clean_bytes + division.dirty_bytes;
    plan.dirty_ratio = bytes == 0 ? 0 : static_cast<double>(division.dirty_bytes) / static_cast<double>(bytes);
    const bool too_old = division.oldest_dirty_ms >= 0 &&
                         saturating_minus(now_ms, division.oldest_dirty_ms) > config.max_compaction_lag_ms;
    const bool enough = division.dirty_bytes > 0 && plan.dirty_ratio >= config.min_cleanable_dirty_ratio;
    plan.due = enough || too_old || (horizon_ms >= 0 && now_ms >= horizon_ms);
    return plan;
}

}  // namespace flowstone
