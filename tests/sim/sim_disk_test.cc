#include "tests/sim/world/sim_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "tests/sim/world/faulty_disk.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {
namespace {

constexpr uint64_t sector = 512;
constexpr uint64_t seeds = 200;

std::unique_ptr<File> open_file(Disk& disk, const std::string& path,
                                OpenOptions options = {.write = true, .create = true}) {
    auto file = disk.open(path, options);
    EXPECT_TRUE(file) << file.error().message();
    return std::move(*file);
}

int32_t write_bytes(Disk& disk, File& file, uint64_t at, const std::string& bytes, Io::Kind kind = Io::Kind::write) {
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    Io request{.kind = kind, .file = &file, .at = BytePos{static_cast<int64_t>(at)}, .pieces = {&piece, 1}};
    disk.run({&request, 1});
    return request.os_errno;
}

std::string filled(uint64_t sectors, char with) { return std::string(sectors * sector, with); }

// The content, or nothing when there is no such file.
std::optional<std::string> content(Disk& disk, const std::string& path) {
    auto bytes = read_file(disk, path, 1 << 20);
    if (!bytes) { return std::nullopt; }
    return std::string(as_text(*bytes));
}

// A file that is durable, name and all.
std::unique_ptr<File> durable_file(Disk& disk, const std::string& path, const std::string& bytes) {
    auto file = open_file(disk, path);
    EXPECT_EQ(write_bytes(disk, *file, 0, bytes), 0);
    EXPECT_TRUE(sync(disk, *file));
    EXPECT_TRUE(disk.sync_directory(parent_path(path)));
    return file;
}

// What a file may hold after a crash now, over many seeds.
std::set<std::optional<std::string>> outcomes(const SimDisk& disk, const std::string& path) {
    std::set<std::optional<std::string>> found;
    for (uint64_t seed = 0; seed < seeds; ++seed) {
        auto after = disk.crash({.seed = seed});
        found.insert(content(*after, path));
    }
    return found;
}

std::optional<std::string> after_crash(const SimDisk& disk, const std::string& path, Crash::Keep keep,
                                       uint64_t prefix = 0) {
    auto after = disk.crash({.keep = keep, .prefix = prefix});
    return content(*after, path);
}

TEST(SimDisk, UnsyncedWritesSurviveInAnySubsetOfSectors) {
    SimDisk disk;
    auto file = durable_file(disk, "a", filled(3, 'o'));
    ASSERT_EQ(write_bytes(disk, *file, 0, filled(3, 'n')), 0);
    std::set<std::string> mixtures;
    bool noise = false;
    for (const auto& outcome : outcomes(disk, "a")) {
        ASSERT_TRUE(outcome);
        ASSERT_EQ(outcome->size(), 3 * sector);
        std::string mixture;
        for (uint64_t i = 0; i < 3; ++i) {
            const std::string one = outcome->substr(i * sector, sector);
            mixture += one == filled(1, 'o') ? 'o' : one == filled(1, 'n') ? 'n' : '?';
        }
        mixtures.insert(mixture);
        noise = noise || mixture.find('?') != std::string::npos;
    }
    for (const char* expected : {"ooo", "oon", "ono", "onn", "noo", "non", "nno", "nnn"}) {
        EXPECT_TRUE(mixtures.contains(expected)) << expected;
    }
    EXPECT_TRUE(noise) << "a sector in flight may hold noise although it rewrote durable bytes";
}

TEST(SimDisk, AnOlderUnsyncedVersionOfASectorMaySurvive) {
    SimDisk disk;
    auto file = durable_file(disk, "a", filled(1, '0'));
    ASSERT_EQ(write_bytes(disk, *file, 0, filled(1, '1')), 0);
    ASSERT_EQ(write_bytes(disk, *file, 0, filled(1, '2')), 0);
    const auto found = outcomes(disk, "a");
    for (const char version : {'0', '1', '2'}) { EXPECT_TRUE(found.contains(filled(1, version))) << version; }
}

TEST(SimDisk, ABufferedWritePutsItsWholePageAtRiskAndADirectOneDoesNot) {
    SimDisk disk;
    durable_file(disk, "buffered", filled(8, 'o'));
    auto file = open_file(disk, "buffered");
    ASSERT_EQ(write_bytes(disk, *file, 7 * sector, filled(1, 'n')), 0);
    bool first_sector_damaged = false;
    for (const auto& outcome : outcomes(disk, "buffered")) {
        first_sector_damaged |= outcome->substr(0, sector) != filled(1, 'o');
    }
    EXPECT_TRUE(first_sector_damaged);

    durable_file(disk, "direct", filled(16, 'o'));
    auto direct = open_file(disk, "direct", {.write = true, .direct = true});
    alignas(4096) static char block[4096];
    std::fill(std::begin(block), std::end(block), 'n');
    ASSERT_TRUE(write_at(disk, *direct, BytePos{4096}, std::as_bytes(std::span(block))));
    for (const auto& outcome : outcomes(disk, "direct")) { EXPECT_EQ(outcome->substr(0, 4096), filled(8, 'o')); }
}

TEST(SimDisk, WriteDurableKeepsItsOwnBytesAndNoOthers) {
    SimDisk disk;
    auto file = durable_file(disk, "a", filled(4, 'o'));
    auto other = durable_file(disk, "b", filled(1, 'o'));
    ASSERT_EQ(write_bytes(disk, *file, 0, filled(1, 'x')), 0);
    ASSERT_EQ(write_bytes(disk, *other, 0, filled(1, 'x')), 0);
    ASSERT_EQ(write_bytes(disk, *file, 2 * sector, filled(1, 'd'), Io::Kind::write_durable), 0);
    EXPECT_EQ(after_crash(disk, "a", Crash::Keep::nothing), filled(2, 'o') + filled(1, 'd') + filled(1, 'o'));
    EXPECT_EQ(after_crash(disk, "b", Crash::Keep::nothing), filled(1, 'o'));
    EXPECT_EQ(after_crash(disk, "a", Crash::Keep::everything),
              filled(1, 'x') + filled(1, 'o') + filled(1, 'd') + filled(1, 'o'));
}

TEST(SimDisk, WriteDurableKeepsTheSizeThatItsBytesNeed) {
    SimDisk disk;
    auto file = durable_file(disk, "a", filled(1, 'o'));
    ASSERT_EQ(write_bytes(disk, *file, 3 * sector, filled(1, 'd'), Io::Kind::write_durable), 0);
    for (const auto& outcome : outcomes(disk, "a")) {
        EXPECT_EQ(outcome, filled(1, 'o') + filled(2, '\0') + filled(1, 'd'));
    }
    // A longer write that was not durable may still lose its size.
    ASSERT_EQ(write_bytes(disk, *file, 4 * sector, filled(1, 'x')), 0);
    EXPECT_EQ(after_crash(disk, "a", Crash::Keep::nothing)->size(), 4 * sector);
}

TEST(SimDisk, TheSizeMaySurviveWithoutTheBytesAndTheBytesWithoutTheSize) {
    SimDisk disk;
    auto file = durable_file(disk, "a", "");
    ASSERT_EQ(write_bytes(disk, *file, 0, filled(1, 'n')), 0);
    const auto found = outcomes(disk, "a");
    EXPECT_TRUE(found.contains(filled(1, '\0')));
    EXPECT_TRUE(found.contains(""));
    EXPECT_TRUE(found.contains(filled(1, 'n')));
}

TEST(SimDisk, WhatIsSyncedSurvivesEveryCrash) {
    SimDisk disk;
    auto file = durable_file(disk, "a", filled(2, 'o'));
    ASSERT_EQ(write_bytes(disk, *file, 100, filled(20, 'n')), 0);
    ASSERT_TRUE(sync(disk, *file));
    EXPECT_THAT(outcomes(disk, "a"), testing::ElementsAre(std::string(100, 'o') + filled(20, 'n')));
}

TEST(SimDisk, ASyncedFileIsLostWithItsUnsyncedName) {
    SimDisk disk;
    auto file = open_file(disk, "a");
    ASSERT_EQ(write_bytes(disk, *file, 0, "stone"), 0);
    ASSERT_TRUE(sync(disk, *file));
    EXPECT_THAT(outcomes(disk, "a"), testing::UnorderedElementsAre(std::nullopt, std::optional<std::string>("stone")));
    ASSERT_TRUE(disk.sync_directory("."));
    EXPECT_THAT(outcomes(disk, "a"), testing::ElementsAre(std::optional<std::string>("stone")));
}

TEST(SimDisk, AnUnsyncedDirectoryTakesItsFilesWithIt) {
    SimDisk disk;
    ASSERT_TRUE(disk.make_directory("d"));
    durable_file(disk, "d/a", "stone");  // syncs d, but d's own name is not
    EXPECT_EQ(after_crash(disk, "d/a", Crash::Keep::nothing), std::nullopt);
    ASSERT_TRUE(disk.sync_directory("."));
    EXPECT_EQ(after_crash(disk, "d/a", Crash::Keep::nothing), "stone");
}

TEST(SimDisk, ARemovedFileMayComeBackUntilTheDirectoryIsSynced) {
    SimDisk disk;
    durable_file(disk, "a", "stone");
    ASSERT_TRUE(disk.remove("a"));
    EXPECT_FALSE(disk.info("a"));
    EXPECT_THAT(outcomes(disk, "a"), testing::UnorderedElementsAre(std::nullopt, std::optional<std::string>("stone")));
    ASSERT_TRUE(disk.sync_directory("."));
    EXPECT_THAT(outcomes(disk, "a"), testing::ElementsAre(std::nullopt));
}

TEST(SimDisk, ARenameIsAtomicAndLosesNoFileWhateverSurvives) {
    SimDisk disk;
    durable_file(disk, "a", "old");
    ASSERT_TRUE(disk.rename("a", "b"));
    auto next = open_file(disk, "a");
    ASSERT_EQ(write_bytes(disk, *next, 0, "new"), 0);
    ASSERT_TRUE(sync(disk, *next));
    ASSERT_TRUE(disk.rename("b", "c"));
    for (uint64_t seed = 0; seed < seeds; ++seed) {
        auto after = disk.crash({.seed = seed});
        int found = 0;
        for (const char* name : {"a", "b", "c"}) { found += content(*after, name) == "old" ? 1 : 0; }
        EXPECT_EQ(found, 1) << seed;
    }
}

TEST(SimDisk, DirectoriesKeepTheirFilesWhenRenamed) {
    SimDisk disk;
    ASSERT_TRUE(disk.make_directory("t-0"));
    auto file = durable_file(disk, "t-0/log", "stone");
    ASSERT_TRUE(disk.sync_directory("/"));
    ASSERT_TRUE(disk.rename("t-0", "t-0.deleted"));
    EXPECT_EQ(content(disk, "t-0.deleted/log"), "stone");
    EXPECT_EQ(disk.rename("t-0.deleted", "t-0.deleted/x").error().os_errno, EINVAL);
    EXPECT_EQ(after_crash(disk, "t-0/log", Crash::Keep::nothing), "stone");
    EXPECT_EQ(after_crash(disk, "t-0.deleted/log", Crash::Keep::everything), "stone");
    ASSERT_TRUE(disk.sync_directory("."));
    EXPECT_EQ(after_crash(disk, "t-0.deleted/log", Crash::Keep::nothing), "stone");
}

TEST(SimDisk, ReplaceFileLeavesTheOldOrTheNewAtEveryCrash) {
    SimDisk disk({.record = true});
    ASSERT_TRUE(disk.make_directory("d"));
    ASSERT_TRUE(disk.sync_directory("."));
    const std::string versions[] = {std::string(5000, '1'), std::string(100, '2'), std::string(9000, '3')};
    std::vector<uint64_t> done;
    for (const std::string& version : versions) {
        ASSERT_TRUE(replace_file(disk, "d/meta", as_bytes(version)));
        done.push_back(disk.operations());
    }
    const auto points = disk.all_crashes(50, done[0]);
    EXPECT_GT(points.size(), 500u);
    for (const CrashPoint& point : points) {
        auto after = disk.crash_state(point);
        const auto found = content(*after, "d/meta");
        ASSERT_TRUE(found) << point.to_string();
        const size_t at_least = point.operation >= done[2] ? 2 : point.operation >= done[1] ? 1 : 0;
        const bool right = *found == versions[at_least] || (at_least < 2 && *found == versions[at_least + 1]);
        ASSERT_TRUE(right) << point.to_string();
    }
}

TEST(SimDisk, ReplaceFileWithoutOneOfItsSyncsIsCaught) {
    for (const auto skipped : {FaultyDisk::Call::sync, FaultyDisk::Call::sync_directory}) {
        SimDisk below({.record = true});
        FaultyDisk disk(below);
        ASSERT_TRUE(replace_file(disk, "meta", as_bytes("old")));
        disk.skip(skipped);
        ASSERT_TRUE(replace_file(disk, "meta", as_bytes("new")));
        bool lost = false;
        for (const CrashPoint& point : below.all_crashes(20, below.operations())) {
            auto after = below.crash_state(point);
            lost = lost || content(*after, "meta") != "new";
        }
        EXPECT_TRUE(lost) << FaultyDisk::name(skipped);
    }
}

TEST(SimDisk, AFailedSyncDropsWhatItCoveredAndTheNextOneSucceeds) {
    bool lost = false;
    for (int i = 0; i < 10; ++i) {
        SimDisk disk;
        auto file = durable_file(disk, "a", filled(8, 'o'));
        for (int padding = 0; padding < i; ++padding) { ASSERT_TRUE(disk.sync_directory(".")); }  // another seed
        ASSERT_EQ(write_bytes(disk, *file, 0, filled(8, 'n')), 0);
        Io failing{.kind = Io::Kind::sync, .file = file.get()};
        disk.run_failing({&failing, 1}, EIO);
        EXPECT_EQ(failing.os_errno, EIO);
        EXPECT_EQ(content(disk, "a"), filled(8, 'n')) << "the cache still shows it";
        ASSERT_TRUE(sync(disk, *file));
        const auto found = outcomes(disk, "a");
        ASSERT_EQ(found.size(), 1u) << "nothing is dirty, so nothing is left to chance";
        lost = lost || *found.begin() != filled(8, 'n');
        disk.drop_cache(*file);
        EXPECT_EQ(content(disk, "a"), *found.begin()) << "without the cache the device shows";
    }
    EXPECT_TRUE(lost);
}

TEST(SimDisk, AFailedSyncLosesBytesButNotTheSize) {
    SimDisk disk;
    auto file = durable_file(disk, "a", filled(32, 'o'));
    ASSERT_TRUE(disk.truncate(*file, 0));
    ASSERT_EQ(write_bytes(disk, *file, 0, filled(16, 'n')), 0);
    Io failing{.kind = Io::Kind::sync, .file = file.get()};
    disk.run_failing({&failing, 1}, EIO);
    const auto found = outcomes(disk, "a");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ((*found.begin())->size(), 16 * sector);
    EXPECT_EQ((*found.begin())->find('o'), std::string::npos) << "what was cut stays cut";
}

TEST(SimDisk, AFailedWriteMayLeaveSomeOfItsSectors) {
    SimDisk disk;
    auto file = durable_file(disk, "a", filled(64, 'o'));
    const std::string bytes = filled(64, 'n');
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    Io request{.kind = Io::Kind::write_durable, .file = file.get(), .pieces = {&piece, 1}};
    disk.run_failing({&request, 1}, EIO);
    EXPECT_EQ(request.os_errno, EIO);
    const std::string now = *content(disk, "a");
    EXPECT_NE(now, filled(64, 'o'));
    EXPECT_NE(now, bytes);
    EXPECT_EQ(after_crash(disk, "a", Crash::Keep::nothing), filled(64, 'o'));
}

TEST(SimDisk, ATruncationThatSurvivedHidesWhatItCut) {
    SimDisk disk;
    auto file = durable_file(disk, "a", filled(32, 'o'));
    ASSERT_TRUE(disk.truncate(*file, sector));
    ASSERT_EQ(write_bytes(disk, *file, 24 * sector, filled(1, 'n')), 0);
    bool cut_seen = false;
    for (uint64_t seed = 0; seed < seeds; ++seed) {
        auto after = disk.crash({.seed = seed});
        const std::string found = *content(*after, "a");
        if (found.size() == 32 * sector) { continue; }  // the truncation did not survive
        cut_seen = true;
        // Between the cut and the new write nothing was ever written again (the last page is the new write's own).
        for (uint64_t i = 8 * sector; i < std::min<uint64_t>(found.size(), 24 * sector); ++i) {
            ASSERT_EQ(found[i], '\0') << seed;
        }
    }
    EXPECT_TRUE(cut_seen);
    ASSERT_TRUE(sync(disk, *file));
    EXPECT_THAT(outcomes(disk, "a"), testing::ElementsAre(filled(1, 'o') + filled(23, '\0') + filled(1, 'n')));
}

TEST(SimDisk, ADurableWriteAfterATruncationCommitsIt) {
    SimDisk disk;
    auto file = durable_file(disk, "a", filled(32, 'o'));
    ASSERT_TRUE(disk.truncate(*file, 0));
    ASSERT_EQ(write_bytes(disk, *file, 0, filled(16, 'd'), Io::Kind::write_durable), 0);
    EXPECT_THAT(outcomes(disk, "a"), testing::ElementsAre(filled(16, 'd')));
}

TEST(SimDisk, TheDiskFillsUpAndSpaceComesBack) {
    SimDisk disk({.bytes_max = 16 * 4096});
    auto file = open_file(disk, "a");
    ASSERT_TRUE(disk.allocate(*file, BytePos{0}, BytePos{8 * 4096}, true));
    EXPECT_EQ(disk.free_bytes("."), 8u * 4096);
    EXPECT_EQ(disk.size(*file), 0u);
    EXPECT_EQ(disk.allocate(*file, BytePos{0}, BytePos{17 * 4096}, true).error().code, Code::no_space);
    EXPECT_EQ(write_bytes(disk, *file, 0, std::string(8 * 4096, 'x')), 0) << "reserved space is there";
    auto other = open_file(disk, "b");
    EXPECT_EQ(write_bytes(disk, *other, 0, std::string(9 * 4096, 'x')), ENOSPC);
    EXPECT_EQ(disk.size(*other), 8u * 4096) << "what still fitted was written";
    EXPECT_EQ(disk.free_bytes("."), 0u);
    ASSERT_TRUE(disk.truncate(*file, 4096));
    EXPECT_EQ(disk.free_bytes("."), 7u * 4096);
    ASSERT_TRUE(disk.remove("b"));
    EXPECT_EQ(disk.free_bytes("."), 7u * 4096) << "an open file keeps its room";
    other.reset();
    EXPECT_EQ(disk.free_bytes("."), 15u * 4096);
}

TEST(SimDisk, RequestsOfOneRunAreTornTogether) {
    SimDisk disk({.record = true});
    auto a = durable_file(disk, "a", filled(1, 'o'));
    auto b = durable_file(disk, "b", filled(1, 'o'));
    const std::string bytes = filled(1, 'n');
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    Io requests[] = {{.kind = Io::Kind::write_durable, .file = a.get(), .pieces = {&piece, 1}},
                     {.kind = Io::Kind::write_durable, .file = b.get(), .pieces = {&piece, 1}}};
    const uint64_t operation = disk.operations();
    disk.run(requests);
    EXPECT_EQ(disk.describe(operation), "run: write_durable a at 0 +512 write_durable b at 0 +512");
    std::set<std::string> pairs;
    for (uint64_t seed = 0; seed < seeds; ++seed) {
        auto during = disk.crash_state({operation, true, {.seed = seed}});
        pairs.insert({content(*during, "a")->front(), content(*during, "b")->front()});
        auto after = disk.crash_state({operation + 1, false, {.seed = seed}});
        EXPECT_EQ(*content(*after, "a") + *content(*after, "b"), filled(2, 'n'));
        auto before = disk.crash_state({operation, false, {.seed = seed}});
        EXPECT_EQ(*content(*before, "a") + *content(*before, "b"), filled(2, 'o'));
    }
    for (const char* pair : {"oo", "on", "no", "nn"}) { EXPECT_TRUE(pairs.contains(pair)) << pair; }
}

TEST(SimDisk, ACrashRepeatsByteForByteAndLeavesTheDiskAlone) {
    SimDisk disk;
    auto file = durable_file(disk, "a", filled(100, 'o'));
    ASSERT_EQ(write_bytes(disk, *file, 50, filled(100, 'n')), 0);
    const auto before = content(disk, "a");
    for (uint64_t seed = 0; seed < 50; ++seed) {
        auto first = disk.crash({.seed = seed});
        auto second = disk.crash({.seed = seed});
        auto file_of_first = open_file(*first, "a");
        EXPECT_EQ(content(*first, "a"), content(*second, "a"));
        ASSERT_EQ(write_bytes(*first, *file_of_first, 0, filled(200, 'z')), 0);
        EXPECT_NE(content(*first, "a"), content(*second, "a"));
        EXPECT_EQ(content(disk, "a"), before);
    }
}

TEST(SimDisk, ALockVanishesInACrash) {
    SimDisk disk;
    auto lock = disk.lock(".lock");
    ASSERT_TRUE(lock);
    EXPECT_EQ(disk.lock(".lock").error().code, Code::locked);
    auto after = disk.crash({});
    EXPECT_TRUE(after->lock(".lock"));
}

// An independent model: for each sector the last durable bytes and every version written since, with its operation.
TEST(SimDisk, RandomWritesAgreeWithASimpleModel) {
    constexpr uint64_t sectors = 64;
    for (uint64_t round = 0; round < 20; ++round) {
        SimRandom random(round);
        SimDisk disk;
        auto file = durable_file(disk, "a", filled(sectors, '.'));
        std::vector<char> durable(sectors, '.');
        std::vector<std::vector<std::pair<uint64_t, char>>> versions(sectors);
        for (int step = 0; step < 60; ++step) {
            const uint64_t first = random.below(sectors);
            const uint64_t count = 1 + random.below(std::min<uint64_t>(20, sectors - first));
            const char with = static_cast<char>('A' + random.below(26));
            const uint64_t operation = disk.operations();
            const uint64_t kind = random.below(8);
            if (kind == 0) {
                ASSERT_TRUE(sync(disk, *file));
                for (uint64_t i = 0; i < sectors; ++i) {
                    if (!versions[i].empty()) { durable[i] = versions[i].back().second; }
                    versions[i].clear();
                }
                continue;
            }
            const bool is_durable = kind < 4;
            ASSERT_EQ(write_bytes(disk, *file, first * sector, filled(count, with),
                                  is_durable ? Io::Kind::write_durable : Io::Kind::write),
                      0);
            for (uint64_t i = first; i < first + count; ++i) {
                if (is_durable) {
                    durable[i] = with;
                    versions[i].clear();
                } else {
                    versions[i].push_back({operation, with});
                }
            }
        }
        for (uint64_t prefix = 0; prefix <= disk.operations(); ++prefix) {
            std::string expected;
            for (uint64_t i = 0; i < sectors; ++i) {
                char with = durable[i];
                for (const auto& [operation, value] : versions[i]) { with = operation < prefix ? value : with; }
                expected += filled(1, with);
            }
            ASSERT_EQ(after_crash(disk, "a", Crash::Keep::prefix, prefix), expected) << round << ' ' << prefix;
        }
    }
}

TEST(FaultyDisk, TheNthCallFailsAndTheOthersPass) {
    SimDisk below;
    FaultyDisk disk(below);
    disk.fail_at(2, EIO);
    auto file = disk.open("a", {.write = true, .create = true});
    ASSERT_TRUE(file);
    EXPECT_TRUE(write_at(disk, **file, BytePos{0}, as_bytes("x")));
    EXPECT_EQ(sync(disk, **file).error().os_errno, EIO);
    EXPECT_TRUE(sync(disk, **file));
    EXPECT_EQ(disk.calls(), 4u);
    EXPECT_EQ(disk.calls(FaultyDisk::Call::sync), 2u);

    disk.fail_at(FaultyDisk::Call::write, 1, ENOSPC, true);
    for (int i = 0; i < 3; ++i) { EXPECT_EQ(write_bytes(disk, **file, 0, "y"), ENOSPC); }
    EXPECT_TRUE(disk.info("a"));
    disk.heal();
    EXPECT_TRUE(write_at(disk, **file, BytePos{0}, as_bytes("y")));
}

TEST(FaultyDisk, ASkippedDurableWriteIsAPlainOne) {
    SimDisk below;
    FaultyDisk disk(below);
    auto file = durable_file(disk, "a", filled(1, 'o'));
    disk.skip(FaultyDisk::Call::write_durable, 1);
    ASSERT_EQ(write_bytes(disk, *file, 0, filled(1, '1'), Io::Kind::write_durable), 0);
    ASSERT_EQ(write_bytes(disk, *file, 0, filled(1, '2'), Io::Kind::write_durable), 0);
    EXPECT_EQ(content(disk, "a"), filled(1, '2'));
    EXPECT_EQ(after_crash(below, "a", Crash::Keep::nothing), filled(1, '1'));
}

}  // namespace
}  // namespace flowstone
