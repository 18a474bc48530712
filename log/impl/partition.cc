#include "log/impl/partition.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "log/impl/shard.h"
#include "log/impl/tail_sharing.h"
#include "storage/check.h"
#include "storage/segment_files.h"

namespace flowstone {

Partition::Partition(Shard& shard, Identity identity, std::shared_ptr<const TopicConfig> config, uint32_t block_bytes)
    : shard_(shard), identity_(std::move(identity)), block_bytes_(block_bytes) {
    set_config(std::move(config));
}

void Partition::set_config(std::shared_ptr<const TopicConfig> config) {
    config_.store(config.get(), std::memory_order_release);
    configs_.push_back(std::move(config));
}

void Partition::start(Start start, std::unique_ptr<SegmentIndex> index) {
    CHECK(segments_.empty());
    OpenSegment& segment = *segments_.emplace_back(std::make_unique<OpenSegment>());
    segment.base = start.segment_base;
    segment.begun_here = start.bytes == 0;
    segment.index = std::move(index);
    closed_ = {start.bytes, start.boundary_offset};
    visible_ = closed_;
    boundaries_.assign(1, {start.boundary, start.boundary_offset});
    log_start_ = start.log_start;
    epochs_ = std::move(start.epochs);
    epochs_proven_end_ = start.proven_end;
    // What is there of the others their batches tell.
    epoch_taken_ = epoch();
    while (!epochs_.empty() && epochs_.back().start > start.proven_end) { epochs_.pop_back(); }
}

void Partition::restart(Start start, std::unique_ptr<SegmentIndex> index) {
    CHECK(!builder_);
    CHECK(chunks_.empty());
    segments_.clear();
    commits_.clear();
    carry_due_ = false;
    rewritten.reset();
    read_hints_ = {};
    aborted_transactions.reset();
    closed_at_checkpoint = 0;
    hooks.loaded = false;
    hooks.needs_epoch = true;
    hooks.epochs_unwritten = true;
    hooks.unfilled_bytes = 0;
    this->start(std::move(start), std::move(index));
}

Error Partition::lost_error(const char* operation) const {
    const std::string range = fmt::format("offsets [{}, {})", lost->begin.value, lost->end.value);
    std::string text;
    if (lost->commit > 0) {
        text = fmt::format("{}: {} are lost with commit {} of journal {}", identity_.directory, range, lost->commit,
                           lost->shard);
    } else {
        text = fmt::format("{}/{}: {} are lost, from byte {} on", identity_.directory,
                           segment_file_name(lost->segment_base, SegmentFile::log), range, lost->position.value);
    }
    return fail(Code::corrupt, operation, text + "; accept_loss (`flowstone repair`) goes on behind them").error();
}

void Partition::start_epoch(Epoch epoch) {
    CHECK(epochs_.empty() || epoch > epochs_.back().epoch);
    epochs_.push_back({epoch, closed_.offset});
    hooks.epochs_unwritten = true;
}

// --- appending -------------------------------------------------------------------------------------------------------

size_t Partition::room() const {
    if (chunks_.empty()) { return 0; }
    const Chunk& last = chunks_.back();
    // A chunk of another segment, or one that recovery left behind a direct write, does not continue here.
    if (last.begin < segments_.back()->begin || last.end != closed_.at) { return 0; }
    return last.buffer->capacity() - (closed_.at - last.begin);
}

void Partition::new_chunk(size_t bytes, BufferPool& pool) {
    const uint64_t begin = align_down(closed_.at, block_bytes_);
    const size_t unfinished = closed_.at - begin;
    size_t wanted = next_chunk_bytes_;
    while (wanted < bytes + unfinished && wanted < chunk_bytes_max) { wanted *= 4; }
    wanted = std::max(wanted, bytes + unfinished);
    Chunk chunk;
    chunk.buffer = pool.take(wanted);
    chunk.begin = begin;
    chunk.end = closed_.at;
    chunk.filled = begin;
    // Nothing of a proven block is written again before the journal holds it.
    if (carry_due_ && carry_begin_ == begin) { chunk.filled = carry_end_.at; }
    chunk.first_batch = closed_.at;
    chunk.first_offset = closed_.offset;
    if (unfinished > 0) {
        const Chunk* before = chunk_of(begin);
        CHECK(before != nullptr && before->end >= closed_.at);
        std::memcpy(chunk.buffer->data(), before->at(begin), unfinished);
        // Writes of a `written` topic go byte by byte in order: what of the block is in the file is not written again.
        if (durability() == Durability::written) { chunk.filled = std::max(chunk.filled, before->filled); }
    }
    // The one before ends with its last whole block: the rest is this one's to fill.
    chunks_.push_back(std::move(chunk));
    shard_.note_chunk(*this, chunks_.back());
    next_chunk_bytes_ = std::min(next_chunk_bytes_ * 4, shard_.chunk_bytes_limit());
}

bool Partition::roll_due(size_t bytes, int64_t timestamp_ms) const {
    const OpenSegment& segment = *segments_.back();
    if (closed_.at > segment.begin &&
        closed_.offset - segment.base > segment_offsets_max - static_cast<int64_t>(records_per_batch_max)) {
        return true;
    }
    return segment_full(closed_.at - segment.begin, bytes, segment.first_timestamp_ms, timestamp_ms);
}

bool Partition::segment_full(uint64_t used, size_t bytes, int64_t first_timestamp_ms, int64_t timestamp_ms) const {
    if (used == 0) { return false; }
    if (used + bytes > static_cast<uint64_t>(config().segment_bytes)) { return true; }
    // By the records' own time, as Kafka does it: old records that are loaded today do not roll at every batch.
    return first_timestamp_ms >= 0 && timestamp_ms - first_timestamp_ms > config().roll_ms();
}

void Partition::roll() {
    CHECK(!builder_);
    const uint64_t begin = active().begin;
    const uint64_t end = closed_.at;
    begin_segment();
    active().unsynced = false;  // it has no file
    queue_range(EntryKind::roll, begin, end, closed_.offset, closed_.offset);
}

void Partition::begin_segment() {
    OpenSegment& old = active();
    old.end = closed_.at;
    old.end_offset = closed_.offset;
    closed_.at = align_up(closed_.at, block_bytes_);
    OpenSegment& fresh = *segments_.emplace_back(std::make_unique<OpenSegment>());
    fresh.base = closed_.offset;
    fresh.begun_here = true;
    fresh.begin = closed_.at;
    fresh.index = std::make_unique<SegmentIndex>(identity_.directory, fresh.base);
    boundaries_.push_back(closed_);
    if (old.seal) {
        fresh.seal = std::make_unique<SealBuilder>(seal_place(fresh.base));
    }  // else the partition is not loaded
}

BatchBuilder& Partition::open_batch(size_t bytes, int64_t timestamp_ms, BufferPool& pool,
                                    const BatchBuilder::Options& producer) {
    CHECK(!builder_);
    const size_t needed = batch_header_bytes + bytes;
    if (roll_due(needed, timestamp_ms)) { roll(); }
    builder_options_ = producer;
    builder_options_.base_offset = closed_.offset;
    builder_options_.epoch = epoch();
    builder_options_.timestamp_type = config().timestamp_type;
    const size_t batch_room = std::min(batch_bytes_target, static_cast<size_t>(config().max_message_bytes));
    builder_in_scratch_ = config().compression.value_or(Codec::none) != Codec::none;
    if (builder_in_scratch_) {
        scratch_.resize(std::max(needed, batch_room));
        builder_.emplace(MutableBytes(scratch_.data(), scratch_.size()), builder_options_);
    } else {
        // A chunk's last stretch is not worth a batch of its own when more would follow.
        if (room() < needed || room() < 1024) { new_chunk(needed, pool); }
        Chunk& chunk = chunks_.back();
        // Above what is needed it grows no further than the segment is meant to.
        const size_t segment_room = static_cast<size_t>(config().segment_bytes) -
                                    std::min<uint64_t>(config().segment_bytes, closed_.at - segments_.back()->begin);
        const size_t space = std::min(room(), std::max(needed, std::min(batch_room, segment_room)));
        builder_.emplace(MutableBytes(chunk.buffer->data() + (closed_.at - chunk.begin), space), builder_options_);
    }
    shard_.note_open(*this);
    return *builder_;
}

void Partition::close_batch(BufferPool& pool) {
    if (!builder_) { return; }
    if (builder_->count() == 0) {
        builder_.reset();
        return;
    }
    BatchView batch = builder_->close();
    builder_.reset();
    if (builder_in_scratch_) {
        std::vector<std::byte> packed;
        const auto small = recompress(batch, *config().compression, packed);
        put_batch(small ? *small : batch, pool);
        return;
    }
    appended(batch);
}

MutableBytes Partition::copy_in(BatchView from, BufferPool& pool) {
    CHECK(!builder_);
    const Bytes bytes = from.bytes();
    if (room() < bytes.size()) { new_chunk(bytes.size(), pool); }
    Chunk& chunk = chunks_.back();
    const MutableBytes place(chunk.buffer->data() + (closed_.at - chunk.begin), bytes.size());
    std::memcpy(place.data(), bytes.data(), bytes.size());
    return place;
}

Offset Partition::put_batch(BatchView from, BufferPool& pool) {
    CHECK(!builder_);
    if (roll_due(from.size(), from.max_timestamp_ms())) { roll(); }
    const MutableBytes place = copy_in(from, pool);
    patch_base_offset(place, closed_.offset);
    patch_epoch(place, epoch());
    const auto batch = BatchView::parse(place);
    CHECK(batch.has_value());
    appended(*batch);
    return batch->base_offset();
}

// --- as they are -----------------------------------------------------------------------------------------------------

void Partition::begin_at(Offset first) {
    CHECK(fresh() && !builder_);
    OpenSegment& segment = active();
    segment.base = first;
    segment.index = std::make_unique<SegmentIndex>(identity_.directory, first);
    if (segment.seal) { segment.seal = std::make_unique<SealBuilder>(seal_place(first)); }
    segment.file.reset();  // of no bytes, under another name
    segment.allocated = 0;
    segment.padded = false;
    closed_.offset = first;
    boundaries_.assign(1, closed_);
    log_start_ = first;
    set_visible(closed_);  // nothing is there, and nothing is missing
}

void Partition::skip(Offset missing_below) {
    CHECK(!builder_);
    compacted_end = std::max(compacted_end, missing_below);
    queue_range(EntryKind::skip, closed_.at, closed_.at, closed_.offset, closed_.offset);
}

size_t Partition::without_roll(std::span<const BatchView> batches) const {
    const OpenSegment& segment = *segments_.back();
    uint64_t used = closed_.at - segment.begin;
    int64_t first_timestamp_ms = segment.first_timestamp_ms;
    size_t count = 0;
    for (const BatchView& batch : batches) {
        if (batch.last_offset() - segment.base > segment_offsets_max) { break; }
        if (segment_full(used, batch.size(), first_timestamp_ms, batch.max_timestamp_ms())) { break; }
        if (first_timestamp_ms < 0) { first_timestamp_ms = batch.base_timestamp_ms(); }
        used += batch.size();
        ++count;
    }
    return count;
}

void Partition::roll_before(BatchView batch) {
    if (batch.last_offset() - closed_.offset > segment_offsets_max) { closed_.offset = batch.base_offset(); }
    roll();
}

void Partition::put_as_is(BatchView from, BufferPool& pool) {
    CHECK(from.base_offset() >= closed_.offset);
    const auto batch = BatchView::parse(copy_in(from, pool));
    CHECK(batch.has_value());
    note_epoch(*batch);
    if (batch->transactional()) { aborted_transactions.reset(); }  // what was known of them is not all any more
    appended(*batch);
}

Partition::EpochSpan Partition::epoch_at(Offset offset) const {
    const auto begun = epochs_until(epochs_, offset);
    const Offset end = begun.size() == epochs_.size() ? closed_.offset : epochs_[begun.size()].start;
    if (begun.empty()) { return {.epoch = {}, .begin = Offset{0}, .end = end}; }
    return {.epoch = begun.back().epoch, .begin = begun.back().start, .end = end};
}

bool Partition::epoch_can_be(BatchView batch) const {
    const auto begun = epochs_until(epochs_, batch.base_offset());
    if (begun.empty() || batch.epoch() == begun.back().epoch) { return true; }
    if (batch.base_offset() < epochs_proven_end_ || batch.epoch() < begun.back().epoch) { return false; }
    return begun.size() == epochs_.size() || batch.epoch() <= epochs_[begun.size()].epoch;
}

void Partition::note_epoch(BatchView batch) {
    const auto begun = epochs_until(epochs_, batch.base_offset());
    if (!epochs_.empty() && (begun.empty() || batch.epoch() <= begun.back().epoch)) { return; }
    const auto next = epochs_.begin() + static_cast<ptrdiff_t>(begun.size());
    if (next != epochs_.end() && batch.epoch() > next->epoch) { return; }
    if (next != epochs_.end() && batch.epoch() == next->epoch) {
        next->start = batch.base_offset();
    } else {
        epochs_.insert(next, {batch.epoch(), batch.base_offset()});
    }
    hooks.epochs_unwritten = true;
}

// ---------------------------------------------------------------------------------------------------------------------

void Partition::appended(BatchView batch) {
    OpenSegment& segment = active();
    if (segment.first_timestamp_ms < 0) { segment.first_timestamp_ms = batch.base_timestamp_ms(); }
    segment.index->note(batch, segment.in_file(closed_.at));
    if (segment.seal) { segment.seal->update(batch.bytes()); }
    const Mark begin = closed_;
    closed_ = {begin.at + batch.size(), batch.next_offset()};
    chunks_.back().end = closed_.at;
    producers_.applied(batch, batch.max_timestamp_ms());
    note_boundary(begin);
    queue_range(EntryKind::batches, begin.at, closed_.at, batch.base_offset(), closed_.offset);
}

void Partition::queue_range(EntryKind kind, uint64_t begin, uint64_t end, Offset base, Offset next) {
    shard_.queue({this, kind, begin, end, base, next, epoch(), group});
}

void Partition::set_visible(Mark mark) {
    if (mark.offset <= visible_.offset && mark.at <= visible_.at) { return; }
    const Mark before = std::exchange(visible_, mark);
    if (TailSharing* const sharing = shard_.engine().sharing.load(std::memory_order_acquire)) {
        sharing->moved(*this, before);
    }
    hooks.visible_word.fetch_add(1, std::memory_order_release);
    if (hooks.readers_waiting > 0) { wake_all(hooks.visible_word); }
    shard_.engine().ring_bell();
    tell_watcher();
}

void Partition::wake_readers() {
    hooks.visible_word.fetch_add(1, std::memory_order_release);
    wake_all(hooks.visible_word);
    shard_.engine().ring_bell();
    tell_watcher();
}

void Partition::tell_watcher() {
    if (!hooks.watched) { return; }
    hooks.watched = false;
    shard_.engine().note_moved(*this);
}

// --- the recent bytes ------------------------------------------------------------------------------------------------

const Chunk* Partition::chunk_of(uint64_t at) const {
    // Chunks overlap by one unfinished block: of two, the later has everything.
    for (auto chunk = chunks_.rbegin(); chunk != chunks_.rend(); ++chunk) {
        if (chunk->begin <= at) { return at < chunk->end ? &*chunk : nullptr; }
    }
    return nullptr;
}

const Chunk* Partition::chunk_with(uint64_t begin, uint64_t end) const {
    for (auto chunk = chunks_.rbegin(); chunk != chunks_.rend(); ++chunk) {
        if (chunk->begin <= begin && end <= chunk->end) { return &*chunk; }
        if (chunk->end <= begin) { break; }
    }
    return nullptr;
}

void Partition::pieces(uint64_t begin, uint64_t end, Cut cut, std::vector<Bytes>& out,
                       std::vector<BufferRef>& pins) const {
    for (size_t i = 0; i < chunks_.size() && begin < end; ++i) {
        const Chunk& chunk = chunks_[i];
        const uint64_t last = cut == Cut::blocks ? duty_end(i) : chunk.end;
        if (last <= begin || chunk.begin > begin) { continue; }
        const uint64_t until = std::min(end, last);
        out.emplace_back(chunk.at(begin), until - begin);
        pins.push_back(chunk.buffer);
        begin = until;
    }
    CHECK(begin == end);
}

std::optional<uint64_t> Partition::read_hint(Offset offset) const {
    for (const Mark& hint : read_hints_) {
        if (hint.offset == offset && hint.at > 0) { return hint.at; }
    }
    return std::nullopt;
}

Partition::Size Partition::size() const {
    Size size;
    for (const ClosedSegment& segment : closed_segments) { size.bytes += segment.bytes; }
    for (const auto& segment : segments_) { size.bytes += segment->end.value_or(closed_.at) - segment->begin; }
    size.segments = static_cast<uint32_t>(closed_segments.size() + segments_.size());
    return size;
}

uint64_t Partition::duty_end(size_t index) const {
    const Chunk& chunk = chunks_[index];
    const bool continued = index + 1 < chunks_.size() && chunks_[index + 1].begin <= chunk.end;
    return continued ? align_down(chunk.end, block_bytes_) : chunk.end;
}

uint64_t Partition::filled_from(uint64_t at) const {
    for (size_t i = 0; i < chunks_.size(); ++i) {
        const uint64_t end = duty_end(i);
        if (end > at && chunks_[i].filled < end) { return std::max(at, chunks_[i].filled); }
    }
    return std::max(at, closed_.at);
}

bool Partition::fill_due(uint64_t limit) const {
    for (size_t i = 0; i < chunks_.size(); ++i) {
        if (align_down(std::min(duty_end(i), limit), block_bytes_) > chunks_[i].filled) { return true; }
    }
    return false;
}

OpenSegment& Partition::segment_of(uint64_t at) {
    for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment) {
        if ((*segment)->begin <= at) { return **segment; }
    }
    CHECK(false);
}

