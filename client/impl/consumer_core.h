// What a consumer is behind its handle: the client's thread fetches ahead, from each broker by one request at a time; the
// consumer's thread takes whole batches out, checks them and walks their records where they came in.
//
// Fetched and not yet taken is at most twice partition_bytes_max of a partition, and one answer of each broker besides.
//
// With a NearLog the consumer's thread reads what is near itself, and nothing is fetched but what is elsewhere. Of a
// partition either this or that goes on: what was asked for when it turns out to be near is worthless.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include <flowstone/client.h>

#include "client/impl/cluster_view.h"
#include "client/impl/near_log.h"
#include "client/impl/requests.h"
#include "net/kafka/messages/fetch.h"
#include "net/kafka/messages/list_offsets.h"
#include "storage/batch.h"
#include "storage/clock.h"
#include "storage/lock.h"

namespace flowstone {

struct FetchedBatch {
    TopicPartition place;
    std::shared_ptr<const std::byte[]> frame;  // owners: the batches of one answer
    std::optional<BatchView> batch;
    Offset from;                 // records below it are not the consumer's
    std::optional<Error> error;  // in place of a batch; or found while its records were walked
    std::optional<RecordCursor> cursor;
    std::vector<std::byte> scratch;
};

// A request under way keeps it: its consumer may be gone before the answer.
class ConsumerCore : public std::enable_shared_from_this<ConsumerCore> {
public:
    struct World {
        Requests& requests;
        ClusterView& cluster;
        Clock& clock;
        std::function<void()> wake;  // from any thread: turn() has something to do
        int64_t request_ms = 30'000;
        int32_t lane = 0;  // of its fetches, which wait for records
    };
    ConsumerCore(World world, ConsumerOptions options, std::unique_ptr<NearLog> near);

    // --- the consumer's thread ---
    void assign(const std::vector<TopicPartition>& partitions, From from);
    Result<void> seek(const TopicPartition& partition, From from);  // Errors: invalid, when it is not assigned.
    void pause(const TopicPartition& partition, bool paused);
    // The parts of assign(), for who is given partitions and has to let them go.
    struct Begin {
        TopicPartition place;
        From from;
        std::optional<From> otherwise{};  // if `from` is not there, in place of an error
        std::optional<Error> refused{};   // said in place of its records
    };
    void add(const std::vector<Begin>& begins);  // those that are there already go on where they stand
    void drop(const std::vector<TopicPartition>& places);
    std::vector<TopicPartition> places() const;
    std::vector<GroupOffset> positions() const;  // those that are known
    // The next batch that has records for us; null when none is there. `into` keeps it.
    Result<FetchedBatch*> take(FetchedBatch& into);
    // Sleeps until something may have come since ticket() was called, or somebody called tell().
    struct Ticket {
        uint32_t own = 0;
        uint32_t near = 0;
    };
    Ticket ticket() const;
    void sleep(const Ticket& ticket, int64_t timeout_ns) const;
    void tell();  // any thread
    std::optional<Offset> position(const TopicPartition& partition) const;
    std::optional<int64_t> lag(const TopicPartition& partition) const;

    // --- the client's thread ---
    void turn();
    int64_t next_deadline_ns() const;
    void close();
    int32_t lane() const { return world_.lane; }

private:
    struct Partition {
        uint64_t assignment = 0;         // what was asked for under another one is worthless
        std::optional<From> from;        // still to be looked up
        std::optional<From> otherwise;   // where what comes next is not there
        std::optional<Offset> position;  // of the next record that is taken
        Offset fetch_from;               // of the next request
        std::optional<Offset> high_watermark;
        size_t buffered_bytes = 0;
        bool paused = false;
        bool failed = false;     // nothing is fetched until seek()
        bool asking = false;     // a request that names it is under way
        Uuid topic{};            // its id, once it is known
        bool elsewhere = false;  // it was not near when it was looked for last
        int64_t not_before_ns = 0;
        std::set<int64_t> aborting;  // producers whose transaction, that is being read, was aborted
        std::vector<kafka::FetchResponse::AbortedTransaction> aborted;  // still to begin, by first offset
    };
    using Partitions = std::map<TopicPartition, Partition>;
    struct Asked {
        TopicPartition place;
        uint64_t assignment = 0;
    };

    void changed();
    // --- what is near (consumer_near.cc) ---
    struct Place {
        TopicPartition place;
        uint64_t assignment = 0;
    };
    bool take_near(FetchedBatch& into, std::optional<Error>& error);
    bool go_on_near(FetchedBatch& into);
    enum class Near : uint8_t { found, none, moved };
    Result<Near> look_near(Place& at);
    void list_places();
    Result<FetchedBatch*> checked(FetchedBatch& batch);
    bool has_room(const Partition& partition) const;
    void look_up(int32_t node, const std::vector<Asked>& asked);
    void on_looked_up(const std::vector<Asked>& asked, const Result<Answered<kafka::ListOffsetsResponse>>& answer);
    void fetch(int32_t node, const std::vector<Asked>& asked);
    void on_fetched(const std::vector<Asked>& asked, const Result<Answered<kafka::FetchResponse>>& answer);
    void take_records(const TopicPartition& place, Partition& partition, const AnswerBytes& bytes,
                      const kafka::FetchResponse::PartitionData& data);
    void take_error(const TopicPartition& place, Partition& partition, kafka::ErrorCode code);
    void give_error(const TopicPartition& place, Partition& partition, const Error& error);
    void stand_before(const FetchedBatch& batch);
    bool left_out(Partition& partition, const BatchView& batch) const;
    void set(Partition& partition, const From& from);
    Partition* find(const Asked& asked);
    Partition* answered(const Asked& asked);

    World world_;
    const ConsumerOptions options_;
    mutable Lock lock_;  // guards the three below
    Partitions partitions_;
    std::deque<FetchedBatch> ready_;
    uint64_t next_assignment_ = 1;
    uint64_t layout_ = 1;                // another when a partition comes or goes
    std::atomic<uint32_t> word_ = 0;     // changes when there is something to take
    std::atomic<bool> starved_ = false;  // turn() left out a partition for want of room
    std::atomic<bool> closed_ = false;
    std::set<int32_t> fetching_;  // nodes with a fetch under way; the client's thread's

    // The consumer's thread's.
    const std::unique_ptr<NearLog> near_;  // null: everything is elsewhere
    std::vector<Place> places_;            // as of layout_seen_
    uint64_t layout_seen_ = 0;
    size_t next_place_ = 0;
    Place near_at_;    // whose batches these are:
    Bytes near_rest_;  // read and not taken
    bool took_near_ = false;
};

}  // namespace flowstone
