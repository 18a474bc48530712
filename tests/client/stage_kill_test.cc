// Real SIGKILL of a real process that consumes, processes and produces: on a log of its own, and through flowstoned. At the
// end each record that was put in has its outputs once, in its order: in the log where outputs and input offset are one entry
// of its journal, elsewhere for who reads them through a SourceFilter.
//
// FLOWSTONE_KILL_CYCLES sets how often (20). Only processes of its own are ended, by their id.
#include <flowstone/admin.h>
#include <flowstone/source.h>
#include <flowstone/stage.h>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "storage/try.h"
#include "tests/client/served_log.h"
#include "tests/faults/kill_cycles.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;

constexpr int32_t partitions = 2;
constexpr int batch_records = 20;  // and those of a step
constexpr int words_of_a_life_max = 10;
constexpr int answer_ms_max = 60'000;

enum class Where : uint8_t { dir, tcp, shm };

// Two outputs of every third record.
Result<void> process(const StageRecord& record, StageOutput& out) {
    const std::string value(record.value.value_or(""));
    int64_t number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    TRY_VOID(out.send("out", {.value = value + "a"}));
    return number % 3 == 0 ? out.send("out", {.value = value + "b"}) : Result<void>();
}

Result<Stage> open_stage(Client& client, StageFunction function = process) {
    return Stage::open(client,
                       {.name = "double",
                        .inputs = {"in"},
                        .outputs = {"out"},
                        .instance = "the one",  // so that nobody waits for the session of the one before
                        .step_records_max = batch_records},
                       std::move(function));
}

// The child: steps until it is killed. A word, of a byte, for each batch_records that it has processed, and when there is
// nothing left.
[[noreturn]] void step_for_ever(const std::string& endpoint, int told) {
    int records = 0;
    const auto say = [told](char word) {
        if (write(told, &word, 1) != 1) { _exit(5); }
    };
    const auto process_and_say = [&](const StageRecord& record, StageOutput& out) {
        if (++records % batch_records == 0) { say('p'); }
        return process(record, out);
    };
    auto client = Client::open(endpoint, small_log());
    if (!client) { _exit(2); }
    auto stage = open_stage(*client, process_and_say);
    if (!stage) { _exit(3); }
    for (;;) {
        const auto stored = stage->step(1s);
        if (!stored && advice(stored.error()) != Advice::retry) { _exit(4); }
        if (stored && stage->metrics().partitions == partitions && stage->metrics().lag_records == 0) { say('-'); }
    }
}

class StageKillTest : public testing::TestWithParam<Where> {
protected:
    StageKillTest() {
        if (GetParam() != Where::dir) { broker_.emplace(directory_.log()); }
        std::printf("seed %u\n", seed_);
    }
    std::string endpoint() const {
        if (GetParam() == Where::tcp) { return broker_->address(); }
        return (GetParam() == Where::dir ? "dir:" : "shm:") + directory_.log();
    }
    Client open() const { return value_of(Client::open(endpoint(), small_log())); }

    // As many as the lives can process, so that each is killed at work.
    void put(int records) {
        Client client = open();
        for (const char* name : {"in", "out"}) {
            ASSERT_TRUE(client.admin().create_topic(name, {.partitions = partitions}));
        }
        auto producer = value_of(client.producer());
        auto in = value_of(producer.topic("in"));
        for (int i = 0; i < records; ++i) { ASSERT_TRUE(in.send({.value = std::to_string(i)}, i % partitions)); }
        ASSERT_TRUE(producer.flush());
        ASSERT_TRUE(client.close());
    }

    // Killed while it begins, or some moment after it said so much.
    void live() {
        int ends[2];
        ASSERT_EQ(pipe(ends), 0);
        const pid_t child = fork();  // there is no other thread now
        if (child == 0) {
            ::close(ends[0]);
            step_for_ever(endpoint(), ends[1]);
        }
        ::close(ends[1]);
        const bool while_it_begins = random_() % 5 == 0;
        const int wanted = while_it_begins ? 0 : 1 + static_cast<int>(random_() % words_of_a_life_max);
        for (int words = 0; words < wanted && hear(ends[0]) == 'p'; ++words) {}
        std::this_thread::sleep_for(std::chrono::microseconds(random_() % (while_it_begins ? 50'000 : 2'000)));
        ::kill(child, SIGKILL);
        while (hear(ends[0]) != 0) {}
        ::close(ends[0]);
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << WEXITSTATUS(status);
    }
    // 0: it has ended.
    static char hear(int told) {
        pollfd readable{told, POLLIN, 0};
        char word = 0;
        if (::poll(&readable, 1, answer_ms_max) > 0) { return ::read(told, &word, 1) == 1 ? word : '\0'; }
        ADD_FAILURE() << "it does nothing";
        return 0;
    }