// --- what the journal holds --------------------------------------------------------------------------------------------

void Partition::note_commit(uint64_t begin, uint64_t sequence) {
    // One mark for 32 KiB or 1,024 commits is enough: a mark too old only keeps the ring a little longer.
    constexpr uint64_t bytes_apart = 32u << 10;
    constexpr uint64_t commits_apart = 1024;
    if (!commits_.empty() && begin - commits_.back().begin < bytes_apart &&
        sequence - commits_.back().sequence < commits_apart) {
        return;
    }
    commits_.push_back({begin, sequence});
}

std::optional<uint64_t> Partition::needed_from(uint64_t at) const {
    if (commits_.empty()) { return std::nullopt; }
    for (auto mark = commits_.rbegin(); mark != commits_.rend(); ++mark) {
        if (mark->begin <= at) { return mark->sequence; }
    }
    return commits_.front().sequence;
}

void Partition::note_boundary(Mark begin) {
    constexpr uint64_t bytes_apart = 32u << 10;
    if (boundaries_.empty() || begin.at - boundaries_.back().at >= bytes_apart) { boundaries_.push_back(begin); }
}

Mark Partition::boundary_at(uint64_t at) {
    CHECK(!boundaries_.empty() && boundaries_.front().at <= at);
    size_t last = 0;
    while (last + 1 < boundaries_.size() && boundaries_[last + 1].at <= at) { ++last; }
    boundaries_.erase(boundaries_.begin(), boundaries_.begin() + static_cast<ptrdiff_t>(last));
    return boundaries_.front();
}

