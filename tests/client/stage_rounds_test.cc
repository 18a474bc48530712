#include "client/impl/stage_rounds.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flowstone {
namespace {

using testing::ElementsAre;

// Sizes of the rounds of values of so many bytes, to these partitions.
std::vector<size_t> rounds(const std::vector<std::pair<int32_t, size_t>>& writes, size_t batch_bytes) {
    static const std::string bytes(10'000, 'x');
    std::vector<StageWrite> all;
    for (const auto& [partition, size] : writes) {
        all.push_back({{"t", partition}, {.value = std::string_view(bytes).substr(0, size)}});
    }
    std::vector<size_t> out;
    const StageWrite* next = all.data();
    for (const auto& round : rounds_of(all, batch_bytes)) {
        EXPECT_EQ(round.data(), next);  // in order, none left out
        next = round.data() + round.size();
        out.push_back(round.size());
    }
    return out;
}

TEST(StageRounds, ARoundIsOneBatchForEachPartition) {
    EXPECT_THAT(rounds({}, 1'000), ElementsAre());
    EXPECT_THAT(rounds({{0, 400}}, 1'000), ElementsAre(1));
    EXPECT_THAT(rounds({{0, 400}, {0, 400}}, 1'000), ElementsAre(2));
    EXPECT_THAT(rounds({{0, 400}, {0, 400}, {0, 400}, {0, 400}, {0, 400}}, 1'000), ElementsAre(2, 2, 1));
    EXPECT_THAT(rounds({{0, 400}, {1, 400}, {0, 400}, {1, 400}}, 1'000), ElementsAre(4));
    EXPECT_THAT(rounds({{0, 400}, {1, 400}, {0, 400}, {0, 400}, {1, 400}}, 1'000), ElementsAre(3, 2));
}

TEST(StageRounds, ARecordThatIsTooLargeForABatchIsAloneInIt) {
    EXPECT_THAT(rounds({{0, 5'000}}, 1'000), ElementsAre(1));
    EXPECT_THAT(rounds({{0, 10}, {0, 5'000}, {0, 10}, {1, 10}}, 1'000), ElementsAre(1, 1, 2));
}

TEST(StageRounds, TheHeadOfABatchCounts) { EXPECT_THAT(rounds({{0, 480}, {0, 480}}, 1'000), ElementsAre(1, 1)); }

}  // namespace
}  // namespace flowstone
