#include "log/impl/cursor.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "storage/segment_files.h"
#include "storage/segment_scan.h"
#include "storage/try.h"

namespace flowstone {

Result<void> Cursor::seek(Offset offset) {
    Offset start;
    Offset end;
    Offset active_base;
    {
        Guard guard(partition_.shard().lock());
        if (partition_.durability() == Durability::memory) { partition_.close_batch(store_.engine().pool); }
        start = partition_.log_start();
        end = partition_.visible().offset;
        active_base = partition_.segments().front()->base;
        if (offset >= start && offset <= end) { truncations_seen_ = partition_.truncations.size(); }
    }
    if (offset > end && partition_.lost) { return std::unexpected(partition_.lost_error("reader.seek")); }
    if (offset < start || offset > end) {
        return fail(Code::out_of_range, "reader.seek",
                    fmt::format("offset {} of {}-{} is outside [{}, {}]", offset.value, partition_.identity().topic,
                                partition_.identity().number, start.value, end.value));
    }
    if (offset < active_base) { TRY_VOID(store_.know_closed_segments(partition_)); }
    next_offset_ = offset;
    wanted_offset_ = offset;
    return begin_again();
}

// To where the next batch is now: its segment's file may have been replaced, or merged into the one before it.
Result<void> Cursor::begin_again() {
    const Offset offset = std::max(next_offset_, wanted_offset_);
    wanted_offset_ = offset;
    Place place;
    TRY(const bool hint, index_position(offset, place));
    place_ = place;
    next_offset_ = place.segment_base;
    forget_buffer();
    epochs_.forget();
    gap_base_ = Offset{-1};
    loads_ = 0;
    if (hint && place.at > 0) {
        // An index may be bad: what it names must be a batch, and end at or before the offset.
        const auto batch = next();
        if (!batch && batch.error().code != Code::corrupt) { return std::unexpected(batch.error()); }
        if (!batch || !*batch || (*batch)->last_offset() > offset) {
            place.at = 0;
            forget_buffer();
        }
        place_ = place;
        next_offset_ = place.segment_base;
    }
    return walk_to(offset);
}

// Walks to the batch that holds the offset, or the first one behind it.
Result<void> Cursor::walk_to(Offset offset) {
    for (;;) {
        TRY(const auto batch, next());
        if (!batch) { return {}; }
        if (batch->next_offset() <= offset) { continue; }
        step_back();
        return {};
    }
}

void Cursor::step_back() {
    place_ = place_before_;
    next_offset_ = next_offset_before_;
}

// Where to begin looking for `offset`: chunk, index or the segment's front. True when an index said so, unchecked.
Result<bool> Cursor::index_position(Offset offset, Place& place) {
    Guard guard(partition_.shard().lock());
    auto& segments = partition_.segments();
    for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
        OpenSegment& open = **segment;
        if (open.base > offset) { continue; }
        place = {open.base, 0, 0};
        const auto& chunks = partition_.chunks();
        for (auto chunk = chunks.rbegin(); chunk != chunks.rend(); ++chunk) {
            if (chunk->begin >= open.begin && chunk->first_batch < chunk->end && chunk->first_offset <= offset) {
                place.at = static_cast<uint64_t>(open.in_file(chunk->first_batch).value);
                return false;
            }
        }
        if (const auto at = open.index->lookup_pending(offset)) {
            place.at = static_cast<uint64_t>(at->value);
            return true;
        }
        const SegmentIndex flushed = open.index->flushed_part();  // files are read without the lock
        guard.unlock();
        if (const auto at = flushed.lookup(store_.disk(), offset)) { place.at = static_cast<uint64_t>(at->value); }
        return true;
    }
    auto& closed = partition_.closed_segments;
    auto found = std::ranges::upper_bound(closed, offset, {}, &ClosedSegment::base);
    if (found == closed.begin()) {
        return fail(
            Code::out_of_range, "reader.seek",
            fmt::format("offset {} is below every segment of {}", offset.value, partition_.identity().directory));
    }
    const ClosedSegment segment = *--found;
    place = {segment.base, 0, segment.version};
    guard.unlock();
    auto index = SegmentIndex::open(store_.disk(), partition_.identity().directory, segment.base,
                                    {segment.end, BytePos{static_cast<int64_t>(segment.bytes)}});
    if (!index) { return false; }  // no index, no shortcut
    if (const auto at = index->lookup(store_.disk(), offset)) { place.at = static_cast<uint64_t>(at->value); }
    return true;
}

