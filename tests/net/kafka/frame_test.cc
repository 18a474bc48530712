#include "net/kafka/frame.h"

#include <gtest/gtest.h>

#include "net/kafka/messages/api_versions.h"
#include "net/kafka/messages/fetch.h"
#include "net/kafka/messages/metadata.h"
#include "tests/net/kafka/hex.h"

namespace flowstone::kafka {
namespace {

std::string framed(const Gather& out) { return to_hex(out.flat()); }
std::string hex(std::string_view text) { return to_hex(from_hex(text)); }

TEST(Frame, ARequestIsHeaderAndBody) {
    const auto old_form = from_hex("0003 0001 00000007 0002 'me' ffffffff");
    auto request = parse_request(old_form);
    ASSERT_TRUE(request);
    EXPECT_EQ(request->header.api_key, ApiKey::metadata);
    EXPECT_EQ(request->header.api_version, 1);
    EXPECT_EQ(request->header.correlation_id, 7);
    EXPECT_EQ(request->header.client_id, "me");
    EXPECT_EQ(to_hex(request->body), "ffffffff");

    // The client id keeps its old form; unknown tagged fields follow it.
    const auto flexible = from_hex("0003 0009 00000007 ffff 01 05 02 'xy' 00 00 00 00 00");
    request = parse_request(flexible);
    ASSERT_TRUE(request);
    EXPECT_FALSE(request->header.client_id);
    EXPECT_EQ(to_hex(request->body), "0000000000");
}

TEST(Frame, ARequestOfAnUnknownVersionOrKeyGetsThrough) {
    const auto later = from_hex("0012 0063 00000007 0000 00 'rest'");
    auto request = parse_request(later);
    ASSERT_TRUE(request);
    EXPECT_EQ(request->header.api_key, ApiKey::api_versions);
    EXPECT_EQ(request->header.api_version, 99);
    EXPECT_EQ(as_text(request->body), "rest");
    const auto unknown = from_hex("7fff 0063 00000007 0000 'rest'");
    request = parse_request(unknown);
    ASSERT_TRUE(request);
    EXPECT_EQ(find_api(request->header.api_key), nullptr);
    EXPECT_EQ(as_text(request->body), "rest");
}

TEST(Frame, ABrokenHeaderIsRefused) {
    const auto whole = from_hex("0003 0009 00000007 0002 'me' 01 05 02 'xy'");
    ASSERT_TRUE(parse_request(whole));
    for (size_t size = 0; size < whole.size(); ++size) {
        const auto refused = parse_request(Bytes(whole).first(size));
        ASSERT_FALSE(refused) << size;
        EXPECT_EQ(refused.error().code, Code::corrupt);
    }
    EXPECT_FALSE(parse_request(from_hex("0003 0009 00000007 fffe 00")));
    const auto tags = [](size_t count) {
        ByteWriter out;
        out.bytes(from_hex("0003 0009 00000007 ffff"));
        out.unsigned_varint(count);
        for (size_t i = 0; i < count; ++i) { out.be(uint16_t{0x0500}); }
        return out.take();
    };
    EXPECT_TRUE(parse_request(tags(tagged_fields_max)));
    const auto refused = parse_request(tags(tagged_fields_max + 1));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::too_large);
}

TEST(Frame, AResponseHasItsLengthInFront) {
    Gather out;
    frame_response(7, MetadataResponse{}, 0, out);
    EXPECT_EQ(framed(out), hex("0000000c 00000007 00000000 00000000"));
    out.clear();
    frame_response(7, MetadataResponse{}, 12, out);
    EXPECT_EQ(framed(out), hex("00000011 00000007 00  00000000 01 00 ffffffff 01 00"));
}

TEST(Frame, TheApiVersionsResponseNeverHasTaggedFieldsInItsHeader) {
    Gather out;
    frame_response(7, ApiVersionsResponse{}, 3, out);
    EXPECT_EQ(framed(out), hex("0000000c 00000007 0000 01 00000000 00"));
}

TEST(Frame, TheExampleOfThePageIsTrue) {  // docs/protocol/messages.md
    ApiVersionsRequest request;
    request.client_software_name = "kcat";
    request.client_software_version = "1";
    Gather out;
    frame_request({.api_version = 3, .correlation_id = 7, .client_id = "me"}, request, out);
    EXPECT_EQ(framed(out), hex("00000015 0012 0003 00000007 0002 6d65 00 05 6b636174 02 31 00"));
    ApiVersionsResponse response;
    response.api_keys = {{.api_key = 18, .min_version = 0, .max_version = 4}};
    out.clear();
    frame_response(7, response, 3, out);
    EXPECT_EQ(framed(out), hex("00000013 00000007 0000 02 0012 0000 0004 00 00000000 00"));
}

TEST(Frame, SeveralFramesMayFollowEachOtherInOneGather) {
    const std::vector<std::byte> batch(1000, std::byte{5});
    FetchResponse response;
    response.responses.resize(1);
    response.responses[0].partitions.resize(1);
    response.responses[0].partitions[0].records.pieces = {batch, batch};
    Gather out;
    frame_response(1, response, 12, out);
    const size_t first = out.size();
    frame_response(2, response, 12, out);
    EXPECT_EQ(out.size(), 2 * first);
    const auto bytes = out.flat();
    for (const size_t begin : {size_t{0}, first}) {
        ByteReader in(Bytes(bytes).subspan(begin, first));
        EXPECT_EQ(in.be<int32_t>(), static_cast<int32_t>(first - frame_length_bytes));
        const auto parsed = parse_response(in.bytes(in.remaining()), ApiKey::fetch, 12);
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->correlation_id, begin == 0 ? 1 : 2);
        const auto again = decode<FetchResponse>(parsed->body, 12);
        ASSERT_TRUE(again);
        EXPECT_TRUE(same(response, *again));
    }
}

