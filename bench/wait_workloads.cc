// Latency: paced_100k, paced_1m, waiters_64x1, waiters_64x100, tail_latency, checkpoint_beside.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "bench/floor.h"
#include "bench/ours.h"
#include "bench/peers.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

// Smaller than the default, so that ten seconds of small commits, or a million of them, come round three times.
constexpr uint64_t paced_ring_bytes = 56u << 20;

LogSetting paced_log(const Setting& setting) {
    return {.options = {.threads = setting.threads, .journal_bytes_max = paced_ring_bytes}};
}

Workload paced(const std::string& name, uint64_t per_second) {
    return {name,
            std::to_string(per_second / 1000) + " k/s x 100 B, durable, paced, 10 s",
            {{"floor",
              [per_second](const Setting& setting, const std::string& directory) {
                  return floor_paced(directory, {.per_second = per_second, .seconds = setting.seconds()});
              }},
             {"buffered",
              [per_second](const Setting& setting, const std::string& directory) {
                  return floor_paced(directory,
                                     {.per_second = per_second, .seconds = setting.seconds(), .buffered = true});
              }},
             {"ours",
              [per_second](const Setting& setting, const std::string& directory) {
                  return our_paced(directory, paced_log(setting), per_second, setting.seconds(), 100);
              }}},
            {{"ours", Measure::p50, false, 1.3, "floor"},
             {"ours", Measure::p99, false, 2.5, "floor"},
             {"ours", Measure::p999, false, 3, "floor"},
             {"ours", Measure::p50, false, 1, "buffered"},
             {"ours", Measure::p99, false, 1, "buffered"},
             {"ours", Measure::cpu_per_record, false, 1, "buffered"}}};
}

Workload waiters(const std::string& name, uint32_t records_each, std::vector<Claim> claims) {
    constexpr uint32_t threads = 64;
    const uint64_t full = records_each == 1 ? 1'000'000 : 400'000;  // appends
    return {name,
            "64 threads, each waiting for its " + std::to_string(records_each) + " records of 100 B, durable",
            {{"floor",
              [=](const Setting& setting, const std::string& directory) {
                  return floor_waiters(directory, {threads, records_each, setting.amount(full), 100});
              }},
             {"ours",
              [=](const Setting& setting, const std::string& directory) {
                  return our_waiters(directory, paced_log(setting), threads, records_each, setting.amount(full), 100);
              }},
             {"rocksdb",
              [=](const Setting& setting, const std::string& directory) {
                  return rocksdb_append(directory, {.records = setting.amount(full / 8) * records_each,
                                                    .records_each = records_each,
                                                    .threads = threads,
                                                    .sync = true});
              },
              true}},
            std::move(claims)};
}

// --- from append to reader -------------------------------------------------------------------------------------------

// A record carries when it was meant to be appended.
Result<void> append_stamped(Log& log, Topic& topic, const Pace& pace, uint64_t records, bool wait,
                            Histogram& appended) {
    char value[100] = {};
    uint64_t next = 0;
    const AppendOptions to{.partition = 0};
    while (next < records) {
        const uint64_t due = std::min(records, pace.due(system_clock().monotonic_ns()));
        if (due == next) {
            sleep_until_ns(pace.intended_ns(next));
            continue;
        }
        const uint64_t first = next;
        Pending last;
        for (const uint64_t end = std::min(due, first + 8000); next < end; ++next) {
            const int64_t intended = pace.intended_ns(next);
            std::memcpy(value, &intended, sizeof intended);
            TRY(last, topic.append_async({.value = std::string_view(value, sizeof value)}, to));
        }
        if (wait) { TRY_VOID(log.wait(last)); }
        const int64_t done = system_clock().monotonic_ns();
        for (uint64_t i = first; i < next; ++i) {
            appended.record(static_cast<uint64_t>(std::max<int64_t>(0, done - pace.intended_ns(i))));
        }
    }
    return {};
}

Result<void> read_stamped(Topic& topic, uint64_t records, Histogram& visible, uint64_t& hash) {
    TRY(Reader reader, topic.read({.partition = 0, .from = Offset{0}}));
    while (visible.count() < records) {
        const auto batch = reader.next(std::chrono::seconds(10));
        if (!batch) { return std::unexpected(batch.error()); }
        if (batch->empty()) { return fail(Code::timed_out, "tail_latency", "no record for ten seconds"); }
        const int64_t now = system_clock().monotonic_ns();
        for (const RecordView& record : *batch) {
            int64_t intended = 0;
            std::memcpy(&intended, record.value->data(), sizeof intended);
            visible.record(static_cast<uint64_t>(std::max<int64_t>(0, now - intended)));
            hash = hash * 31 + static_cast<uint64_t>(record.offset.value);
        }
    }
    return {};
}

// Latencies are those of the reader, or with `of_append` those of the appending thread.
Result<Outcome> tail(const Setting& setting, const std::string& directory, Durability level, bool of_append) {
    LogSetting wanted = paced_log(setting);
    wanted.level = level;
    TRY(const auto ours, OurLog::open(directory, wanted));
    constexpr uint64_t per_second = 1'000'000;
    Outcome outcome;
    outcome.records = static_cast<uint64_t>(per_second * setting.seconds());
    outcome.bytes = outcome.records * 100;
    Histogram appended;
    Histogram visible;
    Result<void> appending;
    Result<void> reading;
    const Stopwatch watch;
    {
        const std::jthread reader([&] {
            Topic topic = ours->topic();
            reading = read_stamped(topic, outcome.records, visible, outcome.hash);
        });
        const std::jthread writer([&] {
            appending = append_stamped(ours->log(), ours->topic(), {watch.began_ns(), per_second}, outcome.records,
                                       level == Durability::durable, appended);
        });
    }
    TRY_VOID(appending);
    TRY_VOID(reading);
    TRY_VOID(ours->close(outcome));
    watch.stop(outcome);
    outcome.latency_ns = of_append ? appended : visible;
    return outcome;
}

