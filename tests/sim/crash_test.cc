// Power is lost at any moment, the log is opened again, and every promise made before still holds.
//
// With FLOWSTONE_SIM_FILES=FOLDER nothing is opened: every FLOWSTONE_SIM_FILES_EVERY-th state is put there, for the reader
// written from the pages (tests/oracle/run.py --suite).
#include <gtest/gtest.h>

#include <cstdlib>

#include <fmt/format.h>

#include "tests/number_from.h"
#include "tests/sim/world/copy_out.h"
#include "tests/sim/world/world.h"

namespace flowstone {
namespace {

bool exhaustive() { return std::getenv("FLOWSTONE_SIM_EXHAUSTIVE") != nullptr; }

uint64_t first_seed() { return number_from("FLOWSTONE_SIM_SEED", 1); }
uint64_t seeds(uint64_t otherwise) {
    return std::getenv("FLOWSTONE_SIM_SEED") != nullptr ? 1 : number_from("FLOWSTONE_SIM_SEEDS", otherwise);
}

// One kind of trace. Together they have 5,000 states.
struct Shape {
    const char* name;
    World::Options options;
    uint64_t seeds;
    uint64_t states;  // of each seed; all with FLOWSTONE_SIM_EXHAUSTIVE
};
std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.name; }
constexpr Shape shapes[] = {
    {.name = "Durable", .options = {}, .seeds = 4, .states = 300},
    {.name = "Written", .options = {.level = Durability::written}, .seeds = 4, .states = 250},
    {.name = "Memory", .options = {.level = Durability::memory}, .seeds = 2, .states = 250},
    {.name = "Rings", .options = {.rings = 3}, .seeds = 4, .states = 200},
    {.name = "RingsWritten", .options = {.rings = 2, .level = Durability::written}, .seeds = 2, .states = 200},
    {.name = "RingWraps", .options = {.bulk = true}, .seeds = 2, .states = 300},
    {.name = "RingGrows", .options = {.bulk = true, .journal_bytes_max = 24u << 20}, .seeds = 2, .states = 250},
};

class CrashTest : public testing::TestWithParam<Shape> {
protected:
    void crash_everywhere(World::Options options, uint64_t count);
    static void leave_files(const SimDisk& disk, const std::vector<CrashPoint>& points, const std::string& prefix);
};

void CrashTest::leave_files(const SimDisk& disk, const std::vector<CrashPoint>& points, const std::string& prefix) {
    for (size_t i = 0; i < points.size(); i += number_from("FLOWSTONE_SIM_FILES_EVERY", 1)) {
        const auto state = disk.crash_state(points[i]);
        if (!state->info("data")) { continue; }  // nothing of it was there yet
        const auto done = copy_out(*state, "data", fmt::format("{}-{}-{}", prefix, i, points[i].to_string()));
        ASSERT_TRUE(done) << done.error().message();
    }
}

// Crashes one trace at `count` points, or at all. Some of the opened logs go on and crash again.
void CrashTest::crash_everywhere(World::Options options, uint64_t count) {
    SimDisk disk({.record = true});
    World world(options);
    world.run(disk, disk);
    const auto repeat = fmt::format("repeat with FLOWSTONE_SIM_SEED={}", options.seed);
    ASSERT_EQ(world.fault(), "") << repeat;
    const auto points = exhaustive() ? disk.all_crashes(4) : disk.sample_crashes(count, options.seed);
    if (const char* folder = std::getenv("FLOWSTONE_SIM_FILES")) {
        return leave_files(disk, points, fmt::format("{}/{}-{}", folder, GetParam().name, options.seed));
    }
    uint64_t failures = 0;
    const uint64_t only = number_from("FLOWSTONE_SIM_POINT", UINT64_MAX);
    for (size_t i = 0; i < points.size(); ++i) {
        if (only != UINT64_MAX && i != only) { continue; }
        const CrashPoint& point = points[i];
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
            ADD_FAILURE() << bad << "\n"
                          << repeat
                          << fmt::format(
                                 " FLOWSTONE_SIM_POINT={}: crash {}, {}", i, point.to_string(),
                                 point.operation < disk.operations() ? disk.describe(point.operation) : "at the end");
            if (++failures == 5) { return; }
        }
    }
}

TEST_P(CrashTest, EveryPromiseHoldsAfterPowerLoss) {
    const Shape& shape = GetParam();
    for (uint64_t seed = first_seed(); seed < first_seed() + seeds(shape.seeds); ++seed) {
        World::Options options = shape.options;
        options.seed = seed;
        crash_everywhere(options, shape.states);
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, CrashTest, testing::ValuesIn(shapes),
                         [](const auto& shape) { return std::string(shape.param.name); });

}  // namespace
}  // namespace flowstone
