#include "net/broker/fetch_sessions.h"

#include <algorithm>

#include "storage/check.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;

constexpr int32_t opening_epoch = 0;
constexpr int32_t final_epoch = -1;
constexpr int fresh_id_attempts_max = 100;  // of 2^31 ids at most sessions_max are taken

// The nodes of list, set and watches; a name that does not fit into the string itself is beside it.
uint64_t memory_of(const FetchPartition& asked) {
    constexpr uint64_t watch = sizeof(decltype(FetchSession::Shared::watches)::value_type) + 4 * sizeof(void*);
    constexpr uint64_t nodes = sizeof(FetchSession::Entry) + 2 * sizeof(void*) + 6 * sizeof(void*) + watch;
    return nodes + (asked.topic.size() < sizeof(std::string) / 2 ? 0 : asked.topic.size() + 1);
}

// Whether an incremental answer must carry the partition.
bool is_news(const FetchSession::Entry& entry, const FetchOutcome& outcome) {
    return outcome.has_records || outcome.must_answer || outcome.error != ErrorCode::none ||
           entry.high_watermark != outcome.high_watermark || entry.log_start_offset != outcome.log_start_offset;
}

// The same; remembers what the client will know then.
bool changed(FetchSession::Entry& entry, const FetchOutcome& outcome) {
    const bool answer = is_news(entry, outcome);
    // An error is told every time, and its end too: no watermark is equal to -1.
    entry.high_watermark = outcome.error == ErrorCode::none ? outcome.high_watermark : -1;
    entry.log_start_offset = outcome.log_start_offset;
    return answer;
}

}  // namespace

// --- the partitions of one session ----------------------------------------------------------------------------------

FetchSession::~FetchSession() {
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) { unwatch(entry); }
    shared_->bytes -= bytes_;
}

std::optional<FetchSession::Place> FetchSession::find(const FetchKey& key) {
    const auto found = index_.find(key);
    return found == index_.end() ? std::nullopt : std::optional(*found);
}

void FetchSession::put(FetchPartition asked) {
    if (const auto known = find(key_of(asked))) {
        FetchPartition& before = (*known)->asked;
        // The name stays: the index looks at it.
        before.current_leader_epoch = asked.current_leader_epoch;
        before.fetch_offset = asked.fetch_offset;
        before.last_fetched_epoch = asked.last_fetched_epoch;
        before.log_start_offset = asked.log_start_offset;
        before.partition_max_bytes = asked.partition_max_bytes;
        return make_due(*known);
    }
    bytes_ += memory_of(asked);
    shared_->bytes += memory_of(asked);
    index_.insert(entries_.insert(idle_, {.asked = std::move(asked)}));
}

void FetchSession::make_due(Place entry) {
    if (std::exchange(entry->due, true)) { return; }
    if (entry == idle_) {
        ++idle_;
    } else {
        entries_.splice(idle_, entries_, entry);
    }
}

void FetchSession::make_idle(Place entry) {
    if (!std::exchange(entry->due, false)) { return; }
    entries_.splice(entries_.end(), entries_, entry);
    if (idle_ == entries_.end()) { idle_ = entry; }
}

void FetchSession::watch(Place entry, FetchPlace place, uint64_t number) {
    if (entry->place == place) { return; }
    unwatch(entry);
    entry->place = place;
    entry->watch = number;
    shared_->watches.emplace(std::pair(place, number), std::pair(this, entry));
}

void FetchSession::unwatch(Place entry) {
    if (entry->place != nullptr) { shared_->watches.erase({std::exchange(entry->place, nullptr), entry->watch}); }
}

void FetchSession::forget(const FetchKey& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) { return; }
    const Place place = *found;
    bytes_ -= memory_of(place->asked);
    shared_->bytes -= memory_of(place->asked);
    unwatch(place);
    if (place == idle_) { ++idle_; }
    index_.erase(found);
    entries_.erase(place);
}

void FetchSession::move_to_back(const FetchKey& key) {
    const auto found = find(key);
    if (found && (*found)->due) { entries_.splice(idle_, entries_, *found); }
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
    fetch.session_ = std::make_shared<FetchSession>(shared_);
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
        const auto entry = fetch.session_->find(outcomes[i].key);
        if (!entry) { continue; }
        changed(**entry, outcomes[i]);
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
        const auto entry = session.find(outcomes[i].key);
        if (!entry || !changed(**entry, outcomes[i])) { continue; }
        if (outcomes[i].has_records) { session.move_to_back(outcomes[i].key); }
        answer.partitions.push_back(i);
    }
    return answer;
}

// --- what moves -----------------------------------------------------------------------------------------------------

void FetchSessions::watch(const Fetch& fetch, const FetchKey& key, FetchPlace place) {
    if (const auto entry = fetch.session_->find(key)) { fetch.session_->watch(*entry, place, ++last_watch_); }
}

void FetchSessions::looked(const Fetch& fetch, const FetchOutcome& outcome) {
    FetchSession& session = *fetch.session_;
    const auto entry = session.find(outcome.key);
    if (!entry || (*entry)->place == nullptr || is_news(**entry, outcome)) { return; }
    session.make_idle(*entry);
}

std::vector<const FetchSession*> FetchSessions::moved(FetchPlace place) {
    std::vector<const FetchSession*> sessions;
    std::set<const FetchSession*> seen;  // a session may have a partition twice: as it was, and made anew
    auto& watches = shared_->watches;
    const auto first = watches.lower_bound({place, 0});
    auto at = first;
    for (; at != watches.end() && at->first.first == place; ++at) {
        const auto [session, entry] = at->second;
        entry->place = nullptr;
        session->make_due(entry);
        if (seen.insert(session).second) { sessions.push_back(session); }
    }
    watches.erase(first, at);
    return sessions;
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
