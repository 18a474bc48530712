// The examples of docs/formats, held against what the code writes. Their sums and hashes were computed apart from it:
// bit by bit, and by the system's xxHash.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <fstream>

#include "storage/checkpoint.h"
#include "storage/journal_format.h"
#include "storage/meta_files.h"
#include "storage/producer_snapshot.h"
#include "storage/seal.h"
#include "storage/segment_index.h"
#include "storage/transaction_index.h"
#include "tests/paths.h"
#include "tests/storage/scratch.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

// The lines of the nth block of a page that begins with ```KIND.
std::vector<std::string> block(const std::string& page_name, const std::string& kind, int number = 0) {
    std::ifstream page(source_path("docs/formats/") + page_name);
    std::vector<std::string> lines;
    std::string line;
    for (int seen = -1; seen < number && std::getline(page, line);) { seen += line == "```" + kind ? 1 : 0; }
    while (std::getline(page, line) && line != "```") { lines.push_back(line); }
    EXPECT_FALSE(lines.empty()) << page_name;
    return lines;
}

// Pairs of hexadecimal digits at the start of each line, a comment behind three blanks.
std::vector<std::byte> hex_block(const std::string& page_name) {
    std::vector<std::byte> bytes;
    for (const std::string& line : block(page_name, "hex")) {
        const std::string_view digits = std::string_view(line).substr(0, line.find("   "));
        for (size_t at = 0; at + 1 < digits.size(); at += 3) {
            uint8_t value = 0;
            std::from_chars(&digits[at], &digits[at] + 2, value, 16);
            bytes.push_back(static_cast<std::byte>(value));
        }
    }
    return bytes;
}

std::string text_block(const std::string& page_name, int number) {
    std::string text;
    for (const std::string& line : block(page_name, "text", number)) { text += line + '\n'; }
    return text;
}

// Its bytes count up from `first`.
Uuid counting(uint8_t first) {
    Uuid id;
    for (std::byte& byte : id.bytes) { byte = std::byte{first++}; }
    return id;
}

TEST(FormatPages, Checkpoint) {
    Checkpoint empty;
    empty.number = 1;
    empty.cluster = counting(0x00);
    empty.clean = true;
    empty.wall_ms = 1'700'000'000'000;
    empty.rings.push_back({.ring = counting(0x10), .first_sequence = 1});
    EXPECT_EQ(encode_checkpoint(empty), hex_block("checkpoint.md"));
}

TEST(FormatPages, Journal) {
    std::vector<std::byte> batch_space(200);
    BatchBuilder builder(batch_space, {.base_offset = Offset{0}, .epoch = Epoch{1}});
    ASSERT_TRUE(builder.append({.key = std::nullopt, .value = "rock"}, 1'700'000'000'000));
    const Bytes batch[] = {builder.close().bytes()};
    std::vector<std::byte> space(8192);
    CommitWriter writer(space, {.ring = counting(0x10), .generation = 1, .block = 1, .sequence = 1}, {});
    writer.add({.topic_id = counting(0x20), .partition = 3, .epoch = Epoch{1}, .next_offset = Offset{1}}, batch);
    const Bytes commit = writer.finish(4096);
    const auto expected = hex_block("journal.md");
    ASSERT_EQ(commit.size(), 4096u);
    EXPECT_TRUE(std::ranges::equal(commit.first(expected.size()), expected));
    EXPECT_TRUE(
        std::ranges::all_of(commit.subspan(expected.size()), [](std::byte one) { return one == std::byte{0}; }));
}

TEST(FormatPages, Seal) {
    SealPlace place{.cluster = {}, .topic = {}, .partition = 3, .base = Offset{100}};
    place.cluster.bytes[0] = std::byte{1};
    place.topic.bytes[15] = std::byte{2};
    SealBuilder builder(place);
    builder.update(as_bytes("abc"));
    EXPECT_EQ(encode_seal(builder.finish(Offset{110}, SealOrigin::append)), hex_block("seal.md"));
}

TEST(FormatPages, ProducerSnapshot) {
    ProducerSnapshotEntry entry;
    entry.producer_id = 4000;
    entry.producer_epoch = 2;
    entry.last_sequence = 99;
    entry.last_offset = Offset{1234};
    entry.offset_delta = 9;
    entry.timestamp_ms = 1'700'000'000'000;
    EXPECT_EQ(encode_producer_snapshot({&entry, 1}), hex_block("producer-snapshot.md"));
}

TEST(FormatPages, TransactionIndex) {
    const AbortedTransaction entry{4000, Offset{10}, Offset{20}, Offset{15}};
    EXPECT_EQ(encode_transaction_index({&entry, 1}), hex_block("transaction-index.md"));
}

TEST(FormatPages, MetaFiles) {
    const std::vector<EpochStart> epochs = {{Epoch{0}, Offset{0}}, {Epoch{3}, Offset{1700}}};
    EXPECT_EQ(format_leader_epochs(epochs), text_block("meta-files.md", 0));
    const Uuid id = value_of(Uuid::parse("ABEiM0RVZneImaq7zN3u_w"));
    EXPECT_EQ(format_partition_metadata(id) + '\n', text_block("meta-files.md", 1));
    const MetaProperties properties{
        .cluster_id = "MkU3OEVBNTcwNTJENDM2Qg", .node_id = 1, .directory_id = id, .others = {}};
    EXPECT_EQ(format_meta_properties(properties), text_block("meta-files.md", 2));
}

using IndexPage = ScratchTest;

TEST_F(IndexPage, TheExampleIsWhatAnIndexWrites) {
    SegmentIndex index(root_, Offset{100});
    index.note(Offset{103}, BytePos{0}, 1000);
    index.note(Offset{105}, BytePos{3000}, 3000);
    index.note(Offset{109}, BytePos{5000}, 2000);
    ASSERT_TRUE(index.flush(*disk_));
    auto files = read("00000000000000000100.index");
    const auto times = read("00000000000000000100.timeindex");
    files.insert(files.end(), times.begin(), times.end());
    EXPECT_EQ(files, hex_block("segment.md"));
}

}  // namespace
}  // namespace flowstone
