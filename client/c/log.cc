// The log's half of the C header: each call is one of <flowstone/log.h>.
#include <flowstone/log.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flowstone/flowstone.h>

#include "client/c/lists.h"
#include "client/c/words.h"
#include "storage/try.h"

using namespace flowstone;
using namespace flowstone::c;

// What belongs to a log keeps it, closed or not, until it is freed: handles may so be ended in any order.
struct flowstone_log : Handle<0x46'4c'4f'47> {
    explicit flowstone_log(Log opened) : log(std::make_shared<Log>(std::move(opened))) {}
    std::shared_ptr<Log> log;  // owners: this handle, and those of topics and readers
};

struct flowstone_topic : Handle<0x46'54'4f'50> {
    flowstone_topic(std::shared_ptr<Log> its_log, Topic its_topic)
        : log(std::move(its_log)), topic(std::move(its_topic)) {}
    std::shared_ptr<Log> log;
    Topic topic;
};

struct flowstone_reader : Handle<0x46'52'45'41> {
    flowstone_reader(std::shared_ptr<Log> its_log, Reader its_reader)
        : log(std::move(its_log)), reader(std::move(its_reader)) {}
    std::shared_ptr<Log> log;
    Reader reader;
    std::optional<Batch::Iterator> left;  // of the batch that reading is in
};

// --- log -----------------------------------------------------------------------------------------------------------------

int32_t flowstone_log_open(flowstone_bytes path, const flowstone_log_options* options, flowstone_log** log,
                           flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "log.open";
        TRY_VOID(check_given(log, operation, "where the log goes"));
        TRY(const auto where, text_of(path, operation, "the path"));
        if (where.empty()) { return fail(Code::invalid, operation, "the path is empty"); }
        TRY(auto asked, log_options_of(options, operation));
        TRY(auto opened, Log::open(std::string(where), std::move(asked)));
        *log = std::make_unique<flowstone_log>(std::move(opened)).release();
        return {};
    });
}

int32_t flowstone_log_close(flowstone_log* log, int64_t timeout_ms, flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        TRY_VOID(alive(log, "log.close"));
        const std::unique_ptr<flowstone_log> ended(log);
        return ended->log->close(timeout_of(timeout_ms));
    });
}

int32_t flowstone_log_create_topic(flowstone_log* log, flowstone_bytes name, const flowstone_topic_options* options,
                                   flowstone_topic** topic, flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "log.create_topic";
        TRY_VOID(alive(log, operation));
        TRY(const auto called, text_of(name, operation, "the topic's name"));
        TRY(const auto asked, topic_options_of(options, operation));
        TRY(auto made, log->log->create_topic(called, asked));
        if (topic != nullptr) { *topic = std::make_unique<flowstone_topic>(log->log, std::move(made)).release(); }
        return {};
    });
}

int32_t flowstone_log_topic(flowstone_log* log, flowstone_bytes name, flowstone_topic** topic,
                            flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "log.topic";
        TRY_VOID(alive(log, operation));
        TRY_VOID(check_given(topic, operation, "where the topic goes"));
        TRY(const auto called, text_of(name, operation, "the topic's name"));
        TRY(auto found, log->log->topic(called));
        *topic = std::make_unique<flowstone_topic>(log->log, std::move(found)).release();
        return {};
    });
}

int32_t flowstone_log_delete_topic(flowstone_log* log, flowstone_bytes name, flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "log.delete_topic";
        TRY_VOID(alive(log, operation));
        TRY(const auto called, text_of(name, operation, "the topic's name"));
        return log->log->delete_topic(called);
    });
}

int32_t flowstone_log_topics(flowstone_log* log, flowstone_topic_list** list, flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "log.topics";
        TRY_VOID(alive(log, operation));
        TRY_VOID(check_given(list, operation, "where the list goes"));
        auto filled = std::make_unique<flowstone_topic_list>();
        for (TopicInfo& info : log->log->topics()) {
            const auto durability = static_cast<int32_t>(info.durability);
            filled->topics.push_back({std::move(info), durability});
        }
        std::ranges::sort(filled->topics, {}, [](const auto& entry) -> const std::string& { return entry.info.name; });
        *list = filled.release();
        return {};
    });
}

