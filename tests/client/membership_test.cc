#include "client/impl/membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/world/sim_random.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using testing::ElementsAre;
using testing::IsEmpty;
using M = Membership;

std::vector<TopicPartition> places(std::initializer_list<int32_t> numbers) {
    std::vector<TopicPartition> out;
    for (const int32_t number : numbers) { out.push_back({"t", number}); }
    return out;
}

std::string text(const std::vector<TopicPartition>& places) {
    std::string out;
    for (const TopicPartition& place : places) { out += " " + place.topic + std::to_string(place.partition); }
    return out;
}

// An effect as one would say it.
struct Say {
    std::string operator()(const M::Find&) const { return "find"; }
    std::string operator()(const M::Join& join) const {
        return "join as '" + join.self.member + "' with" + text(join.self.owned);
    }
    std::string operator()(const M::Count& count) const {
        std::string out = "count";
        for (const std::string& topic : count.topics) { out += " " + topic; }
        return out;
    }
    std::string operator()(const M::Sync& sync) const {
        std::string out = "sync " + std::to_string(sync.generation) + " as " + sync.member;
        for (const auto& [member, given] : sync.assignment) { out += "; " + member + " has" + text(given); }
        return out;
    }
    std::string operator()(const M::Beat& beat) const { return "beat " + std::to_string(beat.generation); }
    std::string operator()(const M::Bye& bye) const { return "leave as " + bye.member; }
    std::string operator()(const M::Revoke& revoke) const { return "revoke" + text(revoke.places); }
    std::string operator()(const M::Lost& lost) const { return "lost" + text(lost.places); }
    std::string operator()(const M::Read& read) const { return "read" + text(read.places); }
    std::string operator()(const M::Fail& fail) const { return "fail " + std::string(kafka::name(fail.code)); }
};

class MembershipTest : public testing::Test {
protected:
    std::vector<std::string> step(const M::Input& input) {
        M::Effects effects;
        machine_.step(input, effects);
        std::vector<std::string> out;
        for (const M::Effect& effect : effects) { out.push_back(std::visit(Say(), effect)); }
        return out;
    }
    std::vector<std::string> tick(int64_t ms) { return step(M::Tick{now_ms_ += ms}); }
    // A member that does not lead, with these.
    void settle(std::initializer_list<int32_t> numbers, int32_t generation = 1) {
        tick(0);
        EXPECT_THAT(step(M::Subscribe{{"t"}}), ElementsAre("find"));
        EXPECT_THAT(step(M::Found{ErrorCode::none}), ElementsAre("join as '' with"));
        EXPECT_THAT(step(M::Joined{.code = ErrorCode::member_id_required, .member = "me"}),
                    ElementsAre("join as 'me' with"));
        EXPECT_THAT(step(M::Joined{ErrorCode::none, generation, "range", "me"}),
                    ElementsAre("sync " + std::to_string(generation) + " as me"));
        EXPECT_THAT(step(M::Synced{ErrorCode::none, places(numbers)}), ElementsAre("read" + text(places(numbers))));
    }

    Membership machine_{{.group = "g"}};
    int64_t now_ms_ = 1'000'000;
};

