// What a member does about each thing that its coordinator may say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/group_world.h"
#include "tests/client/model_coordinator.h"

namespace flowstone {
namespace {

using kafka::ApiKey;
using kafka::ErrorCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class GroupErrorsTest : public GroupWorld {
protected:
    GroupErrorsTest() { address_ = model_.address; }
    ~GroupErrorsTest() override { readers_.clear(); }
    void serve() override { model_.run(); }
    Reader& settle() {
        Reader& reader = join(options());
        EXPECT_TRUE(settled(2));
        return reader;
    }

    ModelCoordinator model_{network_, clock_};
};

TEST_F(GroupErrorsTest, WhatPassesIsWaitedForWhileItJoins) {
    model_.fail_next(ApiKey::find_coordinator, ErrorCode::coordinator_not_available);
    model_.fail_next(ApiKey::find_coordinator, ErrorCode::coordinator_load_in_progress);
    model_.fail_next(ApiKey::join_group, ErrorCode::coordinator_load_in_progress);
    model_.fail_next(ApiKey::join_group, ErrorCode::not_coordinator);
    model_.fail_next(ApiKey::join_group, ErrorCode::member_id_required);
    model_.fail_next(ApiKey::sync_group, ErrorCode::rebalance_in_progress);
    model_.fail_next(ApiKey::sync_group, ErrorCode::not_coordinator);
    model_.fail_next(ApiKey::offset_fetch, ErrorCode::not_coordinator);
    model_.fail_next(ApiKey::offset_fetch, ErrorCode::coordinator_load_in_progress);
    model_.fail_next(ApiKey::offset_fetch, ErrorCode::unstable_offset_commit);
    Reader& reader = settle();
    EXPECT_TRUE(model_.all_failed());
    EXPECT_FALSE(reader.error);
    EXPECT_EQ(reader.core->position({"events", 0}), Offset{10});
    EXPECT_EQ(reader.core->position({"events", 1}), Offset{11});
    EXPECT_EQ(model_.joins.front().member_id, "");
    EXPECT_EQ(model_.joins.back().member_id, "me");
    EXPECT_EQ(model_.joins.back().session_timeout_ms, 45'000);
    EXPECT_EQ(model_.joins.back().rebalance_timeout_ms, 300'000);
}

TEST_F(GroupErrorsTest, ACoordinatorThatMovesIsFoundAgainAndNothingIsLost) {
    Reader& reader = settle();
    const int found = model_.asked[ApiKey::find_coordinator];
    model_.fail_next(ApiKey::heartbeat, ErrorCode::not_coordinator);
    model_.fail_next(ApiKey::find_coordinator, ErrorCode::coordinator_not_available);
    model_.fail_next(ApiKey::heartbeat, ErrorCode::coordinator_load_in_progress);
    pass(20'000);
    EXPECT_TRUE(model_.all_failed());
    EXPECT_EQ(model_.asked[ApiKey::find_coordinator], found + 2);
    EXPECT_EQ(reader.said.size(), 2u);
    EXPECT_EQ(model_.generation, 1);
    EXPECT_GE(model_.asked[ApiKey::heartbeat], 6);
}

TEST_F(GroupErrorsTest, WhoIsNotKnownAnyMoreLosesAllAndJoinsAsSomebodyNew) {
    Reader& reader = settle();
    model_.fail_next(ApiKey::heartbeat, ErrorCode::unknown_member_id);
    ASSERT_TRUE(until([&] { return model_.generation == 2 && reader.owned.size() == 2; }));
    EXPECT_EQ(model_.joins.back().member_id, "");
    EXPECT_THAT(std::vector(reader.said.begin() + 2, reader.said.begin() + 4),
                UnorderedElementsAre("!events-0", "!events-1"));
    model_.fail_next(ApiKey::heartbeat, ErrorCode::illegal_generation);
    ASSERT_TRUE(until([&] { return model_.generation == 3 && reader.owned.size() == 2; }));
    EXPECT_EQ(model_.joins.back().member_id, "me");
}

TEST_F(GroupErrorsTest, WhenTheGroupChangesItLetsGoAndIsGivenAnew) {
    Reader& reader = settle();
    model_.fail_next(ApiKey::heartbeat, ErrorCode::rebalance_in_progress);
    ASSERT_TRUE(until([&] { return model_.generation == 2 && reader.owned.size() == 2; }));
    EXPECT_THAT(std::vector(reader.said.begin() + 2, reader.said.begin() + 4),
                UnorderedElementsAre("-events-0", "-events-1"));
}

TEST_F(GroupErrorsTest, ACommitIsDoneAgainWhileThatMayHelpAndOneThatNobodyWaitsForIsNot) {
    Reader& reader = settle();
    model_.fail_next(ApiKey::offset_commit, ErrorCode::not_coordinator);
    model_.fail_next(ApiKey::offset_commit, ErrorCode::coordinator_load_in_progress);
    model_.fail_next(ApiKey::offset_commit, ErrorCode::request_timed_out);
    EXPECT_TRUE(commit(reader, {{"events", 0, Offset{20}, "m"}}));
    ASSERT_EQ(model_.commits.size(), 4u);
    const auto& last = model_.commits.back();
    EXPECT_EQ(last.generation_id_or_member_epoch, 1);
    EXPECT_EQ(last.member_id, "me");
    EXPECT_EQ(last.topics.at(0).partitions.at(0).committed_offset, 20);
    EXPECT_EQ(last.topics.at(0).partitions.at(0).committed_metadata, "m");

    model_.fail_next(ApiKey::offset_commit, ErrorCode::coordinator_load_in_progress);
    std::optional<Result<void>> verdict;
    ASSERT_TRUE(
        reader.group->commit_async({{"events", 0, Offset{21}}}, [&](const Result<void>& result) { verdict = result; }));
    ASSERT_TRUE(until([&] { return verdict.has_value(); }));
    EXPECT_EQ(model_.commits.size(), 5u);
    ASSERT_FALSE(*verdict);
    EXPECT_EQ(advice(verdict->error()), Advice::retry);
}

TEST_F(GroupErrorsTest, WhatACommitIsRefusedForSaysWhatToDo) {
    Reader& reader = settle();
    const std::vector<std::pair<ErrorCode, Advice>> said = {{ErrorCode::illegal_generation, Advice::fenced},
                                                            {ErrorCode::unknown_member_id, Advice::fenced},
                                                            {ErrorCode::fenced_instance_id, Advice::fenced},
                                                            {ErrorCode::rebalance_in_progress, Advice::retry},
                                                            {ErrorCode::offset_metadata_too_large, Advice::give_up},
                                                            {ErrorCode::group_authorization_failed, Advice::give_up}};
    for (const auto& [code, what] : said) {
        const size_t commits = model_.commits.size();
        model_.fail_next(ApiKey::offset_commit, code);
        const auto verdict = commit(reader, {{"events", 0, Offset{20}}});
        ASSERT_FALSE(verdict) << kafka::name(code);
        EXPECT_EQ(advice(verdict.error()), what) << kafka::name(code);
        EXPECT_THAT(verdict.error().message(), HasSubstr(kafka::name(code)));
        EXPECT_EQ(model_.commits.size(), commits + 1) << "it is not done again";
    }
}

TEST_F(GroupErrorsTest, WhatTheGroupWillNotHaveEachPollSays) {
    model_.fail_next(ApiKey::find_coordinator, ErrorCode::group_authorization_failed);
    Reader& reader = join(options());
    ASSERT_TRUE(until([&] { return reader.error.has_value(); }));
    EXPECT_THAT(reader.error->message(), HasSubstr("GROUP_AUTHORIZATION_FAILED"));
    EXPECT_EQ(advice(*reader.error), Advice::give_up);
    reader.error.reset();
    poll(reader);
    EXPECT_TRUE(reader.error);
    reader.error.reset();
    reader.group->subscribe(std::vector<std::string>{"events"});  // another try
    ASSERT_TRUE(settled(2));
    EXPECT_FALSE(reader.error);
}

TEST_F(GroupErrorsTest, AMemberThatGoesSaysSoOnce) {
    Reader& reader = settle();
    leave(reader);
    EXPECT_EQ(model_.asked[ApiKey::leave_group], 1);
}

}  // namespace
}  // namespace flowstone
