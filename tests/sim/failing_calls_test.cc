// Each call of the standard scenario fails, one at a time, in every way that a disk knows. Whatever fails: errors say what
// and where, what was acknowledged stays readable and is there after reopening, what was refused is not, and every file
// verifies. A transfer that is only interrupted, or moves less than it was asked for, nobody notices. Exhaustively it is every call; else some of them, others for each way.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

#include "tests/sim/world/faulty_disk.h"
#include "tests/sim/world/scenario.h"
#include "tests/sim/world/sim_disk.h"

namespace flowstone {
namespace {

constexpr uint64_t sampled_calls = 90;

// What happens to the disk at a call.
struct Fault {
    const char* name;
    int32_t os_errno = 0;
    bool and_after = false;   // to all later calls, too, until the log is opened again
    uint64_t full_calls = 0;  // instead: the disk is full for so many calls
    bool direct = true;       // O_DIRECT is to be had
    uint32_t threads = 0;     // of the log; then neither calls nor their order are the same each time
    uint64_t first = 0;       // call to be tried, when not all are
    bool passes = false;      // instead: a transfer ends with os_errno, or without one moves less, and is gone on with
};
constexpr Fault faults[] = {
    {.name = "Eio", .os_errno = EIO, .first = 0},
    {.name = "Enomem", .os_errno = ENOMEM, .first = 3},
    {.name = "Enospc", .os_errno = ENOSPC, .first = 6},
    {.name = "EioFromThenOn", .os_errno = EIO, .and_after = true, .first = 9},
    {.name = "FullForFiveCalls", .full_calls = 5, .first = 12},
    {.name = "FullForSixtyCalls", .full_calls = 60, .first = 15},
    {.name = "EioWithoutDirect", .os_errno = EIO, .direct = false, .first = 18},
    {.name = "EioWithThreads", .os_errno = EIO, .threads = 2, .first = 21},
    {.name = "FullWithThreads", .full_calls = 40, .threads = 1, .first = 24},
    {.name = "Eintr", .os_errno = EINTR, .first = 27, .passes = true},
    {.name = "MovingLess", .first = 30, .passes = true},
    {.name = "MovingLessWithoutDirect", .direct = false, .first = 33, .passes = true},
};

// One run of the scenario on a disk of its own.
class Attempt {
public:
    explicit Attempt(const Fault& fault) : fault_(fault), below_({.direct = fault.direct}) {}

    // Without a fault. Returns what is wrong, or "".
    std::string run() {
        if (fault_.passes) { interrupt(UINT64_MAX); }
        scenario_.run(disk_);
        if (!scenario_.fault().empty()) { return scenario_.fault(); }
        if (const std::string bad = check_unnoticed(); !bad.empty()) { return bad; }
        return scenario_.check(below_, Scenario::Since::close);
    }
    // That can meet the fault.
    uint64_t calls() const { return fault_.passes ? transfers_ : disk_.calls(); }

    // With the fault at one call.
    std::string run(uint64_t number) {
        if (fault_.passes) {
            interrupt(number);
        } else if (fault_.full_calls > 0) {
            disk_.full(number, number + fault_.full_calls);
        } else {
            disk_.fail_at(number, fault_.os_errno, fault_.and_after);
        }
        scenario_.run(disk_);
        disk_.heal();
        std::string bad = scenario_.fault();
        if (bad.empty() && fault_.passes) { bad = transfers_ > number ? check_unnoticed() : "the transfer never came"; }
        if (bad.empty() && !fault_.passes) { bad = fault_.full_calls > 0 ? check_full(number) : check_failed(); }
        if (bad.empty()) { bad = check_after(number); }
        if (bad.empty()) { return bad; }
        const auto failed = disk_.failed();
        if (failed) { bad += fmt::format("\n  {} {} failed", FaultyDisk::name(failed->kind), failed->path); }
        for (const auto& trouble : scenario_.troubles()) {
            bad += fmt::format("\n  from call {}: {}: {}", trouble.begun, trouble.what, trouble.error.message());
        }
        return bad;
    }

private:
    void interrupt(uint64_t number) {
        disk_.kernel([this, number](Io::Kind, uint64_t bytes) -> int64_t {
            if (transfers_++ != number) { return static_cast<int64_t>(bytes); }
            return fault_.os_errno != 0 ? -int64_t{fault_.os_errno} : static_cast<int64_t>((bytes + 1) / 2);
        });
    }

