#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <flowstone/stage.h>

namespace flowstone {
namespace {

using testing::HasSubstr;

TEST(StageMetrics, AreOneFamilyForAllStagesInPrometheusText) {
    StageMetrics fraud;
    fraud.stage = "fraud";
    fraud.records = 7;
    fraud.lag_records = 12;
    fraud.lag_seconds = 1.5;
    fraud.latency[0] = 4;   // at most 0.5 ms
    fraud.latency[2] = 2;   // at most 2.5 ms
    fraud.latency[14] = 1;  // above 10 s
    fraud.latency_sum = 12.25;
    StageMetrics odd;
    odd.stage = "a\"b\\c\n";
    const StageMetrics both[] = {fraud, odd};
    const std::string text = prometheus_text(both);
    EXPECT_THAT(text, HasSubstr("# HELP flowstone_stage_records_total Records processed and stored.\n"
                                "# TYPE flowstone_stage_records_total counter\n"
                                "flowstone_stage_records_total{stage=\"fraud\"} 7\n"
                                "flowstone_stage_records_total{stage=\"a\\\"b\\\\c\\n\"} 0\n"
                                "# HELP flowstone_stage_outputs_total "));
    EXPECT_THAT(text, HasSubstr("flowstone_stage_lag_records{stage=\"fraud\"} 12\n"));
    EXPECT_THAT(text, HasSubstr("flowstone_stage_lag_seconds{stage=\"fraud\"} 1.5\n"));
    EXPECT_THAT(text, HasSubstr("flowstone_stage_latency_seconds_bucket{stage=\"fraud\",le=\"0.0005\"} 4\n"
                                "flowstone_stage_latency_seconds_bucket{stage=\"fraud\",le=\"0.001\"} 4\n"
                                "flowstone_stage_latency_seconds_bucket{stage=\"fraud\",le=\"0.0025\"} 6\n"));
    EXPECT_THAT(text, HasSubstr("flowstone_stage_latency_seconds_bucket{stage=\"fraud\",le=\"10\"} 6\n"
                                "flowstone_stage_latency_seconds_bucket{stage=\"fraud\",le=\"+Inf\"} 7\n"
                                "flowstone_stage_latency_seconds_sum{stage=\"fraud\"} 12.25\n"
                                "flowstone_stage_latency_seconds_count{stage=\"fraud\"} 7\n"));
}

}  // namespace
}  // namespace flowstone
