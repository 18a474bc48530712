// Directories that Kafka wrote, and those that are refused. A directory of ours that was closed and has lost everything
// that is only ours is what Kafka leaves; tests/interop does the same with a real one.
#include <flowstone/log.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <map>

#include "log/environment.h"
#include "storage/batch.h"
#include "storage/checksum.h"
#include "tests/sim/world/faulty_disk.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

class AdoptTest : public testing::Test {
protected:
    Result<Log> try_open(Options options = {}) { return try_open_on(disk_, std::move(options)); }
    Result<Log> try_open_on(Disk& disk, Options options) {
        options.on_log = [this](std::string_view line) { lines_.emplace_back(line); };
        return open_log({&disk, &clock_, &random_}, "data", std::move(options));
    }
    Log open(Options options = {}) { return open_on(disk_, std::move(options)); }
    Log open_on(Disk& disk, Options options = {}) {
        auto log = try_open_on(disk, std::move(options));
        EXPECT_TRUE(log) << log.error().message();
        return std::move(*log);
    }
    // Two topics, the first with several segments.
    void write_as_kafka() {
        {
            Log log = open();
            auto many = log.create_topic("many", {.partitions = 2, .configs = {{"segment.bytes", "1048576"}}});
            auto few = log.create_topic("few");
            ASSERT_TRUE(many);
            ASSERT_TRUE(few);
            for (int i = 0; i < 300; ++i) { append(*many, text(i), i % 2); }
            for (int i = 0; i < 20; ++i) { append(*few, std::to_string(i), 0); }
            ASSERT_TRUE(log.close());
        }
        const auto entries = disk_.list("data");
        ASSERT_TRUE(entries);
        for (const auto& entry : *entries) {
            if (entry.name.starts_with("flowstone-")) { ASSERT_TRUE(disk_.remove("data/" + entry.name)); }
        }
    }
    static void append(Topic& topic, const std::string& value, int32_t partition) {
        auto at = topic.append({.key = std::nullopt, .value = value}, {.partition = partition});
        ASSERT_TRUE(at) << at.error().message();
    }
    static std::string text(int i) { return std::to_string(i) + std::string(9000, 'x'); }
    static std::vector<std::string> values(const Log& log, std::string_view name, int32_t partition = 0) {
        std::vector<std::string> out;
        auto topic = log.topic(name);
        EXPECT_TRUE(topic) << topic.error().message();
        if (!topic) { return out; }
        auto reader = topic->read({.partition = partition});
        EXPECT_TRUE(reader) << reader.error().message();
        while (reader) {
            auto batch = reader->next();
            EXPECT_TRUE(batch) << batch.error().message();
            if (!batch || batch->empty()) { break; }
            for (const auto& record : *batch) { out.emplace_back(record.value.value_or("(none)")); }
        }
        return out;
    }
    void remove_directory(const std::string& path) {
        const auto entries = disk_.list(path);
        ASSERT_TRUE(entries);
        for (const auto& entry : *entries) { ASSERT_TRUE(disk_.remove(path + "/" + entry.name)); }
        ASSERT_TRUE(disk_.remove(path));
    }
    void write(const std::string& path, Bytes bytes, std::optional<uint64_t> at = {}) {
        auto file = disk_.open(path, {.write = true, .create = true});
        ASSERT_TRUE(file);
        const uint64_t size = value_of(disk_.size(**file));
        ASSERT_TRUE(write_at(disk_, **file, BytePos{static_cast<int64_t>(at.value_or(size))}, bytes));
    }
    std::vector<std::byte> read(const std::string& path) {
        auto bytes = read_file(disk_, path, 64u << 20);
        EXPECT_TRUE(bytes);
        return bytes ? *bytes : std::vector<std::byte>{};
    }
    // All that a directory holds, by name.
    std::map<std::string, std::vector<std::byte>> everything(const std::string& path) {
        std::map<std::string, std::vector<std::byte>> out;
        const auto entries = disk_.list(path);
        if (!entries) { return out; }
        for (const auto& entry : *entries) {
            const std::string name = path + "/" + entry.name;
            if (entry.directory) {
                out.merge(everything(name));
            } else {
                out[name] = read(name);
            }
        }
        return out;
    }

