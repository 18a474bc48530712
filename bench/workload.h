// What a workload is: contenders that do the same work, and claims about them.
//
// Each round runs every contender once, in turn, in a fresh directory on the same disk. Claims compare two contenders
// of the same round, so that a slow minute of the machine hits both.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <flowstone/result.h>

#include "storage/clock.h"
#include "tools/flowstone/histogram.h"

namespace flowstone::bench {

using Histogram = tool::Histogram;

enum class Size : uint8_t {
    small,   // seconds for everything: proves that it runs, measures nothing
    medium,  // a sixteenth of full
    full,
};

struct Setting {
    Size size = Size::full;
    uint32_t threads = 0;  // Options::threads of ours
    bool peers = false;
    std::string program;  // this binary, for workloads that need a process of their own

    // How much of what `full` names is done at this size.
    uint64_t amount(uint64_t full) const {
        const uint64_t part = size == Size::full ? 1 : size == Size::medium ? 16 : 2048;
        return full / part > 0 ? full / part : 1;
    }
    double seconds() const { return size == Size::full ? 10 : size == Size::medium ? 2 : 0.05; }
};

// What one contender did in one round.
struct Outcome {
    uint64_t records = 0;
    uint64_t bytes = 0;  // of values: what the user wanted stored
    int64_t ns = 0;
    int64_t cpu_ns = 0;  // user and system time of this process
    // Processor time that went elsewhere, in all: kernel workers, other processes, what the host took away. On a machine
    // that is not quiet a wake-up waits for the end of somebody's time slice, and nothing here can be believed.
    int64_t others_ns = 0;
    Histogram latency_ns;
    uint64_t hash = 0;  // of the work, so that none of it can be left out
    double laps = -1;   // of the journal's ring; below zero: no journal took part
    double value = 0;   // what is neither a rate nor a latency, such as bytes of memory
};

struct Contender {
    std::string name;
    std::function<Result<Outcome>(const Setting&, const std::string& directory)> run;
    bool peer = false;  // only with --peers
};

enum class Measure : uint8_t { records_per_s, bytes_per_s, seconds, p50, p99, p999, cpu_per_record, value };

// "`ours` is at least (or at most) `bound` times `against`"; against nobody, the bound is absolute.
struct Claim {
    std::string ours;
    Measure measure = Measure::records_per_s;
    bool at_least = true;
    double bound = 0;
    std::string against{};
};

struct Workload {
    std::string name;
    std::string about;
    std::vector<Contender> contenders;
    std::vector<Claim> claims;
    // Made once before the first round and kept until the last; contenders find it beside their own directory.
    std::function<Result<void>(const Setting&, const std::string& directory)> prepare{};
};

std::vector<Workload> append_workloads();
std::vector<Workload> wait_workloads();
std::vector<Workload> read_workloads();
std::vector<Workload> open_workloads();

// Runs in a process of its own: `log_bench --child WHAT DIRECTORY AMOUNT`. Returns its exit code.
int run_child(const std::string& what, const std::string& directory, uint64_t amount);

inline int64_t cpu_now_ns() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto ns = [](const timeval& time) { return time.tv_sec * 1'000'000'000LL + time.tv_usec * 1000LL; };
    return ns(usage.ru_utime) + ns(usage.ru_stime);
}

// Of all processors since the machine started, but for idling. 0 where /proc does not say.
int64_t machine_cpu_now_ns();

// The time and processor time from its making to stop().
class Stopwatch {
public:
    void stop(Outcome& outcome) const {
        outcome.ns = system_clock().monotonic_ns() - began_ns_;
        outcome.cpu_ns = cpu_now_ns() - began_cpu_ns_;
        outcome.others_ns = std::max<int64_t>(0, machine_cpu_now_ns() - began_machine_ns_ - outcome.cpu_ns);
    }
    int64_t began_ns() const { return began_ns_; }

private:
    int64_t began_machine_ns_ = machine_cpu_now_ns();
    int64_t began_ns_ = system_clock().monotonic_ns();
    int64_t began_cpu_ns_ = cpu_now_ns();
};

}  // namespace flowstone::bench
