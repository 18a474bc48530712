// The ring on the simulated disk: growing while it is written to, and a crash at any step of that.
#include "storage/journal.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/world/sim_disk.h"

namespace flowstone {
namespace {

constexpr uint64_t first_bytes = 16u << 20;
constexpr uint64_t grown_bytes = first_bytes + journal_extent_bytes;

Journal::Options ring_options(uint64_t bytes_max = grown_bytes) { return {.directory = "d", .bytes_max = bytes_max}; }

Uuid ring_id() {
    Uuid id;
    id.bytes[0] = std::byte{7};
    return id;
}

// Writes commits of about `bytes`, each an entry that trims, and knows how many have ended.
class Writer {
public:
    explicit Writer(Journal& journal) : journal_(journal) {}

    // False when the ring is full.
    bool commit(size_t bytes = 4096) {
        const auto place = journal_.take(bytes);
        if (!place) { return false; }
        const BufferRef space = pool_.take(bytes);
        std::fill_n(space->data(), space->capacity(), std::byte{0});
        CommitWriter writer(MutableBytes(space->data(), space->capacity()), *place, {});
        const std::vector<std::byte> payload(bytes > 8192 ? bytes - 8192 : 0);
        const Bytes piece(payload);
        writer.add({.kind = EntryKind::swap, .topic_id = {}, .base_offset = Offset{1}, .next_offset = Offset{1}},
                   {&piece, 1});
        const Bytes commit = writer.finish(4096);
        EXPECT_TRUE(journal_.write(*place, commit));
        journal_.wrote(*place, commit, writer.sum());
        last_ = place->sequence;
        return true;
    }
    uint64_t last() const { return last_; }

private:
    Journal& journal_;
    BufferPool pool_;
    uint64_t last_ = 0;
};

bool grown(Journal& journal, BufferPool& pool, uint64_t bytes) {
    const auto whole = journal.grow(pool, bytes);
    EXPECT_TRUE(whole) << whole.error().message();
    return whole && *whole;
}

bool went_on(Journal& journal, BufferPool& pool) {
    const auto went = journal.went_on(pool);
    EXPECT_TRUE(went);
    return went && *went;
}

// The newest of the commits from 1 on that follow one another.
uint64_t last_commit(Journal& journal, BufferPool& pool) {
    const auto scan = journal.scan(pool, 1);
    EXPECT_TRUE(scan);
    uint64_t last = 0;
    for (const JournalScan::Commit& commit : scan->commits) {
        if (commit.view.place.sequence == last + 1) { ++last; }
    }
    return last;
}

TEST(Journal, GrowsByPiecesWhileCommitsGoOn) {
    SimDisk disk;
    BufferPool pool;
    ASSERT_TRUE(disk.make_directory("d"));
    auto journal = Journal::create(disk, ring_options(), ring_id());
    ASSERT_TRUE(journal);
    Writer writer(**journal);
    EXPECT_EQ((*journal)->growth_due(), 0u);
    uint64_t pieces = 0;
    while ((*journal)->bytes() == first_bytes) {
        ASSERT_TRUE(writer.commit(1u << 20)) << "the ring was full before it had grown";
        const uint64_t due = (*journal)->growth_due();
        if (due == 0) { continue; }
        EXPECT_EQ(due, 1u << 20);
        ++pieces;
        if (grown(**journal, pool, due)) { (*journal)->join(); }
    }
    EXPECT_EQ(pieces, journal_extent_bytes >> 20);
    EXPECT_LE((*journal)->bytes_used(), first_bytes / 2 + journal_extent_bytes);
    EXPECT_EQ((*journal)->bytes(), grown_bytes);
    EXPECT_FALSE((*journal)->can_grow());
}

TEST(Journal, ACrashAtAnyStepOfGrowingLosesNoCommit) {
    SimDisk disk({.record = true});
    BufferPool pool;
    ASSERT_TRUE(disk.make_directory("d"));
    ASSERT_TRUE(disk.sync_directory("."));
    auto journal = Journal::create(disk, ring_options(), ring_id());
    ASSERT_TRUE(journal);
    ASSERT_TRUE(disk.sync_directory("d"));
    const uint64_t begun = disk.operations();
    struct Ended {
        uint64_t operation;
        uint64_t sequence;
    };
    std::vector<Ended> ended;
    Writer writer(**journal);
    const auto commit = [&] {
        ASSERT_TRUE(writer.commit());
        ended.push_back({disk.operations(), writer.last()});
    };
    commit();
    uint64_t header_written = 0;
    for (bool whole = false; !whole;) {
        commit();
        whole = grown(**journal, pool, 1u << 20);
        if (!whole) { header_written = disk.operations() + 2; }  // after one more piece and its sync
    }
    (*journal)->join();
    const uint64_t joined = disk.operations();
    // Until commits lie in the new file.
    for (bool there = false; !there;) {
        there = (*journal)->take(4096)->file == 1;
        ASSERT_TRUE(there ? writer.commit() : writer.commit(1u << 20));
        ended.push_back({disk.operations(), writer.last()});
    }
    for (const CrashPoint& point : disk.sample_crashes(120, 1, begun)) {
        const auto state = disk.crash_state(point);
        auto opened = Journal::open(*state, ring_options());
        ASSERT_TRUE(opened) << point.to_string();
        if (point.operation < header_written) { EXPECT_EQ((*opened)->bytes(), first_bytes) << point.to_string(); }
        if (point.operation >= joined) { EXPECT_EQ((*opened)->bytes(), grown_bytes) << point.to_string(); }
        uint64_t promised = 0;
        for (const Ended& one : ended) {
            if (one.operation <= point.operation) { promised = one.sequence; }
        }
        ASSERT_GE(last_commit(**opened, pool), promised) << point.to_string();
        // What is there of the file is no obstacle to growing now.
        if ((*opened)->can_grow()) {
            ASSERT_TRUE(grown(**opened, pool, UINT64_MAX)) << point.to_string();
            (*opened)->join();
            EXPECT_EQ((*opened)->bytes(), grown_bytes);
            EXPECT_GE(last_commit(**opened, pool), promised) << point.to_string();
        }
    }
}

// Its removal is several, and power loss keeps any of them.
TEST(Journal, FilesOfARingThatIsNoMoreAreNoneOfTheNextOnes) {
    SimDisk disk;
    BufferPool pool;
    ASSERT_TRUE(disk.make_directory("d"));
    auto old = Journal::create(disk, ring_options(), Uuid{});
    ASSERT_TRUE(old);
    ASSERT_TRUE(grown(**old, pool, UINT64_MAX));
    ASSERT_TRUE(disk.remove("d/flowstone-journal-0.0000"));
    ASSERT_TRUE(disk.info("d/flowstone-journal-0.0001"));
    ASSERT_TRUE(Journal::create(disk, ring_options(), ring_id()));
    const auto opened = Journal::open(disk, ring_options());
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_EQ((*opened)->ring(), ring_id());
    EXPECT_EQ((*opened)->bytes(), first_bytes);
}

TEST(Journal, AReaderBesideTheWriterSeesAFileOnceItIsWhole) {
    SimDisk disk;
    BufferPool pool;
    ASSERT_TRUE(disk.make_directory("d"));
    auto journal = Journal::create(disk, ring_options(), ring_id());
    ASSERT_TRUE(journal);
    auto beside = Journal::open(disk, {.directory = "d", .bytes_max = grown_bytes, .read_only = true});
    ASSERT_TRUE(beside);
    ASSERT_TRUE((*beside)->scan(pool, 1));
    ASSERT_FALSE(grown(**journal, pool, 1u << 20));
    EXPECT_FALSE(went_on(**beside, pool));
    ASSERT_TRUE(grown(**journal, pool, UINT64_MAX));
    EXPECT_TRUE(went_on(**beside, pool));
}

TEST(Journal, AnUnfinishedFileGoesWhenTheRingIsClosed) {
    SimDisk disk;
    BufferPool pool;
    const std::string second = "d/flowstone-journal-0.0001";
    ASSERT_TRUE(disk.make_directory("d"));
    {
        auto journal = Journal::create(disk, ring_options(), ring_id());
        ASSERT_TRUE(journal);
        EXPECT_TRUE((*journal)->abandon_growth());  // there is none
        ASSERT_FALSE(grown(**journal, pool, 1u << 20));
        EXPECT_TRUE((*journal)->abandon_growth());
        EXPECT_EQ(disk.info(second).error().code, Code::not_found);
        ASSERT_FALSE(grown(**journal, pool, 1u << 20));
    }
    // Nor is it part of the ring for the next opening, and what that one finds goes as well.
    auto again = Journal::open(disk, ring_options());
    ASSERT_TRUE(again);
    EXPECT_EQ((*again)->bytes(), first_bytes);
    EXPECT_TRUE(disk.info(second));
    EXPECT_TRUE((*again)->abandon_growth());
    EXPECT_EQ(disk.info(second).error().code, Code::not_found);
    // One that joined stays.
    ASSERT_TRUE(grown(**again, pool, UINT64_MAX));
    (*again)->join();
    EXPECT_TRUE((*again)->abandon_growth());
    EXPECT_TRUE(disk.info(second));
}

// It grew in the middle: the newest commits lie in the new file, and what is free in the old one, behind the oldest.
TEST(Journal, AfterOpeningRoomIsFoundWhereverItLies) {
    SimDisk disk;
    BufferPool pool;
    ASSERT_TRUE(disk.make_directory("d"));
    auto journal = Journal::create(disk, ring_options(), ring_id());
    ASSERT_TRUE(journal);
    Writer writer(**journal);
    ASSERT_TRUE(writer.commit(1u << 20));
    ASSERT_TRUE(grown(**journal, pool, UINT64_MAX));
    (*journal)->join();
    while ((*journal)->take(1u << 20)->file == 0) { ASSERT_TRUE(writer.commit(1u << 20)); }
    ASSERT_TRUE(writer.commit(1u << 20));
    const uint64_t last = writer.last();
    auto opened = Journal::open(disk, ring_options());
    ASSERT_TRUE(opened) << opened.error().message();
    const auto scan = (*opened)->scan(pool, 1);
    ASSERT_TRUE(scan);
    ASSERT_EQ(scan->commits.size(), last);
    (*opened)->resume(*scan, 2, last + 1, 0);
    ASSERT_LT((*opened)->bytes_used(), (*opened)->bytes());
    EXPECT_TRUE((*opened)->take(4096));
}

TEST(Journal, ARingThatFindsNoRoomToGrowAsksAgainAfterACheckpoint) {
    SimDisk disk({.bytes_max = first_bytes + (1u << 20)});
    BufferPool pool;
    ASSERT_TRUE(disk.make_directory("d"));
    auto journal = Journal::create(disk, ring_options(), ring_id());
    ASSERT_TRUE(journal);
    EXPECT_TRUE((*journal)->can_grow());
    EXPECT_EQ((*journal)->grow(pool, 1u << 20).error().code, Code::no_space);
    EXPECT_FALSE((*journal)->can_grow());
    EXPECT_EQ(disk.info("d/flowstone-journal-0.0001").error().code, Code::not_found);
    (*journal)->release(1);
    EXPECT_TRUE((*journal)->can_grow());
    EXPECT_EQ((*journal)->bytes(), first_bytes);
}

}  // namespace
}  // namespace flowstone
