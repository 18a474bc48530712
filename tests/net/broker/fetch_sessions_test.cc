#include "net/broker/fetch_sessions.h"

#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/net/broker/fetch_session_script.h"

namespace flowstone {
namespace {

TEST(FetchSessions, FollowTheirScripts) {
    run_scripts("net/broker/fetch_sessions", [] {
        auto machine = std::make_shared<FetchSessionScript>();
        return ScriptMachine([machine](const ScriptCommand& command) { return machine->run(command); });
    });
}

TEST(FetchSessions, EpochsGoRoundWithoutEverOpeningASession) {
    EXPECT_EQ(next_fetch_session_epoch(0), 1);
    EXPECT_EQ(next_fetch_session_epoch(1), 2);
    EXPECT_EQ(next_fetch_session_epoch(INT32_MAX - 1), INT32_MAX);
    EXPECT_EQ(next_fetch_session_epoch(INT32_MAX), 1);
}

FetchSessionRequest request_of(size_t partitions, size_t name_bytes, char name, int32_t session = 0,
                               int32_t epoch = 0) {
    FetchSessionRequest request{.session_id = session, .session_epoch = epoch};
    for (size_t i = 0; i < partitions; ++i) {
        request.partitions.push_back({.topic = std::string(name_bytes, name), .partition = static_cast<int32_t>(i)});
    }
    return request;
}

TEST(FetchSessions, MemoryIsBoundedAndGivenBack) {
    CountingRandom random;
    FetchSessions sessions({.idle_ms_min = 100, .bytes_max = 1'000'000}, random);
    int32_t first = 0;
    size_t refused = 0;
    for (int i = 0; i < 50; ++i) {  // of about 60 kB each
        Fetch fetch = sessions.begin(request_of(200, 100, 'a'), 0);
        const FetchAnswer answer = sessions.finish(std::move(fetch), {}, 0);
        if (i == 0) { first = answer.session_id; }
        refused += answer.session_id == 0 ? 1 : 0;
        ASSERT_LE(sessions.bytes(), 1'000'000u);
    }
    EXPECT_GT(refused, 20u);
    EXPECT_LT(refused, 45u) << "there is room for some";
    EXPECT_EQ(sessions.session_count(), 50 - refused);
    EXPECT_GT(sessions.bytes(), sessions.partition_count() * 100) << "names count";

    // One that grows beyond what is left ends, and its memory comes back.
    const size_t before = sessions.session_count();
    Fetch grown = sessions.begin(request_of(5'000, 100, 'b', first, 1), 0);
    EXPECT_EQ(grown.error(), kafka::ErrorCode::fetch_session_id_not_found);
    EXPECT_EQ(sessions.session_count(), before - 1);
    EXPECT_LE(sessions.bytes(), 1'000'000u);

    // A single one above the bound takes nobody's place; when all were idle they make room for as many as needed.
    EXPECT_EQ(sessions.finish(sessions.begin(request_of(10'000, 100, 'c'), 1'000), {}, 1'000).session_id, 0);
    EXPECT_EQ(sessions.session_count(), before - 1);
    const int32_t large = sessions.finish(sessions.begin(request_of(2'500, 100, 'd'), 1'000), {}, 1'000).session_id;
    EXPECT_NE(large, 0);
    EXPECT_LE(sessions.bytes(), 1'000'000u);
    EXPECT_GT(sessions.evicted_count(), 10u);

    // The rest goes when it is closed.
    sessions.begin(request_of(0, 0, 'x', large, -1), 1'000);
    for (int32_t id = 1; id <= 60; ++id) { sessions.begin(request_of(0, 0, 'x', id, -1), 1'000); }
    EXPECT_EQ(sessions.session_count(), 0u);
    EXPECT_EQ(sessions.partition_count(), 0u);
    EXPECT_EQ(sessions.bytes(), 0u);
}

TEST(FetchSessions, NoneAreKeptWhenNoneMayBe) {
    CountingRandom random;
    FetchSessions sessions({.sessions_max = 0}, random);
    EXPECT_EQ(sessions.finish(sessions.begin(request_of(3, 1, 'a'), 0), {}, 0).session_id, 0);
    EXPECT_EQ(sessions.session_count(), 0u);
}

TEST(FetchSessions, AFetchOutlivesItsSession) {
    CountingRandom random;
    auto sessions = std::make_unique<FetchSessions>(FetchSessionsOptions{}, random);
    const int32_t id = sessions->finish(sessions->begin(request_of(3, 40, 'a'), 0), {}, 0).session_id;
    const Fetch waiting = sessions->begin(request_of(0, 0, 'x', id, 1), 0);
    sessions.reset();
    EXPECT_EQ(waiting.entries().size(), 3u);
    EXPECT_EQ(waiting.entries().front().asked.topic, std::string(40, 'a'));
}

// --- what is due ---------------------------------------------------------------------------------------------------------

class FetchSessionsDue : public testing::Test {
protected:
    static std::vector<int32_t> due(const Fetch& fetch) {
        std::vector<int32_t> out;
        for (const auto& entry : fetch.due()) { out.push_back(entry.asked.partition); }
        return out;
    }
    static FetchOutcome outcome(int32_t partition, int64_t watermark, bool records = false) {
        return {.key = {.topic = "t", .partition = partition},
                .high_watermark = watermark,
                .log_start_offset = 0,
                .has_records = records};
    }
    // Fetches all that is due, and finds of each what is in `watermarks_`.
    std::vector<int32_t> fetch(FetchSessionRequest request) {
        Fetch one = sessions_.begin(std::move(request), 0);
        const auto looked_at = due(one);
        const Fetch kept = one;
        std::vector<FetchOutcome> outcomes;
        for (const int32_t partition : looked_at) {
            outcomes.push_back(outcome(partition, watermarks_[partition], records_.contains(partition)));
        }
        const FetchAnswer answer = sessions_.finish(std::move(one), outcomes, 0);
        session_ = answer.session_id;
        for (const FetchOutcome& found : outcomes) {
            if (!found.has_records) { sessions_.watch(kept, found.key, &watermarks_[found.key.partition]); }
            sessions_.looked(kept, found);
        }
        return looked_at;
    }
    std::vector<int32_t> next(FetchSessionRequest request = {}) {
        request.session_id = session_;
        request.session_epoch = ++epoch_;
        return fetch(std::move(request));
    }

    CountingRandom random_;
    FetchSessions sessions_{FetchSessionsOptions{}, random_};
    std::map<int32_t, int64_t> watermarks_;  // never shrinks: places are addresses in it
    std::set<int32_t> records_;
    int32_t session_ = 0;
    int32_t epoch_ = 0;
};

TEST_F(FetchSessionsDue, WhatHasNothingToTellIsNotLookedAtUntilItMoves) {
    using testing::ElementsAre;
    using testing::IsEmpty;
    for (int32_t i = 0; i < 5; ++i) { watermarks_[i] = 7; }
    EXPECT_THAT(fetch(request_of(5, 1, 't')), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_THAT(next(), IsEmpty());
    EXPECT_THAT(sessions_.moved(&watermarks_[3]), testing::SizeIs(1));
    EXPECT_THAT(sessions_.moved(&watermarks_[3]), IsEmpty()) << "once";
    sessions_.moved(&watermarks_[1]);
    watermarks_[3] = 8;
    EXPECT_THAT(next(), ElementsAre(3, 1)) << "who has waited longer first";
    EXPECT_THAT(next(), IsEmpty());
    FetchSessionRequest seek;
    seek.partitions.push_back({.topic = "t", .partition = 4, .fetch_offset = 2});
    seek.forgotten.push_back({.topic = "t", .partition = 2});
    EXPECT_THAT(next(seek), ElementsAre(4)) << "the client asks for something else";
    EXPECT_THAT(sessions_.moved(&watermarks_[2]), IsEmpty()) << "it was forgotten";
    for (int32_t i = 0; i < 5; ++i) { sessions_.moved(&watermarks_[i]); }
    EXPECT_THAT(next(), ElementsAre(0, 1, 3, 4));
}

TEST_F(FetchSessionsDue, WhatHasRecordsOrAnErrorStaysDueAndGoesRound) {
    using testing::ElementsAre;
    for (int32_t i = 0; i < 3; ++i) { watermarks_[i] = 7; }
    records_ = {0, 1};
    EXPECT_THAT(fetch(request_of(3, 1, 't')), ElementsAre(0, 1, 2));
    EXPECT_THAT(next(), ElementsAre(0, 1));
    records_ = {0};
    EXPECT_THAT(next(), ElementsAre(0, 1));
    EXPECT_THAT(next(), ElementsAre(0));
    Fetch failing = sessions_.begin({.session_id = session_, .session_epoch = ++epoch_}, 0);
    const Fetch kept = failing;
    FetchOutcome error = outcome(0, 7);
    error.error = kafka::ErrorCode::unknown_topic_or_partition;
    sessions_.watch(kept, error.key, &watermarks_[0]);
    sessions_.finish(std::move(failing), {&error, 1}, 0);
    sessions_.looked(kept, error);
    EXPECT_EQ(due(sessions_.begin({.session_id = session_, .session_epoch = ++epoch_}, 0)), std::vector{0});
}

TEST_F(FetchSessionsDue, AFetchWithoutASessionLooksAtAllAndLeavesNoWatch) {
    watermarks_[0] = 7;
    FetchSessionRequest request = request_of(1, 1, 't');
    request.session_epoch = -1;
    {
        Fetch alone = sessions_.begin(request, 0);
        sessions_.watch(alone, outcome(0, 7).key, &watermarks_[0]);
        sessions_.looked(alone, outcome(0, 7));
        EXPECT_EQ(due(alone), std::vector{0});
        EXPECT_EQ(sessions_.moved(&watermarks_[0]), std::vector{&alone.session()});
        sessions_.watch(alone, outcome(0, 7).key, &watermarks_[0]);
    }
    EXPECT_TRUE(sessions_.moved(&watermarks_[0]).empty());
}

}  // namespace
}  // namespace flowstone
