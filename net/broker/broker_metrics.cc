#include "net/broker/broker_metrics.h"

#include <algorithm>

#include "net/broker/fetch_handler.h"
#include "net/broker/groups_handler.h"
#include "net/broker/produce_handler.h"

namespace flowstone {

namespace {

double number(auto value) { return static_cast<double>(value); }

}  // namespace

BrokerMetrics::BrokerMetrics()
    : produced_bytes_(
          &metrics_.counter("flowstone_produced_bytes_total", "Bytes of record batches that were appended.")),
      fetched_bytes_(&metrics_.counter("flowstone_fetched_bytes_total", "Bytes of record batches in answers.")) {}

void BrokerMetrics::answered(kafka::ApiKey key, int64_t took_ns) {
    const auto index = static_cast<size_t>(key);
    if (index >= latency_.size()) { return; }
    if (latency_[index] == nullptr) {
        latency_[index] =
            &metrics_.histogram("flowstone_request_seconds", "From a whole request to its answer, long polls included.",
                                {{"api", std::string(kafka::name(key))}});
    }
    latency_[index]->observe(number(took_ns) / 1e9);
}

void BrokerMetrics::watch(const BrokerContext& context, const ProduceHandler& produce, const FetchHandler& fetch,
                          const GroupsHandler& groups, HttpPages& pages) {
    watch_server(context);
    watch_partitions(context);
    watch_groups(context, groups);
    metrics_.sampled("flowstone_requests_waiting", "Requests that wait for the log, for files or for time.",
                     [&produce, &fetch, &context] {
                         return std::vector<MetricSample>{{{{"for", "acknowledgement"}}, number(produce.waiting())},
                                                          {{{"for", "records"}}, number(fetch.waiting())},
                                                          {{{"for", "files"}}, number(context.worker.waiting())}};
                     });
    pages.add("/metrics", [this](const HttpRequest& /*request*/) {
        return HttpAnswer{.content_type = Metrics::content_type, .body = metrics_.text()};
    });
    pages.add("/healthz", [](const HttpRequest& /*request*/) { return HttpAnswer{.body = "alive\n"}; });
    pages.add("/readyz", [&context](const HttpRequest& /*request*/) {
        if (const auto failure = context.served.failure()) {
            return HttpAnswer{.status = 503, .body = failure->message() + "\n"};
        }
        return HttpAnswer{.body = "ready\n"};
    });
}

void BrokerMetrics::watch_server(const BrokerContext& context) {
    const Server& server = context.server;
    metrics_.gauge("flowstone_build_info", "The version that runs.", {{"version", version()}}).set(1);
    metrics_.sampled("flowstone_accepts_refused_total", "Times that there was no descriptor for a connection.",
                     [&server] { return std::vector<MetricSample>{{{}, number(server.counts().accepts_refused)}}; });
    metrics_.sampled("flowstone_log_failed", "1 when a disk failed and nothing is acknowledged any more.",
                     [&context] { return std::vector<MetricSample>{{{}, context.served.failure() ? 1.0 : 0.0}}; });
    metrics_.sampled("flowstone_connections", "Connections of Kafka's protocol that are open.",
                     [&server] { return std::vector<MetricSample>{{{}, number(server.connection_count())}}; });
    metrics_.sampled("flowstone_connections_accepted_total", "Connections that were accepted.",
                     [&server] { return std::vector<MetricSample>{{{}, number(server.counts().accepted)}}; });
    metrics_.sampled("flowstone_connections_closed_total", "Connections that are gone, by why.", [&server] {
        std::vector<MetricSample> samples;
        const auto& closed = server.counts().closed;
        for (size_t i = 0; i < closed.size(); ++i) {
            samples.push_back({{{"reason", name(static_cast<CloseReason>(i))}}, number(closed[i])});
        }
        return samples;
    });
    metrics_.sampled("flowstone_requests_total", "Requests that came whole.",
                     [&server] { return std::vector<MetricSample>{{{}, number(server.counts().frames)}}; });
    metrics_.sampled("flowstone_received_bytes_total", "Bytes from clients.",
                     [&server] { return std::vector<MetricSample>{{{}, number(server.counts().bytes_in)}}; });
    metrics_.sampled("flowstone_sent_bytes_total", "Bytes to clients.",
                     [&server] { return std::vector<MetricSample>{{{}, number(server.counts().bytes_out)}}; });
    metrics_.sampled("flowstone_request_memory_bytes", "Memory of requests that came or are coming.",
                     [&server] { return std::vector<MetricSample>{{{}, number(server.frames_bytes())}}; });
}

void BrokerMetrics::watch_partitions(const BrokerContext& context) {
    const auto each = [&context](auto value) {
        std::vector<MetricSample> samples;
        for (const ServedTopic& topic : context.served.topics()) {
            for (int32_t i = 0; i < topic.partitions(); ++i) {
                const auto place = context.served.partition(topic, i);
                if (!place) { continue; }
                samples.push_back({{{"topic", topic.name()}, {"partition", std::to_string(i)}}, value(*place)});
            }
        }
        return samples;
    };
    metrics_.sampled("flowstone_partition_log_start_offset", "The first offset that can be read.", [each, &context] {
        return each([&](ServedPartition place) { return number(context.served.ends(place).log_start.value); });
    });
    metrics_.sampled("flowstone_partition_high_watermark_offset", "Where what readers see ends.", [each, &context] {
        return each([&](ServedPartition place) { return number(context.served.ends(place).high_watermark.value); });
    });
    metrics_.sampled("flowstone_partition_size_bytes", "In segments and memory.", [each, &context] {
        return each([&](ServedPartition place) { return number(context.served.bytes(place).value_or(0)); });
    });
}

void BrokerMetrics::watch_groups(const BrokerContext& context, const GroupsHandler& groups) {
    metrics_.sampled("flowstone_groups", "Consumer groups that are known.",
                     [&groups] { return std::vector<MetricSample>{{{}, number(groups.coordinator().group_count())}}; });
    metrics_.sampled(
        "flowstone_group_lag_records", "Records between what a group committed and the end.", [&groups, &context] {
            std::vector<MetricSample> samples;
            groups.coordinator().visit_offsets([&](std::string_view group, const TopicPartition& at, Offset committed) {
                const auto topic = context.served.topic(at.topic);
                if (!topic) { return; }
                const auto place = context.served.partition(*topic, at.partition);
                if (!place) { return; }
                const int64_t lag = context.served.ends(*place).high_watermark - committed;
                samples.push_back(
                    {{{"group", std::string(group)}, {"topic", at.topic}, {"partition", std::to_string(at.partition)}},
                     number(std::max<int64_t>(lag, 0))});
            });
            return samples;
        });
}

}  // namespace flowstone
