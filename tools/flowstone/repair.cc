// repair: what a damaged log has lost, and going on without it.
//
// Looking changes nothing. Accepting takes two openings, because one accepts only what an earlier one found and named:
// what is accepted is what was shown, never more.

#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/flowstone/command_line.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

struct RepairArguments {
    bool accept_loss = false;
    bool json = false;
};

void append_loss(std::string& out, const Loss& loss, bool accepted, bool json) {
    if (json) {
        JsonLine(out)
            .text("topic", loss.topic)
            .number("partition", int64_t{loss.partition})
            .number("begin_offset", loss.begin.value)
            .number("end_offset", loss.end.value)
            .flag("accepted", accepted);
        return;
    }
    out += fmt::format("{}-{}: offsets [{}, {}) are lost{}\n", loss.topic, loss.partition, loss.begin.value,
                       loss.end.value, accepted ? ", which is accepted" : "");
}

// What of `found` is not in `left` has been accepted.
Exit show(const std::vector<Loss>& found, const std::vector<Loss>& left, bool json) {
    std::string out;
    for (const Loss& loss : found) {
        if (std::ranges::find(left, loss) == left.end()) { append_loss(out, loss, true, json); }
    }
    for (const Loss& loss : left) { append_loss(out, loss, false, json); }
    if (out.empty() && !json) { out = "nothing is lost\n"; }
    if (const Exit printed = print(out); printed != Exit::done || left.empty()) { return printed; }
    return complain("partitions that lost records take no more until it is accepted: repair --accept-loss", Exit::no);
}

Exit repair(const Invocation& invocation, const RepairArguments& arguments) {
    std::vector<Loss> found;
    const auto look = [&found](const Log& log) {
        found = log.losses();
        return Exit::done;
    };
    const Access access = arguments.accept_loss ? Access::write : Access::read;
    if (const Exit looked = with_watched_log(invocation, access, look); looked != Exit::done) { return looked; }
    if (!arguments.accept_loss || found.empty()) { return show({}, found, arguments.json); }
    return with_watched_log(invocation, Access::accept,
                            [&](const Log& log) { return show(found, log.losses(), arguments.json); });
}

}  // namespace

void add_repair_command(CLI::App& app, Invocation& invocation) {
    auto arguments = std::make_shared<RepairArguments>();  // owner: the callback
    CLI::App& command = add_command(app, "repair", "Show which records a damaged log has lost, and go on without them",
                                    {"flowstone repair -L dir:./data", "flowstone repair -L dir:./data --accept-loss"});
    command.add_flag("--accept-loss", arguments->accept_loss,
                     "Let the partitions go on behind what they lost, whose offsets are never given again");
    command.add_flag("--json", arguments->json, "One JSON object a line");
    command.callback([&invocation, arguments] {
        invocation.run = [&invocation, arguments] { return repair(invocation, *arguments); };
    });
}

}  // namespace flowstone::tool
