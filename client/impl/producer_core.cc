#include "client/impl/producer_core.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "client/impl/errors.h"
#include "net/kafka/messages/init_producer_id.h"
#include "storage/check.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int64_t ms_ns = 1'000'000;
constexpr size_t in_flight_max = 5;             // of a partition: as many batches as a broker remembers of a producer
constexpr size_t requests_per_node_max = 5;     // produce requests under way to one broker
constexpr size_t request_bytes_max = 1u << 20;  // of the batches in one; a larger batch goes alone
constexpr size_t growth = 4;                    // from one size of the pool to the next
constexpr size_t grown_bytes_max = 1'000'000;   // brokers take 1,048,588 unless told otherwise, older ones 1,000,012
constexpr size_t room_share = 8;                // of buffer_bytes_max is free when who waits for room is woken
constexpr int64_t retry_ms_min = 50;
constexpr int64_t retry_ms_max = 1'000;
constexpr const char* operation = "producer.send";

// After these the batch may be in the log all the same.
bool leaves_doubt(kafka::ErrorCode code) {
    return code == kafka::ErrorCode::request_timed_out || code == kafka::ErrorCode::not_enough_replicas_after_append ||
           code == kafka::ErrorCode::unknown_server_error || code == kafka::ErrorCode::kafka_storage_error;
}

std::string place(const ProducerPartition& partition) {
    return fmt::format("{}-{}", partition.topic->name, partition.number);
}

// Announces who may sleep, before it looks a last time.
class Waiting {
public:
    explicit Waiting(std::atomic<uint32_t>& waiters) : waiters_(waiters) { ++waiters_; }
    ~Waiting() { --waiters_; }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

private:
    std::atomic<uint32_t>& waiters_;
};

}  // namespace

// --- batches -----------------------------------------------------------------------------------------------------------

Result<Position> ProducerBatch::verdict(int32_t index) const {
    const auto said = [&](const std::optional<Error>& error, Offset base, int32_t behind) -> Result<Position> {
        if (error) { return std::unexpected(*error); }
        return Position{partition_, base.value < 0 ? Offset{-1} : base + behind};
    };
    if (pieces_.empty()) { return said(error_, base_offset_, index); }
    const auto piece = std::prev(std::ranges::upper_bound(pieces_, index, {}, &Piece::first));
    return said(piece->error, piece->base_offset, index - piece->first);
}

Result<Position> ProducerBatch::wait(int32_t index, int64_t timeout_ns) const {
    const int64_t until = system_clock().monotonic_ns() + timeout_ns;
    while (!done()) {
        const int64_t left = until - system_clock().monotonic_ns();
        if (left <= 0) { return fail(Code::timed_out, "delivery.wait", "it is still under way"); }
        uint32_t expected = under_way;
        state_.compare_exchange_strong(expected, awaited);
        sleep_while(state_, awaited, left);
    }
    return verdict(index);
}

ProducerCore::ProducerCore(World world, ProducerOptions options)
    : world_(std::move(world)),
      options_(options),
      grown_bytes_max_(std::max(options.batch_bytes_max, std::min({options.batch_bytes_max * growth * growth,
                                                                   options.buffer_bytes_max / 16, grown_bytes_max}))) {}

// --- callers' threads --------------------------------------------------------------------------------------------------

ProducerTopicQueue& ProducerCore::queue(std::string_view topic) {
    const std::lock_guard guard(lock_);
    const auto found = queues_.find(topic);
    if (found != queues_.end()) { return *found->second; }
    auto& made = queues_[std::string(topic)];
    made = std::make_unique<ProducerTopicQueue>();
    made->name = topic;
    learn_again_ = true;
    return *made;
}

// Under the lock. Without key and number one partition has a batch, then another.
int32_t ProducerCore::choose(ProducerTopicQueue& queue, const Record& record, std::optional<int32_t> number,
                             bool another) {
    const int32_t count = queue.partition_count.load(std::memory_order_relaxed);
    if (number || count <= 0) { return number.value_or(-1); }
    if (record.key) { return partition_for_key(as_bytes(*record.key), count); }
    if (count > 1 && (another || queue.partitions[static_cast<size_t>(queue.sticky)].waiting.empty())) {
        const auto step = 1 + static_cast<int32_t>(world_.random.next() % static_cast<uint64_t>(count - 1));
        queue.sticky = (queue.sticky + step) % count;
    }
    return queue.sticky;
}

