#include "client/impl/held_log.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "client/embedded/log_near.h"
#include "client/impl/endpoint.h"
#include "client/impl/native_producer.h"
#include "net/broker/broker.h"
#include "storage/clock.h"
#include "storage/fork_guard.h"
#include "storage/lock.h"
#include "storage/random.h"
#include "storage/thread.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int64_t ms_ns = 1'000'000;
constexpr int64_t drain_ms_max = 1'000;

BrokerConfig config_for(const std::string& directory, const HostPort& address) {
    BrokerConfig config;
    config.data = {directory};
    config.listen = {address};
    config.http.reset();
    config.groups.initial_rebalance_delay_ms = 0;  // who asks first is mostly the only one: this program
    return config;
}

}  // namespace

// From the log up: each uses those before it.
struct HeldLog::Impl {
    Log log;
    ServedLog served{log};  // for consumers; the broker has one of its own
    std::unique_ptr<Network> network{};
    std::optional<Broker> broker{};
    HostPort address{};
    std::atomic<bool> stop = false;
    std::atomic<int64_t> drain_ms = 0;
    std::optional<Thread> thread{};
    Lock lock{};  // guards the next
    std::deque<NativeProducer> producers{};
    uint32_t owner = process_token();

    // Without the lock: whoever is called back meanwhile may ask for another one.
    bool close_producers(int64_t until_ns) {
        std::vector<NativeProducer*> all;
        {
            const std::lock_guard guard(lock);
            for (NativeProducer& producer : producers) { all.push_back(&producer); }
        }
        bool delivered = true;
        for (NativeProducer* const producer : all) {
            delivered &= producer->close(std::max<int64_t>(0, until_ns - system_clock().monotonic_ns()));
        }
        return delivered;
    }

    void serve() {
        while (!stop && broker->run()) {}
        broker->stop(drain_ms);
    }
    void end_serving(int64_t timeout_ns) {
        if (!thread) { return; }
        drain_ms = std::clamp<int64_t>(timeout_ns / ms_ns, 0, drain_ms_max);
        stop = true;
        broker->wake();
        thread.reset();
        broker.reset();
        network.reset();
    }
};

Result<std::unique_ptr<HeldLog>> HeldLog::open(std::string directory, Options options) {
    if (options.read_only) {
        return fail(Code::invalid, "client.open", "a log that is only read is opened by Log::open");
    }
    options.threads = std::max(options.threads, 1u);
    auto lines = options.on_log;
    auto log = Log::open(directory, std::move(options));
    if (!log && log.error().code == Code::locked) {
        const std::string way = find_holder(directory) ? fmt::format("shm:{} goes through it", directory)
                                                       : "it serves nobody: end it, or wait for its end";
        return std::unexpected(log.error().with_detail(fmt::format("{}; {}", log.error().detail, way)));
    }
    if (!log) { return std::unexpected(log.error()); }
    auto impl = std::make_unique<Impl>(std::move(*log));
    TRY(impl->network, open_epoll_network());
    TRY(impl->address, socket_in(directory));
    if (!lines) {
        lines = [](std::string_view) {};
    }
    impl->broker.emplace(impl->log, *impl->network, system_clock(), system_random(),
                         config_for(directory, impl->address), true, std::move(lines));
    TRY_VOID(impl->broker->listen(impl->address));
    impl->thread.emplace("flowstone-net", [serving = impl.get()] { serving->serve(); });
    return std::unique_ptr<HeldLog>(new HeldLog(std::move(impl)));
}

HeldLog::HeldLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HeldLog::~HeldLog() {
    if (impl_->owner != process_token()) {
        (void)impl_.release();
        return;
    }
    impl_->end_serving(0);
}

Log& HeldLog::log() { return impl_->log; }
const HostPort& HeldLog::address() const { return impl_->address; }
std::unique_ptr<NearLog> HeldLog::near() { return std::make_unique<LogNear>(impl_->served); }
NativeProducer& HeldLog::add_producer(const ProducerOptions& options) {
    const std::lock_guard guard(impl_->lock);
    return impl_->producers.emplace_back(impl_->log, options);
}

Result<void> HeldLog::close(int64_t timeout_ns) {
    if (!impl_->thread) { return {}; }
    const int64_t until = system_clock().monotonic_ns() + timeout_ns;
    const auto left_ns = [&] { return std::max<int64_t>(0, until - system_clock().monotonic_ns()); };
    const bool delivered = impl_->close_producers(until);
    impl_->end_serving(left_ns());
    TRY_VOID(impl_->log.close(std::chrono::milliseconds(left_ns() / ms_ns)));
    return delivered ? Result<void>() : fail(Code::timed_out, "client.close", "records are not acknowledged");
}

}  // namespace flowstone