    SimDisk disk_;
    SimClock clock_;
    SimRandom random_{1};
    std::vector<std::string> lines_;
};

constexpr char few_log[] = "data/few-0/00000000000000000000.log";

// A checksum does not cover it: what is on record of epochs tells.
TEST_F(AdoptTest, ABatchOfAnotherLeaderEpochThanIsOnRecordIsNamed) {
    write_as_kafka();
    ASSERT_TRUE(disk_.remove("data/many-0/leader-epoch-checkpoint"));
    write("data/many-0/leader-epoch-checkpoint", as_bytes("0\n2\n1 0\n9 150\n"));
    std::byte raised[] = {std::byte{0}, std::byte{0}, std::byte{0}, std::byte{5}};
    write("data/many-0/00000000000000000000.log", raised, 12);
    {
        Log log = open({.read_only = true});
        const auto reader = value_of(log.topic("many")).read();
        ASSERT_FALSE(reader);
        EXPECT_EQ(reader.error().code, Code::corrupt);
        EXPECT_THAT(reader.error().message(),
                    testing::HasSubstr("many-0/00000000000000000000.log at byte 0, offset 0"));
    }
    const auto adopted = try_open({.adopt = true});
    ASSERT_FALSE(adopted);
    EXPECT_EQ(adopted.error().code, Code::corrupt);
    EXPECT_THAT(adopted.error().message(), testing::HasSubstr("many-0/00000000000000000000.log at byte 0, offset 0"));
}

TEST_F(AdoptTest, WhatKafkaWroteIsReadWithoutAdoptingAndStaysAsItIs) {
    write_as_kafka();
    const auto before = everything("data");
    {
        Log log = open({.read_only = true});
        EXPECT_EQ(values(log, "many", 0).size(), 150u);
        EXPECT_EQ(values(log, "many", 1).back(), text(299));
        EXPECT_EQ(values(log, "few").size(), 20u);
    }
    EXPECT_EQ(everything("data"), before);
    auto refused = try_open();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::unsupported) << refused.error().message();
}

// Its cleaner took the first batch of the first segment.
TEST_F(AdoptTest, WhatKafkaCompactedIsReadWithoutAdopting) {
    write_as_kafka();
    auto expected = values(open({.read_only = true}), "many");
    ASSERT_GT(expected.size(), 1u);
    expected.erase(expected.begin());
    const std::string front = "data/many-0/00000000000000000000";
    const auto bytes = read(front + ".log");
    const size_t first = value_of(BatchView::parse(bytes)).size();
    for (const char* kind : {".log", ".index", ".timeindex", ".seal"}) { (void)disk_.remove(front + kind); }
    write(front + ".log", Bytes(bytes).subspan(first));
    EXPECT_EQ(values(open({.read_only = true}), "many"), expected);
    EXPECT_EQ(values(open({.adopt = true}), "many"), expected);
}

TEST_F(AdoptTest, AdoptedItIsALogLikeAnyOther) {
    write_as_kafka();
    {
        Log log = open({.adopt = true});
        auto topic = log.topic("many");
        ASSERT_TRUE(topic);
        append(*topic, "ours", 0);
    }  // not closed
    Log log = open();
    EXPECT_EQ(values(log, "many", 0).size(), 151u);
    EXPECT_EQ(values(log, "many", 0).back(), "ours");
    EXPECT_EQ(values(log, "many", 1).size(), 150u);
    EXPECT_EQ(values(log, "few").size(), 20u);
}

