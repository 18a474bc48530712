// Counters, gauges and histograms, and their text for Prometheus (exposition format 0.0.4).
//
//   MetricCounter& produced = metrics.counter("flowstone_records_produced_total", "Records that producers appended.");
//   MetricHistogram& latency = metrics.histogram("flowstone_request_seconds", "...", {{"api", "Produce"}});
//   produced.add(3);
//   latency.observe(0.0012);
//
// Names begin with "flowstone_", say their unit last (_seconds, _bytes, _ratio), and counters end in "_total": checked,
// like all that the code decides. Label values may come from anywhere: they are cut at metric_label_bytes_max, and what is
// no UTF-8 in them becomes a question mark, since Prometheus would refuse the whole page.
//
// Bounded: metrics_series_max series in all, but for sampled metrics that have room of their own. One above it counts into
// the void, and flowstone_metrics_series_dropped says how many there were: a label that takes too many values costs its
// own metric, not the process.
//
// Threads: safe from any. What is returned lives as long as the Metrics. Look series up once and keep them: looking one up
// takes a lock and compares labels, counting does neither (a histogram takes a lock of its own).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/limits.h"

namespace flowstone {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;  // names of letters, digits and underscores

class MetricCounter {
public:
    virtual ~MetricCounter() = default;
    virtual void add(double amount = 1) = 0;  // not negative
};
class MetricGauge {
public:
    virtual ~MetricGauge() = default;
    virtual void set(double value) = 0;
    virtual void add(double amount) = 0;
};
class MetricHistogram {
public:
    virtual ~MetricHistogram() = default;
    virtual void observe(double value) = 0;
};

// Upper bounds in seconds, from 100 us to 10 s.
std::span<const double> latency_buckets_seconds();

struct MetricSample {
    MetricLabels labels;
    double value = 0;
};

class Metrics {
public:
    explicit Metrics(size_t series_max = metrics_series_max);
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    // The one with these labels, made if it is not there. A name keeps its kind, and its first help.
    MetricCounter& counter(std::string_view name, std::string_view help, const MetricLabels& labels = {});
    MetricGauge& gauge(std::string_view name, std::string_view help, const MetricLabels& labels = {});
    MetricHistogram& histogram(std::string_view name, std::string_view help, const MetricLabels& labels = {},
                               std::span<const double> buckets = latency_buckets_seconds());

    // Gauges (or counters, if the name ends in _total) that are looked at when somebody asks: for what comes and goes,
    // such as topics. `sample` is called by text(), in its thread, under no lock; what it
    // looks at must outlive the Metrics. With `series_max` it has room for so many series of its own, the first of the
    // sampler's, and takes none of what all share: for labels of which there may be many.
    using Sampler = std::function<std::vector<MetricSample>()>;
    void sampled(std::string_view name, std::string_view help, Sampler sample, std::optional<size_t> series_max = {});

    // All of it, by name.
    std::string text() const;
    static constexpr const char* content_type = "text/plain; version=0.0.4; charset=utf-8";

    size_t series_count() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace flowstone
