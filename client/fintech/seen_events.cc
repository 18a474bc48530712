#include "client/fintech/seen_events.h"

#include <algorithm>

#include "storage/bytes.h"

namespace flowstone::fintech {
namespace {

Hash128 hash_of(std::string_view event_id) { return xxh3_128(as_bytes(event_id), 0); }

}  // namespace

bool SeenEvents::has(std::string_view event_id, int64_t intake_ms) const {
    const auto found = ids_.find(hash_of(event_id));
    return found != ids_.end() && intake_ms - found->second <= limits_.keep_ms;
}

void SeenEvents::add(std::string_view event_id, int64_t intake_ms) {
    const Hash128 id = hash_of(event_id);
    ids_[id] = intake_ms;
    order_.push_back({id, intake_ms});
    newest_ms_ = std::max(newest_ms_, intake_ms);
    while (newest_ms_ - order_.front().intake_ms > limits_.keep_ms) { forget_first(); }
    while (ids_.size() > limits_.events_max) {
        forget_first();
        ++forgotten_early_;
    }
}

void SeenEvents::forget_first() {
    const Entry first = order_.front();
    order_.pop_front();
    const auto found = ids_.find(first.id);
    if (found != ids_.end() && found->second == first.intake_ms) { ids_.erase(found); }  // else it came again since
}

}  // namespace flowstone::fintech
