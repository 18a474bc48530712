#include "client/impl/consumer_core.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "client/impl/errors.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int64_t ms_ns = 1'000'000;
constexpr int64_t retry_ms = 100;
constexpr int64_t earliest = -2;  // ListOffsets' names for the ends
constexpr int64_t latest = -1;
constexpr const char* operation = "consumer.poll";

std::string text_of(const TopicPartition& place) { return fmt::format("{}-{}", place.topic, place.partition); }

// What ListOffsets is asked for.
int64_t timestamp_of(const From& from) {
    if (std::holds_alternative<From::Beginning>(from.value())) { return earliest; }
    if (const auto* time = std::get_if<From::Time>(&from.value())) { return std::max<int64_t>(time->ms, 0); }
    return latest;
}

// Whether a control batch says that a transaction was aborted. Its record's key: version and type, 16 bits each.
bool is_abort(const BatchView& batch) {
    std::vector<std::byte> scratch;
    auto records = RecordCursor::open(batch, scratch);
    if (!records) { return false; }
    const auto record = records->next();
    if (!record || !*record || !(*record)->key || (*record)->key->size() < 4) { return false; }
    return load_be<int16_t>(as_bytes(*(*record)->key).data() + 2) == 0;
}

}  // namespace

ConsumerCore::ConsumerCore(World world, ConsumerOptions options, std::unique_ptr<NearLog> near)
    : world_(std::move(world)), options_(std::move(options)), near_(std::move(near)) {}

// --- the consumer's thread ---------------------------------------------------------------------------------------------

void ConsumerCore::set(Partition& partition, const From& from) {
    partition.assignment = next_assignment_++;
    partition.buffered_bytes = 0;
    partition.failed = false;
    partition.elsewhere = false;
    partition.aborting.clear();
    partition.aborted.clear();
    partition.not_before_ns = 0;
    partition.from.reset();
    partition.position.reset();
    if (const auto* offset = std::get_if<Offset>(&from.value())) {
        partition.position = partition.fetch_from = *offset;
    } else {
        partition.from = from;
    }
}

// Both threads have something new to look at.
void ConsumerCore::changed() {
    if (near_) { tell(); }
    world_.wake();
}

void ConsumerCore::assign(const std::vector<TopicPartition>& places, From from) {
    {
        const std::lock_guard guard(lock_);
        ++layout_;
        std::erase_if(partitions_,
                      [&](const auto& entry) { return std::ranges::find(places, entry.first) == places.end(); });
        for (const TopicPartition& place : places) {
            const auto [found, added] = partitions_.try_emplace(place);
            if (added) { set(found->second, from); }
        }
        std::erase_if(ready_, [&](const FetchedBatch& batch) { return !partitions_.contains(batch.place); });
    }
    changed();
}

Result<void> ConsumerCore::seek(const TopicPartition& place, From from) {
    {
        const std::lock_guard guard(lock_);
        const auto found = partitions_.find(place);
        if (found == partitions_.end()) {
            return fail(Code::invalid, "consumer.seek", fmt::format("{} is not assigned", text_of(place)));
        }
        set(found->second, from);
        std::erase_if(ready_, [&](const FetchedBatch& batch) { return batch.place == place; });
    }
    changed();
    return {};
}

void ConsumerCore::pause(const TopicPartition& place, bool paused) {
    {
        const std::lock_guard guard(lock_);
        const auto found = partitions_.find(place);
        if (found != partitions_.end()) { found->second.paused = paused; }
    }
    tell();
    world_.wake();
}

void ConsumerCore::add(const std::vector<Begin>& begins) {
    {
        const std::lock_guard guard(lock_);
        ++layout_;
        for (const Begin& begin : begins) {
            const auto [found, added] = partitions_.try_emplace(begin.place);
            if (!added) { continue; }
            set(found->second, begin.from);
            found->second.otherwise = begin.otherwise;
            if (begin.refused) { give_error(begin.place, found->second, *begin.refused); }
        }
    }
    changed();
}

