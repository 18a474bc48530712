#include "net/broker/offsets_handler.h"

#include <algorithm>
#include <utility>

#include "net/broker/epochs.h"
#include "net/broker/errors.h"

namespace flowstone {

using kafka::DeleteRecordsRequest;
using kafka::DeleteRecordsResponse;
using kafka::ErrorCode;
using kafka::ListOffsetsRequest;
using kafka::ListOffsetsResponse;
using kafka::OffsetForLeaderEpochRequest;
using kafka::OffsetForLeaderEpochResponse;

namespace {

// Timestamps with a meaning of their own (rule 9).
constexpr int64_t time_latest = -1;
constexpr int64_t time_earliest = -2;
constexpr int64_t time_largest = -3;
constexpr int64_t time_earliest_local = -4;
constexpr int64_t time_latest_tiered = -5;
constexpr int64_t time_earliest_pending_upload = -6;

constexpr int64_t to_high_watermark = -1;  // of DeleteRecords

// The epoch that the record at the offset was written under; -1 when there is none.
int32_t epoch_at(const std::vector<EpochStart>& epochs, Offset offset) {
    int32_t found = -1;
    for (const EpochStart& epoch : epochs) {
        if (epoch.start <= offset) { found = static_cast<int32_t>(epoch.epoch.value); }
    }
    return found;
}

}  // namespace

OffsetsHandler::Place OffsetsHandler::find(const std::string& name, int32_t number,
                                           int32_t current_leader_epoch) const {
    Place place;
    place.topic = context_.served.topic(name);
    if (!place.topic) {
        place.error = ErrorCode::unknown_topic_or_partition;
        return place;
    }
    const auto partition = context_.served.partition(*place.topic, number);
    if (!partition) {
        place.error = partition_error(partition.error());
        return place;
    }
    place.partition = *partition;
    place.leader_epoch = context_.served.leader_epoch(*place.topic, number);
    place.error = check_leader_epoch(current_leader_epoch, place.leader_epoch);
    return place;
}

// What a look into the log's ends does not tell: that takes a look into its files.
bool OffsetsHandler::by_search(int64_t timestamp) { return timestamp >= 0 || timestamp == time_largest; }

ListOffsetsResponse OffsetsHandler::list(const ListOffsetsRequest& asked) const {
    ListOffsetsResponse response;
    for (const auto& topic : asked.topics) {
        auto& out_topic = response.topics.emplace_back();
        out_topic.name = topic.name;
        for (const auto& partition : topic.partitions) {
            auto& out = out_topic.partitions.emplace_back();
            out.partition_index = partition.partition_index;
            const Place place = find(topic.name, partition.partition_index, partition.current_leader_epoch);
            out.error_code = place.error;
            if (place.error == ErrorCode::none) { list(place, partition.timestamp, out); }
        }
    }
    return response;
}

void OffsetsHandler::list(const Place& place, int64_t timestamp, ListedOffset& out) const {
    const PartitionEnds ends = context_.served.ends(place.partition);
    const auto at = [&](Offset offset) {
        out.offset = offset.value;
        out.leader_epoch = epoch_at(context_.served.epochs(place.partition), offset);
    };
    if (by_search(timestamp)) {
        const auto found = timestamp == time_largest ? context_.served.find_largest_time(place.partition)
                                                     : context_.served.find_time(place.partition, timestamp);
        if (!found) {
            out.error_code = read_error(found.error());
            return;
        }
        out.timestamp = found->timestamp_ms;
        if (found->offset.value >= 0) { at(found->offset); }
        return;
    }
    switch (timestamp) {
        case time_latest:
            out.offset = ends.high_watermark.value;
            out.leader_epoch = static_cast<int32_t>(place.leader_epoch.value);
            return;
        case time_earliest:
        case time_earliest_local: return at(ends.log_start);
        case time_latest_tiered:
        case time_earliest_pending_upload: return;  // nothing is tiered: -1
        default: out.error_code = ErrorCode::unsupported_version;
    }
}

void OffsetsHandler::on(Request request, const ListOffsetsRequest& asked) {
    const bool searches = std::ranges::any_of(asked.topics, [](const auto& topic) {
        return std::ranges::any_of(topic.partitions, [](const auto& one) { return by_search(one.timestamp); });
    });
    if (!searches) { return context_.answer(request, list(asked)); }
    context_.answer_by_worker<ListOffsetsRequest>(std::move(request), [this](const auto& all) { return list(all); });
}

void OffsetsHandler::on(const Request& request, const OffsetForLeaderEpochRequest& asked) {
    OffsetForLeaderEpochResponse response;
    for (const auto& topic : asked.topics) {
        auto& out_topic = response.topics.emplace_back();
        out_topic.topic = topic.topic;
        for (const auto& partition : topic.partitions) {
            auto& out = out_topic.partitions.emplace_back();
            out.partition = partition.partition;
            const Place place = find(topic.topic, partition.partition, partition.current_leader_epoch);
            out.error_code = place.error;
            if (place.error != ErrorCode::none) { continue; }
            const PartitionEnds ends = context_.served.ends(place.partition);
            if (const auto end = epoch_end(context_.served.epochs(place.partition), ends.log_end, place.leader_epoch,
                                           Epoch{partition.leader_epoch})) {
                out.leader_epoch = static_cast<int32_t>(end->epoch.value);
                out.end_offset = end->start.value;
            }
        }
    }
    context_.answer(request, response);
}

// Who compacts a topic wants to keep the last of every key.
bool OffsetsHandler::may_delete(const ServedTopic& topic) const {
    return context_.served.config(topic)->cleanup_policy.delete_old;
}

void OffsetsHandler::on(Request request, const DeleteRecordsRequest& /*asked*/) {
    context_.answer_by_worker<DeleteRecordsRequest>(std::move(request), [this](const DeleteRecordsRequest& asked) {
        DeleteRecordsResponse response;
        for (const auto& topic : asked.topics) {
            auto& out_topic = response.topics.emplace_back();
            out_topic.name = topic.name;
            for (const auto& partition : topic.partitions) {
                auto& out = out_topic.partitions.emplace_back();
                out.partition_index = partition.partition_index;
                out.low_watermark = -1;
                const Place place = find(topic.name, partition.partition_index, -1);
                out.error_code = place.error;
                if (place.error == ErrorCode::none && place.topic->internal()) {
                    out.error_code = ErrorCode::invalid_topic_exception;
                } else if (place.error == ErrorCode::none && !may_delete(*place.topic)) {
                    out.error_code = ErrorCode::policy_violation;
                }
                if (out.error_code != ErrorCode::none) { continue; }
                const Offset before = partition.offset == to_high_watermark
                                          ? context_.served.ends(place.partition).high_watermark
                                          : Offset{partition.offset};
                const auto start = context_.served.delete_records(*place.topic, partition.partition_index, before);
                if (start) {
                    out.low_watermark = start->value;
                } else {
                    out.error_code = read_error(start.error());
                }
            }
        }
        return response;
    });
}

}  // namespace flowstone