void Partition::forget_commits_below(uint64_t at) {
    size_t keep = 0;
    while (keep + 1 < commits_.size() && commits_[keep + 1].begin <= at) { ++keep; }
    commits_.erase(commits_.begin(), commits_.begin() + static_cast<ptrdiff_t>(keep));
    if (at >= visible_.at) { commits_.clear(); }  // what is behind it no commit has
}

void Partition::adopt_fragment(Bytes bytes, BufferPool& pool) {
    CHECK(bytes.size() == closed_.at % block_bytes_ && chunk_of(closed_.at - 1) == nullptr);
    Chunk chunk;
    chunk.buffer = pool.take(bytes.size());
    chunk.begin = closed_.at - bytes.size();
    chunk.end = closed_.at;
    chunk.filled = closed_.at;
    chunk.first_batch = closed_.at;
    chunk.first_offset = closed_.offset;
    std::memcpy(chunk.buffer->data(), bytes.data(), bytes.size());
    chunks_.push_back(std::move(chunk));
    shard_.note_chunk(*this, chunks_.back());
    set_carry_due(closed_);
}

void Partition::keep_unfinished_block(BufferPool& pool) {
    CHECK(!builder_ && chunks_.size() == 1 && chunks_.front().end == closed_.at);
    Chunk& chunk = chunks_.front();
    const uint64_t begin = align_down(closed_.at, block_bytes_);
    BufferRef buffer = pool.take(std::max<size_t>(block_bytes_, chunk_bytes_first));
    std::memcpy(buffer->data(), chunk.at(begin), closed_.at - begin);
    chunk.buffer = std::move(buffer);
    chunk.begin = begin;
    chunk.filled = std::max(chunk.filled, begin);
    chunk.first_batch = closed_.at;
    chunk.first_offset = closed_.offset;
    next_chunk_bytes_ = chunk_bytes_min;
}

