// ingest: transactions from a file, CSV or one event a line, to transactions.raw.
#include <algorithm>
#include <fstream>
#include <memory>
#include <mutex>

#include <CLI/CLI.hpp>
#include <flowstone/admin.h>
#include <fmt/format.h>

#include "client/fintech/json.h"
#include "client/fintech/row_event.h"
#include "client/fintech/topics.h"
#include "storage/clock.h"
#include "storage/try.h"
#include "tools/flowstone-fintech/command_line.h"
#include "tools/flowstone/csv.h"
#include "tools/flowstone/lines.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/progress.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::fintech {
namespace {

struct IngestArguments {
    std::string file;
    std::vector<std::string> columns;
    std::vector<std::string> defaults;
    std::string source;
    uint64_t seed = 1;
    bool ndjson = false;
    int32_t partitions = partitions_default;
    bool quiet = false;
};

class FileSource : public tool::ByteSource {
public:
    explicit FileSource(std::ifstream file) : file_(std::move(file)) {}
    Result<size_t> read(std::span<char> into) override {
        if (tool::interrupted()) { return 0; }
        file_.read(into.data(), static_cast<std::streamsize>(into.size()));
        if (file_.bad()) { return fail(Code::io, "ingest.read"); }
        return static_cast<size_t>(file_.gcount());
    }

private:
    std::ifstream file_;
};

Result<std::unique_ptr<tool::ByteSource>> open_source(const std::string& file) {
    if (file == "-") { return std::make_unique<tool::StandardInput>(); }
    std::ifstream opened(file, std::ios::binary);
    if (!opened) { return fail(Code::not_found, "ingest", file); }
    return std::make_unique<FileSource>(std::move(opened));
}

// "FIELD=TEXT", each.
Result<std::map<std::string, std::string>> pairs(const std::vector<std::string>& texts) {
    std::map<std::string, std::string> out;
    for (const std::string& text : texts) {
        const size_t equals = text.find('=');
        if (equals == std::string::npos) {
            return fail(Code::invalid, "ingest", fmt::format("{} is no FIELD=TEXT", text));
        }
        out[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return out;
}

// Where events come from.
class Events {
public:
    virtual ~Events() = default;
    // The next one, valid until the next call; nothing at the end. No key: it names no account.
    virtual Result<std::optional<Record>> next() = 0;
    virtual uint64_t bytes_read() const = 0;
};

class CsvEvents : public Events {
public:
    static Result<std::unique_ptr<Events>> open(tool::ByteSource& source, const RowMapping& mapping) {
        std::unique_ptr<CsvEvents> events(new CsvEvents(source));
        TRY(const bool header, events->csv_.next());
        if (!header) { return fail(Code::invalid, "ingest", "the file has no header"); }
        std::vector<std::string> names;
        for (size_t column = 0; column < events->csv_.columns(); ++column) {
            names.emplace_back(events->csv_.field(column));
        }
        TRY(RowEvents rows, RowEvents::make(mapping, names));
        events->rows_ = std::move(rows);
        return events;
    }
    Result<std::optional<Record>> next() override {
        TRY(const bool more, csv_.next());
        if (!more) { return std::nullopt; }
        fields_.clear();
        for (size_t column = 0; column < csv_.columns(); ++column) { fields_.push_back(csv_.field(column)); }
        TRY(const RowEvent event, rows_->event(fields_, ++row_));
        return Record{.key = event.key, .value = event.value};
    }
    uint64_t bytes_read() const override { return csv_.bytes_read(); }

private:
    explicit CsvEvents(tool::ByteSource& source) : csv_(source) {}
    tool::CsvReader csv_;
    std::optional<RowEvents> rows_;
    std::vector<std::string_view> fields_;
    uint64_t row_ = 0;
};

// A line that is no event is sent all the same: validation says why it is none.
class LineEvents : public Events {
public:
    explicit LineEvents(tool::ByteSource& source) : lines_(source) {}
    Result<std::optional<Record>> next() override {
        TRY(const auto line, lines_.next());
        if (!line) { return std::nullopt; }
        Record record{.value = line};
        const auto json = reader_.read(*line);
        if (!json) { return record; }
        const Json account = (*json)["data"]["accountId"];
        if (account.is(JsonKind::string)) { record.key = account.text(); }
        return record;
    }
    uint64_t bytes_read() const override { return lines_.bytes_read(); }

private:
    tool::LineReader lines_;
    JsonReader reader_;
};

Result<std::unique_ptr<Events>> open_events(tool::ByteSource& source, const IngestArguments& arguments) {
    if (arguments.ndjson) { return std::make_unique<LineEvents>(source); }
    RowMapping mapping{.source = arguments.source, .seed = arguments.seed};
    TRY(mapping.columns, pairs(arguments.columns));
    TRY(mapping.defaults, pairs(arguments.defaults));
    return CsvEvents::open(source, mapping);
}

Result<uint64_t> send_all(Client& client, Events& events, const IngestArguments& arguments) {
    tool::Progress progress(system_clock(), arguments.quiet);
    TRY(Producer producer, client.producer());
    TRY(ProducerTopic topic, producer.topic(topics::raw));
    std::optional<Error> failed;  // of the first that was not taken
    std::mutex lock;              // guards it: callbacks are the client's
    uint64_t records = 0;
    while (true) {
        TRY(const auto event, events.next());
        if (!event) { break; }
        TRY_VOID(topic.send(*event, [&](const Result<Position>& at) {
            const std::lock_guard guard(lock);
            if (!at && !failed) { failed = at.error(); }
        }));
        ++records;
        progress.show({.records = records, .bytes = events.bytes_read()});
    }
    TRY_VOID(producer.flush());
    const std::lock_guard guard(lock);
    if (failed) { return std::unexpected(*failed); }
    return records;
}

Result<uint64_t> ingest(Client& client, const IngestArguments& arguments) {
    TRY(const auto source, open_source(arguments.file));
    TRY(const auto events, open_events(*source, arguments));
    Admin admin = client.admin();
    TRY_VOID(make_topics(admin, arguments.partitions));
    return send_all(client, *events, arguments);
}

}  // namespace

void add_ingest_command(CLI::App& app, Invocation& invocation) {
    auto arguments = std::make_shared<IngestArguments>();
    CLI::App& command = *app.add_subcommand(
        "ingest", "Take transactions in from a file; the same row is the same event, whenever it comes");
    command
        .add_option("FILE", arguments->file, "CSV with a header, or with --ndjson an event a line; -: standard input")
        ->required();
    command.add_flag("--ndjson", arguments->ndjson, "Every line is an event");
    command
        .add_option("--column", arguments->columns,
                    "FIELD=COLUMN: accountId, merchantId, amount, currency, timestamp, paymentMethod, billedAmount or "
                    "billedCurrency from this column")
        ->allow_extra_args(false);
    command.add_option("--default", arguments->defaults, "FIELD=TEXT where the column is empty, or there is none")
        ->allow_extra_args(false);
    command.add_option("--source", arguments->source, "Names the table in ids: lower-case letters and digits");
    command.add_option("--seed", arguments->seed, "Of times of day, where the table has dates alone")
        ->capture_default_str();
    command.add_option("--partitions", arguments->partitions, "Of topics that are made")
        ->check(CLI::Range(1, 1'000))
        ->capture_default_str();
    command.add_flag("--quiet", arguments->quiet, "No progress");
    command.callback([arguments, &invocation] {
        invocation.run = [arguments, &invocation] {
            tool::catch_interrupts();
            return with_client(invocation, [&](Client& client) {
                const auto records = ingest(client, *arguments);
                if (!records) { return say_error(records.error()); }
                tool::note(fmt::format("{} events in {}", tool::format_count(*records), topics::raw));
                return tool::interrupted() ? Exit::failed : Exit::done;
            });
        };
    });
}

}  // namespace flowstone::fintech
