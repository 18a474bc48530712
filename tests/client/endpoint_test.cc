// Who holds a log, who goes through whom, and what either leaves behind.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <flowstone/admin.h>
#include <flowstone/client.h>

#include "tests/client/served_log.h"
#include "tests/faults/kill_cycles.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class EndpointTest : public testing::Test {
protected:
    std::string dir() const { return "dir:" + directory_.log(); }
    std::string shm() const { return "shm:" + directory_.log(); }
    std::string socket_path() const { return directory_.log() + "/flowstone.sock"; }
    static Client open(const std::string& endpoint) { return value_of(Client::open(endpoint, small_log())); }
    static std::string why_not(const std::string& endpoint, Code code) {
        const auto client = Client::open(endpoint, small_log());
        EXPECT_FALSE(client) << endpoint;
        if (client) { return {}; }
        EXPECT_EQ(client.error().code, code) << client.error().message();
        return client.error().message();
    }
    static Position send(Client& client, const std::string& topic, const std::string& value) {
        auto producer = value_of(client.producer());
        auto to = value_of(producer.topic(topic));
        return value_of(value_of(to.send({.value = value})).wait());
    }
    static std::vector<std::string> read(Client& client, const std::string& topic, size_t count) {
        auto consumer = value_of(client.consumer());
        EXPECT_TRUE(consumer.assign({{topic, 0}}));
        std::vector<std::string> values;
        while (values.size() < count) {
            const auto batch = value_of(consumer.poll(20s));
            if (batch.empty()) { break; }
            for (const RecordView& record : batch) { values.emplace_back(record.value.value_or("(none)")); }
        }
        return values;
    }

    TestDirectory directory_;
};

TEST_F(EndpointTest, ALogThatIsHeldNamesItsHolderAndTheWayThroughIt) {
    auto holder = open(dir());
    const std::string told = why_not(dir(), Code::locked);
    EXPECT_THAT(told, HasSubstr("process " + std::to_string(::getpid())));
    EXPECT_THAT(told, HasSubstr(shm()));
    BrokerProcess other(directory_.path() + "/other");
    EXPECT_THAT(why_not("dir:" + directory_.path() + "/other", Code::locked),
                HasSubstr("shm:" + directory_.path() + "/other"));
}

TEST_F(EndpointTest, AHolderThatServesNobodyIsNoWayThrough) {
    const auto holder = Log::open(directory_.log());
    ASSERT_TRUE(holder);
    const std::string told = why_not(dir(), Code::locked);
    EXPECT_THAT(told, HasSubstr("process " + std::to_string(::getpid())));
    EXPECT_THAT(told, HasSubstr("serves nobody"));
    EXPECT_THAT(told, testing::Not(HasSubstr("shm:")));
}

TEST_F(EndpointTest, WithoutAHolderThereIsNoWayThrough) {
    why_not(shm(), Code::not_found);  // not even a directory
    {
        auto holder = open(dir());
        ASSERT_TRUE(holder.close());
        EXPECT_FALSE(std::filesystem::exists(socket_path()));
    }
    EXPECT_THAT(why_not(shm(), Code::not_found), HasSubstr("flowstoned --data " + directory_.log()));
    for (const char* endpoint : {"dir:", "shm:", "", "nowhere", "/data"}) { why_not(endpoint, Code::invalid); }
}

TEST_F(EndpointTest, WhatADeadHolderLeftIsReplaced) {
    {
        BrokerProcess broker(directory_.log());
        auto client = open(shm());
        ASSERT_TRUE(client.admin().create_topic("events"));
        send(client, "events", "acknowledged");
        broker.kill();
    }
    ASSERT_TRUE(std::filesystem::exists(socket_path()));
    EXPECT_THAT(why_not(shm(), Code::not_found), HasSubstr("nobody serves"));
    auto holder = open(dir());
    auto other = open(shm());
    EXPECT_EQ(read(other, "events", 1), std::vector<std::string>{"acknowledged"});
}

