#include "log/impl/tail_sharing.h"

#include <algorithm>

#include "log/impl/shard.h"
#include "storage/batch.h"
#include "storage/try.h"

namespace flowstone {

Result<std::unique_ptr<TailSharing>> TailSharing::begin(const std::string& directory, const Uuid& id, uint64_t bytes) {
    TRY(auto memory, SharedMemory::make(shared_tail_name(id), std::max(bytes, shared_tail_bytes_min), directory));
    return std::unique_ptr<TailSharing>(new TailSharing(directory, std::move(memory), id));
}

void TailSharing::forget(const std::string& directory, const Uuid& id) {
    SharedMemory::remove(shared_tail_name(id), directory);
}

TailSharing::~TailSharing() {
    if (owner_ != process_token()) { return; }
    // Who holds the memory by then learns that it is closed, and who looks for the name finds none.
    if (memory_.current()) { forget(directory_, id_); }
    writer_.close();
}

void TailSharing::moved(Partition& partition, const Mark& before) {
    auto& page = partition.hooks.shared_page;
    if (!page) {
        page = writer_.add(partition.identity().topic_id, partition.identity().number, partition.log_start(),
                           before.offset);
    }
    if (!page) { return; }  // no more pages: its readers ask the broker
    publish(partition, *page, before);
    writer_.ring_the_bell();
}

// Batches that continue one another in memory go in together, up to a run's size.
void TailSharing::publish(Partition& partition, SharedTailWriter::Page page, const Mark& before) {
    const Mark end = partition.visible();
    Offset base = before.offset;
    for (uint64_t at = before.at; at < end.at;) {
        // Between two segments there may be padding: the next one begins at a block.
        const OpenSegment& segment = partition.segment_of(at);
        if (segment.end && at >= *segment.end) {
            at = align_up(at, partition.shard().engine().block_bytes);
            continue;
        }
        const Chunk* const chunk = partition.chunk_with(at, at + batch_header_bytes);
        if (chunk == nullptr) { break; }
        const uint64_t limit = std::min({chunk->end, end.at, segment.end.value_or(end.at)});
        uint64_t taken = at;
        Offset next = base;
        while (taken < limit) {
            const auto batch = BatchView::parse(Bytes(chunk->at(taken), limit - taken));
            if (!batch || (taken > at && taken - at + batch->size() > writer_.run_bytes_max())) { break; }
            taken += batch->size();
            next = batch->next_offset();
        }
        if (taken == at) { break; }
        writer_.publish(page, Bytes(chunk->at(at), taken - at), base, next);
        at = taken;
        base = next;
    }
    // What is in no memory any more, and what was left out at the end (offsets that nobody has).
    if (base < end.offset) { writer_.set_end(page, end.offset); }
}

void TailSharing::trimmed(Partition& partition) {
    if (partition.hooks.shared_page) { writer_.set_log_start(*partition.hooks.shared_page, partition.log_start()); }
}

void TailSharing::removed(Partition& partition) {
    if (partition.hooks.shared_page) { writer_.remove(*partition.hooks.shared_page); }
    partition.hooks.shared_page.reset();
}

}  // namespace flowstone