Result<Cursor::TimePlace> Cursor::seek_time(int64_t timestamp_ms) {
    Offset start;
    {
        Guard guard(partition_.shard().lock());
        start = partition_.log_start();
    }
    TRY_VOID(store_.know_closed_segments(partition_));
    // Segments whose largest timestamp is older are passed over whole; within one, batch by batch.
    {
        Guard guard(partition_.shard().lock());
        for (const ClosedSegment& segment : partition_.closed_segments) {
            if (segment.timestamp_ms_max >= 0 && segment.timestamp_ms_max < timestamp_ms) {
                start = std::max(start, segment.end);
            } else {
                break;
            }
        }
    }
    TRY_VOID(seek(start));
    std::vector<std::byte> scratch;
    for (;;) {
        TRY(const auto batch, next());
        if (!batch) { return TimePlace{next_offset_, std::nullopt}; }
        if (batch->max_timestamp_ms() < timestamp_ms) { continue; }
        TRY(auto records, RecordCursor::open(*batch, scratch));
        for (;;) {
            TRY(const auto record, records.next());
            if (!record) { break; }
            if (record->timestamp_ms < timestamp_ms || record->offset < start) { continue; }
            step_back();
            return TimePlace{record->offset, record->timestamp_ms};
        }
    }
}

Result<std::optional<BatchView>> Cursor::next() {
    for (;;) {
        if (auto ready = buffered()) {
            if (!*ready) { return std::unexpected(ready->error()); }
            return std::optional(**ready);
        }
        if (continue_ahead()) { continue; }
        forget_buffer();
        Bytes batch;
        std::shared_ptr<File> file;
        uint64_t file_end = 0;
        TRY(const Step step, look(batch, file, file_end));
        switch (step) {
            case Step::batch: {
                TRY(const BatchView parsed, BatchView::parse(batch));
                TRY(const BatchView good, accept(parsed, nullptr));
                return std::optional(good);
            }
            case Step::end: return std::optional<BatchView>();
            case Step::again: continue;
            case Step::moved: TRY_VOID(begin_again()); continue;
            case Step::swapping: sleep_while(partition_.hooks.swap_word, swap_seen_); continue;
            case Step::gap: TRY_VOID(look_at_gap()); continue;
            case Step::cold: {
                Result<void> loaded;
                if (!file) {
                    auto opened = store_.open_segment(partition_, place_.segment_base);
                    if (opened) {
                        file = std::move(*opened);
                    } else {
                        loaded = std::unexpected(opened.error());
                    }
                }
                if (loaded) { loaded = load_cold(*file, file_end); }
                // What was read, or not found, may be of another file than the place speaks of.
                if (file_replaced()) {
                    forget_buffer();
                    continue;
                }
                if (!loaded) {
                    forget_buffer();  // it was made for bytes that never came
                    return std::unexpected(loaded.error());
                }
                if (++loads_ > 1) { read_ahead(file); }
            }
        }
    }
}

bool Cursor::outdated() const {
    Guard guard(partition_.shard().lock());
    return truncations_seen_ != partition_.truncations.size();
}

// Under the lock: what was read ahead may be gone, and other records in its place.
Result<void> Cursor::note_truncations() {
    const auto& truncations = partition_.truncations;
    if (truncations_seen_ == truncations.size()) { return {}; }
    const Offset from = std::max(next_offset_, wanted_offset_);
    for (size_t i = truncations_seen_; i < truncations.size(); ++i) {
        if (from <= truncations[i]) { continue; }
        return fail(Code::out_of_range, "reader.next",
                    fmt::format("offset {} of {}-{} was truncated away, the log ended at {}", from.value,
                                partition_.identity().topic, partition_.identity().number, truncations[i].value));
    }
    truncations_seen_ = truncations.size();
    forget_buffer();
    epochs_.forget();
    return {};
}

// Under the lock: what comes next was neither trimmed nor truncated away nor deleted with its topic, wherever its bytes may
// still be.
Result<void> Cursor::still_there() {
    if (partition_.hooks.deleted) {
        return fail(Code::not_found, "reader.next", fmt::format("topic {} was deleted", partition_.identity().topic));
    }
    TRY_VOID(note_truncations());
    const Offset from = std::max(next_offset_, wanted_offset_);
    if (from >= partition_.log_start()) { return {}; }
    return fail(Code::out_of_range, "reader.next",
                fmt::format("offset {} of {}-{} was trimmed away, the log starts at {}", from.value,
                            partition_.identity().topic, partition_.identity().number, partition_.log_start().value));
}

