// A log that one process holds and another reads through shared memory.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <flowstone/client.h>

#include "bench/client_workloads.h"
#include "bench/floor.h"
#include "bench/source.h"
#include "storage/checksum.h"
#include "storage/lock.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t paced_bytes = 100;
constexpr uint64_t per_second = 100'000;

// What two processes tell one another.
struct Board {
    alignas(64) std::atomic<uint32_t> ping;
    alignas(64) std::atomic<uint32_t> pong;
    alignas(64) std::atomic<uint32_t> step;
    uint64_t count;
    int64_t ns;
    int64_t cpu_ns;
    uint64_t hash;
};

class SharedBoard {
public:
    explicit SharedBoard(uint64_t latencies) : bytes_(sizeof(Board) + latencies * sizeof(int64_t)) {
        void* const memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory != MAP_FAILED) { board_ = static_cast<Board*>(memory); }
    }
    ~SharedBoard() {
        if (board_ != nullptr) { munmap(board_, bytes_); }
    }
    SharedBoard(const SharedBoard&) = delete;
    SharedBoard& operator=(const SharedBoard&) = delete;
    Board* operator->() const { return board_; }
    int64_t* latencies_ns() const { return reinterpret_cast<int64_t*>(board_ + 1); }
    explicit operator bool() const { return board_ != nullptr; }

private:
    size_t bytes_;
    Board* board_ = nullptr;
};

void sleep_until(const std::atomic<uint32_t>& word, uint32_t value) {
    static const std::atomic<uint32_t> never = 0;
    for (;;) {
        const uint32_t now = word.load(std::memory_order_acquire);
        if (now == value) { return; }
        sleep_while_both({never, 0}, {word, now}, -1);
    }
}
void tell(std::atomic<uint32_t>& word, uint32_t value) {
    word.store(value, std::memory_order_release);
    wake_all_processes(word);
}

Result<void> ended_well(pid_t child) {
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) {
        return fail(Code::io, "client_bench", "the other process failed");
    }
    return {};
}

// There and back, each asleep until it is woken; half of it is one way.
Result<Outcome> futex_ping_pong(uint64_t rounds) {
    const SharedBoard board(0);
    if (!board) { return fail_errno(errno, "client_bench"); }
    Outcome outcome;
    outcome.records = rounds;
    const Stopwatch watch;
    const pid_t other = fork();
    if (other == 0) {
        for (uint32_t i = 1; i <= rounds; ++i) {
            sleep_until(board->ping, i);
            tell(board->pong, i);
        }
        _exit(0);
    }
    for (uint32_t i = 1; i <= rounds; ++i) {
        const int64_t began = system_clock().monotonic_ns();
        tell(board->ping, i);
        sleep_until(board->pong, i);
        outcome.latency_ns.record(static_cast<uint64_t>(system_clock().monotonic_ns() - began) / 2);
    }
    TRY_VOID(ended_well(other));
    watch.stop(outcome);
    outcome.hash = board->pong;
    return outcome;
}

enum Step : uint32_t { nothing = 0, log_is_there = 1, reader_is_there = 2, all_is_there = 3 };

// Reads until it has seen every record; how long each took is on the board.
Result<void> read_paced(const SharedBoard& board, const std::string& directory, uint64_t records) {
    sleep_until(board->step, log_is_there);
    TRY(Client client, Client::open("shm:" + directory));
    TRY(Consumer consumer, client.consumer());
    TRY_VOID(consumer.assign({{"bench", 0}}));
    uint64_t seen = 0;
    bool told = false;
    while (seen < records) {
        TRY(const auto batch, consumer.poll(10s));
        if (batch.empty()) { return fail(Code::timed_out, "client_bench", "no record for ten seconds"); }
        const int64_t now = system_clock().monotonic_ns();
        for (const RecordView& record : batch) {
            int64_t sent = 0;
            std::memcpy(&sent, record.value->data(), sizeof sent);
            if (sent == 0) {  // one of those in front
                if (!std::exchange(told, true)) { tell(board->step, reader_is_there); }
                continue;
            }
            board.latencies_ns()[seen++] = now - sent;
            board->hash = board->hash * 31 + static_cast<uint64_t>(record.offset.value);
        }
    }
    return client.close();
}

// Latency: from when a record was to be sent to when the other process has it.
Result<Outcome> produce_to_visible(const Setting& setting, const std::string& directory) {
    Outcome outcome;
    outcome.records = static_cast<uint64_t>(per_second * setting.seconds());
    outcome.bytes = outcome.records * paced_bytes;
    const SharedBoard board(outcome.records);
    if (!board) { return fail_errno(errno, "client_bench"); }
    const std::string log = directory + "/ours";
    const pid_t reader = fork();
    if (reader == 0) { _exit(read_paced(board, log, outcome.records) ? 0 : 1); }
    TRY(Client holder, Client::open("dir:" + log));
    TRY(Topic topic, holder.log()->create_topic("bench", {.configs = {{"flowstone.durability", "memory"}}}));
    TRY(Producer producer, holder.producer());
    TRY(ProducerTopic to, producer.topic("bench"));
    std::string value(paced_bytes, '\0');
    TRY_VOID(to.send({.value = value}, 0));
    tell(board->step, log_is_there);
    // Until the reader has come over from the socket: a record now and then.
    for (int i = 0; board->step != reader_is_there || i < 20; ++i) {
        TRY_VOID(to.send({.value = value}, 0));
        sleep_until_ns(system_clock().monotonic_ns() + 50'000'000);
    }
    const Stopwatch watch;
    const Pace pace{watch.began_ns(), per_second};
    for (uint64_t i = 0; i < outcome.records; ++i) {
        const int64_t intended = pace.intended_ns(i);
        // By the clock alone: who sleeps is late by more than what is measured, and then sends several at once.
        while (system_clock().monotonic_ns() < intended) { __builtin_ia32_pause(); }
        std::memcpy(value.data(), &intended, sizeof intended);
        TRY_VOID(to.send({.value = value}, 0));
    }
    TRY_VOID(ended_well(reader));
    watch.stop(outcome);
    TRY_VOID(holder.close());
    for (uint64_t i = 0; i < outcome.records; ++i) {
        outcome.latency_ns.record(static_cast<uint64_t>(std::max<int64_t>(0, board.latencies_ns()[i])));
    }
    outcome.hash = board->hash;
    return outcome;
}

