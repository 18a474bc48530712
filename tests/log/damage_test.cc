// What damage to a directory's files does to the log in it: named, fenced to what it hit, and never passed over.
#include <algorithm>
#include <cstring>
#include <set>

#include "storage/bytes.h"
#include "tests/log/log_world.h"
#include "tests/sim/world/world_verify.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class DamageTest : public LogWorld {
protected:
    // Bytes of the ring file that begin a commit, with their sequences.
    static std::vector<std::pair<int64_t, uint64_t>> commits(Disk& disk) {
        std::vector<std::pair<int64_t, uint64_t>> out;
        auto file = value_of(disk.open(std::string("data/") + ring, {}));
        const auto size = static_cast<int64_t>(value_of(disk.size(*file)));
        std::vector<std::byte> head(48);
        for (int64_t at = 4096; at < size; at += 4096) {
            if (!read_at(disk, *file, BytePos{at}, head) || std::memcmp(head.data(), "FLOWCMT1", 8) != 0) { continue; }
            out.emplace_back(at, load_le<uint64_t>(head.data() + 32));
        }
        return out;
    }
    // Where the newest commit begins. Every acknowledged append makes one.
    static int64_t newest_commit(Disk& disk) {
        const auto all = commits(disk);
        return std::ranges::max_element(all, {}, [](const auto& one) { return one.second; })->first;
    }
    static constexpr char ring[] = "flowstone-journal-0.0000";

    // A copy of the files as they are, so that each kind of damage begins from the same.
    std::unique_ptr<SimDisk> copy() const { return disk_.crash({.keep = Crash::Keep::everything}); }
    static void flip(Disk& disk, const std::string& name, int64_t at) {
        auto file = disk.open("data/" + name, {.write = true});
        ASSERT_TRUE(file) << file.error().message();
        std::byte byte{};
        ASSERT_TRUE(read_at(disk, **file, BytePos{at}, {&byte, 1}));
        byte ^= std::byte{16};
        ASSERT_TRUE(write_at(disk, **file, BytePos{at}, {&byte, 1}));
    }
    // Opens and keeps what the log says about it.
    Result<Log> try_open(Disk& disk, Options options = {}) {
        lines_.clear();
        options.on_log = [this](std::string_view line) { lines_.emplace_back(line); };
        return open_log({&disk, &clock_, &random_}, "data", std::move(options));
    }

    std::vector<std::string> lines_;
};

TEST_F(DamageTest, AfterACleanCloseEitherSlotAloneTellsThatNothingIsMissing) {
    Log log = open();
    Topic topic = make(log, "events");
    fill(topic, 0, 20);
    const auto expected = read(topic);
    close(log);
    for (const std::string slot : {"flowstone-checkpoint-0", "flowstone-checkpoint-1"}) {
        const auto disk = copy();
        flip(*disk, slot, 40);
        auto again = try_open(*disk);
        ASSERT_TRUE(again) << again.error().message();
        EXPECT_THAT(lines_, ElementsAre(HasSubstr("one checkpoint slot does not hold")));
        Topic found = value_of(again->topic("events"));
        EXPECT_EQ(read(found), expected);
    }
}

