// A stage of a pipeline: consumes topics, makes outputs of each record, and stores how far it got in step with them.
//
//   auto check = [](const flowstone::StageRecord& payment, flowstone::StageOutput& out) -> flowstone::Result<void> {
//       const bool held = risky(payment.value.value_or(""));
//       return out.send(held ? "payments.held" : "payments.cleared", {.key = payment.key, .value = payment.value});
//   };
//   auto stage = flowstone::Stage::open(*client,
//       {.name = "fraud-check", .inputs = {"payments"}, .outputs = {"payments.held", "payments.cleared"},
//        .dead_letters = "payments.dead"}, check);
//   std::atomic<bool> stop = false;
//   auto ended = stage->run(stop);                             // in this thread, until `stop`, or an error
//
// Stages of one name are one group: any number of them, in threads of one program or in many, share the partitions of the
// inputs. What was read from partition p goes to partition p of its output, whatever the key.
//
// Promises (docs/CLIENT.md): with dir:PATH outputs and input offset are one entry of the log's journal, so each record has
// its outputs exactly once. Elsewhere each record has its outputs once for who reads them through SourceFilter
// (<flowstone/source.h>), as stages do, whoever crashed, stalled or took over. The order of a partition is kept. A function
// must make the same of a record whenever it is asked.
//
// Threads: a Stage belongs to one thread at a time, but for metrics(). It must not outlive its Client.
//
// This header is public (installed as <flowstone/stage.h>): standard library only.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/client.h>
#include <flowstone/source.h>

namespace flowstone {

// What a dead letter's own headers are joined by: flowstone.error (a sentence), and flowstone.error.code, .stage, .topic,
// .partition, .offset and .tries. A source that the record had is found under this name.
constexpr std::string_view dead_letter_source_header = "flowstone.error.source";

struct StageOptions {
    std::string name;                 // of the group, in metrics and in sources; as a topic may be named
    std::vector<std::string> inputs;  // topics
    std::vector<std::string>
        outputs{};               // every topic that the function sends to; none has fewer partitions than an input
    std::string dead_letters{};  // the topic for records that could not be processed; empty: the stage ends
    From begin{};                // where nobody has stored an offset
    // Of a static member of the group, one name for each stage that runs at a time: started again within its session it goes
    // on at once, where others would wait until the one that died is given up. Empty: none.
    std::string instance{};
    // An error of the function with Advice::retry is tried again, after a wait that doubles up to its maximum, less up to
    // half of it. One with Advice::fenced ends the stage, any other makes a dead letter.
    int32_t tries_max = 8;
    std::chrono::milliseconds retry_wait{50};
    std::chrono::milliseconds retry_wait_max{5'000};
    // What is processed together, and then stored: so much at most, or what is there.
    size_t step_records_max = 1'000;
    size_t step_bytes_max = 512u << 10;   // of outputs, to one partition
    size_t output_bytes_max = 1'000'000;  // of one output, which the topic must take
};

// A record of an input. Views, valid until the function returns.
struct StageRecord : RecordView {
    std::string_view topic;
    int32_t partition = 0;
    int32_t tries = 1;  // which one this is
};

// Takes what a function makes of one record. Nothing of it is written when the function returns an error.
class FLOWSTONE_EXPORT StageOutput {
public:
    // Copies the record. Its headers go along, but flowstone.source, which becomes the stage's own. Without a timestamp it
    // has that of the input. Errors: invalid (the topic is not one of the stage's outputs), too_large.
    virtual Result<void> send(std::string_view topic, const Record& record) = 0;

protected:
    ~StageOutput() = default;
};
using StageFunction = std::function<Result<void>(const StageRecord&, StageOutput&)>;

// Records of one partition, in their order, that a sink stores together.
struct SinkBatch {
    const TopicPartition& place;
    std::optional<Offset> begin;  // where the sink should stand now; none: it knows nothing of this partition
    Offset end;                   // where it stands afterwards
    std::span<const StageRecord> records;
};
// A store that keeps, beside what it stores, how far it got: a table of offsets in the same database transaction. The stage
// begins where its sink says, so what the sink has is there exactly once.
class StageSink {
public:
    virtual ~StageSink() = default;
    // The `end` of the last batch of the partition that was stored. Asked when the stage is given a partition.
    virtual Result<std::optional<Offset>> stored(const TopicPartition& place) = 0;
    // Stores the records and batch.end, both or neither. A sink that several processes may reach compares batch.begin with
    // what it has, in that transaction, and refuses with stale_epoch: somebody else has taken over.
    // Errors: as a function's, but nothing becomes a dead letter: an error that no try helps ends the stage.
    virtual Result<void> store(const SinkBatch& batch) = 0;
};

// Since the stage was opened. Durations in seconds.
struct StageMetrics {
    std::string stage;
    uint64_t records = 0;           // processed, and stored
    uint64_t outputs = 0;           // written, dead letters not counted
    uint64_t errors = 0;            // of function and sink, tries counted one by one
    uint64_t retries = 0;           // tries after the first
    uint64_t dead_letters = 0;      // written
    uint64_t dropped = 0;           // inputs that had come before, by their source
    uint64_t already_written = 0;   // outputs that were found there, of somebody who stopped halfway
    uint64_t fenced = 0;            // steps that were not stored, for the partition is another's now
    uint64_t failures = 0;          // steps that could not be stored, and were begun again
    int32_t partitions = 0;         // this one's share now
    int64_t lag_records = 0;        // behind what is stored, in these partitions
    double lag_seconds = 0;         // age of the oldest input that is taken or was stored last, while there is a lag
    double records_per_second = 0;  // over the last ten seconds, or since the beginning
    static constexpr std::array<double, 14> latency_bounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                           0.1,    0.25,  0.5,    1,     2.5,  5,     10};
    std::array<uint64_t, latency_bounds.size() + 1>
        latency{};  // records, by time from taken to stored; the last: longer
    double latency_sum = 0;
};
// All of them in Prometheus' text format 0.0.4.
FLOWSTONE_EXPORT std::string prometheus_text(std::span<const StageMetrics> stages);

class StageCore;
class StagePort;

class FLOWSTONE_EXPORT Stage {
public:
    // Joins the group. Errors: not_found (a topic), invalid (options; an output with fewer partitions than an input),
    // timed_out, closed.
    static Result<Stage> open(Client& client, StageOptions options, StageFunction function);
    // Writes to a sink, and to outputs too where there is a function.
    static Result<Stage> open(Client& client, StageOptions options, StageSink& sink, StageFunction function = {});
    Stage(Stage&&) noexcept;
    Stage& operator=(Stage&&) noexcept;
    ~Stage();  // leaves the group; what was not stored another one processes

    // Steps until `stop`, then leaves the group. Brokers that do not answer are waited for. Errors: those of step() that
    // are not worth another try, and the function's that no dead letter topic takes: then the record that met it is the
    // next one when the stage is opened again.
    Result<void> run(const std::atomic<bool>& stop);
    // Waits up to `timeout` for records, processes some and stores what came of them. How many were stored.
    // Errors: as run(); busy, timed_out, io, offline: not stored, the next step begins again in front of them.
    Result<size_t> step(std::chrono::milliseconds timeout);
    StageMetrics metrics() const;  // any thread

private:
    static Result<Stage> open_with(Client& client, StageOptions options, StageFunction function, StageSink* sink);
    Stage(std::unique_ptr<StagePort> port, std::unique_ptr<StageCore> core);
    std::unique_ptr<StagePort> port_;
    std::unique_ptr<StageCore> core_;
};

}  // namespace flowstone
