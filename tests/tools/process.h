// Runs a program as a user would: arguments, standard input, what it printed, its exit code.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

extern char** environ;

namespace flowstone::tool {

constexpr int answer_ms_max = 60'000;  // a test that waits longer has failed

class Process {
public:
    enum class Complaints : uint8_t { pipe, terminal };

    Process(const std::string& program, const std::vector<std::string>& arguments, Complaints to = Complaints::pipe) {
        int input[2];
        int output[2];
        int complaints[2];
        EXPECT_EQ(::pipe2(input, O_CLOEXEC), 0);
        EXPECT_EQ(::pipe2(output, O_CLOEXEC), 0);
        if (to == Complaints::pipe) {
            EXPECT_EQ(::pipe2(complaints, O_CLOEXEC), 0);
        } else {
            open_terminal(complaints);
        }
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions, complaints[1], STDERR_FILENO);
        std::vector<char*> words{const_cast<char*>(program.c_str())};
        for (const std::string& argument : arguments) { words.push_back(const_cast<char*>(argument.c_str())); }
        words.push_back(nullptr);
        EXPECT_EQ(::posix_spawn(&pid_, program.c_str(), &actions, nullptr, words.data(), environ), 0);
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(input[0]);
        ::close(output[1]);
        ::close(complaints[1]);
        input_ = input[1];
        output_ = output[0];
        complaints_ = complaints[0];
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        close_input();
        close_output();
        ::close(complaints_);
    }

    pid_t pid() const { return pid_; }
    void signal(int number) const { ::kill(pid_, number); }
    // Small texts only: the pipe must take them whole.
    void write(const std::string& text) const {
        EXPECT_EQ(::write(input_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    void close_input() { close_once(input_); }
    void close_output() { close_once(output_); }

    // The next line of standard output, without its line break.
    std::string read_line() {
        while (out_.find('\n') == std::string::npos) {
            if (!read_some(output_, out_)) { break; }
        }
        const size_t end = std::min(out_.find('\n'), out_.size());
        std::string line = out_.substr(0, end);
        out_.erase(0, end + 1);
        return line;
    }

    // Reads everything, waits for the end, and returns the exit code; minus the signal that ended it.
    int wait() {
        close_input();
        while (output_ >= 0 || complaints_ >= 0) {
            pollfd both[2] = {{.fd = output_, .events = POLLIN, .revents = 0},
                              {.fd = complaints_, .events = POLLIN, .revents = 0}};
            if (::poll(both, 2, answer_ms_max) <= 0) {
                ADD_FAILURE() << "no end in sight";
                ::kill(pid_, SIGKILL);
                break;
            }
            if (both[0].revents != 0 && !read_some(output_, out_)) { close_once(output_); }
            if (both[1].revents != 0 && !read_some(complaints_, complaint_)) { close_once(complaints_); }
        }
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    const std::string& out() const { return out_; }
    const std::string& complaint() const { return complaint_; }

    // Some containers have none.
    static bool has_terminals() {
        const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        const bool usable = terminal >= 0 && ::grantpt(terminal) == 0;
        if (terminal >= 0) { ::close(terminal); }
        return usable;
    }

private:
    // What is written to the second is read from the first.
    static void open_terminal(int (&ends)[2]) {
        ends[0] = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        EXPECT_EQ(::grantpt(ends[0]), 0);
        EXPECT_EQ(::unlockpt(ends[0]), 0);
        const char* const name = ::ptsname(ends[0]);
        ends[1] = ::open(name == nullptr ? "" : name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        EXPECT_GE(ends[1], 0);
    }
    static void close_once(int& descriptor) {
        if (descriptor >= 0) { ::close(descriptor); }
        descriptor = -1;
    }
    static bool read_some(int descriptor, std::string& into) {
        pollfd ready{.fd = descriptor, .events = POLLIN, .revents = 0};
        if (::poll(&ready, 1, answer_ms_max) <= 0) {
            ADD_FAILURE() << "no answer";
            return false;
        }
        char buffer[4096];
        const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
        if (count <= 0) { return false; }
        into.append(buffer, static_cast<size_t>(count));
        return true;
    }

    pid_t pid_ = -1;
    int input_ = -1;
    int output_ = -1;
    int complaints_ = -1;
    std::string out_;
    std::string complaint_;
};

}  // namespace flowstone::tool
