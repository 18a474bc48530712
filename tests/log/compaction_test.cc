#include "log/compaction.h"

#include <map>
#include <memory>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/script.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

// A batch from words such as "a=1" (key a, value 1), "a" (tombstone of a), "-=1" (no key), each at the next offset.
struct Made {
    std::vector<std::byte> bytes;
    BatchView view() const { return value_of(BatchView::parse(bytes)); }
};

Made make_batch(const std::vector<std::string>& records, const BatchBuilder::Options& options,
                Codec codec = Codec::none, int64_t first_time_ms = 1000) {
    std::vector<std::byte> space(1 << 16);
    BatchBuilder builder(space, options);
    int64_t time_ms = first_time_ms;
    for (const std::string& text : records) {
        const size_t colon = text.find(':');
        Record record{.key = std::string_view(text).substr(0, colon)};
        if (record.key == "-") { record.key.reset(); }
        if (colon != std::string::npos) { record.value = std::string_view(text).substr(colon + 1); }
        EXPECT_TRUE(builder.append(record, time_ms++));
    }
    const BatchView plain = builder.close();
    Made made;
    if (codec == Codec::none) {
        made.bytes.assign(plain.bytes().begin(), plain.bytes().end());
    } else {
        const auto recompressed = recompress(plain, codec, made.bytes);
        EXPECT_TRUE(recompressed) << recompressed.error().message();
    }
    return made;
}

std::string show_batch(BatchView batch) {
    std::string out = fmt::format("[{},{})", batch.base_offset().value, batch.next_offset().value);
    if (batch.has_delete_horizon()) { out += fmt::format(" horizon={}", batch.base_timestamp_ms()); }
    if (!batch.crc_matches()) { out += " BAD CRC"; }
    std::vector<std::byte> scratch;
    auto cursor = RecordCursor::open(batch, scratch);
    if (!cursor) { return out + " unreadable\n"; }
    while (true) {
        const auto record = cursor->next();
        if (!record) { return out + " corrupt\n"; }
        if (!*record) { return out + "\n"; }
        out += fmt::format(" {}@{}", (*record)->key.value_or("-"), (*record)->offset.value);
        out += (*record)->value ? fmt::format("={}", *(*record)->value) : " deleted";
    }
}

// batch at=0 records=a:1,b:2 [producer=1] [codec=zstd] [fate=aborted|unknown] [control=1]: adds one to the log.
// clean end=.. now=..: notes keys from `dirty` on, cleans the whole log below `end`, shows what is left.
struct CompactionScript {
    struct Entry {
        Made batch;
        TransactionFate fate;
    };
    std::vector<Entry> log;