void ConsumerCore::drop(const std::vector<TopicPartition>& places) {
    const std::lock_guard guard(lock_);
    ++layout_;
    for (const TopicPartition& place : places) { partitions_.erase(place); }
    std::erase_if(ready_, [&](const FetchedBatch& batch) { return !partitions_.contains(batch.place); });
}

std::vector<TopicPartition> ConsumerCore::places() const {
    const std::lock_guard guard(lock_);
    std::vector<TopicPartition> places;
    for (const auto& [place, partition] : partitions_) { places.push_back(place); }
    return places;
}

std::vector<GroupOffset> ConsumerCore::positions() const {
    const std::lock_guard guard(lock_);
    std::vector<GroupOffset> positions;
    for (const auto& [place, partition] : partitions_) {
        if (partition.position) { positions.push_back({place.topic, place.partition, *partition.position}); }
    }
    return positions;
}

Result<FetchedBatch*> ConsumerCore::take(FetchedBatch& into) {
    // One of what is near and one of what was fetched, as far as there is both.
    std::optional<Error> error;
    const bool near_first = near_ && !took_near_;
    if (near_first && take_near(into, error)) {
        took_near_ = true;
        if (error) { return std::unexpected(*error); }
        return checked(into);
    }
    took_near_ = false;
    bool wake = false;
    bool none = false;
    {
        const std::lock_guard guard(lock_);
        if (closed_) { return fail(Code::closed, operation, "the client is closed"); }
        const auto next = std::ranges::find_if(
            ready_, [&](const FetchedBatch& batch) { return !partitions_.at(batch.place).paused; });
        none = next == ready_.end();
        if (!none) {
            into = std::move(*next);
            ready_.erase(next);
            if (auto refused = std::exchange(into.error, std::nullopt)) { return std::unexpected(*refused); }
            Partition& partition = partitions_.at(into.place);
            partition.buffered_bytes -= into.batch->size();
            // Behind the last one what was left out, a marker for instance, is passed with it.
            partition.position = partition.buffered_bytes == 0 ? partition.fetch_from : into.batch->next_offset();
            wake = starved_ && has_room(partition);
        }
    }
    if (wake && starved_.exchange(false)) { world_.wake(); }
    if (!none) { return checked(into); }
    if (!near_ || near_first || !take_near(into, error)) { return nullptr; }
    took_near_ = true;
    if (error) { return std::unexpected(*error); }
    return checked(into);
}

// A batch that its position has passed already.
Result<FetchedBatch*> ConsumerCore::checked(FetchedBatch& taken) {
    const auto damaged = [&](std::string_view why) {
        stand_before(taken);
        return fail(
            Code::corrupt, operation,
            fmt::format("{}: the batch at offset {}: {}", text_of(taken.place), taken.batch->base_offset().value, why));
    };
    const bool known_good = taken.frame == nullptr && near_->checked();
    if (options_.check_crcs && !known_good && !taken.batch->crc_matches()) {
        return damaged("its checksum does not hold");
    }
    if (const auto good = taken.batch->check_header(); !good) { return damaged(good.error().message()); }
    if (options_.whole_batches) { return &taken; }
    auto cursor = RecordCursor::open(*taken.batch, taken.scratch);
    if (!cursor) { return damaged(cursor.error().message()); }
    taken.cursor = std::move(*cursor);
    return &taken;
}

// What it holds was not given after all.
void ConsumerCore::stand_before(const FetchedBatch& batch) {
    const std::lock_guard guard(lock_);
    const auto found = partitions_.find(batch.place);
    if (found == partitions_.end()) { return; }
    std::erase_if(ready_, [&](const FetchedBatch& other) { return other.place == batch.place; });
    found->second.buffered_bytes = 0;
    found->second.position = batch.from;
    found->second.failed = true;
}

std::optional<Offset> ConsumerCore::position(const TopicPartition& place) const {
    const std::lock_guard guard(lock_);
    const auto found = partitions_.find(place);
    return found == partitions_.end() ? std::nullopt : found->second.position;
}

