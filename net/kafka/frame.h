// Frames of a connection: four bytes of length, a header, a message's body.
//
// Source: kafka.apache.org/protocol, "Requests and Responses"; KIP-482 for headers with tagged fields; KIP-511 for the
// ApiVersions response, whose header never has any. Whoever reads a socket reads the length, bounds it by
// frame_bytes_max, and hands what follows to parse_request(). Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <flowstone/result.h>

#include "net/kafka/api.h"
#include "net/kafka/gather.h"
#include "net/kafka/message.h"
#include "storage/bytes.h"

namespace flowstone::kafka {

constexpr size_t frame_length_bytes = 4;

struct RequestHeader {
    ApiKey api_key{};         // as received: may be none that find_api() knows
    int16_t api_version = 0;  // as received: may be outside of the api's range
    int32_t correlation_id = 0;
    std::optional<std::string> client_id{};
};
struct RequestFrame {
    RequestHeader header;
    Bytes body;  // a view into the frame
};

// Reads the header of a frame without its length. Versions that are not in an api's range get through: ApiVersions is
// answered even then, and others are refused by whoever dispatches. An unknown api's header is read as version 1.
// Errors: corrupt; too_large, for a client id or tagged fields above their limits.
Result<RequestFrame> parse_request(Bytes frame);

struct ResponseFrame {
    int32_t correlation_id = 0;
    Bytes body;
};
// For a client: reads the header of the response to a request of that key and version.
// Errors: corrupt, too_large.
Result<ResponseFrame> parse_response(Bytes frame, ApiKey api_key, int16_t api_version);

// A frame under construction. Everything appended to `out` between begin and end_frame() is its content.
struct OpenFrame {
    size_t own_position;
    size_t begin;  // out.size() in front of the length
};
OpenFrame begin_response(ApiKey api_key, int16_t api_version, int32_t correlation_id, Gather& out);
OpenFrame begin_request(const RequestHeader& header, Gather& out);
void end_frame(const OpenFrame& frame, Gather& out);

// A whole response, and a whole request: length, header, body, as encode() writes it.
template <class T>
void frame_response(int32_t correlation_id, const T& response, int16_t api_version, Gather& out) {
    const OpenFrame frame = begin_response(T::api_key, api_version, correlation_id, out);
    encode(response, api_version, out);
    end_frame(frame, out);
}
// header.api_key is T's, whatever it says.
template <class T>
void frame_request(RequestHeader header, const T& request, Gather& out) {
    header.api_key = T::api_key;
    const OpenFrame frame = begin_request(header, out);
    encode(request, header.api_version, out);
    end_frame(frame, out);
}

}  // namespace flowstone::kafka
