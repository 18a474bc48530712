// The command line of flowstone-fintech: which commands there are, and what one of them was asked to do.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/client.h>

#include "tools/flowstone/command_line.h"

namespace CLI {
class App;
}

namespace flowstone::fintech {

using tool::Exit;

// What the commands share while the command line is parsed.
struct Invocation {
    std::string endpoint;       // -L, or FLOWSTONE_LOG
    std::function<Exit()> run;  // set by the command that was chosen
};

// `arguments` without the program's name. `exit` and `text` where nothing is to be run: help, or one line of complaint.
tool::CommandLine parse_command_line(std::vector<std::string> arguments);

// One line on standard error: "flowstone-fintech: TEXT".
Exit say_error(std::string_view text, Exit exit = Exit::failed);
Exit say_error(const Error& error);

// Opens what -L names, does the work, closes it. Complains itself when it cannot be opened or closed.
Exit with_client(const Invocation& invocation, const std::function<Exit(Client&)>& work);

void add_ingest_command(CLI::App& app, Invocation& invocation);
void add_run_command(CLI::App& app, Invocation& invocation);
void add_audit_command(CLI::App& app, Invocation& invocation);

constexpr int32_t partitions_default = 4;

}  // namespace flowstone::fintech
