#include "log/consumer_offsets.h"

#include <functional>
#include <memory>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/script.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

std::vector<std::byte> from_hex(std::string_view hex) {
    std::vector<std::byte> bytes;
    std::string digits;
    for (char c : hex) {
        if (c == ' ') { continue; }
        digits += c;
        if (digits.size() < 2) { continue; }
        bytes.push_back(static_cast<std::byte>(std::stoi(digits, nullptr, 16)));
        digits.clear();
    }
    return bytes;
}

// Values by the definition, s[0]*31^(n-1) + ... + s[n-1] in 32 bits, worked out by hand or well known.
TEST(JavaStringHash, FollowsTheDefinition) {
    EXPECT_EQ(java_string_hash(""), 0);
    EXPECT_EQ(java_string_hash("a"), 97);
    EXPECT_EQ(java_string_hash("ab"), 97 * 31 + 98);
    EXPECT_EQ(java_string_hash("hello"), 99162322);
    EXPECT_EQ(java_string_hash("Aa"), java_string_hash("BB"));     // 65*31+97 == 66*31+66
    EXPECT_EQ(java_string_hash("polygenelubricants"), INT32_MIN);  // the well known one
}

TEST(JavaStringHash, CountsUtf16Units) {
    EXPECT_EQ(java_string_hash("\xc3\xa9"), 0xe9);                          // U+00E9
    EXPECT_EQ(java_string_hash("\xe2\x82\xac"), 0x20ac);                    // U+20AC
    EXPECT_EQ(java_string_hash("\xf0\x9f\x98\x80"), 0xd83d * 31 + 0xde00);  // U+1F600: two units
    EXPECT_EQ(java_string_hash("\xf4\x8f\xbf\xbf"), 0xdbff * 31 + 0xdfff);  // U+10FFFF
}

TEST(JavaStringLength, CountsUtf16Units) {
    EXPECT_EQ(java_string_length(""), 0u);
    EXPECT_EQ(java_string_length("abc"), 3u);
    EXPECT_EQ(java_string_length("\xe2\x82\xac"), 1u);
    EXPECT_EQ(java_string_length("\xf0\x9f\x98\x80"), 2u);
    EXPECT_EQ(java_string_length("\xff\xfe"), 2u);
}

// What Java 17's new String(bytes, UTF_8) makes of it: U+FFFD for each maximal part that could have begun a character.
TEST(JavaStringHash, MalformedUtf8CountsAsReplacementCharacters) {
    const int32_t one = 0xfffd;
    const auto two = static_cast<int32_t>(0xfffdu * 31 + 0xfffdu);
    const auto three = static_cast<int32_t>((0xfffdu * 31 + 0xfffdu) * 31 + 0xfffdu);
    EXPECT_EQ(java_string_hash("\x80"), one);
    EXPECT_EQ(java_string_hash("\xc3"), one);
    EXPECT_EQ(java_string_hash("\xf0\x9f\x98"), one);  // cut: one part
    EXPECT_EQ(java_string_hash("\xc0\x80"), two);      // longer than need be: each byte alone
    EXPECT_EQ(java_string_hash("\xe0\x80\x80"), three);
    EXPECT_EQ(java_string_hash("\xc3"
                               "a"),
              one * 31 + 'a');
    EXPECT_EQ(java_string_hash("\xff\xfe"), two);
    EXPECT_EQ(java_string_hash("\xed\xa0\x80"), one);  // a surrogate: one, unlike the Unicode standard's table 3-8
    EXPECT_EQ(java_string_hash("\xed\xa0"), one);
    EXPECT_EQ(java_string_hash("\xf4\x90\x80\x80"), 2017367872);  // above U+10FFFF: four
}

