#include "net/kafka/message.h"

#include <gtest/gtest.h>

#include "net/kafka/messages/api_versions.h"
#include "net/kafka/messages/create_topics.h"
#include "net/kafka/messages/delete_topics.h"
#include "net/kafka/messages/fetch.h"
#include "net/kafka/messages/find_coordinator.h"
#include "net/kafka/messages/metadata.h"
#include "net/kafka/messages/produce.h"
#include "tests/net/kafka/hex.h"

namespace flowstone::kafka {
namespace {

template <class T>
std::string encoded(const T& message, int16_t version) {
    Gather out;
    encode(message, version, out);
    EXPECT_EQ(out.size(), encoded_size(message, version));
    return to_hex(out.flat());
}

template <class T>
Code refusal(Bytes body, int16_t version) {
    const auto message = decode<T>(body, version);
    EXPECT_FALSE(message) << to_string(*message);
    return message ? Code::invalid : message.error().code;
}

std::string hex(std::string_view text) { return to_hex(from_hex(text)); }

// --- by hand -------------------------------------------------------------------------------------------------------

TEST(Message, ApiVersionsThreeIsWhatTheProtocolPageSays) {
    ApiVersionsRequest request;
    request.client_software_name = "kcat";
    request.client_software_version = "1";
    EXPECT_EQ(encoded(request, 3), hex("05 'kcat' 02 '1' 00"));
    EXPECT_EQ(encoded(request, 2), "");

    ApiVersionsResponse response;
    response.api_keys = {{.api_key = 18, .min_version = 0, .max_version = 4}};
    response.throttle_time_ms = 7;
    EXPECT_EQ(encoded(response, 0), hex("0000 00000001 0012 0000 0004"));
    EXPECT_EQ(encoded(response, 1), hex("0000 00000001 0012 0000 0004 00000007"));
    EXPECT_EQ(encoded(response, 3), hex("0000 02 0012 0000 0004 00 00000007 00"));

    // Tags 0 and 1: a feature of 6 + 2 bytes, then the epoch.
    response.supported_features = {{.name = "f", .min_version = 1, .max_version = 2}};
    response.finalized_features_epoch = 5;
    EXPECT_EQ(encoded(response, 3),
              hex("0000 02 0012 0000 0004 00 00000007 02  00 08 02 02 'f' 0001 0002 00  01 08 0000000000000005"));
}

TEST(Message, WhatWasEncodedDecodesAlike) {
    MetadataResponse response;
    response.brokers = {{.node_id = 1, .host = "localhost", .port = 9092, .rack = "r"}};
    response.cluster_id = "a cluster whose name is long";
    response.controller_id = 1;
    response.topics.resize(2);
    response.topics[1].name = "orders";
    response.topics[1].partitions.resize(3);
    response.topics[1].partitions[2].isr_nodes = {1, 2, 3};
    for (int16_t version = 8; version <= 10; ++version) {
        Gather out;
        encode(response, version, out);
        const auto bytes = out.flat();
        auto again = decode<MetadataResponse>(bytes, version);
        ASSERT_TRUE(again) << again.error().message();
        EXPECT_TRUE(same(response, *again)) << to_string(*again);
    }
}

// --- null and empty ------------------------------------------------------------------------------------------------

TEST(Message, NullAndEmptyListsDiffer) {
    for (const auto& [null, empty, version] :
         {std::tuple{"ffffffff", "00000000", int16_t{1}}, std::tuple{"00 00 00 00 00", "01 00 00 00 00", int16_t{9}}}) {
        const auto null_bytes = from_hex(null);
        const auto empty_bytes = from_hex(empty);
        auto all = decode<MetadataRequest>(null_bytes, version);
        auto none = decode<MetadataRequest>(empty_bytes, version);
        ASSERT_TRUE(all);
        ASSERT_TRUE(none);
        EXPECT_FALSE(all->topics.has_value());
        ASSERT_TRUE(none->topics.has_value());
        EXPECT_TRUE(none->topics->empty());
        if (version == 1) {
            EXPECT_EQ(encoded(*all, version), hex(null));
            EXPECT_EQ(encoded(*none, version), hex(empty));
        }
    }
}

TEST(Message, NullAndEmptyStringsDiffer) {
    MetadataResponse response;
    response.topics = {{.name = "t"}};
    EXPECT_EQ(encoded(ProduceRequest{}, 3), hex("ffff 0000 00000000 00000000"));
    ProduceRequest request;
    request.transactional_id = "";
    EXPECT_EQ(encoded(request, 3), hex("0000 0000 00000000 00000000"));
    EXPECT_EQ(encoded(request, 9), hex("01 0000 00000000 01 00"));
    const auto bytes = from_hex("01 0000 00000000 01 00");
    const auto decoded = decode<ProduceRequest>(bytes, 9);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->transactional_id, "");
}

TEST(Message, NullWhereTheVersionAllowsNoneIsRefused) {
    EXPECT_EQ(refusal<MetadataRequest>(from_hex("ffffffff"), 0), Code::corrupt);
    EXPECT_EQ(refusal<ApiVersionsRequest>(from_hex("00 02 '1' 00"), 3), Code::corrupt);
    EXPECT_EQ(refusal<DeleteTopicsRequest>(from_hex("00000001 ffff 00000000"), 1), Code::corrupt);
    // One below null is no length at all.
    EXPECT_EQ(refusal<MetadataRequest>(from_hex("fffffffe"), 1), Code::corrupt);
}

TEST(Message, NullWhereTheVersionAllowsNoneIsEncodedAsEmpty) {
    MetadataRequest request;
    request.topics.reset();
    EXPECT_EQ(encoded(request, 0), hex("00000000"));
    EXPECT_EQ(check_encodable(request, 0).error().code, Code::invalid);
    EXPECT_TRUE(check_encodable(request, 1));
}

// --- what a version lacks ------------------------------------------------------------------------------------------

TEST(Message, WhatTheVersionLacksHasItsDefault) {
    const auto bytes = from_hex("00000000");
    auto request = decode<MetadataRequest>(bytes, 0);
    ASSERT_TRUE(request);
    EXPECT_TRUE(request->allow_auto_topic_creation);
    const auto fetch = decode<FetchRequest>(from_hex("ffffffff 00000001 00000002 00000003 01 00000000"), 4);
    ASSERT_TRUE(fetch);
    EXPECT_EQ(fetch->session_epoch, -1);
    EXPECT_EQ(fetch->max_bytes, 3);
}

TEST(Message, WhoAsksCanLearnWhatWouldBeLost) {
    FindCoordinatorRequest request;
    EXPECT_TRUE(check_encodable(request, 0));
    request.key_type = 1;
    auto lost = check_encodable(request, 0);
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, Code::invalid);
    EXPECT_NE(lost.error().message().find("key_type"), std::string::npos) << lost.error().message();
    EXPECT_TRUE(check_encodable(request, 1));
    EXPECT_EQ(check_encodable(request, 7).error().code, Code::unsupported);