// The first commit that is written over another one writes over what nobody needs: neither the newest slot, nor the one before it.
TEST_F(DamageTest, WhenTheRingBeginsAnewEitherSlotAloneTellsThatNothingIsMissing) {
    SimDisk disk({.record = true});
    Log log = open_on(disk, {.journal_bytes_max = 16u << 20});
    Topic topic = make(log, "events");
    std::set<std::string> commits;  // by their place
    uint64_t written = 0;
    for (int count = 0; written == 0; ++count) {
        ASSERT_LT(count, 5'000);
        const uint64_t begun = disk.operations();
        fill(topic, count, count + 1);
        for (uint64_t i = begun; i < disk.operations(); ++i) {
            const std::string done = disk.describe(i);
            if (done.contains("write_durable") && done.contains(ring) && !commits.insert(done).second) {
                written = i + 1;
            }
        }
    }
    const auto expected = read(topic);
    const auto before = disk.crash_state({.operation = written, .crash = {.keep = Crash::Keep::everything}});
    for (const std::string slot : {"flowstone-checkpoint-0", "flowstone-checkpoint-1"}) {
        const auto after = before->crash({.keep = Crash::Keep::everything});
        flip(*after, slot, 40);
        auto again = try_open(*after);
        ASSERT_TRUE(again) << slot << ": " << again.error().message();
        Topic found = value_of(again->topic("events"));
        EXPECT_EQ(read(found), expected) << slot;
    }
}

// The journal keeps place and sum of a large write only: the segment is all there is of it.
TEST_F(DamageTest, ALargeWriteThatIsNotWhatTheJournalSummedKeepsTheLogFromOpening) {
    {
        Log log = open();
        Topic topic = make(log, "events");
        ASSERT_TRUE(topic.append(record(std::string(400'000, 'x'))));
    }
    const std::string segment = "events-0/00000000000000000000.log";
    const auto disk = copy();
    flip(*disk, segment, 50'000);
    const auto opened = try_open(*disk);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::corrupt);
    EXPECT_THAT(opened.error().message(), HasSubstr(segment));
}

// Ten records of two topics, one commit each. The commit of record `damaged` of "events" does not hold any more.
class JournalDamageTest : public DamageTest {
protected:
    std::unique_ptr<SimDisk> damaged(int which, int events = 6) {
        SimDisk disk;
        int64_t at = 0;
        {
            Log log = open_on(disk);
            Topic topic = make(log, "events");
            Topic other = make(log, "other");
            for (int i = 0; i < events; ++i) {
                fill(topic, i, i + 1);
                if (i == which) { at = newest_commit(disk); }
                fill(other, i, i + 1);
            }
        }
        auto after = disk.crash({.keep = Crash::Keep::nothing});
        flip(*after, ring, at + 200);
        return after;
    }
    static std::vector<std::string> values(int from, int to) {
        std::vector<std::string> out;
        for (int i = from; i < to; ++i) { out.push_back(numbered(i)); }
        return out;
    }
    // Values to the end, and the error there, if it is one.
    static std::pair<std::vector<std::string>, std::optional<Error>> read_on(Topic& topic, From from = {}) {
        std::vector<std::string> out;
        auto reader = topic.read({.from = from});
        if (!reader) { return {out, reader.error()}; }
        for (;;) {
            auto batch = reader->next();
            if (!batch) { return {out, batch.error()}; }
            if (batch->empty()) { return {out, std::nullopt}; }
            for (const auto& found : *batch) { out.emplace_back(found.value.value_or("(none)")); }
        }
    }
    static void expect_reads(Topic& topic, const std::vector<std::string>& expected) {
        const auto [found, error] = read_on(topic);
        EXPECT_EQ(found, expected);
        EXPECT_FALSE(error) << error->message();
    }
    // The partition answers what is below offset 2, and names what it does not answer.
    static void expect_fenced(Topic& topic) {
        const auto [found, error] = read_on(topic);
        EXPECT_EQ(found, values(0, 2));
        ASSERT_TRUE(error);
        EXPECT_EQ(error->code, Code::corrupt);
        EXPECT_THAT(error->detail, HasSubstr("events-0: offsets [2, 3) are lost with commit"));
        const auto [beyond, error_beyond] = read_on(topic, Offset{4});
        EXPECT_THAT(beyond, testing::IsEmpty());
        ASSERT_TRUE(error_beyond);
        EXPECT_EQ(error_beyond->code, Code::corrupt);
        const auto refused = topic.append(record("next"));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::corrupt);
        EXPECT_EQ(refused.error().fate, Fate::not_appended);
        EXPECT_THAT(refused.error().detail, HasSubstr("[2, 3)"));
    }
};

TEST_F(JournalDamageTest, IsFencedToThePartitionsThatTheCommitHeld) {
    const auto disk = damaged(2);
    auto opened = try_open(*disk);
    ASSERT_TRUE(opened) << opened.error().message();
    Log log = std::move(*opened);
    EXPECT_THAT(lines_, testing::Contains(HasSubstr("is damaged; it held 1 entries")));
    Topic events = value_of(log.topic("events"));
    expect_fenced(events);
    Topic other = value_of(log.topic("other"));
    EXPECT_EQ(read_on(other).first, values(0, 6));
    EXPECT_EQ(value_of(other.append(record("next"))).offset, Offset{6});
    maintain(log);
    close(log);
}

TEST_F(JournalDamageTest, StaysNamedOverOpeningsUntilItIsAccepted) {
    const auto disk = damaged(2);
    for (int opening = 0; opening < 4; ++opening) {
        // The first opening finds it, so it accepts nothing yet. Two are closed in order, two are not.
        auto opened = try_open(*disk, {.accept_loss = opening == 0});
        ASSERT_TRUE(opened) << opened.error().message();
        Topic events = value_of(opened->topic("events"));
        expect_fenced(events);
        EXPECT_THAT(opened->losses(), ElementsAre(Loss{"events", 0, Offset{2}, Offset{3}}));
        Topic other = value_of(opened->topic("other"));
        fill(other, 6 + opening, 7 + opening);
        if (opening % 2 == 1) { close(*opened); }
    }
    // What was acknowledged behind the loss is there again, at its offsets.
    auto opened = try_open(*disk, {.accept_loss = true});
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_THAT(lines_, testing::Contains(HasSubstr("the loss of offsets [2, 3) of events-0 is accepted")));
    EXPECT_THAT(opened->losses(), testing::IsEmpty());
    Topic events = value_of(opened->topic("events"));
    std::vector<std::string> expected = values(0, 2);
    for (const std::string& value : values(3, 6)) { expected.push_back(value); }
    expect_reads(events, expected);
    EXPECT_EQ(value_of(events.append(record("next"))).offset, Offset{6});
    close(*opened);
    EXPECT_EQ(verify_directory(*disk, "data"), "");
    opened = try_open(*disk);
    ASSERT_TRUE(opened);
    events = value_of(opened->topic("events"));
    expected.push_back("next");
    expect_reads(events, expected);
}

// Also when nothing lies before it, and its directory is as new as what is set aside.
TEST_F(JournalDamageTest, WhatIsBehindItOutlivesPowerLossSetAsideAndBroughtBack) {
    for (const int which : {0, 2}) {
        const auto disk = damaged(which);
        { ASSERT_TRUE(try_open(*disk)); }  // sets it aside, and lets go of the journal
        const auto aside = disk->crash({.keep = Crash::Keep::nothing});
        std::vector<std::string> expected = values(0, which);
        for (const std::string& value : values(which + 1, 6)) { expected.push_back(value); }
        {
            auto opened = try_open(*aside, {.accept_loss = true});
            ASSERT_TRUE(opened) << opened.error().message();
            Topic events = value_of(opened->topic("events"));
            expect_reads(events, expected);
        }
        const auto back = aside->crash({.keep = Crash::Keep::nothing});
        auto opened = try_open(*back);
        ASSERT_TRUE(opened) << opened.error().message();
        Topic events = value_of(opened->topic("events"));
        expect_reads(events, expected);
    }
}

TEST_F(JournalDamageTest, NothingIsDoubtedWhenTheSegmentHasWhatTheCommitHeld) {
    SimDisk disk;
    int64_t at = 0;
    const std::string large(400'000, 'x');  // straight to the segment: the commit has place and sum only
    {
        Log log = open_on(disk);
        Topic topic = make(log, "events");
        fill(topic, 0, 2);
        ASSERT_TRUE(topic.append(record(large)));
        at = newest_commit(disk);
        ASSERT_TRUE(topic.append(record(large)));
        fill(topic, 4, 6);
    }
    const auto after = disk.crash({.keep = Crash::Keep::nothing});
    flip(*after, ring, at + 100);
    auto opened = try_open(*after);
    ASSERT_TRUE(opened) << opened.error().message();
    Topic topic = value_of(opened->topic("events"));
    const auto [found, error] = read_on(topic);
    EXPECT_EQ(found.size(), 6u);
    EXPECT_FALSE(error) << error->message();
    ASSERT_TRUE(topic.append(record("next")));
    close(*opened);
    EXPECT_EQ(verify_directory(*after, "data"), "");
}

TEST_F(JournalDamageTest, ADirectoryWhoseTopicsAreInDoubtIsRefused) {
    SimDisk disk;
    int64_t at = 0;
    {
        Log log = open_on(disk);
        make(log, "events");
        at = newest_commit(disk);
        Topic other = make(log, "other");
        fill(other, 0, 2);
    }
    const auto after = disk.crash({.keep = Crash::Keep::nothing});
    flip(*after, ring, at + 200);
    const auto opened = try_open(*after);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::corrupt);
    EXPECT_THAT(opened.error().detail, HasSubstr("held the topics' metadata"));
}

TEST_F(JournalDamageTest, ADirectoryWhoseCommittedOffsetsAreInDoubtIsRefused) {
    SimDisk disk;
    int64_t at = 0;
    {
        Log log = open_on(disk);
        Topic events = make(log, "events");
        const GroupOffset offsets[] = {{"events", 0, Offset{1}, ""}};
        fill(events, 0, 2);
        ASSERT_TRUE(log.commit_offsets("readers", offsets));
        at = newest_commit(disk);
        fill(events, 2, 3);
    }
    const auto after = disk.crash({.keep = Crash::Keep::nothing});
    flip(*after, ring, at + 200);
    const auto opened = try_open(*after);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::corrupt);
    EXPECT_THAT(opened.error().detail, HasSubstr("__consumer_offsets"));
}

TEST_F(JournalDamageTest, SeveralCommitsInARowHeldNobodyKnowsWhat) {
    SimDisk disk;
    std::vector<int64_t> at;
    {
        Log log = open_on(disk);
        Topic events = make(log, "events");
        for (int i = 0; i < 4; ++i) {
            fill(events, i, i + 1);
            at.push_back(newest_commit(disk));
        }
    }
    const auto after = disk.crash({.keep = Crash::Keep::nothing});
    flip(*after, ring, at[1] + 200);
    flip(*after, ring, at[2] + 200);
    const auto opened = try_open(*after);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::corrupt);
    EXPECT_THAT(opened.error().detail, HasSubstr("are missing before"));
}

TEST_F(JournalDamageTest, WhoOnlyLooksIsToldTheSame) {
    const auto disk = damaged(2);
    auto opened = try_open(*disk, {.read_only = true});
    ASSERT_TRUE(opened) << opened.error().message();
    Topic events = value_of(opened->topic("events"));
    const auto [found, error] = read_on(events);
    EXPECT_EQ(found, values(0, 2));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Code::corrupt);
    Topic other = value_of(opened->topic("other"));
    EXPECT_EQ(read_on(other).first, values(0, 6));
}

TEST_F(JournalDamageTest, ALogThatLostItsFirstRecordsGoesOnBehindThem) {
    const auto disk = damaged(0, 3);
    auto opened = try_open(*disk);
    ASSERT_TRUE(opened) << opened.error().message();
    close(*opened);
    opened = try_open(*disk, {.accept_loss = true});
    ASSERT_TRUE(opened) << opened.error().message();
    Topic events = value_of(opened->topic("events"));
    EXPECT_EQ(read_on(events).first, values(1, 3));
    EXPECT_EQ(value_of(events.append(record("next"))).offset, Offset{3});
    close(*opened);
    EXPECT_EQ(verify_directory(*disk, "data"), "");
}

// A batch's checksum does not cover its offset.
TEST_F(JournalDamageTest, ABatchWhoseOffsetWasRaisedIsNotTakenForOneFurtherOn) {
    SimDisk disk;
    {
        Log log = open_on(disk);
        Topic topic = make(log, "events");
        fill(topic, 0, 4);
        close(log);
    }
    for (const int64_t at : {6, 7}) {  // of the base offset's eight bytes; flip() adds 16 to one of them
        const auto after = disk.crash({.keep = Crash::Keep::everything});
        flip(*after, "events-0/00000000000000000000.log", at);
        auto opened = try_open(*after);
        ASSERT_TRUE(opened) << opened.error().message();
        Topic topic = value_of(opened->topic("events"));
        const auto [found, error] = read_on(topic);
        EXPECT_THAT(found, testing::IsEmpty());
        ASSERT_TRUE(error);
        EXPECT_EQ(error->code, Code::corrupt);
        EXPECT_THAT(error->detail, HasSubstr("00000000000000000000.log at byte 0"));
    }
}

TEST_F(JournalDamageTest, ARingThatIsCutShortIsNamedUnlessNothingOfItIsNeeded) {
    for (const bool closed : {false, true}) {
        SimDisk disk;
        {
            Log log = open_on(disk);
            Topic topic = make(log, "events");
            fill(topic, 0, 4);
            if (closed) { close(log); }
        }
        const auto after = disk.crash({.keep = Crash::Keep::nothing});
        {
            auto file = value_of(after->open(std::string("data/") + ring, {.write = true}));
            ASSERT_TRUE(after->truncate(*file, 5u << 20));
        }
        auto opened = try_open(*after);
        ASSERT_EQ(opened.has_value(), closed);
        if (!closed) {
            EXPECT_EQ(opened.error().code, Code::corrupt);
            EXPECT_THAT(opened.error().detail, HasSubstr(ring));
            continue;
        }
        Topic topic = value_of(opened->topic("events"));
        expect_reads(topic, values(0, 4));
        fill(topic, 4, 5);
        close(*opened);
    }
}

// --- below a checkpoint ----------------------------------------------------------------------------------------------

// Fifty records below a checkpoint that is not exact, so that an opening after a crash looks for the end in the file.
class ProvenDamageTest : public JournalDamageTest {
protected:
    std::unique_ptr<SimDisk> crashed() {
        SimDisk disk;
        {
            Log log = open_on(disk);
            Topic topic = make(log, "events");
            fill(topic, 0, 12);
            ASSERT_TRUE_(log.checkpoint());
            Topic aged = make(log, "aged", {{"internal.segment.bytes", "4000"}, {"retention.bytes", "1000000"}});
            fill(aged, 0, 6);
            for (int i = 0; i < 3; ++i) { maintain(log); }
        }
        return disk.crash({.keep = Crash::Keep::nothing});
    }
    static void ASSERT_TRUE_(const Result<void>& done) { ASSERT_TRUE(done) << done.error().message(); }
    static constexpr char segment[] = "events-0/00000000000000000000.log";
};

TEST_F(ProvenDamageTest, WhatFollowsItIsNeitherCutNorLost) {
    const auto disk = crashed();
    flip(*disk, segment, 5 * 1100);
    const auto size = value_of(disk->info(std::string("data/") + segment)).bytes;
    for (int opening = 0; opening < 3; ++opening) {
        auto opened = try_open(*disk);
        ASSERT_TRUE(opened) << opened.error().message();
        Topic topic = value_of(opened->topic("events"));
        const auto [found, error] = read_on(topic);
        EXPECT_EQ(found, values(0, 5));
        ASSERT_TRUE(error);
        EXPECT_EQ(error->code, Code::corrupt);
        EXPECT_EQ(read_on(topic, Offset{9}).first, values(9, 12));
        const auto refused = topic.append(record("next"));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::corrupt);
        EXPECT_THAT(refused.error().detail, HasSubstr(std::string(segment) + ": offsets [5, 6) are lost"));
        EXPECT_EQ(value_of(disk->info(std::string("data/") + segment)).bytes, size);
        if (opening == 1) { close(*opened); }
    }
    auto opened = try_open(*disk, {.accept_loss = true});
    ASSERT_TRUE(opened) << opened.error().message();
    Topic topic = value_of(opened->topic("events"));
    EXPECT_EQ(value_of(topic.append(record("next"))).offset, Offset{12});
    EXPECT_EQ(read_on(topic, Offset{9}).first.size(), 4u);
    close(*opened);
}

