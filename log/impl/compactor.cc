#include "log/impl/compactor.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "log/impl/epoch_check.h"
#include "storage/check.h"
#include "storage/lock.h"
#include "storage/mutants.h"
#include "storage/segment_files.h"
#include "storage/segment_scan.h"
#include "storage/transaction_index.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr SegmentFile rebuilt_kinds[] = {SegmentFile::index, SegmentFile::time_index, SegmentFile::snapshot};

Result<void> remove_if_there(Disk& disk, const std::string& path) {
    auto removed = disk.remove(path);
    return removed || removed.error().code == Code::not_found ? Result<void>{} : removed;
}

Result<void> rename_if_there(Disk& disk, const std::string& from, const std::string& to) {
    auto renamed = disk.rename(from, to);
    return renamed || renamed.error().code == Code::not_found ? Result<void>{} : renamed;
}

// Aborted records stay until their transaction index says otherwise, so it must stay for as long: the new segment's is
// that of all it comes from. Done again after a crash it finds less or the same.
Result<void> merge_transaction_indexes(Disk& disk, const std::string& directory, const SegmentSwap& swap) {
    std::vector<AbortedTransaction> all;
    bool any = false;
    for (const Offset base : swap.bases) {
        auto entries = read_transaction_index(disk, directory, base);
        if (!entries && entries.error().code == Code::not_found) { continue; }
        if (!entries) { return std::unexpected(entries.error()); }
        any = true;
        all = merged(std::move(all), *entries);
    }
    return any ? write_transaction_index(disk, directory, swap.bases.front(), all) : Result<void>{};
}

// The new segment's files under their names. The old index goes first, and for good: it speaks of the old file, and a crash
// that kept the new segment's name and brought the old index back would leave nothing to tell by.
Result<void> put_in_place(Disk& disk, const std::string& directory, const SegmentSwap& swap) {
    const auto in_place = [&](SegmentFile kind) {
        return join_path(directory, segment_file_name(swap.bases.front(), kind));
    };
    const std::string cleaned = join_path(directory, swap.cleaned_name(SegmentFile::log));
    TRY(const bool there, exists(disk, cleaned));
    if (there) {
        TRY_VOID(merge_transaction_indexes(disk, directory, swap));
        for (const SegmentFile kind : rebuilt_kinds) { TRY_VOID(remove_if_there(disk, in_place(kind))); }
        if (!mutated(Mutant::compaction_index_gone)) { TRY_VOID(disk.sync_directory(directory)); }
        TRY_VOID(disk.rename(cleaned, in_place(SegmentFile::log)));
    }
    return rename_if_there(disk, join_path(directory, swap.cleaned_name(SegmentFile::seal)),
                           in_place(SegmentFile::seal));
}

Result<void> remove_replaced(Disk& disk, const std::string& directory, const SegmentSwap& swap) {
    if (!mutated(Mutant::compaction_swap)) { TRY_VOID(disk.sync_directory(directory)); }
    for (size_t i = 1; i < swap.bases.size(); ++i) {
        for (const SegmentFile kind : segment_file_kinds) {
            TRY_VOID(remove_if_there(disk, join_path(directory, segment_file_name(swap.bases[i], kind))));
        }
    }
    return mutated(Mutant::compaction_gone) ? Result<void>{} : disk.sync_directory(directory);
}

// None for a segment that is damaged meanwhile: readers do without, and say what they find.
Result<void> make_index(Disk& disk, const std::string& directory, Offset base, SegmentEnd end) {
    const auto index = rebuild_index(disk, directory, base, end, scan_batch_bytes_limit, true);
    return index || index.error().code == Code::corrupt ? Result<void>{} : std::unexpected(index.error());
}

}  // namespace

// --- what the journal says -------------------------------------------------------------------------------------------

std::string SegmentSwap::to_text() const {
    std::string text = "1 " + token;
    for (const Offset base : bases) { text += fmt::format(" {}", base.value); }
    return text;
}

Result<SegmentSwap> SegmentSwap::parse(std::string_view text) {
    const auto bad = [] { return fail(Code::corrupt, "log.open", "a journal entry of a swap says no such thing"); };
    const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    if (!text.starts_with("1 ")) { return fail(Code::unsupported, "log.open", "a journal entry of a newer swap"); }
    text.remove_prefix(2);
    SegmentSwap swap;
    swap.token = text.substr(0, 16);
    if (swap.token.size() != 16 || !std::ranges::all_of(swap.token, is_hex)) { return bad(); }
    text.remove_prefix(16);
    while (!text.empty()) {
        if (text.front() != ' ' || swap.bases.size() == segments_per_swap_max) { return bad(); }
        Offset base;
        const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), base.value);
        const bool grows = swap.bases.empty() || base > swap.bases.back();
        if (error != std::errc{} || base.value < 0 || !grows) { return bad(); }
        swap.bases.push_back(base);
        text.remove_prefix(static_cast<size_t>(end - text.data()));
    }
    if (swap.bases.empty()) { return bad(); }
    return swap;
}

