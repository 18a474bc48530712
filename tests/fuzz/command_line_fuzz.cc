// Any words as a command line: parsed to an answer, a complaint of one line, or something to run, which is not run.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/check.h"
#include "tools/flowstone/command_line.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/session.h"

using namespace flowstone::tool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    static_cast<void>(parse_time(input));
    static_cast<void>(parse_from(input));
    std::vector<std::string> words;
    while (!input.empty()) {
        const size_t end = input.find('\n');
        words.emplace_back(input.substr(0, end));
        input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
    }
    const CommandLine command_line = parse_command_line(std::move(words));
    if (command_line.exit == Exit::usage) { CHECK(command_line.text.find('\n') == std::string::npos); }
    CHECK(command_line.exit == Exit::done || !command_line.run);
    CHECK(command_line.run || !command_line.text.empty());
    return 0;
}
