#include "tools/flowstoned/web.h"

#include <atomic>
#include <mutex>
#include <vector>

#include <fmt/format.h>

#include <flowstone/log.h>

#include "net/http/http_pages.h"
#include "net/http/http_server.h"
#include "net/metrics/metrics.h"
#include "net/transport/network.h"
#include "storage/clock.h"
#include "storage/lock.h"
#include "storage/thread.h"
#include "storage/try.h"

namespace flowstone {
namespace {

struct Told {
    ServerCounts counts;
    size_t connections = 0;
    uint64_t request_memory_bytes = 0;
    std::optional<Error> failure;
};

}  // namespace

struct Web::Impl {
    mutable Lock lock;
    Told told;  // under `lock`
    Metrics metrics;
    HttpPages pages;
    std::unique_ptr<Network> network;
    std::optional<HttpServer> server;
    std::atomic<bool> stop = false;
    std::optional<Thread> thread;

    Told now() const {
        const std::lock_guard guard(lock);
        return told;
    }
    void add_metrics();
    void add_pages();
};

void Web::Impl::add_metrics() {
    metrics.gauge("flowstone_build_info", "The version that runs.", {{"version", version()}}).set(1);
    const auto one = [this](const char* name, const char* help, double (*of)(const Told&)) {
        metrics.sampled(name, help, [this, of] { return std::vector<MetricSample>{{{}, of(now())}}; });
    };
    one("flowstone_connections", "Connections of Kafka's clients.",
        [](const Told& t) { return static_cast<double>(t.connections); });
    one("flowstone_connections_accepted_total", "Connections that were taken.",
        [](const Told& t) { return static_cast<double>(t.counts.accepted); });
    one("flowstone_accepts_refused_total", "Times that there was no descriptor for a connection.",
        [](const Told& t) { return static_cast<double>(t.counts.accepts_refused); });
    one("flowstone_requests_total", "Requests that came.",
        [](const Told& t) { return static_cast<double>(t.counts.frames); });
    one("flowstone_received_bytes_total", "Bytes that clients sent.",
        [](const Told& t) { return static_cast<double>(t.counts.bytes_in); });
    one("flowstone_sent_bytes_total", "Bytes that clients were sent.",
        [](const Told& t) { return static_cast<double>(t.counts.bytes_out); });
    one("flowstone_request_memory_bytes", "Memory of the requests that are here.",
        [](const Told& t) { return static_cast<double>(t.request_memory_bytes); });
    one("flowstone_log_failed", "1 when a disk failed and nothing is acknowledged any more.",
        [](const Told& t) { return t.failure ? 1.0 : 0.0; });
    metrics.sampled("flowstone_connections_closed_total", "Connections that the broker closed, by its reason.", [this] {
        const Told told_now = now();
        std::vector<MetricSample> samples;
        for (size_t i = 0; i < told_now.counts.closed.size(); ++i) {
            samples.push_back(
                {{{"reason", name(static_cast<CloseReason>(i))}}, static_cast<double>(told_now.counts.closed[i])});
        }
        return samples;
    });
}

void Web::Impl::add_pages() {
    pages.add("/metrics", [this](const HttpRequest&) {
        return HttpAnswer{.content_type = Metrics::content_type, .body = metrics.text()};
    });
    pages.add("/healthz", [this](const HttpRequest&) {
        const Told told_now = now();
        if (told_now.failure) {
            return HttpAnswer{.status = 503, .body = fmt::format("{}\n", told_now.failure->message())};
        }
        return HttpAnswer{.body = "ok\n"};
    });
}

Web::Web() : impl_(std::make_unique<Impl>()) {}

Web::~Web() {
    if (!impl_->server) { return; }
    impl_->stop = true;
    impl_->server->wake();
    impl_->thread.reset();  // waits for it
}

Result<void> Web::serve(const HostPort& at) {
    impl_->add_metrics();
    impl_->add_pages();
    TRY(impl_->network, open_epoll_network());
    impl_->server.emplace(*impl_->network, system_clock(), impl_->pages);
    TRY(address_, impl_->server->listen(at));
    impl_->thread.emplace("http", [impl = impl_.get()] {
        // Without it the broker serves on; whoever looks for its metrics sees that they are gone.
        while (!impl->stop && impl->server->run()) {}
    });
    return {};
}

void Web::publish(const Broker& broker) {
    if (!impl_->server) { return; }
    Told told{broker.server().counts(), broker.server().connection_count(), broker.server().frames_bytes(),
              broker.failure()};
    const std::lock_guard guard(impl_->lock);
    impl_->told = told;
}

}  // namespace flowstone