int32_t flowstone_log_flush(flowstone_log* log, flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        TRY_VOID(alive(log, "log.flush"));
        return log->log->flush();
    });
}

int32_t flowstone_log_poll(flowstone_log* log, flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        TRY_VOID(alive(log, "log.poll"));
        return log->log->poll();
    });
}

int32_t flowstone_log_commit_offsets(flowstone_log* log, flowstone_bytes group, const flowstone_group_offset* offsets,
                                     size_t count, flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "log.commit_offsets";
        TRY_VOID(alive(log, operation));
        TRY(const auto called, text_of(group, operation, "the group's name"));
        TRY(const auto given, offsets_of(offsets, count, operation));
        return log->log->commit_offsets(called, given);
    });
}

int32_t flowstone_log_fetch_offsets(flowstone_log* log, flowstone_bytes group, flowstone_offset_list** list,
                                    flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "log.fetch_offsets";
        TRY_VOID(alive(log, operation));
        TRY_VOID(check_given(list, operation, "where the list goes"));
        TRY(const auto called, text_of(group, operation, "the group's name"));
        TRY(auto found, log->log->fetch_offsets(called));
        auto filled = std::make_unique<flowstone_offset_list>();
        filled->offsets = std::move(found);
        *list = filled.release();
        return {};
    });
}

int32_t flowstone_log_wait(flowstone_log* log, const flowstone_pending* pending, flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "log.wait";
        TRY_VOID(alive(log, operation));
        TRY_VOID(check_given(pending, operation, "the append"));
        return log->log->wait({.at = {pending->at.partition, Offset{pending->at.offset}},
                               .shard = pending->shard,
                               .owner = pending->owner});
    });
}

// --- topic ---------------------------------------------------------------------------------------------------------------

void flowstone_topic_free(flowstone_topic* topic) noexcept {
    if (alive(topic, "topic.free")) { delete topic; }
}

flowstone_bytes flowstone_topic_name(const flowstone_topic* topic) noexcept {
    return alive(topic, "topic.name") ? bytes_of(topic->topic.name()) : flowstone_bytes{nullptr, 0};
}

int32_t flowstone_topic_partitions(const flowstone_topic* topic) noexcept {
    return alive(topic, "topic.partitions") ? topic->topic.partitions() : 0;
}

int32_t flowstone_topic_append(flowstone_topic* topic, const flowstone_record* record, int32_t partition,
                               flowstone_position* at, flowstone_error* error) noexcept {
    return answer_append(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "topic.append";
        TRY_VOID(alive(topic, operation));
        GivenRecords given;
        TRY_VOID(given.add(record, operation));
        TRY(const Position position, topic->topic.append(given.one(), {.partition = choice_of(partition)}));
        if (at != nullptr) { *at = position_of(position); }
        return {};
    });
}

int32_t flowstone_topic_append_many(flowstone_topic* topic, const flowstone_record* records, size_t count,
                                    int32_t partition, flowstone_position* at, flowstone_error* error) noexcept {
    return answer_append(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "topic.append";
        TRY_VOID(alive(topic, operation));
        GivenRecords given;
        TRY_VOID(given.add_all(records, count, operation));
        TRY(const auto positions, topic->topic.append(given.all(), {.partition = choice_of(partition)}));
        for (size_t i = 0; at != nullptr && i < positions.size(); ++i) { at[i] = position_of(positions[i]); }
        return {};
    });
}

int32_t flowstone_topic_append_async(flowstone_topic* topic, const flowstone_record* record, int32_t partition,
                                     flowstone_pending* pending, flowstone_error* error) noexcept {
    return answer_append(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "topic.append_async";
        TRY_VOID(alive(topic, operation));
        GivenRecords given;
        TRY_VOID(given.add(record, operation));
        TRY(const Pending sent, topic->topic.append_async(given.one(), {.partition = choice_of(partition)}));
        if (pending != nullptr) { *pending = {position_of(sent.at), sent.owner, sent.shard, 0}; }
        return {};
    });
}

