// produce: lines or rows from standard input become records.

#include <algorithm>
#include <fstream>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "storage/try.h"
#include "tools/flowstone/appender.h"
#include "tools/flowstone/client_settings.h"
#include "tools/flowstone/command_line.h"
#include "tools/flowstone/events.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/progress.h"
#include "tools/flowstone/resume.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

struct ProduceArguments {
    std::string topic;
    EventOptions events;
    std::vector<std::string> headers;
    std::string compression;
    std::optional<int32_t> partition;
    bool resume = false;
    std::string progress_file;
    std::vector<std::string> settings;  // -X
    bool quiet = false;
};

// One run of the command. Acknowledged rows are written to the progress file as they become so.
class Production {
public:
    // `rows_present` with --resume: by partition; rows up to it are in the log already.
    Production(std::unique_ptr<Appender> appender, int32_t partitions, std::vector<uint64_t> rows_present,
               const ProduceArguments& arguments, Clock& clock)
        : partitions_(partitions),
          arguments_(arguments),
          progress_(clock, arguments.quiet),
          appender_(std::move(appender)),
          rows_present_(std::move(rows_present)) {}

    // Also when a line is bad, everything before it is acknowledged when this returns.
    Result<void> run() {
        TRY_VOID(prepare());
        auto appended = append_all();
        auto settled = settle();
        return appended ? settled : appended;
    }

    void end_progress() { progress_.clear(); }
    uint64_t acknowledged() const { return appender_->acknowledged(); }
    uint64_t skipped() const { return skipped_; }
    uint64_t bytes() const { return bytes_; }

private:
    Result<void> prepare() {
        TRY(pairs_, parse_pairs(arguments_.headers));
        for (const auto& [name, value] : pairs_) { headers_.push_back({.name = name, .value = value}); }
        if (arguments_.progress_file.empty()) { return {}; }
        file_.open(arguments_.progress_file, std::ios::app);
        if (!file_) { return fail(Code::io, "progress_file.open", arguments_.progress_file); }
        return {};
    }

    Result<void> append_all() {
        StandardInput input;
        // What has been read is made durable before the tool waits for more.
        input.before_wait = [this] { return settle(); };
        TRY(const auto events, make_event_source(input, arguments_.events));
        const auto input_bytes = StandardInput::size();
        while (!interrupted()) {
            TRY(const auto event, events->next());
            if (!event) { break; }
            TRY_VOID(append(*event));
            progress_.show(
                {.records = added_, .bytes = bytes_, .work_done = events->bytes_read(), .work_total = input_bytes});
        }
        return {};
    }

    bool present(const Event& event) const {
        const int32_t partition = arguments_.partition
                                      ? *arguments_.partition
                                      : partition_for_key(as_bytes(event.key.value_or("")), partitions_);
        return event.row <= rows_present_[static_cast<size_t>(partition)];
    }

    Result<void> append(const Event& event) {
        if (arguments_.resume && present(event)) {
            ++skipped_;
            return {};
        }
        const Record record{.key = event.key, .value = event.value, .headers = headers_};
        TRY_VOID(appender_->add(record, arguments_.partition));
        ++added_;
        bytes_ += event.value.size();
        added_rows_.push_back(event.row);
        return note_acknowledged();
    }

    Result<void> settle() {
        TRY_VOID(appender_->settle());
        return note_acknowledged();
    }

    // All rows up to the number written are in the log, those that were skipped included.
    Result<void> note_acknowledged() {
        const uint64_t acknowledged = appender_->acknowledged();
        if (acknowledged == noted_) { return {}; }
        const uint64_t row = added_rows_[acknowledged - noted_ - 1];
        added_rows_.erase(added_rows_.begin(), added_rows_.begin() + static_cast<ptrdiff_t>(acknowledged - noted_));
        noted_ = acknowledged;
        if (!file_.is_open()) { return {}; }
        file_ << row << std::endl;  // flushed: the next moment may be the last
        if (!file_) { return fail(Code::io, "progress_file.write", arguments_.progress_file); }
        return {};
    }

    int32_t partitions_;
    const ProduceArguments& arguments_;
    Progress progress_;
    std::unique_ptr<Appender> appender_;
    ConfigMap pairs_;
    std::vector<Header> headers_;  // views into pairs_
    std::vector<uint64_t> rows_present_;
    std::vector<uint64_t> added_rows_;  // not yet acknowledged, bounded by what the appender has under way
    std::ofstream file_;
    uint64_t added_ = 0;
    uint64_t noted_ = 0;
    uint64_t skipped_ = 0;
    uint64_t bytes_ = 0;
};

std::string summary(const Production& production, int64_t elapsed_ns) {
    const double seconds = static_cast<double>(elapsed_ns) / 1e9;
    const auto rate = static_cast<uint64_t>(static_cast<double>(production.acknowledged()) / std::max(seconds, 1e-9));
    std::string text = fmt::format("{} records, {} in {:.2f} s: {} records/s", format_count(production.acknowledged()),
                                   format_bytes(production.bytes()), seconds, format_count(rate));
    if (production.skipped() > 0) {
        text += fmt::format("; {} were there already", format_count(production.skipped()));
    }
    return text;
}

