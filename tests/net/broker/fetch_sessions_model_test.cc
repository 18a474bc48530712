// Fetch sessions under a seed: clients that keep KIP-227, a world that changes, a cache that is too small for them.
//
// What must hold: a fetch covers exactly what its client wants, from where it wants it; what a client was told, in all
// its answers together, is what the world was at the last one; a partition that has records is served before long,
// though an answer carries those of one partition only; limits hold; and whoever loses a session can go on.
#include <map>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "net/broker/fetch_sessions.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {
namespace {

constexpr int32_t world_size = 12;
constexpr size_t client_count = 6;
constexpr size_t sessions_max = 4;
constexpr size_t session_partitions_max = 10;

struct Truth {
    int64_t high_watermark = 0;
    int64_t log_start = 0;
    kafka::ErrorCode error = kafka::ErrorCode::none;
    friend bool operator==(const Truth&, const Truth&) = default;
};

struct Client {
    bool by_topic_id = false;
    int32_t session_id = 0;
    int32_t epoch = 0;
    std::map<int32_t, int64_t> wants{};        // partition to offset
    std::map<int32_t, int64_t> session_has{};  // as the broker was told
    std::map<int32_t, Truth> told{};
    std::map<int32_t, int> passed_over{};  // rounds in which others had their records delivered and this one not
};

class World {
public:
    explicit World(uint64_t seed)
        : random_(seed),
          ids_(seed + 1),
          sessions_({.sessions_max = sessions_max, .idle_ms_min = 50, .partitions_max = session_partitions_max}, ids_) {
        for (size_t i = 0; i < client_count; ++i) {
            clients_.push_back({.by_topic_id = i % 2 == 0});
            change_wishes(clients_.back());
        }
    }

    void run(int steps) {
        for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
            now_ms_ += static_cast<int64_t>(random_.below(12));
            change_world();
            Client& client = clients_[random_.below(client_count)];
            if (random_.below(4) == 0) { change_wishes(client); }
            fetch(client);
            ASSERT_LE(sessions_.session_count(), sessions_max);
            ASSERT_LE(sessions_.partition_count(), sessions_max * session_partitions_max);
        }
    }
    uint64_t evicted() const { return sessions_.evicted_count(); }
    size_t incremental = 0;
    size_t left_out = 0;
    size_t lost = 0;
    size_t not_due = 0;

private:
    void change_world() {
        for (uint64_t n = random_.below(3); n > 0; --n) {
            Truth& truth = truths_[random_.below(world_size)];
            sessions_.moved(&truth);
            switch (random_.below(4)) {
                case 0: truth.log_start = std::min(truth.high_watermark, truth.log_start + 1); break;
                case 1:
                    truth.error = truth.error == kafka::ErrorCode::none ? kafka::ErrorCode::unknown_topic_id
                                                                        : kafka::ErrorCode::none;
                    break;
                default: truth.high_watermark += 1 + static_cast<int64_t>(random_.below(5));
            }
        }
    }
    void change_wishes(Client& client) {
        for (uint64_t n = random_.below(4); n > 0; --n) {
            const auto partition = static_cast<int32_t>(random_.below(world_size));
            if (client.wants.erase(partition) == 0) { client.wants[partition] = 0; }
        }
    }

    FetchKey key(const Client& client, int32_t partition) const {
        FetchKey key{.topic = client.by_topic_id ? "" : "topic", .partition = partition};
        if (client.by_topic_id) { key.topic_id.bytes.fill(std::byte{7}); }
        return key;
    }

    FetchSessionRequest request_of(Client& client) {
        FetchSessionRequest request{
            .session_id = client.session_id, .session_epoch = client.epoch, .by_topic_id = client.by_topic_id};
        const bool full = client.epoch == 0;
        if (full) {
            client.told.clear();
            client.session_has.clear();
        }
        for (const auto& [partition, offset] : client.wants) {
            const auto known = client.session_has.find(partition);
            if (known != client.session_has.end() && known->second == offset) { continue; }
            const FetchKey at = key(client, partition);
            request.partitions.push_back({.topic_id = at.topic_id,
                                          .topic = std::string(at.topic),
                                          .partition = partition,
                                          .fetch_offset = offset});
        }
        for (const auto& [partition, offset] : client.session_has) {
            if (!client.wants.contains(partition)) {
                request.forgotten.push_back(key(client, partition));
                client.told.erase(partition);
            }
        }
        client.session_has = client.wants;
        return request;
    }

