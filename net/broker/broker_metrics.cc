#include "net/broker/broker_metrics.h"

#include <algorithm>

#include <fmt/format.h>

#include "net/broker/fetch_handler.h"
#include "net/broker/groups_handler.h"
#include "net/broker/produce_handler.h"

namespace flowstone {

namespace {

// Upper bounds: a commit of a fast disk takes tens of microseconds, one of a bad day seconds.
constexpr double commit_buckets_seconds[] = {25e-6, 50e-6, 1e-4, 2.5e-4, 5e-4, 1e-3,   2.5e-3,
                                             5e-3,  1e-2,  2e-2, 5e-2,   1e-1, 2.5e-1, 1};
constexpr double commit_buckets_bytes[] = {4'096, 8'192, 16'384, 32'768, 65'536, 131'072, 262'144, 524'288, 1'048'576};

double number(auto value) { return static_cast<double>(value); }

}  // namespace

BrokerMetrics::BrokerMetrics()
    : produced_bytes_(
          &metrics_.counter("flowstone_produced_bytes_total", "Bytes of record batches that were appended.")),
      fetched_bytes_(&metrics_.counter("flowstone_fetched_bytes_total", "Bytes of record batches in answers.")),
      commit_seconds_(&metrics_.histogram("flowstone_journal_commit_seconds",
                                          "Writing one commit, until it is durable.", {}, commit_buckets_seconds)),
      commit_bytes_(&metrics_.histogram("flowstone_journal_commit_bytes", "Size of one commit in the journal.", {},
                                        commit_buckets_bytes)) {}

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
    watch_log(context);
    watch_groups(context, groups);
    metrics_.sampled("flowstone_requests_waiting", "Requests that wait for the log, for files or for time.",
                     [&produce, &fetch, &context] {
                         return std::vector<MetricSample>{{{{"for", "acknowledgement"}}, number(produce.waiting())},
                                                          {{{"for", "records"}}, number(fetch.waiting())},
                                                          {{{"for", "files"}}, number(context.worker.waiting())}};
                     });
    metrics_.sampled("flowstone_fetch_partitions_looked_total", "Partitions that fetches looked at.",
                     [&fetch] { return std::vector<MetricSample>{{{}, number(fetch.looked())}}; });
    pages.add("/metrics", [this](const HttpRequest& /*request*/) {
        return HttpAnswer{.content_type = Metrics::content_type, .body = metrics_.text()};
    });
    pages.add("/healthz", [](const HttpRequest& /*request*/) { return HttpAnswer{.body = "alive\n"}; });
    pages.add("/readyz", [&context](const HttpRequest& /*request*/) { return ready(context); });
}

// Without the first directory it is not: nothing is made and no group is coordinated. Without another one it is, for what
// is elsewhere.
HttpAnswer BrokerMetrics::ready(const BrokerContext& context) {
    const auto directories = context.served.directories();
    if (directories.size() == 1 && directories.front().failure) {
        return {.status = 503, .body = directories.front().failure->message() + "\n"};
    }
    HttpAnswer answer{.body = directories.front().failure ? "not ready\n" : "ready\n"};
    if (directories.front().failure) { answer.status = 503; }
    for (const LogDirectory& directory : directories) {
        if (!directory.failure) { continue; }
        answer.body += fmt::format("{} is offline: {}\n", directory.path, directory.failure->message());
    }
    return answer;
}

