#include "storage/journal_chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Commits whose sum is ten times their sequence, each holding one place of partition number `sequence`.
class JournalChainTest : public testing::Test {
protected:
    JournalChain judge(std::vector<uint64_t> sequences, std::vector<uint64_t> broken = {}) {
        places_.clear();
        places_.reserve(sequences.size());
        std::vector<ChainLink> links;
        for (const uint64_t sequence : sequences) {
            places_.push_back({{.topic_id = {}, .partition = static_cast<int32_t>(sequence) - 1}});
            links.push_back({sequence, (sequence - 1) * 10, sequence * 10, places_.back()});
        }
        return judge_chain(5, links, broken);
    }
    std::vector<std::vector<EntryPlace>> places_;
};

TEST_F(JournalChainTest, AnEmptyRingEndsWhereItBegins) {
    const JournalChain chain = judge({});
    EXPECT_EQ(chain.next_sequence, 5u);
    EXPECT_EQ(chain.last_sum, 0u);
    EXPECT_THAT(chain.damages, IsEmpty());
    EXPECT_FALSE(chain.torn);
}

TEST_F(JournalChainTest, CommitsThatFollowOneAnotherEndBehindTheLast) {
    const JournalChain chain = judge({5, 6, 7});
    EXPECT_EQ(chain.next_sequence, 8u);
    EXPECT_EQ(chain.last_sum, 70u);
    EXPECT_THAT(chain.damages, IsEmpty());
    EXPECT_FALSE(chain.impostor);
}

TEST_F(JournalChainTest, OneThatIsMissingBeforeAnotherIsDamageAndTheOtherTellsWhatItHeld) {
    const JournalChain chain = judge({5, 7, 8});
    ASSERT_EQ(chain.damages.size(), 1u);
    EXPECT_EQ(chain.damages[0].begin, 6u);
    EXPECT_EQ(chain.damages[0].end, 7u);
    EXPECT_EQ(chain.damages[0].before, 1u);
    EXPECT_TRUE(chain.damages[0].all_known());
    ASSERT_EQ(chain.damages[0].held.size(), 1u);
    EXPECT_EQ(chain.damages[0].held[0].partition, 6);
    EXPECT_EQ(chain.next_sequence, 9u);
    EXPECT_FALSE(chain.impostor);  // what it continues is not there to be compared
}

TEST_F(JournalChainTest, TheFirstOneNeededMayBeTheDamagedOne) {
    const JournalChain chain = judge({6});
    ASSERT_EQ(chain.damages.size(), 1u);
    EXPECT_EQ(chain.damages[0].begin, 5u);
    EXPECT_EQ(chain.damages[0].before, 0u);
}

TEST_F(JournalChainTest, OfSeveralInARowOnlyTheLastIsKnown) {
    const JournalChain chain = judge({5, 8});
    ASSERT_EQ(chain.damages.size(), 1u);
    EXPECT_EQ(chain.damages[0].begin, 6u);
    EXPECT_EQ(chain.damages[0].end, 8u);
    EXPECT_FALSE(chain.damages[0].all_known());
}

TEST_F(JournalChainTest, TwoHolesAreTwoDamages) {
    const JournalChain chain = judge({5, 7, 9});
    ASSERT_EQ(chain.damages.size(), 2u);
    EXPECT_EQ(chain.damages[1].begin, 8u);
    EXPECT_EQ(chain.damages[1].held[0].partition, 8);
}

TEST_F(JournalChainTest, WhatDoesNotHoldBehindTheLastOneIsATornEnd) {
    EXPECT_EQ(judge({5, 6}, {9, 7}).torn, 1u);
    EXPECT_EQ(judge({5, 6}, {7}).torn, 0u);
    EXPECT_EQ(judge({}, {5}).torn, 0u);
    EXPECT_FALSE(judge({5, 7}, {6}).torn);  // the damage itself
}

TEST_F(JournalChainTest, ACommitThatContinuesAnotherSumIsAnImpostor) {
    ChainLink first{5, 40, 50, {}};
    ChainLink second{6, 51, 60, {}};
    const ChainLink links[] = {first, second};
    EXPECT_EQ(judge_chain(5, links, {}).impostor, 6u);
}

}  // namespace
}  // namespace flowstone
