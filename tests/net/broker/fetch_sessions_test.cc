#include "net/broker/fetch_sessions.h"

#include <memory>

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
    const int32_t large = sessions.finish(sessions.begin(request_of(3'000, 100, 'd'), 1'000), {}, 1'000).session_id;
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

}  // namespace
}  // namespace flowstone