std::string SegmentSwap::cleaned_name(SegmentFile kind) const {
    return fmt::format("{}.{}.cleaned", segment_file_name(bases.front(), kind), token);
}

Result<void> finish_swap(Disk& disk, const std::string& directory, const SegmentSwap& swap) {
    TRY_VOID(put_in_place(disk, directory, swap));
    return remove_replaced(disk, directory, swap);
}

// --- one cleaning ----------------------------------------------------------------------------------------------------

// One new segment being written.
struct Compactor::Output {
    SegmentSwap swap;
    std::vector<ClosedSegment> old;
    std::unique_ptr<File> file;
    std::optional<SealBuilder> seal;
    std::vector<std::byte> pending;
    uint64_t bytes = 0;    // pending ones too
    uint64_t written = 0;  // to the file
    int64_t timestamp_ms_max = -1;
    bool changed = false;  // something in it is not as it was
    bool kept = false;     // the journal speaks of it, or may
};

Compactor::Compactor(Store& store, Partition& partition, std::shared_ptr<const TopicConfig> config, int64_t now_ms)
    : store_(store), partition_(partition), config_(std::move(config)), now_ms_(now_ms) {}

Result<void> Compactor::run() {
    TRY(const bool due, plan());
    if (!due) { return {}; }
    // As many slots as there can be keys: offsets bound their number.
    const auto offsets = static_cast<size_t>(plan_.clean_end.value - plan_.first_dirty.value);
    const size_t bytes = std::clamp<size_t>(offsets, 64, key_map_bytes_max / 32) * 32;
    KeyMap map({.bytes_max = bytes, .seed = store_.random_.next()});
    map.set_end(plan_.first_dirty);
    auto noted = note_all_keys(map);
    Result<void> cleaned;
    if (noted && *noted) {
        cleaned = clean_segments(map);
    } else if (!noted) {
        cleaned = std::unexpected(noted.error());
    }
    if (!cleaned && cleaned.error().code == Code::corrupt) {
        store_.log(fmt::format("not compacted: {}", cleaned.error().message()));
        return {};
    }
    if (!cleaned || !noted || !*noted) { return cleaned; }
    Guard guard(partition_.shard().lock());
    partition_.compacted_end = std::max(partition_.compacted_end, map.end());
    partition_.compaction_horizon_ms = horizon_ms_;
    partition_.shard().note_journaled(partition_);  // so that the next checkpoint says so
    return {};
}

Result<bool> Compactor::plan() {
    TRY_VOID(store_.end_swap(partition_));
    TRY_VOID(store_.know_closed_segments(partition_));
    if (config_->min_compaction_lag_ms > 0 || config_->max_compaction_lag_ms < INT64_MAX) {
        std::vector<ClosedSegment> closed;
        {
            Guard guard(partition_.shard().lock());
            closed = partition_.closed_segments;
        }
        for (const ClosedSegment& segment : closed) { TRY_VOID(store_.largest_timestamp(partition_, segment)); }
    }
    uint64_t closed_at = 0;
    {
        Guard guard(partition_.shard().lock());
        if (partition_.hooks.deleted || partition_.swap_open) { return false; }
        std::vector<CleanableSegment> all;
        for (const ClosedSegment& segment : partition_.closed_segments) {
            all.push_back({segment.base, segment.end, segment.bytes, -1, segment.timestamp_ms_max, -1});
        }
        const Offset open_base = partition_.segments().front()->base;
        all.push_back({open_base, partition_.closed().offset, 0, -1, -1, -1});
        Offset bound = std::min(open_base, partition_.visible().offset);
        const Offset open_transaction = partition_.producers().first_open_transaction();
        if (open_transaction.value >= 0) { bound = std::min(bound, open_transaction); }
        plan_ =
            plan_cleaning(all, partition_.compacted_end, bound, partition_.compaction_horizon_ms, now_ms_, *config_);
        if (!plan_.due) { return false; }
        for (const ClosedSegment& segment : partition_.closed_segments) {
            if (segment.end > plan_.clean_end) { break; }
            segments_.push_back(segment);
            closed_at = std::max(closed_at, segment.closed_at);
        }
    }
    // Replay over either checkpoint slot must not meet a file that we changed.
    while (store_.checkpoint_number_ < closed_at + 1) { TRY_VOID(store_.checkpoint({})); }
    return !segments_.empty();
}

