// What clients of the tests reach by each kind of endpoint: a log in a directory of its own, held by this process or by a
// flowstoned.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <flowstone/client.h>

#include "tests/paths.h"
#include "tests/storage/value_of.h"
#include "tests/tools/process.h"

namespace flowstone {

class TestDirectory {
public:
    TestDirectory() {
        std::string name = std::filesystem::temp_directory_path() / "flowstone-client-XXXXXX";
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    ~TestDirectory() { std::filesystem::remove_all(path_); }
    TestDirectory(const TestDirectory&) = delete;
    TestDirectory& operator=(const TestDirectory&) = delete;
    std::string log() const { return path_ + "/log"; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

// Small files: a test's log lives for a moment.
inline ClientOptions small_log() { return {.log = {.threads = 1, .journal_bytes_max = 16u << 20, .reserve_bytes = 0}}; }

class BrokerProcess {
public:
    explicit BrokerProcess(const std::string& directory, const std::string& listen = "127.0.0.1:0",
                           const std::vector<std::string>& settings = {})
        : process_(flowstoned_path(), arguments(directory, listen, settings)) {
        process_.read_line();
        const std::string line = process_.read_line();  // "try: echo hello | kcat -b 127.0.0.1:PORT ..."
        const size_t at = line.find(listen.substr(0, listen.find(':') + 1));
        EXPECT_NE(at, std::string::npos) << line;
        if (at != std::string::npos) { address_ = line.substr(at, line.find(' ', at) - at); }
    }
    const std::string& address() const { return address_; }
    // As an operator ends it: what it holds is written.
    void end() {
        process_.signal(SIGTERM);
        EXPECT_EQ(process_.wait(), 0) << process_.complaint();
    }
    void kill() {
        process_.signal(SIGKILL);
        process_.wait();
    }

private:
    static std::vector<std::string> arguments(const std::string& directory, const std::string& listen,
                                              const std::vector<std::string>& settings) {
        std::vector<std::string> words{"--data", directory, "--listen", listen};
        for (const std::string& one : settings) { words.insert(words.end(), {"-X", one}); }
        for (const char* one :
             {"http=off", "journal_bytes_max=16777216", "reserve_bytes=0", "group.initial.rebalance.delay.ms=0"}) {
            words.insert(words.end(), {"-X", one});
        }
        return words;
    }

    tool::Process process_;
    std::string address_;
};

}  // namespace flowstone
