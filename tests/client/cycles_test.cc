// A client that is opened and closed again and again leaves nothing behind: no thread, no descriptor, no memory.
// FLOWSTONE_CLIENT_CYCLES sets how often (100); of `dir:`, where each opens a log, a tenth.
#include <malloc.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include <flowstone/admin.h>
#include <flowstone/client.h>

#include "tests/client/served_log.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;

int cycles() {
    int count = 100;
    if (const char* const told = std::getenv("FLOWSTONE_CLIENT_CYCLES")) {
        std::from_chars(told, told + std::string_view(told).size(), count);
    }
    return count;
}

struct Held {
    int64_t threads = 0;
    int64_t descriptors = 0;
    int64_t bytes = 0;
};
Held held() {
    const auto entries = [](const char* directory) {
        return std::distance(std::filesystem::directory_iterator(directory), {});
    };
    return {entries("/proc/self/task"), entries("/proc/self/fd"), static_cast<int64_t>(mallinfo2().uordblks)};
}

// Everything that a client can hold: a producer, a consumer, connections, records under way.
void use_once(const std::string& endpoint, bool close) {
    Client client = value_of(Client::open(endpoint, small_log()));
    ASSERT_TRUE(client.admin().create_topic("events", {.exists_ok = true}));
    auto producer = value_of(client.producer());
    auto to = value_of(producer.topic("events"));
    const auto first = value_of(to.send({.value = "first"}));
    const auto at = value_of(first.wait());
    auto consumer = value_of(client.consumer());
    ASSERT_TRUE(consumer.assign({{"events", 0}}, at.offset));
    ASSERT_FALSE(value_of(consumer.poll(20s)).empty());
    ASSERT_TRUE(to.send({.value = "under way"}));
    if (close) { ASSERT_TRUE(client.close()); }
}

void cycle(const std::string& endpoint, int times) {
    constexpr int64_t bytes_each_max = 64;  // a leak of one object a cycle is above it
    const int warm = std::max(4, times / 10);
    for (int i = 0; i < warm; ++i) { use_once(endpoint, i % 4 != 0); }
    const Held before = held();
    for (int i = 0; i < times; ++i) { use_once(endpoint, i % 4 != 0); }
    const Held after = held();
    EXPECT_EQ(after.threads, before.threads);
    EXPECT_EQ(after.descriptors, before.descriptors);
    EXPECT_LE(after.bytes - before.bytes, std::max<int64_t>(16'384, times * bytes_each_max));
}

TEST(ClientCycles, OverTheNetworkLeaveNothing) {
    const TestDirectory directory;
    const BrokerProcess broker(directory.log());
    cycle(broker.address(), cycles());
}

TEST(ClientCycles, ThroughAnotherProcessLeaveNothing) {
    const TestDirectory directory;
    const BrokerProcess broker(directory.log());
    cycle("shm:" + directory.log(), cycles());
}

TEST(ClientCycles, InThisProcessLeaveNothing) {
    const TestDirectory directory;
    cycle("dir:" + directory.log(), std::max(1, cycles() / 10));
}

TEST(ClientCycles, WithoutABrokerLeaveNothing) {
    const Held before = held();
    for (int i = 0; i < cycles(); ++i) {
        Client client = value_of(Client::open("127.0.0.1:1"));
        auto producer = value_of(client.producer());
        auto consumer = value_of(client.consumer());
        ASSERT_TRUE(consumer.assign({{"events", 0}}));
    }
    const Held after = held();
    EXPECT_EQ(after.threads, before.threads);
    EXPECT_EQ(after.descriptors, before.descriptors);
}

}  // namespace
}  // namespace flowstone
