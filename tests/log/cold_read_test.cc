// Reading what is in files only: piece by piece, each read while the one before it is walked through.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/environment.h"
#include "log/impl/cursor.h"
#include "log/served_log.h"
#include "storage/batch.h"
#include "storage/try.h"
#include "tests/sim/world/faulty_disk.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::ElementsAreArray;

class ColdReadTest : public testing::Test {
protected:
    // One record a batch, of these sizes, in files and in no memory any more.
    void write(std::span<const size_t> sizes, const ConfigMap& configs) {
        open();
        const ServedTopic topic = value_of(served_->create("t", 1, configs));
        for (const size_t size : sizes) {
            std::vector<std::byte> space(batch_header_bytes + size + 64);
            BatchBuilder builder(space, {});
            const std::string key = std::to_string(hashes_.size() % 7);
            const std::string value(size, static_cast<char>('a' + hashes_.size() % 26));
            ASSERT_TRUE(builder.append({.key = key, .value = value}, static_cast<int64_t>(hashes_.size())));
            const Bytes built = builder.close().bytes();
            hashes_.push_back(value_of(BatchView::parse(built)).crc());
            ASSERT_TRUE(served_->append(topic, 0, built));
            ASSERT_TRUE(served_->poll());
        }
        close();
        open();
    }
    void open() {
        log_.emplace(value_of(open_log({&disk_, &clock_, &random_}, "data", {.tail_bytes_max = 0})));
        served_.emplace(*log_);
        if (const auto topic = served_->topic("t")) { place_ = value_of(served_->partition(*topic, 0)); }
    }
    void close() {
        served_.reset();
        ASSERT_TRUE(log_->close());
        log_.reset();
    }
    // Continues at `from`; what came is added to `sums`. Returns where the next read goes on.
    Result<Offset> try_read(Offset from, size_t bytes_max, std::vector<uint32_t>& sums) {
        TRY(const StoredBatches read, served_->read(place_, from, {.bytes_max = bytes_max}));
        for (Bytes piece : read.pieces) {
            while (!piece.empty()) {
                const BatchView view = value_of(BatchView::parse(piece));
                EXPECT_TRUE(view.crc_matches());
                sums.push_back(view.crc());
                piece = piece.subspan(view.size());
            }
        }
        return read.next_offset;
    }
    Offset read(Offset from, size_t bytes_max, std::vector<uint32_t>& sums) {
        return value_of(try_read(from, bytes_max, sums));
    }
    std::vector<uint32_t> read_all(size_t bytes_max) {
        std::vector<uint32_t> sums;
        const Offset end = served_->ends(place_).high_watermark;
        for (Offset at{0}; at < end;) {
            const Offset next = read(at, bytes_max, sums);
            EXPECT_GT(next, at);
            if (next <= at) { break; }
            at = next;
        }
        return sums;
    }
    static std::vector<size_t> sizes(size_t count, std::initializer_list<size_t> kinds, uint64_t seed) {
        SimRandom random(seed);
        std::vector<size_t> out(count);
        for (size_t& size : out) { size = 1 + random.below(kinds.begin()[random.below(kinds.size())]); }
        return out;
    }

    SimDisk sim_;
    FaultyDisk disk_{sim_};
    SimClock clock_;
    SimRandom random_{1};
    std::optional<Log> log_;
    std::optional<ServedLog> served_;
    ServedPartition place_;
    std::vector<uint32_t> hashes_;
};