// Under the lock: a batch in memory, the end, another segment, or what must be read from the file.
Result<Cursor::Step> Cursor::look(Bytes& batch, std::shared_ptr<File>& file, uint64_t& file_end) {
    Guard guard(partition_.shard().lock());
    TRY_VOID(still_there());
    if (partition_.truncating) {
        if (const auto& failure = partition_.shard().failure()) { return std::unexpected(*failure); }
        swap_seen_ = partition_.hooks.swap_word;
        return Step::swapping;
    }
    if (partition_.durability() == Durability::memory) { partition_.close_batch(store_.engine().pool); }
    for (const auto& segment : partition_.segments()) {
        if (segment->base != place_.segment_base) { continue; }
        const uint64_t at = segment->begin + place_.at;
        if (segment->end && at >= *segment->end) {
            place_ = {segment->end_offset, 0, 0};
            return Step::again;
        }
        const uint64_t visible = partition_.visible().at;
        if (at >= visible) {
            if (partition_.lost && !partition_.lost->inside) {
                return std::unexpected(partition_.lost_error("reader.next"));
            }
            return Step::end;
        }
        if (const Chunk* chunk = partition_.chunk_with(at, at + batch_header_bytes)) {
            TRY(const uint64_t size, BatchView::measure(Bytes(chunk->at(at), batch_length_prefix_bytes)));
            if (const Chunk* whole = partition_.chunk_with(at, at + size)) {
                batch = Bytes(whole->at(at), size);
                pin_ = whole->buffer;
                partition_.shard().note_tail_read();
                return Step::batch;
            }
        }
        // From the file, but for what no file has yet: that is copied now, before the chunks may go.
        const uint64_t end = std::min(segment->end.value_or(visible), visible);
        const uint64_t filled = std::min(end, partition_.filled_from(at));
        file = segment->file;
        const uint64_t block = store_.engine().block_bytes;
        const uint64_t aligned = align_down(place_.at, block);
        take_buffer(segment->base, end - segment->begin, align_down(filled - segment->begin, block));
        const uint64_t until = segment->begin + buffer_end_;
        file_end = std::min(filled, until) - segment->begin;
        if (filled < until) {
            std::vector<Bytes> pieces;
            std::vector<BufferRef> pins;
            partition_.pieces(std::max(at, align_down(filled, block)), until, Partition::Cut::batches, pieces, pins);
            std::byte* to = buffer_->data() + (std::max(at, align_down(filled, block)) - segment->begin - aligned);
            for (const Bytes& piece : pieces) {
                std::memcpy(to, piece.data(), piece.size());
                to += piece.size();
            }
            file_end = std::max(place_.at, align_down(filled, block) - segment->begin);
        }
        if (file_end <= place_.at) { return Step::again; }  // everything came from memory
        return Step::cold;
    }
    swap_seen_ = partition_.hooks.swap_word;
    if (swap_seen_ % 2 != 0) { return Step::swapping; }
    for (size_t i = 0; i < partition_.closed_segments.size(); ++i) {
        const ClosedSegment& segment = partition_.closed_segments[i];
        if (segment.base != place_.segment_base || segment.version != place_.version) { continue; }
        if (place_.at >= segment.bytes) {
            if (next_offset_ < segment.end && gap_base_ != segment.base) { return Step::gap; }
            const bool last = i + 1 == partition_.closed_segments.size();
            place_ = last ? Place{partition_.segments().front()->base, 0, 0}
                          : Place{partition_.closed_segments[i + 1].base, 0, partition_.closed_segments[i + 1].version};
            return Step::again;
        }
        take_buffer(segment.base, segment.bytes, segment.bytes);
        file_end = buffer_end_;
        return Step::cold;
    }
    return Step::moved;
}