int32_t flowstone_topic_partition_info(flowstone_topic* topic, int32_t partition, flowstone_partition_info* info,
                                       flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "topic.partition";
        TRY_VOID(alive(topic, operation));
        TRY_VOID(check_given(info, operation, "the info"));
        TRY_VOID(check_size(info, operation));
        TRY(const PartitionInfo found, topic->topic.partition(partition));
        give({.size = 0,
              .epoch = static_cast<int32_t>(found.epoch.value),
              .log_start = found.log_start.value,
              .high_watermark = found.high_watermark.value,
              .log_end = found.log_end.value,
              .bytes = found.bytes,
              .segments = found.segments,
              .reserved = 0},
             info);
        return {};
    });
}

int32_t flowstone_topic_offset_for_time(flowstone_topic* topic, int32_t partition, int64_t timestamp_ms,
                                        int64_t* offset, flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "topic.offset_for_time";
        TRY_VOID(alive(topic, operation));
        TRY_VOID(check_given(offset, operation, "where the offset goes"));
        TRY(const Offset found, topic->topic.offset_for_time(partition, timestamp_ms));
        *offset = found.value;
        return {};
    });
}

int32_t flowstone_topic_delete_records(flowstone_topic* topic, int32_t partition, int64_t before, int64_t* log_start,
                                       flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        TRY_VOID(alive(topic, "topic.delete_records"));
        TRY(const Offset start, topic->topic.delete_records(partition, Offset{before}));
        if (log_start != nullptr) { *log_start = start.value; }
        return {};
    });
}

// --- reader --------------------------------------------------------------------------------------------------------------

int32_t flowstone_topic_read(flowstone_topic* topic, int32_t partition, flowstone_from from, flowstone_reader** reader,
                             flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "topic.read";
        TRY_VOID(alive(topic, operation));
        TRY_VOID(check_given(reader, operation, "where the reader goes"));
        TRY(const From begin, from_of(from, operation));
        TRY(auto made, topic->topic.read({.partition = partition, .from = begin}));
        *reader = std::make_unique<flowstone_reader>(topic->log, std::move(made)).release();
        return {};
    });
}

void flowstone_reader_free(flowstone_reader* reader) noexcept {
    if (alive(reader, "reader.free")) { delete reader; }
}

int32_t flowstone_reader_read(flowstone_reader* reader, flowstone_view* into, size_t capacity, int64_t timeout_ms,
                              size_t* count, flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "reader.read";
        TRY_VOID(alive(reader, operation));
        TRY_VOID(check_given(into, operation, "where the records go"));
        TRY_VOID(check_given(count, operation, "where their count goes"));
        if (capacity == 0) { return fail(Code::invalid, operation, "there is no room for a record"); }
        const Deadline deadline(timeout_ms);
        size_t given = 0;
        while (given == 0) {
            if (!reader->left) {
                TRY(const Batch batch, reader->reader.next(deadline.left()));
                if (batch.empty()) { break; }
                reader->left = batch.begin();
            }
            given = give_records(reader->left, std::span(into, capacity));  // none, of a batch that is damaged at once
        }
        *count = given;
        return {};
    });
}

int64_t flowstone_reader_position(const flowstone_reader* reader) noexcept {
    if (!alive(reader, "reader.position")) { return -1; }
    return (reader->left ? (**reader->left).offset : reader->reader.position()).value;
}

int32_t flowstone_reader_seek(flowstone_reader* reader, flowstone_from from, flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "reader.seek";
        TRY_VOID(alive(reader, operation));
        TRY(const From begin, from_of(from, operation));
        TRY_VOID(reader->reader.seek(begin));
        reader->left.reset();
        return {};
    });
}