// Under the lock: of a new batch. What has to wait behind others may as well grow, for a large batch costs less a record; but
// no larger than what it waits for, so that what is never filled is no more memory than what is.
size_t ProducerCore::batch_room(const ProducerPartition& partition) const {
    size_t before = 0;
    for (auto batch = partition.waiting.rbegin(); batch != partition.waiting.rend() && before < grown_bytes_max_;
         ++batch) {
        before += (*batch)->builder_.size();
    }
    size_t room = options_.batch_bytes_max;
    while (std::min(room * growth, grown_bytes_max_) <= before && room < grown_bytes_max_) {
        room = std::min(room * growth, grown_bytes_max_);
    }
    return std::min(room, partition.topic->batch_bytes_max);
}

// Under the lock. Null: there is no room.
ProducerBatchPtr ProducerCore::open_batch(ProducerPartition& partition, size_t record_bytes) {
    const size_t bytes = std::max(batch_room(partition), batch_header_bytes + record_bytes);
    const size_t used = used_bytes_.load(std::memory_order_relaxed);
    if (used > 0 && used + bytes > options_.buffer_bytes_max) { return nullptr; }
    auto batch = std::make_shared<ProducerBatch>();
    batch->id_ = next_batch_id_++;
    batch->partition_ = partition.number;
    batch->space_ = pool_.take(bytes);
    batch->builder_ = BatchBuilder(MutableBytes(batch->space_->data(), bytes), {});
    const int64_t now = world_.clock.monotonic_ns();
    batch->send_by_ns_ = now + options_.linger.count() * ms_ns;
    batch->deadline_ns_ = now + options_.delivery_timeout.count() * ms_ns;
    used_bytes_.fetch_add(batch->space_->capacity(), std::memory_order_relaxed);
    unfinished_.insert(batch->id_);
    partition.waiting.push_back(batch);
    if (!std::exchange(partition.active, true)) {
        partition.window_full = false;
        became_active_.push_back(&partition);
    }
    return batch;
}

Result<ProducerCore::Sent> ProducerCore::send(ProducerTopicQueue& queue, const Record& record,
                                              std::optional<int32_t> number, DeliveryCallback& done) {
    const int64_t timestamp_ms = record.timestamp_ms ? *record.timestamp_ms : world_.clock.wall_ms();
    bool wake = false;
    const auto added = [&]() -> Result<Sent> {
        const std::lock_guard guard(lock_);
        if (closed_.load(std::memory_order_relaxed)) { return fail(Code::closed, operation, "the client is closed"); }
        TRY(ProducerBatchPtr batch, batch_for(queue, record, number, timestamp_ms, wake));
        const auto index = static_cast<int32_t>(batch->builder_.count()) - 1;
        if (done) { batch->callbacks_.emplace_back(index, std::move(done)); }
        return Sent{std::move(batch), index};
    }();
    if (wake && !woken_.exchange(true)) { world_.wake(); }
    return added;
}

// Under the lock: the batch that has taken the record. `wake`: there is one to be sent, now or once it has lingered.
Result<ProducerBatchPtr> ProducerCore::batch_for(ProducerTopicQueue& queue, const Record& record,
                                                 std::optional<int32_t> number, int64_t timestamp_ms, bool& wake) {
    const int32_t count = queue.partition_count.load(std::memory_order_relaxed);
    for (bool another = false;; another = true) {
        const int32_t chosen = choose(queue, record, number, another);
        if (chosen < 0 || chosen >= count) {
            return fail(Code::out_of_range, operation,
                        fmt::format("{} has {} partitions and none of number {}", queue.name, count, chosen));
        }
        ProducerPartition& partition = queue.partitions[static_cast<size_t>(chosen)];
        auto& waiting = partition.waiting;
        if (!waiting.empty() && !waiting.back()->full_) {
            BatchBuilder& builder = waiting.back()->builder_;
            const bool enough = builder.size() >= options_.batch_bytes_max;
            if (builder.append(record, timestamp_ms)) {
                wake = wake || (!enough && builder.size() >= options_.batch_bytes_max && !partition.window_full);
                return waiting.back();
            }
            waiting.back()->full_ = true;
            wake = wake || !partition.window_full;
            if (!number && !record.key && count > 1 && !another) { continue; }
        }
        const size_t bytes = BatchBuilder::record_bytes_max(record);
        if (batch_header_bytes + bytes > options_.buffer_bytes_max / 2) {
            return fail(Code::too_large, operation, fmt::format("{}: a record of {} bytes", queue.name, bytes));
        }
        ProducerBatchPtr batch = open_batch(partition, bytes);
        wake = wake || !partition.window_full;
        if (batch == nullptr) { return fail(Code::busy, operation, "too much is under way"); }
        CHECK(batch->builder_.append(record, timestamp_ms));
        return batch;
    }
}

