// run: stages, in this process, until they are stopped or everything is done.
#include <fstream>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <flowstone/admin.h>
#include <fmt/format.h>

#include "client/fintech/pipeline.h"
#include "client/fintech/topics.h"
#include "storage/clock.h"
#include "storage/try.h"
#include "tools/flowstone-fintech/command_line.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::fintech {
namespace {

constexpr int64_t look_ns = 100'000'000;
constexpr const char* holder = "holder";  // of the log: there is one at a time
constexpr size_t file_bytes_max = 256u << 20;

struct RunArguments {
    std::vector<std::string> stages = Pipeline::stage_names();
    std::vector<std::string> fees;
    std::string rates;
    std::string reporting = "EUR";
    std::string instance;
    int32_t partitions = partitions_default;
    bool drain = false;
};

Result<std::vector<Fee>> parse_fees(const std::vector<std::string>& texts) {
    std::vector<Fee> fees;
    for (const std::string& text : texts) {
        const size_t equals = text.find('=');
        const auto rate = Decimal::parse(equals == std::string::npos ? "" : std::string_view(text).substr(equals + 1));
        if (equals == 0 || !rate || rate->digits < 0 || compare(*rate, {1, 0}) > 0) {
            return fail(Code::invalid, "run", fmt::format("--fee {} is no NAME=RATE with a rate from 0 to 1", text));
        }
        fees.push_back({.name = text.substr(0, equals), .rate = *rate});
    }
    return fees;
}

Result<std::string> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) { return fail(Code::not_found, "run", path); }
    std::string text;
    char piece[64 * 1024];
    while (file.read(piece, sizeof piece), file.gcount() > 0) {
        text.append(piece, static_cast<size_t>(file.gcount()));
        if (text.size() > file_bytes_max) { return fail(Code::too_large, "run", path); }
    }
    return text;
}

Result<void> wait(Pipeline& pipeline, bool drain) {
    while (!tool::interrupted() && !pipeline.ended()) {
        if (drain) {
            const auto drained = pipeline.drained();
            if (drained && *drained) { break; }
            if (!drained && advice(drained.error()) != Advice::retry) { return std::unexpected(drained.error()); }
        }
        tool::sleep_ns(look_ns);
    }
    return {};
}

Result<void> run(Client& client, const RunArguments& arguments) {
    TRY(std::vector<Fee> fees, parse_fees(arguments.fees));
    Schemas schemas;
    for (const SchemaText& schema : built_in_schemas()) {
        TRY_VOID(schemas.add(std::string(schema.name), schema.text));
    }
    std::optional<ReferenceRates> rates;
    if (!arguments.rates.empty()) {
        TRY(const std::string text, read_file(arguments.rates));
        TRY(rates, ReferenceRates::parse(text));
    }
    const auto reporting = Currency::find(arguments.reporting);
    if (!reporting) {
        return fail(Code::invalid, "run", fmt::format("--reporting {} is no currency", arguments.reporting));
    }
    Admin admin = client.admin();
    TRY_VOID(make_topics(admin, arguments.partitions));
    TRY(const auto pipeline,
        Pipeline::open(
            client, schemas, system_clock(),
            {.stages = arguments.stages,
             .instance = !arguments.instance.empty() || client.log() == nullptr ? arguments.instance : holder,
             .fees = std::move(fees),
             .rates = rates ? &*rates : nullptr,
             .reporting = *reporting}));
    if (tool::print(fmt::format("running: {}\n", fmt::join(arguments.stages, ", "))) != Exit::done) {
        return fail(Code::io, "run", "standard output is gone");
    }
    const auto waited = wait(*pipeline, arguments.drain);
    for (const StageMetrics& stage : pipeline->metrics()) {
        tool::note(fmt::format("{}: {} records, {} outputs, {} dead letters, {} retries", stage.stage, stage.records,
                               stage.outputs, stage.dead_letters, stage.retries));
    }
    TRY_VOID(pipeline->stop());
    return waited;
}

}  // namespace

void add_run_command(CLI::App& app, Invocation& invocation) {
    auto arguments = std::make_shared<RunArguments>();
    CLI::App& command = *app.add_subcommand("run", "Run stages, all or those named, until Ctrl-C");
    command.add_option("--stages", arguments->stages, "Which of them, joined by commas")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::IsMember(Pipeline::stage_names()))
        ->capture_default_str();
    command.add_flag("--drain", arguments->drain, "End when everything that is there has been processed");
    command
        .add_option("--fee", arguments->fees,
                    "NAME=RATE: what is taken from a merchant's payments, a share from 0 to 1; may be said again")
        ->allow_extra_args(false);
    command.add_option("--rates", arguments->rates,
                       "CSV of what a euro is in each currency, by day (Date,USD,...): amounts are reported by it");
    command.add_option("--reporting", arguments->reporting, "The currency of reports")->capture_default_str();
    command.add_option(
        "--instance", arguments->instance,
        "A name that no other process with these stages has: killed and started again it goes on at once "
        "(with dir:PATH it does in any case)");
    command.add_option("--partitions", arguments->partitions, "Of topics that are made")
        ->check(CLI::Range(1, 1'000))
        ->capture_default_str();
    command.callback([arguments, &invocation] {
        invocation.run = [arguments, &invocation] {
            tool::catch_interrupts();
            return with_client(invocation, [&](Client& client) {
                const auto done = run(client, *arguments);
                return done ? Exit::done : say_error(done.error());
            });
        };
    });
}

}  // namespace flowstone::fintech
