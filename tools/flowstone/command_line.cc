#include "tools/flowstone/command_line.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <flowstone/log.h>

#include "tools/flowstone/client_settings.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/segment.h"

namespace flowstone::tool {
namespace {

// CLI11 breaks some messages over lines; ours are one line each.
std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    while (!text.empty() && (text.back() == ' ' || text.back() == '.')) { text.pop_back(); }
    return text;
}

// "flowstone topic create": the command that the error is about.
std::string command_path(const CLI::App& app) {
    const auto chosen = app.get_subcommands();
    const std::string& name = app.get_name();
    return chosen.empty() ? name : name + ' ' + command_path(*chosen.front());
}

// What was wrong, in our words where CLI11's mislead.
std::string complaint(const CLI::App& app, const CLI::ParseError& error) {
    const std::vector<std::string> rest = app.remaining(true);
    if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && !rest.empty() && rest.front()[0] != '-') {
        return fmt::format("there is no command '{}'", rest.front());
    }
    return one_line(error.what());
}

}  // namespace

CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& summary,
                      const std::vector<std::string>& examples) {
    CLI::App* command = parent.add_subcommand(name, summary);
    std::string footer;
    for (const std::string& example : examples) {
        footer += footer.empty() ? "Examples:\n  " : "\n  ";
        footer += example;
    }
    command->footer(footer);
    return *command;
}

std::string check_count(const std::string& text) {
    const auto number = parse_integer(text);
    return number && *number >= 0 ? std::string() : fmt::format("'{}' is no number from 0 on", text);
}

void add_commands(CLI::App& app, Invocation& invocation) {
    app.add_option("-L,--log", invocation.endpoint,
                   "The log: dir:PATH is opened here (default dir:./flowstone-data); shm:PATH is reached through the "
                   "process that holds it; a path means the second where one serves it, else the first; "
                   "HOST:PORT[,HOST:PORT]... are brokers")
        ->envname("FLOWSTONE_LOG")
        ->type_name("ENDPOINT");
    app.add_option(
           "-X", invocation.settings,
           "A setting of the client under Kafka's name, where brokers are asked, e.g. linger.ms=0; may be repeated")
        ->allow_extra_args(false)
        ->check(check_client_setting)
        ->type_name("NAME=VALUE");
    app.add_flag("-v,--verbose", invocation.verbose, "Say on standard error what the log has to tell");
    app.set_version_flag("--version", std::string("flowstone ") + version(), "Print the version and exit");
    app.require_subcommand(1);
    app.fallthrough();  // -L may also stand behind the command's name
    add_topic_commands(app, invocation);
    add_produce_command(app, invocation);
    add_consume_command(app, invocation);
    add_copy_command(app, invocation);
    add_group_commands(app, invocation);
    add_repair_command(app, invocation);
    add_adopt_command(app, invocation);
    add_perf_commands(app, invocation);
    add_segment_commands(app, invocation);
    add_completion_commands(app, invocation);
    app.footer(
        "Exit status: 0 done, 1 the answer is no, 2 wrong usage, 3 could not.\n"
        "Examples:\n"
        "  flowstone -L ./data topic create payments --partitions 8\n"
        "  flowstone -L ./data produce payments --key-field /card < payments.jsonl\n"
        "  flowstone -L ./data consume payments --from end --follow\n"
        "  flowstone -L 127.0.0.1:9092 -X isolation.level=read_committed consume payments");
}

CommandLine parse_command_line(std::vector<std::string> arguments) {
    CLI::App app("Keeps and reads partitioned event logs.", "flowstone");
    // Owners: this function, and `run`, which outlives it.
    auto invocation = std::make_shared<Invocation>();
    add_commands(app, *invocation);
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    try {
        app.parse(std::move(arguments));
    } catch (const CLI::CallForVersion& version_asked) {
        return {.exit = Exit::done, .text = std::string(version_asked.what()) + '\n', .run = {}};
    } catch (const CLI::CallForHelp&) {
        return {.exit = Exit::done, .text = app.help(), .run = {}};
    } catch (const CLI::ParseError& error) {
        return {.exit = Exit::usage,
                .text = fmt::format("{}; see {} --help", complaint(app, error), command_path(app)),
                .run = {}};
    }
    return {.exit = Exit::done, .text = {}, .run = [invocation] { return invocation->run(); }};
}

}  // namespace flowstone::tool