TEST_F(MembershipTest, JoinsIsGivenPartitionsAndBeats) {
    EXPECT_FALSE(machine_.identity());
    settle({0, 1});
    ASSERT_TRUE(machine_.identity());
    EXPECT_EQ(machine_.identity()->member, "me");
    EXPECT_EQ(machine_.next_tick_ms(), now_ms_ + 3'000);
    EXPECT_THAT(tick(2'999), IsEmpty());
    EXPECT_THAT(tick(1), ElementsAre("beat 1"));
    EXPECT_THAT(tick(5'000), IsEmpty()) << "one is under way";
    EXPECT_THAT(step(M::Beaten{ErrorCode::none}), IsEmpty());
    EXPECT_THAT(tick(3'000), ElementsAre("beat 1"));
}

TEST_F(MembershipTest, TheLeaderTellsEverybodyWhatToRead) {
    tick(0);
    step(M::Subscribe{{"t"}});
    step(M::Found{ErrorCode::none});
    const std::vector<Subscriber> members = {{.member = "me", .topics = {"t"}},
                                             {.member = "you", .topics = {"t", "u"}}};
    EXPECT_THAT(step(M::Joined{ErrorCode::none, 1, "range", "me", true, true, members}), ElementsAre("count t u"));
    EXPECT_THAT(step(M::Counted{{{"t", 3}}}), ElementsAre("sync 1 as me; me has t0 t1; you has t2"));
    EXPECT_THAT(step(M::Synced{ErrorCode::none, places({0, 1})}), ElementsAre("read t0 t1"));
}

// KIP-814: a static leader that comes back, and nothing changed.
TEST_F(MembershipTest, ALeaderThatIsToDecideNothingDecidesNothing) {
    tick(0);
    step(M::Subscribe{{"t"}});
    step(M::Found{ErrorCode::none});
    EXPECT_THAT(step(M::Joined{ErrorCode::none, 1, "range", "me", true, false}), ElementsAre("sync 1 as me"));
}

TEST_F(MembershipTest, WhenTheGroupChangesEverythingIsGivenUpFirst) {
    settle({0, 1});
    tick(3'000);
    EXPECT_THAT(step(M::Beaten{ErrorCode::rebalance_in_progress}), ElementsAre("revoke t0 t1"));
    EXPECT_TRUE(machine_.identity()) << "it may commit before it lets go";
    EXPECT_THAT(tick(3'000), ElementsAre("beat 1"));
    EXPECT_THAT(step(M::Beaten{ErrorCode::rebalance_in_progress}), IsEmpty());
    EXPECT_THAT(step(M::Revoked{}), ElementsAre("read", "join as 'me' with"));
    EXPECT_FALSE(machine_.identity());
    EXPECT_THAT(step(M::Joined{ErrorCode::none, 2, "range", "me"}), ElementsAre("sync 2 as me"));
    EXPECT_THAT(step(M::Synced{ErrorCode::none, places({1})}), ElementsAre("read t1"));
}

TEST_F(MembershipTest, CooperativelyItReadsOnAndGivesUpOnlyWhatMoves) {
    machine_ = Membership({.group = "g", .assignors = {Assignor::cooperative_sticky}});
    settle({0, 1});
    tick(3'000);
    EXPECT_THAT(step(M::Beaten{ErrorCode::rebalance_in_progress}), ElementsAre("join as 'me' with t0 t1"));
    EXPECT_THAT(step(M::Joined{ErrorCode::none, 2, "cooperative-sticky", "me"}), ElementsAre("sync 2 as me"));
    EXPECT_THAT(step(M::Synced{ErrorCode::none, places({0})}), ElementsAre("revoke t1"));
    EXPECT_THAT(step(M::Revoked{}), ElementsAre("read t0", "join as 'me' with t0"));
    EXPECT_THAT(step(M::Joined{ErrorCode::none, 3, "cooperative-sticky", "me"}), ElementsAre("sync 3 as me"));
    EXPECT_THAT(step(M::Synced{ErrorCode::none, places({0, 2})}), ElementsAre("read t0 t2"));
    EXPECT_THAT(step(M::Subscribe{{"u"}}), ElementsAre("revoke t0 t2")) << "nobody wants these any more";
}

TEST_F(MembershipTest, WhoWasForgottenHasLostAllAndBeginsAnew) {
    settle({0, 1});
    tick(3'000);
    EXPECT_THAT(step(M::Beaten{ErrorCode::unknown_member_id}), ElementsAre("lost t0 t1", "read", "join as '' with"));
    machine_ = Membership({.group = "g"});
    settle({0});
    tick(3'000);
    EXPECT_THAT(step(M::Beaten{ErrorCode::illegal_generation}), ElementsAre("lost t0", "read", "join as 'me' with"));
}

TEST_F(MembershipTest, ACoordinatorThatIsSilentForASessionHasGivenUsUp) {
    settle({0});
    EXPECT_THAT(tick(3'000), ElementsAre("beat 1"));
    EXPECT_THAT(step(M::Beaten{ErrorCode::network_exception}), IsEmpty());
    EXPECT_THAT(tick(100), ElementsAre("beat 1")) << "again soon";
    EXPECT_THAT(tick(41'899), IsEmpty());
    EXPECT_THAT(tick(1), ElementsAre("lost t0", "read", "find"));
    EXPECT_THAT(step(M::Found{ErrorCode::coordinator_not_available}), IsEmpty());
    EXPECT_THAT(tick(99), IsEmpty());
    EXPECT_THAT(tick(1), ElementsAre("find"));
}

TEST_F(MembershipTest, AnErrorThatIsFinalEndsIt) {
    settle({0});
    tick(3'000);
    EXPECT_THAT(step(M::Beaten{ErrorCode::fenced_instance_id}),
                ElementsAre("lost t0", "read", "fail FENCED_INSTANCE_ID"));
    EXPECT_THAT(tick(100'000), IsEmpty());
    EXPECT_THAT(step(M::Subscribe{{"u"}}), IsEmpty());
    EXPECT_EQ(machine_.next_tick_ms(), INT64_MAX);
}

TEST_F(MembershipTest, LeavingGivesUpWhatIsReadAndSaysSo) {
    settle({0});
    EXPECT_THAT(step(M::Leave{}), ElementsAre("revoke t0"));
    EXPECT_THAT(step(M::Revoked{}), ElementsAre("read", "leave as me"));
    machine_ = Membership({.group = "g", .instance = "static"});
    settle({0});
    step(M::Leave{});
    EXPECT_THAT(step(M::Revoked{}), ElementsAre("read")) << "its place is kept";
}

TEST_F(MembershipTest, WhoDoesNotPollIsOutUntilItSubscribesAgain) {
    settle({0, 1});
    EXPECT_THAT(step(M::Lapse{}), ElementsAre("lost t0 t1", "read", "leave as me"));
    EXPECT_TRUE(machine_.out());
    EXPECT_EQ(machine_.next_tick_ms(), INT64_MAX);
    EXPECT_THAT(step(M::Lapse{}), IsEmpty());
    EXPECT_THAT(step(M::Subscribe{{"t"}}), ElementsAre("find"));
    EXPECT_THAT(step(M::Found{ErrorCode::none}), ElementsAre("join as '' with"));
}

TEST_F(MembershipTest, WhileItJoinsNothingIsDueAtAnyTime) {
    settle({0});
    tick(3'000);
    step(M::Beaten{ErrorCode::rebalance_in_progress});
    EXPECT_EQ(machine_.next_tick_ms(), now_ms_ + 3'000) << "it beats while the application lets go";
    step(M::Revoked{});
    EXPECT_EQ(machine_.next_tick_ms(), INT64_MAX);
    EXPECT_THAT(tick(10'000), IsEmpty());
}

TEST_F(MembershipTest, ASubscriptionThatChangesMeanwhileIsTakenUpAfterwards) {
    tick(0);
    step(M::Subscribe{{"t"}});
    step(M::Found{ErrorCode::none});
    EXPECT_THAT(step(M::Subscribe{{"t", "u"}}), IsEmpty());
    step(M::Joined{ErrorCode::none, 1, "range", "me"});
    EXPECT_THAT(step(M::Synced{ErrorCode::none, places({0})}), ElementsAre("read t0", "revoke t0"));
    EXPECT_THAT(step(M::Revoked{}), ElementsAre("read", "join as 'me' with"));
}

// Whatever comes in whatever order: nothing is read that was not given since the last loss, beats carry the generation
// that is, and a machine that failed is silent.
TEST_F(MembershipTest, NoOrderOfEventsMakesItReadWhatItWasNotGiven) {
    SimRandom random(17);
    for (int round = 0; round < 500; ++round) {
        const bool cooperative = random.below(2) == 0;
        machine_ =
            Membership({.group = "g", .assignors = {cooperative ? Assignor::cooperative_sticky : Assignor::range}});
        std::vector<TopicPartition> given;
        for (int i = 0; i < 60; ++i) {
            const ErrorCode codes[] = {ErrorCode::none,
                                       ErrorCode::none,
                                       ErrorCode::none,
                                       ErrorCode::rebalance_in_progress,
                                       ErrorCode::not_coordinator,
                                       ErrorCode::unknown_member_id,
                                       ErrorCode::illegal_generation,
                                       ErrorCode::network_exception};
            const ErrorCode code = codes[random.below(8)];
            M::Input input = M::Tick{now_ms_ += static_cast<int64_t>(random.below(5'000))};
            switch (random.below(10)) {
                case 0: input = M::Subscribe{{"t"}}; break;
                case 1: input = M::Found{code}; break;
                case 2: input = M::Joined{code, i, cooperative ? "cooperative-sticky" : "range", "me"}; break;
                case 3: input = M::Counted{{{"t", 2}}}; break;
                case 4: input = M::Synced{code, places({static_cast<int32_t>(random.below(3))})}; break;
                case 5: input = M::Beaten{code}; break;
                case 6: input = M::Revoked{}; break;
                case 7: input = M::Rejoin{}; break;
                case 8: input = M::Lapse{}; break;
                default: break;
            }
            if (const auto* synced = std::get_if<M::Synced>(&input); synced != nullptr && code == ErrorCode::none) {
                given.insert(given.end(), synced->places.begin(), synced->places.end());
            }
            M::Effects effects;
            machine_.step(input, effects);
            for (const M::Effect& effect : effects) {
                if (std::holds_alternative<M::Lost>(effect)) { given.clear(); }
                if (const auto* read = std::get_if<M::Read>(&effect)) {
                    for (const TopicPartition& place : read->places) {
                        EXPECT_NE(std::ranges::find(given, place), given.end()) << "round " << round;
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace flowstone