Error Compactor::damaged(const ClosedSegment& segment, const char* what) const {
    return fail(Code::corrupt, "log.compact",
                fmt::format("{}/{}: {}", partition_.identity().directory,
                            segment_file_name(segment.base, SegmentFile::log), what))
        .error();
}

// False when the map is full before it held anything. Fewer segments are cleaned when it is full later.
Result<bool> Compactor::note_all_keys(KeyMap& map) {
    for (size_t i = 0; i < segments_.size(); ++i) {
        const ClosedSegment& segment = segments_[i];
        if (segment.end <= plan_.first_dirty) { continue; }
        TRY(const auto file, store_.open_segment(partition_, segment.base));
        SegmentScanner scanner(store_.disk(), *file,
                               {.end = BytePos{static_cast<int64_t>(segment.bytes)},
                                .offset = segment.base,
                                .offset_end = segment.end,
                                .batch_bytes_max = scan_batch_bytes_limit});
        for (;;) {
            TRY(const auto found, scanner.next());
            if (!found) { break; }
            if (store_.stopping_) { return false; }
            if (found->batch.next_offset() <= plan_.first_dirty || found->batch.control()) { continue; }
            const auto fate = found->batch.transactional() ? TransactionFate::unknown : TransactionFate::committed;
            TRY(const bool fits, note_keys(found->batch, fate, map, scratch_));
            if (!fits) {
                segments_.resize(i + 1);
                return map.end() > plan_.first_dirty;
            }
        }
        if (scanner.fault() != ScanFault::none) { return std::unexpected(damaged(segment, name(scanner.fault()))); }
        map.set_end(segment.end);
    }
    return true;
}

Result<void> Compactor::clean_segments(const KeyMap& map) {
    const CleanRules rules{now_ms_, config_->delete_retention_ms, segments_.back().end};
    Output output;
    for (const ClosedSegment& segment : segments_) {
        if (store_.stopping_) { break; }
        const bool full =
            output.bytes > 0 && output.bytes + segment.bytes > static_cast<uint64_t>(config_->segment_bytes);
        const bool too_wide = !output.old.empty() && segment.end - output.old.front().base > segment_offsets_max;
        Result<void> done;
        if (full || too_wide || output.old.size() == segments_per_swap_max) { done = finish_output(output); }
        if (done && output.old.empty()) { done = begin_output(segment, output); }
        if (done) { done = clean_segment(segment, map, rules, output); }
        if (!done) {
            discard(output);
            return done;
        }
    }
    auto done = store_.stopping_ ? fail(Code::closed, "log.compact", "the log is being closed") : finish_output(output);
    if (!done) { discard(output); }
    return done;
}

Result<void> Compactor::clean_segment(const ClosedSegment& segment, const KeyMap& map, const CleanRules& rules,
                                      Output& output) {
    output.changed = output.changed || !output.old.empty();
    output.old.push_back(segment);
    output.swap.bases.push_back(segment.base);
    // What a file lost between two batches must not be taken for compacted.
    if (!store_.is_whole(partition_, segment.base, segment.bytes)) {
        return std::unexpected(damaged(segment, "the file is cut short"));
    }
    TRY(const auto file, store_.open_segment(partition_, segment.base));
    SegmentScanner scanner(store_.disk(), *file,
                           {.end = BytePos{static_cast<int64_t>(segment.bytes)},
                            .offset = segment.base,
                            .offset_end = segment.end,
                            .epoch_order = false,
                            .batch_bytes_max = scan_batch_bytes_limit});
    EpochCheck epochs(partition_);
    for (;;) {
        TRY(const auto found, scanner.next());
        if (!found) { break; }
        if (store_.stopping_) { return fail(Code::closed, "log.compact", "the log is being closed"); }
        // A new seal would vouch for it.
        if (epochs.other_than(found->batch)) { return std::unexpected(damaged(segment, "a batch of another epoch")); }
        const auto fate = found->batch.transactional() ? TransactionFate::unknown : TransactionFate::committed;
        TRY(const CleanedBatch cleaned,
            clean_batch(found->batch, fate, is_producers_last(found->batch), map, rules, scratch_, rewritten_));
        output.changed = output.changed || cleaned.what != Cleaned::as_it_was;
        if (cleaned.tombstones_kept && cleaned.horizon_ms >= 0) {
            horizon_ms_ = horizon_ms_ < 0 ? cleaned.horizon_ms : std::min(horizon_ms_, cleaned.horizon_ms);
        }
        if (cleaned.what == Cleaned::dropped) { continue; }
        const BatchView batch = cleaned.what == Cleaned::as_it_was ? found->batch : *cleaned.batch;
        output.timestamp_ms_max = std::max(output.timestamp_ms_max, batch.max_timestamp_ms());
        TRY_VOID(write(output, batch.bytes()));
    }
    if (scanner.fault() != ScanFault::none) { return std::unexpected(damaged(segment, name(scanner.fault()))); }
    return {};
}

