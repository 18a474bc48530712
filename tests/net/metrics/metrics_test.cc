#include "net/metrics/metrics.h"

#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flowstone {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, TextIsWhatPrometheusReads) {
    Metrics metrics;
    metrics.counter("flowstone_records_total", "Records.", {{"topic", "a"}}).add(3);
    metrics.counter("flowstone_records_total", "Records.", {{"topic", "b"}}).add();
    MetricGauge& connections = metrics.gauge("flowstone_connections", "Connections.");
    connections.set(5);
    connections.add(-2);
    const double bounds[] = {0.5, 1};
    MetricHistogram& seconds = metrics.histogram("flowstone_request_seconds", "Time.", {{"api", "Fetch"}}, bounds);
    for (const double value : {0.25, 0.5, 0.75, 2.0}) { seconds.observe(value); }
    EXPECT_EQ(metrics.text(),
              "# HELP flowstone_connections Connections.\n"
              "# TYPE flowstone_connections gauge\n"
              "flowstone_connections 3\n"
              "# HELP flowstone_metrics_series_dropped Series that were not kept, since there were too many.\n"
              "# TYPE flowstone_metrics_series_dropped gauge\n"
              "flowstone_metrics_series_dropped 0\n"
              "# HELP flowstone_records_total Records.\n"
              "# TYPE flowstone_records_total counter\n"
              "flowstone_records_total{topic=\"a\"} 3\n"
              "flowstone_records_total{topic=\"b\"} 1\n"
              "# HELP flowstone_request_seconds Time.\n"
              "# TYPE flowstone_request_seconds histogram\n"
              "flowstone_request_seconds_count{api=\"Fetch\"} 4\n"
              "flowstone_request_seconds_sum{api=\"Fetch\"} 3.5\n"
              "flowstone_request_seconds_bucket{api=\"Fetch\",le=\"0.5\"} 2\n"
              "flowstone_request_seconds_bucket{api=\"Fetch\",le=\"1\"} 3\n"
              "flowstone_request_seconds_bucket{api=\"Fetch\",le=\"+Inf\"} 4\n");
}

TEST(Metrics, TheSameLabelsAreTheSameSeries) {
    Metrics metrics;
    MetricCounter& one = metrics.counter("flowstone_x_total", "X.", {{"a", "1"}, {"b", "2"}});
    EXPECT_EQ(&one, &metrics.counter("flowstone_x_total", "X.", {{"b", "2"}, {"a", "1"}})) << "in any order";
    EXPECT_NE(&one, &metrics.counter("flowstone_x_total", "X.", {{"a", "1"}, {"b", "3"}}));
    EXPECT_EQ(metrics.series_count(), 2u);
}

TEST(Metrics, SampledOnesAreLookedAtWhenSomebodyAsks) {
    Metrics metrics;
    std::vector<MetricSample> topics = {{{{"topic", "a"}}, 1}, {{{"topic", "b"}}, 2}};
    int asked = 0;
    metrics.sampled("flowstone_topic_bytes", "Bytes.", [&] {
        ++asked;
        return topics;
    });
    metrics.sampled("flowstone_frames_total", "Frames.", [] { return std::vector<MetricSample>{{{}, 7}}; });
    EXPECT_EQ(asked, 0);
    EXPECT_THAT(metrics.text(), HasSubstr("# TYPE flowstone_topic_bytes gauge\n"
                                          "flowstone_topic_bytes{topic=\"a\"} 1\n"
                                          "flowstone_topic_bytes{topic=\"b\"} 2\n"));
    topics = {{{{"topic", "c"}}, 3}, {{{"topic", "c"}}, 4}};
    const std::string text = metrics.text();
    EXPECT_THAT(text, HasSubstr("flowstone_topic_bytes{topic=\"c\"} 3\n"));
    EXPECT_THAT(text, Not(HasSubstr("\"a\""))) << "what is gone is gone";
    EXPECT_THAT(text, Not(HasSubstr("\"c\"} 4"))) << "one that is said twice would spoil the page";
    EXPECT_THAT(text, HasSubstr("# TYPE flowstone_frames_total counter\nflowstone_frames_total 7\n"));
}

