// Work that may block or takes long, such as reading files, away from the broker's thread; and what is to be done with
// its result, back in it.
//
// Jobs are done one by one in the order of their coming. Without a thread each is done at once, within submit(): so the
// simulated world stays in one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "storage/thread.h"

namespace flowstone {

class Worker {
public:
    // `wake` is called from the worker's thread whenever results are there; it may only wake somebody.
    // `name` is its thread's, which, if it gives way, works when others leave it a processor.
    Worker(const char* name, bool threaded, std::function<void()> wake, bool gives_way = false);
    ~Worker();  // waits for the job at hand; the others are dropped
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Runs in the worker's thread, and returns what is to be run in ours.
    using Job = std::function<std::function<void()>()>;
    void submit(Job job);
    // In the broker's thread: runs what the jobs that have ended gave.
    void run_results();
    size_t waiting() const;

private:
    void run();

    std::function<void()> wake_;
    mutable std::mutex lock_;  // guards the rest
    std::deque<Job> jobs_;
    std::vector<std::function<void()>> results_;
    bool stopping_ = false;
    std::atomic<uint32_t> word_{0};  // changes when there is something to do
    std::optional<Thread> thread_;
};

}  // namespace flowstone
