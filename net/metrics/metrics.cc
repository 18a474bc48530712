#include "net/metrics/metrics.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <set>

#include <prometheus/check_names.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "storage/check.h"

namespace flowstone {
namespace {

constexpr std::string_view dropped_name = "flowstone_metrics_series_dropped";
constexpr std::array latency_buckets = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                        0.05,   0.1,     0.25,   0.5,   1.0,    2.5,   5.0,  10.0};

// Ours over the library's, so that who counts does not see it.
class KeptCounter final : public MetricCounter {
public:
    explicit KeptCounter(prometheus::Counter& kept) : kept_(kept) {}
    void add(double amount) override { kept_.Increment(amount); }

private:
    prometheus::Counter& kept_;
};
class KeptGauge final : public MetricGauge {
public:
    explicit KeptGauge(prometheus::Gauge& kept) : kept_(kept) {}
    void set(double value) override { kept_.Set(value); }
    void add(double amount) override { kept_.Increment(amount); }

private:
    prometheus::Gauge& kept_;
};
class KeptHistogram final : public MetricHistogram {
public:
    explicit KeptHistogram(prometheus::Histogram& kept) : kept_(kept) {}
    void observe(double value) override { kept_.Observe(value); }

private:
    prometheus::Histogram& kept_;
};

// For series above the limit.
class NoCounter final : public MetricCounter {
    void add(double) override {}
};
class NoGauge final : public MetricGauge {
    void set(double) override {}
    void add(double) override {}
};
class NoHistogram final : public MetricHistogram {
    void observe(double) override {}
};

void check_name(std::string_view name, bool is_counter) {
    CHECK(name.starts_with("flowstone_"));
    CHECK(prometheus::CheckMetricName(std::string(name)));
    CHECK(name.ends_with("_total") == is_counter);
}
// Bytes of the character of UTF-8 that `text` begins with; 0 when it begins with none.
size_t character_bytes(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const size_t bytes = byte(0) < 0x80   ? 1
                         : byte(0) < 0xc2 ? 0
                         : byte(0) < 0xe0 ? 2
                         : byte(0) < 0xf0 ? 3
                         : byte(0) < 0xf5 ? 4
                                          : 0;
    if (bytes > text.size()) { return 0; }
    for (size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xc0) != 0x80) { return 0; }
    }
    // Longer than needed, halves of a pair, above U+10FFFF.
    if (bytes == 3 && ((byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xed && byte(1) >= 0xa0))) { return 0; }
    if (bytes == 4 && ((byte(0) == 0xf0 && byte(1) < 0x90) || (byte(0) == 0xf4 && byte(1) >= 0x90))) { return 0; }
    return bytes;
}

std::string clean(std::string_view value) {
    std::string clean;
    while (!value.empty()) {
        const size_t bytes = character_bytes(value);
        if (clean.size() + std::max<size_t>(bytes, 1) > metric_label_bytes_max) { break; }
        clean += bytes == 0 ? std::string_view("?") : value.substr(0, bytes);
        value.remove_prefix(std::max<size_t>(bytes, 1));
    }
    return clean;
}

prometheus::Labels checked(const MetricLabels& labels) {
    prometheus::Labels all;
    for (const auto& [name, value] : labels) {
        CHECK(prometheus::CheckLabelName(name));
        CHECK(all.emplace(name, clean(value)).second);
    }
    return all;
}

}  // namespace

std::span<const double> latency_buckets_seconds() { return latency_buckets; }

// One metric of one kind: its series by labels.
template <class Ours, class Kept>
struct MetricOf {
    prometheus::Family<Kept>* family;
    std::map<prometheus::Labels, std::unique_ptr<Ours>> series;
};

struct Metrics::Impl {
    struct Sampled {
        std::string name;
        std::string help;
        Sampler sample;
        std::optional<size_t> series_max;
    };

    // Call with the lock held. Null when there is no room.
    template <class Ours, class Adapter, class Kept, class... Extra>
    Ours* find_or_add(std::map<std::string, MetricOf<Ours, Kept>, std::less<>>& metrics, std::string_view name,
                      auto builder, std::string_view help, const prometheus::Labels& labels, const Extra&... extra) {
        auto metric = metrics.find(name);
        if (metric == metrics.end()) {
            CHECK(names.insert(std::string(name)).second);  // of another kind
            auto& family = builder.Name(std::string(name)).Help(std::string(help)).Register(registry);
            metric = metrics.emplace(std::string(name), MetricOf<Ours, Kept>{&family, {}}).first;
        }
        const auto found = metric->second.series.find(labels);
        if (found != metric->second.series.end()) { return found->second.get(); }
        if (series_count >= series_max) {
            ++series_dropped;
            return nullptr;
        }
        ++series_count;
        auto made = std::make_unique<Adapter>(metric->second.family->Add(labels, extra...));
        return metric->second.series.emplace(labels, std::move(made)).first->second.get();
    }

