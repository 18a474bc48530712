#include "tools/flowstone/segment.h"

#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "storage/compression.h"
#include "storage/disk.h"
#include "storage/segment_verify.h"
#include "storage/try.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/segment_journal.h"
#include "tools/flowstone/segment_output.h"
#include "tools/flowstone/segment_progress.h"

namespace flowstone::tool {
namespace {

using Run = Exit (*)(Disk&, const SegmentArguments&);

// One command under `segment`, which takes paths unless it says otherwise.
struct SegmentCommand {
    CLI::App& app;
    std::shared_ptr<SegmentArguments> arguments;  // the option parser and `run` both hold it
};

SegmentCommand add_segment_command(CLI::App& parent, Invocation& invocation, const std::string& name,
                                   const std::string& summary, const std::vector<std::string>& examples, Run run) {
    CLI::App& command = add_command(parent, name, summary, examples);
    auto arguments = std::make_shared<SegmentArguments>();
    command.callback([&invocation, arguments, run] {
        invocation.run = [arguments, run] {
            const std::unique_ptr<Disk> disk = open_posix_disk();
            return run(*disk, *arguments);
        };
    });
    return {command, arguments};
}

void add_paths(const SegmentCommand& command) {
    command.app
        .add_option("path", command.arguments->paths, "Data directories, partition directories, .log or journal files")
        ->required()
        ->type_name("PATH");
}

void add_json(const SegmentCommand& command) {
    command.app.add_flag("--json", command.arguments->json, "One JSON object a line");
}

std::string ratio_text(const SegmentSummary& summary) {
    if (summary.bytes == 0) { return "-"; }
    return fmt::format("{:.2f}", static_cast<double>(summary.uncompressed_bytes) / static_cast<double>(summary.bytes));
}

// "active", "sealed", "resealed", "unsealed", or what is wrong.
std::string state_of(Disk& disk, const SegmentTarget& target, const LogFile& file, const SegmentSummary& summary) {
    if (summary.damaged) { return "damaged"; }
    if (file.parts.seal) {
        const auto seal = read_seal(disk, target.directory, file.base);
        if (!seal) { return "bad seal"; }
        return seal->origin == SealOrigin::reseal ? "resealed" : "sealed";
    }
    return file.active ? "active" : "unsealed";
}

void append_stat_json(std::string& out, const SegmentTarget& target, const LogFile& file, const SegmentSummary& summary,
                      std::string_view state) {
    JsonLine line(out);
    line.text("path", file.path);
    if (target.partition && !target.file_alone()) {
        line.text("topic", target.partition->topic).number("partition", int64_t{target.partition->partition});
    }
    line.number("base_offset", summary.base.value)
        .number("end_offset", summary.end.value)
        .number("batches", summary.batches)
        .number("records", summary.records)
        .number("bytes", summary.bytes)
        .number("uncompressed_bytes", summary.uncompressed_bytes)
        .time("first_timestamp", summary.first_timestamp_ms)
        .time("max_timestamp", summary.max_timestamp_ms)
        .text("state", state);
}

std::string time_or_dash(int64_t ms) { return ms == -1 ? "-" : format_time(ms); }

}  // namespace

std::string codec_name(const BatchView& batch) {
    if (batch.codec_id() > static_cast<uint8_t>(Codec::zstd)) { return fmt::format("codec {}", batch.codec_id()); }
    return name(static_cast<Codec>(batch.codec_id()));
}

std::string range_text(BytePos begin, BytePos end, Offset offset_begin, Offset offset_end) {
    std::string text;
    if (begin.value >= 0) { text = fmt::format("bytes [{}, {})", begin.value, end.value); }
    if (offset_begin.value >= 0) {
        if (!text.empty()) { text += ", "; }
        text += offset_end.value >= 0 ? fmt::format("offsets [{}, {})", offset_begin.value, offset_end.value)
                                      : fmt::format("offsets from {}", offset_begin.value);
    }
    return text;
}

Result<void> walk_records(const BatchView& batch, std::vector<std::byte>& scratch,
                          const std::function<bool(const RecordView&)>& take) {
    TRY(auto cursor, RecordCursor::open(batch, scratch));
    while (true) {
        TRY(const auto record, cursor.next());
        if (!record || !take(*record)) { return {}; }
    }
}

Exit run_segment_stat(Disk& disk, const SegmentArguments& arguments) {
    StandardOutput out;
    Columns columns({{"partition"},
                     {"base", true},
                     {"end", true},
                     {"records", true},
                     {"bytes", true},
                     {"ratio", true},
                     {"first"},
                     {"last"},
                     {"state"}});
    JournalStat journal;
    bool any_segment = false;
    SegmentProgress progress(disk, arguments, arguments.json && output_is_terminal());
    const auto visit = [&](const SegmentTarget& target) -> Result<void> {
        if (target.journal) {
            TRY_VOID(journal.add(disk, arguments, target, out.buffer()));
            progress.read(bytes_of(disk, target).value_or(0));
            return out.wrote();
        }
        TRY(const auto files, log_files(disk, target));
        for (const LogFile& file : files) {
            TRY(const SegmentSummary summary, summarize_log(disk, file.path, file.base));
            progress.read(summary.bytes, summary.records);
            const std::string state = state_of(disk, target, file, summary);
            if (arguments.json) {
                append_stat_json(out.buffer(), target, file, summary, state);
                TRY_VOID(out.wrote());
                continue;
            }
            any_segment = true;
            columns.row({target.label(), std::to_string(summary.base.value), std::to_string(summary.end.value),
                         format_count(summary.records), format_bytes(summary.bytes), ratio_text(summary),
                         time_or_dash(summary.first_timestamp_ms), time_or_dash(summary.max_timestamp_ms), state});
        }
        return {};
    };
    const auto done = for_each_target(disk, arguments, out, visit);
    progress.clear();
    if (!done) { return complain(done.error()); }
    if (!arguments.json) {
        if (any_segment) { columns.append_to(out.buffer()); }
        journal.append_to(out.buffer(), !any_segment);
    }
    if (const auto flushed = out.flush(); !flushed) { return complain(flushed.error()); }
    return Exit::done;
}

void add_segment_commands(CLI::App& app, Invocation& invocation) {
    CLI::App& segment =
        add_command(app, "segment", "Look into the files of a log, offline",
                    {"flowstone segment stat flowstone-data", "flowstone segment verify flowstone-data"});
    segment.require_subcommand(1);

    const auto stat = add_segment_command(
        segment, invocation, "stat", "One line for each segment, journal file and checkpoint slot",
        {"flowstone segment stat flowstone-data", "flowstone segment stat --json flowstone-data/payments-0"},
        run_segment_stat);
    add_paths(stat);
    add_json(stat);

    const auto dump = add_segment_command(
        segment, invocation, "dump", "Show batches, records, and what indexes, seals, journal and checkpoints say",
        {"flowstone segment dump flowstone-data/payments-0/00000000000000000000.log",
         "flowstone segment dump --records --json flowstone-data/payments-0",
         "flowstone segment dump flowstone-data/payments-0/00000000000000000000.index",
         "flowstone segment dump flowstone-data/flowstone-journal-0.0000"},
        run_segment_dump);
    add_paths(dump);
    add_json(dump);
    dump.app.add_flag("--records", dump.arguments->records, "Show the records, too");

    const auto verify = add_segment_command(
        segment, invocation, "verify",
        "Check every batch, record, index, seal, epoch, journal commit and checkpoint; exit status 1 if anything is "
        "wrong",
        {"flowstone segment verify flowstone-data", "flowstone segment verify --chain HASH flowstone-data/ledger-0"},
        run_segment_verify);
    add_paths(verify);
    add_json(verify);
    verify.app
        .add_option("--chain", verify.arguments->chain_head,
                    "A head of the seals' SHA-256 chain that was kept elsewhere; it must be found")
        ->type_name("HASH");

    const auto grep = add_segment_command(
        segment, invocation, "grep",
        "Find text in keys and values, in compressed batches and the journal too; exit status 1 if nothing matches",
        {"flowstone segment grep 'Corner Shop' flowstone-data",
         "flowstone segment grep --json --max 5 12.50 flowstone-data"},
        run_segment_grep);
    grep.app.add_option("text", grep.arguments->text, "What to find, byte for byte")->required()->type_name("TEXT");
    add_paths(grep);
    add_json(grep);
    grep.app.add_flag("--count", grep.arguments->count, "Print only how many records match");
    grep.app.add_option("--max", grep.arguments->records_max, "Stop after so many records")->type_name("N");

    const auto salvage = add_segment_command(
        segment, invocation, "salvage", "Copy every whole batch of damaged files to new ones and list what is lost",
        {"flowstone segment salvage flowstone-data/payments-0/00000000000000000000.log saved.log",
         "flowstone segment salvage flowstone-data/payments-0 flowstone-data/payments-1 saved"},
        run_segment_salvage);
    salvage.app
        .add_option("path", salvage.arguments->paths,
                    "What is damaged, .log files or directories, and last what is made anew and must not exist: of one "
                    ".log file a file, of everything else a directory with a folder for each partition")
        ->required()
        ->expected(-2)  // or more
        ->type_name("PATH... OUT");
    add_json(salvage);

    const auto reseal =
        add_segment_command(segment, invocation, "reseal",
                            "Make missing or unreadable seals of rolled segments anew; they say that they are",
                            {"flowstone segment reseal flowstone-data/payments-0"}, run_segment_reseal);
    add_paths(reseal);
    add_json(reseal);
    reseal.app.add_flag("--force", reseal.arguments->force,
                        "Also where the seal can be read and the bytes do not match it");
}

}  // namespace flowstone::tool
