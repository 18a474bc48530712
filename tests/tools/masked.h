// JSON as the tool prints it, with what differs from run to run made alike, so that all the rest can be held to the letter.
#pragma once

#include <regex>
#include <string>

namespace flowstone::tool {

// Under each of `names` ("bytes|crc") a number becomes N and a string "S".
inline std::string masked(const std::string& json, const std::string& names) {
    const std::string name = "\"(" + names + ")\":";
    const std::string numbers = std::regex_replace(json, std::regex(name + "-?[0-9]+(\\.[0-9]+)?"), "\"$1\":N");
    return std::regex_replace(numbers, std::regex(name + "\"[^\"]*\""), "\"$1\":\"S\"");
}

// The end of what `perf --json` prints, where it begins with "elapsed_s".
inline std::string perf_tail_masked(const std::string& json) {
    return masked(json,
                  "elapsed_s|records_per_s|bytes_per_s|latency_p50_ns|latency_p99_ns|latency_p999_ns|latency_max_ns");
}
inline const std::string perf_tail =
    R"("elapsed_s":N,"records_per_s":N,"bytes_per_s":N,"latency_p50_ns":N,"latency_p99_ns":N,"latency_p999_ns":N,)"
    R"("latency_max_ns":N})"
    "\n";

}  // namespace flowstone::tool
