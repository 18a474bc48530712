// What a broker counts, and how it looks from outside: /metrics, /healthz, /readyz.
//
// Threads: the broker's one, in which the pages are made too.
#pragma once

#include <array>
#include <cstdint>

#include "net/broker/lag_times.h"
#include "net/broker/request.h"
#include "net/http/http_pages.h"
#include "net/kafka/api.h"
#include "net/metrics/metrics.h"

namespace flowstone {

class FetchHandler;
class GroupsHandler;
class ProduceHandler;

class BrokerMetrics {
public:
    BrokerMetrics();

    // Adds what is looked at when somebody asks, and the pages. What is given must outlive it.
    void watch(const BrokerContext& context, const ProduceHandler& produce, const FetchHandler& fetch,
               const GroupsHandler& groups, HttpPages& pages);

    void answered(kafka::ApiKey key, int64_t took_ns);
    void produced(uint64_t bytes) { produced_bytes_->add(static_cast<double>(bytes)); }
    void fetched(uint64_t bytes) { fetched_bytes_->add(static_cast<double>(bytes)); }

private:
    static HttpAnswer ready(const BrokerContext& context);
    void watch_server(const BrokerContext& context);
    void watch_partitions(const BrokerContext& context);
    void watch_log(const BrokerContext& context);
    void watch_groups(const BrokerContext& context, const GroupsHandler& groups);

    Metrics metrics_;
    MetricCounter* produced_bytes_;
    MetricCounter* fetched_bytes_;
    MetricHistogram* commit_seconds_;
    MetricHistogram* commit_bytes_;
    LagTimes lag_times_;  // filled when somebody asks
    static constexpr size_t keys_max = 128;
    std::array<MetricHistogram*, keys_max> latency_{};  // by api key; made when first answered
};

}  // namespace flowstone