bool Compactor::is_producers_last(BatchView batch) {
    if (batch.producer_id() < 0) { return false; }
    Guard guard(partition_.shard().lock());
    const auto window = partition_.producers().window(batch.producer_id());
    return !window.empty() && window.back().last_offset == batch.last_offset();
}

// --- the new file ----------------------------------------------------------------------------------------------------

Result<void> Compactor::begin_output(const ClosedSegment& first, Output& output) {
    output.swap.token = fmt::format("{:016x}", store_.random_.next());
    output.seal.emplace(partition_.seal_place(first.base));
    SegmentSwap named{output.swap.token, {first.base}};
    const std::string path = join_path(partition_.identity().directory, named.cleaned_name(SegmentFile::log));
    TRY(output.file, store_.disk().open(path, {.write = true, .create = true, .exclusive = true}));
    return {};
}

Result<void> Compactor::write(Output& output, Bytes bytes) {
    output.seal->update(bytes);
    output.pending.insert(output.pending.end(), bytes.begin(), bytes.end());
    output.bytes += bytes.size();
    return output.pending.size() < clean_write_bytes ? Result<void>{} : write_out(output);
}

Result<void> Compactor::write_out(Output& output) {
    TRY_VOID(write_at(store_.disk(), *output.file, BytePos{static_cast<int64_t>(output.written)}, output.pending));
    output.written += output.pending.size();
    output.pending.clear();
    return {};
}

// Puts the new segment in the place of the old ones, and makes ready for the next.
Result<void> Compactor::finish_output(Output& output) {
    if (!output.changed || output.bytes == 0) {
        discard(output);
        return {};
    }
    TRY_VOID(write_out(output));
    if (!mutated(Mutant::compaction_sync)) { TRY_VOID(sync(store_.disk(), *output.file)); }
    TRY_VOID(seal_output(output));
    TRY_VOID(swap(output));
    output = Output();
    return {};
}

Result<void> Compactor::seal_output(Output& output) {
    const std::string& directory = partition_.identity().directory;
    Seal seal = output.seal->finish(output.old.back().end, SealOrigin::rewrite);
    if (config_->seal == SealKind::sha256) {
        SealChain chain;
        TRY(chain.content, sha256_of_file(store_.disk(), *output.file, output.bytes));
        for (const ClosedSegment& old : output.old) {
            auto replaced = read_seal(store_.disk(), directory, old.base);
            if (!replaced) { return std::unexpected(replaced.error()); }
            if (!replaced->chain) { continue; }
            if (chain.replaced.empty()) { chain.previous = replaced->chain->previous; }
            // What it stands in for itself, this one now does.
            std::ranges::copy(replaced->chain->replaced, std::back_inserter(chain.replaced));
            chain.replaced.push_back(replaced->head());
        }
        if (chain.replaced.size() > seal_replaced_max) {  // the oldest are forgotten
            chain.replaced.erase(chain.replaced.begin(), chain.replaced.end() - seal_replaced_max);
        }
        seal.chain = std::move(chain);
    }
    // Syncs the directory too: the segment that is to be swapped in has its name.
    return replace_file(store_.disk(), join_path(directory, output.swap.cleaned_name(SegmentFile::seal)),
                        encode_seal(seal));
}