    std::string batch(const ScriptCommand& c) {
        const auto codec = parse_codec(c.text("codec", "none"));
        const bool control = c.number("control") != 0;
        const auto records = control ? std::vector<std::string>{std::string("\0\0\0\1", 4)} : c.list("records");
        const std::string fate = c.text("fate", "committed");
        log.push_back({make_batch(records,
                                  {.base_offset = Offset{c.number("at")},
                                   .transactional = control || c.has("fate"),
                                   .control = control,
                                   .producer_id = c.number("producer", -1),
                                   .producer_epoch = static_cast<int16_t>(c.has("producer") ? 0 : -1),
                                   .base_sequence = static_cast<int32_t>(c.has("producer") ? c.number("seq") : -1)},
                                  *codec),
                       fate == "aborted"   ? TransactionFate::aborted
                       : fate == "unknown" ? TransactionFate::unknown
                                           : TransactionFate::committed});
        return "";
    }
    std::string clean(const ScriptCommand& c) {
        std::map<int64_t, Offset> last_of_producer;
        for (const Entry& entry : log) {
            if (!entry.batch.view().control()) {
                last_of_producer[entry.batch.view().producer_id()] = entry.batch.view().base_offset();
            }
        }
        const Offset end{c.number("end", INT64_MAX)};
        KeyMap map({.bytes_max = 1 << 16, .seed = 3});
        std::vector<std::byte> scratch;
        for (const Entry& entry : log) {
            const BatchView view = entry.batch.view();
            if (view.base_offset().value < c.number("dirty") || view.next_offset() > end) { continue; }
            EXPECT_TRUE(value_of(note_keys(view, entry.fate, map, scratch)));
        }
        const CleanRules rules{
            .now_ms = c.number("now"), .delete_retention_ms = c.number("retention", 100), .clean_end = end};
        std::vector<Entry> cleaned;
        for (const Entry& entry : log) {
            const BatchView view = entry.batch.view();
            if (view.next_offset() > end) {
                cleaned.push_back(entry);
                continue;
            }
            const bool is_last = view.producer_id() >= 0 && last_of_producer[view.producer_id()] == view.base_offset();
            std::vector<std::byte> out;
            const auto result = clean_batch(view, entry.fate, is_last, map, rules, scratch, out);
            EXPECT_TRUE(result);
            if (!result || result->what == Cleaned::dropped) { continue; }
            if (result->what == Cleaned::as_it_was) {
                cleaned.push_back(entry);
                continue;
            }
            EXPECT_EQ(result->batch->base_offset(), view.base_offset());
            EXPECT_EQ(result->batch->next_offset(), view.next_offset());
            EXPECT_EQ(result->batch->base_sequence(), view.base_sequence());
            EXPECT_EQ(result->batch->producer_id(), view.producer_id());
            cleaned.push_back({{{result->batch->bytes().begin(), result->batch->bytes().end()}}, entry.fate});
        }
        log = std::move(cleaned);
        return show();
    }
    std::string show() const {
        std::string out;
        for (const Entry& entry : log) {
            out += entry.batch.view().control() ? fmt::format("[{}] marker\n", entry.batch.view().base_offset().value)
                                                : show_batch(entry.batch.view());
        }
        return out.empty() ? "nothing\n" : out;
    }
    std::string run(const ScriptCommand& c) {
        if (c.name == "batch") { return batch(c); }
        if (c.name == "clean") { return clean(c); }
        if (c.name == "show") { return show(); }
        return "unknown command " + c.name + "\n";
    }
};

TEST(Compaction, FollowsItsScripts) {
    run_scripts("log/compaction", [] {
        auto machine = std::make_shared<CompactionScript>();
        return ScriptMachine([machine](const ScriptCommand& command) { return machine->run(command); });
    });
}

TEST(KeyMap, RemembersTheLargestOffsetOfAKey) {
    KeyMap map({.bytes_max = 1 << 12});
    EXPECT_EQ(map.find(as_bytes("a")), Offset{-1});
    ASSERT_TRUE(map.put(as_bytes("a"), Offset{5}));
    ASSERT_TRUE(map.put(as_bytes("a"), Offset{3}));
    ASSERT_TRUE(map.put(as_bytes(""), Offset{9}));
    EXPECT_EQ(map.find(as_bytes("a")), Offset{5});
    EXPECT_EQ(map.find(as_bytes("")), Offset{9});
    EXPECT_EQ(map.size(), 2u);
    map.clear();
    EXPECT_EQ(map.find(as_bytes("a")), Offset{-1});
}

TEST(KeyMap, SaysWhenItIsFullAndStillKnowsItsKeys) {
    KeyMap map({.bytes_max = 24 * 100, .load_max = 0.9});
    EXPECT_EQ(map.capacity(), 90u);
    for (int i = 0; i < 90; ++i) { ASSERT_TRUE(map.put(as_bytes(std::to_string(i)), Offset{i})); }
    EXPECT_FALSE(map.put(as_bytes("new"), Offset{99}));
    EXPECT_TRUE(map.put(as_bytes("7"), Offset{99}));
    EXPECT_EQ(map.find(as_bytes("7")), Offset{99});
    EXPECT_EQ(map.find(as_bytes("new")), Offset{-1});
}

TEST(KeyMap, TheSmallestAndTheFullestStillEnd) {
    for (double load : {0.0, 0.5, 1.0, 7.0}) {
        KeyMap map({.bytes_max = 0, .load_max = load});
        EXPECT_TRUE(map.put(as_bytes("a"), Offset{1}));
        EXPECT_FALSE(map.put(as_bytes("b"), Offset{1}));
        EXPECT_EQ(map.find(as_bytes("b")), Offset{-1});
    }
}

