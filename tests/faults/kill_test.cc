// Real SIGKILL, on a real disk: a child loads through the public API and says through a pipe what was acknowledged;
// it is killed at any moment, and the log is opened again. Everything acknowledged is there, at its offset, once and in
// order, though the child that follows sends again what it does not know to be there.
//
// FLOWSTONE_KILL_CYCLES sets how often (50).
#include <flowstone/log.h>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <random>
#include <thread>

#include "tests/faults/kill_cycles.h"

namespace flowstone {
namespace {

constexpr int writers = 4;
constexpr int32_t partitions = 2;

struct Acknowledged {
    int32_t writer;
    int32_t sequence;
    int64_t offset;
};

struct Known {
    int64_t producer_id = -1;
    int32_t next = 0;                // the first that is not acknowledged
    int32_t began = 0;               // where the last child began
    std::vector<int64_t> offsets{};  // of those that are
};
using Writers = std::array<Known, writers>;

Options options(uint32_t threads) {
    return {.threads = threads, .journal_bytes_max = 16u << 20, .dirty_bytes_max = 2u << 20, .reserve_bytes = 0};
}

// Values are "writer:sequence", some of them large enough to go straight to the segment.
std::string value(int writer, int32_t sequence) {
    return std::to_string(writer) + ":" + std::to_string(sequence) +
           std::string(sequence % 40 == 7 ? 90'000 : 200, ' ');
}

// The child: appends until it is killed.
[[noreturn]] void load(const std::string& path, uint32_t threads, const Writers& known, int pipe) {
    auto log = Log::open(path, options(threads));
    if (!log) { _exit(2); }
    auto topic = log->topic("events");
    if (!topic) { _exit(3); }
    std::vector<std::jthread> loaders;
    for (int writer = 0; writer < writers; ++writer) {
        loaders.emplace_back([&, writer] {
            const Known& from = known[static_cast<size_t>(writer)];
            for (int32_t sequence = from.next;; ++sequence) {
                const std::string text = value(writer, sequence);
                auto at = topic->append(
                    {.key = std::nullopt, .value = text},
                    {.partition = writer % partitions, .producer = ProducerSequence{from.producer_id, 0, sequence}});
                if (!at) { _exit(4); }
                const Acknowledged told{writer, sequence, at->offset.value};
                if (write(pipe, &told, sizeof told) != sizeof told) { _exit(5); }
            }
        });
    }
    for (;;) {
        if (!log->checkpoint()) { _exit(6); }
    }
}

class KillTest : public testing::TestWithParam<uint32_t> {
protected:
    KillTest() {
        std::string name = std::filesystem::temp_directory_path() / "flowstone-kill-XXXXXX";
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    ~KillTest() override { std::filesystem::remove_all(path_); }

    void begin() {
        auto log = Log::open(path_, options(0));
        ASSERT_TRUE(log) << log.error().message();
        auto topic = log->create_topic(
            "events", {.partitions = partitions, .configs = {{"segment.bytes", "4194304"}}, .exists_ok = true});
        ASSERT_TRUE(topic) << topic.error().message();
        for (Known& writer : known_) {
            auto id = log->new_producer_id();
            ASSERT_TRUE(id) << id.error().message();
            writer.producer_id = *id;
        }
    }

    // Runs a child and kills it after `life`; what it had acknowledged by then is in known_.
    void kill_after(std::chrono::microseconds life) {
        for (Known& writer : known_) { writer.began = writer.next; }
        int ends[2];
        ASSERT_EQ(pipe(ends), 0);
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            close(ends[0]);
            load(path_, GetParam(), known_, ends[1]);
        }
        close(ends[1]);
        const auto end = std::chrono::steady_clock::now() + life;
        bool killed = false;
        for (;;) {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
            pollfd readable{ends[0], POLLIN, 0};
            if (!killed && poll(&readable, 1, static_cast<int>(std::max<int64_t>(left.count(), 0))) == 0) {
                kill(child, SIGKILL);
                killed = true;
            }
            if (!killed && std::chrono::steady_clock::now() >= end) {
                kill(child, SIGKILL);
                killed = true;
            }
            Acknowledged told;
            const ssize_t got = read(ends[0], &told, sizeof told);  // whole ones: shorter than PIPE_BUF
            if (got == 0) { break; }
            ASSERT_EQ(got, static_cast<ssize_t>(sizeof told));
            Known& writer = known_[static_cast<size_t>(told.writer)];
            ASSERT_EQ(told.sequence, writer.next);
            writer.offsets.push_back(told.offset);
            ++writer.next;
        }
        close(ends[0]);
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            << "the child ended by itself: " << WEXITSTATUS(status);
    }

    void check() {
        auto log = Log::open(path_, options(GetParam()));
        ASSERT_TRUE(log) << log.error().message();
        auto topic = log->topic("events");
        ASSERT_TRUE(topic) << topic.error().message();
        std::array<int32_t, writers> found{};
        for (int32_t partition = 0; partition < partitions; ++partition) {
            auto reader = topic->read({.partition = partition});
            ASSERT_TRUE(reader) << reader.error().message();
            int64_t offset = 0;
            for (;;) {
                auto batch = reader->next();
                ASSERT_TRUE(batch) << batch.error().message();
                if (batch->empty()) { break; }
                for (const auto& record : *batch) {
                    ASSERT_EQ(record.offset.value, offset++);
                    int writer = -1;
                    int32_t sequence = -1;
                    const std::string_view text = record.value.value_or("");
                    const auto colon = text.find(':');
                    ASSERT_NE(colon, text.npos);
                    std::from_chars(text.data(), text.data() + colon, writer);
                    std::from_chars(text.data() + colon + 1, text.data() + text.size(), sequence);
                    ASSERT_TRUE(writer >= 0 && writer < writers && writer % partitions == partition);
                    const auto index = static_cast<size_t>(writer);
                    ASSERT_EQ(sequence, found[index]) << "of writer " << writer << ": lost, twice, or out of order";
                    ASSERT_EQ(text, value(writer, sequence));
                    const Known& known = known_[index];
                    if (sequence < known.next) {
                        ASSERT_EQ(record.offset.value, known.offsets[static_cast<size_t>(sequence)])
                            << "sequence " << sequence << " of writer " << writer << ", whose last child began at "
                            << known.began;
                    }
                    ++found[index];
                }
            }
        }
        for (size_t writer = 0; writer < writers; ++writer) {
            ASSERT_GE(found[writer], known_[writer].next) << "acknowledged records of writer " << writer << " are lost";
        }
        auto closed = log->close();
        ASSERT_TRUE(closed) << closed.error().message();
    }

    std::string path_;
    Writers known_;
};

INSTANTIATE_TEST_SUITE_P(Threads, KillTest, testing::Values(0u, 1u),
                         [](const auto& info) { return "With" + std::to_string(info.param); });

TEST_P(KillTest, NothingAcknowledgedIsLostAndNothingIsThereTwice) {
    std::mt19937 random(GetParam() + 1);
    ASSERT_NO_FATAL_FAILURE(begin());
    for (int cycle = 0; cycle < kill_cycles() / 2; ++cycle) {
        SCOPED_TRACE("cycle " + std::to_string(cycle));
        // From before the child has opened the log to some checkpoints later.
        ASSERT_NO_FATAL_FAILURE(kill_after(std::chrono::microseconds(random() % (cycle % 5 == 0 ? 20'000 : 250'000))));
        // Every third time a child meets what the one before it left, unchecked.
        if (cycle % 3 != 0) { ASSERT_NO_FATAL_FAILURE(check()); }
        // A directory of its own again before reading everything takes long.
        if (cycle % 25 == 24) {
            ASSERT_NO_FATAL_FAILURE(check());
            std::filesystem::remove_all(path_);
            known_ = {};
            ASSERT_NO_FATAL_FAILURE(begin());
        }
    }
    ASSERT_NO_FATAL_FAILURE(check());
}

}  // namespace
}  // namespace flowstone
