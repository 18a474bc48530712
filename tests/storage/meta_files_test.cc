#include "storage/meta_files.h"

#include "tests/storage/scratch.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

const std::string topic_id = "ABEiM0RVZneImaq7zN3u_w";

TEST(LeaderEpochs, AreKafkasText) {
    const std::vector<EpochStart> epochs = {{Epoch{0}, Offset{0}}, {Epoch{3}, Offset{17}}, {Epoch{4}, Offset{17}}};
    EXPECT_EQ(format_leader_epochs(epochs), "0\n3\n0 0\n3 17\n4 17\n");
    const auto parsed = parse_leader_epochs("0\n3\n0 0\n3 17\n4 17\n");
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(*parsed, epochs);
    EXPECT_TRUE(value_of(parse_leader_epochs("0\n0\n")).empty());
}

TEST(LeaderEpochs, AnythingElseIsRefusedByName) {
    const auto code = [](std::string_view text) { return code_of(parse_leader_epochs(text)); };
    EXPECT_EQ(code("1\n0\n"), Code::unsupported);
    EXPECT_EQ(code("0\n100001\n"), Code::too_large);
    EXPECT_EQ(code(std::string(meta_file_bytes_max + 1, '0')), Code::too_large);
    for (const char* text : {"",
                             "x",
                             "0",
                             "0\n",
                             "0\n-1\n",
                             "0\n1\n",
                             "0\n1\n1\n",
                             "0\n1\n1 \n",
                             "0\n1\n 1 2\n",
                             "0\n1\n1 2 3\n",
                             "0\n1\n-1 2\n",
                             "0\n1\n1 -2\n",
                             "0\n2\n1 2\n1 3\n",
                             "0\n2\n2 2\n1 3\n",
                             "0\n2\n1 2\n2 1\n",
                             "0\n1\n1 2\n2 3\n",
                             "0\n1\n2147483648 1\n",
                             "0\n1\n1 9223372036854775808\n",
                             "0\n1\n1 20",
                             "0\n1\n+1 2\n",
                             "0 \n0\n"}) {
        EXPECT_EQ(code(text), Code::corrupt) << text;
    }
}

TEST(LeaderEpochs, EveryTruncationAndBitFlipIsNamedOrParsesToWhatItSays) {
    const std::string good = "0\n4\n0 0\n3 1700\n4 29000\n17 29001\n";
    for (size_t length = 0; length < good.size(); ++length) {
        ASSERT_FALSE(parse_leader_epochs(good.substr(0, length))) << length;
    }
    // Text has no checksum: a digit may become another one. What parses must say exactly that when written again.
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
        const auto parsed = parse_leader_epochs(bad);
        if (parsed) { ASSERT_EQ(parsed->size(), 4u); }
    }
}

TEST(PartitionMetadata, IsKafkasText) {
    const Uuid id = value_of(Uuid::parse(topic_id));
    EXPECT_EQ(format_partition_metadata(id), "version: 0\ntopic_id: " + topic_id);
    EXPECT_EQ(value_of(parse_partition_metadata("version: 0\ntopic_id: " + topic_id)), id);
    EXPECT_EQ(value_of(parse_partition_metadata("version: 0\ntopic_id: " + topic_id + "\n")), id);
}

TEST(PartitionMetadata, AnythingElseIsRefused) {
    EXPECT_EQ(code_of(parse_partition_metadata("version: 1\ntopic_id: " + topic_id)), Code::unsupported);
    for (const std::string& text :
         {std::string(), std::string("version: 0"), "version:0\ntopic_id: " + topic_id,
          "version: 0\ntopic: " + topic_id, std::string("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA"),
          "version: 0\ntopic_id: " + topic_id + "\nmore\n", "topic_id: " + topic_id + "\nversion: 0",
          "version: 0\ntopic_id: " + topic_id.substr(1)}) {
        EXPECT_EQ(code_of(parse_partition_metadata(text)), Code::corrupt) << text;
    }
}

TEST(MetaProperties, WhatKafkasFormatToolWritesIsRead) {
    // As java.util.Properties.store writes it: a comment, a date, keys in no order.
    const auto parsed = parse_meta_properties(
        "#\n#Mon Nov 23 08:47:11 UTC 2026\ncluster.id=MkU3OEVBNTcwNTJENDM2Qk\ndirectory.id=" + topic_id +
        "\nnode.id=7\nversion=1\n");
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->cluster_id, "MkU3OEVBNTcwNTJENDM2Qk");
    EXPECT_EQ(parsed->node_id, 7);
    EXPECT_EQ(parsed->directory_id.to_string(), topic_id);
    EXPECT_TRUE(parsed->others.empty());
}

