// One connection of HTTP/1.1 as its server sees it: bytes in, requests out; answers in, bytes out. For /metrics, /healthz
// and pages of the console: GET and HEAD, no bodies in requests.
//
// Pure: no socket, no clock. The driver hands over what came, asks for a request, answers it, sends the output, and
// closes when should_close() says so or deadline_ms() has passed. Requests that come before the answer to the last one is
// sent wait in the input (pipelining), which is bounded; wants_input() says when to stop reading.
//
// What is no such request is answered with its error, and the connection ends: where the next one would begin is not
// known. Rules: RFC 9110, RFC 9112. One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/bytes.h"
#include "storage/limits.h"

namespace flowstone {

struct HttpRequest {
    bool head = false;     // HEAD: as GET, but the body of the answer is only counted
    std::string path{};    // begins with '/'; as it came, without the query, percent signs and all
    std::string query{};   // what follows the first '?', as it came
    std::string accept{};  // the header; several joined by ", "
};

struct HttpAnswer {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers{};  // further ones; without line breaks
};
// "404 Not Found" as a whole answer.
HttpAnswer http_error(int status);

class HttpConnection {
public:
    explicit HttpConnection(int64_t now_ms) : deadline_ms_(now_ms + http_request_ms_max) {}

    // --- in ---
    bool wants_input() const { return !closing_ && input_.size() < http_header_bytes_max; }
    // What came. More than wants_input() allows is taken all the same, once.
    void receive(Bytes bytes, int64_t now_ms);
    // The peer sends no more. What is whole is still answered.
    void end_of_input() { input_ended_ = true; }
    // The next request, to be answered before another one is given. None while output waits to be sent.
    std::optional<HttpRequest> next_request(int64_t now_ms);
    // Whether next_request() would do something: give one, or refuse what came.
    bool may_have_request() const;

    // --- out ---
    // Requires a request that was not answered yet.
    void answer(const HttpAnswer& answer, int64_t now_ms);
    std::string_view output() const { return std::string_view(output_).substr(sent_); }
    void sent(size_t bytes, int64_t now_ms);

    // Everything is said: close. Also true when the peer ended its side and nothing whole is left. Who sent more than was
    // read must be given time to read the answer: end the sending side first, and read on until the peer ends or the
    // deadline.
    bool should_close() const;
    // Close then, whatever is going on: a request that does not become whole, an answer that nobody fetches, nobody
    // asking. While a request waits for its answer there is none.
    int64_t deadline_ms() const { return waiting_ ? INT64_MAX : deadline_ms_; }

private:
    struct Head;  // of a request, as parsed
    void refuse(int status, int64_t now_ms);
    int parse_head(std::string_view text, Head& head) const;
    void write(const HttpAnswer& answer, bool head_only);

    std::string input_;
    std::string output_;
    size_t sent_ = 0;
    int64_t deadline_ms_;
    bool waiting_ = false;      // a request was given out
    bool head_only_ = false;    // of that request
    bool keeps_alive_ = false;  // likewise
    bool says_keep_alive_ = false;
    bool closing_ = false;  // after the output
    bool input_ended_ = false;
    bool in_request_ = false;  // a byte of the next request is here, and its time runs
};

}  // namespace flowstone
