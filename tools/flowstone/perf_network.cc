// perf produce, consume, roundtrip: how fast brokers are, and the client that asks them.

#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include <flowstone/admin.h>
#include <flowstone/client.h>

#include "storage/limits.h"
#include "storage/try.h"
#include "tools/flowstone/client_settings.h"
#include "tools/flowstone/perf.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds poll_time = 100ms;  // also how long Ctrl-C may take
constexpr uint32_t stamp_bytes = 16;  // of a round trip's value: which run, and when it should have started

const std::vector<std::string> compressions = {"none", "gzip", "snappy", "lz4", "zstd"};

ProducerOptions producer_options(const PerfArguments& arguments) {
    ProducerOptions options;
    options.acks = arguments.acks == "all" ? Acks::all : arguments.acks == "1" ? Acks::leader : Acks::none;
    options.idempotent = arguments.idempotent && options.acks == Acks::all;
    const auto codec = std::ranges::find(compressions, arguments.compression) - compressions.begin();
    options.compression = static_cast<Compression>(codec);
    options.linger = std::chrono::milliseconds(arguments.linger_ms);
    options.batch_bytes_max = arguments.batch_bytes;
    options.delivery_timeout = 30s;
    options.buffer_bytes_max = std::max<size_t>(options.buffer_bytes_max, 2 * size_t{arguments.batch_bytes});
    return with_settings(arguments.settings, options);
}

ConsumerOptions consumer_options(const PerfArguments& arguments) {
    return with_settings(arguments.settings, ConsumerOptions{});
}

// The topic, made if it is not there; one with other partitions is not measured under a wrong name.
Result<void> make_topic(Client& client, const PerfArguments& arguments) {
    Admin admin = client.admin();
    NewTopic topic{.partitions = arguments.partitions, .exists_ok = true};
    if (!arguments.durability.empty()) { topic.configs = {{"flowstone.durability", arguments.durability}}; }
    TRY_VOID(admin.create_topic(arguments.topic, topic, broker_patience));
    TRY(const RemoteTopic there, admin.topic(arguments.topic, broker_patience));
    bool same = there.partitions.size() == static_cast<size_t>(arguments.partitions);
    if (!arguments.durability.empty()) {
        TRY(const auto configs, admin.configs(ConfigOwner::topic(arguments.topic), broker_patience));
        const auto level = std::ranges::find(configs, "flowstone.durability", &RemoteConfig::name);
        same = same && level != configs.end() && level->value == arguments.durability;
    }
    if (same) { return {}; }
    return fail(
        Code::exists, "perf",
        fmt::format("{} with other partitions or durability; delete it or choose another --topic", arguments.topic));
}

PerfReport report_of(const char* workload, const char* timed, const PerfArguments& arguments) {
    const ProducerOptions options = producer_options(arguments);
    const auto settings = [&arguments, options](JsonLine& line) {
        line.number("record_bytes", uint64_t{arguments.record_bytes})
            .number("batch_bytes", uint64_t{options.batch_bytes_max})
            .number("linger_ms", int64_t{options.linger.count()})
            .text("compression", compressions[static_cast<size_t>(options.compression)])
            .flag("idempotent", options.idempotent)
            .number("intended_records_per_s", arguments.rate);
    };
    return {.workload = workload,
            .timed = timed,
            .promise_kind = "acks",
            .promise = options.acks == Acks::all      ? "all"
                       : options.acks == Acks::leader ? "1"
                                                      : "0",
            .settings = settings,
            .partitions = arguments.partitions};
}

// --- produce -----------------------------------------------------------------------------------------------------------

// What the client's thread is told of one sender's records, for that thread to look at once all have been told.
struct Told {
    Measured measured{};
    std::atomic<uint64_t> count{0};

    void take(const Result<Position>& at, Course& course) {
        if (at) {
            ++measured.records;
        } else if (!measured.error) {
            measured.error = at.error();
            course.stop = true;
        }
        count.fetch_add(1, std::memory_order_release);
    }
    // Every record has its verdict within the delivery time-out.
    void await(Producer& producer, uint64_t sent) const {
        while (count.load(std::memory_order_acquire) < sent) {
            if (auto flushed = producer.flush(1s); !flushed && flushed.error().code != Code::timed_out) { return; }
        }
    }
};