TEST_F(AdoptTest, TopicsThatOnlyTheirDirectoriesTellOfKeepTheirRecordsForEver) {
    write_as_kafka();
    remove_directory("data/__cluster_metadata-0");
    {
        Log log = open({.read_only = true});
        EXPECT_EQ(values(log, "many", 1).size(), 150u);
    }
    EXPECT_FALSE(disk_.info("data/__cluster_metadata-0"));
    { Log log = open({.adopt = true}); }
    Log log = open();
    EXPECT_EQ(values(log, "many", 1).size(), 150u);
    EXPECT_EQ(values(log, "few").size(), 20u);
    EXPECT_THAT(value_of(log.describe("few")).configs, testing::Contains(testing::Pair("retention.ms", "-1")));
    EXPECT_EQ(value_of(log.describe("many")).partitions, 2);
}

// Also when its metadata is made up, and an unfinished batch was cut.
TEST_F(AdoptTest, WhatWasAdoptedSurvivesPowerLoss) {
    write_as_kafka();
    remove_directory("data/__cluster_metadata-0");
    const auto bytes = read(few_log);
    write(few_log, Bytes(bytes).first(value_of(BatchView::parse(bytes)).size() / 2));
    const auto disk = disk_.crash({.keep = Crash::Keep::everything});
    { Log log = open_on(*disk, {.adopt = true}); }
    const auto after = disk->crash({.keep = Crash::Keep::nothing});
    Log log = open_on(*after);
    EXPECT_EQ(values(log, "many", 0).size(), 150u);
    EXPECT_EQ(values(log, "many", 1).size(), 150u);
    EXPECT_EQ(values(log, "few").size(), 20u);
}

TEST_F(AdoptTest, OnlyAnUnfinishedLastBatchIsCutAndOnlyForWriting) {
    write_as_kafka();
    auto bytes = read(few_log);
    const size_t whole = bytes.size();
    const auto last = BatchView::parse(bytes);
    ASSERT_TRUE(last);
    // The first half of one more batch.
    std::vector<std::byte> batch(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(last->size() / 2));
    write(few_log, batch);
    {
        Log log = open({.read_only = true});
        EXPECT_EQ(values(log, "few").size(), 20u);
    }
    EXPECT_EQ(read(few_log).size(), whole + batch.size());
    Log log = open({.adopt = true});
    EXPECT_EQ(values(log, "few").size(), 20u);
    EXPECT_THAT(lines_, testing::Contains(testing::HasSubstr("unfinished")));
    EXPECT_EQ(read(few_log).size(), whole);
}

TEST_F(AdoptTest, ADamagedBatchIsNamedAndNothingIsCut) {
    write_as_kafka();
    auto bytes = read(few_log);
    bytes[bytes.size() / 2] ^= std::byte{1};
    write(few_log, bytes, 0);
    auto refused = try_open({.adopt = true});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::corrupt);
    EXPECT_THAT(refused.error().message(), testing::HasSubstr("few-0"));
    EXPECT_EQ(read(few_log), bytes);
}

TEST_F(AdoptTest, AnOlderMagicIsRefusedByName) {
    write_as_kafka();
    for (const char magic : {0, 1}) {
        write(few_log, as_bytes(std::string_view(&magic, 1)), 16);
        auto refused = try_open({.adopt = true});
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::unsupported) << refused.error().message();
        EXPECT_THAT(refused.error().message(), testing::HasSubstr("version 2"));
    }
}

TEST_F(AdoptTest, KafkasLogStartCounts) {
    write_as_kafka();
    write("data/log-start-offset-checkpoint", as_bytes("0\n1\nfew 0 15\n"), 0);
    {
        Log log = open({.read_only = true});
        EXPECT_EQ(values(log, "few").size(), 5u);
    }
    { Log log = open({.adopt = true}); }
    Log log = open();
    EXPECT_EQ(values(log, "few"), (std::vector<std::string>{"15", "16", "17", "18", "19"}));
    EXPECT_EQ(value_of(value_of(log.topic("few")).partition(0)).log_start, Offset{15});
}