void BrokerMetrics::watch_server(const BrokerContext& context) {
    const Server& server = context.server;
    metrics_.gauge("flowstone_build_info", "The version that runs.", {{"version", version()}}).set(1);
    metrics_.sampled("flowstone_accepts_refused_total", "Times that there was no descriptor for a connection.",
                     [&server] { return std::vector<MetricSample>{{{}, number(server.counts().accepts_refused)}}; });
    metrics_.sampled("flowstone_log_failed", "1 when a disk failed and nothing is acknowledged any more.", [&context] {
        std::vector<MetricSample> samples;
        const auto directories = context.served.directories();
        for (const LogDirectory& directory : directories) {
            MetricLabels labels;
            if (directories.size() > 1) { labels.emplace_back("directory", directory.path); }
            samples.push_back({std::move(labels), directory.failure ? 1.0 : 0.0});
        }
        return samples;
    });
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
    metrics_.sampled("flowstone_request_memory_limit_bytes", "Above it connections are not read from.", [&context] {
        return std::vector<MetricSample>{{{}, number(context.config.request_memory_bytes_max)}};
    });
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
    const auto sampled = [&](std::string_view name, std::string_view help, auto value) {
        metrics_.sampled(name, help, [each, value] { return each(value); }, metric_partitions_max);
    };
    sampled("flowstone_partition_log_start_offset", "The first offset that can be read.",
            [&context](ServedPartition place) { return number(context.served.ends(place).log_start.value); });
    sampled("flowstone_partition_high_watermark_offset", "Where what readers see ends.",
            [&context](ServedPartition place) { return number(context.served.ends(place).high_watermark.value); });
    sampled("flowstone_partition_log_end_offset", "Where the next record goes.",
            [&context](ServedPartition place) { return number(context.served.ends(place).log_end.value); });
    sampled("flowstone_partition_size_bytes", "In segments and memory.",
            [&context](ServedPartition place) { return number(context.served.bytes(place).value_or(0)); });
}

void BrokerMetrics::watch_log(const BrokerContext& context) {
    context.served.set_commit_notice([this](uint64_t bytes, int64_t took_ns) {
        commit_bytes_->observe(number(bytes));
        commit_seconds_->observe(number(took_ns) / 1e9);
    });
    const auto memory = [&](std::string_view name, std::string_view help, uint64_t ServedLog::Memory::* value) {
        metrics_.sampled(name, help, [&context, value] {
            return std::vector<MetricSample>{{{}, number(context.served.memory().*value)}};
        });
    };
    memory("flowstone_log_unwritten_bytes", "Records that no segment has yet.", &ServedLog::Memory::unwritten_bytes);
    memory("flowstone_log_unwritten_limit_bytes", "Above it producers wait.", &ServedLog::Memory::unwritten_bytes_max);
    memory("flowstone_log_memory_bytes", "Recent records in memory.", &ServedLog::Memory::tail_bytes);
    memory("flowstone_journal_queued_bytes", "Records that are in no commit yet.", &ServedLog::Memory::queued_bytes);
}

void BrokerMetrics::watch_groups(const BrokerContext& context, const GroupsHandler& groups) {
    metrics_.sampled("flowstone_groups", "Consumer groups that are known.",
                     [&groups] { return std::vector<MetricSample>{{{}, number(groups.coordinator().group_count())}}; });
    const auto each = [&groups, &context](auto value) {
        std::vector<MetricSample> samples;
        groups.coordinator().visit_offsets([&](std::string_view group, const TopicPartition& at, Offset committed) {
            const auto topic = context.served.topic(at.topic);
            if (!topic) { return; }
            const auto place = context.served.partition(*topic, at.partition);
            if (!place) { return; }
            samples.push_back(
                {{{"group", std::string(group)}, {"topic", at.topic}, {"partition", std::to_string(at.partition)}},
                 value(at, context.served.ends(*place).high_watermark, committed)});
        });
        return samples;
    };
    metrics_.sampled(
        "flowstone_group_lag_records", "Records between what a group committed and the end.",
        [each] {
            return each([](const TopicPartition& /*at*/, Offset end, Offset committed) {
                return number(std::max<int64_t>(end - committed, 0));
            });
        },
        metric_group_partitions_max);
    metrics_.sampled(
        "flowstone_group_lag_seconds",
        "How long ago the first record that a group has not committed was first seen by a scrape.",
        [this, each, &context] {
            const int64_t now_ms = context.now_ms();
            auto samples = each([&](const TopicPartition& at, Offset end, Offset committed) {
                lag_times_.saw(at, end, now_ms);
                return number(lag_times_.waiting_ms(at, committed, now_ms)) / 1e3;
            });
            lag_times_.forget_older(now_ms);
            return samples;
        },
        metric_group_partitions_max);
}

}  // namespace flowstone
