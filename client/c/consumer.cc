// Consumers by the C header: each call is one of <flowstone/client.h>.
#include <flowstone/client.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flowstone/flowstone.h>

#include "client/c/lists.h"
#include "client/c/open_client.h"
#include "client/c/words.h"
#include "storage/try.h"

using namespace flowstone;
using namespace flowstone::c;

using std::chrono::milliseconds;

namespace {

// Partitions that a handle holds for its caller.
class Places {
public:
    void hold(std::vector<TopicPartition> places) {
        held_ = std::move(places);
        told_.clear();
        for (const TopicPartition& place : held_) { told_.push_back({bytes_of(place.topic), place.partition, 0}); }
    }
    const std::vector<flowstone_topic_partition>& told() const { return told_; }

private:
    std::vector<TopicPartition> held_;
    std::vector<flowstone_topic_partition> told_;
};

}  // namespace

struct flowstone_consumer : Handle<0x46'43'4f'4e> {
    flowstone_consumer(std::shared_ptr<OpenClient> its_client, Consumer its_consumer)
        : open(std::move(its_client)), consumer(std::move(its_consumer)) {}
    std::shared_ptr<OpenClient> open;
    Consumer consumer;
    std::optional<ConsumedBatch> batch;             // that polling is in, or was last
    std::optional<ConsumedBatch::Iterator> left{};  // of it. Invariant: nothing while a change is told
    int32_t change = FLOWSTONE_CHANGE_NONE;         // found by the last poll
    Places changed{};
    Places assigned{};  // as last asked

    bool is_in(const TopicPartition& place) const {
        return left && batch->partition() == place.partition && batch->topic() == place.topic;
    }
    // Of the next record that poll gives, though the consumer stands behind the batch that is given in pieces.
    std::optional<Offset> position(const TopicPartition& place) const {
        const auto position = consumer.position(place);
        return position && is_in(place) ? (**left).offset : position;
    }
    std::vector<GroupOffset> positions() const {
        std::vector<GroupOffset> positions;
        for (const TopicPartition& place : consumer.assignment()) {
            if (const auto at = position(place)) { positions.push_back({place.topic, place.partition, *at}); }
        }
        return positions;
    }
    // What was not given of the batch is not the consumer's to commit.
    void put_back() {
        if (!left) { return; }
        const auto at = From((**left).offset);
        static_cast<void>(consumer.seek({batch->topic(), batch->partition()}, at));  // it may be gone
        left.reset();
    }
    RebalanceListener listener() {
        const auto note = [this](int32_t kind) {
            return [this, kind](Consumer&, const std::vector<TopicPartition>& places) {
                change = kind;
                changed.hold(places);
            };
        };
        return {.assigned = note(FLOWSTONE_CHANGE_ASSIGNED),
                .revoked = note(FLOWSTONE_CHANGE_REVOKED),
                .lost = note(FLOWSTONE_CHANGE_LOST),
                .ends_poll = true};
    }
    void forget_change() {
        change = FLOWSTONE_CHANGE_NONE;
        changed.hold({});
    }
};