// --- recovery ------------------------------------------------------------------------------------------------------------

void Partition::restore(Bytes bytes, BufferPool& pool) {
    while (!bytes.empty()) {
        if (room() == 0) {
            Chunk chunk;
            chunk.buffer = pool.take(
                std::min<size_t>(chunk_bytes_max, std::max<size_t>(bytes.size() + block_bytes_, chunk_bytes_min)));
            chunk.begin = align_down(closed_.at, block_bytes_);
            chunk.end = closed_.at;
            chunk.filled = chunk.begin;
            chunk.first_batch = UINT64_MAX;  // until restored_batch() finds one
            const size_t unfinished = closed_.at - chunk.begin;
            if (unfinished > 0) {
                const Chunk* before = chunk_of(chunk.begin);
                CHECK(before != nullptr && before->end >= closed_.at);
                std::memcpy(chunk.buffer->data(), before->at(chunk.begin), unfinished);
            }
            chunks_.push_back(std::move(chunk));
            shard_.note_chunk(*this, chunks_.back());
        }
        Chunk& last = chunks_.back();
        const size_t part = std::min(room(), bytes.size());
        std::memcpy(last.buffer->data() + (closed_.at - last.begin), bytes.data(), part);
        closed_.at += part;
        last.end = closed_.at;
        bytes = bytes.subspan(part);
    }
}

void Partition::restored_batch(BatchView batch, uint64_t at, bool known_to_producers) {
    OpenSegment& segment = segment_of(at);
    segment.index->note(batch, segment.in_file(at));
    if (segment.first_timestamp_ms < 0) { segment.first_timestamp_ms = batch.base_timestamp_ms(); }
    if (!known_to_producers) { producers_.applied(batch, batch.max_timestamp_ms()); }
    note_epoch(batch);
    note_boundary({at, batch.base_offset()});
    for (Chunk& chunk : chunks_) {
        if (at >= chunk.begin && at < chunk.end && chunk.first_batch >= chunk.end) {
            chunk.first_batch = at;
            chunk.first_offset = batch.base_offset();
        }
    }
}

}  // namespace flowstone
