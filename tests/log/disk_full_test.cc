#include "tests/log/log_world.h"

#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

class DiskFullTest : public LogWorld {
protected:
    static constexpr uint64_t mib = 1u << 20;

    // A disk with `free` bytes left beside what an open log takes.
    void make_disk(uint64_t bytes) { small_ = std::make_unique<SimDisk>(SimDisk::Options{.bytes_max = bytes}); }
    // Appends until the disk is full. Returns how many were acknowledged.
    static int fill_disk(Topic& topic, size_t value_bytes) {
        const std::string value(value_bytes, 'x');
        for (int i = 0; i < 100'000; ++i) {
            auto at = topic.append(record(value));
            if (!at) {
                EXPECT_EQ(at.error().code, Code::no_space) << at.error().message();
                return i;
            }
        }
        ADD_FAILURE() << "the disk was never full";
        return 0;
    }
    // Something else on the disk.
    void occupy(uint64_t leave) {
        const uint64_t free = value_of(small_->free_bytes("data"));
        auto file = small_->open("ballast", {.write = true, .create = true});
        ASSERT_TRUE(file);
        ASSERT_TRUE(small_->allocate(**file, BytePos{0}, BytePos{static_cast<int64_t>(free - leave)}, false));
    }

    std::unique_ptr<SimDisk> small_;
};

TEST_F(DiskFullTest, AppendsAreRefusedReadsGoOnAndAppendsReturnWithTheSpace) {
    for (const size_t value_bytes : {size_t{500}, size_t{200'000}}) {
        SCOPED_TRACE(value_bytes);
        make_disk(256 * mib);
        Log log = open_on(*small_, {.journal_bytes_max = 16 * mib, .dirty_bytes_max = 4 * mib, .reserve_bytes = 0});
        Topic topic = make(log, "events");
        ASSERT_TRUE(topic.append(record("first")));
        occupy(8 * mib);
        const int acknowledged = fill_disk(topic, value_bytes);
        EXPECT_GT(acknowledged, 0);
        const std::string value(value_bytes, 'y');
        const int64_t before = info(topic).log_end.value;
        for (int i = 0; i < 3; ++i) {
            auto at = topic.append(record(value));
            ASSERT_FALSE(at);
            EXPECT_EQ(at.error().code, Code::no_space);
            EXPECT_EQ(at.error().fate, Fate::not_appended);
        }
        EXPECT_EQ(info(topic).log_end.value, before) << "what was refused was not taken";
        const auto all = read(topic);
        EXPECT_GE(all.size(), static_cast<size_t>(acknowledged));
        EXPECT_EQ(all.front().second, "first");
        ASSERT_TRUE(small_->remove("ballast"));
        auto at = topic.append(record("after"));
        ASSERT_TRUE(at) << at.error().message();
        EXPECT_EQ(at->offset.value, before) << "nothing was lost or taken twice";
        EXPECT_EQ(read(topic).back().second, "after");
        close(log);
        Log again = open_on(*small_, {.reserve_bytes = 0});
        Topic same = value_of(again.topic("events"));
        EXPECT_EQ(read(same).size(), static_cast<size_t>(before) + 1);
    }
}

TEST_F(DiskFullTest, TheReserveIsTakenAtOpeningAndGivenUpForADeletion) {
    make_disk(512 * mib);
    std::vector<std::string> lines;
    Options options{.journal_bytes_max = 16 * mib, .dirty_bytes_max = 4 * mib, .reserve_bytes = 16 * mib};
    options.on_log = [&](std::string_view line) { lines.emplace_back(line); };
    Log log = open_on(*small_, options);
    EXPECT_GE(value_of(small_->info("data/flowstone-reserve")).allocated_bytes, 16 * mib);
    Topic topic = make(log, "events");
    ASSERT_TRUE(topic.append(record("first")));
    occupy(8 * mib);
    fill_disk(topic, 200'000);
    EXPECT_GE(value_of(small_->info("data/flowstone-reserve")).allocated_bytes, 16 * mib) << "not for ordinary appends";
    auto deleted = log.delete_topic("events");
    ASSERT_TRUE(deleted) << deleted.error().message();
    ASSERT_TRUE(small_->remove("ballast"));
    maintain(log);
    EXPECT_GE(value_of(small_->info("data/flowstone-reserve")).allocated_bytes, 16 * mib) << "taken back";
    Topic next = make(log, "next");
    ASSERT_TRUE(next.append(record("x")));
}

TEST_F(DiskFullTest, RecordsCanBeDeletedOnAFullDiskAndMakeRoom) {
    make_disk(512 * mib);
    Log log = open_on(*small_, {.journal_bytes_max = 16 * mib, .dirty_bytes_max = 4 * mib, .reserve_bytes = 16 * mib});
    Topic topic = make(log, "events", {{"segment.bytes", "4194304"}});
    ASSERT_TRUE(topic.append(record("first")));
    occupy(48 * mib);
    const int count = fill_disk(topic, 200'000);
    auto start = topic.delete_records(0, Offset{count - 10});
    ASSERT_TRUE(start) << start.error().message();
    maintain(log);
    auto at = topic.append(record("after"));
    EXPECT_TRUE(at) << at.error().message();
    EXPECT_EQ(read(topic).back().second, "after");
}

TEST_F(DiskFullTest, ADiskWithoutRoomForTheReserveOpensAllTheSame) {
    make_disk(64 * mib);
    Log log = open_on(*small_, {.reserve_bytes = 64 * mib});
    Topic topic = make(log, "events");
    ASSERT_TRUE(topic.append(record("x")));
    close(log);
}

TEST_F(DiskFullTest, ConsumerOffsetsAreKeptWhenTheDiskIsFull) {
    make_disk(512 * mib);
    Log log = open_on(*small_, {.journal_bytes_max = 16 * mib, .dirty_bytes_max = 4 * mib, .reserve_bytes = 16 * mib});
    Topic topic = make(log, "events");
    ASSERT_TRUE(topic.append(record("first")));
    occupy(8 * mib);
    fill_disk(topic, 500);
    const GroupOffset offset{"events", 0, Offset{1}};
    auto committed = log.commit_offsets("g", std::span(&offset, 1));
    EXPECT_TRUE(committed) << committed.error().message();
    EXPECT_EQ(value_of(log.fetch_offsets("g")).size(), 1u);
}

}  // namespace
}  // namespace flowstone
