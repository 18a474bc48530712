#include "bench/ours.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "bench/floor.h"
#include "log/environment.h"
#include "storage/checksum.h"
#include "storage/random.h"
#include "storage/try.h"

namespace flowstone::bench {

void CountingDisk::run(std::span<Io> requests) {
    size_t kept = 0;
    for (const Io& request : requests) {
        if (request.kind != Io::Kind::write_durable) { continue; }  // commits; not the pre-writing of a ring that grows
        const std::string& path = request.file->path();
        if (path.find("flowstone-journal-") == std::string::npos) { continue; }
        for (const iovec& piece : request.pieces) { journal_bytes_ += piece.iov_len; }
        ++kept;
    }
    const bool data = kept == 0 && !requests.empty() && requests[0].kind == Io::Kind::write &&
                      requests[0].file->path().ends_with(".log") &&
                      requests[0].file->path().find("__cluster_metadata") == std::string::npos;
    if (!drop_data_ || !data) { return disk_->run(requests); }
    for (Io& request : requests) {
        for (const iovec& piece : request.pieces) { request.done += piece.iov_len; }
    }
}

Result<std::unique_ptr<OurLog>> OurLog::open(const std::string& directory, const LogSetting& wanted) {
    auto made = std::unique_ptr<OurLog>(new OurLog(wanted.drop_data));
    Tuning tuning;
    if (!wanted.direct_path) { tuning.direct_bytes_min = UINT64_MAX; }
    TRY(made->log_,
        open_log({&made->disk_, &system_clock(), &system_random()}, directory + "/ours", wanted.options, tuning));
    ConfigMap configs = wanted.configs;
    const char* level = wanted.level == Durability::durable   ? "durable"
                        : wanted.level == Durability::written ? "written"
                                                              : "memory";
    configs.emplace_back("flowstone.durability", level);
    TRY(made->topic_,
        made->log_->create_topic("bench", {.partitions = wanted.partitions, .configs = configs, .exists_ok = true}));
    made->ring_bytes_ = wanted.options.journal_bytes_max;
    made->durable_ = wanted.level == Durability::durable;
    return made;
}

Result<void> OurLog::close(Outcome& outcome) {
    TRY_VOID(log_->close(std::chrono::minutes(5)));
    if (durable_) { outcome.laps = static_cast<double>(disk_.journal_bytes()) / static_cast<double>(ring_bytes_); }
    return {};
}

Result<uint64_t> hash_of_end(Topic& topic) {
    TRY(const PartitionInfo info, topic.partition(0));
    uint64_t hash = static_cast<uint64_t>(info.log_end.value);
    const Offset from{std::max(info.log_start.value, info.log_end.value - 1000)};
    TRY(Reader reader, topic.read({.partition = 0, .from = from}));
    for (;;) {
        const auto batch = reader.next();
        if (!batch) { return std::unexpected(batch.error()); }
        if (batch->empty()) { return hash; }
        for (const RecordView& record : *batch) {
            const std::string_view value = record.value.value_or("");
            hash = xxh3_64({reinterpret_cast<const std::byte*>(value.data()), value.size()}, hash);
        }
    }
}

Result<Outcome> our_append(const std::string& directory, const LogSetting& wanted, uint64_t records,
                           uint32_t record_bytes, uint32_t at_once) {
    const Source source(record_bytes);
    TRY(const auto ours, OurLog::open(directory, wanted));
    Topic& topic = ours->topic();
    Outcome outcome;
    outcome.records = records;
    outcome.bytes = records * record_bytes;
    const Stopwatch watch;
    const AppendOptions to{.partition = 0};
    std::vector<Record> many(at_once);
    for (uint64_t i = 0; i < records;) {
        if (at_once == 1) {
            TRY_VOID(topic.append_async(source.record(i++), to));
            continue;
        }
        size_t count = 0;
        while (count < at_once && i < records) { many[count++] = source.record(i++); }
        TRY_VOID(topic.append(std::span(many).first(count), to));
    }
    TRY_VOID(ours->log().flush());
    if (!wanted.drop_data) { TRY(outcome.hash, hash_of_end(topic)); }
    TRY_VOID(ours->close(outcome));
    watch.stop(outcome);
    return outcome;
}

Result<void> append_paced(Log& log, Topic& topic, const Pace& pace, uint64_t records, const Source& source, bool wait,
                          Histogram& latency_ns) {
    const AppendOptions to{.partition = 0};
    uint64_t next = 0;
    while (next < records) {
        const uint64_t due = std::min(records, pace.due(system_clock().monotonic_ns()));
        if (due == next) {
            sleep_until_ns(pace.intended_ns(next));
            continue;
        }
        // No more at once than a commit takes: the rest is late, and its latency says so.
        const uint64_t first = next;
        const uint64_t end = std::min(due, first + (1u << 20) / (source.record_bytes() + 16));
        Pending last;
        for (; next < end; ++next) { TRY(last, topic.append_async(source.record(next), to)); }
        if (wait) { TRY_VOID(log.wait(last)); }
        const int64_t done = system_clock().monotonic_ns();
        for (uint64_t i = first; i < end; ++i) {
            latency_ns.record(static_cast<uint64_t>(std::max<int64_t>(0, done - pace.intended_ns(i))));
        }
    }
    return {};
}

Result<Outcome> our_paced(const std::string& directory, const LogSetting& wanted, uint64_t per_second, double seconds,
                          uint32_t record_bytes) {
    const Source source(record_bytes);
    TRY(const auto ours, OurLog::open(directory, wanted));
    Outcome outcome;
    outcome.records = static_cast<uint64_t>(static_cast<double>(per_second) * seconds);
    outcome.bytes = outcome.records * record_bytes;
    const Stopwatch watch;
    TRY_VOID(append_paced(ours->log(), ours->topic(), {watch.began_ns(), per_second}, outcome.records, source, true,
                          outcome.latency_ns));
    TRY(outcome.hash, hash_of_end(ours->topic()));
    TRY_VOID(ours->close(outcome));
    watch.stop(outcome);
    return outcome;
}

Result<Outcome> our_waiters(const std::string& directory, const LogSetting& wanted, uint32_t threads,
                            uint32_t records_each, uint64_t appends, uint32_t record_bytes) {
    const Source source(record_bytes);
    TRY(const auto ours, OurLog::open(directory, wanted));
    const uint64_t each = std::max<uint64_t>(1, appends / threads);
    Outcome outcome;
    outcome.records = each * threads * records_each;
    outcome.bytes = outcome.records * record_bytes;
    std::vector<Histogram> latency(threads);
    std::vector<std::optional<Error>> errors(threads);
    const auto one = [&](uint32_t thread) -> Result<void> {
        Topic topic = ours->topic();
        std::vector<Record> records(records_each);
        for (uint64_t i = 0; i < each; ++i) {
            for (uint32_t k = 0; k < records_each; ++k) {
                records[k] = source.record((thread * each + i) * records_each + k);
            }
            const int64_t began = system_clock().monotonic_ns();
            if (records_each == 1) {
                TRY_VOID(topic.append(records[0], {.partition = 0}));
            } else {
                TRY_VOID(topic.append(records, {.partition = 0}));
            }
            latency[thread].record(static_cast<uint64_t>(system_clock().monotonic_ns() - began));
        }
        return {};
    };
    const Stopwatch watch;
    {
        std::vector<std::jthread> running;
        for (uint32_t thread = 0; thread < threads; ++thread) {
            running.emplace_back([&, thread] {
                if (auto done = one(thread); !done) { errors[thread] = done.error(); }
            });
        }
    }
    for (const auto& error : errors) {
        if (error) { return std::unexpected(*error); }
    }
    TRY(const PartitionInfo info, ours->topic().partition(0));
    outcome.hash = static_cast<uint64_t>(info.log_end.value);
    TRY_VOID(ours->close(outcome));
    watch.stop(outcome);
    for (const Histogram& part : latency) { outcome.latency_ns.merge(part); }
    return outcome;
}

std::vector<std::string> segment_paths(const std::string& directory) {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        if (entry.path().extension() == ".log") { paths.push_back(entry.path().string()); }
    }
    std::ranges::sort(paths);
    return paths;
}

}  // namespace flowstone::bench