Result<void> Compactor::swap(Output& output) {
    Shard& shard = partition_.shard();
    const std::string& directory = partition_.identity().directory;
    const ClosedSegment& first = output.old.front();
    Guard guard(shard.lock());
    TRY_VOID(shard.admit(guard, &partition_));
    partition_.swap_text = output.swap.to_text();
    partition_.swap_open = true;
    const uint64_t at = partition_.closed().at;
    shard.queue({&partition_, EntryKind::swap, at, at, first.base, output.old.back().end, partition_.epoch(), 0});
    if (auto flushed = shard.flush(guard); !flushed) {
        partition_.swap_open = !shard.take_back(partition_, EntryKind::swap);
        output.kept = partition_.swap_open;  // it may be in the journal: then the next opening needs the files
        return flushed;
    }
    output.kept = true;
    if (partition_.hooks.deleted) { return fail(Code::not_found, "log.compact", "the topic was deleted"); }
    partition_.hooks.swap_word.fetch_add(1);  // odd: who reads files waits
    guard.unlock();
    auto placed = put_in_place(store_.disk(), directory, output.swap);
    guard.lock();
    if (placed) {
        ClosedSegment fresh{first.base,      output.old.back().end, output.bytes, output.timestamp_ms_max,
                            first.closed_at, first.version + 1};
        auto& closed = partition_.closed_segments;
        const auto begin = std::ranges::find(closed, first.base, &ClosedSegment::base);
        CHECK(begin != closed.end());
        closed.erase(begin, begin + static_cast<ptrdiff_t>(output.old.size()));
        closed.insert(std::ranges::upper_bound(closed, fresh.base, {}, &ClosedSegment::base), fresh);
        partition_.swap_placed = true;
        // From now on offsets are missing there, and nobody takes that for damage.
        partition_.compacted_end = std::max(partition_.compacted_end, fresh.end);
    } else if (!partition_.hooks.deleted) {
        // Files of two lives lie side by side and only the next opening puts them right.
        shard.go_offline(placed.error());
    }
    partition_.hooks.swap_word.fetch_add(1);
    wake_all(partition_.hooks.swap_word);
    guard.unlock();
    if (!placed) { return placed; }
    return store_.end_swap(partition_);
}

// A new segment is in its place: the files of the others go. What fails is done by the next compaction, at close (whose
// checkpoint lets go of the journal), or by replay. Requires maintain_lock_.
Result<void> Store::end_swap(Partition& partition) {
    SegmentSwap swap;
    SegmentEnd end;
    {
        Guard guard(partition.shard().lock());
        if (!partition.swap_placed || partition.hooks.deleted) { return {}; }
        TRY(swap, SegmentSwap::parse(partition.swap_text));
        const auto placed = std::ranges::find(partition.closed_segments, swap.bases.front(), &ClosedSegment::base);
        if (placed != partition.closed_segments.end()) {
            end = {placed->end, BytePos{static_cast<int64_t>(placed->bytes)}};
        }
    }
    const std::string& directory = partition.identity().directory;
    TRY_VOID(remove_replaced(disk(), directory, swap));
    if (end.at.value > 0) { TRY_VOID(make_index(disk(), directory, swap.bases.front(), end)); }
    Guard guard(partition.shard().lock());
    partition.swap_sequence.reset();
    partition.swap_placed = false;
    partition.swap_open = false;
    return {};
}

// What it wrote is nobody's.
void Compactor::discard(Output& output) {
    if (output.file && !output.kept && !output.swap.bases.empty()) {
        for (const SegmentFile kind : {SegmentFile::log, SegmentFile::seal}) {
            (void)store_.disk().remove(join_path(partition_.identity().directory, output.swap.cleaned_name(kind)));
        }
    }
    output = Output();
}

// --- replay ----------------------------------------------------------------------------------------------------------

Result<void> Store::replay_swap(Partition& partition, Bytes text) {
    TRY(const SegmentSwap swap, SegmentSwap::parse(as_text(text)));
    const std::string& directory = partition.identity().directory;
    if (!read_only()) {
        TRY_VOID(finish_swap(disk(), directory, swap));
        const std::string log = join_path(directory, segment_file_name(swap.bases.front(), SegmentFile::log));
        bool indexed = true;
        for (const SegmentFile kind : {SegmentFile::index, SegmentFile::time_index}) {
            TRY(const bool there, exists(disk(), join_path(directory, segment_file_name(swap.bases.front(), kind))));
            indexed = indexed && there;
        }
        TRY(const bool there, exists(disk(), log));
        if (indexed || !there) { return {}; }
        TRY(const FileInfo info, disk().info(log));
        return make_index(disk(), directory, swap.bases.front(),
                          {Offset{INT64_MAX}, BytePos{static_cast<int64_t>(info.bytes)}});
    }
    // Nothing is changed here: either the old files are all there still, or the new one is and hides what is left.
    TRY(const bool open, exists(disk(), join_path(directory, swap.cleaned_name(SegmentFile::log))));
    if (!open) { partition.replaced.insert(partition.replaced.end(), swap.bases.begin() + 1, swap.bases.end()); }
    return {};
}

}  // namespace flowstone
