#include <span>

#include "tools/flowstone/command_line.h"
#include "tools/flowstone/standard_streams.h"

using namespace flowstone::tool;

int main(int count, char** arguments) {
    prepare_process();
    const CommandLine command_line = parse_command_line({arguments + 1, arguments + count});
    Exit exit = command_line.exit;
    if (command_line.run) {
        exit = command_line.run();
    } else if (exit == Exit::done) {
        exit = print(command_line.text);
    } else {
        complain(command_line.text);
    }
    return static_cast<int>(exit);
}
