// Real SIGKILL of members of a group and of the flowstoned that they share, while a producer goes on: each a process. What
// the group has committed only grows, and is never ahead of what its members were given; at the end every record that was
// acknowledged is there once, in its order, and was given to somebody.
//
// FLOWSTONE_KILL_CYCLES sets how often (20). Only processes of its own are ended, by their id.
#include <flowstone/admin.h>
#include <flowstone/client.h>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/client/served_log.h"
#include "tests/faults/kill_cycles.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int32_t partitions = 4;
constexpr size_t members = 3;
constexpr int answer_ms_max = 60'000;

struct Kind {
    const char* name;
    bool by_path;    // shm:, in place of TCP
    bool with_name;  // static members
    Assignor assignor;
};

// What a member was given. The producer writes numbers that are the offsets.
struct Given {
    int64_t offset;
    int64_t value;
    int32_t partition;
    int32_t reserved;
};

// --- the processes -------------------------------------------------------------------------------------------------------

// While nobody holds the log there is nothing behind a path.
Client open_at_last(const std::string& endpoint) {
    for (;;) {
        auto client = Client::open(endpoint);
        if (client) { return std::move(*client); }
        std::this_thread::yield();
    }
}

// One record for each partition at a time, until it is told to stop; then says how many each has.
[[noreturn]] void produce(const std::string& endpoint, int stop, int told) {
    Client client = open_at_last(endpoint);
    auto producer = client.producer({.linger = 0ms});
    if (!producer) { _exit(2); }
    auto topic = producer->topic("events");
    if (!topic) { _exit(3); }
    for (int64_t next = 0;; ++next) {
        pollfd stopped{stop, POLLIN, 0};
        if (::poll(&stopped, 1, 0) != 0) { _exit(write(told, &next, sizeof next) == sizeof next ? 0 : 4); }
        const std::string value = std::to_string(next);
        std::vector<Delivery> sent;
        for (int32_t partition = 0; partition < partitions; ++partition) {
            auto one = topic->send({.value = value}, partition);
            if (!one) { _exit(5); }
            sent.push_back(std::move(*one));
        }
        for (const Delivery& one : sent) {
            if (!one.wait()) { _exit(6); }
        }
    }
}

// Says what it is given before it commits it, until it is killed.
[[noreturn]] void consume(const std::string& endpoint, const ConsumerOptions& options, int told) {
    Client client = open_at_last(endpoint);
    auto consumer = client.consumer(options);
    if (!consumer) { _exit(2); }
    const auto commit = [](Consumer& self) {
        const auto done = self.commit(5s);
        if (!done && advice(done.error()) == Advice::give_up) { _exit(3); }
    };
    const auto revoked = [&](Consumer& self, const std::vector<TopicPartition>&) { commit(self); };
    if (!consumer->subscribe({"events"}, {.revoked = revoked})) { _exit(4); }
    for (;;) {
        const auto batch = consumer->poll(1s);
        if (!batch && advice(batch.error()) != Advice::retry) { _exit(5); }
        if (!batch || batch->empty()) { continue; }
        for (const auto& record : *batch) {
            const Given given{record.offset.value, std::stoll(std::string(record.value.value_or(""))),
                              batch->partition(), 0};
            if (write(told, &given, sizeof given) != sizeof given) { _exit(6); }
        }
        commit(*consumer);
    }
}

