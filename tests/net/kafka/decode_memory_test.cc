// Decoding allocates no more than twice what was received and 1 MiB, whatever was received: counted, for every message.
#include <gtest/gtest.h>

#include "net/kafka/messages/metadata.h"
#include "tests/counted_new.h"
#include "tests/net/kafka/all_messages.h"
#include "tests/net/kafka/hex.h"

namespace flowstone::kafka {
namespace {

// What the decoding of `body` allocated.
uint64_t allocated_by_decoding(const AnyMessage& any, int16_t version, Bytes body) {
    const MessageType type = any.type();
    const auto message = any.make();
    const uint64_t before = bytes_allocated;
    const auto decoded = decode_message(type, version, body, decode_bytes_max(body.size()), message.get());
    (void)decoded;
    return bytes_allocated - before;
}

// A body that claims so many elements of its first list, if it begins with one; then the pattern again and again, which
// is read as small lengths.
std::vector<std::byte> greedy_body(size_t size, bool compact, size_t claimed, std::string_view pattern) {
    ByteWriter out;
    if (compact) {
        out.unsigned_varint(claimed + 1);
    } else {
        out.be(static_cast<uint32_t>(claimed));
    }
    const auto repeated = from_hex(pattern);
    while (out.size() < size) { out.bytes(repeated); }
    return out.take();
}

TEST(DecodeMemory, IsBoundedByWhatWasReceived) {
    uint64_t most = 0;
    const size_t size = 100'000;
    const uint64_t bound = 2 * size + (1u << 20);
    for (const AnyMessage& any : all_messages) {
        const MessageType type = any.type();
        const Api& api = *find_api(type.api_key);
        for (const int16_t version : {api.versions.min, api.versions.max}) {
            for (const size_t claimed : {size / 10, size / 5}) {
                for (const std::string_view pattern : {"00", "02", "00000004"}) {
                    const auto body = greedy_body(size, api.is_flexible(version), claimed, pattern);
                    const uint64_t allocated = allocated_by_decoding(any, version, Bytes(body).first(size));
                    EXPECT_LE(allocated, bound) << type.name << " version " << version << ", " << claimed << pattern;
                    most = std::max(most, allocated);
                }
            }
        }
    }
    EXPECT_GT(most, bound - bound / 10) << "none of these bodies came near the bound, so they prove nothing";
}

TEST(DecodeMemory, IsCountedToTheByte) {
    MetadataRequest request;
    request.topics.emplace();
    for (size_t length = 0; length < 100; ++length) {
        request.topics->push_back({.topic_id = {}, .name = std::string(length, 'x')});
    }
    Gather out;
    encode(request, 9, out);
    const auto bytes = out.flat();
    const auto decoded_within = [&](uint64_t memory_max) {
        return decode<MetadataRequest>(bytes, 9, memory_max).has_value();
    };
    ASSERT_TRUE(decoded_within(1 << 20));  // and builds the tables
    const uint64_t before = bytes_allocated;
    ASSERT_TRUE(decoded_within(1 << 20));
    const uint64_t needed = bytes_allocated - before;
    EXPECT_TRUE(decoded_within(needed));
    EXPECT_FALSE(decoded_within(needed - 1));
}

}  // namespace
}  // namespace flowstone::kafka