// Version, count, and lines "topic partition offset" (docs/formats/meta-files.md).
TEST_F(AdoptTest, ACleanCloseLeavesWhatKafkaLooksFor) {
    {
        Log log = open();
        auto topic = log.create_topic("few");
        ASSERT_TRUE(topic);
        const auto producer = log.new_producer_id();
        ASSERT_TRUE(producer);
        const Record record{.key = std::nullopt, .value = "v"};
        for (int i = 0; i < 3; ++i) {
            ASSERT_TRUE(topic->append({&record, 1}, {.partition = 0, .producer = {{*producer, 0, i}}}));
        }
        ASSERT_TRUE(topic->delete_records(0, Offset{2}));
        ASSERT_TRUE(log.close());
    }
    const auto text = [&](const std::string& name) { return std::string(as_text(read("data/" + name))); };
    EXPECT_EQ(text("recovery-point-offset-checkpoint"), "0\n1\nfew 0 3\n");
    EXPECT_EQ(text("replication-offset-checkpoint"), "0\n1\nfew 0 3\n");
    EXPECT_EQ(text("log-start-offset-checkpoint"), "0\n1\nfew 0 2\n");
    EXPECT_TRUE(disk_.info("data/few-0/00000000000000000003.snapshot"));
    EXPECT_TRUE(disk_.info("data/.kafka_cleanshutdown"));
    Log log = open();
    EXPECT_FALSE(disk_.info("data/.kafka_cleanshutdown"));  // durably: see the next crash
    EXPECT_FALSE(disk_.crash({.keep = Crash::Keep::nothing})->info("data/.kafka_cleanshutdown"));
}

// What a broker does to a directory that we closed: it takes our mark away, appends, and leaves its own when it ends in
// order.
class KafkaSinceTest : public AdoptTest, public testing::WithParamInterface<bool> {};

INSTANTIATE_TEST_SUITE_P(Ends, KafkaSinceTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Killed" : "InOrder"; });

TEST_P(KafkaSinceTest, WhatKafkaAppendedSinceWeClosedIsSeenAndNeverWrittenOver) {
    const bool killed = GetParam();
    {
        Log log = open();
        auto topic = log.create_topic("few");
        ASSERT_TRUE(topic);
        append(*topic, "ours", 0);
        ASSERT_TRUE(log.close());
    }
    std::vector<std::byte> space(1000);
    BatchBuilder builder(space, {.base_offset = Offset{1}, .epoch = Epoch{7}});
    ASSERT_TRUE(builder.append({.key = std::nullopt, .value = "kafka's"}, 1000));
    write(few_log, builder.close().bytes());
    ASSERT_TRUE(disk_.remove("data/.kafka_cleanshutdown"));
    if (!killed) { write("data/.kafka_cleanshutdown", as_bytes(R"({"version":0,"brokerEpoch":12})")); }

    const std::vector<std::string> both{"ours", "kafka's"};
    { EXPECT_EQ(values(open({.read_only = true}), "few"), both); }
    auto refused = try_open();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::unsupported) << refused.error().message();
    { EXPECT_EQ(values(open({.adopt = true}), "few"), both); }
    EXPECT_EQ(values(open(), "few"), both);
}

// The mark is there before anything says that the directory was closed: who finds it missing knows that Kafka took it.
TEST_F(AdoptTest, ACloseThatPowerLossInterruptsIsNotTakenForKafka) {
    for (uint64_t call = 0;; ++call) {
        SimDisk plain;
        FaultyDisk disk(plain);
        Log log = open_on(disk);
        auto topic = log.create_topic("few");
        ASSERT_TRUE(topic);
        append(*topic, "ours", 0);
        disk.fail_at(disk.calls() + call, EIO, true);
        (void)log.close();
        const bool failed = disk.failed().has_value();
        const auto crashed = plain.crash({.keep = Crash::Keep::nothing});
        auto again = try_open_on(*crashed, {});
        ASSERT_TRUE(again) << again.error().message() << ", call " << call << " of the close failed";
        EXPECT_EQ(values(*again, "few"), std::vector<std::string>{"ours"});
        if (!failed) { break; }
    }
}