    FetchRequest ignorable;
    ignorable.rack_id = "here";
    EXPECT_TRUE(check_encodable(ignorable, 10));
}

// --- tagged fields -------------------------------------------------------------------------------------------------

TEST(Message, UnknownTaggedFieldsAreSkippedAtEveryDepth) {
    const auto bytes = from_hex(
        "0000 02 0012 0000 0004 01 7f 03 'abc' 00000007 "
        "03 00 0c 02 02 'f' 0001 0002 01 05 02 'xy'  01 08 0000000000000005  e807 00");
    auto response = decode<ApiVersionsResponse>(bytes, 3);
    ASSERT_TRUE(response) << response.error().message();
    ASSERT_EQ(response->api_keys.size(), 1u);
    EXPECT_EQ(response->api_keys[0].max_version, 4);
    ASSERT_EQ(response->supported_features.size(), 1u);
    EXPECT_EQ(response->supported_features[0].max_version, 2);
    EXPECT_EQ(response->finalized_features_epoch, 5);
}

TEST(Message, ATaggedFieldOfAnotherVersionIsUnknown) {
    // Tag 1 of the fetch request is the replica's state, from version 15 on. Its content here is none.
    const std::string body = "ffffffff 00000000 00000000 00000000 00 00000000 00000000 01 01 01";
    EXPECT_TRUE(decode<FetchRequest>(from_hex(body + " 01 01 01 aa"), 12));
    EXPECT_FALSE(decode<FetchRequest>(from_hex(body.substr(9) + " 01 01 01 aa"), 15));
}

TEST(Message, ATaggedFieldIsAsLongAsItSays) {
    const std::string body = "0000 01 00000000 01 01";
    EXPECT_TRUE(decode<ApiVersionsResponse>(from_hex(body + " 08 0000000000000005"), 3));
    EXPECT_EQ(refusal<ApiVersionsResponse>(from_hex(body + " 09 0000000000000005 00"), 3), Code::corrupt);
    EXPECT_EQ(refusal<ApiVersionsResponse>(from_hex(body + " 07 00000000000000"), 3), Code::corrupt);
    EXPECT_EQ(refusal<ApiVersionsResponse>(from_hex(body + " 08 00000000000000"), 3), Code::corrupt);
    EXPECT_EQ(
        refusal<ApiVersionsResponse>(from_hex("0000 01 00000000 02 01 08 0000000000000005 01 08 0000000000000005"), 3),
        Code::corrupt);
}