void produce_part(Course& course, Producer& producer, ProducerTopic topic, uint32_t thread, Measured& measured) {
    const PerfArguments& arguments = course.arguments;
    const PerfValues values(arguments.record_bytes);
    const uint64_t share = course.share(thread);
    Told told;
    uint64_t sent = 0;
    std::optional<Error> error;
    for (; sent < share && !course.stopped(); ++sent) {
        struct {
            Told* told;
            int64_t start_ns;
        } const about{&told, course.await_start_ns(thread, sent, 1)};
        const auto taken = topic.send({.value = values.value(sent)}, [about, &course](const Result<Position>& at) {
            about.told->measured.took(course.clock.monotonic_ns() - about.start_ns);
            course.records.fetch_add(1, std::memory_order_relaxed);
            about.told->take(at, course);
        });
        if (!taken) {
            error = taken.error();
            course.stop = true;
            break;
        }
    }
    told.await(producer, sent);
    measured = std::move(told.measured);
    measured.bytes = measured.records * arguments.record_bytes;
    if (error) { measured.error = error; }
}

Exit produce(Client& client, const PerfArguments& arguments) {
    if (auto made = make_topic(client, arguments); !made) { return complain(made.error()); }
    auto producer = client.producer(producer_options(arguments));
    if (!producer) { return complain(producer.error()); }
    auto topic = producer->topic(arguments.topic, broker_patience);
    if (!topic) { return complain(topic.error()); }
    Course course{.clock = system_clock(), .arguments = arguments};
    const auto measured = run_parts(
        course, [&](uint32_t thread, Measured& mine) { produce_part(course, *producer, *topic, thread, mine); });
    if (!measured) { return complain(measured.error()); }
    return report(course, report_of("produce", "a record, from when it should have been sent", arguments), *measured);
}

// --- consume -----------------------------------------------------------------------------------------------------------

Result<void> consume_part(Course& course, Client& client, const std::vector<TopicPartition>& places,
                          const std::vector<PartitionOffsets>& ends, Measured& measured) {
    TRY(Consumer consumer, client.consumer(consumer_options(course.arguments)));
    TRY_VOID(consumer.assign(places));
    const auto at_end = [&] {
        for (size_t i = 0; i < places.size(); ++i) {
            const auto position = consumer.position(places[i]);
            const bool empty = ends[i].log_start == ends[i].high_watermark;
            if (!empty && (!position || *position < ends[i].high_watermark)) { return false; }
        }
        return true;
    };
    while (!course.stopped() && course.records < course.arguments.records && !at_end()) {
        const int64_t start_ns = course.clock.monotonic_ns();
        TRY(const ConsumedBatch batch, consumer.poll(poll_time));
        if (batch.empty()) { continue; }
        uint64_t count = 0;
        for (const RecordView& record : batch) {
            ++count;
            measured.bytes += record.key.value_or("").size() + record.value.value_or("").size();
        }
        measured.took(course.clock.monotonic_ns() - start_ns);
        measured.records += count;
        course.records += count;
    }
    return {};
}

Result<Exit> consume_all(Client& client, const PerfArguments& arguments) {
    Admin admin = client.admin();
    TRY(const RemoteTopic topic, admin.topic(arguments.topic, broker_patience));
    std::vector<TopicPartition> all;
    for (size_t i = 0; i < topic.partitions.size(); ++i) { all.push_back({topic.name, static_cast<int32_t>(i)}); }
    const auto told = visible_ends(admin, all, consumer_options(arguments).read_committed);
    std::vector<std::vector<TopicPartition>> places(arguments.threads);
    std::vector<std::vector<PartitionOffsets>> ends(arguments.threads);
    for (size_t i = 0; i < all.size(); ++i) {
        if (!told[i]) { return std::unexpected(told[i].error()); }
        places[i % arguments.threads].push_back(all[i]);
        ends[i % arguments.threads].push_back(*told[i]);
    }
    Course course{.clock = system_clock(), .arguments = arguments};
    TRY(const Measured measured, run_parts(course, [&](uint32_t thread, Measured& mine) {
            auto consumed = consume_part(course, client, places[thread], ends[thread], mine);
            if (consumed) { return; }
            mine.error = consumed.error();
            course.stop = true;
        }));
    return report(course,
                  {.workload = "consume",
                   .timed = "a batch",
                   .promise_kind = "isolation",
                   .promise = consumer_options(arguments).read_committed ? "read_committed" : "read_uncommitted",
                   .partitions = static_cast<int32_t>(all.size())},
                  measured);
}