std::optional<int64_t> ConsumerCore::lag(const TopicPartition& place) const {
    const std::lock_guard guard(lock_);
    const auto found = partitions_.find(place);
    if (found == partitions_.end() || !found->second.position || !found->second.high_watermark) { return {}; }
    return std::max<int64_t>(0, *found->second.high_watermark - *found->second.position);
}

// --- the client's thread -----------------------------------------------------------------------------------------------

bool ConsumerCore::has_room(const Partition& partition) const {
    return partition.buffered_bytes < options_.partition_bytes_max;
}

void ConsumerCore::tell() {
    word_.fetch_add(1, std::memory_order_release);
    wake_all(word_);
}

ConsumerCore::Ticket ConsumerCore::ticket() const {
    const uint32_t own = word_.load(std::memory_order_acquire);
    return {own, near_ ? near_->ticket() : 0};
}
void ConsumerCore::sleep(const Ticket& ticket, int64_t timeout_ns) const {
    if (near_) { return near_->sleep({word_, ticket.own}, ticket.near, timeout_ns); }
    sleep_while(word_, ticket.own, timeout_ns);
}

ConsumerCore::Partition* ConsumerCore::find(const Asked& asked) {
    const auto found = partitions_.find(asked.place);
    if (found == partitions_.end() || found->second.assignment != asked.assignment) { return nullptr; }
    return &found->second;
}

// Null: it was assigned or sought anew since, and wants something else.
ConsumerCore::Partition* ConsumerCore::answered(const Asked& asked) {
    const auto named = partitions_.find(asked.place);
    if (named != partitions_.end()) { named->second.asking = false; }
    return find(asked);
}

void ConsumerCore::turn() {
    const int64_t now = world_.clock.monotonic_ns();
    std::map<int32_t, std::vector<Asked>> fetches;
    std::map<int32_t, std::vector<Asked>> look_ups;
    bool found_near = false;
    {
        const std::lock_guard guard(lock_);
        for (auto& [place, partition] : partitions_) {
            if (partition.failed || partition.paused || partition.asking || now < partition.not_before_ns) { continue; }
            world_.cluster.want(place.topic);
            const TopicView* const topic = world_.cluster.topic(place.topic);
            if (topic == nullptr) { continue; }
            if (topic->error == kafka::ErrorCode::unknown_topic_or_partition ||
                (topic->error == kafka::ErrorCode::none &&
                 static_cast<size_t>(place.partition) >= topic->partitions.size())) {
                give_error(place, partition,
                           error_of(kafka::ErrorCode::unknown_topic_or_partition, operation, text_of(place)));
                continue;
            }
            const PartitionView* const view = world_.cluster.partition(place.topic, place.partition);
            if (view == nullptr || view->leader < 0) {
                world_.cluster.suspect();
                continue;
            }
            if (partition.topic != topic->id) {
                partition.topic = topic->id;
                found_near = near_ != nullptr;
            }
            if (partition.from) {
                look_ups[view->leader].push_back({place, partition.assignment});
            } else if (near_ && !partition.elsewhere && !partition.topic.is_zero()) {
                continue;
            } else if (!has_room(partition)) {
                starved_ = true;
            } else if (!fetching_.contains(view->leader)) {
                fetches[view->leader].push_back({place, partition.assignment});
            }
        }
    }
    if (found_near) { tell(); }
    for (const auto& [node, asked] : look_ups) { look_up(node, asked); }
    for (const auto& [node, asked] : fetches) { fetch(node, asked); }
}

int64_t ConsumerCore::next_deadline_ns() const {
    const int64_t now = world_.clock.monotonic_ns();
    int64_t next = INT64_MAX;
    const std::lock_guard guard(lock_);
    for (const auto& [place, partition] : partitions_) {
        if (!partition.failed && !partition.paused && !partition.asking && partition.not_before_ns > now) {
            next = std::min(next, partition.not_before_ns);
        }
    }
    return next;
}