// --- bandwidth -------------------------------------------------------------------------------------------------------------

constexpr uint32_t large_bytes = 1'024;
constexpr uint64_t lap_records = 8'192;  // 8 MiB: less than the memory that is shared

// The same bytes, copied and checked 64 KiB at a time.
Outcome copy_with_crc(uint64_t laps) {
    constexpr size_t piece_bytes = 64u << 10;
    const Source source(large_bytes);
    std::vector<std::byte> from;
    for (uint64_t i = 0; i < lap_records; ++i) {
        const Bytes value = as_bytes(source.value(i));
        from.insert(from.end(), value.begin(), value.end());
    }
    std::vector<std::byte> to(piece_bytes);
    Outcome outcome;
    outcome.records = laps * lap_records;
    outcome.bytes = outcome.records * large_bytes;
    const Stopwatch watch;
    for (uint64_t lap = 0; lap < laps; ++lap) {
        for (size_t at = 0; at < from.size(); at += piece_bytes) {
            std::memcpy(to.data(), from.data() + at, piece_bytes);
            outcome.hash += crc32c(to);
        }
    }
    watch.stop(outcome);
    return outcome;
}

// Reads what is in memory again and again; how long it took is on the board.
Result<void> read_laps(const SharedBoard& board, const std::string& directory, uint64_t laps) {
    sleep_until(board->step, log_is_there);
    TRY(Client client, Client::open("shm:" + directory));
    TRY(Consumer consumer, client.consumer());
    // From the end on it is near; the first records, which are not, ask for the memory.
    TRY_VOID(consumer.assign({{"bench", 0}}));
    TRY_VOID(consumer.poll(10s));
    tell(board->step, reader_is_there);
    sleep_until(board->step, all_is_there);
    const Offset begin{1};
    for (uint64_t lap = 0; lap <= laps; ++lap) {
        const Stopwatch watch;
        Outcome outcome;
        TRY_VOID(consumer.seek({"bench", 0}, begin));
        for (uint64_t seen = 0; seen < lap_records;) {
            TRY(const auto batch, consumer.poll(10s));
            if (batch.empty()) { return fail(Code::timed_out, "client_bench", "no record for ten seconds"); }
            for (const RecordView& record : batch) {
                board->hash = board->hash * 31 + static_cast<uint64_t>(record.offset.value);
                ++seen;
            }
        }
        watch.stop(outcome);
        if (lap == 0) { continue; }  // over the socket, perhaps
        board->ns += outcome.ns;
        board->cpu_ns += outcome.cpu_ns;
    }
    return client.close();
}

Result<Outcome> consume_shared(const std::string& directory, uint64_t laps) {
    const SharedBoard board(0);
    if (!board) { return fail_errno(errno, "client_bench"); }
    const std::string log = directory + "/ours";
    const pid_t reader = fork();
    if (reader == 0) { _exit(read_laps(board, log, laps) ? 0 : 1); }
    TRY(Client holder, Client::open("dir:" + log));
    TRY(Topic topic, holder.log()->create_topic("bench", {.configs = {{"flowstone.durability", "memory"}}}));
    TRY(Producer producer, holder.producer());
    TRY(ProducerTopic to, producer.topic("bench"));
    const Source source(large_bytes);
    TRY_VOID(to.send(source.record(0), 0));
    TRY_VOID(producer.flush());
    tell(board->step, log_is_there);
    sleep_until(board->step, reader_is_there);
    for (uint64_t i = 0; i < lap_records; ++i) { TRY_VOID(to.send(source.record(i), 0)); }
    TRY_VOID(producer.flush());
    tell(board->step, all_is_there);
    TRY_VOID(ended_well(reader));
    TRY_VOID(holder.close());
    Outcome outcome;
    outcome.records = laps * lap_records;
    outcome.bytes = outcome.records * large_bytes;
    outcome.ns = board->ns;
    outcome.cpu_ns = board->cpu_ns;
    outcome.hash = board->hash;
    return outcome;
}

Workload shm_visible_100k() {
    return {"shm_visible_100k",
            "sent in one process to seen in another, 100 B, 100 k/s, memory level",
            {{"ping_pong",
              [](const Setting& setting, const std::string&) { return futex_ping_pong(setting.amount(100'000)); }},
             {"shm", produce_to_visible}},
            {{"shm", Measure::p50, false, 3, "ping_pong"}}};
}

Workload shm_consume_1k() {
    constexpr uint64_t full = 1'000;  // laps
    return {"shm_consume_1k",
            "1 KiB, read in another process again and again from memory",
            {{"copy_crc",
              [](const Setting& setting, const std::string&) -> Result<Outcome> {
                  return copy_with_crc(setting.amount(full));
              }},
             {"shm", [](const Setting& setting,
                        const std::string& directory) { return consume_shared(directory, setting.amount(full)); }}},
            {{"shm", Measure::bytes_per_s, true, 0.6, "copy_crc"}}};
}

}  // namespace

std::vector<Workload> shared_workloads() { return {shm_visible_100k(), shm_consume_1k()}; }

}  // namespace flowstone::bench
