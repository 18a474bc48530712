// From a directory to brokers: the records that count, in their order, by an idempotent producer. Nothing but these may
// be in the target: then the offset at which it ends is how many of them are there, and a run that was killed is gone on
// with behind them.

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include <flowstone/admin.h>

#include "log/served_log.h"
#include "storage/batch.h"
#include "storage/clock.h"
#include "storage/try.h"
#include "tools/flowstone/client_settings.h"
#include "tools/flowstone/copy.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

constexpr char operation[] = "copy";
constexpr std::chrono::seconds answer_max{30};

// A record that stays when its batch is gone.
struct KeptRecord {
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::optional<std::string>>> headers;
    int64_t timestamp_ms = -1;

    explicit KeptRecord(const RecordView& record)
        : key(record.key), value(record.value), timestamp_ms(record.timestamp_ms) {
        std::vector<Header> views(record.header_count());
        record.headers(views);
        for (const Header& header : views) { headers.emplace_back(header.name, header.value); }
    }
    bool operator==(const KeptRecord&) const = default;
};

// The records of a partition that count: markers are none, and those of aborted transactions do not.
class CommittedRecords {
public:
    static Result<CommittedRecords> open(Log& log, const Topic& topic, int32_t partition, Offset from) {
        TRY(Reader reader, topic.read({.partition = partition, .from = from}));
        CommittedRecords out(std::move(reader));
        const ServedLog served(log);
        const auto found = served.topic(topic.name());
        if (!found) { return fail(Code::not_found, operation, topic.name()); }
        TRY(const ServedPartition place, served.partition(*found, partition));
        TRY_VOID(served.learn_aborted(place));
        out.aborted_ = served.aborted(place, Offset{0}, Offset{INT64_MAX}).value_or(std::vector<AbortedTransaction>{});
        return out;
    }

    // Each below `end`, as long as `take` answers yes. True when there are no more.
    template <class Take>
    Result<bool> each(Offset end, const Take& take) {
        for (;;) {
            TRY(const Batch batch, reader_.next());
            if (batch.empty()) { return true; }
            TRY(const BatchView view, BatchView::parse(batch.bytes()));
            if (is_aborted(view)) { continue; }
            for (const RecordView& record : batch) {
                if (record.offset >= end) { return true; }
                TRY(const bool more, take(record));
                if (!more) { return false; }
            }
        }
    }

private:
    explicit CommittedRecords(Reader reader) : reader_(std::move(reader)) {}
    bool is_aborted(const BatchView& batch) const {
        return batch.transactional() && std::ranges::any_of(aborted_, [&](const AbortedTransaction& one) {
                   return one.producer_id == batch.producer_id() && one.first <= batch.base_offset() &&
                          batch.base_offset() <= one.last;
               });
    }
    Reader reader_;
    std::vector<AbortedTransaction> aborted_;
};

class CopyAway {
public:
    CopyAway(Log& log, Client& client, const CopyArguments& arguments)
        : log_(log), client_(client), arguments_(arguments), progress_(system_clock(), arguments.quiet) {}

    Result<Copied> run() {
        TRY(const Topic topic, log_.topic(arguments_.topic));
        TRY_VOID(make_target());
        TRY(const auto partitions, partitions_of(topic.name(), topic.partitions(), arguments_.partition));
        TRY(Producer producer, client_.producer(with_settings(arguments_.settings, ProducerOptions{})));
        TRY(ProducerTopic target, producer.topic(topic.name()));
        Result<void> sent;
        for (const int32_t partition : partitions) {
            if (sent && !interrupted()) { sent = copy(topic, partition, target); }
        }
        const auto flushed = producer.flush();
        progress_.clear();
        const std::lock_guard guard(failure_lock_);
        if (failure_) { return std::unexpected(*failure_); }
        if (!sent) { return std::unexpected(sent.error()); }
        if (!flushed) { return std::unexpected(flushed.error()); }
        return Copied{parts_, parts_.size() == partitions.size() && std::ranges::all_of(parts_, &CopiedPart::done)};
    }

private:
    Result<void> make_target() {
        TRY(const TopicInfo info, log_.describe(arguments_.topic));
        const auto found = client_.admin().topic(info.name, broker_patience);
        if (!found && found.error().code != Code::not_found) { return std::unexpected(found.error()); }
        if (!found) {
            ConfigMap configs = info.configs;
            std::erase_if(configs, [](const auto& config) { return config.first.starts_with("flowstone."); });
            return client_.admin().create_topic(
                info.name, {.partitions = info.partitions, .configs = std::move(configs)}, broker_patience);
        }
        const auto there = static_cast<int32_t>(found->partitions.size());
        if (there >= info.partitions) { return {}; }
        return fail(Code::exists, operation,
                    fmt::format("topic {} has {} partitions there, {} here", info.name, there, info.partitions));
    }