namespace {

constexpr uint32_t assignors_max = 16;

Result<Start> start_of(int32_t start, const char* operation) {
    switch (start) {
        case FLOWSTONE_START_BEGINNING: return Start::beginning;
        case FLOWSTONE_START_END: return Start::end;
        case FLOWSTONE_START_ERROR: return Start::error;
        default: return fail(Code::invalid, operation, "no such start: " + std::to_string(start));
    }
}

Result<Assignor> assignor_of(int32_t assignor, const char* operation) {
    switch (assignor) {
        case FLOWSTONE_ASSIGNOR_RANGE: return Assignor::range;
        case FLOWSTONE_ASSIGNOR_ROUND_ROBIN: return Assignor::round_robin;
        case FLOWSTONE_ASSIGNOR_STICKY: return Assignor::sticky;
        case FLOWSTONE_ASSIGNOR_COOPERATIVE_STICKY: return Assignor::cooperative_sticky;
        default: return fail(Code::invalid, operation, "no such assignor: " + std::to_string(assignor));
    }
}

Result<void> take_group(const flowstone_consumer_options& asked, ConsumerOptions& options, const char* operation) {
    TRY(options.group, text_of(asked.group, operation, "the group's name"));
    TRY(options.instance, text_of(asked.instance, operation, "the instance's name"));
    if (asked.assignor_count > assignors_max || (asked.assignors == nullptr && asked.assignor_count != 0)) {
        return fail(Code::invalid, operation, "the assignors are NULL, or too many");
    }
    if (asked.assignor_count != 0) { options.assignors.clear(); }
    for (const int32_t one : std::span(asked.assignors, asked.assignor_count)) {
        TRY(options.assignors.emplace_back(), assignor_of(one, operation));
    }
    TRY(options.start, start_of(asked.start, operation));
    TRY(options.session_timeout, time_of(asked.session_timeout_ms, options.session_timeout, operation));
    TRY(options.heartbeat_interval, time_of(asked.heartbeat_interval_ms, options.heartbeat_interval, operation));
    TRY(options.max_poll_interval, time_of(asked.max_poll_interval_ms, options.max_poll_interval, operation));
    TRY(options.auto_commit, time_of(asked.auto_commit_ms, options.auto_commit, operation));
    TRY(options.topics_refresh, time_of(asked.topics_refresh_ms, options.topics_refresh, operation));
    return {};
}

Result<ConsumerOptions> options_of(const flowstone_consumer_options* given, const char* operation) {
    TRY(const auto asked, read_options(given, operation));
    ConsumerOptions options;
    options.read_committed = asked.read_committed != 0;
    options.check_crcs = asked.unchecked_crcs == 0;
    TRY(options.fetch_wait, time_of(asked.fetch_wait_ms, options.fetch_wait, operation));
    options.fetch_wait = std::min(options.fetch_wait, milliseconds(INT32_MAX));
    if (asked.fetch_bytes_max != 0) { options.fetch_bytes_max = asked.fetch_bytes_max; }
    if (asked.partition_bytes_max != 0) { options.partition_bytes_max = asked.partition_bytes_max; }
    TRY_VOID(take_group(asked, options, operation));
    return options;
}

Result<std::vector<TopicPartition>> places_of(const flowstone_topic_partition* given, size_t count,
                                              const char* operation) {
    if (count != 0) { TRY_VOID(check_given(given, operation, "the array of partitions")); }
    if (count > array_length_max) { return fail(Code::too_large, operation, "too many partitions"); }
    std::vector<TopicPartition> places;
    for (const flowstone_topic_partition& one : std::span(given, count)) {
        TRY(places.emplace_back(), partition_of(one, operation));
    }
    return places;
}

Error unknown_place(const TopicPartition& place, const char* operation) {
    return fail(Code::not_found, operation, place.topic + "-" + std::to_string(place.partition) + " is not known yet")
        .error();
}

}  // namespace

int32_t flowstone_client_consumer(flowstone_client* client, const flowstone_consumer_options* options,
                                  flowstone_consumer** consumer, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "client.consumer";
        TRY_VOID(alive(client, operation));
        TRY_VOID(check_given(consumer, operation, "where the consumer goes"));
        TRY(const auto asked, options_of(options, operation));
        TRY(auto made, client->open->client.consumer(asked));
        *consumer = std::make_unique<flowstone_consumer>(client->open, std::move(made)).release();
        return {};
    });
}

void flowstone_consumer_free(flowstone_consumer* consumer) noexcept {
    if (alive(consumer, "consumer.free")) { delete consumer; }
}

int32_t flowstone_consumer_close(flowstone_consumer* consumer, int64_t timeout_ms, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        TRY_VOID(alive(consumer, "consumer.close"));
        const std::unique_ptr<flowstone_consumer> ended(consumer);
        ended->put_back();
        return ended->consumer.close(timeout_of(timeout_ms));
    });
}

