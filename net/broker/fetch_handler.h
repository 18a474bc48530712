// Fetch: stored batches to consumers, spliced into the answer from where they lie in memory; long polls and sessions.
//
// SERVE.md rules 3 to 8, 10, 20. What is only in files is read by the worker, so that a consumer that catches up does not
// keep others waiting. Threads: the broker's one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "net/broker/fetch_sessions.h"
#include "net/broker/request.h"
#include "net/broker/waiting.h"
#include "net/kafka/messages/fetch.h"

namespace flowstone {

class FetchHandler {
public:
    explicit FetchHandler(BrokerContext& context)
        : context_(context), sessions_(context.config.fetch_sessions, context.random) {}

    void on(Request request, const kafka::FetchRequest& fetch);
    void moved(ServedPartition partition);
    void tick(int64_t now_ms);
    void closed(ConnectionId connection);  // nobody waits for its answers any more
    int64_t next_deadline_ms() const { return deadlines_.next_ms(); }
    size_t waiting() const { return waiting_.size(); }
    uint64_t looked() const { return looked_; }  // at partitions, by all fetches
    const FetchSessions& sessions() const { return sessions_; }

private:
    // One partition of the answer, as last looked at.
    struct Found {
        const FetchPartition* asked = nullptr;  // in the session's entries
        std::optional<ServedPartition> place{};
        kafka::FetchResponse::PartitionData data{};
        PartitionEnds ends{};  // before it was read
        StoredBatches batches{};
        ReadLimits limits{};
    };
    struct FileRead {
        ServedPartition place;
        Offset from;
        Result<StoredBatches> batches;
    };
    struct Waiting {
        Request request;
        Fetch fetch;
        int64_t deadline_ms = 0;
        size_t bytes_min = 0;
        size_t bytes_max = 0;
        bool read_committed = false;
        bool reading = false;  // by the worker
    };
    struct Looked {
        std::vector<Found> found;
        size_t bytes = 0;
        bool failed = false;   // at least one partition
        bool on_disk = false;  // at least one partition that has data has it in files only
    };

    Looked look(const Waiting& waiting);
    void look_at(const Waiting& waiting, Found& found, const ReadLimits& limits) const;
    bool try_answer(WaitId id, Waiting& waiting, bool last, Looked& looked);
    void read_files(WaitId id, Waiting& waiting, const Looked& looked);
    void files_read(WaitId id, std::vector<FileRead>& reads);
    void tell_aborted(Found& found) const;
    void answer(WaitId id, Waiting& waiting, Looked looked);
    void wait_on(WaitId id, Waiting& waiting, const Looked& looked);
    bool watch(const Fetch& fetch, const Found& found);
    static FetchOutcome outcome_of(const Found& found);
    static bool at_end(const Found& found);
    void stop_waiting(WaitId id, Waiting& waiting);

    BrokerContext& context_;
    FetchSessions sessions_;
    std::map<WaitId, Waiting> waiting_;
    WaitId next_id_ = 0;
    std::unordered_map<const FetchSession*, std::vector<WaitId>> by_session_;  // who waits; never walked
    uint64_t looked_ = 0;
    Deadlines deadlines_;
};

}  // namespace flowstone
