#include "net/broker/fetch_handler.h"

#include <algorithm>

#include "net/broker/broker_metrics.h"
#include "net/broker/epochs.h"
#include "net/broker/errors.h"
#include "storage/check.h"

namespace flowstone {

using kafka::ErrorCode;
using kafka::FetchRequest;
using kafka::FetchResponse;

namespace {

constexpr int16_t ids_since = 13;
constexpr int8_t read_committed = 1;
constexpr int16_t sessions_since = 7;
constexpr int16_t zstd_since = 10;  // SERVE.md rule 40

FetchSessionRequest session_request(const FetchRequest& fetch, int16_t version) {
    FetchSessionRequest out;
    out.by_topic_id = version >= ids_since;
    if (version >= sessions_since) {
        out.session_id = fetch.session_id;
        out.session_epoch = fetch.session_epoch;
    }
    for (const auto& topic : fetch.topics) {
        for (const auto& asked : topic.partitions) {
            out.partitions.push_back({topic.topic_id, topic.topic, asked.partition, asked.current_leader_epoch,
                                      asked.fetch_offset, asked.last_fetched_epoch, asked.log_start_offset,
                                      asked.partition_max_bytes});
        }
    }
    for (const auto& topic : fetch.forgotten_topics_data) {
        for (const int32_t partition : topic.partitions) {
            out.forgotten.push_back({topic.topic_id, topic.topic, partition});
        }
    }
    return out;
}

}  // namespace

void FetchHandler::on(Request request, const FetchRequest& fetch) {
    Waiting waiting;
    waiting.fetch = sessions_.begin(session_request(fetch, request.version()), context_.now_ms());
    request.frame = nullptr;
    request.body = {};
    waiting.request = std::move(request);
    if (waiting.fetch.error() != ErrorCode::none) {
        FetchResponse response;
        response.error_code = waiting.fetch.error();
        return context_.answer(waiting.request, response);
    }
    waiting.deadline_ms = context_.now_ms() + std::max(fetch.max_wait_ms, 0);
    waiting.bytes_min = static_cast<size_t>(std::max(fetch.min_bytes, 0));
    waiting.bytes_max = static_cast<size_t>(std::clamp(fetch.max_bytes, 0, context_.config.fetch_bytes_max));
    waiting.read_committed = fetch.isolation_level == read_committed;
    const WaitId id = next_id_++;
    Waiting& kept = waiting_.emplace(id, std::move(waiting)).first->second;
    const bool no_wait = fetch.max_wait_ms <= 0 || kept.fetch.entries().empty() || sessions_.crowded();
    Looked looked = look(kept);
    if (try_answer(id, kept, no_wait, looked)) { return; }
    deadlines_.add(kept.deadline_ms, id);
    by_session_[&kept.fetch.session()].push_back(id);
    wait_on(id, kept, looked);
}

// Answers if there is enough, or if this is the last look. True when nothing more is to be done for now.
bool FetchHandler::try_answer(WaitId id, Waiting& waiting, bool last, Looked& looked) {
    if (looked.on_disk) {
        read_files(id, waiting, looked);
        return true;
    }
    if (!last && !looked.failed && looked.bytes < std::max<size_t>(waiting.bytes_min, 1)) { return false; }
    answer(id, waiting, std::move(looked));
    return true;
}

// To be told of every partition that was looked at. What moved since then, and before it was watched, would be told to
// nobody: then there is another look.
void FetchHandler::wait_on(WaitId id, Waiting& waiting, const Looked& looked) {
    bool moved = false;
    for (const Found& found : looked.found) { moved = (found.place && !watch(waiting.fetch, found)) || moved; }
    if (!moved) { return; }
    Looked again = look(waiting);
    try_answer(id, waiting, false, again);
}

// Else there is more to read, though it may not have fitted into this answer.
bool FetchHandler::at_end(const Found& found) { return found.asked->fetch_offset >= found.data.high_watermark; }

// False when it moved since it was looked at.
bool FetchHandler::watch(const Fetch& fetch, const Found& found) {
    context_.served.watch(*found.place);
    sessions_.watch(fetch, key_of(*found.asked), found.place->token());
    const PartitionEnds ends = context_.served.ends(*found.place);
    if (ends.high_watermark != found.ends.high_watermark || ends.log_start != found.ends.log_start ||
        ends.deleted != found.ends.deleted) {
        return false;
    }
    if (at_end(found)) { sessions_.looked(fetch, outcome_of(found)); }
    return true;
}

void FetchHandler::stop_waiting(WaitId id, Waiting& waiting) {
    deadlines_.remove(waiting.deadline_ms, id);
    const auto others = by_session_.find(&waiting.fetch.session());
    if (others == by_session_.end()) { return; }
    std::erase(others->second, id);
    if (others->second.empty()) { by_session_.erase(others); }
}

void FetchHandler::moved(ServedPartition partition) {
    for (const FetchSession* session : sessions_.moved(partition.token())) {
        const auto found = by_session_.find(session);
        if (found == by_session_.end()) { continue; }
        for (const WaitId id : std::vector(found->second)) {  // they go when they are answered
            Waiting& waiting = waiting_.at(id);
            Looked looked = look(waiting);
            if (!try_answer(id, waiting, false, looked)) { wait_on(id, waiting, looked); }
        }
    }
}

void FetchHandler::tick(int64_t now_ms) {
    for (const WaitId id : deadlines_.passed(now_ms)) {
        const auto waiting = waiting_.find(id);
        if (waiting == waiting_.end()) { continue; }
        Looked looked = look(waiting->second);
        try_answer(id, waiting->second, true, looked);
    }
}

void FetchHandler::closed(ConnectionId connection) {
    for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
        if (waiting->second.request.peer.connection == connection && !waiting->second.reading) {
            stop_waiting(waiting->first, waiting->second);
            waiting = waiting_.erase(waiting);
        } else {
            ++waiting;
        }
    }
}

