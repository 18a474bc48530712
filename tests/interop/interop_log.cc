// The side of tests/interop/run that is ours: writes a log for Kafka to read, and prints what a log holds.
//
//   interop_log write DIR         topics of every codec, null keys and values, headers, idempotent batches, rolls; closed
//   interop_log print DIR         every record of every topic that is not internal, one line each, read-only
//   interop_log adopt DIR         opens what Kafka wrote for writing, appends one record to each topic, closes
//
// A line is "topic-partition offset timestamp key value name=value...", bytes as hexadecimal, "-" for none.
#include <flowstone/log.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using flowstone::Log;
using flowstone::Offset;
using flowstone::Record;
using flowstone::Topic;

namespace {

[[noreturn]] void stop(const flowstone::Error& error) {
    std::fprintf(stderr, "interop_log: %s\n", error.message().c_str());
    std::exit(1);
}

template <class T>
T must(flowstone::Result<T> result) {
    if (!result) { stop(result.error()); }
    if constexpr (!std::is_void_v<T>) { return std::move(*result); }
}

std::string hex(std::optional<std::string_view> bytes) {
    if (!bytes) { return "-"; }
    std::string out = "x";
    for (const char byte : *bytes) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
        out += two;
    }
    return out;
}

void print_partition(const Topic& topic, int32_t partition) {
    auto reader = must(topic.read({.partition = partition}));
    for (;;) {
        const auto batch = reader.next();
        if (!batch) { stop(batch.error()); }
        if (batch->empty()) { return; }
        for (const auto& record : *batch) {
            std::printf("%s-%d %lld %lld %s %s", topic.name().c_str(), partition,
                        static_cast<long long>(record.offset.value), static_cast<long long>(record.timestamp_ms),
                        hex(record.key).c_str(), hex(record.value).c_str());
            std::vector<flowstone::Header> headers(record.header_count());
            record.headers(headers);
            for (const auto& header : headers) {
                std::printf(" %s=%s", hex(header.name).c_str(), hex(header.value).c_str());
            }
            std::printf("\n");
        }
    }
}

void print(const std::string& path) {
    const Log log = must(Log::open(path, {.read_only = true}));
    for (const auto& info : log.topics()) {
        if (info.internal) { continue; }
        const Topic topic = must(log.topic(info.name));
        for (int32_t i = 0; i < info.partitions; ++i) { print_partition(topic, i); }
    }
}

void write_codec(Log& log, const std::string& codec) {
    Topic topic = must(log.create_topic(
        "ours-" + codec, {.partitions = 2, .configs = {{"compression.type", codec}, {"segment.bytes", "1048576"}}}));
    const std::string text(400, 'r');
    for (int i = 0; i < 6000; ++i) {
        const std::string key = "key-" + std::to_string(i);
        const std::string value = std::to_string(i) + text + std::to_string(i * 7919);
        const flowstone::Header headers[] = {{"source", "interop"}, {"empty", std::nullopt}};
        Record record{.key = key, .value = value};
        if (i % 5 == 0) { record.key = std::nullopt; }
        if (i % 7 == 0) { record.value = std::nullopt; }
        if (i % 3 == 0) { record.headers = headers; }
        record.timestamp_ms = 1'700'000'000'000 + i;
        must(topic.append_async(record, {.partition = i % 2}));
        if (i % 100 == 99) { must(log.flush()); }
    }
    const int64_t producer = must(log.new_producer_id());
    for (int32_t i = 0; i < 10; ++i) {
        const Record records[] = {{.key = "idempotent", .value = text}, {.key = "too", .value = "two"}};
        must(topic.append(records, {.partition = 1, .producer = {{producer, 0, 2 * i}}}));
    }
}

void write(const std::string& path) {
    Log log = must(Log::open(path));
    for (const char* codec : {"uncompressed", "gzip", "snappy", "lz4", "zstd"}) { write_codec(log, codec); }
    must(log.close());
    // A second life: its records begin a new leader epoch.
    Log again = must(Log::open(path));
    Topic topic = must(again.topic("ours-zstd"));
    for (int i = 0; i < 100; ++i) {
        must(topic.append({.key = "again", .value = "second life"}, {.partition = i % 2}));
    }
    must(again.close());
}

void adopt(const std::string& path) {
    Log log = must(Log::open(path, {.adopt = true}));
    for (const auto& info : log.topics()) {
        if (info.internal) { continue; }
        Topic topic = must(log.topic(info.name));
        must(topic.append({.key = "adopted", .value = "ours"}, {.partition = 0}));
    }
    must(log.close());
}

}  // namespace

int main(int count, char** arguments) {
    const std::string mode = count == 3 ? arguments[1] : "";
    if (mode == "write") {
        write(arguments[2]);
    } else if (mode == "print") {
        print(arguments[2]);
    } else if (mode == "adopt") {
        adopt(arguments[2]);
    } else {
        std::fprintf(stderr, "usage: interop_log write|print|adopt DIR\n");
        return 2;
    }
    return 0;
}