Result<ProducerCore::Sent> ProducerCore::wait_and_send(ProducerTopicQueue& queue, const Record& record,
                                                       std::optional<int32_t> partition, DeliveryCallback& done) {
    const Waiting waiting(room_waiters_);
    const int64_t until = world_.clock.monotonic_ns() + options_.full_wait_max.count() * ms_ns;
    for (;;) {
        const uint32_t seen = done_word_.load();
        auto sent = send(queue, record, partition, done);
        if (sent || sent.error().code != Code::busy) { return sent; }
        const int64_t now = world_.clock.monotonic_ns();
        if (now >= until) { return sent; }
        sleep_while(done_word_, seen, until - now);
    }
}

uint64_t ProducerCore::flush_begin() {
    uint64_t mark = 0;
    {
        const std::lock_guard guard(lock_);
        mark = flush_before_ = next_batch_id_;
    }
    woken_ = true;
    world_.wake();
    return mark;
}

bool ProducerCore::flushed(uint64_t mark) const {
    const std::lock_guard guard(lock_);
    return unfinished_.empty() || *unfinished_.begin() >= mark;
}

bool ProducerCore::wait_flushed(uint64_t mark, int64_t timeout_ns) {
    const Waiting waiting(flush_waiters_);
    const int64_t until = world_.clock.monotonic_ns() + timeout_ns;
    for (;;) {
        const uint32_t seen = done_word_.load();
        if (flushed(mark)) { return true; }
        const int64_t left = until - world_.clock.monotonic_ns();
        if (left <= 0) { return false; }
        sleep_while(done_word_, seen, left);
    }
}

// --- the client's thread -----------------------------------------------------------------------------------------------

void ProducerCore::turn() {
    woken_ = false;
    const int64_t now = world_.clock.monotonic_ns();
    {
        const std::lock_guard guard(lock_);
        active_.insert(active_.end(), became_active_.begin(), became_active_.end());
        became_active_.clear();
        if (std::exchange(learn_again_, false) || answers_seen_ != world_.cluster.answers()) {
            answers_seen_ = world_.cluster.answers();
            for (const auto& [name, queue] : queues_) { learn_partitions(*queue); }
        }
    }
    std::map<int32_t, Lines> by_node;
    for (ProducerPartition* const partition : active_) {
        partition->look_again_ns = INT64_MAX;
        expire(*partition, now);
        settle(*partition, now);
        take_ready(*partition, now, by_node);
    }
    for (auto& [node, lines] : by_node) { send_to(node, std::move(lines)); }
    const std::lock_guard guard(lock_);
    std::erase_if(active_, [](ProducerPartition* partition) {
        if (!partition->waiting.empty() || !partition->sent.empty()) { return false; }
        partition->active = false;
        return true;
    });
}

// Under the lock.
void ProducerCore::learn_partitions(ProducerTopicQueue& queue) {
    const TopicView* const view = world_.cluster.topic(queue.name);
    if (view == nullptr || view->partitions.empty()) { return; }
    while (queue.partitions.size() < view->partitions.size()) {
        ProducerPartition& added = queue.partitions.emplace_back();
        added.topic = &queue;
        added.number = static_cast<int32_t>(queue.partitions.size()) - 1;
    }
    queue.partition_count = static_cast<int32_t>(view->partitions.size());
}

