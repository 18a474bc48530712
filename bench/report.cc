#include "bench/report.h"

#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/disk.h"

namespace flowstone::bench {
namespace {

constexpr double laps_min = 3;  // of a durable row: the first lap of a ring that still grows is not what lasts

double seconds(const Outcome& outcome) { return static_cast<double>(std::max<int64_t>(outcome.ns, 1)) / 1e9; }
double per_record(const Outcome& outcome) {
    return static_cast<double>(outcome.cpu_ns) / static_cast<double>(std::max<uint64_t>(outcome.records, 1));
}

const Series* find(const std::vector<Series>& series, const std::string& contender) {
    const auto found = std::ranges::find(series, contender, &Series::contender);
    return found == series.end() || found->rounds.empty() ? nullptr : &*found;
}

std::vector<double> values(const Series& series, Measure what) {
    std::vector<double> out;
    for (const Outcome& outcome : series.rounds) { out.push_back(measure(outcome, what)); }
    return out;
}

template <class Function>
Spread over(const Series& series, Function function) {
    std::vector<double> out;
    for (const Outcome& outcome : series.rounds) { out.push_back(function(outcome)); }
    return spread(std::move(out));
}

double quantile_us(const Outcome& outcome, uint64_t numerator, uint64_t denominator) {
    return static_cast<double>(outcome.latency_ns.quantile(numerator, denominator)) / 1e3;
}

std::string bound_text(const Claim& claim) {
    const char* relation = claim.at_least ? "at least" : "at most";
    if (claim.against.empty()) { return fmt::format("{} {:.6g}", relation, claim.bound); }
    return fmt::format("{} {:.6g} x {}", relation, claim.bound, claim.against);
}

}  // namespace

const char* name(Verdict verdict) {
    switch (verdict) {
        case Verdict::met: return "met";
        case Verdict::missed: return "missed";
        case Verdict::unsteady: return "no verdict: unsteady";
        case Verdict::few_laps: return "no verdict: under three laps";
        case Verdict::not_run: return "not run";
    }
    return "";
}

const char* name(Measure what) {
    switch (what) {
        case Measure::records_per_s: return "records/s";
        case Measure::bytes_per_s: return "bytes/s";
        case Measure::seconds: return "seconds";
        case Measure::p50: return "p50";
        case Measure::p99: return "p99";
        case Measure::p999: return "p99.9";
        case Measure::cpu_per_record: return "cpu/record";
        case Measure::value: return "value";
    }
    return "";
}

double measure(const Outcome& outcome, Measure what) {
    switch (what) {
        case Measure::records_per_s: return static_cast<double>(outcome.records) / seconds(outcome);
        case Measure::bytes_per_s: return static_cast<double>(outcome.bytes) / seconds(outcome);
        case Measure::seconds: return seconds(outcome);
        case Measure::p50: return static_cast<double>(outcome.latency_ns.quantile(50, 100));
        case Measure::p99: return static_cast<double>(outcome.latency_ns.quantile(99, 100));
        case Measure::p999: return static_cast<double>(outcome.latency_ns.quantile(999, 1000));
        case Measure::cpu_per_record: return per_record(outcome);
        case Measure::value: return outcome.value;
    }
    return 0;
}

Spread spread(std::vector<double> values) {
    CHECK(!values.empty());
    std::ranges::sort(values);
    const size_t half = values.size() / 2;
    const double median = values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
    return {median, values.front(), values.back()};
}

Judged judge(const Claim& claim, const std::vector<Series>& series) {
    Judged judged{claim};
    const Series* ours = find(series, claim.ours);
    if (ours == nullptr) { return judged; }
    std::vector<double> ratios = values(*ours, claim.measure);
    bool steady = true;
    if (!claim.against.empty()) {
        const Series* against = find(series, claim.against);
        if (against == nullptr || against->rounds.size() != ratios.size()) { return judged; }
        const std::vector<double> floor = values(*against, claim.measure);
        for (size_t i = 0; i < ratios.size(); ++i) { ratios[i] /= floor[i] > 0 ? floor[i] : 1; }
        const Spread of_floor = spread(floor);
        steady = of_floor.max <= 2 * of_floor.min;
    }
    judged.ratio = spread(std::move(ratios));
    const bool met = claim.at_least ? judged.ratio.median >= claim.bound : judged.ratio.median <= claim.bound;
    const double laps = over(*ours, [](const Outcome& outcome) { return outcome.laps; }).min;
    judged.verdict = !steady                        ? Verdict::unsteady
                     : laps >= 0 && laps < laps_min ? Verdict::few_laps
                     : met                          ? Verdict::met
                                                    : Verdict::missed;
    return judged;
}

int64_t machine_cpu_now_ns() {
    std::ifstream stat("/proc/stat");
    std::string cpu;
    int64_t ticks[8] = {};  // user nice system idle iowait irq softirq steal
    stat >> cpu;
    for (int64_t& tick : ticks) { stat >> tick; }
    const int64_t busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7];
    return busy * (1'000'000'000 / ::sysconf(_SC_CLK_TCK));
}

Machine this_machine(const std::string& directory) {
    Machine machine;
    std::ifstream cpuinfo("/proc/cpuinfo");
    for (std::string line; machine.processor.empty() && std::getline(cpuinfo, line);) {
        if (line.starts_with("model name")) { machine.processor = line.substr(line.find(':') + 2); }
    }
    machine.processors = std::thread::hardware_concurrency();
    utsname kernel{};
    ::uname(&kernel);
    machine.kernel = fmt::format("{} {}", kernel.sysname, kernel.release);
    struct statfs found{};
    ::statfs(directory.c_str(), &found);
    switch (static_cast<unsigned long>(found.f_type)) {
        case 0xef53: machine.file_system = "ext4"; break;
        case 0x58465342: machine.file_system = "xfs"; break;
        case 0x9123683e: machine.file_system = "btrfs"; break;
        case 0x01021994: machine.file_system = "tmpfs"; break;
        case 0x794c7630: machine.file_system = "overlayfs"; break;
        default: machine.file_system = fmt::format("0x{:x}", static_cast<unsigned long>(found.f_type));
    }
    machine.disk_room = open_best_disk()->room();
    return machine;
}

void print_machine(const Machine& machine, bool json) {
    if (json) {
        fmt::print(R"({{"processor":"{}","processors":{},"kernel":"{}","file_system":"{}","disk_room":"{}"}})"
                   "\n",
                   machine.processor, machine.processors, machine.kernel, machine.file_system, machine.disk_room);
        return;
    }
    fmt::print("{} x {}, {}, {}, {}\n", machine.processors, machine.processor, machine.kernel, machine.file_system,
               machine.disk_room);
}

void print_load(bool json) {
    double minutes[3] = {};
    std::ifstream loadavg("/proc/loadavg");
    for (double& load : minutes) { loadavg >> load; }
    if (json) {
        fmt::print("{{\"load\":[{:.2f},{:.2f},{:.2f}]}}\n", minutes[0], minutes[1], minutes[2]);
    } else {
        fmt::print("  load of the machine: {:.2f} {:.2f} {:.2f}\n", minutes[0], minutes[1], minutes[2]);
    }
    std::fflush(stdout);
}

namespace {

// How many processors others kept busy meanwhile.
double others(const Series& series) {
    return over(series, [](const Outcome& o) { return static_cast<double>(o.others_ns) / 1e9 / seconds(o); }).median;
}

void print_series_json(const Workload& workload, const Series& series) {
    const Spread rate = spread(values(series, Measure::records_per_s));
    const Spread megabytes =
        over(series, [](const Outcome& o) { return static_cast<double>(o.bytes) / seconds(o) / 1e6; });
    const auto quantile = [&](uint64_t n, uint64_t d) {
        return over(series, [=](const Outcome& o) { return quantile_us(o, n, d); }).median;
    };
    fmt::print(R"({{"workload":"{}","contender":"{}","rounds":{},"records":{},"bytes":{},"seconds":{:.6f},)",
               workload.name, series.contender, series.rounds.size(), series.rounds[0].records, series.rounds[0].bytes,
               spread(values(series, Measure::seconds)).median);
    fmt::print(R"("records_per_s":{:.0f},"records_per_s_min":{:.0f},"records_per_s_max":{:.0f},)", rate.median,
               rate.min, rate.max);
    fmt::print(R"("megabytes_per_s":{:.1f},"cpu_ns_per_record":{:.1f},"cpu_s_per_gb":{:.3f},)", megabytes.median,
               spread(values(series, Measure::cpu_per_record)).median,
               over(series, [](const Outcome& o) {
                   return o.bytes == 0 ? 0 : static_cast<double>(o.cpu_ns) / static_cast<double>(o.bytes);
               }).median);
    fmt::print(R"("others_processors":{:.3f},)", others(series));
    fmt::print(R"("p50_us":{:.1f},"p99_us":{:.1f},"p999_us":{:.1f},"max_us":{:.1f},)", quantile(50, 100),
               quantile(99, 100), quantile(999, 1000),
               over(series, [](const Outcome& o) { return static_cast<double>(o.latency_ns.max()) / 1e3; }).max);
    fmt::print(R"("ring_laps":{:.2f},"value":{:.6g},"hash":"{:016x}"}})"
               "\n",
               series.rounds[0].laps, spread(values(series, Measure::value)).median, series.rounds[0].hash);
}

void print_series_text(const Series& series) {
    const Outcome& first = series.rounds[0];
    const Spread rate = spread(values(series, Measure::records_per_s));
    const double megabytes =
        over(series, [](const Outcome& o) { return static_cast<double>(o.bytes) / seconds(o) / 1e6; }).median;
    fmt::print("  {:<22} {:>10.3f} s {:>11.0f} records/s [{:.0f}-{:.0f}] {:>8.1f} MB/s", series.contender,
               spread(values(series, Measure::seconds)).median, rate.median, rate.min, rate.max, megabytes);
    const double cpu_per_gb =
        over(series, [](const Outcome& o) {
            return o.bytes == 0 ? 0 : static_cast<double>(o.cpu_ns) / static_cast<double>(o.bytes);
        }).median;
    fmt::print("  cpu {:.0f} ns/record {:.2f} s/GB, others {:.2f}",
               spread(values(series, Measure::cpu_per_record)).median, cpu_per_gb, others(series));
    if (first.latency_ns.count() > 0) {
        const auto quantile = [&](uint64_t n, uint64_t d) {
            return over(series, [=](const Outcome& o) { return quantile_us(o, n, d); }).median;
        };
        fmt::print("  p50 {:.1f} p99 {:.1f} p99.9 {:.1f} max {:.0f} us", quantile(50, 100), quantile(99, 100),
                   quantile(999, 1000),
                   over(series, [](const Outcome& o) { return static_cast<double>(o.latency_ns.max()) / 1e3; }).max);
    }
    if (first.value != 0) { fmt::print("  value {:.6g}", spread(values(series, Measure::value)).median); }
    if (first.laps >= 0) { fmt::print("  lap {:.1f}", first.laps); }
    fmt::print("  work {:016x}\n", first.hash);
}

}  // namespace

void print_workload(const Workload& workload, const std::vector<Series>& series, bool json) {
    if (!json) { fmt::print("\n{}: {}\n", workload.name, workload.about); }
    for (const Series& one : series) {
        if (one.rounds.empty()) { continue; }
        if (json) {
            print_series_json(workload, one);
        } else {
            print_series_text(one);
        }
    }
    for (const Claim& claim : workload.claims) {
        const Judged judged = judge(claim, series);
        const Spread& ratio = judged.ratio;
        if (json) {
            fmt::print(R"({{"workload":"{}","claim":"{} of {} {}","median":{:.6g},"min":{:.6g},"max":{:.6g},)"
                       R"("verdict":"{}"}})"
                       "\n",
                       workload.name, name(claim.measure), claim.ours, bound_text(claim), ratio.median, ratio.min,
                       ratio.max, name(judged.verdict));
        } else {
            fmt::print("  {} of {} {}: {:.4g} [{:.4g}-{:.4g}] {}\n", name(claim.measure), claim.ours, bound_text(claim),
                       ratio.median, ratio.min, ratio.max, name(judged.verdict));
        }
    }
    std::fflush(stdout);
}

}  // namespace flowstone::bench
