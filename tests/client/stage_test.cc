// Stages as programs use them: on a log of their own, and through flowstoned.
#include <flowstone/admin.h>
#include <flowstone/stage.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/served_log.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;
using Values = std::vector<std::string>;

class StageTest : public testing::Test {
protected:
    static Client open(const std::string& endpoint) { return value_of(Client::open(endpoint, small_log())); }
    static void make_topics(Client& client) {
        for (const char* name : {"in", "out", "dead"}) {
            ASSERT_TRUE(client.admin().create_topic(name, {.partitions = 2, .exists_ok = true}));
        }
    }
    static void put(Client& client, int from, int to) {
        auto producer = value_of(client.producer());
        auto in = value_of(producer.topic("in"));
        for (int i = from; i < to; ++i) {
            const std::string value = std::to_string(i);
            ASSERT_TRUE(in.send({.key = "k", .value = value}, i % 2));
        }
        ASSERT_TRUE(producer.flush());
    }
    static Result<void> copy(const StageRecord& record, StageOutput& out) {
        if (record.value->ends_with("7")) { return fail(Code::invalid, "test", "seven"); }
        return out.send("out", {.key = record.key, .value = record.value});
    }
    static Stage open_stage(Client& client) {
        return value_of(
            Stage::open(client, {.name = "copy", .inputs = {"in"}, .outputs = {"out"}, .dead_letters = "dead"}, copy));
    }
    // Until so many records were stored.
    static void run(Stage& stage, uint64_t records) {
        for (int steps = 0; stage.metrics().records < records && steps < 300; ++steps) {
            const auto done = stage.step(200ms);
            ASSERT_TRUE(done || advice(done.error()) == Advice::retry) << done.error().message();
        }
        ASSERT_EQ(stage.metrics().records, records);
    }
    static Values values(Client& client, const char* topic, int32_t partition) {
        Values out;
        auto consumer = value_of(client.consumer());
        EXPECT_TRUE(consumer.assign({{topic, partition}}));
        const Offset end = value_of(client.admin().ends({topic, partition})).high_watermark;
        while (consumer.position({topic, partition}).value_or(Offset{0}) < end) {
            auto batch = consumer.poll(10s);
            EXPECT_TRUE(batch);
            if (!batch || batch->empty()) { break; }
            for (const auto& record : *batch) { out.emplace_back(record.value.value_or("")); }
        }
        return out;
    }
    TestDirectory directory_;
};

TEST_F(StageTest, AGroupBegunInThisProcessGoesOnThroughABrokerOnTheSameDirectoryAndBack) {
    const auto round = [&](Client& client, int from) {
        make_topics(client);
        put(client, from, from + 20);
        auto stage = open_stage(client);
        run(stage, 20);
        EXPECT_EQ(stage.metrics().dead_letters, 2u);
        const std::atomic<bool> stop = true;
        EXPECT_TRUE(stage.run(stop));  // leaves the group
    };
    {
        Client client = open("dir:" + directory_.log());
        round(client, 0);
        ASSERT_TRUE(client.close());
    }
    {
        BrokerProcess broker(directory_.log());
        Client client = open(broker.address());
        round(client, 20);
        ASSERT_TRUE(client.close());
        broker.end();
    }
    Client client = open("dir:" + directory_.log());
    round(client, 40);
    for (const int32_t partition : {0, 1}) {
        Values all;
        Values sevens;
        for (int i = partition; i < 60; i += 2) { (i % 10 == 7 ? sevens : all).push_back(std::to_string(i)); }
        EXPECT_EQ(values(client, "out", partition), all);
        EXPECT_EQ(values(client, "dead", partition), sevens);
    }
    ASSERT_TRUE(client.close());
}

TEST_F(StageTest, RunsUntilItIsStopped) {
    Client client = open("dir:" + directory_.log());
    make_topics(client);
    put(client, 0, 5);
    std::atomic<bool> stop = false;
    auto stage = value_of(Stage::open(client, {.name = "copy", .inputs = {"in"}, .outputs = {"out"}},
                                      [&](const StageRecord& record, StageOutput& out) {
                                          if (record.value == "4") { stop = true; }
                                          return copy(record, out);
                                      }));
    EXPECT_TRUE(stage.run(stop));
    EXPECT_GE(stage.metrics().records, 1u);
    ASSERT_TRUE(client.close());
}

TEST_F(StageTest, SaysWhatIsWrongWhenItIsOpened) {
    Client client = open("dir:" + directory_.log());
    make_topics(client);
    ASSERT_TRUE(client.admin().create_topic("narrow", {.partitions = 1}));
    const auto refused = [&](StageOptions options) {
        const auto opened = Stage::open(client, std::move(options), copy);
        return opened ? std::string() : std::string(name(opened.error().code));
    };
    EXPECT_EQ(refused({.name = "s", .inputs = {"in"}, .outputs = {"narrow"}}), "invalid");
    EXPECT_EQ(refused({.name = "two words", .inputs = {"in"}, .outputs = {"out"}}), "invalid");
}

}  // namespace
}  // namespace flowstone
