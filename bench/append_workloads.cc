// Throughput: memory_append_100, encode_only_100, disk_bound_1k, partitions_10000_4k.
#include <algorithm>

#include "bench/floor.h"
#include "bench/ours.h"
#include "bench/peers.h"
#include "storage/batch.h"
#include "storage/check.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

constexpr uint64_t gib = 1ull << 30;

LogSetting memory_log(const Setting& setting) {
    return {.level = Durability::memory, .options = {.threads = setting.threads}};
}

Workload memory_append_100() {
    constexpr uint64_t full = 4 * gib / 100;
    const auto floor = [](FileKind kind) {
        return [kind](const Setting& setting, const std::string& directory) {
            return floor_append(directory, {.records = setting.amount(full), .kind = kind});
        };
    };
    return {"memory_append_100",
            "100 B, one thread, one partition, memory level, 4 GiB, write-back and close counted",
            {{"floor", floor(FileKind::fallocated)},
             {"floor_recycled", floor(FileKind::recycled)},
             {"floor_extending",
              [](const Setting& setting, const std::string& directory) {
                  return floor_append(directory,
                                      {.records = setting.amount(full), .kind = FileKind::extending, .in_flight = 1});
              }},
             {"ours",
              [](const Setting& setting, const std::string& directory) {
                  return our_append(directory, memory_log(setting), setting.amount(full), 100);
              }},
             {"ours_spans",
              [](const Setting& setting, const std::string& directory) {
                  return our_append(directory, memory_log(setting), setting.amount(full), 100, 100);
              }},
             {"ours_thread",
              [](const Setting& setting, const std::string& directory) {
                  LogSetting wanted = memory_log(setting);
                  wanted.options.threads = 1;
                  return our_append(directory, wanted, setting.amount(full), 100, 100);
              }},
             // An eighth of the records: rates are compared, and nobody waits a minute for them.
             {"rocksdb",
              [](const Setting& setting, const std::string& directory) {
                  return rocksdb_append(directory, {.records = setting.amount(full / 8), .records_each = 100});
              },
              true},
             {"lmdb",
              [](const Setting& setting, const std::string& directory) {
                  return lmdb_append(directory, {.records = setting.amount(full / 8), .records_each = 10'000});
              },
              true}},
            {{"ours", Measure::records_per_s, true, 0.6, "floor"},
             {"ours_spans", Measure::records_per_s, true, 0.6, "floor"},
             {"ours_thread", Measure::records_per_s, true, 0.6, "floor"},
             {"ours", Measure::records_per_s, true, 10, "rocksdb"},
             {"ours", Measure::records_per_s, true, 2, "lmdb"}}};
}

Workload encode_only_100() {
    constexpr uint64_t full = 100'000'000;
    return {"encode_only_100",
            "100 B: encode, batch, checksum, copy to the tail; no data is written",
            {{"floor",
              [](const Setting& setting, const std::string& directory) {
                  return floor_append(directory, {.records = setting.amount(full), .in_flight = 1, .write = false});
              }},
             {"ours",
              [](const Setting& setting, const std::string& directory) {
                  LogSetting wanted = memory_log(setting);
                  wanted.drop_data = true;
                  wanted.configs = {{"segment.bytes", "2147483647"}};
                  return our_append(directory, wanted, setting.amount(full), 100);
              }},
             {"ours_spans",
              [](const Setting& setting, const std::string& directory) {
                  LogSetting wanted = memory_log(setting);
                  wanted.drop_data = true;
                  wanted.configs = {{"segment.bytes", "2147483647"}};
                  return our_append(directory, wanted, setting.amount(full), 100, 100);
              }}},
            {{"ours", Measure::records_per_s, true, 30e6},
             {"ours", Measure::records_per_s, true, 0.6, "floor"},
             {"ours_spans", Measure::records_per_s, true, 30e6},
             {"ours_spans", Measure::records_per_s, true, 0.6, "floor"}}};
}

Workload disk_bound_1k() {
    constexpr uint64_t full = 13 * gib / 1024;  // three laps of the smallest ring by the direct path
    const auto limit = [](FileKind kind, bool durable, size_t in_flight) {
        return [=](const Setting& setting, const std::string& directory) {
            return floor_append(directory, {.records = setting.amount(full),
                                            .record_bytes = 1024,
                                            .kind = kind,
                                            .durable = durable,
                                            .in_flight = in_flight,
                                            .frame = false});
        };
    };
    const auto ours = [](Durability level, bool direct, uint64_t ring_bytes) {
        return [=](const Setting& setting, const std::string& directory) {
            return our_append(directory,
                              {.level = level,
                               .direct_path = direct,
                               .options = {.threads = setting.threads, .journal_bytes_max = ring_bytes}},
                              setting.amount(full), 1024);
        };
    };
    return {"disk_bound_1k",
            "1 KiB, one partition: memory level, durable by the direct path, durable by the journal alone",
            {{"floor_direct", limit(FileKind::fallocated, false, 4)},
             {"floor_dsync", limit(FileKind::fallocated, true, 1)},
             {"floor_dsync_extending", limit(FileKind::extending, true, 1)},
             {"floor_dsync_recycled", limit(FileKind::recycled, true, 1)},
             {"ours_memory", ours(Durability::memory, true, 128u << 20)},
             // A commit of 1 MiB leaves a block in the ring: the smallest ring, to come round at all.
             {"ours_direct", ours(Durability::durable, true, 16u << 20)},
             {"ours_journal", ours(Durability::durable, false, 128u << 20)}},
            {{"ours_memory", Measure::bytes_per_s, true, 0.7, "floor_direct"},
             {"ours_direct", Measure::bytes_per_s, true, 0.75, "floor_dsync"}}};
}

// Ready batches of 4 KiB, one record each, round-robin; 256 batches wait at a time.
Result<Outcome> our_batches(const std::string& directory, const Setting& setting, int32_t partitions,
                            uint64_t batches) {
    const Source source(4000);
    raise_descriptor_limit();
    // A ring of 1 GiB, as a broker's: with 10,000 partitions the ring, too, decides how large the writes to a segment are.
    // All files stay open, as a broker's and those of the floor do.
    TRY(const auto ours, OurLog::open(directory, {.partitions = partitions,
                                                  .direct_path = false,
                                                  .options = {.threads = setting.threads,
                                                              .journal_bytes_max = 1u << 30,
                                                              .dirty_bytes_max = 320u << 20,
                                                              .open_files_max = 12'000}}));
    Outcome outcome;
    outcome.records = batches;
    outcome.bytes = batches * source.record_bytes();
    std::vector<std::byte> space(8192);
    constexpr size_t waiting = 256;
    std::vector<Pending> window(waiting);
    // Files are made by the first append; like those of the floor they are there before the clock starts.
    for (int32_t partition = 0; partition < partitions; ++partition) {
        TRY_VOID(ours->topic().append_async(source.record(0), {.partition = partition}));
    }
    TRY_VOID(ours->log().checkpoint());
    const Stopwatch watch;
    for (uint64_t i = 0; i < batches; ++i) {
        BatchBuilder builder(space, {});
        CHECK(builder.append(source.record(i), fixed_time_ms));
        const BatchView batch = builder.close();
        outcome.hash = outcome.hash * 31 + batch.crc();
        if (i >= waiting) { TRY_VOID(ours->log().wait(window[i % waiting])); }
        TRY(window[i % waiting],
            ours->topic().append_batch(static_cast<int32_t>(i % static_cast<uint64_t>(partitions)), batch.bytes()));
    }
    TRY_VOID(ours->log().flush());
    TRY_VOID(ours->close(outcome));
    watch.stop(outcome);
    return outcome;
}

int32_t many(const Setting& setting) { return setting.size == Size::small ? 100 : 10'000; }

Workload partitions_10000_4k() {
    constexpr uint64_t full = 800'000;  // three laps of the ring
    return {
        "partitions_10000_4k",
        "4 KiB batches round-robin over 10,000 partitions, durable, direct path off, 320 MB dirty budget",
        {{"fdatasync",
          [](const Setting& setting, const std::string& directory) {
              return floor_many_files(directory, static_cast<uint32_t>(many(setting)), setting.amount(full / 16));
          }},
         {"ours_one",
          [](const Setting& setting, const std::string& directory) {
              return our_batches(directory, setting, 1, setting.amount(full));
          }},
         {"ours",
          [](const Setting& setting, const std::string& directory) {
              return our_batches(directory, setting, many(setting), setting.amount(full));
          }}},
        {{"ours", Measure::bytes_per_s, true, 0.5, "ours_one"}, {"ours", Measure::bytes_per_s, true, 4, "fdatasync"}}};
}

}  // namespace

std::vector<Workload> append_workloads() {
    return {memory_append_100(), encode_only_100(), disk_bound_1k(), partitions_10000_4k()};
}

}  // namespace flowstone::bench
