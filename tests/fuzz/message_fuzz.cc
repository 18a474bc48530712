// Any bytes as the body of any of Kafka's messages, at any version, and as a frame. Decoding stays within its memory,
// and what decodes, encoded again, decodes to the same; at every other version, to something.
//
// First byte: the api's key, and 0x80 for the response; second: the version, counted from the api's first; then the
// body.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "net/kafka/frame.h"
#include "storage/check.h"
#include "tests/counted_new.h"
#include "tests/net/kafka/all_messages.h"

namespace flowstone::kafka {
namespace {

constexpr uint64_t plenty = 1u << 30;

const AnyMessage* find(ApiKey key, bool is_response) {
    for (size_t i = is_response ? 1 : 0; i < all_messages.size(); i += 2) {
        if (all_messages[i].type().api_key == key) { return &all_messages[i]; }
    }
    return nullptr;
}

std::vector<std::byte> encoded(const MessageType& type, int16_t version, const void* message) {
    Gather out;
    encode_message(type, version, message, out);
    CHECK(out.size() == message_size(type, version, message));
    return out.flat();
}

void check_encoded_again(const AnyMessage& any, int16_t version, const void* message) {
    const MessageType type = any.type();
    const auto bytes = encoded(type, version, message);
    const auto again = any.make();
    CHECK(decode_message(type, version, bytes, plenty, again.get()).has_value());
    CHECK(same_message(type, message, again.get()));
    CHECK(encoded(type, version, again.get()) == bytes);
    CHECK(print_message(type, message, printed_message_bytes_max).size() <= printed_message_bytes_max);
}

void try_body(const AnyMessage& any, int16_t version, Bytes body) {
    const MessageType type = any.type();
    const auto message = any.make();
    const uint64_t before = bytes_allocated;
    const bool good = decode_message(type, version, body, decode_bytes_max(body.size()), message.get()).has_value();
    CHECK(bytes_allocated - before <= decode_bytes_max(body.size()));
    if (!good) { return; }
    check_encoded_again(any, version, message.get());
    const Versions versions = find_api(type.api_key)->versions;
    for (int16_t other = versions.min; other <= versions.max; ++other) {
        const auto bytes = encoded(type, other, message.get());
        const auto there = any.make();
        CHECK(decode_message(type, other, bytes, plenty, there.get()).has_value());
        CHECK(check_message_encodable(type, other, there.get()).has_value());
    }
}

void try_frame(Bytes frame) {
    const auto request = parse_request(frame);
    if (!request) { return; }
    CHECK(request->body.size() <= frame.size());
    (void)parse_response(frame, request->header.api_key, request->header.api_version);
}

void try_bytes(Bytes bytes) {
    try_frame(bytes);
    if (bytes.size() < 2) { return; }
    const auto first = static_cast<uint8_t>(bytes[0]);
    const auto key = static_cast<ApiKey>(first & 0x7f);
    const AnyMessage* any = find(key, (first & 0x80) != 0);
    if (any == nullptr) { return; }
    const Versions versions = find_api(key)->versions;
    const int count = versions.max - versions.min + 1;
    try_body(*any, static_cast<int16_t>(versions.min + static_cast<uint8_t>(bytes[1]) % count), bytes.subspan(2));
}

}  // namespace
}  // namespace flowstone::kafka

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    flowstone::kafka::try_bytes({reinterpret_cast<const std::byte*>(data), size});
    return 0;
}
