// adopt: a directory that Kafka wrote becomes ours. Everything is checked once; only an unfinished last batch is cut.
#include <cstdint>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/flowstone/command_line.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

Exit adopt(const Invocation& invocation) {
    return with_watched_log(invocation, Access::adopt, [](const Log& log) {
        int64_t partitions = 0;
        const auto topics = log.topics();
        for (const TopicInfo& topic : topics) { partitions += topic.partitions; }
        return print(fmt::format("{} is ours: {} topics, {} partitions\n", log.path(), topics.size(), partitions));
    });
}

}  // namespace

void add_adopt_command(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "adopt", "Take over a log directory that Kafka wrote, for writing",
                                    {"flowstone adopt -L dir:/var/lib/kafka/data"});
    command.callback([&invocation] { invocation.run = [&invocation] { return adopt(invocation); }; });
}

}  // namespace flowstone::tool