// A child of ours, and the pipe by which it tells.
class Child {
public:
    // `run` is called with the end to write to, and never returns. There must be no other thread.
    explicit Child(const std::function<void(int)>& run) {
        int ends[2];
        EXPECT_EQ(pipe(ends), 0);
        pid_ = fork();
        if (pid_ == 0) {
            ::close(ends[0]);
            run(ends[1]);
        }
        ::close(ends[1]);
        told_ = ends[0];
    }
    ~Child() {
        if (pid_ > 0) { kill(); }
        ::close(told_);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    int told() const { return told_; }
    void kill() {
        ::kill(pid_, SIGKILL);
        EXPECT_TRUE(WIFSIGNALED(wait()));
    }
    int wait() {
        int status = 0;
        EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
        if (WIFEXITED(status)) { EXPECT_EQ(WEXITSTATUS(status), 0) << "it ended by itself"; }
        pid_ = -1;
        return status;
    }

private:
    pid_t pid_ = -1;
    int told_ = -1;
};

// --- the test ------------------------------------------------------------------------------------------------------------

class GroupKillTest : public testing::TestWithParam<Kind> {
protected:
    GroupKillTest() {
        std::printf("seed %u\n", seed_);
        serve();
        Client client = open();
        EXPECT_TRUE(client.admin().create_topic("events", {.partitions = partitions}));
        EXPECT_TRUE(client.close());
        EXPECT_EQ(pipe(stop_), 0);
        producer_.emplace([this](int told) { produce(endpoint(), stop_[0], told); });
        for (size_t i = 0; i < members; ++i) { join(i); }
    }
    ~GroupKillTest() override {
        ::close(stop_[0]);
        ::close(stop_[1]);
    }

    // At an address of this process's own, so that nobody takes its port while it is dead.
    void serve() {
        const int pid = getpid();
        const std::string listen = fmt::format("127.77.{}.{}:21092", pid / 250 % 250 + 1, pid % 250 + 1);
        broker_.emplace(directory_.log(), listen, std::vector<std::string>{"group.min.session.timeout.ms=500"});
    }
    std::string endpoint() const { return GetParam().by_path ? "shm:" + directory_.log() : broker_->address(); }
    Client open() const { return value_of(Client::open(endpoint())); }

    void join(size_t member) {
        ConsumerOptions options{.fetch_wait = 50ms,
                                .group = "g",
                                .assignors = {GetParam().assignor},
                                .session_timeout = 1'500ms,
                                .heartbeat_interval = 100ms};
        if (GetParam().with_name) { options.instance = "member " + std::to_string(member); }
        members_.at(member).emplace([&](int told) { consume(endpoint(), options, told); });
    }

    // Hears what members were given, for so long; 0: what they have told by now.
    void hear(std::chrono::microseconds time) {
        const auto end = Clock::now() + time;
        for (;;) {
            std::array<pollfd, members> told{};
            for (size_t i = 0; i < members; ++i) { told.at(i) = {members_.at(i)->told(), POLLIN, 0}; }
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
            const int ready = ::poll(told.data(), members, static_cast<int>(std::max<int64_t>(0, left.count())));
            if (ready == 0 && Clock::now() >= end) { return; }
            for (const pollfd& one : told) {
                if (one.revents != 0) { ASSERT_TRUE(hear_one(one.fd)) << "a member ended by itself"; }
            }
            if (time.count() != 0 && Clock::now() >= end) { return; }
        }
    }
    // False at the end.
    bool hear_one(int told) {
        std::array<Given, 64> given{};
        const ssize_t bytes = ::read(told, given.data(), sizeof given);
        EXPECT_EQ(bytes % static_cast<ssize_t>(sizeof(Given)), 0);
        for (size_t i = 0; i < static_cast<size_t>(bytes) / sizeof(Given); ++i) {
            const Given& one = given.at(i);
            EXPECT_EQ(one.value, one.offset) << "of partition " << one.partition << ": lost, twice, or out of order";
            auto& heard = given_.at(static_cast<size_t>(one.partition));
            const auto offset = static_cast<size_t>(one.offset);
            heard.resize(std::max(heard.size(), offset + 1));
            heard.at(offset) = true;
            ++all_given_;
        }
        return bytes > 0;
    }

    void kill_member(size_t member) {
        members_.at(member)->kill();
        while (hear_one(members_.at(member)->told())) {}
        join(member);
    }
    void kill_broker() {
        broker_->kill();
        broker_.reset();
        serve();
    }