void ProducerCore::expire(ProducerPartition& partition, int64_t now_ns) {
    std::vector<ProducerBatchPtr> late;
    {
        const std::lock_guard guard(lock_);
        auto& waiting = partition.waiting;
        while (!waiting.empty() && waiting.front()->deadline_ns_ <= now_ns) {
            late.push_back(std::move(waiting.front()));
            waiting.pop_front();
        }
        if (!waiting.empty()) { look_again(partition, waiting.front()->deadline_ns_); }
    }
    const auto timed_out = [&] {
        return fail(Code::timed_out, operation, fmt::format("{}: not delivered in time", place(partition))).error();
    };
    for (const ProducerBatchPtr& batch : late) { finish_failed(batch, timed_out().with_fate(Fate::not_appended)); }
    if (partition.unanswered > 0) { return; }
    late.clear();
    for (const ProducerBatchPtr& batch : partition.sent) {
        if (batch->deadline_ns_ <= now_ns) {
            late.push_back(batch);
        } else {
            look_again(partition, batch->deadline_ns_);
        }
    }
    for (const ProducerBatchPtr& batch : late) { fail_sent(partition, batch, timed_out()); }
}

// Whatever was under way has been answered: what failed goes out again, under a new producer id where there is a gap.
void ProducerCore::settle(ProducerPartition& partition, int64_t now_ns) {
    if (partition.unanswered > 0 || partition.asking_id) { return; }
    if (partition.renumber) {
        // Under another id it could be there twice.
        const auto sent = partition.sent;
        for (const ProducerBatchPtr& batch : sent) {
            if (!batch->maybe_appended_) { continue; }
            fail_sent(
                partition, batch,
                fail(Code::out_of_order, operation, fmt::format("{}: behind one that was given up", place(partition)))
                    .error());
        }
        partition.producer_id = -1;
        partition.renumber = false;
    }
    if (!options_.idempotent || partition.producer_id >= 0) { return; }
    if (now_ns < partition.not_before_ns) { return look_again(partition, partition.not_before_ns); }
    ask_id(partition);
}

void ProducerCore::look_again(ProducerPartition& partition, int64_t at_ns) {
    partition.look_again_ns = std::min(partition.look_again_ns, at_ns);
}

// All partitions begin with the same id; one that needs another has it for itself.
void ProducerCore::ask_id(ProducerPartition& partition) {
    const bool first = !std::exchange(partition.had_first_id, true);
    if (first && first_id_) { return number(partition, *first_id_); }
    partition.asking_id = true;
    kafka::InitProducerIdRequest request;
    request.transactional_id.reset();
    request.transaction_timeout_ms = INT32_MAX;
    ProducerPartition* const asker = &partition;
    world_.requests.ask<kafka::InitProducerIdResponse>(
        world_.cluster.some_node(), std::move(request), world_.clock.monotonic_ns() + world_.request_ms * ms_ns,
        [this, asker, first](const Result<Answered<kafka::InitProducerIdResponse>>& answer) {
            asker->asking_id = false;
            if (!answer && answer.error().code == Code::unsupported) { return fail_all(*asker, answer.error()); }
            if (!answer) { return back_off(*asker); }
            const kafka::ErrorCode code = answer->response.error_code;
            if (kafka::is_retriable(code)) { return back_off(*asker); }
            if (code != kafka::ErrorCode::none) {
                return fail_all(*asker, error_of(code, operation, "asking for a producer id"));
            }
            const ProducerId id{answer->response.producer_id, answer->response.producer_epoch};
            if (first && !first_id_) { first_id_ = id; }
            number(*asker, id);
        });
}

// Nothing of it can ever be sent.
void ProducerCore::fail_all(ProducerPartition& partition, const Error& error) {
    std::deque<ProducerBatchPtr> waiting;
    {
        const std::lock_guard guard(lock_);
        waiting.swap(partition.waiting);
    }
    for (const auto sent = partition.sent; const ProducerBatchPtr& batch : sent) { fail_sent(partition, batch, error); }
    for (const ProducerBatchPtr& batch : waiting) { finish_failed(batch, error.with_fate(Fate::not_appended)); }
}

