#include "log/retention.h"

#include <memory>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/script.h"

namespace flowstone {
namespace {

// segment base=0 end=10 bytes=100 time=5: adds one, the last added is the active one.
// decide now=... start=...: with the configs of the last `config`.
struct RetentionScript {
    std::vector<SegmentInfo> segments;
    TopicConfig config;

    std::string run(const ScriptCommand& c) {
        if (c.name == "segment") {
            segments.push_back({.base = Offset{c.number("base")},
                                .end = Offset{c.number("end")},
                                .bytes = static_cast<uint64_t>(c.number("bytes", 100)),
                                .max_timestamp_ms = c.number("time", -1),
                                .last_modified_ms = c.number("modified", -1)});
            return "";
        }
        if (c.name == "config") {
            const auto parsed = TopicConfig::parse({c.values.begin(), c.values.end()});
            if (!parsed) { return parsed.error().message() + "\n"; }
            config = *parsed;
            return "";
        }
        if (c.name == "decide") {
            const auto decision = decide_retention({.segments = segments,
                                                    .log_start = Offset{c.number("start")},
                                                    .delete_end = Offset{c.number("delete-end", INT64_MAX)},
                                                    .now_ms = c.number("now"),
                                                    .time_believed = c.number("believed", 1) != 0},
                                                   config);
            return fmt::format("{} go, log start {}, reason {}\n", decision.delete_count, decision.new_log_start.value,
                               name(decision.reason));
        }
        return "unknown command " + c.name + "\n";
    }
};

TEST(Retention, FollowsItsScripts) {
    run_scripts("log/retention", [] {
        auto machine = std::make_shared<RetentionScript>();
        return ScriptMachine([machine](const ScriptCommand& command) { return machine->run(command); });
    });
}

struct ClockScript {
    std::unique_ptr<ClockGuard> guard;
    static constexpr int64_t minute_ms = 60'000;
    static int64_t wall(const ScriptCommand& c) { return c.number("wall") * minute_ms; }
    static int64_t monotonic(const ScriptCommand& c) { return c.number("monotonic") * minute_ms * 1'000'000; }

    std::string run(const ScriptCommand& c) {
        if (c.name == "open") {
            guard = std::make_unique<ClockGuard>(wall(c), monotonic(c),
                                                 c.has("record") ? c.number("record") * minute_ms : -1);
            return "";
        }
        if (c.name == "read") {
            const auto reading = guard->read(wall(c), monotonic(c));
            return fmt::format("minute {}{}{}\n", reading.now_ms / minute_ms, reading.believed ? "" : ", waiting",
                               reading.notice.empty() ? "" : ", says so");
        }
        return "unknown command " + c.name + "\n";
    }
};

TEST(ClockGuard, FollowsItsScripts) {
    run_scripts("log/clock_guard", [] {
        auto machine = std::make_shared<ClockScript>();
        return ScriptMachine([machine](const ScriptCommand& command) { return machine->run(command); });
    });
}

TEST(ClockGuard, SurvivesTheEndsOfTime) {
    for (int64_t wall : {INT64_MIN, int64_t{-1}, INT64_MAX}) {
        for (int64_t record : {int64_t{-1}, int64_t{0}, INT64_MAX}) {
            ClockGuard guard(0, 0, record);
            EXPECT_FALSE(guard.read(wall == -1 ? ClockGuard::difference_ms_max + 1 : wall, 0).believed);
        }
    }
}

TEST(Retention, SurvivesTheEndsOfTime) {
    TopicConfig config;
    const SegmentInfo segments[] = {
        {.base = Offset{0}, .end = Offset{1}, .bytes = UINT64_MAX / 2, .max_timestamp_ms = INT64_MAX},
        {.base = Offset{1}, .end = Offset{2}, .bytes = UINT64_MAX / 2, .max_timestamp_ms = 0}};
    for (int64_t retention : {int64_t{0}, int64_t{1}, INT64_MAX}) {
        config.retention_ms = retention;
        for (int64_t now : {INT64_MIN, int64_t{0}, INT64_MAX}) {
            const RetentionInput input{.segments = segments,
                                       .log_start = Offset{0},
                                       .delete_end = Offset{2},
                                       .now_ms = now,
                                       .time_believed = true};
            EXPECT_EQ(decide_retention(input, config).delete_count, 0u) << "a record from the end of time is never old";
        }
    }
    EXPECT_EQ(decide_retention({.segments = {}, .log_start = Offset{0}, .delete_end = Offset{0}}, config).delete_count,
              0u);
}

}  // namespace
}  // namespace flowstone