TEST_F(ProvenDamageTest, AtTheEndTheOffsetsBehindItAreNotGivenAgain) {
    const auto disk = crashed();
    const auto size = value_of(disk->info(std::string("data/") + segment)).bytes;
    flip(*disk, segment, static_cast<int64_t>(size) - 10);
    {
        auto opened = try_open(*disk);
        ASSERT_TRUE(opened) << opened.error().message();
        Topic topic = value_of(opened->topic("events"));
        const auto [found, error] = read_on(topic);
        EXPECT_EQ(found, values(0, 11));
        ASSERT_TRUE(error);
        EXPECT_THAT(error->detail, HasSubstr("offsets [11, 12) are lost"));
        EXPECT_FALSE(topic.append(record("next")));
        close(*opened);
        EXPECT_EQ(value_of(disk->info(std::string("data/") + segment)).bytes, size);
    }
    auto opened = try_open(*disk, {.accept_loss = true});
    ASSERT_TRUE(opened) << opened.error().message();
    Topic topic = value_of(opened->topic("events"));
    EXPECT_EQ(value_of(topic.append(record("next"))).offset, Offset{12});
    auto expected = values(0, 11);
    expected.emplace_back("next");
    expect_reads(topic, expected);
    close(*opened);
    EXPECT_EQ(verify_directory(*disk, "data"), "");
}

