// What a producer is behind its handles: records become batches in the callers' threads, under a short lock; the client's
// thread sends them to whoever leads their partition, again where that may help, and tells what became of them.
//
// A partition's batches reach the log in the order of their records. With idempotence five of them may be under way:
// a broker takes them in sequence or not at all. After a failure nothing more of the partition is sent until all that is under
// way has been answered; then what failed goes out again, the same bytes in the same order. Where a batch is given up for
// good, sequences have a gap that no broker would cross: the partition goes on with another producer id, and what may
// already be in the log is not sent under it. Without idempotence one batch at a time is under way.
// A batch's memory belongs to it until its last request was answered or its connection is gone (CVE-2026-35554).
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
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flowstone/client.h>

#include "client/impl/cluster_view.h"
#include "client/impl/requests.h"
#include "net/kafka/messages/produce.h"
#include "storage/batch.h"
#include "storage/buffer.h"
#include "storage/clock.h"
#include "storage/lock.h"
#include "storage/random.h"

namespace flowstone {

struct ProducerPartition;

// Sequences count records and wrap behind 2^31 - 1.
constexpr int32_t sequence_after(int32_t sequence, uint32_t records) {
    return static_cast<int32_t>((int64_t{sequence} + records) & INT32_MAX);
}

class ProducerBatch {
public:
    bool done() const { return state_.load(std::memory_order_acquire) == ended; }
    // Errors: timed_out, of the wait.
    Result<Position> wait(int32_t index, int64_t timeout_ns) const;
    Result<Position> verdict(int32_t index) const;  // requires done()

private:
    friend class ProducerCore;
    // Guarded by the core's lock while records are added.
    uint64_t id_ = 0;
    int32_t partition_ = 0;
    BufferRef space_;
    BatchBuilder builder_;
    bool full_ = false;
    std::vector<std::pair<int32_t, DeliveryCallback>> callbacks_;
    int64_t send_by_ns_ = 0;
    int64_t deadline_ns_ = 0;
    // The client's thread's, once taken.
    MutableBytes bytes_;  // whole; empty until then
    Bytes plain_;         // before its codec
    std::vector<std::byte> compressed_;
    uint32_t records_ = 0;
    int32_t sequence_ = -1;
    bool again_ = false;           // answered, and to be sent again
    bool maybe_appended_ = false;  // an answer is missing that would say no
    // Of one that was too large for its broker and went in pieces: what became of each.
    struct Piece {
        int32_t first = 0;  // of its records, in the whole
        Offset base_offset;
        std::optional<Error> error;
    };
    std::vector<Piece> pieces_;
    size_t pieces_left_ = 0;
    std::shared_ptr<ProducerBatch> whole_;  // of a piece, until it ends; owners: its pieces and deliveries
    int32_t first_ = 0;
    // Set once, before the state says so.
    Offset base_offset_{-1};
    std::optional<Error> error_;
    enum State : uint32_t { under_way, awaited, ended };
    mutable std::atomic<uint32_t> state_ = under_way;  // awaited: somebody may sleep on it
};
using ProducerBatchPtr = std::shared_ptr<ProducerBatch>;  // owners: the partition's queue, and deliveries

struct ProducerPartition {
    ProducerTopicQueue* topic = nullptr;
    int32_t number = 0;
    // Guarded by the core's lock.
    std::deque<ProducerBatchPtr> waiting;  // the last may still be added to
    bool active = false;                   // known to the client's thread
    bool window_full = false;  // nothing of it can be sent before an answer comes: that thread need not be woken
    // The client's thread's.
    std::deque<ProducerBatchPtr> sent;  // in sequence; not finished
    size_t unanswered = 0;              // of these
    int64_t not_before_ns = 0;
    int64_t look_again_ns = INT64_MAX;  // when there may be something to do without anything happening
    uint32_t failures = 0;              // in a row
    int64_t producer_id = -1;
    int16_t producer_epoch = -1;
    int32_t next_sequence = 0;
    bool renumber = false;  // a batch was given up: another producer id first
    bool asking_id = false;
    bool had_first_id = false;
};

struct ProducerTopicQueue {
    std::string name;
    std::atomic<int32_t> partition_count = 0;
    // Guarded by the core's lock.
    size_t batch_bytes_max = SIZE_MAX;         // a broker refused a larger one
    std::deque<ProducerPartition> partitions;  // never shorter than partition_count was
    int32_t sticky = 0;
};

class ProducerCore {
public:
    struct World {
        Requests& requests;
        ClusterView& cluster;
        Clock& clock;
        Random& random;
        std::function<void()> wake;  // from any thread: turn() has something to do
        int64_t request_ms = 30'000;
    };
    ProducerCore(World world, ProducerOptions options);

