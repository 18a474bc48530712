// The library's side of the comparison with tests/oracle/flowstone_oracle.py.
//
//   oracle_peer read DIRECTORY             what the library reads, as the lines that flowstone_oracle.py prints
//   oracle_peer beside DIRECTORY           the same, opened for reading only
//   oracle_peer load DIRECTORY SEED        appends of all kinds until somebody kills it; prints a line for each round
//   oracle_peer work DIRECTORY SEED        some rounds, and a clean close
//   oracle_peer crash DIRECTORY SEED N     the same rounds on the simulated disk; N crashed states in DIRECTORY/0, 1, ...
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "log/environment.h"
#include "storage/clock.h"
#include "storage/disk.h"
#include "storage/random.h"
#include "storage/sha256.h"
#include "tests/sim/world/copy_out.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {
namespace {

[[noreturn]] void give_up(const Error& error) {
    fmt::print(std::cerr, "{}\n", error.message());
    std::exit(2);
}

template <class T>
T must(Result<T> result) {
    if (!result) { give_up(result.error()); }
    if constexpr (!std::is_void_v<T>) { return std::move(*result); }
}

// Reading ------------------------------------------------------------------------------------------------------------

std::string base64(std::span<const std::byte> bytes) {
    static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (size_t at = 0; at < bytes.size(); at += 3) {
        const size_t left = std::min<size_t>(3, bytes.size() - at);
        uint32_t word = 0;
        for (size_t i = 0; i < 3; ++i) { word = word << 8 | (i < left ? std::to_integer<uint32_t>(bytes[at + i]) : 0); }
        for (size_t i = 0; i < 4; ++i) { text += i <= left ? digits[word >> (18 - 6 * i) & 63] : '='; }
    }
    return text;
}

std::string encoded(std::optional<std::string_view> value) {
    return value ? fmt::format("\"{}\"", base64(std::as_bytes(std::span(*value)))) : "null";
}

std::string line(const std::string& topic, int32_t partition, const RecordView& record) {
    std::vector<Header> found(record.header_count());
    record.headers(found);
    std::string headers;
    for (const auto& header : found) {
        headers += fmt::format("{}[{},{}]", headers.empty() ? "" : ",", encoded(header.name), encoded(header.value));
    }
    return fmt::format(
        R"({{"topic":"{}","partition":{},"offset":{},"timestamp":{},"key":{},"value":{},"headers":[{}]}})", topic,
        partition, record.offset.value, record.timestamp_ms, encoded(record.key), encoded(record.value), headers);
}

// The codecs that Python's library has; of batches in another one the oracle compares the bytes.
bool plain(std::span<const std::byte> batch) { return std::to_integer<int>(batch[22] & std::byte{7}) <= 1; }

void read_partition(const Topic& topic, int32_t partition) {
    const auto info = must(topic.partition(partition));
    auto reader = must(topic.read({.partition = partition}));
    uint64_t batches = 0;
    uint64_t records = 0;
    uint64_t opaque = 0;
    Sha256Stream sum;
    std::vector<std::string> lines;
    while (true) {
        const auto batch = reader.next();
        if (!batch) { give_up(batch.error()); }
        if (batch->empty()) { break; }
        ++batches;
        sum.update(batch->bytes());
        if (!plain(batch->bytes())) {
            uint32_t count = 0;
            for (size_t i = 0; i < 4; ++i) { count = count << 8 | std::to_integer<uint32_t>(batch->bytes()[57 + i]); }
            opaque += count;
            continue;
        }
        for (const auto& record : *batch) {
            ++records;
            lines.push_back(line(topic.name(), partition, record));
        }
    }
    fmt::print(
        R"({{"topic":"{}","partition":{},"start":{},"end":{},"batches":{},"records":{},"opaque":{},"sha256":"{}"}})"
        "\n",
        topic.name(), partition, info.log_start.value, info.high_watermark.value, batches, records, opaque,
        to_hex(sum.finish()));
    for (const auto& each : lines) { fmt::print("{}\n", each); }
}

void read_all(const std::string& directory, bool beside) {
    Log log = must(Log::open(directory, {.read_only = beside, .create = false}));
    auto topics = log.topics();
    std::ranges::sort(topics, {}, &TopicInfo::name);
    for (const auto& info : topics) {
        const Topic topic = must(log.topic(info.name));
        for (int32_t partition = 0; partition < info.partitions; ++partition) { read_partition(topic, partition); }
    }
}

// Writing ------------------------------------------------------------------------------------------------------------

class Work {
public:
    Work(Log& log, uint64_t seed) : log_(log), random_(seed) {
        const ConfigMap small = {{"internal.segment.bytes", "65536"}};
        add("durable", 3, small);
        add("gzip", 1, {{"internal.segment.bytes", "65536"}, {"compression.type", "gzip"}});
        add("zstd", 1, {{"compression.type", "zstd"}});
        add("written", 2, {{"internal.segment.bytes", "65536"}, {"flowstone.durability", "written"}});
        add("memory", 1, {{"internal.segment.bytes", "65536"}, {"flowstone.durability", "memory"}});
    }

