// What the rounds of a workload say: medians with the least and the most, and a verdict on each claim.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/workload.h"

namespace flowstone::bench {

// Of one contender, in the order of the rounds.
struct Series {
    std::string contender;
    std::vector<Outcome> rounds;
};

enum class Verdict : uint8_t {
    met,
    missed,
    unsteady,  // none: what it is compared with varied more than twofold between the rounds
    few_laps,  // none: a round of ours ended before its third lap of the ring
    not_run,   // one of the two did not run
};
const char* name(Verdict verdict);

struct Spread {
    double median = 0;
    double min = 0;
    double max = 0;
};
Spread spread(std::vector<double> values);  // at least one
double measure(const Outcome& outcome, Measure what);
const char* name(Measure what);

struct Judged {
    Claim claim;
    Spread ratio{};  // of each round; of the value itself when the claim is absolute
    Verdict verdict = Verdict::not_run;
};
Judged judge(const Claim& claim, const std::vector<Series>& series);

// Where this ran: machine, kernel, file system, doors.
struct Machine {
    std::string processor;
    unsigned processors = 0;
    std::string kernel;
    std::string file_system;
    std::string disk_room;
};
Machine this_machine(const std::string& directory);

void print_machine(const Machine& machine, bool json);
void print_load(bool json);  // how many others wanted to run in the last 1, 5 and 15 minutes
void print_workload(const Workload& workload, const std::vector<Series>& series, bool json);

}  // namespace flowstone::bench
