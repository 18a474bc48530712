#include "client/impl/assignors.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/world/sim_random.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

std::vector<TopicPartition> places(const std::string& topic, std::initializer_list<int32_t> numbers) {
    std::vector<TopicPartition> out;
    for (const int32_t number : numbers) { out.push_back({topic, number}); }
    return out;
}

// The examples of RangeAssignor's and RoundRobinAssignor's documentation.
TEST(Assignors, RangeGivesNeighboursOfEachTopic) {
    const std::vector<Subscriber> members = {{.member = "C0", .topics = {"t0", "t1"}},
                                             {.member = "C1", .topics = {"t0", "t1"}}};
    const auto given = assign(Assignor::range, members, {{"t0", 3}, {"t1", 3}});
    EXPECT_THAT(given.at("C0"), ElementsAre(TopicPartition{"t0", 0}, TopicPartition{"t0", 1}, TopicPartition{"t1", 0},
                                            TopicPartition{"t1", 1}));
    EXPECT_THAT(given.at("C1"), ElementsAre(TopicPartition{"t0", 2}, TopicPartition{"t1", 2}));
}

TEST(Assignors, RoundRobinGivesAllPartitionsInTurnAndPassesOverWhoDoesNotSubscribe) {
    const std::vector<Subscriber> same = {{.member = "C0", .topics = {"t0", "t1"}},
                                          {.member = "C1", .topics = {"t0", "t1"}}};
    auto given = assign(Assignor::round_robin, same, {{"t0", 3}, {"t1", 3}});
    EXPECT_THAT(given.at("C0"), ElementsAre(TopicPartition{"t0", 0}, TopicPartition{"t0", 2}, TopicPartition{"t1", 1}));
    EXPECT_THAT(given.at("C1"), ElementsAre(TopicPartition{"t0", 1}, TopicPartition{"t1", 0}, TopicPartition{"t1", 2}));
    const std::vector<Subscriber> mixed = {{.member = "C0", .topics = {"t0"}},
                                           {.member = "C1", .topics = {"t0", "t1"}},
                                           {.member = "C2", .topics = {"t0", "t1", "t2"}}};
    given = assign(Assignor::round_robin, mixed, {{"t0", 1}, {"t1", 2}, {"t2", 3}});
    EXPECT_THAT(given.at("C0"), ElementsAre(TopicPartition{"t0", 0}));
    EXPECT_THAT(given.at("C1"), ElementsAre(TopicPartition{"t1", 0}));
    EXPECT_THAT(given.at("C2"), ElementsAre(TopicPartition{"t1", 1}, TopicPartition{"t2", 0}, TopicPartition{"t2", 1},
                                            TopicPartition{"t2", 2}));
}

TEST(Assignors, StaticMembersComeFirstByTheirInstance) {
    const std::vector<Subscriber> members = {{.member = "a", .topics = {"t"}},
                                             {.member = "z", .instance = "1", .topics = {"t"}}};
    const auto given = assign(Assignor::range, members, {{"t", 3}});
    EXPECT_EQ(given.at("z"), places("t", {0, 1}));
    EXPECT_EQ(given.at("a"), places("t", {2}));
}

TEST(Assignors, StickyMovesNoMoreThanItMustWhenSomebodyComes) {
    std::vector<Subscriber> members = {
        {.member = "a", .topics = {"t"}, .owned = places("t", {0, 1, 2}), .generation = 4},
        {.member = "b", .topics = {"t"}, .owned = places("t", {3, 4, 5}), .generation = 4},
        {.member = "c", .topics = {"t"}}};
    const auto given = assign(Assignor::sticky, members, {{"t", 6}});
    EXPECT_EQ(given.at("a"), places("t", {0, 1}));
    EXPECT_EQ(given.at("b"), places("t", {3, 4}));
    EXPECT_EQ(given.at("c"), places("t", {2, 5}));
}

