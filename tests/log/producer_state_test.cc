#include "log/producer_state.h"

#include <memory>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/script.h"

namespace flowstone {
namespace {

std::string span_of(const ProducerBatch& batch) {
    return fmt::format("[{},{}) sequences [{},{}] time={}", batch.base_offset.value, batch.last_offset.value + 1,
                       batch.base_sequence, batch.last_sequence, batch.timestamp_ms);
}

// append: checks, and applies what is accepted. `as it was` commands only apply.
struct ProducerScript {
    ProducerState state;
    std::vector<std::byte> saved_window;
    std::vector<ProducerSnapshotEntry> saved_entries;

    std::string append(const ScriptCommand& c) {
        const ProducerAppend wanted{.producer_id = c.number("id"),
                                    .epoch = static_cast<int16_t>(c.number("epoch")),
                                    .base_sequence = static_cast<int32_t>(c.number("seq")),
                                    .record_count = static_cast<int32_t>(c.number("count", 1))};
        const auto verdict = state.check(wanted);
        if (!verdict) { return fmt::format("{}\n", name(verdict.error().code)); }
        if (*verdict) { return fmt::format("duplicate of {}\n", span_of(**verdict)); }
        state.applied(wanted, Offset{c.number("at")}, c.number("time"), c.number("txn") != 0, c.number("now"));
        return fmt::format("appended [{},{})\n", c.number("at"), c.number("at") + wanted.record_count);
    }
    std::string show() const {
        std::string out;
        for (int64_t id : state.producer_ids()) {
            out += fmt::format("producer {}\n", id);
            for (const ProducerBatch& batch : state.window(id)) { out += fmt::format("  {}\n", span_of(batch)); }
        }
        return out.empty() ? "no producers\n" : out;
    }
    // A marker as the transaction coordinator writes it (Kafka's ControlRecordType and EndTransactionMarker).
    std::string marker(const ScriptCommand& c) {
        std::vector<std::byte> space(256);
        BatchBuilder builder(space, {.base_offset = Offset{c.number("at")},
                                     .transactional = true,
                                     .control = true,
                                     .producer_id = c.number("id"),
                                     .producer_epoch = static_cast<int16_t>(c.number("epoch"))});
        ByteWriter key;
        key.be<int16_t>(0);
        key.be<int16_t>(static_cast<int16_t>(c.number("type", 1)));
        ByteWriter value;
        value.be<int16_t>(0);
        value.be(static_cast<int32_t>(c.number("coordinator")));
        EXPECT_TRUE(builder.append({.key = as_text(key.view()), .value = as_text(value.view())}, c.number("time")));
        state.applied(builder.close(), c.number("now"));
        return "ok\n";
    }
    std::string run(const ScriptCommand& c) {
        if (c.name == "append") { return append(c); }
        if (c.name == "marker") { return marker(c); }
        if (c.name == "show") { return show(); }
        if (c.name == "open") {
            return fmt::format("first open transaction {}\n", state.first_open_transaction().value);
        }
        if (c.name == "expire") {
            return fmt::format("{} forgotten\n", state.expire(c.number("now"), c.number("after")));
        }
        if (c.name == "truncate") { return state.truncate(Offset{c.number("end")}) ? "rebuild\n" : "nothing to do\n"; }
        if (c.name == "save") {
            saved_window = state.encode_window();
            saved_entries = state.entries();
            return "ok\n";
        }
        if (c.name == "restart") {
            state = ProducerState();
            if (c.text("with") == "snapshot") {
                state.load(saved_entries, Offset{c.number("end")}, c.number("now"));
            } else {
                EXPECT_TRUE(state.decode_window(saved_window));
            }
            return "ok\n";
        }
        return "unknown command " + c.name + "\n";
    }
};

TEST(ProducerState, FollowsItsScripts) {
    run_scripts("log/producer_state", [] {
        auto machine = std::make_shared<ProducerScript>();
        return ScriptMachine([machine](const ScriptCommand& command) { return machine->run(command); });
    });
}

TEST(ProducerState, RefusesWhatNoProducerCanSend) {
    const ProducerState state;
    const ProducerAppend good{.producer_id = 1, .epoch = 0, .base_sequence = 0, .record_count = 1};
    EXPECT_TRUE(state.check(good));
    for (auto spoil :
         {+[](ProducerAppend& a) { a.producer_id = -1; }, +[](ProducerAppend& a) { a.epoch = -1; },
          +[](ProducerAppend& a) { a.base_sequence = -1; }, +[](ProducerAppend& a) { a.record_count = 0; }}) {
        ProducerAppend bad = good;
        spoil(bad);
        const auto verdict = state.check(bad);
        ASSERT_FALSE(verdict);
        EXPECT_EQ(verdict.error().code, Code::invalid);
    }
}

TEST(ProducerState, ErrorsNameProducerEpochAndSequences) {
    ProducerState state;
    state.applied({.producer_id = 7, .epoch = 3, .base_sequence = 0, .record_count = 5}, Offset{0}, 0, false, 0);
    const auto gap = state.check({.producer_id = 7, .epoch = 3, .base_sequence = 9, .record_count = 1});
    ASSERT_FALSE(gap);
    EXPECT_EQ(std::string(gap.error().detail), "producer 7 epoch 3: sequence 9 does not follow; expected 5");
    const auto stale = state.check({.producer_id = 7, .epoch = 2, .base_sequence = 5, .record_count = 1});
    ASSERT_FALSE(stale);
    EXPECT_EQ(std::string(stale.error().detail), "producer 7: epoch 2 was succeeded by 3");
}

TEST(ProducerState, AnIdlePartitionCostsOnePointer) { EXPECT_EQ(sizeof(ProducerState), sizeof(void*)); }

TEST(ProducerState, BatchesWithoutProducerChangeNothing) {
    std::vector<std::byte> space(256);
    BatchBuilder builder(space, {});
    ASSERT_TRUE(builder.append({.key = "k", .value = "v"}, 1));
    ProducerState state;
    state.applied(builder.close(), 0);
    EXPECT_EQ(state.size(), 0u);
    EXPECT_TRUE(state.encode_window().empty());
}

// A checkpoint may be made while batches wait for the journal; a crash takes them back and gives others their offsets.
TEST(ProducerState, TheWindowIsSavedWithoutWhatACrashMayTakeBack) {
    ProducerState state;
    const auto append = [&](int64_t id, int32_t sequence, int64_t offset) {
        state.applied({.producer_id = id, .epoch = 0, .base_sequence = sequence, .record_count = 1}, Offset{offset}, 0,
                      false, 0);
    };
    append(1, 0, 10);
    append(1, 1, 11);
    append(2, 0, 12);  // not acknowledged, as all that follow
    append(1, 2, 13);
    ProducerState restored;
    ASSERT_TRUE(restored.decode_window(state.encode_window(Offset{12})));
    ASSERT_EQ(restored.window(1).size(), 2u);
    EXPECT_EQ(restored.window(1).back().base_offset, Offset{11});
    EXPECT_EQ(restored.producer_ids(), std::vector<int64_t>{1});
    EXPECT_TRUE(state.encode_window(Offset{10}).empty());
}

// Compaction takes records out of a batch but not its span: the sequence after it must not go back.
TEST(ProducerState, ACompactedBatchKeepsItsSpanOfSequences) {
    std::vector<std::byte> space(256);
    BatchBuilder builder(space, {.base_offset = Offset{10}, .producer_id = 1, .producer_epoch = 0, .base_sequence = 4});
    ProducerState state;
    state.applied(builder.close_empty(/*last_offset_delta=*/5, /*max_timestamp_ms=*/0), 0);
    EXPECT_TRUE(state.check({.producer_id = 1, .epoch = 0, .base_sequence = 10, .record_count = 1}));
    EXPECT_FALSE(state.check({.producer_id = 1, .epoch = 0, .base_sequence = 5, .record_count = 1}));
}

TEST(ProducerState, ForgetsTheProducerSilentForLongestAtTheLimit) {
    ProducerState state;
    const auto producers = static_cast<int64_t>(producers_per_partition_max);
    for (int64_t id = 0; id < producers; ++id) {
        state.applied({.producer_id = id, .epoch = 0, .base_sequence = 0, .record_count = 1}, Offset{id}, 0, false, id);
    }
    // Producer 0 is heard of again, so 1 is the one to go.
    state.applied({.producer_id = 0, .epoch = 0, .base_sequence = 1, .record_count = 1}, Offset{producers}, 0, false,
                  producers);
    state.applied({.producer_id = producers, .epoch = 0, .base_sequence = 0, .record_count = 1}, Offset{producers + 1},
                  0, false, producers + 1);
    EXPECT_EQ(state.size(), producers_per_partition_max);
    EXPECT_EQ(state.window(0).size(), 2u);
    EXPECT_TRUE(state.window(1).empty());
}

TEST(ProducerState, LetsNobodyNewInWhenAllAreInTransactions) {
    ProducerState state;
    const auto producers = static_cast<int64_t>(producers_per_partition_max);
    for (int64_t id = 0; id < producers; ++id) {
        state.applied({.producer_id = id, .epoch = 0, .base_sequence = 0, .record_count = 1}, Offset{id}, 0, true, 0);
    }
    const auto verdict = state.check({.producer_id = producers, .epoch = 0, .base_sequence = 0, .record_count = 1});
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Code::busy);
    EXPECT_TRUE(state.check({.producer_id = 3, .epoch = 0, .base_sequence = 1, .record_count = 1}));
}

std::vector<std::byte> some_window() {
    ProducerState state;
    for (int64_t id = 1; id <= 3; ++id) {
        for (int32_t i = 0; i < 3; ++i) {
            state.applied({.producer_id = id, .epoch = 0, .base_sequence = i, .record_count = 1}, Offset{id * 10 + i},
                          0, id == 2, 5);
        }
    }
    return state.encode_window();
}

TEST(ProducerState, AWindowCutAnywhereIsRefusedAndChangesNothing) {
    const auto blob = some_window();
    for (size_t size = 1; size < blob.size(); ++size) {
        ProducerState state;
        state.applied({.producer_id = 99, .epoch = 0, .base_sequence = 0, .record_count = 1}, Offset{0}, 0, false, 0);
        EXPECT_FALSE(state.decode_window(Bytes(blob).first(size))) << size;
        EXPECT_EQ(state.producer_ids(), std::vector<int64_t>{99});
    }
    auto longer = blob;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(ProducerState().decode_window(longer));
}

TEST(ProducerState, AnyBitFlipOfAWindowIsRefusedOrHarmless) {
    const auto blob = some_window();
    for (size_t bit = 0; bit < blob.size() * 8; ++bit) {
        auto flipped = blob;
        flipped[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
        ProducerState state;
        if (!state.decode_window(flipped)) { continue; }  // the checkpoint's own sum finds the others
        for (int64_t id : state.producer_ids()) { EXPECT_LE(state.window(id).size(), producer_window); }
    }
}

TEST(ProducerState, AWindowOfANewerVersionIsUnsupported) {
    auto blob = some_window();
    blob[0] = std::byte{2};
    const auto result = ProducerState().decode_window(blob);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::unsupported);
}

TEST(ProducerState, ASnapshotGoesThereAndBack) {
    const ProducerSnapshotEntry entry{.producer_id = 5,
                                      .producer_epoch = 2,
                                      .last_sequence = 1,  // wrapped: four records from 2^31 - 2
                                      .last_offset = Offset{103},
                                      .offset_delta = 3,
                                      .timestamp_ms = 77,
                                      .coordinator_epoch = 4,
                                      .transaction_first_offset = Offset{90}};
    ProducerState state;
    state.load(std::vector{entry}, Offset{104}, 1000);
    EXPECT_EQ(state.entries(), std::vector{entry});
    EXPECT_EQ(state.first_open_transaction(), Offset{90});
    const auto window = state.window(5);
    ASSERT_EQ(window.size(), 1u);
    EXPECT_EQ(window[0].base_sequence, INT32_MAX - 1);
    EXPECT_EQ(window[0].base_offset, Offset{100});
}

// One record a batch, sequence and offset apart by `lag`.
void apply(ProducerState& state, int64_t id, int64_t from, int64_t to, int64_t lag, bool transactional = false) {
    for (int64_t i = from; i < to; ++i) {
        state.applied(
            {.producer_id = id, .epoch = 0, .base_sequence = static_cast<int32_t>(i - lag), .record_count = 1},
            Offset{i}, 0, transactional, 0);
    }
}

TEST(ProducerState, OfATruncationTheLongerMemoryCounts) {
    ProducerState state;
    apply(state, 8, 2, 4, 0, true);  // trimmed away since
    apply(state, 7, 10, 20, 10);
    apply(state, 9, 20, 22, 20);
    ProducerState walked;
    apply(walked, 7, 12, 17, 10);
    state.truncate(Offset{17}, std::move(walked));
    EXPECT_EQ(state.producer_ids(), (std::vector<int64_t>{7, 8}));
    ASSERT_EQ(state.window(7).size(), 5u) << "15 and 16 were in the window, the others only the walk knows";
    EXPECT_EQ(state.window(7).front().base_offset, Offset{12});
    EXPECT_EQ(state.window(7).back().base_offset, Offset{16});
    ASSERT_EQ(state.window(8).size(), 2u) << "which only the window knew";
    EXPECT_EQ(state.first_open_transaction(), Offset{2});

    ProducerState trimmed;
    apply(trimmed, 7, 16, 17, 10);
    apply(state, 7, 17, 18, 10);
    state.truncate(Offset{17}, std::move(trimmed));
    EXPECT_EQ(state.window(7).size(), 4u) << "the walk began behind what the window has";
    ProducerState nothing;
    state.truncate(Offset{17}, std::move(nothing));
    EXPECT_EQ(state.window(7).size(), 4u) << "nothing was above it";
}

TEST(ProducerState, ASnapshotOfNonsenseIsHarmless) {
    ProducerState state;
    std::vector<ProducerSnapshotEntry> entries(4);
    entries[0].producer_id = -5;
    entries[1].producer_id = 1;
    entries[1].last_sequence = 3;
    entries[1].last_offset = Offset{0};
    entries[1].offset_delta = INT32_MAX;
    entries[2].producer_id = 2;
    entries[2].last_sequence = 3;
    entries[2].last_offset = Offset{9};
    entries[2].offset_delta = INT32_MIN;
    entries[3] = entries[2];
    entries[3].last_sequence = 8;
    state.load(entries, Offset{21}, 0);
    EXPECT_EQ(state.producer_ids(), (std::vector<int64_t>{1, 2}));
    EXPECT_EQ(state.window(1)[0].base_offset, Offset{0});
    EXPECT_EQ(state.window(2)[0].last_sequence, 8) << "the last entry of an id counts";
}

}  // namespace
}  // namespace flowstone