void ProducerCore::number(ProducerPartition& partition, const ProducerId& id) {
    partition.producer_id = id.id;
    partition.producer_epoch = id.epoch;
    partition.next_sequence = 0;
    for (const ProducerBatchPtr& batch : partition.sent) {
        batch->sequence_ = partition.next_sequence;
        partition.next_sequence = sequence_after(partition.next_sequence, batch->records_);
        patch_producer(batch->bytes_, id.id, id.epoch, batch->sequence_);
    }
}

bool ProducerCore::ready(const ProducerBatch& batch, int64_t now_ns) const {
    return batch.full_ || batch.builder_.size() >= options_.batch_bytes_max || batch.id_ < flush_before_ ||
           now_ns >= batch.send_by_ns_ || used_bytes_.load(std::memory_order_relaxed) > options_.buffer_bytes_max / 2;
}

void ProducerCore::take_ready(ProducerPartition& partition, int64_t now_ns, std::map<int32_t, Lines>& by_node) {
    if (partition.renumber || partition.asking_id || (options_.idempotent && partition.producer_id < 0)) { return; }
    const bool again = std::ranges::any_of(partition.sent, [](const auto& batch) { return batch->again_; });
    if (again && partition.unanswered > 0) { return; }
    if (now_ns < partition.not_before_ns) { return look_again(partition, partition.not_before_ns); }
    const PartitionView* const view = world_.cluster.partition(partition.topic->name, partition.number);
    if (view == nullptr || view->leader < 0) { return world_.cluster.suspect(); }
    if (requests_at_[view->leader] >= requests_per_node_max) { return note_window_full(partition); }
    Lines& lines = by_node[view->leader];
    const auto take = [&](ProducerBatchPtr batch) {
        ++partition.unanswered;
        lines.emplace_back(&partition, std::move(batch));
    };
    const size_t limit = options_.idempotent ? in_flight_max : 1;
    if (again) {
        // All of them wait for it. Pieces of one that was split may be more than may be under way.
        for (size_t i = 0; i < std::min(partition.sent.size(), limit); ++i) {
            partition.sent[i]->again_ = false;
            take(partition.sent[i]);
        }
        return;
    }
    while (partition.sent.size() < limit) {
        ProducerBatchPtr batch;
        {
            const std::lock_guard guard(lock_);
            partition.window_full = false;
            if (partition.waiting.empty()) { return; }
            if (!ready(*partition.waiting.front(), now_ns)) {
                return look_again(partition, partition.waiting.front()->send_by_ns_);
            }
            batch = std::move(partition.waiting.front());
            partition.waiting.pop_front();
        }
        close_batch(partition, *batch);
        partition.sent.push_back(batch);
        take(std::move(batch));
    }
    note_window_full(partition);
}

// The answer that opens it brings us back here.
void ProducerCore::note_window_full(ProducerPartition& partition) {
    const std::lock_guard guard(lock_);
    partition.window_full = true;
}

void ProducerCore::close_batch(ProducerPartition& partition, ProducerBatch& batch) {
    batch.records_ = batch.builder_.count();
    if (options_.idempotent) {
        batch.sequence_ = partition.next_sequence;
        partition.next_sequence = sequence_after(partition.next_sequence, batch.records_);
        batch.builder_.set_producer(partition.producer_id, partition.producer_epoch, batch.sequence_);
    }
    seal(batch);
}

void ProducerCore::seal(ProducerBatch& batch) {
    const BatchView view = batch.builder_.close();
    batch.bytes_ = MutableBytes(batch.space_->data(), view.size());
    batch.plain_ = batch.bytes_;
    if (options_.compression == Compression::none) { return; }
    const auto codec = static_cast<Codec>(options_.compression);
    const auto compressed = recompress(view, codec, batch.compressed_);
    if (compressed && compressed->size() < view.size()) { batch.bytes_ = batch.compressed_; }
}

