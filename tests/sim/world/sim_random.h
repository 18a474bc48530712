// Randomness from a seed: the same seed gives the same run.
#pragma once

#include "storage/random.h"

namespace flowstone {

class SimRandom final : public Random {
public:
    explicit SimRandom(uint64_t seed) : state_(seed) {}
    void fill(MutableBytes out) override;
    uint64_t below(uint64_t bound);  // 0 to bound - 1

private:
    uint64_t step();
    uint64_t state_;
};

}  // namespace flowstone