    mutable std::mutex lock;
    prometheus::Registry registry;
    std::set<std::string, std::less<>> names;
    std::map<std::string, MetricOf<MetricCounter, prometheus::Counter>, std::less<>> counters;
    std::map<std::string, MetricOf<MetricGauge, prometheus::Gauge>, std::less<>> gauges;
    std::map<std::string, MetricOf<MetricHistogram, prometheus::Histogram>, std::less<>> histograms;
    std::vector<Sampled> sampled;
    size_t series_max = 0;
    size_t series_count = 0;
    mutable uint64_t series_dropped = 0;
    NoCounter no_counter;
    NoGauge no_gauge;
    NoHistogram no_histogram;
};

Metrics::Metrics(size_t series_max) : impl_(std::make_unique<Impl>()) {
    impl_->series_max = series_max;
    impl_->names.emplace(dropped_name);
}
Metrics::~Metrics() = default;

MetricCounter& Metrics::counter(std::string_view name, std::string_view help, const MetricLabels& labels) {
    check_name(name, /*is_counter=*/true);
    const prometheus::Labels checked_labels = checked(labels);
    const std::lock_guard guard(impl_->lock);
    MetricCounter* found = impl_->find_or_add<MetricCounter, KeptCounter>(
        impl_->counters, name, prometheus::BuildCounter(), help, checked_labels);
    return found != nullptr ? *found : impl_->no_counter;
}

MetricGauge& Metrics::gauge(std::string_view name, std::string_view help, const MetricLabels& labels) {
    check_name(name, /*is_counter=*/false);
    const prometheus::Labels checked_labels = checked(labels);
    const std::lock_guard guard(impl_->lock);
    MetricGauge* found =
        impl_->find_or_add<MetricGauge, KeptGauge>(impl_->gauges, name, prometheus::BuildGauge(), help, checked_labels);
    return found != nullptr ? *found : impl_->no_gauge;
}

MetricHistogram& Metrics::histogram(std::string_view name, std::string_view help, const MetricLabels& labels,
                                    std::span<const double> buckets) {
    check_name(name, /*is_counter=*/false);
    CHECK(std::ranges::is_sorted(buckets));
    const prometheus::Labels checked_labels = checked(labels);
    CHECK(!checked_labels.contains("le"));
    const prometheus::Histogram::BucketBoundaries bounds(buckets.begin(), buckets.end());
    const std::lock_guard guard(impl_->lock);
    MetricHistogram* found = impl_->find_or_add<MetricHistogram, KeptHistogram>(
        impl_->histograms, name, prometheus::BuildHistogram(), help, checked_labels, bounds);
    return found != nullptr ? *found : impl_->no_histogram;
}

void Metrics::sampled(std::string_view name, std::string_view help, Sampler sample, std::optional<size_t> series_max) {
    check_name(name, name.ends_with("_total"));
    const std::lock_guard guard(impl_->lock);
    CHECK(impl_->names.insert(std::string(name)).second);
    impl_->sampled.push_back({std::string(name), std::string(help), std::move(sample), series_max});
}

std::string Metrics::text() const {
    std::vector<Impl::Sampled> samplers;
    size_t shared_room = 0;
    {
        const std::lock_guard guard(impl_->lock);
        samplers = impl_->sampled;
        shared_room = impl_->series_max - impl_->series_count;
    }
    std::vector<prometheus::MetricFamily> families;
    uint64_t dropped = 0;
    for (const Impl::Sampled& one : samplers) {
        prometheus::MetricFamily family;
        family.name = one.name;
        family.help = one.help;
        const bool is_counter = one.name.ends_with("_total");
        family.type = is_counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
        size_t own_room = one.series_max.value_or(0);
        size_t& room = one.series_max ? own_room : shared_room;
        std::set<prometheus::Labels> seen;  // one that is there twice would spoil the page
        for (const MetricSample& sample : one.sample()) {
            const prometheus::Labels labels = checked(sample.labels);
            if (!seen.insert(labels).second) { continue; }
            if (room == 0) {
                ++dropped;
                continue;
            }
            --room;
            prometheus::ClientMetric& metric = family.metric.emplace_back();
            for (const auto& [name, value] : labels) { metric.label.push_back({name, value}); }
            (is_counter ? metric.counter.value : metric.gauge.value) = sample.value;
        }
        families.push_back(std::move(family));
    }
    for (prometheus::MetricFamily& family : impl_->registry.Collect()) { families.push_back(std::move(family)); }
    {
        const std::lock_guard guard(impl_->lock);
        prometheus::MetricFamily& family = families.emplace_back();
        family.name = dropped_name;
        family.help = "Series that were not kept, since there were too many.";
        family.type = prometheus::MetricType::Gauge;
        family.metric.emplace_back().gauge.value = static_cast<double>(impl_->series_dropped + dropped);
    }
    // The registry's own order is that of hashes.
    std::ranges::sort(families, {}, &prometheus::MetricFamily::name);
    for (prometheus::MetricFamily& family : families) {
        std::sort(family.metric.begin(), family.metric.end(),
                  [](const auto& a, const auto& b) { return a.label < b.label; });
    }
    return prometheus::TextSerializer().Serialize(families);
}

size_t Metrics::series_count() const {
    const std::lock_guard guard(impl_->lock);
    return impl_->series_count;
}

}  // namespace flowstone