    void fetch(Client& client) {
        Fetch fetch = sessions_.begin(request_of(client), now_ms_);
        if (fetch.error() != kafka::ErrorCode::none) {
            ASSERT_EQ(fetch.error(), kafka::ErrorCode::fetch_session_id_not_found) << "a good client makes no mistakes";
            client.session_id = 0;
            client.epoch = 0;
            ++lost;
            return;
        }
        std::map<int32_t, int64_t> covered;
        for (const auto& entry : fetch.entries()) {
            ASSERT_EQ(key_of(entry.asked), key(client, entry.asked.partition));
            ASSERT_TRUE(covered.emplace(entry.asked.partition, entry.asked.fetch_offset).second);
        }
        ASSERT_EQ(covered, client.wants);
        if (random_.below(40) == 0) {  // the connection went before the answer
            client.epoch = 0;
            return;
        }
        answer(client, std::move(fetch));
    }

    void answer(Client& client, Fetch fetch) {
        now_ms_ += static_cast<int64_t>(random_.below(30));
        std::vector<FetchOutcome> outcomes;
        std::optional<int32_t> delivered;
        const Fetch kept = fetch;
        const size_t covered = fetch.entries().size();
        not_due += covered - static_cast<size_t>(std::ranges::distance(fetch.due()));
        for (const auto& entry : fetch.due()) {
            const int32_t partition = entry.asked.partition;
            const Truth& truth = truths_[static_cast<size_t>(partition)];
            FetchOutcome outcome{.key = key_of(entry.asked),
                                 .error = truth.error,
                                 .high_watermark = truth.high_watermark,
                                 .log_start_offset = truth.log_start};
            if (truth.error == kafka::ErrorCode::none && client.wants[partition] < truth.high_watermark) {
                if (!delivered) {
                    delivered = partition;
                    outcome.has_records = true;
                    client.passed_over[partition] = 0;
                } else {
                    // Others may come to the front of it by going round, but not twice.
                    ASSERT_LE(++client.passed_over[partition], 2 * world_size);
                }
            }
            outcomes.push_back(outcome);
        }
        const bool was_incremental = fetch.is_incremental();
        const FetchAnswer answer = sessions_.finish(std::move(fetch), outcomes, now_ms_);
        ASSERT_EQ(answer.error, kafka::ErrorCode::none);
        if (was_incremental) {
            ++incremental;
            left_out += covered - answer.partitions.size();
            ASSERT_EQ(answer.session_id, client.session_id);
        } else {
            ASSERT_EQ(answer.partitions.size(), outcomes.size());
            ASSERT_EQ(outcomes.size(), covered);
        }
        for (const FetchOutcome& outcome : outcomes) {
            if (outcome.has_records || random_.below(4) == 0) { continue; }
            sessions_.watch(kept, outcome.key, &truths_[static_cast<size_t>(outcome.key.partition)]);
            sessions_.looked(kept, outcome);
        }
        for (const size_t i : answer.partitions) {
            const int32_t partition = outcomes[i].key.partition;
            const Truth truth{outcomes[i].high_watermark, outcomes[i].log_start_offset, outcomes[i].error};
            if (was_incremental && !outcomes[i].has_records && truth.error == kafka::ErrorCode::none) {
                const auto known = client.told.find(partition);
                ASSERT_TRUE(known == client.told.end() || known->second != truth) << "told without need";
            }
            client.told[partition] = truth;
        }
        for (const auto& [partition, offset] : client.wants) {
            ASSERT_TRUE(client.told.contains(partition));
            ASSERT_EQ(client.told[partition], truths_[static_cast<size_t>(partition)]) << "partition " << partition;
        }
        if (delivered) {
            const int64_t end = truths_[static_cast<size_t>(*delivered)].high_watermark;
            client.wants[*delivered] +=
                1 + static_cast<int64_t>(random_.below(static_cast<uint64_t>(end - client.wants[*delivered])));
        }
        client.session_id = answer.session_id;
        client.epoch = answer.session_id == 0 ? 0 : next_fetch_session_epoch(client.epoch);
    }

    SimRandom random_;
    SimRandom ids_;
    FetchSessions sessions_;
    int64_t now_ms_ = 0;
    std::array<Truth, world_size> truths_;
    std::vector<Client> clients_;
};

TEST(FetchSessionsModel, EveryClientKnowsTheWorldWhateverIsLeftOut) {
    uint64_t evicted = 0;
    size_t incremental = 0;
    size_t left_out = 0;
    size_t lost = 0;
    size_t not_due = 0;
    for (uint64_t seed = 0; seed < 100; ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        World world(seed);
        world.run(300);
        if (HasFatalFailure()) { return; }
        evicted += world.evicted();
        incremental += world.incremental;
        left_out += world.left_out;
        lost += world.lost;
        not_due += world.not_due;
    }
    // That the world provokes what is to be tested.
    EXPECT_GT(evicted, 100u);
    EXPECT_GT(incremental, 5'000u);
    EXPECT_GT(left_out, 5'000u);
    EXPECT_GT(lost, 100u);
    EXPECT_GT(not_due, 1'000u);
}

}  // namespace
}  // namespace flowstone
