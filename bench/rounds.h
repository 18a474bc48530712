// Runs a workload's contenders, round by round.
#pragma once

#include <string>
#include <vector>

#include "bench/report.h"
#include "bench/workload.h"

namespace flowstone::bench {

struct Rounds {
    Setting setting;
    uint32_t rounds = 5;
    std::string only;    // one contender alone
    bool peers = false;  // whether contenders that are peers run
};

// Every contender once a round; who begins changes, so that nobody always runs behind the same one.
Result<std::vector<Series>> run_rounds(const Workload& workload, const Rounds& wanted, const std::string& directory);

// The workloads of those names, in their own order; all without names. An unknown name is an error, `invalid`.
Result<std::vector<Workload>> choose(std::vector<Workload> all, const std::vector<std::string>& names);

}  // namespace flowstone::bench
