// The broker, its clients and their world from a seed. FLOWSTONE_SIM_SEEDS says how many (200), FLOWSTONE_SIM_SEED which.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/number_from.h"
#include "tests/sim/broker_sim.h"

namespace flowstone {
namespace {

TEST(BrokerSimTest, EveryPromiseToClientsHoldsWhateverBreaks) {
    const uint64_t first = number_from("FLOWSTONE_SIM_SEED", 1);
    const uint64_t count = std::getenv("FLOWSTONE_SIM_SEED") != nullptr ? 1 : number_from("FLOWSTONE_SIM_SEEDS", 200);
    int failures = 0;
    for (uint64_t seed = first; seed < first + count && failures < 5; ++seed) {
        BrokerSim sim({.seed = seed});
        const std::string fault = sim.run();
        failures += fault.empty() ? 0 : 1;
        EXPECT_EQ(fault, "") << "repeat with ./dev sim --seed " << seed << " --gtest_filter='BrokerSimTest.Every*'";
    }
}

TEST(BrokerSimTest, TheSameSeedGivesTheSameRunAndAnotherOneAnother) {
    for (const uint64_t seed : {number_from("FLOWSTONE_SIM_SEED", 1), uint64_t{77}}) {
        const auto hash_of = [](uint64_t number) {
            BrokerSim sim({.seed = number});
            EXPECT_EQ(sim.run(), "");
            return sim.hash();
        };
        const uint64_t hash = hash_of(seed);
        EXPECT_EQ(hash_of(seed), hash);
        EXPECT_NE(hash_of(seed + 1), hash);
    }
}

}  // namespace
}  // namespace flowstone