TEST(MetaProperties, UnknownKeysAreKept) {
    MetaProperties properties{.cluster_id = "c l:u=s#t!e\\r",
                              .node_id = 0,
                              .directory_id = {},
                              .others = {{"flowstone.created.ms", "1"}, {"odd key:=", " \tvalue\n"}}};
    const auto parsed = parse_meta_properties(format_meta_properties(properties));
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(*parsed, properties);
    properties.directory_id = value_of(Uuid::parse(topic_id));
    EXPECT_EQ(value_of(parse_meta_properties(format_meta_properties(properties))), properties);
}

TEST(MetaProperties, JavasOtherSpellingsAreUnderstood) {
    const auto parsed = parse_meta_properties(
        "  ! comment\n\n version : 1\r\nnode.id 3\ncluster.id=a\\\n   b\\u0041\\t\\\\\nx.y=\nlast=1");
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->cluster_id, "abA\t\\");
    EXPECT_EQ(parsed->node_id, 3);
    EXPECT_EQ(parsed->others, (std::vector<std::pair<std::string, std::string>>{{"x.y", ""}, {"last", "1"}}));
}

TEST(MetaProperties, AnythingElseIsRefusedByName) {
    const auto code = [](std::string_view text) { return code_of(parse_meta_properties(text)); };
    EXPECT_EQ(code("version=0\nbroker.id=1\n"), Code::unsupported);
    EXPECT_EQ(code("version=2\ncluster.id=a\nnode.id=1\n"), Code::unsupported);
    EXPECT_EQ(code(""), Code::unsupported);
    EXPECT_EQ(code(std::string(meta_file_bytes_max + 1, '#')), Code::too_large);
    for (const char* text :
         {"version=1\nnode.id=1\n", "version=1\ncluster.id=a\n", "version=1\ncluster.id=\nnode.id=1\n",
          "version=x\ncluster.id=a\nnode.id=1\n", "version=1\ncluster.id=a\nnode.id=-1\n",
          "version=1\ncluster.id=a\nnode.id=1x\n", "version=1\ncluster.id=a\nnode.id=1\nnode.id=2\n",
          "version=1\ncluster.id=a\nnode.id=1\ndirectory.id=zz\n", "version=1\ncluster.id=\\u00zz\nnode.id=1\n",
          "version=1\ncluster.id=a\nnode.id=1\n=x\n", "version=1\ncluster.id=a\nnode.id=99999999999\n"}) {
        EXPECT_EQ(code(text), Code::corrupt) << text;
    }
}

TEST(OffsetCheckpoint, IsKafkasText) {
    const std::vector<PartitionOffset> offsets = {{{"a-b", 0}, Offset{5}}, {{"t", 12}, Offset{0}}};
    EXPECT_EQ(format_offset_checkpoint(offsets), "0\n2\na-b 0 5\nt 12 0\n");
    EXPECT_EQ(value_of(parse_offset_checkpoint("0\n2\na-b 0 5\nt 12 0\n")), offsets);
    for (const char* text :
         {"0\n1\nt 0\n", "0\n1\nt 0 1 2\n", "0\n1\nt/ 0 1\n", "0\n1\nt -1 1\n", "0\n1\nt 0 -1\n", "0\n1\n"}) {
        EXPECT_EQ(code_of(parse_offset_checkpoint(text)), Code::corrupt) << text;
    }
    EXPECT_EQ(code_of(parse_offset_checkpoint("1\n0\n")), Code::unsupported);
}

using MetaFilesTest = ScratchTest;

TEST_F(MetaFilesTest, AreWrittenReplacedAndReadAgain) {
    const std::vector<EpochStart> epochs = {{Epoch{1}, Offset{0}}};
    EXPECT_EQ(code_of(read_leader_epochs(*disk_, root_)), Code::not_found);
    ASSERT_TRUE(write_leader_epochs(*disk_, root_, {}));
    ASSERT_TRUE(write_leader_epochs(*disk_, root_, epochs));
    EXPECT_EQ(value_of(read_leader_epochs(*disk_, root_)), epochs);
    const Uuid id = value_of(Uuid::parse(topic_id));
    ASSERT_TRUE(write_partition_metadata(*disk_, root_, id));
    EXPECT_EQ(value_of(read_partition_metadata(*disk_, root_)), id);
    const MetaProperties properties{.cluster_id = "c", .node_id = 1, .directory_id = id, .others = {}};
    ASSERT_TRUE(write_meta_properties(*disk_, root_, properties));
    EXPECT_EQ(value_of(read_meta_properties(*disk_, root_)), properties);
}

TEST_F(MetaFilesTest, ErrorsNameTheFile) {
    write("leader-epoch-checkpoint", as_bytes("nonsense"));
    const auto epochs = read_leader_epochs(*disk_, root_);
    ASSERT_FALSE(epochs);
    EXPECT_NE(epochs.error().message().find("leader-epoch-checkpoint"), std::string::npos);
    write("meta.properties", std::vector<std::byte>(meta_file_bytes_max + 1));
    EXPECT_EQ(code_of(read_meta_properties(*disk_, root_)), Code::too_large);
}

}  // namespace
}  // namespace flowstone
