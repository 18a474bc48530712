#include <set>
#include <string>
#include <vector>

#include "log/consumer_offsets.h"
#include "tests/log/log_world.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::IsEmpty;

// What a group read from `in` and made of it in `out`, in one step.
class AppendStepTest : public LogWorld {
protected:
    using Values = std::vector<std::string>;

    void begin() {
        log_.emplace(open());
        in_.emplace(make(*log_, "in"));
        out_.emplace(make(*log_, "out"));
    }
    Result<Pending> step(std::optional<Offset> from, Offset to, std::string_view value, const std::string& group = "g",
                         const std::string& topic = "in") {
        const OffsetMove move{topic, 0, from, to};
        const Record made = record(value);
        const AtomicPart part{.topic = *out_, .partition = 0, .records = {&made, 1}};
        return log_->append_step(group, {&move, 1}, {&part, 1});
    }
    Values out() {
        Values values;
        for (auto& [offset, value] : read(*out_)) { values.push_back(value); }
        return values;
    }
    Offset committed(std::string_view group = "g") {
        const auto offsets = value_of(log_->fetch_offsets(group));
        return offsets.empty() ? Offset{-1} : offsets[0].offset;
    }
    void commit(Offset to, std::string_view group = "g") {
        const GroupOffset offset{"in", 0, to};
        ASSERT_TRUE(log_->commit_offsets(group, {&offset, 1}));
    }

    std::optional<Log> log_;
    std::optional<Topic> in_;
    std::optional<Topic> out_;
};

TEST_F(AppendStepTest, MovesAnOffsetWithWhatWasMadeOfTheRecords) {
    begin();
    ASSERT_TRUE(log_->wait(value_of(step(std::nullopt, Offset{3}, "a"))));
    ASSERT_TRUE(log_->wait(value_of(step(Offset{3}, Offset{5}, "b"))));
    EXPECT_EQ(out(), (Values{"a", "b"}));
    EXPECT_EQ(committed(), Offset{5});
}

TEST_F(AppendStepTest, WhoeverBelievesAnotherOffsetAppendsNothing) {
    begin();
    ASSERT_TRUE(log_->wait(value_of(step(std::nullopt, Offset{3}, "a"))));
    for (const std::optional<Offset> from :
         {std::optional<Offset>(), std::optional(Offset{2}), std::optional(Offset{4})}) {
        const auto refused = step(from, Offset{6}, "stale");
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::stale_epoch);
        EXPECT_EQ(refused.error().fate, Fate::not_appended);
    }
    ASSERT_TRUE(log_->flush());
    EXPECT_EQ(out(), (Values{"a"}));
    EXPECT_EQ(committed(), Offset{3});
}

// With no threads of the log nothing is committed before somebody waits: the second step begins where the first, which is
// acknowledged to nobody, ended.
TEST_F(AppendStepTest, StepsFollowEachOtherBeforeTheyAreAcknowledged) {
    begin();
    std::vector<Pending> steps;
    for (int i = 0; i < 100; ++i) {
        const auto from = i == 0 ? std::nullopt : std::optional(Offset{i});
        steps.push_back(value_of(step(from, Offset{i + 1}, std::to_string(i))));
        EXPECT_EQ(step(from, Offset{i + 1}, "twice").error().code, Code::stale_epoch);
    }
    for (const Pending& pending : steps) { ASSERT_TRUE(log_->wait(pending)); }
    EXPECT_EQ(out().size(), 100u);
    EXPECT_EQ(committed(), Offset{100});
}

TEST_F(AppendStepTest, WhatOthersCommitCounts) {
    begin();
    ASSERT_TRUE(step(std::nullopt, Offset{3}, "a"));
    commit(Offset{1});  // somebody set the group back
    EXPECT_EQ(step(Offset{3}, Offset{4}, "stale").error().code, Code::stale_epoch);
    ASSERT_TRUE(step(Offset{1}, Offset{2}, "b"));
    // Not acknowledged, and by a way of its own.
    const GroupOffset back{"in", 0, Offset{0}};
    ASSERT_TRUE(log_->append_atomic({}, "g", {&back, 1}));
    EXPECT_EQ(step(Offset{2}, Offset{4}, "stale").error().code, Code::stale_epoch);
    ASSERT_TRUE(log_->wait(value_of(step(Offset{0}, Offset{1}, "c"))));
    EXPECT_EQ(out(), (Values{"a", "b", "c"}));
}

