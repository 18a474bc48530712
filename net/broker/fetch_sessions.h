// Fetch sessions (KIP-227; SERVE.md rule 7): what a consumer fetches is remembered between its requests, so that a
// request names only what changed and an answer leaves out what did not.
//
// A fetch goes through two calls. begin() takes what the request says and gives the fetch: the partitions in the order in
// which they are to be served. The handler reads them, waits if it must, and reads again as often as it likes; finish()
// takes what was found and says which session the answer names and which partitions it carries. A fetch that is dropped
// in between leaves nothing behind but a session that counts one further, which is what its client expects.
//
// What it does is what Kafka 4.3 does, with these differences: a request that would grow a session beyond its limits
// ends the session (FETCH_SESSION_ID_NOT_FOUND: the client begins again with a full fetch, and is then served without a
// session); partitions that had records go to the back of the order after a full fetch too.
//
// Idle partitions cost nothing: one that has nothing to tell is not due, and not looked at, until the handler says that it
// moved, or the client asks for something else of it.
//
// Pure: no wire, no clock, no I/O; random only where it is given. One thread at a time. Work is proportional to what a
// request names, what is due and what moved. Nothing survives a restart: clients then see FETCH_SESSION_ID_NOT_FOUND and
// begin again.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <flowstone/ids.h>

#include "net/kafka/error_code.h"
#include "storage/limits.h"
#include "storage/random.h"

namespace flowstone {

// One partition of a fetch, as the request names it: by the topic's name up to version 12 (`topic_id` is zero), by its
// id since (`topic` is empty). The other fields have the wire's names and defaults.
struct FetchPartition {
    Uuid topic_id{};
    std::string topic{};
    int32_t partition = 0;
    int32_t current_leader_epoch = -1;
    int64_t fetch_offset = 0;
    int32_t last_fetched_epoch = -1;
    int64_t log_start_offset = -1;
    int32_t partition_max_bytes = 0;
};

// The name of a partition alone; views `topic`.
struct FetchKey {
    Uuid topic_id{};
    std::string_view topic{};
    int32_t partition = 0;
    friend auto operator<=>(const FetchKey&, const FetchKey&) = default;
};
inline FetchKey key_of(const FetchPartition& asked) { return {asked.topic_id, asked.topic, asked.partition}; }

// A request. `partitions` in its order; one that is named twice counts as its last, at the place of its first.
struct FetchSessionRequest {
    int32_t session_id = 0;      // 0: none
    int32_t session_epoch = -1;  // 0: open one; -1: end it, if there is one, and fetch without; else the next in turn
    bool by_topic_id = false;    // version 13 and later
    std::vector<FetchPartition> partitions{};
    std::vector<FetchKey> forgotten{};
};

// What was found in one partition. Which topic ids are known is looked up for every fetch anew: one that is not gives
// the error unknown_topic_id, stays in the session, and is served from when the topic is there.
struct FetchOutcome {
    FetchKey key;
    kafka::ErrorCode error = kafka::ErrorCode::none;
    int64_t high_watermark = -1;
    int64_t log_start_offset = -1;
    bool has_records = false;
    bool must_answer = false;  // for another reason: a diverging epoch, a preferred read replica
};

// What a handler calls the log of a partition.
using FetchPlace = const void*;

// The partitions of one session, or of one fetch without.
class FetchSession {
public:
    struct Entry {
        FetchPartition asked;
        int64_t high_watermark = -1;  // as last answered; -1: never, or with an error, so that the next one is
        int64_t log_start_offset = -1;
        bool due = true;
        FetchPlace place = nullptr;  // whose moves make it due
        uint64_t watch = 0;          // with the place: where it is among the watches
    };
    using Entries = std::list<Entry>;
    // Of all sessions of one cache, and of the fetches without.
    struct Shared {
        // Who is to be told of the moves of which place.
        std::map<std::pair<FetchPlace, uint64_t>, std::pair<FetchSession*, Entries::iterator>> watches{};
        uint64_t bytes = 0;  // of memory, roughly
    };