TEST_F(EndpointTest, AFileInPlaceOfTheSocketStaysAsItIs) {
    std::filesystem::create_directory(directory_.log());
    ASSERT_TRUE(value_of(Log::open(directory_.log(), small_log().log)).close());
    std::filesystem::create_directory(socket_path());
    why_not(dir(), Code::io);
    EXPECT_TRUE(std::filesystem::is_directory(socket_path()));
    std::filesystem::remove(socket_path());
    EXPECT_TRUE(open(dir()).close());
}

TEST_F(EndpointTest, WhoMayWriteIntoTheDirectoryMayConnect) {
    const auto mode = [&] {
        struct stat found{};
        EXPECT_EQ(::stat(socket_path().c_str(), &found), 0);
        EXPECT_TRUE(S_ISSOCK(found.st_mode));
        return found.st_mode & 0777;
    };
    std::filesystem::create_directory(directory_.log());
    for (const auto& [of_directory, of_socket] :
         {std::pair{0700, 0600u}, std::pair{0755, 0600u}, std::pair{0770, 0660u}, std::pair{0777, 0666u}}) {
        ASSERT_EQ(::chmod(directory_.log().c_str(), static_cast<mode_t>(of_directory)), 0);
        auto holder = open(dir());
        EXPECT_EQ(mode(), of_socket) << of_directory;
        ASSERT_TRUE(holder.close());
    }
}

TEST_F(EndpointTest, APathMayBeLongerThanTheNameOfASocket) {
    const std::string deep = directory_.path() + "/" + std::string(120, 'd') + "/" + std::string(120, 'e');
    std::filesystem::create_directories(deep);
    auto holder = open("dir:" + deep);
    ASSERT_TRUE(holder.admin().create_topic("events"));
    auto other = open("shm:" + deep);
    EXPECT_EQ(send(other, "events", "far"), (Position{0, Offset{0}}));
    EXPECT_EQ(read(holder, "events", 1), std::vector<std::string>{"far"});
    ASSERT_TRUE(holder.close());
    EXPECT_FALSE(std::filesystem::exists(deep + "/flowstone.sock"));
}

// A broker tells its clients where it is by the path that it knows. They may know another.
TEST_F(EndpointTest, ADirectoryMayHaveTwoNames) {
    const std::string alias = directory_.path() + "/alias";
    auto holder = open(dir());
    ASSERT_TRUE(holder.admin().create_topic("events"));
    std::filesystem::create_directory_symlink(directory_.log(), alias);
    auto other = open("shm:" + alias);
    EXPECT_EQ(send(other, "events", "by another name"), (Position{0, Offset{0}}));
}

TEST_F(EndpointTest, TheLogItselfIsThereForWhoHoldsIt) {
    auto holder = open(dir());
    ASSERT_NE(holder.log(), nullptr);
    auto topic = value_of(holder.log()->create_topic("events"));
    ASSERT_TRUE(topic.append({.value = "native"}));
    auto other = open(shm());
    EXPECT_EQ(other.log(), nullptr);
    EXPECT_EQ(send(other, "events", "through the socket"), (Position{0, Offset{1}}));
    EXPECT_EQ(read(holder, "events", 2), (std::vector<std::string>{"native", "through the socket"}));
}

TEST_F(EndpointTest, WhoGoesThroughAHolderGoesOnWithTheNext) {
    std::optional<Client> holder(open(dir()));
    ASSERT_TRUE(holder->admin().create_topic("events"));
    auto client = open(shm());
    auto producer = value_of(client.producer());
    auto to = value_of(producer.topic("events"));
    EXPECT_EQ(value_of(value_of(to.send({.value = "1"})).wait()), (Position{0, Offset{0}}));
    ASSERT_TRUE(holder->close());
    const auto meanwhile = value_of(to.send({.value = "2"}));
    holder.reset();
    holder.emplace(open(dir()));
    EXPECT_EQ(value_of(meanwhile.wait(30s)), (Position{0, Offset{1}}));
    ASSERT_TRUE(holder->close());
    BrokerProcess broker(directory_.log());
    EXPECT_EQ(value_of(value_of(to.send({.value = "3"})).wait(30s)), (Position{0, Offset{2}}));
    EXPECT_EQ(read(client, "events", 3), (std::vector<std::string>{"1", "2", "3"}));
}