TEST(KeyMap, AFullMapStopsBeforeTheBatchThatDidNotFit) {
    KeyMap map({.bytes_max = 24 * 4, .load_max = 0.5});
    std::vector<std::byte> scratch;
    const Made first = make_batch({"a:1", "b:1"}, {.base_offset = Offset{0}});
    const Made second = make_batch({"a:2", "c:1"}, {.base_offset = Offset{2}});
    EXPECT_TRUE(value_of(note_keys(first.view(), TransactionFate::committed, map, scratch)));
    EXPECT_FALSE(value_of(note_keys(second.view(), TransactionFate::committed, map, scratch)));
    EXPECT_EQ(map.end(), Offset{2});
    // a@2 is in the map although its batch is not below the end: a@0 goes, a@2 stays.
    std::vector<std::byte> out;
    const CleanRules rules{.now_ms = 0, .delete_retention_ms = 1, .clean_end = Offset{2}};
    const auto cleaned = clean_batch(first.view(), TransactionFate::committed, false, map, rules, scratch, out);
    ASSERT_TRUE(cleaned);
    EXPECT_EQ(show_batch(*cleaned->batch), "[0,2) b@1=1\n");
    const auto kept = clean_batch(second.view(), TransactionFate::committed, false, map, rules, scratch, out);
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->what, Cleaned::as_it_was);
}

TEST(Compaction, EveryCodecIsKept) {
    for (Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        const Made made = make_batch({"a:1", "b:2", "a:3"}, {.base_offset = Offset{10}}, codec);
        KeyMap map({.bytes_max = 1 << 12});
        std::vector<std::byte> scratch;
        std::vector<std::byte> out;
        ASSERT_TRUE(value_of(note_keys(made.view(), TransactionFate::committed, map, scratch)));
        const auto cleaned = clean_batch(made.view(), TransactionFate::committed, false, map, {}, scratch, out);
        ASSERT_TRUE(cleaned) << name(codec);
        ASSERT_EQ(cleaned->what, Cleaned::rewritten);
        EXPECT_EQ(cleaned->batch->codec_id(), static_cast<uint8_t>(codec));
        EXPECT_EQ(show_batch(*cleaned->batch), "[10,13) b@11=2 a@12=3\n");
        EXPECT_EQ(cleaned->records_dropped, 1u);
        EXPECT_EQ(cleaned->records_kept, 2u);
    }
}