    std::string check_unnoticed() const {
        for (const auto& trouble : scenario_.troubles()) { return trouble.what + ": " + trouble.error.message(); }
        return "";
    }

    // After one failed write or sync nothing more is acknowledged by that log, and what it says names the file.
    std::string check_failed() const {
        const auto failed = disk_.failed();
        const bool alone = fault_.threads == 0;
        if (!failed) { return alone ? "the call never came" : ""; }
        using Call = FaultyDisk::Call;
        const bool sync = failed->kind == Call::sync || failed->kind == Call::sync_directory;
        const bool write = failed->kind == Call::write || failed->kind == Call::write_durable;
        if (!alone || !(sync || (write && fault_.os_errno != ENOSPC))) { return ""; }
        for (const auto& life : scenario_.lives()) {
            if (failed->number < life.opened || failed->number >= life.ended) { continue; }
            if (life.acknowledged > failed->number) {
                return fmt::format("an append was acknowledged after it, begun in call {}", life.acknowledged);
            }
            for (const auto& trouble : scenario_.troubles()) {
                const bool follows = trouble.error.code == Code::offline && trouble.begun < life.ended;
                if (follows && std::string_view(trouble.error.detail).find(failed->path) == std::string_view::npos) {
                    return "what follows does not name the file: " + trouble.error.message();
                }
            }
        }
        return "";
    }

    // A full disk refuses, ends nothing, keeps nobody from reading, and is forgotten when there is room again.
    std::string check_full(uint64_t number) const {
        for (const auto& trouble : scenario_.troubles()) {
            if (trouble.error.code != Code::no_space) { return "a full disk is called something else"; }
            if (trouble.what.starts_with("read")) { return "a full disk keeps from reading"; }
            if (trouble.begun >= number + fault_.full_calls) { return "there is room again, and nobody sees it"; }
        }
        return "";
    }

    // The disk is whole again. The power is lost, or the log is opened by another process, closed, and then it is.
    std::string check_after(uint64_t seed) {
        for (const Crash::Keep keep : {Crash::Keep::nothing, Crash::Keep::seeded}) {
            const auto after = below_.crash({.keep = keep, .seed = seed + 1});
            Scenario restarted(scenario_);
            const std::string bad = restarted.check(*after, Scenario::Since::power_loss);
            if (!bad.empty()) { return "after power loss: " + bad; }
        }
        Scenario reopened(scenario_);
        std::string bad = reopened.check(below_, Scenario::Since::kill);
        if (!bad.empty()) { return "opened again: " + bad; }
        bad = reopened.check(*below_.crash({.keep = Crash::Keep::nothing}), Scenario::Since::power_loss);
        return bad.empty() ? bad : "opened again, closed, and after power loss: " + bad;
    }

    const Fault& fault_;
    SimDisk below_;
    FaultyDisk disk_{below_};
    uint64_t transfers_ = 0;  // counted where one is to be interrupted
    Scenario scenario_{{.threads = fault_.threads, .calls = [this] { return disk_.calls(); }}};
};

class FailingCalls : public testing::TestWithParam<Fault> {};

INSTANTIATE_TEST_SUITE_P(Way, FailingCalls, testing::ValuesIn(faults),
                         [](const auto& param) { return std::string(param.param.name); });

TEST_P(FailingCalls, NoneLosesOrInventsAnything) {
    const Fault& fault = GetParam();
    Attempt unharmed(fault);
    ASSERT_EQ(unharmed.run(), "");
    const uint64_t calls = unharmed.calls();
    const bool all = std::getenv("FLOWSTONE_SIM_EXHAUSTIVE") != nullptr;
    const uint64_t step = all ? 1 : std::max<uint64_t>(1, calls / sampled_calls);
    uint64_t number = all ? 0 : fault.first % step;
    uint64_t end = calls;
    if (const char* only = std::getenv("FLOWSTONE_SIM_POINT")) {
        number = std::strtoull(only, nullptr, 10);
        end = number + 1;
    }
    for (int failures = 0; number < end && failures < 5; number += step) {
        const std::string bad = Attempt(fault).run(number);
        if (bad.empty()) { continue; }
        ADD_FAILURE() << "call " << number << ": " << bad << "\nrepeat with FLOWSTONE_SIM_POINT=" << number;
        ++failures;
    }
}

}  // namespace
}  // namespace flowstone
