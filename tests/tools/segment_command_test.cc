#include "tools/flowstone/segment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "storage/batch.h"
#include "storage/compression.h"
#include "storage/meta_files.h"
#include "storage/seal.h"
#include "storage/segment_files.h"
#include "storage/segment_index.h"
#include "tests/paths.h"
#include "tests/storage/value_of.h"
#include "tests/tools/masked.h"

namespace flowstone::tool {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// A small data directory as a log leaves it, and the tool run on it as its users do.
class SegmentCommandTest : public testing::Test {
protected:
    SegmentCommandTest() {
        char path[] = "/tmp/flowstone_segment_XXXXXX";
        root_ = std::string(::mkdtemp(path)) + "/data";
        EXPECT_TRUE(disk_->make_directory(root_));
        EXPECT_TRUE(disk_->make_directory(partition()));
        EXPECT_TRUE(disk_->make_directory(root_ + "/lost+found"));
        const Uuid cluster = value_of(Uuid::parse("MkU3OEVBNTcwNTJENDM2Qg"));
        const Uuid topic = value_of(Uuid::parse("ABEiM0RVZneImaq7zN3u_w"));
        EXPECT_TRUE(write_meta_properties(
            *disk_, root_, {.cluster_id = cluster.to_string(), .node_id = 1, .directory_id = {}, .others = {}}));
        EXPECT_TRUE(write_partition_metadata(*disk_, partition(), topic));
        const std::vector<EpochStart> epochs = {{Epoch{0}, Offset{0}}};
        EXPECT_TRUE(write_leader_epochs(*disk_, partition(), epochs));
        for (const int64_t base : {0, 6}) { write_segment(base, {cluster, topic, 3, Offset{base}}); }
    }
    ~SegmentCommandTest() override { std::filesystem::remove_all(parent_path(root_)); }

    std::string partition() const { return root_ + "/payments-3"; }
    std::string log(int64_t base) const {
        return join_path(partition(), segment_file_name(Offset{base}, SegmentFile::log));
    }
    std::string seal(int64_t base) const {
        return join_path(partition(), segment_file_name(Offset{base}, SegmentFile::seal));
    }

    // Three batches of two records, the second one compressed. The segment at 0 is sealed.
    void write_segment(int64_t base, const SealPlace& place) {
        auto file = disk_->open(log(base), {.write = true, .create = true});
        ASSERT_TRUE(file);
        SegmentIndex index(partition(), Offset{base});
        SealBuilder builder(place);
        BytePos at{0};
        for (int64_t offset = base; offset < base + 6; offset += 2) {
            std::vector<std::byte> space(4096);
            BatchBuilder batch(space, {.base_offset = Offset{offset}});
            for (int64_t i = offset; i < offset + 2; ++i) {
                const std::string key = "card-" + std::to_string(i);
                const std::string value = "{\"merchant\":\"Corner Shop " + std::to_string(i) + "\"}";
                ASSERT_TRUE(batch.append({.key = key, .value = value}, 1'396'310'400'000 + i));
            }
            BatchView view = batch.close();
            std::vector<std::byte> smaller;
            if (offset == base + 2) { view = value_of(recompress(view, Codec::zstd, smaller)); }
            ASSERT_TRUE(write_at(*disk_, **file, at, view.bytes()));
            index.note(view, at);
            builder.update(view.bytes());
            at = at + view.size();
        }
        index.close();
        ASSERT_TRUE(index.flush(*disk_));
        if (base == 0) { ASSERT_TRUE(write_seal(*disk_, partition(), builder.finish(Offset{6}, SealOrigin::append))); }
    }

    struct Ran {
        int exit = -1;
        std::string out;
        std::string error;
    };
    Ran run(const std::string& arguments) const {
        const std::string error_path = parent_path(root_) + "/error";
        const std::string command = tool_path() + " segment " + arguments + " 2>" + error_path;
        Ran ran;
        FILE* pipe = ::popen(command.c_str(), "r");
        char buffer[4096];
        while (const size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) { ran.out.append(buffer, count); }
        const int status = ::pclose(pipe);
        ran.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        std::ifstream error(error_path);
        ran.error.assign(std::istreambuf_iterator<char>(error), {});
        return ran;
    }
    void flip(const std::string& path, int64_t at) {
        auto content = value_of(read_file(*disk_, path, 1 << 20));
        content[static_cast<size_t>(at)] ^= std::byte{1};
        auto file = disk_->open(path, {.write = true});
        ASSERT_TRUE(write_at(*disk_, **file, BytePos{0}, content));
    }
    std::string content(const std::string& path) {
        return std::string(as_text(value_of(read_file(*disk_, path, 1 << 20))));
    }
    // Where a batch begins, by Kafka's format: each ends its length behind its 12th byte.
    int64_t batch_at(int64_t base, int number) {
        const std::string bytes = content(log(base));
        int64_t at = 0;
        for (int i = 0; i < number; ++i) { at += 12 + load_be<int32_t>(as_bytes(bytes).data() + at + 8); }
        return at;
    }

