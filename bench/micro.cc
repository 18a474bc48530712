// Micro-benchmarks: single functions of the storage room, one thread, everything in cache unless the size says otherwise.
//
//   encode/<bytes>         BatchBuilder::append of records of that many value bytes, and the close with its checksum
//   encode_bare/<bytes>    what a bare loop needs for the same bytes: the floor to judge encode by
//   encode_keyed           30-byte key, 70-byte value, varying
//   decode/<bytes>         RecordCursor over the same batches
//   crc32c, crc64, xxh3_64, xxh3_128/<bytes>
//   compress, decompress/<codec>/<bytes>   JSON-like events
//   murmur2/<bytes>
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "storage/batch.h"
#include "storage/checksum.h"
#include "storage/compression.h"

namespace flowstone {
namespace {

constexpr size_t batch_bytes = 64 * 1024;  // small enough for the first two caches

std::string noise(size_t size) {
    std::mt19937_64 random(size);
    std::string text(size, '\0');
    for (char& letter : text) { letter = static_cast<char>(random()); }
    return text;
}

std::string json_events(size_t size) {
    std::mt19937_64 random(11);
    std::string text;
    while (text.size() < size) {
        text += R"({"transactionId":")" + std::to_string(random()) + R"(","accountId":")" +
                std::to_string(random() % 5000) + R"(","amount":")" + std::to_string(random() % 100000) +
                R"(","merchant":"shop )" + std::to_string(random() % 300) + R"(","currency":"EUR"})";
    }
    text.resize(size);
    return text;
}