TEST(Frame, ARequestIsWrittenAsItIsRead) {
    for (const int16_t version : {int16_t{2}, int16_t{3}}) {
        Gather out;
        ApiVersionsRequest request;
        if (version == 3) { request.client_software_name = "flowstone"; }
        frame_request({.api_version = version, .correlation_id = 9, .client_id = "c"}, request, out);
        const auto bytes = out.flat();
        const auto parsed = parse_request(Bytes(bytes).subspan(frame_length_bytes));
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->header.api_key, ApiKey::api_versions);
        EXPECT_EQ(parsed->header.correlation_id, 9);
        EXPECT_EQ(parsed->header.client_id, "c");
        const auto again = decode<ApiVersionsRequest>(parsed->body, version);
        ASSERT_TRUE(again);
        EXPECT_TRUE(same(request, *again));
    }
}

TEST(Gather, CopiesShortPiecesAndRefersToLongOnes) {
    const std::vector<std::byte> shorter(gather_copy_bytes_max - 1, std::byte{1});
    const std::vector<std::byte> longer(gather_copy_bytes_max, std::byte{2});
    Gather out;
    out.splice(shorter);
    EXPECT_NE(out.pieces()[0].data(), shorter.data());
    out.splice(longer);
    ASSERT_EQ(out.pieces().size(), 2u);
    EXPECT_EQ(out.pieces()[1].data(), longer.data());
    out.splice({});
    EXPECT_EQ(out.pieces().size(), 2u);
    EXPECT_EQ(out.size(), shorter.size() + longer.size());
}

TEST(Api, IsFoundByItsKey) {
    for (const Api& api : apis) { EXPECT_EQ(find_api(api.key), &api); }
    EXPECT_EQ(apis.size(), 89u);
    for (const int16_t gone : {int16_t{-1}, int16_t{4}, int16_t{7}, int16_t{93}, int16_t{32767}}) {
        EXPECT_EQ(find_api(static_cast<ApiKey>(gone)), nullptr) << gone;
    }
    EXPECT_EQ(name(ApiKey::offset_for_leader_epoch), "OffsetForLeaderEpoch");
}

}  // namespace
}  // namespace flowstone::kafka
