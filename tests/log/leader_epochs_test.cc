// A batch's checksum leaves its leader epoch open, so a bit that flips there is found by what is on record of epochs.
#include "log/served_log.h"
#include "storage/batch.h"
#include "storage/checkpoint.h"
#include "storage/segment_files.h"
#include "tests/log/foreign_log.h"
#include "tests/log/log_world.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

constexpr uint64_t epoch_at = 12;  // in a batch

struct StoredBatch {
    std::string path;
    uint64_t at;
    Offset base;
    Offset due;  // where the one before it ends
};

class LeaderEpochsTest : public LogWorld {
protected:
    static std::vector<StoredBatch> batches(Disk& disk, const std::string& directory) {
        std::vector<StoredBatch> out;
        Offset due{0};
        for (const std::string& name : files_on(disk, directory)) {
            if (!name.ends_with(".log")) { continue; }
            const auto bytes = value_of(read_file(disk, directory + "/" + name, 64u << 20));
            for (uint64_t at = 0; at < bytes.size();) {
                const auto batch = BatchView::parse(Bytes(bytes).subspan(at));
                if (!batch) { break; }
                out.push_back({directory + "/" + name, at, batch->base_offset(), due});
                due = batch->next_offset();
                at += batch->size();
            }
        }
        return out;
    }
    // Lower, higher, and not an epoch at all.
    static void flip_epoch(Disk& disk, const StoredBatch& batch, int bit) {
        auto file = value_of(disk.open(batch.path, {.write = true}));
        const BytePos at{static_cast<int64_t>(batch.at + epoch_at + 3) - bit / 8};
        std::byte byte{};
        ASSERT_TRUE(read_at(disk, *file, at, {&byte, 1}));
        byte ^= std::byte{1} << (bit % 8);
        ASSERT_TRUE(write_at(disk, *file, at, {&byte, 1}));
        ASSERT_TRUE(sync(disk, *file));
    }
    static std::unique_ptr<SimDisk> copy(const SimDisk& disk) { return disk.crash({.keep = Crash::Keep::everything}); }
    Result<Log> try_open(Disk& disk, Options options = {}) {
        lines_.clear();
        options.on_log = [this](std::string_view line) { lines_.emplace_back(line); };
        return open_log({&disk, &clock_, &random_}, "data", std::move(options));
    }
    static void expect_is(const Error& error, const StoredBatch& batch) {
        EXPECT_EQ(error.code, Code::corrupt);
        const std::string place = fmt::format("at byte {}, offset {}", batch.at, batch.due.value);
        EXPECT_THAT(error.message(), AllOf(HasSubstr(batch.path), HasSubstr(place)));
    }
    // Everything in front of the batch is read, then it is named, and nobody gets past it by walking.
    static void expect_named(Topic& topic, const StoredBatch& batch) {
        auto reader = topic.read();
        if (!reader) { return expect_is(reader.error(), batch); }
        for (;;) {
            auto got = reader->next();
            if (!got) { return expect_is(got.error(), batch); }
            ASSERT_FALSE(got->empty()) << "nobody says so";
            ASSERT_LE(got->next_offset(), batch.base);
        }
    }

    std::vector<std::string> lines_;
};

TEST_F(LeaderEpochsTest, AFlippedBitInTheEpochOfAClosedLogIsNamedByWhoeverReadsIt) {
    for (int opening = 0; opening < 3; ++opening) {
        Log log = open();
        Topic topic =
            opening > 0 ? value_of(log.topic("events")) : make(log, "events", {{"internal.segment.bytes", "6000"}});
        fill(topic, 7 * opening, 7 * opening + 7);
        close(log);
    }
    const auto all = batches(disk_, "data/events-0");
    ASSERT_EQ(all.size(), 21u);
    for (size_t i = 0; i < all.size(); ++i) {
        for (const int bit : {0, 1, 5, 31}) {
            SCOPED_TRACE(fmt::format("batch {}, bit {}", i, bit));
            const auto disk = copy(disk_);
            ASSERT_NO_FATAL_FAILURE(flip_epoch(*disk, all[i], bit));
            for (const bool read_only : {true, false}) {
                auto log = try_open(*disk, {.read_only = read_only});
                ASSERT_TRUE(log) << log.error().message();
                Topic topic = value_of(log->topic("events"));
                ASSERT_NO_FATAL_FAILURE(expect_named(topic, all[i]));
                if (read_only) { continue; }
                fill(topic, 21, 22);
                const auto end = read(topic, Offset{21});
                ASSERT_EQ(end.size(), 1u);
                EXPECT_EQ(info(topic).epoch, Epoch{4});
                close(*log);
            }
            auto again = try_open(*disk);
            ASSERT_TRUE(again) << again.error().message();
            Topic topic = value_of(again->topic("events"));
            ASSERT_NO_FATAL_FAILURE(expect_named(topic, all[i]));
        }
    }
}