    // What the group has committed has not shrunk, and everything below it was given.
    void look() {
        std::vector<TopicPartition> places;
        for (int32_t partition = 0; partition < partitions; ++partition) { places.push_back({"events", partition}); }
        Client client = open();
        auto consumer = value_of(client.consumer({.group = "g"}));
        const auto found = value_of(consumer.committed(places));
        ASSERT_TRUE(consumer.close());
        ASSERT_TRUE(client.close());
        ASSERT_NO_FATAL_FAILURE(hear(0us));
        for (size_t i = 0; i < found.size(); ++i) {
            const int64_t now = found[i] ? found[i]->offset.value : 0;
            ASSERT_GE(now, committed_.at(i)) << "of partition " << i << ": taken back";
            committed_.at(i) = now;
            ASSERT_TRUE(given_up_to(i, now)) << "of partition " << i << " " << now << " is committed";
        }
    }
    bool given_up_to(size_t partition, int64_t end) const {
        const auto& heard = given_.at(partition);
        const auto count = static_cast<std::ptrdiff_t>(end);
        return std::ssize(heard) >= count && std::all_of(heard.begin(), heard.begin() + count, std::identity());
    }

    // How many records each partition has.
    int64_t stop_producing() {
        EXPECT_EQ(::write(stop_[1], "s", 1), 1);
        int64_t count = -1;
        pollfd told{producer_->told(), POLLIN, 0};
        EXPECT_EQ(::poll(&told, 1, answer_ms_max), 1) << "the producer does not end";
        EXPECT_EQ(::read(producer_->told(), &count, sizeof count), static_cast<ssize_t>(sizeof count));
        producer_->wait();
        return count;
    }

    TestDirectory directory_;
    std::optional<BrokerProcess> broker_;
    int stop_[2]{-1, -1};
    std::optional<Child> producer_;
    std::array<std::optional<Child>, members> members_;
    std::array<std::vector<bool>, partitions> given_;  // by offset
    std::array<int64_t, partitions> committed_{};
    int64_t all_given_ = 0;
    const uint32_t seed_ = kill_seed();
    std::mt19937 random_{seed_};
};
INSTANTIATE_TEST_SUITE_P(Each, GroupKillTest,
                         testing::Values(Kind{"tcp", false, false, Assignor::range},
                                         Kind{"shm_static", true, true, Assignor::cooperative_sticky}),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(GroupKillTest, WhoeverIsKilledEveryRecordIsGivenAndNoCommitIsTakenBackOrAhead) {
    const int cycles = kill_cycles(20);
    for (int cycle = 0; cycle < cycles; ++cycle) {
        SCOPED_TRACE("cycle " + std::to_string(cycle));
        ASSERT_NO_FATAL_FAILURE(hear(std::chrono::microseconds(random_() % 300'000)));
        if (random_() % 5 == 0) {
            kill_broker();
        } else {
            kill_member(random_() % members);
        }
        ASSERT_NO_FATAL_FAILURE(look());
        ASSERT_FALSE(HasFailure());
    }
    const int64_t count = stop_producing();
    ASSERT_GT(count, 0);
    const auto end = Clock::now() + std::chrono::milliseconds(answer_ms_max);
    while (std::ranges::any_of(committed_, [&](int64_t offset) { return offset < count; })) {
        ASSERT_LT(Clock::now(), end) << "they do not come to the end";
        ASSERT_NO_FATAL_FAILURE(hear(20ms));
        ASSERT_NO_FATAL_FAILURE(look());
    }
    for (size_t partition = 0; partition < partitions; ++partition) {
        EXPECT_EQ(committed_.at(partition), count);
        EXPECT_EQ(std::ssize(given_.at(partition)), count) << "what nobody acknowledged";
    }
    RecordProperty("records", std::to_string(count * partitions));
    RecordProperty("given", std::to_string(all_given_));
}

}  // namespace
}  // namespace flowstone