    std::string root_;
    std::unique_ptr<Disk> disk_ = open_posix_disk();
};

TEST_F(SegmentCommandTest, StatIsOneLineForEachSegment) {
    const Ran ran = run("stat " + root_);
    EXPECT_EQ(ran.exit, 0) << ran.error;
    EXPECT_EQ(std::ranges::count(ran.out, '\n'), 3);
    EXPECT_THAT(ran.out, StartsWith("partition "));
    EXPECT_THAT(ran.out, HasSubstr("payments-3     0    6        6"));
    EXPECT_THAT(ran.out, HasSubstr("2014-04-01T00:00:00.006Z  2014-04-01T00:00:00.011Z  active\n"));
}

TEST_F(SegmentCommandTest, StatAsJsonIsFrozen) {
    const Ran ran = run("stat --json " + log(0));
    EXPECT_EQ(ran.exit, 0) << ran.error;
    EXPECT_EQ(
        masked(ran.out, "uncompressed_bytes"),
        R"({"path":")" + log(0) +
            R"(","topic":"payments","partition":3,"base_offset":0,"end_offset":6,"batches":3,"records":6,"bytes":)" +
            std::to_string(content(log(0)).size()) +
            R"(,"uncompressed_bytes":N,"first_timestamp":"2014-04-01T00:00:00.000Z",)"
            R"("max_timestamp":"2014-04-01T00:00:00.005Z","state":"sealed"})"
            "\n");
}

TEST_F(SegmentCommandTest, DumpShowsBatchesRecordsAndSideFiles) {
    const Ran batches = run("dump " + log(0));
    EXPECT_EQ(batches.exit, 0) << batches.error;
    EXPECT_EQ(std::ranges::count(batches.out, '\n'), 3);
    EXPECT_THAT(batches.out, HasSubstr("offsets [2, 4) at " + std::to_string(batch_at(0, 1)) + ", "));
    EXPECT_THAT(batches.out, HasSubstr(": 2 records, zstd, epoch 0, max time 2014-04-01T00:00:00.003Z\n"));
    const Ran records = run("dump --records --json " + partition());
    EXPECT_EQ(records.exit, 0);
    EXPECT_EQ(std::ranges::count(records.out, '\n'), 12);
    EXPECT_THAT(records.out, HasSubstr("{\"topic\":\"payments\",\"partition\":3,\"offset\":3,"
                                       "\"timestamp\":\"2014-04-01T00:00:00.003Z\",\"key\":\"card-3\","));
    EXPECT_THAT(run("dump " + join_path(partition(), "00000000000000000006.timeindex")).out,
                "time 2014-04-01T00:00:00.011Z up to offset 11\n");
    EXPECT_THAT(run("dump " + seal(0)).out, StartsWith("sealed by append: offsets [0, 6), "));
}