// A buffer for what is at the place, of a segment that ends at `end`; `whole` of it is in the file. What ends before the
// segment does ends on a block, where the next piece begins.
void Cursor::take_buffer(Offset base, uint64_t end, uint64_t whole) {
    ahead_.reset();
    const uint64_t block = store_.engine().block_bytes;
    const uint64_t begin = align_down(place_.at, block);
    const uint64_t piece = beside_commits() ? cold_read_beside_bytes : cold_read_bytes;
    buffer_end_ = std::min(end, begin + align_up(std::max(place_.at - begin + wanted_, piece), block));
    buffer_ = store_.engine().pool.take(align_up(buffer_end_, block) - begin);
    buffer_skip_ = place_.at - begin;
    buffer_at_ = place_.at;
    buffer_base_ = base;
    file_bytes_ = whole;
}

bool Cursor::beside_commits() const {
    const Engine& engine = store_.engine();
    return engine.clock.monotonic_ns() - engine.committed_ns.load(std::memory_order_relaxed) < commits_go_on_ns;
}

// Has the next piece of the file read while this one is walked through.
void Cursor::read_ahead(const std::shared_ptr<File>& file) {
    const uint64_t block = store_.engine().block_bytes;
    if (buffer_end_ >= file_bytes_ || buffer_end_ % block != 0 || beside_commits()) { return; }
    const uint64_t end = std::min(file_bytes_, buffer_end_ + cold_read_bytes);
    BufferRef buffer = store_.engine().pool.take(cold_buffer_bytes);
    auto read = store_.disk().begin_read(
        file, BytePos{static_cast<int64_t>(buffer_end_)},
        MutableBytes(buffer->data() + cold_headroom_bytes, align_up(end, block) - buffer_end_));
    if (read) { ahead_ = {file, std::move(buffer), end, std::move(read)}; }
}

// Goes on in what was read ahead. False when it is of no use: then the file is read again, and what is wrong found there.
// Should the file have been replaced since it was opened: it holds what it held, to its end.
bool Cursor::continue_ahead() {
    const bool in_buffer = buffer_base_ == place_.segment_base && place_.at >= buffer_at_ && place_.at <= buffer_end_;
    if (!ahead_ || !in_buffer) { return false; }
    Ahead ahead = std::move(*ahead_);
    ahead_.reset();
    const auto got = ahead.read->end();
    ahead.read.reset();
    const uint64_t rest = buffer_end_ - place_.at;
    const uint64_t more = ahead.end - buffer_end_;
    if (!got || *got < more || rest > cold_headroom_bytes || wanted_ > rest + more) { return false; }
    std::memcpy(ahead.buffer->data() + cold_headroom_bytes - rest,
                buffer_->data() + buffer_skip_ + (place_.at - buffer_at_), rest);
    buffer_ = std::move(ahead.buffer);
    buffer_skip_ = cold_headroom_bytes - rest;
    buffer_at_ = place_.at;
    buffer_end_ = ahead.end;
    read_ahead(ahead.file);
    return true;
}

// Whether the segment of the place was removed or replaced since look().
bool Cursor::file_replaced() {
    Guard guard(partition_.shard().lock());
    if (partition_.truncating || truncations_seen_ != partition_.truncations.size()) { return true; }
    for (const auto& segment : partition_.segments()) {
        if (segment->base == place_.segment_base) { return partition_.hooks.deleted; }
    }
    if (partition_.hooks.deleted || partition_.hooks.swap_word != swap_seen_) { return true; }
    return std::ranges::none_of(partition_.closed_segments, [&](const ClosedSegment& segment) {
        return segment.base == place_.segment_base && segment.version == place_.version;
    });
}

// Compaction and an accepted loss end the records of a segment before its offsets. A file that was cut between two batches
// looks the same, but its seal says how long it was.
Result<void> Cursor::look_at_gap() {
    const bool whole = store_.is_whole(partition_, place_.segment_base, place_.at);
    if (file_replaced()) { return {}; }
    if (!whole) { return damaged(place_.at, "the file is cut short"); }
    gap_base_ = place_.segment_base;
    return {};
}

Result<void> Cursor::load_cold(File& file, uint64_t file_end) {
    const uint64_t block = store_.engine().block_bytes;
    const uint64_t begin = buffer_at_ - buffer_skip_;
    const uint64_t size = align_up(file_end, block) - begin;
    // What came from memory stands behind the part to be read; a whole block may not be read over it.
    BufferRef into = buffer_;
    if (file_end < buffer_end_ && file_end % block != 0) { into = store_.engine().pool.take(size); }
    auto got = read_at(store_.disk(), file, BytePos{static_cast<int64_t>(begin)}, MutableBytes(into->data(), size));
    if (!got) { return std::unexpected(got.error()); }
    if (into->data() != buffer_->data()) { std::memcpy(buffer_->data(), into->data(), file_end - begin); }
    if (begin + *got < file_end) { return damaged(begin + *got, "the file is cut short"); }
    return {};
}

