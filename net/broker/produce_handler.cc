#include "net/broker/produce_handler.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "net/broker/broker_metrics.h"
#include "net/broker/errors.h"
#include "storage/batch.h"

namespace flowstone {

using kafka::ErrorCode;
using kafka::ProduceRequest;
using kafka::ProduceResponse;

namespace {

// From then on it is asked for in the way that waits, which holds up everybody but cannot be held up for ever.
constexpr int64_t patience_ms = 200;
constexpr int16_t zstd_since = 7;  // SERVE.md rule 40
constexpr int16_t ids_since = 13;  // topics by id alone

struct Refusal {
    ErrorCode error = ErrorCode::none;
    const char* why = "";
};

// What is wrong with what a partition was sent before its log looks at it: exactly one batch of magic 2 (rule 2), and no
// transactions yet.
Refusal refuse(const std::optional<Bytes>& records, int16_t version) {
    if (!records || records->empty()) { return {ErrorCode::invalid_record, "a record batch is missing"}; }
    const auto batch = BatchView::parse(*records);
    if (!batch && batch.error().code == Code::unsupported) {
        return {ErrorCode::invalid_record, "record batches have magic 2"};
    }
    if (!batch) { return {ErrorCode::corrupt_message, "the record batch is cut short"}; }
    if (batch->size() != records->size()) {
        return {ErrorCode::invalid_record, "exactly one record batch is expected"};
    }
    if (batch->codec_id() == static_cast<uint8_t>(Codec::zstd) && version < zstd_since) {
        return {ErrorCode::unsupported_compression_type, "zstd needs version 7 of Produce"};
    }
    if (batch->control()) { return {ErrorCode::invalid_record, "clients do not write control batches"}; }
    if (batch->transactional()) { return {ErrorCode::invalid_txn_state, "transactions are not served yet"}; }
    return {};
}

ProduceResponse::PartitionProduceResponse refusal(int32_t partition, ErrorCode error, std::string_view why) {
    ProduceResponse::PartitionProduceResponse answered{.index = partition, .base_offset = -1};
    answered.error_code = error;
    answered.error_message = why;
    return answered;
}

}  // namespace

void ProduceHandler::on(Request request, ProduceRequest produce) {
    Parked parked;
    parked.waiting.request = std::move(request);
    parked.produce = std::move(produce);
    parked.since_ms = context_.now_ms();
    go_on(std::move(parked));
}

void ProduceHandler::go_on(Parked parked) {
    switch (take(parked)) {
        case Taken::whole: return taken(std::move(parked));
        case Taken::large: return append_elsewhere(std::move(parked));
        case Taken::no_room: break;
    }
    pause(parked);
    try_again_ms_ = context_.now_ms() + 1;
    parked_.push_back(std::move(parked));
}

void ProduceHandler::pause(Parked& parked) {
    if (std::exchange(parked.paused, true)) { return; }
    context_.server.pause(parked.waiting.request.peer.connection);
}

std::optional<ServedTopic> ProduceHandler::topic_of(const Parked& parked) const {
    const auto& asked = parked.produce.topic_data[parked.topic];
    return parked.waiting.request.version() >= ids_since ? context_.served.topic(asked.topic_id)
                                                         : context_.served.topic(asked.name);
}

// Appends what is left, as far as that is done at once.
ProduceHandler::Taken ProduceHandler::take(Parked& parked) {
    auto& responses = parked.waiting.response.responses;
    for (; parked.topic < parked.produce.topic_data.size(); ++parked.topic, parked.partition = 0) {
        const auto& asked = parked.produce.topic_data[parked.topic];
        if (responses.size() == parked.topic) {
            auto& answered = responses.emplace_back();
            answered.name = asked.name;
            answered.topic_id = asked.topic_id;
        }
        const auto topic = topic_of(parked);
        while (parked.partition < asked.partition_data.size()) {
            const size_t opened = parked.waiting.open.size();
            auto answered = append(parked, topic, asked.partition_data[parked.partition], parked.waiting.open);
            if (!answered) { return answered.error(); }
            note(parked, std::move(*answered), opened);
        }
    }
    return Taken::whole;
}

// The answer for the next partition; what it waits for is in `open` from `opened` on.
void ProduceHandler::note(Parked& parked, Answered answered, size_t opened) {
    parked.failed = parked.failed || answered.error_code != ErrorCode::none;
    for (size_t i = opened; i < parked.waiting.open.size(); ++i) {
        parked.waiting.open[i].topic = parked.topic;
        parked.waiting.open[i].partition = parked.partition;
    }
    parked.waiting.response.responses.back().partition_responses.push_back(std::move(answered));
    ++parked.partition;
}

// The next batch alone, by the thread for it. The frame that it lies in stays until that has ended.
void ProduceHandler::append_elsewhere(Parked parked) {
    const auto topic = topic_of(parked);
    if (!topic) { return go_on(std::move(parked)); }  // deleted meanwhile, which it is told there
    pause(parked);
    const auto& data = parked.produce.topic_data[parked.topic].partition_data[parked.partition];
    const WaitId id = next_id_++;
    Worker::Job job = [this, id, topic = *topic, number = data.index,
                       batch = *data.records]() -> std::function<void()> {
        std::vector<RefusedRecord> refused;
        auto appended = context_.served.append(topic, number, batch, {.refused = &refused});
        return [this, id, append = Append{std::move(appended), std::move(refused)}] { appended_elsewhere(id, append); };
    };
    unpacking_.emplace(id, std::move(parked));
    context_.unpacker.submit(std::move(job));
}

void ProduceHandler::appended_elsewhere(WaitId id, const Append& append) {
    Parked parked = std::move(unpacking_.extract(id).mapped());
    const auto& data = parked.produce.topic_data[parked.topic].partition_data[parked.partition];
    const size_t opened = parked.waiting.open.size();
    const auto topic = topic_of(parked);
    const auto place = topic ? context_.served.partition(*topic, data.index) : fail(Code::not_found, "broker.produce");
    if (place) {
        note(parked, answered(data, *place, append, parked.waiting.open), opened);
    } else {  // deleted meanwhile
        note(parked, refusal(data.index, ErrorCode::unknown_topic_or_partition, "the topic was deleted"), opened);
    }
    go_on(std::move(parked));
}

void ProduceHandler::taken(Parked parked) {
    Waiting& waiting = parked.waiting;
    if (parked.paused) { context_.server.resume(waiting.request.peer.connection); }
    waiting.request.frame = nullptr;  // the log has copied what it keeps
    waiting.request.body = {};
    if (parked.produce.acks == 0) {
        if (parked.failed) { return context_.server.close_after(waiting.request.slot, CloseReason::acks_none); }
        return context_.server.no_answer(waiting.request.slot);
    }
    for (const Open& open : waiting.open) { context_.served.watch(open.place); }
    if (settle(waiting)) { return context_.answer(waiting.request, waiting.response); }
    const WaitId id = next_id_++;
    for (const Open& open : waiting.open) { by_partition_.add(open.place, id); }
    waiting.deadline_ms = parked.since_ms + std::max(parked.produce.timeout_ms, 0);
    deadlines_.add(waiting.deadline_ms, id);
    waiting_.emplace(id, std::move(waiting));
}

std::expected<ProduceHandler::Answered, ProduceHandler::Taken> ProduceHandler::append(
    const Parked& parked, const std::optional<ServedTopic>& topic, const ProduceRequest::PartitionProduceData& data,
    std::vector<Open>& open) {
    const int16_t version = parked.waiting.request.version();
    const auto refused = [&](ErrorCode error, std::string_view why) { return refusal(data.index, error, why); };
    if (parked.produce.acks < -1 || parked.produce.acks > 1) {
        return refused(ErrorCode::invalid_required_acks, "acks is 0, 1 or -1");
    }
    if (!topic) {
        return version >= ids_since ? refused(ErrorCode::unknown_topic_id, "no topic has this id")
                                    : refused(ErrorCode::unknown_topic_or_partition, "there is no such topic");
    }
    if (topic->internal()) {
        return refused(ErrorCode::invalid_topic_exception, "internal topics are written by brokers");
    }
    if (const Refusal refusal = refuse(data.records, version); refusal.error != ErrorCode::none) {
        return refused(refusal.error, refusal.why);
    }
    const auto in_sync = context_.cluster.in_sync_of(topic->name(), data.index).size();
    if (parked.produce.acks == -1 &&
        in_sync < static_cast<size_t>(context_.served.config(*topic)->min_insync_replicas)) {
        return refused(ErrorCode::not_enough_replicas, "fewer replicas are in sync than min.insync.replicas");
    }
    const auto place = context_.served.partition(*topic, data.index);
    if (!place) { return refused(partition_error(place.error()), place.error().message()); }
    const bool may_wait = context_.now_ms() - parked.since_ms >= patience_ms;
    std::vector<RefusedRecord> refused_records;
    auto appended =
        context_.served.append(*topic, data.index, *data.records,
                               {.may_wait = may_wait, .may_unpack_much = false, .refused = &refused_records});
    if (!appended && appended.error().code == Code::busy && !may_wait) { return std::unexpected(Taken::no_room); }
    if (!appended && appended.error().code == Code::too_large) { return std::unexpected(Taken::large); }
    return answered(data, *place, {std::move(appended), std::move(refused_records)}, open);
}

ProduceHandler::Answered ProduceHandler::answered(const ProduceRequest::PartitionProduceData& data,
                                                  ServedPartition place, const Append& append,
                                                  std::vector<Open>& open) {
    const auto& appended = append.appended;
    if (!appended) {
        auto refused = refusal(data.index, append_error(appended.error()), appended.error().message());
        for (const RefusedRecord& record : append.refused) {
            refused.record_errors.push_back({record.index, record.error.message()});
        }
        return refused;
    }
    if (!appended->duplicate) { context_.metrics.produced(data.records->size()); }
    open.push_back({0, 0, place, appended->next_offset});
    return {.index = data.index,
            .base_offset = appended->base_offset.value,
            .log_append_time_ms = appended->log_append_time_ms,
            .log_start_offset = appended->log_start.value};
}

// Takes out what is visible by now, or never will be. True when nothing is left.
bool ProduceHandler::settle(Waiting& waiting) {
    std::erase_if(waiting.open, [&](const Open& open) {
        const auto failure = context_.served.failure(open.place);
        const PartitionEnds ends = context_.served.ends(open.place);
        if (ends.high_watermark >= open.next_offset) { return true; }
        if (!failure && !ends.deleted) { return false; }
        auto& answered = waiting.response.responses[open.topic].partition_responses[open.partition];
        answered.error_code = failure ? ErrorCode::kafka_storage_error : ErrorCode::unknown_topic_or_partition;
        answered.error_message = failure ? failure->message() : "the topic was deleted";
        answered.base_offset = -1;
        return true;
    });
    return waiting.open.empty();
}

void ProduceHandler::moved(ServedPartition partition) {
    if (!by_partition_.any(partition)) { return; }
    context_.served.watch(partition);  // before looking: what moves after the look is told again
    for (const WaitId id : by_partition_.of(partition)) {
        const auto waiting = waiting_.find(id);
        const std::vector<Open> before = waiting->second.open;
        const bool done = settle(waiting->second);
        for (const Open& open : before) {
            const bool still = std::ranges::any_of(waiting->second.open, [&](const Open& left) {
                return left.place == open.place && left.next_offset == open.next_offset;
            });
            if (!still) { by_partition_.remove(open.place, id); }
        }
        if (done) { finish(waiting); }
    }
}

void ProduceHandler::finish(std::map<WaitId, Waiting>::iterator waiting) {
    deadlines_.remove(waiting->second.deadline_ms, waiting->first);
    context_.answer(waiting->second.request, waiting->second.response);
    waiting_.erase(waiting);
}

void ProduceHandler::tick(int64_t now_ms) {
    try_again_ms_ = now_ms + 1;
    // The first that finds no room ends the round: who came later does not overtake it.
    while (!parked_.empty()) {
        const Taken how = take(parked_.front());
        if (how == Taken::no_room) { break; }
        Parked parked = std::move(parked_.front());
        parked_.pop_front();
        how == Taken::large ? append_elsewhere(std::move(parked)) : taken(std::move(parked));
    }
    for (const WaitId id : deadlines_.passed(now_ms)) {
        const auto waiting = waiting_.find(id);
        for (const Open& open : waiting->second.open) {
            by_partition_.remove(open.place, id);
            auto& answered = waiting->second.response.responses[open.topic].partition_responses[open.partition];
            answered.error_code = ErrorCode::request_timed_out;
            answered.base_offset = -1;
        }
        finish(waiting);
    }
}

}  // namespace flowstone