TEST_F(EndpointTest, AGroupBegunInTheProcessGoesOnOverTheNetworkAndBack) {
    // Sends numbers, and reads as the group's only member: what it committed before does not come again.
    const auto go_on = [](Client& client, int begin, int end) {
        std::vector<std::string> sent;
        for (int i = begin; i < end; ++i) {
            sent.push_back(std::to_string(i));
            send(client, "events", sent.back());
        }
        auto consumer = value_of(client.consumer({.group = "billing"}));
        ASSERT_TRUE(consumer.subscribe({"events"}));
        std::vector<std::string> values;
        while (values.size() < sent.size()) {
            const auto batch = value_of(consumer.poll(30s));
            ASSERT_FALSE(batch.empty());
            for (const RecordView& record : batch) { values.emplace_back(*record.value); }
        }
        EXPECT_EQ(values, sent);
        ASSERT_TRUE(consumer.commit());
        ASSERT_TRUE(consumer.close());
        ASSERT_TRUE(client.close());
    };
    {
        auto holder = open(dir());
        ASSERT_TRUE(holder.admin().create_topic("events"));
        ASSERT_NO_FATAL_FAILURE(go_on(holder, 0, 30));
    }
    {
        BrokerProcess broker(directory_.log());
        auto client = open(broker.address());
        ASSERT_NO_FATAL_FAILURE(go_on(client, 30, 60));
        broker.end();
    }
    auto holder = open(dir());
    go_on(holder, 60, 90);
}

// FLOWSTONE_KILL_CYCLES sets how often: a fifth of it.
TEST_F(EndpointTest, KillingWhoHoldsTheLogLosesNothingAndRepeatsNothing) {
    std::optional<BrokerProcess> broker;
    broker.emplace(directory_.log());
    auto client = open(shm());
    ASSERT_TRUE(client.admin().create_topic("events"));
    auto producer = value_of(client.producer());
    auto to = value_of(producer.topic("events"));
    std::vector<std::string> sent;
    for (int cycle = 0; cycle < std::max(1, kill_cycles() / 5); ++cycle) {
        for (int i = 0; i < 2'000; ++i) {
            sent.push_back(std::to_string(sent.size()));
            ASSERT_TRUE(to.send({.value = sent.back()}, 0));
        }
        if (cycle % 3 == 2) { ASSERT_TRUE(producer.flush()); }
        broker->kill();
        broker.emplace(directory_.log());
    }
    ASSERT_TRUE(producer.flush());
    EXPECT_EQ(read(client, "events", sent.size()), sent);
}

TEST_F(EndpointTest, AHolderClosesWhileOthersWaitForRecords) {
    auto holder = open(dir());
    ASSERT_TRUE(holder.admin().create_topic("events"));
    auto client = open(shm());
    auto consumer = value_of(client.consumer({.fetch_wait = 30s}));
    ASSERT_TRUE(consumer.assign({{"events", 0}}));
    EXPECT_TRUE(value_of(consumer.poll(100ms)).empty());  // its fetch is at the broker, or about to be
    EXPECT_TRUE(holder.close(10s));
}

TEST_F(EndpointTest, AForkedChildTouchesNothing) {
    auto holder = open(dir());
    ASSERT_TRUE(holder.admin().create_topic("events"));
    auto producer = value_of(holder.producer());
    auto to = value_of(producer.topic("events"));
    const pid_t child = ::fork();
    if (child == 0) {
        const bool closed = holder.admin().topics().error().code == Code::closed && !holder.close() &&
                            holder.producer().error().code == Code::closed;
        { const Client ended = std::move(holder); }
        ::_exit(closed ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(std::filesystem::exists(socket_path()));
    EXPECT_EQ(value_of(value_of(to.send({.value = "the parent goes on"})).wait()), (Position{0, Offset{0}}));
}

}  // namespace
}  // namespace flowstone
