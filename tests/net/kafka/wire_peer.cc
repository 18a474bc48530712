// The library's side of schema_oracle.py: reads one case a line on standard input, answers each with one line.
//
//     recode NAME FROM TO HEX    decodes a body at version FROM and encodes it at version TO:
//                                ok HEX LOST PRINTED    LOST: what check_encodable() says of TO, `-` for nothing
//                                refused CODE
//     request HEX                parses a frame without its length:
//                                ok KEY VERSION CORRELATION CLIENT BODY, or refused CODE
//     response KEY VERSION HEX   ok CORRELATION BODY, or refused CODE
//     headers KEY VERSION        ok HEX HEX             headers of a request and a response, correlation 7, client "me"
//     apis                       NAME KEY MIN MAX FLEXIBLE NAME KEY ...
//     messages                   NAME NAME ...
// Bytes are hexadecimal, `-` when there are none; text is bytes, `null` for null.
#include <iostream>
#include <limits>
#include <sstream>
#include <string>

#include "net/kafka/frame.h"
#include "storage/check.h"
#include "tests/net/kafka/all_messages.h"
#include "tests/net/kafka/hex.h"

namespace flowstone::kafka {
namespace {

std::string hex_or_dash(Bytes bytes) { return bytes.empty() ? "-" : to_hex(bytes); }

std::vector<std::byte> read_bytes(std::istream& in) {
    std::string text;
    in >> text;
    return text == "-" ? std::vector<std::byte>{} : from_hex(text);
}

std::string refused(const Error& error) { return std::string("refused ") + flowstone::name(error.code); }

// "MetadataRequest version 1 cannot carry topics as it is" -> "topics"
std::string lost_field(const Result<void>& checked) {
    if (checked) { return "-"; }
    std::istringstream words(checked.error().detail);
    std::string word;
    while (words >> word && word != "carry") {}
    words >> word;
    return word;
}

std::string recode(std::istream& in) {
    std::string name;
    int16_t from = 0, to = 0;
    in >> name >> from >> to;
    const auto body = read_bytes(in);
    const AnyMessage* any = find_message(name);
    if (any == nullptr) { return "unknown message"; }
    const MessageType type = any->type();
    const auto message = any->make();
    if (auto decoded = decode_message(type, from, body, decode_bytes_max(body.size()), message.get()); !decoded) {
        return refused(decoded.error());
    }
    Gather out;
    encode_message(type, to, message.get(), out);
    CHECK(out.size() == message_size(type, to, message.get()));
    return "ok " + hex_or_dash(out.flat()) + " " + lost_field(check_message_encodable(type, to, message.get())) + " " +
           print_message(type, message.get(), std::numeric_limits<size_t>::max());
}

std::string request(std::istream& in) {
    const auto frame = read_bytes(in);
    const auto parsed = parse_request(frame);
    if (!parsed) { return refused(parsed.error()); }
    const RequestHeader& header = parsed->header;
    std::ostringstream text;
    text << "ok " << static_cast<int16_t>(header.api_key) << ' ' << header.api_version << ' ' << header.correlation_id
         << ' ' << (header.client_id ? hex_or_dash(as_bytes(*header.client_id)) : "null") << ' '
         << hex_or_dash(parsed->body);
    return text.str();
}

std::string response(std::istream& in) {
    int16_t key = 0, version = 0;
    in >> key >> version;
    const auto frame = read_bytes(in);
    const auto parsed = parse_response(frame, static_cast<ApiKey>(key), version);
    if (!parsed) { return refused(parsed.error()); }
    return "ok " + std::to_string(parsed->correlation_id) + " " + hex_or_dash(parsed->body);
}

std::string headers(std::istream& in) {
    int16_t key = 0, version = 0;
    in >> key >> version;
    Gather asking, answering;
    begin_request({static_cast<ApiKey>(key), version, 7, "me"}, asking);
    begin_response(static_cast<ApiKey>(key), version, 7, answering);
    const auto without_length = [](const Gather& out) { return to_hex(Bytes(out.flat()).subspan(frame_length_bytes)); };
    return "ok " + without_length(asking) + " " + without_length(answering);
}

std::string list_apis() {
    std::ostringstream text;
    for (const Api& api : apis) {
        text << api.name << ' ' << static_cast<int16_t>(api.key) << ' ' << api.versions.min << ' ' << api.versions.max
             << ' ' << api.flexible_since << ' ';
    }
    return text.str();
}

std::string list_messages() {
    std::string text;
    for (const AnyMessage& any : all_messages) { text += std::string(any.type().name) + " "; }
    return text;
}

std::string answer(const std::string& line) {
    std::istringstream in(line);
    std::string command;
    in >> command;
    if (command == "recode") { return recode(in); }
    if (command == "request") { return request(in); }
    if (command == "response") { return response(in); }
    if (command == "headers") { return headers(in); }
    if (command == "apis") { return list_apis(); }
    if (command == "messages") { return list_messages(); }
    return "unknown command";
}

}  // namespace
}  // namespace flowstone::kafka

int main() {
    std::ios::sync_with_stdio(false);
    for (std::string line; std::getline(std::cin, line);) { std::cout << flowstone::kafka::answer(line) << '\n'; }
    return 0;
}