// In requests that brokers take: what is more than that goes in another one.
void ProducerCore::send_to(int32_t node, Lines lines) {
    while (!lines.empty()) {
        Lines part;
        size_t bytes = 0;
        kafka::ProduceRequest request;
        request.acks = static_cast<int16_t>(options_.acks);
        request.timeout_ms = static_cast<int32_t>(std::min<int64_t>(world_.request_ms, INT32_MAX));
        // A batch of a partition per request: brokers take no second one in it.
        size_t next = 0;
        for (size_t i = 0; i < lines.size(); ++i) {
            const auto& [partition, batch] = lines[i];
            const bool same = std::ranges::any_of(part, [&](const auto& one) { return one.first == partition; });
            if (same || (bytes > 0 && bytes + batch->bytes_.size() > request_bytes_max)) {
                lines[next++] = lines[i];
                continue;
            }
            bytes += batch->bytes_.size();
            auto topic = std::ranges::find(request.topic_data, partition->topic->name,
                                           &kafka::ProduceRequest::TopicProduceData::name);
            if (topic == request.topic_data.end()) {
                const TopicView* const view = world_.cluster.topic(partition->topic->name);
                request.topic_data.push_back(
                    {.name = partition->topic->name, .topic_id = view == nullptr ? Uuid{} : view->id});
                topic = std::prev(request.topic_data.end());
            }
            topic->partition_data.push_back({.index = partition->number, .records = Bytes(batch->bytes_)});
            part.push_back(lines[i]);
        }
        lines.resize(next);
        const int64_t deadline = world_.clock.monotonic_ns() + world_.request_ms * ms_ns;
        ++requests_at_[node];
        if (options_.acks == Acks::none) {
            world_.requests.tell(node, std::move(request), deadline, [this, node, part](const Result<void>& told) {
                --requests_at_[node];
                for (const auto& [partition, batch] : part) {
                    --partition->unanswered;
                    if (!told) {
                        on_failure(*partition, batch, told.error());
                    } else {
                        on_verdict(*partition, batch, kafka::ErrorCode::none, Offset{-1}, {});
                    }
                }
            });
            continue;
        }
        world_.requests.ask<kafka::ProduceResponse>(
            node, std::move(request), deadline,
            [this, node, part](const Result<Answered<kafka::ProduceResponse>>& answer) {
                on_answer(node, part, answer);
            });
    }
}

void ProducerCore::on_answer(int32_t node, const Lines& lines, const Result<Answered<kafka::ProduceResponse>>& answer) {
    --requests_at_[node];
    for (const auto& [partition, batch] : lines) {
        --partition->unanswered;
        if (!answer) {
            on_failure(*partition, batch, answer.error());
            continue;
        }
        const TopicView* const view = world_.cluster.topic(partition->topic->name);
        const kafka::ProduceResponse::PartitionProduceResponse* verdict = nullptr;
        for (const auto& topic : answer->response.responses) {
            const bool ours = topic.name.empty() ? view != nullptr && topic.topic_id == view->id
                                                 : topic.name == partition->topic->name;
            if (!ours) { continue; }
            for (const auto& one : topic.partition_responses) {
                if (one.index == partition->number) { verdict = &one; }
            }
        }
        if (verdict == nullptr) {
            on_failure(*partition, batch,
                       fail(Code::corrupt, operation, fmt::format("the answer lacks {}", place(*partition))).error());
            continue;
        }
        on_verdict(*partition, batch, verdict->error_code, Offset{verdict->base_offset},
                   verdict->error_message.value_or(""));
    }
}

void ProducerCore::on_verdict(ProducerPartition& partition, const ProducerBatchPtr& batch, kafka::ErrorCode code,
                              Offset base, std::string_view text) {
    using enum kafka::ErrorCode;
    if (code == none || code == duplicate_sequence_number) {
        batch->base_offset_ = code == none ? base : Offset{-1};
        partition.failures = 0;
        std::erase(partition.sent, batch);
        return finish(batch);
    }
    const Error error = error_of(code, operation, place(partition), text);
    // One before it failed, so that this one came too early; it is not in the log.
    const auto own = std::ranges::find(partition.sent, batch);
    const bool behind = std::any_of(partition.sent.begin(), own, [](const auto& other) { return other->again_; });
    if (code == out_of_order_sequence_number && (behind || partition.renumber)) {
        batch->again_ = true;
        return;
    }
    if (code == unknown_producer_id && options_.idempotent) {
        batch->again_ = true;
        partition.renumber = true;
        return back_off(partition);
    }
    if (code == message_too_large && split(partition, batch)) { return; }
    if (!kafka::is_retriable(code)) {
        batch->maybe_appended_ |= leaves_doubt(code);
        return fail_sent(partition, batch, error);
    }
    batch->maybe_appended_ |= leaves_doubt(code);
    batch->again_ = true;
    world_.cluster.suspect();
    back_off(partition);
}