// Kafka's Utils.abs: the absolute value, but 0 for -2^31. (toPositive, which clears the sign bit, is the producers'.)
TEST(ConsumerOffsets, AGroupsPartitionIsTheAbsoluteHash) {
    EXPECT_EQ(partition_for_group("hello"), 99162322 % 50);
    EXPECT_EQ(partition_for_group("polygenelubricants"), 0);
    int64_t hash = 0;
    for (char c : std::string("a negative group id")) { hash = static_cast<int32_t>(hash * 31 + c); }
    ASSERT_LT(hash, 0);
    EXPECT_EQ(partition_for_group("a negative group id"), -hash % 50);  // Kafka 4.3.0 says 22 as well
    EXPECT_EQ(partition_for_group("a negative group id"), 22);
    EXPECT_EQ(partition_for_group("hello", 7), 99162322 % 7);
}

TEST(ConsumerOffsets, KeysAndValuesAreWrittenAsTheSchemasSay) {
    const auto key = encode(OffsetCommitKey{"g", "top", 5});
    ASSERT_TRUE(key);
    EXPECT_EQ(*key, from_hex("0001 0001 67 0003 746f70 00000005"));
    const auto value =
        encode(OffsetCommit{.offset = Offset{258}, .leader_epoch = 7, .metadata = "m", .commit_timestamp_ms = 9});
    ASSERT_TRUE(value);
    EXPECT_EQ(*value, from_hex("0003 0000000000000102 00000007 0001 6d 0000000000000009"));
    // With an expiry time: version 1, which has no leader epoch.
    const auto expiring = encode(OffsetCommit{.offset = Offset{258},
                                              .leader_epoch = 7,
                                              .metadata = "m",
                                              .commit_timestamp_ms = 9,
                                              .expire_timestamp_ms = 10});
    ASSERT_TRUE(expiring);
    EXPECT_EQ(*expiring, from_hex("0001 0000000000000102 0001 6d 0000000000000009 000000000000000a"));
}

GroupMetadata two_members() {
    return {.protocol_type = "consumer",
            .generation = 5,
            .protocol = "range",
            .leader = "m1",
            .state_timestamp_ms = 9,
            .members = {{.id = "m1",
                         .instance_id = "i",
                         .client_id = "c",
                         .client_host = "/h",
                         .rebalance_timeout_ms = 258,
                         .session_timeout_ms = 6,
                         .subscription = from_hex("0a0b"),
                         .assignment = from_hex("0c")},
                        {.id = "m2", .rebalance_timeout_ms = 1, .session_timeout_ms = 2}}};
}
// After protocol type, generation 5, protocol "range" and leader "m1".
constexpr std::string_view group_head = "0008 636f6e73756d6572 00000005 0005 72616e6765 0002 6d31";

TEST(ConsumerOffsets, AGroupsStateIsWrittenAsTheSchemaSays) {
    const auto key = encode(GroupMetadataKey{"g"});
    ASSERT_TRUE(key);
    EXPECT_EQ(*key, from_hex("0002 0001 67"));
    const auto value = encode(two_members());
    ASSERT_TRUE(value);
    EXPECT_EQ(*value,
              from_hex(fmt::format("0003 {} 0000000000000009 00000002"
                                   "0002 6d31 0001 69 0001 63 0002 2f68 00000102 00000006 00000002 0a0b 00000001 0c"
                                   "0002 6d32 ffff 0000 0000 00000001 00000002 00000000 00000000",
                                   group_head)));
    const auto empty = encode(GroupMetadata{.protocol_type = "consumer", .generation = 6});
    ASSERT_TRUE(empty);
    EXPECT_EQ(*empty, from_hex("0003 0008 636f6e73756d6572 00000006 ffff ffff ffffffffffffffff 00000000"));
}

