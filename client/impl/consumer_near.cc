// A consumer's records that need no broker: read by its own thread.
#include <algorithm>
#include <utility>

#include "client/impl/consumer_core.h"
#include "storage/try.h"

namespace flowstone {

// The next batch, or what is wrong in its place; false when nothing is near. Each partition in its turn.
bool ConsumerCore::take_near(FetchedBatch& into, std::optional<Error>& error) {
    if (go_on_near(into)) { return true; }
    list_places();
    for (size_t looked = 0; looked < places_.size(); ++looked) {
        Place& at = places_[next_place_];
        next_place_ = (next_place_ + 1) % places_.size();
        const auto near = look_near(at);
        if (!near) {
            error = near.error();
            return true;
        }
        if (*near == Near::moved) { return false; }  // whoever assigned or sought told: another look comes
        if (*near == Near::found && go_on_near(into)) { return true; }
    }
    return false;
}

void ConsumerCore::list_places() {
    const std::lock_guard guard(lock_);
    if (layout_seen_ == layout_) { return; }
    layout_seen_ = layout_;
    places_.clear();
    for (const auto& [place, partition] : partitions_) { places_.push_back({place}); }
    next_place_ = 0;
}

// Whether something of the partition is near, which near_rest_ is then.
Result<ConsumerCore::Near> ConsumerCore::look_near(Place& at) {
    Offset from;
    Uuid topic;
    {
        const std::lock_guard guard(lock_);
        const auto found = partitions_.find(at.place);
        if (found == partitions_.end()) { return Near::moved; }
        const Partition& partition = found->second;
        const bool may = partition.position && !partition.paused && !partition.failed && !partition.topic.is_zero() &&
                         partition.buffered_bytes == 0;
        if (!may) { return Near::none; }
        at.assignment = partition.assignment;
        from = partition.fetch_from;
        topic = partition.topic;
    }
    const auto answer = near_->read(at.place, topic, from);
    bool fetch = false;
    {
        const std::lock_guard guard(lock_);
        Partition* const partition = find({at.place, at.assignment});
        // What was fetched meanwhile has moved it on.
        if (partition == nullptr || partition->fetch_from != from) { return Near::moved; }
        if (!answer) {
            partition->failed = true;
            return std::unexpected(answer.error());
        }
        if (answer->found == NearLog::Found::elsewhere) {
            fetch = !std::exchange(partition->elsewhere, true);
        } else {
            partition->high_watermark = answer->end;
            if (std::exchange(partition->elsewhere, false)) {
                partition->assignment = at.assignment = next_assignment_++;
            }
        }
    }
    if (fetch) { world_.wake(); }
    if (answer->found != NearLog::Found::batches) { return Near::none; }
    near_at_ = at;
    near_rest_ = answer->batches;
    return Near::found;
}

// The next of those that were read.
bool ConsumerCore::go_on_near(FetchedBatch& into) {
    if (near_rest_.empty()) { return false; }
    const std::lock_guard guard(lock_);
    Partition* const partition = find({near_at_.place, near_at_.assignment});
    if (partition == nullptr || partition->paused || partition->failed || closed_) {
        near_rest_ = {};
        return false;
    }
    while (const auto batch = BatchView::parse(near_rest_)) {
        near_rest_ = near_rest_.subspan(batch->size());
        if (batch->next_offset() <= partition->fetch_from) { continue; }
        const Offset from = partition->fetch_from;
        partition->position = partition->fetch_from = batch->next_offset();
        if (left_out(*partition, *batch)) { continue; }
        into.place = near_at_.place;
        into.frame.reset();
        into.batch = *batch;
        into.from = from;
        into.error.reset();
        return true;
    }
    near_rest_ = {};
    return false;
}

}  // namespace flowstone