TEST(Metrics, SeriesAreBounded) {
    Metrics metrics(3);
    for (int i = 0; i < 5; ++i) { metrics.counter("flowstone_x_total", "X.", {{"client", std::to_string(i)}}).add(); }
    metrics.gauge("flowstone_y", "Y.").set(1);
    metrics.histogram("flowstone_z_seconds", "Z.").observe(1);
    metrics.counter("flowstone_x_total", "X.", {{"client", "1"}}).add();
    metrics.sampled("flowstone_w", "W.", [] { return std::vector<MetricSample>{{{}, 1}}; });
    EXPECT_EQ(metrics.series_count(), 3u);
    const std::string text = metrics.text();
    EXPECT_THAT(text, HasSubstr("flowstone_x_total{client=\"1\"} 2\n")) << "those that are there go on";
    EXPECT_THAT(text, Not(HasSubstr("client=\"3\"")));
    EXPECT_THAT(text, Not(HasSubstr("flowstone_y 1")));
    EXPECT_THAT(text, HasSubstr("flowstone_metrics_series_dropped 5\n"));
}

TEST(Metrics, RoomOfItsOwnIsNobodyElses) {
    Metrics metrics(2);
    const auto many = [] {
        std::vector<MetricSample> samples;
        for (int i = 0; i < 5; ++i) { samples.push_back({{{"partition", std::to_string(i)}}, 1}); }
        return samples;
    };
    metrics.sampled("flowstone_own", "Own.", many, 4);
    metrics.sampled("flowstone_shared", "Shared.", many);
    metrics.gauge("flowstone_one", "One.").set(1);
    const std::string text = metrics.text();
    EXPECT_THAT(text, HasSubstr("flowstone_own{partition=\"3\"} 1\n"));
    EXPECT_THAT(text, Not(HasSubstr("flowstone_own{partition=\"4\"}")));
    EXPECT_THAT(text, HasSubstr("flowstone_shared{partition=\"0\"} 1\n"));
    EXPECT_THAT(text, Not(HasSubstr("flowstone_shared{partition=\"1\"}")));
    EXPECT_THAT(text, HasSubstr("flowstone_one 1\n"));
    EXPECT_THAT(text, HasSubstr("flowstone_metrics_series_dropped 5\n")) << "one of its own, four of the others";
}

TEST(Metrics, LabelsOfStrangersDoNotSpoilThePage) {
    Metrics metrics;
    const auto label = [&](std::string value) {
        Metrics one;
        one.gauge("flowstone_x", "X.", {{"l", std::move(value)}}).set(1);
        const std::string text = one.text();
        const size_t begin = text.find("l=\"") + 3;
        return text.substr(begin, text.find("\"} 1\n") - begin);
    };
    EXPECT_EQ(label("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x98"),
              "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x98");
    EXPECT_EQ(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    EXPECT_EQ(label("\xff\x80 \xc3"), "?? ?");
    EXPECT_EQ(label("\xc0\xaf"), "??") << "longer than needed";
    EXPECT_EQ(label("\xe0\x80\x80"), "???") << "longer than needed";
    EXPECT_EQ(label("\xed\xa0\x80"), "???") << "half of a pair";
    EXPECT_EQ(label("\xf4\x90\x80\x80"), "????") << "above all characters";
    EXPECT_EQ(label("\xf0\x80\x80\x80"), "????") << "longer than needed";
    EXPECT_EQ(label(std::string(1'000, 'x')), std::string(metric_label_bytes_max, 'x'));
    EXPECT_EQ(label(std::string(metric_label_bytes_max - 1, 'x') + "\xc3\xbc"),
              std::string(metric_label_bytes_max - 1, 'x'))
        << "never half a character";
}

TEST(Metrics, ManyThreadsMayCount) {
    Metrics metrics;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&metrics] {
            for (int i = 0; i < 1'000; ++i) {
                metrics.counter("flowstone_x_total", "X.", {{"n", std::to_string(i % 7)}}).add();
                metrics.histogram("flowstone_x_seconds", "X.").observe(0.001);
                if (i % 100 == 0) { EXPECT_FALSE(metrics.text().empty()); }
            }
        });
    }
    for (std::thread& thread : threads) { thread.join(); }
    EXPECT_EQ(metrics.series_count(), 8u);
    EXPECT_THAT(metrics.text(), HasSubstr("flowstone_x_seconds_count 4000\n"));
}

TEST(MetricsDeathTest, NamesFollowTheRules) {
    Metrics metrics;
    metrics.gauge("flowstone_x", "X.");
    EXPECT_DEATH(metrics.counter("flowstone_x", "X."), "");
    EXPECT_DEATH(metrics.gauge("flowstone_x_total", "X."), "");
    EXPECT_DEATH(metrics.gauge("other_x", "X."), "");
    EXPECT_DEATH(metrics.gauge("flowstone_x y", "X."), "");
    EXPECT_DEATH(metrics.gauge("flowstone_z", "X.", {{"a b", ""}}), "");
    EXPECT_DEATH(metrics.histogram("flowstone_x", "X."), "") << "it is a gauge";
}

}  // namespace
}  // namespace flowstone
