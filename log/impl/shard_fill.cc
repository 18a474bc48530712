// Bringing to the segment files what the journal holds, or what a level below `durable` was told.
#include <algorithm>
#include <cstring>

#include "log/impl/shard.h"
#include "storage/check.h"
#include "storage/limits.h"
#include "storage/mutants.h"
#include "storage/try.h"

namespace flowstone {

uint64_t Shard::fill_limit(const Partition& partition) const {
    if (partition.carry_queued) { return partition.carry_begin(); }
    if (mutated(Mutant::fill_early)) { return partition.closed().at; }
    return partition.durability() == Durability::memory ? partition.closed().at : partition.visible().at;
}

void Shard::note_filled(Partition& partition, uint64_t begin, uint64_t end) {
    auto& chunks = partition.chunks();
    for (size_t i = 0; i < chunks.size(); ++i) {
        Chunk& chunk = chunks[i];
        const uint64_t until = std::min(end, partition.duty_end(i));
        if (begin > chunk.filled) { continue; }  // not this chunk's turn
        if (until > chunk.filled) {
            const uint64_t bytes = until - chunk.filled;
            dirty_bytes_ -= std::min(dirty_bytes_, bytes);
            recovered_bytes_ -= std::min(recovered_bytes_, bytes);  // the oldest come first
            chunk.filled = until;
        }
    }
}

// The next write that brings bytes below `limit` to the file, contiguous in one segment: whole blocks, and with `exact`, or
// where a rolled segment ends, the last fragment too, padded with zeros that the cut to the exact size takes away again.
std::optional<Shard::Write> Shard::next_fill(Partition& partition, uint64_t limit, bool exact, uint64_t bytes_max,
                                             std::vector<BufferRef>& pins) {
    std::optional<Write> write;
    const auto& chunks = partition.chunks();
    const uint64_t block = engine_.block_bytes;
    for (size_t i = 0; i < chunks.size(); ++i) {
        const Chunk& chunk = chunks[i];
        const uint64_t duty = std::min(partition.duty_end(i), limit);
        if (duty <= chunk.filled) { continue; }
        OpenSegment& segment = partition.segment_of(chunk.begin);
        const bool fragment = exact || (segment.end && duty == *segment.end);
        const uint64_t begin = align_down(chunk.filled, block);
        const uint64_t end = fragment ? duty : align_down(duty, block);
        if (write && (write->segment != &segment || write->end != begin)) { break; }
        if (end <= chunk.filled) { break; }
        if (!write) { write = Write{&segment, &partition, begin, begin, {}, false}; }
        const uint64_t until = std::min(end, write->begin + bytes_max);
        if (until <= begin) { break; }
        std::byte* from = chunk.buffer->data() + (begin - chunk.begin);
        const uint64_t whole = align_down(until, block);
        if (whole > begin) { write->pieces.push_back({from, whole - begin}); }
        pins.push_back(chunk.buffer);
        if (until > whole) {
            // An open batch may be growing in this block: the fragment is written from a copy.
            BufferRef copy = engine_.pool.take(block);
            std::memset(copy->data(), 0, block);
            std::memcpy(copy->data(), chunk.at(std::max(whole, begin)), until - std::max(whole, begin));
            write->pieces.push_back({copy->data(), block});
            pins.push_back(std::move(copy));
        }
        write->end = until;
        if (until < end || until > whole || write->pieces.size() + 2 > io_pieces_max) { break; }
    }
    return write;
}

Result<bool> Shard::fill_some(Guard& guard, Partition& partition, bool exact) {
    const bool stream = partition.durability() == Durability::memory;
    std::vector<BufferRef> pins;
    auto write =
        next_fill(partition, fill_limit(partition), exact, stream ? stream_piece_bytes : fill_piece_bytes, pins);
    if (!write) { return false; }
    std::vector<Write> writes;
    writes.push_back(std::move(*write));
    partition.hooks.filling = true;
    writes[0].segment->unsynced = true;
    guard.unlock();
    auto result = run_writes(writes);
    guard.lock();
    partition.hooks.filling = false;
    if (!result) {
        // A full disk takes nothing away: the bytes stay here and in the journal. Anything else ends this directory.
        if (result.error().code == Code::no_space) {
            no_space_ = result.error();
        } else {
            go_offline(result.error());
        }
        return std::unexpected(result.error());
    }
    room_again();
    writes[0].segment->unsynced = true;  // a checkpoint may have synced it meanwhile
    writes[0].segment->padded = writes[0].segment->padded || writes[0].end % engine_.block_bytes != 0;
    note_filled(partition, writes[0].begin, writes[0].end);
    partition.hooks.unfilled_bytes -= std::min(partition.hooks.unfilled_bytes, writes[0].end - writes[0].begin);
    trim_tail();
    return true;
}

Result<bool> Shard::fill(Guard& guard) {
    CHECK(!filling_);
    filling_ = true;
    Result<bool> result = false;
    if (!streaming_.empty() && !streaming_.front()->hooks.filling && !streaming_.front()->hooks.writing) {
        Partition* partition = streaming_.front();
        streaming_.pop_front();
        result = fill_some(guard, *partition, false);
        partition->hooks.in_stream_list = result && *result && partition->hooks.unfilled_bytes >= stream_piece_bytes;
        if (partition->hooks.in_stream_list) { streaming_.push_back(partition); }
    }
    size_t looked = 0;
    const size_t count = result && !*result && fill_wanted() ? dirty_.size() : 0;
    while (looked++ < count && !dirty_.empty()) {
        Partition* partition = dirty_.front();
        dirty_.pop_front();
        if (partition->hooks.writing || partition->hooks.filling) {  // somebody else is at its file
            dirty_.push_back(partition);
            continue;
        }
        result = fill_some(guard, *partition, false);
        const bool more = partition->fill_due(partition->closed().at) || partition->builder() != nullptr;
        if (more || (result && *result)) {
            dirty_.push_back(partition);
        } else {
            partition->hooks.in_dirty_list = false;
        }
        if (!result || *result) { break; }
    }
    end_fill();
    return result;
}

void Shard::end_fill() {
    filling_ = false;
    fill_word_.fetch_add(1);
    wake_all(fill_word_);
}

void Shard::hold_file(Guard& guard, Partition& partition) {
    for (;;) {
        if (partition.hooks.writing) {
            commits_.wait_for_this(guard);
        } else if (partition.hooks.filling) {
            wait_on(guard, fill_word_);
        } else {
            partition.hooks.filling = true;
            return;
        }
    }
}

void Shard::release_file(Partition& partition) {
    partition.hooks.filling = false;
    fill_word_.fetch_add(1);
    wake_all(fill_word_);
}

Result<void> Shard::fill_partition(Guard& guard, Partition& partition, bool exact) {
    if (exact && partition.durability() == Durability::memory) { partition.close_batch(engine_.pool); }
    Result<bool> more = true;
    while (more && *more) {
        TRY_VOID(in_time());
        if (filling_ || partition.hooks.filling) {
            wait_on(guard, fill_word_);
            continue;
        }
        if (partition.hooks.writing) {
            commits_.wait_for_this(guard);
            continue;
        }
        filling_ = true;
        more = fill_some(guard, partition, exact);
        end_fill();
    }
    if (!more) { return std::unexpected(more.error()); }
    return {};
}

}  // namespace flowstone