Workload tail_latency() {
    const auto run = [](Durability level, bool of_append) {
        return [=](const Setting& setting, const std::string& directory) {
            return tail(setting, directory, level, of_append);
        };
    };
    return {"tail_latency",
            "append to visible by a tailing reader of the same process, 1 M/s x 100 B",
            {{"ping_pong",
              [](const Setting& setting, const std::string&) -> Result<Outcome> {
                  return floor_ping_pong(setting.amount(200'000));
              }},
             {"memory", run(Durability::memory, false)},
             {"durable_append", run(Durability::durable, true)},
             {"durable", run(Durability::durable, false)}},
            {{"memory", Measure::p50, false, 4, "ping_pong"}, {"durable", Measure::p50, false, 1.2, "durable_append"}}};
}

// --- beside the commits ------------------------------------------------------------------------------------------------

// Over and over until told to stop: 1,000 dirty partitions and a checkpoint, a gigabyte trimmed, segments rolled.
Result<void> disturb(const Setting& setting, OurLog& ours, const std::atomic<bool>& stop) {
    const Source source(4000);
    const int32_t dirty = setting.size == Size::small ? 20 : 1000;
    TRY(Topic many, ours.log().create_topic("dirty", {.partitions = dirty}));
    TRY(Topic rolled, ours.log().create_topic("rolled", {.configs = {{"segment.bytes", "1048576"}}}));
    TRY(Topic old, ours.log().topic("old"));
    TRY(const PartitionInfo info, old.partition(0));
    bool trimmed = false;
    uint64_t i = 0;
    while (!stop) {
        for (int32_t partition = 0; partition < dirty && !stop; ++partition) {
            TRY_VOID(many.append_async(source.record(i++), {.partition = partition}));
        }
        for (int k = 0; k < 600 && !stop; ++k) { TRY_VOID(rolled.append_async(source.record(i++), {.partition = 0})); }
        TRY_VOID(ours.log().checkpoint());
        if (!trimmed) {
            TRY_VOID(old.delete_records(0, info.log_end));
            TRY_VOID(ours.log().maintain());
            trimmed = true;
        }
    }
    return {};
}

Result<Outcome> commits_beside(const Setting& setting, const std::string& directory, bool disturbed) {
    const Source source(100);
    constexpr uint64_t per_second = 100'000;
    // The ring that a program has unless it says otherwise, for long enough to come round it three times.
    const double seconds = 2.4 * setting.seconds();
    TRY(const auto ours, OurLog::open(directory, {.options = {.threads = setting.threads}}));
    TRY(Topic old, ours->log().create_topic(
                       "old", {.configs = {{"flowstone.durability", "memory"}, {"segment.bytes", "268435456"}}}));
    const Source large(4000);
    for (uint64_t i = 0; i < setting.amount(262'144); ++i) {
        TRY_VOID(old.append_async(large.record(i), {.partition = 0}));
    }
    TRY_VOID(ours->log().checkpoint());
    Outcome outcome;
    outcome.records = static_cast<uint64_t>(per_second * seconds);
    outcome.bytes = outcome.records * 100;
    std::atomic<bool> stop{false};
    Result<void> disturbing;
    Result<void> appending;
    const Stopwatch watch;
    {
        std::jthread other;
        if (disturbed) {
            other = std::jthread([&] { disturbing = disturb(setting, *ours, stop); });
        }
        appending = append_paced(ours->log(), ours->topic(), {watch.began_ns(), per_second}, outcome.records, source,
                                 true, outcome.latency_ns);
        stop = true;
    }
    TRY_VOID(appending);
    TRY_VOID(disturbing);
    TRY(outcome.hash, hash_of_end(ours->topic()));
    TRY_VOID(ours->close(outcome));
    watch.stop(outcome);
    return outcome;
}

Workload checkpoint_beside() {
    return {"checkpoint_beside",
            "100 k/s durable commits while 1,000 partitions are checkpointed, 1 GiB is trimmed and segments roll",
            {{"undisturbed", [](const Setting& setting,
                                const std::string& directory) { return commits_beside(setting, directory, false); }},
             {"disturbed", [](const Setting& setting,
                              const std::string& directory) { return commits_beside(setting, directory, true); }}},
            {{"disturbed", Measure::p99, false, 3, "undisturbed"}}};
}

}  // namespace

std::vector<Workload> wait_workloads() {
    return {paced("paced_100k", 100'000),
            paced("paced_1m", 1'000'000),
            waiters("waiters_64x1", 1,
                    {{"ours", Measure::records_per_s, true, 0.6, "floor"},
                     {"ours", Measure::records_per_s, true, 3, "rocksdb"}}),
            waiters("waiters_64x100", 100, {{"ours", Measure::records_per_s, true, 10, "rocksdb"}}),
            tail_latency(),
            checkpoint_beside()};
}

}  // namespace flowstone::bench