// --- looking -----------------------------------------------------------------------------------------------------------

FetchHandler::Looked FetchHandler::look(const Waiting& waiting) {
    Looked looked;
    size_t left = waiting.bytes_max;
    for (const FetchSession::Entry& entry : waiting.fetch.due()) {
        Found found{.asked = &entry.asked};
        ++looked_;
        const size_t wanted = static_cast<size_t>(std::max(entry.asked.partition_max_bytes, 0));
        // The first batch of the first partition that has one comes whole, whatever the limits (rule 4).
        look_at(waiting, found, {std::min(wanted, left), looked.bytes == 0 && !looked.on_disk, true});
        looked.failed =
            looked.failed || found.data.error_code != ErrorCode::none || found.data.diverging_epoch.epoch >= 0;
        looked.on_disk = looked.on_disk || found.batches.on_disk;
        looked.bytes += found.batches.bytes;
        const size_t taken = found.batches.on_disk ? found.limits.bytes_max : found.batches.bytes;
        left -= std::min(left, taken);
        looked.found.push_back(std::move(found));
    }
    return looked;
}

void FetchHandler::look_at(const Waiting& waiting, Found& found, const ReadLimits& limits) const {
    const FetchPartition& asked = *found.asked;
    auto& data = found.data;
    data.partition_index = asked.partition;
    data.high_watermark = -1;
    if (!waiting.read_committed) { data.aborted_transactions = std::nullopt; }
    const bool by_id = waiting.request.version() >= ids_since;
    const auto topic = by_id ? context_.served.topic(asked.topic_id) : context_.served.topic(asked.topic);
    if (!topic) {
        data.error_code = by_id ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition;
        return;
    }
    const auto place = context_.served.partition(*topic, asked.partition);
    if (!place) {
        data.error_code = partition_error(place.error());
        return;
    }
    const Epoch led = context_.served.leader_epoch(*topic, asked.partition);
    data.error_code = check_leader_epoch(asked.current_leader_epoch, led);
    if (data.error_code != ErrorCode::none) { return; }
    // As Kafka: by what the topic says, not by what its batches are.
    if (waiting.request.version() < zstd_since && context_.served.config(*topic)->compression == Codec::zstd) {
        data.error_code = ErrorCode::unsupported_compression_type;
        return;
    }
    found.place = *place;
    found.limits = limits;
    found.ends = context_.served.ends(*place);
    const PartitionEnds& ends = found.ends;
    if (asked.last_fetched_epoch >= 0) {
        const auto end = epoch_end(context_.served.epochs(*place), ends.log_end, led, Epoch{asked.last_fetched_epoch});
        if (!end) {
            data.error_code = ErrorCode::offset_out_of_range;
            return;
        }
        if (end->epoch.value < asked.last_fetched_epoch || end->start.value < asked.fetch_offset) {
            data.diverging_epoch = {static_cast<int32_t>(end->epoch.value), end->start.value};
        }
    }
    const bool transactions_unknown = waiting.read_committed && asked.fetch_offset < ends.high_watermark.value &&
                                      !context_.served.aborted(*place, Offset{0}, Offset{0});
    if (data.diverging_epoch.epoch < 0 && transactions_unknown) {
        found.batches.on_disk = true;  // the worker looks, once for each partition
    } else if (data.diverging_epoch.epoch < 0) {
        auto read = context_.served.read(*place, Offset{asked.fetch_offset}, limits);
        if (!read) {
            data.error_code = read_error(read.error());
            found.place.reset();
            return;
        }
        found.batches = std::move(*read);
    }
    // What became visible between the two looks may be among the batches: no answer carries records above its watermark.
    data.high_watermark = std::max(ends.high_watermark, found.batches.next_offset).value;
    data.last_stable_offset = data.high_watermark;
    data.log_start_offset = ends.log_start.value;
}

