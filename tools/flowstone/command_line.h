// The command line: which commands there are, and what one of them was asked to do.
//
// A command adds itself to the tree with an add_..._commands function and is listed in command_line.cc. Its callback
// only stores what is to be run, so that a command line can be parsed without doing anything.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace flowstone::tool {

enum class Exit : int {
    done = 0,
    no = 1,      // the question was answered, with no: damage was found, nothing matched
    usage = 2,   // the command line can never be right
    failed = 3,  // it could not be done
};

// What the commands share while the command line is parsed.
struct Invocation {
    std::string endpoint;               // -L, or FLOWSTONE_LOG
    std::vector<std::string> settings;  // -X, each checked: client_settings.h
    bool verbose = false;               // what the library has to say is shown on standard error
    bool through_holder = false;        // the command that runs could go through who holds the log, too
    std::function<Exit()> run;          // set by the command that was chosen
};

struct CommandLine {
    Exit exit = Exit::done;
    std::string text;           // help or version to print when `exit` is done, else one line of complaint
    std::function<Exit()> run;  // if set, the command line is right and this does the work
};
// `arguments` without the program's name. Reads FLOWSTONE_LOG and changes nothing.
CommandLine parse_command_line(std::vector<std::string> arguments);

// Adds the whole tree to `app`, which stays referred to, as does `invocation`.
void add_commands(CLI::App& app, Invocation& invocation);

// Makes a command under `parent` whose help ends with `examples`, one a line.
CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& summary,
                      const std::vector<std::string>& examples);

// For CLI11's check(): empty for a decimal number from 0 on, else what is wrong. CLI11 itself takes -1 for 2^64 - 1.
std::string check_count(const std::string& text);

void add_topic_commands(CLI::App& app, Invocation& invocation);
void add_produce_command(CLI::App& app, Invocation& invocation);
void add_consume_command(CLI::App& app, Invocation& invocation);
void add_copy_command(CLI::App& app, Invocation& invocation);
void add_group_commands(CLI::App& app, Invocation& invocation);
void add_repair_command(CLI::App& app, Invocation& invocation);
void add_adopt_command(CLI::App& app, Invocation& invocation);
void add_perf_commands(CLI::App& app, Invocation& invocation);
void add_completion_commands(CLI::App& app, Invocation& invocation);

}  // namespace flowstone::tool
