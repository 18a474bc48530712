#include "tools/flowstone/standard_streams.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace flowstone::tool {
namespace {

constexpr size_t output_buffer_bytes = 64 * 1024;
constexpr int interrupt_check_ms = 200;

volatile std::sig_atomic_t interrupts = 0;

void on_interrupt(int signal_number) {
    interrupts = 1;
    // A second Ctrl-C is for people who will not wait.
    std::signal(signal_number, SIG_DFL);
}

// Writes all of it. The errno, or 0.
int write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(descriptor, text.data(), text.size());
        if (written < 0) {
            if (errno == EINTR) { continue; }
            if (errno == EAGAIN) {
                pollfd ready{.fd = descriptor, .events = POLLOUT, .revents = 0};
                ::poll(&ready, 1, -1);
                continue;
            }
            return errno;
        }
        text.remove_prefix(static_cast<size_t>(written));
    }
    return 0;
}

}  // namespace

void prepare_process() { std::signal(SIGPIPE, SIG_IGN); }

void catch_interrupts() {
    struct sigaction action{};
    action.sa_handler = on_interrupt;  // without SA_RESTART: a read that waits ends with EINTR
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return interrupts != 0; }

Exit complain(std::string_view text, Exit exit) {
    write_error(fmt::format("flowstone: {}\n", text));
    return exit;
}

Exit complain(const Error& error) {
    return complain(error.message(), error.code == Code::invalid ? Exit::usage : Exit::failed);
}

void note(std::string_view text) { write_error(fmt::format("{}\n", text)); }

Result<size_t> StandardInput::read(std::span<char> into) {
    pollfd ready{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (before_wait && ::poll(&ready, 1, 0) == 0) {
        if (auto settled = before_wait(); !settled) { return std::unexpected(settled.error()); }
    }
    while (!interrupted()) {
        // Bounded, because a signal between the test and the wait would not end the wait.
        const int polled = ::poll(&ready, 1, interrupt_check_ms);
        if (polled == 0 || (polled < 0 && errno == EINTR)) { continue; }
        const ssize_t count = ::read(STDIN_FILENO, into.data(), into.size());
        if (count >= 0) { return static_cast<size_t>(count); }
        if (errno != EAGAIN && errno != EINTR) { return fail_errno(errno, "standard_input.read"); }
    }
    return 0;
}

std::optional<uint64_t> StandardInput::size() {
    struct stat status{};
    if (::fstat(STDIN_FILENO, &status) != 0 || !S_ISREG(status.st_mode)) { return std::nullopt; }
    return static_cast<uint64_t>(status.st_size);
}

StandardOutput::~StandardOutput() {
    if (auto flushed = flush(); !flushed) { complain(flushed.error()); }
}

Result<void> StandardOutput::wrote() {
    if (buffer_.size() < output_buffer_bytes) { return {}; }
    return flush();
}

Result<void> StandardOutput::flush() {
    const int failed = closed_ ? 0 : write_all(STDOUT_FILENO, buffer_);
    buffer_.clear();
    if (failed == EPIPE) {
        closed_ = true;
    } else if (failed != 0) {
        return fail_errno(failed, "standard_output.write");
    }
    return {};
}

Exit print(std::string_view text) {
    StandardOutput output;
    output.buffer() = text;
    auto flushed = output.flush();
    return flushed ? Exit::done : complain(flushed.error());
}

bool output_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

bool error_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

uint32_t error_columns() {
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) { return 80; }
    return size.ws_col;
}

void write_error(std::string_view text) {
    // Nobody is left to be told when this fails.
    static_cast<void>(write_all(STDERR_FILENO, text));
}

void sleep_ns(int64_t ns) {
    if (ns <= 0) { return; }
    const timespec span{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
    ::nanosleep(&span, nullptr);
}

}  // namespace flowstone::tool