// --- broken bytes --------------------------------------------------------------------------------------------------

TEST(Message, EveryTruncationAndEveryByteBehindIsRefused) {
    CreateTopicsRequest request;
    request.topics.resize(1);
    request.topics[0].name = "a topic";
    request.topics[0].assignments = {{.partition_index = 1, .broker_ids = {1, 2}}};
    request.topics[0].configs = {{.name = "cleanup.policy", .value = "compact"}};
    for (int16_t version = 2; version <= 7; ++version) {
        Gather out;
        encode(request, version, out);
        auto bytes = out.flat();
        for (size_t size = 0; size < bytes.size(); ++size) {
            EXPECT_EQ(refusal<CreateTopicsRequest>(Bytes(bytes).first(size), version), Code::corrupt) << size;
        }
        bytes.push_back(std::byte{0});
        EXPECT_EQ(refusal<CreateTopicsRequest>(bytes, version), Code::corrupt);
    }
}

TEST(Message, AVersionThatIsNotKnownIsRefused) {
    EXPECT_EQ(refusal<ApiVersionsRequest>({}, 5), Code::unsupported);
    EXPECT_EQ(refusal<ApiVersionsRequest>({}, -1), Code::unsupported);
    EXPECT_EQ(refusal<ProduceRequest>({}, 2), Code::unsupported);
}

TEST(Message, ARefusalNamesMessageVersionAndField) {
    const auto refused = decode<MetadataRequest>(from_hex("00000001 0005 'ab'"), 1);
    ASSERT_FALSE(refused);
    const std::string text = refused.error().message();
    EXPECT_NE(text.find("MetadataRequest version 1: topics.name"), std::string::npos) << text;
}

// --- records -------------------------------------------------------------------------------------------------------

TEST(Message, FetchedRecordsAreSplicedIn) {
    const std::vector<std::byte> first(4000, std::byte{1});
    const std::vector<std::byte> second(5000, std::byte{2});
    FetchResponse response;
    response.responses.resize(1);
    response.responses[0].topic = "t";
    response.responses[0].partitions.resize(1);
    response.responses[0].partitions[0].records.pieces = {first, second};
    for (const int16_t version : {int16_t{4}, int16_t{11}, int16_t{12}}) {
        Gather out;
        encode(response, version, out);
        EXPECT_EQ(out.size(), encoded_size(response, version));
        const auto pieces = out.pieces();
        ASSERT_GE(pieces.size(), 3u);
        EXPECT_EQ(pieces[1].data(), first.data());
        EXPECT_EQ(pieces[2].data(), second.data());
        const auto bytes = out.flat();
        auto again = decode<FetchResponse>(bytes, version);
        ASSERT_TRUE(again) << again.error().message();
        EXPECT_TRUE(same(response, *again));
        const auto& records = again->responses[0].partitions[0].records;
        ASSERT_EQ(records.pieces.size(), 1u);
        EXPECT_EQ(records.pieces[0].size(), 9000u);
        EXPECT_GE(records.pieces[0].data(), bytes.data());
    }
}

TEST(Message, NullRecordsAreNotEmptyOnes) {
    const std::string head =
        "00000000 00000001 0001 't' 00000001 00000000 0000 0000000000000000 0000000000000000 00000000 ";
    const auto null_bytes = from_hex(head + "ffffffff");
    auto null = decode<FetchResponse>(null_bytes, 4);
    ASSERT_TRUE(null) << null.error().message();
    EXPECT_TRUE(null->responses[0].partitions[0].records.is_null);
    EXPECT_EQ(encoded(*null, 4), hex(head + "ffffffff"));
    const auto empty_bytes = from_hex(head + "00000000");
    auto empty = decode<FetchResponse>(empty_bytes, 4);
    ASSERT_TRUE(empty);
    EXPECT_FALSE(empty->responses[0].partitions[0].records.is_null);
    EXPECT_EQ(encoded(*empty, 4), hex(head + "00000000"));
}

TEST(Message, ProducedRecordsAreAViewIntoTheFrame) {
    const auto bytes = from_hex("ffff 0001 00000064 00000001 0001 't' 00000001 00000003 00000004 'abcd'");
    const auto request = decode<ProduceRequest>(bytes, 3);
    ASSERT_TRUE(request);
    const auto& records = request->topic_data[0].partition_data[0].records;
    ASSERT_TRUE(records);
    EXPECT_EQ(as_text(*records), "abcd");
    EXPECT_EQ(records->data(), bytes.data() + bytes.size() - 4);
}