int32_t flowstone_consumer_assign(flowstone_consumer* consumer, const flowstone_topic_partition* partitions,
                                  size_t count, flowstone_from from, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.assign";
        TRY_VOID(alive(consumer, operation));
        TRY(const auto places, places_of(partitions, count, operation));
        TRY(const From begin, from_of(from, operation));
        TRY_VOID(consumer->consumer.assign(places, begin));
        const auto is_in = [&](const TopicPartition& place) { return consumer->is_in(place); };
        if (std::ranges::none_of(places, is_in)) { consumer->left.reset(); }
        return {};
    });
}

int32_t flowstone_consumer_seek(flowstone_consumer* consumer, flowstone_topic_partition partition, flowstone_from from,
                                flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.seek";
        TRY_VOID(alive(consumer, operation));
        TRY(const auto place, partition_of(partition, operation));
        TRY(const From begin, from_of(from, operation));
        TRY_VOID(consumer->consumer.seek(place, begin));
        if (consumer->is_in(place)) { consumer->left.reset(); }
        return {};
    });
}

int32_t flowstone_consumer_pause(flowstone_consumer* consumer, flowstone_topic_partition partition,
                                 flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.pause";
        TRY_VOID(alive(consumer, operation));
        TRY(const auto place, partition_of(partition, operation));
        consumer->consumer.pause(place);
        return {};
    });
}

int32_t flowstone_consumer_resume(flowstone_consumer* consumer, flowstone_topic_partition partition,
                                  flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.resume";
        TRY_VOID(alive(consumer, operation));
        TRY(const auto place, partition_of(partition, operation));
        consumer->consumer.resume(place);
        return {};
    });
}

int32_t flowstone_consumer_poll(flowstone_consumer* consumer, flowstone_view* into, size_t capacity, int64_t timeout_ms,
                                flowstone_topic_partition* source, size_t* count, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.poll";
        TRY_VOID(alive(consumer, operation));
        TRY_VOID(check_given(into, operation, "where the records go"));
        TRY_VOID(check_given(count, operation, "where their count goes"));
        if (capacity == 0) { return fail(Code::invalid, operation, "there is no room for a record"); }
        const Deadline deadline(timeout_ms);
        consumer->forget_change();
        size_t given = 0;
        while (given == 0) {
            if (!consumer->left) {
                TRY(const ConsumedBatch batch, consumer->consumer.poll(deadline.left()));
                if (batch.empty()) { break; }
                consumer->batch = batch;
                consumer->left = batch.begin();
            }
            given = give_records(consumer->left, std::span(into, capacity));
        }
        if (given != 0 && source != nullptr) {
            *source = {bytes_of(consumer->batch->topic()), consumer->batch->partition(), 0};
        }
        *count = given;
        return {};
    });
}

int32_t flowstone_consumer_position(const flowstone_consumer* consumer, flowstone_topic_partition partition,
                                    int64_t* offset, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.position";
        TRY_VOID(alive(consumer, operation));
        TRY_VOID(check_given(offset, operation, "where the offset goes"));
        TRY(const auto place, partition_of(partition, operation));
        const auto position = consumer->position(place);
        if (!position) { return std::unexpected(unknown_place(place, operation)); }
        *offset = position->value;
        return {};
    });
}

int32_t flowstone_consumer_lag(const flowstone_consumer* consumer, flowstone_topic_partition partition,
                               int64_t* records, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.lag";
        TRY_VOID(alive(consumer, operation));
        TRY_VOID(check_given(records, operation, "where the number goes"));
        TRY(const auto place, partition_of(partition, operation));
        const auto position = consumer->consumer.position(place);
        const auto lag = consumer->consumer.lag(place);
        if (!position || !lag) { return std::unexpected(unknown_place(place, operation)); }
        *records = *lag + (*position - *consumer->position(place));
        return {};
    });
}

