#include "tools/flowstone/progress.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tools/flowstone/output.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

constexpr int64_t repaint_ns = 100'000'000;
constexpr size_t bar_columns_max = 30;
constexpr size_t bar_columns_min = 8;  // a smaller one says nothing

uint64_t per_second(uint64_t amount, int64_t elapsed_ns) {
    if (elapsed_ns <= 0) { return 0; }
    return static_cast<uint64_t>(static_cast<double>(amount) * 1e9 / static_cast<double>(elapsed_ns));
}

std::string bar(uint64_t done, uint64_t total, size_t columns) {
    const auto filled =
        static_cast<size_t>(static_cast<double>(done) / static_cast<double>(total) * static_cast<double>(columns));
    return '[' + std::string(filled, '=') + std::string(columns - filled, ' ') + "] ";
}

}  // namespace

std::string progress_line(const ProgressState& state, size_t columns) {
    std::string text = format_bytes(state.bytes);
    if (state.records) {
        text = fmt::format("{} records, {}, {} records/s", format_count(*state.records), text,
                           format_count(per_second(*state.records, state.elapsed_ns)));
    }
    text += fmt::format(", {}/s", format_bytes(per_second(state.bytes, state.elapsed_ns)));
    if (state.work_total && *state.work_total > 0) {
        const uint64_t total = *state.work_total;
        const uint64_t done = std::min(state.work_done, total);
        if (done > 0) {
            const double left = static_cast<double>(state.elapsed_ns) * static_cast<double>(total - done) /
                                static_cast<double>(done) / 1e9;
            text += fmt::format(", {} left", format_seconds(static_cast<uint64_t>(std::llround(left))));
        }
        text =
            fmt::format("{:3}% ", static_cast<unsigned>(static_cast<double>(done) * 100 / static_cast<double>(total))) +
            text;
        constexpr size_t frame = 3;  // two brackets and a blank
        if (text.size() + frame + bar_columns_min <= columns) {
            text = bar(done, total, std::min(bar_columns_max, columns - text.size() - frame)) + text;
        }
    }
    return text.substr(0, columns);
}

Progress::Progress(Clock& clock, bool quiet)
    : clock_(clock),
      shown_(!quiet && error_is_terminal()),
      began_ns_(clock.monotonic_ns()),
      painted_ns_(began_ns_ - repaint_ns) {}

Progress::~Progress() { clear(); }

void Progress::show(ProgressState state) {
    if (!shown_) { return; }
    const int64_t now_ns = clock_.monotonic_ns();
    if (now_ns - painted_ns_ < repaint_ns) { return; }
    painted_ns_ = now_ns;
    painted_ = true;
    state.elapsed_ns = now_ns - began_ns_;
    write_error("\r" + progress_line(state, error_columns() - 1) + "\x1b[K");  // K: clear to the end of the line
}

void Progress::clear() {
    if (!painted_) { return; }
    painted_ = false;
    write_error("\r\x1b[K");
}

}  // namespace flowstone::tool