// --- limits --------------------------------------------------------------------------------------------------------

TEST(Message, AStringHasItsLimit) {
    const auto body = [](size_t size) {
        ByteWriter out;
        out.unsigned_varint(size + 1);
        out.text(std::string(size, 'x'));
        out.unsigned_varint(1);
        out.unsigned_varint(0);
        return out.take();
    };
    EXPECT_TRUE(decode<ApiVersionsRequest>(body(kafka_string_bytes_max), 3));
    EXPECT_EQ(refusal<ApiVersionsRequest>(body(kafka_string_bytes_max + 1), 3), Code::too_large);
}

TEST(Message, AStringThatIsTooLongIsCutBetweenCharacters) {
    ApiVersionsRequest request;
    request.client_software_name = std::string(kafka_string_bytes_max - 1, 'x') + "\xc3\xa4";
    EXPECT_EQ(check_encodable(request, 3).error().code, Code::invalid);
    Gather out;
    encode(request, 3, out);
    EXPECT_EQ(out.size(), encoded_size(request, 3));
    const auto bytes = out.flat();
    const auto again = decode<ApiVersionsRequest>(bytes, 3);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->client_software_name, std::string(kafka_string_bytes_max - 1, 'x'));
    request.client_software_name.resize(kafka_string_bytes_max);
    EXPECT_TRUE(check_encodable(request, 3));
}

TEST(Message, AListHasItsLimitAndNeverMoreElementsThanBytes) {
    const auto body = [](int32_t claimed, size_t bytes) {
        ByteWriter out;
        out.be(claimed);
        for (size_t i = 0; i < bytes; ++i) { out.be(uint8_t{0}); }
        return out.take();
    };
    // Names of no bytes: two bytes an element.
    EXPECT_TRUE(decode<MetadataRequest>(body(3, 6), 1));
    EXPECT_EQ(refusal<MetadataRequest>(body(7, 6), 1), Code::corrupt);
    EXPECT_EQ(refusal<MetadataRequest>(body(1'000'001, 3'000'000), 1), Code::too_large);
    EXPECT_TRUE(decode<MetadataRequest>(body(1'000'000, 2'000'000), 1, 1u << 30));
    EXPECT_EQ(refusal<MetadataRequest>(body(std::numeric_limits<int32_t>::max(), 6), 1), Code::too_large);
}

TEST(Message, TaggedFieldsHaveTheirLimit) {
    const auto body = [](size_t count) {
        ByteWriter out;
        out.unsigned_varint(1);
        out.unsigned_varint(1);
        out.unsigned_varint(count);
        for (size_t i = 0; i < count; ++i) {
            out.unsigned_varint(i);
            out.unsigned_varint(0);
        }
        return out.take();
    };
    EXPECT_TRUE(decode<ApiVersionsRequest>(body(tagged_fields_max), 3));
    EXPECT_EQ(refusal<ApiVersionsRequest>(body(tagged_fields_max + 1), 3), Code::too_large);
}

TEST(Message, MemoryHasItsLimit) {
    ByteWriter out;
    const uint64_t topics = 100'000;
    out.be(static_cast<int32_t>(topics));
    for (uint64_t i = 0; i < topics; ++i) { out.be(int16_t{0}); }
    const uint64_t needed = topics * sizeof(MetadataRequest::MetadataRequestTopic);
    EXPECT_TRUE(decode<MetadataRequest>(out.view(), 1, needed));
    const auto refused = decode<MetadataRequest>(out.view(), 1, needed - 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::too_large);
    EXPECT_EQ(refusal<MetadataRequest>(out.view(), 1), Code::too_large);
}

// --- text ----------------------------------------------------------------------------------------------------------

TEST(Message, IsPrintedForPeople) {
    ProduceRequest request;
    request.acks = -1;
    request.topic_data.resize(1);
    request.topic_data[0].name = "a\n\"b\"";
    request.topic_data[0].partition_data = {{.index = 3, .records = as_bytes("secret")}};
    EXPECT_EQ(to_string(request),
              "ProduceRequest(transactional_id=null, acks=-1, timeout_ms=0, topic_data=[(name=\"a\\x0a\\\"b\\\"\", "
              "topic_id=AAAAAAAAAAAAAAAAAAAAAA, partition_data=[(index=3, records=<6 bytes>)])])");
    const std::string cut = to_string(request, 40);
    EXPECT_EQ(cut.size(), 40u);
    EXPECT_TRUE(cut.ends_with("..."));
    request.topic_data.resize(100'000);
    EXPECT_LE(to_string(request).size(), printed_message_bytes_max);
}

}  // namespace
}  // namespace flowstone::kafka
