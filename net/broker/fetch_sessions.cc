#include "net/broker/fetch_sessions.h"

#include <algorithm>

#include "storage/check.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;

constexpr int32_t opening_epoch = 0;
constexpr int32_t final_epoch = -1;
constexpr int fresh_id_attempts_max = 100;  // of 2^31 ids at most sessions_max are taken

// The nodes of list and set; a name that does not fit into the string itself is beside it.
uint64_t memory_of(const FetchPartition& asked) {
    constexpr uint64_t nodes = sizeof(FetchSession::Entry) + 2 * sizeof(void*) + 6 * sizeof(void*);
    return nodes + (asked.topic.size() < sizeof(std::string) / 2 ? 0 : asked.topic.size() + 1);
}

// Whether an incremental answer must carry the partition; remembers what the client will know then.
bool changed(FetchSession::Entry& entry, const FetchOutcome& outcome) {
    bool answer = outcome.has_records || outcome.must_answer || outcome.error != ErrorCode::none;
    answer = answer || entry.high_watermark != outcome.high_watermark;
    answer = answer || entry.log_start_offset != outcome.log_start_offset;
    // An error is told every time, and its end too: no watermark is equal to -1.
    entry.high_watermark = outcome.error == ErrorCode::none ? outcome.high_watermark : -1;
    entry.log_start_offset = outcome.log_start_offset;
    return answer;
}

}  // namespace

// --- the partitions of one session ----------------------------------------------------------------------------------

FetchSession::Entry* FetchSession::find(const FetchKey& key) {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &**found;
}

void FetchSession::put(FetchPartition asked) {
    if (Entry* known = find(key_of(asked)); known != nullptr) {
        // The name stays: the index looks at it.
        known->asked.current_leader_epoch = asked.current_leader_epoch;
        known->asked.fetch_offset = asked.fetch_offset;
        known->asked.last_fetched_epoch = asked.last_fetched_epoch;
        known->asked.log_start_offset = asked.log_start_offset;
        known->asked.partition_max_bytes = asked.partition_max_bytes;
        return;
    }
    bytes_ += memory_of(asked);
    entries_.push_back({.asked = std::move(asked)});
    index_.insert(std::prev(entries_.end()));
}

void FetchSession::forget(const FetchKey& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) { return; }
    const Place place = *found;
    bytes_ -= memory_of(place->asked);
    index_.erase(found);
    entries_.erase(place);
}

void FetchSession::move_to_back(const FetchKey& key) {
    const auto found = index_.find(key);
    if (found != index_.end()) { entries_.splice(entries_.end(), entries_, *found); }
}

// --- a fetch begins -------------------------------------------------------------------------------------------------

Fetch FetchSessions::begin(FetchSessionRequest request, int64_t now_ms) {
    now_ms_ = std::max(now_ms_, now_ms);
    if (request.session_epoch != opening_epoch && request.session_epoch != final_epoch) {
        return begin_incremental(std::move(request));
    }
    close(request.session_id);
    Fetch fetch;
    fetch.kind_ = request.session_epoch == opening_epoch ? Fetch::Kind::full : Fetch::Kind::sessionless;
    fetch.session_ = std::make_shared<FetchSession>();
    fetch.session_->by_topic_id_ = request.by_topic_id;
    for (FetchPartition& asked : request.partitions) { fetch.session_->put(std::move(asked)); }
    return fetch;
}

Fetch FetchSessions::begin_incremental(FetchSessionRequest request) {
    Fetch fetch;
    const auto found = sessions_.find(request.session_id);
    if (found == sessions_.end()) {
        fetch.error_ = ErrorCode::fetch_session_id_not_found;
        return fetch;
    }
    const std::shared_ptr<FetchSession> session = found->second;
    if (session->epoch_ != request.session_epoch) {
        fetch.error_ = ErrorCode::invalid_fetch_session_epoch;
        return fetch;
    }
    if (session->by_topic_id_ != request.by_topic_id) {
        fetch.error_ = ErrorCode::fetch_session_topic_id_error;
        return fetch;
    }
    for (FetchPartition& asked : request.partitions) { session->put(std::move(asked)); }
    for (const FetchKey& key : request.forgotten) { session->forget(key); }
    touch(*session);
    if (session->size() > options_.partitions_max || bytes_ > options_.bytes_max) {
        close(request.session_id);
        fetch.error_ = ErrorCode::fetch_session_id_not_found;
        return fetch;
    }
    fetch.session_ = session;
    if (session->size() == 0) {  // nothing is left to be told about
        close(request.session_id);
        return fetch;
    }
    session->epoch_ = next_fetch_session_epoch(session->epoch_);
    fetch.kind_ = Fetch::Kind::incremental;
    fetch.epoch_ = session->epoch_;
    return fetch;
}

// --- a fetch ends ---------------------------------------------------------------------------------------------------

