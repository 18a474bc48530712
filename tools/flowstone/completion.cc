// `completion bash` and `manual`: written from the same tree of commands that parses the command line.

#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/flowstone/command_line.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

std::vector<const CLI::App*> subcommands_of(const CLI::App& app) {
    return app.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<std::string> option_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) { names.push_back("--" + name); }
        for (const std::string& name : option->get_snames()) { names.push_back("-" + name); }
    }
    return names;
}

// One line of the script's table for each command: its path, and what may follow.
void append_table(std::string& out, const CLI::App& app, const std::string& path) {
    std::string words;
    for (const CLI::App* command : subcommands_of(app)) { words += command->get_name() + ' '; }
    for (const std::string& name : option_names(app)) { words += name + ' '; }
    if (!words.empty()) { words.pop_back(); }
    out += fmt::format("        '{}') words='{}' ;;\n", path, words);
    for (const CLI::App* command : subcommands_of(app)) {
        append_table(out, *command, path + ' ' + command->get_name());
    }
}

std::string bash_completion(const CLI::App& app) {
    std::string table;
    append_table(table, app, app.get_name());
    // Words that are commands make up the path; the first word that is none, and no option, ends it.
    return "_flowstone() {\n"
           "    local path='flowstone' words word at\n"
           "    for ((at = 1; at < COMP_CWORD; at++)); do\n"
           "        word=\"${COMP_WORDS[at]}\"\n"
           "        case \"$word\" in\n"
           "            -L|--log|-X) at=$((at + 1)); continue ;;\n"
           "            -*) continue ;;\n"
           "        esac\n"
           "        _flowstone_words \"$path\"\n"
           "        case \" $words \" in *\" $word \"*) path=\"$path $word\" ;; *) break ;; esac\n"
           "    done\n"
           "    _flowstone_words \"$path\"\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
           "}\n"
           "_flowstone_words() {\n"
           "    case \"$1\" in\n" +
           table +
           "        *) words='' ;;\n"
           "    esac\n"
           "}\n"
           "complete -o default -F _flowstone flowstone\n";
}

// A backslash, and a dot or quote at the start of a line, mean something to roff.
std::string roff(const std::string& text) {
    std::string out;
    for (size_t at = 0; at < text.size(); ++at) {
        const bool line_start = at == 0 || text[at - 1] == '\n';
        if (line_start && (text[at] == '.' || text[at] == '\'')) { out += "\\&"; }
        if (text[at] == '\\') {
            out += "\\e";
        } else if (text[at] == '-') {
            out += "\\-";
        } else {
            out += text[at];
        }
    }
    return out;
}

void append_manual(std::string& out, const CLI::App& app, const std::string& path) {
    out += fmt::format(".SS {}\n{}\n", roff(path), roff(app.get_description()));
    for (const CLI::Option* option : app.get_options()) {
        if (option->get_name() == "--help") { continue; }
        const std::string name = option->get_name(true, true);
        const std::string value = option->get_items_expected_max() > 0 ? ' ' + option->get_type_name() : "";
        out += fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", roff(name), roff(value), roff(option->get_description()));
    }
    if (!app.get_footer().empty()) { out += fmt::format(".PP\n.nf\n{}\n.fi\n", roff(app.get_footer())); }
    for (const CLI::App* command : subcommands_of(app)) {
        append_manual(out, *command, path + ' ' + command->get_name());
    }
}

std::string manual(const CLI::App& app) {
    std::string out =
        fmt::format(".TH FLOWSTONE 1\n.SH NAME\nflowstone \\- {}\n.SH COMMANDS\n", roff(app.get_description()));
    append_manual(out, app, app.get_name());
    return out;
}

}  // namespace

void add_completion_commands(CLI::App& app, Invocation& invocation) {
    // The tree is gone when the command runs, so the text is made while it is parsed.
    CLI::App& completion = add_command(app, "completion", "Print what a shell needs to complete command lines",
                                       {"source <(flowstone completion bash)"});
    completion.require_subcommand(1);
    CLI::App& bash = add_command(completion, "bash", "For bash: put it in ~/.bashrc, or source it",
                                 {"source <(flowstone completion bash)"});
    bash.callback([&] { invocation.run = [text = bash_completion(app)] { return print(text); }; });
    CLI::App& page = add_command(app, "manual", "Print the manual page", {"flowstone manual | man -l -"});
    page.callback([&] { invocation.run = [text = manual(app)] { return print(text); }; });
}

}  // namespace flowstone::tool