// --- groups --------------------------------------------------------------------------------------------------------------

int32_t flowstone_consumer_subscribe(flowstone_consumer* consumer, const flowstone_bytes* topics, size_t count,
                                     flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.subscribe";
        TRY_VOID(alive(consumer, operation));
        if (count != 0) { TRY_VOID(check_given(topics, operation, "the array of topics")); }
        if (count > array_length_max) { return fail(Code::too_large, operation, "too many topics"); }
        std::vector<std::string> names;
        for (const flowstone_bytes& one : std::span(topics, count)) {
            TRY(names.emplace_back(), text_of(one, operation, "a topic's name"));
        }
        return consumer->consumer.subscribe(std::move(names), consumer->listener());
    });
}

int32_t flowstone_consumer_subscribe_matching(flowstone_consumer* consumer, flowstone_bytes expression,
                                              flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.subscribe";
        TRY_VOID(alive(consumer, operation));
        TRY(const auto pattern, text_of(expression, operation, "the expression"));
        return consumer->consumer.subscribe_matching(pattern, consumer->listener());
    });
}

int32_t flowstone_consumer_unsubscribe(flowstone_consumer* consumer, int64_t timeout_ms,
                                       flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        TRY_VOID(alive(consumer, "consumer.unsubscribe"));
        consumer->put_back();
        const auto left = consumer->consumer.unsubscribe(timeout_of(timeout_ms));
        consumer->forget_change();
        return left;
    });
}

int32_t flowstone_consumer_assignment(flowstone_consumer* consumer, const flowstone_topic_partition** partitions,
                                      size_t* count, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.assignment";
        TRY_VOID(alive(consumer, operation));
        TRY_VOID(check_given(count, operation, "where their count goes"));
        consumer->assigned.hold(consumer->consumer.assignment());
        const auto& told = consumer->assigned.told();
        if (partitions != nullptr) { *partitions = told.data(); }
        *count = told.size();
        return {};
    });
}

int32_t flowstone_consumer_change(const flowstone_consumer* consumer, flowstone_change* change,
                                  flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.change";
        TRY_VOID(alive(consumer, operation));
        TRY_VOID(check_given(change, operation, "where the change goes"));
        const auto& told = consumer->changed.told();
        *change = {told.data(), told.size(), consumer->change, 0};
        return {};
    });
}

int32_t flowstone_consumer_commit(flowstone_consumer* consumer, int64_t timeout_ms, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        TRY_VOID(alive(consumer, "consumer.commit"));
        return consumer->consumer.commit(consumer->positions(), timeout_of(timeout_ms));
    });
}

int32_t flowstone_consumer_commit_offsets(flowstone_consumer* consumer, const flowstone_group_offset* offsets,
                                          size_t count, int64_t timeout_ms, flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.commit";
        TRY_VOID(alive(consumer, operation));
        TRY(const auto given, offsets_of(offsets, count, operation));
        return consumer->consumer.commit(given, timeout_of(timeout_ms));
    });
}

int32_t flowstone_consumer_committed(flowstone_consumer* consumer, const flowstone_topic_partition* partitions,
                                     size_t count, int64_t timeout_ms, flowstone_offset_list** list,
                                     flowstone_error* error) noexcept {
    return answer(Side::client, error, [&]() -> Result<void> {
        constexpr const char* operation = "consumer.committed";
        TRY_VOID(alive(consumer, operation));
        TRY_VOID(check_given(list, operation, "where the list goes"));
        TRY(const auto places, places_of(partitions, count, operation));
        TRY(auto found, consumer->consumer.committed(places, timeout_of(timeout_ms)));
        auto filled = std::make_unique<flowstone_offset_list>();
        for (auto& one : found) {
            if (one) { filled->offsets.push_back(std::move(*one)); }
        }
        *list = filled.release();
        return {};
    });
}