Exit consume(Client& client, const PerfArguments& arguments) {
    auto exit = consume_all(client, arguments);
    return exit ? *exit : complain(exit.error());
}

// --- roundtrip ---------------------------------------------------------------------------------------------------------

void append_stamp(std::string& value, int64_t number) {
    char bytes[sizeof number];
    std::memcpy(bytes, &number, sizeof number);
    value.append(bytes, sizeof bytes);
}

int64_t stamp_at(std::string_view value, size_t at) {
    int64_t number = 0;
    std::memcpy(&number, value.data() + at, sizeof number);
    return number;
}

// Sends what is due, when it is due, until all are sent; why not all of them, or nothing.
std::optional<Error> send_stamped(Course& course, Producer& producer, ProducerTopic topic) {
    const PerfArguments& arguments = course.arguments;
    const PerfValues values(std::max(arguments.record_bytes, stamp_bytes) - stamp_bytes);
    Told told;
    std::optional<Error> error;
    std::string value;
    uint64_t sent = 0;
    for (; sent < arguments.records && !course.stopped(); ++sent) {
        const int64_t start_ns = course.await_start_ns(0, sent, 1);
        value.clear();
        append_stamp(value, course.began_ns);
        append_stamp(value, start_ns);
        value += values.value(sent);
        const auto taken = topic.send({.value = value}, [&](const Result<Position>& at) { told.take(at, course); });
        if (!taken) {
            error = taken.error();
            course.stop = true;
            break;
        }
    }
    told.await(producer, sent);
    return error ? error : told.measured.error;
}

Result<void> receive_stamped(Course& course, Consumer& consumer, Measured& measured) {
    while (!course.stopped() && measured.records < course.arguments.records) {
        TRY(const ConsumedBatch batch, consumer.poll(poll_time));
        const int64_t now = course.clock.monotonic_ns();
        for (const RecordView& record : batch) {
            const std::string_view value = record.value.value_or("");
            if (value.size() < stamp_bytes || stamp_at(value, 0) != course.began_ns) { continue; }  // another run's
            measured.took(now - stamp_at(value, sizeof(int64_t)));
            ++measured.records;
            measured.bytes += value.size();
            ++course.records;
        }
    }
    return {};
}

Result<Exit> round_trips(Client& client, const PerfArguments& arguments) {
    TRY_VOID(make_topic(client, arguments));
    TRY(Producer producer, client.producer(producer_options(arguments)));
    TRY(const ProducerTopic topic, producer.topic(arguments.topic, broker_patience));
    TRY(Consumer consumer, client.consumer(consumer_options(arguments)));
    std::vector<TopicPartition> places;
    for (int32_t i = 0; i < arguments.partitions; ++i) { places.push_back({arguments.topic, i}); }
    // Where they end before anything is sent.
    const auto ends = client.admin().offsets_at(places, From::end(), broker_patience);
    TRY_VOID(consumer.assign(places));
    for (size_t i = 0; i < places.size(); ++i) {
        if (!ends[i]) { return std::unexpected(ends[i].error()); }
        TRY_VOID(consumer.seek(places[i], *ends[i]));
    }

    Course course{.clock = system_clock(), .arguments = arguments};
    TRY(const Measured measured, run_parts(course, [&](uint32_t /*thread*/, Measured& mine) {
            std::optional<Error> not_sent;
            {
                const std::jthread sender([&] { not_sent = send_stamped(course, producer, topic); });
                if (auto received = receive_stamped(course, consumer, mine); !received) {
                    mine.error = received.error();
                    course.stop = true;
                }
            }
            if (!mine.error) { mine.error = not_sent; }
        }));
    return report(course,
                  report_of("roundtrip", "a record, from when it should have been sent to its reader", arguments),
                  measured);
}