// --- from files --------------------------------------------------------------------------------------------------------

void FetchHandler::read_files(WaitId id, Waiting& waiting, const Looked& looked) {
    stop_waiting(id, waiting);
    waiting.reading = true;
    // What is read from files takes memory until the peer has fetched it. Its next request waits for this answer, and
    // then for room among the answers: a hundred requests at once would be read for somebody who fetches none of them.
    context_.server.pause(waiting.request.peer.connection);
    struct Part {
        ServedPartition place;
        Offset from;
        ReadLimits limits;
    };
    std::vector<Part> parts;
    for (const Found& found : looked.found) {
        if (!found.batches.on_disk) { continue; }
        parts.push_back({*found.place, Offset{found.asked->fetch_offset}, found.limits});
        parts.back().limits.memory_only = false;
    }
    context_.worker.submit(
        [this, id, parts = std::move(parts), committed_only = waiting.read_committed]() -> std::function<void()> {
            std::vector<FileRead> reads;
            reads.reserve(parts.size());
            for (const Part& part : parts) {
                const auto learned = committed_only ? context_.served.learn_aborted(part.place) : Result<void>{};
                if (!learned) {
                    reads.push_back({part.place, part.from, std::unexpected(learned.error())});
                    continue;
                }
                reads.push_back({part.place, part.from, context_.served.read(part.place, part.from, part.limits)});
            }
            // std::function wants what it holds to be copyable.
            auto shared = std::make_shared<std::vector<FileRead>>(std::move(reads));
            return [this, id, shared] { files_read(id, *shared); };
        });
}

void FetchHandler::files_read(WaitId id, std::vector<FileRead>& reads) {
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) { return; }
    Waiting& waiting = found->second;
    context_.server.resume(waiting.request.peer.connection);
    Looked looked = look(waiting);
    for (Found& one : looked.found) {
        if (!one.batches.on_disk) { continue; }
        one.batches = {};
        for (FileRead& read : reads) {
            if (read.place != *one.place || read.from != Offset{one.asked->fetch_offset}) { continue; }
            if (read.batches) {
                one.batches = std::move(*read.batches);
            } else {
                one.data.error_code = read_error(read.batches.error());
            }
            break;
        }
    }
    answer(id, waiting, std::move(looked));
}

// --- answering ---------------------------------------------------------------------------------------------------------

FetchOutcome FetchHandler::outcome_of(const Found& found) {
    return {key_of(*found.asked),        found.data.error_code,   found.data.high_watermark,
            found.data.log_start_offset, found.batches.bytes > 0, found.data.diverging_epoch.epoch >= 0};
}

void FetchHandler::answer(WaitId id, Waiting& waiting, Looked looked) {
    stop_waiting(id, waiting);
    std::vector<FetchOutcome> outcomes;
    outcomes.reserve(looked.found.size());
    for (Found& found : looked.found) {
        if (found.data.aborted_transactions && found.batches.bytes > 0) { tell_aborted(found); }
        outcomes.push_back(outcome_of(found));
    }
    const Fetch fetch = waiting.fetch;  // keeps what `found` points to
    const FetchAnswer chosen = sessions_.finish(std::move(waiting.fetch), outcomes, context_.now_ms());
    // The next fetch of the session passes over what has nothing to tell until then.
    for (const Found& found : looked.found) {
        if (chosen.session_id != 0 && found.place && at_end(found)) { watch(fetch, found); }
    }
    FetchResponse response;
    response.error_code = chosen.error;
    response.session_id = chosen.session_id;
    std::vector<BufferRef> pins;
    for (const size_t index : chosen.partitions) {
        Found& found = looked.found[index];
        const FetchPartition& asked = *found.asked;
        if (response.responses.empty() || response.responses.back().topic != asked.topic ||
            response.responses.back().topic_id != asked.topic_id) {
            auto& fresh = response.responses.emplace_back();
            fresh.topic = asked.topic;
            fresh.topic_id = asked.topic_id;
        }
        context_.metrics.fetched(found.batches.bytes);
        found.data.records.pieces = std::move(found.batches.pieces);
        std::ranges::move(found.batches.pins, std::back_inserter(pins));
        response.responses.back().partitions.push_back(std::move(found.data));
    }
    context_.answer(waiting.request, response, std::move(pins));
    waiting_.erase(id);
}

// Known for every partition that has batches in the answer: look_at() saw to it.
void FetchHandler::tell_aborted(Found& found) const {
    const auto aborted =
        context_.served.aborted(*found.place, Offset{found.asked->fetch_offset}, found.batches.next_offset);
    CHECK(aborted.has_value());
    for (const AbortedTransaction& one : *aborted) {
        found.data.aborted_transactions->push_back({one.producer_id, one.first.value});
    }
}

}  // namespace flowstone