// --- refusals ------------------------------------------------------------------------------------------------------------

class RefusedTest : public AdoptTest {
protected:
    void expect_refused(Code code, const std::string& word, const Options& options = {}) {
        const auto refused = try_open(options);
        ASSERT_FALSE(refused) << word;
        EXPECT_EQ(refused.error().code, code) << refused.error().message();
        EXPECT_THAT(refused.error().message(), testing::HasSubstr(word));
    }
    void make_log() {
        Log log = open();
        ASSERT_TRUE(log.close());
    }
};

TEST_F(RefusedTest, ADirectoryThatIsNotThere) {
    expect_refused(Code::not_found, "data", {.read_only = true});
    expect_refused(Code::not_found, "data", {.create = false});
    EXPECT_FALSE(disk_.info("data"));
}

TEST_F(RefusedTest, AnEmptyDirectoryToReadFrom) {
    ASSERT_TRUE(disk_.make_directory("data"));
    expect_refused(Code::not_found, "holds no log", {.read_only = true});
    expect_refused(Code::not_found, "holds no log", {.create = false});
    EXPECT_THAT(value_of(disk_.list("data")), testing::SizeIs(testing::Le(1u)));  // .lock
}

TEST_F(RefusedTest, ADirectoryOfSomethingElse) {
    ASSERT_TRUE(disk_.make_directory("data"));
    write("data/letters.txt", as_bytes("dear"), 0);
    expect_refused(Code::invalid, "letters.txt");
    expect_refused(Code::invalid, "letters.txt", {.read_only = true});
    EXPECT_EQ(read("data/letters.txt").size(), 4u);
}

TEST_F(RefusedTest, AFileInPlaceOfADirectory) {
    write("data", as_bytes("x"), 0);
    expect_refused(Code::invalid, "not a directory");
    expect_refused(Code::invalid, "not a directory", {.read_only = true});
}

// The checkpoint's version lies at byte 8, outside the sum (docs/formats/checkpoint.md).
TEST_F(RefusedTest, ANewerCheckpoint) {
    make_log();
    for (const char* slot : {"data/flowstone-checkpoint-0", "data/flowstone-checkpoint-1"}) {
        write(slot, as_bytes(std::string_view("\x07\0\0\0", 4)), 8);
    }
    expect_refused(Code::unsupported, "version 7");
    expect_refused(Code::unsupported, "version 7", {.read_only = true});
}

// A ring file's version lies at byte 8, the CRC-32C of the 60 bytes before it at 60 (docs/formats/journal.md).
TEST_F(RefusedTest, ANewerJournal) {
    make_log();
    auto head = read("data/flowstone-journal-0.0000");
    head.resize(64);
    head[8] = std::byte{7};
    const uint32_t sum = crc32c(Bytes(head).first(60));
    for (size_t i = 0; i < 4; ++i) { head[60 + i] = static_cast<std::byte>(sum >> (8 * i)); }
    write("data/flowstone-journal-0.0000", head, 0);
    expect_refused(Code::unsupported, "version 7");
    expect_refused(Code::unsupported, "version 7", {.read_only = true});
}

TEST_F(RefusedTest, AFileSystemThatCanOnlyBeRead) {
    make_log();
    FaultyDisk disk(disk_);
    disk.fail_at(FaultyDisk::Call::lock, 0, EROFS, true);
    const auto refused = open_log({&disk, &clock_, &random_}, "data");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::read_only) << refused.error().message();
    EXPECT_TRUE(open_log({&disk, &clock_, &random_}, "data", {.read_only = true}));
}

TEST_F(RefusedTest, FilesThatMayNotBeOpened) {
    make_log();
    FaultyDisk disk(disk_);
    disk.fail_at(FaultyDisk::Call::open, 0, EACCES, true);
    for (const bool read_only : {false, true}) {
        const auto refused = open_log({&disk, &clock_, &random_}, "data", {.read_only = read_only});
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::read_only) << refused.error().message();
    }
}

}  // namespace
}  // namespace flowstone