TEST_F(LeaderEpochsTest, AFlippedBitInTheEpochOfAForeignBatchIsNamedToo) {
    ForeignLog from(3);
    from.grow(60);
    {
        Log log = open();
        Topic topic = make(log, "copied", {{"internal.segment.bytes", "60000"}});
        for (const ForeignBatch& batch : from.batches()) { ASSERT_TRUE(topic.append_as_is(0, batch)); }
        close(log);
    }
    const auto all = batches(disk_, "data/copied-0");
    ASSERT_EQ(all.size(), 60u);
    ASSERT_GT(from.view(59).epoch(), from.view(0).epoch());
    {
        auto log = try_open(disk_, {.read_only = true});
        Topic topic = value_of(log->topic("copied"));
        auto reader = value_of(topic.read());
        while (!value_of(reader.next()).empty()) {}
        EXPECT_EQ(reader.position(), from.next());
    }
    for (size_t i = 0; i < all.size(); i += 7) {
        SCOPED_TRACE(i);
        const auto disk = copy(disk_);
        ASSERT_NO_FATAL_FAILURE(flip_epoch(*disk, all[i], 4));
        auto log = try_open(*disk, {.read_only = true});
        ASSERT_TRUE(log) << log.error().message();
        Topic topic = value_of(log->topic("copied"));
        ASSERT_NO_FATAL_FAILURE(expect_named(topic, all[i]));
    }
}

// A crash, after checkpoints that the ring asked for: what lies between the last batch boundary that they know and what they
// proved is looked at when the log is opened. The second opening's epoch is in the journal only.
class CrashedEpochsTest : public LeaderEpochsTest {
protected:
    CrashedEpochsTest() {
        const std::string value(30'000, 'v');
        {
            Log log = open({.journal_bytes_max = 16u << 20});
            Topic topic = make(log, "events");
            for (int i = 0; i < 700; ++i) { EXPECT_TRUE(topic.append(record(value))); }
            topic_id_ = value_of(log.describe("events")).id;
        }
        Log log = open({.journal_bytes_max = 16u << 20});
        Topic topic = value_of(log.topic("events"));
        for (int i = 0; i < 3; ++i) { EXPECT_TRUE(topic.append(record(value))); }
        crashed_ = copy(disk_);
    }
    // The batch at the boundary.
    StoredBatch proven() const {
        const auto slots = value_of(read_checkpoint(*crashed_, "data"));
        const auto said = std::ranges::find(slots.newest->partitions, topic_id_, &PartitionCheckpoint::topic_id);
        EXPECT_GT(said->synced_bytes, said->boundary + batch_header_bytes) << "no batch begins between the two";
        const auto all = batches(*crashed_, "data/events-0");
        return *std::ranges::find(all, said->boundary_offset, &StoredBatch::base);
    }
    Uuid topic_id_;
    std::unique_ptr<SimDisk> crashed_;
};

TEST_F(CrashedEpochsTest, AFlippedBitBelowTheCheckpointIsNamedByTheOpening) {
    const StoredBatch batch = proven();
    for (const int bit : {0, 1, 5, 31}) {
        SCOPED_TRACE(bit);
        const auto disk = copy(*crashed_);
        ASSERT_NO_FATAL_FAILURE(flip_epoch(*disk, batch, bit));
        auto log = try_open(*disk);
        ASSERT_TRUE(log) << log.error().message();
        EXPECT_THAT(lines_, Contains(HasSubstr("are lost")));
        ASSERT_EQ(log->losses().size(), 1u);
        EXPECT_EQ(log->losses()[0].begin, batch.base);
        Topic topic = value_of(log->topic("events"));
        ASSERT_NO_FATAL_FAILURE(expect_named(topic, batch));
        const auto refused = topic.append(record("next"));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::corrupt);
    }
}

TEST_F(CrashedEpochsTest, EpochsBehindDamageStayKnown) {
    const auto disk = copy(*crashed_);
    ASSERT_NO_FATAL_FAILURE(flip_epoch(*disk, proven(), 5));
    auto log = try_open(*disk);
    ASSERT_TRUE(log) << log.error().message();
    ASSERT_EQ(log->losses().size(), 1u);
    const ServedLog served(*log);
    const auto place = value_of(served.partition(*served.topic("events"), 0));
    EXPECT_EQ(served.epochs(place), (std::vector<EpochStart>{{Epoch{1}, Offset{0}}, {Epoch{2}, Offset{700}}}));
}

