// SIGTERM and SIGINT ask a program to end. One object at a time, made in the main thread.
#pragma once

#include <functional>

namespace flowstone {

// While nothing is served there is nothing to bring to an end: a signal ends the program at once, with exit code 0. What it
// was opening is left as a crash would leave it.
void end_at_once_when_asked();

class StopSignals {
public:
    // `wake` is called in the handler: async-signal-safe things only.
    explicit StopSignals(std::function<void()> wake);
    ~StopSignals();
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;
    bool asked() const;
};

}  // namespace flowstone