// Batches end anywhere in a piece, begin in one and end in the next, fill the headroom, and are larger than all of it.
TEST_F(ColdReadTest, EveryBatchIsReadOnceWhereverItBeginsAndEnds) {
    write(sizes(300, {200, 40'000, cold_headroom_bytes + 5'000, 3'000'000}, 7),
          {{"segment.bytes", "16777216"}, {"max.message.bytes", "4000000"}});
    for (const size_t bytes_max : {size_t{1}, size_t{300'000}, size_t{1} << 20, size_t{20} << 20}) {
        EXPECT_THAT(read_all(bytes_max), ElementsAreArray(hashes_)) << bytes_max;
    }
    Reader reader = value_of(value_of(log_->topic("t")).read());
    size_t next = 0;
    for (;;) {
        const auto batch = value_of(reader.next());
        if (batch.empty()) { break; }
        EXPECT_EQ(value_of(BatchView::parse(batch.bytes())).crc(), hashes_.at(next++));
    }
    EXPECT_EQ(next, hashes_.size());
}

TEST_F(ColdReadTest, ConsumersThatCatchUpTogetherDoNotDisturbEachOther) {
    write(sizes(400, {30'000}, 3), {{"segment.bytes", "2097152"}});
    struct Consumer {
        Offset at{0};
        std::vector<uint32_t> sums{};
    };
    std::vector<Consumer> consumers(20);  // more than cursors are kept
    SimRandom random(5);
    const Offset end = served_->ends(place_).high_watermark;
    while (std::ranges::any_of(consumers, [&](const Consumer& one) { return one.at < end; })) {
        Consumer& one = consumers[random.below(consumers.size())];
        if (one.at < end) { one.at = read(one.at, 100'000 + random.below(500'000), one.sums); }
    }
    for (const Consumer& one : consumers) { EXPECT_THAT(one.sums, ElementsAreArray(hashes_)); }
}

// No file is opened and no index looked at for a consumer that goes on, and none of the bytes are read twice.
TEST_F(ColdReadTest, WhoGoesOnPaysForHisBytesAlone) {
    write(std::vector<size_t>(2'000, 10'000), {});
    std::vector<uint32_t> sums;
    Offset at = read(Offset{0}, 1u << 20, sums);
    const uint64_t opened = disk_.calls(FaultyDisk::Call::open);
    const uint64_t reads = disk_.calls(FaultyDisk::Call::read);
    while (at.value < 1'900) { at = read(at, 1u << 20, sums); }
    EXPECT_LE(disk_.calls(FaultyDisk::Call::open), opened + 1);
    constexpr uint64_t bytes = 1'900 * 10'100;
    EXPECT_LE(disk_.calls(FaultyDisk::Call::read) - reads, bytes / cold_read_bytes + 2);
}

TEST_F(ColdReadTest, WhatWasTrimmedAwayIsNotServedFromWhatWasReadAhead) {
    write(std::vector<size_t>(600, 10'000), {{"segment.bytes", "1048576"}});
    std::vector<uint32_t> sums;
    Offset at{0};
    for (int i = 0; i < 5; ++i) { at = read(at, 400'000, sums); }
    ASSERT_TRUE(value_of(log_->topic("t")).delete_records(0, at + 50));
    EXPECT_EQ(served_->read(place_, at, {}).error().code, Code::out_of_range);
    sums.clear();
    EXPECT_EQ(read(at + 50, 1, sums), at + 51);
}

// What had been read of the older file may still come; what the newer one keeps comes, and everything in its order.
TEST_F(ColdReadTest, CompactionBesideAReaderTakesNothingFromHimThatItKeeps) {
    write(std::vector<size_t>(600, 10'000), {{"segment.bytes", "1048576"}, {"cleanup.policy", "compact"}});
    std::vector<uint32_t> sums;
    Offset at{0};
    for (int i = 0; i < 5; ++i) { at = read(at, 400'000, sums); }
    ASSERT_TRUE(log_->maintain());
    const Offset end = served_->ends(place_).high_watermark;
    while (at < end) { at = read(at, 400'000, sums); }
    const std::vector<uint32_t> kept = read_all(400'000);
    ASSERT_LT(kept.size(), hashes_.size()) << "something was compacted";
    const auto in_order = [](const std::vector<uint32_t>& some, const std::vector<uint32_t>& all) {
        auto from = all.begin();
        for (const uint32_t sum : some) {
            from = std::find(from, all.end(), sum);
            if (from == all.end()) { return false; }
            ++from;
        }
        return true;
    };
    EXPECT_TRUE(in_order(kept, sums));
    EXPECT_TRUE(in_order(sums, hashes_));
}

TEST_F(ColdReadTest, AReadAheadThatFailsIsReadAgainOrSaysWhy) {
    write(std::vector<size_t>(600, 10'000), {});
    const uint64_t reads = disk_.calls(FaultyDisk::Call::read);
    EXPECT_THAT(read_all(400'000), ElementsAreArray(hashes_));
    const uint64_t used = disk_.calls(FaultyDisk::Call::read) - reads;
    for (uint64_t failing = 0; failing < used; ++failing) {
        close();
        open();
        disk_.fail_at(FaultyDisk::Call::read, disk_.calls(FaultyDisk::Call::read) + failing, EIO);
        std::vector<uint32_t> sums;
        const Offset end = served_->ends(place_).high_watermark;
        int refused = 0;
        for (Offset at{0}; at < end && refused < 3;) {
            const auto next = try_read(at, 400'000, sums);
            if (next) {
                at = *next;
            } else {
                EXPECT_EQ(next.error().os_errno, EIO);
                ++refused;
            }
        }
        EXPECT_LE(refused, 1);
        EXPECT_THAT(sums, ElementsAreArray(hashes_)) << "read " << failing;
        disk_.heal();
    }
}

}  // namespace
}  // namespace flowstone