void ConsumerCore::look_up(int32_t node, const std::vector<Asked>& asked) {
    kafka::ListOffsetsRequest request;
    request.replica_id = -1;
    request.isolation_level = options_.read_committed ? 1 : 0;
    request.timeout_ms = static_cast<int32_t>(std::min<int64_t>(world_.request_ms, INT32_MAX));
    {
        const std::lock_guard guard(lock_);
        for (const Asked& one : asked) {
            Partition* const partition = find(one);
            if (partition == nullptr) { continue; }
            partition->asking = true;
            auto topic =
                std::ranges::find(request.topics, one.place.topic, &kafka::ListOffsetsRequest::ListOffsetsTopic::name);
            if (topic == request.topics.end()) {
                request.topics.push_back({.name = one.place.topic});
                topic = std::prev(request.topics.end());
            }
            topic->partitions.push_back(
                {.partition_index = one.place.partition, .timestamp = timestamp_of(*partition->from)});
        }
    }
    world_.requests.ask<kafka::ListOffsetsResponse>(
        node, std::move(request), world_.clock.monotonic_ns() + world_.request_ms * ms_ns,
        [self = shared_from_this(), asked](const Result<Answered<kafka::ListOffsetsResponse>>& answer) {
            self->on_looked_up(asked, answer);
        });
}

void ConsumerCore::on_looked_up(const std::vector<Asked>& asked,
                                const Result<Answered<kafka::ListOffsetsResponse>>& answer) {
    const std::lock_guard guard(lock_);
    for (const Asked& one : asked) {
        Partition* const partition = answered(one);
        if (partition == nullptr) { continue; }
        const kafka::ListOffsetsResponse::ListOffsetsPartitionResponse* found = nullptr;
        if (answer) {
            for (const auto& topic : answer->response.topics) {
                if (topic.name != one.place.topic) { continue; }
                for (const auto& part : topic.partitions) {
                    if (part.partition_index == one.place.partition) { found = &part; }
                }
            }
        }
        if (found == nullptr) {
            take_error(one.place, *partition, kafka::ErrorCode::network_exception);
        } else if (found->error_code != kafka::ErrorCode::none) {
            take_error(one.place, *partition, found->error_code);
        } else if (found->offset < 0) {  // no record is that late: what comes next is
            partition->from = From::end();
        } else {
            partition->from.reset();
            partition->position = partition->fetch_from = Offset{found->offset};
            if (near_) { tell(); }
        }
    }
}

void ConsumerCore::fetch(int32_t node, const std::vector<Asked>& asked) {
    kafka::FetchRequest request;
    request.max_wait_ms = static_cast<int32_t>(options_.fetch_wait.count());
    request.min_bytes = 1;
    request.max_bytes = static_cast<int32_t>(std::min<size_t>(options_.fetch_bytes_max, INT32_MAX));
    request.isolation_level = options_.read_committed ? 1 : 0;
    {
        const std::lock_guard guard(lock_);
        for (const Asked& one : asked) {
            Partition* const partition = find(one);
            if (partition == nullptr) { continue; }
            partition->asking = true;
            auto topic = std::ranges::find(request.topics, one.place.topic, &kafka::FetchRequest::FetchTopic::topic);
            if (topic == request.topics.end()) {
                request.topics.push_back(
                    {.topic = one.place.topic, .topic_id = world_.cluster.topic(one.place.topic)->id});
                topic = std::prev(request.topics.end());
            }
            topic->partitions.push_back({.partition = one.place.partition,
                                         .fetch_offset = partition->fetch_from.value,
                                         .partition_max_bytes = static_cast<int32_t>(
                                             std::min<size_t>(options_.partition_bytes_max, INT32_MAX))});
        }
    }
    fetching_.insert(node);
    world_.requests.ask<kafka::FetchResponse>(
        node, std::move(request),
        world_.clock.monotonic_ns() + (world_.request_ms + options_.fetch_wait.count()) * ms_ns,
        [self = shared_from_this(), node, asked](const Result<Answered<kafka::FetchResponse>>& answer) {
            self->fetching_.erase(node);
            self->on_fetched(asked, answer);
        },
        INT16_MAX, world_.lane);
}