TEST_F(LeaderEpochsTest, WhatNoCheckpointProvesMayBeginNoEarlierEpoch) {
    for (int opening = 0; opening < 2; ++opening) {
        Log log = open();
        Topic topic =
            opening > 0 ? value_of(log.topic("events")) : make(log, "events", {{"flowstone.durability", "written"}});
        fill(topic, 3 * opening, 3 * opening + 3);
        if (opening == 0) { close(log); }
    }
    const auto all = batches(disk_, "data/events-0");
    ASSERT_EQ(all.size(), 6u);
    ASSERT_NO_FATAL_FAILURE(flip_epoch(disk_, all[5], 1));  // 2 becomes 0
    auto log = try_open(disk_);
    ASSERT_TRUE(log) << log.error().message();
    EXPECT_TRUE(log->losses().empty());
    Topic topic = value_of(log->topic("events"));
    EXPECT_EQ(info(topic).log_end, Offset{5});
    fill(topic, 5, 6);
    EXPECT_EQ(info(topic).epoch, Epoch{3});
    EXPECT_EQ(read(topic).size(), 6u);
}

// The older slot knows nothing of the second epoch. Of a `written` topic the journal has the block that was written again,
// and the files have the rest: what is noted last began first.
TEST_F(LeaderEpochsTest, AnEpochThatTheOlderSlotDoesNotKnowIsFoundInItsBatches) {
    std::vector<std::pair<int64_t, std::string>> expected;
    for (int opening = 0; opening < 2; ++opening) {
        Log log = open();
        Topic topic =
            opening > 0 ? value_of(log.topic("events")) : make(log, "events", {{"flowstone.durability", "written"}});
        for (int i = 0; i < 3; ++i) { ASSERT_TRUE(topic.append(record("v"))); }
        if (opening == 0) {
            close(log);
            continue;
        }
        ASSERT_TRUE(log.checkpoint());
        for (int i = 0; i < 3; ++i) { ASSERT_TRUE(topic.append(record("v"))); }
        expected = read(topic);
    }
    ASSERT_EQ(expected.size(), 9u);
    const auto slots = value_of(read_checkpoint(disk_, "data"));
    auto slot =
        value_of(disk_.open(fmt::format("data/flowstone-checkpoint-{}", slots.newest->number % 2), {.write = true}));
    const std::byte wrong[] = {std::byte{0}};
    ASSERT_TRUE(write_at(disk_, *slot, BytePos{0}, wrong));
    auto log = try_open(disk_);
    ASSERT_TRUE(log) << log.error().message();
    EXPECT_THAT(lines_, Contains(HasSubstr("one checkpoint slot does not hold")));
    EXPECT_TRUE(log->losses().empty());
    Topic topic = value_of(log->topic("events"));
    EXPECT_EQ(read(topic), expected);
    const ServedLog served(*log);
    const auto place = value_of(served.partition(*served.topic("events"), 0));
    EXPECT_EQ(served.epochs(place), (std::vector<EpochStart>{{Epoch{1}, Offset{0}}, {Epoch{2}, Offset{3}}}));
}

TEST_F(LeaderEpochsTest, CompactionGivesABatchOfAnotherEpochNoNewSeal) {
    {
        Log log = open();
        Topic topic = make(
            log, "state",
            {{"cleanup.policy", "compact"}, {"internal.segment.bytes", "6000"}, {"min.cleanable.dirty.ratio", "0.01"}});
        for (int i = 0; i < 20; ++i) { ASSERT_TRUE(topic.append({.key = "k", .value = numbered(i)})); }
        close(log);
    }
    const auto all = batches(disk_, "data/state-0");
    const auto last = std::ranges::find_if(all, [&](const StoredBatch& one) { return one.path != all[0].path; }) - 1;
    for (const bool flipped : {false, true}) {
        SCOPED_TRACE(flipped);
        const auto disk = copy(disk_);
        if (flipped) { ASSERT_NO_FATAL_FAILURE(flip_epoch(*disk, *last, 5)); }
        auto log = try_open(*disk);
        ASSERT_TRUE(log) << log.error().message();
        Topic topic = value_of(log->topic("state"));
        ASSERT_TRUE(topic.append({.key = "k", .value = "last"}));
        (void)log->maintain();
        (void)log->maintain();
        EXPECT_EQ(batches(*disk, "data/state-0").front().base == Offset{0}, flipped) << "whether it was cleaned";
        if (flipped) { ASSERT_NO_FATAL_FAILURE(expect_named(topic, *last)); }
    }
}

}  // namespace
}  // namespace flowstone
