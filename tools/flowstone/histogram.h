// Counts of values with less than 1 % error at any size, as HdrHistogram does it: every power of two is divided into
// 128 equal steps. 58 KiB, no allocation after construction, nothing sampled.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace flowstone::tool {

class Histogram {
public:
    void record(uint64_t value) {
        ++counts_[index_of(value)];
        ++count_;
        max_ = std::max(max_, value);
    }

    void merge(const Histogram& other) {
        for (size_t index = 0; index < counts_.size(); ++index) { counts_[index] += other.counts_[index]; }
        count_ += other.count_;
        max_ = std::max(max_, other.max_);
    }

    uint64_t count() const { return count_; }
    uint64_t max() const { return max_; }  // exact

    // The smallest step that `numerator` of `denominator` of all values do not exceed, rounded up within the step and
    // never above the maximum: quantile(999, 1000) is p99.9. 0 if nothing was recorded.
    uint64_t quantile(uint64_t numerator, uint64_t denominator) const {
        const uint64_t rank = std::max<uint64_t>(1, (count_ * numerator + denominator - 1) / denominator);
        uint64_t seen = 0;
        for (size_t index = 0; index < counts_.size(); ++index) {
            seen += counts_[index];
            if (seen >= rank) { return std::min(upper_end(index), max_); }
        }
        return max_;
    }

private:
    static constexpr uint32_t step_bits = 7;
    static constexpr uint64_t steps = 1u << step_bits;  // per power of two
    static constexpr uint64_t exact_below = 2 * steps;  // every value below has a count of its own
    static constexpr size_t counts = exact_below + (64 - step_bits - 1) * steps;

    static size_t index_of(uint64_t value) {
        if (value < exact_below) { return value; }
        const auto shift = static_cast<uint32_t>(std::bit_width(value)) - step_bits - 1;
        return exact_below + (shift - 1) * steps + ((value >> shift) - steps);
    }

    static uint64_t upper_end(size_t index) {
        if (index < exact_below) { return index; }
        const uint64_t shift = (index - exact_below) / steps + 1;
        const uint64_t step = (index - exact_below) % steps + steps;
        return (step << shift) + ((uint64_t{1} << shift) - 1);
    }

    std::vector<uint64_t> counts_ = std::vector<uint64_t>(counts);
    uint64_t count_ = 0;
    uint64_t max_ = 0;
};

}  // namespace flowstone::tool