TEST(ConsumerOffsets, EveryVersionOfAGroupsStateIsRead) {
    const auto read = [](std::string_view hex) { return value_of(decode_group_metadata(from_hex(hex))); };
    EXPECT_EQ(decode_group_metadata(value_of(encode(two_members()))), two_members());
    const std::string m1 = "0002 6d31";
    const std::string client = "0001 63 0002 2f68";
    const std::string bytes = "00000002 0a0b 00000001 0c";
    GroupMetadata group = two_members();
    group.members.resize(1);
    group.members[0].instance_id.reset();
    EXPECT_EQ(read(fmt::format("0002 {} 0000000000000009 00000001 {} {} 00000102 00000006 {}", group_head, m1, client,
                               bytes)),
              group);
    group.state_timestamp_ms = -1;
    EXPECT_EQ(read(fmt::format("0001 {} 00000001 {} {} 00000102 00000006 {}", group_head, m1, client, bytes)), group);
    group.members[0].rebalance_timeout_ms = -1;
    EXPECT_EQ(read(fmt::format("0000 {} 00000001 {} {} 00000006 {}", group_head, m1, client, bytes)), group);
    // Flexible, with a tagged field in the member and one at the end.
    EXPECT_EQ(read("0004 09 636f6e73756d6572 00000005 06 72616e6765 03 6d31 0000000000000009 03"
                   "03 6d31 02 69 02 63 03 2f68 00000102 00000006 03 0a0b 02 0c 01 07 02 abcd"
                   "03 6d32 00 01 01 00000001 00000002 01 01 00"
                   "01 09 01 ff"),
              two_members());
}

