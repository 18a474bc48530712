// What only a simulated world can show of an Admin; what it promises is in admin_contract_test.cc.
#include <flowstone/admin.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <flowstone/client.h>

#include "tests/client/client_world.h"
#include "tests/client/engine_door.h"

namespace flowstone {
namespace {

using testing::ElementsAre;

class AdminTest : public ClientWorld {
protected:
    Admin start_admin() {
        start_all();
        return Admin(std::make_shared<EngineDoor>(
            clock_, *engine_, [this](const std::function<bool()>& done) { return until(done, 600'000); }));
    }
    void fill(const char* topic, int32_t partition, int records) {
        const auto producer = engine_->add_producer({.linger = std::chrono::milliseconds(0)});
        ProducerTopicQueue* const queue = open_queue(*producer, topic);
        for (int i = 0; i < records; ++i) {
            ASSERT_TRUE(send(*producer, *queue, {.value = "v", .timestamp_ms = 1'000 + i * 10}, partition));
            ASSERT_TRUE(flush(*producer));
        }
    }

    Admin admin_ = start_admin();
};

TEST_F(AdminTest, WhatIsShownIsWhatTheLogHas) {
    ASSERT_TRUE(admin_.create_topic("events", {.partitions = 2, .configs = {{"retention.ms", "60000"}}}));
    fill("events", 1, 5);
    EXPECT_EQ(value_of(admin_.topic("events")).id, value_of(log_->describe("events")).id);
    EXPECT_THAT(value_of(log_->describe("events")).configs, ElementsAre(std::pair("retention.ms", "60000")));
    const Topic topic = value_of(log_->topic("events"));
    EXPECT_EQ(value_of(admin_.bytes({{"events", 1}})[0]), value_of(topic.partition(1)).bytes);
}

TEST_F(AdminTest, ACallIsOverAtItsDeadlineAndAtTheEndOfTheClient) {
    broker_.reset();  // killed
    const int64_t before = clock_.wall_ms();
    const auto late = admin_.create_topic("events", {}, std::chrono::milliseconds(3'000));
    EXPECT_EQ(late.error().code, Code::timed_out) << late.error().message();
    EXPECT_GE(clock_.wall_ms() - before, 2'900);
    EXPECT_LE(clock_.wall_ms() - before, 3'200);
    EXPECT_EQ(advice(late.error()), Advice::retry);
    engine_->close();
    EXPECT_EQ(admin_.topics().error().code, Code::closed);
}

TEST_F(AdminTest, NothingIsLeftBehind) {
    ASSERT_TRUE(admin_.create_topic("events"));
    ASSERT_TRUE(admin_.ends({"events", 0}));
    EXPECT_EQ(engine_->cluster().topic("events"), nullptr);  // nobody wants to hear of it any more
    fill("events", 0, 1);
    ASSERT_TRUE(admin_.ends({"events", 0}));
    EXPECT_NE(engine_->cluster().topic("events"), nullptr);  // the producer does
}

}  // namespace
}  // namespace flowstone
