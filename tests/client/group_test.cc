// Consumers as members of groups, with our own broker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/group_world.h"

namespace flowstone {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

const std::pair<int, int> once{1, 1};

class GroupTest : public GroupWorld {
protected:
    static ConsumerOptions cooperative() { return options({.assignors = {Assignor::cooperative_sticky}}); }
    static ConsumerOptions committing(std::vector<Assignor> assignors = {Assignor::range}) {
        return options({.assignors = std::move(assignors), .auto_commit = std::chrono::milliseconds(1'000)});
    }
};

TEST_F(GroupTest, AMemberReadsAllAndAnotherGoesOnWhereItCommitted) {
    start_all();
    make_topic("events", 2);
    fill_all("events", 2, 100);
    Reader& first = join(options());
    ASSERT_TRUE(until([&] { return first.given.size() == 200; }));
    EXPECT_THAT(first.said, UnorderedElementsAre("+events-0", "+events-1"));
    ASSERT_TRUE(commit(first, {{"events", 0, Offset{60}, "so far"}}));
    EXPECT_EQ(committed("events", 0), 60);
    leave(first);
    Reader& second = join(options());
    ASSERT_TRUE(until([&] { return second.given.size() == 140; }));
    pass(5'000);
    EXPECT_EQ(second.given.size(), 140u);
    EXPECT_EQ(times("events", 0, 0, 60), once);
    EXPECT_EQ(times("events", 0, 60, 100), std::pair(2, 2));
    const auto found = value_of(answer(second.group->committed({{"events", 0}, {"events", 1}}, INT64_MAX)));
    ASSERT_EQ(found.size(), 1u) << "of the other nothing";
    EXPECT_EQ(found[0].offset, Offset{60});
    EXPECT_EQ(found[0].metadata, "so far");
}

class GroupAssignorTest : public GroupTest, public testing::WithParamInterface<Assignor> {};
INSTANTIATE_TEST_SUITE_P(Each, GroupAssignorTest,
                         testing::Values(Assignor::range, Assignor::round_robin, Assignor::sticky,
                                         Assignor::cooperative_sticky));

TEST_P(GroupAssignorTest, MembersThatComeAndGoShareAndReadEachRecordOnce) {
    start_all();
    make_topic("events", 6);
    fill_all("events", 6, 20);
    Reader& first = join(committing({GetParam()}));
    ASSERT_TRUE(settled(6));
    Reader& second = join(committing({GetParam()}));
    ASSERT_TRUE(until([&] { return first.owned.size() == 3 && second.owned.size() == 3; }));
    fill_all("events", 6, 20);
    Reader& third = join(committing({GetParam()}));
    ASSERT_TRUE(until([&] { return first.owned.size() == 2 && second.owned.size() == 2 && third.owned.size() == 2; }));
    fill_all("events", 6, 20);
    leave(first);
    ASSERT_TRUE(until([&] { return second.owned.size() == 3 && third.owned.size() == 3; }, 20'000))
        << "its session need not be over";
    fill_all("events", 6, 20);
    leave(second);
    ASSERT_TRUE(until([&] { return third.owned.size() == 6; }));
    ASSERT_TRUE(until([&] { return times_.size() == 6 * 80; }));
    pass(3'000);
    for (int32_t partition = 0; partition < 6; ++partition) {
        EXPECT_EQ(times("events", partition, 0, 80), once) << partition;
        EXPECT_EQ(committed("events", partition), 80);
    }
}

// Joining and leaving never stops the reading of what stays.
TEST_F(GroupTest, CooperativelyWhatStaysIsReadOnWithoutABreak) {
    start_all();
    make_topic("events", 4);
    Reader& first = join(cooperative());
    ASSERT_TRUE(settled(4));
    fill_all("events", 4, 10);
    ASSERT_TRUE(until([&] { return first.given.size() == 40; }));
    Reader& second = join(cooperative());
    std::map<int32_t, int> while_sharing;
    while (second.owned.size() < 2) {
        ASSERT_FALSE(HasFatalFailure());
        const size_t before = first.given.size();
        fill_all("events", 4, 1);
        for (int i = 0; i < 20; ++i) { step(); }
        for (size_t i = before; i < first.given.size(); ++i) { ++while_sharing[first.given[i].first.partition]; }
        ASSERT_LT(while_sharing.size() + first.given.size(), 10'000u);
    }
    EXPECT_EQ(first.owned.size(), 2u);
    for (const TopicPartition& place : first.owned) {
        EXPECT_THAT(first.said, Not(Contains("-" + text(place))));
        EXPECT_GT(while_sharing[place.partition], 0) << text(place);
        EXPECT_EQ(times("events", place.partition, 0, 10), once);
    }
    EXPECT_EQ(std::ranges::count_if(first.said, [](const std::string& word) { return word[0] == '-'; }), 2);
}

TEST_F(GroupTest, OfAKilledMemberTheOthersReadOnFromItsLastCommit) {
    start_all();
    make_topic("events", 2);
    fill_all("events", 2, 50);
    Reader& first = join(options());
    Reader& second = join(options());
    ASSERT_TRUE(until([&] { return first.owned.size() == 1 && second.owned.size() == 1; }));
    ASSERT_TRUE(until([&] { return times_.size() == 100; }));
    ASSERT_TRUE(commit(first));
    ASSERT_TRUE(commit(second));
    const int32_t partition = first.owned.begin()->partition;
    fill("events", partition, 10);
    ASSERT_TRUE(until([&] { return times_.size() == 110; }));
    shared_strictly_ = false;
    kill(first);
    ASSERT_TRUE(until([&] { return second.owned.size() == 2; }));
    ASSERT_TRUE(until([&] { return times("events", partition, 50, 60).first == 2; }));
    EXPECT_EQ(times("events", partition, 50, 60), std::pair(2, 2)) << "what was not committed comes again";
    for (const int32_t each : {0, 1}) { EXPECT_EQ(times("events", each, 0, 50), once); }
}

TEST_F(GroupTest, BrokenConnectionsCostNobodyItsPlace) {
    start_all();
    make_topic("events", 4);
    Reader& first = join(committing());
    Reader& second = join(committing());
    ASSERT_TRUE(until([&] { return first.owned.size() == 2 && second.owned.size() == 2; }));
    const auto said = first.said;
    for (int round = 0; round < 30; ++round) {
        fill_all("events", 4, 5);
        for (uint64_t i = random_.below(40); i > 0; --i) { step(); }
        (round % 2 == 0 ? first : second).network->break_all();
    }
    ASSERT_TRUE(until([&] { return times_.size() == 4 * 150; }));
    pass(10'000);
    EXPECT_EQ(first.said, said);
    for (int32_t partition = 0; partition < 4; ++partition) {
        EXPECT_EQ(times("events", partition, 0, 150), once);
        EXPECT_EQ(committed("events", partition), 150);
    }
}

TEST_F(GroupTest, ABrokerThatIsKilledAndComesBackFindsItsMembersAgain) {
    start_all();
    make_topic("events", 4);
    shared_strictly_ = false;
    Reader& first = join(committing());
    Reader& second = join(committing());
    ASSERT_TRUE(until([&] { return first.owned.size() == 2 && second.owned.size() == 2; }));
    fill_all("events", 4, 50);
    ASSERT_TRUE(until([&] { return times_.size() == 200; }));
    pass(5'000);
    broker_->stop(1'000);
    broker_.reset();
    ASSERT_TRUE(log_->close());
    log_.reset();
    pass(2'000);
    start();
    ASSERT_TRUE(until([&] { return first.owned.size() == 2 && second.owned.size() == 2; }));
    fill_all("events", 4, 50);
    ASSERT_TRUE(until([&] { return times_.size() == 400; }));
    for (int32_t partition = 0; partition < 4; ++partition) { EXPECT_EQ(times("events", partition, 0, 100), once); }
    EXPECT_FALSE(first.error);
}

TEST_F(GroupTest, AStaticMemberThatIsBackWithinItsSessionHasItsPartitionsAndNobodyElseNotices) {
    start_all();
    make_topic("events", 4);
    const auto named = [](const char* instance) {
        auto out = committing();
        out.instance = instance;
        return out;
    };
    Reader& other = join(named("a"));
    Reader& first = join(named("b"));
    ASSERT_TRUE(until([&] { return first.owned.size() == 2 && other.owned.size() == 2; }));
    const auto had = first.owned;
    const auto said = other.said;
    leave(first);  // which a static member does not say
    pass(10'000);
    Reader& again = join(named("b"));
    ASSERT_TRUE(until([&] { return again.owned.size() == 2; }));
    EXPECT_EQ(again.owned, had);
    pass(5'000);
    EXPECT_EQ(other.said, said);
    kill(again);
    shared_strictly_ = false;
    ASSERT_TRUE(until([&] { return other.owned.size() == 4; })) << "its session is over";
}

TEST_F(GroupTest, TwoOfOneInstanceAreOneTooManyAndTheFirstIsToldSo) {
    start_all();
    make_topic("events", 2);
    shared_strictly_ = false;
    Reader& first = join(options({.instance = "a"}));
    ASSERT_TRUE(settled(2)) << (first.error ? first.error->message() : "");
    join(options({.instance = "a"}));
    ASSERT_TRUE(until([&] { return first.error.has_value(); }));
    EXPECT_EQ(first.error->code, Code::stale_epoch);
    EXPECT_EQ(advice(*first.error), Advice::fenced);
    EXPECT_THAT(first.error->message(), HasSubstr("FENCED_INSTANCE_ID"));
    EXPECT_THAT(first.owned, IsEmpty());
    EXPECT_EQ(commit(first, {{"events", 0, Offset{1}}}).error().code, Code::stale_epoch);
}

// A process that stood still for longer than its session.
TEST_F(GroupTest, WhoWasTakenForDeadCannotCommitAndIsGivenNothingMoreOfWhatItHad) {
    start_all();
    make_topic("events", 1);
    fill("events", 0, 30);
    Reader& first = join(options());
    ASSERT_TRUE(until([&] { return first.given.size() == 30; }));
    shared_strictly_ = false;
    first.runs = false;
    Reader& second = join(options());
    ASSERT_TRUE(until([&] { return second.owned.size() == 1; }));
    ASSERT_TRUE(until([&] { return second.given.size() == 30; }));
    ASSERT_TRUE(commit(second));
    first.runs = true;
    // Before it has heard of anything.
    auto late = first.group->commit({{"events", 0, Offset{5}}}, true, clock_.monotonic_ns() + 30'000'000'000);
    ASSERT_TRUE(late);
    const auto verdict = answer(*late);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(advice(verdict.error()), Advice::fenced) << verdict.error().message();
    EXPECT_EQ(committed("events", 0), 30);
    ASSERT_TRUE(until([&] { return first.said.size() >= 2; }));
    EXPECT_EQ(first.said[1], "!events-0");
    ASSERT_FALSE(first.group->commit({{"events", 0, Offset{5}}}, true, INT64_MAX)) << "it is not its own any more";
}

TEST_F(GroupTest, WhoDoesNotPollLeavesAndComesBackWithTheNextPoll) {
    start_all();
    make_topic("events", 2);
    fill_all("events", 2, 10);
    shared_strictly_ = false;
    auto impatient = options({.assignors = {Assignor::range}});
    impatient.max_poll_interval = std::chrono::milliseconds(20'000);
    Reader& first = join(impatient);
    ASSERT_TRUE(settled(2));
    first.polls = false;
    fill_all("events", 2, 10);
    Reader& second = join(impatient);
    ASSERT_TRUE(until([&] { return second.owned.size() == 2; }, 40'000)) << "its session goes on";
    EXPECT_EQ(first.owned.size(), 2u) << "it does not know";
    EXPECT_EQ(value_of(first.core->take(first.batch)), nullptr) << "nor does a poll that is under way give any";
    EXPECT_EQ(commit(first, {{"events", 0, Offset{1}}}).error().code, Code::stale_epoch);
    first.polls = true;
    ASSERT_TRUE(until([&] { return first.owned.size() == 1 && second.owned.size() == 1; }));
    EXPECT_THAT(std::vector(first.said.begin() + 2, first.said.begin() + 4),
                UnorderedElementsAre("!events-0", "!events-1"));
}

TEST_F(GroupTest, APollUnderWayGivesNothingOfWhatWasLost) {
    start_all();
    make_topic("events", 1);
    auto impatient = options();
    impatient.max_poll_interval = std::chrono::milliseconds(20'000);
    Reader& reader = join(impatient);
    ASSERT_TRUE(settled(1));
    reader.polls = false;
    fill("events", 0, 10);
    pass(25'000);
    EXPECT_EQ(value_of(reader.core->take(reader.batch)), nullptr);
    reader.polls = true;
    ASSERT_TRUE(until([&] { return reader.given.size() == 10; }));
    EXPECT_THAT(reader.said, ElementsAre("+events-0", "!events-0", "+events-0"));
}

TEST_F(GroupTest, AConsumerThatIsDroppedLeavesAllTheSame) {
    start_all();
    make_topic("events", 2);
    Reader& first = join(options());
    Reader& second = join(options());
    ASSERT_TRUE(until([&] { return first.owned.size() == 1 && second.owned.size() == 1; }));
    shared_strictly_ = false;
    first.polls = false;
    first.engine->remove(*first.core);
    ASSERT_TRUE(until([&] { return second.owned.size() == 2; }, 20'000)) << "its session need not be over";
}

// While it lets go its session passes, another reads on, and it joins again: what it had is not its own by that.
TEST_F(GroupTest, WhatIsCommittedWhileLettingGoIsCommittedAsTheMemberThatHadIt) {
    start_all();
    make_topic("events", 1);
    fill("events", 0, 10);
    Reader& first = join(options());
    ASSERT_TRUE(until([&] { return first.given.size() == 10; }));
    shared_strictly_ = false;
    Reader* second = nullptr;
    std::optional<Result<void>> verdict;
    first.on_revoked = [&](Reader& reader) {
        reader.polls = reader.runs = false;
        ASSERT_TRUE(until([&] { return second->given.size() == 10; }));
        fill("events", 0, 5);
        ASSERT_TRUE(until([&] { return second->given.size() == 15; }));
        ASSERT_TRUE(commit(*second));
        reader.runs = true;
        pass(20'000);
        verdict = commit(reader, {{"events", 0, Offset{10}}});
        reader.polls = true;
    };
    second = &join(options());
    ASSERT_TRUE(until([&] { return verdict.has_value(); }, 400'000));
    ASSERT_FALSE(*verdict);
    EXPECT_EQ(advice(verdict->error()), Advice::fenced) << verdict->error().message();
    EXPECT_EQ(committed("events", 0), 15);
    ASSERT_TRUE(settled(1));
}

// What poll() has given before a call to it is what that call commits.
TEST_F(GroupTest, AutomaticallyCommittedIsWhatThePollsBeforeGave) {
    start_all();
    make_topic("events", 1);
    Reader& reader = join(committing());
    ASSERT_TRUE(settled(1));
    reader.polls = false;
    for (int i = 0; i < 10; ++i) {
        fill("events", 0, 1);
        const size_t before = reader.given.size();
        while (reader.given.size() == before) {
            step();
            poll(reader);
        }
        clock_.advance_ms(2'000);
        for (int j = 0; j < 50; ++j) { step(); }  // no poll: nothing is committed that may be in work
        EXPECT_LE(committed("events", 0).value_or(0), static_cast<int64_t>(before));
        poll(reader);  // now it is done with
        for (int j = 0; j < 50; ++j) { step(); }
        EXPECT_EQ(committed("events", 0), static_cast<int64_t>(before) + 1);
    }
}

TEST_F(GroupTest, WhatItIsToLetGoItMayCommitBefore) {
    start_all();
    make_topic("events", 2);
    fill_all("events", 2, 25);
    Reader& first = join(options());
    ASSERT_TRUE(until([&] { return first.given.size() == 50; }));
    std::optional<Result<void>> verdict;
    first.on_revoked = [&](Reader& reader) {
        auto started = reader.group->commit(reader.group->positions(), true, clock_.monotonic_ns() + 5'000'000'000);
        ASSERT_TRUE(started);
        ASSERT_TRUE(until_turned([&] { return (*started)->done.load(); }, 60'000));
        verdict = (*started)->result;
    };
    Reader& second = join(options());
    ASSERT_TRUE(until([&] { return second.owned.size() == 1; }));
    ASSERT_TRUE(verdict);
    EXPECT_TRUE(*verdict) << verdict->error().message();
    EXPECT_EQ(committed("events", 0), 25);
    pass(5'000);
    EXPECT_THAT(second.given, IsEmpty());
}

TEST_F(GroupTest, WhereNothingIsCommittedItBeginsAsItIsTold) {
    start_all();
    make_topic("events", 1);
    fill("events", 0, 10);
    Reader& end = join(options({.group = "end", .start = Start::end}));
    Reader& error = join(options({.group = "error", .start = Start::error}));
    ASSERT_TRUE(until([&] { return end.owned.size() == 1 && error.error.has_value(); }));
    EXPECT_EQ(error.error->code, Code::not_found);
    EXPECT_THAT(error.error->message(), HasSubstr("events-0"));
    ASSERT_TRUE(error.core->seek({"events", 0}, Offset{7}));
    pass(2'000);
    EXPECT_EQ(error.given.size(), 3u);
    EXPECT_THAT(end.given, IsEmpty());
    fill("events", 0, 1);
    ASSERT_TRUE(until([&] { return end.given.size() == 1; }));
}

// An offset that was committed and is not there any more, or never was.
TEST_F(GroupTest, WhereWhatIsCommittedIsNotThereItBeginsAsItIsTold) {
    start_all();
    make_topic("events", 1);
    fill("events", 0, 10);
    const std::vector<GroupOffset> far = {{"events", 0, Offset{500}}};
    ASSERT_TRUE(log_->commit_offsets("g", far));
    ASSERT_TRUE(log_->commit_offsets("e", far));
    Reader& beginning = join(options());
    Reader& error = join(options({.group = "e", .start = Start::error}));
    ASSERT_TRUE(until([&] { return beginning.given.size() == 10 && error.error.has_value(); }));
    EXPECT_EQ(error.error->code, Code::out_of_range);
}

TEST_F(GroupTest, TopicsThatMatchAreReadAsTheyComeAndPartitionsAsTheyAreAdded) {
    start_all();
    make_topic("orders.eu", 1);
    make_topic("payments", 1);
    auto quick = options();
    quick.topics_refresh = std::chrono::milliseconds(2'000);
    Reader& reader = add_reader(quick);
    reader.group->subscribe(std::regex("orders\\..*"));
    ASSERT_TRUE(settled(1));
    make_topic("orders.us", 2);
    make_topic("no.orders.at.all", 1);
    ASSERT_TRUE(settled(3));
    ASSERT_TRUE(log_->add_partitions("orders.us", 4));
    ASSERT_TRUE(settled(5));
    pass(10'000);
    EXPECT_EQ(reader.owned.size(), 5u);
    ASSERT_TRUE(log_->delete_topic("orders.us"));
    ASSERT_TRUE(settled(1));
}

TEST_F(GroupTest, ATopicThatIsMadeLaterIsReadThen) {
    start_all();
    Reader& reader = join(options());
    pass(5'000);
    EXPECT_FALSE(reader.error);
    make_topic("events", 3);
    ASSERT_TRUE(settled(3));
    EXPECT_FALSE(reader.error);
}

TEST_F(GroupTest, AnotherSubscriptionTakesThePlaceOfTheFirst) {
    start_all();
    make_topic("events", 2);
    make_topic("others", 1);
    Reader& reader = join(options());
    ASSERT_TRUE(settled(2));
    reader.group->subscribe(std::vector<std::string>{"others"});
    ASSERT_TRUE(until([&] { return reader.owned == std::set<TopicPartition>{{"others", 0}}; }));
}

// Two consumers of one client: neither waits behind the other's join.
TEST_F(GroupTest, TwoMembersMayShareAClient) {
    start_all();
    make_topic("events", 2);
    Reader& first = join(options());
    auto second = std::make_unique<Reader>();
    second->core = first.engine->add_consumer(options());
    second->member = first.engine->add_member(second->core, options());
    second->group = std::make_unique<GroupConsumer>(second->core, second->member, options(), clock_, 30'000);
    second->group->subscribe(std::vector<std::string>{"events"});
    ASSERT_TRUE(until(
        [&] {
            poll(*second);
            return first.owned.size() == 1 && second->owned.size() == 1;
        },
        20'000));
}

TEST_F(GroupTest, WithoutSubscribingAGroupsOffsetsAreCommittedAsItsAdministratorDoes) {
    start_all();
    make_topic("events", 1);
    fill("events", 0, 10);
    Reader& reader = add_reader(options());
    reader.core->assign({{"events", 0}}, From::beginning());
    ASSERT_TRUE(commit(reader, {{"events", 0, Offset{4}}}));
    EXPECT_EQ(committed("events", 0), 4);
    const auto verdict = commit(reader, {{"nothing", 0, Offset{4}}});
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Code::not_found) << verdict.error().message();
    const auto large = commit(reader, {{"events", 0, Offset{4}, std::string(10'000, 'm')}});
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().code, Code::too_large);
}

TEST_F(GroupTest, ACommitWithoutABrokerEndsAtItsDeadline) {
    start_all();
    make_topic("events", 1);
    Reader& reader = join(options());
    ASSERT_TRUE(settled(1));
    broker_.reset();
    const int64_t began = clock_.wall_ms();
    auto started = reader.group->commit({{"events", 0, Offset{0}}}, true, clock_.monotonic_ns() + 5'000'000'000);
    ASSERT_TRUE(started);
    const auto verdict = answer(*started);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(advice(verdict.error()), Advice::retry) << verdict.error().message();
    EXPECT_LE(clock_.wall_ms() - began, 5'100);
}

// Members come, go, die, stand still, do not poll and lose their connections, as a seed has it.
class GroupSeedTest : public GroupTest, public testing::WithParamInterface<uint64_t> {
protected:
    static constexpr int32_t partitions = 4;

    void act(SimRandom& random, const ConsumerOptions& options) {
        Reader* const one = readers_.empty() ? nullptr : readers_[random.below(readers_.size())].get();
        switch (random.below(9)) {
            case 0:
            case 1:
                if (readers_.size() < 4) { join(options); }
                return;
            case 2:
                if (one != nullptr && one->runs && one->polls) { leave(*one); }
                return;
            case 3:
                if (one != nullptr && random.below(3) == 0) { kill(*one); }
                return;
            case 4:
                if (one != nullptr) { one->runs = !one->runs; }
                return;
            case 5:
                if (one != nullptr) { one->polls = !one->polls; }
                return;
            case 6:
                if (one != nullptr) { one->network->break_all(); }
                return;
            default: fill("events", static_cast<int32_t>(random.below(partitions)), 5); return;
        }
    }
    // Nobody who was taken for dead ever takes a commit back.
    void expect_no_way_back() {
        for (const GroupOffset& one : value_of(log_->fetch_offsets("g"))) {
            int64_t& before = committed_[one.partition];
            EXPECT_GE(one.offset.value, before) << one.partition;
            before = one.offset.value;
        }
    }
    std::map<int32_t, int64_t> committed_;
};
INSTANTIATE_TEST_SUITE_P(Each, GroupSeedTest, testing::Range<uint64_t>(1, 25));

TEST_P(GroupSeedTest, WhateverHappensEverythingIsReadAndNoCommitIsTakenBack) {
    SimRandom random(GetParam());
    start_all();
    make_topic("events", partitions);
    shared_strictly_ = false;
    const std::vector<std::vector<Assignor>> choices = {{Assignor::range},
                                                        {Assignor::range, Assignor::cooperative_sticky},
                                                        {Assignor::sticky},
                                                        {Assignor::cooperative_sticky}};
    auto options = committing(choices[random.below(choices.size())]);
    options.session_timeout = std::chrono::milliseconds(6'000);
    options.heartbeat_interval = std::chrono::milliseconds(1'000);
    options.max_poll_interval = std::chrono::milliseconds(8'000);
    for (int round = 0; round < 80; ++round) {
        act(random, options);
        for (uint64_t i = random.below(200); i > 0; --i) { step(); }
        expect_no_way_back();
        ASSERT_FALSE(HasFatalFailure());
    }
    for (const auto& reader : readers_) { reader->runs = reader->polls = true; }
    join(options);
    fill_all("events", partitions, 1);
    std::vector<int64_t> ends;
    for (int32_t partition = 0; partition < partitions; ++partition) {
        ends.push_back(value_of(value_of(log_->topic("events")).partition(partition)).high_watermark.value);
    }
    ASSERT_TRUE(until([&] {
        for (int32_t partition = 0; partition < partitions; ++partition) {
            if (committed("events", partition) != ends[static_cast<size_t>(partition)]) { return false; }
        }
        return true;
    }));
    expect_no_way_back();
    for (int32_t partition = 0; partition < partitions; ++partition) {
        EXPECT_GE(times("events", partition, 0, ends[static_cast<size_t>(partition)]).first, 1) << partition;
    }
}

}  // namespace
}  // namespace flowstone
