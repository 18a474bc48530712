#include "tools/flowstone/appender.h"

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "storage/try.h"

namespace flowstone::tool {
namespace {

// Two groups are under way: one is written while the next is made.
constexpr uint64_t group_records_max = 10'000;
constexpr uint64_t group_bytes_max = 4u << 20;
// Uncompressed. Large enough for a codec to find repetitions, small against Kafka's max.message.bytes of 1 MiB.
constexpr size_t batch_bytes = 256 * 1024;
// Batches being made at a time, so that many partitions do not take much memory.
constexpr size_t open_batches_max = 256;

uint64_t bytes_of(const Record& record) {
    return (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
}

// Which appends are not yet acknowledged. A partition acknowledges in order, so its last one stands for all before.
class Groups {
public:
    explicit Groups(Log& log) : log_(log) {}

    void note(const Pending& pending) { filling_.last[pending.at.partition] = pending; }

    // Counts a record, and reports that the group is full.
    bool count(uint64_t bytes) {
        ++filling_.records;
        filling_.bytes += bytes;
        return filling_.records >= group_records_max || filling_.bytes >= group_bytes_max;
    }

    // Waits for the group before this one, which becomes the one before.
    Result<void> rotate() {
        TRY_VOID(wait(writing_));
        std::swap(writing_, filling_);
        return {};
    }

    Result<void> settle() {
        TRY_VOID(rotate());
        return wait(writing_);
    }

    uint64_t acknowledged() const { return acknowledged_; }

private:
    struct Group {
        std::map<int32_t, Pending> last;  // by partition
        uint64_t records = 0;
        uint64_t bytes = 0;
    };

    Result<void> wait(Group& group) {
        for (const auto& [partition, pending] : group.last) { TRY_VOID(log_.wait(pending)); }
        acknowledged_ += group.records;
        group = {};
        return {};
    }

    Log& log_;
    Group filling_;
    Group writing_;
    uint64_t acknowledged_ = 0;
};

// `append` again once the log has written what it holds, if it was too busy.
template <class Append>
Result<Pending> with_room(Log& log, const Append& append) {
    Result<Pending> pending = append();
    if (pending || pending.error().code != Code::busy) { return pending; }
    TRY_VOID(log.flush());
    return append();
}

class PlainAppender : public Appender {
public:
    PlainAppender(Log& log, const Topic& topic) : log_(log), topic_(topic), groups_(log) {}

    Result<void> add(const Record& record, std::optional<int32_t> partition) override {
        TRY(const Pending pending,
            with_room(log_, [&] { return topic_.append_async(record, {.partition = partition}); }));
        groups_.note(pending);
        if (groups_.count(bytes_of(record))) { return groups_.rotate(); }
        return {};
    }
    Result<void> settle() override { return groups_.settle(); }
    uint64_t acknowledged() const override { return groups_.acknowledged(); }

private:
    Log& log_;
    Topic topic_;
    Groups groups_;
};

class CompressingAppender : public Appender {
public:
    CompressingAppender(Log& log, const Topic& topic, Codec codec, Clock& clock)
        : log_(log), topic_(topic), codec_(codec), clock_(clock), groups_(log) {}

    Result<void> add(const Record& record, std::optional<int32_t> partition) override {
        const int32_t to = partition ? *partition : partition_of(record);
        TRY_VOID(put(to, record));
        if (!groups_.count(bytes_of(record))) { return {}; }
        // A group ends with its batches: a record counts as acknowledged only if its batch was appended.
        TRY_VOID(close_all());
        return groups_.rotate();
    }

    Result<void> settle() override {
        TRY_VOID(close_all());
        return groups_.settle();
    }
    uint64_t acknowledged() const override { return groups_.acknowledged(); }

private:
    struct Open {
        std::vector<std::byte> space;
        BatchBuilder builder;
    };

    int32_t partition_of(const Record& record) const {
        return record.key ? partition_for_key(as_bytes(*record.key), topic_.partitions()) : sticky_;
    }

    Result<void> put(int32_t partition, const Record& record) {
        const int64_t timestamp_ms = record.timestamp_ms ? *record.timestamp_ms : clock_.wall_ms();
        const size_t needed = batch_header_bytes + BatchBuilder::record_bytes_max(record);
        for (int attempt = 0; attempt < 2; ++attempt) {
            auto [at, made] = open_.try_emplace(partition);
            Open& open = at->second;
            if (made) {
                open.space.resize(std::max(batch_bytes, needed));
                open.builder = BatchBuilder(open.space, {});
            }
            if (open.builder.append(record, timestamp_ms)) {
                return open_.size() > open_batches_max ? close_all() : Result<void>{};
            }
            if (made) { break; }
            TRY_VOID(close(open, partition));
            open_.erase(at);
        }
        return fail(Code::too_large, "produce.batch");
    }

    Result<void> close(Open& open, int32_t partition) {
        const BatchView plain = open.builder.close();
        TRY(const BatchView batch, recompress(plain, codec_, compressed_));
        TRY(const Pending pending, with_room(log_, [&] { return topic_.append_batch(partition, batch.bytes()); }));
        groups_.note(pending);
        return {};
    }

    Result<void> close_all() {
        for (auto& [partition, open] : open_) { TRY_VOID(close(open, partition)); }
        open_.clear();
        sticky_ = (sticky_ + 1) % topic_.partitions();  // records without a key stay together for a batch, as in Kafka
        return {};
    }

    Log& log_;
    Topic topic_;
    Codec codec_;
    Clock& clock_;
    Groups groups_;
    std::map<int32_t, Open> open_;  // by partition
    std::vector<std::byte> compressed_;
    int32_t sticky_ = 0;
};

class NetworkAppender : public Appender {
public:
    NetworkAppender(const Producer& producer, const ProducerTopic& topic) : producer_(producer), topic_(topic) {}

    Result<void> add(const Record& record, std::optional<int32_t> partition) override {
        TRY(Delivery delivery, topic_.send(record, partition));
        under_way_.push_back(std::move(delivery));
        return count_done();
    }
    Result<void> settle() override {
        TRY_VOID(producer_.flush());
        return count_done();
    }
    uint64_t acknowledged() const override { return acknowledged_; }

private:
    Result<void> count_done() {
        while (!under_way_.empty() && under_way_.front().done()) {
            TRY_VOID(under_way_.front().wait());
            under_way_.pop_front();
            ++acknowledged_;
        }
        return {};
    }

    Producer producer_;
    ProducerTopic topic_;
    std::deque<Delivery> under_way_;  // bounded by ProducerOptions::buffer_bytes_max
    uint64_t acknowledged_ = 0;
};

}  // namespace

std::unique_ptr<Appender> make_appender(Log& log, const Topic& topic) {
    return std::make_unique<PlainAppender>(log, topic);
}

std::unique_ptr<Appender> make_compressing_appender(Log& log, const Topic& topic, Codec codec, Clock& clock) {
    return std::make_unique<CompressingAppender>(log, topic, codec, clock);
}

std::unique_ptr<Appender> make_network_appender(const Producer& producer, const ProducerTopic& topic) {
    return std::make_unique<NetworkAppender>(producer, topic);
}

}  // namespace flowstone::tool