// A delete horizon takes the place of the base timestamp: the records' own times must come out unchanged.
TEST(Compaction, TimesAndHeadersSurviveAHorizon) {
    std::vector<std::byte> space(4096);
    BatchBuilder builder(space, {.base_offset = Offset{0}});
    const Header headers[] = {{.name = "h", .value = "x"}, {.name = "h", .value = std::nullopt}};
    ASSERT_TRUE(builder.append({.key = "gone", .headers = headers}, 5000));
    ASSERT_TRUE(builder.append({.key = "k", .value = "v"}, 4000));
    const BatchView batch = builder.close();
    KeyMap map({.bytes_max = 1 << 12});
    std::vector<std::byte> scratch;
    std::vector<std::byte> out;
    ASSERT_TRUE(value_of(note_keys(batch, TransactionFate::committed, map, scratch)));
    const auto cleaned =
        clean_batch(batch, TransactionFate::committed, false, map,
                    {.now_ms = 90'000, .delete_retention_ms = 10'000, .clean_end = Offset{2}}, scratch, out);
    ASSERT_TRUE(cleaned);
    ASSERT_EQ(cleaned->what, Cleaned::rewritten);
    EXPECT_TRUE(cleaned->tombstones_kept);
    EXPECT_EQ(cleaned->horizon_ms, 100'000);
    EXPECT_TRUE(cleaned->batch->crc_matches());
    EXPECT_EQ(cleaned->batch->max_timestamp_ms(), 5000);
    auto cursor = RecordCursor::open(*cleaned->batch, scratch);
    ASSERT_TRUE(cursor);
    const auto first = cursor->next();
    ASSERT_TRUE(first && *first);
    EXPECT_EQ((*first)->timestamp_ms, 5000);
    ASSERT_EQ((*first)->header_count(), 2u);
    EXPECT_EQ((*first)->header("h")->value, "x");
    const auto second = cursor->next();
    ASSERT_TRUE(second && *second);
    EXPECT_EQ((*second)->timestamp_ms, 4000);
}

TEST(Compaction, ACorruptBatchIsAnErrorAndNotDropped) {
    Made made = make_batch({"a:1", "a:2"}, {.base_offset = Offset{0}});
    KeyMap map({.bytes_max = 1 << 12});
    std::vector<std::byte> scratch;
    std::vector<std::byte> out;
    ASSERT_TRUE(value_of(note_keys(made.view(), TransactionFate::committed, map, scratch)));
    made.bytes[batch_header_bytes] = std::byte{0x7e};  // the first record's length
    EXPECT_EQ(note_keys(made.view(), TransactionFate::committed, map, scratch).error().code, Code::corrupt);
    const auto cleaned = clean_batch(made.view(), TransactionFate::committed, false, map, {}, scratch, out);
    ASSERT_FALSE(cleaned);
    EXPECT_EQ(cleaned.error().code, Code::corrupt);
}

// Against a plain model: after cleaning, the last value of each key is what it was, and nothing was made up.
TEST(Compaction, TheLatestValueOfEveryKeySurvivesAnySequence) {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        std::mt19937_64 random(seed);
        std::vector<Made> log;
        std::map<std::string, std::optional<std::string>> model;
        int64_t offset = 0;
        for (int b = 0; b < 12; ++b) {
            std::vector<std::string> records;
            for (uint64_t r = 0; r < 1 + random() % 5; ++r) {
                const std::string key(1, static_cast<char>('a' + random() % 6));
                const bool tombstone = random() % 4 == 0;
                const std::string value = std::to_string(offset + static_cast<int64_t>(r));
                records.push_back(tombstone ? key : key + ":" + value);
                model[key] = tombstone ? std::nullopt : std::optional(value);
            }
            log.push_back(make_batch(records, {.base_offset = Offset{offset}}, static_cast<Codec>(random() % 5)));
            offset += static_cast<int64_t>(records.size());
        }
        std::vector<std::byte> scratch;
        int64_t now_ms = 0;
        for (int round = 0; round < 3; ++round) {  // in the third the horizon has passed
            now_ms += 60;
            KeyMap map({.bytes_max = 1 << 12, .seed = seed});
            for (const Made& batch : log) {
                ASSERT_TRUE(value_of(note_keys(batch.view(), TransactionFate::committed, map, scratch)));
            }
            std::vector<Made> next;
            for (const Made& batch : log) {
                std::vector<std::byte> out;
                const auto cleaned = clean_batch(
                    batch.view(), TransactionFate::committed, false, map,
                    {.now_ms = now_ms, .delete_retention_ms = 100, .clean_end = Offset{offset}}, scratch, out);
                ASSERT_TRUE(cleaned);
                if (cleaned->what == Cleaned::dropped) { continue; }
                next.push_back(cleaned->batch ? Made{{cleaned->batch->bytes().begin(), cleaned->batch->bytes().end()}}
                                              : batch);
            }
            log = std::move(next);
        }
        std::map<std::string, std::string> left;
        Offset last{-1};
        for (const Made& batch : log) {
            EXPECT_TRUE(batch.view().crc_matches());
            EXPECT_GT(batch.view().base_offset(), last);
            last = batch.view().last_offset();
            auto cursor = RecordCursor::open(batch.view(), scratch);
            while (true) {
                const auto record = cursor->next();
                ASSERT_TRUE(record);
                if (!*record) { break; }
                ASSERT_TRUE((*record)->value) << "a tombstone past its horizon, seed " << seed;
                EXPECT_TRUE(left.emplace(*(*record)->key, *(*record)->value).second) << "a key twice, seed " << seed;
            }
        }
        std::map<std::string, std::string> expected;
        for (const auto& [key, value] : model) {
            if (value) { expected.emplace(key, *value); }
        }
        EXPECT_EQ(left, expected) << "seed " << seed;
        EXPECT_EQ(last + 1, Offset{offset}) << "the end of the log moved, seed " << seed;
    }
}