TEST_F(AppendStepTest, OtherGroupsAndPlacesAreNoneOfItsBusiness) {
    begin();
    ASSERT_TRUE(step(std::nullopt, Offset{3}, "a"));
    std::string other;  // another group of the same partition
    for (int i = 0; other.empty() || partition_for_group(other) != partition_for_group("g"); ++i) {
        other = "h" + std::to_string(i);
    }
    ASSERT_TRUE(step(std::nullopt, Offset{7}, "b", other));
    ASSERT_TRUE(step(std::nullopt, Offset{1}, "c", "g", "out"));
    ASSERT_TRUE(step(Offset{3}, Offset{4}, "d"));
    ASSERT_TRUE(step(Offset{7}, Offset{8}, "e", other));
    ASSERT_TRUE(log_->flush());
    EXPECT_EQ(out(), (Values{"a", "b", "c", "d", "e"}));
}

TEST_F(AppendStepTest, AGroupThatWasDeletedIsNowhere) {
    begin();
    ASSERT_TRUE(log_->wait(value_of(step(std::nullopt, Offset{3}, "a"))));
    ASSERT_TRUE(log_->delete_offsets("g"));
    EXPECT_EQ(step(Offset{3}, Offset{4}, "stale").error().code, Code::stale_epoch);
    EXPECT_TRUE(step(std::nullopt, Offset{4}, "b"));
}

TEST_F(AppendStepTest, RefusesWhatAnAtomicAppendRefuses) {
    begin();
    EXPECT_EQ(step(std::nullopt, Offset{3}, "a", "g", "missing").error().code, Code::not_found);
    EXPECT_EQ(step(std::nullopt, Offset{-3}, "a").error().code, Code::invalid);
    EXPECT_EQ(step(std::nullopt, Offset{3}, "a", "").error().code, Code::invalid);
    EXPECT_EQ(step(std::nullopt, Offset{3}, std::string(2u << 20, 'x')).error().code, Code::too_large);
    EXPECT_THAT(value_of(log_->fetch_offsets("g")), IsEmpty());
    EXPECT_THAT(out(), IsEmpty());
}

// Power fails before and during every operation on the disk, and leaves what it likes of what was not synced: whoever begins
// again where the group stands makes everything exactly once.
TEST_F(AppendStepTest, EverythingIsMadeOnceWheneverPowerFails) {
    constexpr int records = 12;
    SimDisk disk({.record = true});
    const Options small{.journal_bytes_max = 1u << 20, .reserve_bytes = 0};
    uint64_t first = 0;
    {
        log_.emplace(open_on(disk, small));
        in_.emplace(make(*log_, "in"));
        out_.emplace(make(*log_, "out"));
        ASSERT_TRUE(log_->wait(value_of(step(std::nullopt, Offset{0}, "begin"))));
        first = disk.operations();
        for (int made = 0; made < records; ++made) {
            const auto pending = step(Offset{made}, Offset{made + 1}, std::to_string(made));
            ASSERT_TRUE(pending);
            if (made % 3 == 2) { ASSERT_TRUE(log_->wait(*pending)); }
        }
        log_.reset();
    }
    Values all{"begin"};
    for (int i = 0; i < records; ++i) { all.push_back(std::to_string(i)); }
    std::set<int64_t> found;
    for (const CrashPoint& point : disk.all_crashes(3, first)) {
        const auto after = disk.crash_state(point);
        log_.emplace(open_on(*after, small));
        out_.emplace(value_of(log_->topic("out")));
        found.insert(committed().value);
        for (int64_t at = committed().value; at < records; ++at) {
            ASSERT_TRUE(step(Offset{at}, Offset{at + 1}, std::to_string(at))) << point.to_string();
        }
        ASSERT_TRUE(log_->flush());
        ASSERT_EQ(out(), all) << point.to_string();
        log_.reset();
    }
    EXPECT_GE(found.size(), 5u);  // the crashes met it at different places
}

}  // namespace
}  // namespace flowstone
