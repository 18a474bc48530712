#include "net/broker/worker.h"

#include "storage/lock.h"

namespace flowstone {

Worker::Worker(const char* name, bool threaded, std::function<void()> wake, bool gives_way) : wake_(std::move(wake)) {
    if (!threaded) { return; }
    thread_.emplace(name, [this, gives_way] {
        if (gives_way) { give_way(); }
        run();
    });
}

Worker::~Worker() {
    {
        const std::lock_guard guard(lock_);
        stopping_ = true;
    }
    word_.fetch_add(1);
    wake_all(word_);
    thread_.reset();
}

void Worker::submit(Job job) {
    if (!thread_) {
        auto result = job();
        const std::lock_guard guard(lock_);
        results_.push_back(std::move(result));
        return;
    }
    {
        const std::lock_guard guard(lock_);
        jobs_.push_back(std::move(job));
    }
    word_.fetch_add(1);
    wake_one(word_);
}

void Worker::run_results() {
    std::vector<std::function<void()>> results;
    {
        const std::lock_guard guard(lock_);
        results.swap(results_);
    }
    for (auto& result : results) { result(); }
}

size_t Worker::waiting() const {
    const std::lock_guard guard(lock_);
    return jobs_.size() + results_.size();
}

void Worker::run() {
    for (;;) {
        const uint32_t seen = word_.load();
        Job job;
        {
            const std::lock_guard guard(lock_);
            if (stopping_) { return; }
            if (!jobs_.empty()) {
                job = std::move(jobs_.front());
                jobs_.pop_front();
            }
        }
        if (!job) {
            sleep_while(word_, seen);
            continue;
        }
        auto result = job();
        {
            const std::lock_guard guard(lock_);
            results_.push_back(std::move(result));
        }
        wake_();
    }
}

}  // namespace flowstone
