// audit: whether anything was lost, made twice or booked out of balance.
#include "client/fintech/audit.h"

#include <CLI/CLI.hpp>

#include "tools/flowstone-fintech/command_line.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::fintech {

void add_audit_command(CLI::App& app, Invocation& invocation) {
    CLI::App& command = *app.add_subcommand(
        "audit", "Recompute from the topics alone that nothing is lost and the books balance; exit code 1 if not");
    command.callback([&invocation] {
        invocation.run = [&invocation] {
            return with_client(invocation, [](Client& client) {
                const auto report = audit(client);
                if (!report) { return say_error(report.error()); }
                const Exit printed = tool::print(to_text(*report));
                return report->good() ? printed : Exit::no;
            });
        };
    });
}

}  // namespace flowstone::fintech