    static void process_the_rest(Client& client) {
        auto stage = value_of(open_stage(client));
        for (int32_t partition = 0; partition < partitions; ++partition) {
            const Offset end = value_of(client.admin().ends({"in", partition})).high_watermark;
            for (int steps = 0; committed(client, partition) < end; ++steps) {
                ASSERT_LT(steps, 10'000);
                const auto stored = stage.step(200ms);
                ASSERT_TRUE(stored || advice(stored.error()) == Advice::retry) << stored.error().message();
            }
        }
    }
    static Offset committed(Client& client, int32_t partition) {
        auto consumer = value_of(client.consumer({.group = "double"}));
        const auto found = value_of(consumer.committed({{"in", partition}}));
        return found[0] ? found[0]->offset : Offset{0};
    }

    void expect_outputs_once(Client& client, int32_t partition, int records) {
        auto consumer = value_of(client.consumer());
        ASSERT_TRUE(consumer.assign({{"out", partition}}));
        const Offset end = value_of(client.admin().ends({"out", partition})).high_watermark;
        SourceFilter filter;
        int next = partition;  // the number whose outputs come next
        bool first = true;
        int64_t all = 0;
        while (consumer.position({"out", partition}).value_or(Offset{0}) < end) {
            const auto batch = value_of(consumer.poll(10s));
            ASSERT_FALSE(batch.empty());
            for (const auto& record : batch) {
                ++all;
                if (!value_of(filter.fresh({"out", partition}, record))) { continue; }
                ASSERT_EQ(record.value, std::to_string(next) + (first ? "a" : "b")) << "at " << record.offset.value;
                first = !first || next % 3 != 0;
                if (first) { next += partitions; }
            }
        }
        EXPECT_EQ(next, records + partition) << "some are lost";
        EXPECT_TRUE(first) << "an output is lost";
        if (GetParam() == Where::dir) { EXPECT_EQ(filter.dropped(), 0u) << "of " << all; }
        RecordProperty("dropped_" + std::to_string(partition), std::to_string(filter.dropped()));
    }

    TestDirectory directory_;
    std::optional<BrokerProcess> broker_;
    const uint32_t seed_ = kill_seed();
    std::mt19937 random_{seed_};
};
INSTANTIATE_TEST_SUITE_P(Each, StageKillTest, testing::Values(Where::dir, Where::tcp, Where::shm),
                         [](const auto& where) {
                             return where.param == Where::dir ? "dir" : where.param == Where::tcp ? "tcp" : "shm";
                         });

TEST_P(StageKillTest, WheneverItIsKilledEachRecordHasItsOutputsOnceAndInItsOrder) {
    const int cycles = kill_cycles(20);
    const int records = cycles * words_of_a_life_max * batch_records;
    put(records);
    for (int cycle = 0; cycle < cycles; ++cycle) {
        SCOPED_TRACE("cycle " + std::to_string(cycle));
        ASSERT_NO_FATAL_FAILURE(live());
        ASSERT_FALSE(HasFailure());
    }
    Client client = open();
    const int64_t stored = committed(client, 0) - Offset{0};
    EXPECT_GT(stored, 0) << "without work this proves nothing";
    RecordProperty("stored", std::to_string(stored));
    ASSERT_NO_FATAL_FAILURE(process_the_rest(client));
    for (int32_t partition = 0; partition < partitions; ++partition) {
        ASSERT_NO_FATAL_FAILURE(expect_outputs_once(client, partition, records));
    }
    ASSERT_TRUE(client.close());
    if (broker_) { broker_->end(); }
}

}  // namespace
}  // namespace flowstone
