// Scripts that a reader can check by eye, for the pure machines:
//
//   # comment
//   command word key=value key=a,b
//   ----
//   what it answers, line for line
//
// A blank line ends the answer. Several commands may stand above one line of dashes; their answers follow each other.
#pragma once

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/paths.h"

namespace flowstone {

struct ScriptCommand {
    std::string name;
    std::vector<std::string> words;             // without '='
    std::map<std::string, std::string> values;  // with
    bool has(const std::string& key) const { return values.contains(key); }
    std::string text(const std::string& key, const std::string& otherwise = {}) const {
        const auto found = values.find(key);
        return found == values.end() ? otherwise : found->second;
    }
    int64_t number(const std::string& key, int64_t otherwise = 0) const {
        const auto found = values.find(key);
        if (found == values.end()) { return otherwise; }
        int64_t value = 0;
        const std::string& digits = found->second;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        EXPECT_TRUE(error == std::errc{} && end == digits.data() + digits.size()) << key << "=" << digits;
        return value;
    }
    std::vector<std::string> list(const std::string& key) const {
        std::vector<std::string> items;
        const std::string all = text(key);
        for (size_t at = 0; at <= all.size() && !all.empty();) {
            const size_t comma = std::min(all.find(',', at), all.size());
            items.push_back(all.substr(at, comma - at));
            at = comma + 1;
        }
        return items;
    }
};

// Answers one command; lines end in '\n'.
using ScriptMachine = std::function<std::string(const ScriptCommand&)>;

inline ScriptCommand parse_script_command(const std::string& line) {
    ScriptCommand command;
    for (size_t at = 0; at < line.size();) {
        const size_t end = std::min(line.find(' ', at), line.size());
        const std::string word = line.substr(at, end - at);
        at = end + 1;
        if (word.empty()) { continue; }
        const size_t equals = word.find('=');
        if (command.name.empty()) {
            command.name = word;
        } else if (equals == std::string::npos) {
            command.words.push_back(word);
        } else {
            command.values[word.substr(0, equals)] = word.substr(equals + 1);
        }
    }
    return command;
}

inline void run_script(const std::filesystem::path& path, const ScriptMachine& machine) {
    std::ifstream file(path);
    ASSERT_TRUE(file) << path;
    std::vector<std::string> commands;
    std::string expected;
    bool in_answer = false;
    size_t line_number = 0;
    size_t answered_at = 0;
    const auto finish = [&] {
        if (!in_answer) { return; }
        std::string actual;
        for (const std::string& command : commands) { actual += machine(parse_script_command(command)); }
        EXPECT_EQ(actual, expected) << path.filename().string() << ":" << answered_at;
        commands.clear();
        expected.clear();
        in_answer = false;
    };
    for (std::string line; std::getline(file, line);) {
        ++line_number;
        if (in_answer) {
            if (line.empty()) {
                finish();
            } else {
                expected += line + "\n";
            }
        } else if (line == "----") {
            EXPECT_FALSE(commands.empty()) << path << ":" << line_number;
            in_answer = true;
            answered_at = line_number;
        } else if (!line.empty() && !line.starts_with('#')) {
            commands.push_back(line);
        }
    }
    finish();
    EXPECT_TRUE(commands.empty()) << path << " ends in a command without an answer";
}

// Every script of tests/<folder>, each with a fresh machine.
inline void run_scripts(const std::string& folder, const std::function<ScriptMachine()>& make) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(source_path("tests/") + folder)) {
        if (entry.path().extension() == ".txt") { paths.push_back(entry.path()); }
    }
    std::ranges::sort(paths);
    ASSERT_FALSE(paths.empty()) << folder;
    for (const auto& path : paths) { run_script(path, make()); }
}

}  // namespace flowstone
