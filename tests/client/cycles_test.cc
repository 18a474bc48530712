// A client that is opened and closed again and again leaves nothing behind: no thread, no descriptor, no memory.
// FLOWSTONE_CLIENT_CYCLES sets how often (100); of `dir:`, where each opens a log, a tenth.
#include <malloc.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <flowstone/admin.h>
#include <flowstone/client.h>

#include "tests/client/served_log.h"
#include "tests/number_from.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;

int cycles() { return static_cast<int>(number_from("FLOWSTONE_CLIENT_CYCLES", 100)); }

int64_t entries(const char* directory) { return std::distance(std::filesystem::directory_iterator(directory), {}); }

// Without the workers that the kernel keeps for an io_uring and ends when it likes, named so by io_uring(7).
int64_t threads() {
    int64_t count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::string name;
        std::getline(std::ifstream(task.path() / "comm"), name);
        if (!name.starts_with("iou-")) { ++count; }
    }
    return count;
}

struct Held {
    int64_t threads = 0;
    int64_t descriptors = 0;
    int64_t bytes = 0;
};
Held held() { return {threads(), entries("/proc/self/fd"), static_cast<int64_t>(mallinfo2().uordblks)}; }

// join() returns when the kernel has cleared the thread's id (set_tid_address(2), clear_child_tid), which it does a
// moment before the task leaves /proc: what is still there once that moment has long passed was not joined.
bool threads_become(int64_t count) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (threads() != count) {
        if (std::chrono::steady_clock::now() > deadline) { return false; }
        std::this_thread::yield();
    }
    return true;
}

constexpr int64_t bytes_more_max = 4'096;  // less than one small object a cycle
void expect_nothing_left(const Held& before) {
    EXPECT_TRUE(threads_become(before.threads)) << threads() << " instead of " << before.threads;
    const Held after = held();
    EXPECT_EQ(after.descriptors, before.descriptors);
    EXPECT_LE(after.bytes - before.bytes, bytes_more_max);
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

// In a thread that ends, so that what malloc keeps for its thread does not count as held.
void use_often(const std::string& endpoint, int times) {
    std::thread([&] {
        for (int i = 0; i < times; ++i) { use_once(endpoint, i % 4 != 0); }
    }).join();
}

void cycle(const std::string& endpoint, int times) {
    use_often(endpoint, std::max(4, times / 10));
    const Held before = held();
    use_often(endpoint, times);
    expect_nothing_left(before);
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
    EXPECT_TRUE(threads_become(before.threads)) << threads() << " instead of " << before.threads;
    EXPECT_EQ(held().descriptors, before.descriptors);
}

}  // namespace
}  // namespace flowstone