// What cannot be right whatever the log holds.
Result<void> check(const ProduceArguments& arguments) {
    StandardInput unread;
    TRY(const auto events, make_event_source(unread, arguments.events));
    TRY(const auto headers, parse_pairs(arguments.headers));
    if (!arguments.resume) { return {}; }
    if (!arguments.events.row_field) { return fail(Code::invalid, "produce", "--resume needs --csv-row-number"); }
    if (!arguments.partition && !arguments.events.key_field) {
        return fail(Code::invalid, "produce",
                    "--resume needs --key-field or --partition: else a row's place is not known");
    }
    return {};
}

Exit produce_to(std::unique_ptr<Appender> appender, int32_t partitions, std::vector<uint64_t> rows_present,
                const ProduceArguments& arguments) {
    Clock& clock = system_clock();
    const int64_t began_ns = clock.monotonic_ns();
    Production production(std::move(appender), partitions, std::move(rows_present), arguments, clock);
    auto produced = production.run();
    production.end_progress();
    if (!produced || interrupted()) {
        const std::string reason = produced ? "interrupted." : produced.error().message();
        return complain(fmt::format("{} {} records were appended", reason, format_count(production.acknowledged())));
    }
    if (!arguments.quiet) { note(summary(production, clock.monotonic_ns() - began_ns)); }
    return Exit::done;
}

Exit produce(Log& log, const ProduceArguments& arguments) {
    auto topic = log.topic(arguments.topic);
    if (!topic) { return complain(topic.error()); }
    auto partitions = partitions_of(topic->name(), topic->partitions(), arguments.partition);
    if (!partitions) { return complain(partitions.error()); }
    std::vector<uint64_t> rows_present;
    if (arguments.resume) {
        auto rows = last_rows(*topic, *arguments.events.row_field);
        if (!rows) { return complain(rows.error()); }
        rows_present = std::move(*rows);
    }
    const auto codec = parse_codec(arguments.compression).value_or(Codec::none);
    auto appender = codec == Codec::none ? make_appender(log, *topic)
                                         : make_compressing_appender(log, *topic, codec, system_clock());
    return produce_to(std::move(appender), topic->partitions(), std::move(rows_present), arguments);
}

Exit produce_remotely(Client& client, const ProduceArguments& arguments) {
    if (arguments.resume) { return complain("--resume is not served over the network yet; use dir:PATH"); }
    const auto codec = parse_codec(arguments.compression).value_or(Codec::none);
    const ProducerOptions options{.compression = static_cast<Compression>(codec)};
    auto producer = client.producer(with_settings(arguments.settings, options));
    if (!producer) { return complain(producer.error()); }
    auto topic = producer->topic(arguments.topic, broker_patience);
    if (!topic) { return complain(topic.error()); }
    auto partitions = partitions_of(topic->name(), topic->partitions(), arguments.partition);
    if (!partitions) { return complain(partitions.error()); }
    return produce_to(make_network_appender(*producer, *topic), topic->partitions(), {}, arguments);
}

}  // namespace

void add_produce_command(CLI::App& app, Invocation& invocation) {
    auto arguments = std::make_shared<ProduceArguments>();  // owner: the callback
    CLI::App& command = add_command(
        app, "produce", "Append a record for each line of standard input, or for each row of a CSV",
        {"flowstone produce payments --key-field /data/accountId < events.jsonl",
         "echo 'card-1:{\"amount\":\"1.00\"}' | flowstone produce payments --key-separator :",
         "flowstone produce payments --csv --key-field /card --compression zstd < payments.csv",
         "flowstone produce payments --csv --key-field /card --csv-row-number row --resume < payments.csv"});
    command.add_option("TOPIC", arguments->topic)->required();
    command
        .add_option("--key-field", arguments->events.key_field, "The key is this field of the value: a JSON pointer")
        ->type_name("POINTER");
    command
        .add_option("--key-separator", arguments->events.key_separator, "The key is what stands before it in the line")
        ->type_name("S");
    command.add_option("--header", arguments->headers, "Put beside every record, may be repeated")
        ->allow_extra_args(false)
        ->type_name("NAME=VALUE");
    command.add_option("--partition", arguments->partition, "Append to this one (default: by key, else any)")
        ->check(check_count)
        ->type_name("P");
    command.add_option("--compression", arguments->compression, "Compress batches before they are appended")
        ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}))
        ->option_text("none|gzip|snappy|lz4|zstd");
    command.add_flag("--csv", arguments->events.csv,
                     "Rows become JSON objects of strings, exactly as written; the first line has the names");
    command
        .add_option("--csv-row-number", arguments->events.row_field,
                    "Give each row its number, from 1, under this name")
        ->type_name("NAME");
    command.add_flag("--resume", arguments->resume,
                     "Leave out rows that are in the topic already, by their numbers; for a load that was cut off");
    command
        .add_option("--progress-file", arguments->progress_file,
                    "Append the number of the last acknowledged line or row to this file as it moves")
        ->type_name("PATH");
    command.add_flag("-q,--quiet", arguments->quiet, "No count and rate at the end, no progress");
    command.callback([&invocation, arguments] {
        invocation.run = [&invocation, arguments] {
            if (auto right = check(*arguments); !right) { return complain(right.error()); }
            catch_interrupts();
            arguments->settings = invocation.settings;
            return with_endpoint(
                invocation, Access::write, [&](Log& log) { return produce(log, *arguments); },
                [&](Client& client) { return produce_remotely(client, *arguments); });
        };
    });
}

}  // namespace flowstone::tool
