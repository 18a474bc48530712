#include "net/kafka/frame.h"

#include <limits>

#include "net/kafka/wire.h"
#include "storage/check.h"

namespace flowstone::kafka {
namespace {

constexpr const char* operation = "frame.parse";

Result<void> skip_tagged_fields(ByteReader& in) {
    const Varint32 count = read_unsigned_varint32(in);
    if (!count.ok) { return fail(Code::corrupt, operation, "a header without its number of tagged fields"); }
    if (count.value > tagged_fields_max) {
        return fail(Code::too_large, operation, "too many tagged fields in a header");
    }
    for (uint32_t i = 0; i < count.value; ++i) {
        const Varint32 tag = read_unsigned_varint32(in);
        const Varint32 size = read_unsigned_varint32(in);
        in.skip(size.value);
        if (!tag.ok || !size.ok || in.failed()) {
            return fail(Code::corrupt, operation, "a broken tagged field in a header");
        }
    }
    return {};
}

Bytes rest(ByteReader& in) { return in.bytes(in.remaining()); }

}  // namespace

Result<RequestFrame> parse_request(Bytes frame) {
    ByteReader in(frame);
    RequestFrame request;
    RequestHeader& header = request.header;
    header.api_key = static_cast<ApiKey>(in.be<int16_t>());
    header.api_version = in.be<int16_t>();
    header.correlation_id = in.be<int32_t>();
    // In the old form in every version, so that old brokers can read it.
    const int64_t length = read_length(in, false, LengthForm::text);
    if (length < null_length) { return fail(Code::corrupt, operation, "a request without a whole header"); }
    if (length >= 0) {
        const Bytes client_id = in.bytes(static_cast<uint64_t>(length));
        if (in.failed()) { return fail(Code::corrupt, operation, "a client id that ends early"); }
        header.client_id.emplace(as_text(client_id));
    }
    if (request_header_version(header.api_key, header.api_version) >= 2) { TRY_VOID(skip_tagged_fields(in)); }
    request.body = rest(in);
    return request;
}

Result<ResponseFrame> parse_response(Bytes frame, ApiKey api_key, int16_t api_version) {
    ByteReader in(frame);
    ResponseFrame response;
    response.correlation_id = in.be<int32_t>();
    if (in.failed()) { return fail(Code::corrupt, operation, "a response without a whole header"); }
    if (response_header_version(api_key, api_version) >= 1) { TRY_VOID(skip_tagged_fields(in)); }
    response.body = rest(in);
    return response;
}

OpenFrame begin_response(ApiKey api_key, int16_t api_version, int32_t correlation_id, Gather& out) {
    const OpenFrame frame{out.own_size(), out.size()};
    out.be(int32_t{0});
    out.be(correlation_id);
    if (response_header_version(api_key, api_version) >= 1) { out.unsigned_varint(0); }
    return frame;
}

OpenFrame begin_request(const RequestHeader& header, Gather& out) {
    const OpenFrame frame{out.own_size(), out.size()};
    out.be(int32_t{0});
    out.be(static_cast<int16_t>(header.api_key));
    out.be(header.api_version);
    out.be(header.correlation_id);
    if (header.client_id) {
        CHECK(header.client_id->size() <= kafka_string_bytes_max);
        out.be(static_cast<int16_t>(header.client_id->size()));
        out.bytes(as_bytes(*header.client_id));
    } else {
        out.be(static_cast<int16_t>(null_length));
    }
    if (request_header_version(header.api_key, header.api_version) >= 2) { out.unsigned_varint(0); }
    return frame;
}

void end_frame(const OpenFrame& frame, Gather& out) {
    const size_t length = out.size() - frame.begin - frame_length_bytes;
    CHECK(length <= static_cast<size_t>(std::numeric_limits<int32_t>::max()));
    out.replace_be(frame.own_position, static_cast<int32_t>(length));
}

}  // namespace flowstone::kafka
