#include "client/impl/native_producer.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "storage/clock.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int64_t ms_ns = 1'000'000;
constexpr int64_t full_pause_ns = 200'000;           // between two looks whether the log has room
constexpr size_t callbacks_max = 64u << 10;          // that wait to be called; then whoever sends waits
constexpr std::chrono::milliseconds look_again{20};  // whether a callback need not be waited for any more

std::chrono::milliseconds left_until(int64_t until_ns) {
    return std::chrono::milliseconds(std::max<int64_t>(0, until_ns - system_clock().monotonic_ns()) / ms_ns);
}

void pause(int64_t ns) {
    const std::atomic<uint32_t> never = 0;
    sleep_while(never, 0, ns);
}

}  // namespace

// --- topics ------------------------------------------------------------------------------------------------------------

Result<Position> NativeTopic::send(const Record& record, std::optional<int32_t> partition) {
    AppendOptions options{.partition = partition, .may_wait = false};
    auto pending = topic_.append_async(record, options);
    if (!pending) [[unlikely]] {
        if (pending.error().code != Code::busy) { return std::unexpected(pending.error()); }
        return send_waiting(record, options);
    }
    const uint64_t bit = uint64_t{1} << (pending->at.partition & 63);
    if ((touched_.load(std::memory_order_relaxed) & bit) == 0) { touched_.fetch_or(bit); }
    return pending->at;
}

// The log's memory is full of what is not written yet.
Result<Position> NativeTopic::send_waiting(const Record& record, AppendOptions& options) {
    const int64_t until = system_clock().monotonic_ns() + producer_.full_wait_max_.count() * ms_ns;
    for (;;) {
        auto pending = topic_.append_async(record, options);
        if (pending) {
            touched_.fetch_or(uint64_t{1} << (pending->at.partition & 63));
            return pending->at;
        }
        if (pending.error().code != Code::busy || system_clock().monotonic_ns() >= until) {
            return std::unexpected(pending.error());
        }
        pause(full_pause_ns);
    }
}

Result<void> NativeTopic::send(const Record& record, DeliveryCallback done, std::optional<int32_t> partition) {
    TRY(const Position at, send(record, partition));
    producer_.call_back(*this, at, std::move(done));
    return {};
}

Result<Position> NativeTopic::wait_for(const Position& at, std::chrono::milliseconds timeout) const {
    TRY_VOID(topic_.wait(at.partition, at.offset + 1, timeout));
    return at;
}

bool NativeTopic::done(const Position& at) const {
    const auto reached = wait_for(at, std::chrono::milliseconds(0));
    return reached || reached.error().code != Code::timed_out;
}

Result<void> NativeTopic::flush(int64_t until_ns) {
    const uint64_t touched = touched_.exchange(0);
    for (int32_t number = 0; touched != 0 && number < topic_.partitions(); ++number) {
        if ((touched >> (number & 63) & 1) == 0) { continue; }
        const auto info = topic_.partition(number);
        const auto waited = info ? topic_.wait(number, info->log_end, left_until(until_ns))
                                 : Result<void>(std::unexpected(info.error()));
        if (waited) { continue; }
        if (waited.error().code == Code::timed_out) { touched_.fetch_or(touched); }
        return waited;
    }
    return {};
}

// --- producer ----------------------------------------------------------------------------------------------------------

Result<NativeTopic*> NativeProducer::topic(std::string_view name) {
    TRY(const TopicInfo info, log_.describe(name));
    TRY(Topic topic, log_.topic(name));
    const std::lock_guard guard(lock_);
    auto& kept = topics_[info.id];
    if (kept == nullptr) { kept = std::make_unique<NativeTopic>(*this, std::move(topic)); }
    return kept.get();
}

bool NativeProducer::flush(int64_t timeout_ns) {
    const int64_t until = system_clock().monotonic_ns() + timeout_ns;
    const uint64_t asked = asked_.load();
    std::vector<NativeTopic*> topics;
    {
        const std::lock_guard guard(lock_);
        for (const auto& [id, topic] : topics_) { topics.push_back(topic.get()); }
    }
    bool in_time = true;
    for (NativeTopic* const topic : topics) {
        const auto flushed = topic->flush(until);
        in_time = in_time && (flushed || flushed.error().code != Code::timed_out);
    }
    for (;;) {
        const uint32_t seen = word_.load(std::memory_order_acquire);
        if (ended_.load() >= asked) { return in_time; }
        const int64_t left = until - system_clock().monotonic_ns();
        if (left <= 0) { return false; }
        sleep_while(word_, seen, left);
    }
}

bool NativeProducer::close(int64_t timeout_ns) {
    const bool flushed = flush(timeout_ns);
    {
        const std::lock_guard guard(lock_);
        closed_ = true;
    }
    stop_ = true;
    tell();
    caller_.reset();
    return flushed;
}

// --- callbacks ---------------------------------------------------------------------------------------------------------

void NativeProducer::call_back(const NativeTopic& topic, const Position& at, DeliveryCallback done) {
    for (;;) {
        const uint32_t seen = word_.load(std::memory_order_acquire);
        {
            const std::lock_guard guard(lock_);
            if (closed_) { break; }
            if (called_.size() < callbacks_max) {
                called_.push_back({&topic, at, std::move(done)});
                ++asked_;
                if (!caller_) {
                    caller_.emplace("flowstone-done", [this] { run_callbacks(); });
                }
                return tell();
            }
        }
        sleep_while(word_, seen);
    }
    done(verdict({&topic, at, {}}));  // too late for the thread
}

void NativeProducer::tell() {
    word_.fetch_add(1, std::memory_order_release);
    wake_all(word_);
}

// What a record's end is, when that is known or nobody waits for it any more.
Result<Position> NativeProducer::verdict(const Called& called) const {
    for (;;) {
        const auto reached = called.topic->wait_for(called.at, stop_ ? std::chrono::milliseconds(0) : look_again);
        if (reached || reached.error().code != Code::timed_out) { return reached; }
        if (stop_) {
            return std::unexpected(fail(Code::closed, "producer.send", "the client was closed")
                                       .error()
                                       .with_fate(Fate::unknown_until_reopen));
        }
    }
}

void NativeProducer::run_callbacks() {
    std::deque<Called> now;
    for (;;) {
        const uint32_t seen = word_.load(std::memory_order_acquire);
        {
            const std::lock_guard guard(lock_);
            now.swap(called_);
        }
        if (now.empty() && stop_) { return; }
        if (now.empty()) {
            sleep_while(word_, seen);
            continue;
        }
        for (const Called& called : now) {
            called.done(verdict(called));
            ++ended_;
        }
        now.clear();
        tell();
    }
}

}  // namespace flowstone
