#include <flowstone/stage.h>

#include <functional>

#include <fmt/format.h>

namespace flowstone {
namespace {

// Backslashes, quotes and line ends, as the text format wants them.
std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') { out += '\\'; }
        out += c == '\n' ? "\\n" : std::string(1, c);
    }
    return out;
}

}  // namespace

std::string prometheus_text(std::span<const StageMetrics> stages) {
    std::string text;
    const auto family = [&](std::string_view name, std::string_view kind, std::string_view help,
                            const std::function<double(const StageMetrics&)>& value) {
        text += fmt::format("# HELP flowstone_stage_{} {}\n# TYPE flowstone_stage_{} {}\n", name, help, name, kind);
        for (const StageMetrics& stage : stages) {
            text += fmt::format("flowstone_stage_{}{{stage=\"{}\"}} {}\n", name, escaped(stage.stage), value(stage));
        }
    };
    const auto count = [&](std::string_view name, std::string_view help, uint64_t StageMetrics::* member) {
        family(name, "counter", help, [=](const StageMetrics& stage) { return static_cast<double>(stage.*member); });
    };
    count("records_total", "Records processed and stored.", &StageMetrics::records);
    count("outputs_total", "Outputs written, dead letters not counted.", &StageMetrics::outputs);
    count("errors_total", "Errors of function and sink, tries counted one by one.", &StageMetrics::errors);
    count("retries_total", "Tries after the first.", &StageMetrics::retries);
    count("dead_letters_total", "Dead letters written.", &StageMetrics::dead_letters);
    count("dropped_total", "Inputs that had come before.", &StageMetrics::dropped);
    count("already_written_total", "Outputs that were found there.", &StageMetrics::already_written);
    count("fenced_total", "Steps not stored since the partition was another's.", &StageMetrics::fenced);
    count("failures_total", "Steps that could not be stored and were begun again.", &StageMetrics::failures);
    family("partitions", "gauge", "Partitions that the stage has.",
           [](const StageMetrics& stage) { return stage.partitions; });
    family("lag_records", "gauge", "Records behind what is stored.",
           [](const StageMetrics& stage) { return static_cast<double>(stage.lag_records); });
    family("lag_seconds", "gauge", "Age of the input stored last, while there are more.",
           [](const StageMetrics& stage) { return stage.lag_seconds; });
    family("records_per_second", "gauge", "Records processed, over the last ten seconds.",
           [](const StageMetrics& stage) { return stage.records_per_second; });
    text +=
        "# HELP flowstone_stage_latency_seconds Records, by time from taken to stored.\n"
        "# TYPE flowstone_stage_latency_seconds histogram\n";
    for (const StageMetrics& stage : stages) {
        const std::string label = escaped(stage.stage);
        uint64_t sum = 0;
        for (size_t i = 0; i < stage.latency.size(); ++i) {
            sum += stage.latency[i];
            const bool last = i == StageMetrics::latency_bounds.size();
            text += fmt::format("flowstone_stage_latency_seconds_bucket{{stage=\"{}\",le=\"{}\"}} {}\n", label,
                                last ? "+Inf" : fmt::format("{}", StageMetrics::latency_bounds[i]), sum);
        }
        text += fmt::format(
            "flowstone_stage_latency_seconds_sum{{stage=\"{}\"}} {}\n"
            "flowstone_stage_latency_seconds_count{{stage=\"{}\"}} {}\n",
            label, stage.latency_sum, label, sum);
    }
    return text;
}

}  // namespace flowstone