// Frozen: members may be added at the end, none may change.
TEST_F(SegmentCommandTest, DumpAsJsonIsFrozen) {
    const std::string batches = masked(run("dump --json " + log(0)).out, "bytes|crc");
    const std::string second = batches.substr(batches.find('\n') + 1);
    EXPECT_EQ(second.substr(0, second.find('\n')),
              R"({"topic":"payments","partition":3,"base_offset":2,"end_offset":4,"position":)" +
                  std::to_string(batch_at(0, 1)) +
                  R"(,"bytes":N,"records":2,"codec":"zstd","epoch":0,"timestamp_type":"create_time",)"
                  R"("base_timestamp":"2014-04-01T00:00:00.002Z","max_timestamp":"2014-04-01T00:00:00.003Z",)"
                  R"("producer_id":-1,"producer_epoch":-1,"base_sequence":-1,"transactional":false,"control":false,)"
                  R"("crc":N})");
    const std::string records = run("dump --records --json " + log(0)).out;
    EXPECT_EQ(records.substr(0, records.find('\n')),
              R"({"topic":"payments","partition":3,"offset":0,"timestamp":"2014-04-01T00:00:00.000Z","key":"card-0",)"
              R"("value":"{\"merchant\":\"Corner Shop 0\"}","headers":[]})");
    EXPECT_EQ(run("dump --json " + join_path(partition(), "00000000000000000006.timeindex")).out,
              R"({"timestamp":"2014-04-01T00:00:00.011Z","offset":11})"
              "\n");
    EXPECT_EQ(run("dump --json " + seal(0)).out,
              R"({"origin":"append","cluster_id":"MkU3OEVBNTcwNTJENDM2Qg","topic_id":"ABEiM0RVZneImaq7zN3u_w",)"
              R"("partition":3,"base_offset":0,"end_offset":6,"bytes":)" +
                  std::to_string(content(log(0)).size()) + R"(,"pieces":1})" + "\n");
}

TEST_F(SegmentCommandTest, VerifyOfAGoodDirectoryFindsNothing) {
    for (const std::string& path : {root_, root_ + "//", partition(), log(0) + ' ' + log(6)}) {
        const Ran ran = run("verify " + path);
        EXPECT_EQ(ran.exit, 0) << ran.out << ran.error;
        EXPECT_THAT(ran.out, HasSubstr("2 segments, 6 batches, 12 records, "));
        EXPECT_THAT(ran.out, HasSubstr(", 1 sealed: no fault\n"));
    }
    EXPECT_EQ(run("verify --json " + root_).out, R"({"segments":2,"sealed":1,"batches":6,"records":12,"bytes":)" +
                                                     std::to_string(content(log(0)).size() + content(log(6)).size()) +
                                                     R"(,"faults":0})" + "\n");
}

TEST_F(SegmentCommandTest, VerifyNamesFileByteAndOffset) {
    const int64_t at = batch_at(6, 1);
    flip(log(6), at + 70);
    const Ran text = run("verify " + root_);
    EXPECT_EQ(text.exit, 1);
    EXPECT_THAT(text.out, HasSubstr(log(6) + ": bad_crc at bytes [" + std::to_string(at) + ", " +
                                    std::to_string(batch_at(6, 2)) + "), offsets [8, 10)\n"));
    EXPECT_THAT(text.out, HasSubstr(": 1 fault\n"));
    const Ran json = run("verify --json " + root_);
    EXPECT_THAT(json.out, StartsWith("{\"fault\":\"bad_crc\",\"path\":\"" + log(6) + "\",\"begin_byte\":" +
                                     std::to_string(at) + ",\"end_byte\":" + std::to_string(batch_at(6, 2)) +
                                     ",\"begin_offset\":8,\"end_offset\":10}\n"));
    flip(log(6), at + 70);
    flip(log(0), 15);
    EXPECT_THAT(run("verify " + root_).out, HasSubstr("seal_piece at bytes [0, "));
}

TEST_F(SegmentCommandTest, GrepFindsInsideCompressedBatches) {
    const Ran one = run("grep 'Corner Shop 3' " + root_);
    EXPECT_EQ(one.exit, 0) << one.error;
    EXPECT_EQ(one.out, "payments-3 3\t2014-04-01T00:00:00.003Z\tcard-3\t{\"merchant\":\"Corner Shop 3\"}\n");
    EXPECT_EQ(run("grep --count 'Corner Shop' " + root_).out, "12\n");
    EXPECT_EQ(run("grep --count --json card-1 " + root_).out, "{\"records\":3}\n");  // 1, 10 and 11, in the keys
    EXPECT_EQ(std::ranges::count(run("grep --max 5 --json Corner " + root_).out, '\n'), 5);
    const Ran none = run("grep 'Corner Shop 12' " + root_);
    EXPECT_EQ(none.exit, 1);
    EXPECT_EQ(none.out, "");
    EXPECT_EQ(none.error, "");
}

TEST_F(SegmentCommandTest, GrepOfADamagedFileSaysThatItCouldNotSeeAll) {
    flip(log(6), batch_at(6, 1) + 70);
    const Ran ran = run("grep 'Corner Shop 6' " + root_);
    EXPECT_EQ(ran.exit, 3);
    EXPECT_THAT(ran.out, HasSubstr("payments-3 6\t"));
    EXPECT_THAT(ran.error, HasSubstr("bad_crc"));
}

