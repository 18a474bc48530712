// Where a client looks for the brokers that another one names.
#include <string>

#include <gtest/gtest.h>

#include "tests/client/client_world.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

class ClusterViewTest : public ClientWorld {
protected:
    // A broker that is reached at one place and says that it is at another.
    void start_at(const HostPort& reached, const HostPort& said) {
        start({});
        make_topic("events");
        address_ = value_of(broker_->listen(reached, said));
        make_engine();
        engine_->cluster().want("events");
        ASSERT_TRUE(until([&] { return engine_->cluster().topic("events") != nullptr; }));
    }
    int32_t leader() { return engine_->cluster().partition("events", 0)->leader; }
};

TEST_F(ClusterViewTest, ABrokerOnASocketIsWhereWeFoundItWhateverPathItSays) {
    start_at({"/mounted/here/flowstone.sock", 1}, {"/its/own/name/flowstone.sock", 1});
    EXPECT_EQ(leader(), 1);
    const auto producer = engine_->add_producer({});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    ASSERT_TRUE(send(*producer, *queue, {.value = "there"}));
    ASSERT_TRUE(flush(*producer));
    EXPECT_EQ(stored("events"), Values{"there"});
}

TEST_F(ClusterViewTest, ABrokerOfTheNetworkNamesNoSocketOfThisMachine) {
    ASSERT_NO_FATAL_FAILURE(start_at({"127.0.0.1", 9093}, {"/run/of_somebody_else.sock", 1}));
    EXPECT_EQ(leader(), -1);
}

TEST_F(ClusterViewTest, ABrokerOnASocketMaySendUsToTheNetwork) {
    start_at({"/data/flowstone.sock", 1}, {"127.0.0.1", 9092});
    EXPECT_EQ(leader(), 1);
    const auto producer = engine_->add_producer({});
    ProducerTopicQueue* const queue = open_queue(*producer, "events");
    ASSERT_TRUE(send(*producer, *queue, {.value = "there"}));
    ASSERT_TRUE(flush(*producer));
}

// What to wait for is the answer, not the pause that is for asking the same again.
TEST_F(ClusterViewTest, ATopicThatNobodyAskedForIsAskedForAtOnce) {
    start_all();
    make_topic("first");
    make_topic("second");
    ClusterView& cluster = engine_->cluster();
    cluster.want("first");
    ASSERT_TRUE(until([&] { return cluster.topic("first") != nullptr; }));
    const int64_t before = clock_.wall_ms();
    cluster.want("second");
    ASSERT_TRUE(until([&] { return cluster.topic("second") != nullptr; }));
    EXPECT_LT(clock_.wall_ms() - before, ClusterView::Options().retry_ms);
}

TEST_F(ClusterViewTest, ATopicThatIsNotThereIsAskedForWithPauses) {
    start_all();
    ClusterView& cluster = engine_->cluster();
    cluster.want("absent");
    ASSERT_TRUE(until([&] { return cluster.answers() == 1; }));
    const int64_t before = clock_.wall_ms();
    cluster.suspect();
    ASSERT_TRUE(until([&] { return cluster.answers() == 2; }));
    EXPECT_GE(clock_.wall_ms() - before, ClusterView::Options().retry_ms);
}

}  // namespace
}  // namespace flowstone
