#include "storage/segment_files.h"

#include "tests/storage/scratch.h"

namespace flowstone {
namespace {

TEST(SegmentFiles, NamesAreTwentyDigitsAndASuffix) {
    EXPECT_EQ(segment_file_name(Offset{0}, SegmentFile::log), "00000000000000000000.log");
    EXPECT_EQ(segment_file_name(Offset{4096}, SegmentFile::index), "00000000000000004096.index");
    EXPECT_EQ(segment_file_name(Offset{INT64_MAX}, SegmentFile::time_index), "09223372036854775807.timeindex");
    for (const SegmentFile kind : segment_file_kinds) {
        for (const int64_t base : {int64_t{0}, int64_t{7}, INT64_MAX}) {
            const auto parsed = parse_segment_file_name(segment_file_name(Offset{base}, kind));
            ASSERT_TRUE(parsed);
            EXPECT_EQ(*parsed, (SegmentFileName{Offset{base}, kind}));
        }
    }
}

TEST(SegmentFiles, OtherNamesAreNoSegments) {
    for (const char* name : {"", ".log", "0.log", "0000000000000000000.log", "000000000000000000000.log",
                             "00000000000000000000.log.deleted", "00000000000000000000.LOG", "00000000000000000000",
                             "0000000000000000000x.log", "-0000000000000000001.log", "+0000000000000000001.log",
                             "09223372036854775808.log", "99999999999999999999.log", "leader-epoch-checkpoint",
                             "00000000000000000000.cleaned"}) {
        EXPECT_FALSE(parse_segment_file_name(name)) << name;
    }
}

TEST(SegmentFiles, ATopicMayContainDashesAndDots) {
    const auto parsed = parse_partition_directory_name("a-b.c-1-12");
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, (PartitionDirectoryName{{"a-b.c-1", 12}, PartitionDirectoryState::live}));
    EXPECT_EQ(partition_directory_name({"a-b.c-1", 12}), "a-b.c-1-12");
    EXPECT_EQ(parse_partition_directory_name("__cluster_metadata-0")->partition,
              (TopicPartition{"__cluster_metadata", 0}));
    EXPECT_EQ(parse_partition_directory_name("t-2147483647")->partition.partition, INT32_MAX);
}

TEST(SegmentFiles, KafkasSuffixesAreRecognised) {
    const std::string id = "0123456789abcdef0123456789abcdef";
    EXPECT_EQ(*parse_partition_directory_name("a.b-3." + id + "-delete"),
              (PartitionDirectoryName{{"a.b", 3}, PartitionDirectoryState::deleted}));
    EXPECT_EQ(parse_partition_directory_name("a-3." + id + "-future")->state, PartitionDirectoryState::future);
    EXPECT_EQ(parse_partition_directory_name("a-3." + id + "-stray")->state, PartitionDirectoryState::stray);
    EXPECT_FALSE(parse_partition_directory_name("a-3-delete"));
    EXPECT_FALSE(parse_partition_directory_name("a-3.-delete"));
    EXPECT_FALSE(parse_partition_directory_name("-delete"));
}

TEST(SegmentFiles, OtherDirectoriesAreNoPartitions) {
    for (const char* name : {"", "-", "-0", "a", "a-", "a-x", "a--1x", "a-00", "a-01", "a-2147483648", "lost+found",
                             "..-0", ".-1", "a b-0", "a/b-0", "journal"}) {
        EXPECT_FALSE(parse_partition_directory_name(name)) << name;
    }
    EXPECT_TRUE(valid_topic_name(std::string(249, 't')));
    EXPECT_FALSE(valid_topic_name(std::string(250, 't')));
}

using SegmentListingTest = ScratchTest;

TEST_F(SegmentListingTest, SegmentsAreListedByBaseWithTheirParts) {
    for (const char* name :
         {"00000000000000000200.log", "00000000000000000200.index", "00000000000000000000.log",
          "00000000000000000000.index", "00000000000000000000.timeindex", "00000000000000000000.seal",
          "00000000000000000250.snapshot", "leader-epoch-checkpoint", "00000000000000000100.log.deleted"}) {
        write(name, as_bytes("x"));
    }
    ASSERT_TRUE(disk_->make_directory(join_path(root_, "00000000000000000300.log")));
    const auto listing = list_segments(*disk_, root_);
    ASSERT_TRUE(listing);
    ASSERT_EQ(listing->segments.size(), 2u);
    EXPECT_EQ(listing->segments[0].base, Offset{0});
    EXPECT_TRUE(listing->segments[0].seal && listing->segments[0].time_index && !listing->segments[0].snapshot);
    EXPECT_EQ(listing->segments[1].base, Offset{200});
    EXPECT_TRUE(listing->segments[1].index && !listing->segments[1].time_index);
    ASSERT_EQ(listing->orphans.size(), 1u);
    EXPECT_EQ(listing->orphans[0].base, Offset{250});
    EXPECT_EQ(listing->others.size(), 3u);
    EXPECT_EQ(code_of(list_segments(*disk_, join_path(root_, "none"))), Code::not_found);
}

}  // namespace
}  // namespace flowstone