TEST(Assignors, CooperativeStickyFirstTakesAwayAndGivesWhenItIsFree) {
    std::vector<Subscriber> members = {
        {.member = "a", .topics = {"t"}, .owned = places("t", {0, 1, 2, 3}), .generation = 4},
        {.member = "b", .topics = {"t"}}};
    auto given = assign(Assignor::cooperative_sticky, members, {{"t", 4}});
    EXPECT_EQ(given.at("a"), places("t", {0, 1}));
    EXPECT_THAT(given.at("b"), IsEmpty());
    members[0].owned = given.at("a");
    members[0].generation = members[1].generation = 5;
    given = assign(Assignor::cooperative_sticky, members, {{"t", 4}});
    EXPECT_EQ(given.at("a"), places("t", {0, 1}));
    EXPECT_EQ(given.at("b"), places("t", {2, 3}));
}

TEST(Assignors, OfTwoOwnersTheLaterGenerationCounts) {
    const std::vector<Subscriber> members = {
        {.member = "old", .topics = {"t"}, .owned = places("t", {0, 1}), .generation = 3},
        {.member = "new", .topics = {"t"}, .owned = places("t", {1}), .generation = 4}};
    const auto given = assign(Assignor::sticky, members, {{"t", 2}});
    EXPECT_EQ(given.at("old"), places("t", {0}));
    EXPECT_EQ(given.at("new"), places("t", {1}));
}

TEST(Assignors, WhatIsNotThereOrNotSubscribedIsGivenToNobody) {
    const std::vector<Subscriber> members = {
        {.member = "a", .topics = {"t", "gone"}, .owned = {{"gone", 0}, {"t", 9}, {"other", 0}}, .generation = 1}};
    for (const Assignor assignor :
         {Assignor::range, Assignor::round_robin, Assignor::sticky, Assignor::cooperative_sticky}) {
        EXPECT_THAT(assign(assignor, members, {{"t", 1}, {"other", 1}}),
                    ElementsAre(Pair("a", ElementsAre(TopicPartition{"t", 0}))))
            << name(assignor);
        EXPECT_THAT(assign(assignor, {}, {{"t", 1}}), IsEmpty());
    }
}

// Groups of every shape: each partition that somebody subscribes to has one reader who does; sticky ones are even as
// far as subscriptions allow, and a second assignment of the same group moves nothing.
TEST(Assignors, PropertiesHoldForGroupsOfEveryShape) {
    SimRandom random(11);
    for (int round = 0; round < 300; ++round) {
        PartitionCounts counts;
        const size_t topics = 1 + random.below(4);
        for (size_t i = 0; i < topics; ++i) { counts["t" + std::to_string(i)] = static_cast<int32_t>(random.below(8)); }
        std::vector<Subscriber> members(1 + random.below(5));
        for (size_t i = 0; i < members.size(); ++i) {
            members[i].member = "m" + std::to_string(i);
            for (const auto& [topic, count] : counts) {
                if (random.below(3) != 0) { members[i].topics.push_back(topic); }
            }
        }
        for (const Assignor assignor : {Assignor::range, Assignor::round_robin, Assignor::sticky}) {
            const auto given = assign(assignor, members, counts);
            std::set<TopicPartition> seen;
            for (const Subscriber& member : members) {
                for (const TopicPartition& place : given.at(member.member)) {
                    EXPECT_TRUE(seen.insert(place).second) << "two readers";
                    EXPECT_NE(std::ranges::find(member.topics, place.topic), member.topics.end());
                }
            }
            for (const auto& [topic, count] : counts) {
                const bool wanted = std::ranges::any_of(members, [&](const Subscriber& member) {
                    return std::ranges::find(member.topics, topic) != member.topics.end();
                });
                for (int32_t partition = 0; partition < count; ++partition) {
                    EXPECT_EQ(seen.contains({topic, partition}), wanted);
                }
            }
            if (assignor != Assignor::sticky) { continue; }
            for (const Subscriber& from : members) {
                for (const TopicPartition& place : given.at(from.member)) {
                    for (const Subscriber& to : members) {
                        if (std::ranges::find(to.topics, place.topic) == to.topics.end()) { continue; }
                        EXPECT_LE(given.at(from.member).size(), given.at(to.member).size() + 1);
                    }
                }
            }
            auto again = members;
            for (Subscriber& member : again) {
                member.owned = given.at(member.member);
                member.generation = 1;
            }
            EXPECT_EQ(assign(assignor, again, counts), given);
            EXPECT_EQ(assign(Assignor::cooperative_sticky, again, counts), given);
        }
    }
}

}  // namespace
}  // namespace flowstone