// The batch at the place, if the buffer has it whole.
std::optional<Result<BatchView>> Cursor::buffered() {
    if (buffer_base_ != place_.segment_base || buffer_base_.value < 0 || place_.at < buffer_at_ ||
        place_.at >= buffer_end_) {
        return std::nullopt;
    }
    {
        Guard guard(partition_.shard().lock());
        if (auto there = still_there(); !there) { return std::unexpected(there.error()); }
        if (buffer_base_.value < 0) { return std::nullopt; }
    }
    const Bytes bytes(buffer_->data() + buffer_skip_ + (place_.at - buffer_at_), buffer_end_ - place_.at);
    const auto bad = [&](const char* what) -> Result<BatchView> {
        forget_buffer();
        return damaged(place_.at, what);
    };
    if (bytes.size() < batch_header_bytes) {
        if (wanted_ >= batch_header_bytes && buffer_at_ == place_.at) { return bad("a batch is cut short"); }
        wanted_ = std::max<uint64_t>(wanted_, batch_header_bytes);
        return std::nullopt;
    }
    const auto size = BatchView::measure(bytes);
    if (!size || *size > scan_batch_bytes_limit) { return bad("a length that no batch has"); }
    if (*size > bytes.size()) {
        if (buffer_at_ == place_.at && wanted_ >= *size) { return bad("a batch is cut short"); }
        wanted_ = *size;
        return std::nullopt;
    }
    const auto batch = BatchView::parse(bytes);
    if (!batch) { return bad("no record batch"); }
    if (!batch->crc_matches()) { return bad("a batch does not match its checksum"); }
    pin_ = buffer_;
    wanted_ = 0;
    return accept(*batch, &epochs_);
}

// After a failed sync a file may lack what was in it; only the next opening, which has the journal, can tell.
std::unexpected<Error> Cursor::damaged(uint64_t at, std::string_view what) const {
    if (const auto& failure = partition_.shard().failure()) { return std::unexpected(*failure); }
    return fail(Code::corrupt, "reader.next",
                fmt::format("{}/{} at byte {}, offset {}: {}", partition_.identity().directory,
                            segment_file_name(place_.segment_base, SegmentFile::log), at, next_offset_.value, what));
}

// Offsets are missing only where something was compacted, and none lies past the segment it is in.
bool Cursor::belongs_here(BatchView batch) const {
    const Offset expected = place_.at == 0 ? place_.segment_base : next_offset_;
    if (batch.base_offset() == expected) { return true; }
    Guard guard(partition_.shard().lock());
    if (place_.at == 0 || place_.known) { return batch.base_offset() < partition_.compacted_end; }
    for (const auto& segment : partition_.segments()) {
        if (segment->base != place_.segment_base) { continue; }
        return batch.next_offset() <= (segment->end ? segment->end_offset : partition_.closed().offset);
    }
    const auto& closed = partition_.closed_segments;
    const auto segment = std::ranges::find(closed, place_.segment_base, &ClosedSegment::base);
    return segment == closed.end() || batch.next_offset() <= segment->end;
}

// Place, order and leader epoch: what the checksum leaves open. What is in memory was put there with its epoch.
Result<BatchView> Cursor::accept(BatchView batch, EpochCheck* epochs) {
    if (batch.base_offset() < next_offset_ || batch.next_offset() <= batch.base_offset() || !belongs_here(batch)) {
        return damaged(place_.at, fmt::format("a batch of offsets [{}, {}) does not follow", batch.base_offset().value,
                                              batch.next_offset().value));
    }
    if (const auto epoch = epochs == nullptr ? std::nullopt : epochs->other_than(batch)) {
        return damaged(place_.at, fmt::format("a batch of leader epoch {}, where epoch {} is on record",
                                              batch.epoch().value, epoch->value));
    }
    place_before_ = place_;
    next_offset_before_ = next_offset_;
    place_.at += batch.size();
    place_.known = true;
    next_offset_ = batch.next_offset();
    return batch;
}

}  // namespace flowstone
