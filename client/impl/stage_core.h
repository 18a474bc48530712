// What a stage is behind its handle: decides what is processed, tried again, written, left out, and where it begins.
//
// Where it begins: at the sink's offset, or the group's. What is found at the tails of its outputs was made of records at or
// behind that by somebody who stopped before he could commit; it is not written again. docs/formats/source.md says why that
// loses nothing.
//
// One thread at a time, but for metrics().
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <flowstone/stage.h>

#include "client/impl/stage_port.h"

namespace flowstone {

class StageCore final : private StageShare, private StageOutput {
public:
    // Partitions are read back from so many records before their end where nothing better is known.
    static constexpr int64_t tail_records = 10'000;

    StageCore(StagePort& port, StageOptions options, StageFunction function, StageSink* sink);
    Result<void> open();  // as Stage::open
    Result<void> run(const std::atomic<bool>& stop);
    Result<size_t> step(int64_t timeout_ms, const std::atomic<bool>& stop);
    StageMetrics metrics() const;

private:
    // One partition of an input, as far as this stage has it.
    struct Place {
        bool resumed = false;
        std::optional<Offset> stored;                  // by the group; none: nothing
        std::optional<Offset> sunk;                    // by the sink
        std::optional<Offset> next;                    // behind what is processed
        std::map<std::string, SourcePoint> written{};  // the last source found in each output topic
        std::map<std::string, Offset> tails{};  // of each output, an end from before anything of `next` was there
        int64_t tails_ns = 0;                   // when they were looked at
        int64_t last_timestamp_ms = -1;
        int64_t lag = 0;
    };
    // What was made of records, and is not stored.
    struct Pending {
        std::map<TopicPartition, Offset> ends{};  // by input: behind the last record that was processed
        std::vector<StageWrite> writes{};
        std::map<TopicPartition, size_t> write_bytes{};
        std::map<TopicPartition, std::vector<StageRecord>> sunk{};
        size_t records = 0;
        size_t outputs = 0;
        size_t dead_letters = 0;
        size_t bytes = 0;  // of writes
        std::vector<int64_t> taken_ns{};
    };

    // --- what the group says ---
    void assigned(const std::vector<TopicPartition>& places) override;
    void revoked(const std::vector<TopicPartition>& places) override;
    void lost(const std::vector<TopicPartition>& places) override;

    // --- where it begins ---
    Result<void> resume_all();
    Result<void> resume(const TopicPartition& place, Place& state);
    Result<void> read_tails(const TopicPartition& place, Place& state);
    Result<void> read_seen(const TopicPartition& place, Offset begin);
    bool restore(const TopicPartition& place, Place& state, std::string_view metadata);
    std::string metadata(const TopicPartition& place, const Place& state) const;
    Result<void> look_at_tails(const TopicPartition& place, Place& state);
    void begin_again();

    // --- processing ---
    Result<void> take(const StagePort::Polled& polled, const std::atomic<bool>& stop);
    Result<void> process(const TopicPartition& place, Place& state, const RecordView& record,
                         const std::atomic<bool>& stop);
    // Calls until it has worked, or why it never will. Errors: closed: `stop` came in between.
    Result<std::optional<Error>> try_call(const std::function<Result<void>(int32_t tries)>& call, int32_t& tries,
                                          const std::atomic<bool>& stop);
    void begin_outputs();
    Result<void> add_made(bool outputs, const std::atomic<bool>& stop);
    Result<void> send(std::string_view topic, const Record& record) override;
    Result<void> send_to(const std::string& topic, const Record& record, std::span<const Header> more);
    Result<void> dead_letter(const StageRecord& record, const Error& error, int32_t tries);
    std::unexpected<Error> end(const Error& error);
    void wait_for_try(int32_t tries, const std::atomic<bool>& stop);

    // --- storing ---
    Result<void> store(const std::atomic<bool>& stop);
    Result<void> store_pending(const std::vector<OffsetMove>& moves, const std::atomic<bool>& stop);
    Result<void> store_in_sink(const std::atomic<bool>& stop);
    Result<std::vector<OffsetMove>> moves();
    bool full() const;
    void stored(const std::vector<OffsetMove>& moves);
    void forget_pending();
    void drop(const std::vector<TopicPartition>& places);
    void measure();

    // --- copies that live as long as what is pending ---
    std::string_view keep(std::string_view bytes);
    std::optional<std::string_view> keep_optional(const std::optional<std::string_view>& bytes);

    StagePort& port_;
    const StageOptions options_;
    const StageFunction function_;
    StageSink* const sink_;
    std::map<TopicPartition, Place> places_;
    SourceFilter filter_;
    Pending pending_;
    std::pmr::monotonic_buffer_resource memory_;
    std::vector<std::string> written_topics_;  // outputs and dead letters
    std::optional<Error> while_sharing_;       // what went wrong in a call of the group's
    bool ended_ = false;                       // by an error of the function or the sink
    int32_t fenced_in_a_row_ = 0;
    const std::atomic<bool> never_ = false;
    // The record whose outputs are being made.
    const StageRecord* record_ = nullptr;
    Place* record_place_ = nullptr;
    std::vector<StageWrite> made_;
    size_t made_bytes_ = 0;
    int32_t outputs_made_ = 0;

    mutable std::mutex lock_;  // guards the next two
    StageMetrics metrics_;
    std::deque<std::pair<int64_t, uint64_t>> rate_;  // time and records, of the last ten seconds
};

}  // namespace flowstone
