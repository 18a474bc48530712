// Power is lost at any moment, the log is opened again, and every promise made before still holds.
#include <gtest/gtest.h>

#include <cstdlib>

#include <fmt/format.h>

#include "tests/sim/world/world.h"

namespace flowstone {
namespace {

bool exhaustive() { return std::getenv("FLOWSTONE_SIM_EXHAUSTIVE") != nullptr; }

uint64_t number_from(const char* variable, uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

uint64_t first_seed() { return number_from("FLOWSTONE_SIM_SEED", 1); }
uint64_t seeds(uint64_t otherwise) {
    return std::getenv("FLOWSTONE_SIM_SEED") != nullptr ? 1 : number_from("FLOWSTONE_SIM_SEEDS", otherwise);
}

// Crashes one trace at `count` points, or at all. Some of the opened logs crash again at once.
void crash_everywhere(World::Options options, uint64_t count) {
    SimDisk disk({.record = true});
    World world(options);
    world.run(disk, disk);
    ASSERT_EQ(world.fault(), "") << "repeat with FLOWSTONE_SIM_SEED=" << options.seed;
    const auto points = exhaustive() ? disk.all_crashes(4) : disk.sample_crashes(count, options.seed);
    uint64_t failures = 0;
    const uint64_t only = number_from("FLOWSTONE_SIM_POINT", UINT64_MAX);
    for (size_t i = 0; i < points.size(); ++i) {
        if (only != UINT64_MAX && i != only) { continue; }
        const CrashPoint& point = points[i];
        const std::string repeat = fmt::format(
            "repeat with FLOWSTONE_SIM_SEED={} FLOWSTONE_SIM_POINT={}: crash {}, {}", options.seed, i,
            point.to_string(), point.operation < disk.operations() ? disk.describe(point.operation) : "at the end");
        const bool twice = i % 8 == 0;
        World after(world);
        const auto state = disk.crash_state(point, twice);
        std::string bad = after.check(*state, point.operation, twice);
        if (bad.empty() && twice) {
            const auto next = state->sample_crashes(1, i).at(0);
            const bool opening = next.operation < after.opened();
            World again(opening ? world : after);
            bad = again.check(*state->crash_state(next), opening ? point.operation : next.operation);
            if (!bad.empty()) { bad = fmt::format("second crash {}: {}", next.to_string(), bad); }
        }
        if (!bad.empty()) {
            ADD_FAILURE() << bad << "\n" << repeat;
            if (++failures == 5) { return; }
        }
    }
}

TEST(Crash, EveryPromiseHoldsAfterPowerLoss) {
    for (uint64_t seed = first_seed(); seed < first_seed() + seeds(4); ++seed) {
        crash_everywhere({.seed = seed}, 500);
    }
}

}  // namespace
}  // namespace flowstone