CleanPlan plan(std::vector<CleanableSegment> segments, int64_t first_dirty, int64_t bound, int64_t now_ms,
               const ConfigMap& configs, int64_t horizon_ms = -1) {
    ConfigMap all = configs;
    all.emplace_back("cleanup.policy", "compact");
    const auto config = TopicConfig::parse(all);
    EXPECT_TRUE(config);
    return plan_cleaning(segments, Offset{first_dirty}, Offset{bound}, horizon_ms, now_ms, *config);
}

const std::vector<CleanableSegment> four = {
    {.base = Offset{0}, .end = Offset{10}, .bytes = 100, .first_timestamp_ms = 1, .max_timestamp_ms = 10},
    {.base = Offset{10}, .end = Offset{20}, .bytes = 50, .first_timestamp_ms = 11, .max_timestamp_ms = 20},
    {.base = Offset{20}, .end = Offset{30}, .bytes = 50, .first_timestamp_ms = 21, .max_timestamp_ms = 30},
    {.base = Offset{30}, .end = Offset{40}, .bytes = 900, .first_timestamp_ms = 31, .max_timestamp_ms = 40}};

TEST(CleanPlan, TheActiveSegmentIsNeverTouched) {
    const CleanPlan everything = plan(four, 0, 1000, 100, {});
    EXPECT_TRUE(everything.due);
    EXPECT_EQ(everything.clean_end, Offset{30});
    EXPECT_EQ(everything.dirty_ratio, 1.0);
    EXPECT_FALSE(plan({four[3]}, 0, 1000, 100, {}).due);
    EXPECT_FALSE(plan({}, 0, 1000, 100, {}).due);
}

TEST(CleanPlan, NothingAtOrAboveTheBoundIsTouched) {
    EXPECT_EQ(plan(four, 0, 30, 100, {}).clean_end, Offset{30});
    EXPECT_EQ(plan(four, 0, 29, 100, {}).clean_end, Offset{20});
    EXPECT_FALSE(plan(four, 0, 9, 100, {}).due);
}

TEST(CleanPlan, WaitsForTheDirtyRatio) {
    // 100 of 200 bytes are dirty.
    EXPECT_TRUE(plan(four, 10, 1000, 100, {{"min.cleanable.dirty.ratio", "0.5"}}).due);
    EXPECT_FALSE(plan(four, 10, 1000, 100, {{"min.cleanable.dirty.ratio", "0.51"}}).due);
    EXPECT_FALSE(plan(four, 30, 1000, 100, {{"min.cleanable.dirty.ratio", "0"}}).due) << "nothing is dirty";
}

TEST(CleanPlan, YoungRecordsWait) {
    const CleanPlan some = plan(four, 0, 1000, 70, {{"min.compaction.lag.ms", "50"}});
    EXPECT_EQ(some.clean_end, Offset{20}) << "20 is 50 before now, 30 is not";
}

TEST(CleanPlan, OldRecordsDoNotWaitForTheRatio) {
    const ConfigMap configs = {{"min.cleanable.dirty.ratio", "1"}, {"max.compaction.lag.ms", "60"}};
    EXPECT_FALSE(plan(four, 10, 1000, 71, configs).due) << "the oldest dirty record is of 11";
    EXPECT_TRUE(plan(four, 10, 1000, 72, configs).due);
}

TEST(CleanPlan, AnExpiredHorizonIsAReason) {
    EXPECT_FALSE(plan(four, 30, 1000, 499, {}, 500).due);
    const CleanPlan due = plan(four, 30, 1000, 500, {}, 500);
    EXPECT_TRUE(due.due);
    EXPECT_EQ(due.first_dirty, Offset{30});
}

TEST(CleanPlan, AFirstDirtyOffsetOutsideTheLogIsMoved) {
    const std::vector<CleanableSegment> later(four.begin() + 1, four.end());
    EXPECT_EQ(plan(later, 3, 1000, 100, {}).first_dirty, Offset{10}) << "trimmed away";
    EXPECT_EQ(plan(four, 5000, 1000, 100, {}).first_dirty, Offset{30}) << "truncated";
}

TEST(CleanPlan, OnlyCompactedTopicsAreCleaned) {
    EXPECT_FALSE(plan_cleaning(four, Offset{0}, Offset{1000}, -1, 100, TopicConfig{}).due);
}

}  // namespace
}  // namespace flowstone
