// Reading: read_tail, read_cold, read_cold_beside_commits.
#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

#include "bench/floor.h"
#include "bench/ours.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

constexpr uint64_t gib = 1ull << 30;

// Copies every batch out, as the floor does; with `records` visits each record instead.
Result<void> read_to_end(Reader& reader, bool records, Outcome& outcome, const std::atomic<bool>* stop = nullptr) {
    std::vector<std::byte> to(2u << 20);
    for (;;) {
        if (stop != nullptr && *stop) { return {}; }
        const auto batch = reader.next();
        if (!batch) { return std::unexpected(batch.error()); }
        if (batch->empty()) { return {}; }
        outcome.bytes += batch->bytes().size();
        if (!records) {
            std::memcpy(to.data(), batch->bytes().data(), std::min(to.size(), batch->bytes().size()));
            outcome.hash = outcome.hash * 31 + load_le<uint32_t>(to.data() + 17);
            outcome.records += static_cast<uint64_t>(batch->next_offset() - batch->base_offset());
            continue;
        }
        for (const RecordView& record : *batch) {
            outcome.hash += record.value->size() + static_cast<uint64_t>(record.offset.value);
            ++outcome.records;
        }
    }
}

Result<Outcome> read_tail_of(const Setting& setting, const std::string& directory, bool records) {
    const Source source(100);
    TRY(const auto ours,
        OurLog::open(directory, {.level = Durability::memory,
                                 .options = {.threads = setting.threads, .tail_bytes_max = 32u << 20}}));
    // Somebody reads along: of a tail that nobody reads only a little is kept in memory.
    TRY(Reader reader, ours->topic().read());
    for (uint64_t i = 0; i < (8u << 20) / 112; ++i) {
        TRY_VOID(ours->topic().append_async(source.record(i), {.partition = 0}));
        if (i % 1'000 == 0) { TRY_VOID(reader.next()); }
    }
    TRY_VOID(ours->log().flush());
    Outcome outcome;
    const uint64_t bytes = setting.amount(32 * gib);
    const Stopwatch watch;
    while (outcome.bytes < bytes) {
        TRY_VOID(reader.seek(From::beginning()));
        TRY_VOID(read_to_end(reader, records, outcome));
    }
    watch.stop(outcome);
    TRY_VOID(ours->log().close());
    return outcome;
}

Workload read_tail() {
    return {"read_tail",
            "batches of 100 B records from memory, copied out; and with every record visited",
            {{"floor",
              [](const Setting& setting, const std::string&) -> Result<Outcome> {
                  return floor_copy(setting.amount(32 * gib), 100);
              }},
             {"ours", [](const Setting& setting,
                         const std::string& directory) { return read_tail_of(setting, directory, false); }},
             {"ours_records", [](const Setting& setting,
                                 const std::string& directory) { return read_tail_of(setting, directory, true); }}},
            {{"ours", Measure::bytes_per_s, true, 0.6, "floor"}}};
}

// --- cold ----------------------------------------------------------------------------------------------------------------

constexpr const char* cold_name = "/../cold";  // made by prepare, beside the contenders' own directories

Result<void> prepare_cold(const Setting& setting, const std::string& directory) {
    const std::string cold = directory + "/cold";
    std::filesystem::create_directories(cold);
    TRY_VOID(our_append(cold, {.level = Durability::memory}, setting.amount(2 * gib / 1024), 1024));
    return {};
}

std::vector<std::string> cold_files(const std::string& directory) {
    return segment_paths(directory + cold_name + "/ours/bench-0");
}

Result<Outcome> read_cold_all(const Setting& setting, const std::string& directory) {
    TRY(const auto ours,
        OurLog::open(directory + cold_name, {.level = Durability::memory, .options = {.threads = setting.threads}}));
    Outcome outcome;
    TRY(Reader reader, ours->topic().read());
    const Stopwatch watch;
    TRY_VOID(read_to_end(reader, false, outcome));
    watch.stop(outcome);
    TRY_VOID(ours->log().close());
    return outcome;
}

Workload read_cold() {
    const auto limit = [](size_t bytes, size_t in_flight) {
        return [=](const Setting&, const std::string& directory) {
            return floor_read(cold_files(directory), bytes, in_flight);
        };
    };
    return {"read_cold",
            "2 GiB of segments from the disk, O_DIRECT, nothing beside",
            {{"floor", limit(1u << 20, 4)}, {"floor_256k_one", limit(256u << 10, 1)}, {"ours", read_cold_all}},
            {{"ours", Measure::bytes_per_s, true, 0.7, "floor"}},
            prepare_cold};
}

// --- cold, beside the commits ----------------------------------------------------------------------------------------------

Result<Outcome> commits_and_reader(const Setting& setting, const std::string& directory, bool read) {
    const Source source(100);
    constexpr uint64_t per_second = 100'000;
    TRY(const auto ours,
        OurLog::open(directory, {.options = {.threads = setting.threads, .journal_bytes_max = 64u << 20}}));
    // In the same log, since it is one log's reads that must leave its commits alone.
    TRY(Topic cold, ours->log().create_topic("cold", {.configs = {{"flowstone.durability", "memory"}}}));
    const Source large(1024);
    for (uint64_t i = 0; i < setting.amount(2 * gib / 1024); ++i) {
        TRY_VOID(cold.append_async(large.record(i), {.partition = 0}));
    }
    TRY_VOID(ours->log().checkpoint());
    Outcome outcome;
    outcome.records = static_cast<uint64_t>(per_second * setting.seconds());
    outcome.bytes = outcome.records * 100;
    Outcome seen;
    std::atomic<bool> stop{false};
    const auto read_again = [&]() -> Result<void> {
        while (!stop) {
            TRY(Reader reader, cold.read());
            TRY_VOID(read_to_end(reader, false, seen, &stop));
        }
        return {};
    };
    Result<void> reading;
    Result<void> appending;
    const Stopwatch watch;
    {
        std::jthread other;
        if (read) {
            other = std::jthread([&] { reading = read_again(); });
        }
        appending = append_paced(ours->log(), ours->topic(), {watch.began_ns(), per_second}, outcome.records, source,
                                 true, outcome.latency_ns);
        stop = true;
    }
    TRY_VOID(appending);
    TRY_VOID(reading);
    TRY(outcome.hash, hash_of_end(ours->topic()));
    TRY_VOID(ours->close(outcome));
    watch.stop(outcome);
    outcome.value = static_cast<double>(seen.bytes) / (static_cast<double>(outcome.ns) / 1e9) / 1e6;
    return outcome;
}

Workload read_cold_beside_commits() {
    return {
        "read_cold_beside_commits",
        "100 k/s durable commits while another thread reads old segments; the value is the reader's MB/s",
        {{"undisturbed", [](const Setting& setting,
                            const std::string& directory) { return commits_and_reader(setting, directory, false); }},
         {"disturbed", [](const Setting& setting,
                          const std::string& directory) { return commits_and_reader(setting, directory, true); }}},
        {{"disturbed", Measure::p50, false, 1.2, "undisturbed"}}};
}

}  // namespace

std::vector<Workload> read_workloads() { return {read_tail(), read_cold(), read_cold_beside_commits()}; }

}  // namespace flowstone::bench
