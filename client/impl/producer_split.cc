// Batches that are too large for their broker: in halves, until they are taken or are one record each.
#include <algorithm>
#include <utility>

#include "client/impl/producer_core.h"
#include "storage/check.h"

namespace flowstone {

// Of the records behind `first`.
ProducerBatchPtr ProducerCore::piece_of(const ProducerBatchPtr& batch, int32_t first) {
    auto piece = std::make_shared<ProducerBatch>();
    piece->id_ = batch->id_;
    piece->partition_ = batch->partition_;
    piece->whole_ = batch->whole_ ? batch->whole_ : batch;
    piece->first_ = batch->first_ + first;
    piece->deadline_ns_ = batch->deadline_ns_;
    piece->again_ = true;
    piece->maybe_appended_ = batch->maybe_appended_;
    const size_t bytes = batch->plain_.size();
    piece->space_ = pool_.take(bytes);
    piece->builder_ = BatchBuilder(MutableBytes(piece->space_->data(), bytes), {});
    used_bytes_.fetch_add(piece->space_->capacity(), std::memory_order_relaxed);
    return piece;
}

// In its place two come that are sent again with what is behind it, in its sequence. False: it is one record.
bool ProducerCore::split(ProducerPartition& partition, const ProducerBatchPtr& batch) {
    if (batch->records_ < 2) { return false; }
    const auto own = BatchView::parse(batch->plain_);
    CHECK(own.has_value());
    std::vector<std::byte> scratch;
    auto records = RecordCursor::open(*own, scratch);
    CHECK(records.has_value());
    const auto half = static_cast<int32_t>(batch->records_ / 2);
    const ProducerBatchPtr pieces[] = {piece_of(batch, 0), piece_of(batch, half)};
    for (uint32_t i = 0; i < batch->records_; ++i) {
        const auto record = records->next();
        CHECK(record.has_value());
        CHECK(record->has_value());
        BatchBuilder& to = pieces[static_cast<int32_t>(i) < half ? 0 : 1]->builder_;
        CHECK(to.append_at(static_cast<int32_t>(to.count()), **record));
    }
    for (const ProducerBatchPtr& piece : pieces) {
        piece->records_ = piece->builder_.count();
        if (options_.idempotent) {
            const bool second = piece == pieces[1];
            piece->sequence_ = second ? sequence_after(batch->sequence_, batch->records_ / 2) : batch->sequence_;
            piece->builder_.set_producer(partition.producer_id, partition.producer_epoch, piece->sequence_);
        }
        seal(*piece);
    }
    pieces[0]->whole_->pieces_left_ += batch->whole_ ? 1 : 2;
    const auto at = std::ranges::find(partition.sent, batch);
    CHECK(at != partition.sent.end());
    partition.sent.insert(partition.sent.erase(at), std::begin(pieces), std::end(pieces));
    const std::lock_guard guard(lock_);
    auto& most = partition.topic->batch_bytes_max;
    most = std::min(most, own->size() / 2);
    let_go(*batch);
    return true;
}

void ProducerCore::end_piece(ProducerBatch& piece) {
    const ProducerBatchPtr whole = std::move(piece.whole_);
    whole->pieces_.push_back({piece.first_, piece.base_offset_, piece.error_});
    if (--whole->pieces_left_ > 0) { return; }
    std::ranges::sort(whole->pieces_, {}, &ProducerBatch::Piece::first);
    finish(whole);
}

}  // namespace flowstone