void per_record(benchmark::State& state, uint64_t records) {
    state.counters["records/s"] = benchmark::Counter(static_cast<double>(records), benchmark::Counter::kIsRate);
    state.counters["ns/record"] = benchmark::Counter(static_cast<double>(records) / 1e9,
                                                     benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void encode(benchmark::State& state) {
    const auto size = static_cast<size_t>(state.range(0));
    const std::string value = noise(size);
    std::vector<std::byte> space(batch_bytes);
    uint64_t records = 0;
    uint64_t bytes = 0;
    uint32_t work = 0;
    for (auto _ : state) {
        BatchBuilder builder(space, {});
        while (builder.append({.value = value}, 1'700'000'000'000 + builder.count() / 8)) {}
        records += builder.count();
        const BatchView batch = builder.close();
        bytes += batch.size();
        work ^= batch.crc();
    }
    benchmark::DoNotOptimize(work);
    per_record(state, records);
    state.SetBytesProcessed(static_cast<int64_t>(bytes));
}
BENCHMARK(encode)->Arg(100)->Arg(1024);

// The same bytes with everything known beforehand: eight bytes in front of each value, one behind, one checksum.
void encode_bare(benchmark::State& state) {
    const auto size = static_cast<size_t>(state.range(0));
    const std::string value = noise(size);
    std::vector<std::byte> space(batch_bytes);
    uint64_t records = 0;
    uint64_t bytes = 0;
    uint32_t work = 0;
    for (auto _ : state) {
        std::byte* to = space.data() + batch_header_bytes;
        const std::byte* end = space.data() + space.size() - 16;
        uint64_t count = 0;
        while (to + size < end) {
            store_le<uint64_t>(to, count++);
            std::memcpy(to + 8, value.data(), size);
            to += 8 + size;
            *to++ = std::byte{0};
        }
        records += count;
        const Bytes batch(space.data(), static_cast<size_t>(to - space.data()));
        bytes += batch.size();
        work ^= crc32c(batch.subspan(batch_crc_begin));
    }
    benchmark::DoNotOptimize(work);
    per_record(state, records);
    state.SetBytesProcessed(static_cast<int64_t>(bytes));
}
BENCHMARK(encode_bare)->Arg(100)->Arg(1024);

// Sizes that vary, as real ones do: the branch predictor cannot learn them.
void encode_keyed(benchmark::State& state) {
    const std::string text = noise(200);
    std::mt19937_64 random(1);
    std::vector<Record> samples(4096);
    for (Record& sample : samples) {
        sample.key = std::string_view(text).substr(0, 20 + random() % 20);
        sample.value = std::string_view(text).substr(0, 40 + random() % 60);
    }
    std::vector<std::byte> space(batch_bytes);
    uint64_t records = 0;
    uint64_t next = 0;
    uint32_t work = 0;
    for (auto _ : state) {
        BatchBuilder builder(space, {});
        while (builder.append(samples[next % samples.size()], 1'700'000'000'000)) { ++next; }
        records += builder.count();
        work ^= builder.close().crc();
    }
    benchmark::DoNotOptimize(work);
    per_record(state, records);
}
BENCHMARK(encode_keyed);

void decode(benchmark::State& state) {
    const std::string value = noise(static_cast<size_t>(state.range(0)));
    std::vector<std::byte> space(batch_bytes), scratch;
    BatchBuilder builder(space, {});
    while (builder.append({.key = "key", .value = value}, 1'700'000'000'000)) {}
    const BatchView batch = builder.close();
    uint64_t records = 0;
    uint64_t work = 0;
    for (auto _ : state) {
        auto cursor = RecordCursor::open(batch, scratch);
        for (auto record = cursor->next(); record && *record; record = cursor->next()) {
            work += (*record)->value->size() + static_cast<uint64_t>((*record)->offset.value);
            ++records;
        }
    }
    benchmark::DoNotOptimize(work);
    per_record(state, records);
}
BENCHMARK(decode)->Arg(100)->Arg(1024);

template <class Hash>
void hash_bytes(benchmark::State& state, Hash hash) {
    const std::string text = noise(static_cast<size_t>(state.range(0)));
    for (auto _ : state) { benchmark::DoNotOptimize(hash(as_bytes(text))); }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
void sizes(benchmark::internal::Benchmark* benchmark) {
    for (const int64_t size : {64, 256, 511, 512, 1024, 4096, 65'536, 1 << 20}) { benchmark->Arg(size); }
}
BENCHMARK_CAPTURE(hash_bytes, crc32c, [](Bytes bytes) { return crc32c(bytes); })->Apply(sizes);
BENCHMARK_CAPTURE(hash_bytes, crc64, [](Bytes bytes) { return crc64(bytes, 0); })->Apply(sizes);
BENCHMARK_CAPTURE(hash_bytes, xxh3_64, [](Bytes bytes) { return xxh3_64(bytes); })->Apply(sizes);
BENCHMARK_CAPTURE(hash_bytes, xxh3_128, [](Bytes bytes) { return xxh3_128(bytes, 0); })->Apply(sizes);
BENCHMARK_CAPTURE(hash_bytes, murmur2, [](Bytes bytes) { return murmur2(bytes); })->Arg(16)->Arg(64);

void compress_events(benchmark::State& state, Codec codec) {
    const std::string text = json_events(static_cast<size_t>(state.range(0)));
    std::vector<std::byte> out;
    for (auto _ : state) {
        out.clear();
        benchmark::DoNotOptimize(compress(codec, as_bytes(text), out));
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
    state.counters["ratio"] = static_cast<double>(text.size()) / static_cast<double>(out.size());
}

void decompress_events(benchmark::State& state, Codec codec) {
    const std::string text = json_events(static_cast<size_t>(state.range(0)));
    std::vector<std::byte> packed, out;
    benchmark::DoNotOptimize(compress(codec, as_bytes(text), packed));
    for (auto _ : state) { benchmark::DoNotOptimize(decompress(codec, packed, text.size(), out)); }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

void batches(benchmark::internal::Benchmark* benchmark) { benchmark->Arg(4096)->Arg(65'536)->Arg(1 << 20); }
BENCHMARK_CAPTURE(compress_events, gzip, Codec::gzip)->Apply(batches);
BENCHMARK_CAPTURE(compress_events, snappy, Codec::snappy)->Apply(batches);
BENCHMARK_CAPTURE(compress_events, lz4, Codec::lz4)->Apply(batches);
BENCHMARK_CAPTURE(compress_events, zstd, Codec::zstd)->Apply(batches);
BENCHMARK_CAPTURE(decompress_events, gzip, Codec::gzip)->Apply(batches);
BENCHMARK_CAPTURE(decompress_events, snappy, Codec::snappy)->Apply(batches);
BENCHMARK_CAPTURE(decompress_events, lz4, Codec::lz4)->Apply(batches);
BENCHMARK_CAPTURE(decompress_events, zstd, Codec::zstd)->Apply(batches);

}  // namespace
}  // namespace flowstone

BENCHMARK_MAIN();