// There was no answer.
void ProducerCore::on_failure(ProducerPartition& partition, const ProducerBatchPtr& batch, const Error& error) {
    const bool sent = error.fate != Fate::not_appended;
    batch->maybe_appended_ |= sent;
    // Nobody could tell of it, so that sending it again would be guessing.
    const bool once = sent && options_.acks == Acks::none;
    if (closed_ || once || error.code == Code::unsupported) { return fail_sent(partition, batch, error); }
    batch->again_ = true;
    world_.cluster.suspect();
    back_off(partition);
}

void ProducerCore::back_off(ProducerPartition& partition) {
    const int64_t wait = std::min(retry_ms_max, retry_ms_min << std::min<uint32_t>(partition.failures++, 10));
    const auto blurred = wait / 2 + static_cast<int64_t>(world_.random.next() % static_cast<uint64_t>(wait));
    partition.not_before_ns = world_.clock.monotonic_ns() + blurred * ms_ns;
}

void ProducerCore::fail_sent(ProducerPartition& partition, const ProducerBatchPtr& batch, const Error& error) {
    std::erase(partition.sent, batch);
    if (options_.idempotent) { partition.renumber = true; }
    finish_failed(batch, error.with_fate(batch->maybe_appended_ ? Fate::unknown_until_reopen : Fate::not_appended));
}

void ProducerCore::finish_failed(const ProducerBatchPtr& batch, const Error& error) {
    batch->error_ = error;
    finish(batch);
}

void ProducerCore::finish(const ProducerBatchPtr& batch) {
    const bool piece = batch->whole_ != nullptr;
    std::vector<std::pair<int32_t, DeliveryCallback>> callbacks;
    size_t used = 0;
    {
        const std::lock_guard guard(lock_);
        if (!piece) { unfinished_.erase(batch->id_); }
        callbacks = std::move(batch->callbacks_);
        used = let_go(*batch);
    }
    if (batch->state_.exchange(ProducerBatch::ended) == ProducerBatch::awaited) { wake_all(batch->state_); }
    for (const auto& [index, done] : callbacks) { done(batch->verdict(index)); }
    ++done_word_;
    // Who waits for room gets some: woken for each batch he would fill that one, and wait again.
    const bool room = room_waiters_ > 0 && used <= options_.buffer_bytes_max - options_.buffer_bytes_max / room_share;
    if (room || flush_waiters_ > 0) { wake_all(done_word_); }
    if (piece) { end_piece(*batch); }
}

// Under the lock. What is used then.
size_t ProducerCore::let_go(ProducerBatch& batch) {
    const size_t bytes = batch.space_ ? batch.space_->capacity() : 0;
    batch.space_ = BufferRef();
    batch.bytes_ = {};
    batch.plain_ = {};
    batch.compressed_ = {};
    return used_bytes_.fetch_sub(bytes, std::memory_order_relaxed) - bytes;
}

int64_t ProducerCore::next_deadline_ns() const {
    int64_t next = INT64_MAX;
    for (const ProducerPartition* const partition : active_) { next = std::min(next, partition->look_again_ns); }
    return next;
}

void ProducerCore::close() {
    closed_ = true;
    std::vector<std::pair<ProducerPartition*, ProducerBatchPtr>> left;
    {
        const std::lock_guard guard(lock_);
        for (const auto& [name, queue] : queues_) {
            for (ProducerPartition& partition : queue->partitions) {
                for (ProducerBatchPtr& batch : partition.sent) { left.emplace_back(&partition, batch); }
                for (ProducerBatchPtr& batch : partition.waiting) { left.emplace_back(&partition, batch); }
                partition.sent.clear();
                partition.waiting.clear();
            }
        }
        active_.clear();
        became_active_.clear();
    }
    for (const auto& [partition, batch] : left) {
        const bool sent = batch->maybe_appended_;
        finish_failed(batch, fail(Code::closed, operation, fmt::format("{}: the client was closed", place(*partition)))
                                 .error()
                                 .with_fate(sent ? Fate::unknown_until_reopen : Fate::not_appended));
    }
}

}  // namespace flowstone