    explicit FetchSession(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    ~FetchSession();
    FetchSession(const FetchSession&) = delete;
    FetchSession& operator=(const FetchSession&) = delete;

    // In the order in which they are to be served, those that are not due last.
    const Entries& entries() const { return entries_; }
    std::ranges::subrange<Entries::const_iterator> due() const {
        return {entries_.begin(), Entries::const_iterator(idle_)};
    }
    size_t size() const { return index_.size(); }
    uint64_t bytes() const { return bytes_; }  // of memory, roughly

private:
    friend class FetchSessions;
    using Place = Entries::iterator;
    struct ByKey {
        using is_transparent = void;
        static FetchKey key(Place place) { return key_of(place->asked); }
        static FetchKey key(const FetchKey& key) { return key; }
        bool operator()(const auto& a, const auto& b) const { return key(a) < key(b); }
    };

    void put(FetchPartition asked);
    void forget(const FetchKey& key);
    std::optional<Place> find(const FetchKey& key);
    void move_to_back(const FetchKey& key);
    void make_due(Place entry);
    void make_idle(Place entry);
    void watch(Place entry, FetchPlace place, uint64_t number);
    void unwatch(Place entry);

    std::shared_ptr<Shared> shared_;  // owners: the cache, and the sessions, which may outlive it
    Entries entries_;
    Place idle_ = entries_.end();  // the first that is not due
    std::set<Place, ByKey> index_;
    uint64_t bytes_ = 0;

    // Of a session that is in the cache.
    int32_t id_ = 0;     // 0: it is not
    int32_t epoch_ = 0;  // of the request that may come next
    bool by_topic_id_ = false;
    int64_t created_ms_ = 0;
    int64_t used_ms_ = 0;
    std::list<FetchSession*>::iterator in_use_order_;
    uint64_t counted_bytes_ = 0;     // what FetchSessions::bytes_ counts for it
    size_t counted_partitions_ = 0;  // likewise
    bool evictable_ = false;         // is in FetchSessions::evictable_, under counted_partitions_
};

// A fetch under way. Moves with the request.
class Fetch {
public:
    // Not none: the answer is this error alone, with session id 0.
    kafka::ErrorCode error() const { return error_; }
    // Walk it anew after every wait: another request of the session may have changed it meanwhile.
    // Requires error() to be none.
    const FetchSession& session() const { return *session_; }
    const FetchSession::Entries& entries() const { return session_->entries(); }
    auto due() const { return session_->due(); }  // what has to be looked at
    // An incremental answer leaves partitions out; every other one has them all.
    bool is_incremental() const { return kind_ == Kind::incremental; }

private:
    friend class FetchSessions;
    enum class Kind : uint8_t { sessionless, full, incremental };
    Kind kind_ = Kind::sessionless;
    kafka::ErrorCode error_ = kafka::ErrorCode::none;
    int32_t epoch_ = 0;  // that the session must have when the fetch ends
    // Owners: the fetch, and, if it is in the cache, FetchSessions. A session that is closed or evicted while a fetch
    // waits stays what it was for that fetch.
    std::shared_ptr<FetchSession> session_;
};

struct FetchAnswer {
    kafka::ErrorCode error = kafka::ErrorCode::none;  // not none: it stands alone
    int32_t session_id = 0;
    std::vector<size_t> partitions;  // which of the outcomes, in their order
};

// Kafka's name of each in brackets.
struct FetchSessionsOptions {
    size_t sessions_max = fetch_sessions_max;              // [max.incremental.fetch.session.cache.slots]; 0: none ever
    int64_t idle_ms_min = 120'000;                         // [min.incremental.fetch.session.eviction.ms]
    size_t partitions_max = fetch_session_partitions_max;  // of one session
    uint64_t bytes_max = fetch_sessions_bytes_max;         // of all
};

class FetchSessions {
public:
    // `random` must outlive it.
    FetchSessions(FetchSessionsOptions options, Random& random) : options_(options), random_(random) {}

    // `now_ms` is monotonic; a smaller one counts as the last. The fetch's error is fetch_session_id_not_found,
    // invalid_fetch_session_epoch, or fetch_session_topic_id_error when names and ids are mixed.
    Fetch begin(FetchSessionRequest request, int64_t now_ms);

    // `outcomes` in the order in which they are to be answered, of the last walk over the entries, at most one for each
    // partition. A partition without one is not answered, and so is one that left the session meanwhile. The answer's error is invalid_fetch_session_epoch
    // when another request of the session came meanwhile. A session id of 0 means that there is none (any more).
    // Requires fetch.error() to be none; the fetch is used up.
    FetchAnswer finish(Fetch fetch, std::span<const FetchOutcome> outcomes, int64_t now_ms);

    // The handler will tell of the next move of the place, which is that partition's: it is due then.
    void watch(const Fetch& fetch, const FetchKey& key, FetchPlace place);
    // Nothing moved there since the handler watches it, and there is nothing to read: if its client knows all that was
    // found, it is not due any more. For partitions of sessions that are kept; of others it does nothing.
    void looked(const Fetch& fetch, const FetchOutcome& outcome);
    // Whose fetches, if they wait, have to look again; each once.
    std::vector<const FetchSession*> moved(FetchPlace place);

    // Fetches that are under way take as much memory as all sessions may: no further one should wait.
    bool crowded() const { return shared_->bytes > 2 * options_.bytes_max; }

    // For metrics.
    size_t session_count() const { return sessions_.size(); }
    size_t partition_count() const { return partitions_; }
    uint64_t bytes() const { return bytes_; }
    uint64_t evicted_count() const { return evicted_; }

private:
    Fetch begin_incremental(FetchSessionRequest request);
    FetchAnswer finish_full(const Fetch& fetch, std::span<const FetchOutcome> outcomes);
    FetchAnswer finish_incremental(const Fetch& fetch, std::span<const FetchOutcome> outcomes);
    int32_t keep(const std::shared_ptr<FetchSession>& session);
    bool make_room(const FetchSession& session);
    int32_t fresh_id();
    void touch(FetchSession& session);
    void count(FetchSession& session);
    void uncount(FetchSession& session);
    void close(int32_t id);

    FetchSessionsOptions options_;
    Random& random_;
    std::shared_ptr<FetchSession::Shared> shared_ = std::make_shared<FetchSession::Shared>();
    uint64_t last_watch_ = 0;
    int64_t now_ms_ = INT64_MIN;
    std::unordered_map<int32_t, std::shared_ptr<FetchSession>> sessions_;  // by id; never walked
    std::list<FetchSession*> use_order_;                                   // longest unused first
    // Sessions that were used when they were older than idle_ms_min: partitions and id. The smallest goes first, and
    // only for a larger one.
    std::set<std::pair<size_t, int32_t>> evictable_;
    size_t partitions_ = 0;
    uint64_t bytes_ = 0;
    uint64_t evicted_ = 0;
};

// The epoch of the request that follows one of `epoch`: 2^31 - 1 is followed by 1, since 0 opens a session.
constexpr int32_t next_fetch_session_epoch(int32_t epoch) { return epoch == INT32_MAX ? 1 : epoch + 1; }

}  // namespace flowstone
