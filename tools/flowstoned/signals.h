// SIGTERM and SIGINT ask a program to end. One object at a time, made in the main thread.
#pragma once

#include <functional>

namespace flowstone {

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
