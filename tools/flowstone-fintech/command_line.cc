#include "tools/flowstone-fintech/command_line.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <flowstone/version.h>
#include <fmt/format.h>

#include "tools/flowstone/endpoint.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::fintech {

Exit say_error(std::string_view text, Exit exit) {
    tool::write_error(fmt::format("flowstone-fintech: {}\n", text));
    return exit;
}
Exit say_error(const Error& error) {
    return say_error(error.message(), error.code == Code::invalid ? Exit::usage : Exit::failed);
}

Exit with_client(const Invocation& invocation, const std::function<Exit(Client&)>& work) {
    const auto endpoint = tool::choose_endpoint(invocation.endpoint);
    if (!endpoint) { return say_error(endpoint.error()); }
    auto client = Client::open(tool::for_client(*endpoint), {.client_id = "flowstone-fintech"});
    if (!client) { return say_error(client.error()); }
    const Exit exit = work(*client);
    const auto closed = client->close();
    return closed ? exit : say_error(closed.error());
}

tool::CommandLine parse_command_line(std::vector<std::string> arguments) {
    CLI::App app(
        "A transaction platform whose stages are clients of the log: takes transactions in, checks them, keeps the "
        "books, and proves that nothing was lost.",
        "flowstone-fintech");
    app.require_subcommand(1);
    app.fallthrough();  // -L may also stand behind the command's name
    app.set_help_all_flag("--help-all", "Print the help of every command, and exit");
    app.set_version_flag("--version", std::string("flowstone-fintech ") + version(), "Print the version and exit");
    auto invocation = std::make_shared<Invocation>();
    invocation->endpoint = tool::endpoint_default;
    app.add_option("-L,--log", invocation->endpoint, "Where the log is: dir:PATH, shm:PATH or HOST:PORT[,...]")
        ->envname("FLOWSTONE_LOG")
        ->capture_default_str();
    add_ingest_command(app, *invocation);
    add_run_command(app, *invocation);
    add_audit_command(app, *invocation);
    std::ranges::reverse(arguments);  // as CLI11 takes them
    try {
        app.parse(std::move(arguments));
    } catch (const CLI::CallForHelp&) {
        return {.exit = Exit::done, .text = app.help(), .run = {}};
    } catch (const CLI::CallForAllHelp&) {
        return {.exit = Exit::done, .text = app.help("", CLI::AppFormatMode::All), .run = {}};
    } catch (const CLI::CallForVersion& asked) {
        return {.exit = Exit::done, .text = std::string(asked.what()) + '\n', .run = {}};
    } catch (const CLI::ParseError& error) {
        std::string text = error.what();
        std::ranges::replace(text, '\n', ' ');
        return {.exit = Exit::usage, .text = text + "; see flowstone-fintech --help", .run = {}};
    }
    return {.exit = Exit::done, .text = {}, .run = [invocation] { return invocation->run(); }};
}

}  // namespace flowstone::fintech
