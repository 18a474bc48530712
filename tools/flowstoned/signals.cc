#include "tools/flowstoned/signals.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace flowstone {

namespace {

std::atomic<bool> stop_asked{false};
std::function<void()> wake_up;

void on_signal(int /*number*/) {
    const int kept = errno;
    stop_asked = true;
    if (wake_up) { wake_up(); }
    errno = kept;
}

void handle(void (*handler)(int)) {
    struct sigaction action{};
    action.sa_handler = handler;
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
}

}  // namespace

void end_at_once_when_asked() {
    handle([](int) { std::_Exit(0); });
}

StopSignals::StopSignals(std::function<void()> wake) {
    wake_up = std::move(wake);
    stop_asked = false;
    handle(&on_signal);
}

StopSignals::~StopSignals() {
    handle(SIG_DFL);
    wake_up = {};
}

bool StopSignals::asked() const { return stop_asked; }

}  // namespace flowstone
