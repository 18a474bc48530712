#include "client/impl/consumer_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/net/kafka/hex.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Written by hand from ConsumerProtocolSubscription.json and ConsumerProtocolAssignment.json.
TEST(ConsumerProtocol, BytesAreThoseOfTheSchemas) {
    const Subscriber member{.member = "m", .topics = {"ab"}, .owned = {{"ab", 1}, {"ab", 2}}, .generation = 5};
    EXPECT_EQ(to_hex(encode_subscription(Assignor::range, member)),
              "0003"  // version
              "00000001"
              "0002"
              "6162"      // topics
              "00000000"  // userdata
              "00000001"
              "0002"
              "6162"
              "00000002"
              "00000001"
              "00000002"  // owned
              "00000005"  // generation
              "ffff");    // rack
    EXPECT_EQ(to_hex(encode_assignment({{"ab", 1}})),
              "0003"
              "00000001"
              "0002"
              "6162"
              "00000001"
              "00000001"
              "ffffffff");
}

TEST(ConsumerProtocol, WhatIsEncodedIsReadAgain) {
    for (const Assignor assignor :
         {Assignor::range, Assignor::round_robin, Assignor::sticky, Assignor::cooperative_sticky}) {
        const Subscriber member{.member = "m", .topics = {"a", "b"}, .owned = {{"a", 0}, {"b", 7}}, .generation = 3};
        Subscriber read{.member = "m"};
        ASSERT_TRUE(decode_subscription(assignor, encode_subscription(assignor, member), read));
        EXPECT_EQ(read.topics, member.topics);
        EXPECT_EQ(read.owned, member.owned);
        EXPECT_EQ(read.generation, 3);
    }
}

// Old members say what they have in their assignor's own bytes only.
TEST(ConsumerProtocol, OldVersionsAreReadWithTheirUserdata) {
    Subscriber read;
    ASSERT_TRUE(decode_subscription(Assignor::range,
                                    from_hex("0000"
                                             "00000001"
                                             "0001"
                                             "74"
                                             "ffffffff"),
                                    read));
    EXPECT_THAT(read.topics, ElementsAre("t"));
    EXPECT_THAT(read.owned, IsEmpty());
    const auto sticky = from_hex(
        "0000"
        "00000001"
        "0001"
        "74"
        "00000013"
        "00000001"
        "0001"
        "74"
        "00000001"
        "00000004"
        "00000009");
    ASSERT_TRUE(decode_subscription(Assignor::sticky, sticky, read));
    EXPECT_THAT(read.owned, ElementsAre(TopicPartition{"t", 4}));
    EXPECT_EQ(read.generation, 9);
    const auto cooperative = from_hex(
        "0001"
        "00000001"
        "0001"
        "74"
        "00000004"
        "00000006"
        "00000000");
    ASSERT_TRUE(decode_subscription(Assignor::cooperative_sticky, cooperative, read));
    EXPECT_EQ(read.generation, 6);
}

TEST(ConsumerProtocol, WhatIsCutShortOrClaimsTooMuchIsCorruptAndTakesNoMemory) {
    const Subscriber member{.member = "m", .topics = {"ab"}, .owned = {{"ab", 1}}, .generation = 5};
    const auto whole = encode_subscription(Assignor::sticky, member);
    for (size_t size = 0; size + 2 < whole.size(); ++size) {
        Subscriber read;
        EXPECT_FALSE(decode_subscription(Assignor::sticky, Bytes(whole).first(size), read)) << size;
    }
    const auto assignment = encode_assignment({{"ab", 1}});
    for (size_t size = 1; size + 4 < assignment.size(); ++size) {
        EXPECT_FALSE(decode_assignment(Bytes(assignment).first(size))) << size;
    }
    EXPECT_FALSE(
        decode_assignment(from_hex("0000"
                                   "7fffffff"
                                   "0001"
                                   "74")));
    EXPECT_THAT(value_of(decode_assignment({})), IsEmpty());
}

}  // namespace
}  // namespace flowstone
