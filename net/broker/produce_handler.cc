#include "net/broker/produce_handler.h"

#include <algorithm>

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

}  // namespace

void ProduceHandler::on(Request request, ProduceRequest produce) {
    Parked parked;
    parked.waiting.request = std::move(request);
    parked.produce = std::move(produce);
    parked.since_ms = context_.now_ms();
    if (take(parked)) { return taken(std::move(parked)); }
    context_.server.pause(parked.waiting.request.peer.connection);
    try_again_ms_ = parked.since_ms + 1;
    parked_.push_back(std::move(parked));
}

// Appends what is left. False when the log has no room for the next batch.
bool ProduceHandler::take(Parked& parked) {
    auto& responses = parked.waiting.response.responses;
    for (; parked.topic < parked.produce.topic_data.size(); ++parked.topic, parked.partition = 0) {
        const auto& asked = parked.produce.topic_data[parked.topic];
        if (responses.size() == parked.topic) {
            auto& answered = responses.emplace_back();
            answered.name = asked.name;
            answered.topic_id = asked.topic_id;
        }
        const auto topic = parked.waiting.request.version() >= ids_since ? context_.served.topic(asked.topic_id)
                                                                         : context_.served.topic(asked.name);
        for (; parked.partition < asked.partition_data.size(); ++parked.partition) {
            const size_t opened = parked.waiting.open.size();
            auto answered = append(parked, topic, asked.partition_data[parked.partition], parked.waiting.open);
            if (!answered) { return false; }
            parked.failed = parked.failed || answered->error_code != ErrorCode::none;
            for (size_t i = opened; i < parked.waiting.open.size(); ++i) {
                parked.waiting.open[i].topic = parked.topic;
                parked.waiting.open[i].partition = parked.partition;
            }
            responses.back().partition_responses.push_back(std::move(*answered));
        }
    }
    return true;
}

void ProduceHandler::taken(Parked parked) {
    Waiting& waiting = parked.waiting;
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

// Empty: there is no room now.
std::optional<ProduceHandler::Answered> ProduceHandler::append(const Parked& parked,
                                                               const std::optional<ServedTopic>& topic,
                                                               const ProduceRequest::PartitionProduceData& data,
                                                               std::vector<Open>& open) {
    const int16_t version = parked.waiting.request.version();
    Answered answered{.index = data.index, .base_offset = -1};
    const auto refused = [&](ErrorCode error, std::string_view why) {
        answered.error_code = error;
        answered.error_message = why;
        return answered;
    };
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
    if (!place) { return refused(ErrorCode::unknown_topic_or_partition, "there is no such partition"); }
    const bool may_wait = context_.now_ms() - parked.since_ms >= patience_ms;
    const auto appended = context_.served.append(*topic, data.index, *data.records, may_wait);
    if (!appended && appended.error().code == Code::busy && !may_wait) { return std::nullopt; }
    if (!appended) { return refused(append_error(appended.error()), appended.error().message()); }
    if (!appended->duplicate) { context_.metrics.produced(data.records->size()); }
    answered.base_offset = appended->base_offset.value;
    answered.log_append_time_ms = appended->log_append_time_ms;
    answered.log_start_offset = appended->log_start.value;
    open.push_back({0, 0, *place, appended->next_offset});
    return answered;
}

// Takes out what is visible by now, or never will be. True when nothing is left.
bool ProduceHandler::settle(Waiting& waiting) {
    const auto failure = context_.served.failure();
    std::erase_if(waiting.open, [&](const Open& open) {
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
    while (!parked_.empty() && take(parked_.front())) {
        Parked parked = std::move(parked_.front());
        parked_.pop_front();
        context_.server.resume(parked.waiting.request.peer.connection);
        taken(std::move(parked));
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