    void round() {
        const auto& topic = topics_[number(topics_.size())];
        const auto partition = static_cast<int32_t>(number(static_cast<uint64_t>(topic.partitions())));
        switch (number(16)) {
            case 0: (void)must(topic_append(topic, partition, 1, 30'000 + number(120'000))); break;
            case 1: must(log_.checkpoint()); break;
            case 2: trim(topics_[number(3)], 0); break;  // the durable ones
            case 3: must(log_.maintain()); break;
            case 4: must(log_.commit_offsets("group", offsets(topic.name(), partition))); break;
            case 5: together(); break;
            case 6: replace(); break;
            case 7: must(log_.flush()); break;
            default: (void)must(topic_append(topic, partition, 1 + number(20), number(3'000))); break;
        }
    }

private:
    uint64_t number(uint64_t below) { return random_.below(below); }
    void add(const std::string& name, int32_t partitions, ConfigMap configs) {
        topics_.push_back(must(
            log_.create_topic(name, {.partitions = partitions, .configs = std::move(configs), .exists_ok = true})));
    }
    std::vector<GroupOffset> offsets(const std::string& topic, int32_t partition) {
        return {{.topic = topic, .partition = partition, .offset = Offset{static_cast<int64_t>(number(100))}}};
    }
    std::vector<Record> records(uint64_t count, uint64_t bytes) {
        value_.assign(bytes, 'v');
        for (auto& each : value_) { each = static_cast<char>('a' + number(26)); }
        return std::vector<Record>(count, {.key = keys_[number(3)], .value = value_, .headers = headers_});
    }
    Result<std::vector<Position>> topic_append(Topic topic, int32_t partition, uint64_t count, uint64_t bytes) {
        const auto made = records(count, bytes);
        return topic.append(made, {.partition = partition});
    }
    void trim(Topic topic, int32_t partition) {
        const auto info = must(topic.partition(partition));
        const auto span = static_cast<uint64_t>(info.high_watermark.value - info.log_start.value);
        (void)must(topic.delete_records(partition, info.log_start + static_cast<uint32_t>(number(span + 1))));
    }
    void together() {
        const auto made = records(3, number(500));
        const std::vector<AtomicPart> parts = {{.topic = topics_[0], .partition = 0, .records = made},
                                               {.topic = topics_[0], .partition = 2, .records = made}};
        must(log_.wait(must(log_.append_atomic(parts, "group", offsets("durable", 0)))));
    }
    void replace() {
        (void)log_.delete_topic("replaced");
        Topic topic = must(log_.create_topic("replaced", {.partitions = 1}));
        (void)must(topic_append(topic, 0, 5, number(4'000)));
    }

    Log& log_;
    SimRandom random_;
    std::vector<Topic> topics_;
    std::string value_;
    std::vector<std::optional<std::string_view>> keys_ = {std::nullopt, "", "a key"};
    std::vector<Header> headers_ = {{.name = "source", .value = "pos"}, {.name = "none", .value = std::nullopt}};
};

constexpr uint32_t rounds = 60;

void load(const std::string& directory, uint64_t seed, bool for_ever) {
    Log log = must(Log::open(directory));
    Work work(log, seed);
    for (uint32_t round = 0; for_ever || round < rounds; ++round) {
        work.round();
        fmt::print("{}\n", round);
        std::fflush(stdout);
    }
    must(log.close());
}

void crash(const std::string& directory, uint64_t seed, uint64_t count) {
    SimDisk disk({.record = true});
    SimClock clock;
    SimRandom random(seed);
    {
        Log log = must(open_log({&disk, &clock, &random}, "data", {.journal_bytes_max = 16u << 20},
                                {.direct_bytes_min = 16u << 10}));
        Work work(log, seed);
        for (uint32_t round = 0; round < rounds; ++round) { work.round(); }
    }
    uint64_t written = 0;
    for (const CrashPoint& point : disk.sample_crashes(count, seed, disk.operations() / 10)) {
        const auto state = disk.crash_state(point);
        const auto to = std::filesystem::path(directory) / fmt::format("{}", written++);
        must(copy_out(*state, "data", to));
        fmt::print("{} {}\n", to.string(), point.to_string());
    }
}

}  // namespace
}  // namespace flowstone

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const auto is = [&](std::string_view command, size_t count) {
        return arguments.size() == count && arguments[0] == command;
    };
    const auto number = [&](size_t at) { return std::strtoull(arguments[at].c_str(), nullptr, 10); };
    if (is("read", 2) || is("beside", 2)) {
        flowstone::read_all(arguments[1], arguments[0] == "beside");
    } else if (is("load", 3) || is("work", 3)) {
        flowstone::load(arguments[1], number(2), arguments[0] == "load");
    } else if (is("crash", 4)) {
        flowstone::crash(arguments[1], number(2), number(3));
    } else {
        return 1;
    }
    return 0;
}
