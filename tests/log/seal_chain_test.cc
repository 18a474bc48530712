// flowstone.seal=sha256: a history that stays provable to whoever kept a head of it, whatever is trimmed or compacted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/served_log.h"
#include "storage/seal.h"
#include "storage/segment_files.h"
#include "storage/segment_verify.h"
#include "tests/log/log_world.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SealChainTest : public LogWorld {
protected:
    static constexpr const char* directory = "data/ledger-0";
    static ConfigMap configs(ConfigMap more = {}) {
        more.emplace_back("flowstone.seal", "sha256");
        more.emplace_back("internal.segment.bytes", "9000");
        return more;
    }
    Sha256 head_of(Offset base) { return value_of(read_seal(disk_, directory, base)).head(); }
    Sha256 first_head() {
        const auto listing = value_of(list_segments(disk_, directory));
        return head_of(listing.segments.front().base);
    }
    std::vector<std::string> faults(const std::optional<Sha256>& kept = {}) {
        std::vector<std::string> out;
        VerifyOptions options;
        options.seals_expected = true;
        options.chain_head = kept;
        EXPECT_TRUE(verify_partition(disk_, directory, options,
                                     [&](const SegmentFault& fault) { out.emplace_back(fault.what); }));
        return out;
    }
};

TEST_F(SealChainTest, GoesOnBehindWhatWasTrimmed) {
    Sha256 kept;
    {
        Log log = open();
        Topic topic = make(log, "ledger", configs());
        fill(topic, 0, 30);
        ASSERT_TRUE(log.checkpoint());
        kept = first_head();
        ASSERT_TRUE(topic.delete_records(0, Offset{20}));
        maintain(log);
        fill(topic, 30, 40);
        close(log);
    }
    EXPECT_NE(first_head(), kept);
    EXPECT_THAT(faults(kept), IsEmpty());
    // The seals of what is gone are links like any other.
    ASSERT_TRUE(disk_.remove(join_path(directory, segment_file_name(Offset{8}, SegmentFile::seal))));
    EXPECT_THAT(faults(kept), ElementsAre("chain_broken"));
}

TEST_F(SealChainTest, GoesOnWhenEverythingWasTrimmed) {
    Sha256 kept;
    for (int opening = 0; opening < 3; ++opening) {
        Log log = open();
        Topic topic = opening == 0 ? make(log, "ledger", configs()) : value_of(log.topic("ledger"));
        fill(topic, 0, 30);
        ASSERT_TRUE(log.checkpoint());
        if (opening == 0) { kept = first_head(); }
        ASSERT_TRUE(topic.delete_records(0, info(topic).log_end));
        clock_.advance_ms(hour_ms);
        maintain(log);
        close(log);
    }
    Log log = open();
    Topic topic = value_of(log.topic("ledger"));
    fill(topic, 0, 30);
    close(log);
    EXPECT_THAT(faults(kept), IsEmpty());
}

// Also twice, before the segment that is open again is finished.
TEST_F(SealChainTest, AHeadIsFoundThoughItsSegmentWasTruncatedAway) {
    Log log = open();
    Topic topic = make(log, "ledger", configs());
    fill(topic, 0, 40);
    ASSERT_TRUE(log.checkpoint());
    const auto listing = value_of(list_segments(disk_, directory));
    ASSERT_GE(listing.segments.size(), 4u);
    const std::vector<Offset> bases{listing.segments[0].base, listing.segments[1].base, listing.segments[2].base};
    std::vector<Sha256> kept;
    for (const Offset base : bases) { kept.push_back(head_of(base)); }
    ServedLog served(log);
    for (const int64_t end : {bases[2].value + 1, bases[1].value + 1}) {
        ASSERT_EQ(value_of(served.truncate(*served.topic("ledger"), 0, Offset{end})), Offset{end});
    }
    fill(topic, static_cast<int>(bases[1].value) + 1, 40);
    close(log);
    EXPECT_NE(head_of(bases[1]), kept[1]);
    for (const Sha256& head : kept) { EXPECT_THAT(faults(head), IsEmpty()); }
    EXPECT_THAT(files(directory), testing::Each(testing::Not(testing::EndsWith(".truncated"))));
}

// What is broken stays broken, and named; what comes after it is kept all the same.
TEST_F(SealChainTest, BeginsAnewBehindASealThatDoesNotHold) {
    Log log = open();
    Topic topic = make(log, "ledger", configs());
    fill(topic, 0, 10);
    ASSERT_TRUE(log.checkpoint());
    const std::string path = join_path(directory, segment_file_name(Offset{0}, SegmentFile::seal));
    auto bytes = value_of(read_file(disk_, path, seal_file_bytes_max));
    bytes.back() ^= std::byte{1};
    ASSERT_TRUE(replace_file(disk_, path, bytes));

    fill(topic, 10, 40);
    const auto checkpointed = log.checkpoint();
    ASSERT_TRUE(checkpointed) << checkpointed.error().message();
    EXPECT_EQ(read(topic).size(), 40u);
    close(log);
    EXPECT_THAT(faults(), ElementsAre("seal_corrupt"));
}

TEST_F(SealChainTest, AHeadIsFoundHoweverOftenItsSegmentWasCompacted) {
    Log log = open();
    Topic topic = make(log, "ledger", configs({{"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0.01"}}));
    std::optional<Sha256> kept;
    for (int round = 0; round < 3; ++round) {
        fill(topic, 0, 30);  // the same keys each time
        ASSERT_TRUE(log.checkpoint());
        if (!kept) { kept = first_head(); }
        clock_.advance_ms(hour_ms);
        maintain(log);
    }
    close(log);
    EXPECT_NE(first_head(), *kept) << "it was compacted";
    EXPECT_THAT(faults(kept), IsEmpty());
}

}  // namespace
}  // namespace flowstone
