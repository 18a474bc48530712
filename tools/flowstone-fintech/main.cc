#include "tools/flowstone-fintech/command_line.h"
#include "tools/flowstone/standard_streams.h"

using namespace flowstone::fintech;

int main(int count, char** arguments) {
    flowstone::tool::prepare_process();
    const auto command_line = parse_command_line({arguments + 1, arguments + count});
    Exit exit = command_line.exit;
    if (command_line.run) {
        exit = command_line.run();
    } else if (exit == Exit::done) {
        exit = flowstone::tool::print(command_line.text);
    } else {
        say_error(command_line.text, exit);
    }
    return static_cast<int>(exit);
}