TEST(ConsumerOffsets, TooLongIsRefused) {
    EXPECT_TRUE(encode(OffsetCommitKey{std::string(32'767, 'g'), std::string(249, 't'), 0}));
    EXPECT_EQ(encode(OffsetCommitKey{std::string(32'768, 'g'), "t", 0}).error().code, Code::too_large);
    EXPECT_EQ(encode(OffsetCommitKey{"g", std::string(250, 't'), 0}).error().code, Code::too_large);
    EXPECT_EQ(encode(OffsetCommitKey{"g", "t", -1}).error().code, Code::invalid);
    EXPECT_TRUE(encode(OffsetCommit{.offset = Offset{0}, .metadata = std::string(32'767, 'm')}));
    EXPECT_EQ(encode(OffsetCommit{.offset = Offset{0}, .metadata = std::string(32'768, 'm')}).error().code,
              Code::too_large);
    EXPECT_TRUE(encode(GroupMetadataKey{std::string(32'767, 'g')}));
    EXPECT_EQ(encode(GroupMetadataKey{std::string(32'768, 'g')}).error().code, Code::too_large);
}

TEST(ConsumerOffsets, EveryStringOfAGroupsStateHasToFit) {
    const std::string most(32'767, 's');
    const std::string too_much(32'768, 's');
    const auto encoded = [](auto set, const std::string& text) {
        GroupMetadata group{.members = {GroupMetadata::Member{}}};
        set(group, text);
        return encode(group);
    };
    const std::vector<std::function<void(GroupMetadata&, const std::string&)>> strings = {
        [](GroupMetadata& group, const std::string& text) { group.protocol_type = text; },
        [](GroupMetadata& group, const std::string& text) { group.protocol = text; },
        [](GroupMetadata& group, const std::string& text) { group.leader = text; },
        [](GroupMetadata& group, const std::string& text) { group.members[0].id = text; },
        [](GroupMetadata& group, const std::string& text) { group.members[0].instance_id = text; },
        [](GroupMetadata& group, const std::string& text) { group.members[0].client_id = text; },
        [](GroupMetadata& group, const std::string& text) { group.members[0].client_host = text; },
    };
    for (const auto& set : strings) {
        EXPECT_TRUE(encoded(set, most));
        EXPECT_EQ(encoded(set, too_much).error().code, Code::too_large);
    }
}

TEST(ConsumerOffsets, EveryVersionOfAValueIsRead) {
    const auto read = [](std::string_view hex) { return value_of(decode_offset_commit(from_hex(hex))); };
    const OffsetCommit plain{.offset = Offset{258}, .metadata = "m", .commit_timestamp_ms = 9};
    EXPECT_EQ(read("0000 0000000000000102 0001 6d 0000000000000009"), plain);
    EXPECT_EQ(read("0002 0000000000000102 0001 6d 0000000000000009"), plain);
    OffsetCommit expiring = plain;
    expiring.expire_timestamp_ms = 10;
    EXPECT_EQ(read("0001 0000000000000102 0001 6d 0000000000000009 000000000000000a"), expiring);
    OffsetCommit with_epoch = plain;
    with_epoch.leader_epoch = 7;
    EXPECT_EQ(read("0003 0000000000000102 00000007 0001 6d 0000000000000009"), with_epoch);
    EXPECT_EQ(read("0004 0000000000000102 00000007 02 6d 0000000000000009 00"), with_epoch);
    // Tagged field 0: the topic's id.
    EXPECT_EQ(read("0004 0000000000000102 00000007 02 6d 0000000000000009 01 00 10 00112233445566778899aabbccddeeff"),
              with_epoch);
}

TEST(ConsumerOffsets, NewerValuesAreUnsupportedAndBadOnesCorrupt) {
    EXPECT_EQ(decode_offset_commit(from_hex("0005 00")).error().code, Code::unsupported);
    EXPECT_EQ(decode_offset_commit(from_hex("ffff 00")).error().code, Code::corrupt);
    EXPECT_EQ(decode_offset_commit({}).error().code, Code::corrupt);
    EXPECT_EQ(decode_offset_commit(from_hex("0003 0000000000000102 00000007 ffff 0000000000000009")).error().code,
              Code::corrupt);
    for (const char* hex : {"0001 0000000000000102 0001 6d 0000000000000009 000000000000000a",
                            "0003 0000000000000102 00000007 0001 6d 0000000000000009",
                            "0004 0000000000000102 00000007 02 6d 0000000000000009 01 00 02 abcd"}) {
        auto whole = from_hex(hex);
        for (size_t size = 0; size < whole.size(); ++size) {
            EXPECT_FALSE(decode_offset_commit(Bytes(whole).first(size))) << hex << " cut to " << size;
        }
        whole.push_back(std::byte{0});
        EXPECT_FALSE(decode_offset_commit(whole)) << hex << " with a byte more";
    }
}

TEST(ConsumerOffsets, ABadStateOfAGroupIsRefused) {
    EXPECT_EQ(decode_group_metadata(from_hex("0005 00")).error().code, Code::unsupported);
    EXPECT_EQ(decode_group_metadata(from_hex("ffff 00")).error().code, Code::corrupt);
    EXPECT_EQ(decode_group_metadata({}).error().code, Code::corrupt);
    for (const std::string& hex :
         {fmt::format("0003 {} 0000000000000009 00000001 0002 6d31 ffff 0000 0000 00000001 00000002 00000000 00000000",
                      group_head),
          std::string("0004 09 636f6e73756d6572 00000005 06 72616e6765 03 6d31 0000000000000009 02"
                      "03 6d31 02 69 02 63 03 2f68 00000102 00000006 03 0a0b 02 0c 00 00")}) {
        auto whole = from_hex(hex);
        ASSERT_TRUE(decode_group_metadata(whole)) << hex;
        for (size_t size = 0; size < whole.size(); ++size) {
            EXPECT_FALSE(decode_group_metadata(Bytes(whole).first(size))) << hex << " cut to " << size;
        }
        whole.push_back(std::byte{0});
        EXPECT_FALSE(decode_group_metadata(whole)) << hex << " with a byte more";
    }
    const auto refused = [](std::string_view end) {
        return decode_group_metadata(from_hex(fmt::format("0003 {} 0000000000000009 {}", group_head, end)))
            .error()
            .code;
    };
    EXPECT_EQ(refused("7fffffff"), Code::corrupt) << "2^31 - 1 members";
    EXPECT_EQ(refused("ffffffff"), Code::corrupt) << "null instead of members";
    EXPECT_EQ(refused("00000001 ffff ffff 0000 0000 00000001 00000002 00000000 00000000"), Code::corrupt)
        << "null instead of a member's id";
    EXPECT_EQ(refused("00000001 0000 fffe 0000 0000 00000001 00000002 00000000 00000000"), Code::corrupt)
        << "a length of -2";
    EXPECT_EQ(refused("00000001 0000 ffff 0000 0000 00000001 00000002 ffffffff 00000000"), Code::corrupt)
        << "null instead of a subscription";
}

TEST(ConsumerOffsets, EveryVersionOfAKeyIsRead) {
    EXPECT_EQ(value_of(decode_group_key(from_hex("0000 0001 67 0003 746f70 00000005"))),
              GroupKey(OffsetCommitKey{"g", "top", 5}));
    EXPECT_EQ(value_of(decode_group_key(from_hex("0001 0001 67 0003 746f70 00000005"))),
              GroupKey(OffsetCommitKey{"g", "top", 5}));
    EXPECT_EQ(value_of(decode_group_key(from_hex("0002 0001 67"))), GroupKey(GroupMetadataKey{"g"}));
    EXPECT_EQ(value_of(decode_group_key(from_hex("0008 0001 67 01"))), GroupKey(OtherGroupKey{8}));
    const auto whole = from_hex("0001 0001 67 0003 746f70 00000005");
    for (size_t size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(decode_group_key(Bytes(whole).first(size))) << size;
    }
    EXPECT_FALSE(decode_group_key(from_hex("0001 0001 67 0003 746f70 80000000"))) << "a negative partition";
    EXPECT_FALSE(decode_group_key(from_hex("0001 ffff 0003 746f70 00000005"))) << "a negative length";
    EXPECT_FALSE(decode_group_key(from_hex("0002 0001 67 00"))) << "bytes left over";
}

TEST(OffsetTable, ARecordWithoutKeyIsRefused) {
    OffsetTable table;
    EXPECT_EQ(table.apply(RecordView{}).error().code, Code::invalid);
}

TEST(OffsetTable, ABadValueChangesNothing) {
    OffsetTable table;
    const auto key = value_of(encode(OffsetCommitKey{"g", "t", 0}));
    ASSERT_TRUE(table.apply(key, value_of(encode(OffsetCommit{.offset = Offset{5}, .metadata = ""}))));
    EXPECT_FALSE(table.apply(key, from_hex("0003 00")));
    ASSERT_NE(table.find("g", "t", 0), nullptr);
    EXPECT_EQ(table.find("g", "t", 0)->offset, Offset{5});
}

struct OffsetScript {
    OffsetTable table;

    std::string run(const ScriptCommand& c) {
        if (c.name == "commit" || c.name == "delete") {
            const auto key =
                encode(OffsetCommitKey{c.text("group"), c.text("topic"), static_cast<int32_t>(c.number("partition"))});
            if (c.name == "delete") { return table.apply(*key, std::nullopt) ? "ok\n" : "error\n"; }
            const auto value =
                encode(OffsetCommit{.offset = Offset{c.number("offset")}, .metadata = c.text("metadata")});
            return table.apply(*key, *value) ? "ok\n" : "error\n";
        }
        if (c.name == "group-state") {
            ByteWriter key;
            key.be<int16_t>(static_cast<int16_t>(c.number("version", 2)));
            key.be<int16_t>(static_cast<int16_t>(c.text("group").size()));
            key.text(c.text("group"));
            const std::string state = c.text("state");
            return table.apply(key.view(), state.empty() ? std::nullopt : std::optional(as_bytes(state))) ? "ok\n"
                                                                                                          : "error\n";
        }
        if (c.name == "groups") {
            std::string out;
            for (const std::string& group : table.groups()) { out += group + "\n"; }
            return out.empty() ? "none\n" : out;
        }
        if (c.name == "show") {
            std::string out;
            for (const auto& [at, commit] : table.offsets(c.text("group"))) {
                out += fmt::format("{}-{} offset={} metadata={}\n", at.topic, at.partition, commit.offset.value,
                                   commit.metadata);
            }
            if (const auto* state = table.group_metadata(c.text("group"))) {
                out += fmt::format("state {}\n", as_text(*state));
            }
            return out.empty() ? "nothing\n" : out;
        }
        if (c.name == "count") {
            return fmt::format("{} commits, {} records skipped\n", table.size(), table.records_skipped());
        }
        return "unknown command " + c.name + "\n";
    }
};

TEST(OffsetTable, FollowsItsScripts) {
    run_scripts("log/consumer_offsets", [] {
        auto machine = std::make_shared<OffsetScript>();
        return ScriptMachine([machine](const ScriptCommand& command) { return machine->run(command); });
    });
}

}  // namespace
}  // namespace flowstone