TEST_F(ProvenDamageTest, AFileThatIsCutShortIsNamed) {
    const auto disk = crashed();
    {
        auto file = value_of(disk->open(std::string("data/") + segment, {.write = true}));
        ASSERT_TRUE(disk->truncate(*file, 5000));
    }
    auto opened = try_open(*disk);
    ASSERT_TRUE(opened) << opened.error().message();
    Topic topic = value_of(opened->topic("events"));
    const auto [found, error] = read_on(topic);
    EXPECT_EQ(found, values(0, 4));
    ASSERT_TRUE(error);
    EXPECT_THAT(error->detail, HasSubstr("offsets [4, 12) are lost"));
}

// Nobody has read what lies below the boundary when the index is brought up to date from it.
TEST_F(ProvenDamageTest, ABatchBelowTheBoundaryWhoseHeaderDoesNotHoldIsNoReasonToDie) {
    const auto whole = crashed();
    const auto first = value_of(read_file(*whole, std::string("data/") + segment, 1u << 20));
    const int64_t batch_bytes = int64_t{12} + load_be<int32_t>(first.data() + 8);
    for (int batch = 0; batch < 12; ++batch) {
        const auto disk = whole->crash({.keep = Crash::Keep::everything});
        auto file = value_of(disk->open(std::string("data/") + segment, {.write = true}));
        std::byte delta[4];
        store_be<int32_t>(delta, INT32_MIN);
        ASSERT_TRUE(write_at(*disk, *file, BytePos{batch * batch_bytes + 23}, delta));
        auto opened = try_open(*disk);
        ASSERT_TRUE(opened) << opened.error().message();
        Topic topic = value_of(opened->topic("events"));
        const auto [found, error] = read_on(topic);
        EXPECT_EQ(found, values(0, batch));
        ASSERT_TRUE(error);
        EXPECT_EQ(error->code, Code::corrupt);
        EXPECT_THAT(error->detail, HasSubstr(segment));
    }
}

