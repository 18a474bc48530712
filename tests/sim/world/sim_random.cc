#include "tests/sim/world/sim_random.h"

namespace flowstone {

void SimRandom::fill(MutableBytes out) {
    for (std::byte& byte : out) { byte = static_cast<std::byte>(step()); }
}

uint64_t SimRandom::below(uint64_t bound) { return bound == 0 ? 0 : step() % bound; }

// splitmix64 (Steele, Lea, Flood 2014): small, seedable by any number.
uint64_t SimRandom::step() {
    state_ += 0x9e3779b97f4a7c15ull;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

}  // namespace flowstone
