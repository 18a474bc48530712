// A line on the terminal that says how far a long job is: rate, bytes, time left. Nothing when there is no terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/clock.h"

namespace flowstone::tool {

struct ProgressState {
    std::optional<uint64_t> records{};  // nothing: the job does not count them
    uint64_t bytes = 0;
    // How much of the whole is done, in any unit. No total: it is not known how much there will be.
    uint64_t work_done = 0;
    std::optional<uint64_t> work_total{};
    int64_t elapsed_ns = 0;
};

// One line of at most `columns` letters, without a line break.
std::string progress_line(const ProgressState& state, size_t columns);

class Progress {
public:
    // Shown only if standard error is a terminal and `quiet` is not asked for.
    Progress(Clock& clock, bool quiet);
    ~Progress();  // takes the line away
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    bool shown() const { return shown_; }  // else nothing ever appears
    // Repaints at most ten times a second. `state.elapsed_ns` is filled in here.
    void show(ProgressState state);
    void clear();  // before something else is printed

private:
    Clock& clock_;
    bool shown_;
    bool painted_ = false;
    int64_t began_ns_;
    int64_t painted_ns_;
};

}  // namespace flowstone::tool