FetchAnswer FetchSessions::finish(Fetch fetch, std::span<const FetchOutcome> outcomes, int64_t now_ms) {
    CHECK(fetch.error_ == ErrorCode::none);
    now_ms_ = std::max(now_ms_, now_ms);
    const Fetch used = std::move(fetch);
    if (used.kind_ == Fetch::Kind::incremental) { return finish_incremental(used, outcomes); }
    return finish_full(used, outcomes);
}

FetchAnswer FetchSessions::finish_full(const Fetch& fetch, std::span<const FetchOutcome> outcomes) {
    FetchAnswer answer;
    for (size_t i = 0; i < outcomes.size(); ++i) {
        FetchSession::Entry* entry = fetch.session_->find(outcomes[i].key);
        if (entry == nullptr) { continue; }
        changed(*entry, outcomes[i]);
        if (outcomes[i].has_records) { fetch.session_->move_to_back(outcomes[i].key); }
        answer.partitions.push_back(i);
    }
    if (fetch.kind_ == Fetch::Kind::full) { answer.session_id = keep(fetch.session_); }
    return answer;
}

FetchAnswer FetchSessions::finish_incremental(const Fetch& fetch, std::span<const FetchOutcome> outcomes) {
    FetchSession& session = *fetch.session_;
    FetchAnswer answer;
    if (session.epoch_ != fetch.epoch_) {  // as Kafka answers it: with the id, which is still good
        answer.error = ErrorCode::invalid_fetch_session_epoch;
        answer.session_id = session.id_;
        return answer;
    }
    // Closed or evicted while the fetch waited: the client learns it from its next request. It would take 0 for an error.
    answer.session_id = session.id_;
    for (size_t i = 0; i < outcomes.size(); ++i) {
        FetchSession::Entry* entry = session.find(outcomes[i].key);
        if (entry == nullptr || !changed(*entry, outcomes[i])) { continue; }
        if (outcomes[i].has_records) { session.move_to_back(outcomes[i].key); }
        answer.partitions.push_back(i);
    }
    return answer;
}

// --- the cache ------------------------------------------------------------------------------------------------------

// 0 when there is no room.
int32_t FetchSessions::keep(const std::shared_ptr<FetchSession>& session) {
    if (session->size() > options_.partitions_max || !make_room(*session)) { return 0; }
    const int32_t id = fresh_id();
    if (id == 0) { return 0; }
    session->id_ = id;
    session->epoch_ = next_fetch_session_epoch(opening_epoch);
    session->created_ms_ = now_ms_;
    session->in_use_order_ = use_order_.insert(use_order_.end(), session.get());
    sessions_.emplace(id, session);
    touch(*session);
    return id;
}

// Who has been idle for long goes; else the smallest of those that are not new, for one with more partitions.
bool FetchSessions::make_room(const FetchSession& session) {
    if (options_.sessions_max == 0 || session.bytes() > options_.bytes_max) { return false; }
    while (sessions_.size() >= options_.sessions_max || bytes_ + session.bytes() > options_.bytes_max) {
        int32_t going = 0;
        if (now_ms_ - use_order_.front()->used_ms_ > options_.idle_ms_min) {
            going = use_order_.front()->id_;
        } else if (!evictable_.empty() && evictable_.begin()->first < session.size()) {
            going = evictable_.begin()->second;
        } else {
            return false;
        }
        close(going);
        ++evicted_;
    }
    return true;
}

// Random, so that nobody finds the session of another. 0 only if the source of randomness is broken.
int32_t FetchSessions::fresh_id() {
    for (int attempt = 0; attempt < fresh_id_attempts_max; ++attempt) {
        const auto id = static_cast<int32_t>(random_.next() & INT32_MAX);
        if (id != 0 && !sessions_.contains(id)) { return id; }
    }
    return 0;
}

void FetchSessions::touch(FetchSession& session) {
    session.used_ms_ = now_ms_;
    use_order_.splice(use_order_.end(), use_order_, session.in_use_order_);
    uncount(session);
    count(session);
}

void FetchSessions::count(FetchSession& session) {
    session.counted_bytes_ = session.bytes();
    session.counted_partitions_ = session.size();
    bytes_ += session.counted_bytes_;
    partitions_ += session.counted_partitions_;
    session.evictable_ = now_ms_ - session.created_ms_ > options_.idle_ms_min;
    if (session.evictable_) { evictable_.emplace(session.counted_partitions_, session.id_); }
}

void FetchSessions::uncount(FetchSession& session) {
    bytes_ -= session.counted_bytes_;
    partitions_ -= session.counted_partitions_;
    if (session.evictable_) { evictable_.erase({session.counted_partitions_, session.id_}); }
}

void FetchSessions::close(int32_t id) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) { return; }
    FetchSession& session = *found->second;
    uncount(session);
    use_order_.erase(session.in_use_order_);
    sessions_.erase(found);
}

}  // namespace flowstone
