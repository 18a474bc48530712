#include "client/embedded/log_near.h"

#include <utility>

#include "storage/batch.h"
#include "storage/try.h"

namespace flowstone {

namespace {

// Behind the last of whole batches.
Offset end_of(Bytes batches) {
    Offset end{0};
    while (const auto batch = BatchView::parse(batches)) {
        end = batch->next_offset();
        batches = batches.subspan(batch->size());
    }
    return end;
}

}  // namespace

Result<NearLog::Answer> LogNear::read(const TopicPartition& place, const Uuid& topic, Offset from) {
    auto known = known_.find(place);
    if (known == known_.end() || known->second.topic != topic) {
        const auto named = log_.topic(topic);
        if (!named) { return Answer{}; }
        const auto partition = log_.partition(*named, place.partition);
        if (!partition) { return Answer{}; }
        known = known_.insert_or_assign(place, Known{topic, *partition}).first;
    }
    const Offset end = log_.ends(known->second.partition).high_watermark;
    if (given_ == read_.pieces.size() || place != place_ || from != next_) {
        auto read = log_.read(known->second.partition, from, {});
        if (!read) {
            known_.erase(known);
            const Code code = read.error().code;
            if (code == Code::corrupt || code == Code::io || code == Code::offline) {
                return std::unexpected(read.error());
            }
            return Answer{};  // trimmed away, deleted, or beyond the end: the broker says what that means
        }
        if (read->pieces.empty()) { return Answer{Found::end, {}, end}; }
        place_ = place;
        read_ = std::move(*read);
        given_ = 0;
    }
    const Bytes piece = read_.pieces[given_++];
    next_ = end_of(piece);
    return Answer{Found::batches, piece, end};
}

}  // namespace flowstone
