// What the coordinator writes, the library reads, and the other way round: one format, one truth.
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/consumer_offsets.h"
#include "log/environment.h"
#include "net/broker/group_coordinator.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

class GroupRecords : public testing::Test {
protected:
    void SetUp() override {
        log_.emplace(value_of(open_log({&disk_, &clock_, &random_}, "data", {})));
        ASSERT_TRUE(log_->create_topic("events", {.partitions = 2}));
    }
    // A coordinator that has read the log.
    std::unique_ptr<GroupCoordinator> load() {
        auto coordinator = std::make_unique<GroupCoordinator>(GroupCoordinatorOptions{});
        GroupEffects effects;
        coordinator->step(Tick{.now_ms = 0, .wall_ms = clock_.wall_ms()}, effects);
        auto topic = log_->topic(consumer_offsets_topic);
        for (int32_t i = 0; i < consumer_offsets_partitions_default; ++i) {
            coordinator->step(LoadBegin{i}, effects);
            if (topic) { load(*coordinator, *topic, i, effects); }
            coordinator->step(LoadEnd{i}, effects);
        }
        EXPECT_THAT(effects.list, testing::IsEmpty());
        return coordinator;
    }
    // Performs the appends among `effects`, and returns the last answer.
    GroupAnswer perform(GroupCoordinator& coordinator, GroupInput input) {
        GroupEffects effects;
        coordinator.step(std::move(input), effects);
        GroupAnswer answer;
        for (size_t i = 0; i < effects.list.size(); ++i) {
            if (auto* const reply = std::get_if<Reply>(&effects.list[i])) { answer = std::move(reply->answer); }
            const auto* const append = std::get_if<AppendRecords>(&effects.list[i]);
            if (append == nullptr) { continue; }
            const Persisted persisted{append->partition, append->append};
            auto topic = value_of(log_->topic(consumer_offsets_topic));
            for (const GroupRecord& record : append->records) {
                const auto value = record.value ? std::optional(as_text(*record.value)) : std::nullopt;
                value_of(topic.append({.key = as_text(record.key), .value = value}, {.partition = append->partition}));
            }
            coordinator.step(persisted, effects);
        }
        return answer;
    }
    static std::vector<FetchedOffsets::Partition> fetch(GroupCoordinator& coordinator, const std::string& group) {
        GroupEffects effects;
        coordinator.step(FetchOffsets{.token = RequestToken{0}, .groups = {{group, std::nullopt}}}, effects);
        return std::get<FetchedOffsets>(std::get<Reply>(effects.list.at(0)).answer).groups.at(0).partitions;
    }

    SimDisk disk_;
    SimClock clock_;
    SimRandom random_{1};
    std::optional<Log> log_;

private:
    static void load(GroupCoordinator& coordinator, Topic& topic, int32_t partition, GroupEffects& effects) {
        auto reader = value_of(topic.read({.partition = partition}));
        for (;;) {
            auto batch = value_of(reader.next());
            if (batch.empty()) { return; }
            for (const auto& record : batch) {
                const Bytes key = as_bytes(*record.key);
                LoadRecord one{partition, {key.begin(), key.end()}, std::nullopt};
                if (record.value) {
                    const Bytes value = as_bytes(*record.value);
                    one.value.emplace(value.begin(), value.end());
                }
                coordinator.step(std::move(one), effects);
            }
        }
    }
};

TEST_F(GroupRecords, AGroupBegunInTheLibraryGoesOnAtTheBroker) {
    const GroupOffset offsets[] = {{"events", 0, Offset{5}, "note"}, {"events", 1, Offset{7}}};
    ASSERT_TRUE(log_->commit_offsets("g", offsets));
    const auto coordinator = load();
    const auto fetched = fetch(*coordinator, "g");
    ASSERT_EQ(fetched.size(), 2u);
    EXPECT_EQ(fetched[0].at, (TopicPartition{"events", 0}));
    EXPECT_EQ(fetched[0].offset, Offset{5});
    EXPECT_EQ(fetched[0].metadata, "note");
    EXPECT_EQ(fetched[1].offset, Offset{7});

    GroupEffects effects;
    coordinator->step(DescribeGroups{.token = RequestToken{0}, .groups = {"g"}}, effects);
    EXPECT_EQ(std::get<DescribedGroups>(std::get<Reply>(effects.list.at(0)).answer).groups[0].state, "Empty");
}

TEST_F(GroupRecords, AGroupOfTheBrokerGoesOnInTheLibrary) {
    ASSERT_TRUE(
        log_->commit_offsets("other", std::vector<GroupOffset>{{"events", 0, Offset{1}, ""}}));  // makes the topic
    const auto coordinator = load();
    const auto answer = perform(*coordinator, CommitOffsets{.token = RequestToken{0},
                                                            .group = "g",
                                                            .partitions = {{{"events", 0}, Offset{9}, 3, "note"},
                                                                           {{"events", 1}, Offset{4}, -1, ""}}});
    ASSERT_EQ(std::get<CommittedOffsets>(answer).partitions[0], kafka::ErrorCode::none);
    const auto fetched = value_of(log_->fetch_offsets("g"));
    ASSERT_EQ(fetched.size(), 2u);
    EXPECT_EQ(fetched[0].offset, Offset{9});
    EXPECT_EQ(fetched[0].metadata, "note");
    EXPECT_EQ(fetched[1].offset, Offset{4});
    EXPECT_THAT(log_->groups(), testing::ElementsAre("g", "other"));

    // Both ways in turn: the last one counts.
    ASSERT_TRUE(log_->commit_offsets("g", std::vector<GroupOffset>{{"events", 0, Offset{11}, ""}}));
    const auto again = load();
    EXPECT_EQ(fetch(*again, "g").at(0).offset, Offset{11});

    perform(*again, DeleteGroups{.token = RequestToken{0}, .groups = {"g"}});
    EXPECT_THAT(log_->groups(), testing::ElementsAre("other"));
    EXPECT_THAT(value_of(log_->fetch_offsets("g")), testing::IsEmpty());
    EXPECT_EQ(log_->delete_offsets("g").error().code, Code::not_found);

    ASSERT_TRUE(log_->delete_offsets("other"));
    EXPECT_EQ(load()->group_count(), 0u);
}

}  // namespace
}  // namespace flowstone