void ConsumerCore::on_fetched(const std::vector<Asked>& asked, const Result<Answered<kafka::FetchResponse>>& answer) {
    const std::lock_guard guard(lock_);
    for (const Asked& one : asked) {
        Partition* const partition = answered(one);
        if (partition == nullptr) { continue; }
        if (!answer) {
            take_error(one.place, *partition, kafka::ErrorCode::network_exception);
            continue;
        }
        if (answer->response.error_code != kafka::ErrorCode::none) {
            take_error(one.place, *partition, answer->response.error_code);
            continue;
        }
        for (const auto& topic : answer->response.responses) {
            const bool ours = topic.topic.empty() ? world_.cluster.name_of(topic.topic_id) == one.place.topic
                                                  : topic.topic == one.place.topic;
            if (!ours) { continue; }
            for (const auto& data : topic.partitions) {
                if (data.partition_index != one.place.partition) { continue; }
                if (data.error_code != kafka::ErrorCode::none) {
                    take_error(one.place, *partition, data.error_code);
                } else {
                    take_records(one.place, *partition, answer->bytes, data);
                }
            }
        }
    }
}

// Under the lock. Records may come in pieces only where we write them; what was received is one piece.
void ConsumerCore::take_records(const TopicPartition& place, Partition& partition, const AnswerBytes& bytes,
                                const kafka::FetchResponse::PartitionData& data) {
    partition.high_watermark = Offset{data.high_watermark};
    if (options_.read_committed && data.aborted_transactions) {
        partition.aborted = *data.aborted_transactions;
        std::ranges::sort(partition.aborted, {}, &kafka::FetchResponse::AbortedTransaction::first_offset);
    }
    bool told = false;
    for (Bytes piece : data.records.pieces) {
        // The last batch may be cut short by the limit: it comes again.
        while (const auto batch = BatchView::parse(piece)) {
            piece = piece.subspan(batch->size());
            if (batch->next_offset() <= partition.fetch_from) { continue; }
            const Offset from = partition.fetch_from;
            partition.fetch_from = batch->next_offset();
            if (left_out(partition, *batch)) {
                if (partition.buffered_bytes == 0) { partition.position = partition.fetch_from; }
                continue;
            }
            partition.buffered_bytes += batch->size();
            FetchedBatch& added = ready_.emplace_back();
            added.place = place;
            added.frame = bytes.frame;
            added.batch = *batch;
            added.from = from;
            told = true;
        }
    }
    if (told) { tell(); }
}

// Markers are nobody's records, nor is what an aborted transaction wrote for who reads committed ones only.
bool ConsumerCore::left_out(Partition& partition, const BatchView& batch) const {
    if (options_.whole_batches) { return false; }
    if (!options_.read_committed) { return batch.control(); }
    while (!partition.aborted.empty() && partition.aborted.front().first_offset <= batch.last_offset().value) {
        partition.aborting.insert(partition.aborted.front().producer_id);
        partition.aborted.erase(partition.aborted.begin());
    }
    if (batch.control()) {
        if (is_abort(batch)) { partition.aborting.erase(batch.producer_id()); }
        return true;
    }
    return batch.transactional() && partition.aborting.contains(batch.producer_id());
}

// Under the lock.
void ConsumerCore::take_error(const TopicPartition& place, Partition& partition, kafka::ErrorCode code) {
    if (code == kafka::ErrorCode::offset_out_of_range && partition.otherwise) {
        return set(partition, *partition.otherwise);
    }
    if (!kafka::is_retriable(code)) { return give_error(place, partition, error_of(code, operation, text_of(place))); }
    partition.not_before_ns = world_.clock.monotonic_ns() + retry_ms * ms_ns;
    world_.cluster.suspect();
}

// Under the lock. Nothing more of the partition until seek().
void ConsumerCore::give_error(const TopicPartition& place, Partition& partition, const Error& error) {
    partition.failed = true;
    FetchedBatch& added = ready_.emplace_back();
    added.place = place;
    added.error = error;
    tell();
}

void ConsumerCore::close() {
    closed_ = true;
    tell();
}

}  // namespace flowstone