TEST_F(SegmentCommandTest, SalvageCopiesEveryWholeBatchAndListsWhatIsLost) {
    const std::string whole = content(log(6));
    const auto begin = static_cast<size_t>(batch_at(6, 1));
    const auto end = static_cast<size_t>(batch_at(6, 2));
    flip(log(6), batch_at(6, 1) + 70);
    const std::string damaged = content(log(6));
    const std::string out = parent_path(root_) + "/saved.log";
    const Ran ran = run("salvage " + log(6) + ' ' + out);
    EXPECT_EQ(ran.exit, 0) << ran.error;
    EXPECT_THAT(ran.out, StartsWith("lost: bytes [" + std::to_string(begin) + ", " + std::to_string(end) +
                                    "), offsets [8, 10) (bad_crc)\n"));
    EXPECT_THAT(ran.out, HasSubstr("4 records in 2 batches"));
    EXPECT_EQ(content(out), whole.substr(0, begin) + whole.substr(end));
    EXPECT_EQ(content(log(6)), damaged);  // untouched
    EXPECT_EQ(run("verify " + out).exit, 0);
    const Ran again = run("salvage " + log(6) + ' ' + out);
    EXPECT_EQ(again.exit, 3);
    EXPECT_THAT(again.error, HasSubstr("already exists"));
    EXPECT_EQ(run("salvage " + log(6)).exit, 2);  // to where?
}

TEST_F(SegmentCommandTest, SalvageOfSeveralFilesAndDirectoriesMakesADirectory) {
    ASSERT_TRUE(disk_->make_directory(root_ + "/clicks-0"));
    const std::string clicks = root_ + "/clicks-0/00000000000000000000.log";
    std::filesystem::copy(log(0), clicks);
    const auto begin = static_cast<size_t>(batch_at(6, 1));
    const auto end = static_cast<size_t>(batch_at(6, 2));
    const std::string lost = "bytes [" + std::to_string(begin) + ", " + std::to_string(end) + "), offsets [8, 10)";
    const std::string whole = content(log(6));
    flip(log(6), batch_at(6, 1) + 70);
    for (const std::string& paths : {root_, partition() + ' ' + clicks, clicks + ' ' + log(0) + ' ' + log(6)}) {
        const std::string out = parent_path(root_) + "/saved";
        const Ran ran = run("salvage " + paths + ' ' + out);
        EXPECT_EQ(ran.exit, 0) << ran.error;
        EXPECT_THAT(ran.out, HasSubstr("lost of " + log(6) + ": " + lost + " (bad_crc)\n" + out +
                                       "/payments-3/00000000000000000006.log: 4 records in 2 batches"));
        EXPECT_EQ(content(out + "/payments-3/00000000000000000000.log"), content(log(0)));
        EXPECT_EQ(content(out + "/payments-3/00000000000000000006.log"), whole.substr(0, begin) + whole.substr(end));
        EXPECT_EQ(content(out + "/clicks-0/00000000000000000000.log"), content(clicks));
        EXPECT_THAT(run("grep --count 'Corner Shop' " + out).out, "16\n");
        const Ran again = run("salvage " + paths + ' ' + out);
        EXPECT_EQ(again.exit, 3);
        EXPECT_THAT(again.error, HasSubstr("already exists"));
        std::filesystem::remove_all(out);
    }
    const std::string one = parent_path(root_) + "/one";
    EXPECT_EQ(run("salvage --json " + log(6) + ' ' + one).out,
              R"({"lost":"bad_crc","begin_byte":)" + std::to_string(begin) + R"(,"end_byte":)" + std::to_string(end) +
                  R"(,"begin_offset":8,"end_offset":10,"source":")" + log(6) + "\"}\n" + R"({"path":")" + one +
                  R"(","batches":2,"records":4,"bytes":)" + std::to_string(whole.size() - (end - begin)) +
                  R"(,"lost_ranges":1,"lost_bytes":)" + std::to_string(end - begin) + R"(,"source":")" + log(6) +
                  "\"}\n");
}