    Result<void> copy(const Topic& topic, int32_t partition, ProducerTopic& target) {
        TRY(const auto from, parse_copy_from(arguments_.from));
        TRY(const From to, parse_from(arguments_.to));
        TRY(const Offset begin, resolve(topic, partition, from.value_or(From::beginning())));
        TRY(const Offset end, resolve(topic, partition, to));
        CopiedPart& part =
            parts_.emplace_back(CopiedPart{.partition = partition, .begin = begin, .next = begin, .end = end});
        TRY(CommittedRecords copied, CommittedRecords::open(log_, topic, partition, begin));
        TRY_VOID(pass_over_copied(copied, part));
        part.begin = part.next;
        TRY(CommittedRecords records, CommittedRecords::open(log_, topic, partition, part.begin));
        std::vector<Header> headers;
        const auto send = [&](const RecordView& record) -> Result<bool> {
            if (interrupted() || failed_) { return false; }
            headers.resize(record.header_count());
            record.headers(headers);
            TRY_VOID(target.send(
                {.key = record.key, .value = record.value, .headers = headers, .timestamp_ms = record.timestamp_ms},
                [this, partition, offset = record.offset](const Result<Position>& at) {
                    if (!at) { note_failure(partition, offset, at.error()); }
                },
                partition));
            part.next = record.offset + 1;
            ++part.records;
            part.bytes += record.key.value_or("").size() + record.value.value_or("").size();
            progress_.show(parts_);
            return true;
        };
        TRY(const bool all, records.each(end, send));
        if (all) { part.next = std::max(part.next, end); }
        return {};
    }

    // As many as the target has; the last of them must be what the target ends with.
    Result<void> pass_over_copied(CommittedRecords& records, CopiedPart& part) {
        const TopicPartition place{arguments_.topic, part.partition};
        TRY(const PartitionOffsets there, client_.admin().ends(place, broker_patience));
        const int64_t copied = there.high_watermark.value;
        if (copied == 0) { return {}; }
        int64_t passed = 0;
        std::optional<KeptRecord> last;
        const auto pass = [&](const RecordView& record) -> Result<bool> {
            part.next = record.offset + 1;
            if (++passed == copied) { last.emplace(record); }
            return passed < copied;
        };
        TRY_VOID(records.each(part.end, pass));
        if (passed < copied) {
            return fail(Code::exists, operation,
                        fmt::format("{}-{} has {} records there, {} here: it is not a copy of this", place.topic,
                                    part.partition, copied, passed));
        }
        if (there.log_start == there.high_watermark) { return {}; }  // deleted: nothing to compare with
        TRY(const bool same, is_last(place, Offset{copied - 1}, *last));
        if (same) { return {}; }
        return fail(
            Code::exists, operation,
            fmt::format("{}-{} ends there, at offset {}, with another record than the one here at {}: it is not "
                        "a copy of this",
                        place.topic, part.partition, copied - 1, part.next.value - 1));
    }

    Result<bool> is_last(const TopicPartition& place, Offset offset, const KeptRecord& expected) {
        TRY(Consumer consumer, client_.consumer());
        TRY_VOID(consumer.assign({place}, From(offset)));
        TRY(const ConsumedBatch batch, consumer.poll(answer_max));
        if (batch.empty()) { return false; }
        TRY(const BatchView view, BatchView::parse(batch.bytes()));
        for (const RecordView& record : batch) {
            KeptRecord found(record);
            // A topic may have its broker's time in place of ours.
            if (view.timestamp_type() == TimestampType::log_append_time) { found.timestamp_ms = expected.timestamp_ms; }
            return record.offset == offset && found == expected;
        }
        return false;
    }

    void note_failure(int32_t partition, Offset offset, const Error& error) {
        const std::lock_guard guard(failure_lock_);
        failed_ = true;
        if (failure_) { return; }
        failure_ = fail(error.code, operation,
                        fmt::format("the record at offset {} of {}-{}: {}", offset.value, arguments_.topic, partition,
                                    error.message()))
                       .error();
    }

    Log& log_;
    Client& client_;
    const CopyArguments& arguments_;
    CopyProgress progress_;
    std::vector<CopiedPart> parts_;
    std::mutex failure_lock_;  // the client's thread tells of failures
    std::optional<Error> failure_;
    std::atomic<bool> failed_{false};
};

}  // namespace

Result<Copied> copy_away(Log& log, Client& client, const CopyArguments& arguments) {
    return CopyAway(log, client, arguments).run();
}

}  // namespace flowstone::tool
