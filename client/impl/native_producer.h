// A producer of a log that this process holds: its records go straight into the log, in the thread that sends them, and
// are there for readers at once. What batches, lingering, sequences and retries are for elsewhere nobody needs here.
//
// Threads: any. Callbacks are called in one thread of the producer's own, which the first of them starts.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <flowstone/client.h>
#include <flowstone/log.h>

#include "storage/lock.h"
#include "storage/thread.h"

namespace flowstone {

class NativeProducer;

class NativeTopic {
public:
    NativeTopic(NativeProducer& producer, Topic topic) : producer_(producer), topic_(std::move(topic)) {}

    // Errors: as ProducerTopic::send.
    Result<Position> send(const Record& record, std::optional<int32_t> partition);
    Result<void> send(const Record& record, DeliveryCallback done, std::optional<int32_t> partition);
    // As Delivery's.
    Result<Position> wait_for(const Position& at, std::chrono::milliseconds timeout) const;
    bool done(const Position& at) const;
    // Of all that was sent so far. Errors: timed_out; the first of what went wrong.
    Result<void> flush(int64_t until_ns);
    int32_t partitions() const { return topic_.partitions(); }

private:
    Result<Position> send_waiting(const Record& record, AppendOptions& options);

    NativeProducer& producer_;
    Topic topic_;
    std::atomic<uint64_t> touched_ = 0;  // a bit for each partition, modulo 64, that was sent to since the last flush
};

class NativeProducer {
public:
    // Whether records may go straight into a log: the log keeps them in the topic's codec, and always says where.
    static bool suits(const ProducerOptions& options) {
        return options.compression == Compression::none && options.acks != Acks::none;
    }
    NativeProducer(Log& log, const ProducerOptions& options) : log_(log), full_wait_max_(options.full_wait_max) {}
    ~NativeProducer() { close(0); }
    NativeProducer(const NativeProducer&) = delete;
    NativeProducer& operator=(const NativeProducer&) = delete;

    // Stays until the producer goes, also when its topic does: another of that name is another. Errors: as Log::topic.
    Result<NativeTopic*> topic(std::string_view name);
    // Until all that was sent so far is acknowledged, and called back for. False: not in time.
    bool flush(int64_t timeout_ns);
    // As flush(); callbacks that are left are called with what is known by then, and none after it.
    bool close(int64_t timeout_ns);

private:
    friend class NativeTopic;
    struct Called {
        const NativeTopic* topic;
        Position at;
        DeliveryCallback done;
    };
    void call_back(const NativeTopic& topic, const Position& at, DeliveryCallback done);
    void tell();
    void run_callbacks();
    Result<Position> verdict(const Called& called) const;

    Log& log_;
    const std::chrono::milliseconds full_wait_max_;
    Lock lock_;  // guards the rest
    std::map<Uuid, std::unique_ptr<NativeTopic>> topics_;
    std::deque<Called> called_;
    bool closed_ = false;
    std::optional<Thread> caller_;
    std::atomic<uint64_t> asked_ = 0;  // callbacks, ever
    std::atomic<uint64_t> ended_ = 0;
    std::atomic<uint32_t> word_ = 0;  // changes with all of these
    std::atomic<bool> stop_ = false;
};

}  // namespace flowstone