TEST_F(SegmentCommandTest, ResealMakesAMissingSealAndSaysSoInIt) {
    ASSERT_TRUE(disk_->remove(seal(0)));
    const Ran ran = run("reseal " + root_);
    EXPECT_EQ(ran.exit, 0) << ran.error;
    EXPECT_EQ(ran.out, log(0) + ": resealed\n");
    EXPECT_THAT(run("dump " + seal(0)).out, StartsWith("sealed by reseal: offsets [0, 6), "));
    EXPECT_THAT(run("stat " + root_).out, HasSubstr("resealed"));
    EXPECT_EQ(run("verify " + root_).exit, 0);
    EXPECT_EQ(run("reseal --json " + partition()).out, "{\"path\":\"" + log(0) + "\",\"result\":\"kept\"}\n");
}

TEST_F(SegmentCommandTest, ResealDoesNotSealDamage) {
    flip(log(0), 70);
    const Ran refused = run("reseal " + root_);
    EXPECT_EQ(refused.exit, 1);
    EXPECT_EQ(refused.out, log(0) + ": refused\n");
    EXPECT_THAT(refused.error, HasSubstr("--force"));
    EXPECT_THAT(run("reseal --force " + root_).error, HasSubstr("bad_crc"));
    EXPECT_EQ(run("verify " + root_).exit, 1);
    flip(log(0), 70);
    flip(seal(0), 20);  // now only the seal is bad
    EXPECT_EQ(run("reseal " + root_).exit, 0);
    EXPECT_EQ(run("verify " + root_).exit, 0);
}

TEST_F(SegmentCommandTest, ResealKeepsAwayFromAnOpenLog) {
    ASSERT_TRUE(disk_->remove(seal(0)));
    const auto lock = disk_->lock(root_ + "/.lock");
    ASSERT_TRUE(lock);
    const Ran ran = run("reseal " + root_);
    EXPECT_EQ(ran.exit, 3);
    EXPECT_THAT(ran.error, HasSubstr("open for writing"));
}

TEST_F(SegmentCommandTest, TheChainIsHeldAgainstAHeadKeptElsewhere) {
    auto content_hash = value_of(sha256_of_file(*disk_, *value_of(disk_->open(log(0), {})), content(log(0)).size()));
    Seal chained = value_of(read_seal(*disk_, partition(), Offset{0}));
    chained.chain = SealChain{.content = content_hash, .previous = {}, .replaced = {}};
    ASSERT_TRUE(write_seal(*disk_, partition(), chained));
    EXPECT_EQ(run("verify --chain " + to_hex(chained.head()) + ' ' + root_).exit, 0);
    const Ran other = run("verify --chain " + std::string(64, '0') + ' ' + partition());
    EXPECT_EQ(other.exit, 1);
    EXPECT_THAT(other.out, HasSubstr("chain_head_missing"));
    EXPECT_EQ(run("verify --chain abc " + root_).exit, 2);
    // A reseal of the chained segment stands in for the old head.
    ASSERT_TRUE(disk_->remove(log(6)));
    write_segment(6, chained.place);
    flip(log(0), batch_at(0, 2) + 15);  // the last batch's epoch: outside the checksum
    EXPECT_EQ(run("reseal --force " + root_).exit, 0);
    EXPECT_EQ(run("verify --chain " + to_hex(chained.head()) + ' ' + root_).out.find("chain_"), std::string::npos);
}

TEST_F(SegmentCommandTest, WhatIsNotThereIsOneLineAndCouldNot) {
    for (const char* command : {"stat", "dump", "verify", "grep x", "reseal"}) {
        const Ran ran = run(std::string(command) + ' ' + root_ + "/nothing");
        EXPECT_EQ(ran.exit, 3) << command;
        EXPECT_EQ(ran.out, "");
        EXPECT_EQ(std::ranges::count(ran.error, '\n'), 1) << ran.error;
        EXPECT_THAT(ran.error, HasSubstr("nothing"));
        EXPECT_EQ(run(command).exit, 2) << command;
    }
    EXPECT_EQ(run("stat " + root_ + "/lost+found").exit, 3);
    EXPECT_EQ(run("").exit, 2);
    EXPECT_EQ(run("fly x").exit, 2);
}

TEST_F(SegmentCommandTest, AReaderThatWentAwayIsNoError) {
    const Ran ran = run("dump --records " + root_ + " | head -1");
    EXPECT_EQ(ran.exit, 0);
    EXPECT_THAT(ran.error, Not(HasSubstr("flowstone:")));
}

}  // namespace
}  // namespace flowstone::tool