// --- in a finished segment -------------------------------------------------------------------------------------------

// Ends between two batches like one that compaction left, but its seal knows how long it was.
class CutSegmentTest : public JournalDamageTest {
protected:
    // Four finished segments; the second one holds the offsets 3 to 5.
    void make_segments(const ConfigMap& configs) {
        Log log = open();
        ConfigMap all = {{"internal.segment.bytes", "3500"}};
        all.insert(all.end(), configs.begin(), configs.end());
        Topic topic = make(log, "events", all);
        fill(topic, 0, 13);
        close(log);
    }
    // A copy whose second segment has so many batches left.
    std::unique_ptr<SimDisk> cut(int batches) const {
        auto disk = copy();
        const auto bytes = value_of(read_file(*disk, segment, 1u << 20));
        const uint64_t batch_bytes = uint64_t{12} + load_be<uint32_t>(bytes.data() + 8);
        auto file = value_of(disk->open(segment, {.write = true}));
        EXPECT_TRUE(disk->truncate(*file, static_cast<uint64_t>(batches) * batch_bytes));
        return disk;
    }
    static constexpr char segment[] = "data/events-0/00000000000000000003.log";
};

TEST_F(CutSegmentTest, IsNamedWhereItsRecordsEnd) {
    make_segments({});
    for (const int kept : {2, 1, 0}) {
        const auto disk = cut(kept);
        Log log = open_on(*disk);
        Topic topic = value_of(log.topic("events"));
        for (const int from : {0, 3, 3 + kept, 5}) {
            const auto [found, error] = read_on(topic, Offset{from});
            EXPECT_EQ(found, values(from, std::max(from, 3 + kept)));
            ASSERT_TRUE(error);
            EXPECT_EQ(error->code, Code::corrupt);
            EXPECT_THAT(error->detail, HasSubstr(segment));
            EXPECT_THAT(error->detail, HasSubstr("the file is cut short"));
        }
        EXPECT_EQ(read_on(topic, Offset{6}).first, values(6, 13));
        close(log);
    }
}

TEST_F(CutSegmentTest, IsNotTakenForCompacted) {
    make_segments({{"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0.01"}});
    const auto disk = cut(2);
    auto log = try_open(*disk);
    ASSERT_TRUE(log) << log.error().message();
    maintain(*log);
    EXPECT_THAT(lines_, ElementsAre(AllOf(HasSubstr("not compacted"), HasSubstr(segment))));
    Topic topic = value_of(log->topic("events"));
    EXPECT_TRUE(read_on(topic, Offset{3}).second);
}

}  // namespace
}  // namespace flowstone