    // --- any thread ---
    ProducerTopicQueue& queue(std::string_view topic);  // made when it is missing; stays
    struct Sent {
        ProducerBatchPtr batch;
        int32_t index = 0;
    };
    // Errors: as ProducerTopic::send; busy at once, when there is no room.
    Result<Sent> send(ProducerTopicQueue& queue, const Record& record, std::optional<int32_t> number,
                      DeliveryCallback& done);  // `done` is moved from when the record was taken
    // As send(), and waits for room.
    Result<Sent> send_waiting(ProducerTopicQueue& queue, const Record& record, std::optional<int32_t> partition,
                              DeliveryCallback done) {
        auto sent = send(queue, record, partition, done);
        if (sent || sent.error().code != Code::busy || options_.full_wait_max.count() <= 0) [[likely]] { return sent; }
        return wait_and_send(queue, record, partition, done);
    }
    uint64_t flush_begin();             // what was sent before is no longer waited for; returns a mark
    bool flushed(uint64_t mark) const;  // everything before the mark is done
    bool wait_flushed(uint64_t mark, int64_t timeout_ns);

    // --- the client's thread ---
    void turn();
    int64_t next_deadline_ns() const;
    void close();  // what is not done fails with `closed`

private:
    using Lines = std::vector<std::pair<ProducerPartition*, ProducerBatchPtr>>;
    Result<Sent> wait_and_send(ProducerTopicQueue& queue, const Record& record, std::optional<int32_t> partition,
                               DeliveryCallback& done);
    int32_t choose(ProducerTopicQueue& queue, const Record& record, std::optional<int32_t> number, bool another);
    Result<ProducerBatchPtr> batch_for(ProducerTopicQueue& queue, const Record& record, std::optional<int32_t> number,
                                       int64_t timestamp_ms, bool& wake);
    size_t batch_room(const ProducerPartition& partition) const;
    ProducerBatchPtr open_batch(ProducerPartition& partition, size_t record_bytes);
    void learn_partitions(ProducerTopicQueue& queue);
    void settle(ProducerPartition& partition, int64_t now_ns);
    void expire(ProducerPartition& partition, int64_t now_ns);
    void take_ready(ProducerPartition& partition, int64_t now_ns, std::map<int32_t, Lines>& by_node);
    void note_window_full(ProducerPartition& partition);
    bool ready(const ProducerBatch& batch, int64_t now_ns) const;
    void close_batch(ProducerPartition& partition, ProducerBatch& batch);
    void seal(ProducerBatch& batch);
    bool split(ProducerPartition& partition, const ProducerBatchPtr& batch);
    ProducerBatchPtr piece_of(const ProducerBatchPtr& batch, int32_t first);
    size_t let_go(ProducerBatch& batch);
    void end_piece(ProducerBatch& piece);
    void send_to(int32_t node, Lines lines);
    void on_answer(int32_t node, const Lines& lines, const Result<Answered<kafka::ProduceResponse>>& answer);
    void on_verdict(ProducerPartition& partition, const ProducerBatchPtr& batch, kafka::ErrorCode code, Offset base,
                    std::string_view text);
    void on_failure(ProducerPartition& partition, const ProducerBatchPtr& batch, const Error& error);
    void fail_sent(ProducerPartition& partition, const ProducerBatchPtr& batch, const Error& error);
    struct ProducerId {
        int64_t id = -1;
        int16_t epoch = -1;
    };
    void ask_id(ProducerPartition& partition);
    static void number(ProducerPartition& partition, const ProducerId& id);
    static void look_again(ProducerPartition& partition, int64_t at_ns);
    void finish(const ProducerBatchPtr& batch);
    void finish_failed(const ProducerBatchPtr& batch, const Error& error);
    void fail_all(ProducerPartition& partition, const Error& error);
    void back_off(ProducerPartition& partition);

    World world_;
    const ProducerOptions options_;
    const size_t grown_bytes_max_;  // of a batch that waits behind others
    BufferPool pool_;
    mutable Lock lock_;  // guards the six below, and what says so
    std::map<std::string, std::unique_ptr<ProducerTopicQueue>, std::less<>> queues_;
    std::vector<ProducerPartition*> became_active_;
    std::set<uint64_t> unfinished_;
    uint64_t next_batch_id_ = 1;
    uint64_t flush_before_ = 0;  // batches below it do not linger
    bool learn_again_ = false;   // a queue was made: the cluster may have told of its topic already
    std::atomic<size_t> used_bytes_ = 0;
    std::atomic<uint32_t> done_word_ = 0;      // changes with each batch that ends, when used_bytes_ has gone down
    std::atomic<uint32_t> room_waiters_ = 0;   // who may sleep on it: until there is room again,
    std::atomic<uint32_t> flush_waiters_ = 0;  // or until what they sent has ended
    std::atomic<bool> closed_ = false;
    std::atomic<bool> woken_ = false;
    // The client's thread's.
    std::vector<ProducerPartition*> active_;
    std::map<int32_t, size_t> requests_at_;  // produce requests under way, by node
    uint64_t answers_seen_ = 0;
    std::optional<ProducerId> first_id_;
};

}  // namespace flowstone