Exit roundtrip(Client& client, const PerfArguments& arguments) {
    auto exit = round_trips(client, arguments);
    return exit ? *exit : complain(exit.error());
}

// --- commands ----------------------------------------------------------------------------------------------------------

void add_producer_options(CLI::App& command, PerfArguments& arguments) {
    command.add_option("--batch-bytes", arguments.batch_bytes, "Bytes of a batch at most (default 65536)")
        ->check(CLI::Range(128u, 64u << 20))
        ->type_name("BYTES");
    command
        .add_option("--linger", arguments.linger_ms,
                    fmt::format("Milliseconds that a batch waits for more (default {})", arguments.linger_ms))
        ->check(CLI::Range(0u, 60'000u))
        ->type_name("MS");
    command.add_option("--compression", arguments.compression, "Of batches (default none)")
        ->check(CLI::IsMember(compressions))
        ->option_text("none|gzip|snappy|lz4|zstd");
    command.add_option("--acks", arguments.acks, "Who has a record when it is acknowledged (default all)")
        ->check(CLI::IsMember({"all", "1", "0"}))
        ->option_text("all|1|0");
    command.add_flag("!--no-idempotence", arguments.idempotent,
                     "Without sequence numbers; so with acks other than all");
}

}  // namespace

void add_network_perf_commands(CLI::App& perf, Invocation& invocation) {
    const auto leaf = [&](const char* name, const char* summary, const std::vector<std::string>& examples,
                          Exit (*work)(Client&, const PerfArguments&)) {
        auto arguments = std::make_shared<PerfArguments>();  // owner: the callback
        CLI::App& command = add_command(perf, name, summary, examples);
        command.callback([&invocation, arguments, work] {
            invocation.run = [&invocation, arguments, work] {
                catch_interrupts();
                arguments->settings = invocation.settings;
                return with_endpoint(
                    invocation, Access::read,
                    [](Log&) { return complain("this is of brokers; of a directory: perf append, perf read"); },
                    [&](Client& client) { return work(client, *arguments); });
            };
        });
        return std::pair(&command, arguments);
    };
    const auto [produce_command, produce_arguments] =
        leaf("produce", "Send records to brokers; the topic stays for perf consume",
             {"flowstone -L 127.0.0.1:9092 perf produce --records 10000000 --size 100 --compression lz4",
              "flowstone -L 127.0.0.1:9092 perf produce --rate 10000 --acks 1 --json"},
             produce);
    produce_arguments->records = 1'000'000;
    add_perf_options(*produce_command, *produce_arguments);
    add_load_options(*produce_command, *produce_arguments);
    add_producer_options(*produce_command, *produce_arguments);

    const auto [consume_command, consume_arguments] =
        leaf("consume", "Fetch a topic from brokers, from the beginning",
             {"flowstone -L 127.0.0.1:9092 perf consume --topic payments --json"}, consume);
    consume_arguments->records = UINT64_MAX;
    add_perf_options(*consume_command, *consume_arguments);
    consume_command->add_option("--records", consume_arguments->records, "Stop after so many (default: all)")
        ->check(check_count)
        ->type_name("N");

    const auto [roundtrip_command, roundtrip_arguments] =
        leaf("roundtrip", "Send records and fetch them again: how long that takes",
             {"flowstone -L 127.0.0.1:9092 perf roundtrip --rate 1000 --records 10000"}, roundtrip);
    roundtrip_arguments->records = 10'000;
    roundtrip_arguments->rate = 1'000;
    roundtrip_arguments->linger_ms = 0;
    roundtrip_command->add_option("--topic", roundtrip_arguments->topic, "Which topic (default flowstone.perf)")
        ->type_name("NAME");
    roundtrip_command->add_flag("--json", roundtrip_arguments->json, "One JSON object");
    roundtrip_command->add_flag("-q,--quiet", roundtrip_arguments->quiet, "No progress");
    add_load_options(*roundtrip_command, *roundtrip_arguments);
    add_producer_options(*roundtrip_command, *roundtrip_arguments);
}

}  // namespace flowstone::tool
